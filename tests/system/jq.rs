use std::process::{Command, Stdio};

use serde_json::json;

use crate::readme::{Recipe, names, recipe};
use crate::support::cli::{Cli, secrets};
use crate::support::pocketbase::{ANN, PASSWORD, Server, V0_30_0, V0_40_6};
use crate::tmux::Terminal;

fn ann(server: &Server) -> Cli {
    let cli = Cli::new(server.url());
    cli.login("users", ANN, PASSWORD);
    cli
}

#[test]
fn every_recipe_that_needs_jq_has_a_test() {
    assert_eq!(names(Some("jq")), ["my-activity", "titles"]);
}

/// Each title is there when it happens, with no flag for buffering.
#[test]
fn titles_when_they_happen() {
    crate::needs("jq", "--version");
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        let cli = ann(&server);
        let terminal = Terminal::start(&cli, 160, 40);
        terminal.line("clear");
        terminal.line(recipe("titles"));
        server.wait_for_subscriber("posts/*");
        server.create("posts", &json!({"title": "a draft", "status": "draft"}));
        for title in ["one", "two, \"quoted\"", "日本"] {
            server.create("posts", &json!({"title": title, "status": "published", "author": server.ann().id}));
            terminal.wait_for(title);
        }
        assert!(!terminal.screen().contains("a draft"));
        terminal.press("C-c");
        server.wait_for_clients(0);
    }
}

/// The watch ends with 0 when jq ends, also while nothing happens.
#[test]
fn it_ends_when_jq_ends() {
    crate::needs("jq", "--version");
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        let cli = ann(&server);
        for another_event in [true, false] {
            let mut command = cli.command(["subscribe", "posts", "*", "--filter", "status = 'published'"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            let mut watch = command.spawn();
            // It ends by itself after the first. The command has to go: it holds the pipe open.
            let mut command = Command::new("jq");
            command
                .args(["-n", "-r", "first(inputs) | .record.title"])
                .stdin(watch.stdout.take().unwrap().into_inner());
            let mut jq = command.stdout(Stdio::piped()).spawn().unwrap();
            drop(command);
            server.wait_for_subscriber("posts/*");
            if another_event {
                server.create("posts", &json!({"title": "the first", "status": "published"}));
            } else {
                jq.kill().unwrap();
            }
            let output = jq.wait_with_output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout);
            secrets::refuse("stdout", &printed);
            assert_eq!(printed, if another_event { "the first\n" } else { "" });
            watch.end().expect(0);
            server.wait_for_clients(0);
        }
    }
}

#[test]
fn my_activity() {
    crate::needs("jq", "--version");
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        let recipe = Recipe::start("my-activity", ann(&server));
        server.wait_for_subscriber("comments/*");
        for author in [server.bob(), server.ann()] {
            let post = server.create("posts", &json!({"title": "by somebody", "author": author.id}));
            server.create("comments", &json!({"post": post["id"], "author": author.id, "text": "hi"}));
        }
        recipe.wait_for_lines(2, |line| line.contains(&format!(r#""author":"{}""#, server.ann().id)));
        let output = recipe.stop();
        assert_eq!(output.stdout.lines().count(), 2, "{}", output.stdout);
        server.wait_for_clients(0);
    }
}

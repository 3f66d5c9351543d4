use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::kit::{guest, id, parse, post};
use crate::support::cli::{Output, Running, binary};
use crate::support::pocketbase::{ANN, PASSWORD, Server};

both_versions!(chat, dashboard, activity, document, monitor, guest_or_signed_in, cleanup);

/// Starts an example of the library, as `cargo test` has built it.
fn example(server: &Server, name: &str, args: &[&str]) -> Running {
    let path = Path::new(binary()).parent().unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: `cargo test` alone, or `cargo build --examples`, builds it",
        path.display()
    );
    let mut command = guest(server).around(Command::new(path));
    command.arg(server.url()).args(args).env("PASSWORD", PASSWORD);
    Running::start(command)
}

fn line(running: &Running, wanted: &str) {
    running.wait_for_line(|line| line == wanted);
}

fn chat(version: &str) {
    let server = Server::start(version);
    let running = example(&server, "chat", &["lobby", ANN]);
    server.wait_for_subscriber("messages/*");
    let say = |room: &str| {
        id(&server.create("messages", &json!({"room": room, "text": format!("hi, {room}"), "author": server.bob().id})))
    };
    say("kitchen");
    let hello = say("lobby");
    line(&running, "Bob: hi, lobby");
    server.update("messages", &hello, &json!({"text": "hello"}));
    line(&running, "Bob corrected: hello");
    server.delete("messages", &hello);
    line(&running, "Bob took back: hello");
    assert!(!running.stdout().contains("kitchen"));
}

fn dashboard(version: &str) {
    let server = Server::start(version);
    let running = example(&server, "dashboard", &[]);
    server.wait_for_subscriber("jobs/finished");
    assert_eq!(server.clients().len(), 1, "one connection");
    let hit = server.create("posts", &json!({"title": "hit", "status": "published", "stars": 3}));
    running.wait_for_line(|line| line.starts_with("hits (1): create {"));
    server.create("comments", &json!({"text": "nice", "post": hit["id"]}));
    let comment = running.wait_for_line(|line| line.starts_with("comments (1): "));
    // The server's own order of keys varies where it picks the fields.
    let comment = parse(comment.strip_prefix("comments (1): create ").unwrap());
    assert_eq!(comment, json!({"text": "nice", "expand": {"post": {"title": "hit"}}}));
    server.create("jobs", &json!({"name": "backup", "state": "finished"}));
    running.wait_for_line(|line| line.starts_with("jobs (1): create {"));
    running.wait_for_line(|line| line.starts_with("jobs: jobs/finished {"));
}

fn activity(version: &str) {
    let server = Server::start(version);
    let running = example(&server, "activity", &[ANN]);
    server.wait_for_subscriber("activity/*");
    for author in [&server.bob().id, &server.ann().id] {
        server.create("activity", &json!({"what": "something", "author": author}));
        server.create("posts", &json!({"title": "something", "author": author}));
    }
    running.wait_for_lines(2, |line| line.ends_with(" create activity") || line.ends_with(" create posts"));
    let output = end(running);
    assert_eq!(output.stdout.lines().count(), 2, "{}", output.stdout);
}

fn document(version: &str) {
    let server = Server::start(version);
    let document = id(&server.create("documents", &json!({"title": "Notes", "lastEditor": server.ann().id})));
    let running = example(&server, "document", &[&document]);
    server.wait_for_subscriber(&format!("documents/{document}"));
    server.update("documents", &document, &json!({"content": "one"}));
    line(&running, "Ann: one");
    server.update("documents", &document, &json!({"content": "two", "lastEditor": server.bob().id}));
    line(&running, "Bob: two");
    server.delete("documents", &document);
    let output = running.finish().expect(0);
    assert_eq!(output.stdout, "Ann: one\nBob: two\ndeleted\n");
    server.wait_for_clients(0);
}

fn monitor(version: &str) {
    let mut server = Server::start(version);
    server.stop();
    let running = example(&server, "monitor", &[]);
    running.wait_for_line(|line| line.starts_with("lost posts/*: nothing listens at "));
    server.start_again();
    line(&running, "live");
    post(&server, "not for a monitor");
    let client = server.clients().remove(0);
    line(&running, &format!("connected to {} as client {}…", server.url(), &client.id[..3]));
    server.kill();
    running.wait_for_line(|line| line.starts_with("lost posts/*: ") && !line.contains("nothing listens"));
    server.start_again();
    running.wait_for_lines(2, |line| line == "live");
    running.wait_for_line(|line| line.starts_with("missed "));
    assert!(!running.stdout().contains("create"));
}

fn guest_or_signed_in(version: &str) {
    let server = Server::start(version);
    let running = example(&server, "guest", &[ANN]);
    server.wait_for_clients(2);
    server.wait_for_subscriber("posts/*");
    running.wait_for_lines(6, |line| line.contains("/*: "));
    crate::support::pocketbase::wait_for("both to be subscribed", crate::support::cli::PATIENCE, || {
        server.clients().iter().all(|client| client.subscriptions.len() == 3)
    });
    server.create("messages", &json!({"text": "for users"}));
    server.create("activity", &json!({"what": "for Ann", "author": server.ann().id}));
    post(&server, "for all");
    for seen in [
        "a guest sees create in posts".to_owned(),
        format!("{ANN} sees create in posts"),
        format!("{ANN} sees create in messages"),
        format!("{ANN} sees create in activity"),
    ] {
        line(&running, &seen);
    }
    let output = end(running);
    assert_eq!(output.stdout.lines().filter(|line| line.starts_with("a guest sees")).count(), 1);
}

/// Ends an example that listens for no signal. Not by SIGINT, which whoever
/// started the tests may have had ignored.
fn end(running: Running) -> Output {
    running.signal(rustix::process::Signal::TERM);
    running.finish()
}

fn cleanup(version: &str) {
    let server = Server::start(version);
    let running = example(&server, "cleanup", &[]);
    line(&running, "watching");
    assert_eq!(server.clients()[0].subscriptions.len(), 4);
    let output = running.stop().expect(0);
    assert_eq!(
        output.stdout, "watching\nby topic: 1\nby prefix: 1\neverything: 1\nclosed on purpose: true\n",
        "{}",
        output.stderr
    );
    server.wait_for_clients(0);
}

use serde_json::json;

use crate::support::cli::Cli;
use crate::support::pocketbase::{ANN, PASSWORD, Server, V0_30_0, V0_40_6};
use crate::tmux::Terminal;

#[test]
fn pretty_lines_in_a_real_terminal() {
    for version in [V0_30_0, V0_40_6] {
        let mut server = Server::start(version);
        let cli = Cli::new(server.url());
        cli.login("users", ANN, PASSWORD);
        let terminal = Terminal::start(&cli, 160, 40);
        terminal.line("bosbase-watch subscribe 'posts/*' jobs/finished; echo \"code $?\"");
        let connected = terminal.wait_for("● connected");
        assert_eq!(
            connected,
            format!(
                "● connected    {} as {ANN} (users) · posts/*  jobs/finished (custom topic, cannot be checked)",
                server.url()
            )
        );
        let post = server.create("posts", &json!({"title": "Hello\u{1b}[2J", "status": "draft"}));
        let id = post["id"].as_str().unwrap();
        let line = |text: &str| terminal.wait_for_text(text);
        let create = line(&format!("  + create  posts/{id}   title=\"Hello"));
        assert!(create.contains(r#"title="Hello\x1b[2J""#) || create.contains(r#"title="Hello\u001b[2J""#), "{create}");
        assert!(create.as_bytes()[2] == b':' && create.as_bytes()[8] == b'.', "the time first: {create}");
        server.update("posts", id, &json!({"status": "published"}));
        line(&format!("  ~ update  posts/{id}   status: \"draft\" → \"published\""));
        server.emit("jobs/finished", &json!({"job": 42}));
        line("  » jobs/finished");
        server.delete("posts", id);
        line(&format!("  - delete  posts/{id}"));
        assert!(terminal.coloured().contains("\u{1b}[3"), "no colours on a terminal");

        server.stop();
        terminal.wait_for("○ lost");
        server.start_again();
        terminal.wait_for("● reconnected");

        terminal.press("C-c");
        // Behind the terminal's own echo of the key.
        let ended = terminal.wait_for_text("■ ended");
        assert!(ended.contains("■ ended        ^C · 4 events · 1 reconnect · 1 gap · "), "{ended}");
        terminal.wait_for("code 130");
        server.wait_for_clients(0);
    }
}

#[test]
fn a_narrow_terminal_cuts_lines() {
    let server = Server::start(V0_40_6);
    let terminal = Terminal::start(&Cli::new(server.url()), 60, 30);
    terminal.line("clear; bosbase-watch subscribe posts '*'");
    terminal.wait_for("● connected");
    server.create("posts", &json!({"title": "long ".repeat(50)}));
    server.create("posts", &json!({"title": "日本語".repeat(50)}));
    crate::support::pocketbase::wait_for("both lines", crate::support::cli::PATIENCE, || {
        terminal.screen().matches("+ create").count() == 2
    });
    // Each is cut, and has not gone over into the next line.
    let screen = terminal.screen();
    let rest: Vec<_> = screen.lines().skip_while(|line| !line.contains("+ create")).collect();
    assert!(rest[0].ends_with('…') && rest[1].contains("+ create") && rest[1].ends_with('…'), "{screen}");
    assert!(rest[2..].iter().all(|line| line.is_empty()), "{screen}");
    terminal.press("C-c");
    terminal.wait_for_text("■ ended");
}

/// The line that tells how far the listing is, and is gone afterwards.
#[test]
fn how_far_the_listing_is() {
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        server.fill_posts(40_000, 7);
        let terminal = Terminal::start(&Cli::new(server.url()), 100, 20);
        terminal.line("clear");
        // A reader that takes some, bit by bit, and the rest when it is told to.
        terminal.line(
            "bosbase-watch subscribe 'posts/*' --initial --duration 0s -o ndjson | \\\n\
             (for i in 1 2 3 4 5; do head -c 1000000 >/dev/null; sleep .2; done; until [ -e go ]; do sleep .05; done; cat >rest)",
        );
        let line = terminal.wait_for("· listing      posts/* · ");
        assert!(line.contains(" of 40,000 records (") && line.trim_end().ends_with("%)"), "{line}");
        std::fs::write(terminal.folder().join("go"), "").unwrap();
        terminal.wait_for("■ ended");
        let screen = terminal.screen();
        assert!(!screen.contains("· listing"), "it is gone:\n{screen}");
        assert!(screen.contains("40,000") || screen.contains("40000"), "{screen}");
        let rest = std::fs::read_to_string(terminal.folder().join("rest")).unwrap();
        assert!(rest.ends_with("}\n") && rest.lines().count() > 1_000, "{}", rest.len());
    }
}

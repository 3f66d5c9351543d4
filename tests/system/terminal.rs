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

/// Two hundred collections with names and rules of every length: one line each, in columns, in 80
/// columns as in 40; and verdicts go over into the next line with the column that they stand in.
#[test]
fn topics_fit_the_terminal() {
    let rules = ["", "@request.auth.id != \"\"", "author = @request.auth.id && status != \"draft\" || stars > 3"];
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        let collections: Vec<_> = (0..200)
            .map(|number| {
                let name = format!("c{number:03}{}", "_long".repeat(number % 12));
                let rule = rules.get(number % 4);
                let text = |name| json!({"name": name, "type": "text"});
                let fields = json!([text("author"), text("status"), {"name": "stars", "type": "number"}]);
                json!({"name": name, "type": "base", "listRule": rule, "viewRule": rule, "fields": fields})
            })
            .collect();
        let token = Some(server.superuser_token());
        let (status, answer) =
            server.request("PUT", "/api/collections/import", token, Some(&json!({"collections": collections})));
        assert!(status < 300, "{answer}");
        for width in [80, 40] {
            let cli = Cli::new(server.url()).with("BOSBASE_TOKEN", server.superuser_token());
            let terminal = Terminal::start(&cli, width, 50);
            terminal.line("clear; tmux set-option -g history-limit 5000; bosbase-watch topics; echo \"code $?\"");
            terminal.wait_for("code 0");
            let lines = terminal.written();
            let table: Vec<&str> =
                lines.lines().map(str::trim_end).skip_while(|line| !line.starts_with("TOPIC")).collect();
            let head = table[0];
            assert_eq!(head.split_whitespace().take(4).collect::<Vec<_>>(), ["TOPIC", "TYPE", "LIST", "VIEW"]);
            let at = |word: &str| head.find(word).unwrap();
            let (mut names, mut rows) = (0, 0);
            for line in &table[1..table.iter().position(|line| line.starts_with("code")).unwrap()] {
                let name = line.split_whitespace().next().unwrap();
                names += usize::from(line.starts_with(['c', '_']) && name.ends_with("/*"));
                // A name that is too long stands alone, and the rest of its row below it, in its columns.
                if line.len() == name.len() {
                    continue;
                }
                rows += 1;
                assert!(line.chars().count() <= usize::from(width), "{line}");
                assert!(["base", "auth", "view"].contains(&&line[at("TYPE")..at("TYPE") + 4]), "{line}");
                for word in ["TYPE", "LIST", "VIEW"] {
                    let (before, cell) = line.split_at(at(word));
                    assert!(before.ends_with("  ") && !cell.starts_with(' '), "{word}: {line}");
                }
            }
            assert!(names > 200 && rows > names, "{names} {rows}");

            // A verdict goes on below itself.
            terminal.line("clear; bosbase-watch topics 'c000/*' 'nothing_is_called_that/*'; echo \"code $?\"");
            terminal.wait_for("code 5");
            let lines = terminal.written();
            let verdict: Vec<&str> = lines.lines().skip_while(|line| !line.starts_with("c000/*")).collect();
            assert!(verdict.iter().all(|line| line.trim_end().chars().count() <= usize::from(width)), "{lines}");
            let whole = verdict.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
            assert!(whole.contains("there is no collection nothing_is_called_that"), "{lines}");

            // So does the status.
            terminal.line("clear; bosbase-watch status; echo \"code $?\"");
            terminal.wait_for("code 0");
            let lines = terminal.written();
            let status: Vec<&str> = lines.lines().skip_while(|line| !line.starts_with("profile ")).collect();
            let cut: Vec<_> = status.iter().filter(|line| !line.trim().is_empty() && line.starts_with(' ')).collect();
            assert!(cut.iter().all(|line| line.starts_with("         ")), "{lines}");
            assert_eq!(cut.is_empty(), width == 80, "{lines}");
        }
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
    // The only collection is not named in each line.
    assert!(!rest[0].contains("posts/"), "{screen}");
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

//! Every way to sign in, asked for in a real terminal, on both servers.

use serde_json::json;

use crate::readme::{EXAMPLE, block};
use crate::support::cli::Cli;
use crate::support::oidc::{ADA, Browser, Provider};
use crate::support::pocketbase::{ANN, PASSWORD, SUPERUSER, SUPERUSER_PASSWORD, Server, VERSIONS, free_port};
use crate::support::smtp::MailServer;
use crate::tmux::Terminal;

/// Wide enough for the page of a provider.
const WIDTH: u16 = 600;

fn terminal(cli: &Cli) -> Terminal {
    Terminal::start(cli, WIDTH, 50)
}

/// Ends a command whose code is shown, and clears the screen.
fn ended(terminal: &Terminal, code: i32) -> String {
    terminal.wait_for(&format!("code {code}"));
    let screen = terminal.screen();
    for secret in [PASSWORD, SUPERUSER_PASSWORD] {
        assert!(!screen.contains(secret), "{screen}");
    }
    terminal.line("clear; tmux clear-history");
    // What is typed before the prompt is there stands before it.
    crate::support::pocketbase::wait_for("a prompt on an empty screen", crate::support::cli::PATIENCE, || {
        terminal.screen().trim() == "$"
    });
    screen
}

fn login(terminal: &Terminal, args: &str) {
    terminal.line(&format!("bosbase-watch login {args}; echo \"code $?\""));
}

#[test]
fn a_newcomer_is_led_through_it() {
    for version in VERSIONS {
        let server = Server::start(version);
        let cli = Cli::without_url();
        let terminal = terminal(&cli);
        // Only a password is offered, so only a password is asked for: without echo, and again where it is mistyped.
        login(&terminal, "");
        terminal.wait_for("Server [http://127.0.0.1:8090]:");
        terminal.line(server.url());
        terminal.wait_for(&format!("Signing in to {} with an account of the collection users (", server.url()));
        terminal.wait_for("E-mail:");
        terminal.line(ANN);
        terminal.wait_for(&format!("Password of {ANN}:"));
        terminal.line("mistyped");
        terminal.wait_for("The name or the password is wrong. Once more:");
        terminal.line(PASSWORD);
        terminal.wait_for(&format!("Signed in to {} as {ANN} (users)", server.url()));
        ended(&terminal, 0);
        // The next time Enter is enough for the name.
        login(&terminal, "");
        terminal.wait_for(&format!("E-mail [{ANN}]:"));
        terminal.line(" ");
        terminal.wait_for(&format!("Password of {ANN}:"));
        terminal.press("C-c");
        ended(&terminal, 130);
        // Given up, and with a flag that is meant for scripts: it does not show either.
        login(&terminal, &format!("--identity {ANN}"));
        terminal.wait_for(&format!("Password of {ANN}:"));
        terminal.press("C-d");
        assert!(ended(&terminal, 2).contains("error: the password was not given"));
        login(&terminal, &format!("--identity {ANN} --password-stdin"));
        terminal.wait_for("Password:");
        terminal.line(PASSWORD);
        ended(&terminal, 0);
        login(&terminal, "--superuser");
        terminal.wait_for("E-mail:");
        terminal.line(SUPERUSER);
        terminal.wait_for(&format!("Password of {SUPERUSER}:"));
        terminal.line(SUPERUSER_PASSWORD);
        ended(&terminal, 0);
    }
}

/// The README's first commands, as they are printed.
#[test]
fn quick_start() {
    for version in VERSIONS {
        let server = Server::start(version);
        let terminal = terminal(&Cli::without_url());
        let typed = |line: &str| {
            let command = line.split(" #").next().unwrap_or(line).trim_end().replace(EXAMPLE, server.url());
            format!("{command}; echo \"code $?\"")
        };
        let lines: Vec<String> = block("quick-start").lines().map(typed).collect();
        let [login, status, topics, subscribe] = lines.as_slice() else { panic!("four commands: {lines:?}") };
        terminal.line(login);
        terminal.wait_for("E-mail:");
        terminal.line(ANN);
        terminal.wait_for(&format!("Password of {ANN}:"));
        terminal.line(PASSWORD);
        terminal.wait_for(&format!("Signed in to {} as {ANN} (users)", server.url()));
        ended(&terminal, 0);
        for (line, said) in [(status, ANN), (topics, "jobs/finished")] {
            terminal.line(line);
            assert!(ended(&terminal, 0).contains(said));
        }
        terminal.line(subscribe);
        terminal.wait_for("● connected");
        server.create("posts", &json!({"title": "a first one"}));
        terminal.wait_for_text("a first one");
        terminal.press("C-c");
        ended(&terminal, 130);
    }
}

#[test]
fn what_the_collection_offers_is_offered() {
    for version in VERSIONS {
        let (server, mail) = (Server::start(version), MailServer::start());
        mail.configure(&server);
        Provider::shared().configure(&server, "users");
        server.patch_collection("users", &json!({"otp": {"enabled": true, "duration": 180, "length": 8}}));
        let cli = Cli::new(server.url());
        let terminal = terminal(&cli);

        login(&terminal, "");
        terminal.wait_for("  1  with a password");
        terminal.wait_for("  3  with Local OIDC, in a browser");
        terminal.wait_for("Number [1]:");
        terminal.line("4");
        terminal.wait_for_text("A number from 1 to 3, please.");
        terminal.line("2");
        terminal.wait_for("E-mail:");
        terminal.line(ANN);
        terminal.wait_for("Code from the e-mail:");
        terminal.line("00000000");
        terminal.wait_for("That is not right, or too old. Once more:");
        terminal.line(&mail.wait_for(ANN, 0).code());
        ended(&terminal, 0);

        // In a browser here, and in one whose address is pasted.
        login(&terminal, "--oauth2 oidc");
        let page = terminal.wait_for("    http").trim().to_owned();
        Browser::new().sign_in_to_the_end(&page, &[("sub", "ada")]);
        assert!(ended(&terminal, 0).contains(&format!("as {ADA} (users)")));
        login(&terminal, &format!("--oauth2 oidc --redirect-port {}", free_port()));
        let page = terminal.wait_for("    http").trim().to_owned();
        let back = Browser::new().sign_in(&page, &[("sub", "ada")]);
        terminal.line("http://127.0.0.1/nothing");
        terminal.wait_for("hint: paste the whole address");
        terminal.line(&back);
        assert!(ended(&terminal, 0).contains(&format!("as {ADA} (users)")));

        // A second factor, asked for in turn.
        server.patch_collection("users", &json!({"mfa": {"enabled": true, "duration": 600, "rule": ""}}));
        login(&terminal, &format!("--identity {ANN}"));
        terminal.wait_for(&format!("Password of {ANN}:"));
        terminal.line(PASSWORD);
        terminal.wait_for("What is the second:");
        terminal.wait_for("  1  with a one-time code by e-mail");
        terminal.line("1");
        terminal.wait_for("Code from the e-mail:");
        terminal.line(&mail.wait_for(ANN, 1).code());
        assert!(ended(&terminal, 0).contains(&format!("as {ANN} (users)")));
    }
}

//! Signing in at a real OpenID provider, with real redirects through the server.

use std::os::unix::fs::PermissionsExt as _;

use bosbase_watch::ErrorKind;
use serde_json::json;

use crate::kit::{client, guest, parse, run};
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::oidc::{ADA, Browser, Provider, get_from, param};
use crate::support::pocketbase::{ANN, Server, free_port, wait_for};
use crate::support::smtp::MailServer;

both_versions!(
    from_start_to_end,
    a_browser_is_opened,
    the_provider_refuses,
    a_server_that_restarts_meanwhile,
    through_a_port_of_this_machine,
    a_browser_on_another_machine,
    in_the_library,
    and_a_second_factor,
);

fn with_provider(version: &str) -> Server {
    let server = Server::start(version);
    Provider::shared().configure(&server, "users");
    server
}

/// The page to open, after so many others.
#[track_caller]
fn page(running: &Running, before: usize) -> String {
    running.wait_for_stderr_lines(before + 1, |line| line.starts_with("    http")).pop().unwrap().trim().to_owned()
}

fn who(cli: &Cli) -> String {
    let status = parse(&cli.run(["status", "--json"]).expect(0).stdout);
    format!("{} {}", status["auth"]["collection"].as_str().unwrap(), status["auth"]["name"].as_str().unwrap())
}

fn from_start_to_end(version: &str) {
    let server = with_provider(version);
    let cli = guest(&server);
    for _ in 0..2 {
        let running = cli.start(["login", "--oauth2", "oidc"]);
        let page = page(&running, 0);
        // One connection, with nothing but the answer's topic, as a guest.
        let clients = server.clients();
        assert_eq!((clients.len(), clients[0].auth.as_ref()), (1, None));
        assert_eq!(
            (&clients[0].id, &clients[0].subscriptions[..]),
            (&param(&page, "state"), &["@oauth2".to_owned()][..])
        );
        let end = Browser::new().sign_in_to_the_end(&page, &[("sub", "ada")]);
        assert!(end.ends_with("/oauth2-redirect-success"), "{end}");
        let output = running.finish().expect(0);
        let said = format!("Signed in to {} as {ADA} (users), until ", server.url());
        assert!(output.stderr.lines().last().unwrap().starts_with(&said), "{}", output.stderr);
        server.wait_for_clients(0);
        assert_eq!(who(&cli), format!("users {ADA}"));
    }
    assert_eq!(server.list("users", &[]).len(), 3, "Ada is one account");
    // What was kept is a login like any other.
    cli.watch(["messages/*"]).stop().expect(130);
}

/// By the command that `BROWSER` names; and not where it is not wanted.
fn a_browser_is_opened(version: &str) {
    let server = with_provider(version);
    let folder = tempfile::tempdir().unwrap();
    let (script, opened) = (folder.path().join("browser"), folder.path().join("opened"));
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho \"$#:$1:$BOSBASE_TOKEN\" > '{0}.new' && mv '{0}.new' '{0}'\n", opened.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cli = guest(&server).with("BROWSER", script.to_str().unwrap()).with("BOSBASE_TOKEN", &server.ann().token);
    let running = cli.start(["login", "--oauth2", "oidc"]);
    let page_opened = page(&running, 0);
    wait_for("the browser", PATIENCE, || opened.exists());
    // The page alone, and no token.
    assert_eq!(std::fs::read_to_string(&opened).unwrap(), format!("1:{page_opened}:\n"));
    running.stop().expect(130);
    server.wait_for_clients(0);

    std::fs::remove_file(&opened).unwrap();
    let running = cli.start(["login", "--oauth2", "oidc", "--no-browser"]);
    Browser::new().sign_in_to_the_end(&page(&running, 0), &[("sub", "ada")]);
    running.finish().expect(0);
    assert!(!opened.exists());
}

fn the_provider_refuses(version: &str) {
    let server = with_provider(version);
    let cli = guest(&server);
    let running = cli.start(["login", "--oauth2", "oidc"]);
    let state = param(&page(&running, 0), "state");
    let refused = format!("{}/api/oauth2-redirect?state={state}&code=&error=access_denied", server.url());
    let end = Browser::new().get(&refused).unwrap().1.unwrap();
    assert!(end.ends_with("/oauth2-redirect-failure"), "{end}");
    let output = running.finish().expect(4);
    assert!(
        output.stderr.contains("error: the provider refuses the sign-in: access_denied\nhint: "),
        "{}",
        output.stderr
    );
    server.wait_for_clients(0);
    assert!(!cli.config_dir().join("credentials.json").exists());

    // This provider leaves the state out where somebody says no; a port of this machine hears it nevertheless.
    let running = cli.start(["login", "--oauth2", "oidc", "--redirect-port", "0"]);
    let back = Browser::new().sign_in(&page(&running, 0), &[("action", "deny")]);
    Browser::new().get(&back).unwrap();
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the provider refuses the sign-in: access_denied"), "{}", output.stderr);

    // A code that the provider does not know.
    let running = cli.start(["login", "--oauth2", "oidc"]);
    let state = param(&page(&running, 0), "state");
    Browser::new().get(&format!("{}/api/oauth2-redirect?state={state}&code=made-up", server.url())).unwrap();
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("does not accept what oidc answered: "), "{}", output.stderr);
}

fn a_server_that_restarts_meanwhile(version: &str) {
    let mut server = with_provider(version);
    let cli = guest(&server);
    let running = cli.start(["login", "--oauth2", "oidc"]);
    let first = page(&running, 0);
    server.stop();
    server.start_again();
    let second = page(&running, 1);
    assert_ne!(param(&first, "state"), param(&second, "state"));
    // The first page leads nowhere any more, the second does.
    let browser = Browser::new();
    let end = browser.sign_in_to_the_end(&first, &[("sub", "ada")]);
    assert!(end.ends_with("/oauth2-redirect-failure"), "{end}");
    browser.sign_in_to_the_end(&second, &[("sub", "ada")]);
    running.finish().expect(0);
    assert_eq!(who(&cli), format!("users {ADA}"));
}

fn through_a_port_of_this_machine(version: &str) {
    let server = with_provider(version);
    let cli = guest(&server);
    let port = free_port().to_string();
    let running = cli.start(["login", "--oauth2", "oidc", "--redirect-port", &port]);
    let back = Browser::new().sign_in(&page(&running, 0), &[("sub", "ada")]);
    assert!(back.starts_with(&format!("http://127.0.0.1:{port}/oauth2-redirect?")), "{back}");
    assert_eq!(server.clients(), [], "the server has no part in it");
    assert_eq!(Browser::new().get(&back).unwrap().0, 200);
    running.finish().expect(0);
    assert_eq!(who(&cli), format!("users {ADA}"));
    // A port that is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = cli.run(["login", "--oauth2", "oidc", "--redirect-port", &port]).expect(6);
    assert!(
        output.stderr.contains(&format!("error: port {port} of this machine cannot be listened on: ")),
        "{}",
        output.stderr
    );
}

/// Its address is another than the tool's: 0.40.6 drops its answer, 0.30.0 does not look.
fn a_browser_on_another_machine(version: &str) {
    let elsewhere = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let server = with_provider(version);
    let cli = guest(&server);
    let running = cli.start(["login", "--oauth2", "oidc"]);
    running.wait_for_stderr(|line| {
        line.ends_with("For a browser elsewhere: Ctrl-C, and the same with --redirect-port PORT.")
    });
    let back = Browser::new().sign_in(&page(&running, 0), &[("sub", "ada")]);
    let end = get_from(elsewhere, &back);
    if server.is_at_least("0.38.2") {
        assert!(end.ends_with("/oauth2-redirect-failure"), "{end}");
        // Nothing comes of this page any more, from here neither: what the tool has said beforehand is the way out.
        let end = Browser::new().get(&back).unwrap().1.unwrap();
        assert!(end.ends_with("/oauth2-redirect-failure"), "{end}");
        running.stop().expect(130);
    } else {
        assert!(end.ends_with("/oauth2-redirect-success"), "{end}");
        running.finish().expect(0);
    }
    server.wait_for_clients(0);

    // With an address of this machine the server has no part in it: through a tunnel, the browser reaches it.
    let cli = guest(&server);
    let running = cli.start(["login", "--oauth2", "oidc", "--redirect-port", "0"]);
    running.wait_for_stderr(|line| {
        line.ends_with("A browser on another machine reaches it through a tunnel, such as ssh -L.")
    });
    let back = Browser::new().sign_in(&page(&running, 0), &[("sub", "ada")]);
    assert_eq!(Browser::new().get(&back).unwrap().0, 200);
    running.finish().expect(0);
    assert_eq!(who(&cli), format!("users {ADA}"));
}

fn in_the_library(version: &str) {
    let server = with_provider(version);
    run(async {
        let client = client(&server);
        let users = client.collection("users");
        let open = |page: &str| {
            let page = page.to_owned();
            std::thread::spawn(move || Browser::new().sign_in_to_the_end(&page, &[("sub", "ada")]));
        };
        let record = users.auth_with_oauth2("oidc", open).await.unwrap();
        assert_eq!((&record["email"], client.auth().is_valid()), (&json!(ADA), true));
        let error = users.auth_with_oauth2("nobody", |_| ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        // A pasted answer: the whole address, and only that of this sign-in.
        let sign_in = users.oauth2("oidc").scopes(["openid", "email"]).loopback(0).start().await.unwrap();
        assert!(sign_in.url().contains("scope=openid%20email"), "{}", sign_in.url());
        let page = sign_in.url().to_owned();
        let back = tokio::task::spawn_blocking(move || Browser::new().sign_in(&page, &[("sub", "ada")]));
        let back = back.await.unwrap();
        assert!(sign_in.read(&back.replace("state=", "state=x")).is_err());
        let code = sign_in.read(&back).unwrap();
        assert_eq!(sign_in.finish(code).await.unwrap()["email"], ADA);
    });
    server.wait_for_clients(0);
}

fn and_a_second_factor(version: &str) {
    let server = with_provider(version);
    let mail = MailServer::start();
    mail.configure(&server);
    server.patch_collection(
        "users",
        &json!({
            "otp": {"enabled": true, "duration": 180, "length": 8},
            "mfa": {"enabled": true, "duration": 600, "rule": ""},
        }),
    );
    let cli = guest(&server);
    let mut running = cli.start_typing(["login", "--oauth2", "oidc", "--otp", ANN, "--code-stdin"]);
    // Ann has the same address there.
    Browser::new().sign_in_to_the_end(&page(&running, 0), &[("sub", "ann")]);
    running.type_line(&mail.wait_for(ANN, 0).code());
    running.finish().expect(0);
    assert_eq!(who(&cli), format!("users {ANN}"));
}

use std::os::unix::fs::PermissionsExt as _;

use bosbase_watch::ErrorKind;
use serde_json::{Value, json};

use crate::kit::{ann, client, guest, lifecycle, parse, run, wait_for_text};
use crate::support::cli::{Cli, Output};
use crate::support::pocketbase::{ANN, BOB, PASSWORD, SUPERUSER, SUPERUSER_PASSWORD, Server, V0_30_0, V0_40_6, user};

both_versions!(
    a_login_from_start_to_end,
    superusers,
    wrong_logins_keep_nothing,
    a_wrong_password_leaves_the_old_login,
    a_password_that_needs_care,
    the_auth_store_of_the_library,
    tokens_that_are_none,
    an_opaque_token,
    a_revoked_token,
    the_token_of_another_server,
    a_login_goes_to_its_own_server_only,
    the_environment_stands_before_the_profile,
);

fn login(cli: &Cli, args: &[&str], password: &str) -> Output {
    let args: Vec<_> = ["login", "--password-stdin"].iter().chain(args).collect();
    cli.run_with_stdin(args, &format!("{password}\n"))
}

fn status(cli: &Cli, code: i32) -> Value {
    parse(&cli.run(["status", "--json"]).expect(code).stdout)
}

fn a_login_from_start_to_end(version: &str) {
    let server = Server::start(version);
    let cli = Cli::without_url();

    let output = login(&cli, &[server.url(), "--identity", ANN], PASSWORD).expect(0);
    assert_eq!(output.stdout, "");
    let said = format!("Signed in to {} as {ANN} (users), until ", server.url());
    assert!(output.stderr.starts_with(&said), "{}", output.stderr);

    // The URL is the profile's now.
    let shown = cli.run(["status"]).expect(0).stdout;
    assert!(shown.contains(&format!("server   {}, reachable", server.url())), "{shown}");
    assert!(shown.contains(&format!("login    {ANN} (users), valid, until ")), "{shown}");
    assert!(shown.contains("credentials.json, readable by its owner only"), "{shown}");
    let shown = status(&cli, 0);
    let expires = shown["auth"]["expires"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({
            "profile": "default", "url": server.url(), "server": "PocketBase", "reachable": true, "valid": true,
            "token": "profile", "clock_ms": 0, "shadowed": [],
            "auth": {"id": server.ann().id, "collection": "users", "name": ANN, "expires": expires},
        })
    );

    let mode = |path: &str| cli.config_dir().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("credentials.json")), (0o700, 0o600));

    let running = cli.watch(["messages/*"]);
    let auth = lifecycle(&running, "subscribed")["auth"].clone();
    assert_eq!((&auth["id"], &auth["collection"]), (&shown["auth"]["id"], &"users".into()));
    assert!(auth["expires"].as_str().unwrap().starts_with(expires.trim_end_matches('Z')), "{auth} {expires}");
    assert_eq!(server.clients()[0].auth, Some(format!("users/{}", server.ann().id)));
    server.create("messages", &json!({"text": "for people who are signed in"}));
    wait_for_text(&running, "for people who are signed in");
    running.stop().expect(130);

    let output = cli.run(["logout"]).expect(0);
    assert!(output.stderr.contains("The login of the profile default is forgotten."), "{}", output.stderr);
    let output = cli.run(["status"]).expect(4);
    assert!(output.stdout.contains("login    none: a guest"), "{}", output.stdout);
    assert_eq!(
        output.stderr,
        format!("error: there is no valid login\nhint: sign in: bosbase-watch login {}\n", server.url())
    );
    assert_eq!(status(&cli, 4)["auth"], Value::Null);
    assert_eq!(cli.run(["logout"]).expect(0).stderr, "The profile default has no login.\n");
}

fn superusers(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    login(&cli, &["--superuser", "--identity", SUPERUSER], SUPERUSER_PASSWORD).expect(0);
    let shown = status(&cli, 0);
    assert_eq!(shown["auth"]["collection"], "_superusers");
    assert_eq!(shown["auth"]["name"], SUPERUSER);

    let running = cli.watch(["secrets/*"]);
    assert!(server.clients()[0].auth.as_ref().unwrap().starts_with("_superusers/"));
    server.create("secrets", &json!({"text": "for superusers"}));
    wait_for_text(&running, "for superusers");
    running.stop().expect(130);
}

fn wrong_logins_keep_nothing(version: &str) {
    let server = Server::start(version);
    let cases = [
        (&["--identity", ANN][..], "error: wrong name or password for users\n"),
        (&["--identity", "nobody@example.com"], "error: wrong name or password for users\n"),
        (&["--identity", ANN, "--superuser"], "error: wrong name or password for _superusers\n"),
        (&["--identity", ANN, "--collection", "posts"], "has no auth collection posts\n"),
        (&["--identity", ANN, "--collection", "people"], "has no auth collection people\n"),
    ];
    for (args, message) in cases {
        let cli = guest(&server);
        let output = login(&cli, args, "wrong-password-1").expect(4);
        assert!(output.stderr.contains(message), "{args:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 2, "{args:?}: {}", output.stderr);
        assert!(output.stderr.lines().nth(1).unwrap().starts_with("hint: "), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("wrong-password-1"), "{args:?}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(!cli.config_dir().join("credentials.json").exists(), "{args:?}");
    }
    // A collection whose accounts have no passwords.
    server.patch_collection("users", &json!({"passwordAuth": {"enabled": false}}));
    let output = login(&guest(&server), &["--identity", ANN], PASSWORD).expect(4);
    assert!(output.stderr.contains("users does not let this account sign in with a password"), "{}", output.stderr);
}

fn a_wrong_password_leaves_the_old_login(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    cli.login("users", ANN, PASSWORD);
    login(&cli, &["--identity", BOB], "wrong").expect(4);
    assert_eq!(status(&cli, 0)["auth"]["name"], ANN);
    cli.login("users", BOB, PASSWORD);
    assert_eq!(status(&cli, 0)["auth"]["name"], BOB);
}

fn a_password_that_needs_care(version: &str) {
    let server = Server::start(version);
    let password = " \"'\\$é&%+{}\t😀 ";
    server.create(
        "users",
        &json!({"email": "eve@example.com", "password": password, "passwordConfirm": password, "verified": true}),
    );
    guest(&server).login("users", "eve@example.com", password);
}

fn the_auth_store_of_the_library(version: &str) {
    let server = Server::start(version);
    run(async {
        let client = client(&server);
        let auth = client.auth();
        assert!(!auth.is_valid() && auth.record().is_none() && auth.token().is_none());

        let error = client.collection("users").auth_with_password(ANN, "wrong".to_owned()).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::BadRequest, Some(400)));
        assert_eq!(error.server_message(), Some("Failed to authenticate."));
        assert!(!auth.is_valid());

        let record = client.collection("users").auth_with_password(ANN, PASSWORD.to_owned()).await.unwrap();
        assert_eq!(record["email"], ANN);
        assert!(auth.is_valid() && !auth.is_superuser());
        assert_eq!(auth.record(), Some(record));
        assert_eq!(client.clone().auth().record().unwrap()["id"], server.ann().id);
        let claims = auth.claims().unwrap();
        assert!(claims.refreshable && claims.id == server.ann().id);
        assert!(auth.expires().unwrap() > jiff::Timestamp::now());
        client.collection("users").auth_refresh().await.unwrap();
        assert!(auth.is_valid());

        auth.clear();
        assert!(!auth.is_valid() && auth.record().is_none());

        let password = SUPERUSER_PASSWORD.to_owned();
        client.collection("_superusers").auth_with_password(SUPERUSER, password).await.unwrap();
        assert!(auth.is_valid() && auth.is_superuser());
        assert!(!format!("{client:?}").contains(auth.token().unwrap().expose()), "a token in the Debug output");
    });
}

/// A JWT of Ann's with another time of expiry, and so with a wrong signature.
fn forged(server: &Server, expires: u64) -> String {
    use base64::prelude::*;
    let parts: Vec<_> = server.ann().token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["exp"] = expires.into();
    format!("{}.{}.{}", parts[0], BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

/// The server would take each of them for a guest without a word.
#[track_caller]
fn refused_everywhere(server: &Server, token: &str, message: &str) {
    let cli = guest(server).with("BOSBASE_TOKEN", token);
    for args in [&["subscribe", "posts/*"][..], &["subscribe", "posts/*", "--no-check"], &["topics", "posts/*"]] {
        let output = cli.run(args).expect(4);
        assert_eq!(output.stdout, "", "{args:?}");
        assert!(output.stderr.contains(&format!("error: {message}\n")), "{args:?}: {}", output.stderr);
        let hint = format!("and sign in again: bosbase-watch login {}\n", server.url());
        assert!(output.stderr.contains(&hint), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains(token), "{args:?}: the token is shown");
    }
    let output = cli.run(["status"]).expect(4);
    assert!(output.stdout.contains(&format!("not valid: {message}\n")), "{}", output.stdout);
    assert_eq!(status(&cli, 4)["valid"], false);
    assert_eq!(server.clients(), []);
    // Without the login the same works.
    let running = cli.watch(["posts/*", "--guest"]);
    assert_eq!(server.clients()[0].auth, None);
    running.stop().expect(130);
}

fn tokens_that_are_none(version: &str) {
    let server = Server::start(version);
    for (token, message) in [
        (forged(&server, 1_700_000_000), "the login has expired"),
        (forged(&server, 4_900_000_000), "the server no longer accepts the login"),
        ("garbage".to_owned(), "the server does not accept the token"),
        ("a.b.c".to_owned(), "the server does not accept the token"),
    ] {
        refused_everywhere(&server, &token, message);
    }
}

/// A key that a hook takes for Ann's says nothing of itself: the server alone can judge it.
fn an_opaque_token(version: &str) {
    const KEY: &str = "a-key-of-a-hook";
    const HOOK: &str = r#"routerUse((e) => {
        if (e.request.header.get("Authorization") === "a-key-of-a-hook") {
            const ann = $app.findAuthRecordByEmail("users", "ann@example.com");
            if (ann.getString("name") !== "Revoked") e.auth = ann;
        }
        return e.next();
    });"#;
    let server = Server::builder(version).hook("key.pb.js", HOOK).start();
    let cli = guest(&server).with("BOSBASE_TOKEN", KEY);
    let shown = status(&cli, 0);
    assert_eq!((&shown["valid"], &shown["auth"]["name"]), (&json!(true), &json!(ANN)), "{shown}");
    cli.run(["topics", "messages/*"]).expect(0);
    let kept = guest(&server);
    let output = kept.run_with_stdin(["login", "--token-stdin"], KEY).expect(0);
    assert!(output.stderr.contains(&format!("as {ANN} (users)")), "{}", output.stderr);
    assert_eq!(status(&kept, 0)["auth"]["collection"], "users");

    // What a guest would not get.
    server.limit_connections(1_000, 0);
    let running = cli.watch(["messages/*"]);
    assert_eq!(lifecycle(&running, "subscribed")["auth"]["id"], server.ann().id.as_str());
    server.create("messages", &json!({"text": "for those who are signed in"}));
    wait_for_text(&running, "for those who are signed in");
    // And it is noticed where the server takes it no longer.
    server.update("users", &server.ann().id, &json!({"name": "Revoked"}));
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the server does not accept the token\n"), "{}", output.stderr);
    assert!(!output.stderr.contains(KEY), "{}", output.stderr);
    kept.run(["status"]).expect(4);
}

fn a_revoked_token(version: &str) {
    let server = Server::start(version);
    ann(&server).run(["status"]).expect(0);
    // A new password ends all tokens.
    let password = "another-horse-8";
    server.update("users", &server.ann().id, &json!({"password": password, "passwordConfirm": password}));
    refused_everywhere(&server, &server.ann().token, "the server no longer accepts the login");
}

fn the_token_of_another_server(version: &str) {
    let server = Server::start(version);
    let other = Server::start(if version == V0_30_0 { V0_40_6 } else { V0_30_0 });
    user(&other, "eve@example.com", "Eve");
    let eve = other.login("users", "eve@example.com", PASSWORD);
    refused_everywhere(&server, &eve.token, "the server no longer accepts the login");

    // A collection that is not here at all.
    other.create_collection(&json!({"name": "members", "type": "auth"}));
    other.create(
        "members",
        &json!({"email": "eve@example.com", "password": PASSWORD, "passwordConfirm": PASSWORD, "verified": true}),
    );
    let eve = other.login("members", "eve@example.com", PASSWORD);
    let message = "the login belongs to another server, or to a collection that is gone";
    refused_everywhere(&server, &eve.token, message);
}

fn a_login_goes_to_its_own_server_only(version: &str) {
    let (home, away) = (Server::start(version), Server::start(version));
    let cli = Cli::without_url();
    login(&cli, &[home.url(), "--identity", ANN], PASSWORD).expect(0);

    let running = cli.watch(["posts/*", "--url", away.url()]);
    let warning = running.wait_for_stderr(|line| line.starts_with("warning:"));
    assert_eq!(
        warning,
        format!(
            "warning: the profile's login belongs to {} and is not sent to {}: watching as a guest",
            home.url(),
            away.url()
        )
    );
    assert_eq!(away.clients()[0].auth, None);
    running.stop().expect(130);

    let output = cli.run(["status", "--url", away.url()]).expect(4);
    let message = format!("none here: the profile's login belongs to {}", home.url());
    assert!(output.stdout.contains(&message), "{}", output.stdout);
    cli.run(["status"]).expect(0);
}

fn the_environment_stands_before_the_profile(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server).with("BOSBASE_TOKEN", &server.bob().token);
    cli.login("users", ANN, PASSWORD);
    let output = cli.run(["status"]).expect(0);
    assert!(output.stdout.contains(&format!("login    {BOB} (users), valid")), "{}", output.stdout);
    let shadow = "from BOSBASE_TOKEN, which stands before the profile's; not kept";
    assert!(output.stdout.contains(shadow), "{}", output.stdout);
    assert_eq!(status(&cli, 0)["token"], "BOSBASE_TOKEN");

    let file = cli.config_dir().join("token");
    std::fs::write(&file, format!("{}\n", server.bob().token)).unwrap();
    let cli = guest(&server).with("BOSBASE_TOKEN_FILE", file.to_str().unwrap());
    let shown = status(&cli, 0);
    assert_eq!((&shown["token"], &shown["auth"]["name"]), (&"BOSBASE_TOKEN_FILE".into(), &BOB.into()));
}

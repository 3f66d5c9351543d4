//! Every way to sign in that the real server offers.

use std::collections::BTreeSet;

use bosbase_watch::{ErrorKind, Secret};
use serde_json::{Value, json};

use crate::kit::{client, guest, id, parse, run};
use crate::support::cli::{Cli, Running};
use crate::support::pocketbase::{ANN, PASSWORD, SUPERUSER, Server};
use crate::support::smtp::MailServer;

both_versions!(
    what_a_collection_offers,
    a_user_name_and_another_collection,
    a_code_by_mail,
    wrong_and_late_codes,
    two_factors_password_first,
    two_factors_code_first,
    a_second_factor_without_a_terminal,
    two_factors_in_the_library,
    tokens_that_were_issued_elsewhere,
    tokens_that_are_refused,
    bound_tokens_are_not_there,
);

fn who(cli: &Cli) -> String {
    let status = parse(&cli.run(["status", "--json"]).expect(0).stdout);
    format!("{} {}", status["auth"]["collection"].as_str().unwrap(), status["auth"]["name"].as_str().unwrap())
}

/// A server whose users get codes by mail, and the mail server.
fn with_mail(version: &str) -> (Server, MailServer) {
    let (server, mail) = (Server::start(version), MailServer::start());
    mail.configure(&server);
    server.patch_collection("users", &json!({"otp": {"enabled": true, "duration": 180, "length": 8}}));
    (server, mail)
}

fn require_two_factors(server: &Server) {
    server.patch_collection("users", &json!({"mfa": {"enabled": true, "duration": 600, "rule": ""}}));
}

fn type_code(mut running: Running, mail: &MailServer, after: usize) -> Running {
    let code = mail.wait_for(ANN, after).code();
    running.type_line(&code);
    running
}

fn what_a_collection_offers(version: &str) {
    let (server, _mail) = with_mail(version);
    run(async {
        let client = client(&server);
        let methods = client.collection("users").auth_methods().await.unwrap();
        assert!(methods.password.enabled && methods.password.identity_fields == ["email"]);
        assert!(methods.otp.enabled && methods.otp.duration == 180);
        assert!(!methods.mfa.enabled && !methods.oauth2.enabled && methods.oauth2.providers.is_empty());
        let superusers = client.collection("_superusers").auth_methods().await.unwrap();
        assert!(superusers.password.enabled && !superusers.otp.enabled);
        for name in ["posts", "nothing"] {
            let error = client.collection(name).auth_methods().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{name}");
        }
    });
}

fn a_user_name_and_another_collection(version: &str) {
    let server = Server::start(version);
    server.create_collection(&json!({
        "name": "members", "type": "auth",
        "fields": [{"name": "handle", "type": "text", "required": true}],
        "indexes": ["CREATE UNIQUE INDEX idx_handle ON members (handle)"],
        "passwordAuth": {"enabled": true, "identityFields": ["email", "handle"]},
        "authAlert": {"enabled": false},
    }));
    server.create(
        "members",
        &json!({"email": "mo@example.com", "handle": "mo", "password": PASSWORD, "passwordConfirm": PASSWORD}),
    );
    let cli = guest(&server);
    cli.login("members", "mo", PASSWORD);
    assert_eq!(who(&cli), "members mo@example.com");
    // By the one field that is meant, or none at all.
    let by = |field: &str, identity: &str| {
        let args = ["login", "--collection", "members", "--identity", identity, "--identity-field", field];
        guest(&server).run_with_stdin([&args[..], &["--password-stdin"]].concat(), &format!("{PASSWORD}\n"))
    };
    by("handle", "mo").expect(0);
    by("email", "mo@example.com").expect(0);
    assert!(by("email", "mo").expect(4).stderr.starts_with("error: wrong name or password for members\n"));
    assert_eq!(
        by("nick", "mo").expect(4).stderr,
        "error: accounts of members are not named by a field nick\n\
         hint: leave --identity-field out: the server finds the field by itself\n"
    );
    // The next login is to the same collection, where nothing else is said.
    assert_eq!(who(&cli), "members mo@example.com");
    cli.login("users", ANN, PASSWORD);
    assert_eq!(who(&cli), format!("users {ANN}"));
}

fn a_code_by_mail(version: &str) {
    let (server, mail) = with_mail(version);
    let cli = guest(&server);
    let running = cli.start_typing(["login", "--otp", ANN, "--code-stdin"]);
    let output = type_code(running, &mail, 0).finish().expect(0);
    assert_eq!(output.stdout, "");
    let lines: Vec<_> = output.stderr.lines().collect();
    assert_eq!(lines[0], format!("If {ANN} has an account, a code is on its way there."));
    assert!(lines[1].starts_with(&format!("Signed in to {} as {ANN} (users), until ", server.url())), "{lines:?}");
    assert_eq!(who(&cli), format!("users {ANN}"));

    // Where nobody can type a code, none is sent.
    let output = guest(&server).run(["login", "--otp", ANN]).expect(2);
    assert!(output.stderr.contains("hint: give --code-stdin"), "{}", output.stderr);
    assert_eq!(mail.count(), 1);
    // Nor is one waited for that cannot come.
    let output = guest(&server).run(["login", "--otp", ANN, "--code-stdin"]).expect(2);
    assert!(output.stderr.contains("error: stdin holds no code\n"), "{}", output.stderr);
}

fn wrong_and_late_codes(version: &str) {
    let (server, mail) = with_mail(version);
    let cli = guest(&server);
    let login = ["login", "--otp", ANN, "--code-stdin"];
    let output = cli.run_with_stdin(login, "00000000\n").expect(4);
    assert!(output.stderr.contains("error: the code is wrong, or too old, or was used before\n"), "{}", output.stderr);
    // An address that the server does not know looks the same until the end.
    let output = cli.run_with_stdin(["login", "--otp", "nobody@example.com", "--code-stdin"], "00000000\n").expect(4);
    assert!(output.stderr.contains("error: the code is wrong"), "{}", output.stderr);
    assert!(!cli.config_dir().join("credentials.json").exists());
    // A code serves once, and the one of another sign-in does not serve.
    let code = mail.wait_for(ANN, 0).code();
    cli.run_with_stdin(login, &format!("{code}\n")).expect(4);
    // Not every collection sends them.
    let output = cli.run_with_stdin(["login", "--superuser", "--otp", SUPERUSER, "--code-stdin"], "1\n").expect(4);
    let message = "error: _superusers does not let this account sign in with a one-time code: ";
    assert!(output.stderr.contains(message), "{}", output.stderr);
}

fn two_factors_password_first(version: &str) {
    let (server, mail) = with_mail(version);
    require_two_factors(&server);
    let cli = guest(&server);
    // The identity is an address, so that the code's need not be given.
    let mut running = cli.start_typing(["login", "--identity", ANN, "--password-stdin", "--code-stdin"]);
    running.type_line(PASSWORD);
    type_code(running, &mail, 0).finish().expect(0);
    assert_eq!(who(&cli), format!("users {ANN}"));
    // A wrong password is found before a mail is sent.
    let login = ["login", "--identity", ANN, "--password-stdin", "--code-stdin"];
    let output = cli.run_with_stdin(login, "not-the-password\n12345678\n").expect(4);
    assert!(output.stderr.contains("error: wrong name or password for users\n"), "{}", output.stderr);
    assert_eq!(mail.count(), 1);
}

fn two_factors_code_first(version: &str) {
    let (server, mail) = with_mail(version);
    require_two_factors(&server);
    run(async {
        let users = client(&server);
        let users = users.collection("users");
        let otp = users.request_otp(ANN).await.unwrap();
        let error = users.auth_with_otp(&otp, mail.wait_for(ANN, 0).code()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MfaRequired);
        let second = users.second_factor(error.mfa_id().unwrap());
        assert_eq!(second.auth_with_password(ANN, PASSWORD).await.unwrap()["email"], ANN);
    });
}

fn a_second_factor_without_a_terminal(version: &str) {
    let (server, mail) = with_mail(version);
    require_two_factors(&server);
    let cli = guest(&server);
    let login = ["login", "--identity", ANN, "--password-stdin"];
    let output = cli.run_with_stdin(login, &format!("{PASSWORD}\n")).expect(2);
    assert_eq!(
        output.stderr,
        "error: the account asks for a second factor, and there is no terminal to ask on\n\
         hint: add --otp EMAIL --code-stdin; stdin has one line for each, in this order\n"
    );
    assert_eq!(mail.count(), 0);
    assert!(!cli.config_dir().join("credentials.json").exists());
}

fn two_factors_in_the_library(version: &str) {
    let (server, mail) = with_mail(version);
    require_two_factors(&server);
    run(async {
        let client = client(&server);
        let users = client.collection("users");
        let error = users.auth_with_password(ANN, PASSWORD).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::MfaRequired, Some(401)));
        assert!(!client.auth().is_valid());
        let second = users.second_factor(error.mfa_id().unwrap());
        // The same again is no second factor.
        let refused = second.auth_with_password(ANN, PASSWORD).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BadRequest);
        let otp = users.request_otp(ANN).await.unwrap();
        let record = second.auth_with_otp(&otp, mail.wait_for(ANN, 0).code()).await.unwrap();
        assert_eq!(record["email"], ANN);
        assert!(client.auth().is_valid());
        // Neither shows in what a program prints of itself.
        let shown = format!("{second:?} {otp:?} {client:?}");
        assert!(!shown.contains(error.mfa_id().unwrap()) && !shown.contains(client.auth().token().unwrap().expose()));
    });
}

fn tokens_that_were_issued_elsewhere(version: &str) {
    let server = Server::start(version);
    let impersonation = |seconds: u64| {
        let path = format!("/api/collections/users/impersonate/{}", server.ann().id);
        let body = json!({"duration": seconds});
        let answer = server.ok("POST", &path, Some(server.superuser_token()), Some(&body));
        answer["token"].as_str().unwrap().to_owned()
    };
    let (ann, short) = (server.ann().token.clone(), impersonation(3600));
    for (token, refreshable) in [(&ann, true), (&short, false)] {
        let cli = guest(&server);
        let output = cli.run_with_stdin(["login", "--token-stdin"], &format!("{token}\n")).expect(0);
        let said = format!("Signed in to {} as {ANN} (users), until ", server.url());
        assert!(output.stderr.starts_with(&said), "{}", output.stderr);
        assert_eq!(who(&cli), format!("users {ANN}"));
        let kept: Value =
            serde_json::from_str(&std::fs::read_to_string(cli.config_dir().join("credentials.json")).unwrap()).unwrap();
        let kept = Secret::new(kept["profiles"]["default"]["token"].as_str().unwrap());
        let claims = bosbase_watch::Claims::read(&kept).unwrap();
        assert_eq!(claims.refreshable, refreshable);
        // Whoever has it can watch with it.
        let running = cli.watch(["messages/*"]);
        assert_eq!(server.clients()[0].auth, Some(format!("users/{}", server.ann().id)));
        running.stop().expect(130);
        server.wait_for_clients(0);
    }
    // From the environment and from a file it does as well, and nothing is kept.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &short).unwrap();
    for cli in [
        guest(&server).with("BOSBASE_TOKEN", &short),
        guest(&server).with("BOSBASE_TOKEN_FILE", file.path().to_str().unwrap()),
    ] {
        assert_eq!(who(&cli), format!("users {ANN}"));
        assert!(!cli.config_dir().exists());
    }
    // A superuser's goes into the right collection by itself.
    let cli = guest(&server);
    cli.run_with_stdin(["login", "--token-stdin"], server.superuser_token()).expect(0);
    assert_eq!(who(&cli), format!("_superusers {SUPERUSER}"));
}

fn tokens_that_are_refused(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    cli.login("users", ANN, PASSWORD);
    let (head, _) = server.ann().token.rsplit_once('.').unwrap();
    for (token, message) in [
        (format!("{head}.c2lnbmF0dXJlc2lnbmF0dXJl"), "the server no longer accepts the login"),
        ("garbage-and-no-token".to_owned(), "the server does not accept the token"),
    ] {
        let output = cli.run_with_stdin(["login", "--token-stdin"], &token).expect(4);
        assert!(output.stderr.contains(&format!("error: {message}\nhint: ")), "{}", output.stderr);
        assert_eq!(who(&cli), format!("users {ANN}"), "the old login stays");
    }
    let output = cli.run(["login", "--token-stdin"]).expect(2);
    assert!(output.stderr.contains("error: stdin holds no token\n"), "{}", output.stderr);
    run(async {
        let client = client(&server);
        assert!(client.sign_in_with_token("").await.is_err() && !client.auth().is_valid());
        client.auth().save(Secret::new(server.ann().token.clone()), None);
        assert!(client.sign_in_with_token("garbage").await.is_err());
        assert_eq!(client.auth().token().unwrap().expose(), server.ann().token);
    });
}

fn bound_tokens_are_not_there(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    let output = cli.run_with_stdin(["login", "--custom-token-stdin"], "a-device-token\n").expect(4);
    let message = format!("error: {} has no bound tokens: only BosBase does\nhint: ", server.url());
    assert!(output.stderr.contains(&message), "{}", output.stderr);
    let unknown = ["login", "--custom-token-stdin", "--collection", "nothing"];
    cli.run_with_stdin(unknown, "a-device-token\n").expect(4);
    let ids: BTreeSet<_> = server.list("users", &[]).iter().map(id).collect();
    assert_eq!(ids.len(), 2, "nobody was added");
}

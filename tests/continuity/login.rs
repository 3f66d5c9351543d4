//! Logins that end, or would end, while it watches.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::json;

use crate::kit::{PATIENCE, guest, lines, of_type, wait_for, wait_for_record};
use crate::support::cli::Cli;
use crate::support::fake::{Fake, Plain, Request, healthy_feed, ok};
use crate::support::pocketbase::{PASSWORD, Server, V0_40_6};

const REFRESH: &str = "POST /api/collections/_pb_users_auth_/auth-refresh";

/// A token as servers issue them, which ends in so many seconds.
fn token(seconds: i64, refreshable: bool) -> String {
    let expires = Timestamp::now().as_second() + seconds;
    let claims = json!({
        "collectionId": "_pb_users_auth_", "exp": expires, "id": "ann000000000000", "refreshable": refreshable,
        "type": "auth",
    });
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn signed_in(token: &str) -> Plain {
    let record = json!({"id": "ann000000000000", "collectionName": "users", "email": "ann@example.com"});
    ok(json!({"token": token, "record": record}))
}

/// Someone who has signed in at the fake, which has answered with this token.
fn ann(fake: &Fake) -> Cli {
    let cli = guest(&fake.url());
    cli.login("users", "ann@example.com", "correct-horse-7");
    cli
}

fn tokens(requests: &[Request]) -> Vec<Option<&str>> {
    requests.iter().map(|request| request.header("Authorization")).collect()
}

#[test]
fn a_token_is_renewed_in_time_and_kept() {
    // What is kept ends soon, and what comes in its place does too.
    let [first, second, third] = [token(30, true), token(6, true), token(100_000, true)];
    let fake = healthy_feed()
        .always("POST /api/collections/users/auth-with-password", signed_in(&first))
        .then(REFRESH, signed_in(&second))
        .then(REFRESH, signed_in(&third))
        .always(REFRESH, signed_in(&third))
        .start();
    let cli = ann(&fake);
    let running = cli.watch(["messages/*", "--no-check"]);
    let renewed = wait_for("refreshed", 1, &running).remove(0);
    let left =
        renewed["expires"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second() - Timestamp::now().as_second();
    assert!((90_000..=100_000).contains(&left), "{renewed}");

    // The new connection has the new token, and the old one was there until then.
    let posts = fake.wait_for_requests(2, "POST /api/realtime", PATIENCE);
    assert_eq!(tokens(&posts), [Some(second.as_str()), Some(&third)]);
    let kept = std::fs::read_to_string(cli.config_dir().join("credentials.json")).unwrap();
    assert!(kept.contains(&third) && !kept.contains(&first) && !kept.contains(&second), "{kept}");
    thread::sleep(Duration::from_millis(1_500));
    fake.emit(
        "messages/*",
        json!({"action": "create", "record": {"id": "after", "updated": "2026-01-01 00:00:00.000Z"}}),
    );
    wait_for_record(&running, "create", "id", "after");
    let output = running.stop().expect(130);
    assert_eq!(of_type(&lines(&output.stdout), "disconnected").len(), 0, "{}", output.stdout);
    fake.finish();
}

/// BosBase's tokens live a hundred years, and their renewal brings the same one.
#[test]
fn a_token_that_cannot_be_renewed_is_no_error() {
    let token = token(100 * 365 * 24 * 3600, false);
    let fake = healthy_feed()
        .always("POST /api/collections/users/auth-with-password", signed_in(&token))
        .always(REFRESH, signed_in(&token))
        .start();
    let running = ann(&fake).watch(["messages/*", "--no-check"]);
    fake.end_streams();
    wait_for("live", 2, &running);
    let output = running.stop().expect(130);
    assert_eq!(of_type(&lines(&output.stdout), "refreshed").len(), 0, "{}", output.stdout);
    assert!(!output.stderr.contains("error") && !output.stderr.contains("warning"), "{}", output.stderr);
    let streams = fake.requests_to("GET /api/realtime");
    assert_eq!(tokens(&streams), [Some(token.as_str()), Some(&token)]);
    fake.finish();
}

#[test]
fn an_expired_token_is_never_sent() {
    let fake = healthy_feed().start();
    let output = guest(&fake.url()).with("BOSBASE_TOKEN", &token(-5, true)).run(["subscribe", "messages/*"]).expect(4);
    assert!(output.stderr.starts_with("error: the login has expired\nhint: "), "{}", output.stderr);
    assert!(tokens(&fake.requests()).iter().all(Option::is_none), "{:?}", fake.requests());
    fake.finish();

    // Also where it ends while it watches.
    let token = token(4, false);
    let fake = healthy_feed()
        .always("POST /api/collections/users/auth-with-password", signed_in(&token))
        .always(REFRESH, signed_in(&token))
        .start();
    let running = ann(&fake).watch(["messages/*", "--no-check"]);
    thread::sleep(Duration::from_millis(4_500));
    let before = fake.requests().len();
    fake.end_streams();
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the login has expired\n"), "{}", output.stderr);
    let hint = output.stderr.lines().last().unwrap();
    assert!(hint.starts_with("hint: ") && hint.contains("bosbase-watch login"), "{hint}");
    let requests = fake.requests();
    assert!(tokens(&requests[before..]).iter().all(Option::is_none), "{requests:?}");
    let end = of_type(&lines(&output.stdout), "end").remove(0);
    assert_eq!((&end["reason"], &end["exit"]), (&json!("auth"), &json!(4)));
    fake.finish();
}

/// The server makes the stream a guest's without a word.
#[test]
fn a_new_password_is_noticed_within_one_handover() {
    let server = Server::start(V0_40_6);
    server.limit_connections(0, 2_000);
    let running = guest(server.url()).with("BOSBASE_TOKEN", &server.ann().token).watch(["messages/*", "posts/*"]);
    wait_for("live", 3, &running);
    let lost = of_type(&lines(&running.stdout()), "disconnected").len();
    // What is noticed at the close of a connection is noticed anyway.
    server.limit_connections(0, 0);
    let password = format!("{PASSWORD}-2");
    server.update("users", &server.ann().id, &json!({"password": password, "passwordConfirm": password}));
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the server no longer accepts the login\n"), "{}", output.stderr);
    let hint = output.stderr.lines().last().unwrap();
    assert!(hint.starts_with("hint: "), "{hint}");
    let end = of_type(&lines(&output.stdout), "end").remove(0);
    assert_eq!((&end["reason"], &end["exit"]), (&json!("auth"), &json!(4)));
    assert!(of_type(&lines(&output.stdout), "disconnected").len() <= lost + 1, "{}", output.stdout);
}

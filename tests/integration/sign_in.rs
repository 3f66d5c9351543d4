//! Ways to sign in, by script.

use std::time::Duration;

use bosbase_watch::{ErrorKind, Topic};
use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::fake::*;
use crate::support::pty::Pty;

const METHODS: &str = "GET /api/collections/users/auth-methods";
const BOUND: &str = "POST /api/collections/users/auth-with-token";
const OAUTH2: &str = "POST /api/collections/users/auth-with-oauth2";
const PAGE: &str = "https://idp.example.com/authorize?client_id=c1&state=s&redirect_uri=";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-so";

/// What `users` offers, with a provider whose page is this.
fn methods(page: &str) -> Value {
    let provider = json!({
        "name": "idp", "displayName": "Example IdP", "state": "s", "authURL": page, "authUrl": page,
        "codeVerifier": VERIFIER, "codeChallenge": "x", "codeChallengeMethod": "S256",
    });
    json!({
        "password": {"enabled": true, "identityFields": ["email"]}, "mfa": {"enabled": false, "duration": 0},
        "otp": {"enabled": false, "duration": 0}, "oauth2": {"enabled": true, "providers": [provider]},
    })
}

/// A server with a provider, which exchanges the code `good`.
fn with_provider(page: &str) -> Script {
    let token = token_for(1_000_000);
    let exchange = answer(move |request: &Request| {
        let body = request.json();
        let is_good = body["code"] == "good-code-0815" && body["codeVerifier"] == VERIFIER && body["provider"] == "idp";
        if is_good { ok(json!({"token": token, "record": ann()})) } else { error(400, "Failed to fetch OAuth2 token.") }
    });
    healthy_posts().always(METHODS, ok(methods(page))).always(OAUTH2, exchange)
}

/// The page that is to be opened, the number of those before it given.
#[track_caller]
fn page(running: &Running, before: usize) -> String {
    running.wait_for_stderr_lines(before + 1, |line| line.starts_with("    http")).pop().unwrap().trim().to_owned()
}

fn param(page: &str, name: &str) -> String {
    let url = url::Url::parse(page).unwrap();
    url.query_pairs().find(|(key, _)| key == name).unwrap_or_else(|| panic!("{page} has no {name}")).1.into_owned()
}

fn provider_answers(fake: &Fake, data: &Value) {
    fake.wait_for_subscription("@oauth2", PATIENCE);
    fake.emit("@oauth2", data.clone());
}

// ---------------------------------------------------------------------------------------------
// Bound tokens

#[test]
fn a_bound_token_signs_in() {
    let token = token_for(1_000_000);
    let issued = token.clone();
    let bound = answer(move |request: &Request| match request.json() {
        body if body == json!({"token": "the token of a device"}) => ok(json!({"token": issued, "record": ann()})),
        _ => error(400, "Failed to authenticate."),
    });
    let fake = with_ann(healthy_posts(), &token).always(BOUND, bound).start();
    let cli = Cli::new(&fake.url());
    let login = ["login", "--custom-token-stdin"];
    let output = cli.run_with_stdin(login, "the token of a device\n").expect(0);
    assert!(output.stderr.starts_with(&format!("Signed in to {} as {ANN} (users), until ", fake.url())));
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!(fake.requests_to(FEED)[0].header("authorization"), Some(token.as_str()));
    assert_eq!(fake.requests_to(BOUND)[0].header("authorization"), None);
    let output = cli.run_with_stdin(login, "an unknown token\n").expect(4);
    assert!(output.stderr.contains("error: the token is bound to no account of users\nhint: "), "{}", output.stderr);
}

/// `BosBase` may ask for a second factor here, too.
#[test]
fn a_bound_token_and_a_password() {
    let token = token_for(1_000_000);
    let password = answer(move |request: &Request| match request.json()["mfaId"].as_str() {
        Some("abcdefghijklmno") => ok(json!({"token": token, "record": ann()})),
        _ => error(400, "Failed to authenticate."),
    });
    let fake = healthy_posts()
        .always(METHODS, ok(methods(PAGE)))
        .always(BOUND, status(401).json(json!({"mfaId": "abcdefghijklmno"})))
        .always("POST /api/collections/users/auth-with-password", password)
        .start();
    let cli = Cli::new(&fake.url());
    let login = ["login", "--custom-token-stdin", "--identity", ANN, "--password-stdin"];
    cli.run_with_stdin(login, &format!("the token of a device\n{PASSWORD}\n")).expect(0);
}

// ---------------------------------------------------------------------------------------------
// OAuth2

#[test]
fn an_answer_over_the_topic_signs_in() {
    let fake = with_provider(PAGE).start();
    let cli = Cli::new(&fake.url());
    let running = cli.start(["login", "--oauth2", "idp"]);
    let page = page(&running, 0);
    let ids = fake.client_ids();
    assert_eq!(param(&page, "state"), ids[0]);
    assert_eq!(param(&page, "redirect_uri"), format!("{}/api/oauth2-redirect", fake.url()));
    provider_answers(&fake, &json!({"state": ids[0], "code": "good-code-0815"}));
    let output = running.finish().expect(0);
    let text = output.stderr.replace(&page, "PAGE").replace(&fake.url(), "URL");
    let text = text.split(", until").next().unwrap();
    insta::assert_snapshot!(text, @"
    Open this page in a browser to sign in with Example IdP, within 5 minutes:

        PAGE

    The browser has to be on this machine: newer servers drop the answer of one with another address. For a browser elsewhere: Ctrl-C, and the same with --redirect-port PORT.
    Signed in to URL as ann@example.com (users)
    ");
    let exchange = &fake.requests_to(OAUTH2)[0];
    assert_eq!(exchange.header("authorization"), None, "a login would be linked");
    assert_eq!(exchange.json()["redirectURL"], format!("{}/api/oauth2-redirect", fake.url()));
    assert_eq!(fake.requests_to(SUBMIT).len(), 1);
    fake.wait_until_closed(FEED, PATIENCE);
}

#[test]
fn an_answer_to_another_sign_in_is_refused() {
    let fake = with_provider(PAGE).start();
    let running = Cli::new(&fake.url()).start(["login", "--oauth2", "idp"]);
    page(&running, 0);
    provider_answers(&fake, &json!({"state": "of-somebody-else", "code": "good-code-0815"}));
    let output = running.finish().expect(4);
    assert!(output.stderr.contains("error: the answer belongs to another sign-in"), "{}", output.stderr);
    assert!(fake.requests_to(OAUTH2).is_empty());
}

#[test]
fn what_the_provider_says_is_told() {
    let cases = [
        (json!({"code": "", "error": "access_denied"}), "error: the provider refuses the sign-in: access_denied\n"),
        (json!({"code": ""}), "error: the provider's answer holds no code\n"),
        (json!({"code": "used-code"}), "does not accept what idp answered: Failed to fetch OAuth2 token\n"),
    ];
    for (mut answer, message) in cases {
        let fake = with_provider(PAGE).start();
        let cli = Cli::new(&fake.url());
        let running = cli.start(["login", "--oauth2", "idp"]);
        answer["state"] = param(&page(&running, 0), "state").into();
        provider_answers(&fake, &answer);
        let output = running.finish().expect(4);
        assert!(output.stderr.contains(message), "{}", output.stderr);
        assert!(output.stderr.lines().last().unwrap().starts_with("hint: "), "{}", output.stderr);
        assert!(!cli.config_dir().join("credentials.json").exists());
    }
}

#[test]
fn a_broken_connection_gets_another_page() {
    let fake = with_provider(PAGE).start();
    let running = Cli::new(&fake.url()).start(["login", "--oauth2", "idp"]);
    let first = page(&running, 0);
    fake.wait_for_subscription("@oauth2", PATIENCE);
    fake.end_streams();
    let second = page(&running, 1);
    assert_ne!(param(&first, "state"), param(&second, "state"));
    provider_answers(&fake, &json!({"state": param(&second, "state"), "code": "good-code-0815"}));
    let output = running.finish().expect(0);
    let said = "The connection to the server broke, and the page above with it. Open this one instead:";
    assert!(output.stderr.contains(said), "{}", output.stderr);
}

#[test]
fn a_browser_is_sent_to_the_web_only() {
    for page in ["file:///etc/passwd?x=", "javascript:alert(1)//?", "ssh://-oProxyCommand=x/?"] {
        let fake = with_provider(page).start();
        let output = Cli::new(&fake.url()).with("BROWSER", "/bin/false").run(["login", "--oauth2", "idp"]).expect(6);
        assert!(output.stderr.contains("error: the provider's page cannot be opened: "), "{}", output.stderr);
    }
}

#[test]
fn providers_that_are_not_there() {
    let fake = with_provider(PAGE).start();
    let output = Cli::new(&fake.url()).run(["login", "--oauth2", "google"]).expect(4);
    assert!(output.stderr.contains("error: users has no provider google: there is idp\n"), "{}", output.stderr);
    let mut none = methods(PAGE);
    none["oauth2"] = json!({"enabled": false, "providers": []});
    let fake = healthy_posts().always(METHODS, ok(none)).start();
    let output = Cli::new(&fake.url()).run(["login", "--oauth2", "google"]).expect(4);
    assert!(output.stderr.contains("error: users offers no sign-in by OAuth2\n"), "{}", output.stderr);
}

/// One node of several does not know the connection of another.
#[tokio::test]
async fn a_connection_that_the_next_node_does_not_know_is_tried_again() {
    let fake = with_provider(PAGE).then(SUBMIT, error(404, "Missing or invalid client id.")).start();
    let client = client(&fake);
    let sign_in = soon(client.collection("users").oauth2("idp").start()).await.unwrap();
    assert_eq!(param(sign_in.url(), "state"), fake.client_ids()[0]);
}

/// The page is made for this connection: it stays while the watch beside it goes from one to the next.
#[tokio::test]
async fn what_waits_for_the_answer_is_never_handed_over() {
    let fake = with_provider(PAGE).start();
    let client = client(&fake);
    let mut sign_in = soon(client.collection("users").oauth2("idp").start()).await.unwrap();
    let (url, waits) = (sign_in.url().to_owned(), fake.client_ids()[0].clone());
    assert_eq!(param(&url, "state"), waits);

    let realtime = plain(&fake).hand_over_changes(true).build();
    let mut feed = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    for number in 1..=5 {
        // Each change of the topics is a handover.
        soon(feed.topics().add(Topic::custom(format!("jobs/{number}")))).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(1), sign_in.wait()).await;
        assert!(waited.is_err(), "nothing has come, and the page is the same");
    }
    assert_eq!(fake.client_ids().len(), 1 + 6, "six connections of the watch");
    assert_eq!(fake.subscriptions(&waits), ["@oauth2"]);
    assert_eq!(sign_in.url(), url);
    fake.emit("@oauth2", json!({"state": waits, "code": "good-code-0815"}));
    let code = soon(sign_in.wait()).await.unwrap().expect("the answer, not another page");
    soon(sign_in.finish(code)).await.unwrap();
    assert!(client.auth().is_valid());

    // Nor can it be watched over a connection that would be.
    let refused = soon(realtime.subscribe(Topic::custom("@oauth2"))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidTopic);
    let refused = soon(feed.topics().add(Topic::custom("@oauth2"))).await.unwrap_err();
    assert_eq!(refused.to_string(), "@oauth2 belongs to the sign-in and cannot be watched");
    fake.emit("jobs/1", "1");
    assert_eq!(word(&up_to(&mut feed, is_data).await.pop().unwrap()), "message 1");
}

#[tokio::test]
async fn nobody_comes() {
    let fake = with_provider(PAGE).start();
    let client = client(&fake);
    let limit = Duration::from_millis(200);
    let mut sign_in = soon(client.collection("users").oauth2("idp").time_limit(limit).start()).await.unwrap();
    let error = soon(sign_in.wait()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!format!("{sign_in:?}").contains(&fake.client_ids()[0]), "the state shows");
}

/// Without the server: straight to a port of this machine, or pasted.
#[tokio::test]
async fn a_redirect_to_this_machine() {
    let fake = with_provider(PAGE).start();
    let client = client(&fake);
    let users = client.collection("users");
    let mut sign_in = soon(users.oauth2("idp").loopback(0).start()).await.unwrap();
    let (back, state) = (sign_in.redirect_url(), param(sign_in.url(), "state"));
    assert_eq!(param(sign_in.url(), "redirect_uri"), back);
    assert!(state.len() >= 43 && back.starts_with("http://127.0.0.1:") && back.ends_with("/oauth2-redirect"), "{back}");

    // What is not the answer is answered, and waited on.
    let browser = std::thread::spawn({
        let (back, state) = (back.clone(), state.clone());
        move || {
            let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
            let agent = config.build().new_agent();
            let get = |url: &str| agent.get(url).call().unwrap().status().as_u16();
            let favicon = back.replace("oauth2-redirect", "favicon.ico");
            let foreign = format!("{back}?state=foreign&code=x");
            [
                get(&favicon),
                get(&foreign),
                get(&format!("{back}?code=x")),
                get(&format!("{back}?state={state}&code=good-code-0815")),
            ]
        }
    });
    let code = soon(sign_in.wait()).await.unwrap().expect("a code");
    assert_eq!(browser.join().unwrap(), [404, 400, 400, 200]);
    assert_eq!(soon(sign_in.finish(code)).await.unwrap()["email"], ANN);
    assert_eq!(fake.requests_to(OAUTH2)[0].json()["redirectURL"], back);
    assert!(fake.requests_to(FEED).is_empty(), "no connection is needed");
    assert!(client.auth().is_valid());

    let sign_in = soon(users.oauth2("idp").loopback(0).start()).await.unwrap();
    let state = param(sign_in.url(), "state");
    for wrong in ["good-code-0815", "http://127.0.0.1/oauth2-redirect?code=good-code-0815", ""] {
        assert_eq!(sign_in.read(wrong).unwrap_err().kind(), ErrorKind::Unauthorized, "{wrong}");
    }
    let code = sign_in.read(&format!("http://127.0.0.1/oauth2-redirect?state={state}&code=good-code-0815")).unwrap();
    soon(sign_in.finish(code)).await.unwrap();
}

/// Ctrl-D is not Enter: it takes nothing that is offered, and ends the sign-in.
#[test]
fn the_end_of_the_input_is_no_answer() {
    let token = token_for(1_000_000);
    let password = json!({
        "password": {"enabled": true, "identityFields": ["email"]}, "mfa": {"enabled": false, "duration": 0},
        "otp": {"enabled": true, "duration": 0}, "oauth2": {"enabled": false, "providers": []},
    });
    let fake =
        with_ann(healthy_posts(), &token).always("GET /api/collections/users/auth-methods", ok(password)).start();
    let signed_in = Cli::new(&fake.url());
    signed_in.login("users", ANN, PASSWORD);
    let nobody = Cli::without_url();
    let email = format!("E-mail [{ANN}]: ");
    for (cli, typed, question, said) in [
        (
            &nobody,
            "",
            "Server [http://127.0.0.1:8090]: ",
            "error: server was not given\nhint: type it, or give it with the URL",
        ),
        (&signed_in, "", "Number [1]: ", "error: nothing was chosen\nhint: "),
        (&signed_in, "1\n", &email, "error: e-mail was not given\nhint: type it, or give it with --identity NAME\n"),
    ] {
        let mut pty = Pty::start(cli.command(["login", "--color", "never"]), 200);
        if !typed.is_empty() {
            pty.wait_for(1, "Number [1]: ");
            pty.type_keys(typed);
        }
        pty.wait_for(1, question);
        pty.type_keys("\u{4}");
        let (code, written) = pty.finish();
        assert!(code == 2 && written.contains(&format!("{question}\n{said}")), "{code}: {written:?}");
    }
}

#[test]
fn a_variable_that_stands_before_the_login_is_said() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let login = ["login", "--identity", ANN, "--password-stdin"];
    let said = |cli: &Cli| cli.run_with_stdin(login, &format!("{PASSWORD}\n")).expect(0).stderr;
    let cli = Cli::new(&fake.url());
    assert_eq!(said(&cli).lines().count(), 1, "{}", said(&cli));
    for (variable, value) in [("BOSBASE_TOKEN_FILE", "/dev/null"), ("BOSBASE_TOKEN", &token_for(9_000))] {
        let text = said(&Cli::new(&fake.url()).with(variable, value));
        let warned = format!("\nwarning: {variable} is set, and stands before this login\nhint: unset {variable}\n");
        assert!(text.ends_with(&warned), "{text}");
    }
}

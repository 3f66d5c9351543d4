//! Whatever is wrong with what a person gives: the exit code, one line that says what it is, and a
//! hint that mends it. Each snapshot is to be read as somebody who has never seen the program.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, Output, Program, Running};
use crate::support::fake::*;

/// A server that is never asked anything.
const UNASKED: &str = "http://127.0.0.1:9";

/// Runs it against nothing: what is wrong must be found before anything is sent.
fn said(args: &[&str]) -> String {
    block(&Cli::new(UNASKED).run(args))
}

/// Several runs below each other.
fn each<'a>(runs: impl IntoIterator<Item = &'a [&'a str]>) -> String {
    let run = |args: &[&str]| format!("$ {}\n{}", args.join(" "), stderr_of(&Cli::new(UNASKED).run(args)));
    runs.into_iter().map(run).collect()
}

/// `exit N` and what stands on stderr; stdout is empty.
#[track_caller]
fn stderr_of(output: &Output) -> String {
    assert_eq!(output.stdout, "");
    format!("exit {}\n{}\n", output.code, timeless_end(&output.stderr))
}

/// With the fake's address replaced.
fn at(fake: &Fake, text: &str) -> String {
    text.replace(&fake.url(), "URL").replace(&fake.address().to_string(), "HOST:PORT")
}

/// Runs these commands, each against a server of its own.
fn against(script: impl Fn() -> Script, runs: &[&[&str]]) -> String {
    runs.iter()
        .map(|args| {
            let fake = script().start();
            let output = Cli::new(&fake.url()).run_with_stdin(*args, &format!("{PASSWORD}\n"));
            let block = format!("$ {}\n{}\n", args.join(" "), block(&output));
            at(&fake, &block)
        })
        .collect()
}

const LOGIN: &[&str] = &["login", "--identity", ANN, "--password-stdin"];
const SUBSCRIBE: &[&str] = &["subscribe", "posts/*"];
const UNCHECKED: &[&str] = &["subscribe", "posts/*", "--no-check"];
const TOPICS: &[&str] = &["topics", "posts/*"];
const STATUS: &[&str] = &["status"];

// ---------------------------------------------------------------------------------------------
// The server

#[test]
fn wrong_urls() {
    insta::assert_snapshot!(each([
        &["status", "--url", "ftp://example.com"][..],
        &["status", "--url", "http://"],
        &["status", "--url", "https://exa mple.com"],
        &["status", "--url", "https://example.com:port"],
        &["status", "--url", "https://example.com/?page=1"],
        &["login", "localhost:99999"],
        &["subscribe", "posts/*", "--url", "https://[::1"],
    ]), @"
    $ status --url ftp://example.com
    exit 2
    error: not a server URL: its scheme is ftp, not http or https (from the command line)
    hint: a server URL looks like https://api.example.com

    $ status --url http://
    exit 2
    error: not a server URL: empty host (from the command line)
    hint: a server URL looks like https://api.example.com

    $ status --url https://exa mple.com
    exit 2
    error: not a server URL: invalid international domain name (from the command line)
    hint: a server URL looks like https://api.example.com

    $ status --url https://example.com:port
    exit 2
    error: not a server URL: invalid port number (from the command line)
    hint: a server URL looks like https://api.example.com

    $ status --url https://example.com/?page=1
    exit 2
    error: not a server URL: it must not hold a query (from the command line)
    hint: a server URL looks like https://api.example.com

    $ login localhost:99999
    exit 2
    error: not a server URL: invalid port number (from the command line)
    hint: a server URL looks like https://api.example.com

    $ subscribe posts/* --url https://[::1
    exit 2
    error: not a server URL: invalid IPv6 address (from the command line)
    hint: a server URL looks like https://api.example.com
    ");
}

#[test]
fn a_password_in_the_url_is_refused_and_never_repeated() {
    let outputs = [
        Cli::new(UNASKED).run(["login", "https://ann:hunter2@example.com"]),
        Cli::new(UNASKED).run(["status", "--url", "http://hunter2@example.com"]),
        Cli::new("https://ann:hunter2@example.com:x").run(["subscribe", "posts/*", "-vv"]),
        Cli::new("ann:hunter2@example.com").run(["topics"]),
    ];
    for output in &outputs {
        assert!(!output.stdout.contains("hunter2") && !output.stderr.contains("hunter2"), "{output:?}");
    }
    insta::assert_snapshot!(outputs.iter().map(stderr_of).collect::<String>(), @"
    exit 2
    error: not a server URL: it must not hold a user name or a password; sign in with `login` instead (from the command line)
    hint: a server URL looks like https://api.example.com

    exit 2
    error: not a server URL: it must not hold a user name or a password; sign in with `login` instead (from the command line)
    hint: a server URL looks like https://api.example.com

    exit 2
    error: not a server URL: invalid port number (from BOSBASE_URL)
    hint: a server URL looks like https://api.example.com

    exit 2
    error: not a server URL: it must not hold a user name or a password; sign in with `login` instead (from BOSBASE_URL)
    hint: a server URL looks like https://api.example.com
    ");
}

#[test]
fn a_web_page() {
    let page = || Script::new().always("* /", html(200, "<!doctype html><title>It works!</title>"));
    insta::assert_snapshot!(against(page, &[LOGIN, SUBSCRIBE, UNCHECKED, TOPICS, STATUS]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: URL is not a BosBase server: /api/health answers with a web page
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: the list of records is not what a BosBase server answers
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: what URL sends at /api/realtime is not an event stream
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ topics posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: the list of records is not what a BosBase server answers
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ status
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), URL is not a BosBase server: /api/health answers with a web page
    login    none: a guest
    token    none in use
    --- stderr ---
    error: URL is not a BosBase server: /api/health answers with a web page
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another
    ");
}

#[test]
fn a_web_page_where_nothing_is_found() {
    // A wrong base URL, mostly. The 404 of a BosBase server has its own form; this one says nothing
    // of a collection.
    for args in [LOGIN, SUBSCRIBE, UNCHECKED, TOPICS, STATUS] {
        let fake = Script::new().always("* /", html(404, "<h1>404 page not found</h1>")).start();
        let output = Cli::new(&fake.url()).run_with_stdin(args, &format!("{PASSWORD}\n")).expect(6);
        let hint = format!("hint: is {} the base URL of the API? --url or BOSBASE_URL sets another\n", fake.url());
        assert!(output.stderr.ends_with(&hint), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("no collection"), "{args:?}: {}", output.stderr);
    }
}

#[test]
fn the_json_of_someone_else() {
    let other = || Script::new().always("* /", ok(json!({ "message": "Hello, world!" })));
    insta::assert_snapshot!(against(other, &[LOGIN, SUBSCRIBE, UNCHECKED, TOPICS, STATUS]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: URL is not a BosBase server: /api/health answers something else
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: the list of records is not what a BosBase server answers
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: what URL sends at /api/realtime is not an event stream
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ topics posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: the list of records is not what a BosBase server answers
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another

    $ status
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), URL is not a BosBase server: /api/health answers something else
    login    none: a guest
    token    none in use
    --- stderr ---
    error: URL is not a BosBase server: /api/health answers something else
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another
    ");
}

#[test]
fn a_redirect() {
    let moved = || Script::new().always("* /", redirect(301, "https://www.example.com/api/health?x"));
    insta::assert_snapshot!(against(moved, &[LOGIN, SUBSCRIBE, UNCHECKED]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: URL redirects to https://www.example.com: redirects are not followed, since the token must not go elsewhere
    hint: use that: --url https://www.example.com, if it is the server's

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: URL redirects to https://www.example.com: redirects are not followed, since the token must not go elsewhere
    hint: use that: --url https://www.example.com, if it is the server's

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: URL redirects to https://www.example.com: redirects are not followed, since the token must not go elsewhere
    hint: use that: --url https://www.example.com, if it is the server's
    ");
}

#[test]
fn a_port_that_refuses() {
    let refusing = || Script::new().refused_until("never");
    insta::assert_snapshot!(against(refusing, &[LOGIN, SUBSCRIBE, UNCHECKED, TOPICS, STATUS]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health

    $ topics posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health

    $ status
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), nothing listens at HOST:PORT: connection refused
    login    none: a guest
    token    none in use
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health
    ");
}

#[test]
#[allow(clippy::print_stderr, reason = "what is left out is said")]
fn no_url_at_all() {
    let cli = Cli::without_url();
    insta::assert_snapshot!(block(&cli.run(["status", "--offline"])), @"
    exit 4
    --- stdout ---
    profile  default
    server   http://127.0.0.1:8090 (the default), not asked
    login    none: a guest
    token    none in use
    --- stderr ---
    error: there is no valid login
    hint: sign in: bosbase-watch login http://127.0.0.1:8090
    ");
    // The port is held and not listened to. Where somebody else has it, the line above must do.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    if socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)).into()).is_ok() {
        insta::assert_snapshot!(stderr_of(&cli.run(["subscribe", "posts/*"])), @"
        exit 6
        error: nothing listens at 127.0.0.1:8090: connection refused
        hint: no URL was given, so http://127.0.0.1:8090 was tried: name the server with --url or BOSBASE_URL
        ");
    } else {
        eprintln!("something else has port 8090: what is said when it refuses is not tested here");
    }
}

#[test]
fn https_where_plain_http_is_spoken() {
    let runs = [LOGIN, SUBSCRIBE].map(|args| {
        let fake = Script::new().on_connect(raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).start();
        let cli = Cli::new(&fake.url().replace("http:", "https:"));
        let output = cli.run_with_stdin(args, &format!("{PASSWORD}\n"));
        stderr_of(&output).replace(&fake.address().to_string(), "HOST:PORT")
    });
    assert_eq!(runs[0], runs[1]);
    insta::assert_snapshot!(runs[0], @"
    exit 6
    error: HOST:PORT does not speak TLS on this port
    hint: try plain http: --url http://HOST:PORT
    ");
}

#[test]
fn a_name_that_does_not_resolve() {
    let cli = Cli::new("https://no-such-host.invalid");
    let runs = [LOGIN, SUBSCRIBE, STATUS].map(|args| block(&cli.run(args)));
    insta::assert_snapshot!(runs.join("\n"), @"
    exit 6
    --- stdout ---
    --- stderr ---
    error: the name no-such-host.invalid does not resolve
    hint: check the name in https://no-such-host.invalid: --url or BOSBASE_URL sets another

    exit 6
    --- stdout ---
    --- stderr ---
    error: the name no-such-host.invalid does not resolve
    hint: check the name in https://no-such-host.invalid: --url or BOSBASE_URL sets another

    exit 6
    --- stdout ---
    profile  default
    server   https://no-such-host.invalid (from BOSBASE_URL), the name no-such-host.invalid does not resolve
    login    none: a guest
    token    none in use
    --- stderr ---
    error: the name no-such-host.invalid does not resolve
    hint: check the name in https://no-such-host.invalid: --url or BOSBASE_URL sets another
    ");
}

#[test]
fn a_server_that_never_answers() {
    let mute = || Script::new().always("* /", stall());
    // A feed that takes no connection, and an answer that does not begin.
    let limit = ["--connect-timeout", "200ms"];
    let subscribe = [UNCHECKED, &limit].concat();
    let [check, topics] = [["subscribe", "posts/*"], ["topics", "posts/*"]].map(|args| [&args[..], &limit].concat());
    let status = [&["status"][..], &limit].concat();
    insta::assert_snapshot!(against(mute, &[&subscribe, &check, &topics, &status]), @"
    $ subscribe posts/* --no-check --connect-timeout 200ms
    exit 6
    --- stdout ---
    --- stderr ---
    error: HOST:PORT did not take the connection within 0.2 s
    hint: is there a firewall or a proxy in between? --connect-timeout sets the limit

    $ subscribe posts/* --connect-timeout 200ms
    exit 6
    --- stdout ---
    --- stderr ---
    error: HOST:PORT does not answer in time
    hint: is there a firewall or a proxy in between? an answer may take twice --connect-timeout to begin

    $ topics posts/* --connect-timeout 200ms
    exit 6
    --- stdout ---
    --- stderr ---
    error: HOST:PORT does not answer in time
    hint: is there a firewall or a proxy in between? an answer may take twice --connect-timeout to begin

    $ status --connect-timeout 200ms
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), HOST:PORT does not answer in time
    login    none: a guest
    token    none in use
    --- stderr ---
    error: HOST:PORT does not answer in time
    hint: is there a firewall or a proxy in between? an answer may take twice --connect-timeout to begin
    ");
}

#[test]
fn too_many_requests() {
    let limited = || error(429, "Too Many Requests.");
    let everywhere = || Script::new().always("* /", limited());
    insta::assert_snapshot!(against(everywhere, &[LOGIN, SUBSCRIBE, UNCHECKED, TOPICS, STATUS]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again

    $ topics posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again

    $ status
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), too many requests (429: Too Many Requests)
    login    none: a guest
    token    none in use
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again
    ");
    let at_the_login = || Script::new().always(HEALTH, healthy()).always("POST /api/collections", limited());
    insta::assert_snapshot!(against(at_the_login, &[LOGIN]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: too many requests (429: Too Many Requests)
    hint: wait a few seconds and try again
    ");
}

#[test]
fn a_server_that_fails() {
    let proxy = || Script::new().always("* /", html(502, "<h1>Bad Gateway</h1>"));
    insta::assert_snapshot!(against(proxy, &[LOGIN, SUBSCRIBE, UNCHECKED, STATUS]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: the server failed (502)
    hint: the server, or a proxy before it, is in trouble: try again later

    $ subscribe posts/*
    exit 6
    --- stdout ---
    --- stderr ---
    error: the server failed (502)
    hint: the server, or a proxy before it, is in trouble: try again later

    $ subscribe posts/* --no-check
    exit 6
    --- stdout ---
    --- stderr ---
    error: the server failed (502)
    hint: the server, or a proxy before it, is in trouble: try again later

    $ status
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), the server failed (502)
    login    none: a guest
    token    none in use
    --- stderr ---
    error: the server failed (502)
    hint: the server, or a proxy before it, is in trouble: try again later
    ");
}

#[test]
fn plain_http_to_another_machine() {
    let cli = Cli::new("http://192.0.2.1");
    insta::assert_snapshot!(stderr_of(&cli.run_with_stdin(LOGIN, "x\n")), @"
    exit 2
    error: http://192.0.2.1 is plain http to another machine: passwords and tokens could be read on the way
    hint: use https, or accept the risk with --allow-http (for http://192.0.2.1)
    ");
    let cli = cli.with("BOSBASE_TOKEN", &token_for(1_000_000));
    insta::assert_snapshot!(stderr_of(&cli.run(SUBSCRIBE)), @"
    exit 2
    error: http://192.0.2.1 is plain http to another machine: passwords and tokens could be read on the way
    hint: use https, or accept the risk with --allow-http (for http://192.0.2.1)
    ");
}

// ---------------------------------------------------------------------------------------------
// The login

#[test]
fn a_wrong_password() {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new(&fake.url());
    insta::assert_snapshot!(at(&fake, &stderr_of(&cli.run_with_stdin(LOGIN, "wrong\n"))), @"
    exit 4
    error: wrong name or password for users
    hint: check both; an account of another collection signs in with --collection NAME, a superuser with --superuser
    ");
    assert!(!cli.config_dir().join("credentials.json").exists());
}

#[test]
fn logins_that_are_refused() {
    let refusing = |reply: Plain| move || Script::new().always(HEALTH, healthy()).always("POST /api", reply.clone());
    let mfa = move || {
        let methods = json!({
            "password": {"enabled": true, "identityFields": ["email"]}, "mfa": {"enabled": true, "duration": 600},
            "otp": {"enabled": true, "duration": 180}, "oauth2": {"enabled": false, "providers": []},
        });
        refusing(status(401).json(json!({ "mfaId": "abcdefghijklmno" })))()
            .always("GET /api/collections/users/auth-methods", ok(methods))
    };
    insta::assert_snapshot!(against(mfa, &[LOGIN]), @"
    $ login --identity ann@example.com --password-stdin
    exit 2
    --- stdout ---
    --- stderr ---
    error: the account asks for a second factor, and there is no terminal to ask on
    hint: add --otp EMAIL --code-stdin; stdin has one line for each, in this order
    ");
    let disabled = error(403, "The collection is not configured to allow password authentication.");
    insta::assert_snapshot!(against(refusing(disabled), &[LOGIN]), @"
    $ login --identity ann@example.com --password-stdin
    exit 4
    --- stdout ---
    --- stderr ---
    error: users does not let this account sign in with a password: The collection is not configured to allow password authentication
    hint: ask whoever runs the server how accounts of this collection sign in
    ");
    let missing = error(404, "Missing or invalid auth collection context.");
    insta::assert_snapshot!(
        against(refusing(missing), &[&["login", "--collection", "posts", "--identity", ANN, "--password-stdin"]]),
        @"
        $ login --collection posts --identity ann@example.com --password-stdin
        exit 4
        --- stdout ---
        --- stderr ---
        error: URL has no auth collection posts
        hint: name the collection of the account with --collection NAME, or use --superuser
        "
    );
    let html = html(200, "<h1>Sign in</h1>");
    insta::assert_snapshot!(against(refusing(html), &[LOGIN]), @"
    $ login --identity ann@example.com --password-stdin
    exit 6
    --- stdout ---
    --- stderr ---
    error: the answer to the sign-in is not what a BosBase server answers
    hint: is URL the base URL of the API? --url or BOSBASE_URL sets another
    ");
}

#[test]
fn nobody_to_ask() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    insta::assert_snapshot!(stderr_of(&cli.run(["login"])), @"
    exit 2
    error: how to sign in is not said, and there is no terminal to ask on
    hint: give --identity NAME --password-stdin, --otp EMAIL --code-stdin, --oauth2 PROVIDER or --token-stdin
    ");
    insta::assert_snapshot!(stderr_of(&cli.run(["login", "--password-stdin"])), @"
    exit 2
    error: e-mail or user name is missing, and there is no terminal to ask on
    hint: give it with --identity NAME
    ");
    insta::assert_snapshot!(stderr_of(&cli.run(["login", "--identity", ANN])), @"
    exit 2
    error: password of ann@example.com is missing, and there is no terminal to ask on
    hint: give it with --password-stdin
    ");
    insta::assert_snapshot!(stderr_of(&cli.run(LOGIN)), @"
    exit 2
    error: stdin holds no password
    hint: each line of stdin is one answer, in the order in which they are asked for: bosbase-watch login … < FILE
    ");
    insta::assert_snapshot!(stderr_of(&cli.run(["login", "--otp", ANN])), @"
    exit 2
    error: the code from the e-mail is missing, and there is no terminal to ask on
    hint: give --code-stdin, and the code as a line of stdin once it has come
    ");
}

#[test]
fn tokens_that_are_no_good() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let expired = token_for(-60);
    let revoked = token_for(2_000_000);
    for (what, token) in [("garbage", "garbage"), ("line", "a\nb"), ("expired", &expired), ("revoked", &revoked)] {
        let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", token);
        let runs = [SUBSCRIBE, UNCHECKED, TOPICS].map(|args| stderr_of(&cli.run(args).expect(4)));
        assert!(runs.iter().all(|run| run == &runs[0] && !run.contains(token)), "{what}: {runs:?}");
        let run = at(&fake, &runs[0]);
        match what {
            "garbage" => insta::assert_snapshot!(run, @"
            exit 4
            error: the server does not accept the token
            hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL
            "),
            "line" => insta::assert_snapshot!(run, @"
            exit 4
            error: the token holds characters that no token has
            hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL
            "),
            "expired" => insta::assert_snapshot!(run, @"
            exit 4
            error: the login has expired
            hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL
            "),
            _ => insta::assert_snapshot!(run, @"
            exit 4
            error: the server no longer accepts the login
            hint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login URL
            "),
        }
    }
    assert!(fake.requests_to(FEED).is_empty());
}

#[test]
fn a_token_from_the_environment_is_named() {
    // Signing in again does not help as long as the variable stands before the profile.
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token_for(-60));
    let output = cli.run(SUBSCRIBE).expect(4);
    assert!(output.stderr.contains("BOSBASE_TOKEN"), "{}", output.stderr);
}

#[test]
fn a_token_file_that_is_not_there() {
    let cli = Cli::new(UNASKED).with("BOSBASE_TOKEN_FILE", "/no/such/file");
    insta::assert_snapshot!(stderr_of(&cli.run(SUBSCRIBE)), @"
    exit 2
    error: BOSBASE_TOKEN_FILE: /no/such/file cannot be read: No such file or directory (os error 2)
    hint: name a file that can be read, or unset BOSBASE_TOKEN_FILE
    ");
}

// ---------------------------------------------------------------------------------------------
// Topics

#[test]
fn topics_that_are_none() {
    insta::assert_snapshot!(each([
        &["subscribe", ""][..],
        &["subscribe", "posts", ""],
        &["subscribe", "posts/*", ""],
        &["subscribe", "*"],
        &["subscribe", "posts/*", "*"],
        &["subscribe", " posts/*"],
        &["subscribe", "posts/\u{7}"],
        &["subscribe", "@oauth2"],
        &["subscribe", "?filter=a=1"],
    ]), @r#"
    $ subscribe 
    exit 2
    error: a topic is empty
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts 
    exit 2
    error: a topic is empty
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/* 
    exit 2
    error: a topic is empty
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe *
    exit 2
    error: the topic * names no collection
    hint: write the collection and the star as one topic: 'posts/*'

    $ subscribe posts/* *
    exit 2
    error: the topic * names no collection
    hint: write the collection and the star as one topic: 'posts/*'

    $ subscribe  posts/*
    exit 2
    error: the topic " posts/*" begins or ends with a space
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/
    exit 2
    error: the topic "posts/\u{7}" holds a control character
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe @oauth2
    exit 2
    error: @oauth2 belongs to the sign-in and cannot be watched
    hint: bosbase-watch login signs in

    $ subscribe ?filter=a=1
    exit 2
    error: a topic is empty
    hint: bosbase-watch subscribe --help shows how topics are written
    "#);
}

#[test]
fn the_star_before_the_collection() {
    // It would be the custom topic `*/posts`, which stays silent for ever.
    let output = Cli::new(UNASKED).run(["subscribe", "*", "posts"]).expect(2);
    assert!(output.stderr.contains("hint: "), "{}", output.stderr);
}

#[test]
fn options_that_are_none() {
    insta::assert_snapshot!(each([
        &["subscribe", "posts/*?filter"][..],
        &["subscribe", "posts/*?=1"],
        &["subscribe", "posts/*?filter=a='x"],
        &["subscribe", "posts/*?expand=a&expand=b"],
        &["subscribe", "a:b/*?filter=a=1"],
        &["subscribe", "posts/*", "--query", "novalue"],
        &["subscribe", "posts/*", "--query", "=x"],
    ]), @r#"
    $ subscribe posts/*?filter
    exit 2
    error: the topic posts/* has an option without a value: "filter"
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/*?=1
    exit 2
    error: the topic posts/* has an option without a name: "=1"
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/*?filter=a='x
    exit 2
    error: the topic posts/* has a ' that is not closed in its options
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/*?expand=a&expand=b
    exit 2
    error: the topic posts/* has the option expand twice
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe a:b/*?filter=a=1
    exit 2
    error: the topic a:b/* cannot have options: with one of % # : ; in its name the server would drop them
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe posts/* --query novalue
    exit 2
    error: --query takes NAME=VALUE, not "novalue"
    hint: --query name=value

    $ subscribe posts/* --query =x
    exit 2
    error: --query takes NAME=VALUE, not "=x"
    hint: --query name=value
    "#);
}

#[test]
fn a_star_that_the_shell_has_expanded() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["Cargo.toml", "README.md", "src"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let run = |script: &str| {
        let cli = Cli::new(UNASKED);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("\"$0\" {script}"), crate::support::cli::binary()]);
        let mut command = cli.around(command);
        command.current_dir(dir.path());
        stderr_of(&Running::start(command).finish())
    };
    insta::assert_snapshot!(run("subscribe posts *"), @"
    exit 2
    error: 3 of the topics are names of files in this directory
    hint: quote the star: '*'
    ");
    insta::assert_snapshot!(run("subscribe *"), @"
    exit 2
    error: 3 of the topics are names of files in this directory
    hint: quote the star: '*'
    ");
    insta::assert_snapshot!(run("topics *"), @"
    exit 2
    error: 3 of the topics are names of files in this directory
    hint: quote the star: '*'
    ");
}

#[test]
fn a_topic_that_is_too_long() {
    let filter = format!("title = '{}'", "x".repeat(2500));
    let name = "n".repeat(2501);
    let many = (0..300).map(|n| format!("f{n}")).collect::<Vec<_>>().join(",");
    let runs: [&[&str]; 3] = [
        &["subscribe", "posts/*", "--filter", &filter],
        &["subscribe", &name],
        &["subscribe", "posts/*", "--fields", &format!("{many},{}", "y".repeat(1300))],
    ];
    let said: String = runs.map(|args| stderr_of(&Cli::new(UNASKED).run(args))).concat();
    insta::assert_snapshot!(said, @"
    exit 2
    error: the topic posts/* with its options takes 2549 bytes as it is sent, and the server allows 2500
    hint: watch COLLECTION/* with one --filter instead of many or long topics

    exit 2
    error: the topic nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn takes 2501 bytes as it is sent, and the server allows 2500
    hint: watch COLLECTION/* with one --filter instead of many or long topics

    exit 2
    error: the topic posts/* with its options takes 2729 bytes as it is sent, and the server allows 2500
    hint: watch COLLECTION/* with one --filter instead of many or long topics
    ");
}

#[test]
fn a_topic_that_just_fits_is_escaped_less() {
    let fake = healthy_posts().start();
    // 2,500 bytes as they are, more than that with everything escaped.
    let filter = format!("title = '{}'", "é ".repeat(600));
    Cli::new(&fake.url()).run(["subscribe", "posts/*", "--filter", &filter, "--duration", "0s"]).expect(0);
    let key = keys(&fake.requests_to(SUBMIT)[0]).remove(0);
    assert!(key.len() <= 2500 && key.contains("é"), "{} bytes", key.len());
}

#[test]
fn too_many_topics() {
    let topics: Vec<_> = (0..1001).map(|n| format!("posts/id{n}")).collect();
    let mut args = vec!["subscribe"];
    args.extend(topics.iter().map(String::as_str));
    insta::assert_snapshot!(said(&args), @"
    exit 2
    --- stdout ---
    --- stderr ---
    error: 1001 topics are more than the 1000 that the server allows one client
    hint: watch COLLECTION/* with a --filter instead of single records
    ");
}

// ---------------------------------------------------------------------------------------------
// Filters and headers

#[test]
fn placeholders_and_parameters() {
    insta::assert_snapshot!(each([
        &["subscribe", "posts/*", "--filter", "a = {:x}"][..],
        &["subscribe", "posts/*", "--filter", "a = {:x}", "--param", "y=1"],
        &["subscribe", "posts/*", "--filter", "a = 1", "--param", "x=1"],
        &["subscribe", "posts/*", "--param", "x=1"],
        &["subscribe", "posts/*", "--filter", "a = '{:x}'", "--param", "x=1"],
        &["subscribe", "posts/*", "--filter", "a = {:x}", "--param", "x"],
        &["subscribe", "posts/*", "--filter", "a = {:x}", "--param", "x=1", "--param", "x=2"],
        &["subscribe", "posts/*", "--filter", "a = {:x}", "--param", "x:=text"],
        &["subscribe", "posts/*", "--filter", "a = {:x}", "--param", r"x=a\b"],
    ]), @r#"
    $ subscribe posts/* --filter a = {:x}
    exit 2
    error: the placeholder {:x} has no value
    hint: bind values with --filter 'name = {:n}' --param n=VALUE

    $ subscribe posts/* --filter a = {:x} --param y=1
    exit 2
    error: the placeholder {:x} has no value
    hint: bind values with --filter 'name = {:n}' --param n=VALUE

    $ subscribe posts/* --filter a = 1 --param x=1
    exit 2
    error: the parameter x has no placeholder {:x} in any filter
    hint: --filter 'FIELD = {:x}' --param x=VALUE

    $ subscribe posts/* --param x=1
    exit 2
    error: the parameter x has no placeholder {:x} in any filter
    hint: --filter 'FIELD = {:x}' --param x=VALUE

    $ subscribe posts/* --filter a = '{:x}' --param x=1
    exit 2
    error: the placeholder {:x} stands in quotes: leave them out, they are added with the value
    hint: bind values with --filter 'name = {:n}' --param n=VALUE

    $ subscribe posts/* --filter a = {:x} --param x
    exit 2
    error: --param takes NAME=VALUE, not "x"
    hint: --param name=value

    $ subscribe posts/* --filter a = {:x} --param x=1 --param x=2
    exit 2
    error: the parameter x is given twice
    hint: one value for each: --param x=VALUE

    $ subscribe posts/* --filter a = {:x} --param x:=text
    exit 2
    error: --param x:= takes a number, true, false, null or other JSON
    hint: a string is given with --param x=…

    $ subscribe posts/* --filter a = {:x} --param x=a\b
    exit 2
    error: the value of x holds a backslash, which servers read differently: say which dialect
    hint: write the value into the filter itself, escaped as this server reads it
    "#);
}

#[test]
fn headers() {
    insta::assert_snapshot!(each([
        &["subscribe", "posts/*", "-H", "X Room: 1"][..],
        &["subscribe", "posts/*", "-H", "X-Room"],
        &["subscribe", "posts/*", "-H", ": 1"],
        &["subscribe", "posts/*", "-H", "X-Räum: 1"],
        &["subscribe", "posts/*", "-H", "X-Room: a\u{1}b"],
        &["subscribe", "posts/*", "-H", "Authorization: hunter2"],
        &["subscribe", "posts/*?header.authorization=hunter2"],
        &["subscribe", "posts/*", "-H", "X-Room: 1", "-H", "x-room: 2"],
        &["subscribe", "posts/*?header.X-Room=1&header.x-room=2"],
        &["subscribe", "jobs/finished", "--query", "room=1", "--query", "room=2"],
    ]), @r#"
    $ subscribe posts/* -H X Room: 1
    exit 2
    error: not a header name: "X Room"
    hint: a header is written 'Name: value', with letters, digits and - in its name

    $ subscribe posts/* -H X-Room
    exit 2
    error: -H takes a name, a colon and a value
    hint: -H 'Name: value'

    $ subscribe posts/* -H : 1
    exit 2
    error: -H takes a name, a colon and a value
    hint: -H 'Name: value'

    $ subscribe posts/* -H X-Räum: 1
    exit 2
    error: not a header name: "X-Räum"
    hint: a header is written 'Name: value', with letters, digits and - in its name

    $ subscribe posts/* -H X-Room: ab
    exit 2
    error: the value of the header X-Room holds a control character
    hint: a header is written 'Name: value', with letters, digits and - in its name

    $ subscribe posts/* -H Authorization: hunter2
    exit 2
    error: an Authorization header of a topic does nothing: the login decides
    hint: bosbase-watch login signs in, and BOSBASE_TOKEN takes a token

    $ subscribe posts/*?header.authorization=hunter2
    exit 2
    error: an Authorization header of a topic does nothing: the login decides
    hint: bosbase-watch login signs in, and BOSBASE_TOKEN takes a token

    $ subscribe posts/* -H X-Room: 1 -H x-room: 2
    exit 2
    error: the header x-room is given twice
    hint: one value for each: -H 'x-room: VALUE'

    $ subscribe posts/*?header.X-Room=1&header.x-room=2
    exit 2
    error: the topic posts/* has the header x-room twice
    hint: bosbase-watch subscribe --help shows how topics are written

    $ subscribe jobs/finished --query room=1 --query room=2
    exit 2
    error: the query parameter room is given twice
    hint: one value for each: --query room=VALUE
    "#);
}

#[test]
fn headers_where_no_topic_takes_them() {
    for header in ["Authorization: hunter2", "X Room: 1"] {
        let output = Cli::new(UNASKED).run(["subscribe", "jobs/finished", "--no-check", "-H", header]).expect(2);
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}

// ---------------------------------------------------------------------------------------------
// The config dir

/// An installation in which somebody is signed in.
fn signed_in() -> (Fake, Cli) {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    (fake, cli)
}

fn in_config(cli: &Cli, fake: &Fake, text: &str) -> String {
    at(fake, &text.replace(cli.config_dir().to_str().unwrap(), "CONFIG"))
}

/// Signs in and watches with this config dir. Nothing is asked of the server.
fn with_config_dir(dir: &str) -> String {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_WATCH_CONFIG_DIR", dir);
    let output = cli.run_with_stdin(LOGIN, &format!("{PASSWORD}\n"));
    assert!(fake.requests().is_empty(), "no password is sent that cannot be kept");
    stderr_of(&output).replace(dir, "CONFIG")
}

#[test]
fn a_config_dir_that_cannot_be_made() {
    insta::assert_snapshot!(with_config_dir("/proc/bosbase-watch/config"), @"
    exit 1
    error: cannot make the config directory CONFIG: No such file or directory (os error 2)
    hint: set BOSBASE_WATCH_CONFIG_DIR to a directory that you may write to
    ");
}

#[test]
fn a_config_dir_below_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = with_config_dir(file.path().join("config").to_str().unwrap());
    // The folder is to blame, and not the first file that is looked for in it.
    assert!(said.contains("the config directory") && !said.contains("state.json"), "{said}");
}

/// Puts junk into a file of the config dir, and tries every command.
fn corrupted(file: &str, junk: &[u8]) -> String {
    let (fake, cli) = signed_in();
    let path = cli.config_dir().join(file);
    fs::write(&path, junk).unwrap();
    let before = snapshot(&cli.config_dir());
    let mut said = Vec::new();
    for args in [LOGIN, SUBSCRIBE, STATUS, &["logout"]] {
        let output = cli.run_with_stdin(args, &format!("{PASSWORD}\n"));
        assert_eq!(snapshot(&cli.config_dir()), before, "{args:?} changed something: {output:?}");
        said.push(in_config(&cli, &fake, &stderr_of(&output)));
    }
    assert!(said.iter().all(|text| text == &said[0]), "{said:#?}");
    // Nothing is asked of the server beyond the first login.
    assert!(fake.requests_to(FEED).is_empty());
    assert_eq!(fake.requests_to("POST /api/collections/users/auth-with-password").len(), 1);
    said.swap_remove(0)
}

/// The names and bytes of all files but the lock.
fn snapshot(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "credentials.lock")
        .map(|entry| {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().unwrap(), bytes.escape_ascii().to_string())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_corrupted_config() {
    insta::assert_snapshot!(corrupted("config.toml", b"[profile.default]\nurl = \"http://x\nhunter2"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: line 3: key with no value, expected `=`
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
    insta::assert_snapshot!(corrupted("config.toml", b"[profile.default]\nurll = \"http://x\"\n"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: line 2: the key urll in profile.default is not known; the nearest is url
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
    insta::assert_snapshot!(corrupted("config.toml", b"[profile.default]\nurl = 5\n"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: profile.default.url is not a string
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
    insta::assert_snapshot!(corrupted("config.toml", b"[profile]\ndefault = true\n"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: line 2: profile.default is not a table
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
    insta::assert_snapshot!(corrupted("config.toml", b"colour = true\n"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: line 1: the key colour is not known; the nearest is color
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
    insta::assert_snapshot!(corrupted("config.toml", b"\xff\xfe"), @"
    exit 2
    error: CONFIG/config.toml cannot be read: it is not text
    hint: mend it, or move it away: mv 'CONFIG/config.toml' 'CONFIG/config.toml.bad'
    ");
}

#[test]
fn corrupted_credentials() {
    let cut = br#"{"version":1,"profiles":{"default":{"origin":"http://x","token":"hunter2""#;
    insta::assert_snapshot!(corrupted("credentials.json", cut), @"
    exit 2
    error: CONFIG/credentials.json cannot be read: it is broken at line 1, column 73
    hint: mend it, or move it away: mv 'CONFIG/credentials.json' 'CONFIG/credentials.json.bad'
    ");
    insta::assert_snapshot!(corrupted("credentials.json", b""), @"
    exit 2
    error: CONFIG/credentials.json cannot be read: it is broken at line 1, column 0
    hint: mend it, or move it away: mv 'CONFIG/credentials.json' 'CONFIG/credentials.json.bad'
    ");
    insta::assert_snapshot!(corrupted("credentials.json", br#"{"version":1,"profiles":{"default":"hunter2"}}"#), @"
    exit 2
    error: CONFIG/credentials.json cannot be read: it is broken at line 1, column 44
    hint: mend it, or move it away: mv 'CONFIG/credentials.json' 'CONFIG/credentials.json.bad'
    ");
    insta::assert_snapshot!(corrupted("credentials.json", br#"{"version":99,"more":"hunter2"}"#), @"
    exit 2
    error: CONFIG/credentials.json was written by a newer version of bosbase-watch
    hint: use that version, or set BOSBASE_WATCH_CONFIG_DIR to another directory
    ");
    insta::assert_snapshot!(corrupted("credentials.json", b"[]"), @"
    exit 2
    error: CONFIG/credentials.json cannot be read: it is broken at line 1, column 2
    hint: mend it, or move it away: mv 'CONFIG/credentials.json' 'CONFIG/credentials.json.bad'
    ");
}

#[test]
fn a_corrupted_state() {
    insta::assert_snapshot!(corrupted("state.json", b"{\"profile\":"), @"
    exit 2
    error: CONFIG/state.json cannot be read: EOF while parsing a value at line 1 column 11
    hint: mend it, or move it away: mv 'CONFIG/state.json' 'CONFIG/state.json.bad'
    ");
    insta::assert_snapshot!(corrupted("state.json", b"{\"profile\":5}"), @"
    exit 2
    error: CONFIG/state.json cannot be read: invalid type: integer `5`, expected a string at line 1 column 12
    hint: mend it, or move it away: mv 'CONFIG/state.json' 'CONFIG/state.json.bad'
    ");
}

#[test]
fn a_state_that_names_no_profile() {
    // `--profile` takes letters, digits, - and _; what is remembered is not trusted more.
    let said = corrupted("state.json", b"{\"profile\":\"../\\u001b[2J\"}");
    assert!(said.starts_with("exit 2\n"), "{said}");
}

#[test]
fn what_is_almost_an_option_or_a_topic() {
    let fake = no_collections().always(LIST, records()).always(HEALTH, healthy()).start();
    let cli = Cli::new(&fake.url());
    let run = |topic: &str| {
        let output = cli.run(["topics", topic]).expect(0);
        at(&fake, &format!("{}{}\n", output.stdout, output.stderr))
    };
    let typed = [
        "posts/*?fitler=title=1&header.x-a=1&headers.x-b=2&room=5",
        "posts,comments",
        "http://h/api/collections/posts/records",
    ];
    insta::assert_snapshot!(typed.map(run).concat(), @"
    posts/*  ok  its records can be listed
    warning: posts/*: fitler goes to the rules as a query parameter, and does no more
    hint: did you mean filter?
    warning: posts/*: headers.x-b goes to the rules as a query parameter, and does no more
    hint: did you mean header.x-b?

    posts,comments  note  taken as a custom topic of exactly this name, which cannot be checked
                          each topic is an argument of its own: 'posts' 'comments'

    http://h/api/collections/posts/records  note  taken as a custom topic of exactly this name, which cannot be checked
                                                  a topic is not a URL: all records of posts are 'posts/*'
    ");
}

#[test]
fn credentials_that_others_can_read() {
    let (fake, cli) = signed_in();
    let path = cli.config_dir().join("credentials.json");
    let before = fs::read(&path).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for args in [LOGIN, SUBSCRIBE, STATUS, &["logout"]] {
            let output = cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(2);
            let said = in_config(&cli, &fake, &stderr_of(&output)).replace(&format!("{mode:04o}"), "MODE");
            assert_eq!(said, REFUSED, "{args:?}");
        }
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(fake.requests_to(FEED).is_empty());
    // What the hint says, helps.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    cli.run(STATUS).expect(0);
}

const REFUSED: &str = "\
exit 2
error: CONFIG/credentials.json holds tokens and can be read by others (mode MODE)
hint: chmod 600 'CONFIG/credentials.json', and sign in again if others may have read it

";

#[test]
fn credentials_that_are_a_folder() {
    let (fake, cli) = signed_in();
    let path = cli.config_dir().join("credentials.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let output = cli.run_with_stdin(LOGIN, &format!("{PASSWORD}\n"));
    insta::assert_snapshot!(in_config(&cli, &fake, &stderr_of(&output)), @"
    exit 2
    error: CONFIG/credentials.json cannot be read: Is a directory (os error 21)
    hint: mend it, or move it away: mv 'CONFIG/credentials.json' 'CONFIG/credentials.json.bad'
    ");
}

// ---------------------------------------------------------------------------------------------
// The command line itself

#[test]
fn durations() {
    insta::assert_snapshot!(each([
        &["subscribe", "posts/*", "--timeout", "5"][..],
        &["subscribe", "posts/*", "--timeout", "5x"],
        &["subscribe", "posts/*", "--duration", "soon"],
        &["subscribe", "posts/*", "--idle-timeout=-1s"],
        &["subscribe", "posts/*", "--connect-timeout", ""],
    ]), @"
    $ subscribe posts/* --timeout 5
    exit 2
    error: invalid value '5' for '--timeout <DUR>': the unit is missing: 5s, 5m or 5h?
    hint: --help shows how it is used

    $ subscribe posts/* --timeout 5x
    exit 2
    error: invalid value '5x' for '--timeout <DUR>': not a duration such as 500ms, 1.5s, 5m or 1h30m
    hint: --help shows how it is used

    $ subscribe posts/* --duration soon
    exit 2
    error: invalid value 'soon' for '--duration <DUR>': not a duration such as 500ms, 1.5s, 5m or 1h30m
    hint: --help shows how it is used

    $ subscribe posts/* --idle-timeout=-1s
    exit 2
    error: invalid value '-1s' for '--idle-timeout <DUR>': a duration cannot be negative
    hint: --help shows how it is used

    $ subscribe posts/* --connect-timeout 
    exit 2
    error: invalid value '' for '--connect-timeout <DUR>': not a duration such as 500ms, 1.5s, 5m or 1h30m
    hint: --help shows how it is used
    ");
}

#[test]
fn flags() {
    insta::assert_snapshot!(each([
        &["subscribe"][..],
        &["subscribe", "posts/*", "-n", "0"],
        &["subscribe", "posts/*", "-n", "few"],
        &["subscribe", "posts/*", "-a", "created"],
        &["subscribe", "posts/*", "-o", "json"],
        &["subscribe", "posts/*", "--filer", "a=1"],
        &["subscrib", "posts/*"],
        &["completions", "tcsh"],
        &["login", "--superuser", "--collection", "users"],
        &["login", "--password", "hunter2"],
        &["login", "--email", "ann@example.com"],
        &["subscribe", "posts/*", "--token", "x"],
        &["subscribe", "posts/*", "--json"],
        &["subscribe", "posts/*", "--where", "a = 1"],
        &["wait", "posts/*", "--bogus"],
        &["wait", "posts/*", "--", "sleep 1"],
        &["subscribe", "--exec", "echo", "posts/*"],
        &["help"],
        &["status", "--profile", "no such"],
    ]), @r#"
    $ subscribe
    exit 2
    error: there is no topic to watch
    hint: bosbase-watch subscribe 'COLLECTION/*', or a --config with a [[subscription]]

    $ subscribe posts/* -n 0
    exit 2
    error: invalid value '0' for '--count <N>': at least 1
    hint: --help shows how it is used

    $ subscribe posts/* -n few
    exit 2
    error: invalid value 'few' for '--count <N>': not a whole number
    hint: --help shows how it is used

    $ subscribe posts/* -a created
    exit 2
    error: invalid value 'created' for '--action <LIST>'
    hint: a similar value exists: 'create'

    $ subscribe posts/* -o json
    exit 2
    error: invalid value 'json' for '--output <FORM>'
    hint: a similar value exists: 'ndjson'

    $ subscribe posts/* --filer a=1
    exit 2
    error: unexpected argument '--filer' found
    hint: a similar argument exists: '--filter'

    $ subscrib posts/*
    exit 2
    error: unrecognized subcommand 'subscrib'
    hint: a similar subcommand exists: 'subscribe'

    $ completions tcsh
    exit 2
    error: invalid value 'tcsh' for '<SHELL>'
    hint: a similar value exists: 'zsh'

    $ login --superuser --collection users
    exit 2
    error: the argument '--superuser' cannot be used with '--collection <NAME>'
    hint: --help shows how it is used

    $ login --password hunter2
    exit 2
    error: unexpected argument '--password' found
    hint: in a terminal login asks for it; --password-stdin reads it, unseen by other programs

    $ login --email ann@example.com
    exit 2
    error: unexpected argument '--email' found
    hint: who signs in is named by bosbase-watch login --identity NAME

    $ subscribe posts/* --token x
    exit 2
    error: unexpected argument '--token' found
    hint: BOSBASE_TOKEN holds a token, and bosbase-watch login --token-stdin keeps one

    $ subscribe posts/* --json
    exit 2
    error: unexpected argument '--json' found
    hint: -o ndjson prints one JSON object a line

    $ subscribe posts/* --where a = 1
    exit 2
    error: unexpected argument '--where' found
    hint: records are chosen by --filter EXPR

    $ wait posts/* --bogus
    exit 2
    error: unexpected argument '--bogus' found
    hint: --help shows how it is used

    $ wait posts/* -- sleep 1
    exit 2
    error: the command sleep 1 is not found in the PATH
    hint: no shell is involved; sh -c '…' is one

    $ subscribe --exec echo posts/*
    exit 2
    error: there is no topic to watch
    hint: topics stand before --exec, which takes all that follows, up to ';'

    $ help
    exit 2
    error: unrecognized subcommand 'help'
    hint: bosbase-watch --help, or bosbase-watch COMMAND --help

    $ status --profile no such
    exit 2
    error: not a name for a profile: "no such"
    hint: letters, digits, - and _ make a name
    "#);
}

#[test]
fn flags_that_make_no_sense_there() {
    insta::assert_snapshot!(against(
        healthy_posts,
        &[
            &["subscribe", "posts/*", "--timeout", "0s"],
            &["subscribe", "posts/*", "--since", "110000000h"],
            &["topics", "--count", "posts/*"],
            &["subscribe", "posts/*", "--control", "/"],
            &["subscribe", "posts/*", "--exec", "/no/such/program", ";"],
            &["subscribe", "posts/*", "--exec", "/tmp", ";"],
        ],
    ), @"
    $ subscribe posts/* --timeout 0s
    exit 124
    --- stdout ---
    --- stderr ---
    error: timed out before the watch was live
    hint: --timeout counts from the start of the process; -v shows what takes so long

    $ subscribe posts/* --since 110000000h
    exit 2
    --- stdout ---
    --- stderr ---
    error: invalid value '110000000h' for '--since <TIME|DUR>': that is too long ago
    hint: --help shows how it is used

    $ topics --count posts/*
    exit 2
    --- stdout ---
    --- stderr ---
    error: --count goes with the list of collections, not with topics
    hint: bosbase-watch topics --count lists them all

    $ subscribe posts/* --control /
    exit 2
    --- stdout ---
    --- stderr ---
    error: the file of --control is a directory: /
    hint: lines come from a file or a pipe (mkfifo) that you may read, or from stdin: --control -

    $ subscribe posts/* --exec /no/such/program ;
    exit 2
    --- stdout ---
    --- stderr ---
    error: the command /no/such/program cannot be started: No such file or directory (os error 2)
    hint: give the path of a program, or its name alone where it is in the PATH

    $ subscribe posts/* --exec /tmp ;
    exit 2
    --- stdout ---
    --- stderr ---
    error: the command /tmp cannot be started: it is a directory
    hint: name a program in it: /tmp/PROGRAM
    ");
}

/// A variable that is no text, and a stdout that takes nothing.
#[test]
fn what_surrounds_it() {
    use std::os::unix::ffi::OsStrExt as _;
    let run = |change: &dyn Fn(&mut Program)| {
        let mut command = Cli::new(UNASKED).command(["status", "--offline"]);
        change(&mut command);
        let output = command.spawn().end();
        format!("exit {}\n{}\n", output.code, output.stderr)
    };
    let variable = run(&|command| {
        command.env("BOSBASE_TOKEN", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    });
    let full = run(&|command| {
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    });
    insta::assert_snapshot!(variable + &full, @"
    exit 2
    error: BOSBASE_TOKEN is not text
    hint: unset BOSBASE_TOKEN, or sign in anew

    exit 1
    error: cannot write to stdout: No space left on device (os error 28)
    hint: make room where stdout goes, and start again
    ");
}

#[test]
fn nothing_at_all() {
    for cli in [Cli::without_url(), Cli::new(UNASKED)] {
        let output = cli.run::<&str>([]).expect(2);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains("subscribe") && output.stderr.contains("--help"), "{}", output.stderr);
    }
}

#[test]
fn help_and_version() {
    let cli = Cli::new(UNASKED);
    for flag in ["--help", "-h"] {
        for command in [&[][..], &["login"], &["logout"], &["status"], &["subscribe"], &["topics"], &["completions"]] {
            let output = cli.run([command, &[flag]].concat()).expect(0);
            assert_eq!(output.stderr, "", "{command:?} {flag}");
            assert!(output.stdout.contains("Usage: bosbase-watch"), "{command:?} {flag}: {}", output.stdout);
            let widest = output.stdout.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= 100, "{command:?} {flag} is {widest} wide");
        }
    }
    for flag in ["--version", "-V"] {
        let output = cli.run([flag]).expect(0);
        let version = concat!("bosbase-watch ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (version, ""));
    }
}

#[test]
fn help_that_nobody_reads() {
    let mut command = Cli::new(UNASKED).command(["--help"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer);
    command.spawn().end().expect(0);
}

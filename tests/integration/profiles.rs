//! More than one server and account.

use std::fs;

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::Cli;
use crate::support::fake::*;

/// Two servers, each of which knows Ann and has given her a token, in the profiles `home` and `work`.
fn two() -> (Cli, Fake, Fake) {
    let start = |seconds| with_ann(healthy_posts(), &token_for(seconds)).start();
    let (home, work) = (start(1_000_000), start(2_000_000));
    let cli = Cli::without_url();
    for (name, fake) in [("home", &home), ("work", &work)] {
        let args = ["login", &fake.url(), "--profile", name, "--identity", ANN, "--password-stdin"];
        cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0);
    }
    (cli, home, work)
}

fn seen(text: &str, home: &Fake, work: &Fake) -> String {
    let text = text.replace(&home.url(), "HOME").replace(&work.url(), "WORK");
    let cut = |line: &str| match line.split_once("until ") {
        Some((before, _)) => format!("{before}until TIME\n"),
        None => format!("{}\n", line.trim_end()),
    };
    // The columns are as wide as the URLs.
    text.lines()
        .map(cut)
        .map(|line| {
            line.split("  ").filter(|part| !part.is_empty()).map(str::trim).collect::<Vec<_>>().join("  ") + "\n"
        })
        .collect::<String>()
        .replace("\n\n", "\n")
}

fn current(cli: &Cli) -> Value {
    objects(&cli.run(["status", "--offline", "--json"]).expect(0).stdout)[0]["profile"].clone()
}

#[test]
fn the_list() {
    let (cli, home, work) = two();
    insta::assert_snapshot!(seen(&cli.run(["profile", "list"]).expect(0).stdout, &home, &work), @"
    home  HOME  ann@example.com (users)  signed in until TIME
    work  current  WORK  ann@example.com (users)  signed in until TIME
    ");
    let output = cli.run(["profile", "list", "--json"]).expect(0);
    let mut list = objects(&output.stdout).remove(0);
    assert!(list[0]["expires"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        list[0],
        json!({
            "profile": "home", "current": false, "url": home.url(), "collection": "users", "identity": ANN,
            "signed_in": true, "expires": null,
        })
    );
    assert_eq!((&list[1]["profile"], &list[1]["current"]), (&json!("work"), &json!(true)));
    let output = Cli::without_url().run(["profile", "list"]).expect(0);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("", "There is no profile yet: bosbase-watch login makes one.\n")
    );
    assert_eq!(Cli::without_url().run(["profile", "list", "--json"]).expect(0).stdout, "[]\n");
}

#[test]
fn another_one_is_used() {
    let (cli, home, work) = two();
    assert_eq!(current(&cli), "work");
    assert_eq!(cli.run(["profile", "use", "home"]).expect(0).stderr, "The profile home is the current one now.\n");
    assert_eq!(current(&cli), "home");
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!((home.requests_to(FEED).len(), work.requests_to(FEED).len()), (1, 0));
    let output = cli.run(["profile", "use", "hone"]).expect(2);
    assert!(
        output.stderr.starts_with(
            "error: there is no profile hone\nhint: did you mean home? the profiles: home, work; a new one: "
        ),
        "{}",
        output.stderr
    );
    assert_eq!(current(&cli), "home");
    // What stands before it is said.
    let cli = cli.with("BOSBASE_PROFILE", "work");
    let output = cli.run(["profile", "use", "home"]).expect(0);
    assert!(output.stderr.contains("BOSBASE_PROFILE (work) stands before it."), "{}", output.stderr);
    assert_eq!(current(&cli), "work");
}

#[test]
fn one_is_removed() {
    let (cli, home, _work) = two();
    let config = cli.config_dir().join("config.toml");
    fs::write(&config, format!("# mine\n{}", fs::read_to_string(&config).unwrap())).unwrap();
    let output = cli.run(["profile", "remove", "work"]).expect(0);
    assert_eq!(
        output.stderr,
        "The profile work is removed, and its login. The token itself stays valid until it expires.\n"
    );
    let files = ["config.toml", "credentials.json", "state.json"];
    for text in files.map(|file| fs::read_to_string(cli.config_dir().join(file)).unwrap()) {
        assert!(!text.contains("work"), "{text}");
    }
    assert!(fs::read_to_string(&config).unwrap().starts_with("# mine\n[profile.home]\n"));
    // None is the current one: `default` is, which is not there.
    cli.run(["status", "--offline"]).expect(4);
    cli.run(["status", "--profile", "home"]).expect(0);
    cli.run(["profile", "remove", "work"]).expect(2);
    assert!(!home.requests().is_empty());
}

#[test]
fn status_of_all() {
    let (cli, home, work) = two();
    insta::assert_snapshot!(seen(&cli.run(["status", "--all"]).expect(0).stdout, &home, &work), @"
    home  HOME  ann@example.com (users)  valid, until TIME
    work  current  WORK  ann@example.com (users)  valid, until TIME
    ");
    cli.run(["logout", "--profile", "home"]).expect(0);
    let output = cli.run(["status", "--all"]).expect(4);
    insta::assert_snapshot!(seen(&format!("{}{}", output.stdout, output.stderr), &home, &work), @"
    home  HOME  ann@example.com (users)  not signed in
    work  current  WORK  ann@example.com (users)  valid, until TIME
    error: 1 of 2 profiles has no valid login: home
    hint: sign in: bosbase-watch login --profile home
    ");
    let output = cli.run(["status", "--all", "--json"]).expect(4);
    let list = objects(&output.stdout).remove(0);
    let brief = |at: usize| (list[at]["profile"].clone(), list[at]["valid"].clone(), list[at]["reachable"].clone());
    assert_eq!(brief(0), (json!("home"), json!(false), json!(true)));
    assert_eq!(brief(1), (json!("work"), json!(true), json!(true)));
    // One that cannot be asked is not taken for invalid.
    home.refuse();
    cli.run(["login", "--profile", "home"]).expect(2);
    work.refuse();
    let output = cli.run(["status", "--all", "--profile", "work"]);
    assert_eq!(output.code, 2, "one or all: {}", output.stderr);
    cli.run(["status", "--all", "--offline"]).expect(4);
    cli.run(["profile", "remove", "home"]).expect(0);
    let output = cli.run(["status", "--all"]).expect(6);
    assert!(output.stdout.contains("connection refused"), "{}", output.stdout);
}

/// Each profile is asked as it says itself: by its own proxy, with its own headers and certificates.
#[test]
fn status_of_all_goes_each_its_own_way() {
    let (cli, home, work) = two();
    let config = cli.config_dir().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let with_header = |text: &str, name: &str, value: &str| {
        let table = format!("[profile.{name}]\n");
        text.replace(&table, &format!("{table}http-header = \"X-Gateway: {value}\"\n"))
    };
    let both = with_header(&with_header(&text, "home", "to home"), "work", "to work");
    fs::write(&config, both).unwrap();
    let asked = |fake: &Fake| fake.requests().len();
    let before = (asked(&home), asked(&work));
    cli.run(["status", "--all"]).expect(0);
    for (fake, before, value) in [(&home, before.0, "to home"), (&work, before.1, "to work")] {
        let requests = fake.requests();
        assert!(requests.len() > before);
        assert!(requests[before..].iter().all(|request| request.header("x-gateway") == Some(value)), "{value}");
    }
    // What is wrong with one of them is told with its line.
    fs::write(&config, with_header(&text, "home", "x").replace("http-header", "connect-timeout")).unwrap();
    let output = cli.run(["status", "--all"]).expect(2);
    assert!(output.stderr.contains("profile.home.connect-timeout"), "{}", output.stderr);
}

/// A server that answers, and cannot say whether the login is good.
#[test]
fn status_of_a_login_that_cannot_be_checked() {
    let fake =
        healthy_posts().always("POST /api/collections/_pb_users_auth_/auth-refresh", error(500, "Oops.")).start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token_for(1_000_000));
    let output = cli.run(["status"]).expect(6);
    assert!(output.stdout.contains("not checked"), "{}", output.stdout);
    assert_eq!(
        output.stderr,
        "error: the server failed (500: Oops)\nhint: the server, or a proxy before it, is in trouble: try again later\n"
    );
}

/// The environment is for one server and one login, not for all.
#[test]
fn status_of_all_looks_past_the_environment() {
    let (cli, _home, _work) = two();
    let cli = cli.with("BOSBASE_URL", "http://127.0.0.1:9").with("BOSBASE_TOKEN", "garbage-and-no-token");
    cli.run(["status", "--all"]).expect(0);
}

#[test]
fn all_are_signed_out() {
    let (cli, _home, _work) = two();
    let output = cli.run(["logout", "--all"]).expect(0);
    assert_eq!(
        output.stderr,
        "The logins of the profiles home, work are forgotten. Each token itself stays valid until it expires.\n"
    );
    cli.run(["status"]).expect(4);
    cli.run(["logout", "--all", "--profile", "home"]).expect(2);
    assert_eq!(cli.run(["logout", "--all"]).expect(0).stderr, "No profile has a login.\n");
    assert!(fs::read_to_string(cli.config_dir().join("config.toml")).unwrap().contains("[profile.work]"));
}

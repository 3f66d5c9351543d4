//! Logins: where they are kept, where they go, and where they never show.

use std::fs;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, Output, Running};
use crate::support::fake::*;

const REFRESH: &str = "POST /api/collections/*/auth-refresh";
const LOGIN: [&str; 4] = ["login", "--identity", ANN, "--password-stdin"];

/// A server that knows Ann, and an installation in which she is signed in.
fn signed_in() -> (Fake, Cli, String) {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    (fake, cli, token)
}

/// Until when the login is valid, replaced.
fn until(text: &str) -> String {
    let cut = |line: &str| match line.split_once(", until ") {
        Some((before, after)) => format!("{before}, until TIME{}\n", &after["2026-11-23 23:55".len()..]),
        None => format!("{line}\n"),
    };
    text.lines().map(cut).collect()
}

fn seen(fake: &Fake, cli: &Cli, output: &Output) -> String {
    let block = until(&block(output)).replace(&fake.url(), "URL");
    block.replace(cli.config_dir().to_str().unwrap(), "CONFIG")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn read(cli: &Cli, file: &str) -> String {
    fs::read_to_string(cli.config_dir().join(file)).unwrap()
}

// ---------------------------------------------------------------------------------------------
// What a login leaves behind

#[test]
fn files_are_for_their_owner_alone() {
    let (_fake, cli, _) = signed_in();
    let dir = cli.config_dir();
    assert_eq!(mode(&dir), 0o700);
    let mut files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["config.toml", "credentials.json", "lock", "state.json"]);
    for path in &files {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
}

/// Whom it replaces, and that another profile is used from now on.
#[test]
fn a_login_says_what_it_changes() {
    let (fake, cli, _) = signed_in();
    let login = |profile: &str| {
        let args = ["login", "--identity", ANN, "--password-stdin", "--profile", profile];
        until(&cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0).stderr).replace(&fake.url(), "URL")
    };
    let signed_in = "Signed in to URL as ann@example.com (users), until TIME";
    assert_eq!(login("default"), format!("{signed_in}.\n"));
    assert_eq!(login("work"), format!("{signed_in}. The current profile is work now, no longer default.\n"));
    assert_eq!(login("work"), format!("{signed_in}.\n"));
    let path = cli.config_dir().join("credentials.json");
    let bob = fs::read_to_string(&path).unwrap().replace("\"u1\"", "\"u2\"").replace(ANN, "bob@example.com");
    fs::write(&path, bob).unwrap();
    assert_eq!(login("work"), format!("{signed_in}, in place of bob@example.com (users).\n"));
}

#[test]
fn files_hold_what_they_should_and_no_more() {
    let (fake, cli, token) = signed_in();
    let url = fake.url();
    assert_eq!(
        read(&cli, "config.toml"),
        format!("[profile.default]\nurl = \"{url}\"\ncollection = \"users\"\nidentity = \"{ANN}\"\n")
    );
    let credentials: Value = serde_json::from_str(&read(&cli, "credentials.json")).unwrap();
    let record = json!({
        "id": "u1", "collectionId": "_pb_users_auth_", "collectionName": "users", "email": ANN, "name": "Ann",
    });
    assert_eq!(
        credentials,
        json!({ "version": 1, "profiles": { "default": { "origin": url, "token": token, "record": record } } })
    );
    let state: Value = serde_json::from_str(&read(&cli, "state.json")).unwrap();
    assert_eq!(state, json!({ "profile": "default" }));
}

#[test]
fn what_a_login_says() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let cli = Cli::new(&fake.url());
    let output = cli.run_with_stdin(LOGIN, &format!("{PASSWORD}\n"));
    insta::assert_snapshot!(seen(&fake, &cli, &output), @"
    exit 0
    --- stdout ---
    --- stderr ---
    Signed in to URL as ann@example.com (users), until TIME.
    ");
    // Quietly, and with the line ends of another system.
    let output = cli.run_with_stdin([&LOGIN[..], &["-q"]].concat(), &format!("{PASSWORD}\r\nmore\n")).expect(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

#[test]
fn a_url_that_is_an_argument_beats_the_environment_and_is_kept() {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new("http://127.0.0.1:9");
    let copied = format!("{}/_/#/login", fake.url());
    let args = [&LOGIN[..], &[&copied]].concat();
    cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0);
    assert!(read(&cli, "config.toml").contains(&format!("url = \"{}\"\n", fake.url())));
}

#[test]
fn comments_survive_a_login() {
    let (fake, cli, _) = signed_in();
    let path = cli.config_dir().join("config.toml");
    let mine = format!(
        "# My servers.\n\n[profile.other] # do not touch\nurl = \"https://other.example.com\"\n\n\
         [profile.default]   # work\nidentity = \"old@example.com\" # was Bob\nurl = \"{}\" # a\n# end\n",
        fake.url()
    );
    fs::write(&path, &mine).unwrap();
    cli.login("users", ANN, PASSWORD);
    let edited = read(&cli, "config.toml");
    let expected = mine
        .replace("\"old@example.com\" # was Bob", &format!("\"{ANN}\" # was Bob"))
        .replace("# a\n", "# a\ncollection = \"users\"\n");
    for comment in ["# My servers.", "# do not touch", "# work", "# was Bob", "# a", "# end"] {
        assert!(edited.contains(comment), "{comment} is lost:\n{edited}");
    }
    assert_eq!(edited, expected);
}

#[test]
fn a_login_that_changes_nothing_leaves_the_config_alone() {
    let (_fake, cli, _) = signed_in();
    let path = cli.config_dir().join("config.toml");
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&path);
    cli.login("users", ANN, PASSWORD);
    assert_eq!(inode(&path), before);
}

#[test]
fn what_stdin_holds_of_another_encoding() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let cli = Cli::new(&fake.url());
    let login = |args: &[&str], bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).and_then(|()| file.rewind()).unwrap();
        Running::start_with(cli.command(args), file.into()).0.finish()
    };
    // The mark that Windows puts before a text is none of it.
    let marked = |text: &str| format!("\u{feff}{text}\r\n").into_bytes();
    login(&LOGIN, &marked(PASSWORD)).expect(0);
    login(&["login", "--token-stdin"], &marked(&token)).expect(0);

    insta::assert_snapshot!(login(&LOGIN, b"gr\xfc\xdfe\n").expect(2).stderr, @r"
    error: what stdin holds is not text (UTF-8)
    hint: a terminal or a file in another encoding writes letters such as ä in another way: let it use UTF-8
    ");
    assert!(login(&["login", "--token-stdin"], b" \n").expect(2).stderr.contains("stdin holds no token"));
}

#[test]
fn a_login_anew_keeps_what_the_profile_allows() {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    // This machine, by an address that is none of its own.
    let cli = Cli::new(&fake.url().replace("127.0.0.1", "0.0.0.0"));
    let password = format!("{PASSWORD}\n");
    cli.run_with_stdin(LOGIN, &password).expect(2);
    cli.run_with_stdin([&LOGIN[..], &["--allow-http"]].concat(), &password).expect(0);
    let config = read(&cli, "config.toml");
    assert!(config.contains("allow-http = true\n"), "{config}");
    cli.run_with_stdin(LOGIN, &password).expect(0);
    assert_eq!(read(&cli, "config.toml"), config);
}

/// A slip in a custom topic is not offered to be typed again; what has spoken is.
#[test]
fn custom_topics_that_have_spoken_are_remembered() {
    let feed = stream().connect().event(key_of("jobs/done"), json!({ "n": 1 }));
    let fake = healthy_feed().always(FEED, feed).start();
    let cli = Cli::new(&fake.url());
    cli.run(["subscribe", "jobs/done", "jobs/finishd", "-n1"]).expect(0);
    let state = fs::read_to_string(cli.config_dir().join("state.json")).unwrap();
    assert!(state.contains("jobs/done") && !state.contains("finishd"), "{state}");
    let output = cli.run(["subscribe", "jobs/doen", "--duration=0s"]).expect(0);
    assert!(output.stderr.contains("hint: did you mean jobs/done?\n"), "{}", output.stderr);
}

/// What was seen is remembered where that costs no time.
#[test]
fn a_lock_that_is_held_stops_no_watch() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    fs::create_dir(cli.config_dir()).unwrap();
    let lock = fs::File::create(cli.config_dir().join("lock")).unwrap();
    lock.lock().unwrap();
    for args in [&["subscribe", "posts/*", "--duration", "0s"][..], &["topics", "posts/*"]] {
        let output = cli.run(args).expect(0);
        assert!(output.took < SOON, "{args:?} took {:?}", output.took);
    }
    assert!(!cli.config_dir().join("state.json").exists());
    drop(lock);
    cli.run(["topics", "posts/*"]).expect(0);
    assert!(read(&cli, "state.json").contains("posts"));
}

#[test]
fn a_failed_login_keeps_the_old_one() {
    let (_fake, cli, token) = signed_in();
    let before = [read(&cli, "config.toml"), read(&cli, "credentials.json"), read(&cli, "state.json")];
    cli.run_with_stdin(LOGIN, "wrong\n").expect(4);
    cli.run_with_stdin(["login", "--identity", "bob", "--password-stdin"], &format!("{PASSWORD}\n")).expect(4);
    assert_eq!([read(&cli, "config.toml"), read(&cli, "credentials.json"), read(&cli, "state.json")], before);
    assert!(before[1].contains(&token));
}

#[test]
fn many_logins_at_once_lose_nothing() {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new(&fake.url());
    let names: Vec<_> = (0..8).map(|n| format!("p{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            let cli = &cli;
            scope.spawn(move || {
                let args = [&LOGIN[..], &["--profile", name]].concat();
                cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0);
            });
        }
    });
    for name in &names {
        let output = cli.run(["status", "--offline", "--json", "--profile", name]).expect(0);
        assert_eq!(objects(&output.stdout)[0]["valid"], true, "{name}");
        assert!(read(&cli, "config.toml").contains(&format!("[profile.{name}]")), "{name} is not in config.toml");
    }
}

// ---------------------------------------------------------------------------------------------
// Where the token goes

#[test]
fn the_token_goes_with_every_request_but_the_login() {
    let (fake, cli, token) = signed_in();
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    for request in fake.requests() {
        let expected = match request.path.as_str() {
            "/api/health" | "/api/collections/users/auth-with-password" => None,
            _ => Some(token.as_str()),
        };
        assert_eq!(request.header("authorization"), expected, "{}", request.target());
    }
    assert!(!fake.requests_to(SUBMIT).is_empty() && !fake.requests_to(REFRESH).is_empty());
}

#[test]
fn a_guest_sends_none() {
    let (fake, cli, _) = signed_in();
    let before = fake.requests().len();
    cli.run(["subscribe", "posts/*", "--duration", "0s", "--guest"]).expect(0);
    cli.run(["topics", "posts/*", "--guest"]).expect(0);
    assert!(fake.requests()[before..].iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn another_url_gets_no_token_and_that_is_said() {
    let (_fake, cli, _) = signed_in();
    let other = healthy_posts().start();
    let url = other.url();
    let at_other = |args: &[&str]| cli.run([args, &["--url", &url]].concat());

    let output = at_other(&["subscribe", "posts/*", "--duration", "0s", "--lifecycle", "none"]).expect(0);
    let said = |output: &Output| {
        let text = block(output).replace(&url, "OTHER").replace(&_fake.url(), "URL");
        text.replace(cli.config_dir().to_str().unwrap(), "CONFIG")
    };
    insta::assert_snapshot!(said(&output), @"
    exit 0
    --- stdout ---
    --- stderr ---
    warning: the profile's login belongs to URL and is not sent to OTHER: watching as a guest
    ");
    insta::assert_snapshot!(said(&at_other(&["topics", "posts/*"]).expect(0)), @"
    exit 0
    --- stdout ---
    posts/*  ok  its records can be listed
    --- stderr ---
    warning: the profile's login belongs to URL: asking as a guest
    ");
    insta::assert_snapshot!(said(&at_other(&["status"]).expect(4)), @"
    exit 4
    --- stdout ---
    profile  default
    server   OTHER (from --url), reachable, PocketBase
    login    none here: the profile's login belongs to URL
    token    none in use
    shadowed BOSBASE_URL (URL), by --url
    shadowed the profile's server (URL), by --url
    --- stderr ---
    error: there is no valid login
    hint: sign in: bosbase-watch login OTHER
    ");
    assert!(other.requests().iter().all(|request| request.header("authorization").is_none()));
    assert!(other.requests().iter().all(|request| request.header("cookie").is_none()));
    assert!(!other.requests_to(SUBMIT).is_empty());

    // A path below the same origin is the same server.
    let below = format!("{}/_/", _fake.url());
    cli.run(["status", "--url", &below]).expect(0);
}

#[test]
fn the_environment_beats_the_profile() {
    let (fake, cli, saved) = signed_in();
    let token = token_for(2_000_000);
    let second = with_ann(healthy_posts(), &token).start();
    let cli = cli.with("BOSBASE_TOKEN", &token);
    let before = fake.requests().len();
    // It goes to whichever server is meant.
    cli.run(["subscribe", "posts/*", "--duration", "0s", "--url", &second.url()]).expect(0);
    assert!(second.requests_to(FEED)[0].header("authorization") == Some(token.as_str()));
    assert_eq!(fake.requests().len(), before);
    let output = cli.run(["status", "--url", &second.url()]).expect(0);
    let text = until(&block(&output)).replace(&second.url(), "SECOND").replace(&fake.url(), "URL");
    insta::assert_snapshot!(text, @"
    exit 0
    --- stdout ---
    profile  default
    server   SECOND (from --url), reachable, PocketBase
    login    ann@example.com (users), valid, until TIME
    token    from BOSBASE_TOKEN, which stands before the profile's; not kept
    shadowed BOSBASE_URL (URL), by --url
    shadowed the profile's server (URL), by --url
    shadowed the profile's login, by BOSBASE_TOKEN
    --- stderr ---
    ");
    assert!(read(&cli, "credentials.json").contains(&saved), "what is kept stays as it is");
    // The first server does not know it. Another login would not be used.
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(4);
    let output = cli.run(["status"]).expect(4);
    let hint = "\nhint: put a valid token into BOSBASE_TOKEN, or unset it and sign in again: bosbase-watch login ";
    assert!(output.stderr.contains(hint), "{}", output.stderr);
    // One that does not say whose it is.
    let opaque = Cli::new(&fake.url()).with("BOSBASE_TOKEN", "a-key-of-a-gateway").run(["status"]).expect(4);
    assert!(opaque.stdout.contains("\nlogin    an unknown account, not valid: "), "{}", opaque.stdout);
}

#[test]
fn a_token_in_a_file() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{token}\n")).unwrap();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN_FILE", file.path().to_str().unwrap());
    let output = cli.run(["status", "--json"]).expect(0);
    assert_eq!(objects(&output.stdout)[0]["token"], "BOSBASE_TOKEN_FILE");
    // An empty variable is none.
    cli.with("BOSBASE_TOKEN", "").run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!(fake.requests_to(FEED)[0].header("authorization"), Some(token.as_str()));
}

#[test]
fn a_variable_without_a_token() {
    let token = token_for(1_000_000);
    let fake = with_ann(healthy_posts(), &token).start();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let said = |cli: &Cli, args: &[&str]| cli.run(args).expect(2).stderr.replace(path, "FILE");
    let of_file = "error: BOSBASE_TOKEN_FILE: FILE holds no token\n\
                   hint: put one there, or unset BOSBASE_TOKEN_FILE\n";
    let watch = ["subscribe", "posts/*", "--duration", "0s"];
    let commands = [&["status"][..], &["status", "--offline"], &["topics", "posts/*"], &["topics"], &watch];
    for text in ["", " \n", "\u{feff}\r\n"] {
        fs::write(path, text).unwrap();
        let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN_FILE", path);
        for args in commands {
            assert_eq!(said(&cli, args), of_file, "{args:?} {text:?}");
        }
    }
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", " ");
    assert_eq!(said(&cli, &watch), of_file.replace("BOSBASE_TOKEN_FILE: FILE", "BOSBASE_TOKEN").replace("_FILE", ""));
    fs::write(path, b"\xff\xfet\0").unwrap();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN_FILE", path);
    assert!(said(&cli, &watch).contains("FILE cannot be read: it is not text (UTF-8)"));
    assert!(fake.requests().is_empty());
    // What Windows puts before a text is none of it.
    fs::write(path, format!("\u{feff}{token}\r\n")).unwrap();
    cli.run(["status"]).expect(0);
}

// ---------------------------------------------------------------------------------------------
// Renewal

#[test]
fn a_token_that_ends_soon_is_renewed_and_kept() {
    let (old, new) = (token_for(3600), token_for(1_000_000));
    let (known, answer_with) = (old.clone(), new.clone());
    let refresh = answer(move |request| match request.header("authorization") {
        Some(token) if token == known || token == answer_with => ok(json!({ "token": answer_with, "record": ann() })),
        _ => error(401, "The request requires valid record authorization token."),
    });
    let fake = with_ann(healthy_posts(), &old).always(REFRESH, refresh).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!(fake.requests_to(FEED)[0].header("authorization"), Some(new.as_str()));
    let kept = read(&cli, "credentials.json");
    assert!(kept.contains(&new) && !kept.contains(&old));
    assert_eq!(mode(&cli.config_dir().join("credentials.json")), 0o600);

    // From the environment it is renewed in memory only.
    let before = read(&cli, "credentials.json");
    let cli = cli.with("BOSBASE_TOKEN", &old);
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!(fake.requests_to(FEED)[1].header("authorization"), Some(new.as_str()));
    assert_eq!(read(&cli, "credentials.json"), before);
}

// ---------------------------------------------------------------------------------------------
// status and logout

#[test]
fn status_of_a_login() {
    let (fake, cli, _) = signed_in();
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["status"]).expect(0)), @"
    exit 0
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), reachable, PocketBase
    login    ann@example.com (users), valid, until TIME
    token    kept in CONFIG/credentials.json, readable by its owner only
    --- stderr ---
    ");
    let output = cli.run(["status", "--json"]).expect(0);
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (1, ""));
    let mut status = objects(&output.stdout).remove(0);
    let expires = status["auth"]["expires"].take();
    assert!(expires.as_str().unwrap().ends_with('Z'), "{expires}");
    assert_eq!(
        status,
        json!({
            "profile": "default", "url": fake.url(), "server": "PocketBase", "reachable": true, "valid": true,
            "auth": { "id": "u1", "collection": "users", "name": ANN, "expires": null }, "token": "profile",
            "clock_ms": 0, "shadowed": [],
        })
    );
}

/// Every pair of a flag, a variable and the profile, of which only one is used.
#[test]
fn what_is_set_and_not_used() {
    let (fake, cli, token) = signed_in();
    let second = [&LOGIN[..], &["--profile", "second"]].concat();
    cli.run_with_stdin(second, &format!("{PASSWORD}\n")).expect(0);
    let shadowed = |cli: &Cli, args: &[&str]| {
        let args = [&["status", "--offline"], args].concat();
        let text = cli.run(&args).stdout.replace(&fake.url(), "URL");
        let rows = objects(&cli.run([&args[..], &["--json"]].concat()).stdout)[0]["shadowed"].take();
        let rows = rows.as_array().unwrap().iter();
        let rows = rows.map(|row| {
            let word = |key: &str| row[key].as_str().unwrap_or("-").replace(&fake.url(), "URL");
            format!("{} {} {} {}", word("setting"), word("by"), word("hidden"), word("value"))
        });
        let lines = text.lines().filter_map(|line| line.strip_prefix("shadowed ").map(str::to_owned));
        lines.chain(rows).collect::<Vec<_>>()
    };
    // The variable says what the profile says: nothing is hidden.
    assert_eq!(shadowed(&cli, &[]), [""; 0]);
    assert_eq!(shadowed(&cli, &["--profile", "second"]), [""; 0]);
    assert_eq!(
        shadowed(&cli, &["--profile", "default"]),
        ["the current profile (second), by --profile", "profile --profile profile second"]
    );
    assert_eq!(
        shadowed(&cli, &["--url", "http://127.0.0.1:9"]),
        [
            "BOSBASE_URL (URL), by --url",
            "the profile's server (URL), by --url",
            "url --url BOSBASE_URL URL",
            "url --url profile URL",
        ]
    );
    let cli = cli.with("BOSBASE_URL", "http://127.0.0.1:9").with("BOSBASE_PROFILE", "default");
    assert_eq!(
        shadowed(&cli, &[]),
        [
            "the current profile (second), by BOSBASE_PROFILE",
            "the profile's server (URL), by BOSBASE_URL",
            "profile BOSBASE_PROFILE profile second",
            "url BOSBASE_URL profile URL",
        ]
    );
    assert_eq!(
        shadowed(&cli, &["-p", "second", "--url", &fake.url()]),
        [
            "BOSBASE_PROFILE (default), by --profile",
            "BOSBASE_URL (http://127.0.0.1:9), by --url",
            "profile --profile BOSBASE_PROFILE default",
            "url --url BOSBASE_URL http://127.0.0.1:9",
        ]
    );
    let cli = cli.with("BOSBASE_URL", &fake.url()).with("BOSBASE_PROFILE", "").with("BOSBASE_TOKEN", &token);
    let cli = cli.with("BOSBASE_TOKEN_FILE", "/no/such/file");
    assert_eq!(
        shadowed(&cli, &[]),
        [
            "BOSBASE_TOKEN_FILE (/no/such/file), by BOSBASE_TOKEN",
            "the profile's login, by BOSBASE_TOKEN",
            "token BOSBASE_TOKEN BOSBASE_TOKEN_FILE /no/such/file",
            "token BOSBASE_TOKEN profile -",
        ]
    );
}

#[test]
fn a_profile_that_is_not_there() {
    let (fake, cli, _) = signed_in();
    let said = |args: &[&str]| format!("$ {}\n{}\n", args.join(" "), seen(&fake, &cli, &cli.run(args)));
    let runs = [
        &["subscribe", "posts/*", "--profile", "prdo"][..],
        &["topics", "--guest", "--profile", "prdo"],
        &["status", "--profile", "prdo"],
        &["logout", "--profile", "prdo"],
    ];
    let mut all: String = runs.map(said).concat();
    let cli = Cli::without_url().with("BOSBASE_PROFILE", "work");
    all.push_str(&format!("$ BOSBASE_PROFILE=work status\n{}", block(&cli.run(["status"]))));
    insta::assert_snapshot!(all, @"
    $ subscribe posts/* --profile prdo
    exit 2
    --- stdout ---
    --- stderr ---
    error: there is no profile prdo
    hint: the profiles: default; a new one: bosbase-watch login URL --profile prdo

    $ topics --guest --profile prdo
    exit 2
    --- stdout ---
    --- stderr ---
    error: there is no profile prdo
    hint: the profiles: default; a new one: bosbase-watch login URL --profile prdo

    $ status --profile prdo
    exit 2
    --- stdout ---
    --- stderr ---
    error: there is no profile prdo
    hint: the profiles: default; a new one: bosbase-watch login URL --profile prdo

    $ logout --profile prdo
    exit 2
    --- stdout ---
    --- stderr ---
    error: there is no profile prdo
    hint: the profiles: default

    $ BOSBASE_PROFILE=work status
    exit 2
    --- stdout ---
    --- stderr ---
    error: there is no profile work (from BOSBASE_PROFILE)
    hint: bosbase-watch login URL --profile work makes it
    ");
    // Signing in makes it.
    let args = [&LOGIN[..], &["--profile", "prdo"]].concat();
    let (fake, cli, _) = signed_in();
    cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0);
    cli.run(["status", "--profile", "prdo"]).expect(0);
    drop(fake);
}

#[test]
fn a_config_dir_that_others_can_enter() {
    let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
    let cli = Cli::new(&fake.url());
    fs::create_dir(cli.config_dir()).unwrap();
    fs::set_permissions(cli.config_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let login = cli.run_with_stdin(LOGIN, &format!("{PASSWORD}\n"));
    let said = login.stderr.lines().filter(|line| !line.starts_with("Signed in")).collect::<Vec<_>>().join("\n");
    let said = said.replace(cli.config_dir().to_str().unwrap(), "CONFIG");
    insta::assert_snapshot!(said, @"
    warning: others can enter the config directory CONFIG (mode 0755)
    hint: chmod 700 'CONFIG'
    ");
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["status"]).expect(0)), @"
    exit 0
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), reachable, PocketBase
    login    ann@example.com (users), valid, until TIME
    token    kept in CONFIG/credentials.json, readable by its owner only
    warning  others can enter the config directory CONFIG (mode 0755): chmod 700 'CONFIG'
    --- stderr ---
    ");
    // What the hint says, helps.
    fs::set_permissions(cli.config_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let output = cli.run(["status"]).expect(0);
    assert!(!output.stdout.contains("others can enter"), "{}", output.stdout);
}

#[test]
fn status_offline_asks_nothing() {
    let (fake, cli, _) = signed_in();
    let before = fake.requests().len();
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["status", "--offline"]).expect(0)), @"
    exit 0
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), not asked
    login    ann@example.com (users), valid, until TIME
    token    kept in CONFIG/credentials.json, readable by its owner only
    --- stderr ---
    ");
    let status = objects(&cli.run(["status", "--offline", "--json"]).expect(0).stdout).remove(0);
    assert_eq!((&status["reachable"], &status["valid"]), (&Value::Null, &json!(true)));
    assert_eq!(fake.requests().len(), before);
}

#[test]
fn status_without_a_login() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["status"]).expect(4)), @"
    exit 4
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), reachable, PocketBase
    login    none: a guest
    token    none in use
    --- stderr ---
    error: there is no valid login
    hint: sign in: bosbase-watch login URL
    ");
    let output = cli.run(["status", "--json"]).expect(4);
    let text = output.stdout.replace(&fake.url(), "URL");
    insta::assert_snapshot!(text, @r#"
    {"profile":"default","url":"URL","server":"PocketBase","reachable":true,"valid":false,"auth":null,"token":null,"clock_ms":0,"shadowed":[]}
    "#);
    assert!(!cli.config_dir().exists(), "looking leaves nothing behind");
}

#[test]
fn status_of_logins_that_are_over() {
    // Expired by its own word, and revoked by the server.
    for (token, what) in [(token_for(-60), "expired"), (token_for(2_000_000), "no longer accepts")] {
        let fake = with_ann(healthy_posts(), &token_for(1_000_000)).start();
        let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token);
        let output = cli.run(["status"]).expect(4);
        assert!(output.stdout.contains("not valid") && output.stdout.contains(what), "{}", output.stdout);
        let status = objects(&cli.run(["status", "--json"]).expect(4).stdout).remove(0);
        assert_eq!((&status["reachable"], &status["valid"]), (&json!(true), &json!(false)));
    }
}

#[test]
fn status_of_a_server_that_is_down() {
    let (fake, cli, _) = signed_in();
    fake.refuse();
    let output = cli.run(["status"]).expect(6);
    let text = seen(&fake, &cli, &output).replace(&fake.address().to_string(), "HOST:PORT");
    insta::assert_snapshot!(text, @"
    exit 6
    --- stdout ---
    profile  default
    server   URL (from BOSBASE_URL), nothing listens at HOST:PORT: connection refused
    login    ann@example.com (users), until TIME, not checked
    token    kept in CONFIG/credentials.json, readable by its owner only
    --- stderr ---
    error: nothing listens at HOST:PORT: connection refused
    hint: is the server running? try: curl URL/api/health
    ");
    let status = objects(&cli.run(["status", "--json"]).expect(6).stdout).remove(0);
    assert_eq!((&status["reachable"], &status["valid"]), (&json!(false), &Value::Null));
}

#[test]
fn logout_forgets() {
    let (fake, cli, token) = signed_in();
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["logout"]).expect(0)), @"
    exit 0
    --- stdout ---
    --- stderr ---
    The login of the profile default is forgotten. The token itself stays valid until it expires.
    ");
    assert!(!read(&cli, "credentials.json").contains(&token));
    assert_eq!(mode(&cli.config_dir().join("credentials.json")), 0o600);
    insta::assert_snapshot!(seen(&fake, &cli, &cli.run(["logout"]).expect(0)), @"
    exit 0
    --- stdout ---
    --- stderr ---
    The profile default has no login.
    ");
    cli.run(["status"]).expect(4);
    // As a guest from here on.
    cli.run(["subscribe", "posts/*", "--duration", "0s"]).expect(0);
    assert_eq!(fake.requests_to(FEED)[0].header("authorization"), None);
    // The profile stays: the next login knows who it was.
    assert!(read(&cli, "config.toml").contains(ANN));
}

#[test]
fn logout_where_nobody_was_signed_in() {
    let cli = Cli::without_url();
    let output = cli.run(["logout"]).expect(0);
    insta::assert_snapshot!(block(&output), @"
    exit 0
    --- stdout ---
    --- stderr ---
    The profile default has no login.
    ");
    assert!(!cli.config_dir().exists());
}

#[test]
fn logout_takes_only_its_own_profile() {
    let (fake, cli, token) = signed_in();
    let args = [&LOGIN[..], &["--profile", "second"]].concat();
    cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(0);
    // The one signed in with last is the one in use.
    let profile = |cli: &Cli| objects(&cli.run(["status", "--json", "--offline"]).stdout)[0]["profile"].clone();
    assert_eq!(profile(&cli), "second");
    cli.run(["logout"]).expect(0);
    assert_eq!(read(&cli, "credentials.json").matches(&token).count(), 1);
    // It is there without a login; another name is a slip.
    let output = cli.run(["logout"]).expect(0);
    assert_eq!(output.stderr, "The profile second has no login.\n");
    let output = cli.run(["logout", "--profile", "secnod"]).expect(2);
    assert_eq!(
        output.stderr,
        "error: there is no profile secnod\nhint: did you mean second? the profiles: default, second\n"
    );
    cli.run(["status", "--profile", "default"]).expect(0);
    let cli = cli.with("BOSBASE_PROFILE", "default");
    assert_eq!(profile(&cli), "default");
    drop(fake);
}

// ---------------------------------------------------------------------------------------------
// Secrets

#[test]
fn secrets_show_nowhere() {
    let token = token_for(1_000_000);
    let script = healthy_posts()
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r1")).reset())
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r2")));
    let fake = with_ann(script, &token).start();
    let cli = Cli::new(&fake.url());
    let login = cli.run_with_stdin([&LOGIN[..], &["-vv"]].concat(), &format!("{PASSWORD}\n")).expect(0);
    let watch = ["subscribe", "posts/*", "PB_CONNECT", "-n", "4", "--max-backoff", "5ms", "-vv"];
    let with_header = [&watch[..], &["--lifecycle", "stdout", "-H", "X-Key: a secret of the rules"]].concat();
    let outputs = [
        login,
        cli.run(["status", "-vv"]).expect(0),
        cli.run(["topics", "posts/*", "-vv"]).expect(0),
        cli.run(with_header).expect(0),
        cli.run_with_stdin([&LOGIN[..], &["-vv"]].concat(), "a wrong password\n").expect(4),
        cli.run(["logout", "-vv"]).expect(0),
    ];
    let ids = fake.client_ids();
    assert_eq!(ids.len(), 2);
    let mut secrets = vec![PASSWORD, "a wrong password", &token, "a secret of the rules", "never to be kept"];
    secrets.push("a%20secret%20of%20the%20rules"); // as it stands in the key of a topic
    secrets.extend(token.split('.').skip(1));
    secrets.extend(ids.iter().map(String::as_str));
    for output in &outputs {
        for secret in &secrets {
            let shown = [&output.stdout, &output.stderr].iter().any(|text| text.contains(secret));
            assert!(!shown, "{secret} shows:\n{}\n{}", output.stdout, output.stderr);
        }
    }
    // Each request with its status, each frame with its data; the options of a topic are left out.
    let short = |id: &str| id.chars().take(3).collect::<String>() + "…";
    for line in [
        "http: POST /api/realtime 204 ".to_owned(),
        format!("stream: {0} PB_CONNECT {{\"clientId\":\"{0}\"}}\n", short(&ids[0])),
        format!("stream: {} posts/*?… {{\"action\":\"create\",\"record\":{{\"id\":\"r1\"}}}}\n", short(&ids[0])),
        format!("stream: {} ends: ", short(&ids[0])),
    ] {
        assert!(outputs[3].stderr.contains(&line), "no {line} in\n{}", outputs[3].stderr);
    }
    assert!(outputs[1].stderr.starts_with("http: GET /api/health 200 "), "{}", outputs[1].stderr);
    // Who asks for requests gets no frames.
    let less = cli.run(["subscribe", "posts/*", "--guest", "--duration", "0s", "-v"]).expect(0);
    assert!(less.stderr.contains("http: ") && !less.stderr.contains("stream: "), "{}", less.stderr);
    let nowhere = cli.run(["status", "-v", "--url", "http://127.0.0.1:9"]).expect(6);
    assert!(nowhere.stderr.starts_with("http: GET /api/health ") && nowhere.stderr.contains("ms: nothing listens"));
    for file in ["config.toml", "state.json", "credentials.json"] {
        assert!(!read(&cli, file).contains(PASSWORD) && !read(&cli, file).contains("never to be kept"));
    }
}

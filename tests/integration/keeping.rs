//! One login that several processes use, renew and keep; processes that are killed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::fake::*;

const REFRESH: &str = "POST /api/collections/_pb_users_auth_/auth-refresh";
const LOGIN: [&str; 4] = ["login", "--identity", ANN, "--password-stdin"];
const ONCE: [&str; 4] = ["subscribe", "posts/*", "--duration", "0s"];

/// A server that gives `first` to whoever signs in, and accepts and renews tokens as told: `(old, new)`.
fn renewing(first: &str, accepted: &[(&str, &str)]) -> Script {
    let accepted: Vec<(String, String)> =
        accepted.iter().map(|(old, new)| ((*old).to_owned(), (*new).to_owned())).collect();
    let refresh = answer(move |request: &Request| {
        let new = accepted.iter().find(|(old, _)| request.header("authorization") == Some(old.as_str()));
        match new {
            Some((_, new)) => ok(json!({"token": new, "record": ann()})),
            None => error(401, "The request requires valid record authorization token."),
        }
    });
    with_ann(healthy_posts(), first).always(REFRESH, refresh)
}

fn credentials(cli: &Cli) -> std::path::PathBuf {
    cli.config_dir().join("credentials.json")
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What another process would have written.
fn put(cli: &Cli, token: &str) {
    let path = credentials(cli);
    let mut kept = read(&path);
    kept["profiles"]["default"]["token"] = token.into();
    fs::write(path, kept.to_string()).unwrap();
}

fn kept(cli: &Cli) -> String {
    read(&credentials(cli))["profiles"]["default"]["token"].as_str().unwrap().to_owned()
}

fn tokens(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.header("authorization").unwrap_or("none")).collect()
}

// ---------------------------------------------------------------------------------------------
// What one renews, all have

#[test]
fn a_watch_uses_what_another_process_has_renewed() {
    let (old, new) = (token_for(900_000), token_for(1_000_000));
    let fake = renewing(&old, &[(&old, &old), (&new, &new)]).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    let running = cli.watch(["posts/*", "--no-check"]);
    put(&cli, &new);
    fake.end_streams();
    running.wait_for_line(|line| line.contains(r#""type":"refreshed""#));
    fake.wait_for_requests(2, SUBMIT, PATIENCE);
    assert_eq!(tokens(&fake.requests_to(SUBMIT)), [old.as_str(), &new]);
    running.stop().expect(130);
    assert_eq!(kept(&cli), new);
}

#[test]
fn a_renewal_waits_for_the_lock_and_finds_it_done() {
    let (old, new, other) = (token_for(3_600), token_for(7_200), token_for(9_000));
    let fake = renewing(&old, &[(&old, &other), (&new, &other)]).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    // Another process is at it.
    let lock = File::options().write(true).open(cli.config_dir().join("lock")).unwrap();
    lock.lock().unwrap();
    let mut command = cli.command(ONCE);
    command.arg("-v");
    let running = crate::support::cli::Running::start(command);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(fake.requests_to(REFRESH).len(), 0, "it waits");
    put(&cli, &new);
    lock.unlock().unwrap();
    running.finish().expect(0);
    // Proved, and not renewed once more.
    assert_eq!(tokens(&fake.requests_to(REFRESH)), [new.as_str()]);
    assert_eq!(tokens(&fake.requests_to(SUBMIT)), [new.as_str()]);
    assert_eq!(kept(&cli), new);
}

#[test]
fn signed_in_again_after_the_token_was_revoked() {
    // The new one does not last longer, and is not expired either.
    let (revoked, new) = (token_for(1_000_000), token_for(900_000));
    let fake =
        renewing(&revoked, &[(&new, &new)]).then(REFRESH, ok(json!({"token": revoked, "record": ann()}))).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    let running = cli.watch(["posts/*", "--no-check"]);
    put(&cli, &new);
    fake.end_streams();
    fake.wait_for_requests(2, SUBMIT, PATIENCE);
    assert_eq!(tokens(&fake.requests_to(SUBMIT)), [revoked.as_str(), &new]);
    running.stop().expect(130);
}

#[test]
fn a_renewal_brings_no_login_back() {
    let (old, new) = (token_for(3_600), token_for(7_200));
    let gate = answer({
        let (old, new) = (old.clone(), new.clone());
        move |request: &Request| match request.header("authorization") == Some(old.as_str()) {
            true => ok(json!({"token": new, "record": ann()})).after_gate("renew"),
            false => ok(json!({"token": new, "record": ann()})),
        }
    });
    let fake = with_ann(healthy_posts(), &old).always(REFRESH, gate).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    let running = cli.start(ONCE);
    fake.wait_for_request(REFRESH, PATIENCE);
    // Signed out, and in as somebody else, meanwhile: as it stands in the file.
    let somebody = json!({"version": 1, "profiles": {}});
    fs::write(credentials(&cli), somebody.to_string()).unwrap();
    fake.open("renew");
    running.finish().expect(0);
    assert_eq!(tokens(&fake.requests_to(SUBMIT)), [new.as_str()]);
}

#[test]
fn what_cannot_be_kept_is_said() {
    let (old, new) = (token_for(3_600), token_for(1_000_000));
    let fake = renewing(&old, &[(&old, &new), (&new, &new)]).start();
    let cli = Cli::new(&fake.url());
    cli.login("users", ANN, PASSWORD);
    // The lock cannot be had.
    let lock = cli.config_dir().join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let output = cli.run([&ONCE[..], &["--lifecycle", "none"]].concat()).expect(0);
    let said = output.stderr.replace(cli.config_dir().to_str().unwrap(), "CONFIG");
    insta::assert_snapshot!(said, @"warning: the renewed token could not be kept: cannot lock CONFIG/lock: Is a directory (os error 21)");
    assert_eq!(tokens(&fake.requests_to(SUBMIT)), [new.as_str()]);
    assert_eq!(kept(&cli), old, "the file is as it was");
    // Quietly it works just as well.
    assert_eq!(cli.run([&ONCE[..], &["-q"]].concat()).expect(0).stderr, "");
}

// ---------------------------------------------------------------------------------------------
// Processes that are killed

/// Nothing is ever torn, or readable by others, whenever a process is killed;
/// and what it left aside goes with the next write.
#[test]
fn killed_at_any_moment() {
    let seconds = AtomicI64::new(1_000);
    let issued = move || ok(json!({"token": token_for(seconds.fetch_add(1, Ordering::Relaxed)), "record": ann()}));
    let issued = std::sync::Arc::new(issued);
    let renewed = std::sync::Arc::clone(&issued);
    let fake = with_ann(healthy_posts(), &token_for(900))
        .always("POST /api/collections/users/auth-with-password", answer(move |_| issued()))
        .always(REFRESH, answer(move |_| renewed()))
        .start();
    let cli = Cli::new(&fake.url());
    let whole = std::time::Instant::now();
    cli.login("users", ANN, PASSWORD);
    let longest = whole.elapsed().min(Duration::from_millis(200));
    let mut kept_before = 0;
    for round in 0..200_u32 {
        let args = if round % 2 == 0 { &LOGIN[..] } else { &["status"] };
        let mut running = cli.start_typing(args);
        if round % 2 == 0 {
            running.type_line(PASSWORD);
        }
        std::thread::sleep(longest.mul_f64(fastrand::f64()));
        drop(running); // SIGKILL
        let mode = |path: &Path| fs::metadata(path).map(|it| it.permissions().mode() & 0o777).unwrap_or(0);
        assert_eq!(mode(&cli.config_dir()), 0o700, "round {round}");
        for entry in fs::read_dir(cli.config_dir()).unwrap().flatten() {
            let path = entry.path();
            assert!(matches!(mode(&path), 0o600 | 0), "round {round}: {}", path.display());
            kept_before += usize::from(path.extension().is_some_and(|end| end == "tmp"));
        }
        let kept = read(&credentials(&cli));
        assert!(kept["profiles"]["default"]["token"].as_str().is_some(), "round {round}: {kept}");
        fs::read_to_string(cli.config_dir().join("config.toml")).unwrap().parse::<toml_edit::DocumentMut>().unwrap();
    }
    cli.login("users", ANN, PASSWORD);
    cli.run(["status"]).expect(0);
    let left: Vec<_> = fs::read_dir(cli.config_dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    let left: Vec<_> = left.iter().filter(|name| name.to_string_lossy().contains("credentials.json.")).collect();
    assert!(left.is_empty(), "{left:?} of {kept_before} seen stay");
}

/// Nobody writes into it: whoever opened it to read would wait for ever.
#[test]
fn a_pipe_in_place_of_a_file() {
    let fake = renewing("x", &[]).start();
    for (name, runs) in [
        ("credentials.json", &[&ONCE[..], &["status", "--offline"], &["profile", "list"], &LOGIN, &["logout"]][..]),
        ("state.json", &[&ONCE[..], &["status", "--offline"], &["profile", "list"], &LOGIN, &["logout"]]),
        ("config.toml", &[&ONCE[..], &["status", "--offline"], &["profile", "list"], &LOGIN, &["logout"]]),
        ("lock", &[&LOGIN, &["profile", "remove", "default"], &["logout", "--all"]]),
    ] {
        for args in runs {
            let cli = Cli::new(&fake.url());
            fs::create_dir_all(cli.config_dir()).unwrap();
            fs::set_permissions(cli.config_dir(), fs::Permissions::from_mode(0o700)).unwrap();
            let login = json!({ "origin": fake.url(), "token": token_for(3_600) });
            let kept = json!({ "version": 1, "profiles": { "default": login } }).to_string();
            fs::write(credentials(&cli), kept).unwrap();
            fs::set_permissions(credentials(&cli), fs::Permissions::from_mode(0o600)).unwrap();
            let path = cli.config_dir().join(name);
            let _ = fs::remove_file(&path);
            assert!(std::process::Command::new("mkfifo").arg("-m").arg("600").arg(&path).status().unwrap().success());
            let output = cli.run_with_stdin(*args, &format!("{PASSWORD}\n"));
            let (verb, code) = if name == "lock" { ("lock", 1) } else { ("read", 2) };
            let what = if verb == "lock" { "cannot lock " } else { "" };
            let said = format!("error: {what}{}", path.display());
            assert_eq!(output.code, code, "{name} {args:?}: {}", output.stderr);
            assert!(
                output.stderr.starts_with(&said)
                    && output.stderr.contains(": it is not a file, but a pipe or a device\nhint: "),
                "{name} {args:?}: {}",
                output.stderr
            );
        }
    }
}

/// What others can read, and what is no such file, is refused and kept as it is.
#[test]
fn files_that_are_refused_stay_as_they_are() {
    let fake = renewing("x", &[]).start();
    let cli = Cli::new(&fake.url());
    fs::create_dir_all(cli.config_dir()).unwrap();
    let path = credentials(&cli);
    let cases = [
        ("{\"version\": 1, \"profiles\": {", 0o600, "it is broken at line 1"),
        ("{\"version\": 2, \"profiles\": {}, \"new\": true}", 0o600, "was written by a newer version"),
        ("{\"version\": 1, \"profiles\": {}}", 0o640, "holds tokens and can be read by others (mode 0640)"),
    ];
    for (text, mode, why) in cases {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for args in [&ONCE[..], &["status"], &LOGIN, &["logout"]] {
            let output = cli.run_with_stdin(args, &format!("{PASSWORD}\n")).expect(2);
            assert!(output.stderr.contains(why) && output.stderr.contains("\nhint: "), "{args:?}: {}", output.stderr);
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{args:?}");
        }
        if mode != 0o600 {
            let output = cli.run(["status"]).expect(2);
            assert!(output.stderr.contains(&format!("hint: chmod 600 '{}'", path.display())), "{}", output.stderr);
        }
    }
}

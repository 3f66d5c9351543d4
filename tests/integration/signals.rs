//! Ctrl-C, SIGTERM, and readers of stdout that go away or do not read.

use std::io::{BufRead, BufReader, Read as _};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Bare, Cli, PATIENCE};
use crate::support::fake::*;

/// What is promised, and what a busy machine is allowed.
const PROMISED: Duration = Duration::from_millis(200);
const ALLOWED: Duration = Duration::from_secs(1);

fn start(cli: &Cli, args: &[&str]) -> Bare {
    cli.command(args).spawn()
}

/// How many bytes wait in the pipe for the reader.
fn waiting(bare: &Bare) -> u64 {
    rustix::io::ioctl_fionread(bare.stdout.as_ref().unwrap().get_ref()).unwrap()
}

/// Waits until the pipe is as good as full: nobody reads it.
fn wait_until_full(bare: &Bare) {
    let started = Instant::now();
    while waiting(bare) < 50_000 {
        assert!(started.elapsed() < PATIENCE, "only {} bytes", waiting(bare));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The end of a run, and how long that took from now.
#[track_caller]
fn end(bare: &mut Bare) -> (i32, String, Duration) {
    let started = Instant::now();
    let output = bare.end();
    (output.code, output.stderr, started.elapsed())
}

/// What it said at last.
fn last(stderr: &str) -> String {
    timeless_end(stderr.lines().last().unwrap_or_default())
}

#[track_caller]
#[allow(clippy::print_stdout, reason = "what was measured shows with --nocapture, or when a test fails")]
fn in_time(what: &str, took: Duration) {
    println!("{what}: {took:?}");
    if took > PROMISED {
        println!("that is more than the {PROMISED:?} that are promised");
    }
    assert!(took < ALLOWED, "{what}: {took:?}");
}

#[test]
fn a_signal_ends_the_watch_and_the_server_forgets_the_client() {
    for (signal, code, says) in [
        (Signal::HUP, 129, "SIGHUP"),
        (Signal::INT, 130, "^C"),
        (Signal::QUIT, 131, "SIGQUIT"),
        (Signal::TERM, 143, "SIGTERM"),
    ] {
        if signal == Signal::HUP && hangs_up_in_vain() {
            continue;
        }
        let fake = healthy_posts().start();
        let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "posts/*"]);
        bare.wait_for_stderr(|line| line.contains("● connected"));
        fake.wait_for_subscription("posts/*", SOON);
        bare.signal(signal);
        let (exit, stderr, took) = end(&mut bare);
        assert_eq!((exit, last(&stderr)), (code, format!("■ ended        {says} · 0 events · TIME\n")));
        in_time(says, took);
        fake.wait_until_closed(FEED, SOON);
    }
}

#[test]
fn what_was_received_is_printed_before_the_end() {
    let fake = healthy_posts().start();
    let running = Cli::new(&fake.url()).watch(["posts/*"]);
    fake.emit("posts/*", created("r1"));
    running.wait_for_line(|line| line.contains("r1"));
    let output = running.stop().expect(130);
    let end = objects(&output.stdout).pop().unwrap();
    assert_eq!((&end["reason"], &end["exit"], &end["events"]), (&json!("signal"), &json!(130), &json!(1)));
}

#[test]
fn a_signal_before_it_is_live() {
    for (what, script, asked) in [
        ("the check", Script::new().always(LIST, stall()), LIST),
        ("the handshake", Script::new().always(LIST, records()).always(FEED, stall()), FEED),
        ("the topics", healthy_posts().always(SUBMIT, stall()), SUBMIT),
        ("the wait for the next attempt", healthy_posts().always(FEED, error(429, "Too Many Requests.")), FEED),
    ] {
        let fake = script.start();
        let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "posts/*", "--max-retries", "9"]);
        fake.wait_for_request(asked, SOON);
        if what.starts_with("the wait") {
            bare.wait_for_stderr(|line| line.contains("retry in"));
        }
        bare.signal(Signal::INT);
        let (exit, _, took) = end(&mut bare);
        assert_eq!(exit, 130, "{what}");
        in_time(what, took);
    }
}

#[test]
fn a_signal_while_signing_in() {
    let fake = Script::new().always(HEALTH, stall()).start();
    let mut bare = start(&Cli::new(&fake.url()), &["login", "--identity", ANN, "--password-stdin"]);
    fake.wait_for_request(HEALTH, SOON);
    bare.signal(Signal::INT);
    let (exit, _, took) = end(&mut bare);
    assert_eq!(exit, 130);
    in_time("login", took);
}

#[test]
fn a_reader_that_goes_away_while_the_feed_is_quiet() {
    let fake = healthy_posts().start();
    let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "posts/*"]);
    bare.wait_for_stderr(|line| line.contains("● connected"));
    drop(bare.stdout.take());
    let (exit, stderr, took) = end(&mut bare);
    assert_eq!((exit, last(&stderr)), (0, "■ ended        the reader has gone · 0 events · TIME\n".into()));
    in_time("the reader goes", took);
    fake.wait_until_closed(FEED, SOON);
}

#[test]
fn a_reader_that_has_enough_of_a_busy_feed() {
    let fake = healthy_posts().start();
    let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
    bare.wait_for_stderr(|line| line.contains("● connected"));
    let mut reader = BufReader::new(bare.stdout.take().unwrap());
    let mut line = String::new();
    fake.emit("jobs/finished", "1");
    reader.read_line(&mut line).unwrap();
    assert!(line.ends_with("\"data\":1}\n"), "{line}");
    for _ in 0..100 {
        fake.emit_bytes(frame("x", "jobs/finished", "y".repeat(10_000)));
    }
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let (exit, stderr, took) = end(&mut bare);
    assert!(exit == 0 && !stderr.contains("error"), "{exit}: {stderr}");
    in_time("the reader goes", took);
}

#[test]
fn a_reader_that_never_reads() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let fake = healthy_posts().start();
        let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
        bare.wait_for_stderr(|line| line.contains("● connected"));
        fake.wait_for_subscription("jobs/finished", SOON);
        // More than a pipe holds.
        for _ in 0..200 {
            fake.emit_bytes(frame("x", "jobs/finished", "y".repeat(10_000)));
        }
        wait_until_full(&bare);
        bare.signal(signal);
        let (exit, stderr, took) = end(&mut bare);
        assert_eq!(exit, code, "{stderr}");
        in_time("nobody reads", took);
        fake.wait_until_closed(FEED, SOON);
    }
}

/// Prints a busy feed with `-vv`, whose log nobody reads: it is more than a pipe and the buffer
/// hold. Every event comes all the same.
fn with_a_log_that_nobody_reads(fake: &Fake) -> (Bare, impl BufRead, impl BufRead) {
    const EVENTS: usize = 4_000;
    let topic = format!("jobs/{}", "x".repeat(500));
    let (mut bare, stderr) = Cli::new(&fake.url()).command(["subscribe", &topic, "-vv"]).spawn_unread();
    fake.wait_for_subscription(&topic, SOON);
    for n in 0..EVENTS {
        fake.emit(&topic, n.to_string());
    }
    let mut stdout = BufReader::new(bare.stdout.take().unwrap());
    let mut line = String::new();
    for n in 0..EVENTS {
        line.clear();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with(&format!("\"data\":{n}}}\n")), "{n}: {line}");
    }
    (bare, stdout, BufReader::new(stderr))
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let fake = healthy_posts().start();
        let (mut bare, _stdout, mut stderr) = with_a_log_that_nobody_reads(&fake);
        bare.signal(signal);
        let (exit, _, took) = end(&mut bare);
        assert_eq!(exit, code);
        in_time("nobody reads the log", took);
        stderr.read_to_string(&mut String::new()).unwrap();
    }
}

#[test]
fn what_was_left_out_of_the_log_is_said() {
    let fake = healthy_posts().start();
    let (_bare, _stdout, mut stderr) = with_a_log_that_nobody_reads(&fake);
    let mut line = String::new();
    // The pipe is read now, and the next line says what is missing before it.
    let mut lines = 0;
    while !line.contains("lines were left out: nobody read this") {
        if lines == 2_000 {
            fake.emit(&format!("jobs/{}", "x".repeat(500)), "1");
        }
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended after {lines} lines");
        lines += 1;
    }
}

#[test]
fn a_slow_reader_gets_everything_in_the_end() {
    let fake = healthy_posts().start();
    let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished", "-n", "300"]);
    bare.wait_for_stderr(|line| line.contains("● connected"));
    fake.wait_for_subscription("jobs/finished", SOON);
    for n in 0..300 {
        fake.emit_bytes(frame("x", "jobs/finished", format!("{n}{}", " ".repeat(10_000))));
    }
    // The count is reached while the pipe is full; what was counted is still to be read.
    wait_until_full(&bare);
    let mut text = String::new();
    bare.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let numbers: Vec<_> = objects(&text).iter().map(|line| line["data"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    assert_eq!(end(&mut bare).0, 0);
}

#[test]
fn a_second_signal_does_not_wait() {
    let fake = healthy_posts().start();
    let mut bare = start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
    bare.wait_for_stderr(|line| line.contains("● connected"));
    bare.signal(Signal::INT);
    bare.signal(Signal::INT);
    let (exit, _, took) = end(&mut bare);
    assert_eq!(exit, 130);
    in_time("twice", took);
}

/// A terminal that is closed ends a watch as any other signal does; not one that was to outlive it.
#[test]
fn a_terminal_that_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor");
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    if !hangs_up_in_vain() {
        let running = cli.watch(["posts/*", "--cursor", cursor.to_str().unwrap()]);
        fake.emit("posts/*", record("create", json!({ "id": "r1", "updated": "2026-01-01 00:00:00.000Z" })));
        running.wait_for_line(|line| line.contains("r1"));
        // It is written once a second, and may have been.
        let _ = std::fs::remove_file(&cursor);
        running.signal(Signal::HUP);
        let output = running.finish().expect(129);
        assert_eq!(objects(&output.stdout).pop().unwrap()["reason"], "signal");
        assert!(cursor.exists(), "it was written at the end");
    }

    let fake = healthy_posts().start();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" subscribe posts/* -n 1", crate::support::cli::binary()]);
    let cli = Cli::new(&fake.url());
    cli.prepare(&mut shell);
    let running = crate::support::cli::Running::start(shell);
    running.wait_for_stderr(|line| line.contains("● connected"));
    running.signal(Signal::HUP);
    fake.emit("posts/*", created("r1"));
    running.finish().expect(0);
}

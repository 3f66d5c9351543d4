//! Ctrl-C, SIGTERM, and readers of stdout that go away or do not read.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::fake::*;

/// What is promised, and what a busy machine is allowed.
const PROMISED: Duration = Duration::from_millis(200);
const ALLOWED: Duration = Duration::from_secs(1);

/// A run whose stdout is left alone.
struct Bare {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Bare {
    fn start(cli: &Cli, args: &[&str]) -> Self {
        let mut command = cli.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    fn wait_for_stderr(&mut self, wanted: &str) {
        let mut line = String::new();
        while self.stderr.read_line(&mut line).unwrap() > 0 {
            if line.contains(wanted) {
                return;
            }
            line.clear();
        }
        panic!("no {wanted:?} on stderr");
    }

    /// How many bytes wait in the pipe for the reader.
    fn waiting(&self) -> u64 {
        rustix::io::ioctl_fionread(self.child.stdout.as_ref().unwrap()).unwrap()
    }

    /// Waits until the pipe is as good as full: nobody reads it.
    fn wait_until_full(&self) {
        let started = Instant::now();
        while self.waiting() < 50_000 {
            assert!(started.elapsed() < PATIENCE, "only {} bytes", self.waiting());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, what is left on stderr, and how long that took.
    fn end(&mut self) -> (i32, String, Duration) {
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let took = started.elapsed();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        (status.code().unwrap_or(-1), stderr, took)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    for (signal, code, says) in [(Signal::INT, 130, "^C"), (Signal::TERM, 143, "SIGTERM")] {
        let fake = healthy_posts().start();
        let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "posts/*"]);
        bare.wait_for_stderr("● connected");
        fake.wait_for_subscription("posts/*", SOON);
        bare.signal(signal);
        let (exit, stderr, took) = bare.end();
        assert_eq!((exit, timeless_end(&stderr)), (code, format!("■ ended        {says} · 0 events · TIME\n")));
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
        let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "posts/*", "--max-retries", "9"]);
        fake.wait_for_request(asked, SOON);
        if what.starts_with("the wait") {
            bare.wait_for_stderr("retry in");
        }
        bare.signal(Signal::INT);
        let (exit, _, took) = bare.end();
        assert_eq!(exit, 130, "{what}");
        in_time(what, took);
    }
}

#[test]
fn a_signal_while_signing_in() {
    let fake = Script::new().always(HEALTH, stall()).start();
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["login", "--identity", ANN, "--password-stdin"]);
    fake.wait_for_request(HEALTH, SOON);
    bare.signal(Signal::INT);
    let started = Instant::now();
    let status = bare.child.wait().unwrap();
    in_time("login", started.elapsed());
    assert!(!status.success());
}

#[test]
fn a_reader_that_goes_away_while_the_feed_is_quiet() {
    let fake = healthy_posts().start();
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "posts/*"]);
    bare.wait_for_stderr("● connected");
    drop(bare.child.stdout.take());
    let (exit, stderr, took) = bare.end();
    assert_eq!((exit, timeless_end(&stderr)), (0, "■ ended        the reader has gone · 0 events · TIME\n".into()));
    in_time("the reader goes", took);
    fake.wait_until_closed(FEED, SOON);
}

#[test]
fn a_reader_that_has_enough_of_a_busy_feed() {
    let fake = healthy_posts().start();
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
    bare.wait_for_stderr("● connected");
    let mut reader = BufReader::new(bare.child.stdout.take().unwrap());
    let mut line = String::new();
    fake.emit("jobs/finished", "1");
    reader.read_line(&mut line).unwrap();
    assert!(line.ends_with("\"data\":1}\n"), "{line}");
    for _ in 0..100 {
        fake.emit_bytes(frame("x", "jobs/finished", "y".repeat(10_000)));
    }
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let (exit, stderr, took) = bare.end();
    assert!(exit == 0 && !stderr.contains("error"), "{exit}: {stderr}");
    in_time("the reader goes", took);
}

#[test]
fn a_reader_that_never_reads() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let fake = healthy_posts().start();
        let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
        bare.wait_for_stderr("● connected");
        fake.wait_for_subscription("jobs/finished", SOON);
        // More than a pipe holds.
        for _ in 0..200 {
            fake.emit_bytes(frame("x", "jobs/finished", "y".repeat(10_000)));
        }
        bare.wait_until_full();
        bare.signal(signal);
        let (exit, stderr, took) = bare.end();
        assert_eq!(exit, code, "{stderr}");
        in_time("nobody reads", took);
        fake.wait_until_closed(FEED, SOON);
    }
}

/// Prints a busy feed with `-vv`, whose log nobody reads: it is more than a pipe and the buffer
/// hold. Every event comes all the same.
fn with_a_log_that_nobody_reads(fake: &Fake) -> (Bare, BufReader<ChildStdout>) {
    const EVENTS: usize = 4_000;
    let topic = format!("jobs/{}", "x".repeat(500));
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", &topic, "-vv"]);
    fake.wait_for_subscription(&topic, SOON);
    for n in 0..EVENTS {
        fake.emit(&topic, n.to_string());
    }
    let mut stdout = BufReader::new(bare.child.stdout.take().unwrap());
    let mut line = String::new();
    for n in 0..EVENTS {
        line.clear();
        stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with(&format!("\"data\":{n}}}\n")), "{n}: {line}");
    }
    (bare, stdout)
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let fake = healthy_posts().start();
        let (mut bare, _stdout) = with_a_log_that_nobody_reads(&fake);
        bare.signal(signal);
        let (exit, _, took) = bare.end();
        assert_eq!(exit, code);
        in_time("nobody reads the log", took);
    }
}

#[test]
fn what_was_left_out_of_the_log_is_said() {
    let fake = healthy_posts().start();
    let (mut bare, _stdout) = with_a_log_that_nobody_reads(&fake);
    let mut line = String::new();
    // The pipe is read now, and the next line says what is missing before it.
    let mut lines = 0;
    while !line.contains("lines were left out: nobody read this") {
        if lines == 2_000 {
            fake.emit(&format!("jobs/{}", "x".repeat(500)), "1");
        }
        line.clear();
        assert!(bare.stderr.read_line(&mut line).unwrap() > 0, "it ended after {lines} lines");
        lines += 1;
    }
}

#[test]
fn a_slow_reader_gets_everything_in_the_end() {
    let fake = healthy_posts().start();
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished", "-n", "300"]);
    bare.wait_for_stderr("● connected");
    fake.wait_for_subscription("jobs/finished", SOON);
    for n in 0..300 {
        fake.emit_bytes(frame("x", "jobs/finished", format!("{n}{}", " ".repeat(10_000))));
    }
    // The count is reached while the pipe is full; what was counted is still to be read.
    bare.wait_until_full();
    let mut text = String::new();
    bare.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    let numbers: Vec<_> = objects(&text).iter().map(|line| line["data"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    assert_eq!(bare.end().0, 0);
}

#[test]
fn a_second_signal_does_not_wait() {
    let fake = healthy_posts().start();
    let mut bare = Bare::start(&Cli::new(&fake.url()), &["subscribe", "jobs/finished"]);
    bare.wait_for_stderr("● connected");
    bare.signal(Signal::INT);
    bare.signal(Signal::INT);
    let (exit, _, took) = bare.end();
    assert_eq!(exit, 130);
    in_time("twice", took);
}

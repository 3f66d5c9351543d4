//! Where stdout goes: files that are full or rotated, and readers that stop.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Bare, Cli, PATIENCE, secrets};
use crate::support::fake::*;

/// A watch whose stdout goes to a file.
fn written(cli: &Cli, args: &[&str], file: File) -> Bare {
    let mut command = cli.command(args);
    command.stdout(file);
    command.spawn()
}

fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn text(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    secrets::refuse("stdout", &text);
    text
}

#[test]
fn a_full_disk() {
    for args in
        [&["subscribe", "jobs/finished"][..], &["subscribe", "jobs/finished", "-n", "1"], &["wait", "jobs/finished"]]
    {
        let fake = healthy_posts().start();
        let cli = Cli::new(&fake.url());
        let mut watch = written(&cli, args, OpenOptions::new().write(true).open("/dev/full").unwrap());
        fake.wait_for_subscription("jobs/finished", SOON);
        fake.emit("jobs/finished", "1");
        let said = watch.end().expect(1).stderr;
        let told = "error: cannot write to stdout after 0 events: No space left on device (os error 28)\nhint: ";
        assert!(said.contains(told), "{said}");
    }
}

/// Each event is in the file as soon as it is there, and never half of one.
#[test]
fn an_event_is_written_when_it_comes_and_whole() {
    let fake = healthy_posts().start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let cli = Cli::new(&fake.url());
    let mut watch = written(&cli, &["subscribe", "jobs/finished", "-n", "3"], File::create(&file).unwrap());
    fake.wait_for_subscription("jobs/finished", SOON);
    for n in 1..=3 {
        fake.emit("jobs/finished", n.to_string());
        until("the event in the file", SOON, || text(&file).ends_with(&format!("\"data\":{n}}}\n")));
    }
    watch.end().expect(0);
}

/// Rotated by copying and truncating, as logrotate does where it cannot tell the writer.
#[test]
fn a_file_that_is_rotated() {
    let fake = healthy_posts().start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let cli = Cli::new(&fake.url());
    let append = OpenOptions::new().append(true).create(true).open(&file).unwrap();
    let mut watch = written(&cli, &["subscribe", "jobs/finished", "-n", "3"], append);
    fake.wait_for_subscription("jobs/finished", SOON);
    let mut rotated = String::new();
    for n in 1..=3 {
        fake.emit("jobs/finished", n.to_string());
        until("the event in the file", SOON, || text(&file).contains(&format!("\"data\":{n}}}\n")));
        rotated += &text(&file);
        OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    }
    watch.end().expect(0);
    let seen: Vec<Value> = objects(&rotated).into_iter().map(|event| event["data"].clone()).collect();
    assert_eq!(seen, [1, 2, 3]);
    assert_eq!(text(&file), "");
}

/// `bosbase-watch … | cat > FILE`, with a reader that can be stopped.
struct Piped {
    watch: Bare,
    reader: Child,
}

impl Piped {
    fn start(cli: &Cli, args: &[&str], file: &Path) -> Self {
        let mut command = cli.command(args);
        command.stdout(Stdio::piped());
        let mut watch = command.spawn();
        let mut reader = Command::new("cat");
        let reader = reader
            .stdin(watch.stdout.take().unwrap().into_inner())
            .stdout(File::create(file).unwrap())
            .spawn()
            .unwrap();
        Self { watch, reader }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.reader), signal).unwrap();
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.reader.kill();
        let _ = self.reader.wait();
    }
}

/// While the reader stands still everything is received; when it goes on, it
/// gets all of it, in order.
#[test]
fn a_reader_that_stops_gets_everything_when_it_comes_back() {
    const EVENTS: usize = 100_000;
    let fake = healthy_posts().start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let cli = Cli::new(&fake.url());
    let count = EVENTS.to_string();
    let mut piped = Piped::start(&cli, &["subscribe", "posts/*", "-n", &count], &file);
    let client = fake.wait_for_subscription("posts/*", SOON);
    piped.signal(Signal::STOP);
    let key = client.keys.iter().find(|key| key.starts_with("posts/*")).unwrap().clone();
    for batch in 0..EVENTS / 1000 {
        let mut bytes = Vec::new();
        for n in batch * 1000..(batch + 1) * 1000 {
            let data = format!(
                r#"{{"record":{{"id":"r{n:014}","collectionId":"pbc_1","collectionName":"posts","n":{n},"text":"{}"}},"action":"create"}}"#,
                "x".repeat(100)
            );
            bytes.extend(frame(&client.id, &key, data));
        }
        fake.emit_bytes(bytes);
    }
    // All of it has left the server: nothing waits for the reader but here.
    fake.emit("posts/*", created("beyond"));
    std::thread::sleep(Duration::from_millis(300));
    let stopped_at = text(&file).len();
    piped.signal(Signal::CONT);
    piped.watch.end_within(3 * PATIENCE).expect(0);
    piped.reader.wait().unwrap();
    let all = text(&file);
    assert!(stopped_at < all.len() / 2, "the reader did not stand still");
    let mut count = 0;
    for (at, line) in all.lines().enumerate() {
        assert!(line.contains(&format!("\"n\":{at},")), "{at}: {line}");
        count += 1;
    }
    assert_eq!(count, EVENTS);
}

/// Beyond the buffer nothing more is read from the server. Where it gives up
/// on that, it is a loss like any other: told, and read again.
#[test]
fn beyond_the_buffer_the_server_is_made_to_wait() {
    let newest = json!({ "id": "r1", "collectionId": "pbc_1", "collectionName": "posts", "updated": "2030-01-01 00:00:00.000Z", "n": "the last" });
    let fake = healthy_feed().always(LIST, page([newest])).start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events");
    let cli = Cli::new(&fake.url());
    let args = ["subscribe", "posts/*", "--lifecycle", "stdout", "-o", "ndjson", "--max-backoff", "10ms"];
    let piped = Piped::start(&cli, &args, &file);
    let client = fake.wait_for_subscription("posts/*", SOON);
    until("live", SOON, || text(&file).contains("\"type\":\"live\""));
    piped.signal(Signal::STOP);
    let key = client.keys.iter().find(|key| key.starts_with("posts/*")).unwrap().clone();
    // A hundred and fifty megabytes: more than the watch holds and the sockets take.
    let text_of_a_megabyte = "x".repeat(1 << 20);
    for n in 0..150 {
        let data = format!(
            r#"{{"record":{{"id":"r1","collectionId":"pbc_1","collectionName":"posts","updated":"2026-01-01 00:00:00.{n:03}Z","n":{n},"text":"{text_of_a_megabyte}"}},"action":"update"}}"#
        );
        fake.emit_bytes(frame(&client.id, &key, data));
    }
    let memory = || resident_megabytes(piped.watch.id());
    until("the buffer to fill", PATIENCE, || memory() > 64);
    let (mut before, mut looks) = (0, 0);
    until("the watch to stop reading", SOON, || {
        std::thread::sleep(Duration::from_millis(200));
        // On a busy machine it pauses.
        looks = if std::mem::replace(&mut before, memory()) == before { looks + 1 } else { 0 };
        looks == 8
    });
    assert!(before < 140, "{before} MB are held");
    fake.cut_connections();
    piped.signal(Signal::CONT);
    until("the gap to be filled", 2 * PATIENCE, || text(&file).contains("\"n\":\"the last\""));
    until("the gap to be told", SOON, || text(&file).contains("\"type\":\"gap\""));
    let all = text(&file);
    let kinds: Vec<_> = all.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    let lost = kinds.iter().position(|kind| *kind == "disconnected").expect("the loss is told");
    let records = kinds[..lost].iter().filter(|kind| **kind == "record").count();
    assert!((60..150).contains(&records), "{records} came before the loss");
    let gap: Value = serde_json::from_str(all.lines().find(|line| line.contains("\"type\":\"gap\"")).unwrap()).unwrap();
    assert_eq!((&gap["filled"], &gap["unfilled"]), (&json!(["posts/*"]), &json!([])));
}

fn resident_megabytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

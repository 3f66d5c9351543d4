//! `wait`: what the real server cannot be made to do, and readers that do not read.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, Running};
use crate::support::fake::*;

const RECORD: &str = "posts/9f3k2m1x0abcdef";
const VIEW: &str = "GET /api/collections/posts/records/*";

fn the_record() -> Plain {
    ok(json!({ "id": "9f3k2m1x0abcdef", "collectionName": "posts", "title": "here" }))
}

fn missing() -> Plain {
    error(404, "The requested resource wasn't found.")
}

/// It shows in the code and in nothing else whether anybody reads.
#[test]
fn a_closed_stdout_changes_nothing() {
    for (payload, code) in [("1", 0), ("2", 10)] {
        let fake = healthy_posts().start();
        let cli = Cli::new(&fake.url());
        let mut command = cli.command(["wait", "jobs/finished", "--until", ".data == 1", "--fail-if", ".data == 2"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut bare = command.spawn();
        drop(bare.stdout.take());
        fake.wait_for_subscription("jobs/finished", SOON);
        fake.emit("jobs/finished", "0");
        fake.emit("jobs/finished", payload);
        bare.end().expect(code);
    }
    // Not even open, to begin with.
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$0\" wait jobs/finished -q >&-", crate::support::cli::binary()]);
    let running = Running::start(cli.around(shell));
    fake.wait_for_subscription("jobs/finished", SOON);
    fake.emit("jobs/finished", "0");
    running.finish().expect(0);
}

/// Between the check and the subscription it was deleted: no event will tell.
#[test]
fn a_record_that_went_before_it_began() {
    let fake = healthy_feed().times(2, VIEW, the_record()).always(VIEW, missing()).start();
    let output = Cli::new(&fake.url()).run(["wait", RECORD, "--until", ".record.title == \"done\""]).expect(5);
    insta::assert_snapshot!(output.stderr.lines().rev().take(2).collect::<Vec<_>>().join("\n"), @r#"
    hint: where that is what you wait for: --until '.action == "delete"'
    error: posts/9f3k2m1x0abcdef is deleted: what is waited for cannot come any more
    "#);
    // Its deletion may still be under way, and wanted.
    let fake = healthy_feed().times(2, VIEW, the_record()).always(VIEW, missing()).start();
    let running = Cli::new(&fake.url()).start(["wait", RECORD, "--until", ".action == \"delete\""]);
    fake.wait_for_requests(3, VIEW, SOON);
    fake.emit(RECORD, record("delete", json!({ "id": "9f3k2m1x0abcdef" })));
    running.finish().expect(0);
}

#[test]
fn a_present_state_that_cannot_be_read_at_once() {
    let fake = healthy_feed()
        .times(2, VIEW, the_record())
        .then(VIEW, error(503, "Starting."))
        .always(VIEW, the_record())
        .start();
    let output = Cli::new(&fake.url()).run(["wait", RECORD, "--until", ".record.title == \"here\""]).expect(0);
    assert!(output.stdout.contains(r#""action":"initial""#), "{}", output.stdout);
    let fake = healthy_feed()
        .times(2, VIEW, the_record())
        .always(VIEW, error(403, "Only superusers can perform this action."))
        .start();
    let running = Cli::new(&fake.url()).start(["wait", RECORD, "--until", ".action == \"update\""]);
    running.wait_for_stderr(|line| line.contains("! warning      the present state cannot be read: "));
    fake.emit(RECORD, record("update", json!({ "id": "9f3k2m1x0abcdef" })));
    running.finish().expect(0);
}

/// A command is not started where the watch does not come to stand.
#[test]
fn no_command_before_the_acknowledgement() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("started");
    let command = ["--", "touch", file.to_str().unwrap()];
    for (script, code) in [
        (healthy_feed().always(SUBMIT, error(403, "The topic is not for you.")).always(LIST, records()), 5),
        (healthy_feed().always(LIST, missing()), 5),
        (healthy_feed().always(SUBMIT, stall()).always(LIST, records()), 124),
    ] {
        let fake = script.start();
        let args = [&["wait", "posts/*", "--timeout", "700ms"], &command[..]].concat();
        Cli::new(&fake.url()).run(args).expect(code);
        assert!(!file.exists());
    }
    let fake = healthy_posts().start();
    let running = Cli::new(&fake.url()).start([&["wait", "posts/*"], &command[..]].concat());
    let started = std::time::Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(2));
    }
    fake.emit("posts/*", created("r1"));
    running.finish().expect(0);
}

/// Half an emoji, as a hook leaves it that cuts a text in the middle.
#[test]
fn a_text_that_is_cut_in_a_character() {
    let conditions = ["--until", ".data.done", "--fail-if", ".data.error"];
    for (payload, code) in [(r#"{"error":"\ud83d"}"#, 10), (r#"{"done":"\ud83d"}"#, 0), (r#"{"done":1,"\udc00":1}"#, 0)]
    {
        let fake = healthy_posts().start();
        let running = Cli::new(&fake.url()).start([&["wait", "jobs/finished"], &conditions[..]].concat());
        fake.wait_for_subscription("jobs/finished", SOON);
        fake.emit("jobs/finished", payload);
        let output = running.finish().expect(code);
        assert_eq!(data_of(&output), payload);
        assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    }
    let fake = healthy_posts().start();
    let running = Cli::new(&fake.url()).start(["wait", "jobs/finished", "--fail-if", ".data.error"]);
    fake.wait_for_subscription("jobs/finished", SOON);
    fake.emit("jobs/finished", r#"{"error":"\ud83d"}"#);
    running.finish().expect(10);
}

/// The payload of the only message that was printed.
fn data_of(output: &crate::support::cli::Output) -> &str {
    output.stdout.trim_end().split_once(r#""data":"#).unwrap().1.strip_suffix('}').unwrap()
}

/// Whether it is a failure is not known: it is no success. What would not end the wait does not.
#[test]
fn what_cannot_be_evaluated_is_no_success() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (payload, until, why) in [
        (r#"{"error":"disk"}"#, None, "cannot index \"disk\" with \"code\""),
        (r#"{"error":"disk","n":2}"#, Some(".data.n == 2"), "cannot index \"disk\" with \"code\""),
        (&*deep, None, "it is nested more than 10000 levels deep"),
    ] {
        let fake = healthy_posts().start();
        let mut args = vec!["wait", "jobs/finished", "--fail-if", ".data.error.code == 7"];
        args.extend(until.iter().flat_map(|until| ["--until", until]));
        let running = Cli::new(&fake.url()).start(args);
        fake.wait_for_subscription("jobs/finished", SOON);
        fake.emit("jobs/finished", payload);
        let output = running.finish().expect(2);
        assert_eq!(data_of(&output), payload);
        let said = format!(
            "\nerror: whether the event on stdout is a failure is not known: --fail-if '.data.error.code == 7': {why}\nhint: "
        );
        assert!(output.stderr.contains(&said), "{}", output.stderr);
    }
    let fake = healthy_posts().start();
    let args = ["wait", "jobs/finished", "--until", ".data.n == 2", "--fail-if", ".data.error.code == 7"];
    let running = Cli::new(&fake.url()).start(args);
    fake.wait_for_subscription("jobs/finished", SOON);
    fake.emit("jobs/finished", r#"{"error":"disk"}"#);
    fake.emit("jobs/finished", &*deep);
    fake.emit("jobs/finished", r#"{"n":2}"#);
    let output = running.finish().expect(0);
    assert_eq!(output.stderr.matches("! warning      ").count(), 2, "{}", output.stderr);
}

/// After a loss, what changed a moment before the wait began is read again: it ends no wait. Nor does
/// the feed's own word of it, where that comes late.
#[test]
fn what_changed_before_it_began() {
    let stamp = |ago| {
        let at = jiff::Timestamp::now() - Duration::from_millis(ago);
        at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
    };
    for topic in ["posts/*", "posts", RECORD] {
        let old =
            json!({ "id": "9f3k2m1x0abcdef", "collectionName": "posts", "updated": stamp(200), "created": stamp(200) });
        let changed = Arc::new(AtomicBool::new(false));
        let present = {
            let (old, changed) = (old.clone(), Arc::clone(&changed));
            move || {
                let mut record = old.clone();
                if changed.load(Ordering::Relaxed) {
                    record["updated"] = json!(stamp(0));
                }
                record
            }
        };
        let list = present.clone();
        let fake = healthy_posts()
            .always(LIST, answer(move |_: &Request| page([list()])))
            .always(VIEW, answer(move |_: &Request| ok(present())))
            .start();
        let running = Cli::new(&fake.url()).start(["wait", topic, "--max-backoff", "10ms", "--no-initial"]);
        fake.wait_for_subscription(topic, SOON);
        running.wait_for_stderr(|line| line.contains("● connected"));
        fake.close_streams();
        running.wait_for_stderr(|line| line.contains("● reconnected"));
        fake.emit(topic, record("create", old));
        changed.store(true, Ordering::Relaxed);
        fake.close_streams();
        let output = running.finish().expect(0);
        assert!(output.stdout.contains(r#""action":"update","replayed":true"#), "{topic}: {}", output.stdout);
    }
}

/// Whatever ends the wait, its command and what that has started do not stay behind.
#[test]
fn a_signal_ends_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("group");
    for (signal, code) in [(Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        if signal == Signal::HUP && hangs_up_in_vain() {
            continue;
        }
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 60 & wait", file.display());
        let fake = healthy_posts().start();
        let running = Cli::new(&fake.url()).start(["wait", "jobs/finished", "--", "sh", "-c", &script]);
        let group = group_in(&file);
        running.signal(signal);
        running.finish().expect(code);
        wait_until_gone(group);
        std::fs::remove_file(&file).unwrap();
    }
}

/// A deletion is no end while something may still come of another topic.
#[test]
fn one_of_several_records_is_deleted() {
    const OTHER: &str = "posts/9f3k2m1x0abcdeg";
    let gone = |id: &str| record("delete", json!({ "id": id }));
    let until = ["--until", ".record.title == \"done\" or .data.done", "--no-check"];
    let done = json!({ "id": "9f3k2m1x0abcdeg", "title": "done" });
    for other in [OTHER, "posts/*", "jobs/finished"] {
        let fake = healthy_feed().start();
        let running = Cli::new(&fake.url()).start([&["wait", RECORD, other], &until[..]].concat());
        fake.wait_for_subscription(other, SOON);
        running.wait_for_stderr(|line| line.contains("● connected"));
        fake.emit(RECORD, gone("9f3k2m1x0abcdef"));
        let said = format!("! warning      {RECORD} is deleted: only the other topics are waited for");
        running.wait_for_stderr(|line| line.ends_with(&said));
        let event = if other.starts_with("posts") { record("update", done.clone()) } else { json!({ "done": 1 }) };
        fake.emit(other, event);
        running.finish().expect(0);
    }
    let fake = healthy_feed().start();
    let running = Cli::new(&fake.url()).start([&["wait", RECORD, OTHER], &until[..]].concat());
    fake.wait_for_subscription(OTHER, SOON);
    running.wait_for_stderr(|line| line.contains("● connected"));
    fake.emit(OTHER, gone("9f3k2m1x0abcdeg"));
    fake.emit(RECORD, gone("9f3k2m1x0abcdef"));
    let output = running.finish().expect(5);
    let said = format!("\nerror: {RECORD}, {OTHER} are deleted: what is waited for cannot come any more\n");
    assert!(output.stderr.contains(&said), "{}", output.stderr);
    // One of them was not there to begin with, and its deletion is not told.
    let fake = healthy_feed().times(2, VIEW, the_record()).times(2, VIEW, the_record()).always(VIEW, missing()).start();
    let running = Cli::new(&fake.url()).start([&["wait", RECORD, OTHER], &until[..2]].concat());
    fake.wait_for_subscription(OTHER, SOON);
    running.finish().expect(5);
}

/// Rights are in doubt only where nothing came.
#[test]
fn what_came_and_did_not_match() {
    let came = |count: usize| {
        let events = (0..count).fold(stream().connect(), |feed, n| feed.event(key_of("jobs/done"), json!({ "n": n })));
        healthy_feed().always(FEED, events).start()
    };
    let hint = |output: &crate::support::cli::Output| output.stderr.lines().last().unwrap_or_default().to_owned();
    let shows = "bosbase-watch subscribe -o ndjson shows what they are like";
    let fake = came(7);
    let output =
        Cli::new(&fake.url()).run(["wait", "jobs/done", "--until", ".data.n == 9", "--timeout=3s"]).expect(124);
    assert_eq!(hint(&output), format!("hint: 7 events came, and none matched --until: {shows}"));
    let fake = came(1);
    let select = ["subscribe", "jobs/done", "--jq", "select(.data.n == 9)", "--idle-timeout=200ms"];
    let output = Cli::new(&fake.url()).run(select).expect(124);
    assert_eq!(hint(&output), format!("hint: 1 event came, and it has not passed --action and --jq: {shows}"));
    let fake = came(0);
    let output = Cli::new(&fake.url()).run(["subscribe", "jobs/done", "--idle-timeout=200ms"]).expect(124);
    assert!(hint(&output).starts_with("hint: bosbase-watch topics says of each topic "), "{output:?}");
}

/// jq takes it, and whatever comes ends the wait.
#[test]
fn an_assignment_in_a_condition_is_warned_of() {
    let feed = stream().connect().event(key_of("jobs/done"), json!({ "n": 1 }));
    let fake = healthy_feed().always(FEED, feed).start();
    let output = Cli::new(&fake.url()).run(["wait", "jobs/done", "--until", ".data.n = 5"]).expect(0);
    let warning = "warning: --until '.data.n = 5': `=` assigns and is always true: `==` compares\n";
    assert!(output.stderr.starts_with(warning), "{}", output.stderr);
}

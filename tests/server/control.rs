//! `--control` on the real server: what stays loses nothing while the set changes.

use std::collections::{BTreeSet, HashMap};
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{events, guest, post};
use crate::support::cli::Running;
use crate::support::pocketbase::Server;

both_versions!(nothing_is_lost_or_doubled_while_the_set_changes, checks_and_answers);

/// Fifty changes of the set, in so many lines at a time: those that come
/// together are changed together.
const BURSTS: [usize; 10] = [1, 6, 1, 11, 2, 8, 1, 9, 3, 8];

/// The topics that come and go.
const OTHERS: [&str; 7] = [
    "comments/*",
    "documents/*",
    "jobs/started",
    "jobs/failed",
    "messages/*",
    "activity/*",
    "jobs/*?filter=state!=\"x\"",
];

fn nothing_is_lost_or_doubled_while_the_set_changes(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    let command =
        cli.command(["subscribe", "posts/*", "ticks", "--lifecycle", "stdout", "-o", "ndjson", "--control", "-"]);
    let (running, stdin) = Running::start_with(command, Stdio::piped());
    let mut stdin = stdin.unwrap();
    running.wait_for_line(|line| line.contains(r#""type":"live""#));

    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (written, sent) = std::thread::scope(|scope| {
        // About 200 writes and messages a second.
        let writer = scope.spawn(|| {
            let mut sent = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                let count = count.fetch_add(1, Ordering::Relaxed);
                post(&server, &format!("post {count}"));
                // Sending to a connection that goes at this moment may fail in the
                // server itself: then nobody knows who has got it.
                let message = json!({ "topic": "ticks", "data": { "tick": count } });
                if server.request("POST", "/api/lab/emit", None, Some(&message)).0 == 200 {
                    sent.insert(count);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (count.load(Ordering::Relaxed), sent)
        });
        let (mut set, mut changes) = (BTreeSet::from(["posts/*", "ticks"]), 0);
        for (turn, burst) in BURSTS.into_iter().cycle().enumerate() {
            // However slow the machine is, enough is written while the set changes.
            if turn >= BURSTS.len() && count.load(Ordering::Relaxed) > 500 {
                break;
            }
            let mut lines = String::new();
            for _ in 0..burst {
                let topic = OTHERS[changes % OTHERS.len()];
                let name = topic.split('?').next().unwrap();
                let word = if set.remove(name) { "unsubscribe" } else { "subscribe" };
                if word == "subscribe" {
                    set.insert(name);
                }
                lines += &format!("{word} {}\n", if word == "subscribe" { topic } else { name });
                changes += 1;
            }
            stdin.write_all(lines.as_bytes()).unwrap();
            let answered = |line: &str| {
                let line: Value = serde_json::from_str(line).unwrap_or_default();
                let topics = line["topics"].as_array().filter(|_| line["type"] == "subscribed");
                topics.is_some_and(|topics| {
                    topics.iter().map(|topic| topic.as_str().unwrap()).collect::<BTreeSet<_>>() == set
                })
            };
            running.wait_for_last(|line| line.starts_with(r#"{"type":"subscribed""#), answered);
        }
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let last = format!("post {}", written - 1);
    running.wait_for_line(|line| line.contains(&format!("\"{last}\"")));
    running.wait_for_line(|line| line.contains(&format!("{{\"tick\":{}}}", sent.last().unwrap())));
    let output = running.stop().expect(130);

    let mut times: HashMap<String, usize> = HashMap::new();
    for event in events(&output.stdout) {
        let name = event["record"]["title"].as_str().map_or_else(|| event["data"]["tick"].to_string(), str::to_owned);
        assert_eq!(event["replayed"], json!(null), "the feed brought it: {event}");
        *times.entry(name).or_default() += 1;
    }
    for count in 0..written {
        assert_eq!(times.remove(&format!("post {count}")), Some(1), "post {count} of {written}");
        let times = times.remove(&count.to_string());
        assert!(times == Some(1) || !sent.contains(&count), "{count} of {written}: {times:?}");
    }
    assert!(times.is_empty(), "{times:?}");
    assert!(written - sent.len() < 10, "{} of {written} were sent", sent.len());
    server.wait_for_clients(0);
}

fn checks_and_answers(version: &str) {
    let server = Server::start(version);
    let cli = guest(&server);
    let command = cli.command(["subscribe", "posts/*", "--lifecycle", "stdout", "-o", "ndjson", "--control", "-"]);
    let (running, stdin) = Running::start_with(command, Stdio::piped());
    let mut stdin = stdin.unwrap();
    for (line, answer) in [
        ("subscribe nowhere/*", r#""code":"topic-refused","message":"nowhere/*: "#),
        ("subscribe comments/*?filter=text ~", r#""code":"topic-refused","message":"comments/*: "#),
        ("subscribe comments/*?filter=text ~ \"b c\"", r#""topics":["posts/*","comments/*"]"#),
        ("unsubscribe posts/*", r#""topics":["comments/*"]"#),
    ] {
        writeln!(stdin, "{line}").unwrap();
        running.wait_for_line(|printed| printed.contains(answer));
    }
    let post = post(&server, "not watched any more");
    for text in ["a", "a b c d"] {
        server.create("comments", &json!({"post": post["id"], "text": text}));
    }
    running.wait_for_line(|line| line.contains("a b c d"));
    writeln!(stdin, "unsubscribe").unwrap();
    let output = running.finish().expect(0);
    assert_eq!(events(&output.stdout).len(), 1, "{}", output.stdout);
    assert!(output.stdout.trim_end().lines().last().unwrap().contains(r#""reason":"unsubscribed","exit":0"#));
    server.wait_for_clients(0);
}

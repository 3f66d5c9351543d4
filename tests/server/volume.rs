use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::kit::{ann, events, guest, id, is_event, root};
use crate::support::cli::Running;
use crate::support::pocketbase::Server;

both_versions!(sixteen_writers_and_three_watches, a_reader_that_stops);

const WRITERS: usize = 16;
const RECORDS: usize = 1000;
/// Each this many records, a writer changes the one record that is watched.
const EVERY: usize = 5;

/// What the writers know to have happened.
#[derive(Default)]
struct Log {
    /// Ids and titles of all posts, and of the published ones.
    all: BTreeSet<(String, String)>,
    published: BTreeSet<(String, String)>,
    /// The contents that the one record had.
    contents: BTreeSet<String>,
}

fn sixteen_writers_and_three_watches(version: &str) {
    let server = Server::start(version);
    let document = id(&server.create("documents", &json!({"title": "the one"})));
    let other = id(&server.create("documents", &json!({"title": "another"})));

    let all = guest(&server).watch(["posts/*"]);
    let filtered = ann(&server).watch(["posts", "*", "--filter", "status = 'published'", "--fields", "id,title"]);
    let one = root(&server).watch(["documents", &document]);
    assert_eq!(server.clients().len(), 3);

    let (log, next) = (Mutex::new(Log::default()), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (api, log, next, document, other) = (server.api().clone(), &log, &next, &document, &other);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= RECORDS {
                        return;
                    }
                    let published = number % 3 == 0;
                    let title = format!("writer {writer}, record {number}: \"é & 日本\"");
                    let status = if published { "published" } else { "draft" };
                    let record = id(&api.create("posts", &json!({"title": title, "status": status})));
                    let content = (number % EVERY == 0).then(|| {
                        let content = format!("writer {writer}, edit {number}");
                        api.update("documents", document, &json!({"content": content}));
                        api.update("documents", other, &json!({"content": "nobody's business"}));
                        content
                    });
                    let mut log = log.lock().unwrap();
                    if published {
                        log.published.insert((record.clone(), title.clone()));
                    }
                    log.all.insert((record, title));
                    log.contents.extend(content);
                }
            });
        }
    });
    let log = log.into_inner().unwrap();
    assert_eq!((log.all.len(), log.contents.len()), (RECORDS, RECORDS / EVERY));

    let posts = |running: Running, expected: &BTreeSet<(String, String)>| {
        running.wait_for_lines(expected.len(), is_event);
        let output = running.stop().expect(130);
        let seen = events(&output.stdout);
        assert_eq!(seen.len(), expected.len(), "each once");
        assert!(seen.iter().all(|event| event["action"] == "create" && event["topic"] == "posts/*"));
        let seen: BTreeSet<_> = seen
            .iter()
            .map(|event| (id(&event["record"]), event["record"]["title"].as_str().unwrap().to_owned()))
            .collect();
        let (missing, foreign) = (expected.difference(&seen).count(), seen.difference(expected).count());
        assert_eq!((missing, foreign), (0, 0), "missing and foreign of {}", expected.len());
    };
    posts(all, &log.all);
    posts(filtered, &log.published);

    one.wait_for_lines(log.contents.len(), is_event);
    let output = one.stop().expect(130);
    let seen = events(&output.stdout);
    assert_eq!(seen.len(), log.contents.len(), "each once");
    assert!(seen.iter().all(|event| event["action"] == "update" && event["record"]["id"] == document.as_str()));
    let seen: BTreeSet<_> = seen.iter().map(|event| event["record"]["content"].as_str().unwrap().to_owned()).collect();
    assert_eq!(seen, log.contents);
    server.wait_for_clients(0);
}

/// What came while the reader did not read.
const MISSED: usize = 100_000;

/// The server is rid of everything while the reader stands still, and the
/// reader gets all of it, in order, when it comes back.
fn a_reader_that_stops(version: &str) {
    let server = Server::start(version);
    let count = (MISSED + 1).to_string();
    let mut command = guest(&server).command(["subscribe", "bulk", "--no-check", "-q", "-n", &count]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut watch = command.spawn();
    server.wait_for_subscriber("bulk");
    // It answers when the last one is sent.
    server.burst("bulk", MISSED, &"x".repeat(100));
    server.emit("bulk", &json!({"n": MISSED}));
    assert!(!watch.has_ended());
    let peak = peak_megabytes(watch.id());
    let mut next = 0;
    for line in BufReader::new(watch.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        assert!(line.contains(&format!("{{\"n\":{next}")), "{next}: {line}");
        next += 1;
    }
    assert_eq!((next, watch.end().code), (MISSED + 1, 0));
    println!("{version}: {MISSED} events while the reader stood still, at most {peak} MB");
    assert!(peak < 150, "{peak} MB");
}

/// The most memory that a process had at a time, in MB.
fn peak_megabytes(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

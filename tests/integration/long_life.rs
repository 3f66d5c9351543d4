//! A process that lives long: events, losses, handovers and renewed tokens leave nothing behind.
//!
//! `cargo test --release --test integration a_day_in_minutes -- --ignored --nocapture` lives
//! through a day's worth.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::*;
use crate::support::cli::Cli;
use crate::support::fake::*;

/// What a life holds.
#[derive(Clone, Copy)]
struct Life {
    events: usize,
    /// Connections that are reset in the middle, and those that are replaced in time.
    losses: usize,
    handovers: usize,
}

/// Two connections that the server closes at this age teach when the next has to be replaced.
const AGE: Duration = Duration::from_millis(700);
const LESSONS: usize = 2;

/// So many events are sent in one piece.
const BLOCK: usize = 100;

/// What a process holds, by the kernel's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holds {
    memory_kb: usize,
    files: usize,
    threads: usize,
}

impl Holds {
    fn max(self, other: Self) -> Self {
        Self {
            memory_kb: self.memory_kb.max(other.memory_kb),
            files: self.files.max(other.files),
            threads: self.threads.max(other.threads),
        }
    }

    /// What was once taken for a burst stays with the allocator.
    fn is_within(self, early: Self) -> bool {
        self.files <= early.files && self.threads <= early.threads && self.memory_kb < early.memory_kb + 16 * 1024
    }
}

fn holds(process: u32) -> Holds {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    Holds { memory_kb: number("VmRSS:"), files, threads: number("Threads:") }
}

/// Events of a hundred records that change in turn.
fn block() -> Vec<u8> {
    let event = |n: usize| {
        let text = "x".repeat(200);
        let fields = json!({
            "id": format!("r{n:014}"), "collectionId": "pbc_1", "collectionName": "posts", "n": n, "text": text,
            "created": "2026-03-01 12:00:00.000Z", "updated": "2026-03-01 12:00:00.000Z",
        });
        frame("c", "posts/*", record("update", fields))
    };
    (0..BLOCK).flat_map(event).collect()
}

/// Lives it, and says what was held early on and at the end.
fn live(life: Life) -> (Holds, Holds) {
    let Life { events, losses, handovers } = life;
    let connections = losses + LESSONS + handovers;
    let blocks = events / BLOCK / connections;
    let (number, renewals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let feed = {
        let number = Arc::clone(&number);
        answer(move |_: &Request| -> Reply {
            let number = number.fetch_add(1, Ordering::Relaxed);
            // The topics are there once the first of its events goes out.
            let stream = stream()
                .connect()
                .event(key_of("posts/*"), record("create", json!({"id": format!("first{number:010}")})));
            let stream = stream.repeat(block(), blocks);
            if number < losses {
                stream.reset().into()
            } else if number < connections {
                let byte = AGE / 7;
                stream.one_byte_every(byte).bytes(":12345\n").end().into()
            } else {
                stream.hold().into()
            }
        })
    };
    // Each token is about to expire: each connection renews it.
    let refresh = {
        let renewals = Arc::clone(&renewals);
        answer(move |_: &Request| {
            let seconds = 3600 + i64::try_from(renewals.fetch_add(1, Ordering::Relaxed)).unwrap();
            ok(json!({ "token": token_for(seconds), "record": ann() }))
        })
    };
    let fake = healthy_posts()
        .always("POST /api/collections/_pb_users_auth_/auth-refresh", refresh)
        .always(FEED, feed)
        .start();
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token_for(3600));
    let mut command = cli.command(["subscribe", "posts/*", "--max-backoff", "2ms", "--no-check", "-q"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut watch = command.spawn();
    let early = (losses / 5).max(LESSONS);
    let process = watch.id();
    let wait = |until: usize| {
        let mut most = holds(process);
        let patience = Instant::now() + Duration::from_secs(30) + AGE * u32::try_from(connections).unwrap() * 20;
        while number.load(Ordering::Relaxed) < until {
            assert!(Instant::now() < patience, "{} of {until} connections", number.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(5));
            most = most.max(holds(process));
        }
        most
    };
    // At any one moment there may be a connection less, or a thread that looks up a name.
    let mut first = wait(early);
    // Two connections at once, as a handover has them, hold two files more.
    first.files += 2;
    wait(connections + 1);
    fake.wait_for_subscription("posts/*", Duration::from_secs(20));
    // What is still on its way out goes: only what stays is too much.
    let patience = Instant::now() + Duration::from_secs(20);
    let mut last = holds(process);
    while !last.is_within(first) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(50));
        last = holds(process);
    }
    watch.signal(rustix::process::Signal::INT);
    watch.end().expect(130);
    // A token that was proved a few seconds ago is not proved again.
    let renewed = renewals.load(Ordering::Relaxed);
    assert!(renewed >= (connections / 20).max(2), "{renewed} renewals");
    println!(
        "{} connections, {} renewals, {} events",
        number.load(Ordering::Relaxed),
        renewals.load(Ordering::Relaxed),
        connections * blocks * BLOCK
    );
    (first, last)
}

#[track_caller]
fn assert_flat((first, last): (Holds, Holds)) {
    println!("early: {first:?}\nlate:  {last:?}");
    assert!(last.is_within(first), "{first:?} {last:?}");
}

#[test]
fn a_few_hours_in_seconds() {
    assert_flat(live(Life { events: 10_000, losses: 20, handovers: 4 }));
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn a_day_in_minutes() {
    assert_flat(live(Life { events: 10_000_000, losses: 1_000, handovers: 1_000 }));
}

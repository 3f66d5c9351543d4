//! What a watch needs does not grow with what it has seen.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::support::cli::Cli;

/// The feed of the bench: a thousand records, changed in turn as fast as it goes.
#[path = "../../examples/bench-feed/feed.rs"]
mod feed;

/// The most memory that a watch ever had that printed so many events, in KB.
fn peak_kb(events: u64) -> u64 {
    let feed = feed::Feed::start(feed::Plan { events, per_chunk: 16, ..feed::Plan::default() }).unwrap();
    let cli = Cli::new(&feed.url());
    let mut command = cli.command(["subscribe", "posts/*", "-q", "-o", "ndjson", "-n", &events.to_string()]);
    // Nobody reads so slowly that something would have to wait for him.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut watch = command.spawn();
    let mut peak = 0;
    loop {
        // The kernel keeps the peak, so that the last look tells it.
        let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap_or_default();
        if let Some(now) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = now.trim().trim_end_matches(" kB").parse().unwrap();
        }
        if watch.has_ended() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    watch.end().expect(0);
    peak
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn memory_does_not_grow_with_the_number_of_events() {
    let few = peak_kb(10_000);
    // 20 bytes kept of each event would be more. On a busy machine something may wait for its
    // writer meanwhile; what is kept is kept each time.
    let most = few + 4 * 1024;
    let mut many = peak_kb(200_000);
    for _ in 0..2 {
        if many > most {
            many = many.min(peak_kb(200_000));
        }
    }
    assert!(many <= most, "{few} KB for 10,000 events, {many} KB for 200,000");
}

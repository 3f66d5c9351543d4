//! Connections that the server closes as a matter of routine.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::kit::{at_a_rate, guest, lines, of_type, post, times, wait, wait_for};
use crate::support::pocketbase::{Server, V0_30_0, V0_40_6};

/// What a connection lives on these servers.
const LIFE: u64 = 2_000;

/// Each printed once, also what was written before the limits were learnt.
#[test]
fn each_create_once_while_connections_live_two_seconds() {
    let server = Server::start(V0_40_6);
    server.limit_connections(0, LIFE);
    let running = guest(server.url()).watch(["posts/*", "-v"]);
    at_a_rate(50, 400, |number| drop(post(&server, &format!("post {number}"))));
    wait("the last one", &running, |lines| (times(lines, "title").len() == 400).then_some(()));
    // What would come twice would come now.
    thread::sleep(Duration::from_secs(3));
    let output = running.stop().expect(130);
    let lines = lines(&output.stdout);
    let times = times(&lines, "title");
    assert!(times.len() == 400 && times.values().all(|times| *times == 1), "{times:?}");
    let gaps = of_type(&lines, "gap");
    assert!(gaps.iter().all(|gap| gap["filled"] == json!(["posts/*"]) && gap["unfilled"] == json!([])), "{gaps:?}");
    // Two teach the limit; a slow machine may be late for one or two more.
    assert!((2..=4).contains(&gaps.len()), "{gaps:?}");
    assert!(output.stderr.matches("handover: done").count() >= 2, "{}", output.stderr);
}

/// 0.30.0 knows no maximum life: it closes what is quiet.
#[test]
fn each_create_once_while_quiet_connections_are_closed() {
    let server = Server::start(V0_30_0);
    server.limit_connections(LIFE, 0);
    let running = guest(server.url()).watch(["posts/*", "-v"]);
    for burst in 0..4 {
        at_a_rate(200, 100, |number| drop(post(&server, &format!("post {burst}.{number}"))));
        // One after the other: just longer than the limit, and about as long as two of them.
        thread::sleep(Duration::from_millis(if burst % 2 == 0 { 2_150 } else { 4_400 }));
    }
    wait("the last one", &running, |lines| (times(lines, "title").len() == 400).then_some(()));
    let output = running.stop().expect(130);
    let lines = lines(&output.stdout);
    let times = times(&lines, "title");
    assert!(times.len() == 400 && times.values().all(|times| *times == 1), "{times:?}");
    assert!(output.stderr.contains("handover: done"), "{}", output.stderr);
}

/// Messages cannot be read again: once the limits are learnt, none has to be.
#[test]
fn no_message_is_missing_once_the_limits_are_learnt() {
    let server = Server::start(V0_40_6);
    server.limit_connections(0, 3_000);
    let running = guest(server.url()).watch(["jobs/finished", "-v"]);
    wait_for("live", 3, &running);
    // A machine that was too slow for a handover says so, and gets another chance.
    for round in 0..4 {
        let gaps = of_type(&lines(&running.stdout()), "gap").len();
        at_a_rate(50, 300, |number| {
            server.emit("jobs/finished", &json!({"round": round, "job": number}));
        });
        let count = |lines: &[serde_json::Value], number: usize| {
            let data = json!({"round": round, "job": number});
            lines.iter().filter(|line| line["data"] == data).count()
        };
        wait("the last one", &running, |lines| (count(lines, 299) > 0).then_some(()));
        let lines = lines(&running.stdout());
        if of_type(&lines, "gap").len() > gaps {
            continue;
        }
        let times: Vec<_> = (0..300).map(|number| count(&lines, number)).collect();
        let missing = times.iter().filter(|times| **times == 0).count();
        let doubled = times.iter().filter(|times| **times > 1).count();
        assert_eq!(missing, 0, "{times:?}");
        // At the edge of a handover one may come twice.
        assert!(doubled <= 6 && times.iter().all(|times| *times <= 2), "{times:?}");
        let output = running.stop().expect(130);
        assert!(output.stderr.matches("handover: done").count() >= 2, "{}", output.stderr);
        return;
    }
    panic!("no round without a gap:\n{}", running.stdout());
}

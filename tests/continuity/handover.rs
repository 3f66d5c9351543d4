//! What can go wrong while one connection takes over from another, by script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kit::{LIFE, PATIENCE, lines, names, of_type, school, taught, wait, wait_for, wait_for_record};
use crate::support::cli::Running;
use crate::support::fake::{
    Reply, Request, answer, close, error, html, key_of, no_content, page, reset, stall, stream,
};

const GET: &str = "GET /api/realtime";
const POST: &str = "POST /api/realtime";

/// How often the message was printed.
fn count(running: &Running, data: &Value) -> usize {
    lines(&running.stdout()).iter().filter(|line| line["data"] == *data).count()
}

#[track_caller]
fn wait_for_message(running: &Running, data: &Value) {
    wait(&data.to_string(), running, |lines| lines.iter().any(|line| line["data"] == *data).then_some(()));
}

/// The old connection goes on, and the next attempt does it.
#[test]
fn a_second_connection_that_fails_harms_nobody() {
    let faults: [(&str, Option<Reply>, Option<Reply>); 9] = [
        ("the stream: 429", Some(error(429, "Too Many Requests.").into()), None),
        ("the stream: 503", Some(error(503, "Later.").into()), None),
        ("the stream: a page", Some(html(502, "<h1>Bad Gateway</h1>").into()), None),
        ("the stream: closed", Some(close()), None),
        ("the stream: reset", Some(reset()), None),
        ("the stream: over at once", Some(stream().connect().end().into()), None),
        (
            "the topics: 404",
            Some(stream().connect().live().into()),
            Some(error(404, "Missing or invalid client id.").into()),
        ),
        ("the topics: 429", Some(stream().connect().live().into()), Some(error(429, "Too Many Requests.").into())),
        ("the topics: reset", Some(stream().connect().live().into()), Some(reset())),
    ];
    thread::scope(|scope| {
        for (what, stream_fault, post_fault) in faults {
            scope.spawn(move || {
                let fake = school().then(GET, stream().connect().live()).then(POST, no_content());
                let fake = stream_fault.into_iter().fold(fake, |fake, fault| fake.then(GET, fault));
                let fake = post_fault.into_iter().fold(fake, |fake, fault| fake.then(POST, fault));
                // Then all goes well.
                let fake = fake.start();
                let running = taught(&fake, &["jobs/finished"]);
                fake.wait_for_requests(4, GET, PATIENCE);
                fake.emit("jobs/finished", json!("meanwhile"));
                wait_for_message(&running, &json!("meanwhile"));
                fake.wait_for_requests(5, GET, PATIENCE);
                // Both are there, and only one of them is going to stay.
                wait("the handover", &running, |_| (fake.requests_to(POST).len() >= 4).then_some(()));
                thread::sleep(Duration::from_millis(300));
                fake.emit("jobs/finished", json!("on both"));
                thread::sleep(Duration::from_millis(2_500));
                fake.emit("jobs/finished", json!("afterwards"));
                wait_for_message(&running, &json!("afterwards"));
                thread::sleep(Duration::from_millis(300));
                for message in ["meanwhile", "on both", "afterwards"] {
                    assert_eq!(count(&running, &json!(message)), 1, "{what}: {message}\n{}", running.stdout());
                }
                let output = running.stop().expect(130);
                assert_eq!(of_type(&lines(&output.stdout), "disconnected").len(), 2, "{what}: {}", output.stdout);
                // Another node has answered: the topics are sent once more, over the same connection.
                let is_sent_again = what == "the topics: 404";
                assert_eq!(output.stderr.contains("handover: failed: "), !is_sent_again, "{what}: {}", output.stderr);
                assert!(output.stderr.contains("handover: done"), "{what}: {}", output.stderr);
            });
        }
    });
}

/// While the second connection is not subscribed, the end of the first is a loss.
#[test]
fn the_first_connection_ends_before_the_second_is_subscribed() {
    thread::scope(|scope| {
        for (what, stream_reply, post_reply) in
            [("opening", stall(), None), ("submitting", stream().connect().into(), Some(stall()))]
        {
            scope.spawn(move || {
                let fake =
                    school().then(GET, stream().connect().live()).then(POST, no_content()).then(GET, stream_reply);
                let is_submitting = post_reply.is_some();
                let fake = post_reply.into_iter().fold(fake, |fake, reply| fake.then(POST, reply)).start();
                let running = taught(&fake, &["jobs/finished", "posts/*"]);
                fake.wait_for_requests(4, GET, PATIENCE);
                fake.wait_for_requests(if is_submitting { 4 } else { 3 }, POST, PATIENCE);
                fake.end_streams();
                wait_for("live", 4, &running);
                let told = of_type(&lines(&running.stdout()), "gap").pop().unwrap();
                assert_eq!(
                    (names(&told["filled"]), names(&told["unfilled"])),
                    (vec!["posts/*".to_owned()], vec!["jobs/finished".to_owned()]),
                    "{what}"
                );
                fake.emit("jobs/finished", json!("afterwards"));
                wait_for_message(&running, &json!("afterwards"));
                running.stop().expect(130);
            });
        }
    });
}

/// Whatever the old one brought or did not bring, each comes once.
#[test]
fn the_first_connection_ends_while_both_deliver() {
    let at =
        |n: usize, title: &str| format!(r#"{{"id":"r{n}","title":"{title}","updated":"2026-01-01 00:00:0{n}.000Z"}}"#);
    let event = |n: usize| format!(r#"{{"record":{},"action":"update"}}"#, at(n, "x"));
    // The same with its keys the other way round, as the server may write it for the other connection.
    let twin = |n: usize| {
        format!(
            r#"{{"action":"update","record":{{"updated":"2026-01-01 00:00:0{n}.000Z","title":"\u0078","id":"r{n}"}}}}"#
        )
    };
    let fake = school()
        .then(
            GET,
            stream()
                .connect()
                .wait("old 1")
                .event(key_of("posts/*"), event(1))
                .event(key_of("posts/*"), event(2))
                .event(key_of("jobs/finished"), json!("first"))
                .wait("old 2")
                .event(key_of("posts/*"), event(4))
                .wait("old end")
                .end(),
        )
        .then(POST, no_content())
        .then(
            GET,
            stream()
                .connect()
                .wait("new 1")
                // Its twin was here before, and one that is yet to come.
                .event(key_of("posts/*"), twin(2))
                .event(key_of("posts/*"), twin(3))
                .event(key_of("posts/*"), twin(4))
                .event(key_of("jobs/finished"), json!("first"))
                .event(key_of("jobs/finished"), json!("second"))
                .wait("new 2")
                .live(),
        )
        .then(POST, no_content())
        .start();
    let running = taught(&fake, &["jobs/finished", "posts/*"]);
    fake.wait_for_requests(4, POST, PATIENCE);
    thread::sleep(Duration::from_millis(250));
    fake.open("old 1");
    wait_for_record(&running, "update", "id", "r2");
    fake.open("new 1");
    thread::sleep(Duration::from_millis(50));
    fake.open("old 2");
    wait_for_record(&running, "update", "id", "r4");
    assert_eq!(count(&running, &json!("second")), 0, "what only the new one brought waits for its twin");
    fake.open("old end");
    wait_for_record(&running, "update", "id", "r3");
    wait_for_message(&running, &json!("second"));
    fake.open("new 2");
    fake.emit("jobs/finished", json!("third"));
    wait_for_message(&running, &json!("third"));
    let output = running.stop().expect(130);
    let lines = lines(&output.stdout);
    for n in 1..=4 {
        let times = lines.iter().filter(|line| line["record"]["id"] == format!("r{n}")).count();
        assert_eq!(times, 1, "r{n}: {}", output.stdout);
    }
    for message in ["first", "second", "third"] {
        assert_eq!(lines.iter().filter(|line| line["data"] == message).count(), 1, "{message}: {}", output.stdout);
    }
    assert_eq!(of_type(&lines, "disconnected").len(), 2, "{}", output.stdout);
    assert_eq!(of_type(&lines, "gap").len(), 2, "{}", output.stdout);
}

/// Messages that are alike cannot be told apart: one may come twice, none not at all.
#[test]
fn messages_that_are_alike_are_never_lost() {
    let tick = json!("tick");
    let fake = school()
        .then(GET, stream().connect().wait("before").event(key_of("jobs/finished"), tick.clone()).wait("end").end())
        .then(POST, no_content())
        .then(GET, stream().connect().wait("after").event(key_of("jobs/finished"), tick.clone()).wait("live").live())
        .then(POST, no_content().after_gate("subscribed"))
        .start();
    let running = taught(&fake, &["jobs/finished"]);
    fake.wait_for_requests(4, POST, PATIENCE);
    // The first is sent before the new connection is subscribed, ...
    fake.open("before");
    wait_for_message(&running, &tick);
    thread::sleep(Duration::from_millis(300));
    fake.open("subscribed");
    thread::sleep(Duration::from_millis(250));
    // ... the second over the new one, and the old one is lost before it could bring it.
    fake.open("after");
    thread::sleep(Duration::from_millis(20));
    fake.open("end");
    wait("the second", &running, |lines| (lines.iter().filter(|line| line["data"] == tick).count() == 2).then_some(()));
    fake.open("live");
    running.stop().expect(130);
}

/// What was on its way over the old connection when it broke is read again.
#[test]
fn the_first_connection_breaks_while_both_deliver() {
    let missing = Arc::new(AtomicBool::new(false));
    let list = {
        let missing = Arc::clone(&missing);
        answer(move |request: &Request| {
            let is_of_changes = request.param("filter").is_some_and(|filter| filter.contains("updated >="));
            if missing.load(Ordering::Relaxed) && is_of_changes {
                let updated = Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string();
                page([json!({"id": "lost", "updated": updated, "created": updated})])
            } else {
                page([])
            }
        })
    };
    let fake = school()
        .always("GET /api/collections/posts/records", list)
        .then(GET, stream().connect().wait("break").reset())
        .then(POST, no_content())
        .start();
    let running = taught(&fake, &["jobs/finished", "posts/*"]);
    fake.wait_for_requests(4, POST, PATIENCE);
    missing.store(true, Ordering::Relaxed);
    thread::sleep(Duration::from_millis(300));
    fake.open("break");
    let lost = wait_for_record(&running, "create", "id", "lost");
    assert_eq!(lost["replayed"], true);
    let told = wait_for("gap", 3, &running).pop().unwrap();
    assert_eq!(
        (names(&told["filled"]), names(&told["unfilled"])),
        (vec!["posts/*".to_owned()], vec!["jobs/finished".to_owned()])
    );
    let output = running.stop().expect(130);
    assert_eq!(of_type(&lines(&output.stdout), "disconnected").len(), 2, "{}", output.stdout);
}

/// A topic that is added meanwhile is on the connection that stays.
#[test]
fn what_is_subscribed_during_a_handover_stays_subscribed() {
    use bosbase_watch::{Client, Event, Topic};

    let fake = school().start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let realtime = Client::new(&fake.url()).unwrap().realtime();
        let mut first = realtime.subscribe(Topic::custom("jobs/finished")).await.unwrap();
        for lesson in 1..=2 {
            fake.asked_times(lesson, POST).await;
            tokio::time::sleep(LIFE).await;
            fake.end_streams();
            loop {
                if let Some(Ok(Event::Live(_))) = first.next().await
                    && fake.requests_to(POST).len() > lesson
                {
                    break;
                }
            }
        }
        fake.asked_times(4, GET).await;
        let mut second = realtime.subscribe(Topic::custom("jobs/failed")).await.unwrap();
        tokio::time::sleep(LIFE * 3).await;
        fake.emit("jobs/failed", json!("x"));
        let message = async {
            loop {
                match second.next().await {
                    Some(Ok(Event::Message(message))) => break message,
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        let message = tokio::time::timeout(PATIENCE, message).await.unwrap();
        assert_eq!(message.payload(), "\"x\"");
    });
}

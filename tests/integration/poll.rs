//! `--poll`: what the lists show and the feed does not bring; and a node that is not the one.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::fake::*;

/// Lists what is put here, as the server does.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Value>>>);

impl Records {
    fn put(&self, id: &str, second: u32) -> Value {
        let at = format!("2099-01-01 00:00:{second:02}.000Z");
        let record = json!({"id": id, "collectionName": "posts", "created": at, "updated": at});
        let mut all = self.0.lock().unwrap();
        all.retain(|have| have["id"] != id);
        all.push(record.clone());
        record
    }

    fn delete(&self, id: &str) {
        self.0.lock().unwrap().retain(|have| have["id"] != id);
    }

    fn script(&self) -> Script {
        let this = self.clone();
        healthy_posts().always(LIST, answer(move |_: &Request| page(this.0.lock().unwrap().clone())))
    }
}

fn event(action: &str, record: &Value) -> Value {
    json!({"action": action, "record": record})
}

#[test]
fn each_change_once_whoever_brings_it_first() {
    let records = Records::default();
    let fake = records.script().start();
    let running = Cli::new(&fake.url()).watch(["posts/*", "--no-check", "--poll", "1s"]);

    // From the list first: what the feed brings of it later is left out.
    let from_list = records.put("l1", 1);
    let line = running.wait_for_line(|line| line.contains(r#""id":"l1""#));
    assert!(line.contains(r#""action":"create","replayed":true"#), "{line}");
    fake.emit("posts/*", event("create", &from_list));
    // From the feed first: what the list shows of it later is left out.
    let from_feed = records.put("f1", 2);
    fake.emit("posts/*", event("create", &from_feed));
    let line = running.wait_for_line(|line| line.contains(r#""id":"f1""#));
    assert!(!line.contains("replayed"), "{line}");
    let polls = fake.requests_to(LIST).len();
    fake.wait_for_requests(polls + 2, LIST, PATIENCE);
    // What is gone without a word.
    records.delete("l1");
    let line = running.wait_for_line(|line| line.contains(r#""action":"delete""#));
    assert!(line.contains(r#""replayed":true"#) && line.contains(r#""id":"l1""#), "{line}");
    let output = running.stop().expect(130);
    assert_eq!(events(&output.stdout).lines().count(), 3, "{}", output.stdout);
    assert!(!output.stdout.contains(r#""type":"gap""#), "{}", output.stdout);
}

#[test]
fn a_list_that_cannot_be_had_is_told_once() {
    let refused = error(403, "Only superusers can perform this action.");
    let fake = healthy_posts().always(LIST, refused).start();
    let running = Cli::new(&fake.url()).watch(["posts/*", "--no-check", "--poll", "1s"]);
    let line = running.wait_for_line(|line| line.contains(r#""code":"poll""#));
    assert!(line.contains("posts/* cannot be listed"), "{line}");
    let polls = fake.requests_to(LIST).len();
    fake.wait_for_requests(polls + 2, LIST, PATIENCE);
    let output = running.stop().expect(130);
    assert_eq!(output.stdout.matches(r#""code":"poll""#).count(), 1);
}

#[test]
fn not_too_often() {
    let fake = Script::new().start();
    let output = Cli::new(&fake.url()).run(["subscribe", "posts/*", "--poll", "100ms"]).expect(2);
    assert!(output.stderr.contains("at least 1s"), "{}", output.stderr);
}

/// Four times another node answers, then the right one. A stream that is held makes a balancer
/// that counts connections choose otherwise.
#[test]
fn the_topics_are_sent_again() {
    let missing = || error(404, "Missing or invalid client id.");
    let fake = healthy_posts()
        .then(FEED, stream().connect().live())
        .times(2, SUBMIT, missing())
        .then(FEED, stream().connect().live())
        .times(2, SUBMIT, missing())
        .then(FEED, stream().connect().live())
        .then(SUBMIT, subscribed())
        .start();
    let running = Cli::new(&fake.url()).watch(["jobs/finished", "--no-check"]);
    let submits = fake.requests_to(SUBMIT);
    assert!(submits.iter().all(|request| client_id(request) == fake.client_ids()[0]), "for the first connection");
    fake.emit("jobs/finished", "1");
    running.wait_for_line(|line| line.contains(r#""type":"message""#));
    let output = running.stop().expect(130);
    assert_eq!(output.stdout.matches(r#""type":"connected""#).count(), 1);
}

#[test]
fn a_node_that_never_answers_is_named() {
    let fake = healthy_posts().always(SUBMIT, error(404, "Missing or invalid client id.")).start();
    let output = Cli::new(&fake.url()).run(["subscribe", "jobs/finished", "--no-check"]).expect(6);
    let said = output.stderr.replace(&fake.url(), "URL");
    assert!(
        said.ends_with(
            "error: URL does not know the connection that it has just named: another node answers\n\
             hint: give the --url of one node, with --poll for what the others write, or make the load balancer sticky\n"
        ),
        "{said}"
    );
}

//! What is asked of the list API when something was missed, and how its
//! answers are taken.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kit::{PATIENCE, guest, lines, names, of_type, times, wait, wait_for, wait_for_record};
use crate::support::cli::Running;
use crate::support::fake::{Fake, Request, answer, error, healthy_feed, ok, page, record};

const LIST: &str = "GET /api/collections/posts/records";

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

fn watch(fake: &Fake, args: &[&str]) -> Running {
    let mut all = vec!["--no-check"];
    all.extend(args);
    guest(&fake.url()).watch(all)
}

/// Loses the connection, and waits until it is live again; the gap told.
#[track_caller]
fn lose(fake: &Fake, running: &Running) -> Value {
    let lives = of_type(&lines(&running.stdout()), "live").len();
    fake.close_streams();
    wait_for("live", lives + 1, running);
    of_type(&lines(&running.stdout()), "gap").pop().unwrap()
}

/// The filter of a request, and the moment in it.
#[track_caller]
fn filter(request: &Request) -> (String, String) {
    let filter = request.param("filter").unwrap();
    let (before, since) = filter.rsplit_once("updated >= \"").unwrap();
    (before.to_owned(), since.trim_end_matches('"').to_owned())
}

#[test]
fn a_topics_own_options_are_used() {
    let now = stamp(Timestamp::now() + Duration::from_secs(60));
    let missed = json!({
        "id": "r1", "title": "missed", "updated": now, "created": now, "collectionId": "c", "collectionName": "posts",
    });
    let is_there = Arc::new(AtomicBool::new(true));
    let list = {
        let is_there = Arc::clone(&is_there);
        answer(move |_: &Request| page(is_there.load(Ordering::Relaxed).then(|| missed.clone())))
    };
    let fake = healthy_feed().always(LIST, list).start();
    let running = watch(
        &fake,
        &[
            "posts/*",
            "jobs/finished",
            "--filter",
            "status = 'open' // the good ones",
            "--expand",
            "author",
            "--fields",
            "title,expand.author.name",
            "--query",
            "tenant=a&b",
            "-H",
            "X-Region: eu",
        ],
    );
    thread::sleep(Duration::from_millis(10_500));
    fake.emit("jobs/finished", json!("a sign of life"));
    wait("it", &running, |lines| lines.iter().any(|line| line["data"] == "a sign of life").then_some(()));
    let before = Timestamp::now();
    let gap = lose(&fake, &running);
    assert_eq!((names(&gap["filled"]), &gap["replayed"]), (vec!["posts/*".to_owned()], &json!(1)));

    let requests = fake.requests_to(LIST);
    let request = &requests[0];
    let (condition, since) = filter(request);
    // The newline ends the comment, the parentheses hold the `||` of a filter together.
    assert_eq!(condition, "(status = 'open' // the good ones\n) && ");
    // In the one form that the server compares right; ten seconds before the last sign of life.
    assert_eq!(since.len(), "2026-01-01 00:00:00.000Z".len(), "{since}");
    let from = since.parse::<Timestamp>().unwrap().duration_since(before).as_secs_f64();
    assert!((-13.0..=-9.0).contains(&from), "{from} s");
    let param = |name| request.param(name);
    assert_eq!(param("expand").as_deref(), Some("author"));
    assert_eq!(param("tenant").as_deref(), Some("a&b"));
    assert_eq!(param("sort").as_deref(), Some("updated,id"));
    assert_eq!((param("perPage").as_deref(), param("skipTotal").as_deref()), (Some("1000"), Some("1")));
    let fields = param("fields").unwrap();
    let has = |name: &str| fields.split(',').any(|field| field == name);
    assert!(["title", "expand.author.name", "id", "updated", "created"].into_iter().all(has), "{fields}");
    assert_eq!(request.header("X-Region"), Some("eu"));

    // What only the tool asked for is not shown.
    let line = wait_for_record(&running, "create", "title", "missed");
    assert_eq!(line["replayed"], true);
    assert!(line["record"]["updated"].is_null() && line["record"]["created"].is_null(), "{line}");

    is_there.store(false, Ordering::Relaxed);
    // It was seen: the next time it is asked for, without the filter, since it may have left that.
    lose(&fake, &running);
    let asked = fake
        .requests_to(LIST)
        .into_iter()
        .find(|request| request.param("filter").unwrap().contains("id = "))
        .unwrap_or_else(|| panic!("{:?}", fake.requests_to(LIST)));
    assert_eq!(asked.param("filter").as_deref(), Some("id = 'r1'"));
    assert_eq!((asked.param("fields").as_deref(), asked.param("expand")), (Some("id,created,updated"), None));
    assert_eq!((asked.param("tenant").as_deref(), asked.header("X-Region")), (Some("a&b"), Some("eu")));
    running.stop().expect(130);
}

/// A change that was under way when the connection broke is older than the last one that came.
#[test]
fn what_was_created_and_never_heard_of_is_new() {
    let known = Arc::new(Mutex::new(None));
    let list = {
        let known = Arc::clone(&known);
        answer(move |_: &Request| page(known.lock().unwrap().clone()))
    };
    let fake = healthy_feed().always(LIST, list).start();
    let running = watch(&fake, &["posts/*"]);
    thread::sleep(Duration::from_millis(1_500));
    let created = stamp(Timestamp::now());
    thread::sleep(Duration::from_millis(300));
    let other = stamp(Timestamp::now());
    fake.emit("posts/*", record("update", json!({"id": "other", "title": "other", "updated": other})));
    wait_for_record(&running, "update", "title", "other");
    *known.lock().unwrap() = Some(json!({"id": "r1", "title": "new", "updated": created, "created": created}));
    lose(&fake, &running);
    assert_eq!(wait_for_record(&running, "create", "title", "new")["replayed"], true);
    running.stop().expect(130);
}

#[test]
fn pages_go_by_key_and_ties_may_fill_one() {
    let start = Timestamp::now();
    let item = |number: usize| {
        // Of 2,500, the 1,400 in the middle have one and the same stamp.
        let at = if (500..1_900).contains(&number) {
            1_000
        } else if number < 500 {
            number as i64
        } else {
            2_000 + number as i64
        };
        let updated = stamp(Timestamp::from_millisecond(start.as_millisecond() + at).unwrap());
        json!({"id": format!("r{number:05}"), "updated": updated, "created": updated})
    };
    let all: Arc<Vec<Value>> = Arc::new((0..2_500).map(item).collect());
    let list = {
        let all = Arc::clone(&all);
        answer(move |request: &Request| {
            // The check of the topics has no filter.
            let filter = request.param("filter").unwrap_or_default();
            let value = |what: &str| {
                let behind = filter.split_once(&format!("{what} ")).map(|(_, rest)| rest.to_owned());
                behind.map(|rest| rest[1..].split(['"', '\'']).next().unwrap().to_owned())
            };
            let Some(since) = value("updated >=") else { return page([]) };
            let (to, after) = (value("updated <"), value("id >"));
            let size = request.param("perPage").unwrap().parse().unwrap();
            let skip = (request.param("page").unwrap().parse::<usize>().unwrap() - 1) * size;
            let text = |item: &Value, key: &str| item[key].as_str().unwrap().to_owned();
            let later = all.iter().filter(|item| {
                text(item, "updated") >= since
                    && to.as_ref().is_none_or(|to| text(item, "updated") < *to)
                    && after.as_ref().is_none_or(|after| text(item, "id") > *after)
            });
            page(later.skip(skip).take(size).cloned().collect::<Vec<_>>())
        })
    };
    let fake = healthy_feed().always(LIST, list).start();
    let running = watch(&fake, &["posts/*"]);
    let gap = lose(&fake, &running);
    assert_eq!((&gap["replayed"], names(&gap["filled"])), (&json!(2_500), vec!["posts/*".to_owned()]));
    let lines = lines(&running.stdout());
    let times = times(&lines, "id");
    assert!(times.len() == 2_500 && times.values().all(|times| *times == 1));
    let ids: Vec<_> = of_type(&lines, "record").iter().map(|line| line["record"]["id"].clone().to_string()).collect();
    assert!(ids.is_sorted(), "in the order of `updated`");
    running.stop().expect(130);
}

#[test]
fn a_list_that_fails_is_asked_for_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let list = {
        let asked = Arc::clone(&asked);
        answer(move |_: &Request| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => error(503, "Try later.").header("Retry-After", "1"),
            1 => error(429, "Too Many Requests."),
            _ => page([json!({"id": "r1", "updated": stamp(Timestamp::now())})]),
        })
    };
    let fake = healthy_feed().always(LIST, list).start();
    let running = watch(&fake, &["posts/*"]);
    let gap = lose(&fake, &running);
    assert_eq!((names(&gap["filled"]), &gap["replayed"]), (vec!["posts/*".to_owned()], &json!(1)));
    running.stop().expect(130);
}

#[test]
fn a_list_that_is_refused_fills_nothing() {
    for refusal in
        [error(400, "Something went wrong."), error(403, "Only superusers."), error(404, "Missing collection context.")]
    {
        let fake = healthy_feed().always(LIST, refusal).start();
        let running = watch(&fake, &["posts/*"]);
        let gap = lose(&fake, &running);
        assert_eq!((names(&gap["filled"]), names(&gap["unfilled"])), (vec![], vec!["posts/*".to_owned()]));
        assert_eq!(gap["deletes"], "unknown");
        fake.emit("posts/*", record("create", json!({"id": "after"})));
        wait_for_record(&running, "create", "id", "after");
        running.stop().expect(130);
    }
}

#[test]
fn one_record_is_read_by_itself() {
    let now = stamp(Timestamp::now());
    let one = "abcdefghijklmno";
    let fake = healthy_feed()
        .always(
            "GET /api/collections/posts/records/abcdefghijklmno",
            ok(json!({"id": one, "title": "now", "updated": now})),
        )
        .start();
    let running = watch(&fake, &["posts/abcdefghijklmno", "--expand", "author", "-H", "X-Region: eu"]);
    let gap = lose(&fake, &running);
    assert_eq!((names(&gap["filled"]), &gap["replayed"]), (vec![format!("posts/{one}")], &json!(1)));
    assert_eq!(wait_for_record(&running, "update", "title", "now")["replayed"], true);
    let request = fake.requests_to("GET /api/collections/posts/records/abcdefghijklmno").remove(0);
    assert_eq!((request.param("expand").as_deref(), request.header("X-Region")), (Some("author"), Some("eu")));
    // The same state again is nothing to tell.
    assert_eq!(lose(&fake, &running)["replayed"], 0);
    running.stop().expect(130);
    fake.wait_until_closed("GET /api/realtime", PATIENCE.min(Duration::from_secs(5)));
}

/// The list shows a change that the feed brings only then: it is told once.
#[test]
fn a_change_that_the_feed_brings_after_the_list_is_told_once() {
    let now = stamp(Timestamp::now());
    let listed = json!({"id": "r1", "title": "<once>", "updated": now, "hidden": 1});
    let fake = healthy_feed().always(LIST, page([listed])).start();
    let running = watch(&fake, &["posts/*"]);
    lose(&fake, &running);
    wait_for_record(&running, "update", "title", "<once>");
    fake.emit(
        "posts/*",
        r#"{"record":{"title":"\u003conce\u003e","updated":"STAMP","id":"r1"},"action":"create"}"#
            .replace("STAMP", &now),
    );
    fake.emit("posts/*", record("update", json!({"id": "r1", "title": "then", "updated": "2999-01-01 00:00:00.000Z"})));
    wait_for_record(&running, "update", "title", "then");
    let output = running.stop().expect(130);
    assert_eq!(times(&lines(&output.stdout), "title")["<once>"], 1, "{}", output.stdout);
}

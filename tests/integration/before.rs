//! What is read from before a watch began, what comes live meanwhile, and how both meet.

use bosbase_watch::{Error, ErrorKind, Event, Realtime, Start, Subscription, Topic};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::kit::*;
use crate::support::fake::*;

const POSTS: &str = "GET /api/collections/posts/records";

/// A time of the server, so many ms after another one of long ago.
fn stamp(ms: u32) -> String {
    format!("2026-03-01 12:00:00.{ms:03}Z")
}

fn item(id: &str, ms: u32) -> Value {
    json!({ "id": id, "created": stamp(0), "updated": stamp(ms) })
}

fn change(action: &str, id: &str, ms: u32) -> Value {
    record(action, item(id, ms))
}

/// A page that is not the last one.
fn full(items: &[Value], total: u64) -> Plain {
    ok(json!({ "page": 1, "perPage": items.len(), "totalItems": total, "totalPages": -1, "items": items }))
}

/// A watch of the posts that begins with what exists, and a second one to see what has come by now.
async fn watched(fake: &Fake) -> (Subscription, Subscription, Realtime) {
    let realtime = Realtime::builder(&client(fake)).max_backoff(std::time::Duration::from_millis(5)).build();
    let mut live = soon(realtime.subscribe(Topic::collection("posts"))).await.unwrap();
    up_to(&mut live, is_live).await;
    let builder = realtime.subscription([Topic::collection("posts")]).start(Start::Initial);
    let first = soon(builder.subscribe()).await.unwrap();
    (first, live, realtime)
}

/// Sends changes, and waits until they have come.
async fn come(fake: &Fake, live: &mut Subscription, changes: &[Value]) {
    for change in changes {
        fake.emit("posts/*", change.clone());
        up_to(live, is_data).await;
    }
}

/// Without what is said of the connection before the first record.
fn records_of(events: &[Event]) -> Vec<String> {
    story(events).into_iter().filter(|word| !matches!(word.as_str(), "connected" | "subscribed")).collect()
}

#[tokio::test]
async fn what_comes_meanwhile_follows_what_exists() {
    let fake =
        healthy_feed().then(POSTS, page([item("a", 20), item("b", 20), item("c", 20)]).after_gate("listed")).start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    let changes = [
        change("update", "a", 10), // older than what the list shows
        change("update", "b", 20), // the same
        change("update", "b", 30), // newer
        change("create", "d", 40),
        change("delete", "c", 20),
        change("delete", "gone", 5), // before its page was listed
    ];
    come(&fake, &mut live, &changes).await;
    fake.open("listed");
    let events = up_to(&mut first, is_live).await;
    let expected = ["initial a", "initial b", "initial c", "update b", "create d", "delete c", "delete gone", "live"];
    assert_eq!(records_of(&events), expected);
    let Some(Event::Live(told)) = events.last() else { panic!() };
    assert_eq!((told.initial, told.replayed), (3, 0));
    assert!(events.iter().all(|event| !matches!(event, Event::Record(event) if event.is_late())));
    // From here on nothing is held.
    fake.emit("posts/*", change("update", "a", 50));
    assert_eq!(word(&next(&mut first).await), "update a");
    fake.finish();
}

#[tokio::test]
async fn what_was_listed_may_come_over_the_feed_after_it() {
    let start = Timestamp::now();
    let now = |ms: i64| (start + SignedDuration::from_millis(ms)).strftime("%F %H:%M:%S%.3fZ").to_string();
    let at = |id: &str, ms: i64| json!({ "id": id, "created": stamp(0), "updated": now(ms) });
    let (listed, old) = (at("a", -500), item("b", 20));
    let fake = healthy_feed()
        .then(POSTS, full(&[listed.clone(), old], 100_000))
        .then(POSTS, page([item("c", 20)]).after_gate("second"))
        .start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    up_to(&mut first, is_data).await;
    // The second copy of what the list has shown, and what was before it, are not told; what is newer is.
    let changes = [record("update", listed), record("update", at("a", -900)), record("update", at("a", 0))];
    come(&fake, &mut live, &changes).await;
    fake.open("second");
    let events = up_to(&mut first, is_live).await;
    assert_eq!(records_of(&events), ["initial b", "initial c", "update a", "live"]);
    let asked = fake.requests_to(POSTS);
    assert!(asked[0].query.contains("sort=id") && !asked[0].query.contains("filter"), "{}", asked[0].query);
    assert!(
        asked[1].query.contains("filter=id%20%3E%20") && asked[1].query.contains("skipTotal=1"),
        "{}",
        asked[1].query
    );
    fake.finish();
}

#[tokio::test]
async fn a_connection_that_is_lost_while_it_is_listed() {
    let missed = json!({ "id": "m", "created": "2020-01-01 00:00:00.000Z", "updated": "2099-01-01 00:00:00.000Z" });
    let fake = healthy_feed()
        .then(POSTS, full(&[item("a", 20)], 2))
        .then(POSTS, page([item("b", 20)]).after_gate("second"))
        // What was missed, for each of the two.
        .times(2, on(POSTS).when(|request| request.query.contains("sort=updated")), page([missed]))
        // It is still there.
        .always(on(POSTS).when(|request| request.query.contains("id%20%3D%20")), page([item("a", 30)]))
        .start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    up_to(&mut first, is_data).await;
    come(&fake, &mut live, &[change("update", "a", 30)]).await;
    fake.reset_streams();
    up_to(&mut live, is_live).await;
    come(&fake, &mut live, &[change("update", "a", 40)]).await;
    fake.open("second");
    let events = up_to(&mut first, is_live).await;
    assert_eq!(
        records_of(&events),
        ["disconnected", "initial b", "update a", "update m", "gap", "update a", "live"],
        "it is not listed again, and live once"
    );
    let Some(Event::Live(told)) = events.last() else { panic!() };
    assert_eq!(told.initial, 2);
    fake.finish();
}

#[tokio::test]
async fn nothing_is_live_while_the_connection_is_lost() {
    let missed = json!({ "id": "m", "created": "2020-01-01 00:00:00.000Z", "updated": "2099-01-01 00:00:00.000Z" });
    let fake = healthy_feed()
        .then("GET /api/realtime", stream().connect().live())
        .then(POSTS, page([item("a", 20)]).after_gate("listed"))
        .then("GET /api/realtime", stream().wait("again").connect().live())
        .times(2, on(POSTS).when(|request| request.query.contains("sort=updated")), page([missed]))
        // It is still there.
        .always(on(POSTS).when(|request| request.query.contains("id%20%3D%20")), page([item("a", 20)]))
        .start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    while fake.requests_to(POSTS).is_empty() {
        tokio::task::yield_now().await;
    }
    fake.reset_streams();
    up_to(&mut live, is_lost).await;
    // The list is through while nobody listens.
    fake.open("listed");
    up_to(&mut first, is_data).await;
    fake.open("again");
    let events = up_to(&mut first, is_live).await;
    assert_eq!(records_of(&events), ["update m", "gap", "live"], "what was missed is read first");
    let Some(Event::Live(told)) = events.last() else { panic!() };
    assert_eq!(told.initial, 1);
    fake.finish();
}

#[tokio::test]
async fn a_list_that_fails_is_asked_for_again() {
    let fake = healthy_feed().then(POSTS, error(503, "Try later.")).then(POSTS, page([item("a", 20)])).start();
    let (mut first, _live, _realtime) = watched(&fake).await;
    let events = up_to(&mut first, is_live).await;
    assert_eq!(records_of(&events), ["initial a", "live"]);
    fake.finish();
}

#[tokio::test]
async fn a_list_that_is_refused_ends_the_subscription_alone() {
    let fake = healthy_feed().then(POSTS, error(403, "Only superusers can perform this action.")).start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    let last = rest(&mut first).await.pop();
    assert!(matches!(&last, Some(Err(error)) if is(error, ErrorKind::Forbidden)), "{last:?}");
    come(&fake, &mut live, &[change("update", "a", 30)]).await;
    fake.finish();
}

fn is(error: &Error, kind: ErrorKind) -> bool {
    error.kind() == kind
}

#[tokio::test]
async fn a_page_is_not_asked_for_before_there_is_room() {
    const PAGES: usize = 6;
    let large = |request: &Request| {
        // Each page goes on behind the last id.
        let at = (0..PAGES).rev().find(|at| request.query.contains(&format!("r{at}x9"))).map_or(0, |at| at + 1);
        let items: Vec<_> = (0..10)
            .map(|n| json!({ "id": format!("r{at}x{n}"), "updated": stamp(1), "text": "x".repeat(200_000) }))
            .collect();
        if at + 1 < PAGES { full(&items, 60) } else { page(items) }
    };
    let fake = healthy_feed().always(POSTS, answer(large)).start();
    let (mut first, mut live, _realtime) = watched(&fake).await;
    for round in 0..20 {
        come(&fake, &mut live, &[change("update", "z", round)]).await;
    }
    assert_eq!(fake.requests_to(POSTS).len(), 1, "nobody has read anything");
    let events = up_to(&mut first, is_live).await;
    let Some(Event::Live(told)) = events.last() else { panic!() };
    assert_eq!((told.initial, fake.requests_to(POSTS).len()), (60, PAGES));
    fake.finish();
}

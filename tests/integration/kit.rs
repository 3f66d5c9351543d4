//! Small things that several of these tests need.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bosbase_watch::{Client, Event, Realtime, RealtimeBuilder, Result, ServerUrl, Subscription};
use serde_json::{Value, json};

use crate::support::cli::Output;
use crate::support::fake::{Fake, Plain, Request, Script, answer, error, healthy_feed, ok, page};

/// How long a test waits for what must happen.
pub const SOON: Duration = Duration::from_secs(10);
pub const FEED: &str = "GET /api/realtime";
pub const SUBMIT: &str = "POST /api/realtime";
pub const HEALTH: &str = "GET /api/health";

pub const LIST: &str = "GET /api/collections/*/records";

pub const PASSWORD: &str = "correct horse battery";
pub const ANN: &str = "ann@example.com";

// ---------------------------------------------------------------------------------------------
// The library

/// A client of the fake that does not wait for long.
pub fn client(fake: &Fake) -> Client {
    client_within(fake, SOON)
}

pub fn client_within(fake: &Fake, connect_timeout: Duration) -> Client {
    let url = ServerUrl::parse(&fake.url()).unwrap();
    Client::builder(url).connect_timeout(connect_timeout).build().unwrap()
}

/// The settings of a connection that comes back at once and asks for nothing but the feed.
pub fn plain(fake: &Fake) -> RealtimeBuilder {
    Realtime::builder(&client(fake)).max_backoff(Duration::from_millis(5)).catch_up(false)
}

/// What must happen soon.
#[track_caller]
pub fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let within = tokio::time::timeout(SOON, future).await;
        within.unwrap_or_else(|_| panic!("nothing came at {caller}"))
    }
}

/// The next event, whatever it is.
pub async fn next(feed: &mut Subscription) -> Event {
    let event = soon(feed.next()).await;
    event.expect("the stream goes on").unwrap_or_else(|error| panic!("an event, not: {error}"))
}

/// All events up to the first one that is wanted, which is the last of them.
pub async fn up_to(feed: &mut Subscription, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    let all = async {
        loop {
            match feed.next().await {
                Some(Ok(event)) => events.push(event),
                other => panic!("it ends with {other:?} after {:?}", story(&events)),
            }
            if events.last().is_some_and(&wanted) {
                return;
            }
        }
    };
    if tokio::time::timeout(SOON, all).await.is_err() {
        let last = &events[events.len().saturating_sub(10)..];
        panic!("what is waited for does not come; the last of {} events: {last:#?}", events.len());
    }
    events
}

/// All that is left of a stream that ends.
pub async fn rest(feed: &mut Subscription) -> Vec<Result<Event>> {
    let mut events = Vec::new();
    let all = async {
        while let Some(event) = feed.next().await {
            events.push(event);
        }
    };
    let ended = tokio::time::timeout(SOON, all).await;
    ended.unwrap_or_else(|_| panic!("the stream does not end; {} events", events.len()));
    events
}

/// Events in short: `connected`, `record r1`, `disconnected`, …
pub fn story(events: &[Event]) -> Vec<String> {
    events.iter().map(word).collect()
}

/// An event in short.
pub fn word(event: &Event) -> String {
    match event {
        Event::Record(event) => {
            let record: Value = serde_json::from_str(&event.json()).unwrap();
            format!("{} {}", event.action(), record["id"].as_str().unwrap_or("?"))
        }
        Event::Message(event) => format!("message {}", event.payload()),
        Event::Connected(_) => "connected".into(),
        Event::Subscribed(_) => "subscribed".into(),
        Event::Live(_) => "live".into(),
        Event::Disconnected(_) => "disconnected".into(),
        Event::Gap(_) => "gap".into(),
        Event::Refreshed(_) => "refreshed".into(),
        Event::Warning(warning) => format!("warning {}", warning.code),
        other => format!("{other:?}"),
    }
}

pub fn is_live(event: &Event) -> bool {
    matches!(event, Event::Live(_))
}

pub fn is_lost(event: &Event) -> bool {
    matches!(event, Event::Disconnected(_))
}

pub fn is_data(event: &Event) -> bool {
    matches!(event, Event::Record(_) | Event::Message(_))
}

// ---------------------------------------------------------------------------------------------
// Requests

/// The keys that a POST subscribes.
pub fn keys(request: &Request) -> Vec<String> {
    let body = request.json();
    let keys = body["subscriptions"].as_array().unwrap_or_else(|| panic!("not a subscription: {body}"));
    keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect()
}

/// The client id that a POST is for.
pub fn client_id(request: &Request) -> String {
    request.json()["clientId"].as_str().expect("a client id").to_owned()
}

/// A record with an id, as an event.
pub fn created(id: &str) -> Value {
    crate::support::fake::record("create", json!({ "id": id }))
}

/// A script for custom topics: there are no collections of their names.
pub fn no_collections() -> Script {
    let missing = error(404, "Missing collection context.");
    Script::new().always("GET /api/collections/*/records/*", missing)
}

/// A list with one record, so that the check of a topic finds nothing to say.
pub fn records() -> Plain {
    page([json!({ "id": "r0", "collectionId": "pbc_1", "collectionName": "posts" })])
}

/// [`healthy_feed`] with a record in it, as PocketBase has it.
pub fn healthy_posts() -> Script {
    let missing = error(404, "The requested resource wasn't found.");
    healthy_feed().always(LIST, records()).always("GET /api/pubsub", missing)
}

// ---------------------------------------------------------------------------------------------
// Logins

/// A token as the server issues it, that is good for so many seconds.
pub fn token_for(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "collectionId": "_pb_users_auth_", "exp": i64::try_from(now).unwrap() + seconds,
        "id": "u1", "refreshable": true, "type": "auth",
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()), part("a signature"))
}

pub fn ann() -> Value {
    json!({
        "id": "u1", "collectionId": "_pb_users_auth_", "collectionName": "users",
        "email": ANN, "name": "Ann", "secretField": "never to be kept",
    })
}

/// The server knows Ann, her password and this token.
pub fn with_ann(script: Script, token: &str) -> Script {
    let (issued, known) = (token.to_owned(), token.to_owned());
    let wrong = || error(400, "Failed to authenticate.");
    script
        .always(
            "POST /api/collections/users/auth-with-password",
            answer(move |request| {
                let body = request.json();
                let is_ann = body["identity"] == ANN && body["password"] == PASSWORD;
                if is_ann { ok(json!({ "token": issued, "record": ann() })) } else { wrong() }
            }),
        )
        .always(
            "POST /api/collections/_superusers/auth-refresh",
            error(401, "The request requires valid record authorization token."),
        )
        .always(
            "POST /api/collections/_pb_users_auth_/auth-refresh",
            answer(move |request| {
                if request.header("authorization") == Some(&known) {
                    ok(json!({ "token": known, "record": ann() }))
                } else {
                    error(401, "The request requires valid record authorization token.")
                }
            }),
        )
}

// ---------------------------------------------------------------------------------------------
// What a person sees

/// A run as one block.
pub fn block(output: &Output) -> String {
    let Output { code, stdout, stderr, .. } = output;
    format!("exit {code}\n--- stdout ---\n{stdout}--- stderr ---\n{}", timeless_end(stderr))
}

/// With `TIME` in place of how long the watch took, at the end of its last line, and without the
/// times before the lines about the connection.
pub fn timeless_end(text: &str) -> String {
    let cut = |line: &str| {
        let line = without_time(line);
        match line.strip_prefix("■ ended").and_then(|rest| rest.rsplit_once(" · ")) {
            Some((rest, _)) => format!("■ ended{rest} · TIME\n"),
            None => format!("{line}\n"),
        }
    };
    text.lines().map(cut).collect()
}

/// A line about the connection without the time that it begins with in a log.
pub fn without_time(line: &str) -> &str {
    match line.split_once("  ") {
        Some((time, rest)) if rest.starts_with(['●', '○', '!', '·', '■']) => {
            let is_time = |(at, byte): (usize, u8)| match at {
                2 | 5 => byte == b':',
                8 => byte == b'.',
                _ => byte.is_ascii_digit(),
            };
            assert!(time.len() == 12 && time.bytes().enumerate().all(is_time), "{line}");
            rest
        }
        _ => line,
    }
}

/// The lines of NDJSON, parsed.
pub fn objects(text: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().map(line).collect()
}

/// NDJSON without the times: `"time":"…",` is cut out of each line.
pub fn timeless(text: &str) -> String {
    let cut = |line: &str| match line.split_once(r#""time":""#) {
        Some((before, after)) => format!("{before}{}\n", after.split_once("\",").expect("a time").1),
        None => format!("{line}\n"),
    };
    text.lines().map(cut).collect()
}

/// Only what is printed for events, not what happens to the connection.
pub fn events(text: &str) -> String {
    let is_event = |line: &&str| line.contains(r#"{"type":"record""#) || line.contains(r#"{"type":"message""#);
    text.lines().filter(is_event).map(|line| format!("{line}\n")).collect()
}

/// The process group whose number a command has written to a file.
#[track_caller]
pub fn group_in(file: &std::path::Path) -> rustix::process::Pid {
    let end = std::time::Instant::now() + SOON;
    loop {
        let group = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
            return group;
        }
        assert!(std::time::Instant::now() < end, "the command did not start");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until nothing of a process group is left.
#[track_caller]
pub fn wait_until_gone(group: rustix::process::Pid) {
    let end = std::time::Instant::now() + SOON;
    while rustix::process::test_kill_process_group(group).is_ok() {
        if std::time::Instant::now() > end {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            panic!("something of it is left");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the tests run under nohup, or the like: what they start ignores SIGHUP then, too.
pub fn hangs_up_in_vain() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask & 1 == 1)
}

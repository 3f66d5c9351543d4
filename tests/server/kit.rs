//! What these tests share.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bosbase_watch::{Client, Event, MessageEvent, RecordEvent, Secret, Subscription};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::pocketbase::{Api, Login, Server};

/// Makes a test for each version of the server of functions that take the version.
macro_rules! both_versions {
    ($($name:ident),* $(,)?) => {
        mod v0_30_0 {
            $(#[test]
            fn $name() {
                super::$name($crate::support::pocketbase::V0_30_0);
            })*
        }
        mod v0_40_6 {
            $(#[test]
            fn $name() {
                super::$name($crate::support::pocketbase::V0_40_6);
            })*
        }
    };
}

/// Nobody is signed in.
pub fn guest(server: &Server) -> Cli {
    Cli::new(server.url())
}

pub fn ann(server: &Server) -> Cli {
    guest(server).with("BOSBASE_TOKEN", &server.ann().token)
}

pub fn root(server: &Server) -> Cli {
    guest(server).with("BOSBASE_TOKEN", server.superuser_token())
}

/// A post with the rest left empty.
#[track_caller]
pub fn post(api: &Api, title: &str) -> Value {
    api.create("posts", &json!({"title": title}))
}

pub fn id(record: &Value) -> String {
    record["id"].as_str().expect("a record has an id").to_owned()
}

#[track_caller]
pub fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
}

pub fn is_event(line: &str) -> bool {
    line.starts_with(r#"{"type":"record""#) || line.starts_with(r#"{"type":"message""#)
}

/// The records and messages among the lines.
#[track_caller]
pub fn events(stdout: &str) -> Vec<Value> {
    stdout.lines().filter(|line| is_event(line)).map(parse).collect()
}

/// Waits until so many records and messages came.
#[track_caller]
pub fn wait_for_events(running: &Running, count: usize) -> Vec<Value> {
    running.wait_for_lines(count, is_event).iter().map(|line| parse(line)).collect()
}

/// Waits until an event was printed whose line holds this text.
#[track_caller]
pub fn wait_for_text(running: &Running, text: &str) -> Value {
    parse(&running.wait_for_line(|line| is_event(line) && line.contains(text)))
}

/// The one lifecycle line of this type.
#[track_caller]
pub fn lifecycle(running: &Running, kind: &str) -> Value {
    parse(&running.wait_for_line(|line| line.starts_with(&format!(r#"{{"type":"{kind}""#))))
}

/// One word for each event: its action, or its topic, and a field of it.
pub fn brief(events: &[Value], field: &str) -> Vec<String> {
    let word = |event: &Value| match event["action"].as_str() {
        Some(action) => format!("{action} {}", event["record"][field].as_str().unwrap_or("-")),
        None => event["topic"].as_str().unwrap_or("-").to_owned(),
    };
    events.iter().map(word).collect()
}

pub fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

/// The topics of the only client that the server knows, as names with their
/// options decoded.
#[track_caller]
pub fn topics_of_the_client(api: &Api) -> Vec<(String, Value)> {
    let clients = api.clients();
    assert_eq!(clients.len(), 1, "{clients:?}");
    let mut topics: Vec<_> = clients[0].subscriptions.iter().map(|key| decoded(key)).collect();
    topics.sort_by_key(|(name, options)| (name.clone(), options.to_string()));
    topics
}

/// What the server reads from a key.
#[track_caller]
pub fn decoded(key: &str) -> (String, Value) {
    let Some((name, options)) = key.split_once("?options=") else { return (key.to_owned(), Value::Null) };
    let options = percent_decode_str(options).decode_utf8().expect("UTF-8");
    (name.to_owned(), parse(&options))
}

/// Runs a future on a runtime of its own.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A client of the library without a login.
pub fn client(server: &Server) -> Client {
    Client::new(server.url()).unwrap()
}

pub fn client_of(server: &Server, login: &Login) -> Client {
    let client = client(server);
    client.auth().save(Secret::new(login.token.clone()), None);
    client
}

/// The next event of a subscription, which has to come.
pub async fn next(subscription: &mut Subscription) -> Event {
    match tokio::time::timeout(PATIENCE, subscription.next()).await {
        Ok(Some(Ok(event))) => event,
        Ok(other) => panic!("no event but {other:?}"),
        Err(_) => panic!("no event in time"),
    }
}

/// The next record, past what happens to the connection.
pub async fn next_record(subscription: &mut Subscription) -> RecordEvent {
    loop {
        if let Event::Record(record) = next(subscription).await {
            return record;
        }
    }
}

pub async fn next_message(subscription: &mut Subscription) -> MessageEvent {
    loop {
        if let Event::Message(message) = next(subscription).await {
            return message;
        }
    }
}

/// Waits until the stream has ended without an error.
pub async fn ended(subscription: &mut Subscription) {
    let end = async {
        while let Some(event) = subscription.next().await {
            event.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, end).await.expect("the stream ends");
}

/// What an async test waits for without blocking its runtime, on which the
/// connection runs.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! What these tests share.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::cli::{Cli, Running};
use crate::support::fake::{Fake, Script, healthy_feed, no_content, stream};
use crate::support::pocketbase::{Api, Server};

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

/// Makes one test for both versions, which run at the same time: for what waits
/// most of its time.
macro_rules! both_versions_at_once {
    ($($name:ident),* $(,)?) => {
        mod both_versions {
            $(#[test]
            fn $name() {
                std::thread::scope(|scope| {
                    for version in $crate::support::pocketbase::VERSIONS {
                        scope.spawn(|| super::$name(version));
                    }
                });
            })*
        }
    };
}

/// No test takes as long as this.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Nobody is signed in.
pub fn guest(url: &str) -> Cli {
    Cli::new(url)
}

/// Waits for what stdout shows, and returns it.
#[track_caller]
pub fn wait<T>(what: &str, running: &Running, look: impl Fn(&[Value]) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        let stdout = running.stdout();
        if let Some(found) = look(&lines(&stdout)) {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}; stdout:\n{stdout}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until so many lines are of this type; all of them.
#[track_caller]
pub fn wait_for(kind: &str, count: usize, running: &Running) -> Vec<Value> {
    wait(&format!("{count} × {kind}"), running, |lines| {
        let found = of_type(lines, kind);
        (found.len() >= count).then_some(found)
    })
}

/// Waits for the line of a record's event whose record has this in this field.
#[track_caller]
pub fn wait_for_record(running: &Running, action: &str, field: &str, value: &str) -> Value {
    wait(&format!("{action} of {value}"), running, |lines| {
        lines.iter().find(|line| line["action"] == action && line["record"][field] == value).cloned()
    })
}

/// The lines of NDJSON that are complete.
pub fn lines(stdout: &str) -> Vec<Value> {
    let complete = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    complete.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

pub fn of_type(lines: &[Value], kind: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["type"] == kind).cloned().collect()
}

/// The records among the lines: action, title, and whether they were replayed.
pub fn brief(lines: &[Value]) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let records = lines.iter().filter(|line| line["type"] == "record");
    records.map(|line| (text(&line["action"]), text(&line["record"]["title"]), line["replayed"] == true)).collect()
}

/// The same of what is expected.
pub fn owned(brief: &[(&str, &str, bool)]) -> Vec<(String, String, bool)> {
    brief.iter().map(|(action, title, replayed)| ((*action).to_owned(), (*title).to_owned(), *replayed)).collect()
}

/// How often each value of this field of the records was printed.
pub fn times(lines: &[Value], field: &str) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    for line in lines.iter().filter(|line| line["type"] == "record") {
        *times.entry(line["record"][field].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    times
}

/// The names of topics in a list of a gap, in order.
pub fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<_> = list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

pub fn id(record: &Value) -> String {
    record["id"].as_str().expect("a record has an id").to_owned()
}

/// A post with the rest left empty.
#[track_caller]
pub fn post(api: &Api, title: &str) -> String {
    id(&api.create("posts", &json!({"title": title})))
}

/// Lets several writes be one request.
#[track_caller]
pub fn allow_batches(server: &Server) {
    server.patch_settings(&json!({"batch": {"enabled": true, "maxRequests": 100, "timeout": 10}}));
}

/// Creates posts in one transaction.
#[track_caller]
pub fn create_posts(api: &Api, titles: impl IntoIterator<Item = String>) {
    let requests: Vec<_> = titles
        .into_iter()
        .map(|title| json!({"method": "POST", "url": "/api/collections/posts/records", "body": {"title": title}}))
        .collect();
    api.ok("POST", "/api/batch", Some(api.superuser_token()), Some(&json!({"requests": requests})));
}

/// Does something so many times a second, and so many times.
pub fn at_a_rate(per_second: u32, count: usize, mut act: impl FnMut(usize)) {
    let start = Instant::now();
    for number in 0..count {
        let due = start + Duration::from_secs(1) * u32::try_from(number).unwrap() / per_second;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        act(number);
    }
}

// --- the fake -------------------------------------------------------------------

/// How old the fake's connections become before they are closed, as [`taught`] teaches.
pub const LIFE: Duration = Duration::from_millis(1_200);

/// A fake whose first two connections are there to teach how old they become.
/// To be followed by the steps of the third connection, which knows.
pub fn school() -> Script {
    healthy_feed()
        .then("GET /api/realtime", stream().connect().live())
        .then("POST /api/realtime", no_content())
        .then("GET /api/realtime", stream().connect().live())
        .then("POST /api/realtime", no_content())
}

/// Starts a watch on such a fake, and returns when its third connection stands,
/// which is going to be handed over.
#[track_caller]
pub fn taught(fake: &Fake, args: &[&str]) -> Running {
    let mut all = vec!["subscribe", "--no-check", "-v", "--lifecycle", "stdout", "-o", "ndjson"];
    all.extend(args);
    let running = guest(&fake.url()).start(all);
    for lesson in 1..=2 {
        fake.wait_for_requests(lesson, "POST /api/realtime", PATIENCE);
        let stands = fake.requests_to("GET /api/realtime").last().unwrap().at;
        thread::sleep((stands + LIFE).saturating_duration_since(Instant::now()));
        fake.end_streams();
    }
    wait_for("live", 3, &running);
    running
}

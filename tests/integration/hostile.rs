//! A server that means harm: whatever it sends is survived, told, and the watch goes on.
//!
//! `cargo test --release --test integration hostile::at_full_size -- --ignored --nocapture` plays
//! everything in full size and prints what it took.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::fake::*;

const DONE: &str = "jobs/done";

/// What a case may take: the buffers of the largest event, and the program itself.
const MAX_MEMORY: u64 = 512 << 20;

/// ... and in this time.
const LONGEST: Duration = Duration::from_mins(5);

struct Case {
    name: &'static str,
    script: Script,
    /// What has to be said of it; nothing where it is nothing to speak of.
    told: &'static str,
    flags: &'static [&'static str],
}

fn case(name: &'static str, script: Script, told: &'static str) -> Case {
    Case { name, script, told, flags: &[] }
}

/// What a case took.
struct Cost {
    peak: u64,
    processor: Duration,
    took: Duration,
}

/// The check finds nothing, and after whatever the first connections are, there is one that works.
fn feeds(first: impl IntoIterator<Item = Reply>) -> Script {
    let script = no_collections().always(LIST, records()).always(HEALTH, healthy());
    let script = script.always(FEED, stream().connect().event(key_of(DONE), "\"done\"")).always(SUBMIT, subscribed());
    first.into_iter().fold(script, |script, reply| script.then(FEED, reply))
}

/// A stream that goes on behind what is hostile.
fn during(hostile: impl FnOnce(Stream) -> Stream) -> Script {
    let stream = stream().connect().event(key_of(DONE), "\"begin\"");
    feeds([hostile(stream).at_once().event(key_of(DONE), "\"done\"").into()])
}

/// A stream that the client leaves, or that ends, once it was live.
fn until_left(hostile: impl FnOnce(Stream) -> Stream) -> Script {
    feeds([hostile(stream().connect().event(key_of(DONE), "\"begin\"")).into()])
}

/// The answer to a connection that is tried again.
fn again(reply: impl Into<Reply>) -> Script {
    feeds([stream().connect().event(key_of(DONE), "\"begin\"").close().into(), reply.into()])
}

fn endless(head: &str, block: impl Into<Vec<u8>>, size: usize) -> Stream {
    let block = block.into();
    let times = size / block.len();
    raw(head.as_bytes()).repeat(block, times)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";

/// Everything, a `scale` of its full size.
fn cases(full: bool) -> Vec<Case> {
    let mb = |full_size: usize, small: usize| if full { full_size << 20 } else { small << 20 };
    let block = |text: &str| text.repeat((64 << 10) / text.len()).into_bytes();
    let name = |id: &str| format!("id:{id}\nevent:PB_CONNECT\ndata:{{\"clientId\":\"{id}\"}}\n\n");
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let deep = |depth: usize| format!(r#"{{"action":"create","record":{{"id":"deep","x":{}}}}}"#, nested(depth));
    let long_id = format!("id:{}\nevent:x\ndata:1\n\n", "i".repeat(mb(60, 1)));
    let future = |date: &str| stream().header("Date", date).connect().event(key_of(DONE), "\"done\"");
    let mut cases = vec![
        case("an endless line", until_left(|s| s.huge_line(200 << 20)), "an event of more than 64 MB"),
        case("comments, one after the other", during(|s| s.repeat(block(":x\n\n"), mb(100, 2) >> 16)), ""),
        case("events without anything in them", during(|s| s.repeat(block("event:x\n\n"), mb(9, 1) >> 16)), ""),
        case(
            "empty events of another name",
            during(|s| s.repeat(block("event:x\ndata:\n\n"), mb(15, 1) >> 16)),
            "nobody asked for",
        ),
        case("blank lines", during(|s| s.repeat(block("\n"), mb(64, 2) >> 16)), ""),
        case(
            "a long id, and many events",
            until_left(|s| s.bytes(long_id).repeat(block("data:1\n\n"), mb(64, 1) >> 16)),
            "id is longer than 1024 bytes",
        ),
        case(
            "a byte at a time",
            during(|s| s.one_byte_every(Duration::from_millis(if full { 100 } else { 2 })).event(key_of(DONE), "1")),
            "",
        ),
        case(
            "compressed, unasked",
            again(stream().header("Content-Encoding", "gzip").bytes(&b"\x1f\x8b\x08\0\0\0\0\0"[..])),
            "answers compressed (gzip)",
        ),
        case(
            "a length that is too short",
            again(raw(format!("{OK}Content-Length: 60\r\n\r\n{}", name("me") + "data:more\n\n")).close()),
            "in the middle of an answer",
        ),
        case(
            "a length that is too long",
            again(raw(format!("{OK}Content-Length: 1000000000000\r\n\r\n{}", name("me"))).close()),
            "in the middle of an answer",
        ),
        case(
            "two lengths",
            again(raw(format!("{OK}Content-Length: 5\r\nContent-Length: 7\r\n\r\n{}", name("me"))).close()),
            "invalid content-length",
        ),
        case(
            "a name that comes twice",
            during(|s| s.bytes(name("other")).bytes(name("other"))),
            "named the connection a second time",
        ),
        case("a name that never comes", again(stream().bytes(":\n\n")), "did not name the connection"),
        case("a name without end", again(stream().bytes(name(&"n".repeat(2000)))), "id is longer than 1024 bytes"),
        case("events for another client", during(|s| s.bytes("id:somebody-else\nevent:jobs/done\ndata:1\n\n")), ""),
        case(
            "events that nobody asked for",
            during(|s| s.event("posts/9f3k2m1x0abcdef", created("x")).event("../../etc/passwd", "1")),
            "nobody asked for",
        ),
        case(
            "keys that come twice",
            during(|s| {
                s.event(
                    key_of("posts/*"),
                    r#"{"action":"create","action":"delete","record":{"id":"a","id":"b"},"record":1}"#,
                )
            }),
            "",
        ),
        case(
            "a record that is a number",
            during(|s| s.event(key_of("posts/*"), r#"{"action":"create","record":5}"#)),
            "",
        ),
        case(
            "an id that is a number",
            during(|s| {
                s.event(key_of("posts/*"), r#"{"action":"create","record":{"id":5,"updated":[],"collectionName":{}}}"#)
            }),
            "",
        ),
        case("nested 10,000 deep", during(|s| s.event(key_of("posts/*"), deep(10_000))), "\"deep\""),
        case("nested a million deep", during(|s| s.event(key_of("posts/*"), deep(1_000_000))), "\"deep\""),
        case("brackets that do not close", during(|s| s.event(key_of("posts/*"), "[".repeat(mb(20, 1)))), ""),
        case(
            "an error without end",
            again(endless("HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\n\r\n", block("x"), mb(500, 5))),
            "503",
        ),
        case("redirects in a circle", again(redirect(307, "/api/realtime")), "redirects are not followed"),
        case(
            "a redirect to plain http",
            again(redirect(301, "http://elsewhere.example.com/api/realtime")),
            "redirects are not followed",
        ),
        case(
            "a header without end",
            again(endless("HTTP/1.1 200 OK\r\nX: ", block("x"), mb(500, 5))),
            "message head is too large",
        ),
        case(
            "headers without end",
            again(endless("HTTP/1.1 200 OK\r\n", block("X: y\r\n"), mb(500, 5))),
            "message head is too large",
        ),
        case(
            "a status line without end",
            again(endless("HTTP/1.1 200 ", block("x"), mb(500, 5))),
            "message head is too large",
        ),
        case(
            "interim answers without end",
            again(endless("", block("HTTP/1.1 103 Early Hints\r\n\r\n"), mb(50, 1))),
            "did not take the connection within 2 s",
        ),
        case(
            "chunks that lie",
            again(raw(format!("{OK}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx")).close()),
            "invalid chunk size",
        ),
        case(
            "chunk extensions without end",
            again(endless(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n5;"), block("x"), mb(500, 5))),
            "chunk extensions over limit",
        ),
        case("a clock at the end of time", feeds([future("Thu, 30 Dec 9999 21:59:59 GMT").into()]), ""),
        case("a clock before all time", feeds([future("Mon, 01 Jan 0001 00:00:00 GMT").into()]), ""),
        case(
            "a wait of ten thousand years",
            feeds([stream()
                .connect()
                .event(key_of(DONE), "\"begin\"")
                .bytes("retry:99999999999999999999\ndata:\n\n")
                .close()
                .into()]),
            "",
        ),
        case(
            "invalid UTF-8",
            during(|s| {
                s.repeat(&b"event:x\ndata:\xff\xfe\xc0\x80\xed\xa0\x80\n\n"[..], if full { 100_000 } else { 1000 })
            }),
            "not UTF-8",
        ),
        case("a NUL in everything", during(|s| s.bytes("id:\0\nevent:\0\ndata:\0\n\n")), ""),
    ];
    cases.push(Case {
        flags: &["--jq", "select(.data) // {id: .record.id}"],
        ..case(
            "nested a million deep, into jq",
            during(|s| s.event(key_of("posts/*"), deep(1_000_000))),
            "nested more than",
        )
    });
    if full {
        cases.push(case(
            "an endless event of short lines",
            until_left(|s| s.repeat(block("data:x\n"), 200 << 4)),
            "an event of more than 64 MB",
        ));
        let text = "x".repeat(50 << 20);
        cases.push(case(
            "an event of 50 MB",
            during(|s| s.event(key_of("posts/*"), record("create", json!({"id": "large", "x": text})))),
            "\"large\"",
        ));
        cases.push(case(
            "comments without end",
            until_left(|s| s.repeat(block(":x\n\n"), 300 << 4)),
            // Unoptimised, nothing comes so fast.
            if cfg!(debug_assertions) { "" } else { "128 MB within a minute" },
        ));
    }
    cases
}

/// Plays a case to its end.
#[track_caller]
fn play(case: Case) -> (String, Cost) {
    let Case { name, script, told, flags } = case;
    let fake = script.start();
    let cli = Cli::new(&fake.url());
    let mut command = cli.command(["subscribe", DONE, "posts/*", "--lifecycle", "stdout", "-o", "ndjson"]);
    command.args(["--max-backoff", "5ms", "--connect-timeout", "2s", "-q"]).args(flags);
    let started = Instant::now();
    let running = Running::start(command);
    // In full size it may take longer than a line may in other tests.
    while !running.stdout().contains(r#""done""#) {
        assert!(started.elapsed() < LONGEST, "{name}: {}", start_of(&running.stdout()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = started.elapsed();
    let cost = Cost { peak: peak_memory(running.id()), processor: processor_time(running.id()), took };
    let stopping = Instant::now();
    let output = running.stop();
    assert_eq!(output.code, 130, "{name}: {}", output.stderr);
    // To look through megabytes of output takes the test itself its time.
    assert!(output.stdout.len() > 1 << 20 || stopping.elapsed() < PATIENCE / 4, "{name}: it does not listen");
    let said = output.stdout.lines().rfind(|line| line.contains(told)).unwrap_or_default().to_owned();
    assert!(told.is_empty() || !said.is_empty(), "{name}: {told:?} is not told: {}", start_of(&output.stdout));
    assert!(cost.peak < MAX_MEMORY, "{name}: {} MB", cost.peak >> 20);
    (if told.is_empty() { "delivered, or passed over".into() } else { what_is_said(&said) }, cost)
}

/// The words of a line that is told.
fn what_is_said(line: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    let said = value["detail"].as_str().or(value["message"].as_str());
    said.map_or_else(|| format!("delivered, {} bytes", line.len()), str::to_owned)
}

fn start_of(text: &str) -> String {
    text.lines().map(|line| line.chars().take(300).collect::<String>() + "\n").take(30).collect()
}

/// The most memory that a process has had, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// How long it has kept processors busy.
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[test]
fn whatever_it_sends_the_watch_goes_on() {
    // Some at a time: most of them wait.
    let cases = std::sync::Mutex::new(cases(false));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = cases.lock().unwrap().pop() else { return };
                    let name = case.name;
                    let (told, cost) = play(case);
                    println!("{name}: {told} · {} MB · {:?} · {:?}", cost.peak >> 20, cost.processor, cost.took);
                    assert!(cost.processor < Duration::from_secs(20), "{name}: {:?}", cost.processor);
                }
            });
        }
    });
}

#[test]
#[ignore = "takes minutes; prints a table"]
fn at_full_size() {
    println!("| what comes | what happened | peak memory | processor | time |\n|---|---|---|---|---|");
    for case in cases(true) {
        let name = case.name;
        let (told, Cost { peak, processor, took }) = play(case);
        let (processor, took) = (processor.as_secs_f64(), took.as_secs_f64());
        println!("| {name} | {told} | {} MB | {processor:.2} s | {took:.1} s |", peak >> 20);
    }
}

// ---------------------------------------------------------------------------------------------
// Answers to requests

/// What a run says that has nothing to watch.
#[track_caller]
fn refused(script: Script, args: &[&str], code: i32) -> String {
    let fake = script.start();
    let output = Cli::new(&fake.url()).run(args).expect(code);
    assert!(output.took < Duration::from_secs(10), "{args:?}: {:?}", output.took);
    output.stderr
}

#[test]
fn answers_that_are_too_much() {
    let huge = |head: &str| endless(head, vec![b' '; 1 << 16], 70 << 20);
    let list = huge("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
    let said = refused(healthy_feed().always(LIST, list), &["topics", "posts/*"], 6);
    assert!(said.contains("the answer to /api/collections/posts/records is larger than 64 MB"), "{said}");

    let list = endless("HTTP/1.1 500 Oh\r\n\r\n", vec![b'x'; 1 << 16], 50 << 20);
    let said = refused(healthy_feed().always(LIST, list), &["topics", "posts/*"], 6);
    assert!(said.contains("the server failed (500)"), "{said}");

    let zipped = page([json!({"id": "a"})]).header("Content-Encoding", "br");
    let said = refused(healthy_feed().always(LIST, zipped), &["topics", "posts/*"], 6);
    assert!(said.contains("answers compressed (br), which was not asked for"), "{said}");

    let deep = ok(json!({})).body(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    let said = refused(healthy_feed().always(LIST, deep), &["topics", "posts/*"], 6);
    assert!(said.contains("the list of records is not what a BosBase server answers"), "{said}");
}

#[test]
fn lists_that_do_not_end() {
    // Collections: the same thousand for ever.
    let token = token_for(1_000_000);
    let thousand: Vec<_> =
        (0..1000).map(|n| json!({"id": n.to_string(), "name": format!("c{n}"), "type": "base"})).collect();
    let script = with_ann(healthy_posts(), &token).always("GET /api/collections", ok(json!({"items": thousand})));
    let fake = script.start();
    let output = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token).run(["topics"]).expect(6);
    assert!(output.stderr.contains("more than 100 pages of 1,000"), "{}", output.stderr);

    // Records: the same page for ever.
    let full: Vec<_> =
        (0..1000).map(|n| json!({"id": format!("r{n:014}"), "updated": "2026-03-01 12:00:00.000Z"})).collect();
    let same = move || {
        answer({
            let full = full.clone();
            move |request: &Request| {
                page(if request.param("perPage").as_deref() == Some("1") { full[..1].to_vec() } else { full.clone() })
            }
        })
    };
    for from in [&["--initial"][..], &["--since", "2026-01-01"]] {
        let fake = healthy_feed().always(LIST, same()).start();
        let args = [&["subscribe", "posts/*", "--timeout", "15s"][..], from].concat();
        let output = Cli::new(&fake.url()).run(&args).expect(6);
        assert!(output.stderr.contains("the server answers a page once more"), "{from:?}: {}", output.stderr);
    }
}

#[test]
fn what_is_missed_is_read_again_within_bounds() {
    // The list never ends: it is told as not read.
    let full: Vec<_> =
        (0..1000).map(|n| json!({"id": format!("r{n:014}"), "updated": "2999-03-01 12:00:00.000Z"})).collect();
    let list = answer(move |request: &Request| {
        page(if request.param("perPage").as_deref() == Some("1") { full[..1].to_vec() } else { full.clone() })
    });
    let fake = feeds([stream()
        .connect()
        .event(
            key_of("posts/*"),
            json!({"action": "create", "record": {"id": "a", "updated": "2026-03-01 12:00:00.000Z"}}),
        )
        .close()
        .into()])
    .always(LIST, list)
    .start();
    let running = Cli::new(&fake.url()).watch([DONE, "posts/*", "--max-backoff", "5ms"]);
    let gap = running.wait_for_line(|line| line.contains(r#""type":"gap""#));
    assert!(gap.contains(r#""unfilled":["jobs/done","posts/*"]"#), "{gap}");
    running.wait_for_line(|line| line.contains(r#""done""#));
    running.stop();
}

/// Whoever writes a record chooses the keys in its JSON; one of them means something to `serde_json`.
#[test]
fn keys_that_mean_something_to_a_parser() {
    let hostile = json!({
        "id": "r0", "collectionId": "pbc_1", "collectionName": "posts", "updated": "2026-03-01 12:00:00.000Z",
        "json": { "$serde_json::private::RawValue": "no JSON" }
    });
    let fake = healthy_posts().always(LIST, page([hostile.clone()])).start();
    let cli = Cli::new(&fake.url());
    let output = cli.run(["topics", "posts/*"]).expect(0);
    assert!(output.stdout.contains("ok"), "{}", output.stdout);
    let running = cli.watch(["posts/*"]);
    fake.emit("posts/*", json!({"action": "update", "record": hostile}).to_string());
    running.wait_for_line(|line| line.contains(r#"{"$serde_json::private::RawValue":"no JSON"}"#));
    running.stop();
}

#[test]
fn a_topic_that_no_event_can_name() {
    for topic in ["a\nb", "a\r", "\nposts/*"] {
        let output = Cli::new("http://127.0.0.1:9").run(["subscribe", topic]).expect(2);
        assert!(
            output.stderr.contains("holds a control character") && output.stderr.contains("hint: "),
            "{}",
            output.stderr
        );
    }
}

//! What the server sends is what is printed, byte for byte; and a watch stops when it was told to.

use std::time::Duration;

use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, Output, Running};
use crate::support::fake::*;

const ESC: char = '\u{1b}';

/// A feed that plays these bytes to whoever has subscribed, and ends the watch.
///
/// `make` gets the client with its keys.
fn played(stream: Stream, args: &[&str], count: usize) -> String {
    let fake = Script::new().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start();
    let cli = Cli::new(&fake.url());
    let mut all = vec!["subscribe", "-n"];
    let count = count.to_string();
    all.push(&count);
    all.extend(args);
    let output = cli.run(all).expect(0);
    timeless(&output.stdout)
}

/// Waits for the subscription, then sends to its first key.
fn send(stream: Stream, data: impl Into<Data>) -> Stream {
    stream.event(key_of("jobs/finished"), data)
}

fn live(fake: &Fake, args: &[&str]) -> Running {
    Cli::new(&fake.url()).watch(args)
}

// ---------------------------------------------------------------------------------------------
// Payloads

#[test]
fn payloads_that_are_not_json_or_empty() {
    let stream = ["hello", "", " ", "{\"a\":", "42", "null", "\"text\"", "NaN", "{} {}", "[1,{\"b\":2}]"]
        .into_iter()
        .fold(stream().connect(), send);
    insta::assert_snapshot!(played(stream, &["jobs/finished"], 10), @r#"
    {"type":"message","topic":"jobs/finished","text":"hello"}
    {"type":"message","topic":"jobs/finished","text":""}
    {"type":"message","topic":"jobs/finished","text":""}
    {"type":"message","topic":"jobs/finished","text":"{\"a\":"}
    {"type":"message","topic":"jobs/finished","data":42}
    {"type":"message","topic":"jobs/finished","data":null}
    {"type":"message","topic":"jobs/finished","data":"text"}
    {"type":"message","topic":"jobs/finished","text":"NaN"}
    {"type":"message","topic":"jobs/finished","text":"{} {}"}
    {"type":"message","topic":"jobs/finished","data":[1,{"b":2}]}
    "#);
}

#[test]
fn payloads_that_are_not_utf8_are_mended_with_a_warning() {
    let stream = send(stream().connect(), &b"ab\xff\xc3(\xf0\x9f\xa6\x80"[..]);
    let out = played(send(stream, "{\"ok\":\"\u{1f980}\"}"), &["jobs/finished", "--lifecycle", "stdout"], 2);
    let from_the_warning = out.find(r#"{"type":"warning""#).expect("a warning");
    insta::assert_snapshot!(&out[from_the_warning..], @r#"
    {"type":"warning","code":"invalid-utf8","message":"the server sent bytes that are not UTF-8; they are shown as U+FFFD"}
    {"type":"message","topic":"jobs/finished","text":"ab��(🦀"}
    {"type":"message","topic":"jobs/finished","data":{"ok":"🦀"}}
    {"type":"end","reason":"count","exit":0,"events":2,"reconnects":0,"gaps":0,"dropped":0}
    "#);
}

#[test]
fn data_of_several_lines() {
    let lines = |client: &Client| {
        let mut bytes = Vec::new();
        for lines in [&["{\"a\":1,", "\"b\":[", "2]}"][..], &["first", "", "third"], &["", ""]] {
            bytes.extend(format!("id:{}\nevent:jobs/finished\n", client.id).bytes());
            lines.iter().for_each(|line| bytes.extend(format!("data:{line}\n").bytes()));
            bytes.push(b'\n');
        }
        bytes
    };
    let stream = send(stream().connect(), "0").bytes_for(lines);
    insta::assert_snapshot!(played(stream, &["jobs/finished"], 4), @r#"
    {"type":"message","topic":"jobs/finished","data":0}
    {"type":"message","topic":"jobs/finished","data":{"a":1,"b":[2]}}
    {"type":"message","topic":"jobs/finished","text":"first\n\nthird"}
    {"type":"message","topic":"jobs/finished","text":"\n"}
    "#);
}

#[test]
fn five_megabytes_in_one_line() {
    let text = "é".repeat(5 * 1024 * 1024 / 2);
    let event = record("update", json!({ "id": "r1", "text": text }));
    let stream = stream().connect().event(key_of("posts/*"), event);
    let out = played(stream, &["posts/*"], 1);
    let expected =
        format!(r#"{{"type":"record","topic":"posts/*","action":"update","record":{{"id":"r1","text":"{text}"}}}}"#);
    assert_eq!(out.len(), expected.len() + 1);
    assert!(out.trim_end() == expected);
}

#[test]
fn an_event_beyond_every_limit_breaks_the_connection_and_no_more() {
    let fake = no_collections()
        .then(FEED, send(stream().connect(), "1").huge_line(80 * 1024 * 1024))
        .then(SUBMIT, subscribed())
        .then(FEED, send(stream().connect(), "2"))
        .then(SUBMIT, subscribed())
        .start();
    let args = ["subscribe", "jobs/finished", "-n", "2", "--lifecycle", "stdout", "--max-backoff", "5ms"];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    let lost = objects(&output.stdout).into_iter().find(|line| line["type"] == "disconnected").unwrap();
    assert_eq!(lost["detail"], "the server sent an event of more than 64 MB");
    assert_eq!(timeless(&events(&output.stdout)).lines().count(), 2);
}

#[test]
fn a_byte_at_a_time() {
    let event = record("create", json!({ "id": "r1", "text": "é日本\u{1f980}" }));
    let stream =
        stream().in_pieces_of(1).connect().event(key_of("posts/*"), event.clone()).event(key_of("posts/*"), event);
    insta::assert_snapshot!(played(stream, &["posts/*"], 2), @r#"
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r1","text":"é日本🦀"}}
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r1","text":"é日本🦀"}}
    "#);
}

#[test]
fn whatever_else_an_event_stream_may_hold() {
    let stream = stream()
        .bytes("\u{feff}: a mark and a comment\r\nretry: 10\r\n\r\n:\n")
        .connect()
        .event(key_of("jobs/finished"), "1")
        .bytes_for(|client| {
            let id = &client.id;
            let mut bytes = String::new();
            bytes.push_str(&format!(":comment\nid: {id}\nevent: jobs/finished\ndata: 2\n\n"));
            bytes.push_str(&format!("id:{id}\r\nevent:jobs/finished\r\ndata:3\r\n\r\n"));
            bytes.push_str(&format!("id:{id}\revent:jobs/finished\rdata:4\r\r"));
            // Fields in another order, unknown ones, one without a colon, a retry within.
            bytes.push_str("data:5\nunknown:x\nretry:5\nevent:jobs/finished\nnonsense\n\n");
            // No data: no event. No name: for nobody.
            bytes.push_str("event:jobs/finished\n\nid:x\n\ndata:nobody\n\n\n\n\n");
            bytes.push_str("event:jobs/finished\ndata:6\n\n");
            bytes.into_bytes()
        });
    insta::assert_snapshot!(played(stream, &["jobs/finished"], 6), @r#"
    {"type":"message","topic":"jobs/finished","data":1}
    {"type":"message","topic":"jobs/finished","data":2}
    {"type":"message","topic":"jobs/finished","data":3}
    {"type":"message","topic":"jobs/finished","data":4}
    {"type":"message","topic":"jobs/finished","data":5}
    {"type":"message","topic":"jobs/finished","data":6}
    "#);
}

#[test]
fn events_that_nobody_asked_for() {
    let stream = stream()
        .connect()
        .event(key_of("posts/*"), created("r1"))
        .event("posts/9f3k2m1x0abcdef", created("no"))
        .event("posts/*?options=%7B%7D", created("no"))
        .event("POSTS/*", created("no"))
        .event("message", "no")
        .event("PB_CONNECT", json!({ "clientId": "no" }))
        .event(key_of("posts/*"), created("r2"));
    insta::assert_snapshot!(played(stream, &["posts/*"], 2), @r#"
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r1"}}
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r2"}}
    "#);
}

#[test]
fn records_keep_their_bytes() {
    let data = concat!(
        r#"{"action":"create","record":{ "z":1.50e3, "id":"r1","big":12345678901234567890123,"neg":-0.0,"a":"\u003cb\u003e\/\t","#,
        "\"del\":\"\u{7f}\u{85}\",\"dup\":1,\"dup\":2,\n\"ws\" : [ 1 , 2 ] }}",
    );
    // The same with the keys the other way round, and more of them.
    let other = r#"{"record":{"id":"r2","x":1e0},"more":{"action":"no"},"action":"delete"}"#;
    let lines = data.replace('\n', "\ndata:");
    let stream = stream().connect().event(key_of("posts/*"), lines).event(key_of("posts/*"), other);
    insta::assert_snapshot!(played(stream, &["posts/*"], 2), @r#"
    {"type":"record","topic":"posts/*","action":"create","record":{ "z":1.50e3, "id":"r1","big":12345678901234567890123,"neg":-0.0,"a":"\u003cb\u003e\/\t","del":"\u007f\u0085","dup":1,"dup":2,"ws" : [ 1 , 2 ] }}
    {"type":"record","topic":"posts/*","action":"delete","record":{"id":"r2","x":1e0}}
    "#);
}

#[test]
fn what_is_not_a_record_is_a_message() {
    let stream = [
        json!({ "action": "archive", "record": { "id": "r1" } }),
        json!({ "action": "create", "record": "r1" }),
        json!({ "action": "create" }),
        json!({ "record": {} }),
        json!([]),
    ]
    .into_iter()
    .fold(stream().connect(), |stream, data| stream.event(key_of("posts/*"), data));
    insta::assert_snapshot!(played(stream, &["posts/*"], 5), @r#"
    {"type":"message","topic":"posts/*","data":{"action":"archive","record":{"id":"r1"}}}
    {"type":"message","topic":"posts/*","data":{"action":"create","record":"r1"}}
    {"type":"message","topic":"posts/*","data":{"action":"create"}}
    {"type":"message","topic":"posts/*","data":{"record":{}}}
    {"type":"message","topic":"posts/*","data":[]}
    "#);
}

#[test]
fn custom_messages_that_look_like_records() {
    let stream = send(stream().connect(), record("create", json!({ "id": "r1" })));
    insta::assert_snapshot!(played(stream, &["jobs/finished"], 1), @r#"{"type":"message","topic":"jobs/finished","data":{"action":"create","record":{"id":"r1"}}}"#);
}

#[test]
fn fields_that_the_tool_added_are_cut_out() {
    let record = |text: &str| record("update", serde_json::from_str(text).unwrap());
    let full = r#"{"title":"A","id":"r1","created":"c","updated":"u"}"#;
    let stream = stream()
        .connect()
        .event(key_of("posts/*"), record(full))
        .event(key_of("posts/*"), record(r#"{"id":"r1","created":"c","title":"B","updated":"u"}"#))
        .event(key_of("posts/*"), record(r#"{"id":"r1","created":"c","updated":"u"}"#));
    insta::assert_snapshot!(played(stream.clone(), &["posts/*", "--fields", "title"], 3), @r#"
    {"type":"record","topic":"posts/*","action":"update","record":{"title":"A"}}
    {"type":"record","topic":"posts/*","action":"update","record":{"title":"B"}}
    {"type":"record","topic":"posts/*","action":"update","record":{}}
    "#);
    // What was asked for stays.
    insta::assert_snapshot!(played(stream, &["posts/*", "--fields", "updated, title"], 3), @r#"
    {"type":"record","topic":"posts/*","action":"update","record":{"title":"A","updated":"u"}}
    {"type":"record","topic":"posts/*","action":"update","record":{"title":"B","updated":"u"}}
    {"type":"record","topic":"posts/*","action":"update","record":{"updated":"u"}}
    "#);
}

#[test]
fn the_fields_that_the_tool_needs_are_asked_for() {
    let fake = healthy_posts().start();
    let running = live(&fake, &["posts/*", "--fields", "title,expand.author.name", "--duration", "0s"]);
    let key = keys(&fake.requests_to(SUBMIT)[0]).remove(0);
    let options = key.split_once("?options=").unwrap().1;
    let fields = r#"{"query":{"fields":"title,expand.author.name,id,created,updated"}}"#;
    assert_eq!(percent_encoding::percent_decode_str(options).decode_utf8().unwrap(), fields);
    running.finish().expect(0);
}

// ---------------------------------------------------------------------------------------------
// Several subscriptions

#[test]
fn one_topic_with_different_options() {
    let fake = healthy_posts().start();
    let running = live(&fake, &["posts/*?filter=a=1", "jobs/finished", "posts/*?filter=a=2", "-n", "4"]);
    let keys = fake.wait_for_subscription("posts/*", SOON).keys;
    assert_eq!(keys.len(), 3);
    fake.emit_bytes(frame("x", &keys[2], created("second")));
    fake.emit_bytes(frame("x", &keys[0], created("first")));
    assert_eq!(fake.emit("posts/*", "both"), 2);
    let output = running.finish().expect(0);
    insta::assert_snapshot!(timeless(&events(&output.stdout)), @r#"
    {"type":"record","topic":"posts/*","sub":3,"action":"create","record":{"id":"second"}}
    {"type":"record","topic":"posts/*","sub":1,"action":"create","record":{"id":"first"}}
    {"type":"message","topic":"posts/*","sub":1,"text":"both"}
    {"type":"message","topic":"posts/*","sub":3,"text":"both"}
    "#);
}

#[test]
fn one_topic_twice() {
    let fake = healthy_posts().start();
    let running = live(&fake, &["posts/*", "posts/*", "-n", "2"]);
    assert_eq!(fake.emit("posts/*", created("r1")), 1);
    let output = running.finish().expect(0);
    insta::assert_snapshot!(timeless(&events(&output.stdout)), @r#"
    {"type":"record","topic":"posts/*","sub":1,"action":"create","record":{"id":"r1"}}
    {"type":"record","topic":"posts/*","sub":2,"action":"create","record":{"id":"r1"}}
    "#);
}

#[test]
fn pb_connect_is_a_topic() {
    let fake = no_collections()
        .then(FEED, send(stream().connect(), "1").reset())
        .then(SUBMIT, subscribed())
        .then(FEED, send(stream().connect(), "2"))
        .then(SUBMIT, subscribed())
        .start();
    let args = ["subscribe", "PB_CONNECT", "jobs/finished", "-n", "4", "--max-backoff", "5ms"];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    insta::assert_snapshot!(timeless(&output.stdout), @r#"
    {"type":"message","topic":"PB_CONNECT","data":{"clientId":"000…"}}
    {"type":"message","topic":"jobs/finished","data":1}
    {"type":"message","topic":"PB_CONNECT","data":{"clientId":"000…"}}
    {"type":"message","topic":"jobs/finished","data":2}
    "#);
    for id in fake.client_ids() {
        assert!(!output.stdout.contains(&id) && !output.stderr.contains(&id));
    }
    assert_eq!(keys(&fake.requests_to(SUBMIT)[0]), ["jobs/finished"]);
}

#[test]
fn pb_connect_alone() {
    let fake = Script::new().then(FEED, stream().connect()).start();
    let output = Cli::new(&fake.url()).run(["subscribe", "PB_CONNECT", "-n", "1", "--timeout", "5s"]).expect(0);
    insta::assert_snapshot!(timeless(&output.stdout), @r#"{"type":"message","topic":"PB_CONNECT","data":{"clientId":"000…"}}"#);
}

// ---------------------------------------------------------------------------------------------
// Selecting and stopping

#[test]
fn only_some_actions() {
    let fake = healthy_posts().start();
    let running = live(&fake, &["posts/*", "jobs/finished", "-a", "create,delete", "-n", "3"]);
    for action in ["update", "create", "update", "delete"] {
        fake.emit("posts/*", record(action, json!({ "id": action })));
    }
    fake.emit("jobs/finished", "1");
    let output = running.finish().expect(0);
    insta::assert_snapshot!(timeless(&events(&output.stdout)), @r#"
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"create"}}
    {"type":"record","topic":"posts/*","action":"delete","record":{"id":"delete"}}
    {"type":"message","topic":"jobs/finished","data":1}
    "#);
}

#[test]
fn a_count_is_exact() {
    // All at once, more than are wanted, and a lost connection behind them.
    let burst = |client: &Client| (0..500).flat_map(|n| frame(&client.id, "jobs/finished", format!("{n}"))).collect();
    let fake = no_collections()
        .then(FEED, send(stream().connect(), "first").bytes_for(burst).reset())
        .then(SUBMIT, subscribed())
        .start();
    let output =
        Cli::new(&fake.url()).run(["subscribe", "jobs/finished", "-n", "300", "--lifecycle", "stdout"]).expect(0);
    assert_eq!(events(&output.stdout).lines().count(), 300);
    let end = objects(&output.stdout).pop().unwrap();
    assert_eq!((&end["reason"], &end["events"], &end["exit"]), (&json!("count"), &json!(300), &json!(0)));
    assert_eq!(output.stderr, "");
}

#[test]
fn a_duration_counts_from_live() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    let at_once = cli.run(["subscribe", "posts/*", "--duration", "0s", "--lifecycle", "stdout"]).expect(0);
    let types: Vec<_> = objects(&at_once.stdout).into_iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["connected", "subscribed", "live", "end"]);
    assert_eq!(objects(&at_once.stdout)[3]["reason"], "duration");

    let output = cli.run(["subscribe", "posts/*", "--duration", "300ms"]).expect(0);
    assert!(output.took >= Duration::from_millis(300), "{:?}", output.took);
    assert!(output.stderr.contains("■ ended"), "{}", output.stderr);
    fake.wait_until_closed(FEED, SOON);
}

#[test]
fn a_timeout_counts_from_the_start() {
    // Live, in the check, in the handshake, in the backoff.
    let stalled = || Script::new().always(LIST, records()).always(HEALTH, healthy());
    for (what, script) in [
        ("live", healthy_posts()),
        ("check", Script::new().always(LIST, stall())),
        ("handshake", stalled().always(FEED, stall())),
        ("post", stalled().always(FEED, stream().connect()).always(SUBMIT, stall())),
        ("backoff", stalled().always(FEED, error(429, "Too Many Requests."))),
    ] {
        let fake = script.start();
        let args = ["subscribe", "posts/*", "--timeout", "300ms", "--max-retries", "9"];
        let output = Cli::new(&fake.url()).run(args).expect(124);
        assert!(output.took >= Duration::from_millis(300), "{what}: {:?}", output.took);
        assert!(output.took < Duration::from_secs(3), "{what}: {:?}", output.took);
        assert!(output.stderr.contains("timed out"), "{what}: {}", output.stderr);
        assert_eq!(output.stdout, "", "{what}");
    }
}

#[test]
fn an_idle_timeout_counts_from_the_last_event() {
    let fake = healthy_posts().start();
    let running = live(&fake, &["posts/*", "--idle-timeout", "400ms", "-a", "create"]);
    fake.emit("posts/*", created("r1"));
    running.wait_for_line(|line| line.contains("r1"));
    let output = running.finish().expect(124);
    assert!(output.took >= Duration::from_millis(400));
    let end = objects(&output.stdout).pop().unwrap();
    assert_eq!((&end["type"], &end["reason"], &end["events"]), (&json!("end"), &json!("idle-timeout"), &json!(1)));
}

#[test]
fn exit_codes_other_than_0_say_why_on_stderr() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    for (flag, says) in [("--timeout", "timed out"), ("--idle-timeout", "nothing came for too long")] {
        for how in [&["--lifecycle", "stdout"][..], &["--lifecycle", "none"], &["-q"], &[]] {
            let args = [&["subscribe", "posts/*", flag, "150ms"], how].concat();
            let output = cli.run(args).expect(124);
            assert!(output.stderr.contains(says), "{how:?}: {}", output.stderr);
        }
    }
}

#[test]
fn the_end_has_its_numbers() {
    let fake = no_collections()
        .then(FEED, send(stream().connect(), "1").reset())
        .then(SUBMIT, subscribed())
        .then(FEED, send(send(stream().connect(), "2"), "3").reset())
        .then(SUBMIT, subscribed())
        .then(FEED, send(stream().connect(), "4"))
        .then(SUBMIT, subscribed())
        .start();
    let args = ["subscribe", "jobs/finished", "-n", "4", "--max-backoff", "5ms", "--lifecycle", "stdout"];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    let end = output.stdout.lines().last().unwrap();
    insta::assert_snapshot!(timeless(end), @r#"{"type":"end","reason":"count","exit":0,"events":4,"reconnects":2,"gaps":2,"dropped":0}"#);
    assert_eq!(output.stderr, "");
}

// ---------------------------------------------------------------------------------------------
// Where it goes and what it looks like

fn story_of(args: &[&str]) -> (Fake, Output) {
    let fake = no_collections()
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r1")).reset())
        .then(SUBMIT, subscribed())
        .then(FEED, stream().connect().event(key_of("posts/*"), created("r2")))
        .then(SUBMIT, subscribed())
        .always(LIST, records())
        .start();
    let mut all = vec!["subscribe", "posts/*", "-n", "2", "--max-backoff", "5ms", "--catch-up", "off"];
    all.extend(args);
    let output = Cli::new(&fake.url()).run(all).expect(0);
    (fake, output)
}

/// What stands between two marks, replaced.
fn between(text: &str, from: &str, to: &str, with: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(from).and_then(|(before, after)| Some((before, after.split_once(to)?.1))) {
            Some((before, after)) => out.push_str(&format!("{before}{from}{with}{to}{after}\n")),
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

#[test]
fn what_happens_to_the_connection_goes_to_stderr() {
    let (fake, output) = story_of(&[]);
    insta::assert_snapshot!(timeless(&output.stdout), @r#"
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r1"}}
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r2"}}
    "#);
    let stderr = output.stderr.replace(&fake.url(), "URL").replace(&fake.address().to_string(), "HOST");
    let stderr = between(&stderr, "retry in ", " (", "TIME");
    let stderr = between(&stderr, "reconnected  after ", " ·", "TIME");
    let stderr = between(&stderr, "posts/*: ", " not", "TIME");
    insta::assert_snapshot!(timeless_end(&stderr), @"
    ● connected    URL as a guest · posts/*
    ○ lost         HOST reset the connection · retry in TIME (attempt 1)
    ● reconnected  after TIME · posts/*: TIME not covered
    ■ ended        count reached · 2 events · 1 reconnect · 1 gap · TIME
    ");
    assert!(!output.stderr.contains(ESC));
}

#[test]
fn or_to_stdout_in_order() {
    let (fake, output) = story_of(&["--lifecycle", "stdout"]);
    let mut lines = objects(&output.stdout);
    for line in &mut lines {
        assert!(line["time"].is_string());
        line.as_object_mut().unwrap().retain(|key, value| {
            if key == "retry_ms" {
                assert!(value.is_u64());
            }
            !["time", "from", "to", "retry_ms"].contains(&key.as_str())
        });
    }
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let lines = lines.replace(&fake.url(), "URL").replace(&fake.address().to_string(), "HOST");
    insta::assert_snapshot!(lines, @r#"
    {"type":"connected","url":"URL","client":"000…"}
    {"type":"subscribed","topics":["posts/*"],"auth":null}
    {"type":"live","initial":0,"replayed":0}
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r1"}}
    {"type":"disconnected","topics":["posts/*"],"cause":"reset","detail":"HOST reset the connection","attempt":1}
    {"type":"connected","url":"URL","client":"000…"}
    {"type":"subscribed","topics":["posts/*"],"auth":null}
    {"type":"gap","filled":[],"unfilled":["posts/*"],"replayed":0,"deletes":"unknown","left":0}
    {"type":"live","initial":0,"replayed":0}
    {"type":"record","topic":"posts/*","action":"create","record":{"id":"r2"}}
    {"type":"end","reason":"count","exit":0,"events":2,"reconnects":1,"gaps":1,"dropped":0}
    "#);
    assert_eq!(output.stderr, "");
}

#[test]
fn or_nowhere() {
    for args in [&["--lifecycle", "none"][..], &["-q"], &["--quiet", "--lifecycle", "stderr"]] {
        let (_fake, output) = story_of(args);
        assert_eq!((events(&output.stdout), output.stderr.as_str()), (output.stdout.clone(), ""), "{args:?}");
        assert_eq!(output.stdout.lines().count(), 2);
    }
    // -q is about stderr.
    let (_fake, output) = story_of(&["-q", "--lifecycle", "stdout"]);
    assert!(output.stdout.contains(r#""type":"connected""#) && output.stderr.is_empty());
}

#[test]
fn raw_is_the_payload() {
    let posts = r#"{"action":"create","record":{"id":"r1", "n":1.50e3}}"#;
    let stream = send(stream().connect(), "hello \u{1b}[31m").event(key_of("posts/*"), posts);
    insta::assert_snapshot!(played_with_both(stream, &["-o", "raw"]).escape_debug(), @r#"hello \u{1b}[31m\n{\"id\":\"r1\", \"n\":1.50e3}\n"#);
}

#[test]
fn pretty_in_a_pipe_is_neither_cut_nor_coloured() {
    let long = "x".repeat(500);
    let posts = |action: &str, status: &str| {
        record(action, json!({ "id": "9f3k2m1x0abcdef", "collectionName": "posts", "status": status, "text": long }))
    };
    let stream = stream()
        .connect()
        .event(key_of("posts/*"), posts("create", "draft"))
        .event(key_of("posts/*"), posts("update", "live\u{1b}[2J\u{202e}"))
        .event(key_of("posts/*"), posts("delete", "live"));
    let stream = send(stream, json!({ "job": 42, "ok": true }));
    let fake = Script::new().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start();
    let args = ["subscribe", "jobs/finished", "posts/*", "-n", "4", "-o", "pretty"];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    assert!(!output.stdout.contains([ESC, '\u{202e}']), "{}", output.stdout);
    assert_eq!(output.stdout.matches(&long).count(), 2, "{}", output.stdout);
    let clockless: String = output.stdout.lines().map(|line| format!("{}\n", &line[12..])).collect();
    insta::assert_snapshot!(clockless.replace(&long, "x…x"), @r#"
    + create  posts/9f3k2m1x0abcdef   text="x…x" status="draft"
    ~ update  posts/9f3k2m1x0abcdef   status: "draft" → "live\u001b[2J\u{202e}"
    - delete  posts/9f3k2m1x0abcdef   text="x…x"
    » jobs/finished                   {"job":42,"ok":true}
    "#);
}

#[test]
fn colour_is_a_choice() {
    for (args, environment, coloured) in [
        (&["--color", "always"][..], None, true),
        (&["--color", "always"], Some(("NO_COLOR", "1")), true),
        (&[], Some(("CLICOLOR_FORCE", "1")), true),
        (&["--color", "never"], Some(("CLICOLOR_FORCE", "1")), false),
        (&[], None, false),
    ] {
        let fake = no_collections().then(FEED, send(stream().connect(), "1")).then(SUBMIT, subscribed()).start();
        let mut cli = Cli::new(&fake.url());
        if let Some((name, value)) = environment {
            cli = cli.with(name, value);
        }
        let all = [&["subscribe", "jobs/finished", "-n", "1", "-o", "pretty"], args].concat();
        let output = cli.run(all).expect(0);
        assert_eq!(output.stdout.contains(ESC), coloured, "{args:?} {environment:?}");
        assert_eq!(output.stderr.contains(ESC), coloured, "{args:?} {environment:?}: {}", output.stderr);
    }
}

fn played_with_both(stream: Stream, args: &[&str]) -> String {
    let fake = no_collections().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start();
    let all = [&["subscribe", "jobs/finished", "posts/*", "-n", "2"], args].concat();
    Cli::new(&fake.url()).run(all).expect(0).stdout
}

//! In which form events are printed: `--format`, `-o raw`, `-0`, `--time`.

use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, Output};
use crate::support::fake::*;

fn run(args: &[&str]) -> Output {
    let event = |stream: Stream, action: &str, title: &str| {
        let fields = json!({ "id": "9f3k2m1x0abcdef", "collectionName": "posts", "title": title, "tags": ["a", "b"], "stars": 2 });
        stream.event(key_of("posts/*"), record(action, fields))
    };
    let stream = event(event(stream().connect(), "create", "Hello"), "update", "two\nlines \u{1b}[31m");
    let stream = stream.event(key_of("jobs/finished"), "{ \"id\": 42 }").event(key_of("jobs/finished"), "no JSON");
    let fake = no_collections().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start();
    Cli::new(&fake.url()).run([&["subscribe", "posts/*", "jobs/finished", "-n", "4"][..], args].concat())
}

#[test]
fn templates() {
    let output =
        run(&["--format", "{topic}|{action}|{record.id}|{record.title}|{record.tags.1}|{data.id}{text}|{{}}\\t."])
            .expect(0);
    insta::assert_snapshot!(output.stdout, @r"
    posts/*|create|9f3k2m1x0abcdef|Hello|b||{}	.
    posts/*|update|9f3k2m1x0abcdef|two\nlines \x1b[31m|b||{}	.
    jobs/finished|||||42|{}	.
    jobs/finished|||||no JSON|{}	.
    ");
    // The lifecycle has no template: it stands among the lines as objects.
    let output = run(&["--format", "{record.stars}", "--lifecycle", "stdout"]).expect(0);
    assert_eq!(output.stdout.lines().filter(|line| *line == "2").count(), 2);
    assert_eq!(
        objects(&output.stdout.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>().join("\n")).len(),
        4
    );
}

#[test]
fn times() {
    let is_utc = |time: &str| time.len() == 24 && time.ends_with('Z');
    for (args, good) in [
        (&[][..], &is_utc as &dyn Fn(&str) -> bool),
        (&["--time", "utc"], &is_utc),
        (&["--time", "local"], &is_utc), // the tests run in UTC
        (&["--time", "delta"], &|time: &str| time.starts_with("+0.") && time.ends_with('s')),
        (&["--time", "none"], &str::is_empty),
    ] {
        let output = run(&[&["--format", "{time}"], args].concat()).expect(0);
        assert!(output.stdout.lines().count() == 4 && output.stdout.lines().all(good), "{args:?}: {}", output.stdout);
    }
    let lines = |which: &str| run(&["-o", "pretty", "--time", which]).expect(0).stdout;
    assert!(lines("none").starts_with("+ create  posts/9f3k2m1x0abcdef"), "{}", lines("none"));
    assert!(lines("delta").starts_with(" +0.000s  + create  posts/"), "{}", lines("delta"));
    assert_eq!(lines("utc").find("  + create  "), Some("12:04:31.207".len()));
    // Elsewhere the clock shows another hour, and a template says where.
    let event = stream().connect().event(key_of("jobs/finished"), "1");
    let fake = no_collections().then(FEED, event).then(SUBMIT, subscribed()).start();
    let cli = Cli::new(&fake.url()).with("TZ", "Asia/Kathmandu");
    let output = cli.run(["subscribe", "jobs/finished", "-n", "1", "--format", "{time}", "--time", "local"]).expect(0);
    assert!(output.stdout.ends_with("+05:45\n") || output.stdout.ends_with("+00:00\n"), "{}", output.stdout);
}

#[test]
fn nul_behind_each_event() {
    let titles = |args: &[&str]| run(args).expect(0).stdout;
    assert_eq!(titles(&["-0", "--format", "{record.title}"]), "Hello\0two\\nlines \\x1b[31m\0\0\0");
    let raw = titles(&["-0", "-r", "--jq", ".record.title // .text // .data.id"]);
    assert_eq!(raw, "Hello\0two\nlines \u{1b}[31m\x0042\0no JSON\0");
    assert_eq!(titles(&["-0", "-o", "raw"]).matches('\0').count(), 4);
    let ndjson = titles(&["--null"]);
    assert!(!ndjson.contains('\n') && ndjson.split_terminator('\0').all(|line| line.ends_with('}')), "{ndjson}");
}

#[test]
fn payloads_alone() {
    let output = run(&["-o", "raw"]).expect(0);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert!(lines[0].starts_with("{\"id\":\"9f3k2m1x0abcdef\",") && lines[1].contains("two\\nlines"), "{lines:?}");
    assert_eq!(&lines[2..], ["{ \"id\": 42 }", "no JSON"]);
}

#[test]
fn what_makes_no_sense_together() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    for (args, said) in [
        (&["--format", "{a"][..], "--format: this { is not closed, at character 1"),
        (&["--format", "{recrod.id}"], "--format: an event has no recrod, at character 1"),
        (&["--format", "x", "--jq", "."], "--format and --jq are two ways to print an event"),
        (&["--format", "x", "-o", "raw"], "--format and -o are two ways to print an event"),
        (&["--time", "utc", "-o", "ndjson"], "--time is for lines that people read"),
        (&["--time", "noon"], "invalid value 'noon' for '--time <WHICH>'"),
    ] {
        for command in ["subscribe", "wait"] {
            let output = cli.run([&[command, "posts/*"], args].concat()).expect(2);
            assert!(output.stderr.starts_with(&format!("error: {said}")), "{}", output.stderr);
            assert!(output.stderr.contains("\nhint: "), "{}", output.stderr);
        }
    }
    assert_eq!(fake.requests().len(), 0);
}

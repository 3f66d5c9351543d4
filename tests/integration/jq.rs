//! `--jq`: what an expression makes of an event, and what happens to one that is wrong.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::kit::*;
use crate::support::cli::{Cli, Output};
use crate::support::fake::*;

/// A feed of messages for whoever watches `jobs/finished`.
fn feed(messages: &[&str]) -> Fake {
    let stream = messages.iter().fold(stream().connect(), |stream, data| stream.event(key_of("jobs/finished"), *data));
    no_collections().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start()
}

fn run(messages: &[&str], args: &[&str]) -> Output {
    Cli::new(&feed(messages).url()).run([&["subscribe", "jobs/finished"][..], args].concat())
}

#[test]
fn results_are_lines_and_what_has_none_is_dropped() {
    let messages = [r#"{"id":"a","tags":["x","y\n"]}"#, r#"{"id":"b","tags":[]}"#, r#"{"id":"c","tags":["z"]}"#];
    let output = run(&messages, &["-n", "2", "--jq", ".data.tags[]"]).expect(0);
    assert_eq!(output.stdout, "\"x\"\n\"y\\n\"\n\"z\"\n");
    assert!(output.stderr.contains("■ ended        count reached · 2 events"), "{}", output.stderr);
    let output = run(&messages, &["-n", "2", "-r", "--jq", ".data.tags[]", "-o", "pretty"]).expect(0);
    assert_eq!(output.stdout, "x\ny\n\nz\n");
}

/// What passes through is the server's own, byte for byte; the lifecycle goes around it.
#[test]
fn what_passes_through_is_untouched() {
    let payload = r#"{"z":1.0,"a":1e400,"b":12345678901234567890123,"z":-0,"e":"\u00e9\/"}"#;
    let args = ["-n", "1", "--lifecycle", "stdout", "-o", "ndjson", "--jq", "select(.topic == \"jobs/finished\")"];
    let output = run(&[payload], &args).expect(0);
    assert_eq!(
        timeless(&events(&output.stdout)),
        format!("{{\"type\":\"message\",\"topic\":\"jobs/finished\",\"data\":{payload}}}\n")
    );
    let kinds: Vec<_> = output.stdout.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    assert_eq!(kinds, ["connected", "subscribed", "live", "message", "end"]);
    let output = run(&[payload], &["-n", "1", "--jq", ".data"]).expect(0);
    assert_eq!(output.stdout, format!("{payload}\n"));
}

#[test]
fn an_error_is_said_once_a_message_and_the_watch_goes_on() {
    let messages = [r#"{"n":"one"}"#, r#"{"n":"two"}"#, "not JSON", r#"{"n":{"x":3}}"#];
    let output = run(&messages, &["-n", "2", "--jq", ".text // .data.n.x"]).expect(0);
    assert_eq!(output.stdout, "\"not JSON\"\n3\n");
    let warnings: Vec<_> =
        output.stderr.lines().map(without_time).filter(|line| line.contains("cannot index")).collect();
    assert_eq!(warnings, ["! warning      --jq '.text // .data.n.x': cannot index \"one\" with \"x\""]);
    // Among the events, as an object.
    let output = run(&messages, &["-n", "1", "--jq", ".data.n.x", "--lifecycle", "stdout", "-o", "ndjson"]).expect(0);
    assert_eq!(output.stdout.matches("\"type\":\"warning\"").count(), 1, "{}", output.stdout);
}

/// The number of items that `xargs -0` reads is the number of results.
#[test]
fn a_result_that_holds_its_own_end() {
    let messages = [r#"["a","b\u0000c","d"]"#, r#"["e\u0000"]"#, r#"["f"]"#];
    let output = run(&messages, &["-n", "2", "-0", "-r", "--jq", ".data[]"]).expect(0);
    assert_eq!(output.stdout, "a\0f\0");
    let warnings: Vec<_> = output.stderr.lines().map(without_time).filter(|line| line.contains("U+0000")).collect();
    let warning = r#"! warning      --jq '.data[]': a text with U+0000 cannot be printed with -0; gsub("\u0000"; "") takes it out"#;
    assert_eq!(warnings, [warning]);
    let output = run(&messages, &["-n", "3", "-0", "-r", "--jq", r#".data[] | gsub("\u0000"; "")"#]).expect(0);
    assert_eq!(output.stdout, "a\0bc\0d\0e\0f\0");
    // As JSON, or a line each, it stays as it is.
    let output = run(&messages, &["-n", "3", "-0", "--jq", ".data[]"]).expect(0);
    assert_eq!(output.stdout, "\"a\"\0\"b\\u0000c\"\0\"d\"\0\"e\\u0000\"\0\"f\"\0");
    let output = run(&messages, &["-n", "3", "-r", "--jq", ".data[]"]).expect(0);
    assert_eq!(output.stdout, "a\nb\0c\nd\ne\0\nf\n");
}

#[test]
fn numbers_that_pass_through_one_by_one() {
    let payload = "[-0,1.0,1e400,-12345678901234567890123,1E+2]";
    let output = run(&[payload], &["-n", "1", "--jq", ".data[]"]).expect(0);
    assert_eq!(output.stdout, "-0\n1.0\n1e400\n-12345678901234567890123\n1E+2\n");
}

#[test]
fn a_wrong_expression_is_told_before_anything_is_connected() {
    let fake = healthy_posts().start();
    let output = Cli::new(&fake.url()).run(["subscribe", "jobs/finished", "--jq", ".a | | .b"]).expect(2);
    insta::assert_snapshot!(output.stderr, @r"
    error: --jq '.a | | .b': an expression is expected but there is |, at character 6
    hint: it goes wrong at the arrow: .a | ▸| .b
    ");
    assert_eq!(fake.requests().len(), 0);
    let output = Cli::new(&fake.url()).run(["subscribe", "jobs/finished", "-r"]).expect(2);
    assert!(output.stderr.contains("--jq"), "{}", output.stderr);
}

/// It takes its ten seconds, during which a signal would end it; what was
/// printed before stands.
#[test]
fn an_expression_that_does_not_end() {
    let endless = "if .data == 2 then last(repeat(1)) else .data end";
    let output = run(&["1", "2", "3"], &["--jq", endless]).expect(2);
    assert_eq!(output.stdout, "1\n");
    assert!((10..15).contains(&output.took.as_secs()), "{:?}", output.took);
    assert!(
        output.stderr.contains(&format!("error: --jq '{endless}' does not end: it was given up on one event\nhint: ")),
        "{}",
        output.stderr
    );
}

/// One that takes all there is, or calls itself for ever, is given up before
/// the system ends the program.
#[test]
fn an_expression_that_takes_too_much() {
    for (endless, what) in [
        ("reduce repeat(1) as $i (\"\"; . + (\"x\" * 1000000))", "takes more than 512 MB of memory"),
        ("def f: 1 + f; f", "calls itself too often"),
    ] {
        let expression = format!("if .data == 2 then {endless} else .data end");
        for (args, printed) in [(["subscribe", "--jq"], "1\n"), (["wait", "--until"], "")] {
            let condition = if args[0] == "wait" { format!("{expression} | . == 3") } else { expression.clone() };
            let fake = feed(&["1", "2", "3"]);
            let output = Cli::new(&fake.url()).run([args[0], "jobs/finished", args[1], &condition]).expect(2);
            assert_eq!(output.stdout, printed);
            let said = format!("error: {} '{condition}' {what}: it was given up on one event\nhint: ", args[1]);
            assert!(output.stderr.contains(&said), "{}", output.stderr);
            assert_eq!(output.stderr.matches(what).count(), 1, "{}", output.stderr);
            assert!(!output.stderr.contains("thread"), "{}", output.stderr);
        }
    }
}

/// In a single step, whose memory is not to be had: the system would abort the program.
#[test]
fn a_text_that_is_too_long_is_an_error() {
    for times in ["1000000000", "10000000000000000", "9000000000000000000", "99999999999999999999"] {
        let expression = format!("if .data == 2 then \"xx\" * {times} else .data end");
        let output = run(&["1", "2", "3"], &["-n", "2", "--jq", &expression]).expect(0);
        assert_eq!(output.stdout, "1\n3\n");
        let said = format!("! warning      --jq '{expression}': \"a text of more than 512 MB is not made\"\n");
        assert!(output.stderr.contains(&said), "{}", output.stderr);
        let (fake, condition) = (feed(&["1", "2", "3"]), format!("{expression} | . == 3"));
        Cli::new(&fake.url()).run(["wait", "jobs/finished", "--until", &condition]).expect(0);
        let fake = feed(&["2"]);
        Cli::new(&fake.url()).run(["wait", "jobs/finished", "--fail-if", &condition]).expect(2);
    }
}

#[test]
fn a_signal_or_a_deadline_ends_it_also_while_an_expression_runs() {
    let endless = ["--jq", "if .data == 2 then last(repeat(1)) else .data end"];
    let fake = feed(&["1", "2"]);
    let running = Cli::new(&fake.url()).start([&["subscribe", "jobs/finished"], &endless[..]].concat());
    running.wait_for_line(|line| line == "1");
    running.signal(Signal::TERM);
    let output = running.finish().expect(143);
    assert!(output.took < Duration::from_secs(8), "{:?}", output.took);
    let output = run(&["1", "2"], &[&endless[..], &["--timeout", "1s"]].concat()).expect(124);
    assert_eq!(output.stdout, "1\n");
}

/// A slow expression holds up neither the connection nor what is there already.
#[test]
fn ten_thousand_events_in_order() {
    let count = 10_000;
    let stream = (0..count).fold(stream().connect(), |stream, n| {
        stream.event(key_of("posts/*"), record("update", json!({ "id": "r1", "n": n })))
    });
    let fake = Script::new().then(FEED, stream).then(SUBMIT, subscribed()).always(LIST, records()).start();
    let count = count.to_string();
    let args = ["subscribe", "posts/*", "-a", "update", "-n", &count, "--jq", ".record.n"];
    let output = Cli::new(&fake.url()).run(args).expect(0);
    let expected: String = (0..10_000).map(|n| format!("{n}\n")).collect();
    assert!(output.stdout == expected, "{} lines", output.stdout.lines().count());
}

//! `--control`: what is watched changes while it runs.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};

use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::fake::*;

/// A file that lines are appended to.
struct Lines {
    folder: tempfile::TempDir,
}

impl Lines {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        File::create(folder.path().join("control")).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    fn say(&self, line: &str) {
        let mut file = File::options().append(true).open(self.path()).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

fn watch(fake: &Fake, lines: &Lines, args: &[&str]) -> Running {
    let path = lines.path().display().to_string();
    Cli::new(&fake.url()).watch([&["--control", &path], args].concat())
}

/// Waits for the answer that the server has this set of topics.
#[track_caller]
fn answered(running: &Running, topics: Value) {
    let expected = format!(r#""topics":{topics},"#);
    running.wait_for_line(|line| line.starts_with(r#"{"type":"subscribed""#) && line.contains(&expected));
}

#[track_caller]
fn warned(running: &Running, text: &str) -> Value {
    let line = running.wait_for_line(|line| line.starts_with(r#"{"type":"warning""#) && line.contains(text));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn topics_come_and_go() {
    let (fake, lines) = (healthy_posts().start(), Lines::new());
    let running = watch(&fake, &lines, &["posts/*", "--filter", "stars > 3"]);
    lines.say("subscribe comments/*");
    answered(&running, json!(["posts/*", "comments/*"]));
    // It was checked, and has the flags of the first ones.
    let checks = fake.requests_to("GET /api/collections/comments/records");
    assert!(checks.iter().any(|request| request.param("filter").is_some_and(|filter| filter.contains("stars > 3"))));
    let keys = fake.subscriptions(fake.client_ids().last().unwrap());
    assert!(keys.len() == 2 && keys.iter().all(|key| key.contains("stars")), "{keys:?}");
    fake.emit("comments/*", created("c1"));
    running.wait_for_line(|line| line.contains(r#""topic":"comments/*","action":"create""#));

    lines.say("unsubscribe posts/*");
    answered(&running, json!(["comments/*"]));
    lines.say("subscribe jobs/finished");
    answered(&running, json!(["comments/*", "jobs/finished"]));
    lines.say("unsubscribe-prefix jobs");
    lines.say("unsubscribe");
    let output = running.finish().expect(0);
    let end = objects(&output.stdout).pop().unwrap();
    assert_eq!((&end["reason"], &end["events"], &end["reconnects"]), (&json!("unsubscribed"), &json!(1), &json!(0)));
    assert!(!output.stdout.contains(r#""type":"disconnected""#), "{}", output.stdout);
    fake.wait_until_closed(FEED, PATIENCE);
}

/// As `echo … > file` does it, and an editor; without an end of the line, too.
#[test]
fn a_file_that_is_written_anew() {
    let (fake, lines) = (healthy_posts().start(), Lines::new());
    let running = watch(&fake, &lines, &["posts/*"]);
    fs::write(lines.path(), "subscribe comments/*\n").unwrap();
    answered(&running, json!(["posts/*", "comments/*"]));
    fs::write(lines.path(), "subscribe jobs/finished").unwrap();
    answered(&running, json!(["posts/*", "comments/*", "jobs/finished"]));
    fs::write(lines.folder.path().join("new"), "unsubscribe comments/*\n").unwrap();
    fs::rename(lines.folder.path().join("new"), lines.path()).unwrap();
    answered(&running, json!(["posts/*", "jobs/finished"]));
    fs::write(lines.path(), "unsubscribe").unwrap();
    running.finish().expect(0);
}

/// A shell's background process, or another that shares the pipe, may have made it so.
#[test]
fn a_stdin_that_does_not_block() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let fake = healthy_posts().start();
    let mut command =
        Cli::new(&fake.url()).command(["subscribe", "posts/*", "--control", "-", "--lifecycle", "stdout"]);
    command.args(["-o", "ndjson"]);
    let (running, _) = Running::start_with(command, Stdio::from(reader));
    answered(&running, json!(["posts/*"]));
    writer.write_all(b"subscribe comm").unwrap();
    writer.write_all(b"ents/*\nunsubscribe posts/*").unwrap();
    answered(&running, json!(["posts/*", "comments/*"]));
    drop(writer);
    // The last line needs no end.
    answered(&running, json!(["comments/*"]));
    running.stop().expect(130);
}

#[test]
fn the_last_topic_ends_the_watch() {
    for line in ["unsubscribe posts/*", "unsubscribe-prefix posts", "unsubscribe"] {
        let (fake, lines) = (healthy_posts().start(), Lines::new());
        let running = watch(&fake, &lines, &["posts/*"]);
        lines.say(line);
        let end = objects(&running.finish().expect(0).stdout).pop().unwrap();
        assert_eq!(end["reason"], "unsubscribed", "{line}");
    }
}

/// A bad line is told and changes nothing.
#[test]
fn bad_lines() {
    let missing = error(404, "Missing collection context.");
    let (fake, lines) = (healthy_posts().always("GET /api/collections/nowhere/records", missing).start(), Lines::new());
    let running = watch(&fake, &lines, &["posts/*"]);
    for (line, code, text) in [
        ("subscrib comments/*", "control", "line 1 of --control: subscrib is not known; the nearest is subscribe"),
        ("subscribe", "control", "line 2 of --control: subscribe takes a topic"),
        ("subscribe posts/*?filter", "control", "line 3 of --control: the topic posts/* has an option without a value"),
        ("subscribe @oauth2", "control", "line 4 of --control: @oauth2 belongs to the sign-in"),
        ("subscribe posts/*", "control", "line 5 of --control: posts/* is subscribed already"),
        ("unsubscribe comments/*", "control", "line 6 of --control: comments/* is not subscribed"),
        (
            "unsubscribe-prefix comments",
            "control",
            "line 7 of --control: nothing that begins with comments is subscribed",
        ),
        ("subscribe nowhere/*", "topic-refused", "; it is not watched"),
    ] {
        lines.say(line);
        assert_eq!(warned(&running, text)["code"], code, "{line}");
    }
    // The watch goes on.
    fake.emit("posts/*", created("r1"));
    running.wait_for_line(|line| line.contains(r#""action":"create""#));
    let output = running.stop().expect(130);
    assert_eq!(fake.client_ids().len(), 1, "nothing was changed");
    assert_eq!(objects(&output.stdout).iter().filter(|line| line["type"] == "subscribed").count(), 1);
}

/// A hook on the server may refuse a topic, too.
#[test]
fn a_topic_that_the_server_refuses() {
    let submit = answer(|request: &Request| -> Reply {
        let refused = keys(request).iter().any(|key| key == "forbidden/topic");
        if refused { error(403, "nope").into() } else { subscribed() }
    });
    let (fake, lines) = (healthy_posts().always(SUBMIT, submit).start(), Lines::new());
    let running = watch(&fake, &lines, &["posts/*"]);
    lines.say("subscribe forbidden/topic");
    warned(&running, "line 1 of --control: permission denied (403: nope)");
    lines.say("subscribe jobs/finished");
    answered(&running, json!(["posts/*", "jobs/finished"]));
    fake.emit("jobs/finished", "1");
    running.wait_for_line(|line| line.contains(r#""type":"message""#));
    let output = running.stop().expect(130);
    assert!(!output.stdout.contains(r#""type":"disconnected""#), "{}", output.stdout);
}

/// Labels stay as they are; who comes later is told apart by its position.
#[test]
fn labels_are_stable() {
    let (fake, lines) = (healthy_posts().start(), Lines::new());
    let running = watch(&fake, &lines, &["posts/*", "jobs/finished"]);
    lines.say("subscribe posts/*?filter=stars > 3");
    running.wait_for_lines(2, |line| line.starts_with(r#"{"type":"subscribed""#));
    fake.emit("posts/*", created("r1"));
    let both = running.wait_for_lines(2, |line| line.contains(r#""type":"record""#));
    let mut subs: Vec<_> =
        both.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["sub"].clone()).collect();
    subs.sort_by_key(Value::is_u64);
    assert_eq!(subs, [Value::Null, json!(3)]);
    lines.say("unsubscribe jobs/finished");
    answered(&running, json!(["posts/*"]));
    lines.say("subscribe posts/*?filter=stars > 4");
    running.wait_for_lines(4, |line| line.starts_with(r#"{"type":"subscribed""#));
    fake.emit("posts/*", created("r2"));
    let line = running.wait_for_line(|line| line.contains(r#""sub":4"#));
    assert!(line.contains("r2"), "{line}");
    running.stop().expect(130);
}

/// Stdin, a pipe with a name, and a file that is written anew.
#[test]
fn where_lines_come_from() {
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    let base = ["subscribe", "posts/*", "--lifecycle", "stdout", "-o", "ndjson", "--control"];
    let start = |control: &str, stdin: Stdio| {
        let command = cli.command([&base[..], &[control]].concat());
        Running::start_with(command, stdin)
    };
    // The end of stdin does not end the watch.
    let (running, stdin) = start("-", Stdio::piped());
    let mut stdin: ChildStdin = stdin.unwrap();
    stdin.write_all(b"# a remark\n\nsubscribe comments/*").unwrap();
    drop(stdin);
    answered(&running, json!(["posts/*", "comments/*"]));
    running.stop().expect(130);

    // Writers of a pipe come and go.
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (running, _) = start(fifo.to_str().unwrap(), Stdio::null());
    for (line, topics) in [
        ("subscribe comments/*", json!(["posts/*", "comments/*"])),
        ("unsubscribe comments/*", json!(["posts/*"])),
        ("subscribe jobs/finished", json!(["posts/*", "jobs/finished"])),
    ] {
        fs::write(&fifo, format!("{line}\n")).unwrap();
        answered(&running, topics);
    }
    running.stop().expect(130);

    // What stands in the file at the start is done, too.
    let file = folder.path().join("file");
    fs::write(&file, "subscribe comments/*\n").unwrap();
    let (running, _) = start(file.to_str().unwrap(), Stdio::null());
    answered(&running, json!(["posts/*", "comments/*"]));
    fs::write(&file, "").unwrap();
    // It has to be seen short before it is long again.
    std::thread::sleep(std::time::Duration::from_millis(400));
    fs::write(&file, "subscribe jobs/finished\n").unwrap();
    answered(&running, json!(["posts/*", "comments/*", "jobs/finished"]));
    running.stop().expect(130);
}

#[test]
fn a_file_that_cannot_be_read() {
    let fake = Script::new().start();
    let cli = Cli::new(&fake.url());
    let folder = tempfile::tempdir().unwrap();
    let output = cli.run(["subscribe", "posts/*", "--control", "/no/such/file"]).expect(2);
    assert_eq!(
        output.stderr,
        "error: the file of --control cannot be read: /no/such/file: No such file or directory (os error 2)\nhint: mkfifo '/no/such/file'\n"
    );
    let output = cli.run(["subscribe", "posts/*", "--control", folder.path().to_str().unwrap()]).expect(2);
    assert!(output.stderr.contains("is a directory") && output.stderr.contains("mkfifo"), "{}", output.stderr);
}

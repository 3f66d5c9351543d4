//! `--exec`: a command for each event.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::kit::*;
use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::fake::*;

/// A folder with a command that does what this script says, in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", self.0.path().display())).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn wait_for(&self, name: &str, count: usize) -> Vec<String> {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let lines = self.lines(name);
            if lines.len() >= count {
                return lines;
            }
            assert!(std::time::Instant::now() < end, "{name}: {lines:?}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

fn end_of(stdout: &str) -> Value {
    objects(stdout).pop().unwrap()
}

fn watch(fake: &Fake, args: &[&str]) -> Running {
    Cli::new(&fake.url()).watch([&["-v"], args].concat())
}

/// Waits until the watch has taken everything from the connection, to this
/// message that nobody asked for.
fn wait_until_received(fake: &Fake, running: &Running) {
    let client = fake.client_ids().pop().unwrap();
    fake.emit_bytes(frame(&client, "nobody/asked", "0"));
    running.wait_for_stderr(|line| line.contains("nobody/asked: an event for a topic that nobody asked for"));
}

#[test]
fn a_command_gets_the_event() {
    let folder = Folder::new();
    let command = folder.script(
        "command",
        r#"cat >> stdin
echo "$BOSBASE_TOPIC|$BOSBASE_ACTION|$BOSBASE_COLLECTION|$BOSBASE_ID|${BOSBASE_TOKEN-none}|$*" >> environment
echo "printed by the command""#,
    );
    let token = token_for(3600);
    let fake = with_ann(healthy_posts(), &token).start();
    // Nothing that is inherited is taken for the event's.
    let cli = Cli::new(&fake.url()).with("BOSBASE_TOKEN", &token).with("BOSBASE_ID", "inherited");
    let running =
        cli.watch(["posts/*", "jobs/finished", "--exec", &command, "-n", "two words", "$HOME", ";", "-n", "2"]);
    fake.emit("posts/*", record("update", json!({"id": "r1", "collectionName": "posts", "title": "ü"})));
    folder.wait_for("environment", 1);
    fake.emit("jobs/finished", "{\"job\":42}");
    let output = running.finish().expect(0);
    // Events are still printed, and nothing else.
    assert_eq!(events(&output.stdout), folder.lines("stdin").join("\n") + "\n");
    assert_eq!(
        folder.lines("environment"),
        ["posts/*|update|posts|r1|none|-n two words $HOME", "jobs/finished||||none|-n two words $HOME",]
    );
    assert_eq!(output.stderr.matches("printed by the command\n").count(), 2, "{}", output.stderr);
}

#[test]
fn a_command_to_the_end_of_the_line() {
    let folder = Folder::new();
    let fake = healthy_posts().start();
    let running = watch(
        &fake,
        &[
            "jobs/finished",
            "-n",
            "1",
            "--exec",
            "sh",
            "-c",
            "printf '%s.' \"$*\" > $0/out",
            folder.path("").to_str().unwrap(),
            "-n",
            "5",
        ],
    );
    fake.emit("jobs/finished", "1");
    running.finish().expect(0);
    assert_eq!(folder.lines("out"), ["-n 5."]);
}

#[test]
fn one_at_a_time_in_order_and_all_of_them() {
    let folder = Folder::new();
    // Each would be overtaken by the next, and waits for the gate before.
    let command = folder.script(
        "command",
        r"read -r line; echo begin >> log; until [ -e gate ]; do sleep 0.01; done
echo $line | sed 's/.*data.:\([0-9]*\)}/\1/' >> log",
    );
    let fake = healthy_posts().start();
    let running = watch(&fake, &["jobs/finished", "--exec", &command]);
    for number in 1..=5 {
        fake.emit("jobs/finished", number.to_string());
    }
    folder.wait_for("log", 1);
    // The first is printed, the others wait behind its command.
    running.wait_for_lines(1, |line| line.contains("message"));
    wait_until_received(&fake, &running);
    running.interrupt();
    running.wait_for_stderr(|line| line.contains("Ctrl-C again ends at once"));
    assert_eq!(folder.lines("log").len(), 1);
    std::fs::write(folder.path("gate"), "").unwrap();
    let output = running.finish().expect(130);
    // What was received before the end is worked off.
    let expected: Vec<_> = (1..=5).flat_map(|number| ["begin".to_owned(), number.to_string()]).collect();
    assert_eq!(folder.lines("log"), expected);
    let end = end_of(&output.stdout);
    assert_eq!((&end["events"], &end["dropped"], &end["reason"]), (&json!(5), &json!(0), &json!("signal")));
}

#[test]
fn the_second_signal_ends_it_and_counts_the_rest() {
    let folder = Folder::new();
    let command = folder.script("command", "trap 'echo ended >> log; exit' TERM; echo begin >> log; sleep 60 & wait");
    let fake = healthy_posts().start();
    let running = watch(&fake, &["jobs/finished", "--exec", &command]);
    for number in 1..=5 {
        fake.emit("jobs/finished", number.to_string());
    }
    folder.wait_for("log", 1);
    wait_until_received(&fake, &running);
    running.interrupt();
    running.wait_for_stderr(|line| line.contains("Ctrl-C again"));
    let output = running.stop().expect(130);
    let end = end_of(&output.stdout);
    assert_eq!((&end["events"], &end["dropped"]), (&json!(1), &json!(5)), "{end}");
    assert_eq!(folder.wait_for("log", 2), ["begin", "ended"]);
}

#[test]
fn a_command_that_does_not_want_to_end_is_killed() {
    let folder = Folder::new();
    let command = folder.script("command", "trap '' TERM INT; echo $$ > new; mv new group; sleep 60; sleep 60");
    for signals in 2..=3 {
        let fake = healthy_posts().start();
        let running = watch(&fake, &["jobs/finished", "--exec", &command]);
        fake.emit("jobs/finished", "1");
        let group = group_in(&folder.path("group"));
        running.interrupt();
        running.wait_for_stderr(|line| line.contains("Ctrl-C again"));
        let started = std::time::Instant::now();
        (1..signals).for_each(|_| running.interrupt());
        let output = running.finish().expect(130);
        assert!(started.elapsed().as_secs() < 20, "its command holds the stderr that is read to its end");
        assert_eq!(end_of(&output.stdout)["dropped"], 1);
        wait_until_gone(group);
        std::fs::remove_file(folder.path("group")).unwrap();
    }
}

/// The terminal sends its Ctrl-C to the whole foreground group.
#[test]
fn ctrl_c_does_not_reach_the_command() {
    let folder = Folder::new();
    let command =
        folder.script("command", "echo begin >> log; until [ -e gate ]; do sleep 0.01; done; echo done >> log");
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    let mut watch = cli.command(["subscribe", "jobs/finished", "--exec", &command]);
    let running = Running::start({
        watch.process_group(0);
        watch
    });
    fake.wait_for_subscription("jobs/finished", PATIENCE);
    fake.emit("jobs/finished", "1");
    folder.wait_for("log", 1);
    let group = Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap();
    kill_process_group(group, Signal::INT).unwrap();
    running.wait_for_stderr(|line| line.contains("Ctrl-C again"));
    std::fs::write(folder.path("gate"), "").unwrap();
    running.finish().expect(130);
    assert_eq!(folder.lines("log"), ["begin", "done"]);
}

#[test]
fn several_at_a_time() {
    let folder = Folder::new();
    let command =
        folder.script("command", "echo begin >> log; until [ $(grep -c begin log) = 3 ]; do sleep 0.01; done");
    let fake = healthy_posts().start();
    let running = watch(&fake, &["jobs/finished", "-n", "3", "--exec-jobs", "3", "--exec", &command]);
    for number in 1..=3 {
        fake.emit("jobs/finished", number.to_string());
    }
    running.finish().expect(0);
    assert_eq!(folder.lines("log").len(), 3);
}

#[test]
fn a_command_that_fails_is_told_with_its_record() {
    let folder = Folder::new();
    let command = folder.script("command", "echo ran >> log; [ $BOSBASE_ID != r1 ] || exit 3; kill -9 $$");
    let fake = healthy_posts().start();
    let cli = Cli::new(&fake.url());
    for (args, prefix) in [(&["--lifecycle", "stdout"][..], ""), (&[], "! warning      ")] {
        let running = cli.start([&["subscribe", "posts/*", "-n", "2"], args, &["--exec", &command]].concat());
        fake.wait_for_subscription("posts/*", PATIENCE);
        for id in ["r1", "r2"] {
            fake.emit("posts/*", record("create", json!({"id": id, "collectionName": "posts"})));
        }
        let output = running.finish().expect(0);
        let warnings: Vec<_> = if prefix.is_empty() {
            let warnings = objects(&output.stdout).into_iter().filter(|line| line["type"] == "warning");
            let command_of = |line: &Value| line["code"] == "command";
            warnings.filter(command_of).map(|line| line["message"].as_str().unwrap().to_owned()).collect()
        } else {
            output
                .stderr
                .lines()
                .map(without_time)
                .filter_map(|line| line.strip_prefix(prefix))
                .map(str::to_owned)
                .collect()
        };
        let first = format!("{command} ended with 3 for posts/r1 (create)");
        assert_eq!(warnings, [first, format!("{command} was ended by signal 9 for posts/r2 (create)")]);
        fake.wait_until_closed(FEED, PATIENCE);
    }
}

#[test]
fn a_command_that_fails_may_end_the_watch() {
    let folder = Folder::new();
    let command = folder.script("command", "echo ran >> log; until [ -e gate ]; do sleep 0.01; done; exit 3");
    let fake = healthy_posts().start();
    let running = watch(&fake, &["posts/*", "--exec-fail", "stop", "--exec", &command]);
    for id in ["r1", "r2", "r3"] {
        fake.emit("posts/*", record("create", json!({"id": id, "collectionName": "posts"})));
    }
    folder.wait_for("log", 1);
    wait_until_received(&fake, &running);
    std::fs::write(folder.path("gate"), "").unwrap();
    let output = running.finish().expect(125);
    assert_eq!(folder.lines("log").len(), 1);
    let end = end_of(&output.stdout);
    assert_eq!((&end["reason"], &end["exit"], &end["events"]), (&json!("command"), &json!(125), &json!(1)));
    assert_eq!(end["dropped"], 2, "{end}");
    let error = output.stderr.lines().find(|line| line.starts_with("error:")).unwrap().replace(&command, "COMMAND");
    assert_eq!(error, "error: COMMAND ended with 3 for posts/r1 (create)");
}

/// Before anything is sent.
#[test]
fn a_command_that_cannot_be_started() {
    let folder = Folder::new();
    std::fs::write(folder.path("text"), "no program").unwrap();
    let fake = Script::new().start();
    let cli = Cli::new(&fake.url());
    let text = folder.path("text").display().to_string();
    for (command, error) in [
        ("no-such-program-anywhere", "the command no-such-program-anywhere is not found in the PATH"),
        ("echo hi", "the command echo hi is not found in the PATH"),
        (text.as_str(), "it is not executable"),
        (Path::new(&text).parent().unwrap().to_str().unwrap(), "it is a directory"),
    ] {
        let output = cli.run(["subscribe", "posts/*", "--exec", command, ";"]).expect(2);
        assert!(output.stderr.contains(error), "{}", output.stderr);
    }
    let output = cli.run(["subscribe", "posts/*", "--exec", ";"]).expect(2);
    assert!(output.stderr.starts_with("error: a value is required for '--exec"), "{}", output.stderr);
    let output = cli.run(["subscribe", "posts/*", "--exec-fail", "stop"]).expect(2);
    assert!(output.stderr.contains("--exec <CMD>"), "{}", output.stderr);
}

/// A command that reads nothing, of an event that no pipe holds.
#[test]
fn a_command_need_not_read() {
    let fake = healthy_posts().start();
    let running = watch(&fake, &["posts/*", "-n", "2", "--exec", "true"]);
    let text = "x".repeat(1 << 20);
    for id in ["r1", "r2"] {
        fake.emit("posts/*", record("create", json!({"id": id, "text": text})));
    }
    let output = running.finish().expect(0);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
}

/// Time in which nothing could be taken is no time in which nothing came.
#[test]
fn a_slow_command_is_not_a_quiet_feed() {
    let fake = healthy_posts().start();
    let running = watch(&fake, &["jobs/finished", "--idle-timeout", "300ms", "--exec", "sleep", "0.5"]);
    for number in 1..=3 {
        fake.emit("jobs/finished", number.to_string());
    }
    let output = running.finish().expect(124);
    assert_eq!(end_of(&output.stdout)["events"], 3);
    assert!(output.took.as_millis() >= 1_800, "{:?}", output.took);
}

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{ann, id, parse, post};
use crate::support::cli::{Cli, Output, Running};
use crate::support::pocketbase::Server;

both_versions!(
    the_first_event,
    until_and_fail_if,
    the_present_state_of_a_record,
    a_deletion,
    a_record_that_is_gone_when_it_begins,
    what_the_command_causes_is_never_missed,
    the_end_of_the_command,
    whatever_ends_the_wait_ends_the_command,
    what_is_refused,
    a_lost_connection_is_no_success,
    what_was_before_is_no_success,
);

fn wait(cli: &Cli, args: &[&str]) -> Running {
    cli.start([&["wait"], args].concat())
}

/// Waits until it is live: then the server has the topic.
fn live(server: &Server, cli: &Cli, topic: &str, args: &[&str]) -> Running {
    let running = wait(cli, &[&[topic], args].concat());
    server.wait_for_subscriber(topic);
    running.wait_for_stderr(|line| line.contains("● connected"));
    running
}

fn only_line(output: &Output) -> Value {
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
    parse(output.stdout.trim_end())
}

/// A command that sends a message to a topic, and then does what the Python says.
fn emit<'a>(server: &'a Server, topic: &'a str, data: &'a str, then: &'a str) -> Vec<String> {
    let script = format!(
        "import json,sys,time,urllib.request as u\n\
         u.urlopen(u.Request(sys.argv[1]+'/api/lab/emit', json.dumps({{'topic':sys.argv[2],'data':json.loads(sys.argv[3])}}).encode(), {{'Content-Type':'application/json'}}))\n\
         {then}"
    );
    ["--", "python3", "-c", &script, server.url(), topic, data].map(str::to_owned).to_vec()
}

fn the_first_event(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let running = live(&server, &cli, "posts/*", &[]);
    let first = post(&server, "first");
    post(&server, "second");
    let output = running.finish().expect(0);
    assert_eq!(only_line(&output)["record"]["id"], first["id"]);
    assert!(output.stderr.contains("■ ended        matched · 1 event · "), "{}", output.stderr);

    let running = wait(&cli, &["jobs/finished", "-r", "--jq", ".data.name", "-q"]);
    server.wait_for_subscriber("jobs/finished");
    server.emit("jobs/finished", &json!({"name": "backup"}));
    let output = running.finish().expect(0);
    assert_eq!((&*output.stdout, &*output.stderr), ("backup\n", ""));

    let output = wait(&cli, &["posts/*", "--timeout", "300ms"]).finish().expect(124);
    assert_eq!(output.stdout, "");
    server.wait_for_clients(0);
}

fn until_and_fail_if(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let conditions = ["--until", ".data.id == \"42\"", "--until", ".data.all", "--fail-if", ".data.error", "-o", "raw"];
    for (messages, code, printed) in [
        (vec![json!({"id": "41"}), json!({"id": "42"})], 0, "{\"id\":\"42\"}\n"),
        (vec![json!({"id": 42}), json!({"all": 1})], 0, "{\"all\":1}\n"),
        (vec![json!({"id": "7"}), json!({"error": "disk"})], 10, "{\"error\":\"disk\"}\n"),
        // Whatever else it is, a failure is one.
        (vec![json!({"error": "disk", "id": "42"})], 10, "{\"error\":\"disk\",\"id\":\"42\"}\n"),
    ] {
        let running = live(&server, &cli, "jobs/finished", &conditions);
        for message in &messages {
            server.emit("jobs/finished", message);
        }
        let output = running.finish().expect(code);
        assert_eq!(output.stdout, printed, "{messages:?}");
        if code == 10 {
            assert!(output.stderr.contains("error: --fail-if '.data.error' holds\nhint: "), "{}", output.stderr);
        }
    }
    // Only failing is looked for: any other event is the answer.
    let running = live(&server, &cli, "jobs/finished", &["--fail-if", ".data.error"]);
    server.emit("jobs/finished", &json!({}));
    running.finish().expect(0);
    // What --action or --jq drop is not looked at.
    let selected =
        ["-a", "update", "--jq", "select(.record.stars > 1) | .record.title", "--until", ".record.status != null"];
    let running = live(&server, &cli, "posts/*", &selected);
    let record = post(&server, "dull");
    for (title, stars) in [("dull", 1), ("hit", 2)] {
        server.update("posts", &id(&record), &json!({"title": title, "stars": stars}));
    }
    assert_eq!(running.finish().expect(0).stdout, "\"hit\"\n");
}

fn the_present_state_of_a_record(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let record =
        server.create("posts", &json!({"title": "done already", "status": "published", "author": server.ann().id}));
    let topic = format!("posts/{}", id(&record));
    let published = ["--until", ".record.status == \"published\""];

    let output = wait(
        &cli,
        &[&[&*topic, "--expand", "author", "--fields", "title,expand.author.name,status"], &published[..]].concat(),
    );
    let event = only_line(&output.finish().expect(0));
    assert_eq!((&event["type"], &event["action"]), (&json!("record"), &json!("initial")));
    let fields = json!({"title": "done already", "status": "published", "expand": {"author": {"name": "Ann"}}});
    assert_eq!(event["record"], fields);

    let failed = wait(&cli, &[&topic, "--until", "false", "--fail-if", ".action == \"initial\""]).finish().expect(10);
    assert_eq!(only_line(&failed)["action"], "initial");

    // Neither without conditions nor where it is not wanted does it end a wait; an update does.
    for args in [&[][..], &[&published[..], &["--no-initial"]].concat(), &["--until", ".action == \"update\""]] {
        let running = live(&server, &cli, &topic, args);
        server.update("posts", &id(&record), &json!({"title": "again"}));
        assert_eq!(only_line(&running.finish().expect(0))["action"], "update", "{args:?}");
    }
    // A filter is respected: the record is there, and does not match.
    let running = live(&server, &cli, &topic, &["--until", "true", "--no-initial"]);
    running.stop().expect(130);
    let filtered = [&*topic, "--filter", "status = \"draft\"", "--until", "true", "--timeout", "1500ms"];
    let output = wait(&cli, &filtered).finish().expect(124);
    assert_eq!(output.stdout, "");
}

fn a_deletion(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let never = ["--until", ".record.status == \"never\""];
    for (args, code) in [
        (&never[..], 5),
        (&[&never[..], &["-a", "update"]].concat(), 5),
        (&[&never[..], &["--jq", "empty"]].concat(), 5),
        (&["--until", ".action == \"delete\""], 0),
        (&["--fail-if", ".action == \"delete\"", "--until", "false"], 10),
        (&[], 0),
    ] {
        let record = post(&server, "short-lived");
        let topic = format!("posts/{}", id(&record));
        let running = live(&server, &cli, &topic, args);
        server.delete("posts", &id(&record));
        let output = running.finish().expect(code);
        assert_eq!(output.stdout.contains("\"action\":\"delete\""), code != 5, "{args:?}");
        if code == 5 {
            let said = format!("error: {topic} is deleted: what is waited for cannot come any more\nhint: ");
            assert!(output.stderr.contains(&said), "{}", output.stderr);
        }
    }
    // Of a collection, one record more or less says nothing.
    let running = live(&server, &cli, "posts/*", &["--until", ".record.title == \"the one\""]);
    server.delete("posts", &id(&post(&server, "another")));
    post(&server, "the one");
    running.finish().expect(0);
}

fn a_record_that_is_gone_when_it_begins(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let topic = "posts/9f3k2m1x0abcdef";
    wait(&cli, &[topic, "--until", "true"]).finish().expect(5);
    // It may come to exist, where the check is not wanted.
    let running = live(&server, &cli, topic, &["--no-check", "--until", ".action == \"create\""]);
    server.create("posts", &json!({"id": "9f3k2m1x0abcdef", "title": "at last"}));
    running.finish().expect(0);
}

/// The README's promise; what it costs in time is measured with a thousand of them.
fn what_the_command_causes_is_never_missed(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    for n in 0..8 {
        let (until, data) = (format!(".data.n == {n}"), json!({"n": n}).to_string());
        let mut args: Vec<String> = ["wait", "jobs/finished", "--until", &until].map(str::to_owned).to_vec();
        args.extend(emit(&server, "jobs/finished", &data, "print('on its stdout')"));
        let output = cli.start(&args).finish().expect(0);
        assert_eq!(only_line(&output)["data"]["n"], n);
        assert!(output.stderr.contains("on its stdout"), "{}", output.stderr);
        assert!(output.took < Duration::from_secs(2), "{:?}", output.took);
    }
}

fn the_end_of_the_command(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    // Before a match: at once.
    let output = wait(&cli, &["jobs/finished", "--timeout", "10s", "--", "sh", "-c", "exit 3"]).finish().expect(125);
    assert!(output.stderr.contains("error: sh ended with 3\nhint: "), "{}", output.stderr);
    assert!(output.took < Duration::from_secs(5), "{:?}", output.took);
    // A good end is no match.
    wait(&cli, &["jobs/finished", "--timeout", "700ms", "--", "true"]).finish().expect(124);
    // A match waits for it.
    for (then, code) in [("time.sleep(0.7)", 0), ("time.sleep(0.7); sys.exit(3)", 125)] {
        let mut args: Vec<String> = ["wait", "jobs/finished"].map(str::to_owned).to_vec();
        args.extend(emit(&server, "jobs/finished", "{\"ok\":true}", then));
        let output = cli.start(&args).finish().expect(code);
        assert_eq!(only_line(&output)["data"], json!({"ok": true}));
        assert!(output.took > Duration::from_millis(700), "{:?}", output.took);
    }
    // One that cannot be started is told before anything else.
    let output = wait(&cli, &["jobs/finished", "--", "no-such-command"]).finish().expect(2);
    assert!(output.stderr.starts_with("error: the command no-such-command is not found"), "{}", output.stderr);
}

fn whatever_ends_the_wait_ends_the_command(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    // It says that it was asked to end, and so does what it has started.
    let script = format!(
        "trap 'echo asked >> {0}; exit' TERM; (trap 'echo asked too >> {0}; exit' TERM; echo begun >> {0}; sleep 60 & wait) & wait",
        file.display()
    );
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    let begun = |running: &Running| {
        let end = Instant::now() + Duration::from_secs(10);
        while !read().contains("begun") {
            assert!(Instant::now() < end, "{}", running.stdout());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let command = ["--", "sh", "-c", &script];
    type EndIt<'a> = &'a dyn Fn(&Server, &Running);
    let ways: [(&[&str], EndIt<'_>, i32); 4] = [
        (&["--timeout", "2s"], &|_, _| {}, 124),
        (&[], &|_, running| running.interrupt(), 130),
        (&[], &|_, running| running.signal(Signal::TERM), 143),
        (&["--fail-if", ".data == 1"], &|server, _| assert_eq!(server.emit("jobs/finished", &json!(1)), 1), 10),
    ];
    for (args, end_it, code) in ways {
        let _ = std::fs::remove_file(&file);
        let running = wait(&cli, &[&["jobs/finished"], args, &command].concat());
        begun(&running);
        end_it(&server, &running);
        let output = running.finish().expect(code);
        assert!(output.took < Duration::from_secs(5), "{code}: {:?}", output.took);
        // The command ends first; what it has started was asked to at the same time.
        assert!(read().contains("asked\n"), "{code}: {}", read());
        let end = Instant::now() + Duration::from_secs(5);
        while !(read().contains("asked\n") && read().contains("asked too\n")) {
            assert!(Instant::now() < end, "{code}: {}", read());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // One that does not listen is ended all the same, by a second signal at once.
    let stubborn = "trap '' TERM; echo begun >&2; while :; do sleep 0.1; done";
    let running = wait(&cli, &["jobs/finished", "--", "sh", "-c", stubborn]);
    running.wait_for_stderr(|line| line == "begun");
    running.interrupt();
    running.wait_for_stderr(|line| line.contains("Ctrl-C again kills it"));
    running.interrupt();
    let output = running.finish().expect(130);
    assert!(output.took < Duration::from_secs(5), "{:?}", output.took);
}

fn what_is_refused(version: &str) {
    let server = Server::start(version);
    let cli = ann(&server);
    wait(&cli, &["nothing/*"]).finish().expect(5);
    for args in [
        &["posts/*", "--until", ".a ||"][..],
        &["posts/*", "--fail-if", "("],
        &["posts/*", "-n", "1"],
        &["--until", "true"],
    ] {
        let output = wait(&cli, args).finish().expect(2);
        assert!(output.stderr.starts_with("error: ") && output.stderr.contains("\nhint: "), "{}", output.stderr);
    }
    // An expression that fails on every event is told, and matches nothing.
    let running = live(&server, &cli, "jobs/finished", &["--until", ".data | keys"]);
    server.emit("jobs/finished", &json!(1));
    running.wait_for_stderr(|line| line.contains("--until '.data | keys': cannot "));
    server.emit("jobs/finished", &json!({"a": 1}));
    running.finish().expect(0);
}

fn a_lost_connection_is_no_success(version: &str) {
    let mut server = Server::start(version);
    let cli = ann(&server);
    let running = live(&server, &cli, "posts/*", &["--no-reconnect"]);
    server.stop();
    running.finish().expect(6);
    server.start_again();
    // Nor is a command that does well, which is ended.
    let running = live(&server, &cli, "posts/*", &["--no-reconnect", "--", "sleep", "60"]);
    server.stop();
    let output = running.finish().expect(6);
    assert!(output.took < Duration::from_secs(20), "{:?}", output.took);
    server.start_again();
    // Nor one that does not come back.
    let running = live(&server, &cli, "jobs/finished", &["--timeout", "3s"]);
    server.stop();
    let output = running.finish().expect(124);
    assert_eq!(output.stdout, "");
    server.start_again();
    // A break of a custom topic cannot be mended.
    let running = live(&server, &cli, "jobs/finished", &["--fail-on-gap"]);
    server.stop();
    server.start_again();
    running.finish().expect(7);
    // Otherwise it goes on, and what happened meanwhile counts.
    let record = post(&server, "before");
    let topic = format!("posts/{}", id(&record));
    let running = live(&server, &cli, &topic, &["--until", ".record.title == \"after\""]);
    server.stop();
    running.wait_for_stderr(|line| line.contains("○ lost"));
    server.start_again();
    server.update("posts", &id(&record), &json!({"title": "after"}));
    running.finish().expect(0);
}

/// What is read again after a loss reaches back a little behind the beginning.
fn what_was_before_is_no_success(version: &str) {
    let mut server = Server::start(version);
    let cli = ann(&server);
    let record = post(&server, "before");
    for topic in ["posts/*".to_owned(), format!("posts/{}", id(&record))] {
        server.update("posts", &id(&record), &json!({"title": "just before"}));
        let running = live(&server, &cli, &topic, &[]);
        server.stop();
        running.wait_for_stderr(|line| line.contains("○ lost"));
        server.start_again();
        running.wait_for_stderr(|line| line.contains("● reconnected"));
        server.update("posts", &id(&record), &json!({"title": "after"}));
        let output = running.finish().expect(0);
        assert_eq!(only_line(&output)["record"]["title"], "after");
    }
}

//! What is asked for from before the watch: `--initial` and `--since`.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::{events, guest, id, parse, post, root, wait_for_text};
use crate::support::pocketbase::Server;

both_versions!(
    first_what_exists,
    what_exists_of_every_kind_of_topic,
    more_than_a_page,
    what_changed_since,
    what_cannot_be_read_since,
);

/// Title and action of each record.
fn brief(stdout: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    events(stdout).iter().map(|event| (text(&event["action"]), text(&event["record"]["title"]))).collect()
}

fn kind<'a>(stdout: &'a str, kind: &str) -> Vec<&'a str> {
    stdout.lines().filter(|line| line.starts_with(&format!(r#"{{"type":"{kind}""#))).collect()
}

fn first_what_exists(version: &str) {
    let server = Server::start(version);
    let titles = ["one", "two", "three"];
    titles.iter().for_each(|title| drop(post(&server, title)));
    let running = guest(&server).watch(["posts/*", "--initial", "--action", "delete", "--fields", "title"]);
    let stdout = running.stdout();
    let mut seen = brief(&stdout);
    seen.sort();
    assert_eq!(seen, ["one", "three", "two"].map(|title| ("initial".to_owned(), title.to_owned())));
    assert!(events(&stdout).iter().all(|event| event["record"].as_object().unwrap().len() == 1), "{stdout}");
    let live = parse(kind(&stdout, "live")[0]);
    assert_eq!((&live["initial"], &live["replayed"]), (&json!(3), &json!(0)));

    // Then it is as ever.
    let four = id(&post(&server, "four"));
    server.delete("posts", &four);
    wait_for_text(&running, "four");
    let output = running.stop().expect(130);
    assert_eq!(brief(&output.stdout).last().unwrap(), &("delete".to_owned(), "four".to_owned()));
}

fn what_exists_of_every_kind_of_topic(version: &str) {
    let server = Server::start(version);
    let one = id(&server.create("posts", &json!({"title": "one", "status": "open"})));
    server.create("posts", &json!({"title": "two", "status": "draft"}));
    let plain = id(&server.create("plain", &json!({"text": "no stamps"})));
    let single = format!("posts/{one}");
    let none = "posts/abcdefghijklmno";
    let args = [
        "subscribe",
        "posts/*?filter=status = 'open' // the good ones",
        &single,
        "plain",
        "jobs/finished",
        none,
        "--initial",
        "--no-check",
        "--duration",
        "0s",
        "--lifecycle",
        "stdout",
        "-v",
    ];
    let output = guest(&server).run(args).expect(0);
    let seen: Vec<_> = events(&output.stdout)
        .iter()
        .map(|event| {
            assert_eq!(event["action"], "initial");
            (event["topic"].as_str().unwrap().to_owned(), id(&event["record"]))
        })
        .collect();
    let expected = [("posts/*", &one), (single.as_str(), &one), ("plain", &plain)];
    assert_eq!(seen, expected.map(|(topic, id)| (topic.to_owned(), id.clone())));
    assert!(output.stderr.contains("jobs/finished: a custom topic keeps nothing from before"), "{}", output.stderr);
    let end = parse(kind(&output.stdout, "end")[0]);
    assert_eq!((&end["reason"], &end["events"]), (&json!("duration"), &json!(3)));
}

fn more_than_a_page(version: &str) {
    const COUNT: usize = 2_500;
    let server = Server::start(version);
    server.fill_posts(COUNT, 1_200);
    let output = guest(&server).run(["subscribe", "posts/*", "--initial", "--duration", "0s"]).expect(0);
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    events(&output.stdout).iter().for_each(|event| *times.entry(id(&event["record"])).or_default() += 1);
    assert_eq!(times.len(), COUNT);
    assert!(times.values().all(|times| *times == 1));
    // Those that were written in the same millisecond, too.
    let output = guest(&server).run(["subscribe", "posts/*", "--since", "1h", "--duration", "0s"]).expect(0);
    let seen = events(&output.stdout);
    let stamps: Vec<_> = seen.iter().map(|event| event["record"]["updated"].as_str().unwrap()).collect();
    assert!(stamps.is_sorted() && seen.len() == COUNT, "{} of {COUNT}", seen.len());
    let mut ids: Vec<_> = seen.iter().map(|event| id(&event["record"])).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), COUNT);
}

fn what_changed_since(version: &str) {
    let server = Server::start(version);
    let [old, changed, deleted] = ["old", "changed", "deleted"].map(|title| id(&post(&server, title)));
    thread::sleep(Duration::from_millis(1_100));
    let moment = jiff::Timestamp::now();
    thread::sleep(Duration::from_millis(20));
    post(&server, "new");
    thread::sleep(Duration::from_millis(20));
    server.update("posts", &changed, &json!({"title": "changed since"}));
    server.delete("posts", &deleted);
    let _ = old;
    let moment = moment.to_string();
    let running = guest(&server).watch(["posts/*", "jobs/finished", "--since", &moment]);
    let stdout = running.stdout();
    let expected = [("create", "new"), ("update", "changed since")];
    assert_eq!(brief(&stdout), expected.map(|(action, title)| (action.to_owned(), title.to_owned())));
    assert!(events(&stdout).iter().all(|event| event["replayed"] == true));
    let live = parse(kind(&stdout, "live")[0]);
    assert_eq!((&live["initial"], &live["replayed"]), (&json!(0), &json!(2)));
    assert!(kind(&stdout, "gap").is_empty());
    post(&server, "live");
    let live = wait_for_text(&running, "\"live\"");
    assert_eq!((&live["action"], &live["replayed"]), (&json!("create"), &Value::Null));
    running.stop().expect(130);
    // So long ago, by the server's clock.
    let output = guest(&server).run(["subscribe", "posts/*", "--since", "1h", "--duration", "0s"]).expect(0);
    assert_eq!(brief(&output.stdout).len(), 4, "{}", output.stdout);
    let output = root(&server).run(["subscribe", "posts/*", "--since", "0s", "--duration", "0s"]).expect(0);
    assert_eq!(brief(&output.stdout).len(), 0, "{}", output.stdout);
}

fn what_cannot_be_read_since(version: &str) {
    let server = Server::start(version);
    server.create_collection(&json!({
        "name": "touched", "type": "base", "listRule": "", "viewRule": "",
        "fields": [{"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true}],
    }));
    let empty = "touched/*".to_owned();
    let refused = |topic: &str, field: &str, so: &str| {
        let output = guest(&server).run(["subscribe", topic, "posts/*", "--since", "1h"]).expect(5);
        let is_error = |line: &&str| line.starts_with("error:") || line.starts_with("hint: add ");
        let errors: Vec<_> = output.stderr.lines().filter(is_error).collect();
        let error = format!("error: the records of {topic} have no field `{field}`: {so}");
        let hint =
            format!("hint: add an autodate field `{field}` to the collection, or list what there is with --initial");
        assert_eq!(errors, [error, hint]);
    };
    let new = "what is new since then cannot be told from what was changed";
    refused(&empty, "created", new);
    for (collection, field, so) in
        [("plain", "updated", "what changed since then cannot be read"), ("touched", "created", new)]
    {
        let record = id(&server.create(collection, &json!({})));
        for topic in [format!("{collection}/*"), format!("{collection}/{record}")] {
            refused(&topic, field, so);
        }
    }
    // A cursor is not: which records are new may stay open, but nothing is missed.
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor").display().to_string();
    let args = ["subscribe", "touched/*", "--cursor", &cursor, "--duration", "0s", "-o", "ndjson"];
    guest(&server).run(args).expect(0);
    let new = id(&server.create("touched", &json!({})));
    let seen = events(&guest(&server).run(args).expect(0).stdout);
    assert_eq!(seen.last().map(|event| (&event["action"], id(&event["record"]))), Some((&json!("update"), new)));
}

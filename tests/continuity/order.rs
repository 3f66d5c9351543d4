//! The server sends what happens at once in any order: what comes late is marked.

use std::collections::{HashMap, HashSet};
use std::thread;

use serde_json::{Value, json};

use crate::kit::{guest, id, lines, wait_for_record};
use crate::support::pocketbase::Server;

both_versions!(sixteen_writers_on_one_record, a_deletion_among_updates);

const WRITERS: usize = 16;

/// Asserts that the marks are those that the interface promises; how many there are.
#[track_caller]
fn check_marks(lines: &[Value]) -> usize {
    let mut newest: HashMap<&str, (&str, bool)> = HashMap::new();
    let mut marks = 0;
    for line in lines.iter().filter(|line| line["type"] == "record") {
        let (id, updated) = (line["record"]["id"].as_str().unwrap(), line["record"]["updated"].as_str().unwrap());
        let before = newest.get(id).copied();
        // An update does not make anew what was deleted.
        let is_dead = |newest| updated <= newest || line["action"] == "update";
        // A deletion carries the record as it was read.
        let is_late = line["action"] != "delete"
            && before.is_some_and(|(newest, deleted)| updated < newest || (deleted && is_dead(newest)));
        assert_eq!(line["late"] == true, is_late, "{line} after {before:?}");
        marks += usize::from(is_late);
        let (newest_updated, deleted) = before.unwrap_or(("", false));
        let deleted = line["action"] == "delete" || (deleted && is_dead(newest_updated));
        newest.insert(id, (updated.max(newest_updated), deleted));
    }
    marks
}

fn sixteen_writers_on_one_record(version: &str) {
    let server = Server::start(version);
    let post = id(&server.create("posts", &json!({"title": "first"})));
    let running = guest(server.url()).watch(["posts/*", "-v"]);
    let mut marks = 0;
    // How often it happens is up to the server's scheduler.
    for round in 0..5 {
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (api, post) = (server.api(), &post);
                scope.spawn(move || {
                    for number in 0..20 {
                        api.update("posts", post, &json!({"title": format!("{round} {writer} {number}")}));
                    }
                });
            }
        });
        let last = server.view("posts", &post);
        let end = server.update("posts", &post, &json!({"title": format!("end of {round}")}));
        wait_for_record(&running, "update", "title", &format!("end of {round}"));
        crate::kit::wait("all of them", &running, |lines| {
            (lines.iter().filter(|line| line["type"] == "record").count() >= (round + 1) * (20 * WRITERS + 1))
                .then_some(())
        });
        let lines = lines(&running.stdout());
        marks = check_marks(&lines);
        let newest = lines.iter().rfind(|line| line["type"] == "record" && line["late"] != true).unwrap();
        assert_eq!(newest["record"]["title"], end["title"], "who leaves out what is late ends with the truth");
        let was_there =
            |line: &&Value| line["record"]["title"] == last["title"] && line["record"]["updated"] == last["updated"];
        assert!(lines.iter().any(|line| was_there(&line)));
        if marks > 0 {
            break;
        }
    }
    assert!(marks > 0, "nothing came late in 1,600 updates at once");
    let output = running.stop().expect(130);
    assert_eq!(check_marks(&lines(&output.stdout)), marks);
}

fn a_deletion_among_updates(version: &str) {
    let server = Server::start(version);
    let running = guest(server.url()).watch(["posts/*"]);
    for round in 0..10 {
        let post = id(&server.create("posts", &json!({"title": format!("post {round}")})));
        thread::scope(|scope| {
            for writer in 0..4 {
                let (api, post) = (server.api(), &post);
                scope.spawn(move || {
                    let path = format!("/api/collections/posts/records/{post}");
                    for number in 0..10 {
                        let body = json!({"title": format!("{writer} {number}")});
                        // Behind the deletion it is a 404.
                        let _ = api.try_request("PATCH", &path, Some(api.superuser_token()), Some(&body));
                    }
                });
            }
            let (api, post) = (server.api(), &post);
            scope.spawn(move || {
                thread::sleep(std::time::Duration::from_millis(20));
                api.delete("posts", post);
            });
        });
        wait_for_record(&running, "delete", "id", &post);
    }
    server.create("posts", &json!({"title": "the end"}));
    wait_for_record(&running, "create", "title", "the end");
    let output = running.stop().expect(130);
    let lines = lines(&output.stdout);
    check_marks(&lines);
    let table = |lines: &[Value]| {
        let mut ids = HashSet::new();
        for line in lines.iter().filter(|line| line["type"] == "record" && line["late"] != true) {
            let id = id(&line["record"]);
            if line["action"] == "delete" {
                ids.remove(&id)
            } else {
                ids.insert(id)
            };
        }
        ids
    };
    assert_eq!(table(&lines).len(), 1, "who leaves out what is late keeps nothing that is gone");
    let deleted: Vec<_> = lines.iter().filter(|line| line["action"] == "delete").collect();
    assert_eq!(deleted.len(), 10);
}

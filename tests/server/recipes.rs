use std::sync::Arc;

use serde_json::{Value, json};

use crate::kit::{brief, events, guest, id, parse, set, wait_for_events, wait_for_text};
use crate::readme::{Recipe, names};
use crate::support::cli::{Cli, PATIENCE};
use crate::support::pocketbase::{ANN, PASSWORD, Server, wait_for};

/// A test for each recipe and version, and one that none is forgotten.
macro_rules! recipes {
    ($($recipe:literal => $name:ident),+ $(,)?) => {
        both_versions!($($name),+);

        #[test]
        fn every_recipe_has_a_test() {
            assert_eq!(names(None), std::collections::BTreeSet::from([$($recipe),+]).into_iter().collect::<Vec<_>>());
        }

    };
}

recipes!(
    "login" => login,
    "chat-room" => chat_room,
    "dashboard" => dashboard,
    "activity" => activity,
    "document" => document,
    "monitor" => monitor,
    "guest" => as_a_guest,
    "signed-in" => signed_in,
    "clean-up" => clean_up,
    "jq" => jq_built_in,
    "wait-for-job" => wait_for_job,
    "initial" => what_exists,
    "since" => what_changed,
    "deploy" => deploy,
    "append" => append,
    "wait-for-record" => wait_for_record,
    "cursor" => gone_on,
    "cron" => since_the_last_time,
);

/// Where somebody has signed in before.
fn ann(server: &Server) -> Cli {
    let cli = guest(server);
    cli.login("users", ANN, PASSWORD);
    cli
}

/// The id that the README uses for a record.
const RECORD: &str = "9f3k2m1x0abcdef";

fn login(version: &str) {
    let server = Server::start(version);
    let cli = Arc::new(guest(&server));
    let output =
        Recipe::start_with("login", Arc::clone(&cli), &[("password.txt", &format!("{PASSWORD}\n"))]).finish().expect(0);
    assert!(output.stderr.contains(&format!("as {ANN} (users)")), "{}", output.stderr);
    cli.run(["status"]).expect(0);
}

fn chat_room(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("chat-room", ann(&server));
    server.wait_for_subscriber("messages/*");
    let say = |room: &str, text: &str| {
        id(&server.create("messages", &json!({"room": room, "text": text, "author": server.bob().id})))
    };
    let hello = say("lobby", "hello");
    say("kitchen", "elsewhere");
    wait_for_events(&recipe, 1);
    server.update("messages", &hello, &json!({"text": "hello!"}));
    server.delete("messages", &hello);
    wait_for_text(&recipe, r#""action":"delete""#);

    let all = events(&recipe.stop().stdout);
    assert_eq!(brief(&all, "text"), ["create hello", "delete hello!"]);
    assert!(all.iter().all(|event| event["record"]["expand"]["author"]["name"] == "Bob"));
    server.wait_for_clients(0);
}

fn dashboard(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("dashboard", ann(&server));
    server.wait_for_subscriber("jobs/finished");
    assert_eq!(server.clients().len(), 1, "one connection");
    let post = |title: &str, status: &str, stars: i32| {
        server.create("posts", &json!({"title": title, "status": status, "stars": stars, "author": server.ann().id}))
    };
    post("draft", "draft", 5);
    post("dull", "published", 1);
    let hit = post("hit", "published", 5);
    server.create("comments", &json!({"post": hit["id"], "text": "nice", "author": server.bob().id}));
    server.create("jobs", &json!({"name": "later", "state": "queued"}));
    server.create("jobs", &json!({"name": "backup", "state": "finished"}));

    wait_for_events(&recipe, 4);
    let all = events(&recipe.stop().stdout);
    assert_eq!(all.len(), 4, "{all:?}");
    let of = |topic: &str| all.iter().find(|event| event["topic"] == topic).unwrap();
    assert_eq!(of("posts/*")["record"]["title"], "hit");
    assert_eq!(of("posts/*")["record"]["expand"]["author"]["name"], "Ann");
    assert_eq!(
        of("comments/*")["record"],
        json!({"text": "nice", "expand": {"author": {"name": "Bob"}, "post": {"title": "hit"}}})
    );
    assert_eq!(of("jobs/*")["record"]["name"], "backup");
    assert_eq!(of("jobs/finished")["data"]["name"], "backup");
}

fn jq_built_in(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("jq", ann(&server));
    server.wait_for_subscriber("posts/*");
    let first = server.create("posts", &json!({"title": "one, \"quoted\"", "status": "draft"}));
    server.update("posts", &id(&first), &json!({"status": "published"}));
    server.create("posts", &json!({"title": "日本", "status": "published"}));
    recipe.wait_for_line(|line| line.contains("日本"));
    assert_eq!(recipe.stop().stdout, "one, \"quoted\" (draft)\n日本 (published)\n");
    server.wait_for_clients(0);
}

fn activity(version: &str) {
    let server = Server::start(version);
    let me = "4m7q2z8k1c5v9x3";
    let (eve, password) = ("eve@example.com", PASSWORD);
    server.create(
        "users",
        &json!({"id": me, "email": eve, "password": password, "passwordConfirm": password, "verified": true}),
    );
    let cli = Arc::new(guest(&server));
    cli.login("users", eve, password);
    // As the README says, the status shows the id.
    assert_eq!(parse(&cli.run(["status", "--json"]).expect(0).stdout)["auth"]["id"], me);

    let recipe = Recipe::start("activity", cli);
    server.wait_for_subscriber("activity/*");
    for author in [&server.ann().id, me] {
        let post = server.create("posts", &json!({"title": author, "author": author}));
        server.create("comments", &json!({"post": post["id"], "text": author, "author": author}));
        server.create("activity", &json!({"what": author, "author": author}));
    }
    wait_for_events(&recipe, 3);
    let all = events(&recipe.stop().stdout);
    assert_eq!(
        set(all.iter().map(|event| event["topic"].as_str().unwrap())),
        set(["posts/*", "comments/*", "activity/*"])
    );
    assert!(all.len() == 3 && all.iter().all(|event| event["record"]["author"] == me), "{all:?}");
}

fn document(version: &str) {
    let server = Server::start(version);
    server.create("documents", &json!({"id": RECORD, "title": "Notes", "lastEditor": server.ann().id}));
    let other = id(&server.create("documents", &json!({"title": "Other"})));
    let recipe = Recipe::start("document", ann(&server));
    server.wait_for_subscriber(&format!("documents/{RECORD}"));
    server.update("documents", &other, &json!({"content": "elsewhere"}));
    server.update("documents", RECORD, &json!({"content": "by Ann"}));
    wait_for_text(&recipe, "by Ann");
    server.update("documents", RECORD, &json!({"content": "by Bob", "lastEditor": server.bob().id}));
    wait_for_text(&recipe, "by Bob");

    let all = events(&recipe.stop().stdout);
    assert_eq!(brief(&all, "content"), ["update by Ann", "update by Bob"]);
    let editors: Vec<_> = all.iter().map(|event| &event["record"]["expand"]["lastEditor"]["name"]).collect();
    assert_eq!(editors, ["Ann", "Bob"]);
}

fn monitor(version: &str) {
    let mut server = Server::start(version);
    let recipe = Recipe::start("monitor", ann(&server));
    recipe.wait_for_line(|line| line == "up");
    server.stop();
    let down = recipe.wait_for_line(|line| line.starts_with("down: "));
    assert_eq!(parse(&down["down: ".len()..])["topics"], json!(["PB_CONNECT", "posts/*"]), "{down}");
    server.start_again();
    recipe.wait_for_lines(2, |line| line == "up");

    let output = recipe.stop();
    let words: Vec<_> = output.stdout.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!((words[0], words[1]), ("up", "down"));
    assert_eq!(words[words.len() - 2..], ["gap", "up"]);
    let gap = output.stdout.lines().find_map(|line| line.strip_prefix("gap: ")).unwrap();
    assert_eq!(parse(gap)["filled"], json!(["posts/*"]), "{gap}");
    server.wait_for_clients(0);
}

/// The topics of the events that come, once what everybody sees has come.
fn seen(server: &Server, recipe: Recipe, count: usize) -> Vec<Value> {
    server.wait_for_subscriber("activity/*");
    server.create("messages", &json!({"text": "for those who are signed in"}));
    server.create("activity", &json!({"what": "Ann's", "author": server.ann().id}));
    server.create("activity", &json!({"what": "Bob's", "author": server.bob().id}));
    server.create("posts", &json!({"title": "for all"}));
    wait_for_events(&recipe, count);
    events(&recipe.stop().stdout)
}

fn as_a_guest(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("guest", ann(&server));
    let all = seen(&server, recipe, 1);
    assert_eq!(brief(&all, "title"), ["create for all"]);
}

fn signed_in(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("signed-in", ann(&server));
    let all = seen(&server, recipe, 3);
    assert_eq!(
        set(all.iter().map(|event| event["topic"].as_str().unwrap())),
        set(["posts/*", "messages/*", "activity/*"])
    );
    let activity: Vec<_> = all.iter().filter_map(|event| event["record"]["what"].as_str()).collect();
    assert_eq!(activity, ["Ann's"]);
}

fn clean_up(version: &str) {
    let server = Server::start(version);
    let mut recipe = Recipe::start("clean-up", ann(&server));
    server.wait_for_subscriber("posts/*");
    server.wait_for_subscriber("jobs/finished");
    server.create("posts", &json!({"title": "while the job was running"}));
    wait_for("the post in the file", PATIENCE, || recipe.file("posts.ndjson").contains("while the job was running"));
    server.emit("jobs/finished", &json!({"job": 42}));
    recipe.finish().expect(0);
    assert_eq!(events(&recipe.file("job.ndjson"))[0]["data"], json!({"job": 42}));
    // The script waits for its watch: the server has nobody left at once.
    server.wait_for_clients(0);

    // The same when the script is interrupted.
    let recipe = Recipe::start("clean-up", ann(&server));
    server.wait_for_clients(2);
    recipe.stop();
    server.wait_for_clients(0);
}

fn wait_for_job(version: &str) {
    let server = Server::start(version);
    let mut recipe = Recipe::start("wait-for-job", ann(&server));
    server.wait_for_subscriber("jobs/finished");
    let job = id(&server.create("jobs", &json!({"name": "backup", "state": "running"})));
    server.update("jobs", &job, &json!({"state": "finished"}));
    let output = recipe.finish().expect(0);
    let event = parse(output.stdout.strip_prefix("done: ").unwrap());
    assert_eq!(event["data"], json!({"job": job, "name": "backup", "ok": true}));

    // Where it cannot even connect, the script says why.
    let mut server = server;
    server.stop();
    let output = Recipe::start("wait-for-job", guest(&server)).finish().expect(0);
    assert_eq!(output.stdout, "no job finished: exit code 6\n");
}

fn what_exists(version: &str) {
    let server = Server::start(version);
    for (title, status) in [("there", "published"), ("hidden", "draft")] {
        server.create("posts", &json!({"title": title, "status": status}));
    }
    let recipe = Recipe::start("initial", ann(&server));
    wait_for_text(&recipe, "there");
    server.wait_for_subscriber("posts/*");
    server.create("posts", &json!({"title": "then", "status": "published"}));
    wait_for_text(&recipe, "then");
    let output = recipe.stop();
    assert_eq!(brief(&events(&output.stdout), "title"), ["initial there", "create then"]);
}

fn what_changed(version: &str) {
    let server = Server::start(version);
    server.create("posts", &json!({"title": "of today"}));
    let mut recipe = Recipe::start("since", ann(&server));
    recipe.finish().expect(0);
    assert_eq!(brief(&events(&recipe.file("changed.ndjson")), "title"), ["create of today"]);
}

fn deploy(version: &str) {
    let server = Server::start(version);
    let cli = Arc::new(ann(&server));
    let start = |script: &str| {
        Recipe::start_with("deploy", Arc::clone(&cli), &[("start-deploy.sh", &format!("#!/bin/sh\n{script}\n"))])
    };
    for (state, said) in [("finished", "deployed\n"), ("failed", "the deploy failed: ")] {
        let mut recipe = start("echo begun");
        recipe.wait_for_stderr(|line| line == "begun");
        for (name, state) in [("another", "failed"), ("deploy", state)] {
            server.create("jobs", &json!({"name": name, "state": state}));
        }
        let output = recipe.finish().expect(0);
        assert!(output.stdout.starts_with(said), "{}", output.stdout);
        let event = parse(recipe.file("job.ndjson").trim_end());
        assert_eq!(event["data"]["name"], "deploy");
    }
    let output = start("exit 1").finish().expect(0);
    assert_eq!(output.stdout, "the command that starts the deploy failed\n");
    server.wait_for_clients(0);
}

fn wait_for_record(version: &str) {
    let server = Server::start(version);
    server.create("posts", &json!({"id": RECORD, "title": "in the making", "status": "draft"}));
    let cli = Arc::new(ann(&server));
    let mut recipe = Recipe::start("wait-for-record", Arc::clone(&cli));
    server.wait_for_subscriber(&format!("posts/{RECORD}"));
    server.update("posts", RECORD, &json!({"title": "done", "status": "published"}));
    assert_eq!(recipe.finish().expect(0).stdout, "done\n");
    // Now that it is, nothing is waited for.
    assert_eq!(Recipe::start("wait-for-record", cli).finish().expect(0).stdout, "done\n");
}

/// The file is rotated meanwhile, as logrotate's `copytruncate` does it.
fn append(version: &str) {
    let server = Server::start(version);
    let recipe = Recipe::start("append", ann(&server));
    server.wait_for_subscriber("posts/*");
    let mut rotated = String::new();
    for title in ["one", "two", "three"] {
        server.create("posts", &json!({"title": title, "status": "published"}));
        wait_for("the event in the file", PATIENCE, || recipe.file("posts.ndjson").contains(title));
        rotated += &recipe.file("posts.ndjson");
        recipe.truncate("posts.ndjson");
    }
    recipe.stop();
    assert_eq!(brief(&events(&rotated), "title"), ["create one", "create two", "create three"]);
}

fn gone_on(version: &str) {
    let server = Server::start(version);
    server.create("posts", &json!({"title": "there"}));
    let recipe = Recipe::start("cursor", ann(&server));
    wait_for("the post in the file", PATIENCE, || recipe.file("posts.ndjson").contains("there"));
    server.wait_for_subscriber("posts/*");
    server.create("posts", &json!({"title": "then"}));
    wait_for("the next one", PATIENCE, || recipe.file("posts.ndjson").contains("then"));
    recipe.interrupt();
    wait_for("the cursor", PATIENCE, || recipe.file("posts.cursor").contains("until = "));
}

fn since_the_last_time(version: &str) {
    let server = Server::start(version);
    let cli = std::sync::Arc::new(ann(&server));
    let mut recipe = Recipe::start("cron", std::sync::Arc::clone(&cli));
    let output = recipe.finish().expect(0);
    assert_eq!(events(&output.stdout).len(), 0);
    let cursor = recipe.file("posts.cursor");
    server.create("posts", &json!({"title": "meanwhile"}));
    let mut recipe = Recipe::start_with("cron", cli, &[("posts.cursor", &cursor)]);
    let output = recipe.finish().expect(0);
    assert_eq!(brief(&events(&output.stdout), "title"), ["create meanwhile"]);
}

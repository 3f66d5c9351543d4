//! A table of sqlite3 that is kept in sync, as the README prints it.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::readme::{Recipe, names};
use crate::support::cli::{Cli, PATIENCE};
use crate::support::pocketbase::{Server, V0_30_0, V0_40_6, wait_for};

#[test]
fn a_table_that_is_what_the_collection_is() {
    assert_eq!(names(Some("sqlite3")), ["cache"]);
    crate::needs("sqlite3", "--version");
    for version in [V0_30_0, V0_40_6] {
        let server = Server::start(version);
        let post = |title: &str| server.create("posts", &json!({"title": title}))["id"].as_str().unwrap().to_owned();
        let [kept, changed, gone] = ["it's 'quoted'; \"é\"\nand in two lines", "old", "gone"].map(post);
        let recipe = Recipe::start("cache", Cli::new(server.url()));
        let table = || -> Vec<Value> {
            let query = "SELECT record FROM posts ORDER BY id";
            let output = Command::new("sqlite3")
                .args(["-cmd", ".timeout 5000", &recipe.path("cache.db"), query])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let in_sync = |what: &str| {
            wait_for(what, PATIENCE, || table() == server.list("posts", &[("sort", "id")]));
        };
        in_sync("what exists");
        assert_eq!(table().len(), 3);
        server.wait_for_subscriber("posts/*");
        let mut reader = occupied(&recipe.path("cache.db"));
        server.update("posts", &changed, &json!({"title": "'new'"}));
        server.delete("posts", &gone);
        post("more");
        assert!(reader.wait().unwrap().success());
        in_sync("what happened");
        let ids: Vec<_> = table().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
        assert!(ids.contains(&kept) && !ids.contains(&gone), "{ids:?}");
        recipe.stop();
    }
}

/// Somebody who has the table to themselves for a second.
fn occupied(file: &str) -> Child {
    let mut child = Command::new("sqlite3")
        .args(["-bail", "-cmd", ".timeout 5000", file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let script = b"BEGIN EXCLUSIVE;\n.shell echo taken; sleep 1\nCOMMIT;\n";
    child.stdin.take().unwrap().write_all(script).unwrap();
    let mut taken = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut taken).unwrap();
    child
}

//! The README's blocks that are no recipes, as they are printed.

use std::fs::File;
use std::io::Write as _;

use serde_json::json;

use crate::kit::{events, guest, id, wait_for_text};
use crate::readme::{EXAMPLE, Recipe, block, blocks, fences, recipes};
use crate::support::cli::{Cli, PATIENCE};
use crate::support::pocketbase::{Server, wait_for};

both_versions!(kafka_and_nats, control, config);

#[test]
fn every_block_is_run_by_a_test() {
    // The quick start, nginx and Caddy are among the system tests; `try` is this very run, and the examples' own.
    let tested = ["brokers", "caddy", "config", "control", "nginx", "quick-start", "try"];
    assert_eq!(blocks().into_keys().collect::<Vec<_>>(), tested);
    assert_eq!(blocks().len() + recipes().len(), fences(), "some block has no marker before it");
    let commands: Vec<_> = block("try").lines().filter_map(|line| line.split(" #").next()).map(str::trim).collect();
    assert_eq!(commands, ["cargo run --example playground", "cargo test"]);
}

/// There is no broker: stand-ins keep what they are given.
fn kafka_and_nats(version: &str) {
    let (kafka, nats) = block("brokers").split_once("\nbosbase-watch").expect("two commands");
    let nats = format!("bosbase-watch{nats}");
    let keep = "#!/bin/sh\necho \"$@\" >> arguments\ncat >> events\n";

    let server = Server::start(version);
    let recipe = Recipe::start_commands(kafka, guest(&server), &[("kcat", keep)]);
    server.wait_for_subscriber("posts/*");
    server.create("posts", &json!({"title": "one"}));
    wait_for("an event", PATIENCE, || recipe.file("events").ends_with('\n'));
    assert_eq!(recipe.file("arguments"), "-P -b localhost:9092 -t bosbase\n");
    assert_eq!(events(&recipe.file("events"))[0]["record"]["title"], "one");
    recipe.stop();

    let recipe = Recipe::start_commands(&nats, guest(&server), &[("nats", keep)]);
    server.wait_for_subscriber("posts/*");
    let post = server.create("posts", &json!({"title": "two"}));
    server.delete("posts", &id(&post));
    wait_for("two events", PATIENCE, || recipe.file("events").matches(r#""two""#).count() == 2);
    wait_for("their topics", PATIENCE, || {
        recipe.file("arguments") == "pub bosbase.posts.create --force-stdin\npub bosbase.posts.delete --force-stdin\n"
    });
    recipe.stop();
}

/// Line by line, each once the one before it is answered.
fn control(version: &str) {
    let server = Server::start(version);
    let mut recipe = Recipe::start_commands(
        "bosbase-watch subscribe 'posts/*' jobs/finished --lifecycle stdout -o ndjson --control lines",
        guest(&server),
        &[("lines", "")],
    );
    let sets = [
        r#"["posts/*","jobs/finished"]"#,
        r#"["posts/*","jobs/finished","comments/*"]"#,
        r#"["jobs/finished","comments/*"]"#,
        r#"["comments/*"]"#,
    ];
    for (line, set) in block("control").lines().zip(sets) {
        recipe.wait_for_line(|said| said.starts_with(r#"{"type":"subscribed""#) && said.contains(set));
        let mut lines = File::options().append(true).open(recipe.path("lines")).unwrap();
        writeln!(lines, "{line}").unwrap();
    }
    let output = recipe.finish().expect(0);
    assert!(output.stdout.contains(r#""reason":"unsubscribed""#), "{}", output.stdout);
    assert!(!output.stdout.contains("warning"), "{}", output.stdout);
}

fn config(version: &str) {
    let server = Server::start(version);
    let cli = Cli::without_url();
    let recipe = Recipe::start_commands(
        "bosbase-watch subscribe --config feeds.toml",
        cli,
        &[("feeds.toml", &block("config").replace(EXAMPLE, server.url()))],
    );
    server.wait_for_subscriber("posts/*");
    server.create("posts", &json!({"title": "dull", "stars": 1}));
    server.create("posts", &json!({"title": "hit", "stars": 5, "author": server.ann().id}));
    server.emit("jobs/finished", &json!({"job": 42}));
    wait_for_text(&recipe, r#""job":42"#);
    wait_for_text(&recipe, r#""hit""#);
    let all = events(&recipe.stop().stdout);
    let of = |sub: &str| all.iter().filter(|event| event["sub"] == sub).collect::<Vec<_>>();
    assert_eq!(of("urgent").len(), 1, "{all:?}");
    assert_eq!(of("urgent")[0]["record"]["expand"]["author"]["name"], "Ann");
    assert_eq!(of("jobs")[0]["data"], json!({"job": 42}));
}

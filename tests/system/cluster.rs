//! A cluster as BosBase's own compose file makes one: two servers on one data
//! folder, of which each tells only of its own writes, behind nginx without
//! stickiness.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::daemon::Daemon;
use crate::records;
use crate::support::cli::{Cli, PATIENCE};
use crate::support::pocketbase::{Server, V0_30_0, V0_40_6, free_port, wait_for};

/// nginx before these servers.
struct Balancer {
    nginx: Daemon,
    port: u16,
}

impl Balancer {
    fn start(method: &str, servers: &[u16]) -> Self {
        crate::needs("nginx", "-v");
        let port = free_port();
        let nodes: String = servers.iter().map(|port| format!("server 127.0.0.1:{port};\n")).collect();
        // As in the templates that BosBase comes with, but for the places of files.
        let http = format!(
            "    upstream nodes {{ {method} {nodes} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}"
        );
        Self { nginx: Daemon::nginx(tempfile::tempdir().unwrap(), &http, &[port]), port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often this was answered so.
    fn answered(&self, method: &str, path: &str, status: u16) -> usize {
        let line = format!("\"{method} {path} HTTP/1.1\" {status} ");
        self.nginx.log().lines().filter(|logged| logged.contains(&line)).count()
    }
}

/// Each change of either node once, the one over the feed, the other from the lists.
#[test]
fn what_another_node_wrote_is_found_once() {
    for version in [V0_30_0, V0_40_6] {
        for method in ["", "least_conn;"] {
            let first = Server::start(version);
            let second = first.second_node();
            let nodes = [first.api(), second.api()];
            let balancer = Balancer::start(method, &[first.port(), second.port()]);
            let running = Cli::new(&balancer.url()).watch(["posts/*", "--poll", "1s"]);

            let mut ids = Vec::new();
            for number in 0..20 {
                let api = nodes[number % 2];
                let post = api.create("posts", &json!({"title": format!("post {number}")}));
                ids.push(post["id"].as_str().unwrap().to_owned());
            }
            let times = |action: &str| {
                let mut times: HashMap<String, usize> = HashMap::new();
                for record in records(&running).iter().filter(|record| record["action"] == action) {
                    *times.entry(record["record"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
                }
                times
            };
            wait_for("all that was created", PATIENCE, || times("create").len() == ids.len());
            // Changed over the other node, and gone over either.
            for (number, id) in ids.iter().enumerate() {
                nodes[(number + 1) % 2].update("posts", id, &json!({"title": "changed"}));
            }
            wait_for("all that was changed", PATIENCE, || times("update").len() == ids.len());
            for (number, id) in ids.iter().enumerate() {
                nodes[number % 2].delete("posts", id);
            }
            wait_for("all that was deleted", PATIENCE, || times("delete").len() == ids.len());
            // Two more polls find nothing new.
            let lists = || balancer_lists(&balancer);
            let before = lists();
            wait_for("two more polls", PATIENCE, || lists() >= before + 4);
            let output = running.stop().expect(130);

            let all: Vec<Value> = output
                .stdout
                .lines()
                .filter(|line| line.starts_with(r#"{"type":"record""#))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(all.len(), 60, "{version} {method} each change once");
            let replayed = all.iter().filter(|record| record["replayed"] == true).count();
            assert!((10..=50).contains(&replayed), "{version} {method} {replayed} from the lists");
            assert!(!output.stdout.contains(r#""type":"gap""#), "{}", output.stdout);
            assert!(!output.stdout.contains(r#""type":"disconnected""#), "{}", output.stdout);
        }
    }
}

fn balancer_lists(balancer: &Balancer) -> usize {
    let log = balancer.nginx.log();
    log.lines().filter(|line| line.contains("GET /api/collections/posts/records?")).count()
}

/// The request with the topics lands on the other node again and again.
#[test]
fn the_topics_reach_the_node_that_has_the_connection() {
    for version in [V0_30_0, V0_40_6] {
        for method in ["", "least_conn;"] {
            let first = Server::start(version);
            let second = first.second_node();
            let balancer = Balancer::start(method, &[first.port(), second.port()]);
            let cli = Cli::new(&balancer.url());
            let mut streams = 0;
            for _ in 0..5 {
                let running = cli.watch(["posts/*", "--no-check"]);
                streams += 1;
                let output = running.stop().expect(130);
                assert_eq!(output.stdout.matches(r#""type":"connected""#).count(), 1, "{}", output.stdout);
            }
            assert!(balancer.answered("POST", "/api/realtime", 204) >= streams);
            wait_for("nobody is left", PATIENCE, || {
                [first.api(), second.api()].iter().all(|node| node.clients().is_empty())
            });
        }
    }
}

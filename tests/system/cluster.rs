//! A cluster as BosBase's own compose file makes one: two servers on one data
//! folder, of which each tells only of its own writes, behind nginx without
//! stickiness.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::cli::{Cli, PATIENCE, Running};
use crate::support::pocketbase::{Server, V0_30_0, V0_40_6, free_port, wait_for};

/// nginx before these servers.
struct Balancer {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Balancer {
    fn start(method: &str, servers: &[u16]) -> Self {
        crate::needs("nginx", "-v");
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let nodes: String = servers.iter().map(|port| format!("server 127.0.0.1:{port};\n")).collect();
        let path = folder.path().display();
        // As in the templates that BosBase comes with, but for the places of files.
        let config = format!(
            "worker_processes 1; daemon off; pid {path}/pid; error_log {path}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {path}/access.log;
    client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
    fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;
    upstream nodes {{ {method} {nodes} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"
        );
        std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(folder.path().join("nginx.conf"))
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let balancer = Self { child, port, folder };
        wait_for("nginx", PATIENCE, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        balancer
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often this was answered so.
    fn answered(&self, method: &str, path: &str, status: u16) -> usize {
        let log = std::fs::read_to_string(Path::new(self.folder.path()).join("access.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(&format!("\"{method} {path} HTTP/1.1\" {status} "))).count()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Its worker ends with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn records(running: &Running) -> Vec<Value> {
    let stdout = running.stdout();
    let complete = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    complete
        .lines()
        .filter(|line| line.starts_with(r#"{"type":"record""#))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
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
    let log = std::fs::read_to_string(balancer.folder.path().join("access.log")).unwrap_or_default();
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

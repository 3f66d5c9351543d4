//! The README's recipes that hand events to other programs: curl, redis-cli.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::readme::{Recipe, names};
use crate::support::cli::{Cli, PATIENCE};
use crate::support::pocketbase::{Server, V0_30_0, V0_40_6, free_port, wait_for};

#[test]
fn every_recipe_has_a_test() {
    assert_eq!(names(Some("curl")), ["webhook"]);
    assert_eq!(names(Some("redis")), ["redis"]);
}

/// A webhook that keeps what it gets, and refuses what is called so.
struct Webhook {
    port: u16,
    got: Arc<Mutex<Vec<Value>>>,
}

impl Webhook {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let body = answer(stream);
                kept.lock().unwrap().push(body);
            }
        });
        Self { port, got }
    }
}

/// Reads a request, answers it, and returns its body.
fn answer(mut stream: TcpStream) -> Value {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    let body = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length:").map(|it| it.trim().parse::<usize>().unwrap())
            });
            assert!(head.contains("application/json"), "{head}");
            if body.len() >= length.unwrap() {
                break serde_json::from_str::<Value>(body).unwrap();
            }
        }
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the request is cut short: {text}");
        bytes.extend_from_slice(&chunk[..read]);
    };
    let status = if body["record"]["title"] == "refused" { "500 Internal Server Error" } else { "204 No Content" };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    body
}

#[test]
fn a_webhook_for_each_event() {
    crate::needs("curl", "--version");
    for version in [V0_30_0, V0_40_6] {
        let (server, webhook) = (Server::start(version), Webhook::start());
        let cli = Cli::new(server.url()).with("WEBHOOK_URL", &format!("http://127.0.0.1:{}/hook", webhook.port));
        let recipe = Recipe::start("webhook", cli);
        server.wait_for_subscriber("posts/*");
        for title in ["one", "refused", "two"] {
            server.create("posts", &json!({"title": title}));
        }
        wait_for("three requests", PATIENCE, || webhook.got.lock().unwrap().len() == 3);
        let output = recipe.stop();
        let titles: Vec<_> = webhook
            .got
            .lock()
            .unwrap()
            .iter()
            .map(|event| event["record"]["title"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(titles, ["one", "refused", "two"], "in order");
        // The one that was refused is told.
        let told: Vec<_> =
            output.stderr.lines().filter(|line| line.contains("curl ended with 22 for posts/")).collect();
        assert_eq!(told.len(), 1, "{}", output.stderr);
    }
}

/// A server of its own, on a free port.
struct Redis {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> Self {
        crate::needs("redis-server", "--version");
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { child, port, _folder: folder };
        wait_for("redis", PATIENCE, || redis.ask(&["PING"]) == "PONG\n");
        redis
    }

    fn ask(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn into_redis_streams() {
    crate::needs("redis-cli", "--version");
    let redis = Redis::start();
    for version in [V0_30_0, V0_40_6] {
        redis.ask(&["FLUSHALL"]);
        let server = Server::start(version);
        let cli = Cli::new(server.url()).with("REDIS_URL", &format!("redis://127.0.0.1:{}", redis.port));
        let recipe = Recipe::start("redis", cli);
        server.wait_for_subscriber("posts/*");
        let titles = ["one", "two \"quoted\"", "日本\nin two lines"];
        for title in titles {
            server.create("posts", &json!({"title": title}));
        }
        wait_for("three entries", PATIENCE, || redis.ask(&["XLEN", "bosbase"]) == "3\n");
        recipe.stop();
        // ID, field and value of each, in their order.
        let entries = redis.ask(&["--json", "XRANGE", "bosbase", "-", "+"]);
        let entries: Vec<Value> = if entries.starts_with('[') {
            let all: Value = serde_json::from_str(&entries).unwrap();
            all.as_array()
                .unwrap()
                .iter()
                .map(|entry| serde_json::from_str(entry[1][1].as_str().unwrap()).unwrap())
                .collect()
        } else {
            // An older redis-cli knows no --json.
            let plain = redis.ask(&["--raw", "XRANGE", "bosbase", "-", "+"]);
            plain.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let found: Vec<_> = entries.iter().map(|event| event["record"]["title"].as_str().unwrap()).collect();
        assert_eq!(found, titles);
    }
}

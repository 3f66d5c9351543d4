//! What is lost where a server closes connections as a matter of routine: a
//! life of two seconds, 50 creates a second, 1,000 in all, watched at the same
//! time by this program and by the SDKs.
//!
//! ```sh
//! cargo run --release --example rotation
//! cargo run --release --example rotation -- --creates 3000
//! ```
//!
//! The SDKs (`bosbase` from `PyPI`, `pocketbase` and `eventsource` from npm) are
//! installed into the target folder; one that cannot be is named as missing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a person")]

#[path = "../tests/support/peers.rs"]
mod peers;
#[path = "../tests/support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../tests/support/program.rs"]
mod program;

use pocketbase::janitor::{Process, guarded};
use pocketbase::{Server, V0_40_6, janitor, temporary_folder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

/// How long a connection lives, in ms.
const LIFE: u64 = 2_000;

const PER_SECOND: u32 = 50;

const PYTHON: &str = r#"
import sys, time
from bosbase import BosBase
client = BosBase(sys.argv[1])
client.collection("posts").subscribe("*", lambda event: print("EVENT", event["record"]["title"], flush=True))
print("READY", flush=True)
time.sleep(3600)
"#;

const JAVASCRIPT: &str = r#"
import PocketBase from "pocketbase";
import { EventSource } from "eventsource";
globalThis.EventSource = EventSource;
const client = new PocketBase(process.argv[2]);
await client.collection("posts").subscribe("*", (event) => console.log("EVENT", event.record.title));
console.log("READY");
"#;

fn main() -> ExitCode {
    let result = compare();
    janitor::finish();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("rotation: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether this program printed each once.
fn compare() -> Result<bool, Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let creates = match &args[..] {
        [] => 1_000,
        [name, count] if name == "--creates" => count.parse()?,
        _ => return Err("usage: cargo run --release --example rotation -- [--creates N]".into()),
    };
    eprintln!("rotation: building bosbase-watch");
    let program = program::build()?;
    eprintln!("rotation: installing the SDKs, where they are not yet");
    let (python, javascript) = (peers::python(PYTHON), peers::javascript("rotation.mjs", JAVASCRIPT));

    let server = Server::start(V0_40_6);
    server.limit_connections(0, LIFE);
    let output = temporary_folder("output");
    let config = temporary_folder("config");
    let mut ours = guarded(&program);
    ours.args(["subscribe", "posts/*", "-o", "ndjson", "--lifecycle", "stdout", "--url", server.url()]);
    program::isolate(&mut ours, &config);
    let mut watchers = vec![Watcher::start("bosbase-watch", ours, &output)?];
    let peers = [("Python SDK (bosbase)", python), ("JavaScript SDK (pocketbase)", javascript)];
    let mut missing = Vec::new();
    for (name, command) in peers {
        match command {
            Ok(mut command) => {
                program::isolate(&mut command, &config);
                command.arg(server.url());
                watchers.push(Watcher::start(name, command, &output)?);
            }
            Err(reason) => missing.push((name, reason)),
        }
    }
    for watcher in &mut watchers {
        watcher.wait_until_ready()?;
    }
    eprintln!("rotation: {creates} creates, {PER_SECOND} a second, while connections live {LIFE} ms");
    let start = Instant::now();
    for number in 0..creates {
        let due = start + Duration::from_secs(1) * number / PER_SECOND;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        server.create("posts", &json!({"title": format!("post-{number}")}));
    }
    thread::sleep(Duration::from_secs(5));

    println!("{:<28} {:>10} {:>10} {:>10}", format!("of {creates} creates"), "delivered", "missing", "doubled");
    let mut is_whole = false;
    for watcher in &watchers {
        let times = watcher.times()?;
        let delivered = times.len();
        let doubled: usize = times.values().map(|times| times - 1).sum();
        println!("{:<28} {delivered:>10} {:>10} {doubled:>10}", watcher.name, creates as usize - delivered);
        is_whole |= watcher.name == "bosbase-watch" && delivered == creates as usize && doubled == 0;
    }
    for (name, reason) in missing {
        println!("{name:<28} could not be installed: {}", reason.lines().last().unwrap_or_default());
    }
    Ok(is_whole)
}

struct Watcher {
    name: &'static str,
    output: PathBuf,
    process: Process,
}

impl Watcher {
    fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let output = folder.join(name);
        let process = Process::start(command.stdout(File::create(&output)?))?;
        Ok(Self { name, output, process })
    }

    fn text(&self) -> Result<String, Box<dyn Error>> {
        Ok(fs::read_to_string(&self.output)?)
    }

    fn wait_until_ready(&mut self) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let text = self.text()?;
            if text.lines().any(|line| line == "READY" || line.starts_with(r#"{"type":"live""#)) {
                return Ok(());
            }
            if Instant::now() > end || self.process.has_ended().is_some() {
                return Err(format!("{} does not get ready:\n{text}", self.name).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often each record came.
    fn times(&self) -> Result<HashMap<String, usize>, Box<dyn Error>> {
        let mut times = HashMap::new();
        for line in self.text()?.lines() {
            let title = match line.strip_prefix("EVENT ") {
                Some(title) => title.to_owned(),
                None => match serde_json::from_str::<Value>(line) {
                    Ok(line) if line["type"] == "record" => line["record"]["title"].to_string(),
                    _ => continue,
                },
            };
            *times.entry(title).or_default() += 1;
        }
        Ok(times)
    }
}

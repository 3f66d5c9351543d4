//! The README's picture: the pretty output of a real run, as an SVG.
//!
//! ```sh
//! cargo run --example picture
//! ```
//!
//! It writes `docs/pretty.svg`, which is checked in.

#![allow(clippy::print_stderr, reason = "it speaks to a person")]

#[path = "../tests/support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../tests/support/program.rs"]
mod program;

use std::error::Error;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pocketbase::{Server, V0_40_6, janitor, temporary_folder};
use serde_json::json;

/// What stands above the output.
const PROMPT: &str = "\u{1b}[1m$ bosbase-watch subscribe 'posts/*' jobs/finished\u{1b}[0m\n";
/// The colours of a usual terminal, instead of those of 1987.
const COLOURS: [(&str, &str); 7] = [
    ("#AAAAAA", "#d0d4da"),
    ("#000000", "#15181e"),
    ("#00AAAA", "#56c2d6"),
    ("#00AA00", "#7cc36e"),
    ("#AA0000", "#f0726f"),
    ("#AA5500", "#e0af56"),
    ("opacity: 0.4", "opacity: 0.65"),
];
/// A record that was there before, so that the watch has nothing to remark on;
/// so long ago that it is not read again after the loss.
const OLD: Duration = Duration::from_secs(12);
/// Where the SDKs look for a server, too.
const PORT: u16 = 8090;
/// So that the times differ as they do at work.
const PACE: Duration = Duration::from_millis(900);

fn main() -> Result<(), Box<dyn Error>> {
    let result = run();
    janitor::finish();
    result
}

fn run() -> Result<(), Box<dyn Error>> {
    let program = program::build()?;
    let mut server = Server::builder(V0_40_6).port(PORT).try_start()?;
    let config = temporary_folder("config");
    program::sign_in(&program, &config, server.url())?;
    server.create("posts", &json!({"title": "Older", "status": "published"}));
    std::thread::sleep(OLD);
    let author = server.ann().id.clone();

    // Both streams into one pipe, as a terminal shows them.
    let (reader, writer) = std::io::pipe()?;
    let mut watch = program::command(&program, &config);
    watch
        .args(["subscribe", "posts/*", "jobs/finished", "-o", "pretty", "--color", "always"])
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .stderr(writer.try_clone()?)
        .stdout(writer);
    let mut child = watch.spawn()?;
    drop(watch);
    let mut screen = Screen::read(BufReader::new(reader));
    screen.wait_for("connected")?;
    let post = server.create("posts", &json!({"title": "Hello", "status": "draft", "author": author}));
    let id = post["id"].as_str().ok_or("no id")?.to_owned();
    screen.wait_for("create")?;
    std::thread::sleep(PACE);
    server.update("posts", &id, &json!({"status": "published"}));
    screen.wait_for("update")?;
    std::thread::sleep(PACE);
    server.emit("jobs/finished", &json!({"job": 42, "ok": true}));
    screen.wait_for("\"job\"")?;
    std::thread::sleep(PACE);
    server.stop();
    screen.wait_for("lost")?;
    server.start_again();
    server.create("posts", &json!({"title": "While you were away", "status": "draft", "author": author}));
    screen.wait_for("reconnected")?;
    std::thread::sleep(PACE);
    server.delete("posts", &id);
    screen.wait_for("delete")?;
    std::thread::sleep(PACE);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    screen.wait_for("ended")?;
    child.wait()?;

    let mut svg = anstyle_svg::Term::new().render_svg(&format!("{PROMPT}{}", screen.text));
    for (plain, ours) in COLOURS {
        svg = svg.replace(plain, ours);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pretty.svg");
    std::fs::write(&file, svg)?;
    eprintln!("{PROMPT}{}docs/pretty.svg is written", screen.text);
    Ok(())
}

/// A line about the connection without the time that it begins with in a pipe.
fn as_on_a_terminal(line: &str) -> &str {
    const TIME: usize = "\u{1b}[2m12:04:31.207\u{1b}[0m  ".len();
    let is_about_it = |rest: &str| rest.contains(['●', '○', '!', '·', '■']) && !rest.contains(['+', '~', '»', '=']);
    match line.get(TIME..) {
        Some(rest) if line.starts_with("\u{1b}[2m") && is_about_it(rest.get(..8).unwrap_or(rest)) => rest,
        _ => line,
    }
}

/// What the program has printed by now.
struct Screen {
    lines: mpsc::Receiver<String>,
    text: String,
}

impl Screen {
    fn read(mut from: impl std::io::BufRead + Send + 'static) -> Self {
        let (to, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while from.read_line(&mut line).is_ok_and(|read| read > 0) {
                let shown = as_on_a_terminal(&line).to_owned();
                line.clear();
                if to.send(shown).is_err() {
                    break;
                }
            }
        });
        Self { lines, text: String::new() }
    }

    /// Reads on until a line holds the text.
    fn wait_for(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|_| format!("no {text:?} in:\n{}", self.text))?;
            self.text.push_str(&line);
            if line.contains(text) {
                return Ok(());
            }
        }
    }
}

//! A real server with sample data and people at work, and the real program
//! watching it, until Ctrl-C:
//!
//! ```sh
//! cargo run --example playground
//! cargo run --example playground -- --version 0.30.0 --port 8099 --time delta
//! ```
//!
//! It is at port 8090, or the next one that is free.
//!
//! What is not `--version` or `--port` goes to `bosbase-watch subscribe`.

#![allow(clippy::print_stderr, reason = "it speaks to a person; stdout is the watch's")]

#[path = "../tests/support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../tests/support/program.rs"]
mod program;
#[path = "../tests/support/seed.rs"]
mod seed;

use pocketbase::{
    ANN, BOB, PASSWORD, SUPERUSER, SUPERUSER_PASSWORD, Server, V0_40_6, VERSIONS, is_installed, janitor, target_dir,
    temporary_folder,
};
use seed::{CLEO, DAN, Traffic};
use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

const TOPICS: [&str; 5] = ["posts/*", "comments/*", "messages/*", "documents/*", "jobs/finished"];

/// One change at a time, at a pace that a person can read.
const PACE: Duration = Duration::from_millis(700);

const CONFIG_DIR: &str = "BOSBASE_WATCH_CONFIG_DIR";

fn main() -> ExitCode {
    let result = play();
    janitor::finish();
    match result {
        Ok(code) => code,
        Err(error) => {
            say(&format!("playground: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = Options::parse(env::args().skip(1))? else {
        return Ok(ExitCode::SUCCESS);
    };
    let version = options.version.as_str();

    say("playground: building bosbase-watch");
    let program = program::build()?;
    if !is_installed(version) {
        say(&format!(
            "playground: installing PocketBase {version} into {} (once, about 12 MB from PyPI)",
            target_dir().join("pocketbase").display()
        ));
    }
    say(&format!("playground: starting PocketBase {version} with sample data"));
    let mut builder = Server::builder(version);
    if let Some(port) = options.port.or_else(free_port) {
        builder = builder.port(port);
    }
    let server = builder.try_start()?;
    let samples = seed::fill(&server);

    let config = temporary_folder("config");
    program::sign_in(&program, &config, server.url())?;
    introduce(&program, &config, &server);

    let mut watch = Command::new(&program);
    watch.arg("subscribe").args(TOPICS).args(&options.rest);
    program::isolate(&mut watch, &config);
    let traffic = Traffic::start(server.api().clone(), samples, PACE);
    let end = run_in_foreground(watch);
    drop(traffic);
    let url = server.url().to_owned();
    drop(server);
    let code = match end? {
        End::Told => ExitCode::SUCCESS,
        End::Itself(status) => match status.code() {
            Some(code) => u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from),
            None => return Err(format!("bosbase-watch: {status}").into()),
        },
    };
    say(&format!(
        "playground: the server is stopped, its folder is removed; the next one has the same accounts:\n\n{}",
        accounts(&url)
    ));
    Ok(code)
}

/// The first free one from the server's own on: a URL that was typed goes on working.
fn free_port() -> Option<u16> {
    (8090..8190).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

/// Where it is, and who may sign in.
fn accounts(url: &str) -> String {
    format!(
        "  server     {url}   (its admin pages: {url}/_/)
  users      {ANN}, {BOB}, {CLEO}, {DAN}   password {PASSWORD}
  superuser  {SUPERUSER}   password {SUPERUSER_PASSWORD}
"
    )
}

struct Options {
    version: String,
    port: Option<u16>,
    rest: Vec<String>,
}

impl Options {
    /// None where help was asked for.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options = Self { version: V0_40_6.to_owned(), port: None, rest: Vec::new() };
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            match name {
                "-h" | "--help" => {
                    say(&format!(
                        "cargo run --example playground -- [--version {}] [--port N] [OPTIONS OF SUBSCRIBE]",
                        VERSIONS.join("|")
                    ));
                    return Ok(None);
                }
                "--version" | "--port" => {
                    let value = inline.or_else(|| args.next()).ok_or_else(|| format!("{name} needs a value"))?;
                    if name == "--version" {
                        options.version = value;
                    } else {
                        let port = value.parse();
                        options.port = Some(port.map_err(|_| format!("--port {value} is not a port"))?);
                    }
                }
                _ => options.rest.push(arg),
            }
        }
        Ok(Some(options))
    }
}

/// Tells a person; stdout is the watch's, and a terminal may be gone.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn introduce(program: &Path, config: &Path, server: &Server) {
    let url = server.url();
    let program = program.to_string_lossy();
    let command = |args: &[&str]| {
        let words = args.iter().map(|word| quoted(word));
        let words: Vec<String> = [quoted(&program)].into_iter().chain(words).collect();
        words.join(" ")
    };
    let published =
        command(&["subscribe", "posts/*", "--filter", "status = \"published\"", "--expand", "author", "--url", url]);
    let job = command(&["subscribe", "jobs/finished", "-n", "1", "--url", url]);
    let topics = command(&["topics", "posts/*", "messages/*", "jobs/finished"]);
    let config = quoted(&config.to_string_lossy());
    let accounts = accounts(url);
    say(&format!(
        "
{accounts}
  To try in another terminal:

# the published posts, as a guest
{published}

# the next job that finishes: a topic of the server's own hooks
{job}

# what Ann, who is signed in here, may watch
{CONFIG_DIR}={config} {topics}

  Here: all of it, as Ann, until Ctrl-C.
"
    ));
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

enum End {
    /// By Ctrl-C or its like.
    Told,
    Itself(ExitStatus),
}

/// Runs the command until it ends or until this process is told to.
fn run_in_foreground(command: Command) -> io::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let told = async {
            tokio::select! {
                _ = interrupt.recv() => "INT",
                _ = terminate.recv() => "TERM",
                _ = hang_up.recv() => "HUP",
            }
        };
        tokio::pin!(told);
        let mut child = tokio::process::Command::from(command).spawn()?;
        let pid = child.id().unwrap_or_default();
        janitor::watch(pid);
        let name = tokio::select! {
            name = &mut told => name,
            status = child.wait() => {
                janitor::forget(pid);
                // A Ctrl-C that has ended the child may still be on its way here.
                let end = End::Itself(status?);
                return Ok(match timeout(Duration::from_millis(50), told).await {
                    Ok(_) => End::Told,
                    Err(_) => end,
                });
            }
        };
        // The Ctrl-C of a terminal goes to the child too, and a second one would
        // be rude. Other signals come to this process alone.
        let patience = Duration::from_secs(1);
        if name != "INT" || timeout(patience, child.wait()).await.is_err() {
            janitor::signal(pid, name);
            if timeout(3 * patience, child.wait()).await.is_err() {
                child.kill().await?;
            }
        }
        janitor::forget(pid);
        Ok(End::Told)
    })
}

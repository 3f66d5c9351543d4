//! What needs programs of the system: jq, tmux. `.ci/run` installs them.
#![allow(
    clippy::unwrap_used,
    clippy::pedantic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    missing_docs
)]

#[path = "../support/cli.rs"]
mod cli;
#[path = "../support/oidc.rs"]
mod oidc;
#[path = "../support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../support/smtp.rs"]
mod smtp;

/// What is needed of `tests/support`.
mod support {
    pub(crate) use crate::{cli, oidc, pocketbase, smtp};
}

#[path = "../server/readme.rs"]
mod readme;

mod brokers; // curl and redis-cli, as the README prints it
mod cache; // a table of sqlite3 in sync
mod cluster; // two servers behind nginx
mod daemon;
mod dead_path; // a cable that is pulled, in a network namespace
mod full_disk; // a disk that is full, in a mount namespace
mod jq; // NDJSON into jq, as the README prints it
mod packages; // the .deb, the tarball, the unit, the man pages
mod proxies; // nginx and Caddy before the server
mod sign_in; // every way to sign in, asked for in a terminal
mod tab; // completions, in real shells
mod terminal; // what a person sees, in a real terminal
mod tmux;

use std::process::Command;

use serde_json::Value;

/// The records that it has printed by now.
fn records(running: &cli::Running) -> Vec<Value> {
    let stdout = running.stdout();
    let complete = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    let records = complete.lines().filter(|line| line.starts_with(r#"{"type":"record""#));
    records.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A test that needs a program fails where it is missing, and says how to get it.
#[track_caller]
fn needs(program: &str, version: &str) {
    let found = Command::new(program).arg(version).output();
    let found = found.is_ok_and(|output| output.status.success());
    assert!(found, "this test needs {program}, which is not installed: try `apt-get install {program}`");
}

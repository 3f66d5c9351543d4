//! What the other tests rely on when they run the tool.

use std::io::Read as _;
use std::process::Command;

use rustix::process::Signal;

use crate::support::cli::{Cli, Program, Running, Searched, secrets};

/// An installation without a name ends with its line of the test, and the run is still at its
/// beginning.
#[test]
fn the_config_dir_stays_for_as_long_as_the_run() {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"read line; mkdir -p "$BOSBASE_WATCH_CONFIG_DIR" && ls -d "${BOSBASE_WATCH_CONFIG_DIR%/*}""#]);
    let (reader, writer) = std::io::pipe().unwrap();
    let (running, _) = Running::start_with(Cli::without_url().around(shell), reader.into());
    drop(writer);
    let folder = running.finish().expect(0).stdout;
    assert!(!std::path::Path::new(folder.trim_end()).exists(), "{folder} is left behind");
}

#[test]
fn a_failure_shows_how_far_the_run_was() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo this is why >&2; exec sleep 100"]);
    let mut bare = Program::from(shell).spawn();
    bare.wait_for_stderr(|line| line == "this is why");
    let state = bare.state();
    assert!(state.contains(" has run for ") && state.ends_with("; stderr:\nthis is why\n"), "{state}");
    bare.signal(Signal::KILL);
    bare.end();
    assert!(bare.state().contains(" ended with -9; stderr:\n"), "{}", bare.state());
}

/// Also where it comes in pieces.
#[test]
fn what_a_test_reads_by_itself_is_searched() {
    secrets::know("a phrase that is in two pieces");
    let read = std::panic::catch_unwind(|| {
        let mut text = String::new();
        let pieces = "x".repeat(10_000) + "a phrase that is";
        Searched::new("stdout", pieces.as_bytes().chain(&b" in two pieces"[..])).read_to_string(&mut text)
    });
    assert!(read.is_err(), "it was let through");
}

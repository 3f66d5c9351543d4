//! A disk that is full, in a mount namespace, where the machine allows one.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::cli::{Cli, Running, binary};
use crate::support::pocketbase::{Server, V0_40_6};

/// What is there is whole up to where the disk was full, and as many events as
/// are told; and nothing is taken for a success.
#[test]
fn a_disk_that_is_full() {
    let allowed = Command::new("unshare").args(["--mount", "--map-root-user", "true"]).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("a_disk_that_is_full did NOT run: no mount namespace here");
        return;
    }
    let server = Server::start(V0_40_6);
    let cli = Cli::new(server.url());
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k tmpfs {0} && {{ \"$@\" > {0}/events; code=$?; cat {0}/events; exit $code; }}",
        folder.path().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]);
    command.args([binary(), "subscribe", "bulk", "--no-check"]);
    let running = Running::start(cli.around(command));
    server.wait_for_subscriber("bulk");
    server.emit("bulk", &json!({"n": "the first"}));
    server.burst("bulk", 2_000, &"x".repeat(100));
    let output = running.finish().expect(1);
    let whole: Vec<Value> = output.stdout.lines().map_while(|line| serde_json::from_str(line).ok()).collect();
    assert!(whole.len() > 100, "{} events are 64 KB", whole.len());
    let error = format!(
        "error: cannot write to stdout after {} events: No space left on device (os error 28)\n\
         hint: make room where stdout goes, and start again\n",
        whole.len()
    );
    assert!(output.stderr.ends_with(&error), "{} events\n{}", whole.len(), output.stderr);
    server.wait_for_clients(0);
}

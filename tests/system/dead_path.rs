//! A path that dies without a word, as when a cable is pulled: in a network
//! namespace, where the machine allows one.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::cli::{Cli, Running};
use crate::support::pocketbase::{Server, V0_40_6, target_dir};

/// The promise, at the default settings.
const LIMIT: Duration = Duration::from_secs(45);

/// A namespace with one link into it. Removed when dropped.
struct Namespace {
    name: String,
    outside: String,
    inside: String,
}

impl Namespace {
    /// `None` with the reason where the machine allows none.
    fn new() -> Result<Self, String> {
        let id = std::process::id();
        let (name, outside, inside) = (format!("bw{id}"), format!("bwo{id}"), format!("bwi{id}"));
        ip(&["netns", "add", &name])?;
        let namespace = Self { name, outside, inside };
        let Self { name, outside, inside } = &namespace;
        ip(&["link", "add", outside, "type", "veth", "peer", "name", inside])?;
        ip(&["link", "set", inside, "netns", name])?;
        ip(&["addr", "add", "10.231.7.1/30", "dev", outside])?;
        ip(&["link", "set", outside, "up"])?;
        ip(&["-n", name, "addr", "add", "10.231.7.2/30", "dev", inside])?;
        ip(&["-n", name, "link", "set", inside, "up"])?;
        Ok(namespace)
    }

    fn link(&self, state: &str) {
        ip(&["-n", &self.name, "link", "set", &self.inside, state]).unwrap();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.outside]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the line for longer than other tests do.
fn wait_for(running: &Running, wanted: &str, times: usize, limit: Duration) -> Duration {
    let started = Instant::now();
    while running.stdout().matches(wanted).count() < times {
        assert!(started.elapsed() < limit, "no {wanted} within {limit:?}:\n{}", running.stdout());
        std::thread::sleep(Duration::from_millis(20));
    }
    started.elapsed()
}

#[test]
fn a_dead_path_is_found_in_time() {
    needs("ip", "-V");
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(reason) => {
            // Not every machine lets a test make one.
            eprintln!("a_dead_path_is_found_in_time did NOT run: no network namespace here: {reason}");
            return;
        }
    };
    drop(Server::start(V0_40_6)); // installs it, where that was not done before
    let folder = tempfile::tempdir().unwrap();
    let server = Command::new("ip")
        .args(["netns", "exec", &namespace.name])
        .arg(target_dir().join("pocketbase").join(V0_40_6).join("bin/pocketbase"))
        .args(["serve", "--http", "10.231.7.2:8090", "--dir"])
        .arg(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Killed(server);
    let cli = Cli::new("http://10.231.7.2:8090");
    let args = ["subscribe", "jobs/finished", "--lifecycle", "stdout", "-o", "ndjson", "--max-retries", "50"];
    let running = cli.start(args);
    wait_for(&running, r#""type":"live""#, 1, Duration::from_secs(30));

    namespace.link("down");
    let found = wait_for(&running, r#""cause":"stale""#, 1, LIMIT);
    assert!(found > Duration::from_secs(20), "found after {found:?}: by something else than keepalive");
    namespace.link("up");
    wait_for(&running, r#""type":"live""#, 2, Duration::from_secs(30));
    running.stop().expect(130);
}

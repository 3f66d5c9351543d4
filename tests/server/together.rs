//! Many processes with one login that they renew all the time.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::kit::{guest, parse};
use crate::support::cli::Cli;
use crate::support::pocketbase::{ANN, PASSWORD, Server, V0_30_0, V0_40_6};

both_versions!(a_few_at_once);

fn a_few_at_once(version: &str) {
    many_at_once(version, 10, 3);
}

/// 50 processes, 20 times, on each server: two minutes.
#[test]
#[ignore = "the long form of a_few_at_once: cargo test --test server -- --ignored fifty"]
fn fifty_at_once() {
    for version in [V0_30_0, V0_40_6] {
        many_at_once(version, 50, 20);
    }
}

/// They start, renew and stop at once, and leave a valid file with a valid token.
fn many_at_once(version: &str, processes: usize, rounds: usize) {
    let server = Server::start(version);
    // A token that ends so soon is renewed by whoever meets it.
    server.patch_collection("users", &json!({"authToken": {"duration": 600}}));
    let cli = guest(&server);
    cli.login("users", ANN, PASSWORD);
    let mut before = kept(&cli);
    for round in 0..rounds {
        // The next token is another one only in another second.
        std::thread::sleep(std::time::Duration::from_millis(1_000));
        let running: Vec<_> = (0..processes)
            .map(|number| match number % 2 {
                0 => cli.start(["subscribe", "messages/*", "--duration", "0s", "-o", "ndjson"]),
                _ => cli.start(["status"]),
            })
            .collect();
        for running in running {
            let output = running.finish().expect(0);
            assert!(!output.stderr.contains("warning"), "round {round}: {}", output.stderr);
        }
        let now = kept(&cli);
        assert_ne!(now, before, "round {round}: renewed");
        before = now;
        let status = parse(&cli.run(["status", "--json"]).expect(0).stdout);
        assert_eq!((&status["valid"], &status["token"]), (&json!(true), &json!("profile")), "round {round}");
    }
    let mut names: Vec<_> =
        std::fs::read_dir(cli.config_dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.toml", "credentials.json", "lock", "state.json"]);
}

/// The token in the file, which is whole and for its owner alone.
fn kept(cli: &Cli) -> String {
    let path = cli.config_dir().join("credentials.json");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    kept["profiles"]["default"]["token"].as_str().unwrap().to_owned()
}

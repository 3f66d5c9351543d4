//! The promise of this program, tried for as long as one likes: a real server
//! that is killed, stopped and restarted, connections that are cut, swallowed
//! and closed by short limits, and 16 writers; the real program watches, and
//! has to have told everything at the end.
//!
//! ```sh
//! cargo run --release --example soak -- --minutes 30
//! cargo run --release --example soak -- --minutes 5 --version 0.30.0 --seed 7
//! cargo run --release --example soak -- --minutes 2 --kills 20
//! ```
//!
//! Ctrl-C ends it early, with its table. Exit 1: something was missing and not
//! told, or told twice.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::pedantic,
    clippy::unwrap_used,
    reason = "it speaks to a person"
)]

#[path = "../tests/support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../tests/support/program.rs"]
mod program;
#[path = "../tests/support/proxy.rs"]
mod proxy;
#[path = "../tests/support/soak.rs"]
mod soak;

use pocketbase::{V0_40_6, VERSIONS, janitor};
use soak::{Harm, Plan};
use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() -> ExitCode {
    let result = run();
    janitor::finish();
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let Some(Options { version, minutes, seed, kills }) = Options::parse(env::args().skip(1))? else {
        println!(
            "cargo run --release --example soak -- [--minutes N] [--version {}] [--seed S] [--kills N]\n\n\
             --kills N: the server is killed and started again, so often, and nothing else is done to it",
            VERSIONS.join("|")
        );
        return Ok(true);
    };
    eprintln!("soak: building bosbase-watch");
    let program = program::build()?;
    eprintln!("soak: PocketBase {version}, {minutes} minutes, seed {seed}");
    let plan = Plan {
        version,
        time: Duration::try_from_secs_f64(minutes * 60.0)?,
        seed,
        program,
        harm: kills.map_or(Harm::All, |times| Harm::Kills { times }),
        say: |text| eprintln!("{} {text}", jiff::ZonedDateTime::now().strftime("%H:%M:%S")),
    };
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_ctrl_c(&stop)?;
    let report = soak::run(&plan, &stop);
    println!("{report}");
    Ok(report.violations.is_empty())
}

struct Options {
    version: String,
    minutes: f64,
    seed: u64,
    kills: Option<usize>,
}

impl Options {
    /// None where help was asked for.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut options =
            Self { version: V0_40_6.to_owned(), minutes: 2.0, seed: fastrand::u64(..1_000_000), kills: None };
        while let Some(name) = args.next() {
            if matches!(name.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            let wrong = || format!("{name} cannot be {value}");
            match name.as_str() {
                "--version" => options.version = value,
                "--minutes" => options.minutes = value.parse().map_err(|_| wrong())?,
                "--seed" => options.seed = value.parse().map_err(|_| wrong())?,
                "--kills" => options.kills = Some(value.parse().map_err(|_| wrong())?),
                _ => return Err(format!("what is {name}?")),
            }
        }
        Ok(Some(options))
    }
}

/// The first Ctrl-C ends the soak with its table, the second one at once: the
/// janitor cleans up in any case.
fn stop_on_ctrl_c(stop: &Arc<AtomicBool>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                eprintln!("soak: it is ended early");
            }
        });
    });
    Ok(())
}

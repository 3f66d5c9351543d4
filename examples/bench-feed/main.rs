//! What the tool costs, side by side with its peers in one run: its own feed
//! server sends as fast as the machine allows, and each program prints what it
//! hears to /dev/null. They take turns, several times; medians are shown.
//!
//! ```sh
//! cargo run --release --example bench-feed
//! cargo run --release --example bench-feed -- --small      # does it work at all? under a minute
//! cargo run --release --example bench-feed -- --json bench.json --only ndjson
//! cargo run --release --example bench-feed -- --serve 300000 16    # the feed alone, for a profiler
//! ```
//!
//! The peers are `curl` and `jq` where they are installed, and the SDKs
//! (`bosbase` from `PyPI`, `pocketbase` and `eventsource` from npm), which are
//! installed into the target folder. One that is missing is named. It ends
//! with 0 whatever the figures are.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a person")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod feed;
mod measure;
#[path = "../../tests/support/peers.rs"]
mod peers;
#[path = "../../tests/support/pocketbase/mod.rs"]
mod pocketbase;
#[path = "../../tests/support/program.rs"]
mod program;
mod rows;

use std::env;
use std::fmt::Write as _;
use std::process::ExitCode;

use rows::{Bench, Row};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, rest @ ..] = &args[..]
        && flag == "--measure"
    {
        return measure::main(rest);
    }
    if let [flag, events, per_chunk] = &args[..]
        && flag == "--serve"
    {
        return serve(events, per_chunk);
    }
    let options = match Options::parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!(
                "usage: cargo run --release --example bench-feed -- [--small] [--json FILE] [--only WORD] | --serve EVENTS PER_CHUNK"
            );
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("bench-feed: {error}");
            return ExitCode::from(2);
        }
    };
    let result = Bench::new(options.small).and_then(|mut bench| {
        let rows = bench.run(options.only.as_deref());
        println!("\n{}", table(&rows));
        for missing in &bench.missing {
            println!("missing: {missing}");
        }
        if let Some(path) = &options.json {
            std::fs::write(path, serde_json::to_string_pretty(&rows)?)?;
        }
        Ok(())
    });
    pocketbase::janitor::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-feed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends so many events to whoever comes, until it is killed.
fn serve(events: &str, per_chunk: &str) -> ExitCode {
    let (Ok(events), Ok(per_chunk)) = (events.parse(), per_chunk.parse()) else {
        eprintln!("bench-feed: --serve EVENTS PER_CHUNK");
        return ExitCode::from(2);
    };
    match feed::Feed::start(feed::Plan { events, per_chunk, ..feed::Plan::default() }) {
        Ok(feed) => {
            println!("{}", feed.url());
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("bench-feed: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options {
    small: bool,
    json: Option<String>,
    only: Option<String>,
}

impl Options {
    fn parse(args: Vec<String>) -> Result<Option<Self>, String> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--small" => options.small = true,
                "--json" => options.json = Some(args.next().ok_or("--json needs a file")?),
                "--only" => options.only = Some(args.next().ok_or("--only needs a word")?),
                other => return Err(format!("what is {other}?")),
            }
        }
        Ok(Some(options))
    }
}

/// As Markdown, for the README.
fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | measured | goal | |\n|---|---|---|---|\n");
    for row in rows {
        let sign = match row.met {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} | {} | {} | {sign} |", row.what, row.measured, row.goal);
    }
    text
}

//! The rows of the table: what is run, and what is compared.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::feed::{Feed, Plan};
use crate::measure::{self, Cost, micros};
use crate::pocketbase::{Server, V0_40_6, temporary_folder};
use crate::{peers, program};

/// A line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) goal: String,
    /// Whether the goal is met, where it could be measured.
    pub(crate) met: Option<bool>,
}

type Fallible<T> = Result<T, Box<dyn Error>>;

/// The command for a URL and a number of events.
type Runner<'a> = dyn Fn(&str, &str) -> Command + 'a;

/// A run's figures.
#[derive(Debug, Clone, Copy)]
struct Figures {
    /// Processor time an event, in µs.
    cpu: f64,
    /// Events a second, from the moment the topics were taken.
    rate: f64,
    peak_kb: i64,
}

pub(crate) struct Bench {
    program: PathBuf,
    config: PathBuf,
    folder: PathBuf,
    events: u64,
    runs: usize,
    small: bool,
    /// Peers that could not be had, and why.
    pub(crate) missing: Vec<String>,
}

const PYTHON: &str = r#"
import json, sys, threading
from bosbase import BosBase
client, left, done = BosBase(sys.argv[1]), int(sys.argv[2]), threading.Event()
def show(event):
    global left
    print(json.dumps({"type": "record", "topic": "posts/*", **event}), flush=True)
    left -= 1
    if left == 0:
        done.set()
client.collection("posts").subscribe("*", show)
done.wait()
import os; os._exit(0)
"#;

const JAVASCRIPT: &str = r#"
import PocketBase from "pocketbase";
import { EventSource } from "eventsource";
globalThis.EventSource = EventSource;
const client = new PocketBase(process.argv[2]);
let left = Number(process.argv[3]);
await client.collection("posts").subscribe("*", (event) => {
  console.log(JSON.stringify({ type: "record", topic: "posts/*", ...event }));
  if (--left === 0) process.exit(0);
});
"#;

impl Bench {
    pub(crate) fn new(small: bool) -> Fallible<Self> {
        eprintln!("bench-feed: building bosbase-watch");
        Ok(Self {
            program: program::build_as_released()?,
            config: temporary_folder("config"),
            folder: temporary_folder("bench"),
            events: if small { 20_000 } else { 300_000 },
            runs: if small { 1 } else { 5 },
            small,
            missing: Vec::new(),
        })
    }

    /// All rows, or those whose group has this name.
    pub(crate) fn run(&mut self, only: Option<&str>) -> Vec<Row> {
        type Group = fn(&mut Bench) -> Fallible<Vec<Row>>;
        let groups: [(&str, Group); 11] = [
            ("ndjson", Self::ndjson),
            ("sdk", Self::sdks),
            ("forms", Self::forms),
            ("pipe", Self::pipe),
            ("records", Self::records),
            ("latency", Self::latency),
            ("start", Self::start),
            ("memory", Self::memory),
            ("topics", Self::topics),
            ("huge", Self::huge),
            ("server", Self::server),
        ];
        let mut rows = Vec::new();
        for (name, group) in groups {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            eprintln!("bench-feed: {name}");
            match group(self) {
                Ok(more) => rows.extend(more),
                Err(error) => self.missing.push(format!("{name}: {error}")),
            }
        }
        rows
    }

    fn ours(&self, args: &[&str]) -> Command {
        let mut command = program::command(&self.program, &self.config);
        command.args(args);
        command
    }

    fn plan(&self, per_chunk: u64) -> Plan {
        Plan { events: self.events, per_chunk, ..Plan::default() }
    }

    /// One run against a feed of its own.
    fn once(&self, plan: &Plan, command: impl Fn(&str, &str) -> Command) -> Fallible<Figures> {
        let feed = Feed::start(plan.clone())?;
        let events = plan.events.to_string();
        let command = command(&feed.url(), &events);
        let cost = measure::start(&command, Stdio::null(), &self.folder, "run")?.finish()?;
        Ok(figures(&cost, &feed, plan.events))
    }

    /// Several commands in turn, several times: the median of each.
    fn in_turn(&self, plan: &Plan, commands: &[&Runner<'_>]) -> Fallible<Vec<Figures>> {
        let mut all = vec![Vec::new(); commands.len()];
        for _ in 0..self.runs {
            for (at, command) in commands.iter().enumerate() {
                all[at].push(self.once(plan, command)?);
            }
        }
        Ok(all.iter().map(|runs| median_figures(runs)).collect())
    }

    fn watch(&self, more: &'static [&'static str]) -> impl Fn(&str, &str) -> Command {
        move |url, events| {
            let mut command = self.ours(&["subscribe", "posts/*", "-q", "--url", url, "-n", events]);
            command.args(if more.contains(&"-o") { &[][..] } else { &["-o", "ndjson"] }).args(more);
            command
        }
    }

    fn ndjson(&mut self) -> Fallible<Vec<Row>> {
        need("curl")?;
        let mut rows = Vec::new();
        for (per_chunk, most) in [(1, 2.0), (16, 2.5)] {
            let curl = |url: &str, _: &str| {
                let mut command = Command::new("curl");
                command.args(["-sN", &format!("{url}/api/realtime?go")]);
                command
            };
            let figures = self.in_turn(&self.plan(per_chunk), &[&self.watch(&[]), &curl])?;
            let (ours, theirs) = (figures[0], figures[1]);
            rows.push(Row {
                what: format!("NDJSON, events/s against `curl -N`, {per_chunk} a chunk"),
                measured: format!("{:.0} against {:.0}: {:.2} ×", ours.rate, theirs.rate, ours.rate / theirs.rate),
                goal: "≥ 0.9 ×".into(),
                met: Some(ours.rate / theirs.rate >= 0.9),
            });
            rows.push(at_most(
                format!("NDJSON, processor time an event against `curl -N`, {per_chunk} a chunk"),
                ours.cpu,
                theirs.cpu,
                most,
            ));
        }
        Ok(rows)
    }

    fn sdks(&mut self) -> Fallible<Vec<Row>> {
        let plan = self.plan(16);
        let mut rows = Vec::new();
        // `peers` prepares its commands for the janitor; here they are measured.
        let python = peers::python(PYTHON).map(|command| bare(&command));
        let javascript = peers::javascript("bench.mjs", JAVASCRIPT).map(|command| bare(&command));
        for (name, peer, goal) in [("JavaScript SDK", javascript, 1.0 / 10.0), ("Python SDK", python, 1.0 / 12.0)] {
            let peer = match peer {
                Ok(peer) => peer,
                Err(reason) => {
                    let reason = reason.lines().last().unwrap_or_default().to_owned();
                    self.missing.push(format!("{name}: {reason}"));
                    continue;
                }
            };
            let command = |url: &str, events: &str| {
                let mut command = peer.build();
                command.args([url, events]);
                command
            };
            let figures = self.in_turn(&plan, &[&self.watch(&[]), &command])?;
            let (ours, theirs) = (figures[0], figures[1]);
            rows.push(Row {
                what: format!("processor time an event against the {name}, same lines, 16 a chunk"),
                measured: format!(
                    "{:.2} µs against {:.1} µs: 1/{:.1} ({} MB against {} MB)",
                    ours.cpu,
                    theirs.cpu,
                    theirs.cpu / ours.cpu,
                    ours.peak_kb / 1024,
                    theirs.peak_kb / 1024
                ),
                goal: format!("≤ 1/{:.0}", 1.0 / goal),
                met: Some(ours.cpu / theirs.cpu <= goal),
            });
        }
        Ok(rows)
    }

    fn forms(&mut self) -> Fallible<Vec<Row>> {
        let figures = self.in_turn(
            &self.plan(16),
            &[&self.watch(&[]), &self.watch(&["-o", "pretty"]), &self.watch(&["--jq", ".record.title"])],
        )?;
        Ok(vec![
            at_most(
                "pretty with diff, processor time an event against NDJSON".into(),
                figures[1].cpu,
                figures[0].cpu,
                4.0,
            ),
            at_most(
                "`--jq '.record.title'`, processor time an event against NDJSON".into(),
                figures[2].cpu,
                figures[0].cpu,
                4.0,
            ),
        ])
    }

    fn pipe(&mut self) -> Fallible<Vec<Row>> {
        need("jq")?;
        let piped = |url: &str, events: &str| {
            let mut command = self.ours(&[]);
            let program = command.get_program().to_owned();
            let line = r#""$0" subscribe 'posts/*' -q -o ndjson --url "$1" -n "$2" | jq --unbuffered .record.title"#;
            let mut shell = Command::new("sh");
            for (name, value) in command.args([""]).get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            shell.args(["-c", line]).arg(program).args([url, events]);
            shell
        };
        let figures = self.in_turn(&self.plan(16), &[&self.watch(&["--jq", ".record.title"]), &piped])?;
        let (ours, theirs) = (figures[0].cpu, figures[1].cpu);
        Ok(vec![Row {
            what: "`--jq '.record.title'` against `… -o ndjson | jq --unbuffered .record.title`".into(),
            measured: format!("{ours:.2} µs against {theirs:.2} µs: 1/{:.1}", theirs / ours),
            goal: "≤ 1/4".into(),
            met: Some(ours / theirs <= 0.25),
        }])
    }

    /// Records are remembered, compared and kept for the cursor; messages of a
    /// custom topic are not.
    fn records(&mut self) -> Fallible<Vec<Row>> {
        let records = self.plan(16);
        let unstamped = Plan { unstamped: true, ..self.plan(16) };
        let messages = Plan { messages: true, ..self.plan(16) };
        let custom = |url: &str, events: &str| {
            self.ours(&["subscribe", "feed/messages", "-q", "-o", "ndjson", "--url", url, "-n", events])
        };
        let cursor = self.folder.join("cursor");
        let with_cursor = |url: &str, events: &str| {
            let _ = fs::remove_file(&cursor);
            let mut command = self.watch(&[])(url, events);
            command.arg("--cursor").arg(&cursor);
            command
        };
        let (mut on, mut off, mut plain) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            on.push(self.once(&records, with_cursor)?);
            off.push(self.once(&unstamped, self.watch(&["--catch-up", "off"]))?);
            plain.push(self.once(&messages, custom)?);
        }
        let [on, off, plain] = [on, off, plain].map(|runs| median_figures(&runs).cpu);
        let mut row = at_most(
            "records with catch-up, cursor and late detection, against records without a stamp and `--catch-up off`"
                .into(),
            on,
            off,
            1.3,
        );
        write!(row.measured, " (messages of a custom topic: {plain:.2} µs)")?;
        Ok(vec![row])
    }

    fn latency(&mut self) -> Fallible<Vec<Row>> {
        let events = if self.small { 1000 } else { 10_000 };
        let feed = Feed::start(Plan { events, rate: Some(1000), ..Plan::default() })?;
        let command = self.watch(&[])(&feed.url(), &events.to_string());
        let mut run = measure::start(&command, Stdio::piped(), &self.folder, "latency")?;
        let mut came = Vec::new();
        let mut stdout = BufReader::new(run.stdout().ok_or("no stdout")?);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line)? > 0 {
            came.push(Instant::now());
            line.clear();
        }
        run.finish()?;
        let sent = feed.times().sent;
        let mut took: Vec<f64> =
            sent.iter().zip(&came).map(|(sent, came)| micros(came.saturating_duration_since(*sent)) / 1e3).collect();
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(f64::NAN);
        let (median, most) = (at(50), at(99));
        Ok(vec![Row {
            what: "from the server's write to readable on stdout, 1,000 events/s: p50, p99".into(),
            measured: format!("{median:.3} ms, {most:.3} ms"),
            goal: "≤ 0.1 ms, ≤ 1 ms".into(),
            met: Some(median <= 0.1 && most <= 1.0),
        }])
    }

    fn start(&mut self) -> Fallible<Vec<Row>> {
        let runs = if self.small { 3 } else { 21 };
        let mut times = Vec::new();
        for _ in 0..runs {
            let feed = Feed::start(Plan { events: 1, ..Plan::default() })?;
            let begun = Instant::now();
            let mut command = self.watch(&[])(&feed.url(), "1");
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            let go = feed.times().go.filter(|_| status.success()).ok_or("the watch failed")?;
            times.push(micros(go.duration_since(begun)) / 1e3);
        }
        let start = median(times);
        let mut rows = vec![Row {
            what: "start to acknowledged subscription on loopback, check included".into(),
            measured: format!("{start:.1} ms"),
            goal: "≤ 25 ms".into(),
            met: Some(start <= 25.0),
        }];
        for flag in ["--version", "--help"] {
            let mut times = Vec::new();
            for _ in 0..runs {
                let begun = Instant::now();
                self.ours(&[flag]).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
                times.push(micros(begun.elapsed()) / 1e3);
            }
            let took = median(times);
            rows.push(Row {
                what: format!("`{flag}`"),
                measured: format!("{took:.1} ms"),
                goal: "≤ 3 ms".into(),
                met: Some(took <= 3.0),
            });
        }
        let size = fs::metadata(&self.program)?.len() as f64 / 1e6;
        rows.push(Row {
            what: "the binary".into(),
            measured: format!("{size:.1} MB"),
            goal: "≤ 8 MB".into(),
            met: Some(size <= 8.0),
        });
        Ok(rows)
    }

    fn memory(&mut self) -> Fallible<Vec<Row>> {
        let (few, many) = (10_000, if self.small { 200_000 } else { 10_000_000 });
        let peak = |events| self.once(&Plan { events, per_chunk: 16, ..Plan::default() }, self.watch(&[]));
        let (small, large) = (peak(few)?.peak_kb as f64 / 1024.0, peak(many)?.peak_kb as f64 / 1024.0);
        Ok(vec![Row {
            what: format!("peak memory, {few} events and {many} events (1,000 records remembered)"),
            measured: format!("{small:.1} MB, {large:.1} MB"),
            goal: "≤ 12 MB, and the same".into(),
            met: Some(small <= 12.0 && large <= small * 1.1),
        }])
    }

    fn topics(&mut self) -> Fallible<Vec<Row>> {
        let this: &Self = self;
        let many = |count: usize| {
            move |url: &str, events: &str| {
                let mut command =
                    this.ours(&["subscribe", "--no-check", "-q", "-o", "ndjson", "--url", url, "-n", events]);
                command.args((0..count).map(|at| format!("c{at:04}/*")));
                command
            }
        };
        let figures = self.in_turn(&self.plan(16), &[&many(1000), &many(1)])?;
        Ok(vec![at_most(
            "1,000 topics against one, processor time an event".into(),
            figures[0].cpu,
            figures[1].cpu,
            1.15,
        )])
    }

    fn huge(&mut self) -> Fallible<Vec<Row>> {
        let megabytes = if self.small { 5 } else { 50 };
        let plan = Plan { events: 1, bytes: megabytes * 1_000_000, ..Plan::default() };
        let peak = self.once(&plan, self.watch(&[]))?.peak_kb as f64 * 1024.0 / 1e6;
        let times = peak / megabytes as f64;
        Ok(vec![Row {
            what: format!("{megabytes} MB in one event: peak memory"),
            measured: format!("{peak:.0} MB: {times:.1} ×"),
            goal: "≤ 4 ×".into(),
            met: Some(times <= 4.0),
        }])
    }

    fn server(&mut self) -> Fallible<Vec<Row>> {
        let messages: u64 = if self.small { 10_000 } else { 200_000 };
        let server = Server::builder(V0_40_6).hook("flood.pb.js", FLOOD).start();
        let count = messages.to_string();
        let command =
            self.ours(&["subscribe", "bench/flood", "-q", "-o", "ndjson", "--url", server.url(), "-n", &count]);
        let run = measure::start(&command, Stdio::null(), &self.folder, "server")?;
        server.wait_for_subscriber("bench/flood");
        let begun = Instant::now();
        server.root("POST", "/api/bench/flood", Some(&json!({"count": messages})));
        let cost = run.finish()?;
        let wall = micros(cost.ended.unwrap_or(begun).duration_since(begun));
        let share = cost.cpu_us / wall * 100.0;
        Ok(vec![Row {
            what: format!("PocketBase {V0_40_6} at full speed, {messages} messages: share of one core"),
            measured: format!("{share:.0} % of {:.1} s ({:.0} messages/s)", wall / 1e6, messages as f64 / wall * 1e6),
            goal: "≤ 10 %".into(),
            met: Some(share <= 10.0),
        }])
    }
}

/// Sends messages as fast as the server can.
const FLOOD: &str = r#"
routerAdd("POST", "/api/bench/flood", (e) => {
  const count = e.requestInfo().body.count, clients = $app.subscriptionsBroker().clients();
  const data = JSON.stringify({ title: "a message", body: "x".repeat(500) });
  for (let id in clients) {
    if (!clients[id].hasSubscription("bench/flood")) continue;
    for (let i = 0; i < count; i++) clients[id].send(new SubscriptionMessage({ name: "bench/flood", data: data }));
  }
  return e.json(200, {});
});
"#;

/// A command that can be built again.
struct Bare {
    program: std::ffi::OsString,
    args: Vec<std::ffi::OsString>,
    environment: Vec<(std::ffi::OsString, Option<std::ffi::OsString>)>,
}

/// What stands behind the janitor's shell: `sh -c SCRIPT sh PROGRAM ARG...`.
fn bare(guarded: &Command) -> Bare {
    let mut args = guarded.get_args().skip(3).map(std::ffi::OsStr::to_owned);
    Bare {
        program: args.next().unwrap_or_default(),
        args: args.collect(),
        environment: guarded.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect(),
    }
}

impl Bare {
    fn build(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

fn need(program: &str) -> Fallible<()> {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.map(drop).map_err(|_| format!("{program} is not installed").into())
}

fn figures(cost: &Cost, feed: &Feed, events: u64) -> Figures {
    let took = match (feed.times().go, cost.ended) {
        (Some(go), Some(ended)) => ended.duration_since(go),
        _ => Duration::from_secs_f64(cost.wall_us / 1e6),
    };
    Figures { cpu: cost.cpu_us / events as f64, rate: events as f64 / took.as_secs_f64(), peak_kb: cost.peak_kb }
}

fn median_figures(all: &[Figures]) -> Figures {
    Figures {
        cpu: median(all.iter().map(|run| run.cpu).collect()),
        rate: median(all.iter().map(|run| run.rate).collect()),
        peak_kb: all.iter().map(|run| run.peak_kb).max().unwrap_or_default(),
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}

fn at_most(what: String, ours: f64, theirs: f64, most: f64) -> Row {
    let times = ours / theirs;
    Row {
        what,
        measured: format!("{ours:.2} µs against {theirs:.2} µs: {times:.2} ×"),
        goal: format!("≤ {most} ×"),
        met: Some(times <= most),
    }
}

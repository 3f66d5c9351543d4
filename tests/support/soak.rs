//! The soak: a server that is killed and restarted, connections that are cut,
//! swallowed and closed by short limits, writers that log what the server
//! acknowledged, and the real program, which has to have told all of it.

#![allow(dead_code, unreachable_pub, reason = "it is part of more than one program, and none needs everything")]

use super::pocketbase::{Api, Server, janitor, temporary_folder};
use super::program;
use super::proxy::{Proxy, Which};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The collections, and the field of each that says which write it was.
const COLLECTIONS: [(&str, &str); 2] = [("posts", "title"), ("comments", "text")];

const WRITERS: usize = 16;

/// Records that a writer keeps at a time.
const KEPT: usize = 20;

/// What is known to a few ms only: stamps are taken before the commit, and
/// events are sent behind it.
const SLACK: i64 = 1_500;

/// What is soaked.
pub struct Plan {
    pub version: String,
    /// How long, at the most.
    pub time: Duration,
    pub seed: u64,
    pub harm: Harm,
    /// The real program.
    pub program: PathBuf,
    /// Told what is done to the server and the connections.
    pub say: fn(&str),
}

/// What is done to the server and the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    All,
    /// It is killed and started again, so often.
    Kills {
        times: usize,
    },
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// As a table.
    pub rows: Vec<(&'static str, String)>,
    /// Each with its context.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.rows {
            writeln!(f, "  {name:<34} {value:>12}")?;
        }
        for violation in self.violations.iter().take(10) {
            writeln!(f, "\n  ! {}", violation.replace('\n', "\n    "))?;
        }
        if self.violations.len() > 10 {
            writeln!(f, "\n  ! and {} more", self.violations.len() - 10)?;
        }
        Ok(())
    }
}

/// Soaks until the time is over, or until it is told to stop.
pub fn run(plan: &Plan, stop: &AtomicBool) -> Report {
    let mut server = Server::start(&plan.version);
    let proxy = Proxy::start(server.port());
    let watch = Watch::start(plan, &proxy.url(), &server.ann().token);
    if !watch.wait_until_live() {
        return Report { rows: Vec::new(), violations: vec![watch.end().1] };
    }

    let over = Arc::new(Over::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (api, over) = (server.api().clone(), Arc::clone(&over));
            let seed = plan.seed.wrapping_mul(1_000).wrapping_add(number as u64);
            thread::spawn(move || Writer::new(number, api, seed).run(&over))
        })
        .collect();
    let mut weather = Weather { rng: fastrand::Rng::with_seed(plan.seed), say: plan.say, done: BTreeMap::new() };
    let quarter = weather.rage(&mut server, &proxy, &over, &watch, plan, stop);

    // What was swallowed before the last handover is found at the next one, which this hastens.
    proxy.heal();
    proxy.reset(Which::Streams);
    over.calm.store(false, Ordering::Relaxed);
    thread::sleep(Duration::from_secs(2));
    over.over.store(true, Ordering::Relaxed);
    let writes: Vec<Write> = writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
    watch.wait_until_quiet();
    let memory = (quarter, watch.memory());
    let truth = truth(server.api());
    let (lines, end) = watch.end();
    judge(&writes, &truth, &lines, &end, memory, &weather.done)
}

/// What the writers are told.
#[derive(Default)]
struct Over {
    over: AtomicBool,
    /// Nothing is written for a while.
    calm: AtomicBool,
}

// --- what is written ----------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Update,
    Delete,
}

/// A write, and whether the server acknowledged it.
#[derive(Clone, Debug)]
struct Write {
    collection: usize,
    id: String,
    kind: Kind,
    /// Says which write it was.
    text: String,
    /// When it was sent, and when its answer was there: ms since 1970.
    from: i64,
    to: i64,
    /// Nothing: the answer was lost.
    committed: bool,
}

struct Writer {
    number: usize,
    api: Api,
    rng: fastrand::Rng,
    count: usize,
    records: Vec<(usize, String)>,
    log: Vec<Write>,
}

impl Writer {
    fn new(number: usize, api: Api, seed: u64) -> Self {
        Self { number, api, rng: fastrand::Rng::with_seed(seed), count: 0, records: Vec::new(), log: Vec::new() }
    }

    fn run(mut self, over: &Over) -> Vec<Write> {
        while !over.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(self.rng.u64(30..150)));
            if !over.calm.load(Ordering::Relaxed) {
                self.write();
            }
        }
        self.log
    }

    fn write(&mut self) {
        let one = (!self.records.is_empty()).then(|| self.rng.usize(..self.records.len()));
        match (one, self.rng.u32(..100)) {
            (Some(at), 0..50) => self.send(Kind::Update, Some(at)),
            (Some(at), dice) if dice < 70 || self.records.len() >= KEPT => self.send(Kind::Delete, Some(at)),
            _ => self.send(Kind::Create, None),
        }
    }

    fn send(&mut self, kind: Kind, at: Option<usize>) {
        self.count += 1;
        let text = format!("writer {} write {}", self.number, self.count);
        let (collection, id) = match at {
            Some(at) => self.records[at].clone(),
            None => (self.rng.usize(..2), format!("w{:02}n{:011}", self.number, self.count)),
        };
        let (name, field) = COLLECTIONS[collection];
        let body = json!({"id": id, field: text});
        let one = format!("/api/collections/{name}/records/{id}");
        let (method, path, body) = match kind {
            Kind::Create => ("POST", format!("/api/collections/{name}/records"), Some(body)),
            Kind::Update => ("PATCH", one, Some(json!({field: text}))),
            Kind::Delete => ("DELETE", one, None),
        };
        let from = now();
        let answer = self.api.try_request(method, &path, Some(self.api.superuser_token()), body.as_ref());
        let committed = match answer {
            Ok((200..300, _)) => true,
            // It was not done, or not even sent.
            Ok((400.., _)) => return,
            Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return,
            Err(ureq::Error::ConnectionFailed) => return,
            Ok(_) | Err(_) => false,
        };
        self.log.push(Write { collection, id: id.clone(), kind, text, from, to: now(), committed });
        match (kind, at) {
            (Kind::Create, _) if committed => self.records.push((collection, id)),
            // What became of it is for the server to say, at the end.
            (Kind::Update, Some(at)) if !committed => drop(self.records.swap_remove(at)),
            (Kind::Delete, Some(at)) => drop(self.records.swap_remove(at)),
            _ => {}
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The records as they are at the end: by place of the collection and id, what
/// they say.
fn truth(api: &Api) -> HashMap<(usize, String), String> {
    let mut truth = HashMap::new();
    for (collection, (name, field)) in COLLECTIONS.into_iter().enumerate() {
        for page in 1.. {
            let page = page.to_string();
            let items = api.list(name, &[("perPage", "1000"), ("page", &page), ("sort", "id")]);
            let last = items.len() < 1000;
            truth.extend(items.iter().map(|item| ((collection, text(&item["id"])), text(&item[field]))));
            if last {
                break;
            }
        }
    }
    truth
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

// --- what is done to it ---------------------------------------------------------

struct Weather {
    rng: fastrand::Rng,
    say: fn(&str),
    done: BTreeMap<&'static str, usize>,
}

impl Weather {
    /// Rages for so long; the memory of the watch after the first quarter.
    fn rage(
        &mut self,
        server: &mut Server,
        proxy: &Proxy,
        over: &Over,
        watch: &Watch,
        plan: &Plan,
        stop: &AtomicBool,
    ) -> Option<u64> {
        let started = Instant::now();
        let (mut quarter, mut kills) = (None, 0);
        let mut next = started + Duration::from_secs(1);
        if plan.harm == Harm::All {
            self.limit(server);
        }
        while started.elapsed() < plan.time && !stop.load(Ordering::Relaxed) && watch.is_running() {
            thread::sleep(Duration::from_millis(20));
            if quarter.is_none() && started.elapsed() >= plan.time / 4 {
                quarter = watch.memory();
            }
            if Instant::now() < next {
                continue;
            }
            let rest = match plan.harm {
                Harm::All => self.strike(server, proxy, over),
                Harm::Kills { times } if kills < times => {
                    kills += 1;
                    self.kill(server);
                    Duration::from_millis(self.rng.u64(500..3_000))
                }
                Harm::Kills { .. } => break,
            };
            next = Instant::now() + rest;
        }
        quarter
    }

    /// Does something to it; how long it is left alone then.
    fn strike(&mut self, server: &mut Server, proxy: &Proxy, over: &Over) -> Duration {
        let short = Duration::from_millis(self.rng.u64(50..2_500));
        match self.rng.u32(..100) {
            0..15 => {
                self.kill(server);
                if self.rng.bool() {
                    self.limit(server);
                }
            }
            15..25 => {
                self.note("stops", &format!("the server is stopped, for {short:?}"));
                server.stop();
                thread::sleep(short);
                server.start_again();
                if self.rng.bool() {
                    self.limit(server);
                }
            }
            25..30 => self.limit(server),
            // Long enough for the limits to be learnt, and obeyed.
            30..40 => {
                let life = self.rng.u64(2_000..3_000);
                self.note("routine", &format!("connections live {life} ms, and nothing else happens for a while"));
                proxy.heal();
                server.limit_connections(life, life);
                over.calm.store(false, Ordering::Relaxed);
                proxy.reset(Which::Streams);
                return Duration::from_millis(life * 7);
            }
            40..52 => {
                self.note("resets", "the streams are reset");
                proxy.reset(Which::Streams);
            }
            52..58 => {
                self.note("resets", "all connections are reset");
                proxy.reset(Which::All);
            }
            58..66 => {
                self.note("streams swallowed", "what comes over the streams is swallowed");
                proxy.swallow(Which::Streams);
            }
            66..74 => {
                self.note("swallowed streams reset", "what was swallowed is reset");
                proxy.heal();
            }
            74..82 => {
                self.note("pauses", &format!("nothing is forwarded for {short:?}"));
                proxy.pause();
                thread::sleep(short);
                proxy.resume();
            }
            82..90 => {
                let delay = Duration::from_millis(self.rng.u64(0..150));
                self.note("delays", &format!("each piece takes {delay:?} longer"));
                proxy.delay(delay);
            }
            90..95 => {
                self.note("refusals", &format!("connections are refused for {short:?}"));
                proxy.refuse(true);
                thread::sleep(short);
                proxy.refuse(false);
            }
            _ => {
                let calm = !over.calm.load(Ordering::Relaxed);
                self.note("calms", if calm { "the writers pause" } else { "the writers go on" });
                over.calm.store(calm, Ordering::Relaxed);
            }
        }
        if self.rng.u32(..100) < 40 {
            over.calm.store(false, Ordering::Relaxed);
        }
        Duration::from_millis(self.rng.u64(1_000..6_000))
    }

    fn kill(&mut self, server: &mut Server) {
        let pause = Duration::from_millis(self.rng.u64(0..2_500));
        self.note("kills", &format!("the server is killed, for {pause:?}"));
        server.kill();
        thread::sleep(pause);
        server.start_again();
    }

    /// Connections from now on are closed early.
    fn limit(&mut self, server: &Server) {
        let (idle, max) = (self.rng.u64(1_500..15_000), self.rng.u64(2_000..30_000));
        self.note("limits", &format!("connections live {max} ms, and {idle} ms without a message"));
        server.limit_connections(idle, max);
    }

    fn note(&mut self, what: &'static str, text: &str) {
        *self.done.entry(what).or_default() += 1;
        (self.say)(text);
    }
}

// --- the watch ------------------------------------------------------------------

/// The program at work.
struct Watch {
    child: Mutex<Child>,
    read: Arc<Mutex<Read_>>,
    stderr: Arc<Mutex<Stderr>>,
}

#[derive(Default)]
struct Read_ {
    lines: Lines,
    last: Option<Instant>,
    over: bool,
}

#[derive(Default)]
struct Stderr {
    last: VecDeque<String>,
    handovers: usize,
    failed_handovers: usize,
}

impl Watch {
    fn start(plan: &Plan, url: &str, token: &str) -> Self {
        let config = temporary_folder("soak-config");
        let mut command = program::command(&plan.program, &config);
        command
            .args(["subscribe", "posts/*", "comments/*", "-o", "ndjson", "--lifecycle", "stdout", "-v", "--url", url])
            .env("BOSBASE_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0); // the Ctrl-C of the terminal is not for it
        let mut child = command.spawn().expect("the program starts");
        janitor::watch(child.id());
        let (read, stderr) = (Arc::new(Mutex::new(Read_::default())), Arc::new(Mutex::new(Stderr::default())));
        each_line(child.stdout.take().expect("a pipe"), {
            let read = Arc::clone(&read);
            move |line| {
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                match line {
                    Some(line) => {
                        read.lines.take(&line);
                        read.last = Some(Instant::now());
                    }
                    None => read.over = true,
                }
            }
        });
        each_line(child.stderr.take().expect("a pipe"), {
            let stderr = Arc::clone(&stderr);
            move |line| {
                let Some(line) = line else { return };
                let mut stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
                if line.contains("handover: done") {
                    stderr.handovers += 1;
                } else if line.contains("handover: failed") {
                    stderr.failed_handovers += 1;
                }
                if stderr.last.len() >= 40 {
                    stderr.last.pop_front();
                }
                stderr.last.push_back(line);
            }
        });
        Self { child: Mutex::new(child), read, stderr }
    }

    fn read<T>(&self, look: impl FnOnce(&Read_) -> T) -> T {
        look(&self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait_until_live(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            match self.read(|read| (read.lines.lives > 0, read.over)) {
                (true, _) => return true,
                (_, true) => return false,
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
        false
    }

    /// Waits until it is live and has nothing more to say.
    fn wait_until_quiet(&self) {
        let quiet = Duration::from_secs(5);
        let started = Instant::now();
        let is_quiet = |read: &Read_| {
            let for_long = read.last.is_some_and(|last| last.elapsed() >= quiet);
            read.over || (for_long && started.elapsed() >= quiet && read.lines.is_live)
        };
        while started.elapsed() < Duration::from_secs(90) && !self.read(is_quiet) {
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_running(&self) -> bool {
        !self.read(|read| read.over)
    }

    /// In KB.
    fn memory(&self) -> Option<u64> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Ends it; what it printed, and how it ended where that is not as it should be.
    fn end(self) -> (Lines, String) {
        let mut child = self.child.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut end = String::new();
        match child.try_wait() {
            Ok(None) => janitor::signal(child.id(), "INT"),
            ended => end = format!("the watch has ended by itself: {ended:?}"),
        }
        let patience = Instant::now() + Duration::from_secs(5);
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        if matches!(child.try_wait(), Ok(None)) {
            end = "the watch does not end on SIGINT".to_owned();
            let _ = child.kill();
        }
        let _ = child.wait();
        janitor::forget(child.id());
        while !self.read.lock().unwrap_or_else(PoisonError::into_inner).over {
            thread::sleep(Duration::from_millis(5));
        }
        let mut stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = std::mem::take(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner).lines);
        (lines.handovers, lines.failed_handovers) = (stderr.handovers, stderr.failed_handovers);
        if !end.is_empty() {
            let last: Vec<String> = stderr.last.drain(..).collect();
            end = format!("{end}\n{}", last.join("\n"));
        }
        (lines, end)
    }
}

/// Hands over each line, and nothing at the end.
fn each_line(source: impl Read + Send + 'static, mut take: impl FnMut(Option<String>) + Send + 'static) {
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut line = String::new();
        while matches!(source.read_line(&mut line), Ok(1..)) {
            take(Some(std::mem::take(&mut line)));
        }
        take(None);
    });
}

/// One line about a record, as far as it matters.
#[derive(Clone, Debug)]
struct Line {
    number: usize,
    created: bool,
    deleted: bool,
    late: bool,
    replayed: bool,
    updated: String,
    text: String,
    /// Its time, in ms since 1970.
    at: i64,
}

/// A stretch of time of which the watch itself says that something may have been missed.
#[derive(Clone, Debug)]
struct Told {
    from: i64,
    to: i64,
    filled: [bool; 2],
    deletes_unknown: bool,
}

/// What the watch printed.
#[derive(Default)]
struct Lines {
    count: usize,
    events: usize,
    late: usize,
    replayed: usize,
    records: HashMap<(usize, String), Vec<Line>>,
    /// By content: the first line that had it.
    contents: HashMap<u64, usize>,
    hasher: RandomState,
    doubled: Vec<String>,
    strange: Vec<String>,
    gaps: Vec<Told>,
    lives: usize,
    is_live: bool,
    handovers: usize,
    failed_handovers: usize,
}

impl Lines {
    fn take(&mut self, line: &str) {
        self.count += 1;
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            self.strange.push(format!("line {} is not JSON: {line}", self.count));
            return;
        };
        match value["type"].as_str().unwrap_or_default() {
            "record" => self.record(&value, line),
            "live" => {
                self.lives += 1;
                self.is_live = true;
            }
            "disconnected" => self.is_live = false,
            "gap" => {
                let names = |key: &str| value[key].as_array().cloned().unwrap_or_default();
                let filled = names("filled");
                self.gaps.push(Told {
                    from: ms(&value["from"]),
                    to: ms(&value["to"]),
                    filled: COLLECTIONS.map(|(name, _)| filled.contains(&format!("{name}/*").into())),
                    deletes_unknown: value["deletes"] == "unknown",
                });
            }
            "connected" | "subscribed" | "end" | "refreshed" => {}
            _ => self.strange.push(format!("line {}: {line}", self.count)),
        }
    }

    fn record(&mut self, value: &Value, line: &str) {
        self.events += 1;
        let record = &value["record"];
        let name = record["collectionName"].as_str().unwrap_or_default();
        let Some(collection) = COLLECTIONS.iter().position(|(wanted, _)| *wanted == name) else {
            self.strange.push(format!("line {}: {line}", self.count));
            return;
        };
        let deleted = value["action"] == "delete";
        let (late, replayed) = (value["late"] == true, value["replayed"] == true);
        self.late += usize::from(late);
        self.replayed += usize::from(replayed);
        // serde_json keeps the order of the keys, which means nothing here.
        let mut fields: Vec<(&String, &Value)> = record.as_object().into_iter().flatten().collect();
        fields.sort_by_key(|(key, _)| *key);
        let content = self.hasher.hash_one((deleted, format!("{fields:?}")));
        let first = *self.contents.entry(content).or_insert(self.count);
        if first != self.count && !replayed {
            self.doubled.push(format!("line {} repeats line {first}: {line}", self.count));
        }
        self.records.entry((collection, text(&record["id"]))).or_default().push(Line {
            number: self.count,
            created: value["action"] == "create",
            deleted,
            late,
            replayed,
            updated: text(&record["updated"]),
            text: text(&record[COLLECTIONS[collection].1]),
            at: ms(&value["time"]),
        });
    }
}

fn ms(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_millisecond)
}

// --- the verdict ------------------------------------------------------------------

fn judge(
    writes: &[Write],
    truth: &HashMap<(usize, String), String>,
    lines: &Lines,
    end: &str,
    memory: (Option<u64>, Option<u64>),
    weather: &BTreeMap<&'static str, usize>,
) -> Report {
    let mut violations = Vec::new();
    violations.extend((!end.is_empty()).then(|| end.to_owned()));
    violations.extend(lines.strange.iter().cloned());
    violations.extend(lines.doubled.iter().cloned());

    let mut by_record: HashMap<(usize, String), Vec<&Write>> = HashMap::new();
    for write in writes {
        by_record.entry((write.collection, write.id.clone())).or_default().push(write);
    }
    let mut untold = 0;
    let mut missed = |violation: String| {
        untold += 1;
        violations.push(violation);
    };
    let nothing = Vec::new();
    for (key, history) in &by_record {
        let printed = lines.records.get(key).unwrap_or(&nothing);
        let case = Case { key, history, printed, gaps: &lines.gaps };
        // Each change, unless the watch said that what was there in between is not known.
        for write in history.iter().filter(|write| write.committed && write.kind != Kind::Delete) {
            let is_there = printed.iter().any(|line| !line.deleted && line.text == write.text);
            if !is_there && !case.is_told(write.from, write.to) {
                missed(case.show(&format!("{:?} {:?} was never printed", write.kind, write.text)));
            }
        }
        // What is replayed and was not heard of before was created meanwhile.
        if printed.first().is_some_and(|line| line.replayed && !line.created) && !case.is_unfilled() {
            missed(case.show("it was printed, but not as created"));
        }
        // A reader that leaves out what is late has to end with the truth.
        let newest = printed.iter().rev().find(|line| !line.late);
        let last_state = |text: &String| printed.iter().any(|line| !line.deleted && line.text == *text);
        match (truth.get(key), newest) {
            (Some(text), Some(line)) => {
                let tie = || printed.iter().any(|other| other.text == *text && other.updated == line.updated);
                if !last_state(text) && !case.is_unfilled() {
                    missed(case.show(&format!("the last state {text:?} was never printed")));
                } else if (line.deleted || line.text != *text) && !tie() && !case.is_unfilled() {
                    missed(case.show(&format!("the last state is {text:?}, not what line {} says", line.number)));
                }
            }
            (Some(text), None) if !case.is_unfilled() => {
                missed(case.show(&format!("the record with {text:?} was never printed")));
            }
            (None, Some(line)) if !line.deleted => {
                let deletion = history.iter().find(|write| write.kind == Kind::Delete);
                if !deletion.is_some_and(|write| case.is_deletion_unknown(write.from, write.to)) {
                    missed(case.show("its deletion was never printed"));
                }
            }
            _ => {}
        }
    }
    let committed = writes.iter().filter(|write| write.committed).count();
    let unfilled = lines.gaps.iter().filter(|gap| gap.filled != [true; 2]).count();
    let kilobytes = |value: Option<u64>| value.map_or("unknown".to_owned(), |value| format!("{value} KB"));
    let mut rows = vec![
        ("written and acknowledged", committed.to_string()),
        ("written, the answer lost", (writes.len() - committed).to_string()),
        ("records", by_record.len().to_string()),
        ("printed", lines.events.to_string()),
        ("missing and untold", untold.to_string()),
        ("doubled", lines.doubled.len().to_string()),
        ("late", lines.late.to_string()),
        ("replayed", lines.replayed.to_string()),
        ("gaps told", lines.gaps.len().to_string()),
        ("of them not filled", unfilled.to_string()),
        ("reconnects", lines.lives.saturating_sub(1).to_string()),
        ("handovers", lines.handovers.to_string()),
        ("handovers that failed", lines.failed_handovers.to_string()),
        ("memory after a quarter", kilobytes(memory.0)),
        ("memory at the end", kilobytes(memory.1)),
    ];
    rows.extend(weather.iter().map(|(what, times)| (*what, times.to_string())));
    Report { rows, violations }
}

/// One record, for the verdict.
struct Case<'a> {
    key: &'a (usize, String),
    history: &'a [&'a Write],
    printed: &'a [Line],
    gaps: &'a [Told],
}

impl Case<'_> {
    /// Whether the watch said of this moment that something may have been missed.
    fn is_told(&self, from: i64, to: i64) -> bool {
        self.gaps.iter().any(|gap| gap.from - SLACK <= to && from <= gap.to + SLACK)
    }

    /// Whether the watch said that it could not read again what became of it.
    fn is_unfilled(&self) -> bool {
        let last = self.history.last().expect("a record has a history");
        self.gaps.iter().any(|gap| !gap.filled[self.key.0] && gap.from - SLACK <= last.to)
    }

    fn is_deletion_unknown(&self, from: i64, to: i64) -> bool {
        self.gaps.iter().any(|gap| gap.deletes_unknown && gap.from - SLACK <= to && from <= gap.to + SLACK)
    }

    fn show(&self, what: &str) -> String {
        let mut text = format!("{} {}: {what}", COLLECTIONS[self.key.0].0, self.key.1);
        for write in self.history {
            let known = if write.committed { "" } else { ", unknown" };
            text.push_str(&format!(
                "\n{} to {}: {:?} {:?}{known}",
                hour(write.from),
                hour(write.to),
                write.kind,
                write.text
            ));
        }
        for line in self.printed {
            let marks =
                format!("{}{}", if line.late { ", late" } else { "" }, if line.replayed { ", replayed" } else { "" });
            let action = match (line.created, line.deleted) {
                (true, _) => "created",
                (_, true) => "deleted",
                _ => "there",
            };
            text.push_str(&format!(
                "\n{} line {}: {action} {:?} of {}{marks}",
                hour(line.at),
                line.number,
                line.text,
                line.updated
            ));
        }
        let (from, to) = (self.history[0].from, self.history[self.history.len() - 1].to);
        for gap in self.gaps.iter().filter(|gap| gap.from <= to + 10_000 && from <= gap.to + 10_000) {
            text.push_str(&format!(
                "\ngap from {} to {}, filled: {:?}, deletes unknown: {}",
                hour(gap.from),
                hour(gap.to),
                gap.filled,
                gap.deletes_unknown
            ));
        }
        text
    }
}

/// Of a time in ms, what matters within a run.
fn hour(at: i64) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

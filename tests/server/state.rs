//! `--initial` while others write: the lines, applied in their order, are the database.
//!
//! `BOSBASE_TEST_RECORDS=100000 BOSBASE_TEST_RUNS=10 cargo test --test server state -- --nocapture`

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::kit::{guest, id, parse, post};
use crate::support::cli::{Bare, Searched};
use crate::support::pocketbase::{Api, Server, wait_for};

both_versions!(what_the_lines_say_is_what_there_is);

const WRITERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

/// Stamp and title of each record.
type State = HashMap<String, (String, String)>;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn what_the_lines_say_is_what_there_is(version: &str) {
    let (records, runs) = (number("BOSBASE_TEST_RECORDS", 2_000), number("BOSBASE_TEST_RUNS", 1));
    let server = Server::start(version);
    server.fill_posts(records, 7);
    for run in 1..=runs {
        let (writes, over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let mut there = database(&server);
        let mut shares = vec![Vec::new(); WRITERS];
        there.drain().enumerate().for_each(|(at, (id, _))| shares[at % WRITERS].push(id));
        let mut reader = thread::scope(|scope| {
            for (writer, share) in shares.into_iter().enumerate() {
                let (api, writes, over) = (server.api().clone(), &writes, &over);
                scope.spawn(move || write(&api, writer, share, writes, over));
            }
            wait_for("the first writes", PATIENCE, || writes.load(Ordering::Relaxed) > 20);
            let mut reader = Reader::start(&server);
            wait_for("all that there is", PATIENCE, || reader.read().live.is_some());
            let listed = writes.load(Ordering::Relaxed);
            wait_for("some more writes", PATIENCE, || writes.load(Ordering::Relaxed) > listed + 100);
            over.store(true, Ordering::Relaxed);
            reader
        });
        // What comes last need not come in the order of its stamps.
        let there = database(&server);
        let end = Instant::now() + PATIENCE;
        while reader.read().state != there && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        let wrong: Vec<_> = there
            .iter()
            .filter(|(id, is)| reader.state.get(*id) != Some(is))
            .map(|(id, is)| (id, is, reader.state.get(id)))
            .collect();
        let gone = reader.state.keys().filter(|id| !there.contains_key(*id)).count();
        assert!(
            wrong.is_empty() && gone == 0,
            "run {run}: {} of {} differ, {gone} are gone: {:?}",
            wrong.len(),
            there.len(),
            wrong.iter().take(3).collect::<Vec<_>>()
        );
        let live = reader.live.as_ref().unwrap();
        assert!(reader.listed.values().all(|times| *times == 1), "each is listed once");
        println!(
            "{version}, run {run}: {} listed in {:.1} s, {} events besides, {} late, {} records at the end",
            live["initial"],
            reader.took.as_secs_f64(),
            reader.events,
            reader.late,
            there.len()
        );
    }
}

/// Changes, deletes and creates; each record has one writer only, whose changes
/// have an order.
fn write(api: &Api, writer: usize, mut share: Vec<String>, writes: &AtomicUsize, over: &AtomicBool) {
    let mut rng = fastrand::Rng::with_seed(writer as u64);
    for number in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let title = format!("writer {writer}, write {number}");
        match rng.u32(..4) {
            0 if share.len() > 100 => {
                let at = rng.usize(..share.len());
                api.delete("posts", &share.swap_remove(at));
            }
            1 => share.push(id(&post(api, &title))),
            _ => {
                let at = rng.usize(..share.len());
                api.update("posts", &share[at], &json!({"title": title}));
            }
        }
        writes.fetch_add(1, Ordering::Relaxed);
    }
}

fn of(record: &Value) -> (String, (String, String)) {
    let text = |key: &str| record[key].as_str().unwrap().to_owned();
    (text("id"), (text("updated"), text("title")))
}

fn database(server: &Server) -> State {
    let mut state = State::new();
    for page in 1.. {
        let page = page.to_string();
        let items = server.list("posts", &[("perPage", "1000"), ("page", &page), ("sort", "id"), ("skipTotal", "1")]);
        state.extend(items.iter().map(of));
        if items.len() < 1000 {
            break;
        }
    }
    state
}

/// A reader that keeps what the lines say, as the README tells it.
struct Reader {
    _watch: Bare,
    lines: BufReader<Searched<File>>,
    _out: NamedTempFile,
    /// The line that is not complete yet.
    rest: String,
    state: State,
    listed: HashMap<String, usize>,
    live: Option<Value>,
    started: Instant,
    took: Duration,
    events: usize,
    late: usize,
}

impl Reader {
    fn start(server: &Server) -> Self {
        let out = NamedTempFile::new().unwrap();
        let mut command = guest(server).command(["subscribe", "posts/*", "--initial", "-o", "ndjson"]);
        command.args(["--lifecycle", "stdout"]).stdin(Stdio::null()).stdout(out.reopen().unwrap());
        let started = Instant::now();
        Self {
            _watch: command.spawn(),
            lines: BufReader::new(Searched::new("stdout", File::open(out.path()).unwrap())),
            _out: out,
            rest: String::new(),
            state: State::new(),
            listed: HashMap::new(),
            live: None,
            started,
            took: Duration::ZERO,
            events: 0,
            late: 0,
        }
    }

    /// Takes what has come by now.
    fn read(&mut self) -> &Self {
        while self.lines.read_line(&mut self.rest).unwrap() > 0 && self.rest.ends_with('\n') {
            let line = parse(&std::mem::take(&mut self.rest));
            self.take(line);
        }
        self
    }

    fn take(&mut self, line: Value) {
        if line["type"] == "live" && self.live.is_none() {
            self.took = self.started.elapsed();
            self.live = Some(line);
            return;
        }
        if line["type"] != "record" {
            return;
        }
        let (id, is) = of(&line["record"]);
        match line["action"].as_str().unwrap() {
            "initial" => {
                assert!(self.live.is_none(), "{line}");
                *self.listed.entry(id.clone()).or_default() += 1;
            }
            _ => self.events += 1,
        }
        if line["late"] == true {
            self.late += 1;
        } else if line["action"] == "delete" {
            self.state.remove(&id);
        } else {
            self.state.insert(id, is);
        }
    }
}

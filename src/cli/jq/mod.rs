//! jq, built in: what `--jq` prints of an event, and whether a condition holds.
//!
//! Expressions are evaluated on a thread of their own, a batch at a time: one
//! that takes long keeps neither the connection nor a signal waiting, and one
//! that does not end, or takes all there is, is given up.

mod bounds;
mod fields;
mod lookup;
mod multiply;
mod needs;
mod program;
mod read;
mod value;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use jaq_core::ValT as _;
use jaq_json::Val;
use tokio::sync::Notify;

use super::exit::Failure;
use super::output::sanitize;
pub(crate) use bounds::Beyond;
use bounds::{Clock, Guard, Limits};
use lookup::Lookup;
use needs::Needs;
pub(crate) use program::Program;
use read::Event;

/// An expression that prints more for one event does not end.
const MOST_PRINTED: usize = 64 << 20;

/// What was found before an event that takes long is not held back for longer than this.
const PARTIAL: Duration = Duration::from_millis(5);

/// What is given up stands still within this, or not at all.
const HALT: Duration = Duration::from_millis(100);

/// So many different complaints are made; who sees them has understood.
const COMPLAINTS: usize = 20;

/// What is evaluated on each event.
#[derive(Default)]
pub(crate) struct Expressions {
    /// What is printed instead of the event.
    pub(crate) jq: Option<Program>,
    /// Any one that holds is enough.
    pub(crate) until: Vec<Program>,
    /// Any one that holds is too much.
    pub(crate) fail_if: Vec<Program>,
    pub(crate) style: Style,
}

/// How results are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Strings bare, as `jq -r` writes them.
    pub(crate) bare: bool,
    /// Nothing may act on a terminal.
    pub(crate) terminal: bool,
    /// What stands behind each result.
    pub(crate) terminator: u8,
}

/// What a reader of `-0` would take for two results is none.
const SPLITS: &str = "a text with U+0000 cannot be printed with -0; gsub(\"\\u0000\"; \"\") takes it out";

impl Style {
    /// Appends a result, and what stands behind it.
    fn write(self, out: &mut Vec<u8>, is_text: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        if self.terminal {
            let printed = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            if is_text && self.bare {
                out.extend_from_slice(sanitize::terminal(&printed).as_bytes());
            } else {
                sanitize::json_on_terminal(out, &printed);
            }
        }
        out.push(self.terminator);
    }

    /// Whether the end of a result stands in its midst.
    fn is_split_by(self, value: &Val) -> bool {
        let is_bare = self.bare && self.terminator == 0 && !self.terminal;
        matches!(value, Val::TStr(text) | Val::BStr(text) if is_bare && text.contains(&0))
    }
}

impl Default for Style {
    fn default() -> Self {
        Self { bare: false, terminal: false, terminator: b'\n' }
    }
}

impl Expressions {
    pub(crate) fn parse(jq: Option<&str>, until: &[String], fail_if: &[String], style: Style) -> Result<Self, Failure> {
        let all = |flag, sources: &[String]| {
            sources.iter().map(|source| Program::parse(flag, source)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            jq: jq.map(|source| Program::parse("--jq", source)).transpose()?,
            until: all("--until", until)?,
            fail_if: all("--fail-if", fail_if)?,
            style,
        })
    }

    fn any(&self) -> bool {
        self.jq.is_some() || !self.until.is_empty() || !self.fail_if.is_empty()
    }

    /// What is worth a warning in them.
    pub(crate) fn slips(&self) -> Vec<String> {
        self.programs().filter_map(Program::slip).collect()
    }

    /// What they can see of an event.
    fn needs(&self) -> Needs {
        self.programs().fold(Needs::default(), |needs, program| needs.and(program.needs()))
    }

    /// In the order in which they are evaluated.
    fn programs(&self) -> impl Iterator<Item = &Program> {
        self.jq.iter().chain(&self.fail_if).chain(&self.until)
    }
}

/// What came of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What `--jq` prints; empty where it drops the event.
    pub(crate) printed: Option<Vec<u8>>,
    pub(crate) met: Option<Met>,
    /// Why it is not known whether a condition of `--fail-if` holds, where that is so.
    pub(crate) in_doubt: Option<String>,
    /// What went wrong, and was not said before.
    pub(crate) complaints: Vec<String>,
}

/// A condition that holds. Failing wins where both do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Met {
    Until,
    /// With the expression.
    FailIf(String),
}

/// An expression that was given up on one event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    /// By name.
    pub(crate) expression: String,
    pub(crate) why: Beyond,
}

/// What evaluates, from the side of the watch.
pub(crate) struct Jq {
    /// What there need not be a thread for.
    lookup: Option<Lookup>,
    jobs: mpsc::Sender<Job>,
    results: Arc<Results>,
    ready: VecDeque<Result<Verdict, GivenUp>>,
    /// How many verdicts are still to be asked for, ...
    due: usize,
    /// ... and how many before them nobody wants any more.
    stale: usize,
    clock: Arc<Clock>,
    thread: std::thread::JoinHandle<()>,
    names: Vec<String>,
}

/// Events as lines of NDJSON, each up to its end.
#[derive(Debug, Default)]
pub(crate) struct Job {
    pub(crate) lines: Vec<u8>,
    ends: Vec<usize>,
    /// So many of them have their verdict.
    done: usize,
}

impl Job {
    /// What was appended last is an event.
    pub(crate) fn end_of_line(&mut self) {
        self.ends.push(self.lines.len());
    }

    /// What has no verdict yet.
    fn left(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].iter().chain(&self.ends).skip(self.done);
        starts.zip(&self.ends[self.done..]).map(|(start, end)| &self.lines[*start..*end])
    }
}

/// Where the thread puts what it has found.
#[derive(Debug, Default)]
struct Results {
    verdicts: Mutex<VecDeque<Result<Verdict, GivenUp>>>,
    /// Told after each batch.
    news: Notify,
}

impl Results {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Result<Verdict, GivenUp>>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jq {
    /// Starts the thread, where there is anything to evaluate.
    pub(crate) fn start(expressions: Expressions) -> io::Result<Option<Self>> {
        Self::within(expressions, Limits::default())
    }

    fn within(expressions: Expressions, limits: Limits) -> io::Result<Option<Self>> {
        if !expressions.any() {
            return Ok(None);
        }
        let names = expressions.programs().map(Program::name).collect();
        let clock = Arc::new(Clock::new(limits));
        let (jobs, incoming) = mpsc::channel();
        let results = Arc::<Results>::default();
        let lookup = Lookup::of(&expressions);
        let evaluator = Evaluator::new(expressions, &clock);
        let thread = std::thread::Builder::new().name("jq".into()).stack_size(limits.whole_stack());
        let of_thread = Arc::clone(&results);
        let thread = thread.spawn(move || evaluator.work(&incoming, &of_thread))?;
        Ok(Some(Self { lookup, jobs, results, ready: VecDeque::new(), due: 0, stale: 0, clock, thread, names }))
    }

    /// Has events evaluated, to be asked for one by one. What was not asked for
    /// of the ones before is forgotten.
    pub(crate) fn submit(&mut self, mut job: Job) {
        self.stale += std::mem::replace(&mut self.due, job.ends.len());
        // Whatever the thread still has to tell would come behind it.
        if let Some(lookup) = self.lookup.as_ref().filter(|_| self.stale == 0) {
            let found: Vec<_> = job.left().map_while(|line| lookup.print(line)).collect();
            job.done = found.len();
            let verdict = |printed| Ok(Verdict { printed: Some(printed), ..Verdict::default() });
            self.ready.extend(found.into_iter().map(verdict));
        }
        if job.done < job.ends.len() {
            // A thread that has ended is noticed where its results are missed.
            let _ = self.jobs.send(job);
        }
    }

    /// Whether the next verdict is there already.
    pub(crate) fn is_ready(&mut self) -> bool {
        loop {
            if self.ready.is_empty() {
                std::mem::swap(&mut self.ready, &mut self.results.lock());
            }
            match self.ready.front() {
                Some(Ok(_)) if self.stale > 0 => {
                    self.ready.pop_front();
                    self.stale -= 1;
                }
                next => return next.is_some(),
            }
        }
    }

    /// It, in that case.
    pub(crate) fn take(&mut self) -> Option<Result<Verdict, GivenUp>> {
        if !self.is_ready() {
            return None;
        }
        self.due = self.due.saturating_sub(1);
        self.ready.pop_front()
    }

    /// The verdict about the next event. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Verdict, GivenUp> {
        loop {
            if let Some(verdict) = self.take() {
                return verdict;
            }
            // The thread tells what it has found at the end of a batch: what
            // stands before an event that takes long is looked for from here.
            let is_told = tokio::time::timeout(PARTIAL, self.results.news.notified()).await.is_ok();
            // It may have left something behind.
            let has_ended = self.thread.is_finished();
            if is_told || self.is_ready() {
                continue;
            }
            let why = match self.clock.beyond() {
                Some(why) => Some(why.clone()),
                None if has_ended => Some(Beyond::Broken(String::new())),
                None => None,
            };
            if let Some(why) = why {
                // Until it stands still it may go on growing.
                for _ in 0..HALT.as_millis() / PARTIAL.as_millis() {
                    if !self.runs_on() {
                        break;
                    }
                    tokio::time::sleep(PARTIAL).await;
                }
                return Err(GivenUp { expression: self.present(), why });
            }
        }
    }

    /// The name of the expression that is evaluated.
    fn present(&self) -> String {
        self.names.get(self.clock.which()).cloned().unwrap_or_default()
    }

    /// Whether what was given up goes on all the same: one step of it takes
    /// that long, and the memory it may take has no bound.
    pub(crate) fn runs_on(&self) -> bool {
        self.clock.beyond().is_some() && !self.clock.has_halted() && !self.thread.is_finished()
    }
}

/// The thread's own side.
pub(super) struct Evaluator {
    needs: Needs,
    expressions: Expressions,
    clock: Arc<Clock>,
    complained: HashSet<String>,
}

impl Evaluator {
    fn new(expressions: Expressions, clock: &Arc<Clock>) -> Self {
        let needs = expressions.needs();
        Self { needs, expressions, clock: Arc::clone(clock), complained: HashSet::new() }
    }

    /// With bounds of its own.
    #[cfg(feature = "bench")]
    pub(super) fn alone(expressions: Expressions) -> Self {
        Self::new(expressions, &Arc::new(Clock::new(Limits::default())))
    }

    /// What is printed of one event.
    #[cfg(feature = "bench")]
    pub(super) fn print(&mut self, line: &[u8]) -> Vec<u8> {
        let clock = Arc::clone(&self.clock);
        let verdict = self.judge(line, &Guard::new(&clock));
        verdict.ok().and_then(|verdict| verdict.printed).unwrap_or_default()
    }

    fn work(mut self, jobs: &mpsc::Receiver<Job>, results: &Results) {
        let clock = Arc::clone(&self.clock);
        bounds::catch_panics(&clock);
        let guard = Guard::new(&clock);
        while let Ok(job) = jobs.recv() {
            for line in job.left() {
                let verdict = self.judge(line, &guard);
                self.clock.end();
                let endless = verdict.is_err();
                results.lock().push_back(verdict);
                if endless {
                    return;
                }
            }
            results.news.notify_one();
        }
    }

    fn judge(&mut self, line: &[u8], guard: &Guard<'_>) -> Result<Verdict, GivenUp> {
        let mut verdict = Verdict::default();
        let event = match Event::read(line, &self.needs) {
            Ok(event) => event,
            Err(why) => {
                // It is neither printed nor does a condition hold.
                verdict.printed = self.expressions.jq.is_some().then(Vec::new);
                let fail_if = self.expressions.fail_if.first();
                verdict.in_doubt = fail_if.map(|program| doubt(program, &why));
                complain(&mut self.complained, &mut verdict.complaints, "an event", &why);
                return Ok(verdict);
            }
        };
        let Expressions { jq, until, fail_if, style } = &self.expressions;
        let mut number = 0..;
        let mut begin = || self.clock.begin(number.next().unwrap_or_default());
        if let Some(program) = jq {
            begin();
            let mut out = Vec::new();
            let mut splits = false;
            let result = program.run(guard, event.value.clone(), |value| {
                splits = style.is_split_by(value);
                if !splits {
                    write(&mut out, value, event.original(value), *style);
                }
                !splits && out.len() < MOST_PRINTED
            });
            let result = if splits { Err(SPLITS.to_owned()) } else { result };
            if out.len() >= MOST_PRINTED {
                return Err(GivenUp { expression: program.name(), why: Beyond::Output });
            }
            if let Err(error) = result {
                complain(&mut self.complained, &mut verdict.complaints, &program.name(), &error);
            }
            let dropped = out.is_empty();
            verdict.printed = Some(out);
            if dropped {
                return Ok(verdict);
            }
        }
        for (at, program) in fail_if.iter().chain(until).enumerate() {
            begin();
            let mut holds = false;
            let result = program.run(guard, event.value.clone(), |value| {
                holds = value.as_bool();
                !holds
            });
            let failed = at < fail_if.len();
            if let Err(error) = result {
                complain(&mut self.complained, &mut verdict.complaints, &program.name(), &error);
                if failed {
                    verdict.in_doubt.get_or_insert_with(|| doubt(program, &error));
                }
            }
            if holds {
                verdict.met = Some(if failed { Met::FailIf(program.name()) } else { Met::Until });
                break;
            }
        }
        Ok(verdict)
    }
}

/// Once a message: what differs in its values alone is the same one.
fn complain(complained: &mut HashSet<String>, complaints: &mut Vec<String>, name: &str, error: &str) {
    if complained.len() >= COMPLAINTS || !complained.insert(format!("{name}{}", without_values(error))) {
        return;
    }
    complaints.push(format!("{name}: {}", in_short(error)));
}

/// Why it is not known whether the condition holds.
fn doubt(program: &Program, error: &str) -> String {
    format!("{}: {}", program.name(), in_short(error))
}

fn in_short(error: &str) -> String {
    let mut text = error.to_owned();
    if let Some((cut, _)) = text.char_indices().nth(200) {
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// A message without the JSON in it.
fn without_values(error: &str) -> String {
    let (mut shape, mut depth, mut quoted, mut escaped) = (String::new(), 0_u32, false, false);
    for c in error.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 || c.is_ascii_digit() => {}
            c => shape.push(c),
        }
    }
    shape
}

/// Appends a result. What has passed through goes out byte for byte as the original.
fn write(out: &mut Vec<u8>, value: &Val, original: Option<&[u8]>, style: Style) {
    style.write(out, matches!(value, Val::TStr(_) | Val::BStr(_)), |out| match value {
        Val::TStr(text) | Val::BStr(text) if style.bare => out.extend_from_slice(text),
        value => match original {
            Some(bytes) => out.extend_from_slice(bytes),
            None => value::write(out, value),
        },
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jq(expression: &str, bare: bool) -> Jq {
        within(Limits::default(), expression, bare)
    }

    fn within(limits: Limits, expression: &str, bare: bool) -> Jq {
        let style = Style { bare, ..Style::default() };
        let expressions = Expressions::parse(Some(expression), &[], &[], style).unwrap();
        Jq::within(expressions, limits).unwrap().unwrap()
    }

    fn job(lines: &[&str]) -> Job {
        let mut job = Job::default();
        for line in lines {
            job.lines.extend_from_slice(line.as_bytes());
            job.end_of_line();
        }
        job
    }

    async fn printed(jq: &mut Jq, lines: &[&str]) -> String {
        jq.submit(job(lines));
        let mut all = Vec::new();
        for _ in lines {
            all.extend(jq.next().await.unwrap().printed.unwrap());
        }
        String::from_utf8(all).unwrap()
    }

    /// Numbers, order, doubles, escapes: what an expression passes on is not touched.
    #[tokio::test]
    async fn what_passes_through_is_untouched() {
        let record = r#"{"z":1.0,"a":-0,"b":1e400,"c":12345678901234567890123,"d":1E+2,"z":2,"e":"\u00e9\/é", "f":[]}"#;
        let line =
            format!(r#"{{"type":"record","time":"…","topic":"a\"record\":/*","action":"update","record":{record}}}"#);
        for (expression, expected) in [(".", &*line), ("select(.action == \"update\")", &*line), (".record", record)] {
            let shown = printed(&mut jq(expression, false), &[&line]).await;
            assert_eq!(shown, format!("{expected}\n"), "{expression}");
        }
        let message = "{\"type\":\"message\",\"data\": [ 1.0 ]\t}";
        for (expression, expected) in [(".data", " [ 1.0 ]\t"), (".type, .data", "\"message\"\n [ 1.0 ]\t")] {
            assert_eq!(printed(&mut jq(expression, false), &[message]).await, format!("{expected}\n"), "{expression}");
        }
        // Taken apart, only the form of escapes and doubled keys are lost.
        let shown = printed(&mut jq(".record | del(.f)", false), &[&line]).await;
        assert_eq!(shown, "{\"z\":2,\"a\":-0,\"b\":1e400,\"c\":12345678901234567890123,\"d\":1E+2,\"e\":\"é/é\"}\n");
        let shown = printed(&mut jq(".record.z = 5 | .record, .type", true), &[&line]).await;
        assert!(shown.starts_with("{\"z\":5,") && shown.ends_with("}\nrecord\n"), "{shown}");
    }

    #[tokio::test]
    async fn an_error_is_told_once_a_message() {
        let mut jq = jq(".a.b, .c.d.e", false);
        jq.submit(job(&[
            r#"{"a":"one"}"#,
            r#"{"a":"two"}"#,
            r#"{"a":{"b":1},"c":{"d":[1]}}"#,
            r#"{"a":{"b":[2]}}"#,
            "{",
        ]));
        let mut seen = Vec::new();
        for _ in 0..5 {
            let verdict = jq.next().await.unwrap();
            seen.push((String::from_utf8(verdict.printed.unwrap()).unwrap(), verdict.complaints));
        }
        let complaint = |text: &str| vec![format!("--jq '.a.b, .c.d.e': {text}")];
        assert_eq!(seen[0], (String::new(), complaint("cannot index \"one\" with \"b\"")));
        assert_eq!(seen[1], (String::new(), vec![]));
        assert_eq!(seen[2].0, "1\n");
        assert_eq!(seen[3], ("[2]\nnull\n".into(), vec![]));
        assert!(seen[4].1[0].starts_with("an event: "), "{seen:?}");
    }

    /// Whether it runs on, printing or not, takes all the memory, or the whole stack.
    /// What does so in a single step ends with the program, and is not tried here.
    #[tokio::test]
    async fn what_goes_too_far_is_given_up() {
        let time = Duration::from_mins(1);
        let brief = Limits { time: Duration::from_secs(2), ..Limits::default() };
        let small = Limits { time, memory: 16 << 20, ..brief };
        let shallow = Limits { time, stack: 16 << 20, ..brief };
        for (limits, expression, reason) in [
            (brief, "last(repeat(1))", Beyond::Time),
            (brief, "def f: f; f", Beyond::Time),
            (shallow, "repeat(\"printed for ever\")", Beyond::Output),
            (small, "[repeat(1)]", Beyond::Memory(16)),
            (small, "reduce repeat(1) as $i (\"\"; . + \"grows and grows\")", Beyond::Memory(16)),
            (shallow, "def f: 1 + f; f", Beyond::Stack),
            (shallow, "def f: [f]; f", Beyond::Stack),
            (shallow, "broken", Beyond::Broken("it is broken".into())),
        ] {
            let mut jq = within(limits, &format!("if .n == 3 then {expression} else .n end"), false);
            jq.submit(job(&[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]));
            for n in ["1\n", "2\n"] {
                assert_eq!(jq.next().await.unwrap().printed.unwrap(), n.as_bytes());
            }
            let GivenUp { expression: name, why } = jq.next().await.expect_err(expression);
            assert!(name.contains(expression), "{name}");
            assert_eq!(why, reason, "{expression}");
        }
    }

    /// What is deep, or large, and ends is nobody's business.
    #[tokio::test]
    async fn what_is_deep_or_large_and_ends() {
        for (expression, length) in [
            ("reduce range(100000) as $i (0; [.])", 200_001),
            ("def f: if . == 0 then 0 else . - 1 | 1 + f end; 2000 | f", 4),
            ("[range(100000)] | add | tostring", 12),
        ] {
            assert_eq!(printed(&mut jq(expression, false), &["1"]).await.trim_end().len(), length, "{expression}");
        }
    }

    #[tokio::test]
    async fn what_nobody_asked_for_is_forgotten() {
        let mut jq = jq(".", false);
        jq.submit(job(&["1", "2", "3"]));
        assert_eq!(jq.next().await.unwrap().printed.unwrap(), b"1\n");
        assert_eq!(printed(&mut jq, &["4", "5"]).await, "4\n5\n");
    }

    /// Also where some are looked up, and some are not.
    #[tokio::test]
    async fn each_event_has_its_own_verdict() {
        let mut jq = jq(".record.title", true);
        let line = |at| match at % 5 {
            0 => format!("{{\"record\":{{\"title\":\"{at}\"}}}}"),
            // It cannot be asked for a title: nothing is printed.
            4 => "{\"record\":\"text\"}".to_owned(),
            _ => format!("{{\"record\":{{\"title\":{at}}}}}"),
        };
        for from in 0..20 {
            let lines: Vec<_> = (from..from + 7).map(line).collect();
            jq.submit(job(&lines.iter().map(String::as_str).collect::<Vec<_>>()));
            // The rest is forgotten.
            for at in from..from + from % 8 {
                let printed = jq.next().await.unwrap().printed.unwrap();
                let expected = if at % 5 == 4 { String::new() } else { format!("{at}\n") };
                assert_eq!(String::from_utf8(printed).unwrap(), expected, "{at} from {from}");
            }
        }
    }

    #[tokio::test]
    async fn conditions() {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let until = strings(&[".n == 1", ".tags[]? == \"x\"", ".gone.x"]);
        let fail_if = strings(&[".error", ".bad.x"]);
        let expressions = Expressions::parse(None, &until, &fail_if, Style::default()).unwrap();
        let mut jq = Jq::start(expressions).unwrap().unwrap();
        let failed = |expression: &str| Some(Met::FailIf(format!("--fail-if '{expression}'")));
        for (event, met, complaints) in [
            ("{\"n\":1}", Some(Met::Until), 0),
            ("{\"n\":2}", None, 0),
            ("{\"n\":2,\"tags\":[\"y\",\"x\"]}", Some(Met::Until), 0),
            ("{\"n\":2,\"error\":false}", None, 0),
            ("{\"n\":1,\"error\":\"\"}", failed(".error"), 0),
            ("{\"bad\":1,\"n\":1}", Some(Met::Until), 1),
            ("{\"bad\":2,\"gone\":2}", None, 1),
            ("{\"bad\":{\"x\":0}}", failed(".bad.x"), 0),
        ] {
            jq.submit(job(&[event]));
            let verdict = jq.next().await.unwrap();
            assert_eq!((verdict.met, verdict.complaints.len()), (met, complaints), "{event}");
        }
    }

    #[tokio::test]
    async fn hostile_input() {
        let mut jq = jq(".data", false);
        let deep = format!("{{\"data\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let fine = format!("{{\"data\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
        jq.submit(job(&[&deep, &fine, "{\"data\":\"\\ud800\"}"]));
        let verdict = jq.next().await.unwrap();
        assert!(verdict.printed.unwrap().is_empty() && verdict.complaints[0].contains("levels"));
        assert_eq!(jq.next().await.unwrap().printed.unwrap().len(), 18_001);
        jq.next().await.unwrap();
    }
}

//! `--control`: what is watched changes while it runs.
//!
//! A thread reads the lines, since a file or a pipe that has none may block for
//! long. A line that is right is answered by the `subscribed` that follows the
//! server's acknowledgement, one that is not by a `warning`.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::prepare::{self, Checked};
use crate::cli::exit::Failure;
use crate::cli::selection::Rules;
use crate::{Client, Realtime, Topic, Topics};

/// No line is longer than this; a topic is 2,500 bytes at the most as it is sent.
const MAX_LINE: usize = 64 * 1024;

/// A file that has no more lines is looked at again after this time, and a
/// stdin that does not block.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The last line of a file counts without its end after this time: nobody goes on writing it.
const SETTLED: Duration = Duration::from_millis(500);

/// So much of what was read of a file last is compared with what stands there now.
const COMPARED: usize = 64 * 1024;

const COMMANDS: [&str; 3] = ["subscribe", "unsubscribe", "unsubscribe-prefix"];

/// A line, with its number.
type Line = (u64, Result<String, String>);

/// The lines, and what is under way for them.
pub(super) struct Control {
    lines: mpsc::Receiver<Line>,
    rules: Rules,
    client: Client,
    realtime: Realtime,
    topics: Topics,
    check: bool,
    /// One topic at a time is checked, so that lines keep their order.
    checking: Option<LocalBoxFuture<'static, (u64, Topic, Checked)>>,
    /// What the server has not acknowledged yet.
    waiting: FuturesUnordered<BoxFuture<'static, Option<String>>>,
}

/// What is to be done about a line.
pub(super) enum Step {
    /// Said, and nothing changes.
    Warn(&'static str, String),
    /// A word that changes nothing.
    Note(String),
    /// Add it.
    Add(u64, Topic),
}

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Order<'a> {
    Nothing,
    Subscribe(&'a str),
    Unsubscribe(Option<&'a str>),
    UnsubscribePrefix(&'a str),
}

const SOURCES: &str = "lines come from a file or a pipe (mkfifo) that you may read, or from stdin: --control -";

/// Opens what the lines come from; a mistake is found before the watch.
pub(super) fn open(path: &Path) -> Result<Source, Failure> {
    if path == Path::new("-") {
        return Ok(Source::Stream(Box::new(io::stdin())));
    }
    let shown = path.display();
    let failed = |error: io::Error| {
        let failure = Failure::usage(format!("the file of --control cannot be read: {shown}: {error}"));
        failure.hint(match error.kind() {
            io::ErrorKind::NotFound => format!("mkfifo '{shown}'"),
            _ => SOURCES.to_owned(),
        })
    };
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.is_dir() {
        return Err(Failure::usage(format!("the file of --control is a directory: {shown}")).hint(SOURCES));
    }
    if found.is_file() {
        return Followed::open(path).map(Source::File).map_err(failed);
    }
    // A pipe whose writers come and go does not end while it is open for writing here, too.
    let pipe = File::options().read(true).write(true).open(path).or_else(|_| File::open(path));
    Ok(Source::Stream(Box::new(pipe.map_err(failed)?)))
}

/// Where lines come from.
pub(super) enum Source {
    Stream(Box<dyn Read + Send>),
    /// It may grow, or be written anew.
    File(Followed),
}

impl Control {
    /// Starts reading.
    pub(super) fn start(
        source: Source,
        rules: Rules,
        client: &Client,
        topics: Topics,
        check: bool,
    ) -> io::Result<Self> {
        let (sender, lines) = mpsc::channel(16);
        std::thread::Builder::new().name("control".into()).spawn(move || read(source, &sender))?;
        let realtime = topics.realtime().clone();
        Ok(Self {
            lines,
            rules,
            client: client.clone(),
            realtime,
            topics,
            check,
            checking: None,
            waiting: FuturesUnordered::new(),
        })
    }

    /// The next thing to do. Safe to cancel.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            tokio::select! {
                biased;
                Some(answer) = self.waiting.next(), if !self.waiting.is_empty() => {
                    if let Some(message) = answer {
                        return Step::Warn("control", message);
                    }
                }
                (number, topic, checked) = maybe(self.checking.as_mut()) => {
                    self.checking = None;
                    match checked {
                        Checked::Good => return Step::Add(number, topic),
                        Checked::Said(text) => {
                            // It is said first, and added with the next step.
                            self.checking = Some(Box::pin(async move { (number, topic, Checked::Good) }));
                            return Step::Note(text);
                        }
                        Checked::Doubtful(text) => {
                            self.checking = Some(Box::pin(async move { (number, topic, Checked::Good) }));
                            return Step::Warn("topic", text);
                        }
                        Checked::Refused(text) => return Step::Warn("topic-refused", format!("{text}; it is not watched")),
                    }
                }
                Some((number, line)) = self.lines.recv(), if self.checking.is_none() => {
                    if let Some(step) = self.line(number, line) {
                        return step;
                    }
                }
                else => std::future::pending().await,
            }
        }
    }

    fn line(&mut self, number: u64, line: Result<String, String>) -> Option<Step> {
        let bad = |why: String| Some(Step::Warn("control", format!("line {number} of --control: {why}")));
        let line = match line {
            Ok(line) => line,
            Err(why) => return bad(why),
        };
        match parse(&line) {
            Err(why) => return bad(why),
            Ok(Order::Nothing) => {}
            Ok(Order::Subscribe(text)) => {
                let topic = match self.rules.topic(text) {
                    Ok(topic) => topic,
                    Err(error) => return bad(format!("{error:#}")),
                };
                if !self.check {
                    return Some(Step::Add(number, topic));
                }
                let client = self.client.clone();
                self.checking = Some(Box::pin(async move {
                    let checked = prepare::check_one(&client, &topic).await;
                    (number, topic, checked)
                }));
            }
            Ok(Order::Unsubscribe(Some(name))) => {
                let (realtime, name) = (self.realtime.clone(), name.to_owned());
                self.wait_for(async move {
                    (realtime.unsubscribe(&name).await == 0)
                        .then(|| format!("line {number} of --control: {name} is not subscribed"))
                });
            }
            Ok(Order::Unsubscribe(None)) => {
                let realtime = self.realtime.clone();
                self.wait_for(async move {
                    realtime.unsubscribe_all().await;
                    None
                });
            }
            Ok(Order::UnsubscribePrefix(prefix)) => {
                let (realtime, prefix) = (self.realtime.clone(), prefix.to_owned());
                self.wait_for(async move {
                    (realtime.unsubscribe_prefix(&prefix).await == 0)
                        .then(|| format!("line {number} of --control: nothing that begins with {prefix} is subscribed"))
                });
            }
        }
        None
    }

    /// Adds a topic.
    pub(super) fn add(&mut self, number: u64, topic: Topic) {
        let added = self.topics.add(topic);
        self.wait_for(async move { added.await.err().map(|error| format!("line {number} of --control: {error}")) });
    }

    /// What comes first is asked for first: each begins at once.
    fn wait_for(&mut self, answer: impl Future<Output = Option<String>> + Send + 'static) {
        let mut answer: BoxFuture<'static, Option<String>> = Box::pin(answer);
        match futures_util::FutureExt::now_or_never(&mut answer) {
            Some(done) => self.waiting.push(Box::pin(std::future::ready(done))),
            None => self.waiting.push(answer),
        }
    }
}

async fn maybe<T>(pending: Option<&mut LocalBoxFuture<'static, T>>) -> T {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

fn parse(line: &str) -> Result<Order<'_>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Order::Nothing);
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if rest.starts_with(['\'', '"']) {
        return Err("there is no shell here: the topic is written without quotes around it".to_owned());
    }
    match (word, rest) {
        ("subscribe", "") => Err("subscribe takes a topic".to_owned()),
        ("subscribe", topic) => Ok(Order::Subscribe(topic)),
        ("unsubscribe", "") => Ok(Order::Unsubscribe(None)),
        ("unsubscribe", topic) if topic.contains('?') => {
            Err("unsubscribe takes a topic without its options, and all of that name go".to_owned())
        }
        ("unsubscribe", topic) => Ok(Order::Unsubscribe(Some(topic))),
        ("unsubscribe-prefix", "") => Err("unsubscribe-prefix takes a prefix".to_owned()),
        ("unsubscribe-prefix", prefix) => Ok(Order::UnsubscribePrefix(prefix)),
        (word, _) => {
            let near = COMMANDS.iter().min_by_key(|known| strsim::damerau_levenshtein(known, word));
            let word: String = word.chars().take(40).collect();
            Err(format!("{word} is not known; the nearest is {}", near.unwrap_or(&COMMANDS[0])))
        }
    }
}

/// Hands on the lines until there are no more, or nobody wants them.
fn read(source: Source, to: &mpsc::Sender<Line>) {
    match source {
        Source::Stream(stream) => {
            let mut lines = Lines::new(BufReader::new(stream));
            while let Some(line) = lines.next(true) {
                if to.blocking_send(line).is_err() {
                    return;
                }
            }
        }
        Source::File(mut file) => loop {
            while let Some(line) = file.next() {
                if to.blocking_send(line).is_err() {
                    return;
                }
            }
            std::thread::sleep(LOOK_AGAIN);
            if to.is_closed() {
                return;
            }
            file.look_again();
        },
    }
}

/// A file that is read while others write it: they append to it, write it anew,
/// or put another one in its place.
pub(super) struct Followed {
    path: PathBuf,
    lines: Lines<Remembered>,
    /// How far it had been read when it was looked at last, and when it had
    /// been changed; `None` while it has more than was read.
    seen: Option<(u64, SystemTime)>,
    /// How much there is of a line without an end, and since when.
    unfinished: Option<(usize, Instant)>,
    /// What is left is read to its end: then there is another.
    next: Option<File>,
}

/// A file, and what was read of it last.
struct Remembered {
    file: File,
    at: u64,
    last: Vec<u8>,
}

impl Read for Remembered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.at += read as u64;
        self.last.extend_from_slice(&into[..read]);
        self.last.drain(..self.last.len().saturating_sub(COMPARED));
        Ok(read)
    }
}

impl Remembered {
    fn lines(file: File) -> Lines<Self> {
        Lines::new(BufReader::new(Self { file, at: 0, last: Vec::new() }))
    }

    /// Whether what was read of it last still stands there.
    fn is_as_read(&self, path: &Path) -> bool {
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(self.at.saturating_sub(self.last.len() as u64)))?;
            let mut there = vec![0; self.last.len()];
            file.read_exact(&mut there).map(|()| there)
        };
        read().is_ok_and(|there| there == self.last)
    }
}

impl Followed {
    fn open(path: &Path) -> io::Result<Self> {
        let lines = Remembered::lines(File::open(path)?);
        Ok(Self { path: path.to_owned(), lines, seen: None, unfinished: None, next: None })
    }

    /// The next line; `None` where there is none yet.
    fn next(&mut self) -> Option<Line> {
        let is_last = self.next.is_some();
        if let Some(line) = self.lines.next(is_last) {
            self.unfinished = None;
            return Some(line);
        }
        if let Some(file) = self.next.take() {
            self.begin(file);
            return self.next();
        }
        let length = self.lines.line.len();
        match self.unfinished {
            _ if length == 0 => self.unfinished = None,
            Some((before, since)) if before == length => {
                if since.elapsed() >= SETTLED {
                    self.unfinished = None;
                    return self.lines.next(true);
                }
            }
            _ => self.unfinished = Some((length, Instant::now())),
        }
        let (at, found) = (self.at(), self.lines.reader.get_ref().file.metadata());
        if self.seen.is_none_or(|(before, _)| before != at) {
            // What comes after this is a change.
            let found = found.ok().filter(|found| found.len() == at);
            self.seen = found.and_then(|found| Some((at, found.modified().ok()?)));
        }
        None
    }

    fn at(&self) -> u64 {
        self.lines.reader.get_ref().at
    }

    fn begin(&mut self, file: File) {
        self.lines = Remembered::lines(file);
        (self.seen, self.unfinished) = (None, None);
    }

    /// Notices that it was written anew, or that there is another one.
    fn look_again(&mut self) {
        let read = self.lines.reader.get_ref();
        let (Ok(file), Ok(there)) = (File::open(&self.path), read.file.metadata()) else { return };
        let Ok(found) = file.metadata() else { return };
        if !is_same(&found, &there) {
            self.next = found.is_file().then_some(file);
            return;
        }
        let at = read.at;
        let is_anew = match found.len().cmp(&at) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => !read.is_as_read(&self.path),
            std::cmp::Ordering::Equal => self
                .seen
                .is_some_and(|(before, changed)| before == at && found.modified().is_ok_and(|now| now != changed)),
        };
        if is_anew {
            self.begin(file);
        }
    }
}

/// Whether both are of one and the same file, where the system tells.
#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

struct Lines<R> {
    reader: BufReader<R>,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    too_long: bool,
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(reader: BufReader<R>) -> Self {
        Self { reader, line: Vec::new(), too_long: false, number: 0 }
    }

    /// The next line; `None` where there is none yet. At the `end`, the last
    /// one need not be closed.
    fn next(&mut self, end: bool) -> Option<Line> {
        loop {
            let room = (MAX_LINE + 1).saturating_sub(self.line.len());
            let read = (&mut self.reader).take(room as u64).read_until(b'\n', &mut self.line);
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // A pipe of somebody else's who does not block.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(LOOK_AGAIN);
                    continue;
                }
                Err(error) => {
                    self.number += 1;
                    self.line.clear();
                    // Nothing more will come.
                    return if std::mem::replace(&mut self.too_long, true) {
                        None
                    } else {
                        Some((self.number, Err(error.to_string())))
                    };
                }
                Ok(0) if room > 0 && (self.line.is_empty() || !end) => return None,
                Ok(_) => {}
            }
            let closed = self.line.last() == Some(&b'\n');
            if !closed && self.line.len() > MAX_LINE {
                // The rest of it is skipped.
                self.line.clear();
                self.too_long = true;
                continue;
            }
            if !closed && !end {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.number += 1;
            if std::mem::take(&mut self.too_long) {
                return Some((self.number, Err(format!("it is longer than {MAX_LINE} bytes"))));
            }
            if line.is_empty() {
                return None;
            }
            return Some((self.number, String::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        for (line, order) in [
            ("", Order::Nothing),
            ("  # a remark", Order::Nothing),
            ("subscribe posts/*", Order::Subscribe("posts/*")),
            (" subscribe\tposts/*?filter=a = \"b c\" \r\n", Order::Subscribe("posts/*?filter=a = \"b c\"")),
            ("unsubscribe", Order::Unsubscribe(None)),
            ("unsubscribe posts/*", Order::Unsubscribe(Some("posts/*"))),
            ("unsubscribe-prefix posts", Order::UnsubscribePrefix("posts")),
        ] {
            assert_eq!(parse(line), Ok(order), "{line}");
        }
        for (line, why) in [
            ("subscribe", "subscribe takes a topic"),
            ("unsubscribe-prefix ", "unsubscribe-prefix takes a prefix"),
            ("subscrib posts/*", "subscrib is not known; the nearest is subscribe"),
            ("unsubscribe posts/*?a=1", "unsubscribe takes a topic without its options, and all of that name go"),
            ("subscribe 'posts/*'", "there is no shell here: the topic is written without quotes around it"),
        ] {
            assert_eq!(parse(line), Err(why.to_owned()), "{line}");
        }
    }

    /// Reads all that there is, as it goes on.
    fn read_on(file: &mut Followed) -> Vec<String> {
        file.look_again();
        std::iter::from_fn(|| file.next())
            .map(|(number, line)| format!("{number} {}", line.unwrap().trim_end()))
            .collect()
    }

    #[test]
    fn a_file_that_others_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        let write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            // Stamps of files are those of the last tick of a clock.
            let later = SystemTime::now() + Duration::from_secs(fastrand::u64(1..1_000_000));
            File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        };
        write("");
        let mut file = Followed::open(&path).unwrap();
        assert_eq!(read_on(&mut file), [""; 0]);
        for (text, lines) in [
            ("one\n", &["1 one"][..]),
            ("two\n", &["1 two"]),
            ("two\n", &["1 two"]),
            ("longer than two\nthree\n", &["1 longer than two", "2 three"]),
            ("longer than two\nthree\nfour\n", &["3 four"]),
            ("", &[]),
            ("five\n", &["1 five"]),
        ] {
            write(text);
            assert_eq!(read_on(&mut file), lines, "{text}");
            assert_eq!(read_on(&mut file), [""; 0], "{text}");
        }
        // Another one, and what is left of the one before, whose last line has no end.
        let mut old = File::options().append(true).open(&path).unwrap();
        let new = folder.path().join("new");
        std::fs::write(&new, "new\n").unwrap();
        std::fs::rename(&new, &path).unwrap();
        io::Write::write_all(&mut old, b"six\nseven").unwrap();
        assert_eq!(read_on(&mut file), ["2 six", "3 seven", "1 new"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read_on(&mut file), [""; 0]);
        write("back\n");
        assert_eq!(read_on(&mut file), ["1 back"]);
    }

    #[test]
    fn a_last_line_without_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        std::fs::write(&path, "one").unwrap();
        let mut file = Followed::open(&path).unwrap();
        let started = Instant::now();
        assert_eq!(read_on(&mut file), [""; 0], "its end may still come");
        let mut lines = Vec::new();
        while lines.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
            lines = read_on(&mut file);
        }
        assert_eq!(lines, ["1 one"]);
        assert!(started.elapsed() >= SETTLED);
    }

    #[test]
    fn a_pipe_that_does_not_block() {
        struct Pipe(Vec<io::Result<&'static [u8]>>);
        impl Read for Pipe {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let text = self.0.pop().unwrap_or(Ok(b""))?;
                into[..text.len()].copy_from_slice(text);
                Ok(text.len())
            }
        }
        let later = || Err(io::ErrorKind::WouldBlock.into());
        let mut lines = Lines::new(BufReader::new(Pipe(vec![Ok(b"e\n"), later(), Ok(b"on"), later()])));
        assert_eq!(lines.next(true), Some((1, Ok("one\n".to_owned()))));
        assert_eq!(lines.next(true), None);
    }

    fn all(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(BufReader::with_capacity(8, bytes));
        std::iter::from_fn(|| lines.next(true)).collect()
    }

    #[test]
    fn lines_of_any_kind() {
        let long = "x".repeat(MAX_LINE * 2);
        let bytes = [b"one\n\xff\n", long.as_bytes(), b"\n\nlast"].concat();
        let [one, bad, too_long, empty, last] = &all(&bytes)[..] else { panic!() };
        assert_eq!(*one, (1, Ok("one\n".to_owned())));
        assert_eq!(*bad, (2, Err("it is not UTF-8".to_owned())));
        assert_eq!(too_long.0, 3);
        assert!(too_long.1.as_ref().unwrap_err().contains("longer"));
        assert_eq!(*empty, (4, Ok("\n".to_owned())));
        assert_eq!(*last, (5, Ok("last".to_owned())));
        assert!(all(b"").is_empty());
    }
}

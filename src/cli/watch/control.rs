//! `--control`: what is watched changes while it runs.
//!
//! A thread reads the lines, since a file or a pipe that has none may block for
//! long. A line that is right is answered by the `subscribed` that follows the
//! server's acknowledgement, one that is not by a `warning`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

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

/// A file that has no more lines is looked at again after this time.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

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
        return File::open(path).map(Source::File).map_err(failed);
    }
    // A pipe whose writers come and go does not end while it is open for writing here, too.
    let pipe = File::options().read(true).write(true).open(path).or_else(|_| File::open(path));
    Ok(Source::Stream(Box::new(pipe.map_err(failed)?)))
}

/// Where lines come from.
pub(super) enum Source {
    Stream(Box<dyn Read + Send>),
    /// It may grow.
    File(File),
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
        Source::File(file) => {
            let mut lines = Lines::new(BufReader::new(file));
            loop {
                while let Some(line) = lines.next(false) {
                    if to.blocking_send(line).is_err() {
                        return;
                    }
                }
                std::thread::sleep(LOOK_AGAIN);
                if to.is_closed() {
                    return;
                }
                lines.start_again_where_it_was_cut();
            }
        }
    }
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

impl Lines<File> {
    /// A file that is shorter than what was read of it was written anew.
    fn start_again_where_it_was_cut(&mut self) {
        let (Ok(at), Ok(found)) = (self.reader.stream_position(), self.reader.get_ref().metadata()) else { return };
        if found.len() < at && self.reader.seek(SeekFrom::Start(0)).is_ok() {
            self.line.clear();
            self.number = 0;
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

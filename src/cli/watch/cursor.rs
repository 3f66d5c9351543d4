//! `--cursor FILE`: how far a watch got, so that the next one goes on there.
//!
//! The file is text that a person can read, replaced as a whole at most once a
//! second and at the end. While a watch runs it holds the lock of `FILE.lock`.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Context;
use super::ledger::Ledger;
use crate::cli::exit::{Exit, Failure};
use crate::cli::store;
use crate::{Mark, Progress, Topic};

/// How often it is written at the most.
const PACE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(20);

/// What is read again before the mark; what was printed of it is remembered.
const OVERLAP_MILLIS: i64 = 10_000;

/// So many records of a topic are remembered for that; of more, the last ones.
const SEEN: usize = 10_000;

const VERSION: u32 = 1;

/// The first lines of the file.
const HEAD: &str = "\
# How far a watch of bosbase-watch --cursor got: the next one goes on here.
# since   what changed before was not asked for, by the server's clock
# until   what changed before has been printed, by the server's clock
# settled what changed before is not read again
# listed  the last record printed of those that existed, while they are listed
# seen    what was printed of the last seconds, which are read again
";

/// The last line: what ends before it was cut off.
const END: &str = "# end\n";

/// How far all topics have come.
#[derive(Debug, Clone)]
pub(super) struct Position {
    places: Vec<Place>,
    begins: bool,
}

/// How far a topic has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    name: String,
    /// It was unsubscribed: the next watch has it again, and goes on there.
    stays: bool,
    pub(super) until: Option<Timestamp>,
    /// What was before need not be read again.
    settled: Option<Timestamp>,
    /// When the first watch began, unless it asked for what was before.
    since: Option<Timestamp>,
    pub(super) listed: Option<String>,
    /// When it was changed, in ms, and what tells this state from others.
    pub(super) seen: VecDeque<(i64, u64)>,
}

impl Place {
    /// From when on it is read again, in ms.
    fn from(&self) -> i64 {
        let from = self.until.map_or(i64::MIN, |until| until.as_millisecond() - OVERLAP_MILLIS);
        self.settled.map_or(from, |settled| from.max(settled.as_millisecond()))
    }
}

impl Position {
    /// `begins`: nobody has asked for what was before.
    pub(super) fn new<'a>(topics: impl IntoIterator<Item = &'a str>, begins: bool) -> Self {
        let place = |name: &str| Place { name: name.to_owned(), ..Place::default() };
        Self { places: topics.into_iter().map(place).collect(), begins }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Whether what was changed then may be read again by the next watch: never again, once it is not.
    pub(super) fn is_read_again(&self, topic: usize, at: i64) -> bool {
        // Topics of `--control` are none of the next watch's.
        self.places.get(topic).is_some_and(|place| at >= place.from())
    }

    /// A record is done.
    pub(super) fn record(&mut self, topic: usize, print: Option<(i64, u64)>, listed: Option<String>) {
        // Topics of `--control` are none of the next watch's.
        let Some(place) = self.places.get_mut(topic) else { return };
        if let (Some(last), Some(listed)) = (&mut place.listed, listed) {
            *last = listed;
        }
        let from = place.from();
        place.seen.extend(print.filter(|(at, _)| *at >= from));
        if place.seen.len() > SEEN {
            place.seen.pop_front();
        }
    }

    /// These topics are subscribed, and no others.
    pub(super) fn subscribed(&mut self, names: &[String]) {
        for place in &mut self.places {
            place.stays |= !names.contains(&place.name);
        }
    }

    pub(super) fn progress(&mut self, progress: &Progress) {
        let places = match progress.topic {
            Some(topic) => self.places.get_mut(topic).map(std::slice::from_mut).unwrap_or_default(),
            None => &mut self.places[..],
        };
        let overlap = progress.until.as_millisecond() - OVERLAP_MILLIS;
        for place in places.iter_mut().filter(|place| !place.stays) {
            if self.begins && place.until.is_none() {
                place.since = Some(progress.until);
            }
            place.until = Some(progress.until);
            place.settled = place.settled.max(progress.settled).filter(|settled| settled.as_millisecond() > overlap);
            place.listed = progress.listing.as_ref().map(|listing| listing.last.clone());
            let from = place.from();
            place.seen.retain(|(at, _)| *at >= from);
        }
    }
}

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    version: u32,
    server: String,
    account: String,
    #[serde(with = "time")]
    written: Timestamp,
    #[serde(rename = "topic")]
    topics: Vec<Entry>,
}

/// What the files of all versions have.
#[derive(Debug, Deserialize)]
struct Head {
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    /// Tells options from others without repeating them: headers may be secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    options: Option<String>,
    #[serde(with = "time")]
    until: Timestamp,
    #[serde(default, with = "time::maybe", skip_serializing_if = "Option::is_none")]
    settled: Option<Timestamp>,
    #[serde(default, with = "time::maybe", skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seen: Vec<String>,
}

/// Times as RFC 3339.
mod time {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{at:.3}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no time")))
    }

    pub(super) mod maybe {
        use super::{Deserializer, Serializer, Timestamp};

        #[expect(clippy::ref_option, reason = "as serde calls it")]
        pub(in super::super) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

pub(super) struct Cursor {
    path: PathBuf,
    /// Held until the end.
    _lock: File,
    server: String,
    account: String,
    /// The names of the topics and what tells their options.
    topics: Vec<(String, Option<String>)>,
    pub(super) ledger: Ledger,
    next: Instant,
    /// When it was written last.
    last: Option<Instant>,
    saving: Option<JoinHandle<Result<()>>>,
    /// There is something to go on from.
    began: bool,
}

impl Cursor {
    /// Takes the file for this watch; `begins`: what was before is not asked for.
    /// The marks to go on from, where it has been written before.
    pub(super) fn open(
        path: &Path,
        topics: &[Topic],
        begins: bool,
        context: &Context,
    ) -> Result<(Self, Option<Vec<Mark>>)> {
        // Two names of one file have one lock.
        if path == Path::new("-") {
            return Err(Failure::usage("--cursor: - is no file: it is read and written, and locked")
                .hint("name a file; ./- for one of that name")
                .into());
        }
        let path = &store::resolve(path);
        let account = context.client.auth().account();
        let account =
            account.map_or_else(|| "guest".to_owned(), |account| format!("{}/{}", account.collection, account.id));
        let server = context.settings.url.as_str().to_owned();
        let topics = topics.iter().map(|topic| (topic.name().to_owned(), options(topic))).collect::<Vec<_>>();
        let load = || -> Result<_> {
            // An empty one was made so that it is there, by `touch` or `mktemp`.
            let text = store::read_text(path)?.filter(|text| !text.is_empty());
            let contents = text.map(|text| read(path, &text)).transpose()?;
            let mut position = Position::new(topics.iter().map(|(name, _)| name.as_str()), begins);
            let mut marks = None;
            if let Some(mut contents) = contents {
                fits(path, &mut contents, &server, &account, &topics)?;
                marks = Some(position.load(path, &contents)?);
            }
            Ok((position, marks))
        };
        if path.is_file() && !lock_path(path).exists() {
            // What is refused has no lock left beside it.
            load()?;
        }
        let lock = lock(path)?;
        let (position, marks) = load()?;
        let ledger = Ledger::new(position);
        let path = path.clone();
        // Where the first watch begins is worth keeping before anything is printed.
        let began = marks.is_some();
        let next = if began { Instant::now() + PACE } else { Instant::now() };
        Ok((Self { path, _lock: lock, server, account, topics, ledger, next, last: None, saving: None, began }, marks))
    }

    /// When it is to be written next.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.ledger.is_pending() || self.saving.is_some()).then_some(self.next)
    }

    /// What was asked for from before is out: that is worth keeping soon.
    pub(super) fn is_live(&mut self) {
        let soonest = self.last.map_or_else(Instant::now, |last| last + PACE);
        // What has just been printed is on its way to the kernel.
        self.next = self.next.min(soonest.max(Instant::now() + SOON));
    }

    /// Writes it beside the watch. What went wrong the last time is told.
    pub(super) async fn save(&mut self, written: u64) -> Result<()> {
        self.next = Instant::now() + PACE;
        // That it begins does not put off what is printed first.
        self.last = self.began.then(Instant::now);
        if let Some(saving) = self.saving.take() {
            if !saving.is_finished() {
                self.saving = Some(saving);
                return Ok(());
            }
            let saved = saving.await.unwrap_or(Ok(()));
            if saved.is_err() {
                self.ledger.write_again();
                return saved;
            }
        }
        self.ledger.advance(written);
        self.ledger.note_ahead(written);
        if let Some(text) = self.text() {
            let path = self.path.clone();
            self.saving = Some(tokio::task::spawn_blocking(move || store::write_text(&path, &text)));
            self.began = true;
        } else if !self.began {
            self.next = Instant::now() + SOON;
        }
        Ok(())
    }

    /// Writes it for the last time.
    pub(super) async fn finish(mut self, written: u64) -> Result<()> {
        let before = match self.saving.take() {
            Some(saving) => saving.await.unwrap_or(Ok(())),
            None => Ok(()),
        };
        self.ledger.advance(written);
        self.ledger.note_ahead(written);
        match self.text() {
            Some(text) => store::write_text(&self.path, &text),
            None => before,
        }
    }

    /// What is to be written, where it is something new.
    fn text(&mut self) -> Option<String> {
        let position = self.ledger.take_position()?;
        let mut topics = Vec::new();
        for ((name, options), place) in self.topics.iter().zip(position.places()) {
            topics.push(Entry {
                name: name.clone(),
                options: options.clone(),
                // Before all topics have begun there is nothing to go on from.
                until: place.until?,
                settled: place.settled,
                since: place.since,
                listed: place.listed.clone(),
                seen: place.seen.iter().map(|(at, print)| format!("{at:x}-{print:016x}")).collect(),
            });
        }
        let (server, account) = (self.server.clone(), self.account.clone());
        let contents = Contents { version: VERSION, server, account, written: crate::now(), topics };
        Some(format!("{HEAD}{}{END}", toml_edit::ser::to_string_pretty(&contents).ok()?))
    }
}

impl Position {
    fn load(&mut self, path: &Path, contents: &Contents) -> Result<Vec<Mark>> {
        let mut marks = Vec::new();
        for (place, entry) in self.places.iter_mut().zip(&contents.topics) {
            place.until = Some(entry.until);
            (place.settled, place.since) = (entry.settled, entry.since);
            place.listed.clone_from(&entry.listed);
            for seen in &entry.seen {
                let pair = seen.split_once('-').and_then(|(at, print)| {
                    Some((i64::from_str_radix(at, 16).ok()?, u64::from_str_radix(print, 16).ok()?))
                });
                place.seen.push_back(pair.ok_or_else(|| no_cursor(path, &format!("seen has {seen:?}")))?);
            }
            marks.push(Mark {
                until: entry.until,
                settled: entry.settled,
                since: entry.since,
                listed: entry.listed.clone(),
                seen: place.seen.iter().map(|(_, print)| *print).collect(),
            });
        }
        Ok(marks)
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn lock(path: &Path) -> Result<File> {
    let name = &lock_path(path);
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("--cursor: {} cannot be written: {why}", path.display()))
            .hint("name a file in a folder that is there and can be written to")
    };
    // A device or a pipe would be replaced by a file.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(cannot(&"it is not a file").into());
    }
    let file = store::open_lock_file(name).map_err(|error| {
        if name.exists() { cannot(&format!("{}: {error}", name.display())) } else { cannot(&error) }
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::usage(format!("--cursor: another watch is using {}", path.display()))
                .hint("give each watch a file of its own")
                .into())
        }
        Err(TryLockError::Error(error)) => Err(cannot(&error).into()),
    }
}

fn read(path: &Path, text: &str) -> Result<Contents> {
    // A later one may have other keys: that is looked at first.
    let damaged = |error: toml_edit::de::Error| {
        let reason = error.message().lines().next().unwrap_or("it cannot be read").to_owned();
        no_cursor(path, &reason)
    };
    let Head { version } = toml_edit::de::from_str(text).map_err(damaged)?;
    if version > VERSION {
        return Err(Failure::usage(format!("--cursor: {} was written by a later bosbase-watch", path.display()))
            .hint("use that version, or another file")
            .into());
    }
    if version < VERSION {
        return Err(no_cursor(path, &format!("there is no version {version}")));
    }
    if !text.ends_with(END) {
        return Err(no_cursor(path, "its last line, `# end`, is not there"));
    }
    toml_edit::de::from_str(text).map_err(damaged)
}

/// Whether the file belongs to this watch. Its topics are put in the order of the watch's.
fn fits(
    path: &Path,
    contents: &mut Contents,
    server: &str,
    account: &str,
    topics: &[(String, Option<String>)],
) -> Result<()> {
    let refused = |what: String| -> Result<()> {
        Err(Failure::usage(format!("--cursor: {} {what}", path.display()))
            .hint("use another file, or remove this one to begin anew")
            .into())
    };
    if contents.server != server {
        return refused(format!("belongs to {}, and this is {server}", contents.server));
    }
    // The name of the collection is not always known.
    let id = |account: &str| account.rsplit('/').next().unwrap_or_default().to_owned();
    if id(&contents.account) != id(account) {
        return refused(format!("belongs to the login {}, and this is {account}", contents.account));
    }
    let mut had: Vec<_> = contents.topics.iter().map(|topic| topic.name.clone()).collect();
    let mut wanted: Vec<_> = topics.iter().map(|(name, _)| name.clone()).collect();
    had.sort();
    wanted.sort();
    if had != wanted {
        return refused(format!("was written for other topics: {}", had.join(" ")));
    }
    let mut rest = std::mem::take(&mut contents.topics);
    for (name, options) in topics {
        let Some(at) = rest.iter().position(|topic| topic.name == *name && topic.options == *options) else {
            return refused("was written with other options of its topics, such as --filter".to_owned());
        };
        contents.topics.push(rest.remove(at));
    }
    Ok(())
}

fn no_cursor(path: &Path, reason: &str) -> anyhow::Error {
    Failure::new(Exit::Usage, format!("--cursor: {} is not such a file, or was damaged: {reason}", path.display()))
        .hint("remove it to begin anew; what happened since it was written is then not read again")
        .into()
}

/// What tells a topic's options from others.
fn options(topic: &Topic) -> Option<String> {
    let key = topic.has_options().then(|| topic.key().ok()).flatten()?;
    Some(format!("{:016x}", crate::hash::of(key.as_bytes())))
}

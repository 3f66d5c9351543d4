//! What a watch delivers: records, messages, and markers of the connection in
//! the same stream, so that their order tells the truth.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{self, Scanner};
use crate::text::Text;
use crate::{Error, ErrorKind, Topic, TopicKind};

/// One item of a watch.
///
/// Events that arrive together share the memory that they arrived in, of about 16 KB, or of one
/// event that is longer. Whoever keeps a few of many for long keeps less by copying what is needed.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use bosbase_watch::{Event, Topic};
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// let topics = [Topic::collection("posts"), Topic::custom("jobs/finished")];
/// let mut feed = client.realtime().subscribe_all(topics).await?;
/// while let Some(event) = feed.next().await {
///     match event? {
///         Event::Record(change) => println!("{} {}", change.action(), change.json()),
///         Event::Message(message) => println!("{}: {}", message.topic().name(), message.payload()),
///         Event::Connected(connection) => println!("{}, as client {}", connection.url, connection.client_id),
///         Event::Subscribed(to) => println!("{:?}, as {:?}", to.topics, to.auth.map(|account| account.name)),
///         Event::Live(_) => println!("from here on it is live"),
///         Event::Disconnected(lost) => println!("{}: again in {:?}", lost.detail, lost.retry),
///         Event::Gap(gap) => println!("{} read again; not covered: {:?}", gap.replayed, gap.unfilled),
///         Event::Refreshed(login) => println!("signed in until {:?}", login.expires),
///         Event::Warning(warning) => println!("{}: {}", warning.code, warning.message),
///         _ => {} // more may come
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A record was created, updated or deleted.
    Record(RecordEvent),
    /// A message on a custom topic.
    Message(MessageEvent),
    /// The server has named the connection.
    Connected(Connected),
    /// The server has acknowledged the topics (its 204). Nothing is said to be
    /// ready before this.
    Subscribed(Subscribed),
    /// From here on everything is live.
    Live(Live),
    /// The connection is lost. No topics: it was closed on purpose.
    Disconnected(Disconnected),
    /// A stretch of time in which events may have been missed.
    Gap(Gap),
    /// The token was renewed.
    Refreshed(Refreshed),
    /// Something that deserves a word but stops nothing.
    Warning(Warning),
    /// How far everything has come that stands before it in the stream. Only
    /// where it was asked for: [`SubscriptionBuilder::progress`](crate::SubscriptionBuilder::progress).
    Progress(Progress),
}

/// What happened to a record.
///
/// ```
/// use bosbase_watch::Action;
///
/// assert_eq!(Action::Create.as_str(), "create");
/// assert_eq!(Action::Initial.to_string(), "initial");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// It was created.
    Create,
    /// It was changed. May be the first sight of a record that came to match a filter.
    Update,
    /// It was deleted; the event carries it as it was before.
    Delete,
    /// It existed when the watch began.
    Initial,
}

impl Action {
    /// As the server writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Initial => "initial",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The topic of a watch that an event belongs to.
///
/// ```no_run
/// # fn f(event: bosbase_watch::RecordEvent) {
/// // Two subscriptions to one collection, told apart by their place.
/// let which = ["open", "closed"][event.source().index()];
/// println!("{which}: {}", event.json());
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Source(Arc<SourceInner>);

#[derive(Debug)]
struct SourceInner {
    topic: Topic,
    index: usize,
    /// Fields that were asked for by the tool alone.
    added: Vec<&'static str>,
    /// Whether what comes may be about records.
    has_records: bool,
}

impl Source {
    pub(crate) fn new(topic: Topic, index: usize, added: Vec<&'static str>) -> Self {
        let has_records = !matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect);
        Self(Arc::new(SourceInner { topic, index, added, has_records }))
    }

    /// The topic with its options.
    pub fn topic(&self) -> &Topic {
        &self.0.topic
    }

    /// Its place among the topics of this subscription, from 0.
    pub fn index(&self) -> usize {
        self.0.index
    }
}

/// A change of a record.
///
/// ```no_run
/// # fn f(event: bosbase_watch::RecordEvent) {
/// use bosbase_watch::Action;
///
/// match event.action() {
///     // An older state that came late says nothing new.
///     _ if event.is_late() => {}
///     Action::Delete => println!("gone: {:?}", event.id()),
///     action => println!("{action}: {}", event.json()),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RecordEvent {
    source: Source,
    time: Timestamp,
    action: Action,
    replayed: bool,
    late: bool,
    /// The frame's data, and where in it the record stands.
    data: Text,
    record: Range<usize>,
    keys: Keys,
    /// Its JSON may be printed as it is: see [`json::document`].
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the program prints"))]
    clean: bool,
}

/// A message on a custom topic, or a payload that is not a record's.
///
/// ```no_run
/// # fn f(message: bosbase_watch::MessageEvent) {
/// match message.json() {
///     Some(json) => println!("{}: {json}", message.topic().name()),
///     None => println!("{}: the text {:?}", message.topic().name(), message.payload()),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MessageEvent {
    source: Source,
    time: Timestamp,
    data: Text,
    json: bool,
}

/// See [`Event::Connected`].
#[derive(Debug, Clone)]
pub struct Connected {
    /// When.
    pub time: Timestamp,
    /// The server's base URL.
    pub url: String,
    /// The id that the server gave this connection.
    pub client_id: ClientId,
}

/// See [`Event::Subscribed`].
#[derive(Debug, Clone)]
pub struct Subscribed {
    /// When.
    pub time: Timestamp,
    /// The names of the active topics, without options, in the order subscribed.
    pub topics: Vec<String>,
    /// Who the feed belongs to; `None` for a guest.
    pub auth: Option<Account>,
}

/// See [`Event::Live`].
#[derive(Debug, Clone)]
pub struct Live {
    /// When.
    pub time: Timestamp,
    /// How many records existed and were delivered before.
    pub initial: u64,
    /// How many changes from before were delivered.
    pub replayed: u64,
}

/// See [`Event::Disconnected`].
///
/// ```no_run
/// # fn f(lost: bosbase_watch::Disconnected) {
/// use bosbase_watch::Cause;
///
/// match (lost.cause, lost.retry) {
///     (Cause::Closed, _) => {} // as servers do every few minutes
///     (cause, Some(retry)) => println!("{}: {}, attempt {} in {retry:?}", cause.as_str(), lost.detail, lost.attempt),
///     (cause, None) => println!("{}: {}", cause.as_str(), lost.detail),
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Disconnected {
    /// When.
    pub time: Timestamp,
    /// The names of the topics that were active; empty where it was closed on purpose.
    pub topics: Vec<String>,
    /// Why, for programs.
    pub cause: Cause,
    /// Why, for people.
    pub detail: String,
    /// In how long it is tried again.
    pub retry: Option<Duration>,
    /// The number of the coming attempt, from 1.
    pub attempt: u32,
}

/// See [`Event::Gap`].
///
/// ```no_run
/// # fn f(gap: bosbase_watch::Gap) {
/// use bosbase_watch::Deletes;
///
/// if !gap.unfilled.is_empty() || gap.deletes == Deletes::Unknown {
///     println!("from {} to {} something may be missing: begin anew", gap.from, gap.to);
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gap {
    /// When it was known.
    pub time: Timestamp,
    /// The last moment that is known to be covered (the server's clock, where it was heard).
    pub from: Timestamp,
    /// The first moment that is covered again.
    pub to: Timestamp,
    /// Topics for which what was missed has been read again.
    pub filled: Vec<String>,
    /// Topics for which it could not be.
    pub unfilled: Vec<String>,
    /// How many changes were read again and delivered.
    pub replayed: u64,
    /// What is known of deletions in it.
    pub deletes: Deletes,
    /// How many known records changed so that they do not match their topic's
    /// filter any more. The feed says nothing of such, and neither does a watch.
    pub left: u64,
}

/// What is known of deletions in a [`Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deletes {
    /// There were none among the remembered records.
    None,
    /// They were found and delivered.
    Replayed,
    /// Nobody knows.
    Unknown,
}

impl Deletes {
    /// As the NDJSON writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Replayed => "replayed",
            Self::Unknown => "unknown",
        }
    }
}

/// See [`Event::Refreshed`].
#[derive(Debug, Clone)]
pub struct Refreshed {
    /// When.
    pub time: Timestamp,
    /// Until when the new token is valid.
    pub expires: Option<Timestamp>,
}

/// See [`Event::Warning`].
#[derive(Debug, Clone)]
pub struct Warning {
    /// When.
    pub time: Timestamp,
    /// For programs: a short word that stays the same.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// See [`Event::Progress`]. What it says is what a [`Mark`](crate::Mark) keeps.
///
/// [`SubscriptionBuilder::progress`](crate::SubscriptionBuilder::progress) has an example.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The topic, by its [`Source::index`]; `None`: all of the subscription.
    pub topic: Option<usize>,
    /// Whatever changed before this moment of the server's clock has come,
    /// but for what a transaction of more than 10 s may hold back.
    pub until: Timestamp,
    /// Whatever changed before this moment was read so long after it that
    /// nothing can come of that time: where it is known better than by `until`.
    pub settled: Option<Timestamp>,
    /// While the records that exist are listed.
    pub listing: Option<Listing>,
}

/// How far the records that exist are listed.
///
/// ```no_run
/// # fn f(progress: bosbase_watch::Progress) {
/// if let Some(listing) = progress.listing {
///     println!("listed up to {} of {:?} records", listing.last, listing.total);
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Listing {
    /// The id of the last one; empty before the first.
    pub last: String,
    /// How many there are, once that is known.
    pub total: Option<u64>,
}

/// Whom a token belongs to.
///
/// [`AuthStore::account`](crate::AuthStore::account) has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The id of the auth record.
    pub id: String,
    /// Its collection: the name, or the id where only that is known.
    pub collection: String,
    /// The e-mail or user name, where it is known.
    pub name: Option<String>,
    /// Until when the token is valid; `None` for a token that does not say.
    pub expires: Option<Timestamp>,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The connection was reset, refused or broke.
    Reset,
    /// The server closed it, as it does every five minutes on a quiet feed.
    Closed,
    /// Nothing came for longer than a living server stays silent.
    Stale,
    /// An HTTP status or an answer that is not a feed.
    Http,
    /// The TLS handshake or certificate.
    Tls,
    /// The name does not resolve.
    Dns,
}

impl Cause {
    /// As the NDJSON writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Stale => "stale",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Dns => "dns",
        }
    }

    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Timeout => Self::Stale,
            ErrorKind::Tls => Self::Tls,
            ErrorKind::Dns => Self::Dns,
            ErrorKind::Refused | ErrorKind::Network => Self::Reset,
            _ => Self::Http,
        }
    }
}

/// The id of a realtime client. Whoever has it whole can change the
/// subscriptions, so `Display` and `Debug` show its first three characters.
///
/// ```no_run
/// # fn f(connected: bosbase_watch::Connected) {
/// println!("{}", connected.client_id); // k3f…
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientId(String);

impl ClientId {
    pub(crate) fn new(id: String) -> Self {
        Self(id)
    }

    /// The whole id, for requests to the server.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.0.chars().take(3).collect::<String>())
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({self})")
    }
}

/// Reads the data of a frame. Never fails: what is not a record's event is a
/// message, what is not JSON is its text.
pub(crate) fn decode(source: Source, time: Timestamp, data: Text) -> Event {
    if source.0.has_records
        && let Some((action, record, keys, clean)) = decode_record(&data)
    {
        let (replayed, late) = (false, false);
        return Event::Record(RecordEvent { source, time, action, replayed, late, data, record, keys, clean });
    }
    Event::Message(MessageEvent::new(source, time, data))
}

/// Reads the server's frame of a record in one pass. Whether it is clean, too.
fn decode_record(data: &str) -> Option<(Action, Range<usize>, Keys, bool)> {
    let (mut action, mut record, mut keys) = (None, None, Keys::default());
    let clean = json::members(data, |scanner, key| {
        let value = scanner.place();
        match key {
            // Twice the same is nothing that the server would send.
            "record" if record.is_none() => {
                keys.read(scanner)?;
                record = Some(value..scanner.place());
            }
            "action" if action.is_none() => {
                scanner.value()?;
                action = match json::text(&data[value..scanner.place()])?.as_ref() {
                    "create" => Some(Action::Create),
                    "update" => Some(Action::Update),
                    "delete" => Some(Action::Delete),
                    _ => return None,
                }
            }
            "record" | "action" => return None,
            _ => {
                scanner.value()?;
            }
        }
        Some(())
    })?;
    Some((action?, record?, keys, clean))
}

/// Where the values that the tool itself reads stand in an event's data.
#[derive(Debug, Clone, Copy, Default)]
struct Keys {
    id: Place,
    collection_name: Place,
    created: Place,
    updated: Place,
}

/// The place of a JSON value; empty where there is none. An event is no longer
/// than [`crate::realtime::MAX_EVENT`], so that this much is enough.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u32,
    end: u32,
    /// It is a string that means what stands between its quotes.
    is_plain: bool,
}

impl Keys {
    /// Reads the record that begins here.
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        scanner.members(|scanner, key| {
            let start = scanner.place();
            let is_plain = scanner.value()?;
            let place = match key {
                "id" => &mut self.id,
                "collectionName" => &mut self.collection_name,
                "created" => &mut self.created,
                "updated" => &mut self.updated,
                _ => return Some(()),
            };
            *place = Place { start: start.try_into().ok()?, end: scanner.place().try_into().ok()?, is_plain };
            Some(())
        })
    }
}

impl Place {
    fn text(self, data: &str) -> Option<Cow<'_, str>> {
        let (start, end) = (self.start as usize, self.end as usize);
        if self.is_plain {
            return Some(Cow::Borrowed(&data[start + 1..end - 1]));
        }
        json::text(&data[start..end])
    }
}

/// The values that the tool reads of a record that is listed.
#[derive(Debug, Default)]
pub(crate) struct RecordKeys<'a> {
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) created: Option<Cow<'a, str>>,
    pub(crate) updated: Option<Cow<'a, str>>,
}

impl<'a> RecordKeys<'a> {
    /// Those of a record that stands alone. `None` where it is no object.
    pub(crate) fn of(record: &'a str) -> Option<Self> {
        let mut keys = Keys::default();
        json::document(record, |scanner| keys.read(scanner))?;
        let text = |place: Place| place.text(record);
        Some(Self { id: text(keys.id), created: text(keys.created), updated: text(keys.updated) })
    }
}

impl RecordEvent {
    /// The topic of the watch that it belongs to.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The topic with its options.
    pub fn topic(&self) -> &Topic {
        self.source.topic()
    }

    /// When it was received (our clock).
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// What happened.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Whether it was read again: after a gap, or of what changed before the
    /// subscription began. Of the records that exist, those are that are listed
    /// where another subscription was cut off while it listed them: the first
    /// of them may have come over that one, too.
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// Whether a newer state of the record was delivered before it, or, of an
    /// update, the record's deletion.
    pub fn is_late(&self) -> bool {
        self.late
    }

    /// The record as the server sent it, byte for byte, but for fields that
    /// were not asked for.
    pub fn json(&self) -> Cow<'_, str> {
        let raw = self.raw();
        if self.source.0.added.is_empty() {
            return Cow::Borrowed(raw);
        }
        cut_fields(raw, &self.source.0.added).map_or(Cow::Borrowed(raw), Cow::Owned)
    }

    /// The record as any type that fits.
    ///
    /// ```no_run
    /// # fn f(event: bosbase_watch::RecordEvent) -> Result<(), serde_json::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Post { id: String, title: String }
    ///
    /// let post: Post = event.parse()?;
    /// # Ok(()) }
    /// ```
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw())
    }

    /// The record's id. `None` only where the server sends none.
    pub fn id(&self) -> Option<String> {
        self.keys.id.text(&self.data).map(Cow::into_owned)
    }

    /// The name of the record's collection.
    pub fn collection(&self) -> Option<String> {
        match self.keys.collection_name.text(&self.data) {
            Some(name) => Some(name.into_owned()),
            None => match self.topic().kind() {
                TopicKind::Collection(name) | TopicKind::Record(name, _) | TopicKind::Bare(name) => {
                    Some(name.to_owned())
                }
                _ => None,
            },
        }
    }

    /// A change that was read again.
    pub(crate) fn replayed(source: Source, time: Timestamp, action: Action, record: String) -> Self {
        let mut keys = Keys::default();
        let clean = json::document(&record, |scanner| keys.read(scanner)).unwrap_or(false);
        let range = 0..record.len();
        Self { source, time, action, replayed: true, late: false, data: record.into(), record: range, keys, clean }
    }

    /// A record that a list has shown before the feed began; `again`: in another life it may have been shown, too.
    pub(crate) fn listed(source: Source, time: Timestamp, record: String, again: bool) -> Self {
        Self { replayed: again, ..Self::replayed(source, time, Action::Initial, record) }
    }

    /// Tells this state of the record from others, in whichever form it comes:
    /// the feed and the list API differ in escapes and the order of keys.
    /// The upper half is the same for all states of a record.
    /// `None` where it does not say when it was made.
    ///
    /// ```no_run
    /// # fn f(event: bosbase_watch::RecordEvent, seen: &mut std::collections::HashSet<u64>) {
    /// if event.fingerprint().is_none_or(|print| seen.insert(print)) {
    ///     println!("a state that was not seen before: {}", event.json());
    /// }
    /// # }
    /// ```
    pub fn fingerprint(&self) -> Option<u64> {
        let (id, updated) = self.stamp()?;
        (!updated.is_empty()).then(|| fingerprint_of(&id, self.raw()))?
    }

    /// When it was changed, as the server writes it.
    pub fn updated(&self) -> Option<String> {
        self.keys.updated.text(&self.data).filter(|updated| !updated.is_empty()).map(Cow::into_owned)
    }

    pub(crate) fn set_late(&mut self, late: bool) {
        self.late = late;
    }

    /// When it was created, as the server writes it.
    pub(crate) fn created(&self) -> Option<Cow<'_, str>> {
        self.keys.created.text(&self.data)
    }

    /// The record's id and its `updated`, where it has both.
    pub(crate) fn stamp(&self) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        Some((self.keys.id.text(&self.data)?, self.keys.updated.text(&self.data)?))
    }

    pub(crate) fn raw(&self) -> &str {
        &self.data[self.record.clone()]
    }

    /// Whether [`Self::json`] has neither white space between its tokens nor control characters.
    #[cfg(feature = "cli")]
    pub(crate) fn is_clean(&self) -> bool {
        self.clean
    }

    /// How much memory it holds, roughly, in bytes.
    fn size(&self) -> usize {
        self.data.len() + size_of::<Self>()
    }
}

/// See [`RecordEvent::fingerprint`].
pub(crate) fn fingerprint(record: &str) -> Option<u64> {
    let keys = RecordKeys::of(record)?;
    keys.updated.filter(|updated| !updated.is_empty())?;
    fingerprint_of(&keys.id?, record)
}

/// Half of it tells the record, and half its state.
fn fingerprint_of(id: &str, record: &str) -> Option<u64> {
    if id.is_empty() {
        return None;
    }
    // The same in every run: fingerprints are kept in files.
    let hasher = BuildHasherDefault::<crate::hash::Fnv>::default();
    let state = crate::hash::hash_json(&hasher, record)?;
    Some(u64::from(id_print(id)) << 32 | state >> 32)
}

/// The half of a fingerprint that tells the record.
pub(crate) fn id_print(id: &str) -> u32 {
    record_half(BuildHasherDefault::<crate::hash::Fnv>::default().hash_one(id))
}

/// The same, of a fingerprint.
pub(crate) fn record_half(print: u64) -> u32 {
    (print >> 32) as u32
}

impl MessageEvent {
    pub(crate) fn new(source: Source, time: Timestamp, data: Text) -> Self {
        let json = json::is_legal(&data);
        Self { source, time, data, json }
    }

    /// The topic of the watch that it belongs to.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The topic with its options.
    pub fn topic(&self) -> &Topic {
        self.source.topic()
    }

    /// When it was received (our clock).
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The payload as the server sent it.
    pub fn payload(&self) -> &str {
        &self.data
    }

    /// The payload, where it is JSON.
    pub fn json(&self) -> Option<&str> {
        self.json.then_some(&*self.data)
    }
}

impl Event {
    /// How much memory it holds, roughly, in bytes: what a bounded buffer counts.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Record(event) => event.size(),
            Self::Message(event) => event.data.len() + size_of::<MessageEvent>(),
            _ => size_of::<Self>(),
        }
    }

    /// Keeps no more memory than its own: see [`Text::detach`].
    pub(crate) fn detach(&mut self) {
        match self {
            Self::Record(event) => event.data.detach(),
            Self::Message(event) => event.data.detach(),
            _ => {}
        }
    }

    /// Whether it is about the connection and not from the feed.
    ///
    /// ```no_run
    /// # fn f(event: bosbase_watch::Event) {
    /// if event.is_lifecycle() {
    ///     eprintln!("{event:?}");
    /// }
    /// # }
    /// ```
    pub fn is_lifecycle(&self) -> bool {
        !matches!(self, Self::Record(_) | Self::Message(_))
    }
}

/// The object without these top-level keys; the bytes of what stays are kept.
/// `None` where it is not an object.
fn cut_fields(json: &str, cut: &[&str]) -> Option<String> {
    struct Cut<'c>(&'c [&'c str]);
    impl<'de> serde::de::Visitor<'de> for Cut<'_> {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
            let mut out = String::from("{");
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                let value: &RawValue = map.next_value()?;
                if self.0.contains(&key.as_ref()) {
                    continue;
                }
                if out.len() > 1 {
                    out.push(',');
                }
                out.push_str(&serde_json::Value::from(key.as_ref()).to_string());
                out.push(':');
                out.push_str(value.get());
            }
            out.push('}');
            Ok(out)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde::Deserializer::deserialize_map(&mut deserializer, Cut(cut)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(topic: Topic, data: &str) -> Event {
        let (_, added) = topic.wire_key().unwrap();
        decode(Source::new(topic, 0, added), Timestamp::UNIX_EPOCH, data.into())
    }

    #[test]
    fn a_record_keeps_its_bytes() {
        let data = r#"{"record": {"id":"a", "n":1.50e3 ,"s":"\u003c\u00e9"},"action":"update"}"#;
        let Event::Record(event) = event(Topic::collection("posts"), data) else { panic!() };
        assert_eq!(event.json(), r#"{"id":"a", "n":1.50e3 ,"s":"\u003c\u00e9"}"#);
        assert_eq!((event.action(), event.id().as_deref()), (Action::Update, Some("a")));
        assert_eq!(event.collection().as_deref(), Some("posts"));
    }

    #[test]
    fn fields_of_the_tool_are_cut_out() {
        let data = r#"{"record":{"created":"x","id":"a","title":"\u003c", "updated":"y"},"action":"create"}"#;
        let Event::Record(event) = event(Topic::collection("posts").fields("title"), data) else { panic!() };
        assert_eq!(event.json(), r#"{"title":"\u003c"}"#);
        assert_eq!(event.id().as_deref(), Some("a"));
    }

    #[test]
    fn junk_is_a_message() {
        for (data, json) in [
            ("", false),
            ("not json", false),
            ("{", false),
            (r#"{"record":5,"action":"create"}"#, true),
            (r#"{"record":{},"action":"explode"}"#, true),
            (r#"{"action":"create"}"#, true),
            ("[1]", true),
        ] {
            let Event::Message(event) = event(Topic::collection("posts"), data) else { panic!("{data}") };
            assert_eq!((event.payload(), event.json().is_some()), (data, json));
        }
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        let Event::Message(event) = event(Topic::custom("a/b"), &deep) else { panic!() };
        assert!(event.json().is_some());
    }

    #[test]
    fn a_custom_topic_is_never_a_record() {
        let data = r#"{"record":{"id":"a"},"action":"create"}"#;
        assert!(matches!(event(Topic::custom("jobs/finished"), data), Event::Message(_)));
        assert!(matches!(event(Topic::custom("jobs"), data), Event::Record(_)));
    }

    #[test]
    fn client_ids_are_shortened() {
        let id = ClientId::new("k3fABCDEF".into());
        assert_eq!(format!("{id} {id:?}"), "k3f… ClientId(k3f…)");
    }
}

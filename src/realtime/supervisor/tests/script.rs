//! A server by script: a collection of records, its feed and its list, and
//! whatever is to go wrong. Everything takes its time by tokio's clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::auth::AuthStore;
use crate::event::ClientId;
use crate::filter::server_time;
use crate::realtime::catch_up::{Found, Question};
use crate::realtime::pages::{self, Listed, Page};
use crate::realtime::remote::{Pending, Remote};
use crate::realtime::session::{Frame, Session};
use crate::server_clock::ServerClock;
use crate::{Error, ErrorKind, Result, Secret, ServerUrl, Severity, Topic, Verdict};

/// How long a request takes.
pub(super) const LATENCY: Duration = Duration::from_millis(10);

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Well,
    Fail(Error),
    Late(Duration),
    Never,
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    Verify,
    Open,
    Submit,
    Read,
    Check,
}

pub(super) struct Script {
    url: ServerUrl,
    auth: AuthStore,
    started: Instant,
    /// The day on which it begins.
    day: Timestamp,
    clock: Mutex<ServerClock>,
    world: Mutex<World>,
}

#[derive(Default)]
struct World {
    /// What comes next for each kind of request; beyond it, all is well.
    answers: BTreeMap<Request, VecDeque<Answer>>,
    /// The token that a renewal brings.
    renewed: Option<Secret>,
    requests: Vec<(Request, Duration)>,
    connections: Vec<Connection>,
    idle: Option<Duration>,
    age: Option<Duration>,
    records: BTreeMap<String, Record>,
    /// How long the client slept: its timers stood still.
    slept: SignedDuration,
    /// By how much the client's clock was set forward.
    set: SignedDuration,
    /// How many connections the server closed by a limit of its own.
    expired: usize,
    /// What the check says of every topic that is no custom one, where it is not well.
    gone: Option<&'static str>,
    /// How long frames are on their way, on the connections to come; taken in turn.
    delays: Vec<Duration>,
    /// A hook computes a field for each answer.
    computes: bool,
    /// ... or counts other records.
    count: Option<u64>,
}

impl World {
    /// The record as a hook answers it.
    fn enriched(&self, mut record: serde_json::Value, now: f64) -> serde_json::Value {
        if self.computes {
            record["computed"] = now.into();
        }
        if let Some(count) = self.count {
            record["count"] = count.into();
        }
        record
    }
}

#[derive(Clone)]
struct Record {
    updated: String,
    created: String,
    value: u64,
}

struct Connection {
    /// The way to the client, and when what is on it arrives.
    frames: Option<mpsc::UnboundedSender<(Instant, Frame)>>,
    cut: Option<oneshot::Sender<()>>,
    delay: Duration,
    keys: Vec<String>,
    opened: Instant,
    sent: Instant,
}

impl Connection {
    fn is_open(&self) -> bool {
        self.frames.as_ref().is_some_and(|frames| !frames.is_closed())
    }

    fn send(&mut self, key: &str, data: &str) {
        self.sent = Instant::now();
        if let Some(frames) = &self.frames {
            let _ = frames.send((self.sent + self.delay, Frame { key: key.into(), data: data.into() }));
        }
    }
}

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, format!("by script: {kind:?}"))
}

impl Script {
    pub(super) fn new() -> Arc<Self> {
        let day = "2026-03-01T12:00:00Z".parse().unwrap();
        Arc::new(Self {
            url: ServerUrl::parse("http://127.0.0.1:8090").unwrap(),
            auth: AuthStore::default(),
            started: Instant::now(),
            day,
            clock: Mutex::new(ServerClock::new(day)),
            world: Mutex::default(),
        })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    // --- what is to come -------------------------------------------------

    /// The limits after which the server closes a connection.
    pub(super) fn limit(&self, idle: Duration, age: Duration) {
        let mut world = self.world();
        (world.idle, world.age) = (Some(idle), Some(age));
    }

    /// How long frames are on their way: one for each connection to come, in turn.
    pub(super) fn delay(&self, delays: Vec<Duration>) {
        self.world().delays = delays;
    }

    /// The next requests of this kind are answered so.
    pub(super) fn answer(&self, request: Request, answers: impl IntoIterator<Item = Answer>) {
        self.world().answers.entry(request).or_default().extend(answers);
    }

    /// From now on all is well.
    pub(super) fn forgive(&self) {
        self.world().answers.clear();
    }

    /// The next proof of the login brings this token.
    pub(super) fn renew(&self, token: Secret) {
        self.world().renewed = Some(token);
    }

    /// The client sleeps.
    pub(super) fn sleep(&self, by: SignedDuration) {
        self.world().slept += by;
    }

    /// The client's clock is set.
    pub(super) fn set_clock(&self, by: SignedDuration) {
        self.world().set += by;
    }

    /// From now on the check of topics says this of each, or that all is well.
    pub(super) fn check_says(&self, code: Option<&'static str>) {
        self.world().gone = code;
    }

    /// From now on a hook computes a field of each record for each answer.
    pub(super) fn compute(&self) {
        self.world().computes = true;
    }

    /// From now on a hook adds this count of other records to each.
    pub(super) fn count(&self, count: u64) {
        self.world().count = Some(count);
    }

    // --- what happens ----------------------------------------------------

    /// A record is written, and told to those who watch it.
    pub(super) fn write(&self, id: &str, value: u64) {
        let data = self.change(id, value);
        self.tell(&data, |_| true);
    }

    /// A record is written; of the connections only these hear of it, counted from 0.
    pub(super) fn write_telling(&self, told: &[usize], id: &str, value: u64) {
        let data = self.change(id, value);
        self.tell(&data, |at| told.contains(&at));
    }

    /// A record is written by somebody whose change was stamped before others that were
    /// written first; of the connections only these hear of it.
    pub(super) fn write_stamped_before(&self, by: Duration, told: &[usize], id: &str, value: u64) {
        let data = self.change_at(self.time() - by, id, value);
        self.tell(&data, |at| told.contains(&at));
    }

    /// What was written is told again, as if it had been on its way for long.
    pub(super) fn repeat(&self, id: &str) {
        let record = self.world().records.get(id).map(|record| record.json(id));
        self.tell(&json!({ "action": "create", "record": record }).to_string(), |_| true);
    }

    /// A record is deleted.
    pub(super) fn delete(&self, id: &str) {
        let Some(record) = self.world().records.remove(id) else { return };
        self.tell(&json!({ "action": "delete", "record": record.json(id) }).to_string(), |_| true);
    }

    /// A record is deleted without a word.
    pub(super) fn delete_silently(&self, id: &str) {
        self.world().records.remove(id);
    }

    /// A message on a custom topic.
    pub(super) fn message(&self, topic: &str, data: &str) {
        for connection in &mut self.world().connections {
            if connection.keys.iter().any(|key| key == topic) {
                connection.send(topic, data);
            }
        }
    }

    fn change(&self, id: &str, value: u64) -> String {
        self.change_at(self.time(), id, value)
    }

    fn change_at(&self, stamp: Timestamp, id: &str, value: u64) -> String {
        let now = server_time(stamp);
        let mut world = self.world();
        let created = world.records.get(id).map_or_else(|| now.clone(), |record| record.created.clone());
        let action = if world.records.contains_key(id) { "update" } else { "create" };
        let record = Record { updated: now, created, value };
        let data = json!({ "action": action, "record": world.enriched(record.json(id), self.seconds()) });
        world.records.insert(id.to_owned(), record);
        data.to_string()
    }

    fn tell(&self, data: &str, told: impl Fn(usize) -> bool) {
        for (at, connection) in self.world().connections.iter_mut().enumerate() {
            if told(at) && connection.keys.iter().any(|key| key == "posts/*") {
                connection.send("posts/*", data);
            }
        }
    }

    /// Ends all connections cleanly: what was sent before still comes.
    pub(super) fn close(&self) {
        for connection in &mut self.world().connections {
            connection.frames = None;
        }
    }

    /// Breaks all connections off: what is on its way is lost.
    pub(super) fn cut(&self) {
        self.cut_those(|_| true);
    }

    /// The same for one of them, counted from 0.
    pub(super) fn cut_one(&self, at: usize) {
        self.cut_those(|other| other == at);
    }

    fn cut_those(&self, those: impl Fn(usize) -> bool) {
        let mut world = self.world();
        for (_, connection) in world.connections.iter_mut().enumerate().filter(|(at, _)| those(*at)) {
            connection.frames = None;
            if let Some(cut) = connection.cut.take() {
                let _ = cut.send(());
            }
        }
    }

    // --- what was seen ---------------------------------------------------

    /// The moments at which this was asked, in seconds from the start.
    pub(super) fn asked(&self, request: Request) -> Vec<f64> {
        self.world().requests.iter().filter(|(kind, _)| *kind == request).map(|(_, at)| at.as_secs_f64()).collect()
    }

    /// How many connections stand.
    pub(super) fn open_connections(&self) -> usize {
        self.world().connections.iter().filter(|connection| connection.is_open()).count()
    }

    /// How many connections the server closed by its limits.
    pub(super) fn expired(&self) -> usize {
        self.world().expired
    }

    /// The server's time, which goes on while the client sleeps.
    fn time(&self) -> Timestamp {
        self.day + self.started.elapsed() + self.world().slept
    }

    /// The client's.
    fn time_of_day(&self) -> Timestamp {
        self.time() + self.world().set
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    // --- the requests ----------------------------------------------------

    async fn asks(&self, request: Request) -> Result<()> {
        let answer = {
            let mut world = self.world();
            world.requests.push((request, self.started.elapsed()));
            world.answers.get_mut(&request).and_then(VecDeque::pop_front).unwrap_or(Answer::Well)
        };
        tokio::time::sleep(LATENCY).await;
        let date = Timestamp::from_second(self.time().as_second()).unwrap();
        self.clock.lock().unwrap().hear(date, self.time_of_day());
        match answer {
            Answer::Well => Ok(()),
            Answer::Fail(error) => Err(error),
            Answer::Late(after) => {
                tokio::time::sleep(after).await;
                Ok(())
            }
            Answer::Never => std::future::pending().await,
        }
    }

    /// A connection, and the server's own clock for it.
    fn connect(self: &Arc<Self>) -> Session {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (cut, on_cut) = oneshot::channel();
        let now = Instant::now();
        let at = {
            let mut world = self.world();
            let at = world.connections.len();
            let delay = world.delays.get(at % world.delays.len().max(1)).copied().unwrap_or_default();
            let (frames, cut) = (Some(sender), Some(cut));
            world.connections.push(Connection { frames, cut, delay, keys: Vec::new(), opened: now, sent: now });
            at
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(due) = this.due(at) {
                if due <= Instant::now() {
                    let mut world = this.world();
                    world.expired += 1;
                    world.connections[at].frames = None;
                    return;
                }
                tokio::time::sleep_until(due).await;
            }
        });
        let frames = stream::unfold((receiver, on_cut), |(mut receiver, mut on_cut)| async move {
            tokio::select! {
                biased;
                Ok(()) = &mut on_cut => Some((Err(error(ErrorKind::Network)), (receiver, on_cut))),
                frame = arrives(&mut receiver) => Some((Ok(frame?), (receiver, on_cut))),
            }
        });
        Session::of(ClientId::new(format!("client-{at}")), frames)
    }

    /// When the server will close a connection, where it stands.
    fn due(&self, at: usize) -> Option<Instant> {
        let world = self.world();
        let connection = world.connections.get(at).filter(|connection| connection.is_open())?;
        let idle = world.idle.map(|limit| connection.sent + limit);
        let age = world.age.map(|limit| connection.opened + limit);
        idle.into_iter().chain(age).min()
    }

    /// A page, as the server answers.
    fn list(&self, request: &pages::Request) -> Page {
        let value = |key: &str| {
            let rest = request.condition.split_once(key)?.1;
            Some(rest.trim_start_matches(['\'', '"']).split(['\'', '"']).next()?.to_owned())
        };
        let (from, to, after) = (value("updated >= "), value("updated < "), value("id > "));
        let world = self.world();
        let mut items: Vec<Listed> = world.records.iter().map(|(id, record)| record.listed(id)).collect();
        let total = items.len() as u64;
        items.retain(|item| {
            from.as_ref().is_none_or(|from| item.updated >= *from)
                && to.as_ref().is_none_or(|to| item.updated < *to)
                && after.as_ref().is_none_or(|after| item.id > *after)
        });
        if request.sort != "id" {
            items.sort_by(|a, b| a.updated.cmp(&b.updated));
        }
        items.truncate(request.size);
        Page { full: items.len() == request.size, items, total: request.total.then_some(total), bytes: 0 }
    }

    fn find(&self, question: &Question) -> Found {
        if question.topic.name() != "posts/*" {
            return Found { complete: true, ..Found::default() };
        }
        let from = server_time(question.from());
        let world = self.world();
        let newer = world.records.iter().filter(|(_, record)| record.updated >= from);
        let mut changes: Vec<Listed> = newer.map(|(id, record)| record.listed(id)).collect();
        for item in &mut changes {
            let record = serde_json::from_str(&item.record).unwrap();
            item.record = world.enriched(record, self.seconds()).to_string();
        }
        changes.sort_by(|a, b| a.updated.cmp(&b.updated));
        let gone = question.remembered.iter().filter(|id| !world.records.contains_key(*id));
        Found { changes, deleted: gone.cloned().collect(), complete: true, ..Found::default() }
    }
}

async fn arrives(frames: &mut mpsc::UnboundedReceiver<(Instant, Frame)>) -> Option<Frame> {
    let (at, frame) = frames.recv().await?;
    tokio::time::sleep_until(at).await;
    Some(frame)
}

impl Record {
    fn listed(&self, id: &str) -> Listed {
        Listed {
            id: id.to_owned(),
            updated: self.updated.clone(),
            created: Some(self.created.clone()),
            record: self.json(id).to_string(),
        }
    }

    fn json(&self, id: &str) -> serde_json::Value {
        json!({ "id": id, "created": self.created, "updated": self.updated, "value": self.value })
    }
}

impl Remote for Arc<Script> {
    fn url(&self) -> &ServerUrl {
        &self.url
    }

    fn auth(&self) -> &AuthStore {
        &self.auth
    }

    fn verify(&self) -> Pending<Result<bool>> {
        let this = Arc::clone(self);
        Box::pin(async move {
            if this.auth.token().is_none() {
                return Ok(false);
            }
            this.asks(Request::Verify).await?;
            let renewed = this.world().renewed.take();
            Ok(renewed.map(|token| this.auth.save(token, None)).is_some())
        })
    }

    fn open(&self, limit: Duration) -> Pending<Result<Session>> {
        let this = Arc::clone(self);
        Box::pin(async move {
            let opened = tokio::time::timeout(limit, this.asks(Request::Open)).await;
            opened.unwrap_or_else(|_| Err(error(ErrorKind::Timeout)))?;
            Ok(this.connect())
        })
    }

    fn submit(&self, client: &ClientId, keys: Vec<String>) -> Pending<Result<()>> {
        let (this, client) = (Arc::clone(self), client.clone());
        Box::pin(async move {
            this.asks(Request::Submit).await?;
            let at: usize = client.expose().trim_start_matches("client-").parse().unwrap();
            let mut world = this.world();
            let connection = &mut world.connections[at];
            if !connection.is_open() {
                return Err(error(ErrorKind::NotFound));
            }
            connection.keys = keys;
            Ok(())
        })
    }

    fn read(&self, question: Question) -> Pending<Result<Found>> {
        let this = Arc::clone(self);
        Box::pin(async move {
            this.asks(Request::Read).await?;
            Ok(this.find(&question))
        })
    }

    fn page(&self, request: pages::Request) -> Pending<Result<Page>> {
        let this = Arc::clone(self);
        Box::pin(async move {
            this.asks(Request::Read).await?;
            Ok(this.list(&request))
        })
    }

    fn check(&self, topics: Vec<Topic>) -> Pending<Result<Vec<Verdict>>> {
        let this = Arc::clone(self);
        Box::pin(async move {
            this.asks(Request::Check).await?;
            let gone = this.world().gone;
            let verdict = |topic: &Topic| Verdict {
                topic: topic.name().to_owned(),
                severity: if gone.is_some() { Severity::Error } else { Severity::Ok },
                code: gone.unwrap_or("ok"),
                message: "by script".to_owned(),
                hint: None,
            };
            Ok(topics.iter().map(verdict).collect())
        })
    }

    fn now(&self) -> Timestamp {
        self.time_of_day()
    }

    fn server_time_at(&self, moment: Instant) -> Timestamp {
        self.clock.lock().unwrap().at(moment)
    }
}

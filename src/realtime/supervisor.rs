//! The one task that owns the connection: it does what the state machine says.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::queue::Sender;
use super::registry::{Registry, Selector, SubscriberId, Wanted};
use super::session::{Frame, Session};
use super::state::{Effect, Input, Machine, Policy, State};
use crate::event::{Cause, Connected, Deletes, Disconnected, Event, Gap, Live, Refreshed, Subscribed, Warning};
use crate::topic::{MAX_TOPICS, PB_CONNECT};
use crate::{Client, Error, ErrorKind, Result, auth, now};

/// What handles ask of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe {
        id: SubscriberId,
        sender: Sender,
        wanted: Vec<Wanted>,
        monitor: bool,
        /// Told once the server has acknowledged the topics, or refused them.
        done: Option<oneshot::Sender<Result<()>>>,
    },
    /// A handle was dropped.
    Leave(SubscriberId),
    Unsubscribe {
        selector: Selector,
        /// Told how many topics it were, once the server has acknowledged.
        done: oneshot::Sender<usize>,
    },
}

/// The settings of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) connect_timeout: Duration,
}

/// How many frames are handed on before anything else gets its turn.
const BURST: usize = 256;

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) struct Supervisor {
    client: Client,
    settings: Settings,
    commands: mpsc::UnboundedReceiver<Command>,
    drained: Arc<Notify>,
    registry: Registry,
    machine: Machine,
    started: Instant,
    opening: Option<Pending<Result<Opened>>>,
    session: Option<Session>,
    submitting: Option<Pending<Result<()>>>,
    retry_at: Option<Instant>,
    /// Who waits for the next acknowledgement.
    waiting: Vec<Waiting>,
    /// When the last connection ended, by the clock on the wall.
    lost_at: Option<jiff::Timestamp>,
    /// Names that were active when it ended.
    lost_topics: Vec<String>,
}

struct Opened {
    session: Session,
    refreshed: bool,
}

enum Waiting {
    Subscriber(SubscriberId, oneshot::Sender<Result<()>>),
    Unsubscribed(usize, oneshot::Sender<usize>),
}

/// What woke the task up.
enum Wake {
    Command(Option<Command>),
    Opened(Result<Opened>),
    Submitted(Result<()>),
    Frame(Result<Frame>),
    Retry,
    Drained,
}

impl Supervisor {
    pub(crate) fn new(
        client: Client,
        settings: Settings,
        commands: mpsc::UnboundedReceiver<Command>,
        drained: Arc<Notify>,
    ) -> Self {
        Self {
            machine: Machine::new(settings.policy.clone()),
            client,
            settings,
            commands,
            drained,
            registry: Registry::default(),
            started: Instant::now(),
            opening: None,
            session: None,
            submitting: None,
            retry_at: None,
            waiting: Vec::new(),
            lost_at: None,
            lost_topics: Vec::new(),
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Command(None) => return,
                Wake::Command(Some(command)) => self.command(command),
                Wake::Opened(Ok(opened)) => self.opened(opened),
                Wake::Opened(Err(error)) => self.input(Input::Lost(error)),
                Wake::Submitted(Ok(())) => self.input(Input::Submitted),
                Wake::Submitted(Err(error)) => self.refused(error),
                Wake::Frame(frame) => self.frames(frame),
                Wake::Retry => {
                    self.retry_at = None;
                    self.input(Input::Timer);
                }
                Wake::Drained => {}
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        let full = self.registry.is_full();
        let Self { commands, opening, session, submitting, retry_at, drained, .. } = self;
        tokio::select! {
            biased;
            command = commands.recv() => Wake::Command(command),
            result = maybe(opening.as_mut()) => { *opening = None; Wake::Opened(result) }
            result = maybe(submitting.as_mut()) => { *submitting = None; Wake::Submitted(result) }
            () = async { match *retry_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            } } => Wake::Retry,
            () = drained.notified(), if full => Wake::Drained,
            frame = async { match session {
                Some(session) => session.next().await,
                None => std::future::pending().await,
            } }, if !full => Wake::Frame(frame),
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe { id, sender, wanted, monitor, done } => {
                let total = self.registry.keys().len() + wanted.len();
                if self.machine.state() == State::Failed || total > MAX_TOPICS {
                    let error = if total > MAX_TOPICS { too_many(total) } else { gone() };
                    sender.send(Err(error.clone()));
                    if let Some(done) = done {
                        let _ = done.send(Err(error));
                    }
                    return;
                }
                self.registry.add(id, sender, wanted, monitor);
                if let Some(done) = done {
                    self.waiting.push(Waiting::Subscriber(id, done));
                }
                if !monitor {
                    self.changed();
                }
            }
            Command::Leave(id) => {
                if self.registry.remove(id, None) {
                    self.changed();
                }
            }
            Command::Unsubscribe { selector, done } => {
                let live = self.machine.state() == State::Live;
                if live && matches!(selector, Selector::All) {
                    self.announce_closed();
                }
                let count = self.registry.unsubscribe(&selector);
                self.waiting.push(Waiting::Unsubscribed(count, done));
                self.changed();
                if self.machine.state() == State::Idle || self.machine.state() == State::Backoff {
                    self.acknowledge();
                }
            }
        }
    }

    fn changed(&mut self) {
        self.input(Input::Changed { empty: self.registry.is_empty() });
    }

    fn opened(&mut self, Opened { session, refreshed }: Opened) {
        if refreshed {
            let expires = self.client.auth().expires();
            self.registry.announce(&Event::Refreshed(Refreshed { time: now(), expires }));
        }
        let client_id = session.client_id().clone();
        self.registry.announce(&Event::Connected(Connected {
            time: now(),
            url: self.client.url().as_str().to_owned(),
            client_id: client_id.clone(),
        }));
        self.registry.deliver(PB_CONNECT, format!(r#"{{"clientId":"{client_id}"}}"#));
        self.session = Some(session);
        self.input(Input::Opened);
    }

    /// The server does not take the topics. Those that wait for their first
    /// acknowledgement are to blame; the rest keeps what it had.
    fn refused(&mut self, error: Error) {
        let about_topics = matches!(error.kind(), ErrorKind::BadRequest | ErrorKind::Forbidden);
        if self.machine.state() == State::Live && about_topics {
            let (newcomers, rest): (Vec<_>, Vec<_>) =
                self.waiting.drain(..).partition(|waiting| matches!(waiting, Waiting::Subscriber(..)));
            self.waiting = rest;
            if !newcomers.is_empty() {
                for waiting in newcomers {
                    if let Waiting::Subscriber(id, done) = waiting {
                        self.registry.remove(id, Some(error.clone()));
                        let _ = done.send(Err(error.clone()));
                    }
                }
                // Without them, the set is again what the server has.
                self.input(Input::Submitted);
                self.changed();
                return;
            }
        }
        self.input(Input::Lost(error));
    }

    fn frames(&mut self, first: Result<Frame>) {
        let mut next = Some(first);
        for _ in 0..BURST {
            match next.take() {
                None => return,
                Some(Err(error)) => {
                    self.input(Input::Lost(error));
                    return;
                }
                Some(Ok(frame)) => self.frame(frame),
            }
            if self.registry.is_full() {
                return;
            }
            let Some(session) = &mut self.session else { return };
            next = session.next().now_or_never();
        }
        // A turn is over; what was taken out last must not be lost.
        if let Some(Ok(frame)) = next {
            self.frame(frame);
        } else if let Some(Err(error)) = next {
            self.input(Input::Lost(error));
        }
    }

    fn frame(&mut self, frame: Frame) {
        tracing::trace!(target: "bosbase_watch::stream", key = %frame.key, bytes = frame.data.len(), "event");
        if let Some(session) = &self.session
            && session.take_mended()
        {
            self.warn("invalid-utf8", "the server sent bytes that are not UTF-8; they are shown as U+FFFD");
        }
        if frame.key == PB_CONNECT {
            self.warn("reconnected-inside", "the server named the connection a second time; this is ignored");
        } else if !self.registry.deliver(&frame.key, frame.data) {
            tracing::debug!(target: "bosbase_watch::stream", key = %frame.key, "an event for a topic that nobody asked for");
        }
    }

    fn warn(&self, code: &'static str, message: &str) {
        self.registry.announce(&Event::Warning(Warning { time: now(), code, message: message.to_owned() }));
    }

    fn input(&mut self, input: Input) {
        if matches!(input, Input::Lost(_)) && self.machine.state() == State::Live {
            self.lost_at = Some(now());
            self.lost_topics = self.registry.names();
        }
        let was_live = self.machine.state() == State::Live;
        let acknowledged = matches!(input, Input::Submitted);
        tracing::trace!(target: "bosbase_watch::state", state = ?self.machine.state(), ?input);
        for effect in self.machine.step(input, self.started.elapsed(), fastrand::f64()) {
            self.effect(effect);
        }
        if acknowledged && was_live && self.submitting.is_none() && self.machine.state() == State::Live {
            self.announce_subscribed();
            self.acknowledge();
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Open => {
                let (client, limit) = (self.client.clone(), self.settings.connect_timeout);
                self.opening = Some(Box::pin(async move {
                    let refreshed = auth::verify(&client).await?;
                    let session = Session::open(&client, limit).await?;
                    Ok(Opened { session, refreshed })
                }));
            }
            Effect::Submit => {
                let Some(session) = &self.session else { return };
                let (client, id, keys) = (self.client.clone(), session.client_id().clone(), self.registry.keys());
                self.submitting = Some(Box::pin(async move { client.submit(id.expose(), &keys).await }));
            }
            Effect::Close => {
                self.opening = None;
                self.session = None;
                self.submitting = None;
                self.retry_at = None;
            }
            Effect::AnnounceLive { after } => self.announce_live(after),
            Effect::Retry { error, retry, attempt } => {
                self.retry_at = Some(Instant::now() + retry);
                self.registry.announce(&Event::Disconnected(Disconnected {
                    time: now(),
                    topics: self.registry.names(),
                    cause: Cause::of(&error),
                    detail: error.to_string(),
                    retry: Some(retry),
                    attempt,
                }));
            }
            Effect::Fail(error) => {
                self.registry.fail(&error);
                for waiting in self.waiting.drain(..) {
                    match waiting {
                        Waiting::Subscriber(_, done) => drop(done.send(Err(error.clone()))),
                        Waiting::Unsubscribed(count, done) => drop(done.send(count)),
                    }
                }
            }
            Effect::AnnounceClosed => self.announce_closed(),
        }
    }

    fn announce_live(&mut self, after: Option<Duration>) {
        self.announce_subscribed();
        let time = now();
        if after.is_some() {
            // What was missed is not read again yet: it is said, for every topic.
            self.registry.announce(&Event::Gap(Gap {
                time,
                from: self.lost_at.take().unwrap_or(time),
                to: time,
                filled: Vec::new(),
                unfilled: std::mem::take(&mut self.lost_topics),
                replayed: 0,
                deletes: Deletes::Unknown,
            }));
        }
        self.registry.announce(&Event::Live(Live { time, initial: 0, replayed: 0 }));
        self.acknowledge();
    }

    fn announce_subscribed(&self) {
        self.registry.announce(&Event::Subscribed(Subscribed {
            time: now(),
            topics: self.registry.names(),
            auth: self.client.auth().account(),
        }));
    }

    fn announce_closed(&self) {
        self.registry.announce(&Event::Disconnected(Disconnected {
            time: now(),
            topics: Vec::new(),
            cause: Cause::Closed,
            detail: "unsubscribed".to_owned(),
            retry: None,
            attempt: 0,
        }));
    }

    fn acknowledge(&mut self) {
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Subscriber(_, done) => drop(done.send(Ok(()))),
                Waiting::Unsubscribed(count, done) => drop(done.send(count)),
            }
        }
    }
}

async fn maybe<T>(pending: Option<&mut Pending<T>>) -> T {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

fn too_many(total: usize) -> Error {
    Error::new(
        ErrorKind::InvalidTopic,
        format!("{total} topics are more than the {MAX_TOPICS} that the server allows one client"),
    )
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, "the realtime connection has been given up")
}

//! The one task that owns the connection: it does what the state machine says.

mod before;
mod change;
mod clocks;
mod missed;
mod poll;
mod recheck;

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::backlog::Piece;
use super::backoff;
use super::catch_up::CLOCK_ERROR;
use super::limits::Limits;
use super::overlap::{Overlap, Shadow, Unlike};
use super::queue::Sender;
use super::registry::{Delivered, Manner, Registry, Selector, SubscriberId, Wanted};
use super::remote::{Pending, Remote};
use super::session::{Frame, Session, too_slow};
use super::state::{Effect, Handover, Input, Machine, OldEnd, Policy, State};
use crate::event::{Cause, Connected, Deletes, Disconnected, Event, Gap, Live, Refreshed, Subscribed, Warning};
use crate::topic::{MAX_TOPICS, PB_CONNECT};
use crate::{Error, ErrorKind, Result};
use before::Backlogs;
use change::Sets;
use clocks::Clocks;
use missed::{Answers, Check, Loss, UNREAD_PAUSE};
use poll::Polling;
use recheck::{Recheck, Rechecked};

/// What handles ask of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe {
        id: SubscriberId,
        sender: Sender,
        wanted: Vec<Wanted>,
        manner: Manner,
        /// Told once the server has acknowledged the topics, or refused them.
        done: Option<oneshot::Sender<Result<()>>>,
    },
    /// Another topic for a subscriber.
    Extend { id: SubscriberId, wanted: Box<Wanted>, done: oneshot::Sender<Result<()>> },
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
    /// Whether a change of what is subscribed is made by a handover.
    pub(crate) hand_over_changes: bool,
    /// The topics were found to be there before they were subscribed.
    pub(crate) checked: bool,
    /// How often the lists are read besides the feed.
    pub(crate) poll: Option<Duration>,
    /// Chance: a number from 0 to 1.
    pub(crate) jitter: fn() -> f64,
}

/// How many frames are handed on before anything else gets its turn.
const BURST: usize = 256;

/// How often the connection is asked for more before anything else is looked at: where each event
/// is a chunk of its own, that takes longer than the event.
const TURNS: usize = 64;

/// Not every event is asked when it was made: the overlap of what is read again
/// is a hundred times as long.
const HEED_PAUSE: Duration = Duration::from_millis(100);

/// How many bytes of live frames are held while it is caught up; beyond them nothing is read.
const HELD: usize = 64 * 1024 * 1024;

/// After a failed handover the next one is not tried sooner: after the second twice as long, and so on.
const HANDOVER_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_HANDOVER_PAUSE: Duration = Duration::from_secs(30);

pub(crate) struct Supervisor {
    remote: Arc<dyn Remote>,
    settings: Settings,
    commands: mpsc::UnboundedReceiver<Command>,
    drained: Arc<Notify>,
    registry: Registry,
    machine: Machine,
    started: Instant,
    limits: Limits,
    clocks: Clocks,

    opening: Option<Pending<Result<Opened>>>,
    active: Option<Link>,
    submitting: Option<Pending<Result<()>>>,
    retry_at: Option<Instant>,
    /// Who waits for the next acknowledgement.
    waiting: Vec<Waiting>,
    /// That everything was unsubscribed has been said, before the last streams ended.
    closed_said: bool,

    sets: Sets,
    /// What the connection in use was sent last, and the second one.
    active_keys: HashSet<String>,
    /// What it was sent before that.
    former_keys: HashSet<String>,
    next_keys: HashSet<String>,
    /// Topics that were live on a second connection only, which broke.
    orphans: HashSet<String>,

    /// The second connection of a handover.
    next: Next,
    /// Twins that may still come after a handover.
    shadow: Option<Shadow>,
    /// When the token has to be renewed, which a handover does.
    renew_at: Option<Instant>,
    /// No handover before this moment.
    handover_after: Option<Instant>,
    /// How many have failed, one after the other.
    failed_handovers: u32,

    loss: Option<Loss>,
    /// It outlives the connection that it began on: where lives are short it would never end.
    catching_up: Option<Pending<Answers>>,
    /// When that began.
    reading_since: Option<Instant>,
    /// Live frames that wait for the end of the catching up.
    held: Vec<(Frame, Timestamp)>,
    held_bytes: usize,

    /// When the newest change that came was made, by the server's clock.
    newest: Option<Timestamp>,
    /// Until then no event is asked for that.
    heed_after: Option<Instant>,
    /// When something came last that does not say when it was made.
    heard_unstamped: Option<Instant>,

    /// The moment up to which everything was read; some topics were compared with their lists since.
    verified: Option<Instant>,
    /// When that was last done.
    compared: Option<Instant>,
    check: Check,
    /// When what could not be read again is tried once more, and how long it is waited the next time.
    unread_at: Option<Instant>,
    unread_pause: Duration,
    polling: Polling,
    /// Where the next comparison begins, when there are more topics than one takes.
    check_offset: usize,

    /// What is read for those who begin before now.
    backlogs: Backlogs,
    /// Whose was read to its end while the connection was lost.
    read_to_the_end: Vec<SubscriberId>,
    /// Which topics would still deliver.
    recheck: Recheck,
}

/// A connection that the server has named.
struct Link {
    session: Session,
    since: Instant,
    /// The last sign that it carries events: a frame, or the server's acknowledgement.
    heard: Instant,
    longest_idle: Duration,
    /// What it was warned of.
    said: Vec<&'static str>,
}

#[derive(Default)]
enum Next {
    #[default]
    None,
    Opening(Pending<Result<Opened>>),
    /// Until the acknowledgement, the request.
    Overlap {
        link: Box<Link>,
        submitting: Option<Pending<Result<()>>>,
        overlap: Box<Overlap>,
    },
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
    Timer(Timer),
    Drained,
    CaughtUp(Answers),
    NextOpened(Result<Opened>),
    NextSubmitted(Result<()>),
    NextFrame(Result<Frame>),
    Checked(Answers),
    Before(SubscriberId, Piece),
    Rechecked(Rechecked),
}

/// Which timer ran out.
#[derive(Debug, Clone, Copy)]
enum Timer {
    Retry,
    Handover,
    Overlap,
    Suspicion,
    Poll,
    Unread,
    Clocks,
}

impl Supervisor {
    pub(crate) fn new(
        remote: Arc<dyn Remote>,
        settings: Settings,
        commands: mpsc::UnboundedReceiver<Command>,
        drained: Arc<Notify>,
    ) -> Self {
        let polling = Polling::new(settings.poll);
        Self {
            registry: Registry::default(),
            machine: Machine::new(settings.policy.clone()),
            clocks: Clocks::at(remote.now()),
            remote,
            settings,
            commands,
            drained,
            started: Instant::now(),
            limits: Limits::default(),
            opening: None,
            active: None,
            submitting: None,
            retry_at: None,
            waiting: Vec::new(),
            closed_said: false,
            sets: Sets::default(),
            active_keys: HashSet::new(),
            former_keys: HashSet::new(),
            next_keys: HashSet::new(),
            orphans: HashSet::new(),
            next: Next::None,
            shadow: None,
            renew_at: None,
            handover_after: None,
            failed_handovers: 0,
            loss: None,
            catching_up: None,
            reading_since: None,
            held: Vec::new(),
            held_bytes: 0,
            newest: None,
            heed_after: None,
            heard_unstamped: None,
            verified: None,
            compared: None,
            check: Check::Idle,
            unread_at: None,
            unread_pause: UNREAD_PAUSE,
            polling,
            check_offset: 0,
            backlogs: Backlogs::new(),
            read_to_the_end: Vec::new(),
            recheck: Recheck::default(),
        }
    }

    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self) {
        loop {
            match self.wake().await {
                Wake::Command(None) => return,
                Wake::Command(Some(command)) => self.command(command),
                Wake::Opened(Ok(opened)) => self.opened(opened),
                Wake::Opened(Err(error)) => {
                    // A server that does not take the next connection was restarted: that close
                    // taught nothing, and its limits may be others now.
                    if let Some(loss) = &mut self.loss {
                        loss.closed = None;
                    }
                    if matches!(error.kind(), ErrorKind::Refused | ErrorKind::Server) {
                        self.limits = Limits::default();
                    }
                    self.input(Input::Lost(error));
                }
                Wake::Submitted(Ok(())) => {
                    if let Some(link) = &mut self.active {
                        link.heard = Instant::now();
                    }
                    self.input(Input::Submitted);
                }
                Wake::Submitted(Err(error)) => self.refused(error),
                Wake::Frame(frame) => {
                    // What comes in one turn comes at one time.
                    let (now, time) = (Instant::now(), self.remote.now());
                    let mut more = self.frames(frame, now, time);
                    for _ in 0..TURNS {
                        if more {
                            break;
                        }
                        // The connection has a task of its own, which brings one chunk at a time.
                        give_way().await;
                        let Some(frame) = self.arrived() else { break };
                        more = self.frames(frame, now, time);
                    }
                    if more {
                        // Who reads gets a turn, so that little has to wait in between.
                        tokio::task::yield_now().await;
                    }
                }
                Wake::Timer(timer) => self.timer(timer),
                Wake::Drained => {}
                Wake::CaughtUp(answers) => self.caught_up(&answers),
                Wake::NextOpened(Ok(opened)) => self.next_opened(opened),
                Wake::NextSubmitted(Ok(())) => {
                    if let Next::Overlap { link, overlap, .. } = &mut self.next {
                        link.heard = Instant::now();
                        let lasts = self.active.as_ref().map_or(Duration::ZERO, |old| {
                            self.limits.lasts(link.heard - old.since, link.heard - old.heard)
                        });
                        overlap.subscribed(link.heard, lasts);
                    }
                    self.next_has_its_set();
                    self.input(Input::NextSubmitted);
                }
                Wake::NextOpened(Err(error)) | Wake::NextSubmitted(Err(error)) | Wake::NextFrame(Err(error)) => {
                    self.next_failed(error);
                }
                // What only the second connection is subscribed to has no twin.
                Wake::NextFrame(Ok(frame)) if !self.old_connection_has(&frame.key) => {
                    self.deliver(frame, Instant::now(), self.remote.now());
                }
                Wake::NextFrame(Ok(frame)) => {
                    if let Next::Overlap { link, overlap, .. } = &mut self.next {
                        link.heard = Instant::now();
                        overlap.take_new_frame(frame, link.heard);
                    }
                }
                Wake::Checked(answers) => self.checked(answers),
                Wake::Before(id, piece) => self.piece(id, piece),
                Wake::Rechecked(found) => self.checked_again(found),
            }
            self.tell_progress();
        }
    }

    async fn wake(&mut self) -> Wake {
        let full = self.registry.is_full() || self.held_bytes > HELD;
        let reading = self.machine.state() == State::CatchingUp;
        let (at, timer) = self.next_timer();
        let Self {
            commands, opening, active, submitting, drained, catching_up, next, check, recheck, backlogs, ..
        } = self;
        let (next_opening, next_submitting, next_link) = match next {
            Next::None => (None, None, None),
            Next::Opening(opening) => (Some(opening), None, None),
            Next::Overlap { link, submitting, .. } => (None, submitting.as_mut(), Some(link)),
        };
        let checking = match check {
            Check::Reading { answers, .. }
            | Check::Polling { answers, .. }
            | Check::Unread { answers, .. }
            | Check::Mending { answers, .. } => Some(answers),
            _ => None,
        };
        // Each future is dropped before its place is cleared, so that is done by who handles the result.
        let wake = tokio::select! {
            biased;
            command = commands.recv() => Wake::Command(command),
            result = maybe(opening.as_mut()) => Wake::Opened(result),
            result = maybe(submitting.as_mut()) => Wake::Submitted(result),
            answers = maybe(catching_up.as_mut().filter(|_| reading)) => Wake::CaughtUp(answers),
            result = maybe(next_opening) => Wake::NextOpened(result),
            result = maybe(next_submitting) => Wake::NextSubmitted(result),
            answers = maybe(checking) => Wake::Checked(answers),
            found = maybe(recheck.pending.as_mut()) => Wake::Rechecked(found),
            () = sleep_until(at) => Wake::Timer(timer),
            Some((id, piece)) = backlogs.next(), if !backlogs.is_empty() => Wake::Before(id, piece),
            () = drained.notified(), if full => Wake::Drained,
            frame = next_frame(next_link.map(|link| &mut link.session)), if !full => Wake::NextFrame(frame),
            frame = next_frame(active.as_mut().map(|link| &mut link.session)), if !full => Wake::Frame(frame),
        };
        match &wake {
            Wake::Opened(_) => self.opening = None,
            Wake::Submitted(_) => self.submitting = None,
            Wake::CaughtUp(_) => self.catching_up = None,
            Wake::Rechecked(_) => self.recheck.pending = None,
            Wake::NextOpened(_) => self.next = Next::None,
            Wake::NextSubmitted(_) => {
                if let Next::Overlap { submitting, .. } = &mut self.next {
                    *submitting = None;
                }
            }
            _ => {}
        }
        wake
    }

    /// The timer that runs out first.
    fn next_timer(&self) -> (Option<Instant>, Timer) {
        let mut first = (None, Timer::Clocks);
        let mut consider = |at: Option<Instant>, timer| {
            if let Some(at) = at
                && first.0.is_none_or(|have| at < have)
            {
                first = (Some(at), timer);
            }
        };
        consider(self.retry_at, Timer::Retry);
        // What was not read yet would go with the old connection.
        let full = self.registry.is_full();
        if let (State::Live, Some(link)) = (self.machine.state(), &self.active)
            && self.submitting.is_none()
            && !full
        {
            let now = Instant::now();
            let due = now + self.limits.left(now - link.since, now - link.heard);
            let due = self.renew_at.map_or(due, |renew| due.min(renew));
            let due = if self.change_is_due() { now } else { due };
            consider(Some(self.handover_after.map_or(due, |after| due.max(after))), Timer::Handover);
        }
        if let (State::HandingOver(Handover::Overlap), Next::Overlap { overlap, .. }) =
            (self.machine.state(), &self.next)
            && !full
        {
            // Who has missed something waits for it, too.
            let soon = self.change_waits() || !self.orphans.is_empty();
            consider(overlap.ends_at(soon), Timer::Overlap);
        }
        if let Check::Suspecting { until, .. } = &self.check {
            consider(Some(*until), Timer::Suspicion);
        }
        consider(self.poll_at(), Timer::Poll);
        consider(self.unread_due(), Timer::Unread);
        if self.active.is_some() {
            consider(Some(self.clocks.since + clocks::TICK), Timer::Clocks);
        }
        first
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Retry => {
                self.retry_at = None;
                self.input(Input::Timer);
            }
            Timer::Handover => self.input(Input::HandoverDue),
            Timer::Overlap => self.input(Input::OverlapDone),
            Timer::Suspicion => self.confirm_suspicions(),
            Timer::Poll => self.poll(),
            Timer::Unread => self.read_unread(),
            Timer::Clocks => {
                let Some(jump) = self.clocks.jump(self.remote.now()) else {
                    self.clocks = Clocks::at(self.remote.now());
                    return;
                };
                let error = Error::new(
                    ErrorKind::Timeout,
                    format!("the clock jumped by {} s: the machine slept, or its clock was set", jump.as_secs()),
                );
                self.input(Input::Jumped(error));
                self.clocks = Clocks::at(self.remote.now());
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe { id, sender, wanted, manner, done } => {
                let total = self.registry.count_with(&wanted);
                if self.machine.state() == State::Failed || total > MAX_TOPICS {
                    let error = if total > MAX_TOPICS { too_many(total) } else { gone() };
                    sender.send(Err(error.clone()));
                    if let Some(done) = done {
                        let _ = done.send(Err(error));
                    }
                    return;
                }
                let monitor = manner.monitor;
                self.registry.add(id, sender, wanted, manner);
                self.registry.set_known(id, Instant::now());
                if let Some(done) = done {
                    self.waiting.push(Waiting::Subscriber(id, done));
                }
                if !monitor {
                    self.changed();
                }
            }
            Command::Extend { id, wanted, done } => {
                let total = self.registry.count_with(std::slice::from_ref(&*wanted));
                let refused = if total > MAX_TOPICS {
                    Some(too_many(total))
                } else {
                    self.registry.extend(id, *wanted, Instant::now()).err()
                };
                if let Some(error) = refused {
                    let _ = done.send(Err(error));
                } else {
                    self.waiting.push(Waiting::Subscriber(id, done));
                    self.changed();
                }
            }
            Command::Leave(id) => {
                if self.registry.remove(id, None) {
                    self.changed();
                }
            }
            Command::Unsubscribe { selector, done } => {
                // The streams of those who have no topics left end with it.
                let live = matches!(self.machine.state(), State::CatchingUp | State::Live | State::HandingOver(_));
                if live && matches!(selector, Selector::All) {
                    self.announce_closed();
                    self.closed_said = true;
                }
                let count = self.registry.unsubscribe(&selector);
                if count == 0 {
                    let _ = done.send(0);
                    return;
                }
                self.waiting.push(Waiting::Unsubscribed(count, done));
                self.changed();
                if matches!(self.machine.state(), State::Idle | State::Backoff | State::Failed) {
                    self.acknowledge();
                }
            }
        }
    }

    fn opened(&mut self, Opened { session, refreshed }: Opened) {
        self.announce_refreshed(refreshed);
        if let Some((age, idle)) = self.loss.as_mut().and_then(|loss| loss.closed.take()) {
            self.limits.closed(age, idle);
        }
        let client_id = session.client_id().clone();
        self.registry.announce(&Event::Connected(Connected {
            time: self.remote.now(),
            url: self.remote.url().as_str().to_owned(),
            client_id: client_id.clone(),
        }));
        let hello = format!(r#"{{"clientId":"{client_id}"}}"#);
        self.registry.deliver(PB_CONNECT, hello.into(), self.remote.now(), false);
        self.active = Some(Link::new(session));
        self.clocks = Clocks::at(self.remote.now());
        self.input(Input::Opened);
    }

    fn next_opened(&mut self, Opened { session, refreshed }: Opened) {
        self.announce_refreshed(refreshed);
        tracing::debug!(target: "bosbase_watch::handover", "to client {}", session.client_id());
        self.next = Next::Overlap { link: Box::new(Link::new(session)), submitting: None, overlap: Box::default() };
        self.input(Input::NextOpened);
    }

    /// The old connection stands: the next attempt has time.
    fn handover_failed(&mut self, error: Error) {
        tracing::debug!(target: "bosbase_watch::handover", "failed: {error}");
        let pause = HANDOVER_PAUSE.saturating_mul(2_u32.saturating_pow(self.failed_handovers.min(16)));
        self.failed_handovers += 1;
        let pause = pause.min(LONGEST_HANDOVER_PAUSE).max(backoff::asked(&error));
        self.handover_after = Some(Instant::now() + pause);
        self.input(Input::NextLost(error));
    }

    fn announce_refreshed(&mut self, refreshed: bool) {
        self.renew_at = self.remote.auth().renew_in(self.server_time(Instant::now())).map(|left| Instant::now() + left);
        if refreshed {
            let expires = self.remote.auth().expires();
            self.registry.announce(&Event::Refreshed(Refreshed { time: self.remote.now(), expires }));
        }
    }

    /// A frame that is there already, where it is wanted and nothing else may be.
    fn arrived(&mut self) -> Option<Result<Frame>> {
        if !matches!(self.next, Next::None) || self.registry.is_full() || self.held_bytes > HELD {
            return None;
        }
        self.active.as_mut()?.session.next().now_or_never()
    }

    /// Hands on what has arrived. Whether there may be more.
    fn frames(&mut self, first: Result<Frame>, now: Instant, time: Timestamp) -> bool {
        let mut next = Some(first);
        if let (Some(link), Some(Ok(_))) = (&mut self.active, &next) {
            link.longest_idle = link.longest_idle.max(now - link.heard);
            link.heard = now;
        }
        for _ in 0..BURST {
            match next.take() {
                None => return false,
                Some(Err(error)) => {
                    self.input(Input::Lost(error));
                    return false;
                }
                Some(Ok(frame)) => self.frame(frame, now, time),
            }
            if self.registry.is_full() || self.held_bytes > HELD {
                return false;
            }
            let Some(link) = &mut self.active else { return false };
            next = link.session.next().now_or_never();
        }
        // A turn is over; what was taken out last must not be lost.
        match next {
            Some(Ok(frame)) => self.frame(frame, now, time),
            Some(Err(error)) => self.input(Input::Lost(error)),
            None => return false,
        }
        true
    }

    /// A frame of the connection that is in use.
    fn frame(&mut self, frame: Frame, now: Instant, time: Timestamp) {
        if let Some(link) = &self.active
            && link.session.take_mended()
        {
            self.warn_once("invalid-utf8", "the server sent bytes that are not UTF-8; they are shown as U+FFFD");
        }
        if frame.key == PB_CONNECT {
            self.warn_once("second-pb-connect", "the server named the connection a second time; this is ignored");
            return;
        }
        if self.machine.state() == State::CatchingUp {
            self.held_bytes += frame.data.len() + frame.key.len();
            self.held.push((frame, time));
            return;
        }
        let both = matches!(self.next, Next::Overlap { .. }) && self.next_connection_has(&frame.key);
        if let (true, Next::Overlap { overlap, .. }) = (both, &mut self.next) {
            overlap.take_old_frame(&frame, now);
        }
        if let Some(shadow) = &mut self.shadow {
            if shadow.is_over(now) {
                self.shadow = None;
            } else if shadow.drops(&frame, now) {
                return;
            }
        }
        self.deliver(frame, now, time);
    }

    fn deliver(&mut self, frame: Frame, now: Instant, time: Timestamp) {
        let Frame { key, data } = frame;
        let heed = self.heed_after.is_none_or(|after| now >= after);
        match self.registry.deliver(&key, data, time, heed) {
            Delivered::Stamped(None) => {}
            Delivered::Stamped(Some(stamp)) => {
                self.heed_after = Some(now + HEED_PAUSE);
                // One from the future says nothing.
                let latest = self.server_time(now);
                if stamp <= latest + CLOCK_ERROR {
                    self.newest = self.newest.max(Some(stamp.min(latest)));
                }
            }
            Delivered::Unstamped => self.heard_unstamped = Some(now),
            Delivered::Unwanted => {
                let name = key.split('?').next().unwrap_or_default();
                tracing::debug!(target: "bosbase_watch::stream", "{name}: an event for a topic that nobody asked for");
                // What was just unsubscribed may still be on its way.
                let was_asked_for = [&self.active_keys, &self.former_keys].iter().any(|keys| keys.contains(&key));
                if !was_asked_for {
                    let name: String = name.chars().take(100).collect();
                    self.warn_once("unwanted-event", &format!("the server sends events that nobody asked for: {name}"));
                }
            }
        }
    }

    /// Once a connection: a server may do it with each frame.
    fn warn_once(&mut self, code: &'static str, message: &str) {
        if let Some(link) = &mut self.active {
            if link.said.contains(&code) {
                return;
            }
            link.said.push(code);
        }
        self.warn(code, message);
    }

    fn warn(&mut self, code: &'static str, message: &str) {
        let time = self.remote.now();
        self.registry.announce(&Event::Warning(Warning { time, code, message: message.to_owned() }));
    }

    fn input(&mut self, input: Input) {
        let before = self.machine.state();
        match &input {
            // The new connection has everything.
            Input::Lost(_) if before == State::HandingOver(Handover::Overlap) => {}
            Input::Lost(error) | Input::Jumped(error) => self.note_loss(before, error),
            // Whoever subscribes next has missed nothing.
            Input::Changed { empty: true } => {
                (self.loss, self.catching_up, self.reading_since) = (None, None, None);
            }
            _ => {}
        }
        let acknowledged = matches!(input, Input::Submitted);
        tracing::debug!(target: "bosbase_watch::trace::state", state = ?before, ?input);
        for effect in self.machine.step(input, self.started.elapsed(), (self.settings.jitter)()) {
            self.effect(effect);
        }
        let was_live = matches!(before, State::CatchingUp | State::Live | State::HandingOver(_));
        if acknowledged && was_live && self.submitting.is_none() && self.active.is_some() {
            self.announce_subscribed();
            self.acknowledge();
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Open => self.opening = Some(self.open()),
            Effect::Submit => {
                if let Some(link) = &self.active {
                    self.submitting = Some(self.submit(&link.session));
                    let keys = self.registry.keys().into_iter().collect();
                    self.former_keys = std::mem::replace(&mut self.active_keys, keys);
                    self.sets.sent();
                }
            }
            Effect::Close => {
                self.opening = None;
                self.active = None;
                self.submitting = None;
                self.retry_at = None;
                self.next = Next::None;
                self.handover_after = None;
                self.failed_handovers = 0;
                self.shadow = None;
                self.check = Check::Idle;
                self.orphans.clear();
                self.recheck.pending = None;
            }
            Effect::CatchUp => self.catch_up(),
            Effect::ReleaseHeld => self.release_held(),
            Effect::OpenNext => self.next = Next::Opening(self.open()),
            Effect::SubmitNext => {
                let request = match &self.next {
                    Next::Overlap { link, .. } => Some(self.submit(&link.session)),
                    _ => None,
                };
                if let Next::Overlap { submitting, .. } = &mut self.next {
                    *submitting = request;
                }
                self.next_keys = self.registry.keys().into_iter().collect();
                self.sets.sent_over_next();
            }
            Effect::BeginOverlap => {}
            Effect::Promote { old } => self.promote(old),
            Effect::DropNext => {
                // What it held has come, or will come, over the old connection.
                self.next = Next::None;
                let pause = Instant::now() + HANDOVER_PAUSE;
                self.handover_after = self.handover_after.max(Some(pause));
            }
            Effect::AnnounceLive { after } => self.announce_live(after),
            Effect::Retry { error, retry, attempt } => {
                // What was unsubscribed is not subscribed again.
                for waiting in std::mem::take(&mut self.waiting) {
                    match waiting {
                        Waiting::Unsubscribed(count, done) => drop(done.send(count)),
                        subscriber @ Waiting::Subscriber(..) => self.waiting.push(subscriber),
                    }
                }
                self.retry_at = Some(Instant::now() + retry);
                self.registry.announce(&Event::Disconnected(Disconnected {
                    time: self.remote.now(),
                    topics: self.registry.names(),
                    cause: Cause::of(&error),
                    detail: error.to_string(),
                    retry: Some(retry),
                    attempt,
                }));
            }
            Effect::Fail(error) => {
                // What was live is told as lost, also where it does not come back.
                if self.verified.is_some() {
                    self.registry.announce(&Event::Disconnected(Disconnected {
                        time: self.remote.now(),
                        topics: self.registry.names(),
                        cause: Cause::of(&error),
                        detail: error.to_string(),
                        retry: None,
                        attempt: 0,
                    }));
                }
                self.registry.fail(&error);
                self.backlogs.clear();
                for waiting in self.waiting.drain(..) {
                    match waiting {
                        Waiting::Subscriber(_, done) => drop(done.send(Err(error.clone()))),
                        Waiting::Unsubscribed(count, done) => drop(done.send(count)),
                    }
                }
            }
            Effect::AnnounceClosed if std::mem::take(&mut self.closed_said) => {}
            Effect::AnnounceClosed => self.announce_closed(),
        }
    }

    fn open(&self) -> Pending<Result<Opened>> {
        let (remote, limit) = (Arc::clone(&self.remote), self.settings.connect_timeout);
        let proof = self.within_limit("confirm the login", self.remote.verify());
        Box::pin(async move {
            let refreshed = proof.await?;
            let session = remote.open(limit).await?;
            Ok(Opened { session, refreshed })
        })
    }

    fn submit(&self, session: &Session) -> Pending<Result<()>> {
        self.within_limit("take the topics", self.remote.submit(session.client_id(), self.registry.keys()))
    }

    /// A phase of the handshake, which must not take longer than the limit.
    fn within_limit<T: 'static>(&self, phase: &'static str, request: Pending<Result<T>>) -> Pending<Result<T>> {
        let (remote, limit) = (Arc::clone(&self.remote), self.settings.connect_timeout);
        Box::pin(async move {
            let answer = tokio::time::timeout(limit, request).await;
            answer.unwrap_or_else(|_| Err(too_slow(remote.url(), phase, limit)))
        })
    }

    /// The second connection takes over.
    fn promote(&mut self, old: OldEnd) {
        let Next::Overlap { link, overlap, .. } = std::mem::take(&mut self.next) else { return };
        let now = Instant::now();
        if let Some(link) = self.active.replace(*link) {
            self.limits.stands(now - link.since, link.longest_idle);
        }
        self.submitting = None;
        self.failed_handovers = 0;
        self.former_keys = std::mem::replace(&mut self.active_keys, std::mem::take(&mut self.next_keys));
        self.sets.promoted();
        let whole = match old {
            OldEnd::LetGo => !overlap.is_stalled(now),
            OldEnd::Closed => overlap.has_settled(now),
            OldEnd::Broken => false,
        };
        let unlike = match (self.registry.has_computed(), whole) {
            (true, _) => Unlike::Known,
            (false, true) => Unlike::Paired,
            (false, false) => Unlike::Never,
        };
        let (held, shadow) = overlap.finish(old != OldEnd::LetGo, unlike, now);
        for frame in held {
            self.deliver(frame, now, self.remote.now());
        }
        self.shadow = (!shadow.is_over(now)).then_some(shadow);
        tracing::debug!(target: "bosbase_watch::handover", "done");
        self.look_back(whole);
        self.check_topics_again();
    }

    fn server_time(&self, moment: Instant) -> Timestamp {
        self.remote.server_time_at(moment)
    }

    // --- what is said ----------------------------------------------------

    fn announce_live(&mut self, after: Option<Duration>) {
        let time = self.remote.now();
        if after.is_none() || !self.settings.policy.catch_up {
            self.announce_subscribed();
        }
        if let Some(loss) = self.loss.take() {
            // It was not read again: it is said, for every topic.
            self.registry.set_all_unread(loss.known.1, false);
            self.registry.announce(&Event::Gap(Gap {
                time,
                from: loss.from,
                to: self.server_time(Instant::now()),
                filled: Vec::new(),
                unfilled: loss.topics,
                replayed: 0,
                deletes: Deletes::Unknown,
                left: 0,
            }));
        }
        let moment = self.reading_since.take().unwrap_or_else(Instant::now);
        self.set_verified(moment);
        self.tell_progress();
        self.poll_later(Instant::now());
        self.registry.announce(&Event::Live(Live { time, initial: 0, replayed: 0 }));
        self.live_at_last();
        if after.is_some() {
            self.check_topics_again();
        }
        // Topics that came while it caught up are still being sent.
        if self.submitting.is_none() && !self.change_is_due() {
            self.acknowledge();
        }
    }

    fn announce_subscribed(&mut self) {
        self.registry.announce(&Event::Subscribed(Subscribed {
            time: self.remote.now(),
            topics: self.registry.names(),
            auth: self.remote.auth().account(),
        }));
    }

    fn announce_closed(&mut self) {
        self.registry.announce(&Event::Disconnected(Disconnected {
            time: self.remote.now(),
            topics: Vec::new(),
            cause: Cause::Closed,
            detail: "unsubscribed".to_owned(),
            retry: None,
            attempt: 0,
        }));
    }

    fn acknowledge(&mut self) {
        self.registry.acknowledge();
        if matches!(self.machine.state(), State::CatchingUp | State::Live | State::HandingOver(_)) {
            self.read_before();
        }
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Subscriber(_, done) => drop(done.send(Ok(()))),
                Waiting::Unsubscribed(count, done) => drop(done.send(count)),
            }
        }
    }
}

impl Link {
    fn new(session: Session) -> Self {
        let now = Instant::now();
        Self { session, since: now, heard: now, longest_idle: Duration::ZERO, said: Vec::new() }
    }
}

/// Lets others have their turn, and goes on when they had it. Unlike tokio's `yield_now` it does not
/// ask the system for what has happened meanwhile.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn maybe<T>(pending: Option<&mut Pending<T>>) -> T {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

async fn next_frame(session: Option<&mut Session>) -> Result<Frame> {
    match session {
        Some(session) => session.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
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

#[cfg(test)]
mod tests;

//! The state machine of a connection: pure, without a clock, a socket or chance.
//!
//! `step` takes what happened and answers with what is to be done; the
//! supervisor does it. So a table can try every input in every state.

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod possible;

use std::time::Duration;

use super::backoff;
use crate::{Error, ErrorKind};

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is subscribed: no connection.
    Idle,
    /// The token is proved, the stream opened, and the server's name for it awaited.
    Opening,
    /// The topics are sent; nothing was acknowledged on this connection yet.
    Submitting,
    /// The server has acknowledged the topics after a loss: what was missed is
    /// read again, and what comes live is held.
    CatchingUp,
    /// The server has acknowledged the topics.
    Live,
    /// Live, and a second connection is made that will take over.
    HandingOver(Handover),
    /// Waiting for the next attempt.
    Backoff,
    /// Given up.
    Failed,
}

/// How far the second connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handover {
    /// It is opened.
    Opening,
    /// The topics are sent over it.
    Submitting,
    /// Both deliver, and their frames are paired off.
    Overlap,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// What is subscribed has changed. `empty`: nothing is any more.
    Changed { empty: bool },
    /// The server has named the connection.
    Opened,
    /// The server has acknowledged the topics that were sent last.
    Submitted,
    /// The attempt, or the connection, is over.
    Lost(Error),
    /// The machine slept, or its clock was set: whatever stands may be dead.
    Jumped(Error),
    /// The time of waiting is over.
    Timer,
    /// What was missed is read again, as far as it can be.
    CaughtUp,
    /// The connection will be closed by the server before long.
    HandoverDue,
    /// The server has named the second connection.
    NextOpened,
    /// The server has acknowledged the topics of the second connection.
    NextSubmitted,
    /// The second connection failed.
    NextLost(Error),
    /// The old connection is not needed any more.
    OverlapDone,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Open a connection.
    Open,
    /// Send the topics as they are now.
    Submit,
    /// Drop the connection, or the attempt.
    Close,
    /// Read again what was missed.
    CatchUp,
    /// Deliver what was held, as it is.
    ReleaseHeld,
    /// Open a second connection.
    OpenNext,
    /// Send the topics over it.
    SubmitNext,
    /// It has the topics: the overlap begins.
    BeginOverlap,
    /// It takes over, and the old one goes.
    Promote { old: OldEnd },
    /// Drop it, or the attempt.
    DropNext,
    /// Say that it is live; `after` is how long it was not, where it had been before.
    AnnounceLive { after: Option<Duration> },
    /// Say that it is lost, and come back with [`Input::Timer`] after `retry`.
    Retry { error: Error, retry: Duration, attempt: u32 },
    /// Say that it is over for good.
    Fail(Error),
    /// Say that it was closed on purpose.
    AnnounceClosed,
}

/// How the old connection of a handover ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldEnd {
    /// It was not needed any more.
    LetGo,
    /// The server closed it: what it had sent before has come.
    Closed,
    /// What was on its way is lost.
    Broken,
}

/// The settings that the machine obeys.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// Attempts after the first, before it was ever live.
    pub(crate) max_retries: u32,
    /// Whether to come back after it was live.
    pub(crate) reconnect: bool,
    pub(crate) max_backoff: Duration,
    /// Whether to read again what was missed.
    pub(crate) catch_up: bool,
}

/// The 404 "Missing or invalid client id." of the POST means that another
/// node answered, or the same one restarted: worth this many fresh connections
/// even before the first success.
const WRONG_NODE_RETRIES: u32 = 5;

/// A connection that ended sooner is one of a hot loop, not routine.
const ROUTINE_LIFE: Duration = Duration::from_secs(1);

/// The state, and what of the past matters.
#[derive(Debug)]
pub(crate) struct Machine {
    policy: Policy,
    state: State,
    /// Failed attempts since it was last live for a while.
    failures: u32,
    wrong_node: u32,
    ever_live: bool,
    /// The topics changed while they were being sent.
    stale: bool,
    submitting: bool,
    live_since: Option<Duration>,
    lost_since: Option<Duration>,
    /// The first of the failures that count. A server that takes connections and drops them
    /// does not begin a new outage each time.
    trouble_since: Option<Duration>,
}

impl Machine {
    pub(crate) fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Idle,
            failures: 0,
            wrong_node: 0,
            ever_live: false,
            stale: false,
            submitting: false,
            live_since: None,
            lost_since: None,
            trouble_since: None,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// `now` counts from any fixed moment; `jitter` is a number from 0 to 1.
    pub(crate) fn step(&mut self, input: Input, now: Duration, jitter: f64) -> Vec<Effect> {
        match (self.state, input) {
            (State::Failed, _) | (State::Idle, Input::Changed { empty: true }) => vec![],
            (State::Idle, Input::Changed { empty: false }) => {
                self.state = State::Opening;
                vec![Effect::Open]
            }
            (_, Input::Changed { empty: true }) => {
                let was_live = matches!(self.state, State::CatchingUp | State::Live | State::HandingOver(_));
                self.forget();
                if was_live { vec![Effect::Close, Effect::AnnounceClosed] } else { vec![Effect::Close] }
            }
            // The topics are read when they are sent.
            (State::Opening | State::Backoff, Input::Changed { empty: false }) => vec![],
            (State::HandingOver(_), Input::Changed { empty: false }) => {
                // The second connection may have the old set already: it is made anew later.
                self.state = State::Live;
                let mut effects = vec![Effect::DropNext];
                effects.extend(self.resubmit());
                effects
            }
            (State::Submitting | State::CatchingUp | State::Live, Input::Changed { empty: false }) => self.resubmit(),
            (State::Opening, Input::Opened) => {
                self.state = State::Submitting;
                self.submit()
            }
            (State::Submitting, Input::Submitted) => {
                self.submitting = false;
                if std::mem::take(&mut self.stale) {
                    return self.submit();
                }
                self.ever_live = true;
                self.wrong_node = 0;
                if self.lost_since.is_some() && self.policy.catch_up {
                    self.state = State::CatchingUp;
                    return vec![Effect::CatchUp];
                }
                self.live(now)
            }
            (State::CatchingUp, Input::CaughtUp) => self.live(now),
            (State::CatchingUp | State::Live | State::HandingOver(_), Input::Submitted) => {
                self.submitting = false;
                if std::mem::take(&mut self.stale) { self.submit() } else { vec![] }
            }
            (State::CatchingUp, Input::Lost(error)) => {
                let mut effects = vec![Effect::ReleaseHeld];
                effects.extend(self.lost(error, now, jitter));
                effects
            }
            (State::Opening | State::Submitting | State::Live, Input::Lost(error)) => self.lost(error, now, jitter),
            (State::Submitting | State::CatchingUp | State::Live | State::HandingOver(_), Input::Jumped(error)) => {
                let mut effects = match self.state {
                    State::CatchingUp => vec![Effect::ReleaseHeld],
                    State::HandingOver(_) => vec![Effect::DropNext],
                    _ => vec![],
                };
                effects.extend(self.reopen(error, now));
                effects
            }
            (State::HandingOver(Handover::Overlap), input @ (Input::Lost(_) | Input::OverlapDone)) => {
                // The new connection has everything: this is no loss, it was live throughout.
                self.state = State::Live;
                self.submitting = false;
                let old = match input {
                    Input::Lost(error) if error.kind() == ErrorKind::Closed => OldEnd::Closed,
                    Input::Lost(_) => OldEnd::Broken,
                    _ => OldEnd::LetGo,
                };
                vec![Effect::Promote { old }]
            }
            (State::HandingOver(_), Input::Lost(error)) => {
                self.state = State::Live;
                let mut effects = vec![Effect::DropNext];
                effects.extend(self.lost(error, now, jitter));
                effects
            }
            (State::Live, Input::HandoverDue) if !self.submitting => {
                self.state = State::HandingOver(Handover::Opening);
                vec![Effect::OpenNext]
            }
            (State::HandingOver(Handover::Opening), Input::NextOpened) => {
                self.state = State::HandingOver(Handover::Submitting);
                vec![Effect::SubmitNext]
            }
            (State::HandingOver(Handover::Submitting), Input::NextSubmitted) => {
                self.state = State::HandingOver(Handover::Overlap);
                vec![Effect::BeginOverlap]
            }
            (State::HandingOver(_), Input::NextLost(error)) => {
                self.state = State::Live;
                // A login that is refused will not come back, and the old
                // connection may be a guest's by now.
                if error.kind() == ErrorKind::Unauthorized {
                    let mut effects = vec![Effect::DropNext];
                    effects.extend(self.lost(error, now, jitter));
                    return effects;
                }
                vec![Effect::DropNext]
            }
            (State::Backoff, Input::Timer) => {
                self.state = State::Opening;
                vec![Effect::Open]
            }
            // What comes too late concerns a connection that is gone.
            _ => vec![],
        }
    }

    fn live(&mut self, now: Duration) -> Vec<Effect> {
        self.state = State::Live;
        self.live_since = Some(now);
        let after = self.lost_since.take().map(|since| now.saturating_sub(since));
        vec![Effect::AnnounceLive { after }]
    }

    /// Sends the topics as they are now; where they are being sent, once more behind that.
    fn resubmit(&mut self) -> Vec<Effect> {
        if self.submitting {
            self.stale = true;
            vec![]
        } else {
            self.submit()
        }
    }

    fn submit(&mut self) -> Vec<Effect> {
        self.submitting = true;
        self.stale = false;
        vec![Effect::Submit]
    }

    fn forget(&mut self) {
        self.state = State::Idle;
        self.submitting = false;
        self.stale = false;
        self.failures = 0;
        self.wrong_node = 0;
        self.live_since = None;
        self.lost_since = None;
        self.trouble_since = None;
    }

    /// Opens the connection anew, at once: nothing has failed.
    fn reopen(&mut self, error: Error, now: Duration) -> Vec<Effect> {
        if self.ever_live && !self.policy.reconnect {
            self.state = State::Failed;
            return vec![Effect::Close, Effect::Fail(error)];
        }
        self.leave(now);
        self.state = State::Backoff;
        vec![Effect::Close, Effect::Retry { error, retry: Duration::ZERO, attempt: self.failures.max(1) }]
    }

    /// The connection is over. Says how long it was live.
    fn leave(&mut self, now: Duration) -> Option<Duration> {
        self.submitting = false;
        self.stale = false;
        if self.ever_live {
            self.lost_since.get_or_insert(now);
        }
        self.live_since.take().map(|since| now.saturating_sub(since))
    }

    fn lost(&mut self, error: Error, now: Duration, jitter: f64) -> Vec<Effect> {
        let phase = self.state;
        let life = self.leave(now);
        if life.is_some_and(|life| life >= backoff::RESET_AFTER) {
            self.failures = 0;
            self.trouble_since = None;
        }
        let wrong_node =
            phase == State::Submitting && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongNode);
        let again = if wrong_node && !self.ever_live {
            self.wrong_node += 1;
            self.wrong_node <= WRONG_NODE_RETRIES
        } else if self.is_final(phase, &error) {
            false
        } else if self.ever_live {
            self.policy.reconnect
        } else {
            self.failures < self.policy.max_retries
        };
        if !again {
            self.state = State::Failed;
            return vec![Effect::Close, Effect::Fail(error)];
        }
        let routine = error.kind() == ErrorKind::Closed && life.is_some_and(|life| life >= ROUTINE_LIFE);
        let retry = if routine {
            Duration::ZERO
        } else {
            let trouble = now.saturating_sub(*self.trouble_since.get_or_insert(now));
            let delay = backoff::delay(self.failures, trouble, self.policy.max_backoff, jitter);
            self.failures = self.failures.saturating_add(1);
            delay.max(backoff::asked(&error))
        };
        self.state = State::Backoff;
        vec![Effect::Close, Effect::Retry { error, retry, attempt: self.failures.max(1) }]
    }

    /// Whether trying again cannot help.
    fn is_final(&self, phase: State, error: &Error) -> bool {
        match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::InsecureTransport | ErrorKind::InvalidUrl | ErrorKind::TopicsGone => {
                true
            }
            // The answer to the topics is about the topics; before that, it may
            // be a proxy's that has lost its server.
            ErrorKind::BadRequest | ErrorKind::Forbidden => phase == State::Submitting || !self.ever_live,
            ErrorKind::NotBosBase | ErrorKind::Tls | ErrorKind::NotFound | ErrorKind::Status => !self.ever_live,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(max_retries: u32) -> Machine {
        Machine::new(policy(max_retries))
    }

    fn policy(max_retries: u32) -> Policy {
        Policy { max_retries, reconnect: true, max_backoff: Duration::from_secs(30), catch_up: true }
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A machine that is live since second 0.
    fn live() -> Machine {
        let mut machine = machine(0);
        for input in [Input::Changed { empty: false }, Input::Opened, Input::Submitted] {
            machine.step(input, Duration::ZERO, 1.0);
        }
        assert_eq!(machine.state(), State::Live);
        machine
    }

    fn names(effects: &[Effect]) -> Vec<&'static str> {
        effects
            .iter()
            .map(|effect| match effect {
                Effect::Open => "open",
                Effect::Submit => "submit",
                Effect::Close => "close",
                Effect::AnnounceLive { .. } => "live",
                Effect::Retry { .. } => "retry",
                Effect::Fail(_) => "fail",
                Effect::AnnounceClosed => "closed",
                Effect::CatchUp => "catch-up",
                Effect::ReleaseHeld => "release",
                Effect::OpenNext => "open-next",
                Effect::SubmitNext => "submit-next",
                Effect::BeginOverlap => "overlap",
                Effect::Promote { .. } => "promote",
                Effect::DropNext => "drop-next",
            })
            .collect()
    }

    #[test]
    fn the_straight_way() {
        let mut machine = machine(0);
        let mut step = |input| names(&machine.step(input, Duration::ZERO, 1.0));
        assert_eq!(step(Input::Changed { empty: true }), [""; 0]);
        assert_eq!(step(Input::Changed { empty: false }), ["open"]);
        assert_eq!(step(Input::Opened), ["submit"]);
        assert_eq!(step(Input::Submitted), ["live"]);
        assert_eq!(step(Input::Changed { empty: false }), ["submit"]);
        assert_eq!(step(Input::Changed { empty: false }), [""; 0], "one at a time");
        assert_eq!(step(Input::Submitted), ["submit"], "what changed meanwhile");
        assert_eq!(step(Input::Submitted), [""; 0]);
        assert_eq!(step(Input::Changed { empty: true }), ["close", "closed"]);
        assert_eq!(step(Input::Changed { empty: false }), ["open"]);
    }

    #[test]
    fn a_clean_end_is_routine_unless_it_comes_at_once() {
        let retry = |life: f64| {
            let mut machine = live();
            let effects = machine.step(Input::Lost(error(ErrorKind::Closed)), at(life), 1.0);
            let Some(Effect::Retry { retry, .. }) = effects.last().cloned() else { panic!("{effects:?}") };
            retry
        };
        assert_eq!(retry(300.0), Duration::ZERO);
        assert_eq!(retry(0.2), Duration::from_millis(250));
    }

    #[test]
    fn says_how_long_it_was_away() {
        let mut machine = live();
        machine.step(Input::Lost(error(ErrorKind::Network)), at(10.0), 1.0);
        machine.step(Input::Timer, at(10.3), 1.0);
        machine.step(Input::Lost(error(ErrorKind::Refused)), at(10.3), 1.0);
        machine.step(Input::Timer, at(11.0), 1.0);
        machine.step(Input::Opened, at(11.5), 1.0);
        assert_eq!(names(&machine.step(Input::Submitted, at(11.9), 1.0)), ["catch-up"]);
        let effects = machine.step(Input::CaughtUp, at(12.0), 1.0);
        assert!(
            matches!(effects[..], [Effect::AnnounceLive { after: Some(after) }] if after == at(2.0)),
            "{effects:?}"
        );
    }

    #[test]
    fn failures_are_forgotten_after_a_while_only() {
        let attempt = |life: f64| {
            let mut machine = live();
            for second in [20.0, 21.0, 22.0] {
                machine.step(Input::Lost(error(ErrorKind::Network)), at(second), 1.0);
                machine.step(Input::Timer, at(second), 1.0);
            }
            machine.step(Input::Opened, at(23.0), 1.0);
            machine.step(Input::Submitted, at(23.0), 1.0);
            machine.step(Input::CaughtUp, at(23.0), 1.0);
            let effects = machine.step(Input::Lost(error(ErrorKind::Network)), at(23.0 + life), 1.0);
            let Some(Effect::Retry { attempt, .. }) = effects.last() else { panic!() };
            *attempt
        };
        assert_eq!((attempt(1.0), attempt(10.0)), (4, 1));
    }

    #[test]
    fn the_first_connect_fails_at_once_unless_told_otherwise() {
        for (retries, failures) in [(0, 1), (2, 3)] {
            let mut machine = machine(retries);
            machine.step(Input::Changed { empty: false }, Duration::ZERO, 1.0);
            let mut seen = 0;
            while machine.state() != State::Failed {
                seen += 1;
                machine.step(Input::Lost(error(ErrorKind::Refused)), Duration::ZERO, 1.0);
                machine.step(Input::Timer, Duration::ZERO, 1.0);
            }
            assert_eq!(seen, failures);
        }
    }

    #[test]
    fn what_ends_it_and_what_does_not() {
        use ErrorKind::{BadRequest, Forbidden, NotBosBase, NotFound, RateLimited, Server, Tls, Unauthorized};
        let outcome = |mut machine: Machine, kind| {
            machine.step(Input::Lost(error(kind)), at(60.0), 1.0);
            machine.state() == State::Failed
        };
        for (kind, when_live, when_reopening, when_submitting) in [
            (Unauthorized, true, true, true),
            (Forbidden, false, false, true),
            (BadRequest, false, false, true),
            (NotFound, false, false, false),
            (NotBosBase, false, false, false),
            (Tls, false, false, false),
            (Server, false, false, false),
            (RateLimited, false, false, false),
        ] {
            let mut reopening = live();
            reopening.step(Input::Lost(error(ErrorKind::Network)), at(50.0), 1.0);
            reopening.step(Input::Timer, at(50.0), 1.0);
            let mut submitting = live();
            submitting.step(Input::Lost(error(ErrorKind::Network)), at(50.0), 1.0);
            submitting.step(Input::Timer, at(50.0), 1.0);
            submitting.step(Input::Opened, at(50.0), 1.0);
            assert_eq!(
                (outcome(live(), kind), outcome(reopening, kind), outcome(submitting, kind)),
                (when_live, when_reopening, when_submitting),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn another_node_is_tried_a_few_times() {
        let mut machine = machine(0);
        machine.step(Input::Changed { empty: false }, Duration::ZERO, 1.0);
        let mut tries = 0;
        while machine.state() != State::Failed {
            tries += 1;
            machine.step(Input::Opened, Duration::ZERO, 1.0);
            machine.step(Input::Lost(error(ErrorKind::NotFound)), Duration::ZERO, 1.0);
            machine.step(Input::Timer, Duration::ZERO, 1.0);
        }
        assert_eq!(tries, WRONG_NODE_RETRIES + 1);
    }

    #[test]
    fn rate_limits_have_a_floor_and_the_servers_word_counts() {
        let retry = |error| {
            let effects = live().step(Input::Lost(error), at(60.0), 0.0);
            let Some(Effect::Retry { retry, .. }) = effects.last().cloned() else { panic!() };
            retry.as_secs()
        };
        assert_eq!(retry(error(ErrorKind::RateLimited)), 3);
        assert_eq!(retry(error(ErrorKind::Server).with_retry_after(Some(Duration::from_secs(7)))), 7);
    }

    /// A machine that hands over, as far as this.
    fn handing_over(how_far: Handover) -> Machine {
        let mut machine = live();
        for input in [Input::HandoverDue, Input::NextOpened, Input::NextSubmitted] {
            if machine.state() == State::HandingOver(how_far) {
                break;
            }
            machine.step(input, at(60.0), 1.0);
        }
        assert_eq!(machine.state(), State::HandingOver(how_far));
        machine
    }

    #[test]
    fn a_handover_is_made_before_the_break() {
        let mut machine = live();
        let mut step = |input| names(&machine.step(input, at(60.0), 1.0));
        assert_eq!(step(Input::HandoverDue), ["open-next"]);
        assert_eq!(step(Input::HandoverDue), [""; 0], "one at a time");
        assert_eq!(step(Input::NextOpened), ["submit-next"]);
        assert_eq!(step(Input::NextSubmitted), ["overlap"]);
        assert_eq!(step(Input::OverlapDone), ["promote"]);
        assert_eq!(machine.state(), State::Live);
    }

    #[test]
    fn every_fault_of_a_handover() {
        use Handover::{Opening, Overlap, Submitting};
        let lost = || Input::Lost(error(ErrorKind::Closed));
        let failed = |kind| Input::NextLost(error(kind));
        for (how_far, input, effects, state) in [
            (Opening, lost(), &["drop-next", "close", "retry"][..], State::Backoff),
            (Submitting, lost(), &["drop-next", "close", "retry"], State::Backoff),
            (Overlap, lost(), &["promote"], State::Live),
            (Opening, failed(ErrorKind::Network), &["drop-next"], State::Live),
            (Submitting, failed(ErrorKind::RateLimited), &["drop-next"], State::Live),
            (Overlap, failed(ErrorKind::Closed), &["drop-next"], State::Live),
            (Opening, failed(ErrorKind::Unauthorized), &["drop-next", "close", "fail"], State::Failed),
            (Overlap, Input::Changed { empty: false }, &["drop-next", "submit"], State::Live),
            (Opening, Input::Changed { empty: true }, &["close", "closed"], State::Idle),
            (Overlap, Input::Changed { empty: true }, &["close", "closed"], State::Idle),
        ] {
            let mut machine = handing_over(how_far);
            let text = format!("{how_far:?} {input:?}");
            assert_eq!(names(&machine.step(input, at(60.0), 1.0)), effects, "{text}");
            assert_eq!(machine.state(), state, "{text}");
        }
    }

    #[test]
    fn a_loss_while_catching_up_releases_what_was_held_and_keeps_the_beginning() {
        let mut machine = live();
        for input in [Input::Lost(error(ErrorKind::Network)), Input::Timer, Input::Opened, Input::Submitted] {
            machine.step(input, at(10.0), 1.0);
        }
        assert_eq!(machine.state(), State::CatchingUp);
        let effects = machine.step(Input::Lost(error(ErrorKind::Network)), at(12.0), 1.0);
        assert_eq!(names(&effects), ["release", "close", "retry"]);
        for input in [Input::Timer, Input::Opened, Input::Submitted] {
            machine.step(input, at(13.0), 1.0);
        }
        let effects = machine.step(Input::CaughtUp, at(14.0), 1.0);
        assert!(
            matches!(effects[..], [Effect::AnnounceLive { after: Some(after) }] if after == at(4.0)),
            "{effects:?}"
        );
    }

    proptest::proptest! {
        /// Whatever happens in whatever order: a connection is there, under way or awaited
        /// whenever something is subscribed, nothing is said to be live that was not
        /// acknowledged, and a second connection is made only beside a live one.
        #[test]
        fn holds_under_any_input(inputs in proptest::collection::vec(0_u8..14, 0..300)) {
            let mut machine = Machine::new(policy(3));
            let (mut empty, mut acknowledged) = (true, false);
            for (second, input) in inputs.into_iter().enumerate() {
                let before = machine.state();
                let input = match input {
                    0 => { empty = true; Input::Changed { empty } }
                    1 | 2 => { empty = false; Input::Changed { empty } }
                    3 => Input::Opened,
                    4 => Input::Submitted,
                    5 => Input::Lost(error(ErrorKind::Network)),
                    6 => Input::Lost(error(ErrorKind::Closed)),
                    7 => Input::CaughtUp,
                    8 => Input::HandoverDue,
                    9 => Input::NextOpened,
                    10 => Input::NextSubmitted,
                    11 => Input::NextLost(error(ErrorKind::Network)),
                    12 => Input::OverlapDone,
                    _ => Input::Timer,
                };
                let submitted = matches!(input, Input::Submitted);
                let effects = machine.step(input, Duration::from_secs(second as u64), 0.5);
                let live = |state| matches!(state, State::CatchingUp | State::Live | State::HandingOver(_));
                acknowledged = if submitted { true } else { acknowledged && live(machine.state()) };
                proptest::prop_assert_eq!(machine.state() == State::Idle, empty && machine.state() != State::Failed);
                proptest::prop_assert!(!live(machine.state()) || acknowledged);
                for effect in &effects {
                    match effect {
                        Effect::OpenNext => proptest::prop_assert_eq!(before, State::Live),
                        Effect::Promote { .. } => proptest::prop_assert_eq!(before, State::HandingOver(Handover::Overlap)),
                        Effect::ReleaseHeld => proptest::prop_assert_eq!(before, State::CatchingUp),
                        _ => {}
                    }
                }
                let sent = |effect: &&Effect| matches!(effect, Effect::Open | Effect::Submit | Effect::SubmitNext);
                proptest::prop_assert!(effects.iter().filter(sent).count() <= 1);
            }
        }
    }

    const STATES: [State; 10] = [
        State::Idle,
        State::Opening,
        State::Submitting,
        State::CatchingUp,
        State::Live,
        State::HandingOver(Handover::Opening),
        State::HandingOver(Handover::Submitting),
        State::HandingOver(Handover::Overlap),
        State::Backoff,
        State::Failed,
    ];

    /// A machine in this state: one that was live before, wherever it could have been.
    fn in_state(state: State) -> Machine {
        let changed = |empty| Input::Changed { empty };
        let lost = || Input::Lost(error(ErrorKind::Network));
        let way = match state {
            State::Idle => vec![changed(true)],
            State::Live => vec![],
            State::Backoff => vec![lost()],
            State::Opening => vec![lost(), Input::Timer],
            State::Submitting => vec![lost(), Input::Timer, Input::Opened],
            State::CatchingUp => vec![lost(), Input::Timer, Input::Opened, Input::Submitted],
            State::Failed => vec![Input::Lost(error(ErrorKind::Unauthorized))],
            State::HandingOver(how_far) => return handing_over(how_far),
        };
        let mut machine = live();
        for input in way {
            machine.step(input, at(60.0), 1.0);
        }
        assert_eq!(machine.state(), state);
        machine
    }

    fn inputs() -> Vec<(String, Input)> {
        let mut inputs: Vec<_> = [
            Input::Opened,
            Input::Submitted,
            Input::Timer,
            Input::CaughtUp,
            Input::HandoverDue,
            Input::NextOpened,
            Input::NextSubmitted,
            Input::OverlapDone,
        ]
        .map(|input| (format!("{input:?}"), input))
        .into();
        inputs.push(("Changed".into(), Input::Changed { empty: false }));
        inputs.push(("Emptied".into(), Input::Changed { empty: true }));
        inputs.push(("Jumped".into(), Input::Jumped(error(ErrorKind::Timeout))));
        for kind in [ErrorKind::Network, ErrorKind::Closed, ErrorKind::Unauthorized] {
            inputs.push((format!("Lost({kind:?})"), Input::Lost(error(kind))));
            inputs.push((format!("NextLost({kind:?})"), Input::NextLost(error(kind))));
        }
        inputs
    }

    #[test]
    fn every_input_in_every_state() {
        let mut table = Vec::new();
        for state in STATES {
            let mut ignored = Vec::new();
            for (name, input) in inputs() {
                let mut machine = in_state(state);
                let effects = names(&machine.step(input, at(61.0), 1.0)).join(" ");
                if effects.is_empty() && machine.state() == state {
                    ignored.push(name);
                } else {
                    table.push(format!("{state:?}: {name} → {:?}: {effects}", machine.state()));
                }
            }
            table.push(format!("{state:?} ignores {}\n", ignored.join(" ")));
        }
        let table = table.join("\n");
        insta::assert_snapshot!(table, @"
        Idle: Changed → Opening: open
        Idle ignores Opened Submitted Timer CaughtUp HandoverDue NextOpened NextSubmitted OverlapDone Emptied Jumped Lost(Network) NextLost(Network) Lost(Closed) NextLost(Closed) Lost(Unauthorized) NextLost(Unauthorized)

        Opening: Opened → Submitting: submit
        Opening: Emptied → Idle: close
        Opening: Lost(Network) → Backoff: close retry
        Opening: Lost(Closed) → Backoff: close retry
        Opening: Lost(Unauthorized) → Failed: close fail
        Opening ignores Submitted Timer CaughtUp HandoverDue NextOpened NextSubmitted OverlapDone Changed Jumped NextLost(Network) NextLost(Closed) NextLost(Unauthorized)

        Submitting: Submitted → CatchingUp: catch-up
        Submitting: Emptied → Idle: close
        Submitting: Jumped → Backoff: close retry
        Submitting: Lost(Network) → Backoff: close retry
        Submitting: Lost(Closed) → Backoff: close retry
        Submitting: Lost(Unauthorized) → Failed: close fail
        Submitting ignores Opened Timer CaughtUp HandoverDue NextOpened NextSubmitted OverlapDone Changed NextLost(Network) NextLost(Closed) NextLost(Unauthorized)

        CatchingUp: CaughtUp → Live: live
        CatchingUp: Changed → CatchingUp: submit
        CatchingUp: Emptied → Idle: close closed
        CatchingUp: Jumped → Backoff: release close retry
        CatchingUp: Lost(Network) → Backoff: release close retry
        CatchingUp: Lost(Closed) → Backoff: release close retry
        CatchingUp: Lost(Unauthorized) → Failed: release close fail
        CatchingUp ignores Opened Submitted Timer HandoverDue NextOpened NextSubmitted OverlapDone NextLost(Network) NextLost(Closed) NextLost(Unauthorized)

        Live: HandoverDue → HandingOver(Opening): open-next
        Live: Changed → Live: submit
        Live: Emptied → Idle: close closed
        Live: Jumped → Backoff: close retry
        Live: Lost(Network) → Backoff: close retry
        Live: Lost(Closed) → Backoff: close retry
        Live: Lost(Unauthorized) → Failed: close fail
        Live ignores Opened Submitted Timer CaughtUp NextOpened NextSubmitted OverlapDone NextLost(Network) NextLost(Closed) NextLost(Unauthorized)

        HandingOver(Opening): NextOpened → HandingOver(Submitting): submit-next
        HandingOver(Opening): Changed → Live: drop-next submit
        HandingOver(Opening): Emptied → Idle: close closed
        HandingOver(Opening): Jumped → Backoff: drop-next close retry
        HandingOver(Opening): Lost(Network) → Backoff: drop-next close retry
        HandingOver(Opening): NextLost(Network) → Live: drop-next
        HandingOver(Opening): Lost(Closed) → Backoff: drop-next close retry
        HandingOver(Opening): NextLost(Closed) → Live: drop-next
        HandingOver(Opening): Lost(Unauthorized) → Failed: drop-next close fail
        HandingOver(Opening): NextLost(Unauthorized) → Failed: drop-next close fail
        HandingOver(Opening) ignores Opened Submitted Timer CaughtUp HandoverDue NextSubmitted OverlapDone

        HandingOver(Submitting): NextSubmitted → HandingOver(Overlap): overlap
        HandingOver(Submitting): Changed → Live: drop-next submit
        HandingOver(Submitting): Emptied → Idle: close closed
        HandingOver(Submitting): Jumped → Backoff: drop-next close retry
        HandingOver(Submitting): Lost(Network) → Backoff: drop-next close retry
        HandingOver(Submitting): NextLost(Network) → Live: drop-next
        HandingOver(Submitting): Lost(Closed) → Backoff: drop-next close retry
        HandingOver(Submitting): NextLost(Closed) → Live: drop-next
        HandingOver(Submitting): Lost(Unauthorized) → Failed: drop-next close fail
        HandingOver(Submitting): NextLost(Unauthorized) → Failed: drop-next close fail
        HandingOver(Submitting) ignores Opened Submitted Timer CaughtUp HandoverDue NextOpened OverlapDone

        HandingOver(Overlap): OverlapDone → Live: promote
        HandingOver(Overlap): Changed → Live: drop-next submit
        HandingOver(Overlap): Emptied → Idle: close closed
        HandingOver(Overlap): Jumped → Backoff: drop-next close retry
        HandingOver(Overlap): Lost(Network) → Live: promote
        HandingOver(Overlap): NextLost(Network) → Live: drop-next
        HandingOver(Overlap): Lost(Closed) → Live: promote
        HandingOver(Overlap): NextLost(Closed) → Live: drop-next
        HandingOver(Overlap): Lost(Unauthorized) → Live: promote
        HandingOver(Overlap): NextLost(Unauthorized) → Failed: drop-next close fail
        HandingOver(Overlap) ignores Opened Submitted Timer CaughtUp HandoverDue NextOpened NextSubmitted

        Backoff: Timer → Opening: open
        Backoff: Emptied → Idle: close
        Backoff ignores Opened Submitted CaughtUp HandoverDue NextOpened NextSubmitted OverlapDone Changed Jumped Lost(Network) NextLost(Network) Lost(Closed) NextLost(Closed) Lost(Unauthorized) NextLost(Unauthorized)

        Failed ignores Opened Submitted Timer CaughtUp HandoverDue NextOpened NextSubmitted OverlapDone Changed Emptied Jumped Lost(Network) NextLost(Network) Lost(Closed) NextLost(Closed) Lost(Unauthorized) NextLost(Unauthorized)
        ");
    }
}

//! Whatever can happen to a connection, in any order.

use std::time::Duration;

use super::{Effect, Handover, Input, Machine, Policy, State};
use crate::{Error, ErrorKind};

/// What the supervisor holds, and so what can happen to it.
#[derive(Debug, Default)]
struct Held {
    opening: bool,
    connection: bool,
    submitting: bool,
    /// The server has the topics, as they once were.
    acknowledged: bool,
    reading: bool,
    timer: bool,
    next_opening: bool,
    next: bool,
    next_submitting: bool,
    overlapping: bool,
    empty: bool,
}

impl Held {
    /// What can happen now, with the effect that it has by itself.
    fn possible(&mut self, choice: u8) -> Option<Input> {
        let taken = |flag: &mut bool, input: Input| std::mem::take(flag).then_some(input);
        let kind = if choice.is_multiple_of(3) { ErrorKind::Closed } else { ErrorKind::Network };
        match choice % 14 {
            0 => {
                self.empty = true;
                Some(Input::Changed { empty: true })
            }
            1 | 2 => {
                self.empty = false;
                Some(Input::Changed { empty: false })
            }
            3 if self.opening => {
                (self.opening, self.connection) = (false, true);
                Some(Input::Opened)
            }
            4 if self.submitting => {
                (self.submitting, self.acknowledged) = (false, true);
                Some(Input::Submitted)
            }
            5 if self.opening || self.connection => Some(Input::Lost(error(kind))),
            6 => taken(&mut self.timer, Input::Timer),
            7 => taken(&mut self.reading, Input::CaughtUp),
            8 if self.connection => Some(Input::HandoverDue),
            9 if self.next_opening => {
                (self.next_opening, self.next) = (false, true);
                Some(Input::NextOpened)
            }
            10 => taken(&mut self.next_submitting, Input::NextSubmitted),
            11 if self.next_opening || self.next => Some(Input::NextLost(error(kind))),
            12 if self.overlapping => Some(Input::OverlapDone),
            13 if self.connection => Some(Input::Jumped(error(ErrorKind::Timeout))),
            _ => None,
        }
    }

    /// Does what is asked for, which has to be possible.
    fn apply(&mut self, effect: &Effect) -> Result<(), &'static str> {
        let holds = |condition: bool, what| if condition { Ok(()) } else { Err(what) };
        match effect {
            Effect::Open => {
                holds(!self.opening && !self.connection, "two connections at once")?;
                self.opening = true;
            }
            Effect::Submit => {
                holds(self.connection && !self.submitting, "topics without a connection, or twice at once")?;
                self.submitting = true;
            }
            Effect::Close => *self = Self { empty: self.empty, ..Self::default() },
            Effect::CatchUp => {
                holds(self.connection && !self.reading, "nothing to catch up on")?;
                self.reading = true;
            }
            Effect::OpenNext => {
                holds(self.connection && !self.submitting, "a handover from nothing")?;
                holds(!self.next && !self.next_opening, "two handovers at once")?;
                self.next_opening = true;
            }
            Effect::SubmitNext => {
                holds(self.next && !self.next_submitting, "topics without a second connection")?;
                self.next_submitting = true;
            }
            Effect::BeginOverlap => {
                holds(self.next && !self.next_submitting, "an overlap with nothing")?;
                self.overlapping = true;
            }
            Effect::Promote { .. } => {
                holds(self.overlapping, "a connection that has not the topics")?;
                (self.connection, self.submitting) = (true, false);
                (self.next, self.overlapping) = (false, false);
            }
            Effect::DropNext => {
                (self.next_opening, self.next, self.next_submitting, self.overlapping) = (false, false, false, false);
            }
            Effect::AnnounceLive { .. } => {
                holds(self.acknowledged && !self.reading, "live, and not acknowledged")?;
            }
            Effect::Retry { .. } => {
                holds(!self.timer && !self.connection, "waiting beside a connection")?;
                self.timer = true;
            }
            Effect::ReleaseHeld | Effect::Fail(_) | Effect::AnnounceClosed => {}
        }
        Ok(())
    }
}

fn error(kind: ErrorKind) -> Error {
    Error::new(kind, "x")
}

/// Of what can happen, anything in any order: what is to be done is possible, and the state says
/// what is held. What does not hold is the error.
pub(crate) fn any(choices: &[u8]) -> Result<(), String> {
    let policy = Policy { max_retries: 1000, reconnect: true, max_backoff: Duration::from_secs(30), catch_up: true };
    let mut machine = Machine::new(policy);
    let mut held = Held { empty: true, ..Held::default() };
    for (choice, second) in choices.iter().zip(0..) {
        let Some(input) = held.possible(*choice) else { continue };
        let effects = machine.step(input, Duration::from_secs(second), 0.5);
        let state = machine.state();
        for effect in &effects {
            held.apply(effect).map_err(|what| format!("{what}: {effects:?} in {state:?}"))?;
        }
        let live = matches!(state, State::CatchingUp | State::Live | State::HandingOver(_));
        for (is, holds) in [
            (state == State::Idle, held.empty),
            (state == State::Opening, held.opening),
            (state == State::Backoff, held.timer),
            (state == State::CatchingUp, held.reading),
            (state == State::HandingOver(Handover::Opening), held.next_opening),
            (state == State::HandingOver(Handover::Submitting), held.next_submitting),
            (state == State::HandingOver(Handover::Overlap), held.overlapping),
            (live, live && held.acknowledged),
        ] {
            if is != holds {
                return Err(format!("{state:?} beside {held:?}"));
            }
        }
    }
    Ok(())
}

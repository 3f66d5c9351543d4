//! Besides the feed, the lists are read every so often: where the feed does not
//! bring everything, since a node of a cluster tells only of its own writes.
//!
//! The pairing is that of the catching up. What a list shows and the feed has
//! brought is left out, and what the feed brings of it later, too.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Supervisor;
use super::missed::{Answers, Check, read_again};
use crate::realtime::registry::Asked;
use crate::realtime::state::State;

#[derive(Debug, Default)]
pub(super) struct Polling {
    /// How often; `None` for never.
    pub(super) every: Option<Duration>,
    /// When the next reading is due, while it is live.
    pub(super) next: Option<Instant>,
    /// Topics that could not be read the last time, which was said.
    in_vain: HashSet<String>,
}

impl Polling {
    pub(super) fn new(every: Option<Duration>) -> Self {
        Self { every, ..Self::default() }
    }
}

impl Supervisor {
    /// When the lists are read next.
    pub(super) fn poll_at(&self) -> Option<Instant> {
        let live = matches!(self.machine.state(), State::Live | State::HandingOver(_));
        self.polling.next.filter(|_| live && matches!(self.check, Check::Idle))
    }

    /// It is live: the next reading is due after one interval.
    pub(super) fn poll_later(&mut self, since: Instant) {
        self.polling.next = self.polling.every.map(|every| since + every);
    }

    pub(super) fn poll(&mut self) {
        let now = Instant::now();
        let verified = self.verified_moment().unwrap_or(now);
        let (since, latest) = (self.server_time(verified), self.server_time(now));
        let readings = self.registry.readings((verified, since), latest, Asked::All);
        self.check = Check::Polling { started: now, since, answers: read_again(&self.remote, readings) };
    }

    pub(super) fn polled(&mut self, started: Instant, since: Timestamp, answers: &Answers) {
        let found = self.replay(self.gap(since), answers, true);
        tracing::debug!(target: "bosbase_watch::poll", "{} changes that the feed had not brought", found.replayed);
        let mut answered = Vec::new();
        for (reading, found) in answers {
            let name = reading.question.topic.name();
            // What was not answered is read from the same moment on next time.
            if !found.unanswered {
                answered.push((reading.subscriber, reading.index));
            }
            if found.complete {
                self.polling.in_vain.remove(name);
            } else if self.polling.in_vain.insert(name.to_owned()) {
                let message = format!("{name} cannot be listed now: what the feed does not bring of it is missed");
                self.warn("poll", &message);
            }
        }
        self.registry.set_verified(&answered, started);
        // One that takes longer than the interval is not overtaken by the next.
        self.polling.next = self.polling.every.map(|every| (started + every).max(Instant::now()));
    }
}

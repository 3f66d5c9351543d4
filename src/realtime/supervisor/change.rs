//! A change of what is subscribed.
//!
//! The server takes a new set by forgetting the old one first, so an event that
//! falls in between is lost for topics that stay. Where that must not be, the
//! change is made by a handover: the second connection has the new set before
//! the first one goes.

use super::{Next, Supervisor, Waiting};
use crate::realtime::registry::SubscriberId;
use crate::realtime::state::{Input, State};
use crate::{Error, ErrorKind};

/// Which set the server has, counted in changes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sets {
    /// The one that is wanted.
    wanted: u64,
    /// The one that the connection in use was sent last.
    sent: u64,
    /// The one that the second connection was sent.
    next: u64,
}

impl Sets {
    pub(super) fn sent(&mut self) {
        self.sent = self.wanted;
    }

    pub(super) fn sent_over_next(&mut self) {
        self.next = self.wanted;
    }

    pub(super) fn promoted(&mut self) {
        self.sent = self.next;
    }
}

impl Supervisor {
    /// What is subscribed has changed.
    pub(super) fn changed(&mut self) {
        self.sets.wanted += 1;
        let empty = self.registry.is_empty();
        let stands = matches!(self.machine.state(), State::CatchingUp | State::Live | State::HandingOver(_));
        if self.settings.hand_over_changes && stands && !empty {
            // The timer of the handover sees to it.
            return;
        }
        self.input(Input::Changed { empty });
    }

    /// Whether a change waits for a handover.
    pub(super) fn change_is_due(&self) -> bool {
        self.settings.hand_over_changes && self.sets.sent != self.sets.wanted
    }

    /// Whether one waits for the handover that is under way.
    pub(super) fn change_waits(&self) -> bool {
        self.settings.hand_over_changes && self.sets.next != self.sets.wanted
    }

    /// The second connection has the set that it was sent.
    pub(super) fn next_has_its_set(&mut self) {
        if self.change_is_due() && self.sets.next == self.sets.wanted {
            self.announce_subscribed();
            self.acknowledge();
        }
    }

    /// Whether the old connection brings events of this key while the second one stands.
    pub(super) fn old_connection_has(&self, key: &str) -> bool {
        !self.settings.hand_over_changes || self.active_keys.contains(key)
    }

    /// Whether the second connection brings them, too.
    pub(super) fn next_connection_has(&self, key: &str) -> bool {
        !self.settings.hand_over_changes || self.registry.has_key(key)
    }

    /// The server does not take the topics. Those that it has never taken are
    /// to blame; the rest keeps what it had.
    pub(super) fn refused(&mut self, error: Error) {
        let takes_blame = match self.machine.state() {
            State::Live | State::CatchingUp => true,
            // On a new connection there may be nothing else to blame.
            State::Submitting => self.registry.has_acknowledged(),
            _ => false,
        };
        if takes_blame && !self.blame_newcomers(&error).is_empty() {
            // Without them, it is sent once more.
            self.input(Input::Changed { empty: self.registry.is_empty() });
            self.input(Input::Submitted);
            return;
        }
        self.input(Input::Lost(error));
    }

    /// The second connection failed.
    pub(super) fn next_failed(&mut self, error: Error) {
        let subscribed = match &self.next {
            Next::Overlap { overlap, .. } => Some(overlap.is_subscribed()),
            _ => None,
        };
        if subscribed == Some(true) {
            let newcomers = self.next_keys.iter().filter(|key| !self.active_keys.contains(*key));
            self.orphans.extend(newcomers.filter(|key| self.registry.has_key(key)).cloned());
        }
        if subscribed == Some(false) && !self.blame_newcomers(&error).is_empty() {
            let others = self.waiting.iter().any(|waiting| matches!(waiting, Waiting::Unsubscribed(..)));
            // Without them, it is again what the old connection has.
            if !others && self.sets.next == self.sets.wanted {
                self.sets.sent();
            }
        }
        self.handover_failed(error);
        // They hear nothing before the next one.
        if !self.orphans.is_empty() && self.failed_handovers == 1 {
            self.handover_after = None;
        }
    }

    /// Takes back the topics that were never acknowledged, where the error is about topics.
    fn blame_newcomers(&mut self, error: &Error) -> Vec<SubscriberId> {
        if !matches!(error.kind(), ErrorKind::BadRequest | ErrorKind::Forbidden) {
            return Vec::new();
        }
        let newcomers = self.registry.remove_newcomers(error);
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Subscriber(id, done) if newcomers.contains(&id) => drop(done.send(Err(error.clone()))),
                other => self.waiting.push(other),
            }
        }
        newcomers
    }
}

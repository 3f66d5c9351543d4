//! What subscribers ask for from before they began.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, SelectAll};
use tokio::time::Instant;

use super::Supervisor;
use crate::realtime::backlog::{Backlog, Piece};
use crate::realtime::catch_up::OVERLAP;
use crate::realtime::registry::SubscriberId;
use crate::realtime::state::State;

/// All that is being read, each page with whom it is for.
pub(super) type Backlogs = SelectAll<BoxStream<'static, (SubscriberId, Piece)>>;

impl Supervisor {
    /// The server has taken the topics: reads what is asked for from before.
    pub(super) fn read_before(&mut self) {
        let began = self.server_time(Instant::now());
        for backlog in self.registry.begin(began, &self.remote) {
            let pieces = stream::unfold(backlog, |mut backlog: Backlog| async move {
                let piece = backlog.next().await?;
                Some(((backlog.subscriber, piece), backlog))
            });
            self.backlogs.push(pieces.boxed());
        }
    }

    pub(super) fn piece(&mut self, id: SubscriberId, piece: Piece) {
        match piece {
            Piece::Exist { index, items, total } => {
                let now = self.server_time(Instant::now());
                let recent = now.checked_sub(OVERLAP).unwrap_or(now);
                self.registry.take_existing(id, index, items, total, recent);
            }
            Piece::Changed { index, items, from } => self.registry.take_changed(id, index, items, &from),
            Piece::Topic { index, whole } => self.registry.topic_is_through(id, index, whole),
            // What is lost is read again first: nothing is live before that.
            Piece::End if !self.is_settled() => self.read_to_the_end.push(id),
            Piece::End => self.end_of_before(id),
            Piece::Failed(error) => {
                if self.registry.remove(id, Some(error)) {
                    self.changed();
                }
            }
        }
    }

    fn end_of_before(&mut self, id: SubscriberId) {
        let (until, time) = (self.covered(), self.remote.now());
        self.registry.end_of_before(id, until, time);
    }

    /// The feed is live again: so is who was given everything meanwhile.
    pub(super) fn live_at_last(&mut self) {
        for id in std::mem::take(&mut self.read_to_the_end) {
            self.end_of_before(id);
        }
    }

    fn is_settled(&self) -> bool {
        matches!(self.machine.state(), State::Live | State::HandingOver(_)) && self.loss.is_none()
    }

    /// Tells who wants to know how far everything has come.
    pub(super) fn tell_progress(&mut self) {
        if self.is_settled()
            && self.is_whole()
            && self.registry.wants_progress()
            && let Some(until) = self.covered()
        {
            self.registry.progress(until);
        }
    }
}

//! A sleep of the machine, or a jump of its clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How often the two clocks are compared, and by how much they may part
/// before it is taken for a sleep or a jump.
pub(super) const TICK: Duration = Duration::from_secs(5);
const JUMP: Duration = Duration::from_secs(5);

/// Two clocks: the one stands still while the machine sleeps, the other jumps.
/// And the server's, as it was known before either.
pub(super) struct Clocks {
    pub(super) since: Instant,
    wall: Timestamp,
    server: Timestamp,
}

impl Clocks {
    pub(super) fn at(wall: Timestamp, server: Timestamp) -> Self {
        Self { since: Instant::now(), wall, server }
    }

    /// The server's clock at a moment before any jump since.
    pub(super) fn server_at(&self, moment: Instant) -> Timestamp {
        let at = match moment.checked_duration_since(self.since) {
            Some(after) => self.server.checked_add(after),
            None => self.server.checked_sub(self.since - moment),
        };
        at.unwrap_or(self.server)
    }

    /// By how much they have parted until now, where it is more than they may.
    pub(super) fn jump(&self, wall: Timestamp) -> Option<Duration> {
        let elapsed = i128::try_from(self.since.elapsed().as_nanos()).unwrap_or(i128::MAX);
        let parted = (wall.as_nanosecond() - self.wall.as_nanosecond() - elapsed).unsigned_abs();
        let parted = Duration::from_nanos(u64::try_from(parted).unwrap_or(u64::MAX));
        (parted > JUMP).then_some(parted)
    }
}

//! A sleep of the machine, or a jump of its clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// How often the two clocks are compared, and by how much they may part
/// before it is taken for a sleep or a jump.
pub(super) const TICK: Duration = Duration::from_secs(5);
const JUMP: Duration = Duration::from_secs(5);

/// Two clocks: the one stands still while the machine sleeps, the other jumps.
pub(super) struct Clocks {
    pub(super) since: Instant,
    wall: Timestamp,
}

impl Clocks {
    pub(super) fn at(wall: Timestamp) -> Self {
        Self { since: Instant::now(), wall }
    }

    /// By how much they have parted until now, where it is more than they may.
    pub(super) fn jump(&self, wall: Timestamp) -> Option<Duration> {
        let elapsed = i128::try_from(self.since.elapsed().as_nanos()).unwrap_or(i128::MAX);
        let parted = (wall.as_nanosecond() - self.wall.as_nanosecond() - elapsed).unsigned_abs();
        let parted = Duration::from_nanos(u64::try_from(parted).unwrap_or(u64::MAX));
        (parted > JUMP).then_some(parted)
    }
}

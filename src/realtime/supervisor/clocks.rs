//! A sleep of the machine, or a jump of its clock.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How often the two clocks are compared, and by how much they may part
/// before it is taken for a sleep or a jump.
pub(super) const TICK: Duration = Duration::from_secs(5);
const JUMP: Duration = Duration::from_secs(5);

/// Two clocks: the one stands still while the machine sleeps, the other jumps.
pub(super) struct Clocks {
    pub(super) since: Instant,
    wall: SystemTime,
}

impl Clocks {
    pub(super) fn now() -> Self {
        Self { since: Instant::now(), wall: SystemTime::now() }
    }

    /// By how much they have parted since, where it is more than they may.
    pub(super) fn jump(&self) -> Option<Duration> {
        let elapsed = self.since.elapsed();
        let by_wall = SystemTime::now().duration_since(self.wall);
        let parted = by_wall.map_or_else(|back| back.duration() + elapsed, |forth| forth.abs_diff(elapsed));
        (parted > JUMP).then_some(parted)
    }
}

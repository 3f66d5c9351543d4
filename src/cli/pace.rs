//! How often a busy feed is looked at.
//!
//! A server sends each event by itself, and to be woken up for each costs several times what the
//! event does. So whoever is woken up too often takes a rest before the next look, as a network
//! card does with packets: what has come meanwhile is read at once, and goes out in one write.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// It is too often where it is more than [`BUSY`] times in this time: 3,000 times a second.
const WINDOW: Duration = Duration::from_millis(10);
const BUSY: u32 = 30;

/// So long is a rest: shorter than anybody sees, and longer than it takes to fall asleep and be woken up.
const REST: Duration = Duration::from_micros(500);

/// As long as it rests more often than this in that time, it goes on: there is room for
/// twenty, less what it takes to be woken up, and less what is done in between.
const STILL_BUSY: u32 = 7;

/// Called whenever there is nothing to do. Everything stands still meanwhile, the connection too:
/// it would be woken up for each piece otherwise, and tokio's timers are coarser than this.
pub(super) fn nothing_to_do() {
    thread_local!(static PACE: Cell<Pace> = Cell::new(Pace::new(Instant::now())));
    let mut pace = PACE.get();
    let rests = pace.wants_rest(Instant::now());
    PACE.set(pace);
    if rests {
        std::thread::sleep(REST);
    }
}

/// How often there was nothing to do.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    times: u32,
    is_busy: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, times: 0, is_busy: false }
    }

    fn wants_rest(&mut self, now: Instant) -> bool {
        self.times += 1;
        let passed = now.saturating_duration_since(self.since);
        if passed >= WINDOW {
            let most = if self.is_busy { STILL_BUSY } else { BUSY };
            *self = Self { since: now, times: 0, is_busy: WINDOW * self.times > passed.saturating_mul(most) };
        }
        self.is_busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it rests within a second of events that come so often.
    fn rests(pace: &mut Pace, now: &mut Instant, every: Duration) -> usize {
        let (end, mut rests) = (*now + Duration::from_secs(1), 0);
        while *now < end {
            let rest = pace.wants_rest(*now);
            rests += usize::from(rest);
            // Woken up by the next one, or at the end of a rest.
            *now += if rest { every.max(REST + Duration::from_micros(100)) } else { every };
        }
        rests
    }

    #[test]
    fn only_who_is_woken_up_all_the_time_rests() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(rests(&mut pace, &mut now, Duration::from_millis(1)), 0);
        assert_eq!(rests(&mut pace, &mut now, Duration::from_micros(400)), 0, "2,500 a second");
        let busy = rests(&mut pace, &mut now, Duration::from_micros(300));
        assert!((1_500..2_000).contains(&busy), "{busy}");
        let still = rests(&mut pace, &mut now, Duration::from_micros(500));
        assert!((1_500..2_000).contains(&still), "{still}");
        let slower = rests(&mut pace, &mut now, Duration::from_millis(2));
        assert!(slower < 20, "{slower}");
        assert_eq!(rests(&mut pace, &mut now, Duration::from_micros(500)), 0, "before it is busy again");
        // Many at once, and then nothing for long.
        rests(&mut pace, &mut now, Duration::from_micros(20));
        now += Duration::from_secs(10);
        assert!(!pace.wants_rest(now));
    }
}

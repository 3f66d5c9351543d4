//! When the server closes a connection, as far as that is known or learnt, and
//! so when it has to be replaced.

use std::time::Duration;

/// Stock servers close a connection after five minutes without a message.
const STOCK_IDLE: Duration = Duration::from_mins(5);

/// `PocketBase` since 0.38.2 closes it after thirty minutes, whatever happens.
const STOCK_AGE: Duration = Duration::from_mins(30);

/// Shorter limits are not believed: handing over costs three requests.
const SHORTEST: Duration = Duration::from_millis(500);

/// The limits of one server, and what the last close hints at.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    idle: Duration,
    age: Duration,
    hinted_idle: Option<Duration>,
    hinted_age: Option<Duration>,
    /// The longest that a connection has been quiet without being closed.
    survived_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle: STOCK_IDLE, age: STOCK_AGE, hinted_idle: None, hinted_age: None, survived_idle: Duration::ZERO }
    }
}

impl Limits {
    /// A connection is so old, and was quiet for so long, and stands.
    pub(crate) fn stands(&mut self, age: Duration, idle: Duration) {
        self.survived_idle = self.survived_idle.max(idle);
        // Of age, only what stands after the last close speaks: limits change with their server.
        self.hinted_age.take_if(|hint| age > *hint + slack(*hint));
    }

    /// The server closed a connection cleanly and took the next one at once,
    /// so it was not restarted. Two closes that agree make a limit.
    pub(crate) fn closed(&mut self, age: Duration, idle: Duration) {
        learn(&mut self.idle, &mut self.hinted_idle, idle, self.survived_idle);
        learn(&mut self.age, &mut self.hinted_age, age, Duration::ZERO);
    }

    /// How long a connection of this age that has been quiet for so long may
    /// wait for its replacement.
    pub(crate) fn left(&self, age: Duration, idle: Duration) -> Duration {
        due(self.idle).saturating_sub(idle).min(due(self.age).saturating_sub(age))
    }

    /// How long one will stand at least.
    pub(crate) fn lasts(&self, age: Duration, idle: Duration) -> Duration {
        self.idle.saturating_sub(idle).min(self.age.saturating_sub(age))
    }
}

fn learn(limit: &mut Duration, hint: &mut Option<Duration>, seen: Duration, survived: Duration) {
    let slack = slack(seen);
    // It has been longer before without being closed, or is about what is known.
    if seen < SHORTEST || seen + slack < survived || seen >= *limit {
        *hint = None;
        return;
    }
    match hint.replace(seen) {
        Some(before) if before.abs_diff(seen) <= slack => {
            *limit = before.min(seen);
            *hint = None;
        }
        _ => {}
    }
}

/// By how much two closes by the same limit may differ.
fn slack(seen: Duration) -> Duration {
    seen / 10 + Duration::from_millis(50)
}

/// The replacement is not begun later than so long before the end: what is on its way
/// over the old connection has to come in time.
const SHORTEST_OVERLAP: Duration = Duration::from_millis(350);

/// When the replacement begins: a fifth of the limit before its end, half a minute at the
/// most; earlier where that is too short to be sure that nothing was missed.
fn due(limit: Duration) -> Duration {
    let ahead = (limit / 5).min(Duration::from_secs(30));
    limit.saturating_sub(ahead.max(SHORTEST_OVERLAP.min(limit / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn stock_limits_are_met_in_time() {
        let limits = Limits::default();
        assert_eq!(limits.left(ms(0), ms(0)), Duration::from_secs(270));
        assert_eq!(limits.left(Duration::from_secs(1700), ms(0)), Duration::from_secs(70));
        assert_eq!(limits.left(Duration::from_hours(1), ms(0)), ms(0));
        assert_eq!(limits.lasts(Duration::from_secs(1700), ms(0)), Duration::from_secs(100));
    }

    #[test]
    fn a_life_of_two_seconds_is_learnt_from_two_closes() {
        let mut limits = Limits::default();
        for age in [2003, 2001] {
            limits.stands(ms(age), ms(35));
            limits.closed(ms(age), ms(12));
        }
        assert_eq!(limits.left(ms(0), ms(0)).as_millis(), 1600);
        assert_eq!(
            limits.left(ms(1000), ms(900)).as_millis(),
            600,
            "the idle time between messages is not taken for a limit"
        );
    }

    #[test]
    fn a_life_that_was_shortened_is_learnt() {
        let mut limits = Limits::default();
        limits.stands(ms(60_000), ms(35));
        limits.closed(ms(60_000), ms(12));
        limits.closed(ms(2_000), ms(12));
        limits.stands(ms(9_000), ms(12));
        limits.closed(ms(2_010), ms(12));
        assert_eq!(limits.left(ms(0), ms(0)), Duration::from_secs(270), "one of 9 s stood in between");
        limits.closed(ms(1_990), ms(12));
        assert_eq!(limits.left(ms(0), ms(0)).as_millis(), 1592);
    }

    #[test]
    fn closes_that_do_not_agree_teach_nothing() {
        let mut limits = Limits::default();
        for age in [2000, 9000, 4000, 700] {
            limits.closed(ms(age), ms(age));
        }
        assert_eq!(limits.left(ms(0), ms(0)), Duration::from_secs(270));
    }
}

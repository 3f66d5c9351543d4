//! How long to wait before the next attempt: exponential with full jitter.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// The first delay is at most this long.
const BASE: Duration = Duration::from_millis(250);

/// While an outage is young no delay exceeds this: a server that restarts is
/// back in seconds, and its watchers should be too.
const YOUNG_CAP: Duration = Duration::from_secs(2);

/// How long an outage counts as young.
const YOUNG: Duration = Duration::from_mins(1);

/// No delay is shorter: jitter must not make a hot loop.
const FLOOR: Duration = Duration::from_millis(50);

/// How long a connection must have been live before its failures are forgotten.
/// A backoff that any success resets would never grow on a flapping server.
pub(crate) const RESET_AFTER: Duration = Duration::from_secs(10);

/// The server's fixed windows are seconds long and it sends no `Retry-After`.
const RATE_LIMIT_FLOOR: Duration = Duration::from_secs(3);

/// The default of the longest delay.
pub(crate) const DEFAULT_MAX: Duration = Duration::from_secs(30);

/// The delay after `failures` attempts (from 0) in an outage of this age.
/// `jitter` is a number from 0 to 1.
pub(crate) fn delay(failures: u32, outage: Duration, max: Duration, jitter: f64) -> Duration {
    let cap = if outage < YOUNG { max.min(YOUNG_CAP) } else { max };
    let ceiling = BASE.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(cap);
    ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(FLOOR.min(max))
}

/// How long the server wants to be left alone.
pub(crate) fn asked(error: &Error) -> Duration {
    let floor = if error.kind() == ErrorKind::RateLimited { RATE_LIMIT_FLOOR } else { Duration::ZERO };
    error.retry_after().unwrap_or(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER_OLD: Duration = Duration::ZERO;

    #[test]
    fn grows_to_its_cap() {
        let max = Duration::from_secs(30);
        let at = |failures, outage| delay(failures, outage, max, 1.0).as_millis();
        assert_eq!([at(0, NEVER_OLD), at(1, NEVER_OLD), at(2, NEVER_OLD), at(9, NEVER_OLD)], [250, 500, 1000, 2000]);
        assert_eq!([at(4, YOUNG), at(7, YOUNG), at(u32::MAX, YOUNG)], [4000, 30_000, 30_000]);
    }

    #[test]
    fn jitter_spreads_and_has_a_floor() {
        let max = Duration::from_secs(30);
        assert_eq!(delay(3, NEVER_OLD, max, 0.5), Duration::from_secs(1));
        assert_eq!(delay(3, NEVER_OLD, max, 0.0), FLOOR);
        assert_eq!(delay(3, NEVER_OLD, Duration::from_millis(10), 0.0), Duration::from_millis(10));
    }
}

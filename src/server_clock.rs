//! The server's clock, carried on by the one of ours that only goes forward:
//! the time of day of a machine is set, and sleeps, without a word.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How often the two may part, by a sleep or by a setting of the server's,
/// before the oldest is forgotten.
const KEPT: usize = 32;

/// What was heard of the server's clock.
#[derive(Debug, Clone)]
pub(crate) struct ServerClock {
    anchor: Instant,
    /// The time of day here at the anchor: all there is before the first answer.
    own: Timestamp,
    heard: VecDeque<Heard>,
}

/// The server's time at the anchor, as it follows from answers.
#[derive(Debug, Clone)]
struct Heard {
    /// When the first of these answers came.
    since: Instant,
    least: Timestamp,
    most: Timestamp,
    /// Within these bounds, what the time of day here was: most machines' is right.
    taken: Timestamp,
}

impl ServerClock {
    pub(crate) fn new(time_of_day: Timestamp) -> Self {
        Self { anchor: Instant::now(), own: time_of_day, heard: VecDeque::new() }
    }

    /// Takes the `Date` of an answer, which leaves the fraction of the second
    /// out: each answer narrows it down.
    pub(crate) fn hear(&mut self, date: Timestamp, time_of_day: Timestamp) {
        let now = Instant::now();
        let passed = self.passed(now);
        let least = shifted(date, -passed);
        let most = shifted(least, SignedDuration::from_secs(1));
        let own = shifted(time_of_day, -passed);
        match self.heard.back_mut() {
            Some(heard) if heard.least.max(least) <= heard.most.min(most) => {
                (heard.least, heard.most) = (heard.least.max(least), heard.most.min(most));
                heard.taken = own.clamp(heard.least, heard.most);
            }
            // The first, or they have parted.
            _ => self.heard.push_back(Heard { since: now, least, most, taken: own.clamp(least, most) }),
        }
        if self.heard.len() > KEPT {
            self.heard.pop_front();
        }
    }

    /// The server's time at a moment of ours, and never a later one: where the
    /// clocks have parted since, whatever gives the earlier time counts. By our
    /// own time of day where the server's was never heard.
    pub(crate) fn at(&self, moment: Instant) -> Timestamp {
        let first = self.heard.iter().rposition(|heard| heard.since <= moment).unwrap_or_default();
        let at_anchor = self.heard.iter().skip(first).map(|heard| heard.taken).min().unwrap_or(self.own);
        shifted(at_anchor, self.passed(moment))
    }

    /// The server's time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    /// By how much it is ahead of the time of day here, as far as that shows;
    /// where it may be none, it is taken for none.
    pub(crate) fn difference(&self, time_of_day: Timestamp) -> Option<SignedDuration> {
        let last = self.heard.back()?;
        let here = shifted(time_of_day, -self.passed(Instant::now()));
        Some(SignedDuration::ZERO.clamp(last.least.duration_since(here), last.most.duration_since(here)))
    }

    /// How long after the anchor that is, or before it.
    fn passed(&self, moment: Instant) -> SignedDuration {
        let signed = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        match moment.checked_duration_since(self.anchor) {
            Some(after) => signed(after),
            None => -signed(self.anchor - moment),
        }
    }
}

fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: &str = "2026-03-01T12:00:00Z";

    fn seconds(seconds: f64) -> SignedDuration {
        SignedDuration::from_secs_f64(seconds)
    }

    /// The `Date` of an answer of the server's at this time.
    fn date(time: Timestamp) -> Timestamp {
        Timestamp::from_second(time.as_second()).unwrap()
    }

    async fn pass(seconds: f64) -> Instant {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_may_be_set_as_often_as_it_likes() {
        let server: Timestamp = DAY.parse().unwrap();
        let start = Instant::now();
        let mut clock = ServerClock::new(server);
        assert_eq!((clock.now(), clock.difference(server)), (server, None));
        let truth = |now: Instant| server + (now - start);
        for set in [0.0, 100.0, -5000.0, 3.0, 7.0, 0.0] {
            let now = pass(0.7).await;
            clock.hear(date(truth(now)), truth(now) + seconds(set));
            let error = clock.now().duration_since(truth(now)).abs();
            assert!(error <= seconds(1.0), "{set}: {error}");
            let said = clock.difference(truth(now) + seconds(set)).unwrap();
            assert!((said + seconds(set)).abs() <= seconds(1.0), "{set}: {said}");
        }
        // What is past does not move.
        let error = clock.at(start).duration_since(server).abs();
        assert!(error <= seconds(1.0), "{error}");
        assert_eq!(clock.heard.len(), 1, "the clocks have never parted");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_before_a_sleep_is_not_told_to_be_later() {
        let server: Timestamp = DAY.parse().unwrap();
        let mut clock = ServerClock::new(server);
        let start = Instant::now();
        clock.hear(server, server);
        let before = pass(10.0).await;
        // An hour is slept, of which the clock that only goes forward knows nothing.
        let after = pass(3.0).await;
        let truth = server + (after - start) + seconds(3600.0);
        assert!(clock.now() < truth - seconds(3599.0), "not heard yet");
        clock.hear(date(truth), truth);
        assert!(clock.now().duration_since(truth).abs() <= seconds(1.0));
        assert!(clock.at(before).duration_since(server + seconds(10.0)).abs() <= seconds(1.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_set_back_has_always_been() {
        let server: Timestamp = DAY.parse().unwrap();
        let mut clock = ServerClock::new(server);
        clock.hear(server, server);
        let before = pass(10.0).await;
        clock.hear(server - seconds(3600.0), server + seconds(10.0));
        assert!(clock.at(before) <= server - seconds(3599.0));
        // However often: the last ones count, and no more are kept.
        for minutes in 0..100 {
            pass(1.0).await;
            clock.hear(server + seconds(60.0 * f64::from(minutes)), server);
        }
        assert_eq!(clock.heard.len(), KEPT);
    }
}

//! Two connections at once: while a handover lasts, what comes over both is delivered once.
//!
//! The old connection is subscribed throughout, so whatever comes over the new
//! one comes over the old one too, unless the old one ends first. So the old
//! one's frames are delivered as they come, and the new one's wait for their
//! twins. A frame of the old one without a twin was sent before the new one
//! was subscribed.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::catch_up::DELAY;
use super::session::Frame;
use crate::hash::hash_json;

/// How long the old connection is kept at least: a frame may still be on its
/// way over it that was sent before the new one was subscribed.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long a frame waits for its twin. Behind a load balancer it may never come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// A message whose twin may be on its way keeps the old connection for so much
/// longer: the twin of a message that comes after its end is delivered again.
const LONGEST: Duration = Duration::from_secs(4);

/// How long the server may still take over the old connection for what was
/// sent before the new one was subscribed; and a twin over the new one.
const SETTLED: Duration = Duration::from_millis(200);

/// Where twins differ, another change of the same millisecond looks like one: they are
/// looked for no longer than one takes.
const UNLIKE: Duration = Duration::from_millis(300);

/// Two messages that are alike, one over each connection, are one and the same
/// where they come so close together and are the only ones.
const TWINS: Duration = Duration::from_millis(100);

/// The frames that have not met their twins.
#[derive(Default)]
pub(crate) struct Overlap {
    hasher: RandomState,
    /// Delivered from the old connection, by content.
    old: HashMap<u64, Alone>,
    /// Held from the new connection.
    new: VecDeque<Held>,
    /// Messages of the new connection that met one like them of late: it may have been another.
    doubtful: VecDeque<Held>,
    /// How often the old connection brought the same message.
    messages: HashMap<u64, u32>,
    since: Option<Instant>,
    /// How long the old connection is kept for what the server tells late.
    grace: Duration,
    /// When the old connection brought something last.
    last_old: Option<Instant>,
    /// The last message of the old connection, until it meets its twin. Twins
    /// keep their order: when it has, so have those before it.
    unmet: Option<(u64, Instant)>,
}

/// What came over the old connection and has not met its twin.
struct Alone {
    count: u32,
    last: Instant,
    change: u64,
}

/// A frame of the new connection.
struct Held {
    print: Print,
    frame: Frame,
    at: Instant,
    /// How far apart it and the one like it came.
    apart: Duration,
}

/// A frame's content; two messages may be alike, two events of a record not.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Print {
    content: u64,
    message: bool,
    /// Which change of which record it tells of, as far as a stamp says.
    change: u64,
}

impl Overlap {
    /// A frame of the old connection is about to be delivered.
    pub(crate) fn take_old_frame(&mut self, frame: &Frame, now: Instant) {
        let print = fingerprint(&self.hasher, frame);
        self.last_old = Some(now);
        if print.message {
            *self.messages.entry(print.content).or_default() += 1;
        }
        if let Some(held) = self.new.iter().position(|held| held.print == print).and_then(|at| self.new.remove(at)) {
            self.doubt(held, now);
        } else {
            let Print { content, change, .. } = print;
            let alone = self.old.entry(content).or_insert(Alone { count: 0, last: now, change });
            alone.count += 1;
            alone.last = now;
            if print.message {
                self.unmet = Some((print.content, now));
            }
        }
    }

    /// A frame of the new connection: held until its twin comes, dropped where it was here already.
    pub(crate) fn take_new_frame(&mut self, mut frame: Frame, now: Instant) {
        // What it came with goes as it is met.
        frame.data.detach();
        let print = fingerprint(&self.hasher, &frame);
        let held = Held { print, frame, at: now, apart: Duration::ZERO };
        match self.old.get_mut(&print.content) {
            Some(alone) if !print.message || now - alone.last <= GRACE => {
                let last = alone.last;
                alone.count -= 1;
                if alone.count == 0 {
                    self.old.remove(&print.content);
                    self.unmet = self.unmet.filter(|(content, _)| *content != print.content);
                }
                self.doubt(held, last);
            }
            _ => self.new.push_back(held),
        }
    }

    /// One like it came over the old connection at that moment.
    fn doubt(&mut self, mut held: Held, other: Instant) {
        if !held.print.message {
            return;
        }
        held.apart = other.max(held.at) - other.min(held.at);
        let now = held.at.max(other);
        self.doubtful.retain(|doubtful| now - doubtful.at <= GRACE);
        self.doubtful.push_back(held);
    }

    /// The new connection is subscribed. The old one lasts so much longer.
    pub(crate) fn subscribed(&mut self, now: Instant, lasts: Duration) {
        self.since = Some(now);
        // The server prepares a deletion for those who are connected when its transaction begins.
        self.grace = if lasts > 2 * DELAY { DELAY } else { GRACE };
    }

    /// Whether it is.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.since.is_some()
    }

    /// Whether what was sent before that has come over the old connection, where it was closed in order.
    pub(crate) fn has_settled(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now - since >= SETTLED)
    }

    /// Whether the old connection stands still: the new one has brought a message that was
    /// sent over both, and for long nothing has come over the old one.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.new.iter().any(|held| {
            let silent = self.last_old.is_none_or(|last| last < held.at);
            held.print.message && silent && now - held.at >= GRACE
        })
    }

    /// Whether no frame of either connection waits for its twin.
    #[cfg(feature = "bench")]
    pub(crate) fn is_settled(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }

    /// When the old connection may go, if nothing changes; `soon`: something waits for it.
    pub(crate) fn ends_at(&self, soon: bool) -> Option<Instant> {
        let since = self.since?;
        let soonest = if self.old.is_empty() && self.new.is_empty() {
            since + GRACE
        } else {
            let met = self.unmet.map_or(since, |(_, at)| at + SETTLED).min(since + LONGEST);
            met.max(since + PATIENCE)
        };
        if soon {
            return Some(soonest);
        }
        // What only the new one has brought does not wait for that.
        let held = self.new.front().map(|held| held.at + PATIENCE);
        Some(soonest.max(held.map_or(since + self.grace, |held| held.min(since + self.grace))))
    }

    /// The old connection is gone: what was held is delivered, and the rest of
    /// the twins of records is still dropped for a while. Where it was `lost`,
    /// a message that is like another one may have been taken for it. `unlike`: twins may
    /// differ in what a hook computes for each connection.
    pub(crate) fn finish(self, lost: bool, unlike: Unlike, now: Instant) -> (Vec<Frame>, Shadow) {
        let Self { hasher, mut old, mut new, doubtful, messages, .. } = self;
        if unlike != Unlike::Never {
            drop_unlike_twins(&mut old, &mut new);
        }
        let is_one_of_many = |held: &Held| messages.get(&held.print.content).is_some_and(|times| *times > 1);
        let doubtful = doubtful
            .into_iter()
            .filter(|held| lost && now - held.at <= GRACE && (held.apart > TWINS || is_one_of_many(held)));
        let mut held: Vec<Held> = new.into_iter().chain(doubtful).collect();
        held.sort_by_key(|held| held.at);
        let mut changes = HashMap::new();
        for alone in old.values().filter(|_| unlike == Unlike::Known) {
            *changes.entry(alone.change).or_default() += alone.count;
        }
        let counts = old.into_iter().map(|(content, alone)| (content, alone.count)).collect();
        let shadow = Shadow { hasher, counts, changes, unlike_until: now + UNLIKE, until: now + PATIENCE };
        (held.into_iter().map(|held| held.frame).collect(), shadow)
    }
}

/// What an old connection delivered last, for its twins that come after its end.
pub(crate) struct Shadow {
    hasher: RandomState,
    counts: HashMap<u64, u32>,
    /// Of which changes, where twins differ.
    changes: HashMap<u64, u32>,
    unlike_until: Instant,
    until: Instant,
}

/// Whether the twins of a change may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlike {
    /// One that differs is another change, as far as is known.
    Never,
    /// The old connection was whole: what came as often over each is the same.
    Paired,
    /// A hook computes fields for each connection.
    Known,
}

impl Shadow {
    /// Whether it may still drop something.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.counts.is_empty() || now >= self.until
    }

    /// Whether the frame is a twin of a record's event. A message is never
    /// dropped here: two that are alike cannot be told from one that came twice.
    pub(crate) fn drops(&mut self, frame: &Frame, now: Instant) -> bool {
        let print = fingerprint(&self.hasher, frame);
        if print.message {
            return false;
        }
        let unlike = now < self.unlike_until && take(&mut self.changes, print.change);
        take(&mut self.counts, print.content) || unlike
    }
}

/// One less of these, where there is one.
fn take(counts: &mut HashMap<u64, u32>, print: u64) -> bool {
    let Some(count) = counts.get_mut(&print) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(&print);
    }
    true
}

/// Of changes that came over both connections as often, and with another content over each,
/// the new one's copies are dropped.
fn drop_unlike_twins(old: &mut HashMap<u64, Alone>, new: &mut VecDeque<Held>) {
    let mut came: HashMap<u64, (u32, u32)> = HashMap::new();
    for held in new.iter().filter(|held| !held.print.message) {
        came.entry(held.print.change).or_default().1 += 1;
    }
    if came.is_empty() {
        return;
    }
    for alone in old.values() {
        if let Some((times, _)) = came.get_mut(&alone.change) {
            *times += alone.count;
        }
    }
    let is_twin = |change: &u64| came.get(change).is_some_and(|(old, new)| old == new);
    old.retain(|_, alone| !is_twin(&alone.change));
    new.retain(|held| held.print.message || !is_twin(&held.print.change));
}

/// What says that a frame is a record's event.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    record: Stamp<'a>,
}

#[derive(Deserialize)]
struct Stamp<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    updated: Option<Cow<'a, str>>,
}

/// The same for two frames of the same event: the server writes each
/// connection's copy anew, with the keys in any order. A record without a stamp may
/// come twice with the same content, as a message may.
fn fingerprint(hasher: &RandomState, frame: &Frame) -> Print {
    let told = serde_json::from_str::<Told<'_>>(&frame.data).ok();
    match told.and_then(|told| Some((told, hash_json(hasher, &frame.data)?))) {
        Some((Told { action, record }, content)) => {
            let change = hasher.hash_one((&frame.key, action, record.id, &record.updated));
            Print { content: hasher.hash_one((&frame.key, content)), message: record.updated.is_none(), change }
        }
        None => Print { content: hasher.hash_one((&frame.key, &*frame.data)), message: true, change: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &str) -> Frame {
        Frame { key: "t".into(), data: data.into() }
    }

    const A: &str = r#"{"record":{"id":"a","updated":"1"},"action":"update"}"#;
    const A_AGAIN: &str = r#"{"action":"update","record":{"updated":"1","id":"a"}}"#;

    /// In a busy feed there is always a message whose twin is on its way.
    #[tokio::test]
    async fn the_old_connection_stays_until_the_last_message_has_met_its_twin() {
        let start = Instant::now();
        let mut overlap = Overlap::default();
        overlap.subscribed(start, Duration::ZERO);
        // Sent before the new one was subscribed: it has no twin.
        overlap.take_old_frame(&frame("before"), start);
        let late = start + PATIENCE - Duration::from_millis(50);
        overlap.take_old_frame(&frame("x"), late);
        assert_eq!(overlap.ends_at(false), Some(late + SETTLED));
        overlap.take_new_frame(frame("x"), late + Duration::from_millis(10));
        assert_eq!(overlap.ends_at(false), Some(start + PATIENCE));
        // It is not waited for without end, and an event of a record not at all.
        for at in 0..100 {
            overlap.take_old_frame(&frame("y"), start + Duration::from_millis(50 * at));
        }
        assert_eq!(overlap.ends_at(false), Some(start + LONGEST));
        let mut overlap = Overlap::default();
        overlap.subscribed(start, Duration::ZERO);
        overlap.take_old_frame(&frame(A), late);
        assert_eq!(overlap.ends_at(false), Some(start + PATIENCE));
    }

    #[tokio::test]
    async fn twins_are_delivered_once_whichever_comes_first() {
        let now = Instant::now();
        for (old, new) in [(A, A_AGAIN), ("x", "x")] {
            let mut overlap = Overlap::default();
            overlap.subscribed(now, Duration::ZERO);
            overlap.take_old_frame(&frame(old), now);
            assert_eq!(overlap.ends_at(false), Some(now + PATIENCE));
            overlap.take_new_frame(frame(new), now);
            assert_eq!(overlap.ends_at(false), Some(now + GRACE));
            overlap.take_new_frame(frame(new), now);
            overlap.take_old_frame(&frame(old), now);
            assert!(overlap.finish(false, Unlike::Paired, now).0.is_empty());
        }
    }

    /// What of the messages that came over the new connection is delivered at the end, where
    /// the old one was lost. The moments are in ms.
    fn delivered_again(old: &[u64], new: &[u64]) -> usize {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut overlap = Overlap::default();
        overlap.subscribed(start, Duration::ZERO);
        let all = old.iter().map(|ms| (*ms, true)).chain(new.iter().map(|ms| (*ms, false)));
        let mut all: Vec<_> = all.collect();
        all.sort_by_key(|(ms, old)| (*ms, !old));
        for (ms, old) in all {
            if old {
                overlap.take_old_frame(&frame("tick"), at(ms));
            } else {
                overlap.take_new_frame(frame("tick"), at(ms));
            }
        }
        overlap.finish(true, Unlike::Never, at(2000)).0.len()
    }

    #[tokio::test]
    async fn messages_that_are_alike_are_not_taken_for_each_other() {
        assert_eq!(delivered_again(&[500], &[510]), 0, "one message");
        assert_eq!(delivered_again(&[1900], &[1910]), 0);
        assert_eq!(delivered_again(&[1910], &[1900]), 0);
        // The old connection brought one before the new one was subscribed, and was lost before the last.
        assert_eq!(delivered_again(&[100], &[1900]), 1, "far apart");
        assert_eq!(delivered_again(&[1000], &[1900]), 1, "not one and the same");
        assert_eq!(delivered_again(&[1200, 1400], &[1405, 1600]), 2, "which of them it was is not known");
    }

    #[tokio::test]
    async fn where_there_is_time_the_old_connection_stays_for_what_is_told_late() {
        let now = Instant::now();
        for (lasts, soon, stays) in [(30, false, 10), (30, true, 1), (15, false, 1)] {
            let mut overlap = Overlap::default();
            overlap.subscribed(now, Duration::from_secs(lasts));
            assert_eq!(overlap.ends_at(soon), Some(now + Duration::from_secs(stays)));
            overlap.take_new_frame(frame("x"), now + GRACE);
            let held = now + if stays > 1 { GRACE + PATIENCE } else { PATIENCE };
            assert_eq!(overlap.ends_at(soon), Some(held), "what came over the new one alone is not kept back");
        }
    }

    /// With `fields`, the server writes the keys in any order.
    #[tokio::test]
    async fn a_record_without_a_stamp_is_known_in_any_order() {
        let now = Instant::now();
        let mut overlap = Overlap::default();
        overlap.subscribed(now, Duration::ZERO);
        overlap.take_old_frame(&frame(r#"{"record":{"id":"a","n":1},"action":"update"}"#), now);
        overlap.take_new_frame(frame(r#"{"action":"update","record":{"n":1,"id":"a"}}"#), now);
        assert_eq!(overlap.ends_at(false), Some(now + GRACE));
        assert!(overlap.finish(false, Unlike::Paired, now).0.is_empty());
    }

    /// What a hook computes differs from connection to connection.
    #[tokio::test]
    async fn twins_that_differ_are_known_by_their_stamp() {
        let now = Instant::now();
        let of = |updated: &str, nonce: u32| {
            frame(&format!(r#"{{"action":"update","record":{{"id":"a","updated":"{updated}","nonce":{nonce}}}}}"#))
        };
        for (old, new, whole, left) in [
            (vec![of("1", 1)], vec![of("1", 2)], true, 0),
            (vec![of("1", 1), of("1", 2)], vec![of("1", 3), of("1", 4)], true, 0),
            (vec![of("1", 1), of("2", 2)], vec![of("2", 3)], true, 0),
            // It may be another change of the same millisecond.
            (vec![of("1", 1)], vec![of("1", 2)], false, 1),
            (vec![of("1", 1)], vec![of("1", 2), of("1", 3)], true, 2),
            (vec![], vec![of("1", 2)], true, 1),
        ] {
            let mut overlap = Overlap::default();
            for frame in &old {
                overlap.take_old_frame(frame, now);
            }
            for frame in new {
                overlap.take_new_frame(frame, now);
            }
            let unlike = if whole { Unlike::Paired } else { Unlike::Never };
            assert_eq!(overlap.finish(!whole, unlike, now).0.len(), left);
        }
    }

    #[tokio::test]
    async fn twins_that_are_known_to_differ_are_dropped_for_a_moment() {
        let now = Instant::now();
        let of = |nonce: u32| {
            frame(&format!(r#"{{"action":"update","record":{{"id":"a","updated":"1","nonce":{nonce}}}}}"#))
        };
        for (unlike, after, drops) in
            [(Unlike::Known, 0, true), (Unlike::Known, 400, false), (Unlike::Paired, 0, false)]
        {
            let mut overlap = Overlap::default();
            overlap.take_old_frame(&of(1), now);
            let (_, mut shadow) = overlap.finish(true, unlike, now);
            let later = now + Duration::from_millis(after);
            assert_eq!((shadow.drops(&of(2), later), shadow.drops(&of(3), later)), (drops, false));
        }
        // Two changes of one millisecond.
        let mut overlap = Overlap::default();
        overlap.take_old_frame(&of(1), now);
        overlap.take_old_frame(&of(2), now);
        let (_, mut shadow) = overlap.finish(true, Unlike::Known, now);
        assert_eq!([3, 4, 5].map(|nonce| shadow.drops(&of(nonce), now)), [true, true, false]);
    }

    #[tokio::test]
    async fn what_only_the_new_one_brought_is_delivered_at_the_end() {
        let now = Instant::now();
        let mut overlap = Overlap::default();
        overlap.take_old_frame(&frame(A), now);
        overlap.take_new_frame(frame("x"), now);
        let (held, mut shadow) = overlap.finish(true, Unlike::Never, now);
        assert_eq!(held.len(), 1);
        assert!(!shadow.drops(&frame("x"), now));
        assert!(shadow.drops(&frame(A_AGAIN), now) && !shadow.drops(&frame(A), now), "once");
        assert!(shadow.is_over(now));
    }
}

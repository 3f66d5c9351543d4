//! Two connections at once: while a handover lasts, what comes over both is delivered once.
//!
//! The old connection is subscribed throughout, so whatever comes over the new
//! one comes over the old one too, unless the old one ends first. So the old
//! one's frames are delivered as they come, and the new one's wait for their
//! twins. A frame of the old one without a twin was sent before the new one
//! was subscribed.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::session::Frame;

/// How long the old connection is kept at least: a frame may still be on its
/// way over it that was sent before the new one was subscribed.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How long a frame waits for its twin. Behind a load balancer it may never come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The frames that have not met their twins.
#[derive(Default)]
pub(crate) struct Overlap {
    hasher: RandomState,
    /// Delivered from the old connection, by content: how often, and when last.
    old: HashMap<u64, (u32, Instant)>,
    /// Held from the new connection.
    new: VecDeque<(u64, Frame)>,
    since: Option<Instant>,
}

impl Overlap {
    /// A frame of the old connection is about to be delivered.
    pub(crate) fn take_old_frame(&mut self, frame: &Frame, now: Instant) {
        let print = fingerprint(&self.hasher, frame);
        if let Some(at) = self.new.iter().position(|(held, _)| *held == print) {
            self.new.remove(at);
        } else {
            let (count, last) = self.old.entry(print).or_insert((0, now));
            *count += 1;
            *last = now;
        }
    }

    /// A frame of the new connection: held until its twin comes, dropped where it was here already.
    pub(crate) fn take_new_frame(&mut self, frame: Frame) {
        let print = fingerprint(&self.hasher, &frame);
        if !self.take_old(print) {
            self.new.push_back((print, frame));
        }
    }

    fn take_old(&mut self, print: u64) -> bool {
        let Some((count, _)) = self.old.get_mut(&print) else { return false };
        *count -= 1;
        if *count == 0 {
            self.old.remove(&print);
        }
        true
    }

    /// The new connection is subscribed.
    pub(crate) fn subscribed(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// When the old connection may go, if nothing changes.
    pub(crate) fn ends_at(&self) -> Option<Instant> {
        let since = self.since?;
        if self.old.is_empty() && self.new.is_empty() { Some(since + GRACE) } else { Some(since + PATIENCE) }
    }

    /// The old connection is gone: what was held is delivered, and the rest of
    /// the twins of records is still dropped for a while.
    pub(crate) fn finish(self, now: Instant) -> (Vec<Frame>, Shadow) {
        let held = self.new.into_iter().map(|(_, frame)| frame).collect();
        let counts = self.old.into_iter().map(|(print, (count, _))| (print, count)).collect();
        (held, Shadow { hasher: self.hasher, counts, until: now + PATIENCE })
    }
}

/// What an old connection delivered last, for its twins that come after its end.
pub(crate) struct Shadow {
    hasher: RandomState,
    counts: HashMap<u64, u32>,
    until: Instant,
}

impl Shadow {
    /// Whether it may still drop something.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.counts.is_empty() || now >= self.until
    }

    /// Whether the frame is a twin of a record's event. A message is never
    /// dropped here: two that are alike cannot be told from one that came twice.
    pub(crate) fn drops(&mut self, frame: &Frame) -> bool {
        if stamp(frame).is_none() {
            return false;
        }
        let print = fingerprint(&self.hasher, frame);
        let Some(count) = self.counts.get_mut(&print) else { return false };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&print);
        }
        true
    }
}

/// The frame's content as JSON, where it is a record's event with a stamp.
fn stamp(frame: &Frame) -> Option<Value> {
    let value: Value = serde_json::from_str(&frame.data).ok()?;
    value.get("action")?.as_str()?;
    value.get("record")?.get("updated")?.as_str()?;
    Some(value)
}

/// The same for two frames of the same event: the server writes each
/// connection's copy anew, with the keys in any order.
fn fingerprint(hasher: &RandomState, frame: &Frame) -> u64 {
    match stamp(frame) {
        Some(value) => hasher.hash_one((&frame.key, hash_json(hasher, &value))),
        None => hasher.hash_one((&frame.key, &frame.data)),
    }
}

fn hash_json(hasher: &RandomState, value: &Value) -> u64 {
    let mut state = hasher.build_hasher();
    match value {
        Value::Object(map) => {
            // A sum does not depend on the order.
            let sum = map
                .iter()
                .fold(0_u64, |sum, (key, value)| sum.wrapping_add(hasher.hash_one((key, hash_json(hasher, value)))));
            (0_u8, map.len(), sum).hash(&mut state);
        }
        Value::Array(items) => {
            1_u8.hash(&mut state);
            for item in items {
                hash_json(hasher, item).hash(&mut state);
            }
        }
        Value::String(text) => (2_u8, text).hash(&mut state),
        Value::Number(number) => (3_u8, number.to_string()).hash(&mut state),
        Value::Bool(value) => (4_u8, value).hash(&mut state),
        Value::Null => 5_u8.hash(&mut state),
    }
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(data: &str) -> Frame {
        Frame { key: "t".into(), data: data.into() }
    }

    const A: &str = r#"{"record":{"id":"a","updated":"1"},"action":"update"}"#;
    const A_AGAIN: &str = r#"{"action":"update","record":{"updated":"1","id":"a"}}"#;

    #[tokio::test]
    async fn twins_are_delivered_once_whichever_comes_first() {
        let now = Instant::now();
        for (old, new) in [(A, A_AGAIN), ("x", "x")] {
            let mut overlap = Overlap::default();
            overlap.subscribed(now);
            overlap.take_old_frame(&frame(old), now);
            assert_eq!(overlap.ends_at(), Some(now + PATIENCE));
            overlap.take_new_frame(frame(new));
            assert_eq!(overlap.ends_at(), Some(now + GRACE));
            overlap.take_new_frame(frame(new));
            overlap.take_old_frame(&frame(old), now);
            assert!(overlap.finish(now).0.is_empty());
        }
    }

    #[tokio::test]
    async fn what_only_the_new_one_brought_is_delivered_at_the_end() {
        let now = Instant::now();
        let mut overlap = Overlap::default();
        overlap.take_old_frame(&frame(A), now);
        overlap.take_new_frame(frame("x"));
        let (held, mut shadow) = overlap.finish(now);
        assert_eq!(held.len(), 1);
        assert!(!shadow.drops(&frame("x")));
        assert!(shadow.drops(&frame(A_AGAIN)) && !shadow.drops(&frame(A)), "once");
        assert!(shadow.is_over(now));
    }
}

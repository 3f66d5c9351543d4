//! What stands between a frame and its subscriber, for `crate::bench`.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::memory;
use super::overlap::Overlap;
use super::queue::{self, DEFAULT_LIMIT, Receiver};
use super::registry::{Manner, Registry, Wanted};
use super::session::Frame;
use crate::event::{Event, Source, decode};
use crate::{Result, Topic};

/// A subscriber to so many topics, and the way to it.
pub struct Topics {
    registry: Registry,
    receiver: Receiver,
    taken: Vec<Result<Event>>,
}

impl Topics {
    /// Subscribes to these keys.
    pub fn new(keys: impl Iterator<Item = String>) -> Self {
        let (sender, receiver) = queue::channel(DEFAULT_LIMIT, Arc::<Notify>::default());
        let wanted = keys.enumerate().map(|(at, key)| {
            let source = Source::new(Topic::collection(key.trim_end_matches("/*")), at, Vec::new());
            Wanted::new(key, source)
        });
        let mut registry = Registry::default();
        registry.add(0, sender, wanted.collect(), Manner::default());
        Self { registry, receiver, taken: Vec::new() }
    }

    /// A frame: looked up, decoded, remembered, queued and taken. Whether it was delivered.
    pub fn deliver(&mut self, key: &str, data: String) -> bool {
        self.registry.deliver(key, data.into(), crate::now(), false);
        self.taken.clear();
        let taken = std::pin::pin!(self.receiver.recv_many(&mut self.taken, 1));
        futures_util::FutureExt::now_or_never(taken) == Some(1)
    }
}

/// What was delivered of a topic.
#[derive(Default)]
pub struct Memory(memory::Memory);

impl Memory {
    /// Takes in an event of a record that was decoded. Whether it is new.
    pub fn observe(&mut self, event: &Event) -> bool {
        let Event::Record(event) = event else { return false };
        let Some((id, updated)) = event.stamp() else { return false };
        self.0.observe(event.action(), &id, &updated, event.raw()) == memory::Sight::New
    }

    /// An event of `posts/*` to be taken in.
    pub fn event(data: String) -> Event {
        decode(Source::new(Topic::collection("posts"), 0, Vec::new()), crate::now(), data.into())
    }
}

/// Two connections that bring the same frames.
pub struct Twins {
    overlap: Overlap,
    now: Instant,
}

impl Default for Twins {
    fn default() -> Self {
        Self { overlap: Overlap::default(), now: Instant::now() }
    }
}

impl Twins {
    /// A frame that comes over both. Whether it is settled: neither waits for the other.
    pub fn pair(&mut self, key: &str, old: String, new: String) -> bool {
        self.overlap.take_old_frame(&Frame { key: key.to_owned(), data: old.into() }, self.now);
        self.overlap.take_new_frame(Frame { key: key.to_owned(), data: new.into() }, self.now);
        self.overlap.is_settled()
    }
}

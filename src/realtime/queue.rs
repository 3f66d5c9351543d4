//! The way from the connection to a subscriber: a queue that counts bytes.
//!
//! A slow reader fills it; beyond its limit nothing more is read from the
//! server until it has drained, so nothing is dropped here, ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use crate::{Event, Result};

/// The default limit: 64 MB of events that nobody has read yet.
pub(crate) const DEFAULT_LIMIT: usize = 64 * 1024 * 1024;

/// What can wait for its reader elsewhere is put in below this: 1 MB.
const ROOM: usize = 1024 * 1024;

/// Beyond so much that waits, an event is kept without what it came with: what is counted is
/// what it takes. Below it the reader is about to take it.
const SHARED: usize = 256 * 1024;

#[derive(Debug)]
struct Level {
    bytes: AtomicUsize,
    limit: usize,
    drained: Arc<Notify>,
    /// Told when there is room again, and when the reader has gone.
    room: Notify,
}

impl Level {
    fn has_room(&self, bytes: usize) -> bool {
        bytes <= ROOM.min(self.limit)
    }
}

/// The connection's end.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    tx: mpsc::UnboundedSender<Result<Event>>,
    level: Arc<Level>,
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Receiver {
    rx: mpsc::UnboundedReceiver<Result<Event>>,
    level: Arc<Level>,
}

/// A queue. `drained` is told whenever it is no longer full.
pub(crate) fn channel(limit: usize, drained: Arc<Notify>) -> (Sender, Receiver) {
    let (tx, rx) = mpsc::unbounded_channel();
    let level = Arc::new(Level { bytes: AtomicUsize::new(0), limit, drained, room: Notify::new() });
    (Sender { tx, level: Arc::clone(&level) }, Receiver { rx, level })
}

impl Sender {
    /// Puts an item in, also beyond the limit: the limit stops the reading, not the delivery.
    pub(crate) fn send(&self, mut item: Result<Event>) {
        let before = self.level.bytes.fetch_add(size(&item), Ordering::Relaxed);
        if let Ok(event) = &mut item
            && before > SHARED
        {
            event.detach();
        }
        // The reader may have gone; the supervisor hears of it by its own way.
        let _ = self.tx.send(item);
    }

    /// Whether reading should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.level.bytes.load(Ordering::Relaxed) > self.level.limit && !self.tx.is_closed()
    }

    /// Waits until little is left for the reader to take. False: it has gone.
    pub(crate) async fn room(&self) -> bool {
        loop {
            if self.tx.is_closed() {
                return false;
            }
            if self.level.has_room(self.level.bytes.load(Ordering::Relaxed)) {
                return true;
            }
            self.level.room.notified().await;
        }
    }
}

impl Receiver {
    pub(crate) async fn recv(&mut self) -> Option<Result<Event>> {
        let item = self.rx.recv().await?;
        self.took(size(&item));
        Some(item)
    }

    /// Takes all that is there, `max` at the most; waits for the first. 0 at the end.
    pub(crate) async fn recv_many(&mut self, into: &mut Vec<Result<Event>>, max: usize) -> usize {
        let before = into.len();
        let taken = self.rx.recv_many(into, max).await;
        self.took(into[before..].iter().map(size).sum());
        taken
    }

    pub(crate) fn poll_recv(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Option<Result<Event>>> {
        let item = std::task::ready!(self.rx.poll_recv(cx));
        if let Some(item) = &item {
            self.took(size(item));
        }
        std::task::Poll::Ready(item)
    }

    fn took(&self, bytes: usize) {
        let before = self.level.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before > self.level.limit && before - bytes <= self.level.limit {
            self.level.drained.notify_one();
        }
        if !self.level.has_room(before) && self.level.has_room(before - bytes) {
            self.level.room.notify_one();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.rx.close();
        self.level.drained.notify_one();
        self.level.room.notify_one();
    }
}

fn size(item: &Result<Event>) -> usize {
    item.as_ref().map_or(size_of::<Event>(), Event::size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, decode};
    use crate::text::Text;
    use crate::{Topic, now};

    /// What is counted is what it takes, whatever came with it.
    #[tokio::test]
    async fn what_waits_keeps_nothing_of_what_it_came_with() {
        let (sender, mut receiver) = channel(DEFAULT_LIMIT, Arc::default());
        let source = Source::new(Topic::custom("chat"), 0, Vec::new());
        let whole: Arc<str> = "1".repeat(16 * 1024).into();
        for _ in 0..10_000 {
            sender.send(Ok(decode(source.clone(), now(), Text::of(&whole, 0, 1))));
        }
        let shared = Arc::strong_count(&whole) - 1;
        assert!((1..=SHARED / size_of::<crate::MessageEvent>() + 1).contains(&shared), "{shared} of 10,000");
        let mut taken = Vec::new();
        assert_eq!(receiver.recv_many(&mut taken, 20_000).await, 10_000);
        assert!(taken.iter().all(|event| matches!(event, Ok(Event::Message(event)) if event.payload() == "1")));
    }
}

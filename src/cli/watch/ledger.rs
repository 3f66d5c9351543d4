//! What is done of what was taken: handed to the kernel, and its command has ended.
//!
//! Each event that was taken has an entry, also one that was not printed, with
//! the place in stdout where it ends. Entries are done in their order, so that
//! what is done has no holes.

use std::collections::VecDeque;

use super::cursor::Position;
use crate::stamp::millis;
use crate::{Action, Event, Progress, RecordEvent};

/// Names an entry.
pub(super) type EntryId = u64;

#[derive(Debug)]
pub(super) struct Ledger {
    entries: VecDeque<Entry>,
    /// The number of the first of them.
    first: EntryId,
    /// What all that is done amounts to.
    position: Position,
    changed: bool,
}

#[derive(Debug)]
struct Entry {
    /// How many bytes of stdout end it.
    end: u64,
    /// Its command has not ended.
    held: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Record {
        topic: usize,
        /// When it was changed, in ms, and what tells this state from others.
        print: Option<(i64, u64)>,
        /// The record, where it was listed.
        listed: Option<String>,
    },
    Message,
    Progress(Progress),
    /// The names of all topics that are subscribed from here on.
    Subscribed(Vec<String>),
}

impl Ledger {
    pub(super) fn new(position: Position) -> Self {
        Self { entries: VecDeque::new(), first: 0, position, changed: false }
    }

    /// An event was taken, and printed or not.
    pub(super) fn event(&mut self, event: &Event, end: u64) -> EntryId {
        let what = match event {
            Event::Record(event) => What::Record {
                topic: event.source().index(),
                print: self.print(event),
                listed: if event.action() == Action::Initial { event.id() } else { None },
            },
            Event::Progress(progress) => What::Progress(progress.clone()),
            Event::Subscribed(subscribed) => What::Subscribed(subscribed.topics.clone()),
            _ => What::Message,
        };
        self.entries.push_back(Entry { end, held: false, what });
        self.first + self.entries.len() as u64 - 1
    }

    /// When it was changed, and what tells this state from others, where the next watch could read it again.
    fn print(&self, event: &RecordEvent) -> Option<(i64, u64)> {
        let (_, updated) = event.stamp()?;
        let at = millis(&updated).filter(|at| self.position.is_read_again(event.source().index(), *at))?;
        Some((at, event.fingerprint()?))
    }

    /// It is not done before its command has ended.
    pub(super) fn hold(&mut self, id: EntryId) {
        self.set_held(id, true);
    }

    /// Its command has ended.
    pub(super) fn done(&mut self, id: EntryId) {
        self.set_held(id, false);
    }

    fn set_held(&mut self, id: EntryId, held: bool) {
        let at = id.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.held = held;
        }
    }

    /// So many bytes of stdout are with the kernel.
    pub(super) fn advance(&mut self, written: u64) {
        while let Some(Entry { what, .. }) = self.entries.pop_front_if(|entry| entry.end <= written && !entry.held) {
            self.first += 1;
            self.changed = true;
            match what {
                What::Record { topic, print, listed } => self.position.record(topic, print, listed),
                What::Progress(progress) => self.position.progress(&progress),
                What::Subscribed(names) => self.position.subscribed(&names),
                What::Message => {}
            }
        }
    }

    /// What is done behind something that is not need not be done again: the
    /// next watch leaves it out.
    pub(super) fn note_ahead(&mut self, written: u64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.end <= written && !entry.held) {
            if let What::Record { topic, print, .. } = &mut entry.what
                && print.is_some()
            {
                self.changed = true;
                self.position.record(*topic, print.take(), None);
            }
        }
    }

    /// Whether there is anything that may be done by now.
    pub(super) fn is_pending(&self) -> bool {
        self.changed || !self.entries.is_empty()
    }

    /// What was taken of it could not be kept.
    pub(super) fn write_again(&mut self) {
        self.changed = true;
    }

    /// What is done, where it is more than it was when this was last asked.
    pub(super) fn take_position(&mut self) -> Option<&Position> {
        std::mem::take(&mut self.changed).then_some(&self.position)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::cli::output::tests::record_event_of;
    use crate::{Listing, Topic};

    fn event(id: &str, second: u32) -> Event {
        let data =
            format!(r#"{{"action":"update","record":{{"id":"{id}","updated":"2026-03-01 12:00:{second:02}.000Z"}}}}"#);
        Event::Record(record_event_of(Topic::custom("posts/*"), 0, &data))
    }

    fn until(second: i8) -> Event {
        let until = format!("2026-03-01T12:00:{second:02}Z").parse().unwrap();
        Event::Progress(Progress { topic: None, until, settled: None, listing: None })
    }

    fn ledger() -> Ledger {
        Ledger::new(Position::new(["posts/*"], false))
    }

    fn place(ledger: &mut Ledger) -> Option<(String, usize)> {
        let place = &ledger.take_position()?.places()[0];
        Some((place.until?.to_string(), place.seen.len()))
    }

    #[test]
    fn what_is_written_is_done_in_order() {
        let mut ledger = ledger();
        ledger.event(&until(5), 0);
        ledger.event(&event("a", 6), 100);
        ledger.event(&event("b", 7), 200);
        ledger.event(&until(7), 200);
        assert!(ledger.is_pending() && ledger.take_position().is_none());
        ledger.advance(150);
        assert_eq!(place(&mut ledger), Some(("2026-03-01T12:00:05Z".into(), 1)));
        ledger.advance(150);
        assert_eq!(place(&mut ledger), None);
        ledger.advance(200);
        assert_eq!(place(&mut ledger), Some(("2026-03-01T12:00:07Z".into(), 2)));
        assert!(!ledger.is_pending());
        // What is older than what is read again need not be remembered.
        ledger.event(&until(18), 200);
        ledger.advance(200);
        assert_eq!(place(&mut ledger), Some(("2026-03-01T12:00:18Z".into(), 0)));
    }

    #[test]
    fn nothing_is_done_before_its_command_has_ended() {
        let mut ledger = ledger();
        let first = ledger.event(&event("a", 6), 100);
        ledger.hold(first);
        let second = ledger.event(&event("b", 7), 200);
        ledger.hold(second);
        ledger.event(&until(7), 200);
        ledger.done(second);
        ledger.advance(200);
        assert!(ledger.take_position().is_none());
        ledger.note_ahead(200);
        let place_now = ledger.take_position().unwrap().places()[0].clone();
        assert_eq!((place_now.until, place_now.seen.len()), (None, 1), "it is not done again");
        ledger.done(first);
        ledger.advance(200);
        assert_eq!(place(&mut ledger), Some(("2026-03-01T12:00:07Z".into(), 2)));
        ledger.done(first);
    }

    #[test]
    fn a_topic_that_was_unsubscribed_stays_where_it_is() {
        let mut ledger = Ledger::new(Position::new(["posts/*", "jobs/*"], false));
        let subscribed = |topics: &[&str]| {
            let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
            Event::Subscribed(crate::Subscribed { time: Timestamp::UNIX_EPOCH, topics, auth: None })
        };
        for event in [subscribed(&["posts/*", "jobs/*"]), until(5), subscribed(&["jobs/*"]), until(7)] {
            ledger.event(&event, 0);
        }
        ledger.event(&subscribed(&["jobs/*", "posts/*"]), 0);
        ledger.event(&until(9), 0);
        ledger.advance(0);
        let until = |at: usize| ledger.position.places()[at].until.unwrap().to_string();
        assert_eq!((until(0).as_str(), until(1).as_str()), ("2026-03-01T12:00:05Z", "2026-03-01T12:00:09Z"));
    }

    #[test]
    fn a_listing_is_remembered_by_its_last_record() {
        let mut ledger = ledger();
        let begun = Progress { listing: Some(Listing { last: String::new(), total: None }), ..progress(until(5)) };
        ledger.event(&Event::Progress(Progress { topic: Some(0), ..begun }), 0);
        let listed = |id: &str| {
            let data = format!(r#"{{"id":"{id}"}}"#);
            let Event::Record(event) = event(id, 1) else { panic!() };
            Event::Record(crate::RecordEvent::listed(event.source().clone(), event.time(), data, false))
        };
        ledger.event(&listed("a"), 10);
        ledger.event(&listed("b"), 20);
        ledger.advance(10);
        assert_eq!(ledger.take_position().unwrap().places()[0].listed.as_deref(), Some("a"));
        ledger.event(&until(9), 20);
        ledger.advance(20);
        assert_eq!(ledger.take_position().unwrap().places()[0].listed, None);
    }

    fn progress(event: Event) -> Progress {
        match event {
            Event::Progress(progress) => progress,
            other => panic!("{other:?}"),
        }
    }
}

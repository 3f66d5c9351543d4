//! What was delivered: the last state of each record of a subscription, as
//! far as it is remembered.
//!
//! It tells what is late, what a list request shows that the feed never
//! brought, and which records are gone.

use std::num::NonZeroUsize;

use lru::LruCache;
use serde_json::{Map, Value};

use crate::event::Action;

/// How many records of a topic are remembered: about 6 MB of half a kilobyte each.
pub(crate) const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The records of one topic of one subscriber.
#[derive(Debug)]
pub(crate) struct Memory {
    records: LruCache<Box<str>, Seen>,
    /// Some record was forgotten for want of room since this was last asked.
    overflowed: bool,
}

#[derive(Debug)]
struct Seen {
    /// The greatest `updated` delivered.
    updated: Box<str>,
    /// The states delivered with that stamp. Stamps are milliseconds, so there may be more than one.
    states: Vec<Box<str>>,
    deleted: bool,
}

impl Default for Memory {
    fn default() -> Self {
        // Room is taken as it is needed.
        Self { records: LruCache::unbounded(), overflowed: false }
    }
}

impl Memory {
    /// Whether a newer state of the record was delivered, or its deletion.
    pub(crate) fn is_late(&self, id: &str, updated: &str) -> bool {
        self.records.peek(id).is_some_and(|seen| {
            let newest: &str = &seen.updated;
            newest > updated || (seen.deleted && newest >= updated)
        })
    }

    /// Remembers what is delivered.
    pub(crate) fn note(&mut self, action: Action, id: &str, updated: &str, record: &str) {
        let deleted = action == Action::Delete;
        if let Some(seen) = self.records.get_mut(id) {
            match updated.cmp(&seen.updated) {
                std::cmp::Ordering::Less if !deleted => return,
                std::cmp::Ordering::Greater => {
                    seen.updated = updated.into();
                    seen.states.clear();
                    seen.deleted = false;
                }
                _ => {}
            }
            seen.deleted |= deleted;
            if !deleted && !seen.states.iter().any(|state| **state == *record) {
                seen.states.push(record.into());
            }
            return;
        }
        if self.records.len() >= REMEMBERED.get() {
            self.records.pop_lru();
            self.overflowed = true;
        }
        self.records.put(id.into(), Seen { updated: updated.into(), states: vec![record.into()], deleted });
    }

    /// Whether this very state was delivered, or a newer one.
    pub(crate) fn covers(&self, id: &str, updated: &str, record: &str) -> bool {
        self.records.peek(id).is_some_and(|seen| match (*seen.updated).cmp(updated) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => seen.deleted || seen.states.iter().any(|state| same_record(state, record)),
            std::cmp::Ordering::Less => false,
        })
    }

    /// Whether this very state was delivered as the newest.
    pub(crate) fn holds(&self, id: &str, updated: &str, record: &str) -> bool {
        self.records
            .peek(id)
            .is_some_and(|seen| *seen.updated == *updated && seen.states.iter().any(|state| same_record(state, record)))
    }

    /// Whether the deletion of this state, or of a newer one, was delivered.
    pub(crate) fn is_deleted(&self, id: &str, updated: &str) -> bool {
        self.records.peek(id).is_some_and(|seen| seen.deleted && *seen.updated >= *updated)
    }

    /// Whether anything of the record was delivered.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.records.contains(id)
    }

    /// The records that were there when they were last heard of.
    pub(crate) fn living(&self) -> impl Iterator<Item = &str> {
        self.records.iter().filter(|(_, seen)| !seen.deleted).map(|(id, _)| &**id)
    }

    /// The last state of a record.
    pub(crate) fn last(&self, id: &str) -> Option<(&str, &str)> {
        let seen = self.records.peek(id)?;
        Some((&seen.updated, seen.states.last()?))
    }

    /// Whether some record was forgotten for want of room since this was last asked.
    pub(crate) fn take_overflow(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }
}

/// Whether two copies of a record agree: the list API and the feed differ in
/// escapes, in the order of keys, and in fields that only one of them shows.
fn same_record(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Ok(a), Ok(b)) = (serde_json::from_str::<Map<String, Value>>(a), serde_json::from_str::<Map<String, Value>>(b))
    else {
        return false;
    };
    a.iter().all(|(key, value)| b.get(key).is_none_or(|other| other == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(memory: &mut Memory, action: Action, updated: &str) {
        memory.note(action, "a", updated, &format!(r#"{{"id":"a","updated":"{updated}"}}"#));
    }

    #[test]
    fn late_is_older_than_delivered_or_not_newer_than_a_delete() {
        let mut memory = Memory::default();
        assert!(!memory.is_late("a", "2"));
        note(&mut memory, Action::Update, "2");
        assert!(memory.is_late("a", "1") && !memory.is_late("a", "2") && !memory.is_late("a", "3"));
        note(&mut memory, Action::Update, "1");
        assert!(memory.is_late("a", "1"), "what came late does not turn the clock back");
        note(&mut memory, Action::Delete, "2");
        assert!(memory.is_late("a", "2") && !memory.is_late("a", "3"));
        assert_eq!(memory.living().count(), 0);
        note(&mut memory, Action::Create, "3");
        assert_eq!(memory.living().count(), 1);
    }

    #[test]
    fn copies_are_compared_as_json_over_common_keys() {
        let mut memory = Memory::default();
        memory.note(Action::Create, "a", "1", r#"{"id":"a","t":"<","n":1}"#);
        assert!(memory.holds("a", "1", r#"{"n":1,"t":"\u003c","id":"a","hidden":5}"#));
        assert!(!memory.holds("a", "1", r#"{"n":2,"t":"\u003c","id":"a"}"#));
        assert!(!memory.holds("a", "2", r#"{"n":1,"t":"<","id":"a"}"#));
        memory.note(Action::Update, "a", "1", r#"{"id":"a","t":"<","n":2}"#);
        assert!(memory.holds("a", "1", r#"{"n":1}"#) && memory.holds("a", "1", r#"{"n":2}"#), "ties");
        assert!(memory.covers("a", "0", "{}") && !memory.covers("a", "1", r#"{"n":3}"#));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut memory = Memory::default();
        for id in 0..=REMEMBERED.get() {
            memory.note(Action::Create, &id.to_string(), "1", "{}");
        }
        assert!(!memory.knows("0") && memory.knows("1") && memory.take_overflow() && !memory.take_overflow());
    }
}

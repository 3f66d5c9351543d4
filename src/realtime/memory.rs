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

/// ... of so many bytes together: one record may be megabytes.
const REMEMBERED_BYTES: usize = 64 * 1024 * 1024;

/// So many states of one stamp are told apart: more than a few changes of a
/// record within one millisecond are nothing that a database does.
const MOST_STATES: usize = 16;

/// The records of one topic of one subscriber.
#[derive(Debug)]
pub(crate) struct Memory {
    living: LruCache<Box<str>, Seen>,
    /// The first to be forgotten.
    deleted: LruCache<Box<str>, Seen>,
    /// What they take together.
    bytes: usize,
    /// Some record was forgotten for want of room since the lists were last compared.
    overflowed: bool,
    /// And ever.
    forgotten: bool,
    /// Some record that a list showed is not remembered.
    partial: bool,
}

#[derive(Debug, Default)]
struct Seen {
    /// The greatest `updated` delivered.
    updated: String,
    /// The states delivered with that stamp. Stamps are milliseconds, so there may be more than one.
    states: Vec<State>,
    deleted: bool,
    /// The deletion was replayed, and has not come over the feed.
    deletion_replayed: bool,
    /// Only a list from before the watch has shown it.
    listed: bool,
    /// The last state that was replayed and that a newer one followed before
    /// the feed brought it: its stamp, and its record. The server does not keep
    /// the order of changes, so the feed may bring it still.
    owed: Option<Box<(String, String)>>,
}

impl Seen {
    /// What it takes, but for its id.
    fn bytes(&self) -> usize {
        let owed = self.owed.as_ref().map_or(0, |owed| owed.0.capacity() + owed.1.capacity());
        owed + self.updated.capacity() + self.states.iter().map(|state| state.record.capacity()).sum::<usize>()
    }

    /// Whether a state of this stamp comes late.
    fn is_newer_than(&self, updated: &str) -> bool {
        let newest = self.updated.as_str();
        newest > updated || (self.deleted && newest >= updated)
    }

    fn take_replayed(&mut self, updated: &str, record: &str) -> bool {
        if self.updated != updated {
            let is_owed = self.owed.as_ref().is_some_and(|owed| owed.0 == updated && same_record(&owed.1, record));
            if is_owed {
                self.owed = None;
            }
            return is_owed;
        }
        let mut replayed = self.states.iter_mut().filter(|state| state.replayed);
        let twin = replayed.find(|state| same_record(&state.record, record));
        twin.is_some_and(|state| std::mem::take(&mut state.replayed))
    }

    /// Remembers a state, with the room of the one before it.
    fn note(&mut self, updated: &str, state: Option<(&str, bool)>) {
        let order = updated.cmp(&self.updated);
        if order.is_gt() {
            if let Some(at) = self.states.iter().rposition(|state| state.replayed) {
                self.owed = Some(Box::new((self.updated.clone(), self.states.remove(at).record)));
            }
            self.updated.clear();
            self.updated.push_str(updated);
            (self.deleted, self.deletion_replayed, self.listed) = (false, false, false);
            self.states.truncate(usize::from(state.is_some()));
        }
        if order.is_ge() && !state.is_some_and(|(_, replayed)| replayed) {
            self.listed = false;
        }
        let Some((record, replayed)) = state.filter(|_| order.is_ge()) else { return };
        if order.is_gt()
            && let Some(last) = self.states.first_mut()
        {
            // The room of a long one is not kept for short ones.
            if last.record.capacity() > 2 * record.len() + 1024 {
                last.record = String::new();
            }
            last.record.clear();
            last.record.push_str(record);
            last.replayed = replayed;
        } else if !self.states.iter().any(|state| state.record == record) {
            if self.states.len() == MOST_STATES {
                self.states.remove(0);
            }
            self.states.push(State { record: record.to_owned(), replayed });
        }
    }
}

#[derive(Debug)]
struct State {
    record: String,
    /// It was replayed, and has not come over the feed.
    replayed: bool,
}

impl Default for Memory {
    fn default() -> Self {
        // Room is taken as it is needed.
        let [living, deleted] = std::array::from_fn(|_| LruCache::unbounded());
        Self { living, deleted, bytes: 0, overflowed: false, forgotten: false, partial: false }
    }
}

/// What an event of the feed is to who has seen the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    New,
    /// A newer state of the record was delivered, or its deletion.
    Late,
    /// It was replayed before it came: it is not said again.
    Replayed,
}

impl Memory {
    /// Takes in an event of the feed.
    pub(crate) fn observe(&mut self, action: Action, id: &str, updated: &str, record: &str) -> Sight {
        // Most of what comes changes a record that is known.
        if action != Action::Delete
            && let Some(seen) = self.living.get_mut(id)
        {
            let before = seen.bytes();
            if seen.take_replayed(updated, record) {
                self.bytes = self.bytes + seen.bytes() - before;
                return Sight::Replayed;
            }
            let late = seen.is_newer_than(updated);
            seen.note(updated, Some((record, false)));
            self.bytes = self.bytes + seen.bytes() - before;
            self.make_room();
            return if late { Sight::Late } else { Sight::New };
        }
        if self.take_replayed(action, id, updated, record) {
            return Sight::Replayed;
        }
        let late = self.is_late(id, updated);
        self.keep(action, id, updated, record, false);
        if late { Sight::Late } else { Sight::New }
    }

    /// Whether a newer state of the record was delivered, or its deletion.
    fn is_late(&self, id: &str, updated: &str) -> bool {
        self.peek(id).is_some_and(|seen| seen.is_newer_than(updated))
    }

    /// Remembers what is delivered from a list: it may still come over the feed.
    pub(crate) fn note_replayed(&mut self, action: Action, id: &str, updated: &str, record: &str) {
        self.keep(action, id, updated, record, true);
    }

    /// Remembers what a list from before the watch shows, while there is room:
    /// what is forgotten of it makes no gap of the watch.
    pub(crate) fn note_listed(&mut self, id: &str, updated: &str, record: &str) {
        self.keep(Action::Update, id, updated, record, true);
        // The feed may have brought a newer state.
        if let Some(seen) = self.living.peek_mut(id).filter(|seen| seen.updated == updated) {
            seen.listed = true;
        }
    }

    /// Some record that a list showed is not remembered: its deletion would go unseen.
    pub(crate) fn set_partial(&mut self) {
        self.partial = true;
    }

    /// Whether some record that a list showed is not remembered.
    pub(crate) fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether a list has shown a newer state than this.
    pub(crate) fn is_outdated_by_list(&self, id: &str, updated: &str) -> bool {
        self.peek(id).is_some_and(|seen| seen.listed && *seen.updated > *updated)
    }

    fn keep(&mut self, action: Action, id: &str, updated: &str, record: &str, replayed: bool) {
        let deleted = action == Action::Delete;
        let before = self.living.pop_entry(id).or_else(|| self.deleted.pop_entry(id));
        let (id, mut seen) = before
            .inspect(|(id, seen)| self.bytes -= id.len() + seen.bytes())
            .unwrap_or_else(|| (id.into(), Seen::default()));
        seen.note(updated, (!deleted).then_some((record, replayed)));
        seen.deleted |= deleted;
        seen.deletion_replayed |= deleted && replayed;
        self.bytes += id.len() + seen.bytes();
        let records = if seen.deleted { &mut self.deleted } else { &mut self.living };
        records.put(id, seen);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.living.len() + self.deleted.len() > REMEMBERED.get() || self.bytes > REMEMBERED_BYTES {
            let gone = self.deleted.pop_lru().or_else(|| {
                let (id, seen) = self.living.pop_lru()?;
                if seen.listed {
                    self.partial = true;
                } else {
                    (self.overflowed, self.forgotten) = (true, true);
                }
                Some((id, seen))
            });
            let Some((id, seen)) = gone else { return };
            self.bytes -= id.len() + seen.bytes();
        }
    }

    fn peek(&self, id: &str) -> Option<&Seen> {
        self.living.peek(id).or_else(|| self.deleted.peek(id))
    }

    /// Whether this very state was delivered, or a newer one.
    pub(crate) fn covers(&self, id: &str, updated: &str, record: &str) -> bool {
        self.peek(id).is_some_and(|seen| match seen.updated.as_str().cmp(updated) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => {
                seen.deleted || seen.states.iter().any(|state| same_record(&state.record, record))
            }
            std::cmp::Ordering::Less => false,
        })
    }

    /// Whether this was replayed and comes over the feed now: it is not said again.
    fn take_replayed(&mut self, action: Action, id: &str, updated: &str, record: &str) -> bool {
        let Some(seen) = self.living.peek_mut(id).or_else(|| self.deleted.peek_mut(id)) else { return false };
        if action == Action::Delete {
            // It may carry a newer state than the one that was known.
            return std::mem::take(&mut seen.deletion_replayed);
        }
        let before = seen.bytes();
        let taken = seen.take_replayed(updated, record);
        self.bytes = self.bytes + seen.bytes() - before;
        taken
    }

    /// Whether anything of the record was delivered.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.peek(id).is_some()
    }

    /// The records that were there when they were last heard of.
    pub(crate) fn living(&self) -> impl Iterator<Item = &str> {
        self.living.iter().map(|(id, _)| &**id)
    }

    /// The last state of a record.
    pub(crate) fn last(&self, id: &str) -> Option<(&str, &str)> {
        let seen = self.living.peek(id)?;
        Some((&seen.updated, &seen.states.last()?.record))
    }

    /// Whether some record was forgotten for want of room, of late.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// What was forgotten until now does not matter any more.
    pub(crate) fn forget_overflow(&mut self) {
        self.overflowed = false;
    }

    /// Whether some record was ever forgotten for want of room: its deletion would go unseen.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.forgotten
    }
}

/// Whether two copies of a record agree: the list API and the feed differ in
/// escapes, in the order of keys, and in fields that only one of them shows.
pub(super) fn same_record(a: &str, b: &str) -> bool {
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
        memory.observe(action, "a", updated, &format!(r#"{{"id":"a","updated":"{updated}"}}"#));
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
        memory.observe(Action::Create, "a", "1", r#"{"id":"a","t":"<","n":1}"#);
        assert!(memory.covers("a", "1", r#"{"n":1,"t":"\u003c","id":"a","hidden":5}"#));
        assert!(!memory.covers("a", "1", r#"{"n":2,"t":"\u003c","id":"a"}"#));
        assert!(!memory.covers("a", "2", r#"{"n":1,"t":"<","id":"a"}"#));
        memory.observe(Action::Update, "a", "1", r#"{"id":"a","t":"<","n":2}"#);
        assert!(memory.covers("a", "1", r#"{"n":1}"#) && memory.covers("a", "1", r#"{"n":2}"#), "ties");
        assert!(memory.covers("a", "0", "{}") && !memory.covers("a", "1", r#"{"n":3}"#));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut memory = Memory::default();
        for id in 0..=REMEMBERED.get() {
            memory.observe(Action::Create, &id.to_string(), "1", "{}");
        }
        assert!(!memory.knows("0") && memory.knows("1") && memory.has_overflowed());
        memory.forget_overflow();
        assert!(!memory.has_overflowed());
        assert!(memory.has_forgotten(), "for good: its deletion would go unseen");
    }

    /// What it takes, counted anew.
    fn counted(memory: &Memory) -> usize {
        memory.living.iter().chain(&memory.deleted).map(|(id, seen)| id.len() + seen.bytes()).sum()
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut memory = Memory::default();
        let long = |n: usize| format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(1 << 20));
        for n in 0..200 {
            // Long records, long ids, and many states of one stamp.
            memory.observe(Action::Create, &n.to_string(), "1", &long(n));
            memory.observe(Action::Create, &"i".repeat(n << 10), "1", "{}");
            memory.observe(Action::Update, "same", "1", &long(n));
            if n % 3 == 0 {
                memory.observe(Action::Delete, &n.to_string(), "1", "{}");
            }
            assert_eq!(memory.bytes, counted(&memory));
            assert!(memory.bytes <= REMEMBERED_BYTES, "{}", memory.bytes);
        }
        assert!(memory.has_forgotten() && memory.knows("199"));
        assert!(memory.peek("same").unwrap().states.len() <= MOST_STATES);
        memory.observe(Action::Update, "same", "2", "{}");
        assert!(memory.peek("same").unwrap().bytes() < 4096, "its room is given back");
        assert_eq!(memory.bytes, counted(&memory));
    }

    #[test]
    fn what_only_a_list_has_shown_is_forgotten_without_a_gap() {
        let mut memory = Memory::default();
        for id in 0..=REMEMBERED.get() {
            memory.note_listed(&id.to_string(), "1", "{}");
        }
        assert!(!memory.knows("0") && memory.is_partial() && !memory.has_forgotten() && !memory.has_overflowed());
        memory.observe(Action::Update, "1", "2", "{}");
        assert!(memory.is_outdated_by_list("2", "0") && !memory.is_outdated_by_list("2", "1"));
        assert!(!memory.is_outdated_by_list("1", "1"), "the feed has brought a newer one");
        memory.note_listed("1", "1", "{}");
        assert!(!memory.is_outdated_by_list("1", "1"), "and had, when the list showed an older one");
    }

    #[test]
    fn the_deleted_are_forgotten_first() {
        let mut memory = Memory::default();
        for id in 0..3 * REMEMBERED.get() {
            memory.observe(Action::Create, &id.to_string(), "1", "{}");
            if id != 0 {
                memory.observe(Action::Delete, &id.to_string(), "1", "{}");
            }
        }
        assert!(memory.knows("0") && !memory.knows("1") && !memory.has_forgotten());
        assert_eq!(memory.living.len() + memory.deleted.len(), REMEMBERED.get());
    }

    #[test]
    fn what_was_replayed_is_not_taken_from_the_feed_behind_what_followed_it() {
        for (follows, again) in [(Action::Update, Sight::Late), (Action::Delete, Sight::Late)] {
            let mut memory = Memory::default();
            memory.note_replayed(Action::Create, "a", "1", r#"{"n":1}"#);
            assert_eq!(memory.observe(follows, "a", "2", r#"{"n":2}"#), Sight::New);
            // The list and the feed write a record in their own ways.
            assert_eq!(memory.observe(Action::Create, "a", "1", r#"{"n":1,"hidden":0}"#), Sight::Replayed);
            // Once: the next one like it is another event.
            assert_eq!(memory.observe(Action::Create, "a", "1", r#"{"n":1,"hidden":0}"#), again);
            assert_eq!(memory.observe(Action::Update, "a", "0", r#"{"n":1}"#), Sight::Late);
            assert_eq!(memory.bytes, counted(&memory));
        }
    }

    #[test]
    fn what_was_replayed_is_not_taken_from_the_feed_again() {
        let mut memory = Memory::default();
        memory.note_replayed(Action::Update, "a", "1", r#"{"n":1}"#);
        assert!(!memory.take_replayed(Action::Create, "a", "0", r#"{"n":1}"#), "another stamp");
        assert!(!memory.take_replayed(Action::Update, "a", "1", r#"{"n":2}"#), "another state");
        assert!(memory.take_replayed(Action::Update, "a", "1", r#"{"n":1,"hidden":0}"#));
        assert!(!memory.take_replayed(Action::Update, "a", "1", r#"{"n":1}"#), "once");
        memory.note_replayed(Action::Delete, "a", "1", r#"{"n":1}"#);
        assert!(memory.take_replayed(Action::Delete, "a", "2", r#"{"n":2}"#), "whatever was changed before it");
        assert!(!memory.take_replayed(Action::Delete, "a", "2", r#"{"n":2}"#), "once");
    }
}

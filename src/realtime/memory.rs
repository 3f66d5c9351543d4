//! What was delivered: the last state of each record of a subscription, as
//! far as it is remembered.
//!
//! It tells what is late, what a list request shows that the feed never
//! brought, and which records are gone.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;

use foldhash::fast::RandomState;
use jiff::SignedDuration;
use lru::LruCache;
use serde_json::Value;

use super::catch_up::OVERLAP;
use crate::event::{Action, RecordKeys};
use crate::stamp::millis;
use crate::tree::Tree;

/// How many records of a topic are remembered: about 6 MB of half a kilobyte each.
pub(crate) const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// ... of so many bytes together: one record may be megabytes.
const REMEMBERED_BYTES: usize = 64 * 1024 * 1024;

/// So many states of one stamp are told apart: more than a few changes of a
/// record within one millisecond are nothing that a database does.
const MOST_STATES: usize = 16;

/// Of so many states before them the stamps are remembered, one for each millisecond.
const MOST_STAMPS: usize = 1000;

/// So many older states are kept in full: a list that is under way when a record changes
/// shows the one before. Of others the stamps say enough, but for another change of the same
/// millisecond that was written late.
const OLDER_IN_FULL: usize = 1;

/// Of the records that changed last, what is older is kept; of others, its stamps.
const KEPT_IN_FULL: usize = 500;

/// ... which is seen to after so many changes.
const SHORTENED_EVERY: usize = 5_000;

/// What a state that was superseded takes besides its text.
const OLD_STATE: usize = size_of::<OldState>();

/// By their ids, which whoever makes a record may choose: the hashes are seeded, and what ids that
/// meet all the same may cost is bounded by how many are remembered.
type Records = LruCache<Box<str>, Seen, RandomState>;

/// The records of one topic of one subscriber.
#[derive(Debug)]
pub(crate) struct Memory {
    living: Records,
    /// The first to be forgotten.
    deleted: Records,
    /// What they take together.
    bytes: usize,
    /// Some record was forgotten for want of room since the lists were last compared.
    overflowed: bool,
    /// And ever.
    forgotten: bool,
    /// Some record that a list showed is not remembered.
    partial: bool,
    /// How many changes were taken in since what is older was shortened.
    since_shortened: usize,
    computed: Computed,
}

/// Fields that a hook computes for each answer: two lists show one state with
/// different values, and nothing was written.
#[derive(Debug, Default)]
struct Computed(HashSet<String>);

#[derive(Debug, Default)]
struct Seen {
    /// The greatest `updated` delivered.
    updated: String,
    /// The same in milliseconds.
    at: Option<i64>,
    /// The states delivered with that stamp. Stamps are milliseconds, so there may be more than one.
    states: Vec<State>,
    /// What else was delivered of the time shortly before.
    older: Option<Box<Older>>,
    deleted: bool,
    presence: Presence,
    /// The deletion was replayed, and has not come over the feed.
    deletion_replayed: bool,
    /// Only a list from before the watch has shown it.
    listed: bool,
}

/// Whether a record is there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Presence {
    #[default]
    There,
    /// A deletion carries the record as it was read, so that another's change, made before, may
    /// come behind it and look newer.
    Deleted,
    /// No list shows it: it may only be hidden, and come back.
    Unlisted,
}

/// A change is stamped before it waits for its turn to be written: of two
/// writers, the one with the older stamp may write last. So what is older than
/// what was delivered is known only where it was delivered itself.
#[derive(Debug, Default)]
struct Older {
    /// The last to be delivered come last.
    states: VecDeque<OldState>,
    /// What they take.
    bytes: usize,
    /// The stamps of those before them, for which there was no room.
    stamps: VecDeque<i64>,
}

#[derive(Debug)]
struct OldState {
    updated: String,
    at: Option<i64>,
    state: State,
}

impl OldState {
    fn bytes(&self) -> usize {
        self.updated.capacity() + self.state.record.capacity() + OLD_STATE
    }
}

impl Older {
    fn bytes(&self) -> usize {
        self.bytes + self.stamps.capacity() * size_of::<i64>()
    }

    /// Takes in a state. Gives back one that has to go for it.
    fn push(&mut self, old: OldState) -> Option<OldState> {
        self.bytes += old.bytes();
        self.states.push_back(old);
        let room = if self.states.len() > MOST_STATES {
            self.pop()
        } else {
            let before = self.states.len() - OLDER_IN_FULL;
            (0..before).find(|at| self.is_told_by_its_stamp(*at)).and_then(|at| self.remove(at))
        };
        room.inspect(|room| self.push_stamp(room.at))
    }

    /// Whether a state need not be told from another: neither from one of the same millisecond nor
    /// from the twin that it waits for.
    fn is_told_by_its_stamp(&self, at: usize) -> bool {
        let old = &self.states[at];
        let is_alone = |other: Option<&OldState>| other.is_none_or(|other| other.at != old.at);
        let before = at.checked_sub(1).and_then(|at| self.states.get(at));
        old.at.is_some() && !old.state.replayed && is_alone(before) && is_alone(self.states.get(at + 1))
    }

    fn remove(&mut self, at: usize) -> Option<OldState> {
        self.states.remove(at).inspect(|old| self.bytes -= old.bytes())
    }

    fn pop(&mut self) -> Option<OldState> {
        self.remove(0)
    }

    fn push_stamp(&mut self, at: Option<i64>) {
        if let Some(at) = at
            && self.stamps.back() != Some(&at)
        {
            if self.stamps.len() == MOST_STAMPS {
                self.stamps.pop_front();
            }
            self.stamps.push_back(at);
        }
    }

    /// Forgets what was made long before, as far as nothing else was delivered before it. Gives
    /// back some of that. A twin may be late, and not for ever.
    fn prune(&mut self, newest: Option<i64>) -> Option<OldState> {
        let mut room = None;
        let waits = |old: &OldState| old.state.replayed && !is_settled_by(old.at, newest, OVERLAP * 10);
        while self.states.front().is_some_and(|old| is_settled(old.at, newest) && !waits(old)) {
            room = self.pop();
        }
        while self.stamps.front().is_some_and(|at| is_settled(Some(*at), newest)) {
            self.stamps.pop_front();
        }
        room
    }

    fn is_empty(&self) -> bool {
        self.states.is_empty() && self.stamps.is_empty()
    }

    fn has(&self, updated: &str, record: &str, computed: &Computed) -> bool {
        let is_it = |old: &OldState| old.updated == updated && computed.same(&old.state.record, record);
        self.states.iter().any(is_it) || millis(updated).is_some_and(|at| self.stamps.contains(&at))
    }
}

impl Seen {
    /// What it takes, but for its id.
    fn bytes(&self) -> usize {
        let states = self.states.iter().map(|state| state.record.capacity()).sum::<usize>();
        self.updated.capacity() + states + self.older.as_ref().map_or(0, |older| older.bytes())
    }

    /// Whether a state of this stamp comes late. A deletion carries the record as it was read,
    /// and another's change may have come between: it is late where the record was made anew.
    fn is_newer_than(&self, action: Action, updated: &str, record: &str) -> bool {
        if action == Action::Delete {
            return self.is_there() && self.created_apart(record).is_some_and(Ordering::is_gt);
        }
        let newest = self.updated.as_str();
        newest > updated || (self.deleted && newest >= updated) || self.stays_deleted(action, updated, record)
    }

    fn is_there(&self) -> bool {
        self.presence == Presence::There
    }

    /// Whether it is not there after this change either: another's, made before its deletion.
    fn stays_deleted(&self, action: Action, updated: &str, record: &str) -> bool {
        self.presence == Presence::Deleted
            && action == Action::Update
            && !is_settled(self.at, millis(updated))
            && !self.created_apart(record).is_some_and(Ordering::is_lt)
    }

    /// Whether what is known by this id was created before or after this record, as far as both say.
    fn created_apart(&self, record: &str) -> Option<Ordering> {
        let created = |record: &str| Some(RecordKeys::of(record)?.created?.into_owned());
        let older = self.older.as_ref().and_then(|older| Some(&older.states.back()?.state));
        let known = self.states.last().or(older)?;
        Some(created(&known.record)?.cmp(&created(record)?))
    }

    fn take_replayed(&mut self, updated: &str, record: &str, computed: &Computed) -> bool {
        let is_it = |state: &&mut State| state.replayed && computed.same(&state.record, record);
        let twin = if self.updated == updated {
            self.states.iter_mut().find(is_it)
        } else {
            let older = self.older.iter_mut().flat_map(|older| &mut older.states);
            older.filter(|old| old.state.replayed && old.updated == updated).map(|old| &mut old.state).find(is_it)
        };
        twin.is_some_and(|state| std::mem::take(&mut state.replayed))
    }

    /// The last state that was delivered with this stamp, where none of them is this one.
    fn unlike(&self, updated: &str, record: &str, computed: &Computed) -> Option<&State> {
        let is_unlike = self.updated == updated
            && !self.deleted
            && !self.states.iter().any(|state| computed.same(&state.record, record));
        self.states.last().filter(|_| is_unlike)
    }

    /// Whether this very state was delivered, or one that was written after it.
    fn covers(&self, updated: &str, record: &str, computed: &Computed) -> bool {
        match self.updated.as_str().cmp(updated) {
            Ordering::Greater => {
                let older = self.older.as_ref();
                self.deleted
                    || is_settled(millis(updated), self.at)
                    || older.is_some_and(|older| older.has(updated, record, computed))
            }
            Ordering::Equal => self.deleted || self.states.iter().any(|state| computed.same(&state.record, record)),
            Ordering::Less => false,
        }
    }

    /// Remembers what was delivered.
    fn note(&mut self, action: Action, updated: &str, record: &str, replayed: bool, computed: &Computed) {
        let deleted = action == Action::Delete;
        self.presence = match (deleted, replayed) {
            (true, true) if self.presence != Presence::Deleted => Presence::Unlisted,
            (true, _) => Presence::Deleted,
            (false, false) if self.stays_deleted(action, updated, record) => Presence::Deleted,
            // What is made anew, or listed, is there.
            (false, _) => Presence::There,
        };
        self.note_state(updated, (!deleted).then_some((record, replayed)), computed);
        self.deleted |= deleted;
        self.deletion_replayed |= deleted && replayed;
    }

    fn note_state(&mut self, updated: &str, state: Option<(&str, bool)>, computed: &Computed) {
        let order = updated.cmp(&self.updated);
        let mut room = None;
        if order.is_gt() {
            room = self.supersede(updated);
            (self.deleted, self.deletion_replayed, self.listed) = (false, false, false);
        }
        if order.is_ge() && !state.is_some_and(|(_, replayed)| replayed) {
            self.listed = false;
        }
        let Some((record, replayed)) = state else { return };
        if order.is_lt() {
            let at = millis(updated);
            if !is_settled(at, self.at)
                && !self.older.as_ref().is_some_and(|older| older.has(updated, record, computed))
            {
                let state = State { record: record.to_owned(), replayed };
                self.older.get_or_insert_default().push(OldState { updated: updated.to_owned(), at, state });
            }
        } else if !self.states.iter().any(|state| state.record == record) {
            if self.states.len() == MOST_STATES {
                self.states.remove(0);
            }
            let mut room = room.unwrap_or_default();
            // The room of a long one is not kept for short ones.
            if room.capacity() > 2 * record.len() + 1024 {
                room = String::new();
            }
            room.clear();
            room.push_str(record);
            self.states.push(State { record: room, replayed });
        }
    }

    /// A newer state comes. Gives back the room of one that is not needed any more.
    fn supersede(&mut self, updated: &str) -> Option<String> {
        let before = std::mem::replace(&mut self.at, millis(updated));
        let mut gone = self.older.as_mut().and_then(|older| older.prune(self.at));
        let mut room = None;
        let mut stamp = std::mem::take(&mut self.updated);
        let last = self.states.len().saturating_sub(1);
        for (at, state) in self.states.drain(..).enumerate() {
            if !state.replayed && is_settled(before, self.at) {
                room = Some(state.record);
            } else {
                let updated = if at == last { std::mem::take(&mut stamp) } else { stamp.clone() };
                let old = OldState { updated, at: before, state };
                gone = self.older.get_or_insert_default().push(old).or(gone);
            }
        }
        self.older.take_if(|older| older.is_empty());
        if let Some(gone) = gone {
            room = room.or(Some(gone.state.record));
            if stamp.capacity() == 0 {
                stamp = gone.updated;
            }
        }
        stamp.clear();
        stamp.push_str(updated);
        self.updated = stamp;
        room
    }

    /// What is older than what a list shows came over the feed, and was not delivered.
    fn forget_undelivered(&mut self, updated: &str) {
        if let Some(older) = &mut self.older {
            older.states.retain(|old| *old.updated >= *updated);
            older.bytes = older.states.iter().map(OldState::bytes).sum();
            let from = millis(updated);
            older.stamps.retain(|at| from.is_none_or(|from| *at >= from));
        }
        self.older.take_if(|older| older.is_empty());
    }

    /// Keeps no more of what is older than its stamps: a list that shows one of them shows
    /// what was delivered, unless two states were made within one millisecond.
    fn shorten(&mut self) {
        if let Some(older) = &mut self.older {
            older.bytes = 0;
            for old in std::mem::take(&mut older.states) {
                older.push_stamp(old.at);
            }
            older.stamps.shrink_to_fit();
        }
    }
}

/// Whether a change of that stamp was written before the one of the newer stamp, in
/// milliseconds: a transaction that takes longer is none that is told of in time either.
fn is_settled(old: Option<i64>, newer: Option<i64>) -> bool {
    is_settled_by(old, newer, OVERLAP)
}

fn is_settled_by(old: Option<i64>, newer: Option<i64>, time: SignedDuration) -> bool {
    matches!((old, newer), (Some(old), Some(newer)) if newer - old > time.as_secs() * 1000)
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
        let [living, deleted] = std::array::from_fn(|_| LruCache::unbounded_with_hasher(RandomState::default()));
        Self {
            living,
            deleted,
            bytes: 0,
            overflowed: false,
            forgotten: false,
            partial: false,
            since_shortened: 0,
            computed: Computed::default(),
        }
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
            if seen.take_replayed(updated, record, &self.computed) {
                self.bytes = self.bytes + seen.bytes() - before;
                return Sight::Replayed;
            }
            let late = seen.is_newer_than(action, updated, record);
            seen.note(action, updated, record, false, &self.computed);
            self.bytes = self.bytes + seen.bytes() - before;
            self.make_room();
            return if late { Sight::Late } else { Sight::New };
        }
        if self.take_replayed(action, id, updated, record) {
            return Sight::Replayed;
        }
        let late = self.is_late(action, id, updated, record);
        if late && action == Action::Delete {
            // Of the one before.
            return Sight::Late;
        }
        self.keep(action, id, updated, record, false);
        if late { Sight::Late } else { Sight::New }
    }

    /// Whether a newer state of the record was delivered, or its deletion.
    fn is_late(&self, action: Action, id: &str, updated: &str, record: &str) -> bool {
        self.peek(id).is_some_and(|seen| seen.is_newer_than(action, updated, record))
    }

    /// Remembers what is delivered from a list: it may still come over the feed.
    pub(crate) fn note_replayed(&mut self, action: Action, id: &str, updated: &str, record: &str) {
        self.keep(action, id, updated, record, true);
    }

    /// Remembers what a list from before the watch shows, while there is room:
    /// what is forgotten of it makes no gap of the watch.
    pub(crate) fn note_listed(&mut self, id: &str, updated: &str, record: &str) {
        self.keep(Action::Update, id, updated, record, true);
        let Some(seen) = self.living.peek_mut(id) else { return };
        // The feed may have brought a newer state.
        if seen.updated == updated {
            seen.listed = true;
        }
        // What it brought before was held, and is not delivered any more.
        let before = seen.bytes();
        seen.forget_undelivered(updated);
        self.bytes = self.bytes + seen.bytes() - before;
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
        let before = self.living.pop_entry(id).or_else(|| self.deleted.pop_entry(id));
        let (id, mut seen) = before
            .inspect(|(id, seen)| self.bytes -= id.len() + seen.bytes())
            .unwrap_or_else(|| (id.into(), Seen::default()));
        seen.note(action, updated, record, replayed, &self.computed);
        self.bytes += id.len() + seen.bytes();
        let records = if seen.deleted { &mut self.deleted } else { &mut self.living };
        records.put(id, seen);
        self.make_room();
    }

    fn make_room(&mut self) {
        self.since_shortened += 1;
        // Rather nothing of a record but its last state than nothing of another.
        let kept = match self.since_shortened {
            SHORTENED_EVERY.. => KEPT_IN_FULL,
            100.. if self.bytes > REMEMBERED_BYTES => 0,
            _ => REMEMBERED.get(),
        };
        if kept < REMEMBERED.get() {
            self.since_shortened = 0;
            // Those that changed last come first.
            for (_, seen) in self.living.iter_mut().skip(kept).chain(self.deleted.iter_mut().skip(kept)) {
                let before = seen.bytes();
                seen.shorten();
                self.bytes = self.bytes + seen.bytes() - before;
            }
        }
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

    /// Whether this very state was delivered, or one that was certainly written after it.
    pub(crate) fn covers(&self, id: &str, updated: &str, record: &str) -> bool {
        self.peek(id).is_some_and(|seen| seen.covers(updated, record, &self.computed))
    }

    /// Takes in what one list showed and a later one shows of a record, with one stamp. Where
    /// neither is what was delivered with it, their difference is computed for each answer:
    /// otherwise it was written three times within a millisecond.
    pub(crate) fn compare_lists(&mut self, id: &str, updated: &str, first: &str, second: &str) {
        if [first, second].iter().all(|record| self.unlike(id, updated, record).is_some()) {
            let keys = self.computed.difference(first, second);
            self.computed.0.extend(keys);
        }
    }

    /// The fields in which what a list shows differs from what was delivered with the same
    /// stamp. `None` where nothing was, or the very same.
    pub(crate) fn unlike(&self, id: &str, updated: &str, record: &str) -> Option<Vec<String>> {
        let last = self.peek(id)?.unlike(updated, record, &self.computed)?;
        Some(self.computed.difference(&last.record, record))
    }

    /// This field is computed for each answer.
    pub(crate) fn set_computed(&mut self, field: String) {
        self.computed.0.insert(field);
    }

    /// Whether any is.
    pub(crate) fn has_computed(&self) -> bool {
        !self.computed.0.is_empty()
    }

    /// [`Self::compare_lists`] where what an earlier list showed was replayed.
    pub(crate) fn compare_with_replayed(&mut self, id: &str, updated: &str, record: &str) {
        let Some(seen) = self.peek(id).filter(|seen| seen.states.len() > 1) else { return };
        let replayed = seen.states.iter().rfind(|state| state.replayed);
        if let Some(replayed) = replayed
            && seen.unlike(updated, record, &self.computed).is_some()
        {
            let keys = self.computed.difference(&replayed.record, record);
            self.computed.0.extend(keys);
        }
    }

    /// Whether this was replayed and comes over the feed now: it is not said again.
    fn take_replayed(&mut self, action: Action, id: &str, updated: &str, record: &str) -> bool {
        let Some(seen) = self.living.peek_mut(id).or_else(|| self.deleted.peek_mut(id)) else { return false };
        if action == Action::Delete {
            // It may carry a newer state than the one that was known.
            return std::mem::take(&mut seen.deletion_replayed);
        }
        let before = seen.bytes();
        let taken = seen.take_replayed(updated, record, &self.computed);
        self.bytes = self.bytes + seen.bytes() - before;
        taken
    }

    /// Whether anything of the record was delivered.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.peek(id).is_some()
    }

    /// The records that were there when they were last heard of.
    pub(crate) fn living(&self) -> impl Iterator<Item = &str> {
        self.living.iter().filter(|(_, seen)| seen.is_there()).map(|(id, _)| &**id)
    }

    /// Whether the record was there when it was last heard of.
    pub(crate) fn is_living(&self, id: &str) -> bool {
        self.living.peek(id).is_some_and(Seen::is_there)
    }

    /// The last state of a record.
    pub(crate) fn last(&self, id: &str) -> Option<(&str, &str)> {
        let seen = self.living.peek(id).filter(|seen| seen.is_there())?;
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
    Computed::default().same(a, b)
}

impl Computed {
    /// [`same_record`] but for what is computed.
    fn same(&self, a: &str, b: &str) -> bool {
        a == b || differences(a, b).is_some_and(|mut keys| keys.all(|key| self.0.contains(&key)))
    }

    /// The fields in which two copies of a record differ.
    fn difference(&self, a: &str, b: &str) -> Vec<String> {
        differences(a, b).into_iter().flatten().filter(|key| !self.0.contains(key)).collect()
    }
}

/// 0 and -0.0 are one.
fn same_value(a: &Value, b: &Value) -> bool {
    a == b || [a, b].iter().all(|value| value.as_f64() == Some(0.0))
}

/// `None` where one of them is no record.
fn differences(a: &str, b: &str) -> Option<impl Iterator<Item = String>> {
    let (Ok(Tree(a)), Ok(Tree(b))) = (serde_json::from_str(a), serde_json::from_str(b)) else { return None };
    // What it refers to may have changed since.
    let own = a.into_iter().filter(|(key, _)| key != "expand");
    Some(own.filter(move |(key, value)| b.get(key).is_some_and(|other| !same_value(other, value))).map(|(key, _)| key))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::filter::server_time;

    fn note(memory: &mut Memory, action: Action, updated: &str) {
        memory.observe(action, "a", updated, &format!(r#"{{"id":"a","updated":"{updated}"}}"#));
    }

    #[test]
    fn late_is_older_than_delivered_or_not_newer_than_a_delete() {
        let mut memory = Memory::default();
        let is_late = |memory: &Memory, updated| memory.is_late(Action::Create, "a", updated, "{}");
        assert!(!is_late(&memory, "2"));
        note(&mut memory, Action::Update, "2");
        assert!(is_late(&memory, "1") && !is_late(&memory, "2") && !is_late(&memory, "3"));
        note(&mut memory, Action::Update, "1");
        assert!(is_late(&memory, "1"), "what came late does not turn the clock back");
        note(&mut memory, Action::Delete, "2");
        assert!(is_late(&memory, "2") && !is_late(&memory, "3"));
        assert_eq!(memory.living().count(), 0);
        note(&mut memory, Action::Create, "3");
        assert_eq!(memory.living().count(), 1);
    }

    #[test]
    fn what_two_lists_show_differently_is_computed() {
        let mut memory = Memory::default();
        let state = |title: &str, nonce: u32| format!(r#"{{"id":"a","title":"{title}","nonce":{nonce}}}"#);
        memory.observe(Action::Create, "a", "1", &state("x", 1));
        // Another write within the millisecond, which a second list shows, too.
        memory.compare_lists("a", "1", &state("y", 1), &state("y", 1));
        assert!(!memory.covers("a", "1", &state("y", 1)));
        // The first list shows what was delivered: the second write came after it.
        memory.compare_lists("a", "1", &state("x", 1), &state("y", 1));
        assert!(!memory.covers("a", "1", &state("y", 1)));
        memory.compare_lists("a", "2", &state("x", 2), &state("x", 3));
        assert!(!memory.covers("a", "1", &state("x", 3)), "another stamp");
        memory.compare_lists("a", "1", &state("x", 2), &state("x", 3));
        assert!(memory.covers("a", "1", &state("x", 4)) && !memory.covers("a", "1", &state("y", 4)));
        assert!(!memory.covers("a", "2", &state("x", 4)), "a newer state");
    }

    #[test]
    fn what_is_replayed_again_and_again_is_computed() {
        let mut memory = Memory::default();
        let state = |title: &str, nonce: u32| format!(r#"{{"id":"a","title":"{title}","nonce":{nonce}}}"#);
        memory.compare_with_replayed("a", "1", &state("x", 1));
        memory.observe(Action::Create, "a", "1", &state("x", 1));
        memory.compare_with_replayed("a", "1", &state("x", 2));
        assert!(!memory.covers("a", "1", &state("x", 2)), "it may be another write");
        memory.note_replayed(Action::Update, "a", "1", &state("x", 2));
        memory.compare_with_replayed("a", "1", &state("x", 3));
        assert!(memory.covers("a", "1", &state("x", 3)) && !memory.covers("a", "1", &state("y", 3)));
    }

    #[test]
    fn copies_are_compared_as_json_over_common_keys() {
        let mut memory = Memory::default();
        memory.observe(Action::Create, "a", "1", r#"{"id":"a","t":"<","n":1}"#);
        assert!(memory.covers("a", "1", r#"{"n":1,"t":"\u003c","id":"a","hidden":5}"#));
        assert!(!memory.covers("a", "1", r#"{"n":2,"t":"\u003c","id":"a"}"#));
        memory.observe(Action::Create, "z", "1", r#"{"id":"z","n":-0.0}"#);
        assert!(memory.covers("z", "1", r#"{"id":"z","n":0}"#) && !memory.covers("z", "1", r#"{"id":"z","n":1}"#));
        assert!(!memory.covers("a", "2", r#"{"n":1,"t":"<","id":"a"}"#));
        memory.observe(Action::Update, "a", "1", r#"{"id":"a","t":"<","n":2}"#);
        assert!(memory.covers("a", "1", r#"{"n":1}"#) && memory.covers("a", "1", r#"{"n":2}"#), "ties");
        assert!(!memory.covers("a", "1", r#"{"n":3}"#));
        memory.observe(Action::Create, "c", "1", r#"{"id":"c","expand":{"author":{"name":"Ann"}}}"#);
        assert!(
            memory.covers("c", "1", r#"{"id":"c","expand":{"author":{"name":"Anna"}}}"#),
            "another record's change"
        );
        // Whoever writes a record chooses the keys of its JSON fields.
        let hostile = r#"{"id":"b","json":{"$serde_json::private::RawValue":"no JSON"}}"#;
        memory.observe(Action::Create, "b", "1", hostile);
        assert!(memory.covers("b", "1", &format!("{hostile} ")));
    }

    const AT: [&str; 3] = ["2026-01-31 12:59:59.990Z", "2026-01-31 13:00:00.010Z", "2026-01-31 13:00:20.000Z"];

    /// Of two writers, the one with the older stamp may write last.
    #[test]
    fn an_older_state_is_known_only_where_it_was_delivered() {
        let mut memory = Memory::default();
        memory.observe(Action::Update, "a", AT[1], r#"{"n":1}"#);
        assert!(!memory.covers("a", AT[0], r#"{"n":0}"#), "it may have been written after the newer one");
        assert_eq!(memory.observe(Action::Update, "a", AT[0], r#"{"n":0}"#), Sight::Late);
        assert!(memory.covers("a", AT[0], r#"{"n":0,"hidden":1}"#) && !memory.covers("a", AT[0], r#"{"n":2}"#));
        assert!(memory.covers("a", AT[1], r#"{"n":1}"#));
        assert_eq!(memory.last("a"), Some((AT[1], r#"{"n":1}"#)));
        memory.observe(Action::Update, "a", AT[2], r#"{"n":3}"#);
        assert!(memory.covers("a", AT[1], r#"{"n":4}"#), "nobody takes so long to write");
        assert!(memory.peek("a").unwrap().older.is_none(), "nor is it kept for so long");
    }

    #[test]
    fn an_older_state_that_a_list_showed_is_not_taken_from_the_feed_again() {
        let mut memory = Memory::default();
        memory.observe(Action::Update, "a", AT[1], r#"{"n":1}"#);
        memory.note_replayed(Action::Update, "a", AT[0], r#"{"n":0}"#);
        assert!(memory.covers("a", AT[0], r#"{"n":0}"#));
        assert_eq!(memory.observe(Action::Update, "a", AT[0], r#"{"n":0}"#), Sight::Replayed);
        assert_eq!(memory.observe(Action::Update, "a", AT[0], r#"{"n":0}"#), Sight::Late);
        memory.observe(Action::Delete, "a", AT[1], r#"{"n":1}"#);
        assert!(memory.covers("a", AT[0], r#"{"n":7}"#), "the list is from before its deletion");
        assert_eq!(memory.bytes, counted(&memory));
    }

    #[test]
    fn an_update_behind_its_deletion_brings_nothing_back() {
        let mut memory = Memory::default();
        memory.observe(Action::Create, "a", AT[0], r#"{"n":0}"#);
        memory.observe(Action::Delete, "a", AT[0], r#"{"n":0}"#);
        for n in 1..3 {
            let behind = memory.observe(Action::Update, "a", AT[1], &format!(r#"{{"n":{n}}}"#));
            assert_eq!(behind, Sight::Late, "whatever its stamp");
        }
        assert!(memory.last("a").is_none() && memory.living().count() == 0, "it is gone");
        assert_eq!(memory.observe(Action::Create, "a", AT[1], r#"{"n":5}"#), Sight::New);
        assert!(memory.last("a").is_some(), "made anew");
        assert_eq!(memory.observe(Action::Update, "a", AT[1], r#"{"n":6}"#), Sight::New);
        // Of two writers, one deletes what the other changes meanwhile.
        memory.observe(Action::Create, "e", AT[0], "{}");
        memory.observe(Action::Update, "e", AT[1], "{}");
        assert_eq!(memory.observe(Action::Delete, "e", AT[0], "{}"), Sight::New, "it is gone");
        assert!(!memory.is_living("e"));
        // Made anew where its create was not told, as with a filter.
        let made = |at: &str| format!(r#"{{"id":"d","created":"{at}"}}"#);
        memory.observe(Action::Create, "d", AT[0], &made(AT[0]));
        memory.observe(Action::Delete, "d", AT[0], &made(AT[0]));
        assert_eq!(memory.observe(Action::Update, "d", AT[1], &made(AT[1])), Sight::New);
        assert_eq!(memory.observe(Action::Delete, "d", AT[0], &made(AT[0])), Sight::Late, "of the one before");
        assert!(memory.is_living("d"));
        // It was hidden from this login, and is not any more.
        memory.observe(Action::Create, "c", AT[0], r#"{"n":0}"#);
        memory.note_replayed(Action::Delete, "c", AT[0], r#"{"n":0}"#);
        assert!(memory.last("c").is_none());
        assert_eq!(memory.observe(Action::Update, "c", AT[1], r#"{"n":1}"#), Sight::New);
        assert!(memory.last("c").is_some());
        for (again, replayed) in [(AT[2], false), (AT[1], true)] {
            memory.observe(Action::Create, "b", AT[0], r#"{"n":0}"#);
            memory.observe(Action::Delete, "b", AT[0], r#"{"n":0}"#);
            memory.keep(Action::Update, "b", again, r#"{"n":1}"#, replayed);
            assert!(memory.last("b").is_some(), "made anew long ago, or listed");
            memory = Memory::default();
        }
    }

    /// What is held while a list is read is left out where the list shows a newer state.
    #[test]
    fn what_a_list_has_outdated_was_not_delivered() {
        let mut memory = Memory::default();
        memory.observe(Action::Update, "a", AT[0], r#"{"n":0}"#);
        memory.note_listed("a", AT[1], r#"{"n":1}"#);
        assert!(!memory.covers("a", AT[0], r#"{"n":0}"#), "it may be the last state all the same");
        assert!(memory.covers("a", AT[1], r#"{"n":1}"#));
        memory.observe(Action::Update, "b", AT[1], r#"{"n":1}"#);
        memory.note_listed("b", AT[0], r#"{"n":0}"#);
        assert!(memory.covers("b", AT[0], r#"{"n":0}"#) && memory.covers("b", AT[1], r#"{"n":1}"#));
        assert_eq!(memory.bytes, counted(&memory));
    }

    /// A record that changes all the time is compared with a list from a moment ago.
    #[test]
    fn of_many_states_the_stamps_are_kept() {
        let stamp = |n: i64| server_time(Timestamp::from_millisecond(1_800_000_000_000 + n).unwrap());
        let mut memory = Memory::default();
        for n in 0..2000 {
            memory.observe(Action::Update, "a", &stamp(n), &format!(r#"{{"n":{n}}}"#));
        }
        assert!(memory.covers("a", &stamp(1500), r#"{"n":1500}"#) && !memory.covers("a", &stamp(10), r#"{"n":10}"#));
        assert!(memory.peek("a").unwrap().bytes() < 12_000, "{}", memory.peek("a").unwrap().bytes());
        assert_eq!(memory.bytes, counted(&memory));
        memory.observe(Action::Update, "a", &stamp(12_000), "{}");
        memory.observe(Action::Update, "a", &stamp(30_000), "{}");
        assert!(memory.peek("a").unwrap().older.is_none());
    }

    #[test]
    fn an_older_state_is_kept_in_full_where_its_stamp_says_too_little() {
        let stamp = |n: i64| server_time(Timestamp::from_millisecond(1_800_000_000_000 + n).unwrap());
        let record = |n: u32| format!(r#"{{"n":{n}}}"#);
        let mut memory = Memory::default();
        for (at, n) in [(1, 1), (2, 2), (2, 22), (3, 3), (4, 4), (5, 5)] {
            memory.observe(Action::Update, "a", &stamp(at), &record(n));
        }
        assert!(memory.covers("a", &stamp(1), &record(1)) && memory.covers("a", &stamp(3), &record(3)));
        assert!(memory.covers("a", &stamp(2), &record(2)) && memory.covers("a", &stamp(2), &record(22)));
        assert!(!memory.covers("a", &stamp(2), &record(222)), "a third change within the millisecond");
        assert!(memory.covers("a", &stamp(4), &record(4)) && !memory.covers("a", &stamp(4), &record(44)), "the last");
        assert_eq!(memory.peek("a").unwrap().older.as_ref().unwrap().states.len(), 3);
        // What a list showed waits for its twin of the feed, whatever comes meanwhile.
        memory.note_replayed(Action::Update, "b", &stamp(1), &record(1));
        for at in 2..6 {
            assert_eq!(memory.observe(Action::Update, "b", &stamp(at), &record(0)), Sight::New);
        }
        assert_eq!(memory.observe(Action::Update, "b", &stamp(1), &record(1)), Sight::Replayed);
        assert_eq!(memory.bytes, counted(&memory));
    }

    #[test]
    fn what_was_delivered_after_a_listed_state_stays_known() {
        let stamp = |n: i64| server_time(Timestamp::from_millisecond(1_800_000_000_000 + n).unwrap());
        let record = |n: i64| format!(r#"{{"n":{n}}}"#);
        let mut memory = Memory::default();
        for n in 1..=6 {
            memory.observe(Action::Update, "a", &stamp(n), &record(n));
        }
        memory.note_listed("a", &stamp(2), &record(2));
        assert!((2..=6).all(|n| memory.covers("a", &stamp(n), &record(n))));
        assert!(!memory.covers("a", &stamp(1), &record(1)), "that was not delivered");
        assert_eq!(memory.bytes, counted(&memory));
    }

    #[test]
    fn a_twin_is_not_waited_for_for_ever() {
        let stamp = |n: i64| server_time(Timestamp::from_millisecond(1_800_000_000_000 + n).unwrap());
        let mut memory = Memory::default();
        memory.note_replayed(Action::Update, "a", &stamp(0), "{}");
        memory.observe(Action::Update, "a", &stamp(60_000), r#"{"n":1}"#);
        assert!(memory.peek("a").unwrap().older.is_some());
        memory.observe(Action::Update, "a", &stamp(120_000), r#"{"n":2}"#);
        memory.observe(Action::Update, "a", &stamp(140_000), r#"{"n":3}"#);
        assert!(memory.peek("a").unwrap().older.is_none());
    }

    #[test]
    fn what_is_older_takes_little_room() {
        let mut memory = Memory::default();
        let record = |n: usize| format!(r#"{{"n":{n},"text":"{}"}}"#, "x".repeat(500));
        for n in 0..REMEMBERED.get() {
            for state in 0..4 {
                let stamp = format!("2026-01-31 12:00:00.{state:03}Z");
                memory.observe(Action::Update, &n.to_string(), &stamp, &record(n));
            }
        }
        let last_states = REMEMBERED.get() * (record(0).len() + 40);
        assert!(memory.bytes < last_states * 5 / 2, "{} for {last_states}", memory.bytes);
        assert_eq!(memory.bytes, counted(&memory));
        assert!(memory.covers("0", "2026-01-31 12:00:00.001Z", &record(0)), "the stamp is known still");
        assert!(!memory.covers("0", "2026-01-31 12:00:00.007Z", &record(0)));
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
            memory.observe(Action::Update, "busy", &format!("2026-01-31 12:00:00.{n:03}Z"), &long(n));
            if n % 3 == 0 {
                memory.observe(Action::Delete, &n.to_string(), "1", "{}");
            }
            assert_eq!(memory.bytes, counted(&memory));
            assert!(memory.bytes <= REMEMBERED_BYTES, "{}", memory.bytes);
        }
        assert!(memory.has_forgotten() && memory.knows("199"));
        assert!(memory.peek("same").unwrap().states.len() <= MOST_STATES);
        memory.observe(Action::Update, "same", "2", "{}");
        memory.observe(Action::Update, "busy", "2026-01-31 12:01:00.000Z", "{}");
        assert!(memory.peek("busy").unwrap().bytes() < 4096, "its room is given back");
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

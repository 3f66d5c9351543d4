//! Who is subscribed to what.

mod before;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use self::before::Before;
use super::catch_up::{Found, Question};
use super::memory::{Memory, Sight};
use super::pages::Listed;
use super::queue::Sender;
use super::start::Start;
use crate::event::{Action, Event, RecordEvent, Source, decode};
use crate::filter::server_time;
use crate::hash::Fnv;
use crate::text::Text;
use crate::topic::PB_CONNECT;
use crate::{Error, ErrorKind, Result, Topic, TopicKind};

/// Names a subscriber.
pub(crate) type SubscriberId = u64;

/// A topic as a subscriber asks for it.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What the server is sent.
    pub(crate) key: String,
    pub(crate) source: Source,
    /// What was delivered of its records.
    memory: Memory,
    /// Whether its records carry `updated`, as far as seen.
    stamped: bool,
    /// The moment up to which nothing can be missing, where that is later than
    /// the connection's own.
    known: Option<Instant>,
    /// The moment up to which its list has shown that nothing was missed, likewise.
    verified: Option<Instant>,
    /// What of it was to be read again, and was not yet.
    unread: Option<Unread>,
    /// The server has taken it.
    acknowledged: bool,
    /// Tells others that it is still wanted.
    alive: Arc<()>,
    /// A record has come.
    heard: bool,
    /// The last of the remembered records that was asked for in turn.
    asked: String,
}

impl Wanted {
    pub(crate) fn new(key: String, source: Source) -> Self {
        let (memory, alive) = (Memory::default(), Arc::default());
        Self {
            key,
            source,
            memory,
            stamped: false,
            known: None,
            verified: None,
            unread: None,
            acknowledged: false,
            alive,
            heard: false,
            asked: String::new(),
        }
    }

    /// The next of the remembered records that are asked for, by their ids: however many
    /// come and change meanwhile, each has its turn.
    fn next_in_turn(&self) -> Vec<String> {
        let mut ids: Vec<&str> = self.memory.living().collect();
        ids.sort_unstable();
        let first = ids.partition_point(|id| *id <= self.asked.as_str());
        ids.rotate_left(first);
        ids.into_iter().take(SOME).map(str::to_owned).collect()
    }

    /// Whether its records can be listed at all.
    fn has_records(&self) -> bool {
        matches!(self.source.topic().kind(), TopicKind::Collection(_) | TopicKind::Record(..))
            || matches!(self.source.topic().kind(), TopicKind::Bare(_)) && self.stamped
    }
}

/// What was to be read again and was not: progress stays before it, so that
/// whoever goes on from there reads it.
#[derive(Debug, Clone, Copy)]
struct Unread {
    since: Timestamp,
    /// It is tried again; what is too much for that is left to who resumes.
    again: bool,
}

/// What a subscriber asks for besides its topics.
#[derive(Debug, Default)]
pub(crate) struct Manner {
    /// Listens to the connection itself and has no topics.
    pub(crate) monitor: bool,
    /// Where it begins.
    pub(crate) start: Start,
    /// Whether it is told how far everything has come.
    pub(crate) progress: bool,
    /// What lists showed just before it, by [`Source::index`]: it is none of what happens from now on.
    pub(crate) of_late: Vec<(usize, Listed)>,
}

#[derive(Debug)]
struct Subscriber {
    sender: Sender,
    wanted: Vec<Wanted>,
    monitor: bool,
    /// What it is still to be given from before it began.
    before: Option<Before>,
    progress: bool,
    /// How far everything has come, as it was told last.
    told: Option<Timestamp>,
}

impl Subscriber {
    /// Whether the server has taken its topics.
    fn is_acknowledged(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.acknowledged)
    }

    /// Hands it an event of the feed, or what belongs between such: behind what was before.
    fn give(&mut self, event: Event) {
        match &mut self.before {
            Some(before) => before.hold.push(event),
            None => self.sender.send(Ok(event)),
        }
    }
}

/// All subscribers, and the way from a key to those who want its events.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    /// By key: whose topic, and its place there. Whoever sends chooses none of the keys.
    targets: HashMap<String, Vec<(SubscriberId, usize)>, BuildHasherDefault<Fnv>>,
}

/// Which topics to unsubscribe.
#[derive(Debug, Clone)]
pub(crate) enum Selector {
    Name(String),
    /// Topics of this name and those below it: `posts` is `posts` and
    /// `posts/…`, and not `posts_archive/…`.
    Prefix(String),
    All,
}

impl Selector {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(wanted) => wanted == name,
            Self::Prefix(prefix) => name
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/')),
            Self::All => true,
        }
    }
}

/// Which of the remembered records are asked for: one that is gone is in no list.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    All,
    /// Some of each topic, in turns.
    Some,
}

/// So many of one topic are: two requests.
const SOME: usize = 300;

/// A topic of which something is to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) subscriber: SubscriberId,
    /// What the server was sent.
    pub(crate) key: String,
    /// [`Source::index`], which stays when other topics go.
    pub(crate) index: usize,
    pub(crate) question: Question,
    /// Records were forgotten for want of room: some deletion may go unseen.
    pub(crate) forgotten: bool,
    /// The same for records that were listed before the watch.
    pub(crate) partial: bool,
}

impl Registry {
    pub(crate) fn add(&mut self, id: SubscriberId, sender: Sender, mut wanted: Vec<Wanted>, manner: Manner) {
        let Manner { monitor, start, progress, of_late } = manner;
        for (index, item) in of_late {
            if let Some(wanted) = wanted.get_mut(index)
                && !item.updated.is_empty()
            {
                wanted.stamped = true;
                wanted.memory.note_listed(&item.id, &item.updated, &item.record);
            }
        }
        let before = Before::new(start);
        let subscriber = Subscriber { sender, wanted, monitor, before, progress, told: None };
        self.subscribers.insert(id, subscriber);
        self.rebuild();
    }

    /// Forgets a subscriber, after a last word where there is one. Its stream ends.
    pub(crate) fn remove(&mut self, id: SubscriberId, last: Option<Error>) -> bool {
        let Some(subscriber) = self.subscribers.remove(&id) else { return false };
        if let Some(error) = last {
            subscriber.sender.send(Err(error));
        }
        self.rebuild();
        true
    }

    /// The server has taken everything.
    pub(crate) fn acknowledge(&mut self) {
        for wanted in self.subscribers.values_mut().flat_map(|subscriber| &mut subscriber.wanted) {
            wanted.acknowledged = true;
        }
    }

    /// Whether the server has ever taken any of the topics.
    pub(crate) fn has_acknowledged(&self) -> bool {
        self.wanted().any(|wanted| wanted.acknowledged)
    }

    /// Takes back the topics that the server has never taken, and says whose
    /// they were. A stream that has no others ends with the error.
    pub(crate) fn remove_newcomers(&mut self, error: &Error) -> Vec<SubscriberId> {
        let mut newcomers = Vec::new();
        self.subscribers.retain(|id, subscriber| {
            let before = subscriber.wanted.len();
            subscriber.wanted.retain(|wanted| wanted.acknowledged);
            if subscriber.wanted.len() < before {
                newcomers.push(*id);
            }
            let stays = subscriber.monitor || !subscriber.wanted.is_empty();
            if !stays {
                subscriber.sender.send(Err(error.clone()));
            }
            stays
        });
        self.rebuild();
        newcomers
    }

    /// Adds a topic to a subscriber's, from this moment on.
    pub(crate) fn extend(&mut self, id: SubscriberId, mut wanted: Wanted, now: Instant) -> Result<()> {
        let Some(subscriber) = self.subscribers.get_mut(&id) else {
            return Err(Error::new(ErrorKind::Closed, "the subscription has ended"));
        };
        if subscriber.wanted.iter().any(|have| have.key == wanted.key) {
            let topic = wanted.source.topic();
            return Err(Error::new(ErrorKind::InvalidTopic, format!("{topic} is subscribed already")));
        }
        wanted.known = Some(now);
        subscriber.wanted.push(wanted);
        self.rebuild();
        Ok(())
    }

    /// Ends everything with this error.
    pub(crate) fn fail(&mut self, error: &Error) {
        for subscriber in std::mem::take(&mut self.subscribers).into_values() {
            subscriber.sender.send(Err(error.clone()));
        }
        self.targets.clear();
    }

    /// Takes topics from all subscribers, and says how many. Who has none left is done.
    pub(crate) fn unsubscribe(&mut self, selector: &Selector) -> usize {
        let mut count = 0;
        self.subscribers.retain(|_, subscriber| {
            let before = subscriber.wanted.len();
            subscriber.wanted.retain(|wanted| !selector.matches(wanted.source.topic().name()));
            count += before - subscriber.wanted.len();
            subscriber.monitor || !subscriber.wanted.is_empty()
        });
        self.rebuild();
        count
    }

    fn rebuild(&mut self) {
        self.targets.clear();
        for (id, subscriber) in &self.subscribers {
            for (at, wanted) in subscriber.wanted.iter().enumerate() {
                self.targets.entry(wanted.key.clone()).or_default().push((*id, at));
            }
        }
    }

    /// Whether a connection is needed at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What the server is sent: each key once, in the order of subscription.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        self.wanted().map(|wanted| &wanted.key).filter(|key| *key != PB_CONNECT && seen.insert(*key)).cloned().collect()
    }

    /// What the check of topics can be asked about: the keys, and whether a record has come.
    pub(crate) fn checkable(&self) -> Vec<(String, Topic, bool)> {
        let mut found: Vec<(String, Topic, bool)> = Vec::new();
        for wanted in self.wanted() {
            let topic = wanted.source.topic();
            if matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect) {
                continue;
            }
            match found.iter_mut().find(|(key, ..)| *key == wanted.key) {
                Some((.., heard)) => *heard |= wanted.heard,
                None => found.push((wanted.key.clone(), topic.clone(), wanted.heard)),
            }
        }
        found
    }

    /// Whether anybody wants events of this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.targets.contains_key(key)
    }

    /// How many keys there would be with these.
    pub(crate) fn count_with(&self, wanted: &[Wanted]) -> usize {
        let mut keys: HashSet<&str> = self.targets.keys().map(String::as_str).collect();
        keys.extend(wanted.iter().map(|wanted| wanted.key.as_str()));
        keys.remove(PB_CONNECT);
        keys.len()
    }

    /// The names of the active topics, each once, in the order of subscription.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names_where(|_| true)
    }

    /// The names of the topics whose records cannot be listed: custom ones.
    pub(crate) fn unlisted_names(&self) -> Vec<String> {
        self.names_where(|wanted| !wanted.has_records() && wanted.key != PB_CONNECT)
    }

    /// The names of these topics, as far as they are still wanted.
    pub(crate) fn names_of(&self, keys: &HashSet<String>) -> Vec<String> {
        self.names_where(|wanted| keys.contains(&wanted.key))
    }

    fn names_where(&self, is_meant: impl Fn(&Wanted) -> bool) -> Vec<String> {
        let mut seen = HashSet::new();
        let names = self.wanted().filter(|wanted| is_meant(wanted)).map(|wanted| wanted.source.topic().name());
        names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
    }

    fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.subscribers.values().flat_map(|subscriber| &subscriber.wanted)
    }

    /// Hands a frame to those who asked for its key. What was replayed before is
    /// left out. `heed`: when the change was made is looked at.
    pub(crate) fn deliver(&mut self, key: &str, data: Text, time: Timestamp, heed: bool) -> Delivered {
        let Self { subscribers, targets } = self;
        let Some(((last_id, last), others)) = targets.get(key).and_then(|targets| targets.split_last()) else {
            return Delivered::Unwanted;
        };
        let mut delivered = Delivered::Unstamped;
        let mut hand = |id: &SubscriberId, at: usize, data: Text| {
            let Some(subscriber) = subscribers.get_mut(id) else { return };
            let Some(wanted) = subscriber.wanted.get_mut(at) else { return };
            let mut event = decode(wanted.source.clone(), time, data);
            if let Event::Record(event) = &mut event {
                wanted.heard = true;
                if subscriber.before.is_some() && is_outdated(wanted, event) {
                    delivered = Delivered::Stamped(None);
                    return;
                }
                let (fresh, stamped) = remember_event(wanted, event, heed);
                delivered = stamped;
                if !fresh {
                    return;
                }
            }
            subscriber.give(event);
        };
        for (id, at) in others {
            hand(id, *at, data.clone());
        }
        hand(last_id, *last, data);
        delivered
    }

    /// Tells everyone something about the connection. Who is still given what
    /// was before is not live yet.
    pub(crate) fn announce(&mut self, event: &Event) {
        for subscriber in self.subscribers.values_mut() {
            match event {
                Event::Live(_) if subscriber.before.is_some() => {}
                // It stands behind what was read again.
                Event::Gap(_) => subscriber.give(event.clone()),
                _ => subscriber.sender.send(Ok(event.clone())),
            }
        }
    }

    /// Whether some reader is so far behind, or so much is held for one, that reading should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.subscribers
            .values()
            .any(|subscriber| subscriber.sender.is_full() || subscriber.before.as_ref().is_some_and(Before::is_full))
    }

    /// From this moment on a topic is known to be whole: it was just subscribed.
    pub(crate) fn set_known(&mut self, id: SubscriberId, now: Instant) {
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            for wanted in &mut subscriber.wanted {
                wanted.known = Some(now);
            }
        }
    }

    /// What is to be read again when everything is known up to a moment by
    /// both clocks. Where more records changed since than are remembered, what
    /// is listed could not be told from what came: only what is `recent` is read.
    pub(crate) fn readings(&self, known: (Instant, Timestamp), recent: Timestamp, asked: Asked) -> Vec<Reading> {
        let by_server = |own: Instant| match own.checked_duration_since(known.0) {
            Some(later) => known.1.checked_add(later).ok(),
            None => known.1.checked_sub(known.0 - own).ok(),
        };
        let mut readings = Vec::new();
        for (id, subscriber) in &self.subscribers {
            for wanted in subscriber.wanted.iter().filter(|wanted| wanted.has_records()) {
                // What was changed before it was subscribed was not missed.
                let begin = wanted.known.and_then(by_server);
                let remembered = match asked {
                    Asked::All => wanted.memory.living().map(str::to_owned).collect(),
                    Asked::Some => wanted.next_in_turn(),
                };
                let topic = wanted.source.topic();
                let since = if wanted.memory.has_overflowed() {
                    tracing::debug!(target: "bosbase_watch::catch_up", "{topic}: more records changed than are remembered, only the last 10 s are compared");
                    recent
                } else {
                    wanted.verified.and_then(by_server).unwrap_or(known.1).max(known.1)
                };
                let unread = wanted.unread.filter(|unread| matches!(asked, Asked::All) && unread.again);
                let since = unread.map_or(since, |unread| unread.since.min(since));
                readings.push(Reading {
                    subscriber: *id,
                    key: wanted.key.clone(),
                    index: wanted.source.index(),
                    question: Question {
                        topic: topic.clone(),
                        since: begin.map_or(since, |begin| begin.max(since)),
                        begin,
                        remembered,
                    },
                    forgotten: wanted.memory.has_forgotten(),
                    partial: wanted.memory.is_partial(),
                });
            }
        }
        readings
    }

    /// Of these, some of the remembered records are being asked for: the next ones are others.
    pub(crate) fn asked_some(&mut self, readings: &[Reading]) {
        for reading in readings {
            if let Some((wanted, _)) = self.find(reading.subscriber, reading.index)
                && let Some(last) = reading.question.remembered.last()
            {
                wanted.asked.clone_from(last);
            }
        }
    }

    /// These were compared with their lists.
    pub(crate) fn set_verified(&mut self, topics: &[(SubscriberId, usize)], moment: Instant) {
        for (id, index) in topics {
            if let Some((wanted, _)) = self.find(*id, *index) {
                wanted.verified = Some(moment);
                wanted.memory.forget_overflow();
            }
        }
    }

    /// A topic was not read again: its progress stays where it is. `again`: it is to be tried once more.
    pub(crate) fn set_unread(&mut self, id: SubscriberId, index: usize, since: Timestamp, again: bool) {
        if let Some((wanted, _)) = self.find(id, index) {
            let before = wanted.unread;
            wanted.unread = Some(Unread {
                since: before.map_or(since, |before| before.since.min(since)),
                again: again && before.is_none_or(|before| before.again),
            });
        }
    }

    /// None of the topics that can be read was read again. `again`: it is to be tried once more.
    pub(crate) fn set_all_unread(&mut self, since: Timestamp, again: bool) {
        for wanted in self.subscribers.values_mut().flat_map(|subscriber| &mut subscriber.wanted) {
            if wanted.has_records() && wanted.unread.is_none() {
                wanted.unread = Some(Unread { since, again });
            }
        }
    }

    /// A topic was read to its end.
    pub(crate) fn set_read(&mut self, id: SubscriberId, index: usize) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let wanted = subscriber.wanted.iter_mut().find(|wanted| wanted.source.index() == index);
        if let Some(wanted) = wanted
            && wanted.unread.take_if(|unread| unread.again).is_some()
        {
            // It has caught up with the others, which may have come no further since.
            subscriber.told = None;
        }
    }

    /// Since when something of a topic is unread that is tried again.
    pub(crate) fn unread_since(&self) -> Option<Timestamp> {
        self.wanted().filter_map(|wanted| wanted.unread.filter(|unread| unread.again)).map(|unread| unread.since).min()
    }

    /// What is unread, to be tried again.
    pub(crate) fn unread(&self, known: (Instant, Timestamp)) -> Vec<Reading> {
        let mut readings = self.readings(known, known.1, Asked::All);
        readings.retain(|reading| {
            let subscriber = self.subscribers.get(&reading.subscriber);
            let mut wanted = subscriber.into_iter().flat_map(|subscriber| &subscriber.wanted);
            wanted.any(|wanted| wanted.source.index() == reading.index && wanted.unread.is_some_and(|it| it.again))
        });
        readings
    }

    /// The moment up to which nothing was missed of any topic that can be listed, where
    /// everything was read up to that moment.
    pub(crate) fn verified_since(&self, moment: Instant) -> Instant {
        let listed = self.wanted().filter(|wanted| wanted.has_records());
        listed.map(|wanted| wanted.verified.map_or(moment, |own| own.max(moment))).min().unwrap_or(moment)
    }

    /// What was forgotten until now does not matter any more.
    pub(crate) fn forget_overflows(&mut self) {
        for wanted in self.subscribers.values_mut().flat_map(|subscriber| &mut subscriber.wanted) {
            wanted.memory.forget_overflow();
        }
    }

    fn find(&mut self, id: SubscriberId, index: usize) -> Option<(&mut Wanted, Outlet<'_>)> {
        let Subscriber { wanted, sender, before, .. } = self.subscribers.get_mut(&id)?;
        let wanted = wanted.iter_mut().find(|wanted| wanted.source.index() == index)?;
        Some((wanted, Outlet { sender, before: before.as_mut() }))
    }

    /// Whether something was found that was never delivered.
    pub(crate) fn misses(&mut self, id: SubscriberId, index: usize, listed: &Listed) -> bool {
        self.find(id, index)
            .is_some_and(|(wanted, _)| !wanted.memory.covers(&listed.id, &listed.updated, &listed.record))
    }

    /// What a list showed that was not delivered is compared with what a later one shows.
    pub(crate) fn compare_lists(&mut self, id: SubscriberId, index: usize, first: &Listed, second: &Listed) {
        if let Some((wanted, _)) = self.find(id, index)
            && first.updated == second.updated
        {
            wanted.memory.compare_lists(&first.id, &first.updated, &first.record, &second.record);
        }
    }

    /// See [`Memory::unlike`].
    pub(crate) fn unlike(&mut self, id: SubscriberId, index: usize, item: &Listed) -> Option<Vec<String>> {
        self.find(id, index)?.0.memory.unlike(&item.id, &item.updated, &item.record)
    }

    /// See [`Memory::set_computed`].
    pub(crate) fn set_computed(&mut self, id: SubscriberId, index: usize, field: String) {
        if let Some((wanted, _)) = self.find(id, index) {
            wanted.memory.set_computed(field);
        }
    }

    /// Whether fields are known that are computed for each answer.
    pub(crate) fn has_computed(&self) -> bool {
        self.wanted().any(|wanted| wanted.memory.has_computed())
    }

    /// Whether a record was there when it was last heard of.
    pub(crate) fn is_living(&mut self, id: SubscriberId, index: usize, record: &str) -> bool {
        self.find(id, index).is_some_and(|(wanted, _)| wanted.memory.is_living(record))
    }

    /// Delivers what was read again, unless it was delivered before. Says how many it were.
    pub(crate) fn replay(&mut self, reading: &Reading, found: &Found, time: Timestamp) -> Replayed {
        let from = server_time(reading.question.from());
        let Some((wanted, mut outlet)) = self.find(reading.subscriber, reading.index) else {
            return Replayed::default();
        };
        let mut replayed = Replayed::default();
        for item in &found.changes {
            wanted.stamped = true;
            let Listed { id, updated, record, .. } = item;
            if wanted.memory.covers(id, updated, record) {
                continue;
            }
            wanted.memory.compare_with_replayed(id, updated, record);
            if wanted.memory.covers(id, updated, record) {
                continue;
            }
            // What was deleted and is there has been made anew.
            let known = wanted.memory.is_living(&item.id);
            let created = item.created.as_ref().is_some_and(|created| *created >= from);
            let action = if created && !known { Action::Create } else { Action::Update };
            wanted.memory.note_replayed(action, &item.id, &item.updated, &item.record);
            let event = RecordEvent::replayed(wanted.source.clone(), time, action, item.record.clone());
            outlet.give(Event::Record(event));
            replayed.changes += 1;
            replayed.earliest = [replayed.earliest, item.updated.parse().ok()].into_iter().flatten().min();
        }
        for id in &found.deleted {
            let Some((updated, last)) = wanted.memory.last(id).map(|(u, r)| (u.to_owned(), r.to_owned())) else {
                continue;
            };
            wanted.memory.note_replayed(Action::Delete, id, &updated, &last);
            let event = RecordEvent::replayed(wanted.source.clone(), time, Action::Delete, last);
            outlet.give(Event::Record(event));
            replayed.deletes += 1;
        }
        replayed
    }
}

/// What was read again and delivered.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) changes: u64,
    pub(crate) deletes: u64,
    /// When the first of the changes was made.
    pub(crate) earliest: Option<Timestamp>,
}

/// The way to a subscriber.
struct Outlet<'a> {
    sender: &'a Sender,
    before: Option<&'a mut Before>,
}

impl Outlet<'_> {
    /// See [`Subscriber::give`].
    fn give(&mut self, event: Event) {
        match &mut self.before {
            Some(before) => before.hold.push(event),
            None => self.sender.send(Ok(event)),
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Delivered {
    /// It says when the change was made: then, where that was looked at.
    Stamped(Option<Timestamp>),
    /// It does not, or of a deletion.
    Unstamped,
    /// Nobody asked for it.
    Unwanted,
}

/// Marks the event late where a newer state was delivered, and remembers it.
/// Says whether it is new at all, and when the change was made.
fn remember_event(wanted: &mut Wanted, event: &mut RecordEvent, heed: bool) -> (bool, Delivered) {
    let Some((id, updated)) = event.stamp().filter(|(_, updated)| !updated.is_empty()) else {
        return (true, Delivered::Unstamped);
    };
    wanted.stamped = true;
    let delivered = match event.action() {
        // The record of a deletion is as it was before.
        Action::Delete => Delivered::Unstamped,
        _ if !heed => Delivered::Stamped(None),
        _ => updated.parse().map_or(Delivered::Unstamped, |stamp| Delivered::Stamped(Some(stamp))),
    };
    match wanted.memory.observe(event.action(), &id, &updated, event.raw()) {
        // A list may show a change before the feed brings it.
        Sight::Replayed => (false, delivered),
        sight => {
            let late = sight == Sight::Late;
            drop((id, updated));
            event.set_late(late);
            (true, delivered)
        }
    }
}

/// Whether a list has shown a newer state of the record. It is neither delivered nor
/// remembered: should it be the last that was written, the next comparison finds it.
fn is_outdated(wanted: &Wanted, event: &RecordEvent) -> bool {
    event.action() != Action::Delete
        && event.stamp().is_some_and(|(id, updated)| wanted.memory.is_outdated_by_list(&id, &updated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_at_a_slash() {
        for (prefix, name, expected) in [
            ("posts", "posts", true),
            ("posts", "posts/*", true),
            ("posts", "posts_archive/*", false),
            ("posts/", "posts/*", true),
            ("posts/", "posts", false),
            ("", "posts", false),
        ] {
            assert_eq!(Selector::Prefix(prefix.into()).matches(name), expected, "{prefix} {name}");
        }
    }
}

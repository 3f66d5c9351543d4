//! Subscribers that begin before now: what they are given first, and what is
//! held for them meanwhile.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Registry, Subscriber, SubscriberId, Wanted};
use crate::event::{
    Action, Deletes, Event, Gap, Listing, Live, Progress, RecordEvent, fingerprint, id_print, record_half,
};
use crate::filter::server_time;
use crate::realtime::backlog::{Backlog, Step, Task};
use crate::realtime::catch_up::{CLOCK_ERROR, OVERLAP};
use crate::realtime::hold::Hold;
use crate::realtime::memory::REMEMBERED;
use crate::realtime::pages::{ById, ByUpdated, Listed};
use crate::realtime::remote::Remote;
use crate::realtime::start::{Mark, Start};
use crate::topic::PB_CONNECT;
use crate::{TopicKind, now};

/// So many states are known at the most that need not be delivered again, of each topic.
const KNOWN: usize = 2 * REMEMBERED.get();

/// How many bytes of live events are held for one subscriber; beyond them nothing is read.
const HELD: usize = 64 * 1024 * 1024;

/// What a subscriber is still to be given from before it began.
#[derive(Debug)]
pub(super) struct Before {
    start: Start,
    /// It goes on where another one was cut off.
    resumes: bool,
    /// The moment it began, by the server's clock, once it is being read.
    began: Option<Timestamp>,
    pub(super) hold: Hold,
    /// By [`crate::Source::index`].
    topics: Vec<Past>,
    initial: u64,
    replayed: u64,
    /// Since when something may be missing.
    gap_from: Option<Timestamp>,
    filled: Vec<String>,
    unfilled: Vec<String>,
}

/// What is known of one topic.
#[derive(Debug, Default)]
struct Past {
    /// What was delivered in another life, and by the list that goes on from there.
    seen: HashSet<u64>,
    /// Of which records.
    known: HashSet<u32>,
    /// What changed since then is read behind the list.
    from: Option<String>,
    /// How far it has come.
    until: Timestamp,
    /// What was before need not be read again.
    settled: Option<Timestamp>,
}

impl Past {
    fn place(&self) -> (Timestamp, Option<Timestamp>) {
        (self.until, self.settled)
    }
}

impl Before {
    pub(super) fn new(start: Start) -> Option<Self> {
        if matches!(start, Start::Now) {
            return None;
        }
        Some(Self {
            resumes: matches!(start, Start::Resume(_)),
            start,
            began: None,
            hold: Hold::default(),
            topics: Vec::new(),
            initial: 0,
            replayed: 0,
            gap_from: None,
            filled: Vec::new(),
            unfilled: Vec::new(),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.hold.bytes() > HELD
    }
}

impl Registry {
    /// Those whose topics the server has taken: what they ask for from before is to be read now.
    pub(crate) fn begin(&mut self, began: Timestamp, remote: &Arc<dyn Remote>) -> Vec<Backlog> {
        let mut backlogs = Vec::new();
        for (id, subscriber) in &mut self.subscribers {
            let is_taken = subscriber.is_acknowledged();
            let Some(before) = subscriber.before.as_mut().filter(|before| before.began.is_none() && is_taken) else {
                continue;
            };
            before.began = Some(began);
            let start = std::mem::take(&mut before.start);
            let mut tasks = Vec::new();
            let mut progress = Vec::new();
            for wanted in &mut subscriber.wanted {
                if matches!(start, Start::Resume(_)) {
                    // What another has delivered is not remembered here.
                    wanted.memory.set_partial();
                }
                let (task, mark) = plan(wanted, &start, began);
                progress.push(Progress {
                    topic: Some(wanted.source.index()),
                    until: mark.until,
                    settled: mark.settled,
                    listing: mark.listed.map(|last| Listing { last, total: None }),
                });
                before.topics.resize_with(before.topics.len().max(wanted.source.index() + 1), Past::default);
                let known = mark.seen.iter().copied().map(record_half).collect();
                before.topics[wanted.source.index()] = Past {
                    seen: mark.seen,
                    known,
                    from: task.changed_from(),
                    until: mark.until,
                    settled: mark.settled,
                };
                if matches!(start, Start::Resume(_)) {
                    before.gap_from = Some(before.gap_from.map_or(mark.until, |from| from.min(mark.until)));
                }
                tasks.push(task);
            }
            if subscriber.progress {
                for progress in progress {
                    subscriber.sender.send(Ok(Event::Progress(progress)));
                }
            }
            backlogs.push(Backlog::new(Arc::clone(remote), *id, subscriber.sender.clone(), tasks));
        }
        backlogs
    }

    /// Delivers a page of the records that exist. `recent`: what changed since
    /// may still be on its way over the feed.
    pub(crate) fn take_existing(
        &mut self,
        id: SubscriberId,
        index: usize,
        items: Vec<Listed>,
        total: Option<u64>,
        recent: Timestamp,
    ) {
        let Some((wanted, Begun { before, progress, sender })) = self.begun(id, index) else { return };
        let recent = server_time(recent);
        if let Some(total) = total
            && total > REMEMBERED.get() as u64
        {
            wanted.memory.set_partial();
        }
        let last = items.last().map(|item| item.id.clone());
        let time = now();
        for item in items {
            before.hold.prune(index, &item);
            wanted.stamped |= !item.updated.is_empty();
            if !item.updated.is_empty() && (!wanted.memory.is_partial() || item.updated >= recent) {
                wanted.memory.note_listed(&item.id, &item.updated, &item.record);
            }
            let past = &mut before.topics[index];
            if past.from.as_ref().is_some_and(|from| item.updated >= *from)
                && past.seen.len() < KNOWN
                && let Some(print) = fingerprint(&item.record)
            {
                past.seen.insert(print);
                past.known.insert(record_half(print));
            }
            // Which of them the other one has delivered since its last mark is not known.
            let event = RecordEvent::listed(wanted.source.clone(), time, item.record, before.resumes);
            sender.send(Ok(Event::Record(event)));
            before.initial += 1;
        }
        let (until, settled) = before.topics[index].place();
        if let (true, Some(last)) = (progress, last) {
            let listing = Some(Listing { last, total });
            sender.send(Ok(Event::Progress(Progress { topic: Some(index), until, settled, listing })));
        }
    }

    /// Delivers a page of what changed since `from`.
    pub(crate) fn take_changed(&mut self, id: SubscriberId, index: usize, items: Vec<Listed>, from: &str) {
        let Some((wanted, Begun { before, progress, sender })) = self.begun(id, index) else { return };
        let until = items.last().and_then(|item| item.updated.parse::<Timestamp>().ok());
        let time = now();
        for item in items {
            wanted.stamped = true;
            // What is held was not delivered.
            let held = before.hold.has(index, &item.id);
            let past = &mut before.topics[index];
            let known = past.known.contains(&id_print(&item.id)) || wanted.memory.knows(&item.id) && !held;
            let created = !known && item.created.as_ref().is_some_and(|created| **created >= *from);
            // Of one that is new, only its change may have come live.
            if wanted.memory.covers(&item.id, &item.updated, &item.record) && !(held && created) {
                continue;
            }
            if past.known.len() < KNOWN {
                past.known.insert(id_print(&item.id));
            }
            before.hold.prune(index, &item);
            wanted.memory.note_listed(&item.id, &item.updated, &item.record);
            if fingerprint(&item.record).is_some_and(|print| before.topics[index].seen.contains(&print)) {
                continue;
            }
            let action = if created { Action::Create } else { Action::Update };
            let event = RecordEvent::replayed(wanted.source.clone(), time, action, item.record);
            sender.send(Ok(Event::Record(event)));
            before.replayed += 1;
        }
        if let (Some(until), Some(began)) = (until, before.began) {
            let past = &mut before.topics[index];
            past.until = past.until.max(until.min(began));
            // So long after, nothing of that time is still on its way: it was read once and for all.
            if until.checked_add(OVERLAP).is_ok_and(|late| late <= began) {
                past.settled = past.settled.max(Some(until));
            }
            if progress {
                let (until, settled) = past.place();
                sender.send(Ok(Event::Progress(Progress { topic: Some(index), until, settled, listing: None })));
            }
        }
    }

    /// A topic is through.
    pub(crate) fn topic_is_through(&mut self, id: SubscriberId, index: usize, whole: bool) {
        let Some((wanted, Begun { before, progress, sender })) = self.begun(id, index) else { return };
        if progress {
            let (until, settled) = before.topics[index].place();
            sender.send(Ok(Event::Progress(Progress { topic: Some(index), until, settled, listing: None })));
        }
        if wanted.key == PB_CONNECT {
            return;
        }
        let names = if whole { &mut before.filled } else { &mut before.unfilled };
        let name = wanted.source.topic().name();
        if !names.iter().any(|have| have == name) {
            names.push(name.to_owned());
        }
    }

    /// A subscriber has been given everything: what was held follows, and it is
    /// live. `until`: how far everything has come.
    pub(crate) fn end_of_before(&mut self, id: SubscriberId, until: Option<Timestamp>, time: Timestamp) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let Some(before) = subscriber.before.take() else { return };
        let Subscriber { sender, wanted, progress, told, .. } = subscriber;
        if let (Some(from), Some(to)) = (before.gap_from, before.began) {
            let mut filled = before.filled;
            filled.retain(|name| !before.unfilled.contains(name));
            // Which records there were is not known any more.
            let deletes = if wanted.iter().any(Wanted::has_records) { Deletes::Unknown } else { Deletes::None };
            let unfilled = before.unfilled;
            let gap =
                Gap { time, from, to: to.max(from), filled, unfilled, replayed: before.replayed, left: 0, deletes };
            sender.send(Ok(Event::Gap(gap)));
        }
        for event in before.hold.release() {
            sender.send(Ok(event));
        }
        if let (true, Some(until)) = (*progress, until) {
            tell_progress(sender, wanted, until);
            *told = Some(until);
        }
        let live = Live { time, initial: before.initial, replayed: before.replayed };
        sender.send(Ok(Event::Live(live)));
    }

    /// Whether anyone wants to know how far everything has come.
    pub(crate) fn wants_progress(&self) -> bool {
        self.subscribers.values().any(|subscriber| subscriber.progress)
    }

    /// Everything has come that changed before this moment.
    pub(crate) fn progress(&mut self, until: Timestamp) {
        for subscriber in self.subscribers.values_mut() {
            let is_taken = subscriber.is_acknowledged();
            let Subscriber { sender, wanted, before, progress, told, .. } = subscriber;
            if *progress && is_taken && before.is_none() && told.is_none_or(|told| told < until) {
                *told = Some(until);
                tell_progress(sender, wanted, until);
            }
        }
    }

    fn begun(&mut self, id: SubscriberId, index: usize) -> Option<(&mut Wanted, Begun<'_>)> {
        let Subscriber { wanted, sender, before, progress, .. } = self.subscribers.get_mut(&id)?;
        let wanted = wanted.iter_mut().find(|wanted| wanted.source.index() == index)?;
        Some((wanted, Begun { before: before.as_mut()?, progress: *progress, sender }))
    }
}

/// Everything has come that changed before this moment, but for topics of which something is unread.
fn tell_progress(sender: &super::Sender, wanted: &[Wanted], until: Timestamp) {
    let tell = |topic| sender.send(Ok(Event::Progress(Progress { topic, until, settled: None, listing: None })));
    if wanted.iter().all(|wanted| wanted.unread.is_none()) {
        tell(None);
        return;
    }
    for wanted in wanted.iter().filter(|wanted| wanted.unread.is_none()) {
        tell(Some(wanted.source.index()));
    }
}

/// What is at hand of a subscriber besides the topic.
struct Begun<'a> {
    before: &'a mut Before,
    progress: bool,
    sender: &'a super::Sender,
}

/// What is to be read of a topic, and how far it has come before any of it.
fn plan(wanted: &Wanted, start: &Start, began: Timestamp) -> (Task, Mark) {
    let topic = wanted.source.topic();
    let index = wanted.source.index();
    let mut mark = match start {
        Start::Resume(marks) => marks.get(index).cloned().unwrap_or_else(|| Mark::at(began)),
        // Nothing from before it is of any interest, and resuming goes back by the overlap.
        Start::Since(since) => Mark::at(since.checked_add(OVERLAP).unwrap_or(*since)),
        Start::Initial => Mark { listed: Some(String::new()), ..Mark::at(began) },
        Start::Now => Mark::at(began),
    };
    // A clock that was set back further than is read again: what was before cannot be told from what came since.
    let is_ahead = began.checked_add(OVERLAP).is_ok_and(|latest| mark.until > latest);
    if is_ahead {
        (mark.until, mark.settled) = (began, None);
    }
    let lenient = matches!(start, Start::Resume(_));
    let has_records = !matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect);
    if !has_records {
        mark.listed = None;
    }
    let mut steps = VecDeque::new();
    if let Some(after) = &mark.listed {
        steps.push_back(Step::Exist(ById::new(topic.clone(), after.clone())));
    }
    if has_records && matches!(start, Start::Since(_) | Start::Resume(_)) {
        let from = mark.until.checked_sub(OVERLAP).unwrap_or(mark.until);
        let from = mark.settled.map_or(from, |settled| from.max(settled));
        let since = mark.since.and_then(|since| since.checked_sub(CLOCK_ERROR).ok());
        let from = server_time(since.map_or(from, |since| from.max(since)));
        // What changes from now on comes over the feed.
        let until = began.checked_add(CLOCK_ERROR * 2).ok().map(server_time);
        let pages = ByUpdated::new(topic.clone(), from.clone(), until);
        let pages = if lenient { pages } else { pages.with_created() };
        steps.push_back(Step::Changed { pages, from });
    }
    let whole = has_records && !is_ahead;
    (Task { index, topic: topic.clone(), alive: Arc::downgrade(&wanted.alive), steps, lenient, whole }, mark)
}

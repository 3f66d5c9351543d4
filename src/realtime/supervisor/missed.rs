//! What was missed: from when on something may be, reading it again after a
//! loss, and comparing the feed with the lists at a handover.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Supervisor;
use crate::event::{Deletes, Event, Gap};
use crate::realtime::backoff;
use crate::realtime::catch_up::{DELAY, Found};
use crate::realtime::pages::Listed;
use crate::realtime::registry::{Asked, Reading, Replayed, SubscriberId};
use crate::realtime::remote::{Pending, Remote};
use crate::realtime::state::{Input, State};
use crate::topic::PB_CONNECT;
use crate::{Error, ErrorKind};

/// How many topics are read again at once.
const PARALLEL: usize = 8;

/// How often a request of the catching up is tried, and how long in between.
const TRIES: u32 = 3;
/// Of one that is told to come later: the server's windows last ten seconds.
const LIMITED_TRIES: u32 = 6;
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The feed is compared with the lists at a handover, and not more often.
const CHECK_PAUSE: Duration = Duration::from_secs(10);

/// How many topics are compared at one handover; more take turns.
const CHECK_TOPICS: usize = 20;

/// What was lost is read again after so long: what is on its way comes first.
const CHECK_PATIENCE: Duration = Duration::from_secs(2);

/// A field that differs in so many records at once, at the stamps that were delivered, is
/// computed: so many changes do not fall into the same milliseconds as others.
const MANY: usize = 3;

/// What could not be read after that is tried again, each time after twice as long.
pub(super) const UNREAD_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_UNREAD_PAUSE: Duration = Duration::from_mins(1);

/// What was read again.
pub(super) type Answers = Vec<(Reading, Found)>;

/// A loss that could not be handed over.
pub(super) struct Loss {
    /// The moment up to which the lists have shown that nothing was missed, by our clock and by
    /// the server's: what changed since then is read again.
    pub(super) known: (Instant, Timestamp),
    /// When the newest change that came was made: where more changed than is remembered, only
    /// what changed since then is read again.
    pub(super) recent: Timestamp,
    /// The last sign of life, which does not always say when it was sent.
    pub(super) from: Timestamp,
    pub(super) topics: Vec<String>,
    /// What was read of it before it was lost again.
    pub(super) gap: Option<Gap>,
    /// Which has happened.
    pub(super) again: bool,
    /// How old the connection was and how long it had been quiet, where the server closed it.
    pub(super) closed: Option<(Duration, Duration)>,
}

/// The comparison of the feed with the lists.
#[derive(Default)]
pub(super) enum Check {
    #[default]
    Idle,
    Reading {
        started: Instant,
        answers: Pending<Answers>,
    },
    /// What changed is read, whether it came over the feed or not.
    Polling {
        started: Instant,
        since: Timestamp,
        answers: Pending<Answers>,
    },
    /// Something is missing, unless it comes until then.
    Suspecting {
        started: Instant,
        until: Instant,
        answers: Answers,
        /// The topics that were compared.
        compared: Vec<(SubscriberId, usize)>,
        /// It is read again in any case.
        certain: Option<Missed>,
    },
    /// What could not be read after a loss is tried again.
    Unread {
        since: Timestamp,
        answers: Pending<Answers>,
    },
    /// Something is missing: it is read again, deletions too.
    Mending {
        started: Instant,
        since: Timestamp,
        missed: Missed,
        /// What seemed to be missing.
        suspected: Answers,
        answers: Pending<Answers>,
    },
}

/// Of what something was missed though the connection stands.
#[derive(Debug, Clone)]
pub(super) enum Missed {
    /// Of any topic.
    Any,
    /// Of those that were sent as these keys.
    Of(HashSet<String>),
}

impl Missed {
    fn is_of(&self, key: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(keys) => keys.contains(key),
        }
    }
}

impl Supervisor {
    /// Remembers from when on events may be missing.
    pub(super) fn note_loss(&mut self, state: State, error: &Error) {
        let Some(link) = &self.active else { return };
        if !matches!(state, State::Live | State::HandingOver(_)) {
            return;
        }
        let now = Instant::now();
        let (age, idle) = (now - link.since, now - link.heard);
        self.limits.stands(age, link.longest_idle);
        // What the feed withheld since the lists were compared would never be looked for again.
        let known = self.verified_moment().unwrap_or(link.since);
        let since = self.server_time(known);
        // What came may have been on its way for long: its own stamp counts.
        let recent = self.newest.unwrap_or(Timestamp::MIN).max(since);
        self.loss = Some(Loss {
            known: (known, since),
            recent,
            from: if known < link.since { since } else { self.last_heard(known) },
            topics: self.topics(),
            gap: None,
            again: false,
            closed: (error.kind() == ErrorKind::Closed).then_some((age, idle)),
        });
    }

    /// When the last of what came was made, as far as it says so, and not before this moment.
    fn last_heard(&self, known: Instant) -> Timestamp {
        let recent = self.newest.unwrap_or(Timestamp::MIN).max(self.server_time(known));
        self.heard_unstamped.map_or(recent, |moment| self.server_time(moment).max(recent))
    }

    /// What is watched, as it is told.
    fn topics(&self) -> Vec<String> {
        self.registry.names().into_iter().filter(|name| name != PB_CONNECT).collect()
    }

    /// The moment of the server's clock up to which everything that changed has come.
    pub(super) fn covered(&self) -> Option<Timestamp> {
        let link = self.active.as_ref()?;
        let verified = self.server_time(self.verified_moment().unwrap_or(link.since));
        if self.polling.every.is_some() {
            // What another node was told need not have come when this one's later changes have.
            return Some(verified);
        }
        // A path that forwards nothing does not get any further.
        Some(self.newest.unwrap_or(Timestamp::MIN).max(verified))
    }

    /// Whether something may have been lost that is still to be read again.
    pub(super) fn is_whole(&self) -> bool {
        self.loss.is_none() && !matches!(self.check, Check::Suspecting { .. } | Check::Mending { .. })
    }

    pub(super) fn catch_up(&mut self) {
        self.announce_subscribed();
        // What began on an earlier connection goes on: where lives are short it would never end.
        if self.catching_up.is_none() {
            self.read_again();
        }
    }

    fn read_again(&mut self) {
        self.reading_since = Some(Instant::now());
        let readings = self.loss.as_ref().map(|loss| self.registry.readings(loss.known, loss.recent, Asked::All));
        self.catching_up = Some(read_again(&self.remote, readings.unwrap_or_default()));
    }

    pub(super) fn caught_up(&mut self, answers: &Answers) {
        if let Some(error) = refused(answers) {
            self.input(Input::Lost(error));
            return;
        }
        if let Some(mut loss) = self.loss.take() {
            let gap = loss.gap.take().unwrap_or_else(|| self.gap(loss.from));
            let gap = self.replay(gap, answers, true);
            self.note_unread(answers);
            // There was another loss since: what changed meanwhile is read as well.
            if let (Some(begun), Some(link)) = (self.reading_since, &self.active)
                && begun < link.since
            {
                let known = (begun, self.server_time(begun));
                if !std::mem::replace(&mut loss.again, true) {
                    let recent = loss.recent.max(known.1);
                    self.loss = Some(Loss { known, recent, gap: Some(gap), ..loss });
                    self.read_again();
                    return;
                }
                // Where lists take longer than connections live, that would go on for ever: the
                // rest is read while it is live.
                self.registry.set_all_unread(known.1, true);
                self.unread_at = Some(Instant::now());
            }
            self.registry.announce(&Event::Gap(gap));
        }
        self.input(Input::CaughtUp);
        self.release_held();
    }

    pub(super) fn gap(&self, from: Timestamp) -> Gap {
        let now = self.remote.now();
        Gap {
            time: now,
            from,
            to: now,
            filled: Vec::new(),
            unfilled: self.registry.unlisted_names(),
            replayed: 0,
            deletes: Deletes::None,
            left: 0,
        }
    }

    /// Delivers what was read again, and says how much of it could be. `changes_lost`: some were, not only deletions.
    pub(super) fn replay(&mut self, mut gap: Gap, answers: &Answers, changes_lost: bool) -> Gap {
        (gap.time, gap.to) = (self.remote.now(), self.server_time(Instant::now()));
        for (reading, found) in answers {
            let Replayed { changes, deletes, earliest } = self.registry.replay(reading, found, self.remote.now());
            gap.replayed += changes + deletes;
            gap.left += found.left;
            gap.from = earliest.map_or(gap.from, |earliest| earliest.min(gap.from));
            if deletes > 0 && gap.deletes == Deletes::None {
                gap.deletes = Deletes::Replayed;
            }
            let (subscriber, index, since) = (reading.subscriber, reading.index, reading.question.since);
            if found.cut {
                self.registry.set_unread(subscriber, index, since, false);
            } else if !found.unanswered {
                self.registry.set_read(subscriber, index);
            }
            let whole = found.complete && !(changes_lost && reading.forgotten);
            if !whole || reading.partial {
                gap.deletes = Deletes::Unknown;
            }
            let name = reading.question.topic.name();
            let list = if whole { &mut gap.filled } else { &mut gap.unfilled };
            if !list.iter().any(|have| have == name) {
                list.push(name.to_owned());
            }
        }
        // The same name with other options may have failed: it counts as not filled.
        gap.filled.retain(|name| !gap.unfilled.contains(name));
        gap
    }

    /// What was not answered is tried again later.
    fn note_unread(&mut self, answers: &Answers) {
        for (reading, _) in answers.iter().filter(|(_, found)| found.unanswered) {
            self.registry.set_unread(reading.subscriber, reading.index, reading.question.since, true);
        }
        if self.registry.unread_since().is_none() {
            (self.unread_at, self.unread_pause) = (None, UNREAD_PAUSE);
            return;
        }
        self.unread_at = Some(Instant::now() + self.unread_pause);
        self.unread_pause = (self.unread_pause * 2).min(LONGEST_UNREAD_PAUSE);
    }

    /// When that is, while nothing else is read.
    pub(super) fn unread_due(&self) -> Option<Instant> {
        let live = matches!(self.machine.state(), State::Live | State::HandingOver(_));
        self.unread_at.filter(|_| live && matches!(self.check, Check::Idle))
    }

    pub(super) fn read_unread(&mut self) {
        self.unread_at = None;
        let now = Instant::now();
        let Some(since) = self.registry.unread_since() else { return };
        let readings = self.registry.unread((now, self.server_time(now)));
        self.check = Check::Unread { since, answers: read_again(&self.remote, readings) };
    }

    /// Delivers the live frames that waited.
    pub(super) fn release_held(&mut self) {
        self.held_bytes = 0;
        for (frame, time) in std::mem::take(&mut self.held) {
            self.deliver(frame, Instant::now(), time);
        }
    }

    /// The second connection has taken over from one that was `whole` at its end, or that
    /// broke: then what was on its way over it is lost. Topics that had no connection for
    /// a while missed something, too.
    pub(super) fn look_back(&mut self, whole: bool) {
        let orphans = std::mem::take(&mut self.orphans);
        let missed = match (whole, orphans.is_empty()) {
            (true, true) => return self.compare_with_lists(),
            (true, false) => Missed::Of(orphans),
            (false, _) => Missed::Any,
        };
        let now = Instant::now();
        if !self.settings.policy.catch_up {
            let unfilled = match &missed {
                Missed::Any => self.topics(),
                Missed::Of(keys) => self.registry.names_of(keys),
            };
            let known = self.verified_moment().unwrap_or(now);
            self.registry.set_all_unread(self.server_time(known), false);
            let gap = Gap { unfilled, deletes: Deletes::Unknown, ..self.gap(self.last_heard(known)) };
            self.registry.announce(&Event::Gap(gap));
            return;
        }
        // What else was going on is begun anew: this goes as far back.
        if matches!(self.check, Check::Unread { .. }) {
            self.unread_at = Some(now);
        }
        let missed = match (&self.check, missed) {
            (Check::Mending { missed: Missed::Of(before), .. }, Missed::Of(mut keys)) => {
                keys.extend(before.iter().cloned());
                Missed::Of(keys)
            }
            (Check::Mending { .. } | Check::Suspecting { .. }, _) => Missed::Any,
            (_, missed) => missed,
        };
        let (answers, compared) = (Vec::new(), Vec::new());
        // Where lives are short, the next handover does not put it off.
        let until = match &self.check {
            Check::Suspecting { until, certain: Some(_), .. } => *until,
            _ => now + CHECK_PATIENCE,
        };
        self.check = Check::Suspecting { started: now, until, answers, compared, certain: Some(missed) };
    }

    /// A path that acknowledges and forwards nothing is found by comparing the feed with the lists.
    fn compare_with_lists(&mut self) {
        let now = Instant::now();
        let Some(verified) = self.verified_moment() else { return };
        if !self.settings.policy.catch_up || !matches!(self.check, Check::Idle) {
            return;
        }
        // The next poll is as good.
        if self.polling.every.is_some() || self.compared.is_some_and(|last| now - last < CHECK_PAUSE) {
            return;
        }
        self.compared = Some(now);
        let (since, latest) = (self.server_time(verified), self.server_time(now));
        let mut readings = self.registry.readings((verified, since), latest, Asked::Some);
        if readings.is_empty() {
            self.set_verified(now);
            return;
        }
        let count = readings.len();
        readings.rotate_left(self.check_offset % count);
        readings.truncate(CHECK_TOPICS);
        self.check_offset = (self.check_offset + CHECK_TOPICS) % count.max(1);
        self.registry.asked_some(&readings);
        self.check = Check::Reading { started: now, answers: read_again(&self.remote, readings) };
    }

    pub(super) fn checked(&mut self, answers: Answers) {
        if let Some(error) = refused(&answers) {
            self.check = Check::Idle;
            self.input(Input::Lost(error));
            return;
        }
        match std::mem::take(&mut self.check) {
            Check::Reading { started, .. } => {
                // What could not be asked is compared the next time, from where it was.
                let answered = answers.iter().filter(|(_, found)| !found.unanswered);
                let compared: Vec<_> = answered.map(|(reading, _)| (reading.subscriber, reading.index)).collect();
                let suspicious = self.missing(answers);
                if suspicious.is_empty() {
                    self.registry.set_verified(&compared, started);
                    return;
                }
                // It may still be on its way.
                let until = Instant::now() + DELAY;
                self.check = Check::Suspecting { started, until, answers: suspicious, compared, certain: None };
            }
            Check::Polling { started, since, .. } => self.polled(started, since, &answers),
            Check::Mending { started, since, missed, suspected, .. } => {
                // Of those that were forgotten, none was missed.
                let changes_lost = suspected.is_empty() || suspected.iter().any(|(_, found)| !found.changes.is_empty());
                let unfounded = self.is_computed(suspected, &answers);
                let mut gap = self.gap(since);
                if let Missed::Of(keys) = &missed {
                    let names = self.registry.names_of(keys);
                    gap.unfilled.retain(|name| names.contains(name));
                }
                let gap = self.replay(gap, &answers, changes_lost);
                self.note_unread(&answers);
                if matches!(missed, Missed::Any) {
                    self.set_verified(started);
                }
                // Messages cannot be read again.
                if gap.replayed > 0 || !gap.unfilled.is_empty() && !unfounded {
                    self.registry.announce(&Event::Gap(gap));
                }
            }
            Check::Unread { since, .. } => {
                // That it was missed has been told.
                let gap = self.replay(Gap { unfilled: Vec::new(), ..self.gap(since) }, &answers, true);
                self.note_unread(&answers);
                if gap.replayed > 0 || !gap.filled.is_empty() {
                    self.registry.announce(&Event::Gap(gap));
                }
            }
            other => self.check = other,
        }
    }

    pub(super) fn confirm_suspicions(&mut self) {
        let Check::Suspecting { started, answers, compared, certain, .. } = std::mem::take(&mut self.check) else {
            return;
        };
        let missing = self.missing(answers);
        if certain.is_none() && missing.is_empty() {
            self.registry.set_verified(&compared, started);
            return;
        }
        let (missed, suspected) = match certain {
            Some(missed) => (missed, Answers::new()),
            // What is hidden now, or looks different at the same stamp, is no sign of a path that
            // withholds something.
            None if self.brought_all(&missing) => {
                (Missed::Of(missing.iter().map(|(reading, _)| reading.key.clone()).collect()), missing)
            }
            None => (Missed::Any, missing),
        };
        let verified = self.verified_moment().unwrap_or(started);
        let since = self.server_time(verified);
        let latest = self.server_time(started);
        let mut readings = self.registry.readings((verified, since), latest, Asked::All);
        readings.retain(|reading| missed.is_of(&reading.key));
        self.check = Check::Mending { started, since, missed, suspected, answers: read_again(&self.remote, readings) };
    }

    /// Whether the feed brought all that is listed, as far as the stamps say.
    fn brought_all(&mut self, missing: &Answers) -> bool {
        missing.iter().all(|(reading, found)| {
            let (id, index) = (reading.subscriber, reading.index);
            found.changes.iter().all(|item| self.registry.unlike(id, index, item).is_some())
        })
    }

    /// Whether all that seemed to be missing is what a hook computes for each answer, as a
    /// second list shows, or many records at once.
    fn is_computed(&mut self, suspected: Answers, answers: &Answers) -> bool {
        if suspected.is_empty() {
            return false;
        }
        for (reading, first) in &suspected {
            let (id, index) = (reading.subscriber, reading.index);
            let again = answers.iter().filter(|(other, _)| (other.subscriber, other.index) == (id, index));
            let again: HashMap<&str, &Listed> =
                again.flat_map(|(_, found)| &found.changes).map(|item| (item.id.as_str(), item)).collect();
            for first in &first.changes {
                if let Some(second) = again.get(first.id.as_str()) {
                    self.registry.compare_lists(id, index, first, second);
                }
            }
            let mut fields: HashMap<String, usize> = HashMap::new();
            for item in &first.changes {
                for field in self.registry.unlike(id, index, item).into_iter().flatten() {
                    *fields.entry(field).or_default() += 1;
                }
            }
            for (field, _) in fields.into_iter().filter(|(_, records)| *records >= MANY) {
                self.registry.set_computed(id, index, field);
            }
        }
        self.missing(suspected).is_empty()
    }

    /// The moment up to which the lists have shown that nothing was missed of any topic.
    pub(super) fn verified_moment(&self) -> Option<Instant> {
        self.verified.map(|moment| self.registry.verified_since(moment))
    }

    /// Everything was read, up to this moment.
    pub(super) fn set_verified(&mut self, moment: Instant) {
        self.verified = Some(moment);
        self.compared = Some(moment);
        self.registry.forget_overflows();
    }

    /// What of the lists never came over the feed.
    fn missing(&mut self, answers: Answers) -> Answers {
        let mut missing = Answers::new();
        for (reading, mut found) in answers {
            let (subscriber, index) = (reading.subscriber, reading.index);
            found.changes.retain(|item| self.registry.misses(subscriber, index, item));
            found.deleted.retain(|id| self.registry.is_living(subscriber, index, id));
            if !(found.changes.is_empty() && found.deleted.is_empty()) {
                missing.push((reading, found));
            }
        }
        missing
    }
}

fn refused(answers: &Answers) -> Option<Error> {
    answers.iter().find_map(|(_, found)| found.refused.clone())
}

/// Reads again what changed, several topics at once. What cannot be had after
/// some tries is not complete.
pub(super) fn read_again(remote: &Arc<dyn Remote>, readings: Vec<Reading>) -> Pending<Answers> {
    let remote = Arc::clone(remote);
    Box::pin(async move {
        let mut answers: Answers = stream::iter(readings)
            .map(|reading| {
                let remote = Arc::clone(&remote);
                async move {
                    for attempt in 1.. {
                        match remote.read(reading.question.clone()).await {
                            Ok(found) => return (reading, found),
                            Err(error) => {
                                tracing::debug!(target: "bosbase_watch::catch_up", "{}: {error}", reading.question.topic);
                                let limited = error.kind() == ErrorKind::RateLimited;
                                if attempt >= if limited { LIMITED_TRIES } else { TRIES } {
                                    break;
                                }
                                tokio::time::sleep(backoff::asked(&error).max(TRY_AGAIN)).await;
                            }
                        }
                    }
                    (reading, Found { unanswered: true, ..Found::default() })
                }
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        // A token that has expired or was revoked is answered as a guest: with nothing.
        if answers.iter().any(|(_, found)| !found.deleted.is_empty())
            && let Err(error) = remote.verify().await
        {
            let refused = (error.kind() == ErrorKind::Unauthorized).then_some(error);
            for (_, found) in &mut answers {
                *found = Found { unanswered: true, refused: refused.clone(), ..Found::default() };
            }
        }
        answers
    })
}

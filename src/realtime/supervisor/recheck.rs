//! Topics that dry up: a collection that was deleted, renamed or locked, a
//! filter whose field is gone. The server goes on saying nothing, so the topics
//! are checked again at each handover, and after each loss.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Supervisor;
use crate::realtime::remote::Pending;
use crate::realtime::state::{Input, State};
use crate::{Error, ErrorKind, Result, Severity, Topic, TopicKind, Verdict};

/// Not more often than that.
const PAUSE: Duration = Duration::from_secs(10);

/// How many topics are checked at one handover; more take turns.
const TOPICS: usize = 20;

/// The keys that were asked about, and what came of it.
pub(super) type Rechecked = (Vec<(String, Topic)>, Result<Vec<Verdict>>);

/// What is known of the topics.
#[derive(Default)]
pub(super) struct Recheck {
    pub(super) pending: Option<Pending<Rechecked>>,
    at: Option<Instant>,
    offset: usize,
    /// By key. A topic that never spoke, as far as is known, cannot dry up: it may be
    /// watched until it is there.
    known: HashMap<String, Known>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Speaks,
    Silent,
}

impl Supervisor {
    /// Asks whether the topics would still deliver.
    pub(super) fn check_topics_again(&mut self) {
        let now = Instant::now();
        // Who wants nothing checked and nothing read again, wants nothing asked but the feed.
        if !(self.settings.checked || self.settings.policy.catch_up) {
            return;
        }
        if self.recheck.pending.is_some() || self.recheck.at.is_some_and(|at| now - at < PAUSE) {
            return;
        }
        let mut topics = self.registry.checkable();
        self.recheck.known.retain(|key, _| topics.iter().any(|(have, ..)| have == key));
        for (key, topic, heard) in &topics {
            // It was found to be there before the watch, or it has spoken.
            let checked = self.settings.checked && !matches!(topic.kind(), TopicKind::Bare(_));
            if checked || *heard {
                self.recheck.known.entry(key.clone()).or_insert(Known::Speaks);
            }
        }
        topics.retain(|(key, ..)| self.recheck.known.contains_key(key));
        if topics.is_empty() {
            return;
        }
        let count = topics.len();
        topics.rotate_left(self.recheck.offset % count);
        topics.truncate(TOPICS);
        self.recheck.offset = (self.recheck.offset + TOPICS) % count;
        self.recheck.at = Some(now);
        let topics: Vec<(String, Topic)> = topics.into_iter().map(|(key, topic, _)| (key, topic)).collect();
        let verdicts = self.remote.check(topics.iter().map(|(_, topic)| topic.clone()).collect());
        self.recheck.pending = Some(Box::pin(async move { (topics, verdicts.await) }));
    }

    pub(super) fn checked_again(&mut self, (topics, verdicts): Rechecked) {
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                tracing::debug!(target: "bosbase_watch::check", "not checked again: {error}");
                return;
            }
        };
        let mut last = None;
        for ((key, topic), verdict) in topics.into_iter().zip(verdicts) {
            let silent = dried_up(&topic, &verdict);
            match (self.recheck.known.get(&key), silent) {
                (Some(Known::Speaks), Some(why)) => {
                    self.warn("topic-silent", &format!("{topic}: {why}: nothing comes of it any more"));
                    self.recheck.known.insert(key, Known::Silent);
                    last = Some(format!("{topic}: {why}"));
                }
                (Some(Known::Silent), Some(why)) => last = Some(format!("{topic}: {why}")),
                (Some(Known::Silent), None) => {
                    self.warn("topic-restored", &format!("{topic}: it is there again"));
                    self.recheck.known.insert(key, Known::Speaks);
                }
                (Some(Known::Speaks), None) | (None, _) => {}
            }
        }
        let Some(last) = last else { return };
        let is_silent = |key: &String| self.recheck.known.get(key) == Some(&Known::Silent);
        // While it is handed over, the next one finds the same.
        if self.machine.state() == State::Live && self.registry.keys().iter().all(is_silent) {
            let message = format!("no topic is left that would deliver ({last})");
            self.input(Input::Lost(Error::new(ErrorKind::TopicsGone, message)));
        }
    }
}

/// Why nothing will come any more. A record that is gone may come again.
fn dried_up(topic: &Topic, verdict: &Verdict) -> Option<String> {
    match (topic.kind(), verdict.code) {
        (TopicKind::Bare(name), "custom") => Some(format!("there is no collection {name}")),
        (_, "record-not-found") => None,
        _ if verdict.severity == Severity::Error => Some(verdict.message.clone()),
        _ => None,
    }
}

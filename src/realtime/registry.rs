//! Who is subscribed to what.

use std::collections::{BTreeMap, HashMap};

use super::queue::Sender;
use crate::event::{Event, Source, decode};
use crate::topic::PB_CONNECT;
use crate::{Error, now};

/// Names a subscriber.
pub(crate) type SubscriberId = u64;

/// A topic as a subscriber asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// What the server is sent.
    pub(crate) key: String,
    pub(crate) source: Source,
}

#[derive(Debug)]
struct Subscriber {
    sender: Sender,
    wanted: Vec<Wanted>,
    /// Listens to the connection itself and has no topics.
    monitor: bool,
}

/// All subscribers, and the way from a key to those who want its events.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    targets: HashMap<String, Vec<(SubscriberId, Source)>>,
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

impl Registry {
    pub(crate) fn add(&mut self, id: SubscriberId, sender: Sender, wanted: Vec<Wanted>, monitor: bool) {
        for Wanted { key, source } in &wanted {
            self.targets.entry(key.clone()).or_default().push((id, source.clone()));
        }
        self.subscribers.insert(id, Subscriber { sender, wanted, monitor });
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
            for Wanted { key, source } in &subscriber.wanted {
                self.targets.entry(key.clone()).or_default().push((*id, source.clone()));
            }
        }
    }

    /// Whether a connection is needed at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What the server is sent: each key once, in the order of subscription.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut seen = std::collections::HashSet::new();
        self.wanted().map(|wanted| &wanted.key).filter(|key| *key != PB_CONNECT && seen.insert(*key)).cloned().collect()
    }

    /// The names of the active topics, each once, in the order of subscription.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for wanted in self.wanted() {
            let name = wanted.source.topic().name();
            if !names.iter().any(|have| have == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.subscribers.values().flat_map(|subscriber| &subscriber.wanted)
    }

    /// Hands a frame to those who asked for its key; false where nobody did.
    pub(crate) fn deliver(&self, key: &str, data: String) -> bool {
        let Some(((last_id, last), others)) = self.targets.get(key).and_then(|targets| targets.split_last()) else {
            return false;
        };
        let time = now();
        for (id, source) in others {
            self.send(*id, decode(source.clone(), time, data.clone()));
        }
        self.send(*last_id, decode(last.clone(), time, data));
        true
    }

    fn send(&self, id: SubscriberId, event: Event) {
        if let Some(subscriber) = self.subscribers.get(&id) {
            subscriber.sender.send(Ok(event));
        }
    }

    /// Tells everyone something about the connection.
    pub(crate) fn announce(&self, event: &Event) {
        for subscriber in self.subscribers.values() {
            subscriber.sender.send(Ok(event.clone()));
        }
    }

    /// Whether some reader is so far behind that reading should pause.
    pub(crate) fn is_full(&self) -> bool {
        self.subscribers.values().any(|subscriber| subscriber.sender.is_full())
    }
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

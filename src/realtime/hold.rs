//! What comes live while a subscriber is still given what was before.

use std::collections::{BTreeMap, HashMap};

use super::memory::same_record;
use super::pages::Listed;
use crate::event::{Action, Event};

/// Events that wait, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    events: BTreeMap<u64, Event>,
    /// By topic and id: those of one record.
    records: HashMap<(usize, Box<str>), Vec<u64>>,
    next: u64,
    bytes: usize,
}

impl Hold {
    pub(crate) fn push(&mut self, mut event: Event) {
        // What it came with is pruned, or belongs to others.
        event.detach();
        if let Event::Record(record) = &event
            && let Some(id) = record.id()
        {
            self.records.entry((record.source().index(), id.into())).or_default().push(self.next);
        }
        self.bytes += event.size();
        self.events.insert(self.next, event);
        self.next += 1;
    }

    /// Whether something of this record waits.
    pub(crate) fn has(&self, index: usize, id: &str) -> bool {
        !self.records.is_empty() && self.records.contains_key(&(index, Box::from(id)))
    }

    /// How much waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// A list shows this state of the record: what led to it is not told after
    /// it. A deletion is, unless the list shows the record that came after it.
    pub(crate) fn prune(&mut self, index: usize, listed: &Listed) {
        if self.records.is_empty() {
            return;
        }
        let key = (index, Box::from(listed.id.as_str()));
        let Some(numbers) = self.records.remove(&key) else { return };
        let is_it = |number: &u64| match &self.events[number] {
            Event::Record(held) => {
                held.action() != Action::Delete
                    && held.updated().unwrap_or_default() == listed.updated
                    && same_record(held.raw(), &listed.record)
            }
            _ => false,
        };
        let through = numbers.iter().rposition(is_it).map_or(0, |at| at + 1);
        let mut left = Vec::new();
        for (at, number) in numbers.into_iter().enumerate() {
            if at < through && !self.is_after(number, listed) || self.is_before(number, listed) {
                if let Some(event) = self.events.remove(&number) {
                    self.bytes -= event.size();
                }
            } else {
                left.push(number);
            }
        }
        if !left.is_empty() {
            self.records.insert(key, left);
        }
    }

    fn is_before(&self, number: u64, listed: &Listed) -> bool {
        let Some(Event::Record(held)) = self.events.get(&number) else { return false };
        if held.action() == Action::Delete {
            // The record of this id was made anew.
            return matches!((held.created(), &listed.created), (Some(held), Some(listed)) if *held < **listed);
        }
        held.updated().is_some_and(|updated| updated < listed.updated)
    }

    /// A newer state that came before the one that is listed may have been written after it:
    /// the server does not keep the order.
    fn is_after(&self, number: u64, listed: &Listed) -> bool {
        let Some(Event::Record(held)) = self.events.get(&number) else { return false };
        held.action() != Action::Delete && held.updated().is_some_and(|updated| updated > listed.updated)
    }

    /// What waited.
    pub(crate) fn release(self) -> impl Iterator<Item = Event> {
        self.events.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, decode};
    use crate::{Topic, now};

    fn held(events: &[(&str, &str, &str)]) -> Hold {
        let mut hold = Hold::default();
        for (action, id, updated) in events {
            let source = Source::new(Topic::collection("posts"), 0, Vec::new());
            let data = format!(
                r#"{{"record":{{"id":"{id}","created":"{}","updated":"{updated}"}},"action":"{action}"}}"#,
                &updated[..1]
            );
            hold.push(decode(source, now(), data.into()));
        }
        hold
    }

    fn listed(id: &str, updated: &str) -> Listed {
        let created = &updated[..1];
        Listed {
            id: id.into(),
            updated: updated.into(),
            created: Some(created.into()),
            record: format!(r#"{{"created":"{created}","id":"{id}","updated":"{updated}"}}"#),
        }
    }

    fn left(mut hold: Hold, by: &[Listed]) -> Vec<String> {
        for listed in by {
            hold.prune(0, listed);
        }
        assert!(hold.bytes() > 0 || hold.events.is_empty());
        let word = |event| match event {
            Event::Record(event) => format!("{} {}", event.action(), event.updated().unwrap()),
            other => panic!("{other:?}"),
        };
        hold.release().map(word).collect()
    }

    #[test]
    fn what_a_list_shows_is_not_told_again() {
        let changes = [("create", "a", "11"), ("update", "a", "12"), ("update", "a", "13"), ("update", "b", "10")];
        assert_eq!(left(held(&changes), &[listed("a", "12")]), ["update 13", "update 10"]);
        assert_eq!(left(held(&changes), &[listed("a", "14"), listed("b", "09")]), ["update 10"]);
        assert_eq!(left(held(&changes), &[listed("c", "14")]).len(), 4);
        assert_eq!(left(held(&changes), &[]).len(), 4);
    }

    /// The server does not keep the order: it may have been written after what is listed.
    #[test]
    fn a_newer_state_is_told_wherever_it_stands() {
        let changes = [("update", "a", "11"), ("update", "a", "13"), ("update", "a", "12")];
        assert_eq!(left(held(&changes), &[listed("a", "12")]), ["update 13"]);
    }

    #[test]
    fn a_deletion_is_told_unless_the_record_was_made_anew() {
        let deleted = [("update", "a", "12"), ("delete", "a", "12")];
        assert_eq!(left(held(&deleted), &[listed("a", "12")]), ["delete 12"]);
        assert_eq!(left(held(&deleted), &[]), ["update 12", "delete 12"], "its page comes after it was gone");
        let anew = [("delete", "a", "12"), ("create", "a", "21")];
        assert_eq!(left(held(&anew), &[listed("a", "21")]), [""; 0]);
        assert_eq!(left(held(&anew), &[listed("a", "22")]), [""; 0]);
        assert_eq!(left(held(&anew), &[listed("a", "12")]), ["delete 12", "create 21"]);
    }
}

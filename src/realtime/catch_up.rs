//! Reading again what changed: the feed has no replay, the list API is all there is.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::RecordKeys;
use crate::filter::server_time;
use crate::{Client, Error, ErrorKind, Result, Topic, TopicKind};

/// How much further back than the last known moment it is read: `updated` is
/// stamped before the commit, and the server's clock is heard to the second.
pub(crate) const OVERLAP: SignedDuration = SignedDuration::from_secs(10);

/// The server's clock is heard to the second.
pub(crate) const CLOCK_ERROR: SignedDuration = SignedDuration::from_secs(1);

/// Records on a page; the server's own limit.
const PAGE: usize = 1000;

/// Pages of one topic, at the most: beyond them the gap is told as not filled.
const MAX_PAGES: u32 = 100;

/// The longest filter of a request (the server allows 3,500 characters).
const MAX_FILTER: usize = 3000;

/// A record as the list API shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) updated: String,
    pub(crate) created: Option<String>,
    pub(crate) record: String,
}

/// What was found for one topic.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The last states, in the order of `updated`.
    pub(crate) changes: Vec<Listed>,
    /// Remembered records that are gone.
    pub(crate) deleted: Vec<String>,
    /// How many remembered records have changed and do not match the filter any more.
    pub(crate) left: u64,
    /// Whether everything that can be read was read.
    pub(crate) complete: bool,
    /// The server could not be asked: another time it may answer.
    pub(crate) unanswered: bool,
}

/// What is to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) topic: Topic,
    /// The last known moment, by the server's clock.
    pub(crate) since: Timestamp,
    /// When it was subscribed, by the same clock.
    pub(crate) begin: Option<Timestamp>,
    /// Records that were there when they were last heard of.
    pub(crate) remembered: Vec<String>,
}

impl Question {
    /// From when on it is read: what was created since then, and never heard of, is new.
    pub(crate) fn from(&self) -> Timestamp {
        let since = self.since.saturating_sub(OVERLAP).unwrap_or(self.since);
        let begin = self.begin.and_then(|begin| begin.checked_sub(CLOCK_ERROR).ok());
        begin.map_or(since, |begin| begin.max(since))
    }
}

/// Reads again what changed. An error is one that another attempt may mend;
/// what cannot be read again is `complete: false`.
pub(crate) async fn read(client: &Client, question: Question) -> Result<Found> {
    let since = server_time(question.from());
    let Question { topic, remembered, .. } = question;
    let result = match topic.kind() {
        TopicKind::Collection(name) | TopicKind::Bare(name) => {
            collection(client, &topic, name, &since, &remembered).await
        }
        TopicKind::Record(name, id) => record(client, &topic, name, id, &since, &remembered).await,
        TopicKind::Custom(_) | TopicKind::Connect => return Ok(Found::default()),
    };
    match result {
        Ok(found) => Ok(found),
        // No such collection, no right to list it, no field `updated`: nothing can be read.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::BadRequest) => {
            Ok(Found::default())
        }
        Err(error) => Err(error),
    }
}

async fn collection(client: &Client, topic: &Topic, name: &str, since: &str, remembered: &[String]) -> Result<Found> {
    let mut found = Found { complete: true, ..Found::default() };
    let mut seen = HashSet::new();
    let (mut from, mut page) = (since.to_owned(), 1);
    for request in 0.. {
        if request == MAX_PAGES {
            found.complete = false;
            break;
        }
        let filter = with_condition(topic, &format!("updated >= \"{from}\""));
        let items = list(client, topic, name, &filter, "updated,id", page).await?;
        let full = items.len() >= PAGE;
        let last = items.last().map(|item| item.updated.clone());
        for item in items {
            if seen.insert((item.id.clone(), item.updated.clone())) {
                found.changes.push(item);
            }
        }
        let Some(last) = last.filter(|_| full) else { break };
        // By key and not by number: pages shift while records change. Only
        // within one and the same stamp there is no other way.
        if last > from {
            (from, page) = (last, 1);
        } else {
            page += 1;
        }
    }
    newest_only(&mut found.changes);
    let changed: HashSet<&str> = found.changes.iter().map(|item| item.id.as_str()).collect();
    let unheard: Vec<&str> = remembered.iter().map(String::as_str).filter(|id| !changed.contains(id)).collect();
    ask_for(client, topic, name, since, &unheard, &mut found).await?;
    Ok(found)
}

/// A record that changed while it was listed stands twice: its last state counts.
fn newest_only(changes: &mut Vec<Listed>) {
    let mut seen = HashSet::new();
    let mut keep: Vec<bool> = changes.iter().rev().map(|item| seen.insert(item.id.clone())).collect();
    keep.reverse();
    let mut keep = keep.into_iter();
    changes.retain(|_| keep.next().unwrap_or(true));
}

async fn record(
    client: &Client,
    topic: &Topic,
    name: &str,
    id: &str,
    since: &str,
    remembered: &[String],
) -> Result<Found> {
    let listed = if topic.option("filter").is_some() {
        // Only a list takes a filter.
        let filter = with_condition(topic, &format!("id = \"{id}\""));
        list(client, topic, name, &filter, "id", 1).await?.pop()
    } else {
        match client.collection(name).view_raw(id, &with_our_fields(topic)).await {
            Ok(body) => listed(&body),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        }
    };
    let mut found = Found { complete: true, ..Found::default() };
    match listed {
        Some(item) if item.updated.is_empty() => found.complete = false,
        Some(item) if *item.updated >= *since => found.changes.push(item),
        Some(_) => {}
        None if topic.option("filter").is_none() => found.deleted = remembered.to_vec(),
        None => {
            let remembered: Vec<&str> = remembered.iter().map(String::as_str).collect();
            ask_for(client, topic, name, since, &remembered, &mut found).await?;
        }
    }
    Ok(found)
}

/// Which of these records are gone, or hidden from this login: asked in
/// groups, without the filter, since a record that only left the filter is no deletion.
async fn ask_for(
    client: &Client,
    topic: &Topic,
    name: &str,
    since: &str,
    ids: &[&str],
    found: &mut Found,
) -> Result<()> {
    let (bare, has_filter) = (without_filter(topic), topic.option("filter").is_some());
    // An id that cannot be asked for is not taken for gone.
    let mut rest = ids.iter().filter_map(|id| Some((*id, crate::filter("id = {:id}", &[("id", (*id).into())]).ok()?)));
    let mut next = rest.next();
    while let Some((id, condition)) = next {
        let mut group = vec![id];
        let mut filter = condition;
        next = rest.next();
        // 200 expressions are the server's limit for a filter.
        while let Some((id, condition)) =
            next.take_if(|(_, condition)| filter.len() + condition.len() + 4 <= MAX_FILTER && group.len() < 150)
        {
            filter.push_str(" || ");
            filter.push_str(&condition);
            group.push(id);
            next = rest.next();
        }
        let there = list(client, &bare, name, &filter, "id", 1).await?;
        let ids: HashSet<&str> = there.iter().map(|item| item.id.as_str()).collect();
        found.deleted.extend(group.iter().filter(|id| !ids.contains(**id)).map(|id| (*id).to_owned()));
        // What has changed and was not listed has left the filter, unless it changed since.
        let changed = there.iter().filter(|item| *item.updated >= *since).count();
        if has_filter && changed > 0 {
            let condition = format!("({filter}) && updated >= \"{since}\"");
            let filter = with_condition(topic, &condition);
            let still = list(client, &topic.clone().fields("id"), name, &filter, "id", 1).await?;
            found.left += changed.saturating_sub(still.len()) as u64;
        }
    }
    Ok(())
}

/// The topic as rules see it, without what narrows the answer down.
fn without_filter(topic: &Topic) -> Topic {
    let bare = Topic::custom(topic.name());
    let bare = topic.headers().iter().fold(bare, |topic, (name, value)| topic.header(name, value));
    let bare = topic
        .options()
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "filter" | "expand" | "fields"))
        .fold(bare, |topic, (key, value)| topic.query(key, value));
    bare.fields("id")
}

/// The topic's filter, and this besides.
fn with_condition(topic: &Topic, condition: &str) -> String {
    match topic.option("filter") {
        // A newline, so that a comment at the end of the filter swallows nothing.
        Some(filter) if !filter.trim().is_empty() => format!("({filter}\n) && {condition}"),
        _ => condition.to_owned(),
    }
}

async fn list(client: &Client, topic: &Topic, name: &str, filter: &str, sort: &str, page: u32) -> Result<Vec<Listed>> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: Vec<&'a RawValue>,
    }
    let topic = with_our_fields(topic).filter(filter);
    let (page, size) = (page.to_string(), PAGE.to_string());
    let paging = [("page", page.as_str()), ("perPage", size.as_str()), ("skipTotal", "1"), ("sort", sort)];
    let body = client.collection(name).list_raw(&topic, &paging).await?;
    let list: List<'_> = serde_json::from_slice(&body)
        .map_err(|_| Error::new(ErrorKind::NotBosBase, "the list of records is not what a BosBase server answers"))?;
    Ok(list.items.iter().filter_map(|item| listed(item.get().as_bytes())).collect())
}

fn listed(body: &[u8]) -> Option<Listed> {
    let record = String::from_utf8_lossy(body);
    let keys = RecordKeys::of(&record)?;
    let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(std::borrow::Cow::into_owned);
    let (id, updated, created) = (owned(keys.id)?, owned(keys.updated).unwrap_or_default(), owned(keys.created));
    Some(Listed { id, updated, created, record: record.into_owned() })
}

/// The topic with the fields that are needed here.
fn with_our_fields(topic: &Topic) -> Topic {
    match topic.with_added_fields() {
        Some(fields) => topic.clone().fields(fields),
        None => topic.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_state_counts() {
        let item = |id: &str, updated: &str| Listed {
            id: id.into(),
            updated: updated.into(),
            created: None,
            record: String::new(),
        };
        let mut changes = vec![item("a", "1"), item("b", "1"), item("a", "2")];
        newest_only(&mut changes);
        let left: Vec<_> = changes.iter().map(|item| (item.id.as_str(), item.updated.as_str())).collect();
        assert_eq!(left, [("b", "1"), ("a", "2")]);
    }
}

//! Reading again what changed: the feed has no replay, the list API is all there is.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::pages::{ByUpdated, Listed, Request, fetch};
use crate::filter::server_time;
use crate::{Client, Error, ErrorKind, Result, Topic, TopicKind};

/// So long after its stamp a change may be committed and told: `updated` is stamped before the
/// commit, and a transaction or a hook of the server takes its time.
pub(crate) const DELAY: Duration = Duration::from_secs(10);

/// How much further back than the last known moment it is read for that, and since the server's
/// clock is heard to the second.
pub(crate) const OVERLAP: SignedDuration = SignedDuration::from_secs(DELAY.as_secs().cast_signed());

/// The server's clock is heard to the second.
pub(crate) const CLOCK_ERROR: SignedDuration = SignedDuration::from_secs(1);

/// Pages of one topic, at the most: beyond them the gap is told as not filled.
const MAX_PAGES: u32 = 100;

/// ... and of so many bytes, for they are held until all are there.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// The longest filter of a request (the server allows 3,500 characters).
const MAX_FILTER: usize = 3000;

/// The most comparisons of a filter (the server allows 200).
const MAX_COMPARISONS: usize = 150;

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
    /// There is more than is read at once.
    pub(crate) cut: bool,
    /// The login is not taken any more: nothing of this can be believed.
    pub(crate) refused: Option<Error>,
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
        TopicKind::Record(name, _) => record(client, &topic, name, &since, &remembered).await,
        TopicKind::Custom(_) | TopicKind::Connect => return Ok(Found::default()),
    };
    match result {
        Ok(found) => Ok(found),
        // No field `updated`: nothing can be read.
        Err(error) if error.kind() == ErrorKind::BadRequest => Ok(Found::default()),
        // No such collection, no right to list it: it may be there again.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
            Ok(Found { unanswered: true, ..Found::default() })
        }
        Err(error) => Err(error),
    }
}

async fn collection(client: &Client, topic: &Topic, name: &str, since: &str, remembered: &[String]) -> Result<Found> {
    let mut found = Found { complete: true, ..Found::default() };
    let mut pages = ByUpdated::new(topic.clone(), since.to_owned(), None);
    let mut bytes = 0;
    for request in 0.. {
        if pages.is_done() {
            break;
        }
        if request == MAX_PAGES || bytes > MAX_BYTES {
            (found.complete, found.cut) = (false, true);
            break;
        }
        match fetch(client, pages.request()?).await {
            Err(error) if error.kind() == ErrorKind::TooLarge && pages.shrink() => {}
            // A single record that is too large will be so the next time.
            Err(error) if error.kind() == ErrorKind::TooLarge => {
                found.complete = false;
                break;
            }
            page => {
                let page = page?;
                bytes += page.bytes;
                found.changes.extend(pages.take(page)?);
            }
        }
    }
    newest_only(&mut found.changes);
    let changed: HashSet<&str> = found.changes.iter().map(|item| item.id.as_str()).collect();
    let unheard: Vec<&str> = remembered.iter().map(String::as_str).filter(|id| !changed.contains(id)).collect();
    match ask_for(client, topic, name, since, &unheard, &mut found).await {
        // What has changed is known all the same.
        Err(error) if error.kind() == ErrorKind::BadRequest => found.complete = false,
        asked => asked?,
    }
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

async fn record(client: &Client, topic: &Topic, name: &str, since: &str, remembered: &[String]) -> Result<Found> {
    let listed = fetch(client, Request::present(topic.clone())).await?.items.pop();
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
    let all = of_collection(topic, name);
    let bare = without_filter(&all);
    // Which of them have left the filter is asked with it, too.
    let own = topic.option("filter");
    let (length, comparisons) = own.map_or((0, 0), |own| (own.len(), own.matches(['&', '|']).count() / 2 + 1));
    let is_counted = own.is_some() && length < MAX_FILTER / 2 && comparisons < MAX_COMPARISONS / 2;
    let (length, comparisons) = if is_counted { (length, comparisons) } else { (0, 0) };
    // An id that cannot be asked for is not taken for gone.
    let mut rest = ids.iter().filter_map(|id| Some((*id, crate::filter("id = {:id}", &[("id", (*id).into())]).ok()?)));
    let mut next = rest.next();
    while let Some((id, condition)) = next {
        let mut group = vec![id];
        let mut filter = condition;
        next = rest.next();
        while let Some((id, condition)) = next.take_if(|(_, condition)| {
            length + filter.len() + condition.len() + 4 <= MAX_FILTER && comparisons + group.len() < MAX_COMPARISONS
        }) {
            filter.push_str(" || ");
            filter.push_str(&condition);
            group.push(id);
            next = rest.next();
        }
        let there = list(client, &bare, filter.clone()).await?;
        let ids: HashSet<&str> = there.iter().map(|item| item.id.as_str()).collect();
        found.deleted.extend(group.iter().filter(|id| !ids.contains(**id)).map(|id| (*id).to_owned()));
        // What has changed and was not listed has left the filter, unless it changed since.
        let changed = there.iter().filter(|item| *item.updated >= *since).count();
        if is_counted && changed > 0 {
            let condition = format!("({filter}) && updated >= \"{since}\"");
            let still = list(client, &all.clone().fields("id"), condition).await?;
            found.left += changed.saturating_sub(still.len()) as u64;
        }
    }
    Ok(())
}

async fn list(client: &Client, topic: &Topic, condition: String) -> Result<Vec<Listed>> {
    let request = Request { condition, ..Request::present(topic.clone()) };
    fetch(client, request).await.map(|page| page.items)
}

/// All of the collection, with the topic's options.
fn of_collection(topic: &Topic, name: &str) -> Topic {
    let all = topic.headers().iter().fold(Topic::collection(name), |all, (name, value)| all.header(name, value));
    topic.options().iter().fold(all, |all, (key, value)| all.query(key, value))
}

/// The topic as rules see it, without what narrows the answer down.
pub(super) fn without_filter(topic: &Topic) -> Topic {
    let bare = Topic::custom(topic.name());
    let bare = topic.headers().iter().fold(bare, |topic, (name, value)| topic.header(name, value));
    let bare = topic
        .options()
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "filter" | "expand" | "fields"))
        .fold(bare, |topic, (key, value)| topic.query(key, value));
    bare.fields("id")
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

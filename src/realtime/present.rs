//! What a record looks like now, and what changed just before, for those who wait for a change.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::catch_up::{self, Question, without_filter};
use super::pages::{Listed, Request, fetch};
use crate::event::{RecordEvent, Source};
use crate::{Client, Result, Topic, TopicKind};

/// How many topics are asked about at once.
const PARALLEL: usize = 8;

/// A record as it is.
#[derive(Debug)]
pub(crate) enum Present {
    /// It is there: an event with the action `initial`.
    There(RecordEvent),
    /// It is there, and does not match the topic's filter.
    Filtered,
    /// It is not there, or hidden from this login.
    Gone,
}

/// Reads the record of a topic, the `index`th of a watch; `None` for a topic of another kind.
pub(crate) async fn read(client: &Client, topic: &Topic, index: usize) -> Result<Option<Present>> {
    if !matches!(topic.kind(), TopicKind::Record(..)) {
        return Ok(None);
    }
    let page = fetch(client, Request::present(topic.clone())).await?;
    if let Some(listed) = page.items.into_iter().next() {
        let (_, added) = topic.wire_key()?;
        let source = Source::new(topic.clone(), index, added);
        return Ok(Some(Present::There(RecordEvent::listed(source, crate::now(), listed.record, false))));
    }
    let filtered = topic.option("filter").is_some_and(|filter| !filter.trim().is_empty())
        && !fetch(client, Request::present(without_filter(topic))).await?.items.is_empty();
    Ok(Some(if filtered { Present::Filtered } else { Present::Gone }))
}

/// What changed in the last seconds, by the place of its topic: what is read again after a loss
/// reaches back a little behind the moment that a subscription begins, since the server's clock is
/// heard to the second. What cannot be read is not known.
pub(crate) async fn of_late(client: &Client, topics: &[Topic]) -> Vec<(usize, Listed)> {
    let has_records = |topic: &Topic| !matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect);
    if !topics.iter().any(has_records) {
        return Vec::new();
    }
    let found = async {
        if client.clock_difference().is_none() {
            client.health().await?;
        }
        let since = client.server_time();
        let ask = |(at, topic): (usize, &Topic)| {
            let question = Question { topic: topic.clone(), since, begin: None, remembered: Vec::new() };
            async move { catch_up::read(client, question).await.map(|found| (at, found.changes)) }
        };
        let topics = topics.iter().enumerate().filter(|(_, topic)| has_records(topic));
        stream::iter(topics.map(ask)).buffered(PARALLEL).try_collect::<Vec<_>>().await
    };
    match found.await {
        Ok(found) => found.into_iter().flat_map(|(at, items)| items.into_iter().map(move |item| (at, item))).collect(),
        Err(error) => {
            tracing::debug!(target: "bosbase_watch::catch_up", "what changed of late is not known: {error}");
            Vec::new()
        }
    }
}

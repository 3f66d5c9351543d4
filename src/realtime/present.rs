//! What a record looks like now, for those who cannot wait for its next change.

use super::catch_up::without_filter;
use super::pages::{Request, fetch};
use crate::event::{RecordEvent, Source};
use crate::{Client, Result, Topic, TopicKind};

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
        return Ok(Some(Present::There(RecordEvent::listed(source, crate::now(), listed.record))));
    }
    let filtered = topic.option("filter").is_some_and(|filter| !filter.trim().is_empty())
        && !fetch(client, Request::present(without_filter(topic))).await?.items.is_empty();
    Ok(Some(if filtered { Present::Filtered } else { Present::Gone }))
}

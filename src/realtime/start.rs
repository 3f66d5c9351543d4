//! Where a subscription begins: with what happens from now on, or before.

use std::collections::HashSet;

use jiff::Timestamp;

/// Where a subscription begins.
///
/// Whatever comes live while that is read is held, and follows it without a
/// hole and without a double; then [`Event::Live`](crate::Event::Live) counts
/// what it was.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use bosbase_watch::{Start, Topic};
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// let an_hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
/// let changed = client.realtime().subscription([Topic::collection("posts")]).start(Start::Since(an_hour_ago));
/// let mut feed = changed.subscribe().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Start {
    /// With what happens from now on.
    #[default]
    Now,
    /// With the records that exist, as [`Action::Initial`](crate::Action::Initial).
    /// Custom topics have none.
    Initial,
    /// With what changed since this moment of the server's clock, in the order
    /// of `updated`, marked as replayed. A collection without that field, or
    /// without `created`, which tells new records from changed ones, is
    /// [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest). Custom topics
    /// keep nothing.
    Since(Timestamp),
    /// Where another subscription to the same topics got to: a mark for each,
    /// in their order. What cannot be read again is told by an
    /// [`Event::Gap`](crate::Event::Gap).
    Resume(Vec<Mark>),
}

/// How far a subscription got with a topic.
///
/// [`SubscriptionBuilder::progress`](crate::SubscriptionBuilder::progress) has an example.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Everything that changed before has been taken, by the server's clock.
    /// See [`Progress::until`](crate::Progress::until).
    pub until: Timestamp,
    /// Nothing before this moment need be read again.
    /// See [`Progress::settled`](crate::Progress::settled).
    pub settled: Option<Timestamp>,
    /// When the first of the subscriptions that go on from each other began:
    /// what changed before is none of theirs. `None`: it asked for what was before.
    pub since: Option<Timestamp>,
    /// While the records that exist are listed: the id of the last one that
    /// was taken, empty before the first. `None`: that is over, or was never asked for.
    pub listed: Option<String>,
    /// [`RecordEvent::fingerprint`](crate::RecordEvent::fingerprint)s of what
    /// was taken of late: it is not delivered again.
    pub seen: HashSet<u64>,
}

impl Mark {
    /// A mark at this moment of the server's clock.
    pub fn at(until: Timestamp) -> Self {
        Self { until, settled: None, since: None, listed: None, seen: HashSet::new() }
    }
}

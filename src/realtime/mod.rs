//! The realtime connection: one stream from the server, supervised.
//!
//! ```text
//! Idle → Opening → Submitting → (CatchingUp, after a loss) → Live ⇄ HandingOver
//!          ▲  every state may go to Backoff → Opening        (or Failed: login, topic, no reconnect)
//! ```
//!
//! - `state` is the machine of that diagram, pure;
//! - `supervisor` is the task that does what it says;
//! - `remote` is the server as it knows it, which tests put a scripted one in the place of;
//! - `session` is one connection, read by `eventsource-client` through `transport`;
//! - `registry` knows who is subscribed to what, `queue` is the way to them,
//!   `memory` what they were given;
//! - `limits` says when the server will close a connection, `overlap` pairs off
//!   what comes over two while one takes over from the other;
//! - `catch_up` reads again what was missed, `backlog` what was before a
//!   subscription began, both by the `pages` of the list API; `hold` keeps what
//!   comes live meanwhile;
//! - `present` reads one record as it is, and what changed of late;
//! - `backoff` says how long to wait.

mod backlog;
mod backoff;
#[cfg(feature = "bench")]
pub(crate) mod bench;
mod catch_up;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hold;
mod limits;
mod memory;
mod overlap;
mod pages;
#[cfg(feature = "cli")] // for `wait`
pub(crate) mod present;
mod queue;
mod registry;
mod remote;
mod session;
mod stand_in;
mod start;
mod state;
mod supervisor;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::event::{Event, Source};
use crate::topic::{MAX_TOPICS, OAUTH2};
use crate::{Client, Error, ErrorKind, Result, Topic};
pub(crate) use session::Session;

use pages::Listed;
use queue::Receiver;
use registry::{Manner, Selector, SubscriberId, Wanted};
use remote::Remote;
use state::Policy;
use supervisor::{Command, Settings, Supervisor};

pub use start::{Mark, Start};

/// A realtime connection. Cheap to clone; one task owns the stream, and ends
/// when the last handle and subscription are dropped.
///
/// The connection is opened with the first topic and closed with the last. It
/// is reopened, and everything subscribed again, for as long as something is
/// subscribed.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use bosbase_watch::{Client, Event, Topic};
///
/// let realtime = Client::new("http://127.0.0.1:8090")?.realtime();
/// let mut jobs = realtime.subscribe(Topic::custom("jobs/finished")).await?;
/// let mut open = realtime.subscribe(Topic::collection("posts").filter("status = 'open'")).await?;
///
/// while let Some(event) = jobs.next().await {
///     if let Event::Message(message) = event? {
///         println!("{}", message.payload());
///     }
/// }
/// realtime.unsubscribe_prefix("posts").await;
/// assert!(open.next().await.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Realtime(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    drained: Arc<Notify>,
    buffer: usize,
    next_id: AtomicU64,
}

/// The settings of a [`Realtime`] connection.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use std::time::Duration;
/// use bosbase_watch::{Realtime, Topic};
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// let realtime = Realtime::builder(&client)
///     .max_retries(5) // the server may be starting
///     .max_backoff(Duration::from_secs(10))
///     .poll(Some(Duration::from_secs(5))) // behind a load balancer
///     .build();
/// let posts = realtime.subscribe(Topic::collection("posts")).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RealtimeBuilder {
    client: Client,
    max_retries: u32,
    reconnect: bool,
    max_backoff: Duration,
    catch_up: bool,
    hand_over_changes: bool,
    checked: bool,
    poll: Option<Duration>,
    buffer: usize,
}

impl RealtimeBuilder {
    /// Attempts after the first one, before the feed was ever live. 0 by
    /// default: a wrong URL should not be tried for ever. Afterwards it is
    /// tried for ever.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.max_retries = retries;
        self
    }

    /// Whether a lost connection is opened again. On by default.
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// The longest time between two attempts. 30 s by default; in the first
    /// minute of an outage it is 2 s at the most, since servers restart.
    pub fn max_backoff(mut self, limit: Duration) -> Self {
        self.max_backoff = limit;
        self
    }

    /// Whether what was missed is read again after a loss, and the feed
    /// compared with the lists at each handover. On by default.
    pub fn catch_up(mut self, catch_up: bool) -> Self {
        self.catch_up = catch_up;
        self
    }

    /// Whether a change of what is subscribed is made over a second connection,
    /// which takes over.
    ///
    /// A server takes a new set of topics by forgetting the old one first. An
    /// event that falls in between, which is microseconds long, is lost, also
    /// for topics that stay. Off by default: one request on the same connection is cheaper.
    pub fn hand_over_changes(mut self, hand_over: bool) -> Self {
        self.hand_over_changes = hand_over;
        self
    }

    /// Whether the topics were found to be there by [`Client::check`], or will
    /// be, before they are subscribed. Off by default.
    ///
    /// Topics are checked again at each handover. One that has delivered and
    /// would not any more (its collection was deleted, renamed or locked) is
    /// told as a [`Warning`](crate::Warning) `topic-silent`, and the connection
    /// ends with [`ErrorKind::TopicsGone`] where none is left. A topic that was
    /// never there is only said to be silent where it was promised here.
    pub fn checked(mut self, checked: bool) -> Self {
        self.checked = checked;
        self
    }

    /// Besides the feed, reads every so often what the lists show, and delivers
    /// as replayed what the feed has not brought. For clusters, where a node
    /// tells only of its own writes. Records only; of those that are gone, the
    /// ones that were delivered before. Off by default.
    pub fn poll(mut self, every: Option<Duration>) -> Self {
        self.poll = every;
        self
    }

    /// How many bytes of events may wait for their reader before nothing more
    /// is read from the server. 64 MB by default.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// The connection. Must be called within a tokio runtime, which runs its task.
    pub fn build(self) -> Realtime {
        let settings = Settings {
            policy: Policy {
                max_retries: self.max_retries,
                reconnect: self.reconnect,
                max_backoff: self.max_backoff,
                catch_up: self.catch_up,
            },
            connect_timeout: self.client.connect_timeout(),
            hand_over_changes: self.hand_over_changes,
            checked: self.checked,
            poll: self.poll,
            jitter: fastrand::f64,
        };
        Realtime::start(Arc::new(self.client), settings, self.buffer)
    }
}

impl Realtime {
    fn start(remote: Arc<dyn Remote>, settings: Settings, buffer: usize) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let drained = Arc::new(Notify::new());
        tokio::spawn(Supervisor::new(remote, settings, receiver, Arc::clone(&drained)).run());
        Self(Arc::new(Handle { commands, drained, buffer, next_id: AtomicU64::new(0) }))
    }

    /// The settings of a new connection.
    pub fn builder(client: &Client) -> RealtimeBuilder {
        RealtimeBuilder {
            client: client.clone(),
            max_retries: 0,
            reconnect: true,
            max_backoff: backoff::DEFAULT_MAX,
            catch_up: true,
            hand_over_changes: false,
            checked: false,
            poll: None,
            buffer: queue::DEFAULT_LIMIT,
        }
    }

    /// Subscribes to one topic, and waits until the server has acknowledged it.
    ///
    /// The acknowledgement says little: the server takes topics that do not
    /// exist and filters that do not parse ([`Client::check`] tells).
    pub async fn subscribe(&self, topic: Topic) -> Result<Subscription> {
        self.subscribe_all([topic]).await
    }

    /// Subscribes to several topics as one subscription, whose events come in
    /// one stream, and waits until the server has acknowledged them.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Event, Topic};
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let posts = Topic::collection("posts").filter("status = 'published'").expand("author");
    /// let mut feed = client.realtime().subscribe_all([posts, Topic::collection("comments")]).await?;
    /// while let Some(event) = feed.next().await {
    ///     if let Event::Record(change) = event? {
    ///         println!("{}: {}", change.topic().name(), change.json());
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn subscribe_all(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Subscription> {
        self.subscription(topics).subscribe().await
    }

    /// Subscribes without waiting: the stream begins with what happens to the
    /// connection, and ends with an error where it cannot be had.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Event, Topic};
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let mut feed = client.realtime().watch([Topic::collection("posts")])?;
    /// while let Some(event) = feed.next().await {
    ///     match event {
    ///         Ok(Event::Subscribed(_)) => println!("it stands"),
    ///         Ok(event) => println!("{event:?}"),
    ///         Err(error) => println!("the last item: {error}"),
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn watch(&self, topics: impl IntoIterator<Item = Topic>) -> Result<Subscription> {
        self.subscription(topics).watch()
    }

    /// A subscription with settings of its own: one that begins before now.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Action, Client, Event, Start, Topic};
    ///
    /// let realtime = Client::new("http://127.0.0.1:8090")?.realtime();
    /// let mut posts = realtime.subscription([Topic::collection("posts")]).start(Start::Initial).subscribe().await?;
    /// while let Some(event) = posts.next().await {
    ///     match event? {
    ///         Event::Record(post) if post.action() == Action::Initial => println!("there is {}", post.json()),
    ///         Event::Record(post) => println!("{} {}", post.action(), post.json()),
    ///         Event::Live(live) => println!("{} posts, and now live", live.initial),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn subscription(&self, topics: impl IntoIterator<Item = Topic>) -> SubscriptionBuilder {
        let topics = topics.into_iter().collect();
        SubscriptionBuilder { realtime: self.clone(), topics, start: Start::Now, progress: false, of_late: Vec::new() }
    }

    /// What happens to the connection, without any topics: connected,
    /// disconnected, gaps. Does not open or keep it open.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Event, Topic};
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let realtime = client.realtime();
    /// let mut connection = realtime.connection_events()?;
    /// let posts = realtime.subscribe(Topic::collection("posts")).await?;
    /// while let Some(event) = connection.next().await {
    ///     match event? {
    ///         Event::Connected(_) => println!("up"),
    ///         Event::Disconnected(lost) if lost.topics.is_empty() => println!("closed"),
    ///         Event::Disconnected(lost) => println!("down: {}", lost.detail),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn connection_events(&self) -> Result<Subscription> {
        self.add([], Manner { monitor: true, ..Manner::default() }, None)
    }

    /// Unsubscribes the topics of this name, whatever their options, from
    /// every subscription, and says how many it were. A subscription that has
    /// no topics left ends.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::Topic;
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let realtime = client.realtime();
    /// let feed = realtime.subscribe_all([Topic::collection("posts"), Topic::custom("jobs/finished")]).await?;
    /// assert_eq!(realtime.unsubscribe("posts/*").await, 1);
    /// assert_eq!(realtime.unsubscribe_prefix("jobs").await, 1);
    /// assert_eq!(realtime.unsubscribe_all().await, 0);
    /// # Ok(()) }
    /// ```
    pub async fn unsubscribe(&self, name: &str) -> usize {
        self.take_away(Selector::Name(name.to_owned())).await
    }

    /// Unsubscribes the topics of this name and those below it: `posts` takes
    /// `posts` and `posts/…`, and not `posts_archive/…`.
    pub async fn unsubscribe_prefix(&self, prefix: &str) -> usize {
        self.take_away(Selector::Prefix(prefix.to_owned())).await
    }

    /// Unsubscribes everything, which closes the connection.
    pub async fn unsubscribe_all(&self) -> usize {
        self.take_away(Selector::All).await
    }

    async fn take_away(&self, selector: Selector) -> usize {
        let (done, acknowledged) = oneshot::channel();
        if self.0.commands.send(Command::Unsubscribe { selector, done }).is_err() {
            return 0;
        }
        acknowledged.await.unwrap_or(0)
    }

    fn add(
        &self,
        topics: impl IntoIterator<Item = Topic>,
        manner: Manner,
        done: Option<oneshot::Sender<Result<()>>>,
    ) -> Result<Subscription> {
        let mut wanted = Vec::new();
        for (index, topic) in topics.into_iter().enumerate() {
            wanted.push(wanted_topic(topic, index)?);
        }
        if wanted.len() > MAX_TOPICS {
            return Err(Error::new(
                ErrorKind::InvalidTopic,
                format!("{} topics are more than the {MAX_TOPICS} that the server allows one client", wanted.len()),
            ));
        }
        let count = Arc::new(AtomicUsize::new(wanted.len()));
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = queue::channel(self.0.buffer, Arc::clone(&self.0.drained));
        let command = Command::Subscribe { id, sender, wanted, manner, done };
        self.0.commands.send(command).map_err(|_| ended())?;
        Ok(Subscription { receiver, topics: Topics { id, count, realtime: self.clone() } })
    }
}

/// The settings of one [`Subscription`].
///
/// [`Realtime::subscription`] and [`SubscriptionBuilder::progress`] have examples.
#[derive(Debug, Clone)]
#[must_use = "nothing is subscribed before `subscribe` or `watch`"]
pub struct SubscriptionBuilder {
    realtime: Realtime,
    topics: Vec<Topic>,
    start: Start,
    progress: bool,
    of_late: Vec<(usize, Listed)>,
}

impl SubscriptionBuilder {
    /// Where it begins; now by default.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Whether the stream says how far everything has come
    /// ([`Event::Progress`]), so that another one can go on from there. Off by default.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Event, Mark, Start, Topic};
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # fn kept() -> Option<jiff::Timestamp> { None }
    /// # fn keep(until: jiff::Timestamp) {}
    /// let realtime = client.realtime();
    /// // Where the last run got to; what was delivered just before comes again.
    /// let start = kept().map_or(Start::Now, |until| Start::Resume(vec![Mark::at(until)]));
    /// let mut posts = realtime.subscription([Topic::collection("posts")]).start(start).progress(true).subscribe().await?;
    /// while let Some(event) = posts.next().await {
    ///     match event? {
    ///         Event::Record(change) => println!("{}", change.json()),
    ///         Event::Progress(progress) => keep(progress.until),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn progress(mut self, progress: bool) -> Self {
        self.progress = progress;
        self
    }

    /// What lists showed just before, by the place of its topic: nothing of it is delivered,
    /// neither by the feed, where its word of it comes late, nor after a loss.
    #[cfg(feature = "cli")] // for `wait`
    pub(crate) fn of_late(mut self, of_late: Vec<(usize, Listed)>) -> Self {
        self.of_late = of_late;
        self
    }

    /// Subscribes, and waits until the server has acknowledged the topics. What
    /// is asked for from before follows in the stream.
    pub async fn subscribe(self) -> Result<Subscription> {
        let (done, acknowledged) = oneshot::channel();
        let subscription = self.begin(Some(done))?;
        acknowledged.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(subscription)
    }

    /// Subscribes without waiting: see [`Realtime::watch`].
    pub fn watch(self) -> Result<Subscription> {
        self.begin(None)
    }

    fn begin(self, done: Option<oneshot::Sender<Result<()>>>) -> Result<Subscription> {
        let Self { realtime, topics, start, progress, of_late } = self;
        if let Start::Resume(marks) = &start
            && marks.len() != topics.len()
        {
            let message = format!("{} marks do not belong to {} topics", marks.len(), topics.len());
            return Err(Error::new(ErrorKind::InvalidTopic, message));
        }
        realtime.add(topics, Manner { monitor: false, start, progress, of_late }, done)
    }
}

fn wanted_topic(topic: Topic, index: usize) -> Result<Wanted> {
    if topic.name() == OAUTH2 {
        // Its answer goes to the connection that the page was made for, and this one is handed over.
        return Err(Error::new(ErrorKind::InvalidTopic, "@oauth2 belongs to the sign-in and cannot be watched"));
    }
    let (key, added) = topic.wire_key()?;
    Ok(Wanted::new(key, Source::new(topic, index, added)))
}

fn ended() -> Error {
    Error::new(ErrorKind::Closed, "the realtime connection's runtime has ended")
}

/// A stream of events. Dropping it unsubscribes its topics.
///
/// It ends (`None`) once nothing of it is subscribed any more, and after an
/// error, which is always the last item: whatever can be mended by trying
/// again is tried again and shows as [`Event::Disconnected`].
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use bosbase_watch::{Event, Topic};
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// let mut posts = client.realtime().subscribe(Topic::collection("posts")).await?;
/// while let Some(event) = posts.next().await {
///     match event {
///         Ok(Event::Record(change)) => println!("{} {}", change.action(), change.json()),
///         Ok(_) => {}
///         Err(error) => println!("it is over: {error}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Subscription {
    receiver: Receiver,
    topics: Topics,
}

/// The way to add topics to a [`Subscription`], also while its stream is read.
///
/// [`Topics::add`] has an example.
#[derive(Debug, Clone)]
pub struct Topics {
    id: SubscriberId,
    /// How many topics it ever had.
    count: Arc<AtomicUsize>,
    realtime: Realtime,
}

impl Topics {
    /// The connection that they belong to.
    pub fn realtime(&self) -> &Realtime {
        &self.realtime
    }

    /// Adds a topic. The future waits until the server has acknowledged it and
    /// returns its [`Source::index`]: how many topics were there before it,
    /// also those that have gone. Whatever comes for it comes in the
    /// subscription's stream.
    ///
    /// A topic that the subscription has already, with the same options, is
    /// [`ErrorKind::InvalidTopic`]; so is one too many. One that the server
    /// refuses changes nothing.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::Topic;
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let mut feed = client.realtime().subscribe(Topic::collection("posts")).await?;
    /// let topics = feed.topics().clone();
    /// tokio::spawn(async move {
    ///     // Its events come in `feed`, which is read meanwhile.
    ///     if let Err(error) = topics.add(Topic::collection("comments")).await {
    ///         eprintln!("{error}");
    ///     }
    /// });
    /// while let Some(event) = feed.next().await {
    ///     println!("{:?}", event?);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn add(&self, topic: Topic) -> impl Future<Output = Result<usize>> + Send + use<> {
        let (done, acknowledged) = oneshot::channel();
        let index = self.count.fetch_add(1, Ordering::Relaxed);
        let sent = wanted_topic(topic, index).and_then(|wanted| {
            self.realtime
                .0
                .commands
                .send(Command::Extend { id: self.id, wanted: Box::new(wanted), done })
                .map_err(|_| ended())
        });
        async move {
            sent?;
            acknowledged.await.unwrap_or_else(|_| Err(ended()))?;
            Ok(index)
        }
    }
}

impl Subscription {
    /// The next event. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        self.receiver.recv().await
    }

    /// Waits for an event and takes all that are there, `max` at the most.
    /// Returns how many; 0 at the end. Safe to cancel.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # let mut feed = client.realtime().subscribe(bosbase_watch::Topic::collection("posts")).await?;
    /// let mut events = Vec::new();
    /// while feed.next_batch(&mut events, 1000).await > 0 {
    ///     println!("{} at once", events.len());
    ///     for event in events.drain(..) {
    ///         println!("{:?}", event?);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn next_batch(&mut self, into: &mut Vec<Result<Event>>, max: usize) -> usize {
        self.receiver.recv_many(into, max).await
    }

    /// Unsubscribes, as dropping it does, but what has come by then can still
    /// be read: then the stream ends.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # let mut feed = client.realtime().subscribe(bosbase_watch::Topic::collection("posts")).await?;
    /// feed.close();
    /// while let Some(event) = feed.next().await {
    ///     println!("it had come before: {:?}", event?);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn close(&mut self) {
        let _ = self.topics.realtime.0.commands.send(Command::Leave(self.topics.id));
    }

    /// Unsubscribes; the same as dropping it.
    pub fn unsubscribe(self) {}

    /// The connection that it belongs to.
    pub fn realtime(&self) -> &Realtime {
        &self.topics.realtime
    }

    /// The way to add topics to it.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }
}

impl futures_util::Stream for Subscription {
    type Item = Result<Event>;

    fn poll_next(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().receiver.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.close();
    }
}

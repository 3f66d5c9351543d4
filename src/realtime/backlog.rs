//! What a subscription asks for from before it began, read page by page: a
//! page is not asked for before its reader has room.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::pages::{ById, ByUpdated, Listed, Page, Request};
use super::queue::Sender;
use super::registry::SubscriberId;
use super::remote::Remote;
use crate::{Error, ErrorKind, Result, Topic, TopicKind};

/// How long it is waited after a failure at first, and at the most.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What one subscriber asks for.
pub(crate) struct Backlog {
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) subscriber: SubscriberId,
    pub(crate) room: Sender,
    pub(crate) tasks: VecDeque<Task>,
    failures: u32,
    ended: bool,
}

/// What is read of one topic.
pub(crate) struct Task {
    pub(crate) index: usize,
    pub(crate) topic: Topic,
    /// Gone with the topic.
    pub(crate) alive: Weak<()>,
    pub(crate) steps: VecDeque<Step>,
    /// What cannot be read is told, and is no error.
    pub(crate) lenient: bool,
    /// Whether everything could be read.
    pub(crate) whole: bool,
}

/// One way through a topic's records.
#[derive(Debug)]
pub(crate) enum Step {
    /// All that exist.
    Exist(ById),
    /// What changed since then.
    Changed { from: String, pages: ByUpdated },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Piece {
    Exist {
        index: usize,
        items: Vec<Listed>,
        total: Option<u64>,
    },
    Changed {
        index: usize,
        items: Vec<Listed>,
        from: String,
    },
    /// A topic is through, as `whole` as it was asked for.
    Topic {
        index: usize,
        whole: bool,
    },
    /// All of them are.
    End,
    /// The subscription cannot be had.
    Failed(Error),
}

impl Task {
    /// What changed since then is read.
    pub(crate) fn changed_from(&self) -> Option<String> {
        self.steps.iter().find_map(|step| match step {
            Step::Changed { from, .. } => Some(from.clone()),
            Step::Exist(_) => None,
        })
    }
}

impl Backlog {
    pub(crate) fn new(
        remote: Arc<dyn Remote>,
        subscriber: SubscriberId,
        room: Sender,
        tasks: impl IntoIterator<Item = Task>,
    ) -> Self {
        Self { remote, subscriber, room, tasks: tasks.into_iter().collect(), failures: 0, ended: false }
    }

    /// The next piece; `None` after the last, and once the reader has gone.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        loop {
            let Some(task) = self.tasks.front_mut() else {
                return (!std::mem::replace(&mut self.ended, true)).then_some(Piece::End);
            };
            let Some(step) = task.steps.front_mut().filter(|_| task.alive.strong_count() > 0) else {
                let Task { index, whole, .. } = self.tasks.pop_front()?;
                return Some(Piece::Topic { index, whole });
            };
            if !self.room.room().await {
                return None;
            }
            let answer = match step.request() {
                Ok(request) => self.remote.page(request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(page) => {
                    if let Some(field) = step.lacks(&task.topic, &page, task.lenient) {
                        if !task.lenient {
                            let error = undated(&task.topic, field);
                            return Some(self.fail(error));
                        }
                        task.steps.clear();
                        task.whole = false;
                        continue;
                    }
                    self.failures = 0;
                    let total = page.total;
                    let items = match step.take(page) {
                        Ok(items) => items,
                        Err(error) => return Some(self.fail(error)),
                    };
                    let index = task.index;
                    let piece = match step {
                        Step::Exist(_) => Piece::Exist { index, items, total },
                        Step::Changed { from, .. } => Piece::Changed { index, items, from: from.clone() },
                    };
                    if step.is_done() {
                        task.steps.pop_front();
                    }
                    return Some(piece);
                }
                Err(error) if error.kind() == ErrorKind::TooLarge && step.shrink() => {}
                Err(error) if error.is_transient() => {
                    tracing::debug!(target: "bosbase_watch::backlog", "{}: {error}", task.topic);
                    let pause = PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
                    self.failures += 1;
                    tokio::time::sleep(error.retry_after().unwrap_or_default().max(pause)).await;
                }
                // No collection has that name: it is a custom topic.
                Err(error)
                    if error.kind() == ErrorKind::NotFound && matches!(task.topic.kind(), TopicKind::Bare(_)) =>
                {
                    task.steps.clear();
                    task.whole = false;
                }
                Err(error) if task.lenient && is_about_the_topic(&error) => {
                    tracing::debug!(target: "bosbase_watch::backlog", "{}: {error}", task.topic);
                    task.steps.clear();
                    task.whole = false;
                }
                Err(error) => {
                    let error = self.reason(error).await;
                    return Some(self.fail(error));
                }
            }
        }
    }

    fn fail(&mut self, error: Error) -> Piece {
        self.tasks.clear();
        self.ended = true;
        Piece::Failed(error)
    }

    /// The server does not say what it refuses: a field, where it is not the rest.
    async fn reason(&self, error: Error) -> Error {
        let Some(task) = self.tasks.front() else { return error };
        if error.kind() != ErrorKind::BadRequest || !matches!(task.steps.front(), Some(Step::Changed { .. })) {
            return error;
        }
        let sorted = |sort| Request { size: 1, sort, ..Request::present(task.topic.clone()) };
        if self.remote.page(sorted("id")).await.is_err() {
            return error;
        }
        let dated = self.remote.page(sorted("updated")).await.is_ok();
        undated(&task.topic, if dated { "created" } else { "updated" })
    }
}

impl Step {
    fn request(&self) -> Result<Request> {
        match self {
            Self::Exist(pages) => pages.request(),
            Self::Changed { pages, .. } => pages.request(),
        }
    }

    fn take(&mut self, page: Page) -> Result<Vec<Listed>> {
        match self {
            Self::Exist(pages) => pages.take(page),
            Self::Changed { pages, .. } => pages.take(page),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Exist(pages) => pages.is_done(),
            Self::Changed { pages, .. } => pages.is_done(),
        }
    }

    fn shrink(&mut self) -> bool {
        match self {
            Self::Exist(pages) => pages.shrink(),
            Self::Changed { pages, .. } => pages.shrink(),
        }
    }

    /// The field without which a single record does not say what it is asked. A list refuses to be
    /// sorted by it then. `lenient`: whether it is new may stay open.
    fn lacks(&self, topic: &Topic, page: &Page, lenient: bool) -> Option<&'static str> {
        if !matches!((self, topic.kind()), (Self::Changed { .. }, TopicKind::Record(..))) {
            return None;
        }
        match page.items.as_slice() {
            items if items.iter().any(|item| item.updated.is_empty()) => Some("updated"),
            items if !lenient && items.iter().any(|item| item.created.is_none()) => Some("created"),
            _ => None,
        }
    }
}

fn is_about_the_topic(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden | ErrorKind::BadRequest)
}

fn undated(topic: &Topic, field: &str) -> Error {
    let so = match field {
        "created" => "what is new since then cannot be told from what was changed",
        _ => "what changed since then cannot be read",
    };
    Error::new(ErrorKind::BadRequest, format!("the records of {topic} have no field `{field}`: {so}"))
}

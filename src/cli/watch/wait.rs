//! What makes a watch a wait: what ends it, and the command that it is for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::end::End;
use super::until;
use crate::cli::exit::Failure;
use crate::cli::jq::Met;
use crate::cli::program;
use crate::cli::report;
use crate::cli::settings::Settings;
use crate::cli::signals::Signals;
use crate::realtime::present::{self, Present};
use crate::{Action, Client, Event, Topic, TopicKind};

/// A command that is to end has so long before it is ended.
const GRACE: Duration = Duration::from_secs(5);

/// How long the news of a deletion may take: a condition may be waiting for it.
const NEWS: Duration = Duration::from_secs(1);

/// What to wait for, as it was typed.
pub(crate) struct Wait {
    pub(crate) until: Vec<String>,
    pub(crate) fail_if: Vec<String>,
    /// Whether a record's present state is tested.
    pub(crate) initial: bool,
    /// Whether a record that is not there was deleted: the check has seen it.
    pub(crate) checked: bool,
    pub(crate) command: Vec<OsString>,
}

impl Wait {
    /// A command that cannot be started is found before anything is connected.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.command.first().map_or(Ok(()), |command| program::find(command))
    }
}

/// A wait that is under way.
pub(super) struct Waiting {
    client: Client,
    has_until: bool,
    initial: bool,
    checked: bool,
    topics: Vec<Topic>,
    command: Vec<OsString>,
    child: Option<Child>,
    reading: JoinSet<(usize, crate::Result<Option<Present>>)>,
    /// Records that are not there, by the places of their topics, and when that is taken for granted.
    gone: BTreeMap<usize, Instant>,
    begun: bool,
}

/// What comes beside the feed.
pub(super) enum News {
    /// A record as it is.
    Present(Event),
    /// The record of this topic is not there; its deletion may still be told.
    Missing(Option<String>),
    Unreadable(crate::Error),
    /// The command has failed.
    Ends(End),
}

impl Waiting {
    pub(super) fn new(wait: &Wait, topics: &[Topic], client: &Client) -> Self {
        Self {
            client: client.clone(),
            has_until: !wait.until.is_empty(),
            initial: wait.initial,
            checked: wait.checked,
            topics: topics.to_vec(),
            command: wait.command.clone(),
            child: None,
            reading: JoinSet::new(),
            gone: BTreeMap::new(),
            begun: false,
        }
    }

    /// The subscription stands: the command is started, and records are looked at.
    pub(super) fn begin(&mut self) -> Result<(), End> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        if self.initial {
            for index in 0..self.topics.len() {
                self.look(index, Duration::ZERO);
            }
        }
        let Some((name, arguments)) = self.command.split_first() else { return Ok(()) };
        let mut command = Command::new(name);
        // Stdout is for the event. A terminal would stop whoever reads it from another process group.
        command.args(arguments).stdout(std::io::stderr()).kill_on_drop(true);
        if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            command.stdin(Stdio::null());
        }
        program::set_apart(&mut command);
        match command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(error) => {
                return Err(End::Companion(format!("{} could not be started: {error}", name.to_string_lossy())));
            }
        }
        Ok(())
    }

    /// Reads the record of a topic, later.
    fn look(&mut self, index: usize, pause: Duration) {
        let Some(topic) = self.topics.get(index).cloned() else { return };
        if !matches!(topic.kind(), TopicKind::Record(..)) {
            return;
        }
        let client = self.client.clone();
        self.reading.spawn(async move {
            tokio::time::sleep(pause).await;
            (index, present::read(&client, &topic, index).await)
        });
    }

    /// What there is to know beside the feed; for ever where nothing is. Safe to cancel.
    pub(super) async fn news(&mut self) -> News {
        loop {
            let looked = tokio::select! {
                ended = command_ended(&mut self.child, &self.command) => match ended {
                    Some(end) => return News::Ends(end),
                    None => continue,
                },
                Some(looked) = self.reading.join_next() => looked,
                else => std::future::pending().await,
            };
            match looked {
                Ok((_, Ok(Some(Present::There(event))))) => return News::Present(Event::Record(event)),
                Ok((index, Ok(Some(Present::Gone)))) if self.checked => {
                    self.gone.entry(index).or_insert_with(|| Instant::now() + NEWS);
                    return News::Missing(self.topics.get(index).map(|topic| topic.name().to_owned()));
                }
                // The connection, which may be gone as well, is the supervisor's business.
                Ok((index, Err(error))) if error.is_transient() => self.look(index, NEWS),
                Ok((_, Err(error))) => return News::Unreadable(error),
                _ => {}
            }
        }
    }

    /// Whether something may still come: of another record, or of a topic that is none.
    pub(super) fn may_come(&self) -> bool {
        self.gone.len() < self.topics.len()
    }

    /// Whether an event has to meet a condition.
    pub(super) fn has_until(&self) -> bool {
        self.has_until
    }

    /// When all that is waited for is taken for deleted.
    pub(super) fn deadline(&self) -> Option<(Instant, End)> {
        if self.may_come() {
            return None;
        }
        let names = self.topics.iter().map(|topic| topic.name().to_owned()).collect();
        self.gone.values().max().map(|at| (*at, End::Gone(names)))
    }

    /// Whether the event ends the wait.
    pub(super) fn judge(&self, event: &Event, met: Option<Met>, in_doubt: Option<String>) -> Option<End> {
        let is_initial = matches!(event, Event::Record(event) if event.action() == Action::Initial);
        // What may be a failure is no success.
        let well = |in_doubt: Option<String>| in_doubt.map_or(End::Until, End::InDoubt);
        match met {
            Some(Met::FailIf(expression)) => Some(End::FailIf(expression)),
            Some(Met::Until) => Some(well(in_doubt)),
            None if !self.has_until && !is_initial => Some(well(in_doubt)),
            None => None,
        }
    }

    /// Takes in what has become of a record. Where it was deleted, nothing more
    /// comes of its topic, which is told by its name.
    pub(super) fn note(&mut self, event: &Event) -> Option<String> {
        let Event::Record(event) = event else { return None };
        let topic = event.topic();
        if !matches!(topic.kind(), TopicKind::Record(..)) {
            return None;
        }
        let index = event.source().index();
        if event.action() != Action::Delete {
            // It was made anew.
            self.gone.remove(&index);
            return None;
        }
        self.gone.insert(index, Instant::now());
        Some(topic.name().to_owned())
    }

    /// Whatever ends the wait ends the command, but for a match: that waits for it.
    pub(super) async fn conclude(
        &mut self,
        mut end: End,
        deadline: Option<Instant>,
        signals: &mut Signals,
        settings: &Settings,
    ) -> End {
        if matches!(end, End::Until) && self.child.is_some() {
            tokio::select! {
                biased;
                failed = command_ended(&mut self.child, &self.command) => return failed.unwrap_or(end),
                signal = signals.next() => end = End::Signal(signal),
                () = until(deadline) => end = End::Timeout,
            }
        }
        let Some(child) = &mut self.child else { return end };
        program::terminate(child);
        if matches!(end, End::Signal(_)) {
            report::note_after_signal(
                settings,
                "the command was asked to end and is waited for; Ctrl-C again kills it",
            );
        }
        let dies = tokio::select! {
            _ = child.wait() => true,
            _ = signals.next() => false,
            () = tokio::time::sleep(GRACE) => false,
        };
        if !dies {
            program::kill(child);
            // Nothing outlives that but what the system itself holds up.
            let _ = tokio::time::timeout(NEWS, child.wait()).await;
        }
        self.child = None;
        end
    }
}

/// The end of the command, which is the end of the wait where it failed; for
/// ever where it does not run. Safe to cancel.
async fn command_ended(child: &mut Option<Child>, command: &[OsString]) -> Option<End> {
    let Some(running) = child else { return std::future::pending().await };
    let status = running.wait().await;
    *child = None;
    let name = command.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let how = status.map_or_else(|error| Some(format!("was lost: {error}")), program::failure);
    how.map(|how| End::Companion(format!("{name} {how}")))
}

//! `--exec`: a command for each event.
//!
//! No more events are taken than there is room for commands, so a slow command
//! slows the printing, and what comes meanwhile waits in the subscription's queue.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::EntryId;

use crate::Event;
use crate::cli::args::{ExecFailArg, React};
use crate::cli::exit::Failure;
use crate::cli::output::{Format, Options, Printer, Sub};
use crate::cli::program;
use crate::cli::signals::Signals;

/// What is ours in the environment of a command, and what must not be in it.
/// The token's file may: who can read it has it anyway.
const TOKEN: &str = "BOSBASE_TOKEN";

pub(super) struct Exec {
    command: Vec<OsString>,
    jobs: usize,
    stop: bool,
    /// The event as the command reads it.
    printer: Printer,
    running: JoinSet<Outcome>,
    /// Told when the commands that run are to end.
    cut: watch::Sender<Cut>,
}

/// How far it is with the commands that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Cut {
    /// They run as long as they take.
    No,
    Asked,
    Killed,
}

/// A command that is cut short has so long before it is killed.
const GRACE: Duration = Duration::from_secs(1);

/// A command that has ended.
pub(super) struct Outcome {
    /// What for: `posts/9f3k2m1x0abcdef (update)`.
    event: String,
    /// Its entry in the ledger, where there is one.
    pub(super) entry: Option<EntryId>,
    result: io::Result<Option<ExitStatus>>,
}

impl Outcome {
    /// Whether the command ran to its end, well or not.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.result, Ok(Some(_)) | Err(_))
    }
}

impl Exec {
    /// `None` where there is no command. One that cannot be started is found here.
    pub(super) fn new(react: &React, subs: Vec<Option<Sub>>) -> Result<Option<Self>, Failure> {
        let Some(program) = react.exec.first() else { return Ok(None) };
        program::find(program)?;
        Ok(Some(Self {
            command: react.exec.clone(),
            jobs: react.exec_jobs,
            stop: react.exec_fail == ExecFailArg::Stop,
            printer: Printer::new(Options { format: Format::Ndjson, subs, ..Options::default() }),
            running: JoinSet::new(),
            cut: watch::Sender::new(Cut::No),
        }))
    }

    /// One more subscription, behind the others.
    pub(super) fn add_sub(&mut self, sub: Option<Sub>) {
        self.printer.add_sub(sub);
    }

    /// How many more commands may be started now.
    pub(super) fn room(&self) -> usize {
        self.jobs.saturating_sub(self.running.len())
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether the watch ends with the first that fails.
    pub(super) fn stops(&self) -> bool {
        self.stop
    }

    /// Starts the command for an event.
    pub(super) fn start(&mut self, event: &Event, entry: Option<EntryId>) {
        let mut line = Vec::new();
        self.printer.event(&mut line, event);
        let what = describe(event);
        let child = self.spawn(event);
        let mut cut = self.cut.subscribe();
        self.running.spawn(async move {
            let result = match child {
                Ok(child) => attend(child, line, &mut cut).await,
                Err(error) => Err(error),
            };
            Outcome { event: what, entry, result }
        });
    }

    fn spawn(&self, event: &Event) -> io::Result<Child> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).stdin(Stdio::piped()).stdout(io::stderr()).env_remove(TOKEN);
        let (topic, action, collection, id) = match event {
            Event::Record(event) => {
                (event.topic().name(), Some(event.action().as_str()), event.collection(), event.id())
            }
            Event::Message(event) => (event.topic().name(), None, None, None),
            _ => ("", None, None, None),
        };
        let mut set = |name: &str, value: Option<&str>| match value {
            // No environment takes a NUL.
            Some(value) => drop(command.env(name, value.replace('\0', "\u{fffd}"))),
            // An inherited one is not this event's.
            None => drop(command.env_remove(name)),
        };
        set("BOSBASE_TOPIC", Some(topic));
        set("BOSBASE_ACTION", action);
        set("BOSBASE_COLLECTION", collection.as_deref());
        set("BOSBASE_ID", id.as_deref());
        program::set_apart(&mut command);
        command.spawn()
    }

    /// The next command that ends; for ever where none runs. Safe to cancel.
    pub(super) async fn next(&mut self) -> Outcome {
        loop {
            match self.running.join_next().await {
                Some(Ok(outcome)) => return outcome,
                Some(Err(error)) => {
                    let result = Err(io::Error::other(error.to_string()));
                    return Outcome { event: "an event".to_owned(), entry: None, result };
                }
                None => std::future::pending().await,
            }
        }
    }

    /// What is to be said of it; `None` where all is well.
    pub(super) fn failure(&self, outcome: &Outcome) -> Option<String> {
        let name = OsStr::to_string_lossy(&self.command[0]);
        let how = match &outcome.result {
            Ok(Some(status)) => program::failure(*status)?,
            Ok(None) => "was cut short".to_owned(),
            Err(error) => format!("could not be started: {error}"),
        };
        Some(format!("{name} {how} for {}", outcome.event))
    }

    /// Asks the commands that run to end, waits for them, and kills those that do not.
    pub(super) async fn cut_short(&mut self, signals: &mut Signals) {
        self.cut.send_replace(Cut::Asked);
        tokio::select! {
            () = all_ended(&mut self.running) => return,
            _ = signals.next() => {}
            () = tokio::time::sleep(GRACE) => {}
        }
        self.cut.send_replace(Cut::Killed);
        // Nothing outlives that but what the system itself holds up.
        let _ = tokio::time::timeout(GRACE, all_ended(&mut self.running)).await;
    }
}

async fn all_ended(running: &mut JoinSet<Outcome>) {
    while running.join_next().await.is_some() {}
}

/// Waits until the command has ended. There is no status of one that was asked to.
async fn attend(mut child: Child, line: Vec<u8>, cut: &mut watch::Receiver<Cut>) -> io::Result<Option<ExitStatus>> {
    let stdin = child.stdin.take();
    let feeding = async {
        if let Some(mut stdin) = stdin {
            // A command need not read it.
            let _ = stdin.write_all(&line).await;
        }
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        biased;
        status = child.wait() => return status.map(Some),
        () = is_cut(cut, Cut::Asked) => {}
        never = feeding => match never {},
    }
    program::terminate(&mut child);
    tokio::select! {
        biased;
        _ = child.wait() => return Ok(None),
        () = is_cut(cut, Cut::Killed) => program::kill(&mut child),
    }
    let _ = child.wait().await;
    Ok(None)
}

/// Until it has come that far.
async fn is_cut(cut: &mut watch::Receiver<Cut>, wanted: Cut) {
    if cut.wait_for(|cut| *cut >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// An event as it is named to a person: `posts/9f3k2m1x0abcdef (update)`.
fn describe(event: &Event) -> String {
    match event {
        Event::Record(event) => {
            let place = event.collection().unwrap_or_else(|| event.topic().name().to_owned());
            format!("{place}/{} ({})", event.id().unwrap_or_else(|| "?".to_owned()), event.action())
        }
        Event::Message(event) => format!("a message of {}", event.topic().name()),
        _ => "an event".to_owned(),
    }
}

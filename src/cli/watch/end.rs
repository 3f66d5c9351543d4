//! Why a watch ends: the word for programs, the words for people, the code.

use std::io;

use crate::Error;
use crate::cli::exit::{Exit, Failure};
use crate::cli::jq::{Beyond, GivenUp};
use crate::cli::report;
use crate::cli::settings::Settings;
use crate::cli::signals::Signal;

/// How an expression is made to end.
const ENDING: &str = "limit(10; …), first(…) and until(…; …) end what repeats";

/// Why a watch ends.
pub(crate) enum End {
    Count,
    Duration,
    Timeout,
    IdleTimeout,
    Signal(Signal),
    Pipe,
    Unsubscribed,
    /// A condition of `wait` holds.
    Until,
    /// A condition that must not hold: which.
    FailIf(String),
    /// The event would end the wait well, but whether it must not is not known: why.
    InDoubt(String),
    /// What is said of the command of `wait` that failed.
    Companion(String),
    /// All that was waited for is deleted: the topics.
    Gone(Vec<String>),
    /// What is said of a command that failed.
    Command(String),
    /// An expression goes too far.
    GivenUp(GivenUp),
    /// An unfilled gap: which topics.
    Gap(Vec<String>),
    Library(Error),
    Io(io::Error),
}

/// Why nothing was printed, where the time is up: what came, and what kept it back.
pub(crate) fn silence(came: u64, has_until: bool) -> String {
    let kept = if has_until { "matched --until" } else { "passed --action and --jq" };
    match came {
        0 => "bosbase-watch topics says of each topic whether its events reach this login".to_owned(),
        1 => format!("1 event came, and it has not {kept}: bosbase-watch subscribe -o ndjson shows what they are like"),
        _ => format!("{came} events came, and none {kept}: bosbase-watch subscribe -o ndjson shows what they are like"),
    }
}

impl End {
    /// The `reason` of the NDJSON's `end`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Duration => "duration",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle-timeout",
            Self::Signal(_) => "signal",
            Self::Pipe => "pipe",
            Self::Unsubscribed => "unsubscribed",
            Self::Until => "until",
            Self::FailIf(_) => "fail-if",
            Self::Gone(_) => "topic",
            Self::Command(_) | Self::Companion(_) => "command",
            Self::Gap(_) => "gap",
            Self::Io(_) | Self::GivenUp(_) | Self::InDoubt(_) => "error",
            Self::Library(error) => match Exit::of(error) {
                Exit::Auth => "auth",
                Exit::Topic => "topic",
                Exit::Connect => "connect",
                _ => "error",
            },
        }
    }

    /// The same for people.
    pub(crate) fn how(&self) -> &'static str {
        match self {
            Self::Count => "count reached",
            Self::Duration => "time is up",
            Self::Timeout => "timed out",
            Self::IdleTimeout => "nothing came for too long",
            Self::Signal(signal) => signal.name(),
            Self::Pipe => "the reader has gone",
            Self::Unsubscribed => "unsubscribed",
            Self::Until => "matched",
            Self::FailIf(_) => "--fail-if matched",
            Self::Gone(_) => "deleted",
            Self::Command(_) => "a command failed",
            Self::Companion(_) => "the command failed",
            Self::Gap(_) => "a gap that was not filled",
            Self::Library(_) | Self::Io(_) | Self::GivenUp(_) | Self::InDoubt(_) => "failed",
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Count | Self::Duration | Self::Pipe | Self::Unsubscribed | Self::Until => Exit::Done,
            Self::FailIf(_) => Exit::FailIf,
            Self::Gone(_) => Exit::Topic,
            Self::Timeout | Self::IdleTimeout => Exit::Timeout,
            Self::Signal(signal) => signal.exit(),
            Self::Command(_) | Self::Companion(_) => Exit::Command,
            Self::Gap(_) => Exit::Gap,
            Self::GivenUp(_) | Self::InDoubt(_) => Exit::Usage,
            Self::Io(_) => Exit::Internal,
            Self::Library(error) => Exit::of(error),
        }
    }

    /// Whether what was received before it is still worked off, where there is
    /// a command to run for it: not where there is no way to go on, or a reason not to.
    pub(crate) fn leaves_work(&self) -> bool {
        match self {
            Self::Duration | Self::Timeout | Self::IdleTimeout | Self::Signal(_) | Self::Unsubscribed => true,
            Self::Count | Self::Pipe | Self::Command(_) | Self::Gap(_) => false,
            Self::Library(_) | Self::Io(_) | Self::GivenUp(_) => false,
            Self::Until | Self::FailIf(_) | Self::InDoubt(_) | Self::Companion(_) | Self::Gone(_) => false,
        }
    }

    /// Whether a reader that does not read is not waited for any longer.
    pub(crate) fn is_hurried(&self) -> bool {
        matches!(self, Self::Signal(_) | Self::Timeout | Self::IdleTimeout)
    }

    /// What is said besides the last line, and with what it is mended.
    /// `told`: the last line has said how it ended. `silence`: why nothing was printed.
    pub(crate) fn failure(self, events: u64, told: bool, silence: String, settings: &Settings) -> Option<Failure> {
        match self {
            Self::Library(error) => Some(report::explain(&error, settings)),
            Self::Gap(topics) => Some(
                Failure::new(
                    Exit::Gap,
                    format!("events of {} may have been missed, and cannot be read again", topics.join(", ")),
                )
                .hint("start again from a known state; without --fail-on-gap the watch goes on and says so"),
            ),
            Self::Command(what) => {
                Some(Failure::new(Exit::Command, what).hint("--exec-fail warn goes on with the next event"))
            }
            Self::FailIf(expression) => Some(
                Failure::new(Exit::FailIf, format!("{expression} holds"))
                    .hint("the event that it holds for is on stdout"),
            ),
            Self::InDoubt(why) => Some(
                Failure::usage(format!("whether the event on stdout is a failure is not known: {why}"))
                    .hint("give an expression that has an answer for every event: .data.error? and // false take care of what is not there"),
            ),
            Self::Companion(what) => {
                Some(Failure::new(Exit::Command, what).hint("if it printed why, that is on stderr, above this line"))
            }
            Self::Gone(topics) => {
                let verb = if topics.len() == 1 { "is" } else { "are" };
                let what = format!("{} {verb} deleted: what is waited for cannot come any more", topics.join(", "));
                Some(
                    Failure::new(Exit::Topic, what)
                        .hint("where that is what you wait for: --until '.action == \"delete\"'"),
                )
            }
            Self::GivenUp(GivenUp { expression, why }) => {
                let (what, hint) = match why {
                    Beyond::Time | Beyond::Output => ("does not end".to_owned(), ENDING),
                    Beyond::Memory(most) => (format!("takes more than {most} MB of memory"), ENDING),
                    Beyond::Stack => (
                        "calls itself too often".to_owned(),
                        "reduce and foreach go over many values without a function that calls itself",
                    ),
                    Beyond::Broken(why) => {
                        (format!("fails inside ({why})"), "without it, the watch prints the event that it fails on")
                    }
                };
                Some(Failure::usage(format!("{expression} {what}: it was given up on one event")).hint(hint))
            }
            Self::Io(error) => {
                Some(report::unwritten(&format!("cannot write to stdout after {events} events"), &error))
            }
            end @ (Self::Timeout | Self::IdleTimeout) if !told => {
                Some(Failure::new(Exit::Timeout, end.how()).hint(silence))
            }
            _ => None,
        }
    }
}

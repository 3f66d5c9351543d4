//! Exit codes, and the one place that says which error ends with which.

use std::fmt;

use crate::{Error, ErrorKind};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "some signals are of Unix alone"))]
pub(crate) enum Exit {
    /// Done, or the reader closed the pipe.
    Done,
    /// An internal or I/O error.
    Internal,
    /// Wrong usage, or a config or credentials file that cannot be read as one.
    Usage,
    /// Not signed in, wrong password, token expired or refused.
    Auth,
    /// A topic was refused.
    Topic,
    /// Cannot connect, or the retries are used up.
    Connect,
    /// A gap that was not filled, with `--fail-on-gap`.
    Gap,
    /// `--fail-if` matched.
    FailIf,
    /// A deadline passed.
    Timeout,
    /// A command that was to be run failed.
    Command,
    /// SIGHUP: the terminal is gone.
    HungUp,
    /// Ctrl-C.
    Interrupted,
    /// SIGQUIT.
    Quit,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// Whether somebody wanted out.
    pub(crate) fn is_by_signal(self) -> bool {
        matches!(self, Self::HungUp | Self::Interrupted | Self::Quit | Self::Terminated)
    }

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Auth => 4,
            Self::Topic => 5,
            Self::Connect => 6,
            Self::Gap => 7,
            Self::FailIf => 10,
            Self::Timeout => 124,
            Self::Command => 125,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Quit => 131,
            Self::Terminated => 143,
        }
    }

    /// What an error of the library ends with.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidUrl
            | ErrorKind::InvalidTopic
            | ErrorKind::InvalidFilter
            | ErrorKind::InvalidHeader
            | ErrorKind::InsecureTransport => Self::Usage,
            ErrorKind::Unauthorized | ErrorKind::MfaRequired => Self::Auth,
            ErrorKind::BadRequest | ErrorKind::Forbidden | ErrorKind::NotFound | ErrorKind::TopicsGone => Self::Topic,
            _ => Self::Connect,
        }
    }
}

/// An error with its exit code and, where there is one, the command that mends it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

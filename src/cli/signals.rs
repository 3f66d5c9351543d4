//! What asks the program to end: Ctrl-C, SIGTERM, a terminal that is closed.

use anyhow::Result;

use super::exit::Exit;

/// What asks the program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
    /// The terminal is gone.
    #[cfg(unix)]
    HangUp,
    #[cfg(unix)]
    Quit,
}

impl Signal {
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
            #[cfg(unix)]
            Self::HangUp => Exit::HungUp,
            #[cfg(unix)]
            Self::Quit => Exit::Quit,
        }
    }

    /// As a person knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "^C",
            Self::Terminate => "SIGTERM",
            #[cfg(unix)]
            Self::HangUp => "SIGHUP",
            #[cfg(unix)]
            Self::Quit => "SIGQUIT",
        }
    }
}

/// Listens from the moment it is made.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        use anyhow::Context as _;
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).context("cannot listen for signals");
        // Who starts a program with nohup wants it to outlive the terminal. The signals of the
        // keyboard end it also where a shell has them ignored, as it does for what it starts with &.
        let outlives = is_ignored(SignalKind::hangup()).unwrap_or(true);
        Ok(Self {
            hang_up: (!outlives).then(|| listen(SignalKind::hangup())).transpose()?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            Some(()) = self.quit.recv() => Signal::Quit,
            Some(()) = maybe(self.hang_up.as_mut()) => Signal::HangUp,
            else => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
async fn maybe(signal: Option<&mut tokio::signal::unix::Signal>) -> Option<()> {
    signal?.recv().await
}

/// Whether who started the program had it ignored, where the system tells.
#[cfg(unix)]
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> Option<bool> {
    ignored(&std::fs::read_to_string("/proc/self/status").ok()?, kind.as_raw_value())
}

/// The same, from what Linux says of a process.
#[cfg(unix)]
fn ignored(status: &str, signal: i32) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    let bit = u32::try_from(signal).ok()?.checked_sub(1)?;
    Some(mask.checked_shr(bit)? & 1 == 1)
}

/// Listens from the moment it is made.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        Signal::Interrupt
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignored;

    #[test]
    fn what_linux_says_is_ignored() {
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n";
        assert_eq!(
            (ignored(status, 1), ignored(status, 3), ignored(status, 13)),
            (Some(true), Some(false), Some(true))
        );
        assert_eq!((ignored("Name:\tx\n", 1), ignored(status, 0), ignored(status, 65)), (None, None, None));
    }
}

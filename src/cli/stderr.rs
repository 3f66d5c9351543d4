//! Stderr, for all who say something there: nobody waits for its reader.
//!
//! What is said of the connection and the log are left out where stderr is not
//! read, and that is said; an error and its hint are not.

use std::io::{self, Write as _};
use std::sync::LazyLock;
use std::time::Duration;

use super::exit::Exit;
use super::sink::Sink;

/// How long a reader that does not read is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same where somebody wants out.
const GRACE: Duration = Duration::from_millis(100);

/// `None`: no thread could be had, and it is written at once.
static SINK: LazyLock<Option<Sink>> = LazyLock::new(|| Sink::stderr().ok());

/// What has to be read.
pub(crate) fn write(text: &[u8]) {
    match &*SINK {
        Some(sink) => sink.write(&mut text.to_vec()),
        None => drop(io::stderr().write_all(text)),
    }
}

/// A line that may be left out where nobody reads.
pub(crate) fn offer(line: &[u8]) {
    match &*SINK {
        Some(sink) => sink.offer(line),
        None => drop(io::stderr().write_all(line)),
    }
}

/// Waits until everything is with the kernel.
pub(crate) async fn flushed() {
    if let Some(sink) = &*SINK {
        sink.flushed().await;
    }
}

/// Waits for the reader before something else writes there.
pub(crate) fn flush() {
    if let Some(sink) = &*SINK {
        sink.wait(PATIENCE);
    }
}

/// Waits for the reader at the end of the program.
pub(crate) fn finish(exit: Exit) {
    let hurried = exit.is_by_signal() || exit == Exit::Timeout;
    if let Some(sink) = &*SINK {
        sink.wait(if hurried { GRACE } else { PATIENCE });
    }
}

//! The way to stdout: a bounded buffer and a thread that writes it.
//!
//! A slow reader blocks the thread and not the connection. Whatever has
//! gathered while one write was under way goes into the next.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// How many bytes may wait for the reader here; beyond it, events wait in the
/// subscription's own, larger buffer.
const ROOM: usize = 1024 * 1024;

/// Stdout, from the side of the printer.
pub(crate) struct Sink {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How many bytes the system has taken.
    written: AtomicU64,
    /// Told when there is something to write.
    work: Condvar,
    /// Told when something was written, or nothing more can be.
    progress: Notify,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    writing: bool,
    failed: Option<io::Error>,
}

impl Sink {
    /// Starts the writer, and a watch for the reader's end.
    pub(crate) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("stdout".into()).spawn(move || writer.write_all())?;
        #[cfg(unix)]
        {
            let watcher = Arc::clone(&shared);
            std::thread::Builder::new().name("stdout-end".into()).spawn(move || {
                if reader_is_gone() {
                    watcher.fail(io::ErrorKind::BrokenPipe.into());
                }
            })?;
        }
        Ok(Self { shared })
    }

    /// Takes what is to be written, and leaves the buffer empty.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        if state.failed.is_some() {
            bytes.clear();
            return;
        }
        if state.pending.is_empty() {
            std::mem::swap(&mut state.pending, bytes);
        } else {
            state.pending.append(bytes);
        }
        self.shared.work.notify_one();
    }

    /// How many bytes the system has taken, of all that were ever to be written.
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Whether more may be written.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.lock().pending.len() < ROOM
    }

    /// Waits until something was written.
    pub(crate) async fn progress(&self) {
        self.shared.progress.notified().await;
    }

    /// Waits until everything is with the kernel, or nothing more can be.
    pub(crate) async fn flushed(&self) {
        loop {
            {
                let state = self.shared.lock();
                if state.failed.is_some() || (state.pending.is_empty() && !state.writing) {
                    return;
                }
            }
            self.progress().await;
        }
    }

    /// Why nothing more can be written, where that is so.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let state = self.shared.lock();
        let error = state.failed.as_ref()?;
        Some(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: io::Error) {
        let mut state = self.lock();
        state.failed.get_or_insert(error);
        state.pending = Vec::new();
        state.writing = false;
        self.progress.notify_one();
    }

    fn write_all(&self) {
        let mut buffer = Vec::new();
        loop {
            let mut state = self.lock();
            while state.pending.is_empty() {
                if state.failed.is_some() {
                    return;
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.pending, &mut buffer);
            state.writing = true;
            drop(state);
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                match write(rest) {
                    Ok(written) => {
                        self.written.fetch_add(written as u64, Ordering::Release);
                        rest = &rest[written..];
                    }
                    Err(error) => {
                        self.fail(error);
                        return;
                    }
                }
            }
            buffer.clear();
            self.lock().writing = false;
            self.progress.notify_one();
        }
    }
}

/// Whether stdout is a file that does not end with this byte. False where that cannot be seen.
pub(crate) fn ends_in_between(terminator: u8) -> bool {
    use io::{Read as _, Seek as _};
    let last = || -> io::Result<u8> {
        let mut file = std::fs::File::open("/dev/fd/1")?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        file.seek(io::SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    last().is_ok_and(|last| last != terminator)
}

/// Writes at once, and says how much the system has taken: the standard
/// library's stdout would keep what follows the last newline.
#[cfg(unix)]
fn write(bytes: &[u8]) -> io::Result<usize> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    let stdout = io::stdout();
    loop {
        match rustix::io::write(&stdout, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(Errno::INTR) => {}
            // Somebody who shares it has set it so that nobody waits.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(unix))]
fn write(bytes: &[u8]) -> io::Result<usize> {
    use io::Write as _;
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map(|()| bytes.len())
}

/// Blocks until the reader of stdout has gone: a quiet feed would never write
/// and so never find out. Returns false where that cannot be known.
#[cfg(unix)]
fn reader_is_gone() -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let stdout = io::stdout();
    loop {
        // Nothing is asked for: an error or a hang-up is told in any case.
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        }
    }
}

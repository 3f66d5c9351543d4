//! The way to stdout, and to stderr: a bounded buffer and a thread that writes it.
//!
//! A slow reader blocks the thread and not the connection. Whatever has
//! gathered while one write was under way goes into the next. What the system
//! takes without anybody having to wait is written at once: to wake up the
//! thread takes longer than to write.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How many bytes may wait for the reader here; beyond it, events wait in the
/// subscription's own, larger buffer.
const ROOM: usize = 1024 * 1024;

/// How much is written at once: a reader that is slow is seen to read.
const CHUNK: usize = 64 * 1024;

/// Writes as much as the system takes without waiting, where it can be asked for that.
type WriteAtOnce = fn(&[u8]) -> io::Result<usize>;

/// A stream, from the side of those who print.
pub(crate) struct Sink {
    shared: Arc<Shared>,
    /// Whether the system would take more.
    takes_more: fn() -> bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How many bytes the system has taken.
    written: AtomicU64,
    /// Told when there is something to write, where the writer waits for it.
    work: Condvar,
    /// Told when something was written that somebody waits for, or nothing more can be.
    progress: Notify,
    /// Told when something was written, for who waits without a runtime ...
    moved: Condvar,
    /// ... and how many do. Each word between threads is a call of the system, which a feed of
    /// single events would make several times for each.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    writing: bool,
    /// The writer waits for work.
    idle: bool,
    /// Somebody wants to know when everything is written, or when there is room again.
    wanted: bool,
    failed: Option<io::Error>,
    /// Where it can be asked for that, as far as is known.
    at_once: Option<WriteAtOnce>,
    /// How many lines were left out since there was no room for them.
    left_out: u64,
}

impl State {
    fn is_flushed(&self) -> bool {
        self.failed.is_some() || (self.pending.is_empty() && !self.writing)
    }

    /// Says what was left out, once there is room again.
    fn tell(&mut self) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            1 => self.pending.extend_from_slice(b"(1 line was left out: nobody read this)\n"),
            more => {
                let text = format!("({more} lines were left out: nobody read this)\n");
                self.pending.extend_from_slice(text.as_bytes());
            }
        }
    }
}

impl Sink {
    /// Starts the writer of stdout, and a watch for the reader's end.
    pub(crate) fn stdout() -> io::Result<Self> {
        let sink = Self::start("stdout", |bytes| write(io::stdout(), bytes), || takes_more(io::stdout()))?;
        sink.write_at_once_with(|bytes| write_at_once(io::stdout(), bytes));
        #[cfg(unix)]
        {
            let watcher = Arc::clone(&sink.shared);
            std::thread::Builder::new().name("stdout-end".into()).spawn(move || {
                if reader_is_gone() {
                    watcher.fail(io::ErrorKind::BrokenPipe.into());
                }
            })?;
        }
        Ok(sink)
    }

    /// Starts the writer of stderr.
    pub(crate) fn stderr() -> io::Result<Self> {
        Self::start("stderr", |bytes| write(io::stderr(), bytes), || takes_more(io::stderr()))
    }

    fn start(
        name: &str,
        write: impl Fn(&[u8]) -> io::Result<usize> + Send + 'static,
        takes_more: fn() -> bool,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name(name.into()).spawn(move || writer.write_all(write))?;
        Ok(Self { shared, takes_more })
    }

    fn write_at_once_with(&self, at_once: WriteAtOnce) {
        self.shared.lock().at_once = Some(at_once);
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
            // Behind what is being written nothing may go ahead.
            if !state.writing {
                match self.shared.write_at_once(&mut state, bytes) {
                    Ok(()) if bytes.is_empty() => return,
                    Ok(()) => {}
                    Err(error) => {
                        drop(state);
                        bytes.clear();
                        self.shared.fail(error);
                        return;
                    }
                }
            }
            std::mem::swap(&mut state.pending, bytes);
        } else {
            state.pending.append(bytes);
        }
        self.shared.has_work(state);
    }

    /// How many bytes the system has taken, of all that were ever to be written.
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Acquire)
    }

    /// Takes a line unless there is no room for it, and says later how many were left out.
    pub(crate) fn offer(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.failed.is_some() {
            return;
        }
        if state.pending.len() >= ROOM {
            state.left_out += 1;
            return;
        }
        state.tell();
        state.pending.extend_from_slice(line);
        self.shared.has_work(state);
    }

    /// Waits, without a runtime, until everything is with the kernel, for as long as somebody
    /// reads: where nothing moves for the time of `patience`, and there is no room for more, it
    /// is given up.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut state = self.shared.lock();
        state.tell();
        self.shared.work.notify_one();
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        while !state.is_flushed() {
            let (next, waited) =
                self.shared.moved.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            // On a busy machine it may be the writer that is late.
            if waited.timed_out() && !(self.takes_more)() {
                break;
            }
            state = next;
        }
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether more may be written. Where not, [`Self::progress`] tells when to ask again.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.shared.lock();
        let room = state.pending.len() < ROOM;
        state.wanted |= !room;
        room
    }

    /// Waits until there is room again, where there was none, or until nothing more can be written.
    pub(crate) async fn progress(&self) {
        self.shared.progress.notified().await;
    }

    /// Waits until everything is with the kernel, or nothing more can be.
    pub(crate) async fn flushed(&self) {
        loop {
            {
                let mut state = self.shared.lock();
                if state.is_flushed() {
                    return;
                }
                state.wanted = true;
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
        drop(state);
        self.progress.notify_one();
        self.moved.notify_all();
    }

    /// Writes what the system takes without waiting, and leaves the rest.
    fn write_at_once(&self, state: &mut State, bytes: &mut Vec<u8>) -> io::Result<()> {
        let Some(at_once) = state.at_once else { return Ok(()) };
        let mut taken = 0;
        let result = loop {
            if taken == bytes.len() {
                break Ok(());
            }
            match at_once(&bytes[taken..]) {
                Ok(written @ 1..) => taken += written,
                Ok(0) => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_unsupported(&error) => {
                    state.at_once = None;
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        if taken > 0 {
            self.written.fetch_add(taken as u64, Ordering::Release);
            bytes.drain(..taken);
        }
        result
    }

    fn has_work(&self, mut state: MutexGuard<'_, State>) {
        if std::mem::take(&mut state.idle) {
            drop(state);
            self.work.notify_one();
        }
    }

    fn has_moved(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.moved.notify_all();
        }
    }

    fn write_all(&self, write: impl Fn(&[u8]) -> io::Result<usize>) {
        let mut buffer = Vec::new();
        loop {
            let mut state = self.lock();
            while state.pending.is_empty() {
                if state.failed.is_some() {
                    return;
                }
                state.idle = true;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.pending, &mut buffer);
            (state.writing, state.idle) = (true, false);
            drop(state);
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                match write(&rest[..rest.len().min(CHUNK)]) {
                    Ok(written) => {
                        self.written.fetch_add(written as u64, Ordering::Release);
                        rest = &rest[written..];
                        self.has_moved();
                    }
                    Err(error) => {
                        self.fail(error);
                        return;
                    }
                }
            }
            buffer.clear();
            let mut state = self.lock();
            state.writing = false;
            // Whoever wants all of it to be written asks again.
            let wanted = std::mem::take(&mut state.wanted);
            drop(state);
            if wanted {
                self.progress.notify_one();
            }
            self.has_moved();
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
/// library's stdout would keep what follows the last newline. No lock is held
/// meanwhile: what a panic says goes to stderr by itself.
#[cfg(unix)]
fn write(stream: impl std::os::fd::AsFd, bytes: &[u8]) -> io::Result<usize> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    loop {
        match rustix::io::write(&stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(Errno::INTR) => {}
            // Somebody who shares it has set it so that nobody waits.
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes as much as the system takes without waiting for anybody. Pipes, sockets and
/// `/dev/null` can be asked for that, where Linux is new enough (6.4 for pipes).
#[cfg(target_os = "linux")]
fn write_at_once(stream: impl std::os::fd::AsFd, bytes: &[u8]) -> io::Result<usize> {
    use rustix::io::{ReadWriteFlags, pwritev2};
    // Behind what was written last, as `write` does.
    const HERE: u64 = u64::MAX;
    Ok(pwritev2(stream, &[io::IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT)?)
}

#[cfg(not(target_os = "linux"))]
fn write_at_once<S>(_: S, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the system has said that it cannot write without waiting, here or at all (old
/// kernels, sandboxes that do not know the call).
fn is_unsupported(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, NotSeekable, PermissionDenied, Unsupported};
    matches!(error.kind(), Unsupported | InvalidInput | PermissionDenied | NotSeekable)
}

#[cfg(not(unix))]
fn write(mut stream: impl io::Write, bytes: &[u8]) -> io::Result<usize> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map(|()| bytes.len())
}

/// Whether a write would not have to wait for the reader.
#[cfg(unix)]
fn takes_more(stream: impl std::os::fd::AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&at_once)) == Ok(1)
}

#[cfg(not(unix))]
fn takes_more(_: impl io::Write) -> bool {
    false
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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn started(write: impl Fn(&[u8]) -> io::Result<usize> + Send + 'static) -> Sink {
        Sink::start("test", write, || true).unwrap()
    }

    /// Otherwise each event would wake up the connection once more.
    #[tokio::test]
    async fn nobody_is_told_what_nobody_waits_for() {
        let sink = started(|bytes| Ok(bytes.len()));
        for n in 1..=100 {
            sink.write(&mut b"x".to_vec());
            while sink.written() < n {
                std::thread::yield_now();
            }
        }
        assert!(sink.progress().now_or_never().is_none());
        sink.write(&mut b"x".to_vec());
        sink.flushed().await;
        assert_eq!(sink.written(), 101);
    }

    /// What the system would not take at once waits for the thread, in its order, and what comes
    /// meanwhile waits behind it.
    #[tokio::test]
    async fn what_can_be_written_at_once_is() {
        thread_local!(static WRITES: std::cell::RefCell<Vec<io::Result<usize>>> = const { std::cell::RefCell::new(Vec::new()) });
        let (told, writes) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let sink = started(move |bytes| {
            let _ = gate.recv();
            told.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        });
        sink.write_at_once_with(|_| WRITES.with_borrow_mut(|writes| writes.pop().unwrap_or(Ok(0))));
        let script = |script: Vec<io::Result<usize>>| WRITES.with_borrow_mut(|writes| *writes = script);
        // The last comes first.
        script(vec![Ok(2), Err(io::ErrorKind::Interrupted.into()), Ok(1)]);
        sink.write(&mut b"abc".to_vec());
        assert_eq!((sink.written(), writes.try_recv().ok()), (3, None), "nobody was woken up for it");
        script(vec![Ok(1), Err(io::ErrorKind::WouldBlock.into()), Ok(1)]);
        sink.write(&mut b"def".to_vec());
        assert_eq!(sink.written(), 4);
        sink.write(&mut b"ghi".to_vec());
        assert_eq!(sink.written(), 4, "nothing overtakes it");
        drop(go);
        sink.flushed().await;
        assert_eq!(writes.try_iter().collect::<String>(), "efghi");
        // Where it cannot be asked for that, it is not asked again.
        script(vec![Ok(1), Err(io::ErrorKind::Unsupported.into())]);
        for text in ["j", "k"] {
            sink.write(&mut text.into());
            sink.flushed().await;
        }
        assert_eq!((writes.try_iter().collect::<String>(), sink.written()), ("jk".into(), 11));
        sink.write_at_once_with(|_| Err(io::ErrorKind::BrokenPipe.into()));
        sink.write(&mut b"l".to_vec());
        sink.progress().await;
        assert_eq!(sink.failure().unwrap().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn room_is_told() {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let sink = started(move |bytes| {
            let _ = gate.recv();
            Ok(bytes.len())
        });
        sink.write(&mut b"first".to_vec());
        sink.write(&mut vec![b'x'; ROOM]);
        while sink.has_room() {
            sink.write(&mut vec![b'x'; ROOM]);
            std::thread::yield_now();
        }
        drop(go);
        while !sink.has_room() {
            sink.progress().await;
        }
    }

    #[tokio::test]
    async fn a_failure_is_told() {
        let sink = started(|_| Err(io::ErrorKind::BrokenPipe.into()));
        sink.write(&mut b"x".to_vec());
        sink.progress().await;
        assert_eq!(sink.failure().unwrap().kind(), io::ErrorKind::BrokenPipe);
        sink.flushed().await;
    }
}

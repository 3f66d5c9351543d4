//! How far one evaluation may go: for so long, with so much memory, so deep.
//!
//! Whoever waits for the result looks from outside. The thread that evaluates
//! looks, too, each time it comes to a term: that is where it can be stopped.

use std::cell::{Cell, OnceCell};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::{Duration, Instant};

/// An evaluation is given up beyond these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// What takes longer over one event does not end.
    pub(super) time: Duration,
    /// By how many bytes the program may grow meanwhile.
    pub(super) memory: u64,
    /// How many bytes of the stack calls may take.
    pub(super) stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let stack = if cfg!(target_pointer_width = "64") { 256 << 20 } else { 32 << 20 };
        Self { time: Duration::from_secs(10), memory: 512 << 20, stack }
    }
}

impl Limits {
    /// The stack that the thread needs. Besides the calls there must be room for
    /// giving back the most deeply nested value that the memory allows. It is
    /// address space, and no memory before it is touched.
    pub(super) fn whole_stack(&self) -> usize {
        4 * self.stack
    }
}

/// Why an evaluation was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beyond {
    Time,
    /// It has printed so much that it will not end.
    Output,
    /// More than so many megabytes.
    Memory(u64),
    Stack,
    /// jq itself has failed on it.
    Broken(String),
}

/// Terms between two looks at what takes a system call to see.
const STRIDE: u32 = 4096;

/// The present evaluation, as both sides see it.
#[derive(Debug)]
pub(super) struct Clock {
    limits: Limits,
    start: Instant,
    /// Milliseconds after the start, plus one; 0 while nothing runs.
    since: AtomicU64,
    which: AtomicUsize,
    /// How large the program was at the first look; 0 before it.
    size: AtomicU64,
    beyond: OnceLock<Beyond>,
    halted: AtomicBool,
}

impl Clock {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            start: Instant::now(),
            since: AtomicU64::new(0),
            which: AtomicUsize::new(0),
            size: AtomicU64::new(0),
            beyond: OnceLock::new(),
            halted: AtomicBool::new(false),
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn begin(&self, which: usize) {
        self.which.store(which, Ordering::Relaxed);
        self.size.store(0, Ordering::Relaxed);
        self.since.store(self.millis() + 1, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.since.store(0, Ordering::Release);
    }

    /// Which expression is evaluated, or was last.
    pub(super) fn which(&self) -> usize {
        self.which.load(Ordering::Relaxed)
    }

    /// What the present evaluation has gone beyond, if anything; then it is
    /// given up, and nothing is evaluated any more.
    pub(super) fn beyond(&self) -> Option<&Beyond> {
        if self.beyond.get().is_none() {
            let since = self.since.load(Ordering::Acquire);
            if since == 0 {
                return None;
            }
            if Duration::from_millis((self.millis() + 1).saturating_sub(since)) >= self.limits.time {
                self.give_up(Beyond::Time);
            } else if self.has_grown() {
                self.give_up(Beyond::Memory(self.limits.memory >> 20));
            }
        }
        self.beyond.get()
    }

    /// The first reason stands.
    pub(super) fn give_up(&self, why: Beyond) {
        let _ = self.beyond.set(why);
    }

    fn has_grown(&self) -> bool {
        let Some(now) = resident() else { return false };
        match self.size.load(Ordering::Relaxed) {
            0 => {
                self.size.store(now, Ordering::Relaxed);
                false
            }
            before => now.saturating_sub(before) > self.limits.memory,
        }
    }

    /// Ends what the calling thread does, for ever. The program is about to
    /// end; what the thread holds may be nested too deeply to be given back.
    pub(super) fn halt(&self) -> ! {
        self.halted.store(true, Ordering::Release);
        loop {
            std::thread::park();
        }
    }

    pub(super) fn has_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }
}

thread_local! {
    /// That of the thread that evaluates; other threads have none.
    static CLOCK: OnceCell<Arc<Clock>> = const { OnceCell::new() };
}

/// A fault of jq's on this thread ends no more than the expression, and says no
/// more than that: the program has something left to tell.
pub(super) fn catch_panics(clock: &Arc<Clock>) {
    static ONCE: Once = Once::new();
    let _ = CLOCK.with(|own| own.set(Arc::clone(clock)));
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let Some(clock) = CLOCK.try_with(|own| own.get().cloned()).ok().flatten() else { return others(panic) };
            let what = panic.payload_as_str().unwrap_or("it has failed");
            clock.give_up(Beyond::Broken(what.to_owned()));
            // Where a panic does not unwind, the whole program would end here.
            // Where it does, whoever stays here keeps others from setting a hook.
            if cfg!(panic = "abort") {
                clock.halt();
            }
        }));
    });
}

/// The memory that the program has, where the system tells.
fn resident() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = pages.split(' ').nth(1)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// The bounds from the side of the thread that evaluates.
pub(super) struct Guard<'a> {
    clock: &'a Clock,
    /// No call may go below this address.
    floor: usize,
    terms: Cell<u32>,
}

impl<'a> Guard<'a> {
    /// For this thread, from here on.
    pub(super) fn new(clock: &'a Clock) -> Self {
        Self { clock, floor: stack_pointer().saturating_sub(clock.limits.stack), terms: Cell::new(0) }
    }

    /// Returns where the evaluation may go on.
    #[inline]
    pub(super) fn check(&self) {
        let terms = self.terms.get().wrapping_add(1);
        self.terms.set(terms);
        if stack_pointer() < self.floor {
            self.clock.give_up(Beyond::Stack);
            self.clock.halt();
        }
        if terms.is_multiple_of(STRIDE) && self.clock.beyond().is_some() {
            self.clock.halt();
        }
    }
}

/// About where the stack is now. It grows downwards wherever Rust has threads.
#[inline]
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

//! What all threads of a fake share, and how they wait for each other.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::future::poll_fn;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::reply::{Client, Performance, Reply, Until, is_key_of, status};
use super::request::Request;
use super::script::{Matcher, On, Script, Step};

/// One lock, one condition: every change wakes everyone who waits. The fake is small.
pub(super) struct World {
    state: Mutex<State>,
    changed: Condvar,
    pub(super) address: SocketAddr,
    pub(super) started: Instant,
}

#[derive(Default)]
pub(super) struct State {
    /// The test has ended: whoever plays or waits, stops.
    pub(super) over: bool,
    pub(super) steps: Vec<(Step, Progress)>,
    rules: Vec<(Matcher, Reply)>,
    pub(super) requests: Vec<Request>,
    pub(super) gates: HashSet<String>,
    pub(super) streams: Vec<OpenStream>,
    pub(super) connections: HashMap<usize, Connection>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) failures: Vec<String>,
    /// Set while connects are refused, or are about to be.
    pub(super) refused: Option<Until>,
    pub(super) listening: bool,
    /// Tasks that wait for a change, beside the threads that do.
    wakers: Vec<Waker>,
}

/// How far a step of the script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    NotAsked,
    /// Being played; what it is at.
    Playing(String),
    /// All was played, or only silence is left.
    Played,
    Broken(String),
}

/// A stream that said `PB_CONNECT`.
pub(super) struct OpenStream {
    pub(super) id: String,
    pub(super) connection: usize,
    pub(super) open: bool,
    /// Takes what the test emits.
    pub(super) live: bool,
    pub(super) outbox: Vec<Order>,
    /// The keys of the last POST, whatever came of it.
    pub(super) posted: Vec<String>,
    /// The keys of the last POST that was accepted.
    pub(super) accepted: Vec<String>,
    /// The same, once the answer has been written.
    pub(super) answered: Vec<String>,
}

/// What a test tells a live stream to do.
#[derive(Clone)]
pub(super) enum Order {
    Send(Vec<u8>),
    End,
    Close,
    Reset,
}

pub(super) struct Connection {
    pub(super) socket: Arc<TcpStream>,
    /// Between two requests.
    pub(super) idle: bool,
    /// The client closed or reset it.
    pub(super) left: bool,
    /// The test cut it.
    pub(super) cut: bool,
}

/// Why a reply is not played to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Over,
    Cut,
    Left,
}

/// What to play, and as which step of the script.
pub(super) struct Assignment {
    pub(super) performance: Performance,
    pub(super) step: Option<usize>,
}

impl World {
    pub(super) fn new(script: Script, address: SocketAddr) -> Self {
        let state = State {
            steps: script.steps.into_iter().map(|step| (step, Progress::NotAsked)).collect(),
            rules: script.rules,
            refused: script.refused_until.map(Until::Gate),
            ..State::default()
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), address, started: Instant::now() }
    }

    /// Looks at the state; a thread that panicked with the lock has not left it half changed.
    pub(super) fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.look();
        let result = change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    /// Waits until `ready` finds what it looks for; `None` when the deadline has passed.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.look();
        loop {
            if let Some(found) = ready(&mut state) {
                return Some(found);
            }
            let left =
                deadline.map_or(Duration::from_hours(1), |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits as a task does.
    pub(super) async fn when<T>(&self, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let poll = |task: &mut std::task::Context<'_>| {
            let mut state = self.look();
            if let Some(found) = ready(&mut state) {
                return Poll::Ready(found);
            }
            state.wakers.push(task.waker().clone());
            Poll::Pending
        };
        poll_fn(poll).await
    }

    /// Waits as part of a reply: until `ready`, or until the reply has lost its point.
    pub(super) fn wait_playing<T>(
        &self,
        connection: usize,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        let waited = self.wait(deadline, |state| match ready(state) {
            Some(found) => Some(Ok(found)),
            None => state.stop(connection).map(Err),
        });
        waited.transpose()
    }

    pub(super) fn fail(&self, failure: String) {
        self.change(|state| state.failures.push(failure));
    }

    /// What a new connection gets before a byte of it is read, if the script is at such a step.
    pub(super) fn greet(&self) -> Option<Assignment> {
        let (reply, step) = self.change(|state| {
            let step = state.next_steps().find(|step| matches!(state.steps[*step].0.on, On::Connection))?;
            state.steps[step].1 = Progress::Playing("its beginning".into());
            Some((state.steps[step].0.reply.clone(), step))
        })?;
        Some(Assignment { performance: reply.performance(None, &|_| false), step: Some(step) })
    }

    /// Records a request and finds its answer.
    pub(super) fn receive(&self, mut request: Request) -> (Request, Assignment) {
        let (reply, step, request) = self.change(|state| {
            request.number = state.requests.len();
            if let Some(connection) = state.connections.get_mut(&request.connection) {
                connection.idle = false;
            }
            state.requests.push(request.clone());
            if let Some((id, keys)) = request.subscriptions()
                && let Some(stream) = state.stream(&id)
            {
                stream.posted = keys;
            }
            let (reply, step) = state.reply_to(&request);
            (reply, step, request)
        });
        // Outside of the lock: it may run code of the test.
        let is_client = |id: &str| self.look().stream(id).is_some();
        let performance = reply.performance(Some(&request), &is_client);
        let accepted = performance.status.is_some_and(|status| (200..300).contains(&status));
        self.change(|state| {
            if let Some((id, keys)) = request.subscriptions().filter(|_| accepted)
                && let Some(stream) = state.stream(&id)
            {
                stream.accepted = keys;
            }
        });
        (request, Assignment { performance, step })
    }

    /// The answer to a request has been written.
    pub(super) fn answered(&self, request: &Request) {
        self.change(|state| {
            if let Some((id, _)) = request.subscriptions()
                && let Some(stream) = state.stream(&id)
            {
                stream.answered.clone_from(&stream.accepted);
            }
        });
    }

    /// Everything that was asked, a line each.
    pub(super) fn log(&self, state: &State) -> String {
        let mut log = String::new();
        for Request { number, connection, method, at, .. } in &state.requests {
            let at = at.saturating_duration_since(self.started).as_secs_f64();
            let target = state.requests[*number].target();
            let _ = write!(log, "\n    {at:8.3}s  connection {connection}  {method} {target}");
        }
        if log.is_empty() { "\n    none".into() } else { log }
    }
}

impl State {
    /// Why a reply on this connection should stop, if it should.
    pub(super) fn stop(&self, connection: usize) -> Option<Stop> {
        if self.over {
            return Some(Stop::Over);
        }
        match self.connections.get(&connection) {
            Some(connection) if connection.cut => Some(Stop::Cut),
            Some(connection) if connection.left => Some(Stop::Left),
            Some(_) => None,
            None => Some(Stop::Cut),
        }
    }

    /// The open stream with this client id.
    pub(super) fn stream(&mut self, id: &str) -> Option<&mut OpenStream> {
        self.streams.iter_mut().rev().find(|stream| stream.open && stream.id == id)
    }

    /// The steps of the group that is next.
    fn next_steps(&self) -> impl Iterator<Item = usize> {
        let open = |(_, progress): &&(Step, Progress)| *progress == Progress::NotAsked;
        let group = self.steps.iter().find(open).map(|(step, _)| step.group);
        let steps = self.steps.iter().enumerate();
        steps.filter(move |(_, step)| open(step) && Some(step.0.group) == group).map(|(index, _)| index)
    }

    fn reply_to(&mut self, request: &Request) -> (Reply, Option<usize>) {
        let matching = |step: &usize| match &self.steps[*step].0.on {
            On::Request(matcher) => matcher.matches(request),
            On::Connection => false,
        };
        let next = self.next_steps().find(matching);
        if let Some(index) = next {
            let (step, progress) = &mut self.steps[index];
            *progress = Progress::Playing("its beginning".into());
            return (step.reply.clone(), Some(index));
        }
        if let Some((_, reply)) = self.rules.iter().rev().find(|(on, _)| on.matches(request)) {
            return (reply.clone(), None);
        }
        let next: Vec<_> = self.next_steps().map(|step| self.steps[step].0.on.to_string()).collect();
        let next = if next.is_empty() { "nothing more".into() } else { next.join(" or ") };
        let (method, target) = (&request.method, request.target());
        self.failures.push(format!("{method} {target} was not expected, but {next}"));
        (status(599).body("The fake server's script does not expect this request.").into(), None)
    }

    /// The open streams that are subscribed to a topic, each with its keys of it.
    pub(super) fn subscribers(&mut self, topic: &str) -> Vec<(&mut OpenStream, Vec<String>)> {
        let subscribed = |stream: &OpenStream| -> Vec<String> {
            stream.answered.iter().filter(|key| is_key_of(key, topic)).cloned().collect()
        };
        let open = self.streams.iter_mut().filter(|stream| stream.open);
        let with_keys = open.map(|stream| {
            let keys = subscribed(stream);
            (stream, keys)
        });
        with_keys.filter(|(_, keys)| !keys.is_empty()).collect()
    }

    /// The first requests that match, if there are so many.
    pub(super) fn requests_to(&self, on: &Matcher, count: usize) -> Option<Vec<Request>> {
        let matching = self.requests.iter().filter(|request| on.matches(request));
        let found: Vec<_> = matching.take(count).cloned().collect();
        (found.len() == count).then_some(found)
    }

    /// Whether there were such requests and none of their connections is open any more.
    pub(super) fn is_closed(&self, on: &Matcher) -> Option<()> {
        let is_open = |request: &Request| {
            let connection = self.connections.get(&request.connection);
            connection.is_some_and(|connection| !connection.left)
        };
        let mut matching = self.requests.iter().filter(|request| on.matches(request)).peekable();
        (matching.peek().is_some() && !matching.any(is_open)).then_some(())
    }

    /// The first client that is subscribed to a topic.
    pub(super) fn subscriber(&mut self, topic: &str) -> Option<Client> {
        self.subscribers(topic).first().map(|(stream, _)| stream.client())
    }

    /// Closes the connections that are to be closed.
    pub(super) fn close(&mut self, which: impl Fn(&Connection) -> bool) {
        for connection in self.connections.values().filter(|connection| which(connection)) {
            // It may be closed already.
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
    }

    /// What went wrong, a line each.
    pub(super) fn verdict(&self) -> Vec<String> {
        let mut failures = self.failures.clone();
        for (number, (step, progress)) in self.steps.iter().enumerate() {
            let (number, on) = (number + 1, &step.on);
            match progress {
                Progress::Played => {}
                Progress::NotAsked => failures.push(format!("step {number}, {on}: never came")),
                Progress::Playing(act) => {
                    failures.push(format!("step {number}, {on}: when the test ended, the reply was still at {act}"));
                }
                Progress::Broken(why) => failures.push(format!("step {number}, {on}: {why}")),
            }
        }
        failures
    }
}

impl OpenStream {
    pub(super) fn new(id: String, connection: usize) -> Self {
        Self {
            id,
            connection,
            open: true,
            live: false,
            outbox: Vec::new(),
            posted: Vec::new(),
            accepted: Vec::new(),
            answered: Vec::new(),
        }
    }

    pub(super) fn client(&self) -> Client {
        Client { id: self.id.clone(), keys: self.accepted.clone() }
    }
}

//! A server that plays a script: every fault that a server, a proxy or a network can show, over
//! plain TCP, in the order that a test wrote down.
//!
//! ```ignore
//! let fake = Script::new()
//!     .then("GET /api/realtime", stream().connect()
//!         .event(key_of("posts/*"), record("create", json!({ "id": "r1" })))
//!         .half_event(key_of("posts/*"), record("create", json!({ "id": "r2" })))
//!         .close())
//!     .then("POST /api/realtime", subscribed())
//!     .then("GET /api/realtime", error(503, "Try later.").header("Retry-After", "1"))
//!     .then("GET /api/realtime", stream().connect().wait("done").end())
//!     .always("POST /api/realtime", subscribed())
//!     .start();
//! // … let the client run against fake.url() …
//! fake.open("done");
//! fake.finish();
//! ```
//!
//! A script holds *steps*, asked for in their order (`then`, `also`, `times`, `on_connect`), and
//! *rules* that answer whenever they are asked (`always`); [`healthy_feed`] is a set of rules to
//! start from. A reply is [`Plain`] (`ok`, `error`, `html`, `redirect`, `page`, …), a [`Stream`]
//! (`stream`, `raw`), or no reply (`stall`, `close`, `reset`).
//!
//! [`Fake::finish`], or else dropping the fake, fails the test if a step was not asked for or not
//! played to its end, or if anything was asked that the script does not know. Afterwards no thread
//! and no socket is left. Threads wait for each other on a condition, never by sleeping; time
//! passes only where a script asks for it.
//!
//! Methods of [`Fake`] that wait (`wait_…`, `emit`, `refuse`, `finish`, the drop) block their
//! thread. A test on a single-threaded runtime waits with `asked`, `closed` and `subscribed_to`
//! instead, and for its client before it finishes the fake.
//!
//! Needs `serde_json` and `socket2` (for resets, and to hold the port while connects are refused).
#![allow(dead_code, reason = "a test binary uses the part of the fake that it needs")]
#![allow(unused_imports, reason = "as above")]

mod connection;
mod frame;
mod port;
mod reply;
mod request;
mod script;
#[cfg(test)]
mod tests;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use frame::{Data, connect_frame, error_body, frame, http_date, record};
pub(crate) use reply::{
    Client, Plain, Reply, Stream, Target, answer, close, early_key_of, error, error_with, html, key_of, no_content, ok,
    page, raw, redirect, reset, stall, status, stream, subscribed,
};
pub(crate) use request::Request;
pub(crate) use script::{Matcher, Script, healthy, healthy_feed, on};

use reply::Until;
use world::{Order, Progress, State, World};

/// How long the end of a test waits for what is still on its way before it calls it missing.
const GRACE: Duration = Duration::from_secs(1);

/// How long [`Fake::emit`] waits for somebody to send to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between the last byte of an answer and the note that it was written.
const SETTLED: Duration = Duration::from_millis(100);

/// A running fake server; see the [module](self).
pub(crate) struct Fake {
    world: Arc<World>,
    /// The thread that accepts; `None` when all is over.
    acceptor: Option<JoinHandle<()>>,
    /// The gates of the script, if all are known.
    gates: Option<Vec<String>>,
}

impl Fake {
    /// Starts on a free port of 127.0.0.1. When this returns, connects are accepted (or refused, if
    /// the script begins so).
    pub(crate) fn start(script: Script) -> Self {
        let gates = script.gates();
        let refused = script.refused_until.is_some();
        let socket = port::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = socket.local_addr().ok().and_then(|address| address.as_socket());
        let world = Arc::new(World::new(script, address.expect("an address of our own")));
        let acceptor = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                if let Err(error) = port::keep(&world, &socket) {
                    world.fail(format!("the port was lost: {error}"));
                    world.change(|state| state.over = true);
                }
            }
        });
        world.wait(None, |state| (state.listening || state.over || refused).then_some(()));
        Self { world, acceptor: Some(acceptor), gates }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.world.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.world.address
    }

    /// Opens a gate for good: whoever waits for it, or will, goes on.
    #[track_caller]
    pub(crate) fn open(&self, gate: &str) {
        if let Some(gates) = &self.gates {
            assert!(gates.iter().any(|known| known == gate), "no gate {gate:?} in {gates:?}");
        }
        self.world.change(|state| state.gates.insert(gate.to_owned()));
    }

    // -----------------------------------------------------------------------------------------
    // What was asked

    /// All requests so far, in the order of their arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.world.look().requests.clone()
    }

    /// Those of them that match.
    pub(crate) fn requests_to(&self, on: impl Into<Matcher>) -> Vec<Request> {
        let on = on.into();
        self.requests().into_iter().filter(|request| on.matches(request)).collect()
    }

    /// The first request that matches; waits for it if need be, panics if it does not come.
    #[track_caller]
    pub(crate) fn wait_for_request(&self, on: impl Into<Matcher>, timeout: Duration) -> Request {
        self.wait_for_requests(1, on, timeout).swap_remove(0)
    }

    /// The first `count` requests that match.
    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize, on: impl Into<Matcher>, timeout: Duration) -> Vec<Request> {
        let on = on.into();
        let deadline = Some(Instant::now() + timeout);
        let found = self.world.wait(deadline, |state| state.requests_to(&on, count));
        found.unwrap_or_else(|| self.waited_in_vain(&format!("{count} × {on}"), timeout))
    }

    /// Waits until such a request has been made and no connection that carried one is open any
    /// more: the client has let go of its stream.
    #[track_caller]
    pub(crate) fn wait_until_closed(&self, on: impl Into<Matcher>, timeout: Duration) {
        let on = on.into();
        let closed = self.world.wait(Some(Instant::now() + timeout), |state| state.is_closed(&on));
        closed.unwrap_or_else(|| self.waited_in_vain(&format!("the end of {on}"), timeout));
    }

    /// The client ids that were given out, in their order.
    pub(crate) fn client_ids(&self) -> Vec<String> {
        self.world.look().streams.iter().map(|stream| stream.id.clone()).collect()
    }

    /// The keys that a client is subscribed to: those of its last POST that was answered with
    /// success, also after its stream has ended.
    pub(crate) fn subscriptions(&self, client_id: &str) -> Vec<String> {
        let state = self.world.look();
        let stream = state.streams.iter().rev().find(|stream| stream.id == client_id);
        stream.map_or_else(Vec::new, |stream| stream.accepted.clone())
    }

    /// Waits until an open stream is subscribed to the topic (with any options), and the POST has
    /// been answered.
    #[track_caller]
    pub(crate) fn wait_for_subscription(&self, topic: &str, timeout: Duration) -> Client {
        let deadline = Some(Instant::now() + timeout);
        let client = self.world.wait(deadline, |state| state.subscriber(topic));
        let what = || format!("a subscription to {topic}");
        client.unwrap_or_else(|| self.waited_in_vain(&what(), timeout))
    }

    // -----------------------------------------------------------------------------------------
    // The same for tests that are async: no timeout of their own, no blocked runtime

    /// See [`Fake::wait_for_request`].
    pub(crate) async fn asked(&self, on: impl Into<Matcher>) -> Request {
        self.asked_times(1, on).await.swap_remove(0)
    }

    /// See [`Fake::wait_for_requests`].
    pub(crate) async fn asked_times(&self, count: usize, on: impl Into<Matcher>) -> Vec<Request> {
        let on = on.into();
        self.world.when(|state| state.requests_to(&on, count)).await
    }

    /// See [`Fake::wait_until_closed`].
    pub(crate) async fn closed(&self, on: impl Into<Matcher>) {
        let on = on.into();
        self.world.when(|state| state.is_closed(&on)).await;
    }

    /// See [`Fake::wait_for_subscription`].
    pub(crate) async fn subscribed_to(&self, topic: &str) -> Client {
        self.world.when(|state| state.subscriber(topic)).await
    }

    // -----------------------------------------------------------------------------------------
    // What the test does to live streams and to the port

    /// Sends an event to each key of this topic on each live stream, as the real server does, and
    /// returns how many frames that were. Waits for a subscriber; panics if none comes.
    #[track_caller]
    pub(crate) fn emit(&self, topic: &str, data: impl Into<Data>) -> usize {
        let data = data.into();
        // Who has read an answer may be here before the server knows that it is written.
        let is_answered = |state: &mut State| {
            let mut streams = state.streams.iter().filter(|stream| stream.live && stream.open);
            streams.all(|stream| stream.accepted == stream.answered).then_some(())
        };
        let _ = self.world.wait(Some(Instant::now() + SETTLED), is_answered);
        let sent = self.world.wait(Some(Instant::now() + PATIENCE), |state| {
            let mut sent = 0;
            let subscribers = state.subscribers(topic).into_iter();
            for (stream, keys) in subscribers.filter(|(stream, _)| stream.live) {
                let frames = keys.iter().map(|key| frame(&stream.id, key, &data.0[..]));
                stream.outbox.extend(frames.map(Order::Send));
                sent += keys.len();
            }
            (sent > 0).then_some(sent)
        });
        self.world.change(|_| ()); // the streams shall look into their outboxes
        let what = || format!("a live subscriber of {topic}");
        sent.unwrap_or_else(|| self.waited_in_vain(&what(), PATIENCE))
    }

    /// Sends these bytes on each live stream, whoever is subscribed to what.
    pub(crate) fn emit_bytes(&self, bytes: impl Into<Data>) {
        self.order(&Order::Send(bytes.into().0));
    }

    /// Ends all live streams as the server's timeouts do: the body is complete.
    pub(crate) fn end_streams(&self) {
        self.order(&Order::End);
    }

    /// Closes the connections of all live streams without the final chunk.
    pub(crate) fn close_streams(&self) {
        self.order(&Order::Close);
    }

    /// Resets the connections of all live streams.
    pub(crate) fn reset_streams(&self) {
        self.order(&Order::Reset);
    }

    fn order(&self, order: &Order) {
        self.world.change(|state| {
            for stream in state.streams.iter_mut().filter(|stream| stream.live && stream.open) {
                stream.outbox.push(order.clone());
            }
        });
    }

    /// From here on connects are refused, and idle connections are closed. Streams go on.
    pub(crate) fn refuse(&self) {
        port::refuse(&self.world, Until::Told);
    }

    /// Connects are accepted again, on the same port.
    pub(crate) fn listen_again(&self) {
        port::listen_again(&self.world);
    }

    /// Closes every connection as it is. What they had still to play counts as played.
    pub(crate) fn cut_connections(&self) {
        self.world.change(|state| {
            for connection in state.connections.values_mut() {
                connection.cut = true;
            }
            state.close(|_| true);
        });
    }

    // -----------------------------------------------------------------------------------------
    // The end

    /// Ends the fake, and fails unless the script was played out and nothing else was asked.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        if let Some(report) = self.curtain(true) {
            panic!("{report}");
        }
    }

    /// Ends all threads; what went wrong, if that is asked for and anything did.
    fn curtain(&mut self, judge: bool) -> Option<String> {
        let acceptor = self.acceptor.take()?;
        if judge {
            self.world.wait(Some(Instant::now() + GRACE), |state| {
                let settled =
                    state.steps.iter().all(|(_, progress)| matches!(progress, Progress::Played | Progress::Broken(_)));
                settled.then_some(())
            });
        }
        let (failures, requests) = self.world.change(|state| {
            state.over = true;
            state.close(|_| true);
            (state.verdict(), self.world.log(state))
        });
        port::wake(&self.world);
        let mut panicked = acceptor.join().is_err();
        loop {
            let Some(thread) = self.world.look().threads.pop() else {
                break;
            };
            panicked |= thread.join().is_err();
        }
        if !judge || (failures.is_empty() && !panicked) {
            return None;
        }
        let mut report = format!("the fake server {} was not played as written:", self.url());
        for failure in failures.iter().take(20) {
            report = format!("{report}\n  - {failure}");
        }
        if failures.len() > 20 {
            report = format!("{report}\n  - and {} more", failures.len() - 20);
        }
        if panicked {
            report.push_str("\n  - one of its own threads panicked");
        }
        Some(format!("{report}\n  requests:{requests}"))
    }

    #[track_caller]
    fn waited_in_vain(&self, what: &str, timeout: Duration) -> ! {
        let state = self.world.look();
        let (failures, requests) = (state.failures.join("\n    "), self.world.log(&state));
        drop(state);
        panic!("waited {timeout:?} in vain for {what}\n  requests:{requests}\n  failures: {failures}")
    }
}

impl Drop for Fake {
    /// Like [`Fake::finish`], but silent while the test is failing already.
    fn drop(&mut self) {
        let judge = !thread::panicking();
        if let Some(report) = self.curtain(judge) {
            panic!("{report}");
        }
    }
}

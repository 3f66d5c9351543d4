//! Carries our HTTP client into `eventsource-client`, and hands it bytes that it can take.
//!
//! `eventsource-client` bounds neither a line nor an event, keeps a copy of the
//! last id for each event, and stops at the first byte that is not UTF-8: all
//! of that is seen to here, where the bytes pass.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use launchdarkly_sdk_transport::{HttpTransport, ResponseFuture, TransportError};
use sync_wrapper::{SyncFuture, SyncStream};

use super::stand_in::{Lines, Values};
use crate::api::{not_encoded, redirect_target, redirected};
use crate::text::Text;
use crate::{Client, Error, ErrorKind};

/// The largest event. A record may hold many fields of the server's 5 MB limit
/// for an editor's text, and its expanded relations besides.
pub(crate) const MAX_EVENT: usize = 64 * 1024 * 1024;

/// The longest id of an event. The server's have 40 characters, and one that is
/// not replaced belongs to each event that follows: a long one would be copied as often.
pub(crate) const MAX_ID: usize = 1024;

/// The byte order mark that a stream may begin with.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// So much within a minute must hold an event: what is nothing but comments and
/// blank lines costs time, and says nothing.
pub(crate) const MAX_SILENCE: usize = 2 * MAX_EVENT;
const MINUTE: std::time::Duration = std::time::Duration::from_mins(1);

/// So much is read at once: a connection may bring half a megabyte, and what follows it goes
/// through the processor's caches.
const PIECE: usize = 8 * 1024;

/// What the transport and the reader of the events tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    /// Bytes that are not UTF-8 were replaced.
    pub(crate) mended: AtomicBool,
    /// How many events were read.
    pub(crate) events: AtomicU64,
    /// The data of the events, which only a stand-in went on for.
    values: Mutex<Values>,
}

impl Signs {
    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data of an event that was read.
    pub(crate) fn data(&self, stand_ins: &str) -> Result<Text, Error> {
        let Some((data, mended)) = self.values().take(stand_ins) else {
            return Err(Error::new(ErrorKind::Network, "the stream cannot be read: its events are in disorder"));
        };
        if mended {
            self.mended.store(true, Ordering::Relaxed);
        }
        self.events.fetch_add(1, Ordering::Relaxed);
        Ok(data)
    }
}

/// The transport of one connection.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client,
    signs: Arc<Signs>,
}

impl Transport {
    pub(crate) fn new(client: Client, signs: Arc<Signs>) -> Self {
        Self { client, signs }
    }
}

impl HttpTransport for Transport {
    fn request(&self, request: http::Request<Option<Bytes>>) -> ResponseFuture {
        let Self { client, signs } = self.clone();
        Box::pin(SyncFuture::new(async move {
            let (parts, _) = request.into_parts();
            let mut out = client.http().request(parts.method, parts.uri.to_string()).headers(parts.headers);
            if let Some(token) = client.authorization().map_err(TransportError::new)? {
                out = out.header(http::header::AUTHORIZATION, token);
            }
            let started = std::time::Instant::now();
            let failed = |error| {
                let error = Error::from_transport(&error, client.peer());
                tracing::debug!(target: "bosbase_watch::http", "GET /api/realtime {:.1}ms: {error}",
                    started.elapsed().as_secs_f64() * 1e3);
                TransportError::new(error)
            };
            let response = out.send().await.map_err(failed)?;
            tracing::debug!(target: "bosbase_watch::http", "GET /api/realtime {} {:.1}ms",
                response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
            client.hear_clock(response.headers());
            if let Some(location) = redirect_target(response.status(), response.headers()) {
                return Err(TransportError::new(redirected(client.url(), &location)));
            }
            not_encoded(client.url(), response.headers()).map_err(TransportError::new)?;
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            let reading = if response.status().is_success() { Reading::new(signs) } else { Reading::of_error(signs) };
            let body = Mend { inner: response.bytes_stream(), client, reading, left: Bytes::new() };
            answer.body(Box::pin(SyncStream::new(body)) as _).map_err(TransportError::new)
        }))
    }
}

/// A body as `eventsource-client` is to read it: whole UTF-8 characters, in bounded events.
struct Mend<S> {
    inner: S,
    client: Client,
    reading: Reading,
    /// What is left of the last chunk.
    left: Bytes,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for Mend<S> {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.left.is_empty() {
                this.left = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => {
                        return Poll::Ready(Some(Err(TransportError::new(Error::from_transport(
                            &error,
                            this.client.peer(),
                        )))));
                    }
                    Some(Ok(chunk)) => chunk,
                };
            }
            let size = this.left.len().min(PIECE);
            match this.reading.take(&this.left.split_to(size)) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => return Poll::Ready(Some(Err(TransportError::new(error)))),
            }
        }
    }
}

/// How far a body was read.
pub(crate) struct Reading {
    /// The first bytes of all, while they may be a byte order mark.
    head: Option<Vec<u8>>,
    /// Of a stream of events; `None`: the body of an error.
    lines: Option<Lines>,
    /// The beginning of a character that the next bytes complete.
    carry: Vec<u8>,
    guard: Guard,
    silence: Silence,
    signs: Arc<Signs>,
}

impl Reading {
    pub(crate) fn new(signs: Arc<Signs>) -> Self {
        Self { head: Some(Vec::new()), lines: Some(Lines::default()), ..Self::of_error(signs) }
    }

    /// Of an answer that is no stream of events.
    fn of_error(signs: Arc<Signs>) -> Self {
        let (carry, guard, silence) = (Vec::new(), Guard::default(), Silence::default());
        Self { head: None, lines: None, carry, guard, silence, signs }
    }

    /// What goes on of a chunk, or why nothing more does.
    pub(crate) fn take(&mut self, chunk: &[u8]) -> Result<Bytes, Error> {
        let events = self.signs.events.load(Ordering::Relaxed);
        self.guard.take(chunk)?;
        self.silence.take(chunk.len(), events)?;
        if let (Some(lines), 1..) = (&mut self.lines, events) {
            lines.without_ids();
        }
        let mut out = Vec::with_capacity(128);
        match (&mut self.lines, &mut self.head) {
            (None, _) => out.extend_from_slice(chunk),
            (Some(lines), None) => lines.take(chunk, &mut out, &mut self.signs.values())?,
            (Some(lines), Some(head)) => {
                head.extend_from_slice(chunk);
                if head.len() < MARK.len() && MARK.starts_with(head) {
                    return Ok(Bytes::new());
                }
                // An event of nothing but unknown fields is an error to `eventsource-client`, unless an
                // id stands before it. An empty one is none, and the mark may only be the very first.
                out.extend_from_slice(b"id\n");
                let head = self.head.take().unwrap_or_default();
                let text = head.strip_prefix(MARK).unwrap_or(&head);
                lines.take(text, &mut out, &mut self.signs.values())?;
            }
        }
        let (out, mended) = mend(&mut self.carry, out);
        if mended {
            self.signs.mended.store(true, Ordering::Relaxed);
        }
        Ok(out.into())
    }
}

/// Counts what comes without an event.
#[derive(Default)]
struct Silence {
    bytes: usize,
    /// Since when, and how many events there were then.
    since: Option<tokio::time::Instant>,
    events: u64,
}

impl Silence {
    fn take(&mut self, bytes: usize, events: u64) -> Result<(), Error> {
        if events != self.events {
            *self = Self { bytes: 0, since: None, events };
        } else if self.since.is_none_or(|since| since.elapsed() > MINUTE) {
            *self = Self { bytes: 0, since: Some(tokio::time::Instant::now()), events };
        }
        self.bytes += bytes;
        if self.bytes > MAX_SILENCE {
            let what = format!("the server sent {} MB within a minute, and no event", MAX_SILENCE >> 20);
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        Ok(())
    }
}

/// Counts the bytes of the event that is being received.
#[derive(Default)]
struct Guard {
    event: usize,
    /// The two bytes before the chunk: a blank line may be cut in two.
    tail: [u8; 2],
}

impl Guard {
    fn take(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.event = match self.last_blank_line(chunk) {
            Some(at) => chunk.len() - at - 1,
            None => self.event + chunk.len(),
        };
        for byte in &chunk[chunk.len().saturating_sub(2)..] {
            self.tail = [self.tail[1], *byte];
        }
        if self.event > MAX_EVENT {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the server sent an event of more than {} MB", MAX_EVENT >> 20),
            ));
        }
        Ok(())
    }

    /// Where the last blank line of the chunk ends: LF LF, CR CR, CR LF CR LF or a mix.
    fn last_blank_line(&self, chunk: &[u8]) -> Option<usize> {
        let before = |at: usize, back: usize| match at.checked_sub(back) {
            Some(at) => chunk[at],
            None => self.tail[2 + at - back],
        };
        let ends_line = |byte| byte == b'\n' || byte == b'\r';
        (0..chunk.len()).rev().find(|&at| match chunk[at] {
            b'\r' => ends_line(before(at, 1)),
            b'\n' => before(at, 1) == b'\n' || before(at, 1) == b'\r' && ends_line(before(at, 2)),
            _ => false,
        })
    }
}

/// Replaces what is not UTF-8 by U+FFFD, and says whether it had to. A
/// character that is cut in two by the chunks is kept for the next.
fn mend(carry: &mut Vec<u8>, bytes: Vec<u8>) -> (Vec<u8>, bool) {
    if carry.is_empty() && std::str::from_utf8(&bytes).is_ok() {
        return (bytes, false);
    }
    let mut input = std::mem::take(carry);
    input.extend_from_slice(&bytes);
    let mut out = Vec::with_capacity(input.len());
    let mut mended = false;
    let mut rest = input.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(_) => {
                out.extend_from_slice(rest);
                break;
            }
            Err(error) => {
                let (valid, bad) = rest.split_at(error.valid_up_to());
                out.extend_from_slice(valid);
                let Some(length) = error.error_len() else {
                    carry.extend_from_slice(bad);
                    break;
                };
                mended = true;
                out.extend_from_slice("\u{fffd}".as_bytes());
                rest = &bad[length..];
            }
        }
    }
    (out, mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_survive_any_chunking() {
        let text = "data:é日本🦀\n\n";
        for size in 1..=text.len() {
            let mut carry = Vec::new();
            let out: Vec<u8> =
                text.as_bytes().chunks(size).flat_map(|chunk| mend(&mut carry, chunk.to_vec()).0).collect();
            assert_eq!(String::from_utf8(out).unwrap(), text, "{size}");
            assert!(carry.is_empty());
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let (out, mended) = mend(&mut Vec::new(), b"data:\xff\xc3(\n".to_vec());
        assert_eq!((out.as_slice(), mended), ("data:\u{fffd}\u{fffd}(\n".as_bytes(), true));
    }

    fn reading() -> Reading {
        Reading::new(Arc::default())
    }

    #[tokio::test]
    async fn the_mark_at_the_beginning_is_taken_off_whatever_the_chunks() {
        for size in 1..6 {
            let mut reading = reading();
            let chunks = "\u{feff}event:\u{feff}\n".as_bytes().chunks(size);
            let out: Vec<_> = chunks.flat_map(|chunk| reading.take(chunk).unwrap()).collect();
            assert_eq!(String::from_utf8(out).unwrap(), "id\nevent:\u{feff}\n", "{size}");
        }
    }

    #[tokio::test]
    async fn a_long_id_ends_it_and_no_other_long_line() {
        let long = "x".repeat(MAX_ID);
        for (stream, is_taken) in [
            (format!("id:{}\n", &long[3..]), true),
            (format!("id:{}", &long[2..]), false),
            (format!("data:{long}{long}\nid:1\ndata:{long}\n\n"), true),
            (format!("data:{long}{long}\r\nid:{long}\n"), false),
            (format!("data:{long}{long}\nevent:a\rid: {long}\n"), false),
            (format!("\u{feff}id:{long}\n"), false),
            (format!(":id:{long}\nxid:{long}\nid{long}\n"), true),
        ] {
            for size in [1, 2, 3, 7, 1000, 1024, 1025, 1026, 5000] {
                let mut reading = reading();
                let mut chunks = stream.as_bytes().chunks(size);
                let taken = chunks.all(|chunk| reading.take(chunk).is_ok());
                assert_eq!(taken, is_taken, "{size}: {}", &stream[..20]);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_without_an_event_ends_it() {
        let (comment, signs) = (format!(":{}\n\n", "x".repeat(1021)).repeat(1 << 10), Arc::<Signs>::default());
        let mut reading = Reading::new(Arc::clone(&signs));
        for _ in 0..200 {
            reading.take(comment.as_bytes()).unwrap();
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
        for _ in 0..200 {
            reading.take(comment.as_bytes()).unwrap();
            signs.events.fetch_add(1, Ordering::Relaxed);
        }
        let error = (0..1000).find_map(|_| reading.take(comment.as_bytes()).err()).unwrap();
        assert_eq!(error.to_string(), "the server sent 128 MB within a minute, and no event");
    }

    #[test]
    fn an_event_is_counted_from_the_last_blank_line() {
        for (chunks, left) in [
            (&["data:abc"][..], 8),
            (&["data:abc\n\n"], 0),
            (&["data:abc\n\nda"], 2),
            (&["data:abc\n", "\nda"], 2),
            (&["data:abc\r\n\r\nda"], 2),
            (&["data:abc\r\rda"], 2),
            (&["data:a\ndata:b"], 13),
            (&["data:a\r\ndata:b"], 14),
        ] {
            let mut guard = Guard::default();
            for chunk in chunks {
                guard.take(chunk.as_bytes()).unwrap();
            }
            assert_eq!(guard.event, left, "{chunks:?}");
        }
        let mut guard = Guard::default();
        let piece = vec![b'x'; 1 << 20];
        let error = (0..=64).find_map(|_| guard.take(&piece).err()).unwrap();
        assert_eq!(error.to_string(), "the server sent an event of more than 64 MB");
    }
}

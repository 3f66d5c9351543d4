//! Carries our HTTP client into `eventsource-client`, and hands it bytes that it can take.
//!
//! `eventsource-client` bounds neither a line nor an event, and stops at the
//! first byte that is not UTF-8: both are seen to here, where the bytes pass.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use launchdarkly_sdk_transport::{HttpTransport, ResponseFuture, TransportError};
use sync_wrapper::{SyncFuture, SyncStream};

use crate::api::{redirect_target, redirected};
use crate::{Client, Error, ErrorKind};

/// The largest event. A record may hold many fields of the server's 5 MB limit
/// for an editor's text, and its expanded relations besides.
pub(crate) const MAX_EVENT: usize = 64 * 1024 * 1024;

/// The transport of one connection.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client,
    mended: Arc<AtomicBool>,
}

impl Transport {
    pub(crate) fn new(client: Client, mended: Arc<AtomicBool>) -> Self {
        Self { client, mended }
    }
}

impl HttpTransport for Transport {
    fn request(&self, request: http::Request<Option<Bytes>>) -> ResponseFuture {
        let Self { client, mended } = self.clone();
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
            let mut answer = http::Response::builder().status(response.status());
            if let Some(headers) = answer.headers_mut() {
                headers.clone_from(response.headers());
            }
            let body =
                Mend { inner: response.bytes_stream(), client, carry: Vec::new(), guard: Guard::default(), mended };
            answer.body(Box::pin(SyncStream::new(body)) as _).map_err(TransportError::new)
        }))
    }
}

/// A body whose bytes are whole UTF-8 characters, in bounded events.
struct Mend<S> {
    inner: S,
    client: Client,
    /// The beginning of a character that the next chunk completes.
    carry: Vec<u8>,
    guard: Guard,
    mended: Arc<AtomicBool>,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for Mend<S> {
    type Item = Result<Bytes, TransportError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let chunk = match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(TransportError::new(Error::from_transport(
                        &error,
                        this.client.peer(),
                    )))));
                }
                Some(Ok(chunk)) => chunk,
            };
            if let Err(error) = this.guard.take(&chunk) {
                return Poll::Ready(Some(Err(TransportError::new(error))));
            }
            let (chunk, mended) = mend(&mut this.carry, chunk);
            if mended {
                this.mended.store(true, Ordering::Relaxed);
            }
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
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
fn mend(carry: &mut Vec<u8>, chunk: Bytes) -> (Bytes, bool) {
    if carry.is_empty() && std::str::from_utf8(&chunk).is_ok() {
        return (chunk, false);
    }
    let mut input = std::mem::take(carry);
    input.extend_from_slice(&chunk);
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
    (out.into(), mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_survive_any_chunking() {
        let text = "data:é日本🦀\n\n";
        for size in 1..=text.len() {
            let mut carry = Vec::new();
            let out: Vec<u8> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| mend(&mut carry, Bytes::copy_from_slice(chunk)).0.to_vec())
                .collect();
            assert_eq!(String::from_utf8(out).unwrap(), text, "{size}");
            assert!(carry.is_empty());
        }
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        let (out, mended) = mend(&mut Vec::new(), Bytes::from_static(b"data:\xff\xc3(\n"));
        assert_eq!((out.as_ref(), mended), ("data:\u{fffd}\u{fffd}(\n".as_bytes(), true));
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

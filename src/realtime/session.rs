//! One connection: from the GET to `PB_CONNECT`, then its frames until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventsource_client::{Client as _, ClientBuilder, Error as SseError, ReconnectOptions, SSE};
use futures_util::{Stream, StreamExt as _};
use serde::Deserialize;

use super::transport::Transport;
use crate::event::ClientId;
use crate::topic::PB_CONNECT;
use crate::{Client, Error, ErrorKind, Result};

/// The longest error body that is read.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// A connection that the server has named.
pub(crate) struct Session {
    stream: SseStream,
    client_id: ClientId,
    mended: Arc<AtomicBool>,
}

type SseStream = Pin<Box<dyn Stream<Item = eventsource_client::Result<SSE>> + Send + Sync>>;

/// A frame of the feed.
pub(crate) struct Frame {
    /// The key that was subscribed to, byte for byte.
    pub(crate) key: String,
    pub(crate) data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    client_id: String,
}

impl Session {
    /// Opens a connection. The limit spans everything up to `PB_CONNECT`.
    pub(crate) async fn open(client: &Client, limit: Duration) -> Result<Self> {
        let mut phase = "take the connection";
        let opened = tokio::time::timeout(limit, Self::handshake(client, &mut phase)).await;
        opened.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("{} did not {phase} within {} s", client.url().host(), limit.as_secs_f64()),
            ))
        })
    }

    async fn handshake(client: &Client, phase: &mut &'static str) -> Result<Self> {
        let mended = Arc::new(AtomicBool::new(false));
        let stream = ClientBuilder::for_url(&client.url().join("/api/realtime"))
            // Its own reconnect hides refused connections and cannot renew the token.
            .map(|builder| builder.reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build()))
            .map(|builder| builder.redirect_limit(0))
            .map_err(|error| Error::new(ErrorKind::InvalidUrl, error.to_string()))?
            .build_with_transport(Transport::new(client.clone(), Arc::clone(&mended)))
            .stream();
        let mut session = Self { stream, client_id: ClientId::new(String::new()), mended };
        loop {
            let Some(item) = session.stream.next().await else { return Err(closed()) };
            match item {
                Ok(SSE::Connected(details)) => {
                    let content_type = details.response().get_header_value("content-type").ok().flatten();
                    if !content_type.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
                        return Err(stranger(client, "is not an event stream"));
                    }
                    *phase = "name the connection (is a proxy holding the stream back?)";
                }
                Ok(SSE::Comment(_)) => {}
                Ok(SSE::Event(event)) if event.event_type == PB_CONNECT => {
                    // An id in the data, as the Python SDK reads it, or in the frame, as the JavaScript SDK does.
                    let id = serde_json::from_str::<Hello>(&event.data).ok().map(|hello| hello.client_id).or(event.id);
                    let id = id.filter(|id| !id.is_empty());
                    let Some(id) = id else { return Err(stranger(client, "does not name the connection")) };
                    session.client_id = ClientId::new(id);
                    return Ok(session);
                }
                Ok(SSE::Event(_)) => return Err(stranger(client, "does not begin with PB_CONNECT")),
                Err(error) => return Err(convert(error).await),
            }
        }
    }

    /// The id that the server gave the connection.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The next frame, or why there will be none. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        loop {
            match self.stream.next().await {
                None => return Err(closed()),
                Some(Err(error)) => return Err(convert(error).await),
                Some(Ok(SSE::Event(event))) => return Ok(Frame { key: event.event_type, data: event.data }),
                Some(Ok(SSE::Connected(_) | SSE::Comment(_))) => {}
            }
        }
    }

    /// Whether bytes that are not UTF-8 had to be replaced since the last call.
    pub(crate) fn take_mended(&self) -> bool {
        self.mended.swap(false, Ordering::Relaxed)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the server closed the connection")
}

fn stranger(client: &Client, what: &str) -> Error {
    Error::new(ErrorKind::NotBosBase, format!("what {} sends at /api/realtime {what}", client.url()))
}

/// Its errors have an empty source chain: ours travels inside the transport's.
async fn convert(error: SseError) -> Error {
    match error {
        SseError::Transport(error) => error
            .inner()
            .downcast_ref::<Error>()
            .cloned()
            .unwrap_or_else(|| Error::new(ErrorKind::Network, error.to_string())),
        SseError::UnexpectedResponse(response, body) => {
            let mut collected = Vec::new();
            let mut stream = body.into_stream();
            while let Some(Ok(chunk)) = stream.next().await {
                collected.extend_from_slice(&chunk);
                if collected.len() > MAX_ERROR_BODY {
                    break;
                }
            }
            let after =
                response.get_header_value("retry-after").ok().flatten().and_then(|value| value.trim().parse().ok());
            Error::from_status(response.status(), &collected)
                .with_retry_after(after.map(|seconds: u64| Duration::from_secs(seconds.min(3600))))
        }
        SseError::Eof => closed(),
        SseError::UnexpectedEof => Error::new(ErrorKind::Network, "the connection ended in the middle of an event"),
        SseError::TimedOut => Error::new(ErrorKind::Timeout, "the connection timed out"),
        other => Error::new(ErrorKind::Network, format!("the stream cannot be read: {other}")),
    }
}

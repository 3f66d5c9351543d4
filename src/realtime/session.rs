//! One connection: from the GET to `PB_CONNECT`, then its frames until it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eventsource_client::{Client as _, ClientBuilder, Error as SseError, ReconnectOptions, SSE};
use futures_util::future::ready;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use launchdarkly_sdk_transport::HttpTransport;
use serde::Deserialize;

use super::transport::{Signs, Transport};
use crate::api::MAX_ERROR_BODY;
use crate::event::ClientId;
use crate::text::Text;
use crate::topic::{OAUTH2, PB_CONNECT};
use crate::{Client, Error, ErrorKind, Result, ServerUrl};

/// A connection that the server has named.
pub(crate) struct Session {
    frames: Pin<Box<dyn Stream<Item = Result<Frame>> + Send>>,
    client_id: ClientId,
    signs: Arc<Signs>,
}

/// A frame of the feed.
pub(crate) struct Frame {
    /// The key that was subscribed to, byte for byte.
    pub(crate) key: String,
    pub(crate) data: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    client_id: String,
}

impl Session {
    /// Opens a connection. The limit spans everything up to `PB_CONNECT`.
    pub(crate) async fn open(client: &Client, limit: Duration) -> Result<Self> {
        let signs = Arc::<Signs>::default();
        let transport = Transport::new(client.clone(), Arc::clone(&signs));
        Self::open_over(client.url(), transport, signs, limit).await
    }

    pub(super) async fn open_over(
        url: &ServerUrl,
        transport: impl HttpTransport,
        signs: Arc<Signs>,
        limit: Duration,
    ) -> Result<Self> {
        let mut phase = "take the connection";
        let opened = tokio::time::timeout(limit, handshake(url, transport, &signs, &mut phase)).await;
        let (client_id, frames) = opened.unwrap_or_else(|_| Err(too_slow(url, phase, limit)))?;
        Ok(Self { signs, ..Self::of(client_id, frames) })
    }

    /// A connection of this name, with frames from anywhere.
    pub(crate) fn of(client_id: ClientId, frames: impl Stream<Item = Result<Frame>> + Send + 'static) -> Self {
        Self { frames: Box::pin(frames), client_id, signs: Arc::default() }
    }

    /// The id that the server gave the connection.
    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The next frame, or why there will be none. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        let next = self.frames.next().await.unwrap_or_else(|| Err(closed()));
        match &next {
            Ok(frame) => {
                show(&self.client_id, &frame.key, &frame.data);
            }
            Err(error) => tracing::debug!(target: "bosbase_watch::trace::stream", "{} ends: {error}", self.client_id),
        }
        next
    }

    /// Whether bytes that are not UTF-8 had to be replaced since the last call.
    pub(crate) fn take_mended(&self) -> bool {
        self.signs.mended.load(Ordering::Relaxed) && self.signs.mended.swap(false, Ordering::Relaxed)
    }
}

/// Everything up to `PB_CONNECT`: the connection's name, and the frames behind it.
async fn handshake(
    url: &ServerUrl,
    transport: impl HttpTransport,
    signs: &Arc<Signs>,
    phase: &mut &'static str,
) -> Result<(ClientId, impl Stream<Item = Result<Frame>> + Send + 'static)> {
    let mut stream = ClientBuilder::for_url(&url.join("/api/realtime"))
        // Its own reconnect hides refused connections and cannot renew the token.
        .map(|builder| builder.reconnect(ReconnectOptions::reconnect(false).retry_initial(false).build()))
        .map(|builder| builder.redirect_limit(0))
        .map_err(|error| Error::new(ErrorKind::InvalidUrl, error.to_string()))?
        .build_with_transport(transport)
        .stream();
    loop {
        let Some(item) = stream.next().await else { return Err(closed()) };
        match item {
            Ok(SSE::Connected(details)) => {
                let content_type = details.response().get_header_value("content-type").ok().flatten();
                if !content_type.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream")) {
                    return Err(stranger(url, "is not an event stream"));
                }
                *phase = "name the connection (is a proxy holding the stream back?)";
            }
            Ok(SSE::Comment(_)) => {}
            Ok(SSE::Event(event)) if event.event_type == PB_CONNECT => {
                let data = signs.data(&event.data)?;
                // An id in the data, as the Python SDK reads it, or in the frame, as the JavaScript SDK does.
                let id = serde_json::from_str::<Hello>(&data).ok().map(|hello| hello.client_id).or(event.id);
                let id = id.filter(|id| !id.is_empty());
                let Some(id) = id else { return Err(stranger(url, "does not name the connection")) };
                let id = ClientId::new(id);
                show(&id, PB_CONNECT, &data);
                let signs = Arc::clone(signs);
                return Ok((id, stream.filter_map(move |item| frame(item, &signs))));
            }
            Ok(SSE::Event(_)) => return Err(stranger(url, "does not begin with PB_CONNECT")),
            Err(error) => return Err(convert(error).await),
        }
    }
}

fn frame(
    item: eventsource_client::Result<SSE>,
    signs: &Signs,
) -> impl Future<Output = Option<Result<Frame>>> + Send + use<> {
    match item {
        Ok(SSE::Event(event)) => {
            let frame = signs.data(&event.data).map(|data| Frame { key: event.event_type, data });
            ready(Some(frame)).left_future()
        }
        Ok(SSE::Connected(_) | SSE::Comment(_)) => ready(None).left_future(),
        Err(error) => async { Some(Err(convert(error).await)) }.right_future(),
    }
}

/// A frame in the log. The options of a topic may hold secrets of the rules,
/// the whole id lets anyone change the subscriptions, and `@oauth2` brings a code to sign in with.
fn show(id: &ClientId, key: &str, data: &str) {
    if !tracing::enabled!(target: "bosbase_watch::trace::stream", tracing::Level::DEBUG) {
        return;
    }
    let (name, options) = key.split_once('?').map_or((key, ""), |(name, _)| (name, "?…"));
    let data = match name {
        OAUTH2 => "(a code, not shown)".into(),
        _ => data.replace(id.expose(), &id.to_string()),
    };
    tracing::debug!(target: "bosbase_watch::trace::stream", "{id} {name}{options} {data}");
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the server closed the connection")
}

/// A phase of the handshake took longer than it may.
pub(crate) fn too_slow(url: &ServerUrl, phase: &str, limit: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("{} did not {phase} within {} s", url.host(), limit.as_secs_f64()))
}

fn stranger(url: &ServerUrl, what: &str) -> Error {
    Error::new(ErrorKind::NotBosBase, format!("what {url} sends at /api/realtime {what}"))
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use launchdarkly_sdk_transport::{ByteStream, ResponseFuture};
    use sync_wrapper::SyncFuture;
    use tokio::time::Instant;

    use super::super::transport::Reading;
    use super::*;

    /// Answers after a while, and sends this, and then nothing; `None`: it ends.
    #[derive(Clone)]
    struct Scripted {
        answers_after: Duration,
        body: &'static str,
        ends: bool,
        signs: Arc<Signs>,
    }

    impl HttpTransport for Scripted {
        fn request(&self, _: http::Request<Option<Bytes>>) -> ResponseFuture {
            let Self { answers_after, body, ends, signs } = self.clone();
            Box::pin(SyncFuture::new(async move {
                tokio::time::sleep(answers_after).await;
                let chunk = stream::iter([Ok(Reading::new(signs).take(body.as_bytes()).unwrap())]);
                let body: ByteStream = if ends { Box::pin(chunk) } else { Box::pin(chunk.chain(stream::pending())) };
                Ok(http::Response::builder().header("content-type", "text/event-stream").body(body).unwrap())
            }))
        }
    }

    const NAME: &str = "id:abc\nevent:PB_CONNECT\ndata:{\"clientId\":\"abc\"}\n\n";

    async fn open(answers_after: u64, body: &'static str, ends: bool) -> Result<Session> {
        let url = ServerUrl::parse("http://127.0.0.1:8090").unwrap();
        let transport =
            Scripted { answers_after: Duration::from_secs(answers_after), body, ends, signs: Arc::default() };
        let signs = Arc::clone(&transport.signs);
        Session::open_over(&url, transport, signs, Duration::from_secs(15)).await
    }

    #[tokio::test(start_paused = true)]
    async fn one_limit_spans_everything_up_to_the_name() {
        for (answers_after, body, what) in [
            (3600, NAME, "take the connection"),
            (0, "", "name the connection (is a proxy holding the stream back?)"),
            (14, ": a comment\n\n", "name the connection (is a proxy holding the stream back?)"),
            (10, "id:abc\nevent:PB_CONNECT\n", "name the connection (is a proxy holding the stream back?)"),
        ] {
            let begin = Instant::now();
            let error = open(answers_after, body, false).await.err().unwrap();
            assert_eq!(error.to_string(), format!("127.0.0.1:8090 did not {what} within 15 s"));
            assert_eq!((error.kind(), begin.elapsed().as_secs()), (ErrorKind::Timeout, 15));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn how_a_stream_ends() {
        let mut session = open(14, NAME, true).await.unwrap();
        assert_eq!(session.client_id().expose(), "abc");
        assert_eq!(session.next().await.err().unwrap().kind(), ErrorKind::Closed);
        assert_eq!(open(0, "", true).await.err().unwrap().kind(), ErrorKind::Closed);
        assert_eq!(open(0, "event:other\ndata:1\n\n", false).await.err().unwrap().kind(), ErrorKind::NotBosBase);
        // It has a name, and nobody waits for frames.
        let mut session = open(0, NAME, false).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_hours(5), session.next()).await.is_err());
    }
}

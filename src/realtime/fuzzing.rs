//! The reading path and the state machine, for `crate::fuzzing`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use launchdarkly_sdk_transport::{ByteStream, HttpTransport, ResponseFuture, TransportError};
use sync_wrapper::SyncFuture;

use super::session::Session;
use super::transport::{Reading, Signs};
use crate::ServerUrl;

pub(crate) use super::state::possible::any as machine;

/// What came of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whether it began with a name.
    pub(crate) named: bool,
    /// The events behind it: the name and the data.
    pub(crate) frames: Vec<(String, String)>,
    /// How it ended.
    pub(crate) end: String,
}

/// A server that sends these chunks, and ends.
#[derive(Clone)]
struct Chunks(Vec<Bytes>, Arc<Signs>);

impl HttpTransport for Chunks {
    fn request(&self, _: http::Request<Option<Bytes>>) -> ResponseFuture {
        let mut reading = Reading::new(Arc::clone(&self.1));
        let chunks = self.0.clone().into_iter().map(move |chunk| reading.take(&chunk).map_err(TransportError::new));
        Box::pin(SyncFuture::new(async move {
            let body: ByteStream = Box::pin(stream::iter(chunks));
            let answer = http::Response::builder().header("content-type", "text/event-stream").body(body);
            answer.map_err(TransportError::new)
        }))
    }
}

/// Reads a stream that comes in these chunks, as a connection does.
pub(crate) fn read_all(chunks: Vec<Bytes>) -> Read {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
        return Read { named: false, frames: Vec::new(), end: "no runtime".into() };
    };
    runtime.block_on(async {
        let mut frames = Vec::new();
        let signs = Arc::<Signs>::default();
        let opened = match ServerUrl::parse(crate::DEFAULT_URL) {
            Ok(url) => {
                Session::open_over(&url, Chunks(chunks, Arc::clone(&signs)), signs, Duration::from_secs(15)).await
            }
            Err(error) => Err(error),
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(error) => return Read { named: false, frames, end: error.to_string() },
        };
        loop {
            match session.next().await {
                Ok(frame) => frames.push((frame.key, frame.data.to_string())),
                Err(error) => return Read { named: true, frames, end: error.to_string() },
            }
        }
    })
}

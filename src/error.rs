//! The library's one error type: a kind, what happened in words, and the cause.

mod tls;

use std::error::Error as StdError;
use std::fmt;

use crate::ServerUrl;

/// What `bosbase_watch` functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = std::sync::Arc<dyn StdError + Send + Sync + 'static>;

/// An error with its [`ErrorKind`], a sentence for a person and, where the
/// server answered, its status and its own message.
///
/// ```
/// use bosbase_watch::{ErrorKind, Topic};
///
/// let error = Topic::custom("").key().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidTopic);
/// assert_eq!(error.to_string(), "a topic is empty");
/// ```
#[derive(Clone)]
pub struct Error(std::sync::Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    status: Option<u16>,
    server_message: Option<String>,
    mfa_id: Option<String>,
    retry_after: Option<std::time::Duration>,
    source: Option<Source>,
}

/// What went wrong, as far as a program wants to tell cases apart.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// use bosbase_watch::ErrorKind;
///
/// match client.collection("users").auth_with_password("ann@example.com", "secret".to_owned()).await {
///     Ok(record) => println!("welcome, {}", record["name"]),
///     Err(error) => match error.kind() {
///         ErrorKind::BadRequest => println!("wrong name or password"),
///         ErrorKind::RateLimited => println!("try again in {:?}", error.retry_after()),
///         _ => println!("{error} (status {:?})", error.status()),
///     },
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The base URL is not one, or is one that must not be used (`user:pass@`).
    InvalidUrl,
    /// A topic is empty, too long, or cannot be encoded.
    InvalidTopic,
    /// A filter's placeholders and parameters do not fit.
    InvalidFilter,
    /// A header name or value cannot be sent.
    InvalidHeader,
    /// A token would have gone over plain http to something else than loopback.
    InsecureTransport,
    /// The host name does not resolve.
    Dns,
    /// Nothing accepts connections there.
    Refused,
    /// The TLS handshake or the certificate failed.
    Tls,
    /// A proxy in between refuses, or asks for a password.
    Proxy,
    /// A phase took longer than its limit.
    Timeout,
    /// The connection broke.
    Network,
    /// Something answers, but not as a BosBase server does.
    NotBosBase,
    /// 400: the server cannot make sense of the request.
    BadRequest,
    /// 401, or a token that is expired, revoked or foreign.
    Unauthorized,
    /// 401 with an `mfaId`: a second factor is asked for ([`Error::mfa_id`]).
    MfaRequired,
    /// 403: permission denied.
    Forbidden,
    /// The server does not know the connection that it has just named: behind a
    /// load balancer, another node answers.
    WrongNode,
    /// 404: the collection, record or client id is not there.
    NotFound,
    /// 429: too many requests.
    RateLimited,
    /// 5xx.
    Server,
    /// Any other status.
    Status,
    /// An answer was larger than the limit for it.
    TooLarge,
    /// The realtime connection was closed for good.
    Closed,
    /// No topic is left that would deliver: their collections were deleted, renamed or locked.
    TopicsGone,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Peer<'a> {
    pub(crate) url: &'a ServerUrl,
    /// What the requests go by.
    pub(crate) proxy: Option<&'a str>,
}

/// So much of the server's own words is repeated, and of so many fields: an error is a line.
const MAX_WORDS: usize = 500;
const MAX_FIELDS: usize = 8;

/// The server's words as far as they are repeated.
fn in_short(mut said: String) -> String {
    if let Some((at, _)) = said.char_indices().nth(MAX_WORDS) {
        said.truncate(at);
        said.push('…');
    }
    said
}

impl Error {
    /// An error of this kind with a sentence for a person.
    ///
    /// ```
    /// use bosbase_watch::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::NotFound, "there is no such room");
    /// assert_eq!((error.kind(), error.status()), (ErrorKind::NotFound, None));
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(std::sync::Arc::new(Inner {
            kind,
            message: message.into(),
            status: None,
            server_message: None,
            mfa_id: None,
            retry_after: None,
            source: None,
        }))
    }

    fn inner_mut(&mut self) -> &mut Inner {
        std::sync::Arc::make_mut(&mut self.0)
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner_mut().source = Some(std::sync::Arc::new(source));
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status, where the server answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own message, where it sent one.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// The id to send with the second factor, for [`ErrorKind::MfaRequired`].
    pub fn mfa_id(&self) -> Option<&str> {
        self.0.mfa_id.as_deref()
    }

    /// How long the server asks to wait before the next try (`Retry-After`).
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        self.0.retry_after
    }

    /// Whether the same request may go through a little later.
    ///
    /// ```
    /// use bosbase_watch::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Timeout, "no answer in 15 s").is_transient());
    /// assert!(!Error::new(ErrorKind::Forbidden, "permission denied").is_transient());
    /// ```
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Dns
                | ErrorKind::Refused
                | ErrorKind::Timeout
                | ErrorKind::Network
                | ErrorKind::RateLimited
                | ErrorKind::Server
        )
    }

    /// The error of an answer that is not a success. The server's error body is
    /// `{"data":{},"message":"…","status":N}`; anything else is taken for a
    /// proxy's and left out.
    pub(crate) fn from_status(status: u16, raw: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            message: Option<String>,
            mfa_id: Option<String>,
            data: Option<serde_json::Map<String, serde_json::Value>>,
        }
        let body: Option<Body> = serde_json::from_slice(raw).ok();
        let (mut server_message, mut mfa_id, mut data) = (None, None, None);
        if let Some(body) = body {
            server_message = body.message.filter(|m| !m.is_empty()).map(in_short);
            mfa_id = body.mfa_id;
            data = body.data;
        }
        // Go's servers and nginx answer so to plain http at their TLS port.
        if status == 400 && server_message.is_none() && String::from_utf8_lossy(raw).contains("HTTPS") {
            let message = "this port speaks https, and was asked in plain http (400)";
            return Self::new(ErrorKind::NotBosBase, message);
        }
        let kind = match status {
            400 => ErrorKind::BadRequest,
            401 if mfa_id.is_some() => ErrorKind::MfaRequired,
            // The server's own answers say why; any other is somebody else's.
            401 | 403 | 404 if server_message.is_none() => ErrorKind::NotBosBase,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            407 => ErrorKind::Proxy,
            429 => ErrorKind::RateLimited,
            500..=599 => ErrorKind::Server,
            _ => ErrorKind::Status,
        };
        let words = match kind {
            ErrorKind::BadRequest => "the server refuses the request",
            ErrorKind::MfaRequired => "a second factor is required",
            ErrorKind::Unauthorized => "not signed in",
            ErrorKind::Forbidden => "permission denied",
            ErrorKind::NotFound => "not found",
            ErrorKind::NotBosBase if status == 401 => "something before the server asks for a password of its own",
            ErrorKind::NotBosBase if status == 403 => "something before the server refuses this",
            ErrorKind::NotBosBase => "this is not how a BosBase server answers",
            ErrorKind::Proxy => "the proxy asks for a user name and a password",
            ErrorKind::RateLimited => "too many requests",
            ErrorKind::Server => "the server failed",
            _ => "unexpected answer",
        };
        let mut message = format!("{words} ({status}");
        if let Some(said) = &server_message {
            message.push_str(": ");
            message.push_str(said.trim_end_matches('.'));
        }
        // Field errors say more than "Something went wrong".
        let fields = data.iter().flatten();
        let fields = fields.filter_map(|(field, detail)| Some((field, detail.get("message")?.as_str()?)));
        for (field, said) in fields.take(MAX_FIELDS) {
            message.push_str("; ");
            message.push_str(&in_short(field.clone()));
            message.push_str(": ");
            message.push_str(in_short(said.to_owned()).trim_end_matches('.'));
        }
        message.push(')');
        let mut error = Self::new(kind, message);
        let inner = error.inner_mut();
        inner.status = Some(status);
        inner.server_message = server_message;
        inner.mfa_id = mfa_id;
        error
    }

    pub(crate) fn with_retry_after(mut self, after: Option<std::time::Duration>) -> Self {
        self.inner_mut().retry_after = after;
        self
    }

    /// Names the cause of a failed request in words. reqwest, hyper and rustls
    /// hide it at the end of a chain of sources.
    pub(crate) fn from_transport(error: &(dyn StdError + 'static), peer: Peer<'_>) -> Self {
        let host = peer.url.host();
        let (mut timed_out, mut connecting, mut in_tunnel, mut dns) = (false, false, false, false);
        let mut last = error.to_string();
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(http) = cause.downcast_ref::<reqwest::Error>() {
                timed_out |= http.is_timeout();
                connecting |= http.is_connect();
            }
            if let Some(tls) = tls::cause(cause) {
                return Self::new(ErrorKind::Tls, tls::words(tls, host));
            }
            last = cause.to_string();
            if let Some(tunnel) = last.strip_prefix("tunnel error: ") {
                match tunnel {
                    "proxy authorization required" => return Self::proxy_wants_a_password(peer),
                    "unsuccessful" => return Self::proxy_refuses(peer),
                    _ => in_tunnel = true,
                }
            }
            if let Some(socks) = last.strip_prefix("SOCKS error: ")
                && !socks.starts_with("failed to create") // what follows says why
                && !socks.starts_with("io error")
            {
                return Self::from_socks(socks, peer);
            }
            // What is connected to is the proxy, where there is one; beyond it is the server.
            let other_end = match peer.proxy {
                Some(proxy) if in_tunnel || connecting && !peer.url.is_https() => format!("the proxy {proxy}"),
                _ => host.to_owned(),
            };
            if let Some(found) = cause.downcast_ref().and_then(|io| Self::from_io(io, &other_end)) {
                return found;
            }
            dns |= last == "dns error" || last.starts_with("failed to lookup address");
            if dns {
                let name = match peer.proxy {
                    Some(proxy) if other_end != host => format!("the name of the proxy {proxy} does not resolve"),
                    _ => format!("the name {} does not resolve", peer.url.name()),
                };
                return Self::new(ErrorKind::Dns, name);
            }
            if last.starts_with("invalid HTTP") {
                let message = format!("{host} does not answer with HTTP on this port");
                return Self::new(ErrorKind::Network, message);
            }
            next = cause.source();
        }
        if timed_out {
            return Self::new(ErrorKind::Timeout, format!("{host} does not answer in time"));
        }
        Self::new(ErrorKind::Network, format!("the connection to {host} broke: {last}"))
    }

    fn proxy_wants_a_password(peer: Peer<'_>) -> Self {
        let proxy = peer.proxy.map(|proxy| format!(" {proxy}")).unwrap_or_default();
        Self::new(ErrorKind::Proxy, format!("the proxy{proxy} asks for a user name and a password (407)"))
    }

    fn proxy_refuses(peer: Peer<'_>) -> Self {
        let proxy = peer.proxy.map(|proxy| format!(" {proxy}")).unwrap_or_default();
        Self::new(ErrorKind::Proxy, format!("the proxy{proxy} lets no connection to {} through", peer.url.host()))
    }

    fn from_socks(what: &str, peer: Peer<'_>) -> Self {
        let proxy = peer.proxy.map(|proxy| format!(" {proxy}")).unwrap_or_default();
        let (kind, message) = match what {
            "credentials not accepted" => {
                (ErrorKind::Proxy, format!("the proxy{proxy} does not take the user name and the password"))
            }
            "server does not support user/pass authentication" => {
                (ErrorKind::Proxy, format!("the proxy{proxy} asks for a user name and a password"))
            }
            "connection not allowed" => return Self::proxy_refuses(peer),
            "failed parsing server response" => (ErrorKind::Proxy, format!("the proxy{proxy} does not speak SOCKS")),
            what => (ErrorKind::Network, format!("the proxy{proxy} does not reach {}: {what}", peer.url.host())),
        };
        Self::new(kind, message)
    }

    fn from_io(io: &std::io::Error, host: &str) -> Option<Self> {
        use std::io::ErrorKind as Io;
        let (kind, message) = match io.kind() {
            Io::ConnectionRefused => (ErrorKind::Refused, format!("nothing listens at {host}: connection refused")),
            Io::ConnectionReset => (ErrorKind::Network, format!("{host} reset the connection")),
            Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof => {
                (ErrorKind::Network, format!("{host} closed the connection in the middle of an answer"))
            }
            Io::TimedOut => (ErrorKind::Timeout, format!("{host} does not answer in time")),
            Io::HostUnreachable | Io::NetworkUnreachable => {
                (ErrorKind::Network, format!("there is no way to {host}: {io}"))
            }
            _ => return None,
        };
        Some(Self::new(kind, message))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("status", &self.0.status)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_become_kinds_with_the_servers_words() {
        let error = Error::from_status(
            403,
            br#"{"data":{},"message":"Only superusers can perform this action.","status":403}"#,
        );
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(error.to_string(), "permission denied (403: Only superusers can perform this action)");
        assert_eq!(error.server_message(), Some("Only superusers can perform this action."));

        let error = Error::from_status(502, b"<html>Bad Gateway</html>");
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Server, "the server failed (502)"));

        let error = Error::from_status(401, br#"{"mfaId":"abc"}"#);
        assert_eq!((error.kind(), error.mfa_id()), (ErrorKind::MfaRequired, Some("abc")));

        let error = Error::from_status(400, br#"{"data":{"identity":{"code":"x","message":"Cannot be blank."}},"message":"Failed to authenticate.","status":400}"#);
        assert_eq!(
            error.to_string(),
            "the server refuses the request (400: Failed to authenticate; identity: Cannot be blank)"
        );
    }
}

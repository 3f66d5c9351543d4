//! The base URL of a server: normalised, and able to say whether a token may go there.

use std::fmt;

use url::{Host, Url};

use crate::{Error, ErrorKind, Result};

/// The URL that the SDKs use when none is given.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8090";

/// The base URL of a BosBase server.
///
/// ```
/// use bosbase_watch::ServerUrl;
///
/// // A name without a scheme is https, loopback is http, and the path of the
/// // dashboard is cut off, since that is what people copy from the browser.
/// assert_eq!(ServerUrl::parse("api.example.com/")?.as_str(), "https://api.example.com");
/// assert_eq!(ServerUrl::parse("localhost:8090")?.as_str(), "http://localhost:8090");
/// assert_eq!(ServerUrl::parse("https://example.com/pb/_/#/settings")?.as_str(), "https://example.com/pb");
/// assert!(ServerUrl::parse("https://me:secret@example.com").is_err());
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// Without a trailing slash, query or fragment.
    text: String,
    origin: String,
    host: String,
    loopback: bool,
    https: bool,
}

impl ServerUrl {
    /// Reads a URL as people write it. `user:pass@`, a query and any scheme but
    /// http and https are [`ErrorKind::InvalidUrl`].
    pub fn parse(input: &str) -> Result<Self> {
        let invalid = |why: &str| Error::new(ErrorKind::InvalidUrl, format!("not a server URL: {why}"));
        let input = input.trim();
        if input.is_empty() {
            return Err(invalid("it is empty"));
        }
        let mut url = if input.contains("://") {
            Url::parse(input)
        } else {
            // The scheme is decided once the host is known.
            Url::parse(&format!("https://{input}"))
        }
        .map_err(|error| {
            // The text may hold a password, so it is not repeated.
            invalid(&error.to_string())
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must not hold a user name or a password; sign in with `login` instead"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(&format!("its scheme is {}, not http or https", url.scheme())));
        }
        if url.query().is_some() {
            return Err(invalid("it must not hold a query"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => format!("[{ip}]"),
            None => return Err(invalid("it has no host")),
        };
        let loopback = is_loopback(&host);
        if loopback && !input.contains("://") {
            // A port that the https default swallowed (`localhost:443`) is given back.
            let port = url.port_or_known_default();
            let explicit = input.split('/').next().is_some_and(|authority| authority.ends_with(":443"));
            // Both are special schemes, so this cannot fail.
            let _ = url.set_scheme("http");
            let _ = url.set_port(if explicit {
                Some(443)
            } else if url.port().is_some() {
                port
            } else {
                None
            });
        }
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/');
        // The dashboard and the API live at the base: people copy their URLs.
        let path = path.strip_suffix("/_").or_else(|| path.strip_suffix("/api")).unwrap_or(path).trim_end_matches('/');
        let origin = url.origin().ascii_serialization();
        Ok(Self { text: format!("{origin}{path}"), origin, host, loopback, https: url.scheme() == "https" })
    }

    /// The normalised URL, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port: a token belongs to one origin and goes nowhere else.
    ///
    /// ```
    /// use bosbase_watch::ServerUrl;
    ///
    /// let url = ServerUrl::parse("https://example.com:8443/pb/")?;
    /// assert_eq!((url.as_str(), url.origin()), ("https://example.com:8443/pb", "https://example.com:8443"));
    /// assert_eq!(url.host(), "example.com:8443");
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The host, with its port where the URL names one.
    pub fn host(&self) -> &str {
        self.origin.split("://").nth(1).unwrap_or(&self.host)
    }

    /// The host without its port.
    pub(crate) fn name(&self) -> &str {
        &self.host
    }

    /// Whether it is https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine (127.0.0.0/8, `::1`, `localhost`).
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether a token may be sent there: over https, or without leaving the machine.
    ///
    /// ```
    /// use bosbase_watch::ServerUrl;
    ///
    /// assert!(ServerUrl::parse("http://localhost:8090")?.may_carry_secrets());
    /// assert!(!ServerUrl::parse("http://10.0.0.5:8090")?.may_carry_secrets());
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn may_carry_secrets(&self) -> bool {
        self.https || self.loopback
    }

    /// The absolute URL of an API path such as `/api/health`.
    pub(crate) fn join(&self, path: &str) -> String {
        debug_assert!(path.starts_with('/'));
        format!("{}{path}", self.text)
    }
}

/// Whether a host, as it stands in a URL, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback(),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({})", self.text)
    }
}

impl std::str::FromStr for ServerUrl {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self> {
        Self::parse(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises() {
        for (input, expected) in [
            ("http://127.0.0.1:8090/", "http://127.0.0.1:8090"),
            ("127.0.0.1:8090", "http://127.0.0.1:8090"),
            ("127.0.0.1:443", "http://127.0.0.1:443"),
            ("[::1]:8090", "http://[::1]:8090"),
            ("localhost", "http://localhost"),
            ("Example.COM:443", "https://example.com"),
            ("https://example.com:443/base//", "https://example.com/base"),
            ("http://localhost:8090/_/", "http://localhost:8090"),
            ("http://localhost:8090/api/", "http://localhost:8090"),
            (" https://example.com/_/#/collections?x=1 ", "https://example.com"),
        ] {
            assert_eq!(ServerUrl::parse(input).unwrap().as_str(), expected, "{input}");
        }
    }

    #[test]
    fn refuses_and_never_repeats_a_password() {
        for input in [
            "",
            "ftp://x",
            "https://a:hunter2@x",
            "https://hunter2@x",
            "http://",
            "https://x/?hunter2=1",
            "http://hunter2:x:y",
        ] {
            let error = ServerUrl::parse(input).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidUrl, "{input}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn secrets_need_https_or_loopback() {
        for (input, expected) in [
            ("https://example.com", true),
            ("http://127.1.2.3", true),
            ("http://[::1]", true),
            ("http://localhost:1", true),
            ("http://example.com", false),
            ("http://192.168.0.1", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(ServerUrl::parse(input).unwrap().may_carry_secrets(), expected, "{input}");
        }
    }
}

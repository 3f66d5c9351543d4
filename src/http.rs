//! How HTTP connections are made: the settings of a client, and what follows
//! from a server that sends nothing while nothing happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use crate::error::Peer;
use crate::server_url::is_loopback;
use crate::tls::{self, Identity};
use crate::{Error, ErrorKind, Result, ServerUrl};

/// What a client is told about its connections.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) connect_timeout: Duration,
    proxy: Option<Url>,
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<Identity>>,
    pub(crate) insecure: bool,
    headers: HeaderMap,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL, a key and the values of headers may be secrets.
        f.debug_struct("Http")
            .field("connect_timeout", &self.connect_timeout)
            .field("proxy", &self.proxy.as_ref().and_then(Url::host_str))
            .field("roots", &self.roots.len())
            .field("identity", &self.identity.is_some())
            .field("insecure", &self.insecure)
            .field("headers", &self.headers.keys())
            .finish()
    }
}

impl Http {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let headers = HeaderMap::new();
        Self { connect_timeout, proxy: None, roots: Vec::new(), identity: None, insecure: false, headers }
    }

    /// Sets the proxy, and returns its name without a password.
    pub(crate) fn set_proxy(&mut self, url: &str) -> Result<String> {
        let invalid = |why: &str| Error::new(ErrorKind::InvalidUrl, format!("not a proxy: {why}"));
        let url = Url::parse(url).map_err(|_| invalid("a proxy is written http://HOST:PORT"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(invalid("its URL begins with http, https, socks5 or socks5h"));
        }
        let Some(host) = url.host_str() else { return Err(invalid("a proxy is written http://HOST:PORT")) };
        let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        let name = format!("{}://{host}{port}", url.scheme());
        self.proxy = Some(url);
        Ok(name)
    }

    /// Whether each request goes by a proxy on another machine.
    pub(crate) fn leaves_the_machine(&self) -> bool {
        self.proxy.as_ref().and_then(Url::host_str).is_some_and(|host| !is_loopback(host))
    }

    pub(crate) fn add_roots(&mut self, pem: &[u8]) -> Result<()> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.roots.push(certificate.map_err(|error| not_pem("certificate", &error))?);
        }
        if self.roots.len() == before {
            return Err(Error::new(ErrorKind::Tls, "no certificate is in it: PEM is expected"));
        }
        Ok(())
    }

    pub(crate) fn set_identity(&mut self, pem: &[u8]) -> Result<()> {
        let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let chain = chain.map_err(|error| not_pem("certificate", &error))?;
        if chain.is_empty() {
            return Err(Error::new(ErrorKind::Tls, "no certificate is in it: PEM is expected"));
        }
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| not_pem("private key", &error))?;
        let identity = Identity { chain, key };
        tls::check(&identity).map_err(|error| {
            let why = match error {
                rustls::Error::InconsistentKeys(_) => "the private key in it is not that of its first certificate",
                rustls::Error::InvalidCertificate(_) => "a certificate in it cannot be read",
                _ => "the private key in it cannot be used",
            };
            Error::new(ErrorKind::Tls, why)
        })?;
        self.identity = Some(Arc::new(identity));
        Ok(())
    }

    pub(crate) fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        let invalid = |what: String| Error::new(ErrorKind::InvalidHeader, what);
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid(format!("not a header name: {name:?}")))?;
        if name == http::header::AUTHORIZATION {
            return Err(invalid("an Authorization header is the login's".to_owned()));
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| invalid(format!("the value of the header {name} holds characters that no header has")))?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    /// A client that has no connections yet.
    pub(crate) fn client(&self, url: &ServerUrl) -> Result<reqwest::Client> {
        let broken = |error: rustls::Error| Error::new(ErrorKind::Tls, format!("TLS cannot be set up: {error}"));
        let tls = tls::config(self.roots.clone(), self.identity.as_deref(), self.insecure).map_err(broken)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("bosbase-watch/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers.clone())
            // A redirect would take the token elsewhere and turn a POST into a GET.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            // A dead path is found within 45 s: the server sends no heartbeat. With the
            // user timeout the third probe that stays unanswered is the last, after 35 s;
            // where the system has none, the connection ends with the next, after 45 s.
            .tcp_keepalive(Duration::from_secs(15))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3)
            .http2_keep_alive_interval(Duration::from_secs(15))
            .http2_keep_alive_timeout(Duration::from_secs(30));
        #[cfg(target_os = "linux")]
        let http = http.tcp_user_timeout(Duration::from_secs(30));
        let failed = |error| Error::from_transport(&error, Peer { url, proxy: None });
        let http = match &self.proxy {
            Some(proxy) => http.proxy(reqwest::Proxy::all(proxy.clone()).map_err(failed)?),
            // What stays on this machine goes to no proxy of the environment: a token would be read there.
            None if url.is_loopback() => http.no_proxy(),
            None => http,
        };
        http.build().map_err(failed)
    }
}

/// Its message may not repeat what was read: it may be a key.
fn not_pem(what: &str, error: &rustls::pki_types::pem::Error) -> Error {
    use rustls::pki_types::pem::Error as Pem;
    let why = match error {
        Pem::NoItemsFound => format!("no {what} is in it: PEM is expected"),
        _ => format!("a {what} in it cannot be read"),
    };
    Error::new(ErrorKind::Tls, why)
}

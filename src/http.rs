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
    /// On HTTP/2, how long nothing comes before the peer is asked, and how long its answer may take.
    ping_interval: Duration,
    ping_timeout: Duration,
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
            .finish_non_exhaustive()
    }
}

impl Http {
    pub(crate) fn new(connect_timeout: Duration) -> Self {
        let headers = HeaderMap::new();
        Self {
            connect_timeout,
            proxy: None,
            roots: Vec::new(),
            identity: None,
            insecure: false,
            headers,
            ping_interval: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(30),
        }
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
            .http2_keep_alive_interval(self.ping_interval)
            .http2_keep_alive_timeout(self.ping_timeout)
            // Whether a stream is open is asked too early: one that then stays silent would never be.
            .http2_keep_alive_while_idle(true);
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// The types of HTTP/2 frames.
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Accepts one connection over HTTP/2, sends the beginning of a feed, and never says anything
    /// again. Tells of each frame that comes: its type and its flags.
    fn silent_server() -> (SocketAddr, String, mpsc::Receiver<(u8, u8)>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let pem = certificate.pem();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).unwrap();
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
            loop {
                let mut head = [0; 9];
                // Until the client has had enough.
                if stream.read_exact(&mut head).is_err() {
                    return;
                }
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                stream.read_exact(&mut vec![0; length as usize]).unwrap();
                if head[3] == HEADERS {
                    // `:status: 200` of the static table, and four bytes of a body that does not end.
                    stream.write_all(&frame(HEADERS, 4, 1, &[0x88])).unwrap();
                    stream.write_all(&frame(DATA, 0, 1, b"id:a")).unwrap();
                }
                if tell.send((head[3], head[4])).is_err() {
                    return;
                }
            }
        });
        (address, pem, told)
    }

    #[tokio::test]
    async fn a_silent_peer_on_http_2_is_asked_and_found() {
        let (address, pem, told) = silent_server();
        let mut http = Http::new(Duration::from_secs(15));
        assert_eq!(http.ping_interval + http.ping_timeout, Duration::from_secs(45));
        // The same a hundred times as fast.
        (http.ping_interval, http.ping_timeout) = (http.ping_interval / 100, http.ping_timeout / 100);
        let found_after = http.ping_interval + http.ping_timeout;
        http.add_roots(pem.as_bytes()).unwrap();
        let url = ServerUrl::parse(&format!("https://{address}")).unwrap();
        let mut response = http.client(&url).unwrap().get(url.join("/api/realtime")).send().await.unwrap();
        assert_eq!(response.version(), ::http::Version::HTTP_2);
        assert_eq!(response.chunk().await.unwrap().as_deref(), Some(&b"id:a"[..]));

        let begin = std::time::Instant::now();
        let end = tokio::time::timeout(Duration::from_secs(30), response.chunk()).await.expect("it is found");
        assert!(begin.elapsed() > found_after / 2, "{:?}", begin.elapsed());
        let error = Error::from_transport(&end.unwrap_err(), Peer { url: &url, proxy: None });
        assert!(error.is_transient(), "{error}");
        let frames = std::iter::from_fn(|| told.recv_timeout(Duration::from_secs(10)).ok());
        assert!(frames.into_iter().any(|frame| frame == (PING, 0)), "it has asked");
    }
}

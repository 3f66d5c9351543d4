//! The REST calls, all on one HTTP client: the server may refuse a realtime
//! POST whose address is not the stream's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::auth::AuthStore;
use crate::error::Peer;
use crate::http::Http;
use crate::server_clock::ServerClock;
use crate::tree::Tree;
use crate::{Error, ErrorKind, Result, Secret, ServerUrl, Topic};

/// How long a connection may take to stand: TCP and TLS (the SDKs' 15 s).
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a REST request may take from start to end.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often the topics are sent, where other nodes than the connection's answer.
const SUBMIT_TRIES: u32 = 8;

/// The largest answer of a REST request, as large as the largest event. A page
/// of a list that is larger is asked for again with fewer records.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// So much of an answer that is an error is read: the server's own have a few lines.
pub(crate) const MAX_ERROR_BODY: usize = 64 * 1024;

/// So many pages of collections, a thousand each: beyond them a list does not end.
const MAX_COLLECTION_PAGES: u32 = 100;

/// A machine without a battery begins in 1970; beyond this it is no clock.
const MOST_WRONG_CLOCK: SignedDuration = SignedDuration::from_hours(200 * 365 * 24);

/// What is asked for of a collection: [`CollectionInfo`].
const DESCRIPTION: &str = "id,name,type,system,listRule,viewRule,\
                           fields.name,fields.type,fields.hidden,fields.collectionId";

/// What may stand in one segment of a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of one server. Cheap to clone; clones share the login.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// use bosbase_watch::{Client, Event, Topic};
///
/// let client = Client::new("https://api.example.com")?;
/// client.collection("users").auth_with_password("ann@example.com", "secret".to_owned()).await?;
///
/// let mut posts = client.realtime().subscribe(Topic::collection("posts")).await?;
/// while let Some(event) = posts.next().await {
///     if let Event::Record(change) = event? {
///         println!("{} {}", change.action(), change.json());
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: ServerUrl,
    http: reqwest::Client,
    auth: AuthStore,
    allow_http: bool,
    settings: Http,
    proxy: Option<String>,
    clock: Mutex<ServerClock>,
}

/// How a [`Client`] connects.
///
/// ```
/// use std::time::Duration;
/// use bosbase_watch::{Client, ServerUrl};
///
/// let client = Client::builder(ServerUrl::parse("http://10.0.0.5:8090")?)
///     .allow_http(true) // in a network that is trusted
///     .connect_timeout(Duration::from_secs(5))
///     .proxy("socks5h://127.0.0.1:1080")?
///     .default_header("X-Gateway", "let me in")?
///     .build()?;
/// assert_eq!(client.connect_timeout(), Duration::from_secs(5));
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    url: ServerUrl,
    allow_http: bool,
    http: Http,
    proxy: Option<String>,
}

impl ClientBuilder {
    /// Names the proxy of the environment, for errors: they are its own, then.
    #[cfg(feature = "cli")]
    pub(crate) fn by_proxy(mut self, name: Option<String>) -> Self {
        self.proxy = name;
        self
    }

    /// Lets a token go over plain http to another machine. Off by default.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// How long a connection may take to stand; for the realtime connection
    /// this spans the whole handshake. 15 s by default. The answer to a sign-in
    /// or a check has twice as long to begin, the connection included.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.http.connect_timeout = limit;
        self
    }

    /// A proxy instead of those of the environment: `http`, `https`, `socks5`,
    /// or `socks5h`, which also looks up the names.
    pub fn proxy(mut self, url: &str) -> Result<Self> {
        self.proxy = Some(self.http.set_proxy(url)?);
        Ok(self)
    }

    /// Certificates, as PEM, that are trusted besides the system's.
    ///
    /// ```no_run
    /// # fn f() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bosbase_watch::{Client, ServerUrl};
    /// let client = Client::builder(ServerUrl::parse("https://api.example.com")?)
    ///     .add_root_certificates(&std::fs::read("company-ca.pem")?)?
    ///     .identity(&std::fs::read("me.pem")?)? // the certificate and its key, for a gateway that asks for one
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn add_root_certificates(mut self, pem: &[u8]) -> Result<Self> {
        self.http.add_roots(pem)?;
        Ok(self)
    }

    /// A certificate with its key, as PEM, that is shown to the server.
    pub fn identity(mut self, pem: &[u8]) -> Result<Self> {
        self.http.set_identity(pem)?;
        Ok(self)
    }

    /// Takes any certificate, whoever made it, for whichever name: then anyone
    /// on the way can read and change everything. Off by default.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.http.insecure = accept;
        self
    }

    /// A header of each request, for a gateway in between. Rules of collections
    /// do not see it on a feed ([`Topic::header`]).
    pub fn default_header(mut self, name: &str, value: &str) -> Result<Self> {
        self.http.add_header(name, value)?;
        Ok(self)
    }

    /// The client. Nothing is sent yet.
    pub fn build(self) -> Result<Client> {
        let http = self.http.client(&self.url)?;
        Ok(Client(Arc::new(Inner {
            url: self.url,
            http,
            auth: AuthStore::default(),
            allow_http: self.allow_http,
            settings: self.http,
            proxy: self.proxy,
            clock: Mutex::new(ServerClock::new(now())),
        })))
    }
}

/// An answer with a 2xx status.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self, what: &str) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new(ErrorKind::NotBosBase, format!("{what} is not what a BosBase server answers")).with_source(error)
        })
    }
}

/// The page of a list that [`Collection::probe`] asks for.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    pub(crate) items: Vec<Tree>,
}

/// The two kinds of server.
///
/// [`Client::server_kind`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerKind {
    /// A PocketBase server.
    PocketBase,
    /// A BosBase server.
    BosBase,
}

/// A collection as the API for superusers describes it.
///
/// [`Client::collections`] has an example.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CollectionInfo {
    /// The id, which stays when the collection is renamed.
    pub id: String,
    /// The name.
    pub name: String,
    /// `base`, `auth` or `view`. A view's records never come over the feed.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it belongs to the server itself.
    #[serde(default)]
    pub system: bool,
    /// Who may watch `NAME/*`: `None` superusers only, `""` anyone.
    pub list_rule: Option<String>,
    /// Who may watch `NAME/ID`.
    pub view_rule: Option<String>,
    /// The fields.
    #[serde(default)]
    pub fields: Vec<FieldInfo>,
}

/// A field of a collection.
///
/// [`Client::collections`] has an example.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FieldInfo {
    /// The name.
    pub name: String,
    /// `text`, `number`, `relation`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether only superusers see it.
    #[serde(default)]
    pub hidden: bool,
    /// The id of the collection that a relation leads to.
    #[serde(default)]
    pub collection_id: Option<String>,
}

impl Client {
    /// A client for this base URL with the default settings.
    ///
    /// ```
    /// use bosbase_watch::{Client, ErrorKind};
    ///
    /// let client = Client::new("api.example.com")?;
    /// assert_eq!(client.url().as_str(), "https://api.example.com");
    /// assert_eq!(Client::new("ftp://example.com").unwrap_err().kind(), ErrorKind::InvalidUrl);
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn new(url: &str) -> Result<Self> {
        Self::builder(ServerUrl::parse(url)?).build()
    }

    /// A client with settings of its own.
    pub fn builder(url: ServerUrl) -> ClientBuilder {
        ClientBuilder { url, allow_http: false, http: Http::new(DEFAULT_CONNECT_TIMEOUT), proxy: None }
    }

    /// The server's base URL.
    pub fn url(&self) -> &ServerUrl {
        &self.0.url
    }

    /// The login.
    pub fn auth(&self) -> &AuthStore {
        &self.0.auth
    }

    /// How long a connection may take to stand.
    pub fn connect_timeout(&self) -> Duration {
        self.0.settings.connect_timeout
    }

    /// The calls of one collection, by its name or id.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// println!("{} posts", client.collection("posts").count().await?);
    /// # Ok(()) }
    /// ```
    pub fn collection(&self, name: impl Into<String>) -> Collection {
        Collection { client: self.clone(), name: name.into(), mfa_id: None }
    }

    /// A realtime connection with the default settings. Nothing is opened
    /// before the first subscription.
    pub fn realtime(&self) -> crate::Realtime {
        crate::Realtime::builder(self).build()
    }

    /// Asks the server how it is. [`ErrorKind::NotBosBase`] where something
    /// else answers.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::ErrorKind;
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// match client.health().await {
    ///     Ok(()) => println!("up"),
    ///     Err(error) if error.kind() == ErrorKind::NotBosBase => println!("something else: {error}"),
    ///     Err(error) => println!("down: {error}"),
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn health(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Health {
            message: String,
        }
        let stranger = |what: &str| {
            Error::new(
                ErrorKind::NotBosBase,
                format!("{} is not a BosBase server: /api/health answers {what}", self.url()),
            )
        };
        let answer = match self.request(Method::GET, "/api/health", None, Login::No).await {
            Ok(answer) => answer,
            Err(error) if matches!(error.status(), Some(400..=499)) && error.kind() != ErrorKind::RateLimited => {
                return Err(stranger(&format!("with status {}", error.status().unwrap_or_default())));
            }
            Err(error) => return Err(error),
        };
        match serde_json::from_slice::<Health>(&answer.body) {
            Ok(health) if health.message.contains("healthy") => Ok(()),
            Ok(_) => Err(stranger("something else")),
            Err(_) if answer.body.trim_ascii_start().starts_with(b"<") => Err(stranger("with a web page")),
            Err(_) => Err(stranger("something else")),
        }
    }

    /// Which server it is, as far as it shows: BosBase answers at
    /// `/api/pubsub`, PocketBase does not. `None` where neither is clear.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Dialect, ServerKind};
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let dialect = match client.server_kind().await? {
    ///     Some(ServerKind::BosBase) => Dialect::Plain,
    ///     _ => Dialect::Portable,
    /// };
    /// # Ok(()) }
    /// ```
    pub async fn server_kind(&self) -> Result<Option<ServerKind>> {
        match self.request(Method::GET, "/api/pubsub", None, Login::No).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(ServerKind::PocketBase)),
            // A WebSocket was expected there.
            Err(error) if matches!(error.status(), Some(400 | 401 | 403 | 405 | 426)) => Ok(Some(ServerKind::BosBase)),
            Ok(_) => Ok(Some(ServerKind::BosBase)),
            Err(error) if error.status().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// By how much the server's clock is ahead of ours, as far as that shows
    /// (it is heard to the second); `None` before the first answer.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// client.health().await?;
    /// if let Some(ahead) = client.clock_difference() {
    ///     println!("the server's clock is {ahead:#} ahead");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn clock_difference(&self) -> Option<SignedDuration> {
        self.clock().difference(now())
    }

    /// All collections, sorted by name. For superusers only: others get
    /// [`ErrorKind::Unauthorized`] or [`ErrorKind::Forbidden`].
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// for collection in client.collections().await? {
    ///     let fields: Vec<_> = collection.fields.iter().map(|field| field.name.as_str()).collect();
    ///     let who = if collection.list_rule.is_none() { "superusers" } else { "others, too" };
    ///     println!("{} ({}), for {who}: {}", collection.name, collection.kind, fields.join(", "));
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.collections_with("").await
    }

    /// Those whose records never come over the feed.
    pub(crate) async fn views(&self) -> Result<Vec<CollectionInfo>> {
        self.collections_with("&filter=type%3D%22view%22").await
    }

    async fn collections_with(&self, filter: &str) -> Result<Vec<CollectionInfo>> {
        #[derive(Deserialize)]
        struct List {
            items: Vec<CollectionInfo>,
        }
        let mut all = Vec::new();
        for page in 1..=MAX_COLLECTION_PAGES {
            // 1,000 is the server's own limit for a page.
            let path =
                format!("/api/collections?page={page}&perPage=1000&skipTotal=1&sort=name&fields={DESCRIPTION}{filter}");
            let answer = self.request(Method::GET, &path, None, Login::Yes).await?;
            let list: List = answer.json("the list of collections")?;
            let is_last_page = list.items.len() < 1000;
            all.extend(list.items);
            if is_last_page {
                return Ok(all);
            }
        }
        let what = format!("the list of collections has more than {MAX_COLLECTION_PAGES} pages of 1,000");
        Err(Error::new(ErrorKind::TooLarge, what))
    }

    /// Sets what a realtime client is subscribed to.
    ///
    /// Where several nodes share an address, the request may reach another one
    /// than the connection did, which knows nothing of it. So it is tried over
    /// fresh connections. A balancer that counts connections would send each of
    /// them to the node that has fewer: one that is held meanwhile makes them
    /// even, and of two requests then one reaches either node.
    pub(crate) async fn submit(&self, client_id: &str, keys: &[String]) -> Result<()> {
        let body = json!({ "clientId": client_id, "subscriptions": keys });
        let mut http = self.http().clone();
        let mut held = Vec::new();
        for again in 1.. {
            let submitted =
                self.send(&http, REQUEST_TIMEOUT, Method::POST, "/api/realtime", Some(&body), Login::Yes, &[]).await;
            match submitted {
                Err(error) if error.kind() == ErrorKind::NotFound && again < SUBMIT_TRIES => {
                    tracing::debug!(target: "bosbase_watch::http", "the topics reached a node that does not know the connection");
                    http = self.0.settings.client(self.url())?;
                    if again % 2 == 0 {
                        let ballast = http.get(self.url().join("/api/realtime")).timeout(REQUEST_TIMEOUT).send();
                        held.push(ballast.await.ok());
                        http = self.0.settings.client(self.url())?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let what = "does not know the connection that it has just named: another node answers";
                    return Err(Error::new(ErrorKind::WrongNode, format!("{} {what}", self.url())).with_source(error));
                }
                other => return other.map(|_| ()),
            }
        }
        Ok(())
    }

    /// The same client without a login, on the same connections.
    pub(crate) fn anonymous(&self) -> Self {
        let clock = self.clock().clone();
        Self(Arc::new(Inner {
            url: self.0.url.clone(),
            http: self.0.http.clone(),
            auth: AuthStore::default(),
            allow_http: self.0.allow_http,
            settings: self.0.settings.clone(),
            proxy: self.0.proxy.clone(),
            clock: Mutex::new(clock),
        }))
    }

    /// Who is at the other end, for errors.
    pub(crate) fn peer(&self) -> Peer<'_> {
        Peer { url: self.url(), proxy: self.0.proxy.as_deref() }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.0.http
    }

    /// The token, where there is one and it may go to this server.
    pub(crate) fn authorization(&self) -> Result<Option<reqwest::header::HeaderValue>> {
        let Some(token) = self.auth().token() else { return Ok(None) };
        self.check_secrets_may_go()?;
        let mut value = reqwest::header::HeaderValue::from_str(token.expose())
            .map_err(|_| Error::new(ErrorKind::Unauthorized, "the token holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(crate) fn check_secrets_may_go(&self) -> Result<()> {
        let url = self.url();
        // By a proxy elsewhere, not even what is called loopback stays here.
        let leaves = !url.is_https() && self.0.settings.leaves_the_machine();
        if self.0.allow_http || url.may_carry_secrets() && !leaves {
            return Ok(());
        }
        let by = match &self.0.proxy {
            Some(proxy) if leaves => format!(" by the proxy {proxy}"),
            _ => String::new(),
        };
        Err(Error::new(
            ErrorKind::InsecureTransport,
            format!("{url}{by} is plain http to another machine: passwords and tokens could be read on the way"),
        ))
    }

    /// Sets our idea of the server's clock by the `Date` of an answer.
    pub(crate) fn hear_clock(&self, headers: &http::HeaderMap) {
        let date = headers.get(http::header::DATE).and_then(|value| value.to_str().ok());
        let Some(date) = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()) else { return };
        let (date, here) = (date.timestamp(), now());
        // Nobody's clock is that wrong, and sums of it would leave the calendar.
        if date.duration_since(here).abs() <= MOST_WRONG_CLOCK {
            self.clock().hear(date, here);
        }
    }

    pub(crate) fn clock(&self) -> MutexGuard<'_, ServerClock> {
        self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server's clock now. Our own where it was never heard.
    pub(crate) fn server_time(&self) -> Timestamp {
        self.clock().now()
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        login: Login,
    ) -> Result<Answer> {
        self.send(self.http(), self.patience(), method, path, body, login, &[]).await
    }

    /// How long an answer that is no work for the server may take to begin, the connection included: 30 s by default.
    fn patience(&self) -> Duration {
        self.connect_timeout().saturating_mul(2)
    }

    /// `patience`: how long the answer may take to begin.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn send(
        &self,
        http: &reqwest::Client,
        patience: Duration,
        method: Method,
        path: &str,
        body: Option<&Value>,
        login: Login,
        headers: &[(String, String)],
    ) -> Result<Answer> {
        let started = Instant::now();
        let mut request = http.request(method.clone(), self.url().join(path)).timeout(REQUEST_TIMEOUT.max(patience));
        if login == Login::Yes
            && let Some(token) = self.authorization()?
        {
            request = request.header(reqwest::header::AUTHORIZATION, token);
        }
        for (name, value) in headers.iter().filter(|(name, _)| !is_framing(name)) {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(wiped_json(body));
        }
        let told = |error: Error| {
            tracing::debug!(target: "bosbase_watch::http", "{method} {} {:.1}ms: {error}",
                path.split('?').next().unwrap_or(path), started.elapsed().as_secs_f64() * 1e3);
            error
        };
        let failed = |error: reqwest::Error| told(Error::from_transport(&error, self.peer()));
        let late = |_| told(Error::new(ErrorKind::Timeout, format!("{} does not answer in time", self.url().host())));
        let response = tokio::time::timeout(patience, request.send()).await.map_err(late)?.map_err(failed)?;
        let status = response.status();
        self.hear_clock(response.headers());
        let retry_after = retry_after(response.headers());
        let location = redirect_target(status, response.headers());
        not_encoded(self.url(), response.headers())?;
        let is_error = !status.is_success();
        let mut collected = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(failed)?;
            if is_error && collected.len() + chunk.len() > MAX_ERROR_BODY {
                // Its words are not the server's own, then.
                collected.clear();
                break;
            }
            if collected.len() + chunk.len() > MAX_BODY {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    format!(
                        "the answer to {} is larger than {} MB",
                        path.split('?').next().unwrap_or(path),
                        MAX_BODY >> 20
                    ),
                ));
            }
            collected.extend_from_slice(&chunk);
        }
        // What answers a sign-in holds a token.
        let collected = if method == Method::POST { wiped(collected) } else { Bytes::from(collected) };
        tracing::debug!(target: "bosbase_watch::http", "{method} {} {} {:.1}ms",
            path.split('?').next().unwrap_or(path), status.as_u16(), started.elapsed().as_secs_f64() * 1e3);
        if let Some(location) = location {
            return Err(redirected(self.url(), &location));
        }
        if is_error {
            return Err(Error::from_status(status.as_u16(), &collected).with_retry_after(retry_after));
        }
        Ok(Answer { body: collected })
    }
}

/// Bytes that are wiped when the last one has done with them: a password or a token may be in them. The
/// copies that the HTTP client, TLS and the system make on the way are out of reach.
fn wiped(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Zeroizing::new(bytes))
}

fn wiped_json(body: &Value) -> Bytes {
    // With room from the beginning: what is outgrown is left behind as it is.
    let mut bytes = Vec::with_capacity(4096);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => wiped(bytes),
        // Writing to memory cannot fail, and a Value has no keys but strings.
        Err(_) => Bytes::new(),
    }
}

/// Whether a request carries the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Yes,
    No,
}

pub(crate) fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // A server that asks for more than an hour is not obeyed to the letter.
    Some(Duration::from_secs(seconds.min(3600)))
}

pub(crate) fn redirect_target(status: http::StatusCode, headers: &http::HeaderMap) -> Option<String> {
    if !status.is_redirection() {
        return None;
    }
    let location = headers.get(http::header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    Some(location.map_or_else(|| "nowhere".into(), std::borrow::Cow::into_owned))
}

/// An answer is read as it comes. No compression was asked for, and what grows
/// while it is unpacked has no length that could be checked before.
pub(crate) fn not_encoded(url: &ServerUrl, headers: &http::HeaderMap) -> Result<()> {
    let encodings = headers.get_all(http::header::CONTENT_ENCODING).iter();
    let encodings: Vec<_> = encodings.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    if encodings.iter().all(|encoding| encoding.eq_ignore_ascii_case("identity") || encoding.is_empty()) {
        return Ok(());
    }
    let encoding: String = encodings.join(", ").chars().take(40).collect();
    let what = format!("{url} answers compressed ({encoding}), which was not asked for: is a proxy doing that?");
    Err(Error::new(ErrorKind::NotBosBase, what))
}

pub(crate) fn redirected(url: &ServerUrl, location: &str) -> Error {
    // Only its origin is of use to a person, and the rest may hold anything.
    let target = url::Url::parse(location)
        .map_or_else(|_| location.chars().take(100).collect(), |target| target.origin().ascii_serialization());
    Error::new(
        ErrorKind::NotBosBase,
        format!("{url} redirects to {target}: redirects are not followed, since the token must not go elsewhere"),
    )
}

/// The calls of one collection.
///
/// [`Collection::auth_with_password`] and [`Collection::count`] have examples.
#[derive(Debug, Clone)]
pub struct Collection {
    pub(crate) client: Client,
    pub(crate) name: String,
    /// The first factor that was accepted, for sign-ins.
    pub(crate) mfa_id: Option<Secret>,
}

/// The answer to a sign-in, whatever the way.
#[derive(Deserialize)]
pub(crate) struct AuthAnswer {
    pub(crate) token: Secret,
    pub(crate) record: Value,
}

impl Collection {
    /// Renews the token, where it is of the kind that can be renewed, and
    /// proves it valid where not: the server then answers with the same one.
    /// [`ErrorKind::Unauthorized`]: it is expired or revoked.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// // The kept token, of which nobody knows whether it is still good.
    /// let record = client.collection("users").auth_refresh().await?;
    /// println!("still signed in as {}", record["email"]);
    /// # Ok(()) }
    /// ```
    pub async fn auth_refresh(&self) -> Result<Value> {
        let (token, record) = self.refreshed().await?;
        self.client.auth().save(token, Some(record.clone()));
        Ok(record)
    }

    /// The token and record that `auth-refresh` answers with; nothing is kept.
    pub(crate) async fn refreshed(&self) -> Result<(Secret, Value)> {
        let answer = self.client.request(Method::POST, &self.path("/auth-refresh"), None, Login::Yes).await?;
        let AuthAnswer { token, record } = answer.json("the answer to the sign-in")?;
        Ok((token, record))
    }

    /// What [`Client::collections`] tells of this one, for superusers only.
    pub(crate) async fn described(&self) -> Result<CollectionInfo> {
        let path = self.path(&format!("?fields={DESCRIPTION}"));
        let answer = self.client.request(Method::GET, &path, None, Login::Yes).await?;
        answer.json("the description of the collection")
    }

    /// At most one record, with the options of a topic: the only feedback that
    /// the server gives on whether a subscription can deliver.
    pub(crate) async fn probe(&self, topic: Option<&Topic>, extra: &[(&str, &str)]) -> Result<Page> {
        let mut query = vec![("perPage", "1"), ("skipTotal", "1")];
        query.extend(topic.into_iter().flat_map(list_options));
        query.extend(extra);
        let answer = self.get("/records", &query, topic, self.client.patience()).await?;
        answer.json("the list of records")
    }

    /// How many records this login may list.
    pub async fn count(&self) -> Result<u64> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Total {
            total_items: u64,
        }
        let answer = self.get("/records", &[("perPage", "1"), ("fields", "id")], None, REQUEST_TIMEOUT).await?;
        Ok(answer.json::<Total>("the list of records")?.total_items)
    }

    /// A page of records, with the options of a topic.
    pub(crate) async fn list_raw(&self, topic: &Topic, paging: &[(&str, &str)]) -> Result<Bytes> {
        let query: Vec<_> = list_options(topic).chain(paging.iter().copied()).collect();
        Ok(self.get("/records", &query, Some(topic), REQUEST_TIMEOUT).await?.body)
    }

    /// One record, with the options of a topic.
    pub(crate) async fn view(&self, id: &str, topic: Option<&Topic>) -> Result<serde_json::Map<String, Value>> {
        self.view_answer(id, topic).await?.json("the record").map(|Tree(record)| record)
    }

    /// One record as it came.
    pub(crate) async fn view_raw(&self, id: &str, topic: &Topic) -> Result<Bytes> {
        Ok(self.view_answer(id, Some(topic)).await?.body)
    }

    async fn view_answer(&self, id: &str, topic: Option<&Topic>) -> Result<Answer> {
        let query: Vec<_> = topic
            .into_iter()
            .flat_map(Topic::options)
            .filter(|(key, _)| key != "filter") // not an option of a single record
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let path = format!("/records/{}", utf8_percent_encode(id, PATH));
        self.get(&path, &query, topic, self.client.patience()).await
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        topic: Option<&Topic>,
        patience: Duration,
    ) -> Result<Answer> {
        let query: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{}={}", utf8_percent_encode(key, PATH), utf8_percent_encode(value, PATH)))
            .collect();
        // What the rules of a feed read from a topic's headers, REST takes from the request's own.
        let headers = topic.map_or(&[][..], Topic::headers);
        let path = format!("{}?{}", self.path(path), query.join("&"));
        self.client.send(self.client.http(), patience, Method::GET, &path, None, Login::Yes, headers).await
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/collections/{}{rest}", utf8_percent_encode(&self.name, PATH))
    }
}

/// The options of a topic that a list request takes over: the paging is ours,
/// and the server would take the first of two.
fn list_options(topic: &Topic) -> impl Iterator<Item = (&str, &str)> {
    let ours = |key: &str| matches!(key, "page" | "perPage" | "sort" | "skipTotal");
    topic.options().iter().filter(move |(key, _)| !ours(key)).map(|(key, value)| (key.as_str(), value.as_str()))
}

/// The headers that frame a request or lead it elsewhere: those of a topic are
/// for the rules alone.
fn is_framing(name: &str) -> bool {
    const FRAMING: [&str; 10] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
    ];
    let name = name.to_ascii_lowercase();
    FRAMING.contains(&name.as_str()) || name.starts_with("proxy-")
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

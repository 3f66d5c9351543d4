//! OAuth2: with an account elsewhere, in a browser.
//!
//! The server takes the provider's answer and passes it on over the realtime
//! topic `@oauth2`. That needs a connection of its own: its client id is the
//! state of the sign-in, so it is never handed over to another connection.

mod address;
mod loopback;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::OAuth2Provider;
use crate::realtime::Session;
use crate::topic::OAUTH2;
use crate::{Client, Collection, Error, ErrorKind, Result, Secret};
use address::Redirect;
use loopback::Loopback;

/// How long a person has. The server closes a connection that is quiet for longer.
const TIME_LIMIT: Duration = Duration::from_mins(5);

/// Between two attempts to get the connection back.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How often the server may not know a connection that it has just opened: one
/// of several nodes, which share a name and not their connections.
const STRANGERS: u32 = 5;

impl Collection {
    /// Signs in with an account of a provider, and returns the record.
    /// `open` is called with the address of the page to open in a browser; again,
    /// with another, when the connection broke and the first became useless.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let users = client.collection("users");
    /// let record = users.auth_with_oauth2("google", |url| println!("open this page to sign in: {url}")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn auth_with_oauth2(&self, provider: &str, mut open: impl FnMut(&str)) -> Result<Value> {
        let mut sign_in = self.oauth2(provider).start().await?;
        loop {
            open(sign_in.url());
            if let Some(code) = sign_in.wait().await? {
                return sign_in.finish(code).await;
            }
        }
    }

    /// The same with settings, and step by step.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let mut sign_in = client.collection("users").oauth2("google").scopes(["email"]).start().await?;
    /// let code = loop {
    ///     println!("open this page: {}", sign_in.url());
    ///     if let Some(code) = sign_in.wait().await? {
    ///         break code;
    ///     }
    ///     // The connection broke, and there is another page to open.
    /// };
    /// let record = sign_in.finish(code).await?;
    /// # Ok(()) }
    /// ```
    pub fn oauth2(&self, provider: &str) -> OAuth2Builder {
        OAuth2Builder {
            collection: self.clone(),
            provider: provider.to_owned(),
            scopes: Vec::new(),
            loopback: None,
            time_limit: TIME_LIMIT,
        }
    }
}

/// How to sign in with a provider.
///
/// [`Collection::oauth2`] has an example.
#[derive(Debug, Clone)]
pub struct OAuth2Builder {
    collection: Collection,
    provider: String,
    scopes: Vec<String>,
    loopback: Option<u16>,
    time_limit: Duration,
}

impl OAuth2Builder {
    /// What to ask of the provider, instead of what the server asks for.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Takes the answer at `http://127.0.0.1:PORT/oauth2-redirect` and not
    /// through the server, which drops it where the browser has another address
    /// than this program. The provider must know this redirect URL. Port 0 is any
    /// free one.
    pub fn loopback(mut self, port: u16) -> Self {
        self.loopback = Some(port);
        self
    }

    /// How long a person has to complete it: five minutes, if nothing else is said.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Asks the server for the provider, and gets ready for its answer.
    /// [`ErrorKind::NotFound`] where there is no such provider.
    pub async fn start(self) -> Result<OAuth2SignIn> {
        let Self { collection, provider, scopes, loopback, time_limit } = self;
        collection.client.check_secrets_may_go()?;
        let methods = collection.auth_methods().await?.oauth2;
        let names = || methods.providers.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(", ");
        let unknown = if methods.enabled && !methods.providers.is_empty() {
            format!("{} has no provider {provider}: there is {}", collection.name, names())
        } else {
            format!("{} offers no sign-in by OAuth2", collection.name)
        };
        let offered = if methods.enabled { methods.providers } else { Vec::new() };
        let provider = offered
            .into_iter()
            .find(|it| it.name == provider)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, unknown))?;
        let deadline = Instant::now() + time_limit;
        // A login would link the accounts; it has no part in this.
        let client = collection.client.anonymous();
        let receiver = match loopback {
            Some(port) => Receiver::Loopback(Loopback::listen(port).await?),
            None => Receiver::Server(listen(&client).await?),
        };
        let state = match &receiver {
            Receiver::Server(session) => session.client_id().expose().to_owned(),
            _ => random_state()?,
        };
        let mut sign_in = OAuth2SignIn {
            client,
            collection,
            provider,
            scopes,
            receiver,
            deadline,
            time_limit,
            states: Vec::new(),
            url: String::new(),
        };
        sign_in.begin(state)?;
        Ok(sign_in)
    }
}

/// A sign-in that waits for a person, somewhere in a browser.
///
/// [`Collection::oauth2`] has an example.
pub struct OAuth2SignIn {
    /// Without a login.
    client: Client,
    collection: Collection,
    provider: OAuth2Provider,
    scopes: Vec<String>,
    receiver: Receiver,
    deadline: Instant,
    time_limit: Duration,
    /// Of each page that was to be opened, the last one's last.
    states: Vec<String>,
    url: String,
}

/// The provider's answer to a sign-in.
#[derive(Debug)]
pub struct OAuth2Code(Secret);

/// How the answer comes.
enum Receiver {
    Server(Session),
    /// The connection broke.
    Lost,
    Loopback(Loopback),
}

/// What comes over the topic.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: Option<Secret>,
    #[serde(default)]
    error: Option<String>,
}

impl OAuth2SignIn {
    /// The provider's page to open in a browser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the provider sends the browser afterwards: it must be registered there.
    pub fn redirect_url(&self) -> String {
        match &self.receiver {
            Receiver::Loopback(loopback) => loopback.url(),
            Receiver::Server(_) | Receiver::Lost => self.client.url().join("/api/oauth2-redirect"),
        }
    }

    /// The provider.
    pub fn provider(&self) -> &OAuth2Provider {
        &self.provider
    }

    /// Waits for the answer. `None`: the connection broke, and the page to open
    /// is another one now. Safe to cancel and to call again.
    ///
    /// [`ErrorKind::Unauthorized`]: the provider refuses, or the answer is not
    /// to this sign-in. [`ErrorKind::Timeout`]: nobody came in time.
    pub async fn wait(&mut self) -> Result<Option<OAuth2Code>> {
        let (deadline, limit) = (self.deadline, self.time_limit);
        let answered = tokio::time::timeout_at(deadline, self.wait_for_ever()).await;
        answered.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("nobody has completed the sign-in within {} s", limit.as_secs()),
            ))
        })
    }

    async fn wait_for_ever(&mut self) -> Result<Option<OAuth2Code>> {
        loop {
            match &mut self.receiver {
                Receiver::Loopback(loopback) => {
                    let state = self.states.last().map(String::as_str).unwrap_or_default();
                    return loopback.answer(state).await.map(OAuth2Code).map(Some);
                }
                Receiver::Server(session) => match session.next().await {
                    Ok(frame) if frame.key == OAUTH2 => {
                        let answer: Answer = serde_json::from_str(&frame.data).map_err(|_| {
                            Error::new(ErrorKind::NotBosBase, "what comes over @oauth2 is not the answer to a sign-in")
                        })?;
                        let redirect = Redirect {
                            state: Some(answer.state),
                            code: answer.code.filter(|code| !code.is_empty()),
                            error: answer.error.filter(|error| !error.is_empty()),
                        };
                        return redirect.code_for(session.client_id().expose()).map(OAuth2Code).map(Some);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(target: "bosbase_watch::oauth2", "lost: {error}");
                        self.receiver = Receiver::Lost;
                    }
                },
                Receiver::Lost => match listen(&self.client).await {
                    Ok(session) => {
                        let state = session.client_id().expose().to_owned();
                        self.receiver = Receiver::Server(session);
                        self.begin(state)?;
                        return Ok(None);
                    }
                    Err(error) if error.is_transient() || error.kind() == ErrorKind::Closed => {
                        tokio::time::sleep(TRY_AGAIN).await;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    /// Reads an answer that a person has copied from the browser: the whole
    /// address, whose state is checked. Also that of a page opened before the
    /// connection broke.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # fn pasted() -> String { String::new() }
    /// // The browser is on another machine: its address is copied from there.
    /// let sign_in = client.collection("users").oauth2("google").loopback(8123).start().await?;
    /// println!("open {}; the provider knows {}", sign_in.url(), sign_in.redirect_url());
    /// let code = sign_in.read(&pasted())?;
    /// let record = sign_in.finish(code).await?;
    /// # Ok(()) }
    /// ```
    pub fn read(&self, pasted: &str) -> Result<OAuth2Code> {
        let redirect = Redirect::from_pasted(pasted);
        let known = redirect.state.as_ref().and_then(|theirs| self.states.iter().find(|state| *state == theirs));
        let state = known.or(self.states.last()).cloned().unwrap_or_default();
        redirect.code_for(&state).map(OAuth2Code)
    }

    /// Exchanges the answer for a login, which is kept in
    /// [`Client::auth`](Client::auth), and returns its record. The connection is closed.
    pub async fn finish(self, code: OAuth2Code) -> Result<Value> {
        let body = json!({
            "provider": self.provider.name,
            "code": code.0.expose(),
            "codeVerifier": self.provider.code_verifier.expose(),
            "redirectURL": self.redirect_url(),
        });
        let Self { receiver, collection, .. } = self;
        // The server has unsubscribed the topic, and forgets the client with its connection.
        drop(receiver);
        collection.sign_in("/auth-with-oauth2", body).await
    }

    /// From here on the page has this state.
    fn begin(&mut self, state: String) -> Result<()> {
        self.url = address::authorization(self.provider.auth_url(), &state, &self.redirect_url(), &self.scopes)?;
        self.states.push(state);
        Ok(())
    }
}

impl std::fmt::Debug for OAuth2SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its URL holds the state.
        f.debug_struct("OAuth2SignIn").field("provider", &self.provider.name).finish_non_exhaustive()
    }
}

/// Opens a connection that is subscribed to the answer, and to nothing else.
async fn listen(client: &Client) -> Result<Session> {
    let mut strangers = 0;
    loop {
        let session = Session::open(client, client.connect_timeout()).await?;
        match client.submit(session.client_id().expose(), &[OAUTH2.to_owned()]).await {
            Ok(()) => return Ok(session),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongNode) && strangers < STRANGERS =>
            {
                strangers += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A state that nobody can guess.
fn random_state() -> Result<String> {
    let mut bytes = [0; 32];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Network, "this system gives no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

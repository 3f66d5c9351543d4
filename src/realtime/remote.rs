//! The server as the supervisor knows it: what it can be asked, and the clocks.
//!
//! The supervisor knows no other way to the network and the time of day, so
//! tests put a scripted server in the place of the real one, and let hours pass.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::catch_up::{self, Found, Question};
use super::pages::{self, Page, Request};
use super::session::Session;
use crate::auth::{self, AuthStore};
use crate::event::ClientId;
use crate::{Client, Result, ServerUrl, Topic, Verdict};

/// What is under way.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(crate) trait Remote: Send + Sync {
    fn url(&self) -> &ServerUrl;

    fn auth(&self) -> &AuthStore;

    /// Proves the login, and renews it in time. Returns whether it was renewed.
    fn verify(&self) -> Pending<Result<bool>>;

    /// Opens a connection: everything up to its name within the limit.
    fn open(&self, limit: Duration) -> Pending<Result<Session>>;

    /// Sets what a connection is subscribed to.
    fn submit(&self, client: &ClientId, keys: Vec<String>) -> Pending<Result<()>>;

    /// Reads again what changed.
    fn read(&self, question: Question) -> Pending<Result<Found>>;

    /// Asks for a page of records.
    fn page(&self, request: Request) -> Pending<Result<Page>>;

    /// Asks why topics would stay silent.
    fn check(&self, topics: Vec<Topic>) -> Pending<Result<Vec<Verdict>>>;

    /// This machine's time of day, which sleeps and settings change.
    fn now(&self) -> Timestamp;

    /// The server's clock at a past moment of ours. Our own where it was never heard.
    fn server_time_at(&self, moment: Instant) -> Timestamp;
}

impl Remote for Client {
    fn url(&self) -> &ServerUrl {
        self.url()
    }

    fn auth(&self) -> &AuthStore {
        self.auth()
    }

    fn verify(&self) -> Pending<Result<bool>> {
        let client = self.clone();
        Box::pin(async move { auth::verify(&client).await })
    }

    fn open(&self, limit: Duration) -> Pending<Result<Session>> {
        let client = self.clone();
        Box::pin(async move { Session::open(&client, limit).await })
    }

    fn submit(&self, client: &ClientId, keys: Vec<String>) -> Pending<Result<()>> {
        let (this, client) = (self.clone(), client.clone());
        Box::pin(async move { this.submit(client.expose(), &keys).await })
    }

    fn read(&self, question: Question) -> Pending<Result<Found>> {
        let client = self.clone();
        Box::pin(async move { catch_up::read(&client, question).await })
    }

    fn page(&self, request: Request) -> Pending<Result<Page>> {
        let client = self.clone();
        Box::pin(async move { pages::fetch(&client, request).await })
    }

    fn check(&self, topics: Vec<Topic>) -> Pending<Result<Vec<Verdict>>> {
        let client = self.clone();
        Box::pin(async move { client.check(&topics).await })
    }

    fn now(&self) -> Timestamp {
        crate::now()
    }

    fn server_time_at(&self, moment: Instant) -> Timestamp {
        self.clock().at(moment)
    }
}

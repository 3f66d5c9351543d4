//! Watching the realtime feeds of a [BosBase](https://github.com/bosbase) or
//! PocketBase server.
//!
//! ```no_run
//! use bosbase_watch::{Client, Event, Topic, filter};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> bosbase_watch::Result<()> {
//! let client = Client::new("http://127.0.0.1:8090")?;
//! client.collection("users").auth_with_password("ann@example.com", "secret".to_owned()).await?;
//!
//! let open = Topic::collection("posts")
//!     .filter(filter("status = {:status}", &[("status", "open".into())])?)
//!     .expand("author");
//! let mut feed = client.realtime().subscribe(open).await?;
//! while let Some(event) = feed.next().await {
//!     match event? {
//!         Event::Record(change) => println!("{} {}", change.action(), change.json()),
//!         Event::Disconnected(lost) => eprintln!("lost: {}", lost.detail),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! - [`Client`]: the server, the login ([`AuthStore`]), REST calls.
//! - [`Topic`]: what to subscribe to; [`filter()`] binds values safely.
//! - [`Realtime`]: the connection, opened and reopened by itself; [`Subscription`]: a stream of [`Event`]s.
//! - [`Error`]: what went wrong, with its [`ErrorKind`].
//!
//! The library prints nothing, exits nowhere, and reads neither the
//! environment nor a home directory. It runs on tokio.

#![forbid(unsafe_code)]
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod api;
mod auth;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod check;
mod error;
mod event;
mod filter;
mod hash;
mod http;
mod json;
mod realtime;
mod secret;
mod server_clock;
mod server_url;
mod sign_in;
mod tls;
mod topic;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub(crate) use api::now;
pub use api::{Client, ClientBuilder, Collection, CollectionInfo, DEFAULT_CONNECT_TIMEOUT, FieldInfo, ServerKind};
pub use auth::{AuthStore, Claims, Keeper, Kept, Locked, Pending};
pub use check::{Severity, Verdict};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    Account, Action, Cause, ClientId, Connected, Deletes, Disconnected, Event, Gap, Listing, Live, MessageEvent,
    Progress, RecordEvent, Refreshed, Source, Subscribed, Warning,
};
pub use filter::{Dialect, FilterValue, filter, filter_in};
pub use realtime::{Mark, Realtime, RealtimeBuilder, Start, Subscription, SubscriptionBuilder, Topics};
pub use secret::Secret;
pub use server_url::{DEFAULT_URL, ServerUrl};
pub use sign_in::{
    AuthMethods, Mfa, OAuth2Builder, OAuth2Code, OAuth2Methods, OAuth2Provider, OAuth2SignIn, OtpId, OtpMethod,
    PasswordMethod,
};
pub use topic::{MAX_KEY_BYTES, MAX_TOPICS, PB_CONNECT, Topic, TopicKind, is_record_id};

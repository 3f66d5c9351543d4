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
//!
//! # What it does that the SDKs do not
//!
//! - A connection is replaced before the server closes it, and what a lost one
//!   made miss is listed and delivered, marked [`RecordEvent::is_replayed`]. What
//!   cannot be read again is told by [`Event::Gap`].
//! - Topics are checked ([`Client::check`]): the server takes any topic and any
//!   filter without a word.
//! - A token is renewed in time, checked with each connection, and never
//!   presented expired: the server would take its owner for a guest.
//!
//! # Coming from another client
//!
//! | JavaScript | Python | here |
//! |---|---|---|
//! | `new PocketBase(url)` | `BosBase(url)` | [`Client::new`] |
//! | `pb.collection(c).authWithPassword(i, p)` | `pb.collection(c).auth_with_password(i, p)` | [`Collection::auth_with_password`] |
//! | `.authWithOTP(id, code)` | `.auth_with_otp(id, code)` | [`Collection::auth_with_otp`] |
//! | `.authWithOAuth2({provider})` | `.auth_with_oauth2(provider, …)` | [`Collection::oauth2`] |
//! | – | `.auth_with_token(token)` | [`Collection::auth_with_bound_token`] |
//! | `pb.authStore.save(token, record)` | `pb.auth_store.save(token, record)` | [`AuthStore::save`] |
//! | `pb.authStore.isValid`, `.record`, `.clear()` | `.is_valid()`, `.record`, `.clear()` | [`AuthStore::is_valid`], [`AuthStore::record`], [`AuthStore::clear`] |
//! | `pb.filter("a = {:b}", {b})` | `pb.filter("a = {:b}", {"b": b})` | [`filter()`] |
//! | `pb.collection("posts").subscribe("*", f, {filter, expand, …})` | `pb.collection("posts").subscribe("*", f, …)` | [`Topic::collection`] and [`Realtime::subscribe`] |
//! | `pb.collection("posts").subscribe(id, f)` | the same | [`Topic::record`] |
//! | `pb.realtime.subscribe("jobs/finished", f)` | the same | [`Topic::custom`] |
//! | the function that `subscribe` returns | the same | dropping the [`Subscription`] |
//! | `pb.realtime.unsubscribe(topic)` | the same | [`Realtime::unsubscribe`] |
//! | `pb.realtime.unsubscribeByPrefix(p)` | `.unsubscribe_by_prefix(p)` | [`Realtime::unsubscribe_prefix`] |
//! | `pb.realtime.unsubscribe()` | the same | [`Realtime::unsubscribe_all`] |
//! | `pb.realtime.subscribe("PB_CONNECT", f)` | the same | [`Event::Connected`], or the topic [`PB_CONNECT`] |
//! | `pb.realtime.onDisconnect = f` | `pb.realtime.on_disconnect = f` | [`Event::Disconnected`] |
//! | `ClientResponseError.status` | the same | [`Error::status`], [`Error::kind`] |
//!
//! Callbacks become one stream: what the others call `f` with are the items of
//! [`Subscription::next`], in order, with what happens to the connection between
//! them.

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
mod stamp;
mod text;
mod tls;
mod topic;
mod tree;

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

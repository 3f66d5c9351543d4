//! Where a client keeps its login.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::{Claims, Keeper, Kept};
use crate::event::Account;
use crate::{Secret, now};

/// The login of a client: shared by its clones, and by the realtime
/// connection, which uses what stands here at each request.
///
/// ```
/// use bosbase_watch::{Client, Secret};
///
/// let client = Client::new("http://127.0.0.1:8090")?;
/// assert!(!client.auth().is_valid());
/// client.auth().save(Secret::new("a token"), None);
/// // A token that is not a JWT cannot be judged here: only the server knows.
/// assert!(client.auth().is_valid());
/// client.auth().clear();
/// assert!(client.auth().token().is_none());
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuthStore(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    token: Option<Secret>,
    record: Option<Value>,
    /// When the server last said that the token is good.
    proved: Option<Instant>,
    keeper: Option<Arc<dyn Keeper>>,
}

impl AuthStore {
    /// Keeps a token, and the auth record it belongs to where that is known.
    pub fn save(&self, token: Secret, record: Option<Value>) {
        let mut state = self.write();
        state.token = Some(token).filter(|token| !token.is_empty());
        state.record = record;
        state.proved = None;
    }

    /// Where renewed tokens are kept from here on, and where those that other
    /// processes have renewed are found. A login itself is not kept by this:
    /// whoever signs in knows where.
    ///
    /// [`Keeper`] has an example.
    pub fn keep_in(&self, keeper: Arc<dyn Keeper>) {
        self.write().keeper = Some(keeper);
    }

    pub(crate) fn keeper(&self) -> Option<Arc<dyn Keeper>> {
        self.read().keeper.clone()
    }

    /// Takes over what another process keeps, unless another login was put in
    /// the place of the old one meanwhile.
    pub(crate) fn adopt(&self, old: &Secret, kept: Kept) -> bool {
        let mut state = self.write();
        let is_the_old_one = state.token.as_ref() == Some(old);
        if is_the_old_one {
            state.token = Some(kept.token);
            state.record = kept.record.or(state.record.take());
            state.proved = None;
        }
        is_the_old_one
    }

    /// How long ago the server accepted the token. A proof serves once.
    pub(crate) fn take_proof(&self) -> Option<Duration> {
        Some(self.write().proved.take()?.elapsed())
    }

    /// Takes over what the server says of a token, unless another one was put
    /// in its place meanwhile; and that it is good.
    pub(crate) fn replace(&self, old: &Secret, token: Secret, record: Value) {
        let mut state = self.write();
        if state.token.as_ref() == Some(old) {
            state.token = Some(token);
            state.record = Some(record);
            state.proved = Some(Instant::now());
        }
    }

    /// Forgets the login.
    pub fn clear(&self) {
        let mut state = self.write();
        *state = State { keeper: state.keeper.take(), ..State::default() };
    }

    /// The token.
    pub fn token(&self) -> Option<Secret> {
        self.read().token.clone()
    }

    /// The auth record, as the server sent it with the token.
    pub fn record(&self) -> Option<Value> {
        self.read().record.clone()
    }

    /// Whether there is a token that is not expired by this machine's clock.
    pub fn is_valid(&self) -> bool {
        match self.token() {
            None => false,
            Some(token) => Claims::read(&token).is_none_or(|claims| !claims.is_expired_at(now())),
        }
    }

    /// In how long a token that can be renewed should be: when a fifth of the
    /// life that it has now is left.
    pub(crate) fn renew_in(&self, server_time: Timestamp) -> Option<Duration> {
        let claims = self.claims().filter(|claims| claims.refreshable)?;
        let left = Duration::try_from(claims.expires()?.duration_since(server_time)).ok()?;
        Some(left.saturating_sub(left / 5))
    }

    /// What the token says of itself.
    pub fn claims(&self) -> Option<Claims> {
        Claims::read(&self.token()?)
    }

    /// When the token expires, where it says so.
    pub fn expires(&self) -> Option<Timestamp> {
        self.claims()?.expires()
    }

    /// Whether the login is a superuser's. False where the record is not known.
    pub fn is_superuser(&self) -> bool {
        self.read().record.as_ref().and_then(|record| record.get("collectionName")?.as_str()) == Some("_superusers")
    }

    /// Whom the login belongs to, as far as it is known.
    ///
    /// ```
    /// use bosbase_watch::{Client, Secret};
    ///
    /// let client = Client::new("http://127.0.0.1:8090")?;
    /// assert!(client.auth().account().is_none());
    /// let record = serde_json::json!({"id": "4m7q2z8k1c5v9x3", "collectionName": "users", "email": "ann@example.com"});
    /// client.auth().save(Secret::new("a token"), Some(record));
    /// let account = client.auth().account().unwrap();
    /// assert_eq!((account.collection.as_str(), account.name.as_deref()), ("users", Some("ann@example.com")));
    /// assert!(!client.auth().is_superuser());
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn account(&self) -> Option<Account> {
        let state = self.read();
        let token = state.token.as_ref()?;
        let claims = Claims::read(token);
        let text = |key: &str| {
            let text = state.record.as_ref()?.get(key)?.as_str()?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        Some(Account {
            id: text("id").or_else(|| Some(claims.as_ref()?.id.clone())).unwrap_or_default(),
            collection: text("collectionName")
                .or_else(|| Some(claims.as_ref()?.collection_id.clone()))
                .unwrap_or_default(),
            name: text("email").or_else(|| text("username")).or_else(|| text("name")),
            expires: claims.and_then(|claims| claims.expires()),
        })
    }

    // A thread that panicked while it held the lock left whole values behind.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

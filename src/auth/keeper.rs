//! Where a login is kept between runs, together with other processes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use super::Claims;
use crate::Secret;

/// A place that several processes keep one login in: a file, a keyring.
///
/// A token that ends soon is renewed by whoever comes first, and the others
/// take over what they find: before a token is used it is compared with the one
/// that is kept, and a renewal is done under a lock, if it is still needed then.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use bosbase_watch::{Client, Keeper, Kept, Locked, Pending, Secret};
///
/// /// For the clients of one process. Between processes it would be a file and its lock.
/// #[derive(Debug, Clone, Default)]
/// struct Shared(Arc<Mutex<Option<Kept>>>);
///
/// impl Keeper for Shared {
///     fn read(&self) -> Option<Kept> {
///         self.0.lock().ok()?.clone()
///     }
///     fn lock(&self) -> Pending<'_, Option<Box<dyn Locked>>> {
///         Box::pin(async { Some(Box::new(self.clone()) as _) })
///     }
/// }
///
/// impl Locked for Shared {
///     fn kept(&self) -> Option<Kept> {
///         self.read()
///     }
///     fn write(self: Box<Self>, old: &Secret, login: Kept) {
///         if let Ok(mut kept) = self.0.lock()
///             && kept.as_ref().is_some_and(|kept| kept.token == *old)
///         {
///             *kept = Some(login);
///         }
///     }
/// }
///
/// let (shared, client) = (Shared::default(), Client::new("http://127.0.0.1:8090")?);
/// client.auth().keep_in(Arc::new(shared));
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
pub trait Keeper: fmt::Debug + Send + Sync {
    /// What is kept for this login's server, read without a lock.
    fn read(&self) -> Option<Kept>;

    /// Waits for the lock, for as long as is sensible, and reads again. `None`
    /// where it cannot be had: the token is then renewed in memory only.
    fn lock(&self) -> Pending<'_, Option<Box<dyn Locked>>>;
}

/// The lock of a [`Keeper`], held until it is dropped.
pub trait Locked: Send + Sync {
    /// What is kept.
    fn kept(&self) -> Option<Kept>;

    /// Keeps a renewed login in the place of the token that it was renewed from,
    /// and gives up the lock. Where it cannot be kept, that is the keeper's to
    /// tell: the login goes on.
    fn write(self: Box<Self>, old: &Secret, login: Kept);
}

/// What a [`Keeper`] takes its time for.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A login as it is kept.
///
/// [`Keeper`] has an example.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The token.
    pub token: Secret,
    /// The auth record, where it is known.
    pub record: Option<Value>,
}

impl Kept {
    /// Whether it is of the same account as this token, and lasts longer.
    pub(crate) fn renews(&self, old: &Secret) -> bool {
        self.claims_of_the_same(old).is_some_and(|(new, old)| new.exp > old.exp)
    }

    /// Whether it is another token of the same account.
    pub(super) fn replaces(&self, old: &Secret) -> bool {
        self.token != *old && self.claims_of_the_same(old).is_some()
    }

    fn claims_of_the_same(&self, old: &Secret) -> Option<(Claims, Claims)> {
        let (new, old) = (Claims::read(&self.token)?, Claims::read(old)?);
        (new.collection_id == old.collection_id && new.id == old.id).then_some((new, old))
    }
}

//! A profile's login while it is in use: what one process renews, all have.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use super::credentials::{self, Credential, Credentials};
use super::{Store, files};
use crate::{Keeper, Kept, Locked, Pending, Secret};

/// Why a renewed token could not be kept, until somebody tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unkept(Arc<Mutex<Option<String>>>);

impl Unkept {
    /// What is to be told, once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: &anyhow::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error:#}"));
    }
}

/// Keeps a profile's login for one server.
#[derive(Debug, Clone)]
pub(crate) struct ProfileKeeper {
    store: Store,
    profile: String,
    origin: String,
    unkept: Unkept,
}

impl ProfileKeeper {
    pub(crate) fn new(store: &Store, profile: &str, origin: &str, unkept: &Unkept) -> Self {
        Self { store: store.clone(), profile: profile.to_owned(), origin: origin.to_owned(), unkept: unkept.clone() }
    }

    fn kept_in(&self, credentials: &Credentials) -> Option<Kept> {
        let credential = credentials.profiles.get(&self.profile)?;
        (credential.origin == self.origin).then(|| credential.kept())
    }
}

impl Keeper for ProfileKeeper {
    fn read(&self) -> Option<Kept> {
        // A file that cannot be read is no reason to stop a watch.
        self.kept_in(&credentials::read(&self.store.credentials_path()).ok()?)
    }

    fn lock(&self) -> Pending<'_, Option<Box<dyn Locked>>> {
        Box::pin(async {
            let locked = async {
                let lock = files::lock_soon(&self.store.lock_path()).await?;
                let credentials = credentials::read(&self.store.credentials_path())?;
                anyhow::Ok(LockedProfile { keeper: self.clone(), credentials, _lock: lock })
            };
            match locked.await {
                Ok(locked) => Some(Box::new(locked) as _),
                Err(error) => {
                    self.unkept.set(&error);
                    None
                }
            }
        })
    }
}

/// What stood in the file when the lock was taken.
struct LockedProfile {
    keeper: ProfileKeeper,
    credentials: Credentials,
    _lock: File,
}

impl Locked for LockedProfile {
    fn kept(&self) -> Option<Kept> {
        self.keeper.kept_in(&self.credentials)
    }

    /// Only where the profile still has the token that was renewed, or one of the
    /// same account that ends sooner: somebody may have signed out, or in as
    /// somebody else.
    fn write(mut self: Box<Self>, old: &Secret, login: Kept) {
        let keeper = &self.keeper;
        let Some(credential) = self.credentials.profiles.get_mut(&keeper.profile) else { return };
        if credential.origin != keeper.origin || !(credential.token == *old || login.renews(&credential.token)) {
            return;
        }
        *credential = Credential::new(&keeper.origin, login);
        let path = keeper.store.credentials_path();
        if let Err(error) = self.credentials.to_bytes().and_then(|bytes| files::write(&path, &bytes)) {
            keeper.unkept.set(&error);
        }
    }
}

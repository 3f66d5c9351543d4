//! Proving a token valid before it is relied on.
//!
//! The server takes an expired or revoked token for a guest without a word,
//! and a guest's feed is silent. `auth-refresh` is the one request that tells.

use std::time::Duration;

use super::{Claims, Keeper, Kept};
use crate::{Client, Error, ErrorKind, Result, Secret};

/// What is left of a token's life when it is renewed: PocketBase's last five
/// days, a superuser's one, so there is no hurry, and every renewal has to be kept.
const RENEW_BELOW_SECONDS: i64 = 12 * 60 * 60;

/// A proof this young is not asked for again, once: the check of the topics and
/// the connection follow each other at once.
const PROOF_LASTS: Duration = Duration::from_secs(5);

/// Where every server has accounts.
const SUPERUSERS: &str = "_superusers";

/// How many collections are asked about a token that does not name its own.
const OPAQUE_TRIES: u32 = 3;

/// Asks the server whether the token is valid, and takes over the new one
/// where the old one has not long to live. Returns whether it is another one now:
/// renewed here, or by another process that keeps it in the same place.
///
/// [`ErrorKind::Unauthorized`] where it is not valid. A server that cannot be
/// asked is that error; no login at all is no error.
pub(crate) async fn verify(client: &Client) -> Result<bool> {
    let auth = client.auth();
    let Some(ours) = auth.token() else { return Ok(false) };
    let keeper = auth.keeper();
    let kept = || keeper.as_ref().and_then(|keeper| keeper.read());
    let mut is_new = kept().is_some_and(|kept| kept.renews(&ours) && auth.adopt(&ours, kept));
    match prove(client, keeper.as_deref(), &mut is_new).await {
        // Whoever signed in again meanwhile may have a token that does not last longer, but is good.
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            let Some(refused) = auth.token() else { return Err(error) };
            match kept() {
                Some(kept) if kept.replaces(&refused) => {
                    auth.adopt(&refused, kept);
                    prove(client, keeper.as_deref(), &mut is_new).await.map(|()| true)
                }
                _ => Err(error),
            }
        }
        proved => proved.map(|()| is_new),
    }
}

/// Proves the token at hand, and renews it where it is time.
async fn prove(client: &Client, keeper: Option<&dyn Keeper>, is_new: &mut bool) -> Result<()> {
    let auth = client.auth();
    let Some(mut token) = auth.token() else { return Ok(()) };
    let Some(mut claims) = Claims::read(&token) else { return prove_opaque(client, &token).await };
    // By the server's clock; ours is only asked before that was heard.
    let server_time = || client.server_time();
    if claims.is_expired_at(server_time()) {
        client.health().await?;
        if claims.is_expired_at(server_time()) {
            return Err(refused("the login has expired"));
        }
    }
    if auth.take_proof().is_some_and(|ago| ago < PROOF_LASTS) {
        return Ok(());
    }
    let is_due = |claims: &Claims| {
        let left = claims.expires().map_or(i64::MAX, |expires| expires.as_second() - server_time().as_second());
        claims.refreshable && left < RENEW_BELOW_SECONDS
    };
    let mut locked = None;
    loop {
        // Only one of those who share the login renews it: the next one finds it done.
        if let (true, None, Some(keeper)) = (is_due(&claims), &locked, keeper) {
            locked = Some(keeper.lock().await);
            let kept = locked.as_ref().and_then(Option::as_ref).and_then(|locked| locked.kept());
            if let Some(kept) = kept.filter(|kept| kept.renews(&token))
                && let Some(new) = Claims::read(&kept.token)
                && auth.adopt(&token, kept.clone())
            {
                // It is proved before anybody renews it again, and not renewed here.
                (token, claims, *is_new) = (kept.token, new, true);
                claims.refreshable = false;
            }
        }
        let (new, record) = client.collection(&claims.collection_id).refreshed().await.map_err(in_words)?;
        let renew = is_due(&claims);
        if renew && locked.is_none() && keeper.is_some() {
            // The server's clock was heard only now.
            continue;
        }
        // The old token stays valid until its end.
        let next = if renew { new } else { token.clone() };
        *is_new |= renew;
        auth.replace(&token, next.clone(), record.clone());
        if let (true, Some(Some(locked))) = (renew, locked) {
            locked.write(&token, Kept { token: next, record: Some(record) });
        }
        return Ok(());
    }
}

/// Proves a token that says nothing of itself, such as the key of a hook or of a gateway: the
/// server alone knows whose it is. Asked at another collection than its own, it names the right one.
async fn prove_opaque(client: &Client, token: &Secret) -> Result<()> {
    let auth = client.auth();
    if auth.take_proof().is_some_and(|ago| ago < PROOF_LASTS) {
        return Ok(());
    }
    let known = auth.record().and_then(|record| Some(record.get("collectionName")?.as_str()?.to_owned()));
    // The one collection that every server has.
    let mut collection = known.unwrap_or_else(|| SUPERUSERS.to_owned());
    for _ in 0..OPAQUE_TRIES {
        let error = match client.collection(&collection).refreshed().await {
            Ok((_, record)) => {
                auth.replace(token, token.clone(), record);
                return Ok(());
            }
            Err(error) => error,
        };
        collection = match (error.kind(), error.server_message().and_then(owner)) {
            (ErrorKind::Forbidden, Some(owner)) => owner.to_owned(),
            // The collection that it was of is gone, or has another name.
            (ErrorKind::NotFound, _) if collection != SUPERUSERS => SUPERUSERS.to_owned(),
            // It cannot even be sent.
            (ErrorKind::Unauthorized, _) if error.status().is_none() => return Err(error),
            (ErrorKind::Unauthorized, _) => return Err(refused("the server does not accept the token")),
            _ => return Err(in_words(error)),
        };
    }
    Err(refused("the server does not say whose the token is"))
}

/// Of which collection the server says that a token is.
fn owner(message: &str) -> Option<&str> {
    message.strip_prefix("The request requires auth record from ")?.strip_suffix(" collection.")
}

/// Why the server does not accept the token.
fn in_words(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unauthorized => refused("the server no longer accepts the login"),
        ErrorKind::NotFound => refused("the login belongs to another server, or to a collection that is gone"),
        ErrorKind::Forbidden => refused(error.server_message().map_or_else(
            || "the server refuses the login".into(),
            |said| format!("the server refuses the login: {said}"),
        )),
        _ => error,
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, why)
}

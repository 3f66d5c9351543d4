//! Proving a token valid before it is relied on.
//!
//! The server takes an expired or revoked token for a guest without a word,
//! and a guest's feed is silent. `auth-refresh` is the one request that tells.

use std::time::Duration;

use super::Claims;
use crate::{Client, Error, ErrorKind, Result};

/// What is left of a token's life when it is renewed: PocketBase's last five
/// days, a superuser's one, so there is no hurry, and every renewal has to be kept.
const RENEW_BELOW_SECONDS: i64 = 12 * 60 * 60;

/// A proof this young is not asked for again, once: the check of the topics and
/// the connection follow each other at once.
const PROOF_LASTS: Duration = Duration::from_secs(5);

/// Asks the server whether the token is valid, and takes over the new one
/// where the old one has not long to live. Returns whether it was renewed.
///
/// [`ErrorKind::Unauthorized`] where it is not valid. A server that cannot be
/// asked is that error; no login at all is no error.
pub(crate) async fn verify(client: &Client) -> Result<bool> {
    let Some(token) = client.auth().token() else { return Ok(false) };
    // A token that is not a server's JWT does not name its collection, and cannot be asked about.
    let Some(claims) = Claims::read(&token) else {
        return Err(refused("the token is not one that a BosBase server issues"));
    };
    // By the server's clock; ours is only asked before that was heard.
    if claims.is_expired_at(client.server_time()) {
        client.health().await?;
        if claims.is_expired_at(client.server_time()) {
            return Err(refused("the login has expired"));
        }
    }
    if client.auth().take_proof().is_some_and(|ago| ago < PROOF_LASTS) {
        return Ok(false);
    }
    match client.collection(&claims.collection_id).refreshed().await {
        Ok((new, record)) => {
            let left =
                claims.expires().map_or(i64::MAX, |expires| expires.as_second() - client.server_time().as_second());
            let renew = claims.refreshable && left < RENEW_BELOW_SECONDS;
            // The old token stays valid until its end.
            let next = if renew { new } else { token.clone() };
            client.auth().replace(&token, next, record);
            Ok(renew)
        }
        Err(error) => match error.kind() {
            ErrorKind::Unauthorized => Err(refused("the server no longer accepts the login")),
            ErrorKind::NotFound => Err(refused("the login belongs to another server, or to a collection that is gone")),
            ErrorKind::Forbidden => Err(refused(error.server_message().map_or_else(
                || "the server refuses the login".into(),
                |said| format!("the server refuses the login: {said}"),
            ))),
            _ => Err(error),
        },
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, why)
}

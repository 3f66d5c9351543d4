//! What a token says of itself. The server alone can say whether it is valid.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

use crate::Secret;

/// The claims of a server's token (a JWT, HS256).
///
/// ```
/// use bosbase_watch::{Claims, Secret};
///
/// let token = Secret::new("e30.eyJpZCI6IjRtN3EyejhrMWM1djl4MyIsImNvbGxlY3Rpb25JZCI6ImMxIiwiZXhwIjo0MTAyNDQ0ODAwLCJ0eXBlIjoiYXV0aCIsInJlZnJlc2hhYmxlIjp0cnVlfQ.c2ln");
/// let claims = Claims::read(&token).unwrap();
/// assert_eq!((claims.id.as_str(), claims.refreshable), ("4m7q2z8k1c5v9x3", true));
/// assert_eq!(claims.expires().unwrap().to_string(), "2100-01-01T00:00:00Z");
/// assert!(Claims::read(&Secret::new("no JWT")).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Claims {
    /// The auth record's id.
    pub id: String,
    /// The id of its collection.
    pub collection_id: String,
    /// When it expires, in seconds since 1970. BosBase's live for a hundred years.
    #[serde(default)]
    pub exp: Option<i64>,
    /// Whether the server renews it. BosBase's and impersonation tokens: no.
    #[serde(default)]
    pub refreshable: bool,
    /// Only `auth` signs in.
    #[serde(default, rename = "type")]
    pub kind: String,
}

impl Claims {
    /// Reads a token. `None` for one that is not a JWT of such a server: that
    /// says nothing about its validity.
    pub fn read(token: &Secret) -> Option<Self> {
        let mut parts = token.expose().split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// When it expires; `None` where it does not say or is out of range.
    pub fn expires(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.exp?).ok()
    }

    /// Whether it is expired at this moment. One without an `exp` never is.
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn reads_what_servers_issue() {
        let claims = Claims::read(&token(
            r#"{"collectionId":"_pb_users_auth_","exp":4935082143,"id":"abc","refreshable":false,"type":"auth"}"#,
        ))
        .unwrap();
        assert_eq!((claims.id.as_str(), claims.exp, claims.refreshable), ("abc", Some(4_935_082_143), false));
        assert!(!claims.is_expired_at(Timestamp::from_second(4_935_082_142).unwrap()));
        assert!(claims.is_expired_at(Timestamp::from_second(4_935_082_143).unwrap()));
    }

    #[test]
    fn anything_else_is_none() {
        for junk in ["", "a.b", "a.b.c", "e30.e30.e30", "…….……..", "a.!!!.c"] {
            assert_eq!(Claims::read(&Secret::new(junk)), None, "{junk}");
        }
    }
}

//! Signing in: a file for each way. All of them end in [`Collection::sign_in`],
//! which keeps the login.

mod bound_token;
mod methods;
mod oauth2;
mod otp;
mod password;

use reqwest::Method;
use serde_json::{Value, json};
use zeroize::Zeroize as _;

use crate::api::{AuthAnswer, Login};
use crate::{Client, Collection, Result, Secret};

pub use methods::{AuthMethods, Mfa, OAuth2Methods, OAuth2Provider, OtpMethod, PasswordMethod};
pub use oauth2::{OAuth2Builder, OAuth2Code, OAuth2SignIn};
pub use otp::OtpId;

impl Collection {
    /// The same collection for the second factor: whatever sign-in follows is
    /// sent together with the first one, which was answered with
    /// [`ErrorKind::MfaRequired`](crate::ErrorKind::MfaRequired). The server
    /// asks for another method than the first; the order is free.
    ///
    /// ```no_run
    /// # async fn f(code: String) -> bosbase_watch::Result<()> {
    /// use bosbase_watch::{Client, ErrorKind};
    ///
    /// let client = Client::new("https://api.example.com")?;
    /// let users = client.collection("users");
    /// match users.auth_with_password("ann@example.com", "secret".to_owned()).await {
    ///     Err(error) if error.kind() == ErrorKind::MfaRequired => {
    ///         let otp = users.request_otp("ann@example.com").await?;
    ///         // … and when the code has come by e-mail:
    ///         users.second_factor(error.mfa_id().unwrap_or_default()).auth_with_otp(&otp, code).await?;
    ///     }
    ///     other => drop(other?),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn second_factor(&self, mfa_id: &str) -> Self {
        Self { mfa_id: Some(Secret::new(mfa_id)), ..self.clone() }
    }

    /// Sends a sign-in and keeps the login that it brings.
    async fn sign_in(&self, way: &str, mut body: Value) -> Result<Value> {
        self.client.check_secrets_may_go()?;
        if let Some(mfa_id) = &self.mfa_id {
            body["mfaId"] = json!(mfa_id.expose());
        }
        // Without the present login: the server would link the two accounts.
        let answer = self.client.request(Method::POST, &self.path(way), Some(&body), Login::No).await;
        wipe(&mut body);
        let AuthAnswer { token, record } = answer?.json("the answer to the sign-in")?;
        self.client.auth().save(token, Some(record.clone()));
        Ok(record)
    }
}

/// A password, a code or a token stands in it in clear.
fn wipe(body: &mut Value) {
    for value in body.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        if let Value::String(text) = value {
            text.zeroize();
        }
    }
}

impl Client {
    /// Signs in with a token that was issued elsewhere, such as one for
    /// impersonation, and returns its record. The server is asked whether it is
    /// good; one that is not leaves the present login as it is.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # fn token() -> String { String::new() }
    /// let record = client.sign_in_with_token(token()).await?;
    /// println!("signed in as {}", record["email"]);
    /// # Ok(()) }
    /// ```
    pub async fn sign_in_with_token(&self, token: impl Into<Secret>) -> Result<Value> {
        let (before, record) = (self.auth().token(), self.auth().record());
        self.auth().save(token.into(), None);
        let proved = crate::auth::verify(self).await;
        match (proved, self.auth().record()) {
            (Ok(_), Some(record)) => Ok(record),
            (proved, _) => {
                match before {
                    Some(before) => self.auth().save(before, record),
                    None => self.auth().clear(),
                }
                // Without a record there was no token.
                Err(proved
                    .err()
                    .unwrap_or_else(|| crate::Error::new(crate::ErrorKind::Unauthorized, "the token is empty")))
            }
        }
    }
}

//! A one-time code, which comes by e-mail.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Login;
use crate::{Collection, Result, Secret};

/// The server's name for a code that it has sent.
///
/// [`Collection::request_otp`] has an example.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtpId {
    otp_id: Secret,
}

impl Collection {
    /// Asks the server to send a one-time code by e-mail. It answers the same
    /// whether or not it knows the address: to nobody else's knowledge.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// # fn ask() -> String { String::new() }
    /// let users = client.collection("users");
    /// let otp = users.request_otp("ann@example.com").await?;
    /// users.auth_with_otp(&otp, ask()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn request_otp(&self, email: &str) -> Result<OtpId> {
        let path = self.path("/request-otp");
        let body = json!({ "email": email });
        let answer = self.client.request(Method::POST, &path, Some(&body), Login::No).await?;
        answer.json("the answer to the request for a code")
    }

    /// Signs in with the code. A wrong one, or one that is too old, is
    /// [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest); after five of
    /// them the server wants a new one ([`ErrorKind::RateLimited`](crate::ErrorKind::RateLimited)).
    pub async fn auth_with_otp(&self, otp: &OtpId, code: impl Into<Secret>) -> Result<Value> {
        let code: Secret = code.into();
        let body = json!({ "otpId": otp.otp_id.expose(), "password": code.expose() });
        self.sign_in("/auth-with-otp", body).await
    }
}

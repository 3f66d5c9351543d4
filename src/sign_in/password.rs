//! A password.

use serde_json::{Value, json};

use crate::{Collection, Result, Secret};

impl Collection {
    /// Signs in with a password. The identity is the e-mail or any other
    /// identity field of the collection; the login is kept in
    /// [`Client::auth`](crate::Client::auth) and its record returned.
    /// Superusers are the collection `_superusers`.
    ///
    /// A wrong password is [`ErrorKind::BadRequest`](crate::ErrorKind::BadRequest),
    /// as the server answers it; [`ErrorKind::MfaRequired`](crate::ErrorKind::MfaRequired)
    /// asks for a [second factor](Collection::second_factor).
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// client.collection("users").auth_with_password("ann@example.com", "secret".to_owned()).await?;
    /// assert!(client.auth().is_valid());
    /// # Ok(()) }
    /// ```
    pub async fn auth_with_password(&self, identity: &str, password: impl Into<Secret>) -> Result<Value> {
        let password: Secret = password.into();
        self.sign_in("/auth-with-password", json!({ "identity": identity, "password": password.expose() })).await
    }

    /// The same, with the one identity field that the name belongs to. Without
    /// it, the server takes the e-mail first and the others in turn, which may
    /// be another account than the one that is meant.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// client.collection("users").auth_with_password_by("handle", "ann", "secret".to_owned()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn auth_with_password_by(
        &self,
        field: &str,
        identity: &str,
        password: impl Into<Secret>,
    ) -> Result<Value> {
        let password: Secret = password.into();
        let body = json!({ "identity": identity, "identityField": field, "password": password.expose() });
        self.sign_in("/auth-with-password", body).await
    }
}

//! A token that was bound to an account before: BosBase alone has it.

use serde_json::{Value, json};

use crate::{Collection, Result, Secret};

impl Collection {
    /// Signs in with a token that was bound to the account (`bind-token`), for
    /// devices. `BosBase` only: `PocketBase` answers with
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// client.collection("users").auth_with_bound_token("the device's token".to_owned()).await?;
    /// # Ok(()) }
    /// ```
    pub async fn auth_with_bound_token(&self, token: impl Into<Secret>) -> Result<Value> {
        let token: Secret = token.into();
        self.sign_in("/auth-with-token", json!({ "token": token.expose() })).await
    }
}

//! What a collection offers.

use reqwest::Method;
use serde::Deserialize;

use crate::api::Login;
use crate::{Collection, Result, Secret};

/// The ways to sign in that an auth collection offers.
///
/// [`Collection::auth_methods`] has an example.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AuthMethods {
    /// With a password.
    pub password: PasswordMethod,
    /// With a one-time code by e-mail.
    pub otp: OtpMethod,
    /// With an account elsewhere.
    pub oauth2: OAuth2Methods,
    /// Whether two of them are asked for.
    pub mfa: Mfa,
}

/// See [`AuthMethods::password`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct PasswordMethod {
    /// Whether it can be used.
    pub enabled: bool,
    /// The fields that name the account: `email`, `username` and their like.
    pub identity_fields: Vec<String>,
}

/// See [`AuthMethods::otp`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OtpMethod {
    /// Whether it can be used.
    pub enabled: bool,
    /// For how many seconds a code is good.
    pub duration: u64,
}

/// See [`AuthMethods::mfa`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Mfa {
    /// Whether a second factor is asked for. A rule may exempt accounts.
    pub enabled: bool,
    /// How many seconds there are for it.
    pub duration: u64,
}

/// See [`AuthMethods::oauth2`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OAuth2Methods {
    /// Whether it can be used.
    pub enabled: bool,
    /// At whom.
    pub providers: Vec<OAuth2Provider>,
}

/// A provider of accounts, such as Google or GitHub.
///
/// ```no_run
/// # async fn f() -> bosbase_watch::Result<()> {
/// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
/// for provider in client.collection("users").auth_methods().await?.oauth2.providers {
///     println!("{}: login --oauth2 {}", provider.title(), provider.name);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OAuth2Provider {
    /// Its name in requests.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub display_name: String,
    /// The page to sign in at, up to where the redirect URL follows.
    #[serde(default, rename = "authURL")]
    auth_url: String,
    /// The same, as older servers write it; some send both.
    #[serde(default, rename = "authUrl")]
    older_auth_url: String,
    /// What proves at the end that it is the same sign-in; empty without PKCE.
    #[serde(default = "nothing")]
    pub(super) code_verifier: Secret,
}

fn nothing() -> Secret {
    Secret::new("")
}

impl OAuth2Provider {
    /// As a person knows it.
    pub fn title(&self) -> &str {
        if self.display_name.is_empty() { &self.name } else { &self.display_name }
    }

    pub(super) fn auth_url(&self) -> &str {
        if self.auth_url.is_empty() { &self.older_auth_url } else { &self.auth_url }
    }
}

impl Collection {
    /// Asks the server which ways to sign in it offers.
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound): there is no such
    /// auth collection.
    ///
    /// ```no_run
    /// # async fn f() -> bosbase_watch::Result<()> {
    /// # let client = bosbase_watch::Client::new("http://127.0.0.1:8090")?;
    /// let methods = client.collection("users").auth_methods().await?;
    /// if methods.password.enabled {
    ///     println!("sign in with your {}", methods.password.identity_fields.join(" or "));
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn auth_methods(&self) -> Result<AuthMethods> {
        let path = self.path("/auth-methods?fields=mfa,otp,password,oauth2");
        let answer = self.client.request(Method::GET, &path, None, Login::No).await?;
        answer.json("the list of ways to sign in")
    }
}

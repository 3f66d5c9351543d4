//! `login` and `logout`.

use anyhow::Result;

use super::args::{Global, LoginArgs};
use super::exit::{Exit, Failure};
use super::settings::Settings;
use super::store::{Credential, Profile};
use super::{prompt, report};
use crate::{Error, ErrorKind};

/// The collection of superusers.
const SUPERUSERS: &str = "_superusers";

pub(crate) async fn login(args: LoginArgs, global: Global) -> Result<Exit> {
    let settings = Settings::resolve(global, args.server.as_deref())?;
    // Everything that can be wrong is found before a password is typed.
    settings.store.prepare()?;
    if let Some((what, hint)) = settings.store.open_to_others() {
        report::warning(&settings, &what);
        report::hint(&settings, &hint);
    }
    let _ = settings.store.credential(&settings.profile_name)?;
    let client = settings.client()?;
    client.check_secrets_may_go().map_err(|error| report::explain(&error, &settings))?;
    client.health().await.map_err(|error| report::explain(&error, &settings))?;

    let collection = if args.superuser { SUPERUSERS } else { args.collection.as_str() };
    let identity = match args.identity {
        Some(identity) => identity,
        None => prompt::line("E-mail or user name", "--identity NAME").await?,
    };
    let password = if args.password_stdin {
        prompt::secret_from_stdin("password")?
    } else {
        prompt::secret(&format!("Password of {identity}"), "--password-stdin").await?
    };
    client
        .collection(collection)
        .auth_with_password(&identity, password)
        .await
        .map_err(|error| refused(&error, collection, &settings))?;

    let profile = Profile {
        url: Some(settings.url.as_str().to_owned()),
        collection: Some(collection.to_owned()),
        identity: Some(identity),
        allow_http: settings.global.allow_http && !settings.url.may_carry_secrets(),
    };
    if let Some(credential) = Credential::of(&client) {
        settings.store.save_login(&settings.profile_name, &profile, credential)?;
    }
    let account = client.auth().account();
    let name = account.as_ref().and_then(|account| account.name.clone()).unwrap_or_default();
    let until = account
        .and_then(|account| account.expires)
        .map(|expires| format!(", until {}", super::status::moment(expires)))
        .unwrap_or_default();
    report::note(&settings, &format!("Signed in to {} as {name} ({collection}){until}.", settings.url));
    Ok(Exit::Done)
}

fn refused(error: &Error, collection: &str, settings: &Settings) -> Failure {
    match error.kind() {
        // The server answers 400 to a wrong password, and says no more.
        ErrorKind::BadRequest => Failure::new(Exit::Auth, format!("wrong name or password for {collection}"))
            .hint("check both; an account of another collection signs in with --collection NAME, a superuser with --superuser"),
        ErrorKind::NotFound => Failure::new(Exit::Auth, format!("{} has no auth collection {collection}", settings.url))
            .hint("name the collection of the account with --collection NAME, or use --superuser"),
        ErrorKind::Forbidden => Failure::new(
            Exit::Auth,
            format!("{collection} does not let this account sign in with a password: {}", said(error)),
        )
        .hint("ask whoever runs the server how accounts of this collection sign in"),
        ErrorKind::MfaRequired => {
            Failure::new(Exit::Auth, "the account asks for a second factor, which this version cannot give yet")
                .hint("put a token of the account into BOSBASE_TOKEN")
        }
        _ => report::explain(error, settings),
    }
}

fn said(error: &Error) -> String {
    error.server_message().map_or_else(|| error.to_string(), |said| said.trim_end_matches('.').to_owned())
}

pub(crate) fn logout(global: Global) -> Result<Exit> {
    let settings = Settings::resolve(global, None)?;
    let name = &settings.profile_name;
    let text = if settings.store.forget(name)? {
        format!("The login of the profile {name} is forgotten. The token itself stays valid until it expires.")
    } else {
        format!("The profile {name} has no login.")
    };
    report::note(&settings, &text);
    Ok(Exit::Done)
}

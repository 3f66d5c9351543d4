//! `login`: signs in, by whichever way, and keeps the token in a profile.

mod browser;
mod factor;
mod refusal;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::args::{Global, LoginArgs};
use super::exit::{Exit, Failure};
use super::settings::{Origin, Settings, can_ask};
use super::store::{Credential, Profile};
use super::{prompt, report, seen};
use crate::{AuthMethods, Client, DEFAULT_URL, ErrorKind, ServerUrl};
use factor::{Factor, Kind};

/// The collection of superusers.
const SUPERUSERS: &str = "_superusers";

/// What every step of a login needs to know.
struct Attempt<'a> {
    args: &'a LoginArgs,
    settings: &'a Settings,
    client: &'a Client,
    /// The collection of the account.
    collection: String,
    /// Whom the profile was signed in as before, at the same place.
    before: Option<String>,
}

pub(crate) async fn login(args: LoginArgs, global: Global) -> Result<Exit> {
    let mut settings = Settings::resolve(global, args.server.as_deref())?;
    // Everything that can be wrong is found before a password is typed.
    settings.store.prepare()?;
    if let Some((what, hint)) = settings.store.open_to_others() {
        report::warning(&settings, &what);
        report::hint(&settings, &hint);
    }
    let _ = settings.store.credential(&settings.profile_name)?;
    let given = factor::given(&args);
    let is_guided = given.is_none() && can_ask();
    if given.is_none() && !is_guided {
        return Err(Failure::usage("how to sign in is not said, and there is no terminal to ask on")
            .hint("give --identity NAME --password-stdin, --otp EMAIL --code-stdin, --oauth2 PROVIDER or --token-stdin")
            .into());
    }
    if is_guided && settings.url_origin == Origin::Default {
        let typed = prompt::line_or("Server", Some(DEFAULT_URL), "the URL as an argument").await?;
        settings.url = ServerUrl::parse(&typed).map_err(|error| {
            Failure::usage(error.to_string()).hint("a server URL looks like https://api.example.com")
        })?;
        settings.url_origin = Origin::Argument;
    }
    let client = settings.client()?;
    client.check_secrets_may_go().map_err(|error| report::explain(&error, &settings))?;
    client.health().await.map_err(|error| report::explain(&error, &settings))?;

    let mut context = Attempt::new(&args, &settings, &client, is_guided);
    let first = match given {
        Some(Kind::Token) => {
            let record = factor::token(&context).await?;
            return keep(&context, &record, None).await;
        }
        Some(kind) => Factor::new(kind),
        None => guide(&mut context).await?,
    };
    let (record, identity) = factor::sign_in(&context, first).await?;
    keep(&context, &record, identity).await
}

impl<'a> Attempt<'a> {
    fn new(args: &'a LoginArgs, settings: &'a Settings, client: &'a Client, is_guided: bool) -> Self {
        let known = settings.profile.as_ref().filter(|profile| {
            let url = profile.url.as_deref().and_then(|url| ServerUrl::parse(url).ok());
            url.is_some_and(|url| url == settings.url)
        });
        let typed = if args.superuser { Some(SUPERUSERS.to_owned()) } else { args.collection.clone() };
        // A script gets what it says, and not what somebody signed in with before it.
        let kept = known.filter(|_| is_guided).and_then(|profile| profile.collection.clone());
        let before = known.filter(|_| typed.is_none() || typed == kept).and_then(|profile| profile.identity.clone());
        Self { args, settings, client, collection: typed.or(kept).unwrap_or_else(|| "users".to_owned()), before }
    }

    fn is_collection_given(&self) -> bool {
        self.args.superuser || self.args.collection.is_some()
    }
}

/// Leads somebody through it who has said nothing but `login`.
async fn guide(context: &mut Attempt<'_>) -> Result<Factor> {
    let methods = loop {
        match context.client.collection(&context.collection).auth_methods().await {
            Ok(methods) => break methods,
            Err(error) if error.kind() == ErrorKind::NotFound && !context.is_collection_given() => {
                let url = &context.settings.url;
                report::note(context.settings, &format!("{url} has no auth collection {}.", context.collection));
                context.collection = prompt::line("Collection of the account", "--collection NAME").await?;
            }
            Err(error) => return Err(refusal::explain(&error, None, context).into()),
        }
    };
    let providers: Vec<&str> = methods.oauth2.providers.iter().map(|provider| provider.name.as_str()).collect();
    seen::remember_providers(context.settings, &providers);
    let others = if context.is_collection_given() { "" } else { " (another: --collection NAME, or --superuser)" };
    let Attempt { settings, collection, .. } = &context;
    let text = format!("Signing in to {} with an account of the collection {collection}{others}.", settings.url);
    report::note(context.settings, &text);
    factor::choose("How do you sign in", &methods, &[], context).await
}

/// Keeps the login in its profile, and says so.
async fn keep(context: &Attempt<'_>, record: &Value, identity: Option<String>) -> Result<Exit> {
    let Attempt { settings, client, .. } = context;
    let text = |key: &str| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let collection = text("collectionName").unwrap_or_else(|| context.collection.clone());
    let account = client.auth().account();
    let name = account.as_ref().and_then(|account| account.name.clone());
    let profile = Profile {
        url: Some(settings.url.as_str().to_owned()),
        collection: Some(collection.clone()),
        identity: identity.or_else(|| name.clone()),
        // What the profile allowed at this place before, it allows on.
        allow_http: settings.profile_allows_http() || settings.global.allow_http && !settings.url.may_carry_secrets(),
    };
    let instead = settings.store.credential(&settings.profile_name)?.and_then(|before| before.record);
    let instead = instead.filter(|before| is_other(before, record)).map(|before| named(&before)).unwrap_or_default();
    let current = newly_current(settings)?;
    if let Some(credential) = Credential::of(client) {
        let (store, name) = (settings.store.clone(), settings.profile_name.clone());
        // It may have to wait for the lock, and Ctrl-C works meanwhile.
        let kept = tokio::task::spawn_blocking(move || store.save_login(&name, &profile, credential));
        kept.await.context("the login cannot be kept")??;
    }
    let name = name.or_else(|| text("id")).unwrap_or_default();
    let until = account
        .and_then(|account| account.expires)
        .map(|expires| format!(", until {}", super::status::moment(expires)))
        .unwrap_or_default();
    report::note(
        settings,
        &format!("Signed in to {} as {name} ({collection}){until}{instead}.{current}", settings.url),
    );
    if let Some(variable) = Settings::token_variable() {
        report::warning(settings, &format!("{variable} is set, and stands before this login"));
        report::hint(settings, &format!("unset {variable}"));
    }
    Ok(Exit::Done)
}

/// Whether the two are records of different accounts.
fn is_other(before: &Value, now: &Value) -> bool {
    ["id", "collectionName"].iter().any(|key| before.get(key) != now.get(key))
}

/// Whose login is replaced, as a person knows the account.
fn named(record: &Value) -> String {
    let text = |key: &&str| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = ["email", "username", "name", "id"].iter().find_map(text).unwrap_or("another account");
    match text(&"collectionName") {
        Some(collection) => format!(", in place of {name} ({collection})"),
        None => format!(", in place of {name}"),
    }
}

/// What is said where a login makes another profile the current one.
fn newly_current(settings: &Settings) -> Result<String> {
    let (before, name) = (settings.store.current_profile()?, &settings.profile_name);
    Ok(match before == *name {
        true => String::new(),
        false if settings.store.names()?.contains(&before) => {
            format!(" The current profile is {name} now, no longer {before}.")
        }
        false => format!(" The current profile is {name} now."),
    })
}

/// The ways that the collection offers, as one may read them.
fn offered(methods: &AuthMethods) -> Vec<(Kind, String)> {
    let mut ways = Vec::new();
    if methods.password.enabled {
        ways.push((Kind::Password, "with a password".to_owned()));
    }
    if methods.otp.enabled {
        ways.push((Kind::Otp, "with a one-time code by e-mail".to_owned()));
    }
    if methods.oauth2.enabled {
        for provider in &methods.oauth2.providers {
            ways.push((Kind::OAuth2(provider.name.clone()), format!("with {}, in a browser", provider.title())));
        }
    }
    ways
}

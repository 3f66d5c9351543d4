//! Why a sign-in was refused, in words.

use super::Attempt;
use super::factor::Kind;
use crate::cli::exit::{Exit, Failure};
use crate::cli::report;
use crate::{Error, ErrorKind};

pub(super) fn explain(error: &Error, kind: Option<&Kind>, context: &Attempt<'_>) -> Failure {
    let collection = &context.collection;
    match (error.kind(), kind) {
        (ErrorKind::BadRequest, Some(Kind::Password)) if is_about_the_field(error) => {
            let field = context.args.identity_field.as_deref().unwrap_or_default();
            Failure::new(Exit::Auth, format!("accounts of {collection} are not named by a field {field}"))
                .hint("leave --identity-field out: the server finds the field by itself")
        }
        // The server answers 400 to a wrong password, and says no more.
        (ErrorKind::BadRequest, Some(Kind::Password)) => {
            Failure::new(Exit::Auth, format!("wrong name or password for {collection}")).hint(
                "check both; an account of another collection signs in with --collection NAME, a superuser with --superuser",
            )
        }
        (ErrorKind::BadRequest, Some(Kind::Otp)) => {
            Failure::new(Exit::Auth, "the code is wrong, or too old, or was used before")
                .hint("a code is good for one sign-in and a few minutes: sign in again, and use the newest e-mail")
        }
        (ErrorKind::BadRequest, Some(Kind::BoundToken)) => {
            Failure::new(Exit::Auth, format!("the token is bound to no account of {collection}"))
                .hint("bind it first, or name the account's collection with --collection NAME")
        }
        (ErrorKind::BadRequest, Some(Kind::OAuth2(provider))) => {
            Failure::new(Exit::Auth, format!("{} does not accept what {provider} answered: {}", context.settings.url, said(error)))
                .hint("sign in again; if it stays so, whoever runs the server should check the provider's client id, secret and URLs")
        }
        // A route that is not there, and not a collection that is not.
        (ErrorKind::NotFound | ErrorKind::NotBosBase, Some(Kind::BoundToken)) if !names_the_collection(error) => {
            Failure::new(Exit::Auth, format!("{} has no bound tokens: only BosBase does", context.settings.url))
                .hint("a token that the server itself has issued is taken with --token-stdin")
        }
        (ErrorKind::NotFound, Some(Kind::OAuth2(_))) if error.status().is_none() => {
            Failure::new(Exit::Auth, error.to_string()).hint("bosbase-watch login, without a flag, shows what there is")
        }
        (ErrorKind::NotFound, _) => {
            Failure::new(Exit::Auth, format!("{} has no auth collection {collection}", context.settings.url))
                .hint("name the collection of the account with --collection NAME, or use --superuser")
        }
        (ErrorKind::Forbidden, Some(kind)) => {
            let way = match kind {
                Kind::Password => "with a password",
                Kind::Otp => "with a one-time code",
                Kind::OAuth2(_) => "by OAuth2",
                Kind::BoundToken | Kind::Token => "with a token",
            };
            Failure::new(Exit::Auth, format!("{collection} does not let this account sign in {way}: {}", said(error)))
                .hint("ask whoever runs the server how accounts of this collection sign in")
        }
        (ErrorKind::Unauthorized, Some(Kind::Token)) => Failure::new(Exit::Auth, error.to_string())
            .hint("the first line of stdin is the token, and nothing else: bosbase-watch login --token-stdin < FILE"),
        (ErrorKind::Unauthorized, _) => Failure::new(Exit::Auth, error.to_string()).hint("start again: bosbase-watch login"),
        (ErrorKind::Timeout, Some(Kind::OAuth2(_))) if error.to_string().starts_with("nobody") => {
            Failure::new(Exit::Auth, error.to_string()).hint(
                "sign in again; a browser on another machine cannot complete it without --redirect-port PORT: \
                 see login --help",
            )
        }
        (ErrorKind::RateLimited, Some(Kind::Otp)) => Failure::new(Exit::of(error), error.to_string())
            .hint("wait three minutes, and sign in again for a new code"),
        _ => report::explain(error, context.settings),
    }
}

/// Whether the server complains of the identity field, and not of the name or the password.
pub(super) fn is_about_the_field(error: &Error) -> bool {
    error.to_string().contains("; identityField: ")
}

fn names_the_collection(error: &Error) -> bool {
    error.server_message().is_some_and(|said| said.contains("collection"))
}

fn said(error: &Error) -> String {
    error.server_message().map_or_else(|| error.to_string(), |said| said.trim_end_matches('.').to_owned())
}

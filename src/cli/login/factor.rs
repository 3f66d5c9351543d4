//! One factor after the other, until the server is satisfied.

use anyhow::Result;
use serde_json::Value;

use super::{Attempt, browser, offered, refusal};
use crate::cli::args::LoginArgs;
use crate::cli::exit::Failure;
use crate::cli::settings::can_ask;
use crate::cli::{prompt, report};
use crate::{AuthMethods, Collection, ErrorKind};

/// How often a password or code may be mistyped.
const TRIES: u32 = 3;

/// A way to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Password,
    Otp,
    /// With the name of the provider.
    OAuth2(String),
    /// A token that was bound to the account before.
    BoundToken,
    /// A token that stands for the whole login.
    Token,
}

impl Kind {
    /// The server asks for two different ones, and any two providers are the same to it.
    fn is_same_method(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// The flags that give it where nobody can be asked.
    fn flags(&self) -> String {
        match self {
            Self::Password => "--identity NAME --password-stdin".to_owned(),
            Self::Otp => "--otp EMAIL --code-stdin".to_owned(),
            Self::OAuth2(provider) => format!("--oauth2 {provider}"),
            Self::BoundToken => "--custom-token-stdin".to_owned(),
            Self::Token => "--token-stdin".to_owned(),
        }
    }
}

/// A way, and what was learnt about it.
#[derive(Debug)]
pub(super) struct Factor {
    kind: Kind,
    /// What the account is named by, as the collection has it.
    identity_label: String,
}

impl Factor {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, identity_label: "E-mail or user name".to_owned() }
    }

    fn offered(kind: Kind, methods: &AuthMethods) -> Self {
        let fields: Vec<&str> = methods.password.identity_fields.iter().map(String::as_str).collect();
        let identity_label = match fields[..] {
            ["email"] => "E-mail".to_owned(),
            ["username"] => "User name".to_owned(),
            [field] => field.to_owned(),
            _ => "E-mail or user name".to_owned(),
        };
        Self { kind, identity_label }
    }
}

/// The first way that the flags give. They are asked for in this order.
pub(super) fn given(args: &LoginArgs) -> Option<Kind> {
    all_given(args).next()
}

fn all_given(args: &LoginArgs) -> impl Iterator<Item = Kind> {
    let password = args.identity.is_some() || args.identity_field.is_some() || args.password_stdin;
    let otp = args.otp.is_some() || args.code_stdin;
    [
        args.token_stdin.then_some(Kind::Token),
        args.custom_token_stdin.then_some(Kind::BoundToken),
        args.oauth2.clone().map(Kind::OAuth2),
        password.then_some(Kind::Password),
        otp.then_some(Kind::Otp),
    ]
    .into_iter()
    .flatten()
}

/// Lets a person choose among what the collection offers, but for what was done already.
pub(super) async fn choose(
    question: &str,
    methods: &AuthMethods,
    done: &[Kind],
    context: &Attempt<'_>,
) -> Result<Factor> {
    let mut ways = offered(methods);
    ways.retain(|(kind, _)| !done.iter().any(|done| done.is_same_method(kind)));
    if ways.is_empty() {
        let message =
            format!("{} offers no {}way to sign in", context.collection, if done.is_empty() { "" } else { "other " });
        return Err(Failure::new(crate::cli::exit::Exit::Auth, message)
            .hint("another collection is named with --collection NAME; a token is taken with --token-stdin")
            .into());
    }
    let at = if ways.len() == 1 {
        0
    } else {
        let names: Vec<String> = ways.iter().map(|(_, text)| text.clone()).collect();
        prompt::choose(question, &names, "a flag such as --otp EMAIL").await?
    };
    Ok(Factor::offered(ways.swap_remove(at).0, methods))
}

/// A token as the whole login: returns its record.
pub(super) async fn token(context: &Attempt<'_>) -> Result<Value> {
    let token = prompt::secret_from_stdin("token").await?;
    let signed_in = context.client.sign_in_with_token(token.expose().trim()).await;
    signed_in.map_err(|error| refusal::explain(&error, Some(&Kind::Token), context).into())
}

/// Signs in, with a second factor where the server asks for one. Returns the
/// record, and the identity that was typed.
pub(super) async fn sign_in(context: &Attempt<'_>, first: Factor) -> Result<(Value, Option<String>)> {
    let mut collection = context.client.collection(&context.collection);
    let mut identity = None;
    let mut done: Vec<Kind> = Vec::new();
    let mut factor = first;
    loop {
        match attempt(context, &collection, &factor, &mut identity).await? {
            Ok(record) => return Ok((record, identity)),
            Err(error) => match error.mfa_id() {
                Some(mfa_id) => collection = collection.second_factor(mfa_id),
                None => return Err(refusal::explain(&error, Some(&factor.kind), context).into()),
            },
        }
        done.push(factor.kind);
        factor = next(context, &done).await?;
    }
}

/// The factor that follows those that were accepted.
async fn next(context: &Attempt<'_>, done: &[Kind]) -> Result<Factor> {
    let methods = context.client.collection(&context.collection).auth_methods().await;
    let methods = methods.map_err(|error| refusal::explain(&error, None, context))?;
    let is_new = |kind: &Kind| !done.iter().any(|done| done.is_same_method(kind));
    if let Some(kind) = all_given(context.args).find(is_new) {
        return Ok(Factor::offered(kind, &methods));
    }
    if !can_ask() {
        let ways: Vec<String> =
            offered(&methods).into_iter().filter(|(kind, _)| is_new(kind)).map(|(kind, _)| kind.flags()).collect();
        return Err(Failure::usage("the account asks for a second factor, and there is no terminal to ask on")
            .hint(format!("add {}; stdin has one line for each, in this order", ways.join(" or ")))
            .into());
    }
    report::note(context.settings, "The account asks for a second factor.");
    choose("What is the second", &methods, done, context).await
}

/// One factor. The inner error is the server's, which may ask for another.
async fn attempt(
    context: &Attempt<'_>,
    collection: &Collection,
    factor: &Factor,
    identity: &mut Option<String>,
) -> Result<crate::Result<Value>> {
    match &factor.kind {
        Kind::Password => password(context, collection, factor, identity).await,
        Kind::Otp => otp(context, collection, identity).await,
        Kind::OAuth2(provider) => browser::sign_in(context, collection, provider).await,
        Kind::BoundToken => {
            let token = prompt::secret_from_stdin("token").await?;
            Ok(collection.auth_with_bound_token(token.expose().trim()).await)
        }
        Kind::Token => Ok(context.client.sign_in_with_token(prompt::secret_from_stdin("token").await?).await),
    }
}

async fn password(
    context: &Attempt<'_>,
    collection: &Collection,
    factor: &Factor,
    identity: &mut Option<String>,
) -> Result<crate::Result<Value>> {
    let name = match (&context.args.identity, &identity) {
        (Some(given), _) => given.clone(),
        (None, Some(known)) => known.clone(),
        (None, None) => prompt::line_or(&factor.identity_label, context.before.as_deref(), "--identity NAME").await?,
    };
    *identity = Some(name.clone());
    let mut left = TRIES;
    loop {
        left -= 1;
        let password = if context.args.password_stdin {
            prompt::secret_from_stdin("password").await?
        } else {
            prompt::secret(&format!("Password of {name}"), "--password-stdin").await?
        };
        let answer = match &context.args.identity_field {
            Some(field) => collection.auth_with_password_by(field, &name, password).await,
            None => collection.auth_with_password(&name, password).await,
        };
        match &answer {
            Err(error)
                if is_wrong(error)
                    && left > 0
                    && !context.args.password_stdin
                    && !refusal::is_about_the_field(error) =>
            {
                report::note(context.settings, "The name or the password is wrong. Once more:");
            }
            _ => return Ok(answer),
        }
    }
}

async fn otp(
    context: &Attempt<'_>,
    collection: &Collection,
    identity: &mut Option<String>,
) -> Result<crate::Result<Value>> {
    let is_email = |name: &&String| name.contains('@');
    let email = match (&context.args.otp, identity.as_ref().filter(is_email)) {
        (Some(given), _) => given.clone(),
        (None, Some(known)) => known.clone(),
        (None, None) => {
            let before = context.before.as_ref().filter(is_email);
            prompt::line_or("E-mail", before.map(String::as_str), "--otp EMAIL").await?
        }
    };
    // Before a mail is sent for nothing.
    if !context.args.code_stdin && !can_ask() {
        return Err(Failure::usage("the code from the e-mail is missing, and there is no terminal to ask on")
            .hint("give --code-stdin, and the code as a line of stdin once it has come")
            .into());
    }
    identity.get_or_insert_with(|| email.clone());
    let otp = match collection.request_otp(&email).await {
        Ok(otp) => otp,
        Err(error) => return Ok(Err(error)),
    };
    // The server says the same of an address that it does not know.
    report::note(context.settings, &format!("If {email} has an account, a code is on its way there."));
    let mut left = TRIES;
    loop {
        left -= 1;
        let code = if context.args.code_stdin {
            prompt::secret_from_stdin("code").await?
        } else {
            prompt::secret("Code from the e-mail", "--code-stdin").await?
        };
        let answer = collection.auth_with_otp(&otp, code.expose().trim()).await;
        match &answer {
            Err(error) if is_wrong(error) && left > 0 && !context.args.code_stdin => {
                report::note(context.settings, "That is not right, or too old. Once more:");
            }
            _ => return Ok(answer),
        }
    }
}

/// The server answers 400 to what is wrong, and says no more.
fn is_wrong(error: &crate::Error) -> bool {
    error.kind() == ErrorKind::BadRequest
}

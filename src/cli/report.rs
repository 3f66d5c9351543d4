//! What a person reads on stderr when something went wrong: one line that says
//! what happened, and a `hint:` line with what mends it.

use std::io::{self, IsTerminal as _, Write as _};

use colored::Colorize as _;

use super::exit::{Exit, Failure};
use super::output::sanitize;
use super::settings::{Origin, Settings};
use crate::{DEFAULT_URL, Error, ErrorKind};

/// Prints the error, and says how to end.
pub(crate) fn error(error: &anyhow::Error) -> Exit {
    let (exit, hint) = if let Some(failure) = error.downcast_ref::<Failure>() {
        (failure.exit, failure.hint.clone())
    } else if let Some(library) = error.downcast_ref::<Error>() {
        (Exit::of(library), None)
    } else {
        (Exit::Internal, None)
    };
    // A context and its cause, in one line.
    line("error:", &format!("{error:#}"));
    if let Some(hint) = hint {
        line("hint:", &hint);
    }
    exit
}

/// One line for people.
pub(crate) fn line(label: &str, text: &str) {
    let label = match label {
        "error:" => label.red().bold(),
        "hint:" | "warning:" => label.yellow().bold(),
        _ => label.normal(),
    };
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{label} {}", sanitize::terminal(text));
}

/// What has to be read whatever was asked for, line by line.
pub(crate) fn plain(text: &str) {
    let mut stderr = io::stderr().lock();
    for line in text.split('\n') {
        let _ = writeln!(stderr, "{}", sanitize::terminal(line));
    }
}

/// A sentence that is neither an error nor about the connection.
pub(crate) fn note(settings: &Settings, text: &str) {
    if settings.talks() {
        let _ = writeln!(io::stderr().lock(), "{}", sanitize::terminal(text));
    }
}

pub(crate) fn warning(settings: &Settings, text: &str) {
    if settings.talks() {
        line("warning:", text);
    }
}

/// What mends what was warned of.
pub(crate) fn hint(settings: &Settings, text: &str) {
    if settings.talks() {
        line("hint:", text);
    }
}

/// An error of the library with the command that mends it.
pub(crate) fn explain(error: &Error, settings: &Settings) -> Failure {
    let failure = Failure::new(Exit::of(error), error.to_string());
    let url = &settings.url;
    let hint = match error.kind() {
        ErrorKind::Refused => Some(match settings.url_origin {
            Origin::Default => {
                format!("no URL was given, so {DEFAULT_URL} was tried: name the server with --url or BOSBASE_URL")
            }
            _ => format!("is the server running? try: curl {url}/api/health"),
        }),
        ErrorKind::Dns => Some(format!("check the name in {url}: --url or BOSBASE_URL sets another")),
        ErrorKind::Tls => Some(if url.is_https() && error.to_string().contains("does not speak TLS") {
            format!("try plain http: --url http://{}", url.host())
        } else {
            "check the clock and the name in the URL; a certificate of your own authority must be known to this system"
                .into()
        }),
        ErrorKind::NotBosBase | ErrorKind::NotFound if matches!(error.status(), None | Some(404)) => {
            Some(format!("is {url} the base URL of the API? --url or BOSBASE_URL sets another"))
        }
        ErrorKind::Timeout => {
            Some("is there a firewall or a proxy in between? --connect-timeout sets the limit".into())
        }
        ErrorKind::RateLimited => Some("wait a few seconds and try again".into()),
        ErrorKind::InsecureTransport => Some(format!("use https, or accept the risk with --allow-http (for {url})")),
        ErrorKind::Unauthorized => Some(match Settings::token_variable() {
            Some(variable) => {
                format!("put a valid token into {variable}, or unset it and sign in again: {}", login_command(settings))
            }
            None => format!("sign in again: {}", login_command(settings)),
        }),
        ErrorKind::BadRequest if error.to_string().contains("no field `updated`") => {
            Some("add an autodate field `updated` to the collection, or list what there is with --initial".into())
        }
        ErrorKind::Forbidden | ErrorKind::BadRequest => Some(
            "the server, or a hook on it, refuses this to the present login; bosbase-watch status shows which it is"
                .into(),
        ),
        ErrorKind::InvalidTopic
            if error.to_string().contains("takes") || error.to_string().contains("more than the") =>
        {
            Some("watch COLLECTION/* with one --filter instead of many or long topics".into())
        }
        ErrorKind::InvalidTopic => Some("bosbase-watch subscribe --help shows how topics are written".into()),
        ErrorKind::InvalidHeader if error.to_string().contains("Authorization") => {
            Some("bosbase-watch login signs in, and BOSBASE_TOKEN takes a token".into())
        }
        ErrorKind::InvalidFilter if error.to_string().contains("backslash") => {
            Some("write the value into the filter itself, escaped as this server reads it".into())
        }
        ErrorKind::Server => Some("the server, or a proxy before it, is in trouble: try again later".into()),
        ErrorKind::InvalidHeader => {
            Some("a header is written 'Name: value', with letters, digits and - in its name".into())
        }
        ErrorKind::InvalidFilter => Some("bind values with --filter 'name = {:n}' --param n=VALUE".into()),
        _ => None,
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The command that signs in as the profile says.
pub(crate) fn login_command(settings: &Settings) -> String {
    let mut command = format!("bosbase-watch login {}", settings.url);
    match settings.profile.as_ref().and_then(|profile| profile.collection.as_deref()) {
        Some("_superusers") => command.push_str(" --superuser"),
        Some("users") | None => {}
        Some(collection) => {
            command.push_str(" --collection ");
            command.push_str(collection);
        }
    }
    command
}

/// Decides about colours, once.
pub(crate) fn set_colours(when: super::args::When) {
    colored::control::set_override(super::settings::colour(when, io::stderr().is_terminal()));
}

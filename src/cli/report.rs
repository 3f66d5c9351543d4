//! What a person reads on stderr when something went wrong: one line that says
//! what happened, and a `hint:` line with what mends it.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};

use colored::Colorize as _;

use super::exit::{Exit, Failure};
use super::output::{self, Wrap, sanitize};
use super::proxy;
use super::settings::{Login, Origin, Settings};
use super::stderr;
use crate::{DEFAULT_URL, Error, ErrorKind, ServerUrl};

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
    let text = format!("{error:#}");
    line("error:", &text);
    let hint = hint.or_else(|| text.contains(TOO_MANY_FILES).then(|| MORE_FILES.to_owned()));
    if let Some(hint) = hint {
        line("hint:", &hint);
    }
    exit
}

/// What the system says, and what mends it.
const TOO_MANY_FILES: &str = "Too many open files";
const MORE_FILES: &str = "allow it more open files: ulimit -n 256";

/// One line for people.
pub(crate) fn line(label: &str, text: &str) {
    let label = match label {
        "error:" => label.red().bold(),
        "hint:" | "warning:" => label.yellow().bold(),
        _ => label.normal(),
    };
    // Where stderr is gone there is nobody to tell.
    let line = format!("{label} {}", sanitize::terminal(text));
    stderr::write(format!("{}\n", wrapped(&line, label.chars().count() + 1)).as_bytes());
}

/// As wide as the terminal, where stderr is one: broken between words, and a command that
/// stands at the end is left whole, to be copied.
pub(crate) fn wrapped(line: &str, indent: usize) -> Cow<'_, str> {
    let Some((width, _)) = terminal_size::terminal_size_of(io::stderr()) else { return line.into() };
    let wrap = |line, indent| output::wrap(line, Wrap { width: width.0.into(), indent, breaks_words: false });
    match line.find(": bosbase-watch ") {
        Some(at) => {
            let command = &line[at + 2..];
            let before = wrap(&line[..=at], indent);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
            let fits = column + 1 + command.chars().count() <= width.0.into();
            let between = if fits { " ".to_owned() } else { format!("\n{}", " ".repeat(indent)) };
            format!("{before}{between}{command}").into()
        }
        None => wrap(line, indent).into(),
    }
}

/// What has to be read whatever was asked for, line by line.
pub(crate) fn plain(text: &str) {
    for line in text.split('\n') {
        stderr::write(format!("{}\n", wrapped(&sanitize::terminal(line), 0)).as_bytes());
    }
}

/// A sentence that is neither an error nor about the connection.
pub(crate) fn note(settings: &Settings, text: &str) {
    if settings.talks() {
        stderr::write(format!("{}\n", wrapped(&sanitize::terminal(text), 0)).as_bytes());
    }
}

/// What follows a signal, on a line of its own: a terminal has just echoed ^C.
pub(crate) fn note_after_signal(settings: &Settings, text: &str) {
    if io::stderr().is_terminal() && settings.talks() {
        stderr::write(b"\r");
    }
    note(settings, text);
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
    let text = error.to_string();
    let typed_proxy = settings.global.proxy.is_some();
    let hint = match error.kind() {
        _ if text.contains(TOO_MANY_FILES) => Some(MORE_FILES.to_owned()),
        ErrorKind::Refused | ErrorKind::Dns if text.contains("the proxy ") && typed_proxy => {
            Some("is the proxy running? it comes from --proxy, or from proxy in the config".into())
        }
        ErrorKind::Refused | ErrorKind::Dns if text.contains("the proxy ") => {
            Some(format!("the proxy comes from {}; NO_PROXY={} goes without it", proxy::VARIABLES, url.name()))
        }
        ErrorKind::Refused => Some(match settings.url_origin {
            Origin::Default => {
                format!("no URL was given, so {DEFAULT_URL} was tried: name the server with --url or BOSBASE_URL")
            }
            _ => format!("is the server running? try: curl {url}/api/health"),
        }),
        ErrorKind::Dns => Some(format!("check the name in {url}: --url or BOSBASE_URL sets another")),
        ErrorKind::Proxy if text.contains("(407") && typed_proxy => Some(
            "--proxy takes none: leave it out, and put HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT into the environment"
                .into(),
        ),
        ErrorKind::Proxy if text.contains("(407") => {
            Some("put them into the variable that names it: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT".into())
        }
        ErrorKind::Proxy if text.contains("password") => Some(
            "put the right ones into the variable that names it: ALL_PROXY=socks5h://NAME:PASSWORD@HOST:PORT".into(),
        ),
        ErrorKind::Proxy if text.contains("does not speak SOCKS") => {
            Some("is it one for HTTP? the URL of such a proxy begins with http".into())
        }
        ErrorKind::Proxy if typed_proxy => {
            Some("it may allow other servers or ports only; it comes from --proxy, or from proxy in the config".into())
        }
        ErrorKind::Proxy => Some(format!(
            "it may allow other servers or ports only; it comes from {}, and NO_PROXY={} goes without it",
            proxy::VARIABLES,
            url.name()
        )),
        ErrorKind::Tls => Some(tls_hint(&text, url)),
        ErrorKind::NotBosBase | ErrorKind::Network
            if !url.is_https() && (text.contains("speaks https") || text.contains("answer with HTTP")) =>
        {
            Some(format!("try https: --url https://{}", url.host()))
        }
        ErrorKind::Timeout if text.contains("does not answer in time") => Some(
            "is there a firewall or a proxy in between? an answer may take twice --connect-timeout to begin".into(),
        ),
        ErrorKind::Timeout => {
            Some("is there a firewall or a proxy in between? --connect-timeout sets the limit".into())
        }
        ErrorKind::RateLimited => Some("wait a few seconds and try again".into()),
        ErrorKind::InsecureTransport => Some(format!("use https, or accept the risk with --allow-http (for {url})")),
        ErrorKind::Unauthorized => Some(match Settings::token_variable() {
            Some(variable) => of_variable(variable, &login_command(settings)),
            None => format!("sign in again: {}", login_command(settings)),
        }),
        ErrorKind::BadRequest if error.to_string().contains("have no field `") => {
            let field = if error.to_string().contains("`created`") { "created" } else { "updated" };
            Some(format!("add an autodate field `{field}` to the collection, or list what there is with --initial"))
        }
        ErrorKind::Forbidden | ErrorKind::BadRequest => Some(
            "the server, or a hook on it, refuses this to the present login; bosbase-watch status shows which it is"
                .into(),
        ),
        ErrorKind::InvalidTopic if text.contains("takes") || text.contains("more than the") => {
            Some("watch COLLECTION/* with one --filter instead of many or long topics".into())
        }
        ErrorKind::InvalidTopic => Some("bosbase-watch subscribe --help shows how topics are written".into()),
        ErrorKind::InvalidHeader if text.contains("Authorization") => {
            Some("bosbase-watch login signs in, and BOSBASE_TOKEN takes a token".into())
        }
        ErrorKind::InvalidFilter if text.contains("backslash") => {
            Some("write the value into the filter itself, escaped as this server reads it".into())
        }
        ErrorKind::WrongNode => Some(
            "give the --url of one node, with --poll for what the others write, or make the load balancer sticky"
                .into(),
        ),
        ErrorKind::Server => Some("the server, or a proxy before it, is in trouble: try again later".into()),
        ErrorKind::InvalidHeader => {
            Some("a header is written 'Name: value', with letters, digits and - in its name".into())
        }
        ErrorKind::InvalidFilter => Some("bind values with --filter 'name = {:n}' --param n=VALUE".into()),
        ErrorKind::Network | ErrorKind::Closed => {
            Some("bosbase-watch status shows whether the server is there; -v shows each request".into())
        }
        ErrorKind::TopicsGone => Some("bosbase-watch topics shows what is there; capitals count in names".into()),
        ErrorKind::TooLarge => Some("ask for less: --fields id,title, or a --filter".into()),
        // A server that has moved to https, mostly; the redirect itself may lie.
        ErrorKind::NotBosBase if redirect_to(&text).is_some_and(|to| to.starts_with("https://")) => {
            Some(format!("use that: --url {}, if it is the server's", redirect_to(&text).unwrap_or_default()))
        }
        ErrorKind::NotBosBase if matches!(error.status(), Some(401 | 403)) => {
            Some(format!("is it a proxy or a firewall? and is {url} the base URL of the API?"))
        }
        ErrorKind::Status | ErrorKind::NotBosBase | ErrorKind::NotFound => {
            Some(format!("is {url} the base URL of the API? --url or BOSBASE_URL sets another"))
        }
        ErrorKind::InvalidUrl => Some("a server URL looks like https://api.example.com".into()),
        ErrorKind::MfaRequired => Some(format!("sign in with both factors: {}", login_command(settings))),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Stdout takes no more.
pub(crate) fn unwritten(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Internal, format!("{what}: {error}")).hint(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room where stdout goes, and start again",
        _ => "what stdout goes to takes no more: send it elsewhere, and start again",
    })
}

/// What mends a topic that would stay silent.
pub(crate) fn topic_hint(code: &str, settings: &Settings, login: &Login) -> Option<String> {
    match code {
        "forbidden" if matches!(login, Login::Guest | Login::Foreign(_)) => {
            Some(format!("sign in: bosbase-watch login {} --superuser", settings.url))
        }
        "forbidden" => Some(format!("use a superuser's login: bosbase-watch login {} --superuser", settings.url)),
        "empty" if matches!(login, Login::Guest | Login::Foreign(_)) => {
            Some(format!("sign in to see more: {}", login_command(settings)))
        }
        "not-found" => Some("bosbase-watch topics lists the collections, with a superuser's login".into()),
        "record-not-found" => Some("a record that does not exist yet can be watched with --no-check".into()),
        "bad-filter" => Some("text stands in quotes: --filter 'status = \"open\"'".into()),
        "refused" => Some("the server, or a hook on it, refuses this; -v shows each request".into()),
        _ => None,
    }
}

/// Where something that does not follow redirects was sent.
fn redirect_to(text: &str) -> Option<&str> {
    text.split_once(" redirects to ")?.1.split_once(": redirects are not followed").map(|(to, _)| to)
}

/// What mends a TLS connection that does not come about.
fn tls_hint(text: &str, url: &ServerUrl) -> String {
    let today = crate::now().strftime("%Y-%m-%d");
    if text.contains("asks for a certificate of the client") {
        "name the file that holds one, with its key: --client-cert client.pem".to_owned()
    } else if text.contains("the certificate of the client") {
        "is it one for this server? --client-cert names another file".to_owned()
    } else if text.contains("does not speak TLS") {
        format!("try plain http: --url http://{}", url.host())
    } else if text.contains("expired") {
        format!("the server needs a new certificate, unless this machine's clock is wrong: it says {today}")
    } else if text.contains("not valid before") || text.contains("not valid yet") {
        format!("is this machine's clock right? it says {today}")
    } else if text.contains("issued for") {
        "use the name that the certificate is for: --url or BOSBASE_URL sets it".to_owned()
    } else if text.contains("no certificates of authorities") {
        "install them (on Debian, Alpine and others: the package ca-certificates), or name a file: --ca-cert ca.pem"
            .to_owned()
    } else if text.contains("not one for a server") {
        "the server needs a certificate that the authority has signed for its name".to_owned()
    } else if text.contains("authority") {
        "let this system trust the authority, or name its certificate: --ca-cert ca.pem".to_owned()
    } else {
        "the server's TLS settings are to blame, or something in between that is not the server".to_owned()
    }
}

/// What mends a token that is not valid and comes from a variable.
pub(crate) fn of_variable(variable: &str, sign_in: &str) -> String {
    format!("put a valid token into {variable}, or unset it and sign in again: {sign_in}")
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

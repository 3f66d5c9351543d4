//! `status`: which server, who, until when, and whether both are good.

use std::fmt::Write as _;

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::defaults;
use super::exit::{Exit, Failure};
use super::output::{self, Wrap, sanitize};
use super::report;
use super::settings::{Login, Origin, Settings, Shadowed, refuse_one_of_all};
use super::store::Store;
use super::table::{self, Last};
use crate::{Client, Error, ErrorKind, ServerKind};

/// The two clocks may differ by so much without a word.
const CLOCK_TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

/// What was found, in the order in which it is shown.
struct Findings {
    server: Result<(), Option<Error>>,
    kind: Option<ServerKind>,
    login: Result<(), LoginProblem>,
}

enum LoginProblem {
    None,
    Foreign(String),
    Refused(Error),
    /// It was not asked, or what went wrong when it was.
    Unknown(Option<Error>),
}

pub(crate) async fn status(args: StatusArgs, global: Global) -> Result<Exit> {
    if args.all {
        return all(args, global).await;
    }
    let settings = Settings::resolve(global, None)?;
    let login = settings.login(false)?;
    let client = settings.signed_in(&login)?;
    let findings = find(&settings, &login, &client, args.offline).await;
    if args.json {
        super::print_json(&as_json(&settings, &login, &client, &findings))?;
    } else {
        super::print(&as_text(&settings, &login, &client, &findings))?;
    }
    if let Err(Some(error)) = &findings.server {
        return Err(report::explain(error, &settings).into());
    }
    Ok(match findings.login {
        Ok(()) => Exit::Done,
        Err(LoginProblem::Unknown(Some(error))) => return Err(report::explain(&error, &settings).into()),
        Err(LoginProblem::Unknown(None)) => Exit::Connect,
        Err(_) => {
            report::line("error:", "there is no valid login");
            let sign_in = report::login_command(&settings);
            let hint = match login {
                // Another login would not be used.
                Login::Environment(variable, _) => report::of_variable(variable, &sign_in),
                _ => format!("sign in: {sign_in}"),
            };
            report::line("hint:", &hint);
            Exit::Auth
        }
    })
}

/// Asks the server, and proves the login.
async fn find(settings: &Settings, login: &Login, client: &Client, offline: bool) -> Findings {
    let server = if offline { Err(None) } else { client.health().await.map_err(Some) };
    let reachable = server.is_ok();
    let kind = if reachable { client.server_kind().await.ok().flatten() } else { None };
    let verdict = match login {
        Login::Guest => Err(LoginProblem::None),
        Login::Foreign(origin) => Err(LoginProblem::Foreign(origin.clone())),
        _ if offline && client.auth().is_valid() => Ok(()),
        _ if offline => Err(LoginProblem::Refused(Error::new(ErrorKind::Unauthorized, "the login has expired"))),
        _ if !reachable => Err(LoginProblem::Unknown(None)),
        _ => match crate::auth::verify(client).await {
            Ok(_) => {
                super::say_unkept(settings);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::Unauthorized => Err(LoginProblem::Refused(error)),
            Err(error) => Err(LoginProblem::Unknown(Some(error))),
        },
    };
    Findings { server, kind, login: verdict }
}

/// How many servers are asked at once.
const PARALLEL: usize = 8;

/// Every profile, each with its own server and login: the environment is for one of them.
async fn all(args: StatusArgs, global: Global) -> Result<Exit> {
    refuse_one_of_all(&global)?;
    let store = Store::open(global.config.as_deref())?;
    let current = store.current_profile()?;
    let of_each = store.names()?.into_iter().map(|name| {
        let offline = args.offline;
        async move {
            let global = Global { profile: Some(name.clone()), url: None, ..defaults::global_of(&name)? };
            let settings = Settings::resolve(global, None)?;
            let login = settings.kept_login()?;
            let client = settings.signed_in(&login)?;
            let findings = find(&settings, &login, &client, offline).await;
            anyhow::Ok((settings, login, client, findings))
        }
    });
    let found: Vec<_> = stream::iter(of_each).buffered(PARALLEL).try_collect().await?;
    let (mut rows, mut objects) = (Vec::new(), Vec::new());
    for (settings, login, client, findings) in &found {
        let is_current = settings.profile_name == current;
        if args.json {
            let mut object = as_json(settings, login, client, findings);
            object["current"] = is_current.into();
            // What the environment says is about one profile.
            object.as_object_mut().map(|object| object.shift_remove("shadowed"));
            objects.push(object);
            continue;
        }
        let profile = settings.profile.clone().unwrap_or_default();
        let (who, until) = who(client);
        let state = match (&findings.server, &findings.login) {
            (_, Err(LoginProblem::None)) => "not signed in".to_owned(),
            (Err(Some(error)), _) => error.to_string(),
            (_, Ok(())) => format!("valid{until}"),
            (_, Err(LoginProblem::Foreign(origin))) => format!("the login belongs to {origin}"),
            (_, Err(LoginProblem::Refused(error))) => format!("not valid: {error}"),
            (_, Err(LoginProblem::Unknown(Some(error)))) => format!("not checked: {error}"),
            (_, Err(LoginProblem::Unknown(None))) => "not checked".to_owned(),
        };
        let mark = if is_current { "current" } else { "" };
        let who = if who.is_empty() { profile.in_words() } else { who };
        rows.push(vec![settings.profile_name.clone(), mark.to_owned(), settings.url.to_string(), who, state]);
    }
    if args.json {
        super::print_json(&Value::Array(objects))?;
    } else if !rows.is_empty() {
        super::print(&table::draw(&rows, &[], Last::Cut, table::width()))?;
    }
    let is_invalid = |findings: &Findings| !matches!(findings.login, Ok(()) | Err(LoginProblem::Unknown(_)));
    let invalid: Vec<&str> = found
        .iter()
        .filter(|(.., findings)| is_invalid(findings))
        .map(|(settings, ..)| settings.profile_name.as_str())
        .collect();
    if let Some(first) = invalid.first() {
        let have = if invalid.len() == 1 { "has" } else { "have" };
        let message =
            format!("{} of {} profiles {have} no valid login: {}", invalid.len(), found.len(), invalid.join(", "));
        report::line("error:", &message);
        report::line("hint:", &format!("sign in: bosbase-watch login --profile {first}"));
        return Ok(Exit::Auth);
    }
    if found.is_empty() {
        return Err(Failure::new(Exit::Auth, "there is no profile yet").hint("bosbase-watch login makes one").into());
    }
    let away = found.iter().filter(|(.., findings)| matches!(findings.login, Err(LoginProblem::Unknown(_)))).count();
    if away > 0 {
        return Err(Failure::new(Exit::Connect, format!("{away} of {} profiles could not be checked", found.len()))
            .hint("the list says why; --offline asks no server")
            .into());
    }
    Ok(Exit::Done)
}

/// Whom the login belongs to, and until when: as a person reads it.
fn who(client: &Client) -> (String, String) {
    let account = client.auth().account();
    let who = account.as_ref().map(|account| {
        match account.name.as_deref().unwrap_or(&account.id) {
            // No server has said whose it is, and nor does the token.
            "" => "an unknown account".to_owned(),
            name => format!("{name} ({})", account.collection),
        }
    });
    let until = account.and_then(|account| account.expires).map(|at| format!(", until {}", moment(at)));
    (who.unwrap_or_default(), until.unwrap_or_default())
}

fn as_text(settings: &Settings, login: &Login, client: &Client, findings: &Findings) -> String {
    let mut lines = Vec::new();
    let origin = match settings.url_origin {
        Origin::Argument => " (from --url)".to_owned(),
        Origin::Environment(name) => format!(" (from {name})"),
        Origin::Profile => String::new(),
        Origin::Config => " (from the config)".to_owned(),
        Origin::Default => " (the default)".to_owned(),
    };
    let state = match &findings.server {
        Ok(()) => match findings.kind {
            Some(ServerKind::PocketBase) => "reachable, PocketBase".to_owned(),
            Some(ServerKind::BosBase) => "reachable, BosBase".to_owned(),
            None => "reachable".to_owned(),
        },
        Err(None) => "not asked".to_owned(),
        Err(Some(error)) => error.to_string(),
    };
    lines.push(("profile", settings.profile_name.clone()));
    lines.push(("server", format!("{}{origin}, {state}", settings.url)));
    if let Some(parted) = client.clock_difference().filter(|parted| parted.abs() > CLOCK_TOLERANCE) {
        let (by, which) = (parted.abs().as_secs(), if parted.is_negative() { "behind" } else { "ahead of" });
        lines.push(("clock", format!("the server's is {by} s {which} this machine's")));
    }
    let (who, until) = who(client);
    lines.push((
        "login",
        match &findings.login {
            Ok(()) => format!("{who}, valid{until}"),
            Err(LoginProblem::None) => "none: a guest".to_owned(),
            Err(LoginProblem::Foreign(origin)) => format!("none here: the profile's login belongs to {origin}"),
            Err(LoginProblem::Refused(error)) => format!("{who}, not valid: {error}"),
            Err(LoginProblem::Unknown(_)) => format!("{who}{until}, not checked"),
        },
    ));
    lines.push((
        "token",
        match login {
            Login::Guest | Login::Foreign(_) => "none in use".to_owned(),
            Login::Environment(name, _) => format!("from {name}, which stands before the profile's; not kept"),
            Login::Profile(_) => {
                format!("kept in {}, readable by its owner only", settings.store.credentials_path().display())
            }
        },
    ));
    lines.extend(settings.shadowed().iter().map(|shadowed| ("shadowed", in_words(shadowed))));
    if let Some((what, hint)) = settings.store.open_to_others() {
        lines.push(("warning", format!("{what}: {hint}")));
    }
    let mut out = String::new();
    for (label, text) in lines {
        let line = format!("{label:<8} {}", sanitize::terminal(&text));
        // A path is left whole, to be copied.
        let wrap = |width| output::wrap(&line, Wrap { width, indent: "shadowed ".len(), breaks_words: false });
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", table::width().map_or_else(|| line.clone(), wrap));
    }
    out
}

fn in_words(shadowed: &Shadowed) -> String {
    let Shadowed { setting, by, hidden, value } = shadowed;
    let what = match (*setting, *hidden) {
        ("profile", "profile") => "the current profile".to_owned(),
        ("url", "profile") => "the profile's server".to_owned(),
        (_, "profile") => "the profile's login".to_owned(),
        (_, variable) => variable.to_owned(),
    };
    match value {
        Some(value) => format!("{what} ({value}), by {by}"),
        None => format!("{what}, by {by}"),
    }
}

fn as_json(settings: &Settings, login: &Login, client: &Client, findings: &Findings) -> Value {
    let account = client.auth().account();
    json!({
        "profile": settings.profile_name,
        "url": settings.url.as_str(),
        "server": findings.kind.map(|kind| match kind {
            ServerKind::PocketBase => "PocketBase",
            ServerKind::BosBase => "BosBase",
        }),
        "reachable": match &findings.server { Ok(()) => Some(true), Err(None) => None, Err(Some(_)) => Some(false) },
        "valid": match &findings.login { Ok(()) => Some(true), Err(LoginProblem::Unknown(_)) => None, Err(_) => Some(false) },
        "auth": account.map(|account| json!({
            "id": account.id,
            "collection": account.collection,
            "name": account.name,
            "expires": account.expires.map(stamp),
        })),
        "token": match login {
            Login::Guest | Login::Foreign(_) => None,
            Login::Environment(name, _) => Some(*name),
            Login::Profile(_) => Some("profile"),
        },
        "clock_ms": client.clock_difference().map(|parted| {
            i64::try_from(if parted.abs() > CLOCK_TOLERANCE { parted.as_millis() } else { 0 }).unwrap_or_default()
        }),
        "shadowed": settings.shadowed().iter().map(|Shadowed { setting, by, hidden, value }| json!({
            "setting": setting, "by": by, "hidden": hidden, "value": value,
        })).collect::<Vec<_>>(),
    })
}

/// A moment as a script reads it.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A moment as a person reads it, in local time.
pub(crate) fn moment(at: Timestamp) -> String {
    at.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

//! `topics`: the collections, or why a topic would stay silent.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

use super::args::{Global, TopicsArgs};
use super::exit::{Exit, Failure};
use super::output::sanitize;
use super::report;
use super::selection;
use super::settings::{Login, Settings};
use crate::{CollectionInfo, ErrorKind, Severity};

pub(crate) async fn topics(args: TopicsArgs, global: Global) -> Result<Exit> {
    let settings = Settings::resolve(global, None)?;
    let topics = selection::resolve(&args.topics, &args.select, &settings, selection::Pairing::Never)?.topics;
    let login = settings.login(args.guest)?;
    if let Login::Foreign(origin) = &login {
        report::warning(&settings, &format!("the profile's login belongs to {origin}: asking as a guest"));
    }
    let client = settings.signed_in(&login)?;
    let renewed = crate::auth::verify(&client).await.map_err(|error| report::explain(&error, &settings))?;
    super::keep_renewed(&settings, &login, &client, renewed);
    if topics.is_empty() {
        let collections = client.collections().await.map_err(|error| match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::Forbidden => Failure::new(
                Exit::Auth,
                "the list of collections is for superusers only",
            )
            .hint(format!(
                "check topics that you know: bosbase-watch topics 'posts/*'; or sign in: bosbase-watch login {} --superuser",
                settings.url
            )),
            _ => report::explain(&error, &settings),
        })?;
        print(&list(&collections))?;
        return Ok(Exit::Done);
    }
    let verdicts = client.check(&topics).await.map_err(|error| report::explain(&error, &settings))?;
    let width = verdicts.iter().map(|verdict| verdict.topic.chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for verdict in &verdicts {
        let word = match verdict.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "silent",
        };
        let topic = sanitize::terminal(&verdict.topic);
        let _ = writeln!(text, "{topic:<width$}  {word:<7}  {}", sanitize::terminal(&verdict.message));
        if let Some(hint) = &verdict.hint {
            let _ = writeln!(text, "{:<width$}  {:<7}  {}", "", "", sanitize::terminal(hint));
        }
    }
    print(&text)?;
    Ok(if verdicts.iter().any(|verdict| verdict.severity == Severity::Error) { Exit::Topic } else { Exit::Done })
}

fn list(collections: &[CollectionInfo]) -> String {
    let mut text = String::new();
    let width = collections.iter().map(|c| c.name.chars().count() + 2).max().unwrap_or(0).max(5);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:<width$}  TYPE   {:<28}  NAME/ID (view rule)", "TOPIC", "NAME/* (list rule)");
    for collection in collections {
        let (list, view) = if collection.kind == "view" {
            ("never: a view".to_owned(), "never: a view".to_owned())
        } else {
            (rule(collection.list_rule.as_deref()), rule(collection.view_rule.as_deref()))
        };
        let topic = format!("{}/*", collection.name);
        let (topic, kind) = (sanitize::terminal(&topic), sanitize::terminal(&collection.kind));
        let _ = writeln!(text, "{topic:<width$}  {kind:<5}  {list:<28}  {view}");
    }
    text
}

/// A rule in short.
fn rule(rule: Option<&str>) -> String {
    match rule {
        None => "superusers".to_owned(),
        Some("") => "anyone".to_owned(),
        Some(rule) => {
            let rule = sanitize::terminal(rule);
            if rule.chars().count() <= 28 {
                rule.into_owned()
            } else {
                let short: String = rule.chars().take(27).collect();
                format!("{short}…")
            }
        }
    }
}

fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to stdout"),
    }
}

//! `topics`: the collections, or why a topic would stay silent.

use std::fmt::Write as _;

use anyhow::Result;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::args::{Global, TopicsArgs};
use super::exit::{Exit, Failure};
use super::output::sanitize;
use super::report;
use super::selection;
use super::settings::{Login, Settings};
use crate::{Client, CollectionInfo, Error, ErrorKind, Severity, Verdict};

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
        let collections = client.collections().await.map_err(|error| no_list(&error, &settings))?;
        let rows = count(&client, collections, args.count).await.map_err(|error| report::explain(&error, &settings))?;
        super::print(&if args.json { list_json(&rows) } else { list(&rows) })?;
        return Ok(Exit::Done);
    }
    if args.count {
        return Err(Failure::usage("--count goes with the list of collections, not with topics").into());
    }
    let verdicts = client.check(&topics).await.map_err(|error| report::explain(&error, &settings))?;
    super::print(&if args.json { verdicts_json(&verdicts) } else { verdicts_text(&verdicts) })?;
    let silent = verdicts.iter().filter(|verdict| verdict.severity == Severity::Error).count();
    if silent == 0 {
        return Ok(Exit::Done);
    }
    report::line("error:", &format!("{silent} of {} topics would stay silent", verdicts.len()));
    Ok(Exit::Topic)
}

fn no_list(error: &Error, settings: &Settings) -> Failure {
    match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Forbidden => {
            Failure::new(Exit::Auth, "the list of collections is for superusers only").hint(format!(
                "check topics that you know: bosbase-watch topics 'posts/*'; or sign in: bosbase-watch login {} --superuser",
                settings.url
            ))
        }
        _ => report::explain(error, settings),
    }
}

/// A collection, and how many records it has, where that was asked for.
struct Row {
    collection: CollectionInfo,
    count: Option<u64>,
}

/// How many collections are counted at once.
const PARALLEL: usize = 8;

async fn count(client: &Client, collections: Vec<CollectionInfo>, wanted: bool) -> crate::Result<Vec<Row>> {
    let rows = stream::iter(collections).map(|collection| async move {
        let count = if wanted { Some(client.collection(&collection.name).count().await?) } else { None };
        Ok(Row { collection, count })
    });
    rows.buffered(PARALLEL).collect::<Vec<_>>().await.into_iter().collect()
}

fn verdicts_text(verdicts: &[Verdict]) -> String {
    let width = verdicts.iter().map(|verdict| verdict.topic.chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for verdict in verdicts {
        let word = match verdict.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "silent",
        };
        let topic = sanitize::terminal(&verdict.topic);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{topic:<width$}  {word:<7}  {}", sanitize::terminal(&verdict.message));
        if let Some(hint) = &verdict.hint {
            let _ = writeln!(text, "{:<width$}  {:<7}  {}", "", "", sanitize::terminal(hint));
        }
    }
    text
}

fn verdicts_json(verdicts: &[Verdict]) -> String {
    let rows = verdicts.iter().map(|verdict| {
        json!({
            "topic": verdict.topic,
            "severity": match verdict.severity {
                Severity::Ok => "ok",
                Severity::Note => "note",
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
            "code": verdict.code,
            "message": verdict.message,
            "hint": verdict.hint,
        })
    });
    array(rows)
}

fn list_json(rows: &[Row]) -> String {
    array(rows.iter().map(|Row { collection, count }| {
        let mut row = json!({
            "topic": format!("{}/*", collection.name),
            "collection": collection.name,
            "type": collection.kind,
            "list_rule": collection.list_rule,
            "view_rule": collection.view_rule,
        });
        if let (Some(count), Some(row)) = (count, row.as_object_mut()) {
            row.insert("count".into(), (*count).into());
        }
        row
    }))
}

fn array(rows: impl Iterator<Item = serde_json::Value>) -> String {
    format!("{}\n", serde_json::Value::Array(rows.collect()))
}

/// A table that fits 80 columns, as long as names do.
fn list(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.collection.name.chars().count() + 2).max().unwrap_or(0).clamp(5, 24);
    let counted = rows.iter().any(|row| row.count.is_some());
    let mut text = String::new();
    let number = |count: &str| if counted { format!("{count:>8}  ") } else { String::new() };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:<width$}  TYPE  {}{:<RULE$}  VIEW RULE", "TOPIC", number("RECORDS"), "LIST RULE");
    for Row { collection, count } in rows {
        let (list, view) = if collection.kind == "view" {
            ("a view: sends nothing".to_owned(), String::new())
        } else {
            (rule(collection.list_rule.as_deref()), rule(collection.view_rule.as_deref()))
        };
        let topic = format!("{}/*", collection.name);
        let (topic, kind) = (sanitize::terminal(&topic), sanitize::terminal(&collection.kind));
        let count = number(&count.map(|count| count.to_string()).unwrap_or_default());
        let line = format!("{topic:<width$}  {kind:<4}  {count}{list:<RULE$}  {view}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// How wide a rule is shown.
const RULE: usize = 21;

/// A rule in short.
fn rule(rule: Option<&str>) -> String {
    match rule {
        None => "superusers".to_owned(),
        Some("") => "anyone".to_owned(),
        Some(rule) => {
            let rule = sanitize::terminal(rule);
            if rule.chars().count() <= RULE {
                rule.into_owned()
            } else {
                let short: String = rule.chars().take(RULE - 1).collect();
                format!("{short}…")
            }
        }
    }
}

//! `topics`: the collections, or why a topic would stay silent.

use anyhow::Result;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::args::{Global, TopicsArgs};
use super::exit::{Exit, Failure};
use super::settings::{Login, Settings};
use super::table::{self, Last};
use super::{report, seen, selection};
use crate::{Client, CollectionInfo, Error, ErrorKind, Severity, Topic, Verdict};

pub(crate) async fn topics(args: TopicsArgs, global: Global) -> Result<Exit> {
    let settings = Settings::resolve(global, None)?;
    let topics = selection::resolve(&args.topics, &args.select, &settings, selection::Pairing::Never)?.topics;
    let login = settings.login(args.guest)?;
    if let Login::Foreign(origin) = &login {
        report::warning(&settings, &format!("the profile's login belongs to {origin}: asking as a guest"));
    }
    let client = settings.signed_in(&login)?;
    crate::auth::verify(&client).await.map_err(|error| report::explain(&error, &settings))?;
    super::say_unkept(&settings);
    if topics.is_empty() {
        return match client.collections().await {
            Ok(collections) => {
                let counts = count(&client, collections.iter().map(|collection| collection.name.as_str()), args.count)
                    .await
                    .map_err(|error| report::explain(&error, &settings))?;
                let rows: Vec<Row> =
                    collections.into_iter().zip(counts).map(|(collection, count)| Row { collection, count }).collect();
                if args.json {
                    super::print_json(&list_json(&rows))?;
                } else {
                    super::print(&list(rows, table::width()))?;
                }
                Ok(Exit::Done)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden) => {
                seen_before(&args, &client, &settings).await
            }
            Err(error) => Err(report::explain(&error, &settings).into()),
        };
    }
    if args.count {
        return Err(Failure::usage("--count goes with the list of collections, not with topics")
            .hint("bosbase-watch topics --count lists them all")
            .into());
    }
    let mut verdicts = client.check(&topics).await.map_err(|error| report::explain(&error, &settings))?;
    seen::remember(&settings, &topics, &verdicts);
    seen::add_hints(&settings, &topics, &mut verdicts);
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.hint.is_none()) {
        verdict.hint = report::topic_hint(verdict.code, &settings, &login);
    }
    let none = vec![None; verdicts.len()];
    show(&verdicts, &none, args.json)?;
    let silent = verdicts.iter().filter(|verdict| verdict.severity == Severity::Error).count();
    if silent == 0 {
        return Ok(Exit::Done);
    }
    report::line("error:", &format!("{silent} of {} topics would stay silent", verdicts.len()));
    Ok(Exit::Topic)
}

/// What can be told without a superuser's login: the collections seen before.
async fn seen_before(args: &TopicsArgs, client: &Client, settings: &Settings) -> Result<Exit> {
    let sign_in = format!("bosbase-watch login {} --superuser", settings.url);
    let names = seen::collections(settings);
    if names.is_empty() {
        return Err(Failure::new(Exit::Auth, "the list of collections is for superusers only")
            .hint(format!("check a topic that you know, such as 'posts/*', or sign in: {sign_in}"))
            .into());
    }
    let topics: Vec<Topic> = names.iter().map(Topic::collection).collect();
    let explain = |error: Error| report::explain(&error, settings);
    let verdicts = client.check(&topics).await.map_err(explain)?;
    let counts = if args.count {
        let listed = names.iter().zip(&verdicts).filter(|(_, verdict)| verdict.severity < Severity::Error);
        let mut found = count(client, listed.map(|(name, _)| name.as_str()), true).await.map_err(explain)?.into_iter();
        let of = |verdict: &Verdict| (verdict.severity < Severity::Error).then(|| found.next().flatten()).flatten();
        verdicts.iter().map(of).collect()
    } else {
        vec![None; names.len()]
    };
    show(&verdicts, &counts, args.json)?;
    report::note(
        settings,
        "These are the collections seen before with this profile; the list of all needs a superuser's login:",
    );
    report::hint(settings, &sign_in);
    Ok(Exit::Done)
}

/// A collection, and how many records it has, where that was asked for.
struct Row {
    collection: CollectionInfo,
    count: Option<u64>,
}

/// How many collections are counted at once.
const PARALLEL: usize = 8;

async fn count<'a>(
    client: &Client,
    names: impl Iterator<Item = &'a str>,
    wanted: bool,
) -> crate::Result<Vec<Option<u64>>> {
    let counts = stream::iter(names).map(|name| {
        let collection = client.collection(name);
        async move { if wanted { collection.count().await.map(Some) } else { Ok(None) } }
    });
    counts.buffered(PARALLEL).collect::<Vec<_>>().await.into_iter().collect()
}

fn show(verdicts: &[Verdict], counts: &[Option<u64>], json: bool) -> Result<()> {
    if json {
        return super::print_json(&verdicts_json(verdicts, counts));
    }
    super::print(&verdicts_text(verdicts, counts, table::width()))
}

fn verdicts_text(verdicts: &[Verdict], counts: &[Option<u64>], width: Option<usize>) -> String {
    let mut rows = Vec::new();
    for (verdict, count) in verdicts.iter().zip(counts) {
        let word = match verdict.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "silent",
        };
        let count =
            count.map(|count| format!(" ({count} record{})", if count == 1 { "" } else { "s" })).unwrap_or_default();
        rows.push(vec![verdict.topic.clone(), word.to_owned(), format!("{}{count}", verdict.message)]);
        if let Some(hint) = &verdict.hint {
            rows.push(vec![String::new(), String::new(), hint.clone()]);
        }
    }
    table::draw(&rows, &[], Last::Wrap, width)
}

fn verdicts_json(verdicts: &[Verdict], counts: &[Option<u64>]) -> serde_json::Value {
    let rows = verdicts.iter().zip(counts).map(|(verdict, count)| {
        let mut row = json!({
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
        });
        add_count(&mut row, *count);
        row
    });
    rows.collect()
}

fn add_count(row: &mut serde_json::Value, count: Option<u64>) {
    if let (Some(count), Some(row)) = (count, row.as_object_mut()) {
        row.insert("count".into(), count.into());
    }
}

fn list_json(rows: &[Row]) -> serde_json::Value {
    let rows = rows.iter().map(|Row { collection, count }| {
        let mut row = json!({
            "topic": format!("{}/*", collection.name),
            "collection": collection.name,
            "type": collection.kind,
            "list_rule": collection.list_rule,
            "view_rule": collection.view_rule,
        });
        add_count(&mut row, *count);
        row
    });
    rows.collect()
}

/// The table of a superuser; the server's own collections come last.
fn list(mut rows: Vec<Row>, width: Option<usize>) -> String {
    let counted = rows.iter().any(|row| row.count.is_some());
    let system: Vec<_> = rows.extract_if(.., |row| row.collection.system).collect();
    rows.extend(system);
    let line = |topic: &str, kind: &str, count: &str, rules: [&str; 2], rule: &str| {
        let mut line = vec![topic.to_owned(), kind.to_owned()];
        line.extend(counted.then(|| count.to_owned()));
        line.extend(rules.map(str::to_owned));
        line.push(rule.to_owned());
        line
    };
    let mut lines = vec![line("TOPIC", "TYPE", "RECORDS", ["LIST", "VIEW"], "RULE")];
    lines.extend(rows.iter().map(|Row { collection, count }| {
        let (list, view) = (collection.list_rule.as_deref(), collection.view_rule.as_deref());
        let count = count.map(|count| count.to_string()).unwrap_or_default();
        let topic = format!("{}/*", collection.name);
        if collection.kind == "view" {
            return line(&topic, "view", &count, ["-", "-"], "a view sends no events");
        }
        let rule = [list, view].into_iter().flatten().find(|rule| in_short(Some(rule)) == "rule").unwrap_or_default();
        line(&topic, &collection.kind, &count, [in_short(list), in_short(view)], rule)
    }));
    table::draw(&lines, if counted { &[2] } else { &[] }, Last::Cut, width)
}

/// Whom a rule admits.
fn in_short(rule: Option<&str>) -> &'static str {
    let Some(rule) = rule else { return "superusers" };
    let dense: String = rule.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).collect();
    match dense.as_str() {
        "" => "open",
        "@request.auth.id!=\"\"" | "@request.auth.id!=''" | "@request.auth.id!=null" => "signed-in",
        _ => "rule",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_in_short() {
        for (rule, word) in [
            (None, "superusers"),
            (Some(""), "open"),
            (Some("@request.auth.id != \"\""), "signed-in"),
            (Some(" ( @request.auth.id!='' ) "), "signed-in"),
            (Some("@request.auth.id != \"\" && author = @request.auth.id"), "rule"),
        ] {
            assert_eq!(in_short(rule), word, "{rule:?}");
        }
    }
}

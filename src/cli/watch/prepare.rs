//! Before a watch: the login is proved and the topics are checked, since the
//! server would take anything and keep silent.

use anyhow::Result;

use super::Context;
use crate::cli::args::{Link, Options};
use crate::cli::exit::{Exit, Failure};
use crate::cli::selection::Selection;
use crate::cli::settings::Login;
use crate::cli::{report, say_unkept, seen};
use crate::{Client, Severity, Topic, TopicKind, is_record_id};

/// What is worth a word before anything is sent.
pub(crate) fn say_beforehand(selection: &Selection, options: &Options, context: &Context) {
    let Context { settings, login, .. } = context;
    let custom = |topic: &Topic| matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect);
    if options.any() && selection.topics.iter().all(custom) {
        report::warning(settings, "options such as --filter apply to topics of collections, and there is none");
    }
    if let Login::Foreign(origin) = login {
        report::warning(
            settings,
            &format!(
                "the profile's login belongs to {origin} and is not sent to {}: watching as a guest",
                settings.url
            ),
        );
    }
    for topic in &selection.topics {
        if matches!(topic.kind(), TopicKind::Custom(_)) && topic.has_options() {
            report::warning(
                settings,
                &format!(
                    "{topic} with options is another topic to the server: the hook must send to exactly these options"
                ),
            );
        }
    }
}

/// Proves the login and checks the topics. An exit code where that ends it.
pub(crate) async fn prepare(selection: &Selection, link: &Link, context: &Context) -> Result<Option<Exit>> {
    let Context { settings, login, client } = context;
    match crate::auth::verify(client).await {
        Ok(_) => say_unkept(settings),
        // The retries are the connection's business.
        Err(error) if error.is_transient() && link.max_retries > 0 => return Ok(None),
        Err(error) => return Err(report::explain(&error, settings).into()),
    }
    if link.no_check {
        return Ok(None);
    }
    let mut verdicts = match client.check(&selection.topics).await {
        Ok(verdicts) => verdicts,
        Err(error) if error.is_transient() && link.max_retries > 0 => return Ok(None),
        Err(error) => return Err(report::explain(&error, settings).into()),
    };
    if let Some((collection, second)) = &selection.pair {
        let name = second.split('?').next().unwrap_or_default();
        // Only a word that could be a collection's name is asked about.
        if matches!(Topic::custom(name).kind(), TopicKind::Bare(_))
            && !is_record_id(name)
            && client.check(&[Topic::collection(name)]).await.is_ok_and(|verdicts| verdicts[0].code != "not-found")
        {
            return Err(Failure::new(
                Exit::Topic,
                format!("{name} is a collection itself, not a record of {collection}"),
            )
            .hint(format!("to watch both: subscribe '{collection}/*' '{name}/*'"))
            .into());
        }
        // Two words are meant as a collection and a record of it.
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.code == "custom-beside-collection") {
            verdict.message = format!("not a record of {collection}: taken as a custom topic, which cannot be checked");
            let hint = || format!("all of its records are '{collection}/*', one is '{collection}/ID'");
            verdict.hint.get_or_insert_with(hint);
        }
    }
    seen::remember(settings, &selection.topics, &verdicts);
    seen::add_hints(settings, &selection.topics, &mut verdicts);
    let (mut refused, mut sign_in) = (false, None);
    for (verdict, topic) in verdicts.iter().zip(&selection.topics) {
        let text = format!("{}: {}", verdict.topic, verdict.message);
        match verdict.severity {
            Severity::Error => {
                report::line("error:", &text);
                if let Some(hint) = verdict.hint.clone().or_else(|| report::topic_hint(verdict.code, settings, login)) {
                    report::line("hint:", &hint);
                }
                refused = true;
            }
            // The line that says it is connected says it of all custom topics, once.
            Severity::Note
                if matches!(verdict.code, "custom" | "custom-beside-collection")
                    && verdict.hint.is_none()
                    && matches!(topic.kind(), TopicKind::Custom(_)) => {}
            Severity::Warning | Severity::Note => {
                if verdict.severity == Severity::Warning {
                    report::warning(settings, &text);
                } else {
                    report::note(settings, &text);
                }
                if let Some(hint) = &verdict.hint {
                    report::hint(settings, hint);
                } else {
                    // The same for all topics: said once, behind them.
                    sign_in = sign_in.or_else(|| report::topic_hint(verdict.code, settings, login));
                }
            }
            Severity::Ok => {}
        }
    }
    if let Some(hint) = sign_in {
        report::hint(settings, &hint);
    }
    Ok(refused.then_some(Exit::Topic))
}

/// What the check of one more topic found.
pub(super) enum Checked {
    Good,
    Said(String),
    Doubtful(String),
    Refused(String),
}

/// Checks a topic that is added while the watch runs. A check that cannot be
/// made is no reason to do without the topic.
pub(super) async fn check_one(client: &Client, topic: &Topic) -> Checked {
    let verdict = match client.check(std::slice::from_ref(topic)).await {
        Ok(mut verdicts) => match verdicts.pop() {
            Some(verdict) => verdict,
            None => return Checked::Good,
        },
        Err(error) => return Checked::Doubtful(format!("{topic} could not be checked: {error}")),
    };
    let text = format!("{}: {}", verdict.topic, verdict.message);
    match verdict.severity {
        Severity::Error => Checked::Refused(text),
        Severity::Warning => Checked::Doubtful(text),
        Severity::Note if !matches!(topic.kind(), TopicKind::Custom(_)) => Checked::Said(text),
        _ => Checked::Good,
    }
}

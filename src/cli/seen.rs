//! The collections seen with a profile: without a superuser's login nobody
//! gets a list of them.

use super::settings::Settings;
use crate::{Severity, Topic, TopicKind, Verdict};

/// Remembers the collections that would deliver. A watch does without that, so
/// where it cannot be kept nothing is said.
pub(crate) fn remember(settings: &Settings, topics: &[Topic], verdicts: &[Verdict]) {
    let is_there = |verdict: &Verdict| verdict.severity < Severity::Error && verdict.code != "maybe-wrong-case";
    let found = topics.iter().zip(verdicts).filter(|(_, verdict)| is_there(verdict));
    let names: Vec<&str> = found
        .filter_map(|(topic, verdict)| match topic.kind() {
            TopicKind::Collection(name) | TopicKind::Record(name, _) => Some(name),
            TopicKind::Bare(name) if verdict.code != "custom" => Some(name),
            _ => None,
        })
        .collect();
    if let Err(error) = settings.store.remember_seen(&settings.profile_name, settings.url.origin(), &names) {
        tracing::debug!(target: "bosbase_watch::store", "what was seen is not kept: {error:#}");
    }
}

/// The collections seen before, by name.
pub(crate) fn collections(settings: &Settings) -> Vec<String> {
    settings.store.seen(&settings.profile_name, settings.url.origin()).unwrap_or_default()
}

/// Where the server does not tell the names, the nearest of those seen before.
pub(crate) fn add_hints(settings: &Settings, topics: &[Topic], verdicts: &mut [Verdict]) {
    let mut seen = None;
    for (topic, verdict) in topics.iter().zip(verdicts) {
        let (TopicKind::Collection(name) | TopicKind::Record(name, _) | TopicKind::Bare(name)) = topic.kind() else {
            continue;
        };
        if verdict.hint.is_none() && matches!(verdict.code, "not-found" | "custom") {
            let seen = seen.get_or_insert_with(|| collections(settings));
            let near = crate::check::nearest(name, seen.iter().map(String::as_str));
            verdict.hint = near.map(|near| format!("did you mean {near}?"));
        }
    }
}

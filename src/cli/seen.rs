//! What was seen with a profile: the collections, of which without a superuser's
//! login nobody gets a list, and what else a person may want to type again.

use super::settings::Settings;
use super::store::Seen;
use crate::{Severity, Topic, TopicKind, Verdict};

/// Longer names of custom topics are not typed again.
const MAX_NAME: usize = 80;

/// Remembers the collections that would deliver, and the custom topics.
pub(crate) fn remember(settings: &Settings, topics: &[Topic], verdicts: &[Verdict]) {
    let is_there = |verdict: &Verdict| verdict.severity < Severity::Error && verdict.code != "maybe-wrong-case";
    let (mut collections, mut customs) = (Vec::new(), Vec::new());
    for (topic, verdict) in topics.iter().zip(verdicts).filter(|(_, verdict)| is_there(verdict)) {
        match topic.kind() {
            TopicKind::Collection(name) | TopicKind::Record(name, _) => collections.push(name),
            TopicKind::Bare(name) if verdict.code != "custom" => collections.push(name),
            TopicKind::Bare(name) | TopicKind::Custom(name) if name.len() <= MAX_NAME => customs.push(name),
            _ => {}
        }
    }
    keep(settings, &[(Seen::Collections, collections), (Seen::CustomTopics, customs)]);
}

/// Remembers the OAuth2 providers that the server offers.
pub(crate) fn remember_providers(settings: &Settings, names: &[&str]) {
    keep(settings, &[(Seen::Providers, names.to_vec())]);
}

/// Everything works without it, so where it cannot be kept nothing is said.
fn keep(settings: &Settings, names: &[(Seen, Vec<&str>)]) {
    if let Err(error) = settings.store.remember_seen(&settings.profile_name, settings.url.origin(), names) {
        tracing::debug!(target: "bosbase_watch::store", "what was seen is not kept: {error:#}");
    }
}

/// The collections seen before, by name.
pub(crate) fn collections(settings: &Settings) -> Vec<String> {
    settings.store.seen(Seen::Collections, &settings.profile_name, settings.url.origin()).unwrap_or_default()
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

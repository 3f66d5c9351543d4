//! What was seen with a profile: the collections, of which without a superuser's
//! login nobody gets a list, and what else a person may want to type again.

use super::settings::Settings;
use super::store::Seen;
use crate::{Severity, Topic, TopicKind, Verdict};

/// Longer names of custom topics are not typed again.
const MAX_NAME: usize = 80;

/// Remembers the collections that would deliver. Of a custom topic the check cannot tell a slip.
pub(crate) fn remember(settings: &Settings, topics: &[Topic], verdicts: &[Verdict]) {
    let is_there = |verdict: &Verdict| verdict.severity < Severity::Error && verdict.code != "maybe-wrong-case";
    let mut collections = Vec::new();
    for (topic, verdict) in topics.iter().zip(verdicts).filter(|(_, verdict)| is_there(verdict)) {
        match topic.kind() {
            TopicKind::Collection(name) | TopicKind::Record(name, _) => collections.push(name),
            TopicKind::Bare(name) if verdict.code != "custom" => collections.push(name),
            _ => {}
        }
    }
    keep(settings, &[(Seen::Collections, collections)]);
}

/// Remembers custom topics, each of which has brought an event.
pub(crate) fn remember_customs(settings: &Settings, names: &[&str]) {
    let names = names.iter().copied().filter(|name| name.len() <= MAX_NAME).collect();
    keep(settings, &[(Seen::CustomTopics, names)]);
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

/// The custom topic seen before that this one is a slip of: one letter is another, too many or
/// missing, or two have changed places.
fn slip_of<'a>(name: &str, seen: &'a [String]) -> Option<&'a str> {
    let is_near = |have: &&String| strsim::damerau_levenshtein(have, name) == 1;
    let is_seen = seen.iter().any(|have| have == name);
    seen.iter().find(is_near).filter(|_| !is_seen).map(String::as_str)
}

/// Where the server does not tell the names, the nearest of those seen before.
pub(crate) fn add_hints(settings: &Settings, topics: &[Topic], verdicts: &mut [Verdict]) {
    let (mut seen, mut customs) = (None, None);
    for (topic, verdict) in topics.iter().zip(verdicts).filter(|(_, verdict)| verdict.hint.is_none()) {
        let near = match topic.kind() {
            TopicKind::Collection(name) | TopicKind::Record(name, _) | TopicKind::Bare(name)
                if matches!(verdict.code, "not-found" | "custom") =>
            {
                let seen = seen.get_or_insert_with(|| collections(settings));
                crate::check::nearest(name, seen.iter().map(String::as_str))
            }
            TopicKind::Custom(name) if matches!(verdict.code, "custom" | "custom-beside-collection") => {
                let of = || settings.store.seen(Seen::CustomTopics, &settings.profile_name, settings.url.origin());
                slip_of(name, customs.get_or_insert_with(|| of().unwrap_or_default()))
            }
            _ => None,
        };
        verdict.hint = near.map(|near| format!("did you mean {near}?"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_custom_topics() {
        let seen = ["jobs/finished", "jobs/failed", "room/1", "room/2"].map(str::to_owned);
        for (name, near) in [
            ("jobs/finishd", Some("jobs/finished")),
            ("jobs/finsihed", Some("jobs/finished")),
            ("jobs/finished", None),
            ("jobs/started", None),
            // As near to another as this, and right.
            ("room/1", None),
        ] {
            assert_eq!(slip_of(name, &seen), near, "{name}");
        }
    }
}

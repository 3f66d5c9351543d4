//! `state.json`: what the tool remembers for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The profile signed in with last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) profile: Option<String>,
    /// The names of collections that would deliver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: ByServer,
    /// The names of custom topics that were watched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    custom: ByServer,
    /// The names of OAuth2 providers that a server offered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    providers: ByServer,
    /// What a later version remembers is kept.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

/// Names by profile and by the server's origin.
type ByServer = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What is remembered of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Collections,
    CustomTopics,
    Providers,
}

impl State {
    fn names(&self, what: Seen) -> &ByServer {
        match what {
            Seen::Collections => &self.seen,
            Seen::CustomTopics => &self.custom,
            Seen::Providers => &self.providers,
        }
    }

    /// What was seen with a profile on a server.
    pub(super) fn seen(&self, what: Seen, profile: &str, origin: &str) -> Vec<String> {
        let names = self.names(what).get(profile).and_then(|servers| servers.get(origin));
        names.into_iter().flatten().cloned().collect()
    }

    /// The same on whatever server.
    pub(super) fn seen_anywhere(&self, what: Seen, profile: &str) -> BTreeSet<String> {
        self.names(what).get(profile).into_iter().flat_map(BTreeMap::values).flatten().cloned().collect()
    }

    pub(super) fn remember(&mut self, what: Seen, profile: &str, origin: &str, names: impl Iterator<Item = String>) {
        let all = match what {
            Seen::Collections => &mut self.seen,
            Seen::CustomTopics => &mut self.custom,
            Seen::Providers => &mut self.providers,
        };
        all.entry(profile.to_owned()).or_default().entry(origin.to_owned()).or_default().extend(names);
    }

    /// Forgets what was seen with a profile; false where that was nothing.
    pub(super) fn forget(&mut self, profile: &str) -> bool {
        let all = [&mut self.seen, &mut self.custom, &mut self.providers];
        all.into_iter().filter_map(|all| all.remove(profile)).count() > 0
    }
}

pub(super) fn read(path: &Path) -> Result<State> {
    let Some(text) = super::files::read(path)? else { return Ok(State::default()) };
    serde_json::from_str(&text).map_err(|error| super::unreadable(path, error))
}

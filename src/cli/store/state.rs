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
    /// By profile and by the server's origin: the names of collections that would deliver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) seen: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// What a later version remembers is kept.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn read(path: &Path) -> Result<State> {
    let Some(text) = super::files::read(path)? else { return Ok(State::default()) };
    serde_json::from_str(&text).map_err(|error| super::unreadable(path, error))
}

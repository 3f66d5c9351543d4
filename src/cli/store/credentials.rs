//! `credentials.json`: the tokens, one for each profile.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cli::exit::Failure;
use crate::{Client, Kept, Secret};

/// The version of the file's form.
const VERSION: u32 = 1;

/// The fields of an auth record that say who it is; the rest is nobody's business here.
const KEPT: [&str; 6] = ["id", "collectionId", "collectionName", "email", "username", "name"];

#[derive(Debug, Default)]
pub(super) struct Credentials {
    pub(super) profiles: BTreeMap<String, Credential>,
}

/// The login of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credential {
    /// The scheme, host and port that issued the token: it goes nowhere else.
    pub(crate) origin: String,
    pub(crate) token: Secret,
    pub(crate) record: Option<Value>,
}

impl Credential {
    /// The present login of a client.
    pub(crate) fn of(client: &Client) -> Option<Self> {
        let login = Kept { token: client.auth().token()?, record: client.auth().record() };
        Some(Self::new(client.url().origin(), login))
    }

    pub(super) fn new(origin: &str, login: Kept) -> Self {
        let record = login.record.map(|record| {
            let kept: Map<_, _> = KEPT
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), record.get(*key)?.clone())))
                .filter(|(_, value)| value.as_str() != Some(""))
                .collect();
            Value::Object(kept)
        });
        Self { origin: origin.to_owned(), token: login.token, record }
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { token: self.token.clone(), record: self.record.clone() }
    }
}

/// The file itself: the only place where a token is written out.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    profiles: BTreeMap<String, WireCredential>,
}

#[derive(Serialize, Deserialize)]
struct WireCredential {
    origin: String,
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Value>,
}

impl Credentials {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let profiles = self.profiles.iter().map(|(name, credential)| {
            let Credential { origin, token, record } = credential.clone();
            (name.clone(), WireCredential { origin, token: token.expose().to_owned(), record })
        });
        Ok(serde_json::to_vec_pretty(&Wire { version: VERSION, profiles: profiles.collect() })?)
    }
}

pub(super) fn read(path: &Path) -> Result<Credentials> {
    match super::files::read_private(path)? {
        Some(text) => parse(path, &text),
        None => Ok(Credentials::default()),
    }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Credentials> {
    // serde's messages may repeat a value, so only the place is told.
    let broken = |error: serde_json::Error| {
        super::unreadable(path, format!("it is broken at line {}, column {}", error.line(), error.column()))
    };
    let version = serde_json::from_str::<Value>(text).map_err(broken)?.get("version").and_then(Value::as_u64);
    if version.is_some_and(|version| version > VERSION.into()) {
        return Err(Failure::usage(format!("{} was written by a newer version of bosbase-watch", path.display()))
            .hint("use that version, or set BOSBASE_WATCH_CONFIG_DIR to another directory")
            .into());
    }
    let wire: Wire = serde_json::from_str(text).map_err(broken)?;
    let profiles = wire.profiles.into_iter().map(|(name, WireCredential { origin, token, record })| {
        (name, Credential { origin, token: token.into(), record })
    });
    Ok(Credentials { profiles: profiles.collect() })
}

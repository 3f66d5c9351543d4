//! `credentials.json`: the tokens, one for each profile.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize, Serializer};
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// The scheme, host and port that issued the token: it goes nowhere else.
    pub(crate) origin: String,
    #[serde(serialize_with = "write_out")]
    pub(crate) token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) record: Option<Value>,
}

/// The file is the only place where a token is written out.
fn write_out<S: Serializer>(token: &Secret, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
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

/// The file itself.
#[derive(Serialize, Deserialize)]
struct Wire<P> {
    version: u32,
    profiles: P,
}

impl Credentials {
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(&Wire { version: VERSION, profiles: &self.profiles })?)
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
    let Wire { profiles, .. } = serde_json::from_str(text).map_err(broken)?;
    Ok(Credentials { profiles })
}

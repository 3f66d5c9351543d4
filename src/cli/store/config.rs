//! `config.toml`: written by people. The tool edits only the profiles it made,
//! and keeps comments and order.

use std::path::Path;

use super::Failure;
use anyhow::Result;
use toml_edit::{DocumentMut, Item, Table, Value};

/// One server and one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) url: Option<String>,
    pub(crate) collection: Option<String>,
    pub(crate) identity: Option<String>,
    pub(crate) allow_http: bool,
}

/// The keys that the tool itself writes into a profile; others are names of flags.
pub(crate) const PROFILE_KEYS: [&str; 4] = ["url", "collection", "identity", "allow-http"];

impl Profile {
    /// Whose it is, as far as it says.
    pub(crate) fn in_words(&self) -> String {
        match (&self.identity, &self.collection) {
            (Some(identity), Some(collection)) => format!("{identity} ({collection})"),
            (Some(text), None) | (None, Some(text)) => text.clone(),
            (None, None) => "-".to_owned(),
        }
    }
}

pub(super) fn document(path: &Path) -> Result<DocumentMut> {
    let text = super::files::read(path)?.unwrap_or_default();
    text.parse().map_err(|error: toml_edit::TomlError| not_toml(path, &text, &error))
}

/// The text of the config; `None` where there is none and none has to be.
pub(crate) fn read_config(path: &Path, required: bool) -> Result<Option<String>> {
    let text = super::files::read(path)?;
    if required && text.is_none() {
        let shown = path.display();
        return Err(Failure::usage(format!("{shown} cannot be read: there is no such file"))
            .hint("--config names a file that stands in for config.toml")
            .into());
    }
    Ok(text)
}

pub(crate) fn not_toml(path: &Path, text: &str, error: &toml_edit::TomlError) -> anyhow::Error {
    // Its message spans lines, with the place underlined.
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    super::unreadable(path, format!("line {line}: {}", error.message()))
}

pub(super) fn profile(path: &Path, name: &str) -> Result<Option<Profile>> {
    let document = document(path)?;
    let Some(table) = document.get("profile").and_then(|profiles| profiles.get(name)) else { return Ok(None) };
    let Some(table) = table.as_table_like() else {
        return Err(super::unreadable(path, format!("profile.{name} is not a table")));
    };
    let mut profile = Profile::default();
    for (key, item) in table.iter() {
        let text = || {
            let text = item.as_str().map(str::to_owned);
            text.ok_or_else(|| super::unreadable(path, format!("profile.{name}.{key} is not a string")))
        };
        match key {
            "url" => profile.url = Some(text()?),
            "collection" => profile.collection = Some(text()?),
            "identity" => profile.identity = Some(text()?),
            "allow-http" => {
                profile.allow_http = item.as_bool().ok_or_else(|| {
                    super::unreadable(path, format!("profile.{name}.{key} is neither true nor false"))
                })?;
            }
            // A flag's name, which was looked at before.
            _ => {}
        }
    }
    Ok(Some(profile))
}

/// The names of all profiles.
pub(super) fn profiles(path: &Path) -> Result<Vec<String>> {
    let document = document(path)?;
    let profiles = document.get("profile").and_then(Item::as_table_like);
    Ok(profiles.map(|profiles| profiles.iter().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default())
}

/// Writes the profile into the document; false where it stands there already.
pub(super) fn set_profile(document: &mut DocumentMut, name: &str, profile: &Profile) -> bool {
    let before = document.to_string();
    let profiles = document.entry("profile").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let Some(profiles) = profiles.as_table_like_mut() else { return false };
    let item = profiles.entry(name).or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = item.as_table_like_mut() else { return false };
    let mut set = |key: &str, new: Option<Value>| match (table.get_mut(key).and_then(Item::as_value_mut), new) {
        (_, None) => drop(table.remove(key)),
        (Some(old), Some(mut new)) => {
            // The comment behind a value stays.
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (None, Some(new)) => drop(table.insert(key, Item::Value(new))),
    };
    set("url", profile.url.clone().map(Value::from));
    set("collection", profile.collection.clone().map(Value::from));
    set("identity", profile.identity.clone().map(Value::from));
    set("allow-http", profile.allow_http.then(|| Value::from(true)));
    document.to_string() != before
}

/// Takes the profile out of the document; false where it is not there.
pub(super) fn remove_profile(document: &mut DocumentMut, name: &str) -> bool {
    let profiles = document.get_mut("profile").and_then(Item::as_table_like_mut);
    profiles.is_some_and(|profiles| profiles.remove(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_keep_what_people_wrote() {
        let mut document: DocumentMut =
            "# mine\n[profile.prod] # the real one\nurl = \"https://a\" # keep\n".parse().unwrap();
        let profile = Profile {
            url: Some("https://a".into()),
            collection: Some("users".into()),
            identity: None,
            allow_http: false,
        };
        assert!(set_profile(&mut document, "prod", &profile));
        assert_eq!(
            document.to_string(),
            "# mine\n[profile.prod] # the real one\nurl = \"https://a\" # keep\ncollection = \"users\"\n"
        );
        assert!(!set_profile(&mut document, "prod", &profile));
        assert!(set_profile(&mut document, "default", &profile));
        assert!(document.to_string().ends_with("\n[profile.default]\nurl = \"https://a\"\ncollection = \"users\"\n"));
    }
}

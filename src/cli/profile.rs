//! `profile`: more than one server or account.

use anyhow::Result;
use serde_json::json;

use super::args::{Global, ProfileCommand};
use super::exit::Exit;
use super::settings::no_profile;
use super::store::Store;
use super::table::{self, Last};
use super::{report, status};
use crate::ServerUrl;
use crate::auth::Claims;

pub(crate) fn profile(command: ProfileCommand, global: &Global) -> Result<Exit> {
    let store = Store::open(global.config.as_deref())?;
    match command {
        ProfileCommand::List { json } => list(&store, json, global),
        ProfileCommand::Use { name } => {
            known(&store, &name, true)?;
            store.use_profile(&name)?;
            note(global, &format!("The profile {name} is the current one now."));
            if let Some(variable) = std::env::var("BOSBASE_PROFILE").ok().filter(|variable| !variable.is_empty()) {
                note(global, &format!("BOSBASE_PROFILE ({variable}) stands before it."));
            }
            Ok(Exit::Done)
        }
        ProfileCommand::Remove { name } => {
            known(&store, &name, false)?;
            let had_login = store.remove_profile(&name)?;
            let token = if had_login { ", and its login. The token itself stays valid until it expires" } else { "" };
            note(global, &format!("The profile {name} is removed{token}."));
            Ok(Exit::Done)
        }
    }
}

/// A name that is none of a profile is a slip. `makes`: or it is to be made.
fn known(store: &Store, name: &str, makes: bool) -> Result<()> {
    let names = store.names()?;
    if names.iter().any(|have| have == name) {
        return Ok(());
    }
    Err(no_profile(name, "", &names, makes))
}

fn list(store: &Store, as_json: bool, global: &Global) -> Result<Exit> {
    let current = store.current_profile()?;
    let (mut rows, mut objects) = (Vec::new(), Vec::new());
    for name in store.names()? {
        let profile = store.profile(&name)?.unwrap_or_default();
        let credential = store.credential(&name)?;
        let url = profile
            .url
            .as_deref()
            .map(without_userinfo)
            .or_else(|| credential.as_ref().map(|credential| credential.origin.clone()));
        let expires = credential.as_ref().and_then(|credential| Claims::read(&credential.token)?.expires());
        let is_current = name == current;
        if as_json {
            objects.push(json!({
                "profile": name, "current": is_current, "url": url, "collection": profile.collection,
                "identity": profile.identity, "signed_in": credential.is_some(),
                "expires": expires.map(status::stamp),
            }));
            continue;
        }
        let login = match (&credential, expires) {
            (None, _) => "not signed in".to_owned(),
            (Some(_), Some(at)) if at <= crate::now() => format!("expired {}", status::moment(at)),
            (Some(_), Some(at)) => format!("signed in until {}", status::moment(at)),
            (Some(_), None) => "signed in".to_owned(),
        };
        let mark = if is_current { "current" } else { "" };
        rows.push(vec![name, mark.to_owned(), url.unwrap_or_else(|| "-".to_owned()), profile.in_words(), login]);
    }
    if as_json {
        super::print_json(&serde_json::Value::Array(objects))?;
    } else if rows.is_empty() {
        note(global, "There is no profile yet: bosbase-watch login makes one.");
    } else {
        super::print(&table::draw(&rows, &[], Last::Cut, table::width()))?;
    }
    Ok(Exit::Done)
}

/// A URL as somebody wrote it, but for a name and a password before its host: it is no server's, then.
fn without_userinfo(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    match url.rfind('@') {
        Some(at) if at >= start && ServerUrl::parse(url).is_err() => format!("{}{}", &url[..start], &url[at + 1..]),
        _ => url.to_owned(),
    }
}

fn note(global: &Global, text: &str) {
    if !global.quiet {
        report::plain(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_login_in_it() {
        for (url, shown) in [
            ("https://api.example.com/x@y", "https://api.example.com/x@y"),
            ("https://ann:hunter2@api.example.com", "https://api.example.com"),
            ("https://ann:hun/te@r2@api.example.com/", "https://api.example.com/"),
            ("ann:hunter2@api.example.com", "api.example.com"),
            ("https://hunter2@", "https://"),
        ] {
            assert_eq!(without_userinfo(url), shown);
        }
    }
}

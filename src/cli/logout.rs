//! `logout`: forgets a login, or all of them.

use anyhow::Result;

use super::args::{Global, LogoutArgs};
use super::exit::Exit;
use super::report;
use super::settings::{Settings, refuse_one_of_all};

const STAYS: &str = "stays valid until it expires";

pub(crate) fn logout(args: &LogoutArgs, global: Global) -> Result<Exit> {
    if args.all {
        refuse_one_of_all(&global)?;
    }
    let settings = Settings::resolve(global, None)?;
    let text = if args.all {
        match settings.store.forget_all()?.as_slice() {
            [] => "No profile has a login.".to_owned(),
            [name] => format!("The login of the profile {name} is forgotten. The token itself {STAYS}."),
            names => {
                format!("The logins of the profiles {} are forgotten. Each token itself {STAYS}.", names.join(", "))
            }
        }
    } else {
        let name = &settings.profile_name;
        if settings.store.forget(name)? {
            format!("The login of the profile {name} is forgotten. The token itself {STAYS}.")
        } else {
            // Who has slipped is still signed in where he thinks he is not.
            let known = settings.store.names()?;
            if name != "default" && !known.contains(name) {
                return Err(settings.no_profile(&known, false));
            }
            format!("The profile {name} has no login.")
        }
    };
    report::note(&settings, &text);
    if let Some(variable) = Settings::token_variable() {
        report::note(&settings, &format!("{variable} is set, and signs in all the same."));
    }
    Ok(Exit::Done)
}

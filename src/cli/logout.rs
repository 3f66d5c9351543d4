//! `logout`: forgets a login.

use anyhow::Result;

use super::args::Global;
use super::exit::Exit;
use super::report;
use super::settings::Settings;

pub(crate) fn logout(global: Global) -> Result<Exit> {
    let settings = Settings::resolve(global, None)?;
    let name = &settings.profile_name;
    let text = if settings.store.forget(name)? {
        format!("The login of the profile {name} is forgotten. The token itself stays valid until it expires.")
    } else {
        format!("The profile {name} has no login.")
    };
    report::note(&settings, &text);
    Ok(Exit::Done)
}

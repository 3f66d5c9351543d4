//! What is kept between runs, in one folder that only its owner can enter:
//! `config.toml` (written by people), `credentials.json` (tokens),
//! `state.json` (the profile used last, the collections seen).

mod config;
mod credentials;
mod files;
mod keeper;
mod state;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use config::{PROFILE_KEYS, Profile, not_toml, read_config};
pub(crate) use credentials::Credential;
pub(crate) use files::{open_lock_file, read as read_text, resolve, write_text};
pub(crate) use keeper::{ProfileKeeper, Unkept};
pub(crate) use state::Seen;

use super::exit::{Exit, Failure};

/// So many collections, and so many custom topics, are remembered for a profile and a server.
const MAX_SEEN: usize = 1000;

/// The config folder.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
    /// What stands in for config.toml.
    config: Option<PathBuf>,
}

impl Store {
    /// The folder where the system or the environment says; it need not exist.
    pub(crate) fn open(config: Option<&Path>) -> Result<Self> {
        let hint = || format!("set {} to a directory of your own", super::args::CONFIG_DIR_VARIABLE);
        let dir = super::args::config_dir().ok_or_else(|| {
            Failure::new(Exit::Internal, "there is no config directory: the home directory is not known").hint(hint())
        })?;
        if let Some(file) = dir.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
            let message = format!("{} cannot be the config directory: {} is a file", dir.display(), file.display());
            return Err(Failure::new(Exit::Internal, message).hint(hint()).into());
        }
        Ok(Self { dir, config: config.map(Path::to_owned) })
    }

    pub(crate) fn credentials_path(&self) -> PathBuf {
        self.dir.join("credentials.json")
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.dir.join("config.toml"))
    }

    /// Held by whoever changes any of the files.
    fn lock_path(&self) -> PathBuf {
        self.dir.join("lock")
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Makes sure that something can be kept, before a person types a password for nothing.
    pub(crate) fn prepare(&self) -> Result<()> {
        files::make_dir(&self.dir)?;
        files::probe(&self.dir)
    }

    /// The profile's settings.
    pub(crate) fn profile(&self, name: &str) -> Result<Option<Profile>> {
        config::profile(&self.config_path(), name)
    }

    /// The names of all profiles that the config has.
    pub(crate) fn profiles(&self) -> Result<Vec<String>> {
        config::profiles(&self.config_path())
    }

    /// Who else can enter the folder, and what keeps them out.
    pub(crate) fn open_to_others(&self) -> Option<(String, String)> {
        let mode = files::open_to_others(&self.dir)?;
        let dir = self.dir.display();
        Some((
            format!("others can enter the config directory {dir} (mode {mode:04o})"),
            format!("chmod 700 {}", files::quoted(&self.dir)),
        ))
    }

    /// The profile to use when none is named.
    pub(crate) fn current_profile(&self) -> Result<String> {
        match state::read(&self.state_path())?.profile {
            None => Ok("default".to_owned()),
            Some(name) if is_profile_name(&name) => Ok(name),
            Some(_) => Err(unreadable(&self.state_path(), "what it gives for the profile is no name")),
        }
    }

    /// What was seen with a profile on a server.
    pub(crate) fn seen(&self, what: Seen, profile: &str, origin: &str) -> Result<Vec<String>> {
        Ok(state::read(&self.state_path())?.seen(what, profile, origin))
    }

    /// What was seen with a profile on whatever server.
    pub(crate) fn seen_anywhere(&self, what: Seen, profile: &str) -> Result<BTreeSet<String>> {
        Ok(state::read(&self.state_path())?.seen_anywhere(what, profile))
    }

    /// Adds to what was seen; nothing is written where all is known, or where
    /// another process writes: it is not worth waiting for.
    pub(crate) fn remember_seen(&self, profile: &str, origin: &str, names: &[(Seen, Vec<&str>)]) -> Result<()> {
        if names.iter().all(|(_, names)| names.is_empty()) {
            return Ok(());
        }
        let known = state::read(&self.state_path())?;
        let new = names.iter().map(|(what, names)| {
            let known = known.seen(*what, profile, origin);
            let new: Vec<&str> = names.iter().copied().filter(|name| !known.iter().any(|have| have == name)).collect();
            (*what, if known.len() + new.len() > MAX_SEEN { Vec::new() } else { new })
        });
        let new: Vec<_> = new.filter(|(_, new)| !new.is_empty()).collect();
        if new.is_empty() {
            return Ok(());
        }
        files::make_dir(&self.dir)?;
        let Some(_lock) = files::lock_now(&self.lock_path())? else { return Ok(()) };
        let mut state = state::read(&self.state_path())?;
        for (what, new) in new {
            state.remember(what, profile, origin, new.into_iter().map(str::to_owned));
        }
        files::write(&self.state_path(), &serde_json::to_vec_pretty(&state)?)
    }

    /// The profile's login.
    pub(crate) fn credential(&self, profile: &str) -> Result<Option<Credential>> {
        Ok(credentials::read(&self.credentials_path())?.profiles.remove(profile))
    }

    /// Keeps a login, and makes its profile the current one. A file that
    /// cannot be read is left as it is, and nothing is kept.
    pub(crate) fn save_login(&self, name: &str, profile: &Profile, credential: Credential) -> Result<()> {
        files::make_dir(&self.dir)?;
        let _lock = files::lock(&self.lock_path())?;
        // All are read before any is written.
        let mut credentials = credentials::read(&self.credentials_path())?;
        let mut document = config::document(&self.config_path())?;
        let mut state = state::read(&self.state_path())?;
        credentials.profiles.insert(name.to_owned(), credential);
        files::write(&self.credentials_path(), &credentials.to_bytes()?)?;
        if config::set_profile(&mut document, name, profile) {
            files::write(&self.config_path(), document.to_string().as_bytes())?;
        }
        if state.profile.as_deref() != Some(name) {
            state.profile = Some(name.to_owned());
            files::write(&self.state_path(), &serde_json::to_vec_pretty(&state)?)?;
        }
        Ok(())
    }

    /// Forgets the login of a profile; false where there was none.
    pub(crate) fn forget(&self, profile: &str) -> Result<bool> {
        if !self.credentials_path().exists() {
            return Ok(false);
        }
        let mut found = false;
        self.update_credentials(|credentials| found = credentials.profiles.remove(profile).is_some())?;
        Ok(found)
    }

    /// Forgets the logins of all profiles: their names.
    pub(crate) fn forget_all(&self) -> Result<Vec<String>> {
        if !self.credentials_path().exists() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        self.update_credentials(|credentials| {
            names = std::mem::take(&mut credentials.profiles).into_keys().collect();
        })?;
        Ok(names)
    }

    /// The names of all profiles, whether they have settings, a login or both.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = self.profiles()?;
        names.extend(credentials::read(&self.credentials_path())?.profiles.into_keys());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Makes a profile the current one.
    pub(crate) fn use_profile(&self, name: &str) -> Result<()> {
        let _lock = files::lock(&self.lock_path())?;
        let mut state = state::read(&self.state_path())?;
        state.profile = Some(name.to_owned());
        files::write(&self.state_path(), &serde_json::to_vec_pretty(&state)?)
    }

    /// Removes a profile with all that belongs to it. Returns whether it had a login.
    pub(crate) fn remove_profile(&self, name: &str) -> Result<bool> {
        let _lock = files::lock(&self.lock_path())?;
        // All are read before any is written.
        let mut credentials = credentials::read(&self.credentials_path())?;
        let mut document = config::document(&self.config_path())?;
        let mut state = state::read(&self.state_path())?;
        let had_login = credentials.profiles.remove(name).is_some();
        if had_login {
            files::write(&self.credentials_path(), &credentials.to_bytes()?)?;
        }
        if config::remove_profile(&mut document, name) {
            files::write(&self.config_path(), document.to_string().as_bytes())?;
        }
        let was_current = state.profile.as_deref() == Some(name);
        if state.forget(name) || was_current {
            state.profile = state.profile.filter(|_| !was_current);
            files::write(&self.state_path(), &serde_json::to_vec_pretty(&state)?)?;
        }
        Ok(had_login)
    }

    fn update_credentials(&self, change: impl FnOnce(&mut credentials::Credentials)) -> Result<()> {
        let path = self.credentials_path();
        let _lock = files::lock(&self.lock_path())?;
        let mut credentials = credentials::read(&path)?;
        change(&mut credentials);
        files::write(&path, &credentials.to_bytes()?)
    }
}

/// Whether it can name a profile: letters, digits, `-` and `_`.
pub(crate) fn is_profile_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// A file that is there but is not what it should be: named, and left alone.
pub(crate) fn unreadable(path: &Path, why: impl std::fmt::Display) -> anyhow::Error {
    Failure::usage(format!("{} cannot be read: {why}", path.display()))
        .hint(format!(
            "mend it, or move it away: mv {} {}",
            files::quoted(path),
            files::quoted(&path.with_added_extension("bad"))
        ))
        .into()
}

/// What is read of credentials is what is written again, and what is wrong is told in one line.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn fuzz_credentials(text: &str) {
    let path = Path::new("credentials.json");
    match credentials::parse(path, text) {
        Ok(read) => {
            let written = read.to_bytes().unwrap_or_default();
            let again = credentials::parse(path, &String::from_utf8_lossy(&written));
            assert!(again.is_ok_and(|again| again.profiles == read.profiles), "{text}");
        }
        Err(error) => assert!(!format!("{error:#}").contains('\n'), "{error:#}"),
    }
}

//! From what was typed, the environment and the profile to what is done: a
//! flag beats the environment, the environment beats the profile.

use std::io::IsTerminal as _;

use anyhow::Result;
use zeroize::Zeroizing;

use super::args::{Global, When};
use super::exit::Failure;
use super::report;
use super::store::{Credential, Profile, ProfileKeeper, Store, Unkept, is_profile_name};
use crate::{Client, DEFAULT_URL, Secret, ServerUrl};

/// Where a setting comes from, as it is named to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Argument,
    Environment(&'static str),
    Profile,
    /// The top of the config.
    Config,
    Default,
}

/// Something that was set and is not used, since something else stands before it.
#[derive(Debug)]
pub(crate) struct Shadowed {
    /// `url`, `profile` or `token`.
    pub(crate) setting: &'static str,
    /// The flag or variable that is used.
    pub(crate) by: &'static str,
    /// What is not: the name of a variable, or `profile` for what the profile says.
    pub(crate) hidden: &'static str,
    /// Its value, where that is no secret.
    pub(crate) value: Option<String>,
}

/// The token to use.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    /// None: a guest.
    Guest,
    /// From the environment: renewed in memory only.
    Environment(&'static str, Secret),
    /// From the profile: renewed where it is kept.
    Profile(Credential),
    /// The profile has one, for another server.
    Foreign(String),
}

/// What every command needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) global: Global,
    pub(crate) store: Store,
    /// The name of the profile in use.
    pub(crate) profile_name: String,
    pub(crate) profile: Option<Profile>,
    pub(crate) url: ServerUrl,
    pub(crate) url_origin: Origin,
    /// Why a renewed token could not be kept.
    pub(crate) unkept: Unkept,
}

impl Settings {
    /// Meets the environment and the config; `server` is a command's own URL argument.
    pub(crate) fn resolve(global: Global, server: Option<&str>) -> Result<Self> {
        let store = Store::open(global.config.as_deref())?;
        let profile_name = match &global.profile {
            Some(name) if is_profile_name(name) => name.clone(),
            // A variable that is empty is one that is not set.
            Some(name) if name.is_empty() && std::env::var_os("BOSBASE_PROFILE").is_some() => {
                store.current_profile()?
            }
            Some(name) => {
                return Err(Failure::usage(format!("not a name for a profile: {name:?}"))
                    .hint("letters, digits, - and _ make a name")
                    .into());
            }
            None => store.current_profile()?,
        };
        let profile = store.profile(&profile_name)?;
        let typed = server.or(global.url.as_deref()).filter(|url| !url.is_empty());
        let (url, url_origin) = match (typed, profile.as_ref().and_then(|profile| profile.url.as_deref())) {
            (Some(url), _) => {
                let from_environment =
                    server.is_none() && std::env::var("BOSBASE_URL").is_ok_and(|variable| variable == url);
                (url, if from_environment { Origin::Environment("BOSBASE_URL") } else { Origin::Argument })
            }
            (None, Some(url)) => (url, Origin::Profile),
            (None, None) => match &global.default_url {
                Some(url) => (url.as_str(), Origin::Config),
                None => (DEFAULT_URL, Origin::Default),
            },
        };
        let url = ServerUrl::parse(url).map_err(|error| {
            let place = match url_origin {
                Origin::Environment(name) => name,
                Origin::Profile => "the profile",
                Origin::Config => "the config",
                Origin::Argument | Origin::Default => "the command line",
            };
            Failure::usage(format!("{error} (from {place})")).hint("a server URL looks like https://api.example.com")
        })?;
        Ok(Self { global, store, profile_name, profile, url, url_origin, unkept: Unkept::default() })
    }

    /// A client without a login.
    pub(crate) fn client(&self) -> Result<Client> {
        let mut builder = Client::builder(self.url.clone())
            .allow_http(self.allow_http())
            .connect_timeout(self.global.connect_timeout)
            .by_proxy(super::proxy::name(&self.url));
        if let Some(proxy) = &self.global.proxy {
            // What stands before an @ is a login, and would stand in the list of processes.
            if proxy.contains('@') {
                return Err(Failure::usage("--proxy takes no user name and no password")
                    .hint("put the URL with them into HTTPS_PROXY or ALL_PROXY")
                    .into());
            }
            builder = builder.proxy(proxy).map_err(|error| {
                Failure::usage(format!("--proxy: {error}")).hint("--proxy http://proxy.example.com:3128")
            })?;
        }
        if let Some(path) = &self.global.ca_cert {
            builder = with_file("--ca-cert", path, |pem| builder.add_root_certificates(pem))?;
        }
        if let Some(path) = &self.global.client_cert {
            builder = with_file("--client-cert", path, |pem| builder.identity(pem))?;
        }
        for (name, value) in self.http_headers()? {
            builder = builder.default_header(&name, &value).map_err(|error| {
                let failure = Failure::usage(format!("--http-header: {error}"));
                if name.eq_ignore_ascii_case("authorization") {
                    return failure.hint("bosbase-watch login signs in, and BOSBASE_TOKEN takes a token");
                }
                failure.hint("--http-header 'Name: value', or @FILE with a line for each")
            })?;
        }
        if self.global.insecure {
            report::warning(
                self,
                "certificates are not checked (--insecure): anyone on the way can read and change everything",
            );
            builder = builder.danger_accept_invalid_certs(true);
        }
        Ok(builder.build().map_err(|error| report::explain(&error, self))?)
    }

    /// The headers of `--http-header`, those in files, too.
    fn http_headers(&self) -> Result<Vec<(String, String)>> {
        let mut lines = Vec::new();
        for given in &self.global.http_header {
            let Some(path) = given.strip_prefix('@') else {
                lines.push(given.clone());
                continue;
            };
            let text = std::fs::read_to_string(path).map_err(|error| {
                unread("--http-header", path, &error, "--http-header @FILE, with a header on each line")
            })?;
            lines.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        }
        let split = |line: &String| match line.split_once(':') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
            // The line is not repeated: it may be a secret.
            _ => Err(Failure::usage("--http-header takes a name, a colon and a value")
                .hint("--http-header 'Name: value', or @FILE with a line for each")
                .into()),
        };
        lines.iter().map(split).collect()
    }

    fn allow_http(&self) -> bool {
        self.global.allow_http || self.profile_allows_http()
    }

    /// What the profile allows, it allows for its own server.
    pub(crate) fn profile_allows_http(&self) -> bool {
        let profile =
            self.profile.as_ref().filter(|profile| profile.allow_http).and_then(|profile| profile.url.as_deref());
        profile.and_then(|url| ServerUrl::parse(url).ok()).is_some_and(|url| url.origin() == self.url.origin())
    }

    /// The login to use, from where it comes first: the environment, then the profile.
    pub(crate) fn login(&self, guest: bool) -> Result<Login> {
        self.require_profile()?;
        if guest {
            return Ok(Login::Guest);
        }
        if let Some(token) = text_variable("BOSBASE_TOKEN")? {
            return Ok(Login::Environment("BOSBASE_TOKEN", token_in("BOSBASE_TOKEN", &token, "BOSBASE_TOKEN")?));
        }
        if let Some(path) = text_variable("BOSBASE_TOKEN_FILE")? {
            let place = format!("BOSBASE_TOKEN_FILE: {path}");
            let text = std::fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| {
                String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| "it is not text (UTF-8)".to_owned())
            });
            let text = text.map_err(|why| {
                Failure::usage(format!("{place} cannot be read: {why}"))
                    .hint("name a file that can be read, or unset BOSBASE_TOKEN_FILE")
            })?;
            return Ok(Login::Environment("BOSBASE_TOKEN_FILE", token_in(&place, &text, "BOSBASE_TOKEN_FILE")?));
        }
        self.kept_login()
    }

    /// The profile's own login, whatever the environment says.
    pub(crate) fn kept_login(&self) -> Result<Login> {
        Ok(match self.store.credential(&self.profile_name)? {
            None => Login::Guest,
            Some(credential) if credential.origin == self.url.origin() => Login::Profile(credential),
            Some(credential) => Login::Foreign(credential.origin),
        })
    }

    /// A profile that was asked for by name has to be there: a slip would be a guest at another server.
    fn require_profile(&self) -> Result<()> {
        let name = &self.profile_name;
        if self.profile.is_some() || name == "default" || self.store.credential(name)?.is_some() {
            return Ok(());
        }
        Err(self.no_profile(&self.store.profiles()?, true))
    }

    /// A profile of that name is not among these. `makes`: a login would make it, and that is what may be wanted.
    pub(crate) fn no_profile(&self, known: &[String], makes: bool) -> anyhow::Error {
        let name = &self.profile_name;
        let from = match &self.global.profile {
            None => format!(", which {} gives", self.store.state_path().display()),
            Some(typed) if std::env::var("BOSBASE_PROFILE").is_ok_and(|variable| variable == *typed) => {
                " (from BOSBASE_PROFILE)".to_owned()
            }
            Some(_) => String::new(),
        };
        no_profile(name, &from, known, makes)
    }

    /// What was set and is not used: flags stand before variables, variables before the profile.
    pub(crate) fn shadowed(&self) -> Vec<Shadowed> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let mut found = Vec::new();
        let mut add = |setting, by, hidden, value| found.push(Shadowed { setting, by, hidden, value });

        let by_flag = |typed: &Option<String>, name| match (typed, variable(name)) {
            (Some(typed), Some(value)) if *typed != value => Some(value),
            _ => None,
        };
        if let Some(value) = by_flag(&self.global.profile, "BOSBASE_PROFILE") {
            add("profile", "--profile", "BOSBASE_PROFILE", Some(value));
        }
        if let (Some(typed), Ok(current)) = (&self.global.profile, self.store.current_profile())
            && *typed == self.profile_name
            && current != self.profile_name
        {
            let from_variable = variable("BOSBASE_PROFILE").as_ref() == Some(typed);
            add("profile", if from_variable { "BOSBASE_PROFILE" } else { "--profile" }, "profile", Some(current));
        }

        // A URL with a password in it is no server's, and not repeated.
        let is_other = |text: &str| ServerUrl::parse(text).ok().filter(|url| *url != self.url);
        if self.url_origin == Origin::Argument
            && let Some(other) = variable("BOSBASE_URL").and_then(|value| is_other(&value))
        {
            add("url", "--url", "BOSBASE_URL", Some(other.to_string()));
        }
        let by = match self.url_origin {
            Origin::Argument => Some("--url"),
            Origin::Environment(name) => Some(name),
            Origin::Profile | Origin::Config | Origin::Default => None,
        };
        if let (Some(by), Some(other)) =
            (by, self.profile.as_ref().and_then(|profile| is_other(profile.url.as_deref()?)))
        {
            add("url", by, "profile", Some(other.to_string()));
        }

        if let Some(by) = Self::token_variable() {
            if by == "BOSBASE_TOKEN"
                && let Some(path) = variable("BOSBASE_TOKEN_FILE")
            {
                add("token", by, "BOSBASE_TOKEN_FILE", Some(path));
            }
            if self.store.credential(&self.profile_name).is_ok_and(|kept| kept.is_some()) {
                add("token", by, "profile", None);
            }
        }
        found
    }

    /// The variable that holds the token in use, where one does.
    pub(crate) fn token_variable() -> Option<&'static str> {
        ["BOSBASE_TOKEN", "BOSBASE_TOKEN_FILE"]
            .into_iter()
            .find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
    }

    /// A client with the login to use.
    pub(crate) fn signed_in(&self, login: &Login) -> Result<Client> {
        let client = self.client()?;
        match login {
            Login::Guest | Login::Foreign(_) => {}
            Login::Environment(_, token) => client.auth().save(token.clone(), None),
            Login::Profile(credential) => {
                client.auth().save(credential.token.clone(), credential.record.clone());
                let keeper = ProfileKeeper::new(&self.store, &self.profile_name, self.url.origin(), &self.unkept);
                client.auth().keep_in(std::sync::Arc::new(keeper));
            }
        }
        Ok(client)
    }

    /// Whether a line about the connection may be said on stderr.
    pub(crate) fn talks(&self) -> bool {
        !self.global.quiet
    }
}

/// There is no profile of that name; `from` says who gives it.
pub(crate) fn no_profile(name: &str, from: &str, known: &[String], makes: bool) -> anyhow::Error {
    let mut hints = Vec::new();
    if !known.is_empty() {
        let near = crate::check::nearest(name, known.iter().map(String::as_str));
        let near = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        hints.push(format!("{near}the profiles: {}", known.join(", ")));
    }
    match (makes, known) {
        (false, []) => hints.push("bosbase-watch profile list shows those that are there".to_owned()),
        (false, _) => {}
        (true, []) => hints.push(format!("bosbase-watch login URL --profile {name} makes it")),
        (true, _) => hints.push(format!("a new one: bosbase-watch login URL --profile {name}")),
    }
    Failure::usage(format!("there is no profile {name}{from}")).hint(hints.join("; ")).into()
}

/// `--all` and a flag that names one of them do not go together; a variable may be set for other commands.
pub(crate) fn refuse_one_of_all(global: &Global) -> Result<()> {
    let flags = [("--profile", &global.profile, "BOSBASE_PROFILE"), ("--url", &global.url, "BOSBASE_URL")];
    for (flag, value, variable) in flags {
        if value.as_ref().is_some_and(|value| std::env::var(variable).ok().as_ref() != Some(value)) {
            let message = format!("--all is for every profile, and {flag} for one");
            return Err(Failure::usage(message).hint("leave one of them out").into());
        }
    }
    Ok(())
}

/// Whether colours are wanted on a stream.
pub(crate) fn colour(when: When, stream_is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if set("NO_COLOR") => false,
        When::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
        When::Auto => stream_is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// Whether a person can answer a question.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// What a flag's file says.
fn with_file<T>(flag: &str, path: &std::path::Path, take: impl FnOnce(&[u8]) -> crate::Result<T>) -> Result<T> {
    let shown = path.display();
    let hint = match flag {
        "--client-cert" => "--client-cert FILE: the certificate and its private key, both in PEM",
        _ => "--ca-cert FILE: the certificate of an authority, in PEM (it begins with -----BEGIN CERTIFICATE-----)",
    };
    let bytes = std::fs::read(path).map_err(|error| unread(flag, &shown.to_string(), &error, hint))?;
    Ok(take(&bytes).map_err(|error| Failure::usage(format!("{flag}: {shown}: {error}")).hint(hint))?)
}

/// A file that a flag names.
fn unread(flag: &str, path: &str, error: &std::io::Error, hint: &str) -> Failure {
    Failure::usage(format!("{flag}: {path} cannot be read: {error}")).hint(hint)
}

/// A token as it stands somewhere. Nothing there would be a guest, who was not asked for.
fn token_in(place: &str, text: &str, variable: &str) -> Result<Secret> {
    match without_bom(text).trim() {
        "" => Err(Failure::usage(format!("{place} holds no token"))
            .hint(format!("put one there, or unset {variable}"))
            .into()),
        token => Ok(Secret::new(token)),
    }
}

/// Text without the mark of UTF-8 that some editors put before it.
pub(crate) fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn text_variable(name: &'static str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Failure::usage(format!("{name} is not text")).hint(format!("unset {name}, or sign in anew")).into())
        }
    }
}

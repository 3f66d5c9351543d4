//! What the config says of flags that were not typed, and which topics it names.
//!
//! Its keys are the names of flags: at the top for every profile, in a
//! `[profile.NAME]` for one. They become the defaults of the arguments before
//! these are read, so a flag beats the environment, the environment the
//! profile, and the profile what stands at the top.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, FromArgMatches as _};
use toml_edit::{Document, Item, TableLike, Value};

use super::args::{Cli, Global};
use super::store::{self, Store};
use crate::Topic;

/// Flags that a config cannot set: they choose it, or are not about what is done.
const EXCLUDED: [&str; 4] = ["help", "version", "config", "profile"];

/// The flags of a watch that other commands know, too.
const SHARED: [&str; 6] = ["filter", "param", "expand", "fields", "query", "header"];

/// The commands that watch: they take every flag from the config.
const WATCHING: [&str; 2] = ["subscribe", "wait"];

/// The commands that print what is built in: the config has no say.
const PRINTING: [&str; 2] = ["completions", "schema"];

/// A topic that the config names.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) topic: Topic,
    /// What tells it apart in the output.
    pub(crate) name: Option<String>,
}

/// Why the command line means nothing.
pub(crate) enum Refused {
    Usage(clap::Error),
    Config(anyhow::Error),
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self::Config(error)
    }
}

impl From<clap::Error> for Refused {
    fn from(error: clap::Error) -> Self {
        Self::Usage(error)
    }
}

/// Reads the command line, with what the config says where it says nothing.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Cli, Refused> {
    parse_for(args, None)
}

/// The flags of every command as they are for a profile: `--all` meets the proxy and the certificates of each.
pub(crate) fn global_of(profile: &str) -> Result<Global> {
    match parse_for(std::env::args_os().collect(), Some(profile)) {
        Ok(cli) => Ok(cli.global),
        Err(Refused::Usage(error)) => Err(error.into()),
        Err(Refused::Config(error)) => Err(error),
    }
}

fn parse_for(args: Vec<OsString>, profile: Option<&str>) -> Result<Cli, Refused> {
    let mut command = Cli::command();
    let typed = command.try_get_matches_from_mut(&args)?;
    let Some((name, matches)) = typed.subcommand().filter(|(name, _)| !PRINTING.contains(name)) else {
        return Ok(Cli::from_arg_matches(&typed)?);
    };
    let Some(config) = Config::read(matches, profile)? else { return Ok(Cli::from_arg_matches(&typed)?) };
    let flags = flags(&command);
    for (place, line) in &config.keys {
        let key = place.rsplit('.').next().unwrap_or(place);
        if !flags.iter().any(|flag| flag.get_long() == Some(key)) {
            let others = if key == place { &["subscription", "profile"][..] } else { &store::PROFILE_KEYS };
            let known = flags.iter().filter_map(Arg::get_long).chain(others.iter().copied());
            return Err(config.unknown(place, known, *line).into());
        }
    }
    let mut command = Cli::command();
    for setting in &config.settings {
        let Some(flag) = flags.iter().find(|flag| flag.get_long() == Some(&setting.key)) else { continue };
        // clap holds what it is told for as long as the program runs.
        let values = config.values(flag, setting)?.into_iter().map(|value| &*value.leak()).collect::<Vec<&str>>();
        let id = flag.get_id().clone();
        if setting.key == "url" || values.is_empty() {
            continue;
        }
        let is_global = command.get_arguments().any(|arg| *arg.get_id() == id);
        if is_global {
            command = command.mut_arg(&id, |arg| arg.default_values(values));
        } else if WATCHING.contains(&name) || SHARED.contains(&setting.key.as_str()) {
            let takes = |command: &clap::Command| command.get_arguments().any(|arg| *arg.get_id() == id);
            if command.find_subcommand(name).is_some_and(takes) {
                command =
                    command.mut_subcommand(name, |command| command.mut_arg(&id, |arg| arg.default_values(values)));
            }
        }
    }
    let mut cli = Cli::from_arg_matches(&command.try_get_matches_from(args)?)?;
    cli.global.default_url = config.settings.iter().find(|setting| setting.key == "url").and_then(Setting::text);
    cli.global.subscriptions = config.subscriptions;
    Ok(cli)
}

/// The flags that a config may set.
fn flags(command: &clap::Command) -> Vec<Arg> {
    let watching = command.get_subcommands().filter(|command| WATCHING.contains(&command.get_name()));
    let all = command.get_arguments().chain(watching.flat_map(clap::Command::get_arguments));
    let mut flags: Vec<Arg> = Vec::new();
    for flag in all.filter(|flag| flag.get_long().is_some_and(|long| !EXCLUDED.contains(&long))) {
        if !flags.iter().any(|have| have.get_long() == flag.get_long()) {
            flags.push(flag.clone());
        }
    }
    flags
}

/// A key and its value.
struct Setting {
    key: String,
    /// With the table that it stands in.
    place: String,
    value: Item,
    line: usize,
}

impl Setting {
    fn text(&self) -> Option<String> {
        self.value.as_str().map(str::to_owned)
    }
}

struct Config {
    path: PathBuf,
    /// All keys that are to be names of flags, with their lines, also those of other profiles.
    keys: Vec<(String, usize)>,
    /// What holds now.
    settings: Vec<Setting>,
    subscriptions: Vec<Watched>,
}

impl Config {
    /// `None` where there is none.
    fn read(matches: &ArgMatches, profile: Option<&str>) -> Result<Option<Self>> {
        let named = matches.get_one::<PathBuf>("config");
        let store = Store::open(named.map(PathBuf::as_path))?;
        let path = store.config_path();
        let Some(text) = store::read_config(&path, named.is_some())? else { return Ok(None) };
        let document = Document::parse(text.as_str()).map_err(|error| store::not_toml(&path, &text, &error))?;
        let named = profile.or(matches.get_one::<String>("profile").map(String::as_str));
        let profile = match named.filter(|name| !name.is_empty()) {
            Some(name) => Some(name.to_owned()),
            // What is wrong with that file is told by who needs it.
            None => store.current_profile().ok(),
        };
        let mut config = Self { path, keys: Vec::new(), settings: Vec::new(), subscriptions: Vec::new() };
        let table = document.as_table();
        for (key, item) in table {
            let line = line(&text, table.key(key).and_then(toml_edit::Key::span).or(item.span()));
            match key {
                "profile" => config.take_profiles(&text, item, line)?,
                "subscription" => config.take_subscriptions(&text, item, line)?,
                key => {
                    config.keys.push((key.to_owned(), line));
                    config.settings.push(Setting { key: key.into(), place: key.into(), value: item.clone(), line });
                }
            }
        }
        let profile =
            profile.as_deref().and_then(|name| Some((name, table.get("profile")?.get(name)?.as_table_like()?)));
        if let Some((name, table)) = profile {
            config.take_profile(&text, name, table);
        }
        Ok(Some(config))
    }

    fn take_profiles(&mut self, text: &str, item: &Item, first: usize) -> Result<()> {
        let Some(profiles) = item.as_table_like() else {
            return Err(self.wrong(first, "profile is not a table: [profile.NAME]"));
        };
        for (name, item) in profiles.iter() {
            let Some(table) = item.as_table_like() else {
                return Err(self.wrong(line(text, item.span()), format!("profile.{name} is not a table")));
            };
            for (key, item) in table.iter().filter(|(key, _)| !store::PROFILE_KEYS.contains(key)) {
                let line = line(text, table.key(key).and_then(toml_edit::Key::span).or(item.span()));
                self.keys.push((format!("profile.{name}.{key}"), line));
            }
        }
        Ok(())
    }

    /// What the profile says goes before what stands at the top.
    fn take_profile(&mut self, text: &str, name: &str, table: &dyn TableLike) {
        for (key, item) in table.iter().filter(|(key, _)| !store::PROFILE_KEYS.contains(key)) {
            let line = line(text, table.key(key).and_then(toml_edit::Key::span).or(item.span()));
            self.settings.retain(|setting| setting.key != key);
            let place = format!("profile.{name}.{key}");
            self.settings.push(Setting { key: key.into(), place, value: item.clone(), line });
        }
        // Its own server goes before the one at the top.
        if table.contains_key("url") {
            self.settings.retain(|setting| setting.key != "url");
        }
    }

    fn take_subscriptions(&mut self, text: &str, item: &Item, first: usize) -> Result<()> {
        let Some(tables) = item.as_array_of_tables() else {
            return Err(self.wrong(first, "subscription is not a list of tables: [[subscription]]"));
        };
        for table in tables {
            let begin = line(text, table.span());
            let watched = self.subscription(text, table, begin)?;
            if let Some(name) = &watched.name
                && self.subscriptions.iter().any(|have| have.name.as_ref() == Some(name))
            {
                return Err(self.wrong(begin, format!("two subscriptions are called {name}")));
            }
            self.subscriptions.push(watched);
        }
        Ok(())
    }

    fn subscription(&self, text: &str, table: &toml_edit::Table, begin: usize) -> Result<Watched> {
        let at = |key: &str, item: &Item| line(text, table.key(key).and_then(toml_edit::Key::span).or(item.span()));
        let Some(topic) = table.get("topic") else { return Err(self.wrong(begin, "a subscription without a topic")) };
        let Some(topic) = topic.as_str() else {
            return Err(self.wrong(at("topic", topic), "the topic is not a string"));
        };
        let mut topic = Topic::parse(topic).map_err(|error| self.wrong(begin, error))?;
        let mut name = None;
        for (key, item) in table {
            let line = at(key, item);
            match key {
                "topic" => {}
                "name" => match item.as_str() {
                    Some(text) if !text.is_empty() => name = Some(text.to_owned()),
                    _ => return Err(self.wrong(line, "the name is not a string with something in it")),
                },
                "filter" | "expand" | "fields" => {
                    let value = words(item).ok_or_else(|| self.wrong(line, format!("{key} is not a string")))?;
                    topic = topic.query(key, value);
                }
                "query" | "headers" => {
                    let Some(pairs) = item.as_table_like() else {
                        return Err(self.wrong(line, format!("{key} is not a table: {key} = {{ name = \"value\" }}")));
                    };
                    for (name, item) in pairs.iter() {
                        let value = item.as_value().and_then(scalar);
                        let value = value.ok_or_else(|| self.wrong(line, format!("{key}.{name} is not a string")))?;
                        topic = if key == "query" { topic.query(name, value) } else { topic.header(name, value) };
                    }
                }
                key => {
                    let known = ["topic", "name", "filter", "expand", "fields", "query", "headers"];
                    return Err(self.unknown(&format!("subscription.{key}"), known.into_iter(), line));
                }
            }
        }
        topic.key().map_err(|error| self.wrong(begin, error))?;
        Ok(Watched { topic, name })
    }

    /// The values of a setting as they would be typed; none for a flag that is off.
    fn values(&self, flag: &Arg, setting: &Setting) -> Result<Vec<String>> {
        let wrong = |why: String| self.wrong(setting.line, format!("{}: {why}", setting.place));
        let Some(value) = setting.value.as_value() else { return Err(wrong("a table is no value here".into())) };
        let switch = !flag.get_action().takes_values();
        let values = match (value, switch) {
            (Value::Boolean(on), true) => return Ok(if *on.value() { vec!["true".to_owned()] } else { vec![] }),
            (Value::Integer(times), true) if matches!(flag.get_action(), ArgAction::Count) => {
                return Ok(vec![times.value().to_string()]);
            }
            (_, true) => return Err(wrong("is either true or false".into())),
            (Value::Array(items), false) => items.iter().map(scalar).collect::<Option<Vec<_>>>(),
            (value, false) => scalar(value).map(|value| vec![value]),
        };
        let Some(values) = values else { return Err(wrong("is not a string, a number or a list of them".into())) };
        // As it would be refused on the command line.
        let probe = clap::Command::new("config").no_binary_name(true).arg(alone(flag));
        let long = flag.get_long().unwrap_or_default();
        let listed = matches!(flag.get_action(), ArgAction::Append);
        let typed: Vec<String> = if listed || values.len() == 1 {
            values.iter().map(|value| format!("--{long}={value}")).collect()
        } else {
            std::iter::once(format!("--{long}")).chain(values.iter().cloned()).collect()
        };
        if let Err(error) = probe.try_get_matches_from(typed) {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let choices = text.lines().find_map(|line| line.trim().strip_prefix("[possible values: "));
            let choices = choices.map(|choices| format!("; one of {}", choices.trim_end_matches(']')));
            return Err(wrong(first + &choices.unwrap_or_default()));
        }
        Ok(values)
    }

    fn wrong(&self, line: usize, why: impl std::fmt::Display) -> anyhow::Error {
        store::unreadable(&self.path, format!("line {line}: {why}"))
    }

    fn unknown<'a>(&self, place: &str, known: impl Iterator<Item = &'a str>, line: usize) -> anyhow::Error {
        let (table, key) = place.rsplit_once('.').map_or(("", place), |(table, key)| (table, key));
        let near = known.min_by_key(|have| strsim::damerau_levenshtein(have, key)).unwrap_or_default();
        let place = if table.is_empty() { String::new() } else { format!(" in {table}") };
        self.wrong(line, format!("the key {key}{place} is not known; the nearest is {near}"))
    }
}

/// The flag as far as its values are judged by it: what it wants of others, or
/// not beside them, are not there to be asked.
fn alone(flag: &Arg) -> Arg {
    let alone = Arg::new(flag.get_id().clone())
        .long(&*flag.get_long().unwrap_or_default().to_owned().leak())
        .action(flag.get_action().clone())
        .value_names(flag.get_value_names().map(<[_]>::to_vec).unwrap_or_default())
        .value_parser(flag.get_value_parser().clone())
        .value_delimiter(flag.get_value_delimiter())
        .allow_hyphen_values(flag.is_allow_hyphen_values_set());
    match flag.get_num_args() {
        Some(range) => alone.num_args(range),
        None => alone,
    }
}

/// A string, a number, true or false as it would be typed.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(number) => Some(number.value().to_string()),
        Value::Boolean(truth) => Some(truth.value().to_string()),
        _ => None,
    }
}

/// A string, or a list of them with commas in between.
fn words(item: &Item) -> Option<String> {
    if let Some(items) = item.as_array() {
        return items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().map(|words| words.join(","));
    }
    item.as_str().map(str::to_owned)
}

/// The line that a place stands in.
fn line(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    span.map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1)
}

//! From the arguments to topics, as people type them.

use anyhow::Result;

use super::args::Options;
use super::defaults::Watched;
use super::exit::Failure;
use super::report;
use super::settings::Settings;
use crate::topic::OAUTH2;
use crate::{FilterValue, MAX_TOPICS, Topic, TopicKind, filter};

/// Whether two arguments without a slash are a collection and a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// As for `subscribe posts '*'`.
    Allowed,
    /// Each argument is one topic.
    Never,
}

/// The topics, and what is worth knowing of how they were typed.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) topics: Vec<Topic>,
    /// What each is called in the config.
    pub(crate) names: Vec<Option<String>>,
    /// The two arguments that were taken for a collection and a record.
    pub(crate) pair: Option<(String, String)>,
}

pub(crate) fn resolve(args: &[String], options: &Options, settings: &Settings, pairing: Pairing) -> Result<Selection> {
    let shape = Shape::read(args, pairing)?;
    let mut watched = Vec::new();
    for text in &shape.topics {
        let topic = Topic::parse(text).map_err(|error| report::explain(&error, settings))?;
        doubt_options(&topic, settings);
        watched.push(Watched { topic, name: None });
    }
    select(watched, shape.pair, options, settings)
}

/// What is watched: what was typed, or else what the config names.
/// `command`: the one that was typed.
pub(crate) fn watched(command: &str, args: &[String], options: &Options, settings: &Settings) -> Result<Selection> {
    match settings.global.subscriptions.as_slice() {
        _ if !args.is_empty() => resolve(args, options, settings, Pairing::Allowed),
        [] => Err(Failure::usage("there is no topic to watch")
            .hint(format!("bosbase-watch {command} 'COLLECTION/*', or a --config with a [[subscription]]"))
            .into()),
        named => select(named.to_vec(), None, options, settings),
    }
}

/// Warns of what was typed almost like an option: any other name is a query parameter for the rules.
fn doubt_options(topic: &Topic, settings: &Settings) {
    const OPTIONS: [&str; 3] = ["filter", "expand", "fields"];
    for (key, _) in topic.options().iter().filter(|(key, _)| !OPTIONS.contains(&key.as_str())) {
        let near = match key.split_once('.') {
            Some((first, name)) if crate::check::nearest(first, ["header"].into_iter()).is_some() => {
                Some(format!("header.{name}"))
            }
            _ => crate::check::nearest(key, OPTIONS.into_iter()).map(str::to_owned),
        };
        if let Some(near) = near {
            report::warning(
                settings,
                &format!("{topic}: {key} goes to the rules as a query parameter, and does no more"),
            );
            report::hint(settings, &format!("did you mean {near}?"));
        }
    }
}

fn select(
    watched: Vec<Watched>,
    pair: Option<(String, String)>,
    options: &Options,
    settings: &Settings,
) -> Result<Selection> {
    let explained = |error: anyhow::Error| match error.downcast() {
        Ok(error) => report::explain(&error, settings).into(),
        Err(error) => error,
    };
    let rules = Rules::new(options).map_err(explained)?;
    let mut used = vec![false; rules.params.len()];
    let (mut topics, mut names) = (Vec::new(), Vec::new());
    for Watched { topic, name } in watched {
        topics.push(rules.apply(topic, &mut used).map_err(explained)?);
        names.push(name);
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        let name = &rules.params[unused].0;
        return Err(Failure::usage(format!("the parameter {name} has no placeholder {{:{name}}} in any filter"))
            .hint(format!("--filter 'FIELD = {{:{name}}}' --param {name}=VALUE"))
            .into());
    }
    if topics.len() > MAX_TOPICS {
        return Err(Failure::usage(format!(
            "{} topics are more than the {MAX_TOPICS} that the server allows one client",
            topics.len()
        ))
        .hint("watch COLLECTION/* with a --filter instead of single records")
        .into());
    }
    Ok(Selection { topics, names, pair })
}

/// How the flags apply to a topic.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    options: Options,
    params: Vec<(String, FilterValue)>,
}

impl Rules {
    /// Finds what is wrong with the flags themselves.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        check_headers(options)?;
        Ok(Self { options: options.clone(), params: parse_params(&options.params)? })
    }

    /// The topic as the server is to have it.
    pub(crate) fn topic(&self, text: &str) -> Result<Topic> {
        self.apply(Topic::parse(text)?, &mut vec![false; self.params.len()])
    }

    fn apply(&self, topic: Topic, used: &mut [bool]) -> Result<Topic> {
        if topic.name() == OAUTH2 {
            return Err(Failure::usage("@oauth2 belongs to the sign-in and cannot be watched")
                .hint("bosbase-watch login signs in")
                .into());
        }
        let topic = bind(apply(topic, &self.options)?, &self.params, used)?;
        topic.key()?;
        Ok(topic)
    }
}

struct Shape {
    topics: Vec<String>,
    pair: Option<(String, String)>,
}

impl Shape {
    fn read(args: &[String], pairing: Pairing) -> Result<Self> {
        // A star that the shell has expanded leaves the names of the files here.
        let files = args.iter().filter(|arg| !arg.contains('/') && std::fs::symlink_metadata(arg).is_ok()).count();
        if files >= 2 {
            return Err(Failure::usage(format!("{files} of the topics are names of files in this directory"))
                .hint("quote the star: '*'")
                .into());
        }
        let star = args.iter().position(|arg| arg == "*");
        if star == Some(0) || star.is_some() && (args.len() != 2 || pairing == Pairing::Never || args[0].contains('/'))
        {
            return Err(Failure::usage("the topic * names no collection")
                .hint("write the collection and the star as one topic: 'posts/*'")
                .into());
        }
        if let ([collection, record], Pairing::Allowed) = (args, pairing) {
            let name = record.split('?').next().unwrap_or_default();
            if !collection.contains(['/', '?']) && !name.contains('/') && !collection.is_empty() && !name.is_empty() {
                if name != "*" && !crate::is_record_id(name) && std::fs::symlink_metadata(name).is_ok() {
                    return Err(Failure::usage(format!("{name} is the name of a file in this directory"))
                        .hint(format!("quote the star: '*'; or write {collection}/{name} where that is meant"))
                        .into());
                }
                return Ok(Self {
                    topics: vec![format!("{collection}/{record}")],
                    pair: Some((collection.clone(), record.clone())),
                });
            }
        }
        Ok(Self { topics: args.to_vec(), pair: None })
    }
}

/// The flags apply to every collection topic that has no such option of its own.
fn apply(mut topic: Topic, options: &Options) -> Result<Topic> {
    let headers = options.headers.iter().map(|header| split_header(header)).collect::<Result<Vec<_>>>()?;
    let query = options.query.iter().map(|pair| split_pair(pair, "--query")).collect::<Result<Vec<_>>>()?;
    if matches!(topic.kind(), TopicKind::Custom(_) | TopicKind::Connect) {
        return Ok(topic);
    }
    let flags = [("filter", &options.filter), ("expand", &options.expand), ("fields", &options.fields)];
    for (key, value) in flags {
        if let (Some(value), None) = (value, topic.option(key)) {
            topic = topic.query(key, value);
        }
    }
    for (key, value) in query {
        if topic.option(&key).is_none() {
            topic = topic.query(key, value);
        }
    }
    for (name, value) in headers {
        if !topic.headers().iter().any(|(have, _)| have.eq_ignore_ascii_case(&name)) {
            topic = topic.header(name, value);
        }
    }
    Ok(topic)
}

/// Finds what is wrong with headers and query parameters, also where no topic takes them.
fn check_headers(options: &Options) -> Result<()> {
    let mut probe = Topic::collection("x");
    for header in &options.headers {
        let (name, value) = split_header(header)?;
        if probe.headers().iter().any(|(have, _)| have.eq_ignore_ascii_case(&name)) {
            return Err(Failure::usage(format!("the header {name} is given twice"))
                .hint(format!("one value for each: -H '{name}: VALUE'"))
                .into());
        }
        probe = probe.header(name, value);
    }
    let mut keys = Vec::new();
    for pair in &options.query {
        let (key, _) = split_pair(pair, "--query")?;
        if keys.contains(&key) {
            return Err(Failure::usage(format!("the query parameter {key} is given twice"))
                .hint(format!("one value for each: --query {key}=VALUE"))
                .into());
        }
        keys.push(key);
    }
    probe.key()?;
    Ok(())
}

/// Binds the parameters that the topic's filter has placeholders for.
fn bind(topic: Topic, params: &[(String, FilterValue)], used: &mut [bool]) -> crate::Result<Topic> {
    let Some(expression) = topic.option("filter").map(str::to_owned) else { return Ok(topic) };
    let mut wanted = Vec::new();
    for (at, (name, value)) in params.iter().enumerate() {
        if expression.contains(&format!("{{:{name}}}")) {
            used[at] = true;
            wanted.push((name.as_str(), value.clone()));
        }
    }
    let bound = filter(&expression, &wanted)?;
    Ok(topic.filter(bound))
}

fn parse_params(params: &[String]) -> Result<Vec<(String, FilterValue)>> {
    let mut parsed: Vec<(String, FilterValue)> = Vec::new();
    for param in params {
        let (name, value) = split_pair(param, "--param")?;
        let (name, value) = match name.strip_suffix(':') {
            None => (name, FilterValue::from(value)),
            Some(name) => {
                let json: serde_json::Value = serde_json::from_str(&value).map_err(|_| {
                    Failure::usage(format!("--param {name}:= takes a number, true, false, null or other JSON"))
                        .hint(format!("a string is given with --param {name}=…"))
                })?;
                (name.to_owned(), json.into())
            }
        };
        if parsed.iter().any(|(have, _)| *have == name) {
            return Err(Failure::usage(format!("the parameter {name} is given twice"))
                .hint(format!("one value for each: --param {name}=VALUE"))
                .into());
        }
        parsed.push((name, value));
    }
    Ok(parsed)
}

fn split_pair(pair: &str, flag: &str) -> Result<(String, String)> {
    match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!("{flag} takes NAME=VALUE, not {pair:?}"))
            .hint(format!("{flag} name=value"))
            .into()),
    }
}

fn split_header(header: &str) -> Result<(String, String)> {
    match header.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        // The value is not repeated: it may be a secret.
        _ => Err(Failure::usage("-H takes a name, a colon and a value").hint("-H 'Name: value'").into()),
    }
}

//! `--format`: a line of text with values of the event in it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::sanitize;
use super::time::{self, Times};
use super::value::{Record, compact};
use crate::cli::exit::Failure;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a path may begin with: the keys of the NDJSON.
pub(crate) const KEYS: [&str; 10] =
    ["type", "time", "topic", "sub", "action", "replayed", "late", "record", "data", "text"];

/// A template that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// When, as `--time` wants it.
    Time,
    Path(Vec<String>),
}

impl Template {
    /// What is worth a warning: `--format json`, which is no error.
    pub(crate) fn slip(&self) -> Option<String> {
        let has_value = self.parts.iter().any(|part| !matches!(part, Part::Text(_)));
        (!has_value).then(|| {
            "--format prints the same text for each event: a value stands in braces, such as {record.title}".to_owned()
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars().enumerate().peekable();
        while let Some((at, c)) = chars.next() {
            let doubled = |next: Option<&(usize, char)>| next.is_some_and(|(_, next)| *next == c);
            match c {
                '{' | '}' if doubled(chars.peek()) => {
                    chars.next();
                    plain.push(c);
                }
                '}' => return Err(wrong(at, "this } closes nothing").hint("a brace itself is written twice: }}")),
                '{' => {
                    let mut path = String::new();
                    loop {
                        match chars.next() {
                            Some((_, '}')) => break,
                            Some((_, '{')) | None => {
                                return Err(wrong(at, "this { is not closed")
                                    .hint("a value is written {record.title}, a brace itself twice: {{"));
                            }
                            Some((_, c)) => path.push(c),
                        }
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(value(at, &path)?);
                }
                '\\' => match chars.next_if(|(_, next)| matches!(next, 't' | 'n' | '\\')) {
                    Some((_, 't')) => plain.push('\t'),
                    Some((_, 'n')) => plain.push('\n'),
                    _ => plain.push('\\'),
                },
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Appends an event, which is one line of NDJSON. What is not there is left out.
    pub(super) fn write(&self, out: &mut Vec<u8>, event: &str, at: &str) {
        let event = Record::read(event);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Time => out.extend_from_slice(at.as_bytes()),
                Part::Path(path) => {
                    let (first, rest) = path.split_first().map_or(("", &[][..]), |(first, rest)| (first, rest));
                    if let Some(json) = event.get(first).and_then(|json| follow(json, rest)) {
                        out.extend_from_slice(sanitize::terminal(&shown(json)).as_bytes());
                    }
                }
            }
        }
    }
}

fn wrong(at: usize, what: &str) -> Failure {
    Failure::usage(format!("--format: {what}, at character {}", at + 1))
}

fn value(at: usize, path: &str) -> Result<Part, Failure> {
    let example = "{time}, {action}, {record.title}, {record.tags.0}, {data.id} are values";
    if path.is_empty() {
        return Err(wrong(at, "this {} names no value").hint(example));
    }
    let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
    if path.contains(['|', '(', '[', '"']) {
        return Err(wrong(at, &format!("{{{path}}} is no path"))
            .hint("expressions are for --jq; an item of a list is {record.tags.0}"));
    }
    if steps.iter().any(|step| step.is_empty() || step.contains(char::is_whitespace)) {
        return Err(wrong(at, &format!("{{{path}}} is no path")).hint(example));
    }
    if !KEYS.contains(&&*steps[0]) {
        let near = KEYS.iter().max_by(|a, b| strsim::jaro(a, &steps[0]).total_cmp(&strsim::jaro(b, &steps[0])));
        let near = near.filter(|near| strsim::jaro(near, &steps[0]) > 0.8);
        return Err(wrong(at, &format!("an event has no {}", steps[0])).hint(match near {
            Some(near) => format!("did you mean {{{}}}?", path.replacen(&steps[0], near, 1)),
            None => format!("a field of the record is {{record.{path}}}; an event has {}", KEYS.join(", ")),
        }));
    }
    Ok(if path == "time" { Part::Time } else { Part::Path(steps) })
}

/// What stands at the end of a path.
fn follow<'a>(json: &'a str, path: &[String]) -> Option<&'a str> {
    let Some((step, rest)) = path.split_first() else { return Some(json) };
    let next = match json.as_bytes().first()? {
        b'{' => Record::read(json).get(step)?,
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            items.get(step.parse::<usize>().ok()?)?.get()
        }
        _ => return None,
    };
    follow(next, rest)
}

/// Text bare, all else as compact JSON.
fn shown(json: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    if json.starts_with('"')
        && let Ok(Text(text)) = serde_json::from_str(json)
    {
        return text;
    }
    compact(json)
}

/// The time of an event as a template shows it.
pub(super) fn time_of(time: Timestamp, before: Option<Timestamp>, times: Times, zone: &TimeZone) -> String {
    match times {
        Times::None => String::new(),
        Times::Delta => time::delta(time, before),
        Times::Clock => {
            let mut out = Vec::with_capacity(32);
            time::rfc3339_in(&mut out, time, zone);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"type":"record","time":"2026-03-01T12:04:31.207Z","topic":"posts/*","action":"update","record":{"id":"a1","title":"two\nlines \u001b[31m\u202e","stars":1.50,"tags":["x",{"y":"z"}],"none":null,"a": { "b" : [] },"expand":{"author":{"name":"Ann"}}}}"#;

    fn show(template: &str) -> String {
        let mut out = Vec::new();
        Template::parse(template).unwrap().write(&mut out, EVENT, "NOW");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values() {
        for (template, shown) in [
            ("{time} {action} {record.id}", "NOW update a1"),
            ("{record.title}", "two\\nlines \\x1b[31m\\u{202e}"),
            ("{record.stars}|{record.none}|{record.tags.0}|{record.tags.1.y}", "1.50|null|x|z"),
            ("[{record.gone}{record.tags.7}{record.id.x}{record.tags.x}{data.id}{sub}]", "[]"),
            ("{record.a} {record.expand.author.name} {topic} {type}", "{\"b\":[]} Ann posts/* record"),
            ("{{{action}}} \\t\\n\\\\ \\x", "{update} \t\n\\ \\x"),
            ("", ""),
        ] {
            assert_eq!(show(template), shown, "{template}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (template, what, hint) in [
            ("é{record.id", "this { is not closed, at character 2", "written"),
            ("{a{b}", "this { is not closed, at character 1", "written"),
            ("{action} }", "this } closes nothing, at character 10", "twice"),
            ("{}", "this {} names no value, at character 1", "{record.title}"),
            ("{record..id}", "{record..id} is no path, at character 1", "{record.title}"),
            ("{ action }", "{ action } is no path, at character 1", "{record.title}"),
            ("{record.id|upper}", "{record.id|upper} is no path, at character 1", "--jq"),
            ("{record.tags[0]}", "{record.tags[0]} is no path, at character 1", "{record.tags.0}"),
            ("{recrod.id}", "an event has no recrod, at character 1", "did you mean {record.id}?"),
            ("{title}", "an event has no title, at character 1", "{record.title}"),
        ] {
            let failure = Template::parse(template).unwrap_err();
            assert_eq!(failure.to_string(), format!("--format: {what}"));
            assert!(failure.hint.as_ref().unwrap().contains(hint), "{template}: {:?}", failure.hint);
        }
    }

    #[test]
    fn a_template_without_a_value() {
        let warns = |text| Template::parse(text).ok().unwrap().slip().is_some();
        assert!(warns("json") && warns(".record.title") && warns("{{title}}"));
        assert!(!warns("{time}") && !warns("a {record.title}"));
    }
}

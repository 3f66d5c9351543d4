//! From events to bytes: what stands on stdout and, for people, on stderr.

mod lifecycle;
mod line;
mod memory;
pub(crate) mod ndjson;
mod pretty;
pub(crate) mod sanitize;
mod template;
mod time;
mod value;

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) use self::line::{Wrap, fitting, wrap};
use self::pretty::Pretty;
pub(crate) use self::template::{KEYS, Template};
pub(crate) use self::time::Times;
use crate::{Event, RecordEvent};

/// What `-o` chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Pretty,
    /// For programs: one object a line.
    Ndjson,
    /// The payload alone.
    Raw,
    /// What [`Options::template`] makes of it.
    Template,
}

/// What tells two subscriptions to the same topic apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sub {
    /// As it is called in the config.
    Name(String),
    /// Its place on the command line, from 1.
    Position(usize),
}

/// What is said of a record's event besides what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Read again after a gap.
    pub(crate) replayed: bool,
    /// Older than what was printed before.
    pub(crate) late: bool,
}

impl Marks {
    fn of(event: &RecordEvent) -> Self {
        Self { replayed: event.is_replayed(), late: event.is_late() }
    }
}

/// What the last line tells.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// When it ended.
    pub(crate) time: Timestamp,
    /// Why, for programs: one of the words of the NDJSON's `end`.
    pub(crate) reason: &'static str,
    /// Why, for people: `^C`.
    pub(crate) how: &'static str,
    /// The exit code.
    pub(crate) exit: u8,
    /// Printed records and messages.
    pub(crate) events: u64,
    /// How often it was lost and came back.
    pub(crate) reconnects: u64,
    /// How many gaps were reported.
    pub(crate) gaps: u64,
    /// Events that were received and not printed for want of room.
    pub(crate) dropped: u64,
    /// How long it ran.
    pub(crate) elapsed: Duration,
}

/// How a [`Printer`] prints.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "switches that do not depend on each other")]
pub(crate) struct Options {
    /// The form of the events.
    pub(crate) format: Format,
    /// Whether it goes to a terminal: then raw is escaped.
    pub(crate) terminal: bool,
    /// Whether pretty lines are coloured.
    pub(crate) colour: bool,
    /// The terminal's width, to which pretty lines of events are cut, and others
    /// wrapped; `None`: neither.
    pub(crate) width: Option<usize>,
    /// The template of [`Format::Template`].
    pub(crate) template: Option<Template>,
    /// How pretty lines and templates show the time, ...
    pub(crate) times: Times,
    /// ... and in which time zone.
    pub(crate) zone: TimeZone,
    /// Whether a pretty update shows what changed, and not all fields.
    pub(crate) diff: bool,
    /// Whether pretty lines tell of renewed tokens, too.
    pub(crate) verbose: bool,
    /// What stands behind each event: a newline or NUL.
    pub(crate) terminator: u8,
    /// What tells subscriptions to the same topic apart, by their [`crate::Source::index`].
    pub(crate) subs: Vec<Option<Sub>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::default(),
            terminal: false,
            colour: false,
            width: None,
            template: None,
            times: Times::default(),
            zone: TimeZone::UTC,
            diff: true,
            verbose: false,
            terminator: b'\n',
            subs: Vec::new(),
        }
    }
}

/// Appends events to a buffer in one form. One is made for each output: what
/// goes to stderr is printed by a pretty one of its own.
pub(crate) struct Printer {
    format: Format,
    terminal: bool,
    terminator: u8,
    subs: Vec<Option<Sub>>,
    pretty: Pretty,
    template: Option<Template>,
    times: Times,
    zone: TimeZone,
    /// The time of the event before.
    before: Option<Timestamp>,
    /// Made anew for each event, in the same memory.
    line: Vec<u8>,
}

impl Printer {
    pub(crate) fn new(options: Options) -> Self {
        let pretty = Pretty::new(&options);
        let Options { format, terminal, terminator, subs, template, times, zone, .. } = options;
        Self { format, terminal, terminator, subs, pretty, template, times, zone, before: None, line: Vec::new() }
    }

    /// One more subscription, behind the others.
    pub(crate) fn add_sub(&mut self, sub: Option<Sub>) {
        self.subs.push(sub);
        if self.subs.len() > 1 {
            self.pretty.not_alone();
        }
    }

    /// The terminal has another width now.
    pub(crate) fn set_width(&mut self, width: Option<usize>) {
        self.pretty.set_width(width);
    }

    /// Appends a record, a message or a line of the lifecycle. Not every
    /// event of the lifecycle is worth a line to a person.
    pub(crate) fn event(&mut self, out: &mut Vec<u8>, event: &Event) {
        let sub = sub_of(&self.subs, event);
        match (self.format, event) {
            (Format::Pretty, event) => self.pretty.event(out, event, sub),
            (Format::Raw, Event::Record(event)) => self.raw(out, &event.json(), true),
            (Format::Raw, Event::Message(event)) => self.raw(out, event.payload(), event.json().is_some()),
            (Format::Template, event @ (Event::Record(_) | Event::Message(_))) => self.template(out, event),
            // The lifecycle has no raw form: among payloads it stands as objects, too.
            (Format::Ndjson | Format::Raw | Format::Template, event) => {
                let start = out.len();
                ndjson::event(out, event, sub, self.terminator);
                self.make_safe(out, start);
            }
        }
    }

    /// Appends a record or a message as NDJSON, whatever the format, without a terminator.
    pub(crate) fn json(&self, out: &mut Vec<u8>, event: &Event) {
        ndjson::event(out, event, sub_of(&self.subs, event), b'\n');
        out.pop();
    }

    /// Appends the line that tells quiet from dead. It is for people alone.
    pub(crate) fn quiet(&self, out: &mut Vec<u8>, time: Duration) {
        if self.format == Format::Pretty {
            self.pretty.quiet(out, time);
        }
    }

    /// Appends the last line.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>, summary: &Summary) {
        match self.format {
            Format::Pretty => self.pretty.end(out, summary),
            Format::Ndjson | Format::Raw | Format::Template => {
                let start = out.len();
                ndjson::end(out, summary, self.terminator);
                self.make_safe(out, start);
            }
        }
    }

    /// On a terminal an object shows escaped what could mislead there, and means the same.
    fn make_safe(&self, out: &mut Vec<u8>, start: usize) {
        if !self.terminal || out.len() == start {
            return;
        }
        out.pop();
        let line = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        sanitize::json_on_terminal(out, &line);
        out.push(self.terminator);
    }

    fn template(&mut self, out: &mut Vec<u8>, event: &Event) {
        let Some(template) = &self.template else { return };
        let time = match event {
            Event::Record(event) => event.time(),
            Event::Message(event) => event.time(),
            _ => return,
        };
        self.line.clear();
        ndjson::event(&mut self.line, event, sub_of(&self.subs, event), b'\n');
        let at = template::time_of(time, self.before.replace(time), self.times, &self.zone);
        template.write(out, String::from_utf8_lossy(&self.line).trim_end(), &at);
        out.push(self.terminator);
    }

    fn raw(&self, out: &mut Vec<u8>, payload: &str, json: bool) {
        match (self.terminal, json) {
            // A text may hold what ends an event.
            (false, false) if self.terminator == 0 && payload.contains('\0') => {
                out.extend_from_slice(payload.replace('\0', "\u{fffd}").as_bytes());
            }
            (false, _) => out.extend_from_slice(payload.as_bytes()),
            (true, false) => out.extend_from_slice(sanitize::terminal(payload).as_bytes()),
            (true, true) => sanitize::json_on_terminal(out, payload),
        }
        out.push(self.terminator);
    }
}

/// What tells the subscription of a record or a message from others to the same topic.
fn sub_of<'a>(subs: &'a [Option<Sub>], event: &Event) -> Option<&'a Sub> {
    let source = match event {
        Event::Record(event) => event.source(),
        Event::Message(event) => event.source(),
        _ => return None,
    };
    subs.get(source.index())?.as_ref()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::decode;
    use crate::{
        Account, Cause, ClientId, Connected, Deletes, Disconnected, Gap, Live, MessageEvent, Refreshed, Source,
        Subscribed, Topic, Warning,
    };

    /// `2026-03-01T12:04:31.207Z`, and as many milliseconds later.
    pub(super) fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_772_366_671_207 + millis).unwrap()
    }

    pub(crate) fn record_event_of(topic: Topic, index: usize, data: &str) -> RecordEvent {
        match decode(Source::new(topic, index, vec![]), at(0), data.into()) {
            Event::Record(event) => event,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn record_event(topic: Topic, data: &str) -> RecordEvent {
        record_event_of(topic, 0, data)
    }

    pub(super) fn message_event(topic: &str, payload: &str) -> MessageEvent {
        MessageEvent::new(Source::new(Topic::custom(topic), 0, vec![]), at(0), payload.into())
    }

    pub(super) fn account() -> Account {
        Account {
            id: "u1".into(),
            collection: "users".into(),
            name: Some("ann@example.com".into()),
            expires: Some(at(845_000)),
        }
    }

    pub(super) fn lifecycle_events() -> Vec<Event> {
        let topics = vec!["posts/*".to_owned(), "jobs/finished".to_owned()];
        let connected = Event::Connected(Connected {
            time: at(0),
            url: "https://api.example.com".into(),
            client_id: ClientId::new("k3fABCDEF".into()),
        });
        let subscribed = |auth| Event::Subscribed(Subscribed { time: at(0), topics: topics.clone(), auth });
        let disconnected = |topics, retry| {
            Event::Disconnected(Disconnected {
                time: at(0),
                topics,
                cause: Cause::Reset,
                detail: "connection reset".into(),
                retry,
                attempt: 1,
            })
        };
        vec![
            connected,
            subscribed(Some(account())),
            Event::Live(Live { time: at(0), initial: 0, replayed: 0 }),
            disconnected(topics.clone(), Some(Duration::from_millis(1200))),
            subscribed(Some(account())),
            Event::Gap(Gap {
                time: at(0),
                from: at(-4100),
                to: at(0),
                filled: topics[..1].to_vec(),
                unfilled: topics[1..].to_vec(),
                replayed: 2,
                deletes: Deletes::Replayed,
                left: 0,
            }),
            Event::Live(Live { time: at(4100), initial: 0, replayed: 2 }),
            Event::Refreshed(Refreshed { time: at(0), expires: Some(at(0)) }),
            Event::Warning(Warning { time: at(0), code: "invalid-utf8", message: "mended".into() }),
            disconnected(vec![], None),
            subscribed(None),
        ]
    }

    pub(super) fn summary() -> Summary {
        Summary {
            time: at(0),
            reason: "signal",
            how: "^C",
            exit: 130,
            events: 128,
            reconnects: 2,
            gaps: 1,
            dropped: 0,
            elapsed: Duration::from_secs(845),
        }
    }

    fn print(options: Options, events: &[Event]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(options);
        for event in events {
            printer.event(&mut out, event);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn raw_is_the_payload() {
        let events = [
            Event::Record(record_event(
                Topic::custom("a/*"),
                "{\"action\":\"create\",\"record\":{\"id\": \"\u{9b}\"}}",
            )),
            Event::Message(message_event("b/c", "{\n\"a\":1}")),
            Event::Message(message_event("b/c", "two\nlines")),
            Event::Message(message_event("b/c", "one\0item")),
        ];
        let raw = |terminal, terminator| Options { format: Format::Raw, terminal, terminator, ..Options::default() };
        assert_eq!(print(raw(false, 0), &events), "{\"id\": \"\u{9b}\"}\0{\n\"a\":1}\0two\nlines\0one\u{fffd}item\0");
        assert!(print(raw(false, b'\n'), &events).ends_with("\none\0item\n"));
        assert_eq!(print(raw(true, b'\n'), &events), "{\"id\": \"\\u009b\"}\n{\"a\":1}\ntwo\\nlines\none\\x00item\n");
    }

    #[test]
    fn objects_are_safe_on_a_terminal() {
        let data = "{\"action\":\"create\",\"record\":{\t\"id\":\"\u{202e}\u{9b}\u{e0041}\"}}";
        let event = Event::Record(record_event(Topic::custom("a/*"), data));
        let ndjson = |terminal| Options { format: Format::Ndjson, terminal, ..Options::default() };
        let shown = print(ndjson(true), std::slice::from_ref(&event));
        assert!(shown.contains(r#"{ "id":"\u202e\u009b\udb40\udc41"}"#), "{shown}");
        let piped = print(ndjson(false), &[event]);
        assert!(piped.contains("{\t\"id\":\"\u{202e}\\u009b\u{e0041}\"}"), "the server's bytes: {piped}");
    }

    #[test]
    fn subscriptions_are_told_apart() {
        let data = r#"{"action":"create","record":{"id":"a"}}"#;
        let events: Vec<_> =
            (0..4).map(|index| Event::Record(record_event_of(Topic::custom("a/*"), index, data))).collect();
        let subs = vec![Some(Sub::Name("open".into())), Some(Sub::Position(2)), None];
        let shown = print(Options { format: Format::Ndjson, subs: subs.clone(), ..Options::default() }, &events);
        let subs_shown: Vec<_> =
            shown.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["sub"].clone()).collect();
        assert_eq!(subs_shown, [serde_json::json!("open"), serde_json::json!(2), ().into(), ().into()]);
        let shown = print(Options { subs, ..Options::default() }, &events);
        assert_eq!(shown.matches("a/a [open] ").count(), 1);
    }

    #[test]
    fn the_width_may_change() {
        let mut out = Vec::new();
        let mut printer = Printer::new(Options { width: Some(20), ..Options::default() });
        printer.quiet(&mut out, Duration::from_mins(5));
        printer.set_width(None);
        printer.quiet(&mut out, Duration::from_mins(5));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "· quiet        for\n  5m, still live\n· quiet        for 5m, still live\n"
        );
    }
}

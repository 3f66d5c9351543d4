//! Lines for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::lifecycle::{self, Connection};
use super::line::{self, Line, Palette, Style, Wrap};
use super::memory::Memory;
use super::value::{self, Change, Field, Record};
use super::{Marks, Options, Sub, Summary, Times, time};
use crate::{Action, Event, MessageEvent, RecordEvent, TopicKind};

/// A terminal narrower than this shows no words where there are signs, no
/// whole ids, no columns.
const NARROW: usize = 60;
/// One narrower than this shows no milliseconds, little space, and not the
/// name of the only topic: the record has the room.
const WIDE: usize = 110;
/// How much room a target has at first: `posts/` and an id, ...
const FIRST_TARGET: usize = 21;
/// ... and at last, however long the names become, ...
const LAST_TARGET: usize = 40;
/// ... where there is less room, too.
const LAST_COMPACT_TARGET: usize = 28;
/// As much of an id tells records apart, mostly.
const SHORT_ID: usize = 6;
/// A value is not cut shorter than this.
const SHORTEST_VALUE: usize = 12;

/// What prints events and lifecycle for people.
pub(super) struct Pretty {
    palette: Palette,
    width: Option<usize>,
    times: Times,
    zone: TimeZone,
    /// The time of the event before.
    before: Option<Timestamp>,
    diff: bool,
    terminator: u8,
    /// Whether lines about the connection begin with the time, too: in a log nobody has seen
    /// when they came.
    timed: bool,
    memory: Memory,
    /// Made anew for each event, in the same memory.
    key: String,
    /// Whether there is but one subscription.
    alone: bool,
    /// How much room the targets have: the longest that was seen.
    target: usize,
    connection: Connection,
}

/// How much there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Wide,
    Compact,
    Narrow,
}

/// How the line of an event begins.
struct Head<'a> {
    time: String,
    sign: &'static str,
    style: Style,
    word: &'static str,
    target: &'a str,
    sub: Option<&'a Sub>,
}

impl Pretty {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            palette: Palette::new(options.colour),
            width: options.width,
            times: options.times,
            zone: options.zone.clone(),
            before: None,
            diff: options.diff,
            terminator: options.terminator,
            timed: !options.terminal && options.times != Times::None,
            memory: Memory::default(),
            key: String::new(),
            alone: options.subs.len() == 1,
            target: first_target(options.width, options.subs.len() == 1),
            connection: Connection::new(options.verbose),
        }
    }

    pub(super) fn set_width(&mut self, width: Option<usize>) {
        if Layout::of(width) != Layout::of(self.width) {
            self.target = first_target(width, self.alone);
        }
        self.width = width;
    }

    /// From now on it matters which topic an event is of.
    pub(super) fn not_alone(&mut self) {
        self.alone = false;
        self.target = self.target.max(FIRST_TARGET);
    }

    pub(super) fn event(&mut self, out: &mut Vec<u8>, event: &Event, sub: Option<&Sub>) {
        match event {
            Event::Record(event) => self.record(out, event, Marks::of(event), sub),
            Event::Message(event) => self.message(out, event, sub),
            lifecycle => {
                let start = out.len();
                if self.connection.show(&mut Line::new(out, &self.palette, None), lifecycle) {
                    self.stamp(out, start, time_of(lifecycle));
                    self.finish(out, start);
                }
            }
        }
    }

    /// Puts the time before a line about the connection, where it has one.
    fn stamp(&mut self, out: &mut Vec<u8>, start: usize, at: Option<Timestamp>) {
        if let Some(at) = at.filter(|_| self.timed) {
            let (time, mut stamp) = (self.time(at), Vec::new());
            Line::new(&mut stamp, &self.palette, None).dim(&time).plain("  ");
            out.splice(start..start, stamp);
        }
    }

    /// Ends a line about the connection. What matters may stand at its end: it is wrapped, and
    /// never cut.
    fn finish(&self, out: &mut Vec<u8>, start: usize) {
        if let Some(width) = self.width {
            let line = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            let wrap = Wrap { width, indent: lifecycle::COLUMN, breaks_words: true };
            out.extend_from_slice(line::wrap(&line, wrap).as_bytes());
        }
        out.push(self.terminator);
    }

    pub(super) fn quiet(&self, out: &mut Vec<u8>, time: Duration) {
        let start = out.len();
        lifecycle::quiet(&mut Line::new(out, &self.palette, None), time);
        self.finish(out, start);
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>, summary: &Summary) {
        let start = out.len();
        lifecycle::ended(&mut Line::new(out, &self.palette, None), summary);
        self.stamp(out, start, Some(summary.time));
        self.finish(out, start);
    }

    fn record(&mut self, out: &mut Vec<u8>, event: &RecordEvent, marks: Marks, sub: Option<&Sub>) {
        let (json, action) = (event.json(), event.action());
        let record = Record::read(&json);
        // Where the fields were chosen, what the tool added for itself is cut out of the JSON.
        let id = record.text("id").or_else(|| event.id().map(Cow::Owned));
        let collection = record.text("collectionName").or_else(|| event.collection().map(Cow::Owned));
        // A late event is older than what is remembered: it is not compared with it and does not replace it.
        let known = id.as_deref().filter(|_| self.diff && (!marks.late || action == Action::Delete));
        let old = known.and_then(|id| {
            self.key.clear();
            // Writing to a String cannot fail.
            let _ = write!(self.key, "{} {id}", event.source().index());
            self.memory.take(&self.key)
        });

        let (sign, style) = match action {
            Action::Create => ("+", Style::Green),
            Action::Update => ("~", Style::Yellow),
            Action::Delete => ("-", Style::Red),
            Action::Initial => ("=", Style::Plain),
        };
        let layout = Layout::of(self.width);
        let is_known = self.alone && layout != Layout::Wide;
        let target = match (&collection, &id) {
            (Some(_), Some(_)) if is_known && matches!(event.topic().kind(), TopicKind::Record(..)) => {
                Cow::Borrowed("")
            }
            (Some(collection), Some(id)) => {
                let id = if layout == Layout::Narrow { value::shorten(id, SHORT_ID) } else { Cow::Borrowed(&**id) };
                if is_known { id } else { Cow::Owned(format!("{collection}/{id}")) }
            }
            _ => Cow::Borrowed(event.topic().name()),
        };
        let head = Head { time: self.time(event.time()), sign, style, word: action.as_str(), target: &target, sub };
        let mut line = Line::new(out, &self.palette, self.width);
        let behind = head.write(&mut line, layout, &mut self.target);
        let changes = match &old {
            Some(old) if action == Action::Update => record.changes(&Record::read(old)),
            _ => None,
        };
        let mark = match marks {
            Marks { late: true, .. } => "(late) ",
            Marks { replayed: true, .. } => "(replayed) ",
            _ => "",
        };
        let begin = |line: &mut Line<'_>| {
            pad(line, behind).dim(mark);
        };
        match changes {
            Some(changes) if changes.is_empty() => {
                begin(&mut line);
                line.dim("no visible change");
            }
            Some(changes) => {
                begin(&mut line);
                self.fit_changes(&mut line, &changes);
            }
            None => {
                let mut shown = record.shown();
                if action == Action::Delete && shown.named {
                    shown.fields.truncate(1);
                }
                if !(shown.fields.is_empty() && mark.is_empty()) {
                    begin(&mut line);
                    self.fit(&mut line, shown.fields.len(), |line, limit| write_fields(line, &shown.fields, limit));
                }
            }
        }
        line.finish(self.terminator);

        if known.is_some() && action != Action::Delete {
            let mut copy = old.unwrap_or_default();
            copy.clear();
            copy.push_str(&json);
            self.memory.put(&self.key, copy);
        }
    }

    fn message(&mut self, out: &mut Vec<u8>, event: &MessageEvent, sub: Option<&Sub>) {
        let layout = Layout::of(self.width);
        let target = if self.alone && layout != Layout::Wide { "" } else { event.topic().name() };
        let head = Head { time: self.time(event.time()), sign: "»", style: Style::Cyan, word: "", target, sub };
        let mut line = Line::new(out, &self.palette, self.width);
        let behind = head.write(&mut line, layout, &mut self.target);
        pad(&mut line, behind);
        match (event.json(), event.payload()) {
            (Some(json), _) => line.plain(&value::compact(json.trim())),
            (None, "") => line.dim("(empty)"),
            (None, text) => line.plain(text),
        };
        line.finish(self.terminator);
    }

    /// The time of an event, as it stands at the beginning of its line.
    fn time(&mut self, time: Timestamp) -> String {
        let before = self.before.replace(time);
        match self.times {
            Times::None => String::new(),
            Times::Delta => format!("{:>1$}", time::delta(time, before), "+59.999s".len()),
            Times::Clock => {
                let (at, mut text) = (self.zone.to_datetime(time), Vec::with_capacity("12:04:31.207".len()));
                time::clock(&mut text, at);
                if Layout::of(self.width) == Layout::Wide {
                    time::millis(&mut text, at);
                }
                String::from_utf8_lossy(&text).into_owned()
            }
        }
    }

    /// Writes values as they are where they fit, and else each of several
    /// shortened, so that a long one does not hide the others.
    fn fit(&self, line: &mut Line<'_>, values: usize, write: impl Fn(&mut Line<'_>, Option<usize>)) {
        let place = line.place();
        write(line, None);
        if let Some(width) = self.width
            && line.is_full()
            && values > 1
        {
            line.back_to(place);
            write(line, Some((width / 3).max(SHORTEST_VALUE)));
        }
    }

    /// The same for changes, of which even a single one has two values: what
    /// it was must not hide what it is.
    fn fit_changes(&self, line: &mut Line<'_>, changes: &[Change<'_>]) {
        let (place, start) = (line.place(), line.column());
        write_changes(line, changes, None);
        if let Some(width) = self.width
            && line.is_full()
        {
            line.back_to(place);
            let name = changes.first().map_or(0, |change| line::text_width(&key(&change.name)));
            let room = width.saturating_sub(start + name + ": ".len() + " → ".len()) / 2;
            write_changes(line, changes, Some(room.min(width / 3).max(SHORTEST_VALUE)));
        }
    }
}

impl Layout {
    /// Where there is no terminal, nothing is wanting.
    fn of(width: Option<usize>) -> Self {
        match width {
            Some(width) if width < NARROW => Self::Narrow,
            Some(width) if width < WIDE => Self::Compact,
            _ => Self::Wide,
        }
    }
}

impl Head<'_> {
    /// Writes it, and says where the next column begins.
    fn write(&self, line: &mut Line<'_>, layout: Layout, room: &mut usize) -> usize {
        let is_wide = layout == Layout::Wide;
        if !self.time.is_empty() {
            line.dim(&self.time).plain(if is_wide { "  " } else { " " });
        }
        line.push(self.style, self.sign).plain(" ");
        let first = line.column() + "initial ".len();
        if layout != Layout::Narrow && !self.word.is_empty() {
            line.push(self.style, self.word).pad(first);
        }
        let start = line.column();
        line.plain(self.target);
        match self.sub {
            Some(Sub::Name(name)) => line.dim(" [").dim(name).dim("]"),
            Some(Sub::Position(position)) => line.dim(&format!(" [{position}]")),
            None => line,
        };
        let end = line.column();
        if end == start || layout == Layout::Narrow {
            return end + usize::from(end > start);
        }
        // Where there is a word, targets begin behind it, and all end at one place.
        *room = end.saturating_sub(first).clamp(*room, if is_wide { LAST_TARGET } else { LAST_COMPACT_TARGET });
        end.max(first + *room) + if is_wide { 3 } else { 2 }
    }
}

/// Spaces up to this column.
fn pad<'l, 'a>(line: &'l mut Line<'a>, column: usize) -> &'l mut Line<'a> {
    if column > line.column() { line.pad(column) } else { line }
}

/// How much room the targets have before one was seen. The ids of one collection are
/// of one length.
fn first_target(width: Option<usize>, alone: bool) -> usize {
    if alone && Layout::of(width) != Layout::Wide { 0 } else { FIRST_TARGET }
}

/// When it happened, of what is about the connection.
fn time_of(event: &Event) -> Option<Timestamp> {
    match event {
        Event::Record(_) | Event::Message(_) | Event::Progress(_) => None,
        Event::Connected(event) => Some(event.time),
        Event::Subscribed(event) => Some(event.time),
        Event::Live(event) => Some(event.time),
        Event::Disconnected(event) => Some(event.time),
        Event::Gap(event) => Some(event.time),
        Event::Refreshed(event) => Some(event.time),
        Event::Warning(event) => Some(event.time),
    }
}

fn write_fields(line: &mut Line<'_>, fields: &[Field<'_>], limit: Option<usize>) {
    for (at, field) in fields.iter().enumerate() {
        if line.is_full() {
            return;
        }
        let value = field.value();
        line.plain(if at > 0 { " " } else { "" }).dim(&key(&field.name)).dim("=");
        line.plain(&limit.map_or(Cow::Borrowed(&*value), |limit| value::shorten(&value, limit)));
    }
}

fn write_changes(line: &mut Line<'_>, changes: &[Change<'_>], limit: Option<usize>) {
    let short = |value| limit.map_or(Cow::Borrowed(value), |limit| value::shorten(value, limit));
    for (at, change) in changes.iter().enumerate() {
        if line.is_full() {
            return;
        }
        line.plain(if at > 0 { "  " } else { "" }).dim(&key(&change.name));
        match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                let (before, after) = match limit {
                    Some(limit) => value::shorten_both(before, after, limit),
                    None => (before.to_string(), after.to_string()),
                };
                line.dim(": ").plain(&before).dim(" → ").plain(&after)
            }
            (None, Some(after)) => line.dim("=").plain(&short(after)),
            (Some(before), None) => line.dim(": ").plain(&short(before)).dim(" → removed"),
            (None, None) => line,
        };
    }
}

/// A name that could be taken for more than a name is quoted.
fn key(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@')) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(serde_json::Value::from(name).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::sanitize::tests::{is_dangerous, text};
    use super::super::tests::{at, message_event, record_event};
    use super::*;
    use crate::Topic;
    use proptest::prelude::*;
    use std::slice;

    const NONE: Marks = Marks { replayed: false, late: false };

    fn pretty(width: Option<usize>, colour: bool) -> Pretty {
        Pretty::new(&Options { colour, width, ..Options::default() })
    }

    fn posts(data: &str) -> RecordEvent {
        record_event(Topic::custom("posts/*"), data)
    }

    fn change(action: &str, fields: &str) -> RecordEvent {
        let meta = r#""collectionId":"c1","collectionName":"posts","id":"9f3k2m1x0abcdef""#;
        posts(&format!(r#"{{"action":"{action}","record":{{{meta}{fields}}}}}"#))
    }

    fn show(pretty: &mut Pretty, events: &[(RecordEvent, Marks)]) -> String {
        let mut out = Vec::new();
        for (event, marks) in events {
            pretty.record(&mut out, event, *marks, None);
        }
        String::from_utf8(out).unwrap()
    }

    fn hello(status: &str, author: &str) -> String {
        format!(r#","title":"Hello","status":"{status}","author":"{author}","updated":"{status}""#)
    }

    #[test]
    fn as_the_interface_shows_it() {
        let mut pretty = pretty(None, false);
        let mut out = show(
            &mut pretty,
            &[
                (change("create", &hello("draft", "u1")), NONE),
                (change("update", &hello("live", "u1")), NONE),
                (change("delete", &hello("live", "u1")), NONE),
            ],
        )
        .into_bytes();
        pretty.message(&mut out, &message_event("jobs/finished", r#"{"job": 42, "ok": true}"#), None);
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        12:04:31.207  + create  posts/9f3k2m1x0abcdef   title="Hello" status="draft" author="u1"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   status: "draft" → "live"
        12:04:31.207  - delete  posts/9f3k2m1x0abcdef   title="Hello"
        12:04:31.207  » jobs/finished                   {"job":42,"ok":true}
        "#);
    }

    #[test]
    fn updates_show_what_is_known_to_have_changed() {
        let late = Marks { late: true, replayed: false };
        let replayed = Marks { late: false, replayed: true };
        let shown = show(
            &mut pretty(None, false),
            &[
                (change("update", &hello("draft", "u1")), NONE), // never seen before
                (change("update", &hello("live", "u2")), replayed),
                (change("update", &hello("draft", "u1")), late),
                (change("update", &hello("live", "u2")), NONE),
                (change("update", r#","title":"Hello","status":"live","author":"u2","updated":"later""#), NONE),
                (change("update", r#","title":"Hello","stars":3,"updated":"later""#), NONE),
                (change("delete", r#","title":"Hello""#), late),
                (change("create", ""), NONE),
                (posts(r#"{"action":"delete","record":{}}"#), NONE),
                (posts(r#"{"action":"delete","record":{}}"#), replayed),
            ],
        );
        insta::assert_snapshot!(shown, @r#"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   title="Hello" status="draft" author="u1"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   (replayed) status: "draft" → "live"  author: "u1" → "u2"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   (late) title="Hello" status="draft" author="u1"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   no visible change
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   updated: "live" → "later"
        12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   stars=3  status: "live" → removed  author: "u2" → removed
        12:04:31.207  - delete  posts/9f3k2m1x0abcdef   (late) title="Hello"
        12:04:31.207  + create  posts/9f3k2m1x0abcdef   collectionId="c1" collectionName="posts" id="9f3k2m1x0abcdef"
        12:04:31.207  - delete  posts/*
        12:04:31.207  - delete  posts/*                 (replayed)
        "#);
    }

    #[test]
    fn other_times() {
        let event = |millis: i64| {
            let data = r#"{"action":"create","record":{"collectionName":"posts","id":"9f3k2m1x0abcdef","n":1}}"#;
            match crate::event::decode(crate::Source::new(Topic::custom("posts/*"), 0, vec![]), at(millis), data.into())
            {
                Event::Record(event) => (event, NONE),
                other => panic!("{other:?}"),
            }
        };
        let mut shown = String::new();
        for times in [Times::Clock, Times::Delta, Times::None] {
            let mut pretty = Pretty::new(&Options { times, ..Options::default() });
            shown += &show(&mut pretty, &[event(0), event(61_004)]);
        }
        insta::assert_snapshot!(shown, @r#"
        12:04:31.207  + create  posts/9f3k2m1x0abcdef   n=1
        12:05:32.211  + create  posts/9f3k2m1x0abcdef   n=1
         +0.000s  + create  posts/9f3k2m1x0abcdef   n=1
        +61.004s  + create  posts/9f3k2m1x0abcdef   n=1
        + create  posts/9f3k2m1x0abcdef   n=1
        + create  posts/9f3k2m1x0abcdef   n=1
        "#);
    }

    #[test]
    fn without_diff_all_fields() {
        let mut pretty = Pretty::new(&Options { diff: false, ..Options::default() });
        let update = (change("update", ",\"n\":1"), NONE);
        assert_eq!(show(&mut pretty, &[update.clone(), update]).matches("n=1").count(), 2);
    }

    #[test]
    fn memory_is_for_one_subscription() {
        let event = |index, n: u8| {
            let data = format!(r#"{{"action":"update","record":{{"id":"a","n":{n}}}}}"#);
            super::super::tests::record_event_of(Topic::custom("posts/*"), index, &data)
        };
        let shown = show(&mut pretty(None, false), &[(event(0, 1), NONE), (event(1, 2), NONE), (event(0, 3), NONE)]);
        insta::assert_snapshot!(shown, @r#"
        12:04:31.207  ~ update  posts/a                 n=1
        12:04:31.207  ~ update  posts/a                 n=2
        12:04:31.207  ~ update  posts/a                 n: 1 → 3
        "#);
    }

    #[test]
    fn fits_the_terminal() {
        let long = r#","title":"The quick brown fox jumps over the lazy dog","body":"日本語日本語日本語日本語日本語日本語","stars":5"#;
        let then = long.replace("lazy dog", "eager dog").replace(":5", ":6");
        for width in [30, 40, 80, 110] {
            let events = [(change("create", long), NONE), (change("update", &then), NONE)];
            let shown = show(&mut pretty(Some(width), false), &events);
            assert!(shown.lines().all(|line| super::super::line::text_width(line) <= width), "{shown}");
            match width {
                40 => insta::assert_snapshot!(shown, @r#"
                12:04:31 + posts/9f3k2… title="The quic…
                12:04:31 ~ posts/9f3k2… stars: 5 → 6  t…
                "#),
                80 => insta::assert_snapshot!(shown, @r#"
                12:04:31 + create  posts/9f3k2m1x0abcdef  title="The quick brown fox jum…" star…
                12:04:31 ~ update  posts/9f3k2m1x0abcdef  stars: 5 → 6  title: "… the lazy…" → …
                "#),
                110 => insta::assert_snapshot!(shown, @r#"
                12:04:31.207  + create  posts/9f3k2m1x0abcdef   title="The quick brown fox jumps over th…" stars=5 body="日本…
                12:04:31.207  ~ update  posts/9f3k2m1x0abcdef   stars: 5 → 6  title: "…ver the lazy dog" → "…ver the eager do…
                "#),
                _ => {}
            }
        }
    }

    /// What tells nothing has no room of its own: the name of the only topic, and of the only record.
    #[test]
    fn an_only_topic_is_not_named_again() {
        let title = r#","title":"Watching feeds with one hand","body":"","stars":5,"status":"draft""#;
        let then = title.replace("one hand", "a cat").replace("draft", "live");
        let record = |topic: &Topic, action: &str, fields: &str| {
            let meta = r#""collectionId":"c1","collectionName":"posts","id":"9f3k2m1x0abcdef""#;
            record_event(topic.clone(), &format!(r#"{{"action":"{action}","record":{{{meta}{fields}}}}}"#))
        };
        let show = |topics: &[Topic], width| {
            let subs = vec![None; topics.len()];
            let mut pretty = Pretty::new(&Options { width: Some(width), subs, ..Options::default() });
            let mut out = Vec::new();
            for topic in topics {
                if matches!(topic.kind(), TopicKind::Custom(_)) {
                    pretty.message(&mut out, &message_event(topic.name(), r#"{"job":42}"#), None);
                    continue;
                }
                for (action, fields) in [("create", title), ("update", &then), ("delete", &then)] {
                    pretty.record(&mut out, &record(topic, action, fields), NONE, None);
                }
            }
            String::from_utf8(out).unwrap()
        };
        let (all, one) = (Topic::collection("posts"), Topic::record("posts", "9f3k2m1x0abcdef"));
        let custom = Topic::custom("jobs/finished");
        insta::assert_snapshot!(show(&[all.clone(), custom.clone()], 80), @r#"
        12:04:31 + create  posts/9f3k2m1x0abcdef  title="Watching feeds with one…" star…
        12:04:31 ~ update  posts/9f3k2m1x0abcdef  status: "draft" → "live"  title: "…it…
        12:04:31 - delete  posts/9f3k2m1x0abcdef  title="Watching feeds with a cat"
        12:04:31 » jobs/finished                  {"job":42}
        "#);
        insta::assert_snapshot!(show(slice::from_ref(&all), 80), @r#"
        12:04:31 + create  9f3k2m1x0abcdef  title="Watching feeds with one…" stars=5 st…
        12:04:31 ~ update  9f3k2m1x0abcdef  status: "draft" → "live"  title: "… with on…
        12:04:31 - delete  9f3k2m1x0abcdef  title="Watching feeds with a cat"
        "#);
        insta::assert_snapshot!(show(&[one], 80), @r#"
        12:04:31 + create  title="Watching feeds with one…" stars=5 status="draft" body…
        12:04:31 ~ update  status: "draft" → "live"  title: "…ds with one hand" → "…ds …
        12:04:31 - delete  title="Watching feeds with a cat"
        "#);
        insta::assert_snapshot!(show(&[custom], 80), @r#"
        12:04:31 » {"job":42}
        "#);
        insta::assert_snapshot!(show(slice::from_ref(&all), 40), @r#"
        12:04:31 + 9f3k2… title="Watching f…" s…
        12:04:31 ~ 9f3k2… status: "draft" → "li…
        12:04:31 - 9f3k2… title="Watching feeds…
        "#);
        assert!(show(&[all], 120).contains("posts/9f3k2m1x0abcdef"));
    }

    /// On a terminal one has seen when they came.
    #[test]
    fn in_a_log_the_connection_has_times() {
        let show = |terminal, times| {
            let mut pretty = Pretty::new(&Options { terminal, times, ..Options::default() });
            let mut out = Vec::new();
            for event in super::super::tests::lifecycle_events() {
                pretty.event(&mut out, &event, None);
            }
            pretty.end(&mut out, &super::super::tests::summary());
            String::from_utf8(out).unwrap()
        };
        insta::assert_snapshot!(show(false, Times::Clock), @r#"
        12:04:31.207  ● connected    https://api.example.com as ann@example.com (users) · posts/*  jobs/finished (custom topic, cannot be checked)
        12:04:31.207  ○ lost         connection reset · retry in 1.2s (attempt 1)
        12:04:35.307  ● reconnected  after 4.1s · 2 changes replayed · jobs/finished: 4.1s not covered
        12:04:31.207  ! warning      mended
        12:04:31.207  ● connected    https://api.example.com as a guest · posts/*  jobs/finished (custom topic, cannot be checked)
        12:04:31.207  ■ ended        ^C · 128 events · 2 reconnects · 1 gap · 14m05s
        "#);
        assert!(show(true, Times::Clock).starts_with("● connected "));
        assert!(show(false, Times::None).starts_with("● connected "));
    }

    /// What matters stands at the end: in no width it is cut.
    #[test]
    fn what_happens_to_the_connection_is_wrapped() {
        for width in [20, 40, 80] {
            let mut pretty = pretty(Some(width), false);
            pretty.timed = false;
            let mut out = Vec::new();
            for event in super::super::tests::lifecycle_events() {
                pretty.event(&mut out, &event, None);
            }
            pretty.end(&mut out, &super::super::tests::summary());
            let shown = String::from_utf8(out).unwrap();
            assert!(shown.lines().all(|line| line::text_width(line) <= width) && !shown.contains('…'), "{shown}");
            match width {
                40 => insta::assert_snapshot!(shown, @r#"
                ● connected    https://api.example.com
                               as ann@example.com
                               (users) · posts/*
                               jobs/finished (custom
                               topic, cannot be checked)
                ○ lost         connection reset · retry
                               in 1.2s (attempt 1)
                ● reconnected  after 4.1s · 2 changes
                               replayed · jobs/finished:
                               4.1s not covered
                ! warning      mended
                ● connected    https://api.example.com
                               as a guest · posts/*
                               jobs/finished (custom
                               topic, cannot be checked)
                ■ ended        ^C · 128 events · 2
                               reconnects · 1 gap ·
                               14m05s
                "#),
                80 => insta::assert_snapshot!(shown, @r#"
                ● connected    https://api.example.com as ann@example.com (users) · posts/*
                               jobs/finished (custom topic, cannot be checked)
                ○ lost         connection reset · retry in 1.2s (attempt 1)
                ● reconnected  after 4.1s · 2 changes replayed · jobs/finished: 4.1s not covered
                ! warning      mended
                ● connected    https://api.example.com as a guest · posts/*  jobs/finished
                               (custom topic, cannot be checked)
                ■ ended        ^C · 128 events · 2 reconnects · 1 gap · 14m05s
                "#),
                _ => {}
            }
        }
    }

    #[test]
    fn columns_grow_with_the_names() {
        let show = |width| {
            let mut pretty = pretty(width, false);
            let mut out = Vec::new();
            for (topic, sub) in
                [("a", None), ("a-topic-with-quite-a-long-name-of-its-own", None), ("a", Some(Sub::Position(2)))]
            {
                pretty.message(&mut out, &message_event(topic, "text"), sub.as_ref());
            }
            pretty.message(&mut out, &message_event("a", ""), Some(&Sub::Name("open".into())));
            String::from_utf8(out).unwrap()
        };
        insta::assert_snapshot!(show(Some(80)), @r#"
        12:04:31 » a                              text
        12:04:31 » a-topic-with-quite-a-long-name-of-its-own  text
        12:04:31 » a [2]                                 text
        12:04:31 » a [open]                              (empty)
        "#);
        insta::assert_snapshot!(show(None), @r#"
        12:04:31.207  » a                               text
        12:04:31.207  » a-topic-with-quite-a-long-name-of-its-own   text
        12:04:31.207  » a [2]                                       text
        12:04:31.207  » a [open]                                    (empty)
        "#);
    }

    #[test]
    fn colours() {
        let events = [(change("create", &hello("draft", "u1")), NONE), (change("update", &hello("live", "u1")), NONE)];
        let shown = show(&mut pretty(None, true), &events).replace('\x1b', "^");
        insta::assert_snapshot!(shown, @r#"
        ^[2m12:04:31.207^[0m  ^[32m+^[0m ^[32mcreate^[0m  posts/9f3k2m1x0abcdef   ^[2mtitle^[0m^[2m=^[0m"Hello" ^[2mstatus^[0m^[2m=^[0m"draft" ^[2mauthor^[0m^[2m=^[0m"u1"
        ^[2m12:04:31.207^[0m  ^[33m~^[0m ^[33mupdate^[0m  posts/9f3k2m1x0abcdef   ^[2mstatus^[0m^[2m: ^[0m"draft"^[2m → ^[0m"live"
        "#);
        assert_eq!(key("a b=\"c"), r#""a b=\"c""#);
    }

    #[test]
    fn local_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut pretty = Pretty::new(&Options { zone, ..Options::default() });
        assert!(show(&mut pretty, &[(change("create", ""), NONE)]).starts_with("14:04:31.207  + create  "));
    }

    proptest! {
        #[test]
        fn always_one_clean_line(
            text in text(),
            width in proptest::option::of(1_usize..150),
            colour in any::<bool>(),
            action in proptest::sample::select(vec!["create", "update", "delete"]),
        ) {
            let mut pretty = pretty(width, colour);
            let mut out = Vec::new();
            let data = |n: u8| {
                let expand = serde_json::json!({ &*text: {"name": text}});
                let record = serde_json::json!({"id": text, "collectionName": text, &*text: text, "n": n, "expand": expand});
                serde_json::json!({"action": action, "record": record}).to_string()
            };
            pretty.record(&mut out, &posts(&data(1)), NONE, Some(&Sub::Name(text.clone())));
            pretty.record(&mut out, &posts(&data(2)), NONE, None);
            pretty.message(&mut out, &message_event(&text, &text), None);
            pretty.message(&mut out, &message_event(&text, &data(1)), None);
            let shown = String::from_utf8(out).unwrap();
            prop_assert_eq!(shown.matches('\n').count(), 4);
            let mut seen = shown.replace('\n', "");
            for code in ["\x1b[0m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"] {
                seen = seen.replace(code, "");
            }
            prop_assert!(!seen.chars().any(is_dangerous), "{seen:?}");
        }
    }
}

//! NDJSON: one object a line, for programs. The keys and their order are an
//! agreement; readers ignore keys and types that they do not know.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::{Marks, Sub, Summary, sanitize, time};
use crate::{Action, Event, MessageEvent, RecordEvent};

/// Appends the line of any event.
pub(crate) fn event(out: &mut Vec<u8>, event: &Event, sub: Option<&Sub>, terminator: u8) {
    match event {
        Event::Record(event) => record(out, event, Marks::of(event), sub, terminator),
        Event::Message(event) => message(out, event, sub, terminator),
        lifecycle => self::lifecycle(out, lifecycle, terminator),
    }
}

/// Appends a record; its bytes are copied.
pub(crate) fn record(out: &mut Vec<u8>, event: &RecordEvent, marks: Marks, sub: Option<&Sub>, terminator: u8) {
    let json = event.json();
    out.reserve(json.len() + 256);
    // In pieces whose lengths the compiler knows: there is one for each event.
    out.extend_from_slice(br#"{"type":"record","time":""#);
    time::rfc3339(out, event.time());
    out.extend_from_slice(br#"","topic":"#);
    sanitize::json_string(out, event.topic().name());
    if let Some(sub) = sub {
        Object { out }.sub(sub);
    }
    out.extend_from_slice(match event.action() {
        Action::Create => br#","action":"create""#,
        Action::Update => br#","action":"update""#,
        Action::Delete => br#","action":"delete""#,
        Action::Initial => br#","action":"initial""#,
    });
    if marks.replayed {
        out.extend_from_slice(br#","replayed":true"#);
    }
    if marks.late {
        out.extend_from_slice(br#","late":true"#);
    }
    out.extend_from_slice(br#","record":"#);
    match &json {
        Cow::Borrowed(json) if event.is_clean() => out.extend_from_slice(json.as_bytes()),
        json => sanitize::ndjson(out, json),
    }
    Object { out }.end(terminator);
}

/// Appends a message; its payload is copied where it is JSON, else it is `text`.
pub(crate) fn message(out: &mut Vec<u8>, event: &MessageEvent, sub: Option<&Sub>, terminator: u8) {
    let mut object = Object::new(out, "message", event.time());
    object.topic(event.topic().name(), sub);
    match event.json() {
        Some(json) => object.raw("data", json),
        None => object.text("text", event.payload()),
    };
    object.end(terminator);
}

fn lifecycle(out: &mut Vec<u8>, event: &Event, terminator: u8) {
    match event {
        Event::Record(_) | Event::Message(_) | Event::Progress(_) => {}
        Event::Connected(event) => Object::new(out, "connected", event.time)
            .text("url", &event.url)
            .text("client", &event.client_id.to_string())
            .end(terminator),
        Event::Subscribed(event) => {
            let mut object = Object::new(out, "subscribed", event.time);
            object.names("topics", &event.topics);
            match &event.auth {
                None => object.raw("auth", "null").end(terminator),
                Some(account) => {
                    object.key("auth").nested("id", &account.id);
                    object.text("collection", &account.collection).time("expires", account.expires);
                    object.out.push(b'}');
                    object.end(terminator);
                }
            }
        }
        Event::Live(event) => Object::new(out, "live", event.time)
            .number("initial", event.initial)
            .number("replayed", event.replayed)
            .end(terminator),
        Event::Disconnected(event) => {
            let mut object = Object::new(out, "disconnected", event.time);
            object.names("topics", &event.topics).text("cause", event.cause.as_str()).text("detail", &event.detail);
            if let Some(retry) = event.retry {
                object.number("retry_ms", millis(retry)).number("attempt", event.attempt.into());
            }
            object.end(terminator);
        }
        Event::Gap(event) => Object::new(out, "gap", event.time)
            .time("from", Some(event.from))
            .time("to", Some(event.to))
            .names("filled", &event.filled)
            .names("unfilled", &event.unfilled)
            .number("replayed", event.replayed)
            .text("deletes", event.deletes.as_str())
            .number("left", event.left)
            .end(terminator),
        Event::Refreshed(event) => {
            Object::new(out, "refreshed", event.time).time("expires", event.expires).end(terminator);
        }
        Event::Warning(event) => Object::new(out, "warning", event.time)
            .text("code", event.code)
            .text("message", &event.message)
            .end(terminator),
    }
}

/// Appends the last line.
pub(crate) fn end(out: &mut Vec<u8>, summary: &Summary, terminator: u8) {
    Object::new(out, "end", summary.time)
        .text("reason", summary.reason)
        .number("exit", summary.exit.into())
        .number("events", summary.events)
        .number("reconnects", summary.reconnects)
        .number("gaps", summary.gaps)
        .number("dropped", summary.dropped)
        .end(terminator);
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// An object in the making, at the end of a buffer. It begins with its type and time.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut Vec<u8>, kind: &str, time: Timestamp) -> Self {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"time\":\"");
        time::rfc3339(out, time);
        out.push(b'"');
        Self { out }
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    fn text(&mut self, key: &str, text: &str) -> &mut Self {
        sanitize::json_string(self.key(key).out, text);
        self
    }

    fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        sanitize::ndjson(self.key(key).out, json);
        self
    }

    fn number(&mut self, key: &str, number: u64) -> &mut Self {
        // Writing to a Vec cannot fail.
        let _ = write!(self.key(key).out, "{number}");
        self
    }

    fn time(&mut self, key: &str, time: Option<Timestamp>) -> &mut Self {
        let Some(time) = time else { return self.raw(key, "null") };
        self.key(key).out.push(b'"');
        time::rfc3339(self.out, time);
        self.out.push(b'"');
        self
    }

    fn names(&mut self, key: &str, names: &[String]) -> &mut Self {
        self.key(key).out.push(b'[');
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            sanitize::json_string(self.out, name);
        }
        self.out.push(b']');
        self
    }

    fn topic(&mut self, name: &str, sub: Option<&Sub>) -> &mut Self {
        self.text("topic", name);
        match sub {
            None => self,
            Some(sub) => self.sub(sub),
        }
    }

    fn sub(&mut self, sub: &Sub) -> &mut Self {
        match sub {
            Sub::Name(name) => self.text("sub", name),
            Sub::Position(position) => self.number("sub", *position as u64),
        }
    }

    /// Opens an object with its first member.
    fn nested(&mut self, key: &str, text: &str) -> &mut Self {
        self.out.extend_from_slice(b"{\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        sanitize::json_string(self.out, text);
        self
    }

    fn end(&mut self, terminator: u8) {
        self.out.extend_from_slice(&[b'}', terminator]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{account, at, lifecycle_events, message_event, record_event, summary};
    use super::*;
    use crate::Topic;
    use proptest::prelude::*;

    fn line(event: &Event, sub: Option<&Sub>) -> String {
        let mut out = Vec::new();
        super::event(&mut out, event, sub, b'\n');
        String::from_utf8(out).unwrap().strip_suffix('\n').unwrap().to_owned()
    }

    #[test]
    fn records() {
        let data = "{\"action\":\"update\",\"record\":{\r\n\"id\":\"a\", \"n\":1.50e3 ,\"s\":\"\\u003c\u{9b}é\"}}";
        let event = record_event(Topic::parse("posts/*?filter=a=1").unwrap(), data);
        let start = r#"{"type":"record","time":"2026-03-01T12:04:31.207Z","topic":"posts/*","#;
        let tail = r#""record":{"id":"a", "n":1.50e3 ,"s":"\u003c\u009bé"}}"#;
        assert_eq!(line(&Event::Record(event.clone()), None), format!("{start}\"action\":\"update\",{tail}"));
        for (sub, replayed, late, middle) in [
            (Sub::Name("a\"b".into()), true, false, r#""sub":"a\"b","action":"update","replayed":true,"#),
            (Sub::Position(2), false, true, r#""sub":2,"action":"update","late":true,"#),
        ] {
            let mut out = Vec::new();
            record(&mut out, &event, Marks { replayed, late }, Some(&sub), 0);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{start}{middle}{tail}\0"));
        }
    }

    #[test]
    fn messages() {
        for (payload, tail) in [
            (r#"{"job": 42}"#, r#""data":{"job": 42}}"#),
            ("[\n1,\r\n2]", r#""data":[1,2]}"#),
            ("null", r#""data":null}"#),
            ("", r#""text":""}"#),
            ("two\nlines \u{9b}\u{1b}\"", r#""text":"two\nlines \u009b\u001b\""}"#),
        ] {
            let event = Event::Message(message_event("jobs/finished", payload));
            let start = r#"{"type":"message","time":"2026-03-01T12:04:31.207Z","topic":"jobs/finished","#;
            assert_eq!(line(&event, None), format!("{start}{tail}"));
        }
    }

    #[test]
    fn lifecycle() {
        let mut lines: Vec<_> = lifecycle_events().iter().map(|event| line(event, None)).collect();
        let mut out = Vec::new();
        end(&mut out, &summary(), b'\n');
        lines.push(String::from_utf8(out).unwrap());
        for line in &lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        insta::assert_snapshot!(lines.join("\n").replace(r#","time":"2026-03-01T12:04:31.207Z""#, ""), @r#"
        {"type":"connected","url":"https://api.example.com","client":"k3f…"}
        {"type":"subscribed","topics":["posts/*","jobs/finished"],"auth":{"id":"u1","collection":"users","expires":"2026-03-01T12:18:36.207Z"}}
        {"type":"live","initial":0,"replayed":0}
        {"type":"disconnected","topics":["posts/*","jobs/finished"],"cause":"reset","detail":"connection reset","retry_ms":1200,"attempt":1}
        {"type":"subscribed","topics":["posts/*","jobs/finished"],"auth":{"id":"u1","collection":"users","expires":"2026-03-01T12:18:36.207Z"}}
        {"type":"gap","from":"2026-03-01T12:04:27.107Z","to":"2026-03-01T12:04:31.207Z","filled":["posts/*"],"unfilled":["jobs/finished"],"replayed":2,"deletes":"replayed","left":0}
        {"type":"live","time":"2026-03-01T12:04:35.307Z","initial":0,"replayed":2}
        {"type":"refreshed","expires":"2026-03-01T12:04:31.207Z"}
        {"type":"warning","code":"invalid-utf8","message":"mended"}
        {"type":"disconnected","topics":[],"cause":"reset","detail":"connection reset"}
        {"type":"subscribed","topics":["posts/*","jobs/finished"],"auth":null}
        {"type":"end","reason":"signal","exit":130,"events":128,"reconnects":2,"gaps":1,"dropped":0}
        "#);
    }

    #[test]
    fn what_is_not_known_is_null() {
        let mut auth = account();
        auth.expires = None;
        let event = crate::Subscribed { time: at(0), topics: vec![], auth: Some(auth) };
        assert!(line(&Event::Subscribed(event), None).ends_with(r#""collection":"users","expires":null}}"#));
        let event = crate::Refreshed { time: at(0), expires: None };
        assert!(line(&Event::Refreshed(event), None).ends_with(r#""expires":null}"#));
    }

    proptest! {
        #[test]
        fn every_line_parses(text in super::super::sanitize::tests::text(), pretty in any::<bool>()) {
            let record = serde_json::json!({ "id": "a", &*text: &*text });
            let record = if pretty { format!("{record:#}") } else { record.to_string() };
            let data = format!("{{\"action\":\"create\",\"record\":{record}}}");
            for event in [
                Event::Record(record_event(Topic::custom("posts/*"), &data)),
                Event::Message(message_event(&text, &data)),
                Event::Message(message_event(&text, &text)),
            ] {
                let line = line(&event, Some(&Sub::Name(text.clone())));
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
                let value: serde_json::Value = serde_json::from_str(&line).unwrap();
                prop_assert_eq!(value["sub"].as_str(), Some(&*text));
                if let Event::Record(event) = &event {
                    prop_assert_eq!(&value["record"], &event.parse::<serde_json::Value>().unwrap());
                    // Byte for byte, but for what is said to differ.
                    let clean = !record.chars().any(char::is_control);
                    prop_assert!(!clean || line.contains(&record));
                }
            }
        }
    }
}

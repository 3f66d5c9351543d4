//! What holds for any input, written down once: `cargo test` tries it with what
//! proptest makes up, `fuzz/` with what libFuzzer finds. Each function panics
//! where it does not hold. Not part of the library's interface.

#![expect(clippy::panic, reason = "that is how a property says that it does not hold")]

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::realtime::fuzzing::{Read, read_all};
use crate::tree::Tree;
use crate::{Claims, Dialect, Event, Secret, Source, Topic, filter_in};

/// The first frame of every stream.
const HELLO: &[u8] = b"id:c1\nevent:PB_CONNECT\ndata:{\"clientId\":\"c1\"}\n\n";

/// Bytes to events, through the whole reading path: the same events whatever the
/// chunks, and those that the standard says. The first byte chooses the chunks
/// and whether the stream begins as the server's do.
pub fn events(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let (sizes, rest) = rest.split_at(rest.len().min(usize::from(first & 0x0f)));
    let stream = if first & 0x80 == 0 { [HELLO, rest].concat() } else { rest.to_vec() };
    let whole = read_all(vec![Bytes::copy_from_slice(&stream)]);
    let mut chunks = Vec::new();
    let mut left = Bytes::copy_from_slice(&stream);
    for size in sizes.iter().map(|size| usize::from(*size) + 1).chain(std::iter::repeat(usize::from(first >> 4) + 1)) {
        if left.is_empty() {
            break;
        }
        chunks.push(left.split_to(size.min(left.len())));
    }
    assert_eq!(whole, read_all(chunks), "other chunks, other events");

    let standard = standard(&stream);
    let names_itself = |(name, data): &(String, String)| {
        name == "PB_CONNECT"
            && serde_json::from_str::<Value>(data)
                .is_ok_and(|data| data["clientId"].as_str().is_some_and(|id| !id.is_empty()))
    };
    match &whole {
        Read { named: true, frames, end } if !end.contains("1024 bytes") => {
            assert_eq!(frames, &standard[1..], "not what the standard says");
        }
        Read { named: false, end, .. } => {
            let is_bounded = end.contains("1024 bytes");
            assert!(is_bounded || !standard.first().is_some_and(names_itself), "a stream that names itself: {end}");
        }
        Read { .. } => {}
    }
    for (name, data) in &whole.frames {
        payload(name, data);
    }
}

/// The events of a stream, read as the standard of server-sent events says.
fn standard(stream: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(stream);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let (mut events, mut name, mut data) = (Vec::new(), String::new(), String::new());
    while let Some(end) = rest.find(['\r', '\n']) {
        let line = &rest[..end];
        rest = &rest[end..];
        rest = rest.strip_prefix("\r\n").unwrap_or(&rest[1..]);
        if line.is_empty() {
            if data.pop().is_some() {
                let name = if name.is_empty() { "message".to_owned() } else { name.clone() };
                events.push((name, std::mem::take(&mut data)));
            }
            name.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            _ => {}
        }
    }
    events
}

/// The data of a frame: legal JSON comes out byte for byte but for line breaks, DEL and C1; what
/// is none comes out as text. Either way it is one line without a control character.
pub fn payload(name: &str, data: &str) {
    #[cfg(feature = "cli")]
    crate::cli::fuzzing::payload(name, data);
    for topic in [Topic::custom(name), Topic::collection("posts")] {
        let event = crate::event::decode(Source::new(topic, 0, vec![]), crate::now(), data.into());
        if let Event::Record(event) = event {
            let json = event.json();
            assert!(crate::json::is_legal(&json) && json.starts_with('{'), "{json:?}");
            let _ = (event.id(), event.collection(), event.is_late());
        }
    }
}

/// A topic as it is typed: what is encoded is what the server reads.
pub fn topic(text: &str) {
    let Ok(topic) = Topic::parse(text) else { return };
    let Ok(key) = topic.key() else { return };
    assert!(key.len() <= crate::MAX_KEY_BYTES, "{} bytes", key.len());
    assert!(!key.contains(['\n', '\r']), "no event could have this name: {key:?}");
    let (query, headers) = server_reads(&key);
    assert_eq!(query, pairs(topic.options()), "{key}");
    assert_eq!(headers, pairs(topic.headers()), "{key}");
    let again = Topic::parse(&topic.to_string());
    assert!(again.is_ok(), "its name is a topic: {topic}");
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// What the server reads back from a key: the options and the headers. Go's
/// `url.Parse` and `Query().Get("options")`.
pub(crate) fn server_reads(key: &str) -> (Value, Value) {
    let empty = || Value::Object(serde_json::Map::new());
    let Some((_, options)) = key.split_once("?options=") else { return (empty(), empty()) };
    assert!(!options.contains(['&', '#', '+', ';']), "{key}");
    let decoded = percent_decode_str(options).decode_utf8().unwrap_or_else(|error| panic!("{error}: {key}"));
    let Tree(mut read) = serde_json::from_str(&decoded).unwrap_or_else(|error| panic!("{error}: {decoded}"));
    let mut take = |part: &str| read.get_mut(part).map_or_else(empty, Value::take);
    (take("query"), take("headers"))
}

/// A value that is bound into a filter: what comes out is read as what went in,
/// whichever way the server reads strings.
pub fn filter(value: &str) {
    for (dialect, servers) in
        [(Dialect::Portable, &[false, true][..]), (Dialect::Plain, &[false]), (Dialect::Escapes, &[true])]
    {
        let Ok(bound) = filter_in(dialect, "a = {:v} && b > 1", &[("v", value.into())]) else { continue };
        for escapes in servers {
            let quoted = bound.strip_prefix("a = ").unwrap_or_default();
            let read = scan(quoted, *escapes);
            assert_eq!(read, Some((value.to_owned(), " && b > 1")), "{dialect:?}: {bound}");
        }
    }
    // A filter of anything binds, or says what is missing.
    let _ = filter_in(Dialect::Portable, value, &[("v", 1.into())]);
}

/// How a server scans a quoted string: what it reads, and what follows it.
pub(crate) fn scan(text: &str, escapes: bool) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.peek() {
                Some((_, next)) if *next == quote || (escapes && matches!(next, '\\' | '\'' | '"')) => {
                    out.push(*next);
                    chars.next();
                }
                _ => out.push('\\'),
            },
            c if c == quote => return Some((out, &text[at + c.len_utf8()..])),
            c => out.push(c),
        }
    }
    None
}

/// A token: it is read or not, and says when it expires or not.
pub fn token(text: &str) {
    let payload = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    for token in [Cow::Borrowed(text), format!("e30.{payload}.c2ln").into()] {
        let Some(claims) = Claims::read(&Secret::new(token.into_owned())) else { continue };
        let now = crate::now();
        assert_eq!(claims.is_expired_at(now), claims.expires().is_some_and(|at| at <= now));
    }
}

/// What can happen to a connection, in any order: nothing impossible is asked for.
pub fn machine(choices: &[u8]) {
    if let Err(what) = crate::realtime::fuzzing::machine(choices) {
        panic!("{what}");
    }
}

#[cfg(feature = "cli")]
pub use crate::cli::fuzzing::{config, credentials, shown};

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    /// What libFuzzer has found.
    #[test]
    fn found_by_fuzzing() {
        super::topic("1?$serde_json::private::RawValue=");
    }

    /// Bytes that a stream is made of, more often than chance would bring them.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = proptest::sample::select(
            &[
                "\n",
                "\r",
                "\r\n",
                "\n\n",
                "\r\n\r\n",
                ":",
                " ",
                "\t",
                "id",
                "id:",
                "id: a",
                "event:",
                "event: posts/*",
                "event",
                "data:",
                "data: ",
                "data",
                "data:{\"a\":1}",
                "data:[1,",
                "retry:5",
                "comment:x",
                "\u{feff}",
                "é",
                "日",
                "🦀",
                "\0",
                "x:y",
                "event:PB_CONNECT",
                "data:{\"clientId\":\"x\"}",
            ][..],
        );
        let piece = prop_oneof![
            8 => piece.prop_map(|piece| piece.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// A stream, and the events that it holds.
    type Stream = (&'static str, &'static [(&'static str, &'static str)]);

    /// Every legal form, and what is made of what is none.
    const STREAMS: [Stream; 41] = [
        // Ends of lines.
        ("event:a\ndata:1\n\n", &[("a", "1")]),
        ("event:a\r\ndata:1\r\n\r\n", &[("a", "1")]),
        ("event:a\rdata:1\r\r", &[("a", "1")]),
        ("event:a\ndata:1\r\r\n", &[("a", "1")]),
        ("event:a\rdata:1\n\n\revent:b\r\ndata:2\n\r\n", &[("a", "1"), ("b", "2")]),
        ("\n\r\n\r\n\n\ndata:1\n\n\n\n\rdata:2\n\n", &[("message", "1"), ("message", "2")]),
        // The order of fields, and fields that come twice.
        ("data:1\nevent:a\n\n", &[("a", "1")]),
        ("data:1\nid:5\nevent:a\ndata:2\n\n", &[("a", "1\n2")]),
        ("event:a\nevent:b\ndata:1\n\n", &[("b", "1")]),
        ("event:a\nevent:\ndata:1\n\n", &[("message", "1")]),
        ("id:1\nid:2\ndata:1\n\n", &[("message", "1")]),
        // Spaces: one behind the colon is not part of the value.
        ("event: a\ndata: 1\n\n", &[("a", "1")]),
        ("event:  a\ndata:  1 \n\n", &[(" a", " 1 ")]),
        ("event:\ta\ndata:\t1\n\n", &[("\ta", "\t1")]),
        ("event :a\ndata:1\n\n", &[("message", "1")]),
        (" event:a\n data:1\ndata:2\n\n", &[("message", "2")]),
        // Data of several lines, empty ones, none.
        ("data:1\ndata:\ndata:3\n\n", &[("message", "1\n\n3")]),
        ("data:\n\n", &[("message", "")]),
        ("data\n\n", &[("message", "")]),
        ("data\ndata\n\n", &[("message", "\n")]),
        ("data: \n\n", &[("message", "")]),
        ("event:a\n\ndata:1\n\n", &[("message", "1")]),
        ("event:a\nid:1\nretry:1\n\n", &[]),
        // Colons, and names of fields that are none.
        ("event:a:b\ndata:{\"c\":1}\n\n", &[("a:b", "{\"c\":1}")]),
        ("data::\n\n", &[("message", ":")]),
        ("Data:1\nDATA:2\ndata:3\n\n", &[("message", "3")]),
        ("nonsense\nx:y\n\n", &[]),
        ("x:y\ndata:1\nnonsense\n\n", &[("message", "1")]),
        ("comment:x\ndata:1\n\n", &[("message", "1")]),
        // Comments.
        (":\n\n: x\n:x:y\n\n", &[]),
        (":x\ndata:1\n:y\ndata:2\n:\n\n", &[("message", "1\n2")]),
        // The mark at the beginning, and elsewhere.
        ("\u{feff}data:1\n\n", &[("message", "1")]),
        ("\u{feff}\u{feff}data:1\n\ndata:2\n\n", &[("message", "2")]),
        ("data:1\n\n\u{feff}data:2\n\n", &[("message", "1")]),
        // Ids and times to wait.
        ("id\ndata:1\n\n", &[("message", "1")]),
        ("id:\0\ndata:1\n\n", &[("message", "1")]),
        ("retry:10\ndata:1\nretry:x\nretry:-1\nretry\n\n", &[("message", "1")]),
        // What does not end is no event.
        ("data:1\n\ndata:2\n", &[("message", "1")]),
        ("data:1\n\ndata:2", &[("message", "1")]),
        ("data:1\n\nevent:a\r", &[("message", "1")]),
        ("data:é日🦀\u{2028}\u{85}\u{b}\u{c}\n\n", &[("message", "é日🦀\u{2028}\u{85}\u{b}\u{c}")]),
    ];

    #[test]
    fn every_form_of_a_stream() {
        for (text, events) in STREAMS {
            // Behind a name, and, where there is a mark, before one.
            let hello = String::from_utf8(super::HELLO.to_vec()).unwrap();
            let stream = match text.strip_prefix('\u{feff}') {
                Some(behind) => format!("\u{feff}{hello}{behind}"),
                None => format!("{hello}{text}"),
            };
            let owned = |(name, data): &(&str, &str)| ((*name).to_owned(), (*data).to_owned());
            let expected: Vec<_> = events.iter().map(owned).collect();
            assert_eq!(super::standard(stream.as_bytes())[1..], expected, "{text:?}");
            for size in 1..=stream.len() {
                let chunks = stream.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
                let read = super::read_all(chunks);
                assert_eq!(read.frames, expected, "{text:?} in pieces of {size}: {}", read.end);
            }
        }
    }

    /// Bytes that are not UTF-8, wherever they stand.
    #[test]
    fn what_is_no_text() {
        for (bytes, data) in [
            (&b"\xff"[..], "\u{fffd}"),
            (b"a\xc3(b", "a\u{fffd}(b"),
            (b"\xe6\x97", "\u{fffd}"),
            (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf0\x9f\xa6\x80\xf0\x9f", "🦀\u{fffd}"),
            (b"\xc0\x80\xc2\x9b", "\u{fffd}\u{fffd}\u{9b}"),
        ] {
            let stream = [super::HELLO, b"data:", bytes, b"\n\n"].concat();
            for size in 1..=stream.len() {
                let chunks = stream.chunks(size).map(Bytes::copy_from_slice).collect();
                assert_eq!(
                    super::read_all(chunks).frames,
                    [("message".to_owned(), data.to_owned())],
                    "{bytes:?} {size}"
                );
            }
        }
    }

    /// Legal documents: they come out as they came, but for line breaks.
    const LEGAL: [&str; 30] = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "1.50e3",
        "1E400",
        "123456789012345678901234567890",
        "1e-7",
        "\"\"",
        "\"\\u0000\\uD83E\\uDD80\\ud800\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "\"é日🦀\u{2028}\u{feff}\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " [ 1 , 2 ] ",
        "[[[[[]]]]]",
        "{\"a\":{\"b\":[{}]}}",
        "{\"a\":1,\"a\":2}",
        "{\"\":\"\"}",
        "{\"action\":\"create\"}",
        "[1,\n2]",
        "{\n\"a\":\n1\n}",
        "\t1\t",
        "{\"record\":1,\"action\":\"create\"}",
        "[\"a\u{7f}\u{80}\u{9f}\u{a0}\"]",
        "[1e1,1E1,1e+1]",
        "{\"__proto__\":1}",
    ];

    /// What is none: it comes out as text.
    const ILLEGAL: [&str; 34] = [
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "0x10",
        "'a'",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"a\tb\"",
        "[1,]",
        "[,]",
        "[1 2]",
        "[1",
        "]",
        "{",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "1 2",
        "[]]",
        "// x",
        "\u{feff}1",
    ];

    #[test]
    fn documents() {
        for (is_legal, documents) in [(true, &LEGAL[..]), (false, &ILLEGAL[..])] {
            for text in documents {
                assert_eq!(crate::json::is_legal(text), is_legal, "{text:?}");
                super::payload("jobs/x", text);
                // By the way of a stream, with a line of data for each of its own.
                let lines = format!("data: {}\n", text.replace('\n', "\ndata: "));
                let stream = [super::HELLO, b"event:jobs/x\n", lines.as_bytes(), b"\n"].concat();
                super::events(&[&[0][..], &stream[super::HELLO.len()..]].concat());
                let read = super::read_all(vec![Bytes::from(stream)]);
                assert_eq!(read.frames, [("jobs/x".to_owned(), (*text).to_owned())], "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn events(first in any::<u8>(), sizes in any::<[u8; 15]>(), stream in stream()) {
            super::events(&[&[first][..], &sizes[..usize::from(first & 0x0f)], &stream].concat());
        }

        #[test]
        fn topic(text in "[ -~é\u{2028}\n]{0,60}", option in "\\PC{0,40}") {
            super::topic(&text);
            super::topic(&format!("posts/*?filter={option}"));
            super::topic(&format!("jobs/x?a={option}&header.x-y={option}"));
        }

        #[test]
        fn filter(value in "[a'\"\\\\{:v} \\n]{0,12}") {
            super::filter(&value);
        }

        #[test]
        fn any_filter(value in any::<String>()) {
            super::filter(&value);
        }

        #[test]
        fn token(text in any::<String>(), exp in any::<i64>()) {
            super::token(&text);
            super::token(&format!(r#"{{"id":"a","collectionId":"b","exp":{exp},"type":"auth"}}"#));
        }

        #[test]
        fn machine(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
            super::machine(&choices);
        }
    }
}

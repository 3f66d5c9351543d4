//! What stands between text from outside and whoever shows it. Pure functions.

#![expect(clippy::needless_bitwise_bool, reason = "only without branches does the compiler use vector instructions")]

use std::borrow::Cow;
use std::io::Write as _;

/// As many bytes are looked at together: two of the smallest vectors.
const CHUNK: usize = 32;

/// The text with everything shown escaped that could hurt or mislead a
/// terminal: control characters, escape sequences, bidi marks, what is invisible.
pub(crate) fn terminal(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    let Some(mut found) = first_hostile(text) else { return Cow::Borrowed(text) };
    let (mut out, mut rest) = (String::with_capacity(text.len() + 16), text);
    loop {
        let (at, c) = found;
        out.push_str(&rest[..at]);
        // Writing to a String cannot fail.
        let _ = match c {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
        rest = &rest[at + c.len_utf8()..];
        match first_hostile(rest) {
            Some(next) => found = next,
            None => break,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends valid JSON so that it stays one line and `cat` is safe: line breaks,
/// which can only stand between tokens, are dropped, and DEL and C1, which can
/// only stand in strings, are written as `\u00xx`. All else is copied.
pub(crate) fn ndjson(out: &mut Vec<u8>, json: &str) {
    let mut rest = json.as_bytes();
    loop {
        let at = find(rest, |b| (b == b'\n') | (b == b'\r') | (b == 0x7f) | (b == 0xc2));
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at..] {
            [] => return,
            [b'\n' | b'\r', ref rest @ ..] => rest,
            [b @ 0x7f, ref rest @ ..] | [0xc2, b @ 0x80..=0x9f, ref rest @ ..] => {
                unicode_escape(out, b);
                rest
            }
            [other, ref rest @ ..] => {
                out.push(other);
                rest
            }
        };
    }
}

/// Appends valid JSON for a terminal: it stays JSON that means the same, and
/// shows escaped what [`terminal`] would. What is hostile stands in strings, but
/// for the white space between tokens.
pub(crate) fn json_on_terminal(out: &mut Vec<u8>, json: &str) {
    let mut rest = json;
    while let Some((at, c)) = first_hostile(rest) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        match c {
            '\n' | '\r' => {}
            '\t' => out.push(b' '),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a Vec cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        rest = &rest[at + c.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Which bytes stand for themselves in a JSON string whatever comes behind them. Most names are
/// of nothing else.
const IS_PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = byte != b'"' as usize && byte != b'\\' as usize;
        byte += 1;
    }
    table
};

/// Appends the text as a JSON string, DEL and C1 escaped as well.
pub(crate) fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    if rest.iter().all(|&b| IS_PLAIN[usize::from(b)]) {
        out.extend_from_slice(rest);
        rest = &[];
    }
    loop {
        let at = find(rest, |b| (b < 0x20) | (b == b'"') | (b == b'\\') | (b == 0x7f) | (b == 0xc2));
        out.extend_from_slice(&rest[..at]);
        rest = match rest[at..] {
            [] => break,
            [0xc2, b @ 0x80..=0x9f, ref rest @ ..] => {
                unicode_escape(out, b);
                rest
            }
            [b, ref rest @ ..] => {
                match b {
                    b'"' => out.extend_from_slice(b"\\\""),
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b'\n' => out.extend_from_slice(b"\\n"),
                    b'\r' => out.extend_from_slice(b"\\r"),
                    b'\t' => out.extend_from_slice(b"\\t"),
                    0xc2 => out.push(b),
                    _ => unicode_escape(out, b),
                }
                rest
            }
        };
    }
    out.push(b'"');
}

/// Below U+0100 the last byte of the UTF-8 form of DEL and C1 is the code point itself.
fn unicode_escape(out: &mut Vec<u8>, code: u8) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "\\u{code:04x}");
}

/// Where the first byte stands that is wanted; the length where there is none.
#[inline]
fn find(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    let any = |chunk: &[u8; CHUNK]| chunk.iter().map(|&b| u8::from(wanted(b))).fold(0, |any, one| any | one) != 0;
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    let from = match chunks.iter().position(any) {
        Some(at) => CHUNK * at,
        // What is left is looked at together with some of what was seen to be clean.
        None if !rest.is_empty() && bytes.last_chunk().is_some_and(|last| !any(last)) => return bytes.len(),
        None => bytes.len() - rest.len(),
    };
    bytes[from..].iter().position(|&b| wanted(b)).map_or(bytes.len(), |at| from + at)
}

fn first_hostile(text: &str) -> Option<(usize, char)> {
    let mut at = 0;
    loop {
        at += find(&text.as_bytes()[at..], |b| !(0x20..0x7f).contains(&b));
        // Not ASCII, or a control character: looked at one by one, until it is plain ASCII again.
        for c in text[at..].chars() {
            if is_hostile(c) {
                return Some((at, c));
            }
            at += c.len_utf8();
            if c.is_ascii() {
                break;
            }
        }
        if at == text.len() {
            return None;
        }
    }
}

/// Whether it could hurt or mislead: it acts on the terminal, or on the order
/// of the text, or cannot be seen. Variation selectors stay: emoji and Japanese
/// names need them, and they change one character's shape at most.
fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' // soft hyphen
            | '\u{34f}' // combining grapheme joiner
            | '\u{61c}' // Arabic letter mark
            | '\u{115f}'..='\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{17b4}'..='\u{17b5}' // Khmer inherent vowels
            | '\u{180e}' // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}' // zero width, direction marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, direction
            | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, isolates
            | '\u{feff}' // byte order mark
            | '\u{fff0}'..='\u{fffb}' // interlinear annotation
            | '\u{1bca0}'..='\u{1bca3}' // shorthand controls
            | '\u{1d173}'..='\u{1d17a}' // musical controls
            | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}' // tags
        )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) use crate::cli::fuzzing::is_dangerous;

    /// Text with more hostile characters in it than chance would bring.
    pub(crate) fn text() -> impl Strategy<Value = String> {
        let hostile = proptest::sample::select(
            "\0\x07\x08\t\n\r\x1b\x7f\u{80}\u{85}\u{9b}\u{9f}\u{a0}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{202e}\
             \u{2028}\u{2066}\u{2069}\u{2060}\u{feff}\u{e0041}\u{fe0f}\u{301}\u{c2}\"\\{}"
                .chars()
                .collect::<Vec<_>>(),
        );
        let any = prop_oneof![4 => proptest::char::range(' ', '~'), 2 => any::<char>(), 2 => hostile];
        proptest::collection::vec(any, 0..120).prop_map(String::from_iter)
    }

    #[test]
    fn escapes_for_a_terminal() {
        for (text, shown) in [
            ("", ""),
            ("plain \\n text", "plain \\n text"),
            ("naïve 日本 👍🏽 ❤️ e\u{301}", "naïve 日本 👍🏽 ❤️ e\u{301}"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
            ("\u{9b}31m \0\x07\x7f", "\\u{9b}31m \\x00\\x07\\x7f"),
            ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"),
            ("\u{2066}a\u{2069}\u{61c}\u{200f}", "\\u{2066}a\\u{2069}\\u{61c}\\u{200f}"),
            ("pay\u{200b}pal\u{ad}\u{feff}\u{2060}", "pay\\u{200b}pal\\u{ad}\\u{feff}\\u{2060}"),
            ("👩\u{200d}🚀", "👩\\u{200d}🚀"),
            ("x\u{e0041}\u{2028}\u{180e}\u{fff9}", "x\\u{e0041}\\u{2028}\\u{180e}\\u{fff9}"),
        ] {
            assert_eq!(terminal(text), shown);
        }
        assert!(matches!(terminal("日本 plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn finds_in_every_place() {
        for len in 0..100 {
            for at in 0..=len {
                let mut bytes = vec![b'a'; len];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = b'\n';
                }
                assert_eq!(find(&bytes, |b| b == b'\n'), at);
            }
        }
    }

    #[test]
    fn json_stays_one_safe_line() {
        let mut out = Vec::new();
        ndjson(&mut out, "{\r\n \"a\" :\n\"\u{7f}\u{80}\u{9f}\u{a0}é\\u001b\"\n}");
        assert_eq!(String::from_utf8(out).unwrap(), "{ \"a\" :\"\\u007f\\u0080\\u009f\u{a0}é\\u001b\"}");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_passes(text in text()) {
            let shown = terminal(&text);
            prop_assert!(!shown.chars().any(is_dangerous), "{shown:?}");
            prop_assert_eq!(terminal(&shown), shown.as_ref());
            if !text.chars().any(is_hostile) {
                prop_assert_eq!(shown.as_ref(), &text);
            }
        }

        #[test]
        fn json_on_a_terminal_means_the_same(text in text(), pretty in any::<bool>()) {
            let value = serde_json::json!({ &*text: [&*text, 1.5, null] });
            let json = if pretty { format!("{value:#}\t\r\n") } else { value.to_string() };
            let mut out = Vec::new();
            json_on_terminal(&mut out, &json);
            let written = String::from_utf8(out).unwrap();
            prop_assert!(!written.chars().any(is_dangerous), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
        }

        #[test]
        fn a_string_survives(text in text()) {
            let mut out = Vec::new();
            json_string(&mut out, &text);
            let written = String::from_utf8(out).unwrap();
            prop_assert!(!written.chars().any(char::is_control), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }

        #[test]
        fn json_survives(keys in proptest::collection::vec(text(), 0..5), breaks in "[ \r\n]{0,3}") {
            let object = keys.iter().map(|key| (key.clone(), serde_json::Value::from(key.as_str()))).collect();
            let value = serde_json::Value::Object(object);
            let json = format!("{breaks}{value:#}{breaks}");
            let mut out = Vec::new();
            ndjson(&mut out, &json);
            let written = String::from_utf8(out).unwrap();
            prop_assert!(!written.chars().any(char::is_control), "{written:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
        }
    }
}

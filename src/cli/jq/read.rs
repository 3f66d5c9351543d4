//! An event as a value of jq's. Unlike jaq's own reader this takes all that is
//! JSON, and nothing else: half a surrogate pair is read as jq reads it, and a
//! number keeps its form. What nobody needs is passed over.

use std::ops::Range;
use std::rc::Rc;

use hifijson::escape::Lex as _;
use hifijson::num::LexWrite as _;
use hifijson::str::LexWrite as _;
use hifijson::token::{Expect, Lex as _};
use hifijson::{Error, Read as _, SliceLexer, escape};
use jaq_json::{Map, Num, Val};

use super::needs::{Needs, WHOLE};
use crate::json::{self, Scanner};

/// The members of an event that the server sent.
pub(super) const PAYLOADS: [&str; 2] = ["record", "data"];

/// Values nested more deeply are not read: each level takes a piece of the stack.
pub(super) const DEEPEST: usize = 10_000;

/// What is nested so deeply is read on any stack.
const SHALLOW: usize = 100;

/// Integers of more digits stay as they are written: turning one into a number
/// and back takes time that grows with the square of its length.
const LONGEST: usize = 1000;

/// An event, as far as it is needed.
pub(super) struct Event<'a> {
    line: &'a [u8],
    pub(super) value: Val,
    /// In the order of their names, and their places in the line.
    payloads: [Option<(Val, &'a [u8])>; PAYLOADS.len()],
}

impl<'a> Event<'a> {
    pub(super) fn read(line: &'a [u8], needs: &Needs) -> Result<Self, String> {
        let event = str::from_utf8(line).ok().and_then(|text| {
            // Only what is read is seen to be too deep.
            let part = if needs.whole || may_be_deep(text) { None } else { Self::of_members(text, needs) };
            part.or_else(|| Self::of_members(text, &WHOLE))
        });
        match event {
            Some(event) => Ok(event),
            // What is no object, or cannot be read: the reason is told.
            None => Ok(Self { line, value: parse(line)?, payloads: [const { None }; PAYLOADS.len()] }),
        }
    }

    fn of_members(line: &'a str, needs: &Needs) -> Option<Self> {
        let mut payloads = [const { None }; PAYLOADS.len()];
        let mut fields = Map::default();
        json::members(line, |scanner, name| {
            let Some((key, needs)) = needs.member(name) else { return scanner.value().map(drop) };
            let start = scanner.place();
            let value = member(scanner, line, needs, 1)?;
            if let Some(at) = PAYLOADS.iter().position(|payload| *payload == name) {
                payloads[at] = Some((value.clone(), with_space(line, start..scanner.place()).as_bytes()));
            }
            fields.insert(key, value);
            Some(())
        })?;
        Some(Self { line: line.as_bytes(), value: Val::obj(fields), payloads })
    }

    /// How a value stood in the line, where it is the whole event or a payload, and nothing has
    /// changed it.
    pub(super) fn original(&self, value: &Val) -> Option<&'a [u8]> {
        if is_same(value, &self.value) {
            return Some(self.line);
        }
        self.payloads.iter().flatten().find(|(payload, _)| is_same(value, payload)).map(|(_, bytes)| *bytes)
    }
}

/// Whether there are brackets enough for what is not read.
pub(super) fn may_be_deep(line: &str) -> bool {
    // Each has its other half.
    line.len() > 2 * DEEPEST && line.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > DEEPEST
}

/// A part of a text, with the white space around it: so it came in.
pub(super) fn with_space(text: &str, part: Range<usize>) -> &str {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    let start = text[..part.start].trim_end_matches(is_space).len();
    let behind = &text[part.end..];
    &text[start..text.len() - behind.trim_start_matches(is_space).len()]
}

/// Whether it is the very same object or array.
fn is_same(one: &Val, other: &Val) -> bool {
    match (one, other) {
        (Val::Obj(one), Val::Obj(other)) => Rc::ptr_eq(one, other),
        (Val::Arr(one), Val::Arr(other)) => Rc::ptr_eq(one, other),
        _ => false,
    }
}

/// The value that begins here, as far as it is needed.
fn member(scanner: &mut Scanner<'_>, line: &str, needs: &Needs, depth: usize) -> Option<Val> {
    let start = scanner.place();
    if needs.whole || line.as_bytes().get(start) != Some(&b'{') {
        let is_plain = scanner.value()?;
        let text = &line[start..scanner.place()];
        return match text.as_bytes() {
            [b'"', plain @ .., b'"'] if is_plain => Some(Val::utf8_str(plain.to_vec())),
            [first, ..] => value(*first, &mut SliceLexer::new(text.as_bytes()), depth).ok(),
            [] => None,
        };
    }
    let mut fields = Map::default();
    scanner.members(|scanner, name| {
        let Some((key, needs)) = needs.member(name) else { return scanner.value().map(drop) };
        fields.insert(key, member(scanner, line, needs, depth + 1)?);
        Some(())
    })?;
    Some(Val::obj(fields))
}

/// Reads one value. Whoever takes the line from a printer need not look at what
/// an error says, but for the depth.
pub(super) fn parse(json: &[u8]) -> Result<Val, String> {
    let mut lexer = SliceLexer::new(json);
    let value = lexer.exactly_one(hifijson::token::Lex::ws_peek, |next, lexer| value(next, lexer, 0));
    value.map_err(|error| match error {
        Error::Depth => format!("it is nested more than {DEEPEST} levels deep"),
        error => {
            format!("byte offset {}: {error}", json.len() - lexer.as_slice().len())
        }
    })
}

/// The value that begins with `next`.
fn value(next: u8, lexer: &mut SliceLexer<'_>, depth: usize) -> Result<Val, Error> {
    if depth > DEEPEST {
        return Err(Error::Depth);
    }
    Ok(match next {
        b'"' => Val::utf8_str(string(lexer.discarded())?),
        b'-' | b'0'..=b'9' => Val::Num(number(lexer)?),
        b'n' | b't' | b'f' => match lexer.null_or_bool() {
            Some(Some(truth)) => Val::Bool(truth),
            Some(None) => Val::Null,
            None => return Err(Expect::Value.into()),
        },
        b'[' => {
            let mut items = Vec::new();
            lexer.discarded().seq(b']', hifijson::token::Lex::ws_peek, |next, lexer| {
                items.push(value(next, lexer, depth + 1)?);
                Ok::<_, Error>(())
            })?;
            Val::Arr(items.into())
        }
        b'{' => {
            let mut fields = Map::default();
            lexer.discarded().seq(b'}', hifijson::token::Lex::ws_peek, |next, lexer| {
                if next != b'"' {
                    return Err(Expect::String.into());
                }
                let key = Val::utf8_str(string(lexer.discarded())?);
                lexer.expect(hifijson::token::Lex::ws_peek, b':').ok_or(Expect::Colon)?;
                let next = lexer.ws_peek().ok_or(Expect::Value)?;
                fields.insert(key, value(next, lexer, depth + 1)?);
                Ok::<_, Error>(())
            })?;
            Val::obj(fields)
        }
        _ => return Err(Expect::Value.into()),
    })
}

/// A value that can be read, and dropped, on any stack.
pub(super) fn shallow(json: &str) -> Option<Val> {
    let first = *json.as_bytes().first()?;
    value(first, &mut SliceLexer::new(json.as_bytes()), DEEPEST - SHALLOW).ok()
}

/// A string, behind its first quote.
fn string(lexer: &mut SliceLexer<'_>) -> Result<Vec<u8>, Error> {
    let plain = |bytes: &mut &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(bytes);
        Ok::<_, hifijson::str::Error>(())
    };
    let escape = |lexer: &mut SliceLexer<'_>, out: &mut Vec<u8>| {
        match lexer.take_next().ok_or(escape::Error::Eof)? {
            b'u' => unicode(lexer, out)?,
            kind => push(out, lexer.escape(kind)?),
        }
        Ok(())
    };
    Ok(lexer.str_fold(Vec::new(), plain, escape)?)
}

/// Behind `\u`: a character, or the two halves of one. What is a half only is
/// no character, and U+FFFD stands for it.
fn unicode(lexer: &mut SliceLexer<'_>, out: &mut Vec<u8>) -> Result<(), escape::Error> {
    let mut unit: u16 = lexer.hex()?;
    while (0xd800..0xdc00).contains(&unit) && lexer.strip_prefix(b"\\u") {
        let second = lexer.hex()?;
        if let Some(Ok(whole)) = char::decode_utf16([unit, second]).next() {
            push(out, whole);
            return Ok(());
        }
        push(out, char::REPLACEMENT_CHARACTER);
        unit = second;
    }
    push(out, char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(())
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn number(lexer: &mut SliceLexer<'_>) -> Result<Num, Error> {
    let (text, parts) = lexer.num_string().validated()?;
    // There is no integer for it.
    let keeps = text == "-0" || text.len() > LONGEST || !parts.is_int();
    let integer = if keeps { None } else { Num::from_str_radix(text, 10) };
    Ok(integer.unwrap_or_else(|| Num::Dec(Rc::new(text.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(json: &str) -> Result<String, String> {
        let mut out = Vec::new();
        crate::cli::jq::value::write(&mut out, &parse(json.as_bytes())?);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn half_a_character() {
        for (json, text) in [
            (r#""\ud83e\udd80""#, "🦀"),
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ud83db""#, "\u{fffd}b"),
            (r#""\uDC00\n""#, "\u{fffd}\n"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\ud83e\udd80""#, "\u{fffd}🦀"),
            (r#""\udd80\ud83e""#, "\u{fffd}\u{fffd}"),
        ] {
            let Ok(Val::TStr(read)) = parse(json.as_bytes()) else { panic!("{json} is a string") };
            assert_eq!(String::from_utf8_lossy(&read), text, "{json}");
        }
        assert_eq!(written(r#"{"\ud83d":"\ud83d"}"#).as_deref(), Ok("{\"\u{fffd}\":\"\u{fffd}\"}"));
    }

    /// Also the length of one is nobody's business: what is quadratic would take minutes.
    #[test]
    fn numbers_keep_their_form() {
        let long = "7".repeat(4_000_000);
        for number in ["0", "-0", "-0.0", "1.0", "1e400", "1E+2", "-12345678901234567890123", &long] {
            assert_eq!(written(number).as_deref(), Ok(number));
        }
    }

    #[test]
    fn what_is_not_json() {
        for json in [
            "",
            "nul",
            "NaN",
            "+1",
            "1.",
            "-",
            "[1,]",
            "{1:2}",
            "{\"a\"}",
            "\"\\x41\"",
            "\"\\u12",
            "1 2",
            "#\n1",
            "b\"\"",
        ] {
            assert!(parse(json.as_bytes()).is_err(), "{json:?}");
        }
        assert_eq!(written("[1,x]"), Err("byte offset 3: value expected".into()));
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_reads(json in r#"[\[\]{}",:0-9a-f.eE+\-\\u tn\x00-\x20é]{0,40}"#) {
            let legal = serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok();
            prop_assert_eq!(parse(json.as_bytes()).is_ok(), legal, "{:?}", json);
        }
    }
}

//! JSON at one glance: whether a text is legal, and where a few values of an
//! object stand in it. Nothing is built, nothing copied, and no depth is too
//! deep. Every byte of a feed passes here, and passes once.

use std::borrow::Cow;

use wide::u8x16;

/// Whether the text is one legal JSON document (RFC 8259). Numbers may be of
/// any size, and escapes of surrogates need not be in pairs: nothing is decoded.
pub(crate) fn is_legal(text: &str) -> bool {
    document(text, |scanner| scanner.value().map(drop)).is_some()
}

/// Reads a document; `read` reads what stands in it. Whether it is clean: without white space
/// between its tokens, and without control characters beyond ASCII's first. `None` where it is
/// not legal JSON, or `read` does not want it.
pub(crate) fn document<'a>(text: &'a str, read: impl FnOnce(&mut Scanner<'a>) -> Option<()>) -> Option<bool> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    read(&mut scanner)?;
    scanner.end()?;
    Some(!scanner.spaced && !scanner.ends.unclean)
}

/// Reads an object, which has to be all there is: `take` is given each key and has to
/// read its value. Whether it is clean, as for [`document`].
pub(crate) fn members<'a>(text: &'a str, take: impl FnMut(&mut Scanner<'a>, &str) -> Option<()>) -> Option<bool> {
    document(text, |scanner| scanner.members(take))
}

/// What a string that stands in JSON means; `None` for anything else.
pub(crate) fn text(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(value).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// A place in a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    ends: Ends,
    /// There was white space.
    spaced: bool,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, ends: Ends::default(), spaced: false }
    }

    /// How far it has come; white space before a value is behind it.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        // Servers write none.
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.spaces();
        }
    }

    #[inline(never)]
    fn spaces(&mut self) {
        self.spaced = true;
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn end(&mut self) -> Option<()> {
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    /// Reads the object that begins here, member by member.
    pub(crate) fn members(&mut self, mut take: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.eat(b'{')?;
        self.space();
        if self.eat(b'}').is_some() {
            return Some(());
        }
        loop {
            let start = self.at;
            let is_plain = self.string()?;
            let key = if is_plain {
                Cow::Borrowed(&self.text[start + 1..self.at - 1])
            } else {
                text(&self.text[start..self.at])?
            };
            self.colon()?;
            take(self, &key)?;
            self.space();
            if self.eat(b'}').is_some() {
                return Some(());
            }
            self.eat(b',')?;
            self.space();
        }
    }

    /// Reads the value that begins here. Whether it is a string that means what stands between its quotes.
    pub(crate) fn value(&mut self) -> Option<bool> {
        // Most values are strings, or at least not made of others.
        match self.peek()? {
            b'"' => return self.string(),
            b'{' | b'[' => self.nested()?,
            _ => self.scalar()?,
        }
        Some(false)
    }

    /// Reads the object or the array that begins here.
    fn nested(&mut self) -> Option<()> {
        let mut open = Open::default();
        loop {
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    self.space();
                    open.push(true);
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.space();
                    open.push(false);
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                _ => self.scalar()?,
            }
            // Behind a value, or at the end of something empty.
            loop {
                let Some(is_object) = open.last() else { return Some(()) };
                self.space();
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if is_object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if is_object => open.pop(),
                    b']' if !is_object => open.pop(),
                    _ => return None,
                }
                self.at += 1;
            }
        }
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.colon()
    }

    fn colon(&mut self) -> Option<()> {
        self.space();
        self.eat(b':')?;
        self.space();
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.eat(b'-');
        match self.peek()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits()?,
            _ => return None,
        }
        if self.eat(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Reads the string that begins here. Whether it means what stands between its quotes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        self.eat(b'"')?;
        self.at = self.ends.next(self.bytes(), self.at);
        if self.eat(b'"').is_some() {
            return Some(true);
        }
        self.behind_an_escape()?;
        Some(false)
    }

    /// Reads a string on from the first backslash.
    #[inline(never)]
    fn behind_an_escape(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    let escape = *self.bytes().get(self.at + 1)?;
                    self.at += 2;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes().get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                // A control character.
                _ => return None,
            }
            self.at = self.ends.next(self.bytes(), self.at);
        }
    }
}

/// As many bytes as there are bits in a word.
const BLOCK: usize = 64;

/// Where in a block of a text runs of plain text end: at a quote, a backslash or a control
/// character. A block has several such places, and is looked at once.
struct Ends {
    /// Where the block begins.
    block: usize,
    /// A bit for each of its bytes, the lowest for the first.
    bits: u64,
    /// Some block had what may be a control character beyond ASCII's first: U+007F to U+009F.
    unclean: bool,
}

impl Default for Ends {
    fn default() -> Self {
        // No block begins there.
        Self { block: usize::MAX, bits: 0, unclean: false }
    }
}

impl Ends {
    /// The next such place, from here on; the end of the text where there is none.
    #[inline]
    fn next(&mut self, bytes: &[u8], from: usize) -> usize {
        let block = from & !(BLOCK - 1);
        if block == self.block {
            let bits = self.bits >> (from % BLOCK);
            if bits != 0 {
                return from + bits.trailing_zeros() as usize;
            }
        }
        self.search(bytes, from)
    }

    #[inline(never)]
    fn search(&mut self, bytes: &[u8], from: usize) -> usize {
        let mut block = from & !(BLOCK - 1);
        let mut before = from % BLOCK;
        while block < bytes.len() {
            let rest = &bytes[block..];
            let (bits, unclean) = if let Some(whole) = rest.first_chunk() {
                ends_in(whole)
            } else {
                // A quote stands where the text ends.
                let mut last = [b'"'; BLOCK];
                last[..rest.len()].copy_from_slice(rest);
                ends_in(&last)
            };
            (self.block, self.bits) = (block, bits);
            self.unclean |= unclean;
            let bits = bits >> before;
            if bits != 0 {
                return (block + before + bits.trailing_zeros() as usize).min(bytes.len());
            }
            (block, before) = (block + BLOCK, 0);
        }
        bytes.len()
    }
}

/// A bit for each byte that is a quote, a backslash or a control character, and whether some byte
/// is U+007F, or the first of a character from U+0080 on that may be another.
#[inline]
fn ends_in(block: &[u8; BLOCK]) -> (u64, bool) {
    let [quote, backslash, control, delete, longer] = [b'"', b'\\', 0x1f, 0x7f, 0xc2].map(u8x16::splat);
    let (mut bits, mut unclean) = (0, u8x16::default());
    for (at, part) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*part);
        let ends = bytes.simd_eq(quote) | bytes.simd_eq(backslash) | bytes.min(control).simd_eq(bytes);
        bits |= u64::from(ends.to_bitmask()) << (16 * at);
        unclean = unclean | bytes.simd_eq(delete) | bytes.simd_eq(longer);
    }
    (bits, unclean.any())
}

/// What is open, from the outside in: an object or an array, a bit each.
#[derive(Default)]
struct Open {
    depth: usize,
    bits: u64,
    /// The bits of what is further out.
    outer: Vec<u64>,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.bits & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn agrees_with_serde(text: &str) {
        assert_eq!(is_legal(text), serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "{text:?}");
    }

    #[test]
    fn what_is_legal() {
        for text in [
            "",
            " ",
            "null",
            " true ",
            "false\n",
            "tru",
            "nulll",
            "0",
            "-0",
            "-",
            "01",
            "1.",
            ".5",
            "1.5e+10",
            "1e",
            "1E5",
            "1e400",
            "-1.0E-0",
            "\"\"",
            "\"a\\u00e9\\n\"",
            "\"\\u00g0\"",
            "\"\\x\"",
            "\"\t\"",
            "\"\u{7f}\"",
            "\"\\ud800\"",
            "\"open",
            "[]",
            "[ ]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,2",
            "{}",
            "{ }",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "{a:1}",
            "{\"a\":[{\"b\":[]},{}]} ",
            "[}",
            "{]",
            "[[]]]",
            "1 1",
            "\u{feff}1",
            "[\u{a0}]",
            "\"12345678\"",
            "\"1234567\\\"\"",
            "\"12345678",
            "\"é日本🦀é日本🦀\"",
        ] {
            agrees_with_serde(text);
        }
        for depth in [63, 64, 65, 128, 10_000] {
            let mut text: String = (0..depth).map(|at| if at % 3 == 0 { "{\"a\":" } else { "[" }).collect();
            text.push('1');
            text.extend((0..depth).rev().map(|at| if at % 3 == 0 { '}' } else { ']' }));
            assert!(is_legal(&text), "{depth}");
            text.pop();
            assert!(!is_legal(&text), "{depth}");
        }
    }

    #[test]
    fn members_and_their_places() {
        let text = r#" {"a" : [1, {"a":2}], "\u0062":"x" ,"c":{}} "#;
        let mut found = Vec::new();
        let read = members(text, |scanner, key| {
            let start = scanner.place();
            scanner.value()?;
            found.push((key.to_owned(), &text[start..scanner.place()]));
            Some(())
        });
        assert!(read.is_some());
        assert_eq!(found, [("a".into(), r#"[1, {"a":2}]"#), ("b".into(), r#""x""#), ("c".into(), "{}")]);
        for text in ["[]", "{\"a\":1} x", "{\"a\":1", "1"] {
            assert!(members(text, |scanner, _| scanner.value().map(drop)).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_clean() {
        let is_clean = |text: &str| document(text, |scanner| scanner.value().map(drop)).unwrap();
        let long = "x".repeat(100);
        for text in ["{}", r#"{"a":["b c",1.5,null],"é":"\u0085日本🦀\n"}"#, &format!("\"{long}\"")] {
            assert!(is_clean(text), "{text}");
        }
        for unclean in ["\u{7f}", "\u{80}", "\u{85}", "\u{9f}"] {
            for text in [format!("\"{unclean}\""), format!("{{\"{unclean}\":0}}"), format!("\"{long}{unclean}{long}\"")]
            {
                assert!(!is_clean(&text), "{text:?}");
            }
        }
        let zeros = "0,".repeat(100);
        for text in [" 1", "[]\n", "{\"a\": 1}", &format!("[{zeros}\r{zeros}0]")] {
            assert!(!is_clean(text), "{text:?}");
        }
    }

    #[test]
    fn strings() {
        assert_eq!(super::text(r#""a\u00e9""#).as_deref(), Some("aé"));
        assert!(matches!(super::text(r#""plain""#), Some(Cow::Borrowed("plain"))));
        assert_eq!(super::text("5"), None);
    }

    #[test]
    fn what_ends_a_run_is_found_wherever_it_stands() {
        for length in 0..200 {
            for end in [b'"', b'\\', 0, 0x1f, b'\n'] {
                let mut bytes = vec![b'x'; length];
                bytes.extend([end, b'y', b'"', 0x80]);
                for from in 0..=length {
                    assert_eq!(Ends::default().next(&bytes, from), length, "{end}");
                }
                let mut ends = Ends::default();
                let found = [0, length + 1, length + 3].map(|from| ends.next(&bytes, from));
                assert_eq!(found, [length, length + 2, length + 4]);
            }
            let plain = &b"x\x7f\xc3\xa9 !][".repeat(25)[..length];
            assert_eq!(Ends::default().next(plain, 0), length);
        }
    }

    #[test]
    fn each_byte_in_each_place_of_a_block() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK {
                let mut block = [0xff; BLOCK];
                block[at] = byte;
                let ends = u64::from(matches!(byte, b'"' | b'\\' | 0..0x20)) << at;
                assert_eq!(ends_in(&block), (ends, matches!(byte, 0x7f | 0xc2)), "{byte} {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_serde_does(text in r#"[\[\]{}",:0-9a-f.eE+\-\\u tn\x00-\x20é]{0,40}"#) {
            agrees_with_serde(&text);
        }

        #[test]
        fn legal_text_with_a_slip_is_judged_as_serde_does(at in 0_usize..60, byte in r#"[ "\\,:\[\]{}0a\x01]"#) {
            let text = r#"{"record":{"id":"a","n":[1.5e3,-0,{"x":null}],"s":"\u00e9é\""},"t":true}"#;
            if let Some((at, _)) = text.char_indices().nth(at) {
                let mut changed = text.to_owned();
                changed.insert_str(at, &byte);
                agrees_with_serde(&changed);
                let mut changed = text.to_owned();
                changed.remove(at);
                agrees_with_serde(&changed);
            }
        }
    }
}

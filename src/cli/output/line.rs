//! One line for a person: escaped, coloured, and no wider than the terminal.

use colored::Color;
use unicode_width::UnicodeWidthChar;

use super::sanitize;

/// What a piece of text looks like. The signs carry the meaning without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Dim,
    Green,
    Yellow,
    Red,
    Cyan,
}

/// The codes that switch the styles on; empty without colour. The choice is
/// made once and for each output, so the global switch of `colored` is not asked.
#[derive(Debug, Clone)]
pub(super) struct Palette {
    codes: [String; 6],
}

impl Palette {
    pub(super) fn new(colour: bool) -> Self {
        // The plain colours of the terminal's own theme read on light and on dark.
        let code = |code: &str| if colour { format!("\x1b[{code}m") } else { String::new() };
        let fg = |colour: Color| code(&colour.to_fg_str());
        let colours = [Color::Green, Color::Yellow, Color::Red, Color::Cyan];
        let [green, yellow, red, cyan] = colours.map(fg);
        Self { codes: [String::new(), code("2"), green, yellow, red, cyan] }
    }

    fn on(&self, style: Style) -> &str {
        &self.codes[style as usize]
    }

    fn off(&self, style: Style) -> &'static str {
        if self.on(style).is_empty() { "" } else { "\x1b[0m" }
    }
}

/// A line in the making, at the end of a buffer.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    palette: &'a Palette,
    width: Option<usize>,
    at: Place,
}

/// How far a line has come: what it can be taken back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    len: usize,
    column: usize,
    /// The last place that leaves a column for the `…`, and the style there.
    cut: usize,
    cut_style: Style,
    full: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, palette: &'a Palette, width: Option<usize>) -> Self {
        let len = out.len();
        Self { out, palette, width, at: Place { len, column: 0, cut: len, cut_style: Style::Plain, full: false } }
    }

    /// How many columns it takes by now.
    pub(super) fn column(&self) -> usize {
        self.at.column
    }

    /// Whether it was cut: more text changes nothing.
    pub(super) fn is_full(&self) -> bool {
        self.at.full
    }

    pub(super) fn place(&self) -> Place {
        Place { len: self.out.len(), ..self.at }
    }

    pub(super) fn back_to(&mut self, place: Place) {
        self.out.truncate(place.len);
        self.at = place;
    }

    /// Adds text from anywhere: there is no way into a line around the escaping.
    pub(super) fn push(&mut self, style: Style, text: &str) -> &mut Self {
        if self.at.full || text.is_empty() {
            return self;
        }
        let text = sanitize::terminal(text);
        self.out.extend_from_slice(self.palette.on(style).as_bytes());
        let limit = self.width.unwrap_or(usize::MAX);
        if text.is_ascii() && self.at.column + text.len() < limit {
            self.out.extend_from_slice(text.as_bytes());
            self.at.column += text.len();
            self.at.cut = self.out.len();
            self.at.cut_style = style;
        } else if !self.push_chars(style, &text, limit) {
            self.cut();
            return self;
        }
        self.out.extend_from_slice(self.palette.off(style).as_bytes());
        self
    }

    pub(super) fn plain(&mut self, text: &str) -> &mut Self {
        self.push(Style::Plain, text)
    }

    pub(super) fn dim(&mut self, text: &str) -> &mut Self {
        self.push(Style::Dim, text)
    }

    /// Spaces up to this column, one at least.
    pub(super) fn pad(&mut self, column: usize) -> &mut Self {
        const SPACES: &str = "                                                                ";
        let missing = column.saturating_sub(self.at.column).clamp(1, SPACES.len());
        self.push(Style::Plain, &SPACES[..missing])
    }

    pub(super) fn finish(self, terminator: u8) {
        self.out.push(terminator);
    }

    /// Whether all of it fits.
    fn push_chars(&mut self, style: Style, text: &str, limit: usize) -> bool {
        let mut last = 0;
        for c in text.chars() {
            last = width(c, last);
            if self.at.column + last > limit {
                return false;
            }
            self.at.column += last;
            self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            if self.at.column < limit {
                self.at.cut = self.out.len();
                self.at.cut_style = style;
            }
        }
        true
    }

    fn cut(&mut self) {
        self.out.truncate(self.at.cut);
        self.out.extend_from_slice(self.palette.off(self.at.cut_style).as_bytes());
        self.out.extend_from_slice("…".as_bytes());
        self.at.full = true;
    }
}

/// How many columns a character takes behind another of this width. Terminals
/// disagree about sequences; this is the most that any takes, so that a line never wraps.
fn width(c: char, before: usize) -> usize {
    match c {
        // Makes a narrow character an emoji, which is wide.
        '\u{fe0f}' => usize::from(before < 2),
        _ => c.width().unwrap_or(0),
    }
}

/// How many columns a text takes that is clean already.
pub(super) fn text_width(text: &str) -> usize {
    let mut last = 0;
    let widths = text.chars().map(|c| {
        last = width(c, last);
        last
    });
    if text.is_ascii() { text.len() } else { widths.sum() }
}

/// As much of the beginning of a text as fits.
pub(crate) fn fitting(text: &str, columns: usize) -> &str {
    let (mut used, mut last) = (0, 0);
    let end = text.char_indices().find(|&(_, c)| {
        last = width(c, last);
        used += last;
        used > columns
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::super::sanitize::tests::{is_dangerous, text};
    use super::*;
    use proptest::prelude::*;

    fn line(width: Option<usize>, colour: bool, pieces: &[(Style, &str)]) -> String {
        let (mut out, palette) = (b"before\n".to_vec(), Palette::new(colour));
        let mut line = Line::new(&mut out, &palette, width);
        for (style, text) in pieces {
            line.push(*style, text);
        }
        line.finish(b'\n');
        String::from_utf8(out).unwrap().strip_prefix("before\n").unwrap().to_owned()
    }

    #[test]
    fn cuts_at_the_width() {
        for (width, text, cut) in [
            (None, "abcdef", "abcdef\n"),
            (Some(6), "abcdef", "abcdef\n"),
            (Some(5), "abcdef", "abcd…\n"),
            (Some(1), "ab", "…\n"),
            (Some(5), "日本語", "日本…\n"),
            (Some(4), "日本語", "日…\n"),
            (Some(6), "日本語", "日本語\n"),
            (Some(3), "e\u{301}e\u{301}e\u{301}", "e\u{301}e\u{301}e\u{301}\n"),
            (Some(2), "e\u{301}e\u{301}e\u{301}", "e\u{301}…\n"),
            (Some(4), "👍👍👍", "👍…\n"),
            (Some(4), "❤\u{fe0f}❤\u{fe0f}", "❤\u{fe0f}❤\u{fe0f}\n"),
            (Some(3), "❤\u{fe0f}❤\u{fe0f}", "❤\u{fe0f}…\n"),
            (Some(4), "\x1b[31m", "\\x1…\n"),
        ] {
            assert_eq!(line(width, false, &[(Style::Plain, text)]), cut, "{text:?} {width:?}");
        }
    }

    #[test]
    fn colours_take_no_room() {
        let pieces = [(Style::Green, "abc"), (Style::Plain, "de"), (Style::Dim, "f")];
        assert_eq!(line(Some(6), true, &pieces), "\x1b[32mabc\x1b[0mde\x1b[2mf\x1b[0m\n");
        assert_eq!(line(Some(5), true, &pieces), "\x1b[32mabc\x1b[0md…\n");
        assert_eq!(line(Some(3), true, &pieces), "\x1b[32mab\x1b[0m…\n");
        assert_eq!(line(Some(6), false, &pieces), "abcdef\n");
    }

    #[test]
    fn can_be_taken_back() {
        let (mut out, palette) = (Vec::new(), Palette::new(true));
        let mut line = Line::new(&mut out, &palette, Some(4));
        let place = line.push(Style::Red, "ab").place();
        line.push(Style::Red, "cdef");
        assert!(line.is_full());
        line.back_to(place);
        line.plain("xy");
        assert_eq!(String::from_utf8(out).unwrap(), "\x1b[31mab\x1b[0mxy");
    }

    proptest! {
        #[test]
        fn never_wider_and_never_dangerous(pieces in proptest::collection::vec(text(), 0..5), limit in 1_usize..80) {
            let pieces: Vec<_> = pieces.iter().map(|text| (Style::Plain, text.as_str())).collect();
            let shown = line(Some(limit), false, &pieces);
            let shown = shown.strip_suffix('\n').unwrap();
            prop_assert!(!shown.chars().any(is_dangerous), "{shown:?}");
            prop_assert!(text_width(shown) <= limit && unicode_width::UnicodeWidthStr::width(shown) <= limit);
            let whole = line(None, false, &pieces);
            if let Some(start) = shown.strip_suffix('…') && shown != whole.trim_end_matches('\n') {
                prop_assert!(whole.starts_with(start));
            }
        }

        #[test]
        fn fits(text in "\\PC{0,40}", columns in 0_usize..50) {
            let start = fitting(&text, columns);
            prop_assert!(text.starts_with(start) && text_width(start) <= columns);
        }
    }
}

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
        // A value that was shortened before may end here.
        let is_said = self.out.ends_with("…".as_bytes());
        self.out.extend_from_slice(self.palette.off(self.at.cut_style).as_bytes());
        if !is_said {
            self.out.extend_from_slice("…".as_bytes());
        }
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

/// How [`wrap`] breaks a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrap {
    pub(crate) width: usize,
    /// The lines that follow the first begin here, where there is room for that.
    pub(crate) indent: usize,
    /// Whether a word that fits on no line is broken. A command, a path or an address is
    /// better left to the terminal, which copies it whole.
    pub(crate) breaks_words: bool,
}

/// A line that is clean already and has no escape sequences but our own colours, in lines that
/// fit, broken between words. A `·` between two parts stays at the end of its line.
pub(crate) fn wrap(line: &str, wrap: Wrap) -> String {
    /// Text behind the indent is at least so wide; else the indent is a small one.
    const LEAST: usize = 16;
    let Wrap { width, mut indent, breaks_words } = wrap;
    if shown_width(line) <= width {
        return line.to_owned();
    }
    if width < indent + LEAST {
        indent = if width < LEAST { 0 } else { 2 };
    }
    let (mut out, mut column, mut rest) = (String::with_capacity(line.len() + 64), 0, line);
    while !rest.is_empty() {
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        let end = spaces + unit_end(&rest[spaces..]);
        let word = &rest[spaces..end];
        let (space, wide) = (&rest[..spaces], shown_width(word));
        rest = &rest[end..];
        // Where the text begins a break would not help.
        let fresh = column == 0 || column + spaces <= indent;
        if column + spaces + wide <= width || fresh {
            out.push_str(space);
            column += spaces;
        } else {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        }
        if column + wide <= width || !breaks_words {
            out.push_str(word);
            column += wide;
        } else {
            column = push_broken(&mut out, word, column, width, indent);
        }
    }
    out
}

/// Where a word ends, and a `·` behind it.
fn unit_end(text: &str) -> usize {
    let end = |text: &str| text.find(' ').unwrap_or(text.len());
    let word = end(text);
    match text[word..].strip_prefix(" ·") {
        Some(behind) if behind.is_empty() || behind.starts_with(' ') => word + " ·".len(),
        _ => word,
    }
}

/// Appends a word that fits on no line, and says in which column it ends.
fn push_broken(out: &mut String, word: &str, mut column: usize, width: usize, indent: usize) -> usize {
    for (code, text) in codes(word) {
        out.push_str(code);
        let mut last = 0;
        for c in text.chars() {
            last = self::width(c, last);
            if column + last > width && column > indent {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                column = indent;
            }
            out.push(c);
            column += last;
        }
    }
    column
}

/// The text in pieces, each with the colour before it; both may be empty.
fn codes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let code = if rest.starts_with('\x1b') { rest.find('m').map_or(rest.len(), |end| end + 1) } else { 0 };
        let end = rest[code..].find('\x1b').map_or(rest.len(), |at| code + at);
        let piece = (&rest[..code], &rest[code..end]);
        rest = &rest[end..];
        Some(piece)
    })
}

/// How many columns a text takes that is clean but for our own colours.
fn shown_width(text: &str) -> usize {
    codes(text).map(|(_, text)| text_width(text)).sum()
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
    fn one_mark_for_what_is_cut_twice() {
        assert_eq!(line(Some(6), false, &[(Style::Plain, "abcde…\" more")]), "abcde…\n");
        assert_eq!(line(Some(7), true, &[(Style::Dim, "abcde…\" more")]), "\x1b[2mabcde…\x1b[0m\n");
    }

    #[test]
    fn wraps_between_words() {
        let wrapped = |text: &str, width, indent, breaks_words| wrap(text, Wrap { width, indent, breaks_words });
        let gap = "! gap          1 change replayed · deletions unknown · jobs/finished: 4s not covered";
        insta::assert_snapshot!(wrapped(gap, 40, 15, true), @r#"
        ! gap          1 change replayed ·
                       deletions unknown ·
                       jobs/finished: 4s not
                       covered
        "#);
        insta::assert_snapshot!(wrapped(gap, 24, 15, true), @r#"
        ! gap          1 change
          replayed · deletions
          unknown ·
          jobs/finished: 4s not
          covered
        "#);
        let coloured = "\x1b[33m!\x1b[0m \x1b[33mgap\x1b[0m          one\x1b[2m · \x1b[0mtwo threefold";
        assert_eq!(
            wrapped(coloured, 31, 15, true).replace('\x1b', "^"),
            "^[33m!^[0m ^[33mgap^[0m          one^[2m · ^[0mtwo\n               threefold"
        );
        // A command that is longer than a line is for the terminal to break.
        assert_eq!(
            wrapped("hint: try 0123456789abcdefghijkl now", 24, 6, false),
            "hint: try\n      0123456789abcdefghijkl\n      now"
        );
        assert_eq!(wrapped("    https://a.example.com", 12, 0, false), "    https://a.example.com");
        assert_eq!(wrapped("Number [1]: ", 12, 0, false), "Number [1]: ");
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
        fn wrapping_loses_nothing(text in text(), colour in any::<bool>(), width in 1_usize..60, indent in 0_usize..20) {
            let whole = line(None, colour, &[(Style::Red, &text), (Style::Dim, " · "), (Style::Plain, &text)]);
            let whole = whole.trim_end_matches('\n');
            let wrapped = wrap(whole, Wrap { width, indent, breaks_words: true });
            prop_assert_eq!(wrapped.replace(['\n', ' '], ""), whole.replace(' ', ""));
            // A character may be wider than the room.
            prop_assert!(wrapped.lines().all(|line| shown_width(line) <= width.max(2)), "{:?}", wrapped);
        }

        #[test]
        fn fits(text in "\\PC{0,40}", columns in 0_usize..50) {
            let start = fitting(&text, columns);
            prop_assert!(text.starts_with(start) && text_width(start) <= columns);
        }
    }
}

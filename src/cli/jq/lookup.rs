//! A path by names alone, such as `.record.title`, is looked up in the text of an event: that
//! takes no longer than reading it, ends, and needs no thread. What is found is copied wherever
//! it is written as jq would write it. What could fail is left to jq, with its words.

use std::ops::Range;

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::Part;

use super::needs::literal;
use super::read::{self, PAYLOADS};
use super::{Expressions, MOST_PRINTED, Style, write};
use crate::cli::output::sanitize;
use crate::json::{self, Scanner};

/// The names that lead from an event to the only result of an expression, where it does nothing
/// else.
pub(super) fn path(term: &Term<&str>) -> Option<Vec<String>> {
    match term {
        Term::Id => Some(Vec::new()),
        Term::Path(of, steps) => {
            let mut names = path(of)?;
            for (part, _) in &steps.0 {
                let Part::Index(name) = part else { return None };
                names.push(literal(name)?);
            }
            Some(names)
        }
        Term::BinOp(left, BinaryOp::Pipe(None), right) => {
            let mut names = path(left)?;
            names.extend(path(right)?);
            Some(names)
        }
        _ => None,
    }
}

/// What `--jq` is, where it is a path and all there is.
pub(super) struct Lookup {
    path: Vec<String>,
    style: Style,
}

/// Where a value stands in a text.
struct Found {
    place: Range<usize>,
    /// A string that means what stands between its quotes.
    is_plain: bool,
}

impl Lookup {
    pub(super) fn of(expressions: &Expressions) -> Option<Self> {
        let Expressions { jq: Some(program), until, fail_if, style } = expressions else { return None };
        let path = program.path().filter(|_| until.is_empty() && fail_if.is_empty())?;
        Some(Self { path: path.to_vec(), style: *style })
    }

    /// What is printed of an event; `None` where jq has to say.
    pub(super) fn print(&self, line: &[u8]) -> Option<Vec<u8>> {
        let line = str::from_utf8(line).ok()?;
        if !line.starts_with('{') || line.len() >= MOST_PRINTED || read::may_be_deep(line) {
            return None;
        }
        let mut found = None;
        json::document(line, |scanner| follow(scanner, line, &self.path, &mut found))?;
        let is_plain = found.as_ref().is_some_and(|found| found.is_plain);
        let text = match &found {
            Some(Found { place, .. }) => &line[place.clone()],
            // Where a name is missing, so is all that is behind it.
            None => "null",
        };
        let mut out = Vec::with_capacity(text.len() + 16);
        match text.as_bytes() {
            [b'"', .., b'"'] if is_plain => {
                let plain = &text[1..text.len() - 1];
                self.style.write(&mut out, true, |out| {
                    if self.style.bare {
                        out.extend_from_slice(plain.as_bytes());
                    } else {
                        sanitize::json_string(out, plain);
                    }
                });
            }
            [b'"', ..] => self.write(&mut out, text)?,
            // Numbers keep their form, and so does what came in.
            [b'{' | b'[', ..] => match (&self.path[..], found) {
                ([], _) => self.copy(&mut out, line),
                ([name], Some(Found { place, .. })) if PAYLOADS.contains(&&**name) => {
                    self.copy(&mut out, read::with_space(line, place));
                }
                _ => self.write(&mut out, text)?,
            },
            _ => self.copy(&mut out, text),
        }
        Some(out)
    }

    fn copy(&self, out: &mut Vec<u8>, text: &str) {
        self.style.write(out, false, |out| out.extend_from_slice(text.as_bytes()));
    }

    /// What has to be read to be written.
    fn write(&self, out: &mut Vec<u8>, text: &str) -> Option<()> {
        let value = read::shallow(text)?;
        if self.style.is_split_by(&value) {
            return None;
        }
        write(out, &value, None, self.style);
        Some(())
    }
}

/// Reads the value that begins here, and finds what a path leads to from it: nothing where a name
/// is missing. Of names that stand there twice the last is meant.
fn follow<'a>(scanner: &mut Scanner<'a>, text: &'a str, path: &[String], found: &mut Option<Found>) -> Option<()> {
    let start = scanner.place();
    let Some((name, rest)) = path.split_first() else {
        let is_plain = scanner.value()?;
        *found = Some(Found { place: start..scanner.place(), is_plain });
        return Some(());
    };
    *found = None;
    match text.as_bytes().get(start)? {
        b'{' => {
            scanner.members(
                |scanner, key| {
                    if key == name { follow(scanner, text, rest, found) } else { scanner.value().map(drop) }
                },
            )
        }
        b'n' => scanner.value().map(drop),
        // It has no members at all, and jq says so.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bounds::Guard;
    use super::super::needs::tests::{EXPRESSIONS, LINES, patient};
    use super::super::{Evaluator, Program};
    use super::*;

    #[test]
    fn paths() {
        for (source, expected) in [
            (".", Some("")),
            (".record.title", Some("record title")),
            (".record | .\"a b\"?.c", Some("record a b c")),
            (".[\"rec\\u006frd\"]", Some("record")),
            (".record[0]", None),
            (".a, .b", None),
            ("(.a)?", None),
            (".a[]", None),
            (".[.a]", None),
        ] {
            let term = jaq_core::load::parse(source, |parser| parser.term()).unwrap();
            assert_eq!(path(&term).map(|names| names.join(" ")).as_deref(), expected, "{source}");
        }
    }

    /// What is printed without jq is what jq prints.
    #[test]
    fn jq_would_say_the_same() {
        let clock = std::sync::Arc::new(patient());
        let guard = Guard::new(&clock);
        let styles =
            [(false, false, b'\n'), (true, false, b'\n'), (true, false, 0), (false, true, b'\n'), (true, true, b'\n')];
        let more =
            [".record.tags", ".record.\"\".\"\"", ".topic", ".record.m", ".record.big", ".record.none.x", ".data.x"];
        let (mut tried, mut answered) = (0, 0);
        for source in EXPRESSIONS.iter().chain(&more) {
            for (bare, terminal, terminator) in styles {
                let style = Style { bare, terminal, terminator };
                let Ok(program) = Program::parse("--jq", source) else { continue };
                if program.path().is_none() {
                    break;
                }
                let expressions = Expressions { jq: Some(program), style, ..Expressions::default() };
                let lookup = Lookup::of(&expressions).unwrap();
                let mut evaluator = Evaluator::new(expressions, &clock);
                for line in LINES {
                    tried += 1;
                    let Some(printed) = lookup.print(line.as_bytes()) else { continue };
                    answered += 1;
                    let verdict = evaluator.judge(line.as_bytes(), &guard).unwrap();
                    let expected = verdict.printed.unwrap();
                    assert_eq!(
                        String::from_utf8_lossy(&printed),
                        String::from_utf8_lossy(&expected),
                        "{source} of {line}"
                    );
                    assert!(verdict.complaints.is_empty(), "{source} of {line}");
                }
            }
        }
        assert!(answered * 5 > tried * 2, "{answered} of {tried}");
    }
}

//! Tables for people: as wide as the terminal and no wider, with names that
//! can be copied whole. In a pipe nothing is cut or wrapped.

use std::io::{self, IsTerminal as _};

use unicode_width::UnicodeWidthStr as _;

use super::output::sanitize;

/// What is done with a last column that is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    /// Its end is left out; where there is hardly room, all of it.
    Cut,
    /// It goes on below.
    Wrap,
}

/// Between two columns.
const GAP: usize = 2;

/// A first column beyond this stands on a line of its own, in a pipe.
const WIDEST_NAME: usize = 40;

/// How wide stdout is, where it is a terminal.
pub(crate) fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size().filter(|_| io::stdout().is_terminal())?;
    Some(width.0.into())
}

/// Draws the rows: names in the first column, words in the next, text in the last.
/// Columns in `right` are numbers.
pub(crate) fn draw(rows: &[Vec<String>], right: &[usize], last: Last, width: Option<usize>) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| sanitize::terminal(cell).into_owned()).collect()).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let middle: Vec<usize> = (1..columns.saturating_sub(1)).map(widest).collect();
    let fixed = middle.iter().sum::<usize>() + GAP * columns.saturating_sub(1);
    let least_text = match last {
        Last::Cut => 0,
        Last::Wrap => 24,
    };
    let names = match width {
        Some(width) => widest(0).min(width.saturating_sub(fixed + least_text).max(8)),
        None => widest(0).min(WIDEST_NAME),
    };
    let indent = names + fixed;
    let room = width.map(|width| width.saturating_sub(indent));
    let mut out = String::new();
    for row in &rows {
        let mut line = row[0].clone();
        if line.width() > names {
            out.push_str(&line);
            out.push('\n');
            line.clear();
        }
        pad(&mut line, names);
        let mut end = names;
        for (column, cell) in row.iter().enumerate().skip(1).take(middle.len()) {
            let wide = middle[column - 1];
            let space = GAP + if right.contains(&column) { wide - cell.width() } else { 0 };
            line.push_str(&" ".repeat(space));
            line.push_str(cell);
            end += GAP + wide;
            pad(&mut line, end);
        }
        let mut texts = match (room, last) {
            (None, _) => vec![row[columns - 1].clone()],
            (Some(room), Last::Cut) => vec![cut(&row[columns - 1], room)],
            (Some(room), Last::Wrap) => wrap(&row[columns - 1], room.max(1)),
        }
        .into_iter();
        line.push_str(&" ".repeat(GAP));
        line.push_str(&texts.next().unwrap_or_default());
        out.push_str(line.trim_end());
        out.push('\n');
        for text in texts {
            out.push_str(&" ".repeat(indent));
            out.push_str(&text);
            out.push('\n');
        }
    }
    out
}

fn pad(line: &mut String, to: usize) {
    line.push_str(&" ".repeat(to.saturating_sub(line.width())));
}

/// The beginning that fits.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    if room < 8 {
        return String::new();
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + c.to_string().width() > room - 1 {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}

/// In lines that fit, broken between words where there are any.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() || line.width() + 1 + word.width() <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
        // A word that fits on no line is broken.
        while lines.last().is_some_and(|line| line.width() > room) {
            let line = lines.pop().unwrap_or_default();
            let mut at = 0;
            for (next, c) in line.char_indices() {
                if line[..next + c.len_utf8()].width() > room && at > 0 {
                    break;
                }
                at = next + c.len_utf8();
            }
            let rest = line[at..].to_owned();
            lines.push(line[..at].to_owned());
            if rest.is_empty() {
                break;
            }
            lines.push(rest);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        [
            ["TOPIC", "TYPE", "RECORDS", "RULE"],
            ["posts/*", "base", "12", "author = @request.auth.id && status = \"published\""],
            ["a_collection_whose_name_is_long/*", "auth", "100000", ""],
            ["日本/*", "base", "3", "title = \"日本語日本語日本語日本語日本語日本語日本語\""],
        ]
        .map(|row| row.map(str::to_owned).to_vec())
        .to_vec()
    }

    #[test]
    fn as_wide_as_the_terminal() {
        for width in [20, 30, 40, 60, 80, 200] {
            for last in [Last::Cut, Last::Wrap] {
                let text = draw(&rows(), &[2], last, Some(width));
                for line in text.lines() {
                    // A name is never cut, and there are columns that a screen must have.
                    let least = width.max(33).max(8 + 4 + 7 + 3 * GAP + 1);
                    assert!(line.width() <= least, "{width} {last:?}: {line}");
                    assert_eq!(line, line.trim_end());
                }
                for row in rows() {
                    assert!(text.contains(&row[0]), "{width}: {text}");
                }
            }
        }
    }

    #[test]
    fn eighty_columns() {
        insta::assert_snapshot!(draw(&rows(), &[2], Last::Cut, Some(80)), @r#"
        TOPIC                              TYPE  RECORDS  RULE
        posts/*                            base       12  author = @request.auth.id && …
        a_collection_whose_name_is_long/*  auth   100000
        日本/*                             base        3  title = "日本語日本語日本語日…
        "#);
        insta::assert_snapshot!(draw(&rows(), &[2], Last::Wrap, Some(44)), @r#"
        TOPIC     TYPE  RECORDS  RULE
        posts/*   base       12  author =
                                 @request.auth.id &&
                                 status =
                                 "published"
        a_collection_whose_name_is_long/*
                  auth   100000
        日本/*    base        3  title =
                                 "日本語日本語日本語
                                 日本語日本語日本語
                                 日本語"
        "#);
    }

    #[test]
    fn a_pipe_gets_it_whole() {
        let text = draw(&rows(), &[2], Last::Cut, None);
        for cell in rows().concat() {
            assert!(text.contains(&cell), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn wrapping_loses_nothing(text in ".{0,60}", room in 1_usize..30) {
            let lines = wrap(&text, room);
            proptest::prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
            // A character may be wider than the room.
            proptest::prop_assert!(lines.iter().all(|line| line.width() <= room.max(2)));
        }
    }
}

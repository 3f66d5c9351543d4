//! Filter expressions with bound values: `{:name}` placeholders and their quoting.
//!
//! One pass from left to right; a value is never scanned again, so it can
//! neither bring placeholders of its own nor end its quotes.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::{Error, ErrorKind, Result};

/// How a server reads backslashes in quoted strings. It is a matter of its
/// version, not of its vendor.
///
/// [`filter_in`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// Only what every server reads alike. A value with a backslash is refused.
    #[default]
    Portable,
    /// BosBase, PocketBase before 0.39.9: only a backslash before the quote
    /// counts. A value that ends in a backslash cannot be written at all.
    Plain,
    /// PocketBase since 0.39.9: `\n \r \t \\ \' \"`.
    Escapes,
}

/// A value to bind. Made `from` strings, numbers, booleans, times and JSON.
///
/// ```
/// use bosbase_watch::{FilterValue, filter};
///
/// let since: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
/// let params: [(&str, FilterValue); 4] = [("s", "open".into()), ("n", 3.into()), ("b", true.into()), ("t", since.into())];
/// assert_eq!(
///     filter("status = {:s} && stars > {:n} && pinned = {:b} && created > {:t}", &params)?,
///     "status = 'open' && stars > 3 && pinned = true && created > '2026-03-01 12:00:00.000Z'",
/// );
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FilterValue {
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A number; NaN and infinities are refused.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
    /// A moment, written as the server stores it: UTC, milliseconds.
    Time(Timestamp),
}

impl From<&str> for FilterValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for FilterValue {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<i64> for FilterValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for FilterValue {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for FilterValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for FilterValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Timestamp> for FilterValue {
    fn from(value: Timestamp) -> Self {
        Self::Time(value)
    }
}

impl<T: Into<FilterValue>> From<Option<T>> for FilterValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Lists and objects are bound as their JSON text, as the SDKs do.
impl From<serde_json::Value> for FilterValue {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            other => Self::Text(other.to_string()),
        }
    }
}

/// Binds values to the `{:name}` placeholders of an expression, in the quoting
/// that every server reads alike.
///
/// ```
/// use bosbase_watch::filter;
///
/// let bound = filter("title = {:t} && stars > {:n}", &[("t", "it's".into()), ("n", 3.into())])?;
/// assert_eq!(bound, r"title = 'it\'s' && stars > 3");
///
/// // Nothing gets out of its quotes, and a value's own placeholders stay text.
/// let bound = filter("a = {:a}", &[("a", "' || {:b} || '".into())])?;
/// assert_eq!(bound, r"a = '\' || {:b} || \''");
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
///
/// [`ErrorKind::InvalidFilter`]: a placeholder without a value, a value without
/// a placeholder, a placeholder inside quotes, or a value that cannot be written.
pub fn filter(expression: &str, params: &[(&str, FilterValue)]) -> Result<String> {
    filter_in(Dialect::Portable, expression, params)
}

/// [`filter`] for a server whose reading of backslashes is known.
///
/// ```
/// use bosbase_watch::{Dialect, filter, filter_in};
///
/// let path = [("p", r"C:\new".into())];
/// assert!(filter("path = {:p}", &path).is_err());
/// assert_eq!(filter_in(Dialect::Escapes, "path = {:p}", &path)?, r"path = 'C:\\new'");
/// assert_eq!(filter_in(Dialect::Plain, "path = {:p}", &path)?, r"path = 'C:\new'");
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
pub fn filter_in(dialect: Dialect, expression: &str, params: &[(&str, FilterValue)]) -> Result<String> {
    let mut out = String::with_capacity(expression.len() + 16 * params.len());
    let mut used = vec![false; params.len()];
    let mut rest = expression;
    let mut quote = None;
    while let Some(c) = rest.chars().next() {
        if let Some(name) = placeholder(rest) {
            if quote.is_some() {
                return Err(invalid(format!(
                    "the placeholder {{:{name}}} stands in quotes: leave them out, they are added with the value"
                )));
            }
            let Some(at) = params.iter().position(|(have, _)| *have == name) else {
                return Err(invalid(format!("the placeholder {{:{name}}} has no value")));
            };
            used[at] = true;
            write_value(&mut out, dialect, name, &params[at].1)?;
            rest = &rest[name.len() + 3..];
            continue;
        }
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            _ => {}
        }
        let mut step = c.len_utf8();
        if c == '\\' && quote.is_some() && rest[step..].starts_with(['\'', '"', '\\']) {
            step += 1;
        }
        out.push_str(&rest[..step]);
        rest = &rest[step..];
    }
    if let Some(at) = used.iter().position(|used| !used) {
        return Err(invalid(format!(
            "the parameter {} has no placeholder {{:{}}} in the filter",
            params[at].0, params[at].0
        )));
    }
    Ok(out)
}

/// The name of the placeholder that the text begins with.
fn placeholder(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("{:")?.split_once('}')?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')).then_some(name)
}

fn write_value(out: &mut String, dialect: Dialect, name: &str, value: &FilterValue) -> Result<()> {
    match value {
        FilterValue::Text(text) => quote_into(out, dialect, name, text)?,
        // Writing to a String cannot fail.
        FilterValue::Int(number) => drop(write!(out, "{number}")),
        // Rust writes floats without an exponent, which the grammar does not have.
        FilterValue::Float(number) if number.is_finite() => drop(write!(out, "{number}")),
        FilterValue::Float(_) => return Err(invalid(format!("the parameter {name} is not a finite number"))),
        FilterValue::Bool(value) => drop(write!(out, "{value}")),
        FilterValue::Null => out.push_str("null"),
        FilterValue::Time(time) => drop(write!(out, "'{}'", server_time(*time))),
    }
    Ok(())
}

/// A moment as the server stores and compares it, as text: any other form
/// silently compares wrong.
pub(crate) fn server_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string()
}

fn quote_into(out: &mut String, dialect: Dialect, name: &str, text: &str) -> Result<()> {
    let backslash = text.contains('\\');
    match dialect {
        Dialect::Portable if backslash => {
            return Err(invalid(format!(
                "the value of {name} holds a backslash, which servers read differently: say which dialect"
            )));
        }
        // A backslash before the quote would be read together with it, so a quote is
        // chosen that does not follow one.
        Dialect::Plain if backslash => {
            let fits = |quote: char| !text.ends_with('\\') && !text.contains(&format!("\\{quote}"));
            let Some(quote) = ['\'', '"'].into_iter().find(|quote| fits(*quote)) else {
                return Err(invalid(format!(
                    "the value of {name} cannot be written for this server: a backslash stands before a quote or at the end"
                )));
            };
            quoted(out, quote, &text.replace(quote, &format!("\\{quote}")));
        }
        Dialect::Escapes => quoted(out, '\'', &text.replace('\\', "\\\\").replace('\'', "\\'")),
        _ => quoted(out, '\'', &text.replace('\'', "\\'")),
    }
    Ok(())
}

fn quoted(out: &mut String, quote: char, text: &str) {
    out.push(quote);
    out.push_str(text);
    out.push(quote);
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidFilter, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(expression: &str, value: impl Into<FilterValue>) -> String {
        filter(expression, &[("v", value.into())]).unwrap()
    }

    #[test]
    fn values() {
        assert_eq!(bind("a = {:v}", "x"), "a = 'x'");
        assert_eq!(bind("a = {:v}", "a'b\"c$&$$"), "a = 'a\\'b\"c$&$$'");
        assert_eq!(bind("a = {:v}", -5), "a = -5");
        assert_eq!(bind("a = {:v}", 1e21), "a = 1000000000000000000000");
        assert_eq!(bind("a = {:v}", 1.5e-7), "a = 0.00000015");
        assert_eq!(bind("a = {:v}", false), "a = false");
        assert_eq!(bind("a = {:v}", None::<&str>), "a = null");
        assert_eq!(
            bind("a > {:v}", "2026-01-02T05:04:05.678+02:00".parse::<Timestamp>().unwrap()),
            "a > '2026-01-02 03:04:05.678Z'"
        );
        assert_eq!(bind("a = {:v}", serde_json::json!([1, "a'b"])), r#"a = '[1,"a\'b"]'"#);
        assert_eq!(bind("{:v} = {:v}", 1), "1 = 1");
        assert_eq!(filter("a = '\\'{x}' && {:}", &[]).unwrap(), "a = '\\'{x}' && {:}");
    }

    #[test]
    fn misuse_is_named() {
        for (expression, value, message) in [
            ("a = {:w}", FilterValue::Null, "the placeholder {:w} has no value"),
            ("a = 1", FilterValue::Null, "the parameter v has no placeholder {:v} in the filter"),
            (
                "a = '{:v}'",
                FilterValue::Null,
                "the placeholder {:v} stands in quotes: leave them out, they are added with the value",
            ),
            ("a = {:v}", f64::NAN.into(), "the parameter v is not a finite number"),
            (
                "a = {:v}",
                "a\\b".into(),
                "the value of v holds a backslash, which servers read differently: say which dialect",
            ),
        ] {
            let error = filter(expression, &[("v", value)]).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidFilter, message));
        }
    }

    #[test]
    fn dialects_of_backslashes() {
        let bind = |dialect, value: &str| filter_in(dialect, "{:v}", &[("v", value.into())]);
        assert_eq!(bind(Dialect::Escapes, r"a\b'").unwrap(), r"'a\\b\''");
        assert_eq!(bind(Dialect::Plain, r"a\b'c").unwrap(), r"'a\b\'c'");
        assert_eq!(bind(Dialect::Plain, r"a\'c").unwrap(), "\"a\\'c\"");
        assert!(bind(Dialect::Plain, r"abc\").is_err());
    }
}

//! Topics: what one subscribes to, with its options, and the key that the server is sent.
//!
//! A topic is `COLLECTION/*`, `COLLECTION/RECORD_ID` or any custom name that
//! hooks on the server send to. The server takes the options of a topic from
//! the key itself, as percent-encoded JSON, and silently drops what it cannot
//! read, which would leave an unfiltered feed: so the encoding is done here
//! and nowhere else (PocketBase `tools/subscriptions/client.go`).

use std::fmt;

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result};

/// The most topics that one client may subscribe to (the server answers 400 beyond it).
pub const MAX_TOPICS: usize = 1000;

/// The longest encoded key of a topic, in bytes (the server answers 400 beyond it).
pub const MAX_KEY_BYTES: usize = 2500;

/// The name under which a connection announces itself. It is never sent to the server.
///
/// ```
/// use bosbase_watch::{PB_CONNECT, Topic, TopicKind};
///
/// assert_eq!(Topic::custom(PB_CONNECT).kind(), TopicKind::Connect);
/// ```
pub const PB_CONNECT: &str = "PB_CONNECT";

/// Brings the answer to a sign-in, to the one connection that the page was made for.
pub(crate) const OAUTH2: &str = "@oauth2";

/// What a topic's name says about it. Only the server knows for sure: a custom
/// topic may look like a record's.
///
/// [`Topic::kind`] has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TopicKind<'a> {
    /// `posts/*`
    Collection(&'a str),
    /// `posts/9f3k2m1x0abcdef`: 15 of `[a-z0-9]`, or a UUID as BosBase makes them.
    Record(&'a str, &'a str),
    /// `posts`: the whole collection where one has that name, else a custom topic.
    Bare(&'a str),
    /// `jobs/finished`
    Custom(&'a str),
    /// `PB_CONNECT`
    Connect,
}

/// A topic with its options.
///
/// ```
/// use bosbase_watch::{Topic, filter};
///
/// let topic = Topic::collection("posts")
///     .filter(filter("status = {:s}", &[("s", "open".into())])?)
///     .expand("author")
///     .header("x-room", "42");
/// assert_eq!(topic.name(), "posts/*");
/// assert!(topic.key()?.starts_with("posts/*?options=%7B%22query%22%3A%7B%22filter%22"));
/// # Ok::<(), bosbase_watch::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    name: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Topic {
    /// All records of a collection: `name/*`.
    ///
    /// ```
    /// use bosbase_watch::Topic;
    ///
    /// assert_eq!(Topic::collection("posts").name(), "posts/*");
    /// assert_eq!(Topic::record("posts", "9f3k2m1x0abcdef").name(), "posts/9f3k2m1x0abcdef");
    /// assert_eq!(Topic::custom("jobs/finished").name(), "jobs/finished");
    /// ```
    pub fn collection(name: impl fmt::Display) -> Self {
        Self::custom(format!("{name}/*"))
    }

    /// One record of a collection.
    pub fn record(collection: impl fmt::Display, id: impl fmt::Display) -> Self {
        Self::custom(format!("{collection}/{id}"))
    }

    /// Any topic by its name, taken as it is.
    pub fn custom(name: impl Into<String>) -> Self {
        Self { name: name.into(), query: Vec::new(), headers: Vec::new() }
    }

    /// Reads a topic as it is typed: the options follow the first `?` as
    /// `key=value` pairs, separated by a single `&` outside quotes (`&&`
    /// belongs to the filter). `header.NAME` is a header, any other key a query
    /// parameter. Nothing is percent-decoded.
    ///
    /// ```
    /// use bosbase_watch::Topic;
    ///
    /// let topic = Topic::parse(r#"posts/*?filter=status="a&b"&&stars>3&expand=author"#)?;
    /// assert_eq!(topic.option("filter"), Some(r#"status="a&b"&&stars>3"#));
    /// assert_eq!(topic.option("expand"), Some("author"));
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn parse(input: &str) -> Result<Self> {
        let (name, options) = match input.split_once('?') {
            Some((name, options)) => (name, Some(options)),
            None => (input, None),
        };
        let mut topic = Self::custom(name);
        for option in split_options(options.unwrap_or_default()) {
            let option = option.map_err(|quote| {
                invalid(format!("the topic {name} has a {quote} that is not closed in its options"))
            })?;
            let Some((key, value)) = option.split_once('=') else {
                return Err(invalid(format!("the topic {name} has an option without a value: {option:?}")));
            };
            let key = key.trim();
            if key.is_empty() {
                return Err(invalid(format!("the topic {name} has an option without a name: {option:?}")));
            }
            match key.strip_prefix("header.") {
                Some(header) if topic.headers.iter().any(|(have, _)| have.eq_ignore_ascii_case(header)) => {
                    return Err(invalid(format!("the topic {name} has the header {header} twice")));
                }
                Some(header) => topic.headers.push((header.to_owned(), value.to_owned())),
                None if topic.option(key).is_some() => {
                    return Err(invalid(format!("the topic {name} has the option {key} twice")));
                }
                None => topic.query.push((key.to_owned(), value.to_owned())),
            }
        }
        topic.validate()?;
        Ok(topic)
    }

    /// Only records that match this filter expression.
    pub fn filter(self, filter: impl Into<String>) -> Self {
        self.query("filter", filter)
    }

    /// Relations to resolve into the record's `expand`, separated by commas.
    pub fn expand(self, expand: impl Into<String>) -> Self {
        self.query("expand", expand)
    }

    /// Only these fields of the record, separated by commas.
    ///
    /// ```
    /// use bosbase_watch::{Topic, filter};
    ///
    /// let open = filter("status = {:s}", &[("s", "open".into())])?;
    /// let topic = Topic::collection("posts").filter(open).expand("author").fields("title,expand.author.name");
    /// assert_eq!(topic.option("filter"), Some("status = 'open'"));
    /// assert_eq!(topic.option("fields"), Some("title,expand.author.name"));
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn fields(self, fields: impl Into<String>) -> Self {
        self.query("fields", fields)
    }

    /// A query parameter, which the collection's rules read as `@request.query.KEY`.
    /// A key that is there already is replaced.
    ///
    /// ```
    /// use bosbase_watch::Topic;
    ///
    /// let topic = Topic::collection("messages").expand("author").query("room", "42").query("room", "43");
    /// assert_eq!((topic.option("room"), topic.option("expand")), (Some("43"), Some("author")));
    /// assert_eq!(topic.options().len(), 2);
    /// ```
    pub fn query(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        self.query.retain(|(have, _)| *have != key);
        self.query.push((key, value.into()));
        self
    }

    /// A header, which the collection's rules read as `@request.headers.NAME`
    /// (in small letters, with `_` for `-`). Headers of the HTTP requests
    /// themselves are invisible to the rules of a feed.
    ///
    /// ```
    /// use bosbase_watch::Topic;
    ///
    /// // For a rule such as `@request.headers.x_room = room`.
    /// let topic = Topic::collection("messages").header("X-Room", "42");
    /// assert_eq!(topic.headers(), [("X-Room".to_owned(), "42".to_owned())]);
    /// assert!(topic.has_options());
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// The name, without options.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a query option such as `filter`.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(have, _)| have == key).map(|(_, value)| value.as_str())
    }

    /// The query options, in the order given.
    pub fn options(&self) -> &[(String, String)] {
        &self.query
    }

    /// The headers, in the order given.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Whether it has any option or header.
    pub fn has_options(&self) -> bool {
        !(self.query.is_empty() && self.headers.is_empty())
    }

    /// What the name says about the topic.
    ///
    /// ```
    /// use bosbase_watch::{Topic, TopicKind};
    ///
    /// assert_eq!(Topic::custom("posts/*").kind(), TopicKind::Collection("posts"));
    /// assert_eq!(Topic::custom("posts/9f3k2m1x0abcdef").kind(), TopicKind::Record("posts", "9f3k2m1x0abcdef"));
    /// assert_eq!(Topic::custom("jobs/finished").kind(), TopicKind::Custom("jobs/finished"));
    /// assert_eq!(Topic::custom("posts").kind(), TopicKind::Bare("posts"));
    /// ```
    pub fn kind(&self) -> TopicKind<'_> {
        if self.name == PB_CONNECT {
            return TopicKind::Connect;
        }
        match self.name.split_once('/') {
            None if is_collection_name(&self.name) => TopicKind::Bare(&self.name),
            Some((collection, "*")) if is_collection_name(collection) => TopicKind::Collection(collection),
            Some((collection, id)) if is_collection_name(collection) && is_record_id(id) => {
                TopicKind::Record(collection, id)
            }
            _ => TopicKind::Custom(&self.name),
        }
    }

    /// The key that the server is sent, byte for byte the name under which its
    /// events come back.
    ///
    /// Everything is escaped as JavaScript's `encodeURIComponent` does; where
    /// that would exceed [`MAX_KEY_BYTES`], only what the server needs escaped.
    /// A topic that is still too long is [`ErrorKind::InvalidTopic`].
    ///
    /// ```
    /// use bosbase_watch::{ErrorKind, Topic};
    ///
    /// assert_eq!(Topic::collection("posts").key()?, "posts/*");
    /// let expanded = Topic::collection("posts").expand("author").key()?;
    /// assert_eq!(expanded, "posts/*?options=%7B%22query%22%3A%7B%22expand%22%3A%22author%22%7D%7D");
    /// let long = Topic::collection("posts").filter("x".repeat(3000)).key();
    /// assert_eq!(long.unwrap_err().kind(), ErrorKind::InvalidTopic);
    /// # Ok::<(), bosbase_watch::Error>(())
    /// ```
    pub fn key(&self) -> Result<String> {
        self.encode(&self.query)
    }

    /// The key as the watch subscribes it: with the fields that the tool itself
    /// needs added to `fields`, and their names, to be cut out of what people see.
    pub(crate) fn wire_key(&self) -> Result<(String, Vec<&'static str>)> {
        let Some(fields) = self.with_added_fields() else { return Ok((self.key()?, Vec::new())) };
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(key, value)| (key.clone(), if key == "fields" { fields.clone() } else { value.clone() }))
            .collect();
        Ok((self.encode(&query)?, self.missing_fields()))
    }

    /// The `fields` with those that the tool itself needs; `None` where nothing needs to be added.
    pub(crate) fn with_added_fields(&self) -> Option<String> {
        let missing = self.missing_fields();
        if missing.is_empty() {
            return None;
        }
        Some(split_fields(self.option("fields")?).chain(missing).collect::<Vec<_>>().join(","))
    }

    fn missing_fields(&self) -> Vec<&'static str> {
        let (Some(fields), false) = (self.option("fields"), matches!(self.kind(), TopicKind::Custom(_))) else {
            return Vec::new();
        };
        let asked: Vec<&str> = split_fields(fields).collect();
        // None at all means all of them, to the server too.
        if asked.is_empty() || asked.contains(&"*") {
            return Vec::new();
        }
        // A field with a modifier, `title:excerpt(3)`, is there as well.
        let asked: Vec<&str> = asked.iter().map(|field| field.split(':').next().unwrap_or_default()).collect();
        ["id", "created", "updated"].into_iter().filter(|field| !asked.contains(field)).collect()
    }

    fn encode(&self, query: &[(String, String)]) -> Result<String> {
        self.validate()?;
        if !self.has_options() {
            return self.checked_length(self.name.clone());
        }
        let object = |pairs: &[(String, String)]| {
            Value::Object(pairs.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect())
        };
        let mut options = Map::new();
        if !query.is_empty() {
            options.insert("query".into(), object(query));
        }
        if !self.headers.is_empty() {
            options.insert("headers".into(), object(&self.headers));
        }
        let json = Value::Object(options).to_string();
        let separator = if self.name.contains('?') { '&' } else { '?' };
        let prefix = format!("{}{separator}options=", self.name);
        let full = format!("{prefix}{}", escape(&json, |c| c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c)));
        if full.len() <= MAX_KEY_BYTES {
            return Ok(full);
        }
        // Enough for Go's url.Parse and Query (protocol document, C4).
        let minimal = escape(&json, |c| !(c.is_ascii_control() || "%&#+;".contains(c)));
        self.checked_length(format!("{prefix}{minimal}"))
    }

    fn checked_length(&self, key: String) -> Result<String> {
        if key.len() <= MAX_KEY_BYTES {
            return Ok(key);
        }
        let shown: String = self.name.chars().take(40).collect();
        Err(invalid(format!(
            "the topic {shown}{} takes {} bytes as it is sent, and the server allows {MAX_KEY_BYTES}",
            if self.has_options() { " with its options" } else { "" },
            key.len()
        )))
    }

    fn validate(&self) -> Result<()> {
        let name = &self.name;
        if name.is_empty() {
            return Err(invalid("a topic is empty"));
        }
        if name.chars().any(char::is_control) {
            return Err(invalid(format!("the topic {name:?} holds a control character")));
        }
        if name.trim() != name {
            return Err(invalid(format!("the topic {name:?} begins or ends with a space")));
        }
        // Go's url.Parse reads the name too: what it cannot parse it answers
        // by dropping the options.
        if self.has_options() && (name.contains(['%', '#', ':', ';']) || name.starts_with("//")) {
            return Err(invalid(format!(
                "the topic {name} cannot have options: with one of % # : ; in its name the server would drop them"
            )));
        }
        for (header, value) in &self.headers {
            if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
                return Err(Error::new(ErrorKind::InvalidHeader, format!("not a header name: {header:?}")));
            }
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(Error::new(
                    ErrorKind::InvalidHeader,
                    format!("the value of the header {header} holds a control character"),
                ));
            }
            if header.eq_ignore_ascii_case("authorization") {
                return Err(Error::new(
                    ErrorKind::InvalidHeader,
                    "an Authorization header of a topic does nothing: the login decides",
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Header values may be secrets of the collection's rules: only names are shown.
impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .field("query", &self.query)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish()
    }
}

/// Whether it has the shape of a record id that a server makes itself: 15 of
/// `[a-z0-9]` (PocketBase) or a UUID (BosBase).
///
/// ```
/// use bosbase_watch::is_record_id;
///
/// assert!(is_record_id("9f3k2m1x0abcdef"));
/// assert!(is_record_id("0198c0de-7b6a-7cc3-98c4-dc0c0c07398f"));
/// assert!(!is_record_id("finished"));
/// ```
pub fn is_record_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.len() {
        15 => bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
        36 => bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        }),
        _ => false,
    }
}

/// Whether the server would accept it as the name or id of a collection.
pub(crate) fn is_collection_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidTopic, message)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if keep(c) {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Splits at single `&` outside quotes. An error is the quote that is never closed.
fn split_options(text: &str) -> impl Iterator<Item = Result<&str, char>> {
    let mut rest = Some(text).filter(|text| !text.is_empty());
    std::iter::from_fn(move || {
        let text = rest?;
        let bytes = text.as_bytes();
        let (mut at, mut quote) = (0, None);
        while at < bytes.len() {
            match (bytes[at], quote) {
                (b'\\', Some(_)) => at += 1,
                (b, Some(open)) if b == open => quote = None,
                (b @ (b'"' | b'\''), None) => quote = Some(b),
                (b'&', None) if bytes.get(at + 1) == Some(&b'&') => at += 1,
                (b'&', None) => {
                    rest = Some(&text[at + 1..]);
                    return Some(Ok(&text[..at]));
                }
                _ => {}
            }
            at += 1;
        }
        rest = None;
        Some(match quote {
            Some(open) => Err(char::from(open)),
            None => Ok(text),
        })
    })
}

/// The entries of a `fields` option: separated by commas outside parentheses.
pub(crate) fn split_fields(fields: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    fields
        .split(move |c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|field| !field.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server reads back from a key.
    fn server_reads(key: &str) -> Value {
        let (query, headers) = crate::fuzzing::server_reads(key);
        serde_json::json!({ "query": query, "headers": headers })
    }

    #[test]
    fn kinds() {
        for (name, kind) in [
            ("posts/*", TopicKind::Collection("posts")),
            ("posts/9f3k2m1x0abcdef", TopicKind::Record("posts", "9f3k2m1x0abcdef")),
            (
                "posts/0198c0de-7b6a-7cc3-98c4-dc0c0c07398f",
                TopicKind::Record("posts", "0198c0de-7b6a-7cc3-98c4-dc0c0c07398f"),
            ),
            ("posts", TopicKind::Bare("posts")),
            ("jobs/finished", TopicKind::Custom("jobs/finished")),
            ("jobs/a/*", TopicKind::Custom("jobs/a/*")),
            ("a-b/*", TopicKind::Custom("a-b/*")),
            ("*", TopicKind::Custom("*")),
            ("PB_CONNECT", TopicKind::Connect),
        ] {
            assert_eq!(Topic::custom(name).kind(), kind, "{name}");
        }
    }

    #[test]
    fn parses_options_as_typed() {
        let topic = Topic::parse(r#"posts/*?filter=a="x&y\"&z"&&b='&'&expand=c&header.X-A=1&q=%41"#).unwrap();
        assert_eq!(topic.option("filter"), Some(r#"a="x&y\"&z"&&b='&'"#));
        assert_eq!(topic.option("expand"), Some("c"));
        assert_eq!(topic.option("q"), Some("%41"));
        assert_eq!(topic.headers(), [("X-A".to_owned(), "1".to_owned())]);
        assert_eq!(Topic::parse("posts/*?filter=a=1||b=2").unwrap().option("filter"), Some("a=1||b=2"));
        assert_eq!(Topic::parse("posts/*?").unwrap(), Topic::custom("posts/*"));
    }

    #[test]
    fn refuses_what_would_not_arrive() {
        for (input, message) in [
            ("", "a topic is empty"),
            ("?filter=a", "a topic is empty"),
            ("a\nb", "the topic \"a\\nb\" holds a control character"),
            (" a", "the topic \" a\" begins or ends with a space"),
            ("a/*?b", "the topic a/* has an option without a value: \"b\""),
            ("a/*?b=1&", "the topic a/* has an option without a value: \"\""),
            ("a/*?=1", "the topic a/* has an option without a name: \"=1\""),
            ("a/*?filter=a='x", "the topic a/* has a ' that is not closed in its options"),
            ("a/*?b=1&b=2", "the topic a/* has the option b twice"),
            ("a/*?header.a b=1", "not a header name: \"a b\""),
            (
                "100%?a=1",
                "the topic 100% cannot have options: with one of % # : ; in its name the server would drop them",
            ),
        ] {
            let message = message.to_owned();
            assert_eq!(Topic::parse(input).unwrap_err().to_string(), message, "{input}");
        }
    }

    #[test]
    fn encodes_so_that_the_server_reads_the_same() {
        let topic = Topic::collection("posts")
            .filter("a = \"x&y#z%+;\u{e9}\u{2028}\n\" && b > 3")
            .query("k", "v")
            .header("X-Room", "4 2");
        assert_eq!(
            server_reads(&topic.key().unwrap()),
            serde_json::json!({
                "query": {"filter": "a = \"x&y#z%+;\u{e9}\u{2028}\n\" && b > 3", "k": "v"},
                "headers": {"X-Room": "4 2"},
            })
        );
    }

    #[test]
    fn escapes_less_before_giving_up() {
        let filter = format!("a = '{}'", "é =".repeat(500));
        let topic = Topic::collection("posts").filter(&filter);
        let key = topic.key().unwrap();
        assert!(key.len() <= MAX_KEY_BYTES && key.contains('é'), "{} {key}", key.len());
        assert_eq!(server_reads(&key)["query"]["filter"], filter);

        let error = Topic::collection("posts").filter("x".repeat(2500)).key().unwrap_err();
        assert!(error.to_string().contains("and the server allows 2500"), "{error}");
    }

    #[test]
    fn adds_the_fields_that_the_tool_needs() {
        let (key, added) = Topic::collection("posts").fields("title:excerpt(3,true), id").wire_key().unwrap();
        assert_eq!(server_reads(&key)["query"]["fields"], "title:excerpt(3,true),id,created,updated");
        assert_eq!(added, ["created", "updated"]);
        let (_, added) = Topic::collection("posts").fields("*,expand.author.name").wire_key().unwrap();
        assert!(added.is_empty());
        for all in ["", " , ", "id:excerpt(4),created,updated"] {
            assert!(Topic::collection("posts").fields(all).wire_key().unwrap().1.is_empty(), "{all}");
        }
        let topic = Topic::custom("jobs/finished").fields("a");
        assert_eq!(topic.wire_key().unwrap(), (topic.key().unwrap(), vec![]));
    }

    proptest::proptest! {
        #[test]
        fn any_option_survives(filter in "\\PC{0,300}", header in "[ -~]{0,40}") {
            let topic = Topic::collection("posts").filter(&filter).header("x-h", &header);
            if let Ok(key) = topic.key() {
                let read = server_reads(&key);
                proptest::prop_assert_eq!(&read["query"]["filter"], &filter);
                proptest::prop_assert_eq!(&read["headers"]["x-h"], &header);
            }
        }

        #[test]
        fn parsing_never_panics(input in "\\PC{0,80}") {
            let _ = Topic::parse(&input).and_then(|topic| topic.key());
        }
    }
}

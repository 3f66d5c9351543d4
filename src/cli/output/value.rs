//! The fields of a record as a person wants to see them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::line::{fitting, text_width};
use super::sanitize;

/// What every record has and what seldom tells anything.
const META: [&str; 5] = ["id", "collectionId", "collectionName", "created", "updated"];

/// Fields that people name a record by; the best first.
const NAMING: [&str; 10] =
    ["title", "name", "subject", "label", "username", "email", "text", "message", "content", "body"];

/// A value that takes more bytes is shown behind the shorter ones, which it would push off the line.
const LONG: usize = 32;

/// With more fields a change is not searched for: the time to pair them grows with the square.
const MAX_COMPARED: usize = 500;

/// Borrows where there is no escape in it, which a bare `Cow` never does.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A field: its name, or the path of what stands for an expanded relation, and its JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    json: Cow<'a, str>,
    /// What is in the record itself, where a relation shows what names its record.
    id: Option<&'a str>,
}

/// The fields to be shown.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) fields: Vec<Field<'a>>,
    /// Whether the first is what people name the record by.
    pub(super) named: bool,
}

/// A field that is not what it was. `None`: it was not there, or is no more.
#[derive(Debug, PartialEq)]
pub(super) struct Change<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) before: Option<Cow<'a, str>>,
    pub(super) after: Option<Cow<'a, str>>,
}

impl<'a> Field<'a> {
    fn new(name: Cow<'a, str>, json: &'a str) -> Self {
        Self { name, json: Cow::Borrowed(json), id: None }
    }

    /// Its value as compact JSON.
    pub(super) fn value(&self) -> Cow<'_, str> {
        compact(&self.json)
    }

    fn is_long(&self) -> bool {
        self.json.len() > LONG
    }

    /// Whether it was not filled in, as far as that can be told from a 0 or a `false`.
    fn is_empty(&self) -> bool {
        matches!(&*self.json, "\"\"" | "null" | "[]" | "{}")
    }

    fn into_value(self) -> Cow<'a, str> {
        match self.json {
            Cow::Borrowed(json) => compact(json),
            Cow::Owned(json) => Cow::Owned(compact(&json).into_owned()),
        }
    }
}

impl Change<'_> {
    fn len(&self) -> usize {
        [&self.before, &self.after].into_iter().flatten().map(|value| value.len()).sum()
    }
}

/// A record taken apart, once for all that is asked of it.
pub(super) struct Record<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Record<'a> {
    pub(super) fn read(json: &'a str) -> Self {
        Self { members: members(json) }
    }

    /// The text of a member; `None` where it is not text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        serde_json::from_str(self.get(name)?).ok().map(|Text(text)| text)
    }

    /// The members that the other has not.
    fn without(&self, other: &Record<'_>) -> Self {
        let same = |at: usize, member| other.members.get(at) == Some(member) || other.members.contains(member);
        let members = self.members.iter().enumerate().filter(|&(at, member)| !same(at, member));
        Self { members: members.map(|(_, member)| member.clone()).collect() }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, json)| *json)
    }

    /// What to show, in the order in which people read it: what names the record, its other
    /// fields, long ones last, ids of other records, what else is resolved, and what is empty. A relation that is resolved shows
    /// what names its record in place of the id. What every record has is shown only where there
    /// is nothing else.
    pub(super) fn shown(&self) -> Shown<'a> {
        let mut shown = self.own();
        if shown.fields.is_empty() {
            let members = self.members.iter().cloned();
            shown.fields.extend(members.map(|(name, json)| Field::new(name, json)));
        }
        shown
    }

    fn own(&self) -> Shown<'a> {
        let (mut fields, mut ids) = (Vec::with_capacity(self.members.len()), Vec::new());
        let is_expand = |name: &str, json: &str| name == "expand" && json.starts_with('{');
        let expand = self.members.iter().find(|(name, json)| is_expand(name, json));
        let mut relations = expand.map(|(_, json)| members(json)).unwrap_or_default();
        for (name, json) in &self.members {
            if is_expand(name, json) || META.contains(&name.as_ref()) {
                continue;
            }
            let mut field = Field::new(name.clone(), json);
            if let Some(at) = relations.iter().position(|(relation, _)| relation == name)
                && let Some((_, label)) = label(relations[at].1).filter(|_| is_whole(json, relations[at].1))
            {
                relations.remove(at);
                (field.json, field.id) = (label, Some(*json));
                fields.push(field);
            } else if is_reference(json) {
                ids.push(field);
            } else {
                fields.push(field);
            }
        }
        let name = naming(fields.iter().map(|field| (&*field.name, &*field.json)));
        if let Some(at) = name {
            fields[..=at].rotate_right(1);
        }
        long_last(&mut fields, usize::from(name.is_some()), Field::is_long);
        let mut empty: Vec<_> = fields.extract_if(.., |field| field.is_empty()).collect();
        fields.append(&mut ids);
        fields.extend(relations.into_iter().map(|(relation, json)| expanded(&relation, json)));
        fields.append(&mut empty);
        Shown { fields, named: name.is_some() }
    }

    /// What differs from an older copy, what is long last. Where nothing is seen to differ but the
    /// time of the update, that. `None` where it is too much to compare.
    pub(super) fn changes(&self, old: &Record<'a>) -> Option<Vec<Change<'a>>> {
        if self.members.len().max(old.members.len()) > MAX_COMPARED {
            return None;
        }
        // Most fields are the same bytes: they are not looked into.
        let (before, after) = (old.without(self).own().fields, self.without(old).own().fields);
        if before.len().max(after.len()) > MAX_COMPARED {
            return None;
        }
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        let mut changes = Vec::new();
        for (at, field) in after.into_iter().enumerate() {
            let same = |old: &&mut Option<Field<'_>>| old.as_ref().is_some_and(|old| old.name == field.name);
            // Mostly the fields stand where they stood.
            let old = match before.get_mut(at).filter(same) {
                Some(old) => old.take(),
                None => before.iter_mut().find(same).and_then(Option::take),
            };
            // The same value may be written in two ways: what is listed and what is sent differ in escapes.
            let name = field.name.clone();
            let ids = old.as_ref().and_then(|old| old.id).zip(field.id);
            let (mut before, mut after) = (old.map(Field::into_value), field.into_value());
            if let Some((old, new)) = ids.filter(|(old, new)| old != new && before.as_ref() == Some(&after)) {
                // Another record, which is called the same.
                (before, after) = (Some(compact(old)), compact(new));
            }
            if before.as_ref() != Some(&after) {
                changes.push(Change { name, before, after: Some(after) });
            }
        }
        let gone = before.into_iter().flatten();
        changes.extend(gone.map(|old| Change { name: old.name.clone(), before: Some(old.into_value()), after: None }));
        long_last(&mut changes, 0, |change| change.len() > LONG);
        if changes.is_empty() {
            let (before, after) = (old.get("updated").map(compact), self.get("updated").map(compact));
            if before != after {
                changes.push(Change { name: "updated".into(), before, after });
            }
        }
        Some(changes)
    }
}

/// Puts what is long behind what is not, from a place on.
fn long_last<T>(items: &mut Vec<T>, from: usize, is_long: impl Fn(&T) -> bool) {
    let long: Vec<T> = items.extract_if(from.., |item| is_long(item)).collect();
    items.extend(long);
}

/// JSON without needless space and with no more escapes than it needs, for reading.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    let nested = json.starts_with(['{', '[']);
    if !json.bytes().any(|b| b == b'\\' || (nested && b.is_ascii_whitespace())) {
        return Cow::Borrowed(json);
    }
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find(|c: char| c == '"' || c.is_ascii_whitespace()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('"') {
            let (string, after) = rest.split_at(string_end(rest));
            push_string(&mut out, string);
            rest = after;
        } else {
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The value in as many columns at most: a string keeps its quotes.
pub(super) fn shorten(value: &str, columns: usize) -> Cow<'_, str> {
    let text = sanitize::terminal(value);
    if text_width(&text) <= columns {
        return text;
    }
    Cow::Owned(match unquote(&text) {
        Some(inner) => format!("\"{}…\"", fitting(inner, columns.saturating_sub(3))),
        None => format!("{}…", fitting(&text, columns.saturating_sub(1))),
    })
}

/// Shortens two values so that the place is seen from which on they differ.
pub(super) fn shorten_both(before: &str, after: &str, columns: usize) -> (String, String) {
    /// So much of what is the same is left before what is not.
    const CONTEXT: usize = 8;
    let context = CONTEXT.min(columns * 2 / 5);
    let short = |value| shorten(value, columns).into_owned();
    let (old, new) = (sanitize::terminal(before), sanitize::terminal(after));
    if let (Some(old), Some(new)) = (unquote(&old), unquote(&new))
        && text_width(old).max(text_width(new)) + 2 > columns
    {
        let same = old.char_indices().zip(new.chars()).take_while(|((_, a), b)| a == b);
        let places: Vec<_> = same.map(|((at, _), _)| at).collect();
        if places.len() > context + 4 {
            let from = places[places.len() - context];
            return (short(&format!("\"…{}\"", &old[from..])), short(&format!("\"…{}\"", &new[from..])));
        }
    }
    (short(before), short(after))
}

fn unquote(json: &str) -> Option<&str> {
    json.strip_prefix('"')?.strip_suffix('"')
}

/// An expanded relation by what names its record, or its records; else as it is.
fn expanded<'a>(relation: &str, json: &'a str) -> Field<'a> {
    match label(json) {
        Some((name, json)) => Field { name: format!("expand.{relation}.{name}").into(), json, id: None },
        None => Field::new(format!("expand.{relation}").into(), json),
    }
}

/// What names an expanded record, or all of several: the field and its value.
fn label(json: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    fn one(record: &str) -> Option<(Cow<'_, str>, &str)> {
        let members = members(record);
        let at = naming(members.iter().map(|(name, json)| (&**name, *json)))?;
        members.into_iter().nth(at)
    }
    if !json.starts_with('[') {
        return one(json).map(|(name, value)| (name, Cow::Borrowed(value)));
    }
    let records: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let named: Vec<_> = records.into_iter().map(|record| one(record.get())).collect::<Option<_>>()?;
    let (first, _) = named.first()?;
    if named.iter().any(|(name, _)| name != first) {
        return None;
    }
    let values: Vec<_> = named.iter().map(|(_, value)| *value).collect();
    Some((first.clone(), Cow::Owned(format!("[{}]", values.join(",")))))
}

/// Whether all that a relation refers to was resolved: what this login may not see is left out.
fn is_whole(ids: &str, expanded: &str) -> bool {
    let count = |json| serde_json::from_str::<Vec<&RawValue>>(json).map_or(0, |items| items.len());
    match (ids.starts_with('['), expanded.starts_with('[')) {
        (true, true) => count(ids) == count(expanded),
        (false, false) => true,
        _ => false,
    }
}

/// Whether it is the id of another record, or a list of such.
fn is_reference(json: &str) -> bool {
    let is_id = |json: &str| unquote(json).is_some_and(crate::is_record_id);
    match json.strip_prefix('[').and_then(|json| json.strip_suffix(']')) {
        Some(ids) => ids.split(',').all(|id| is_id(id.trim())),
        None => is_id(json),
    }
}

/// The place of the field that names a record best.
fn naming<'f>(fields: impl Iterator<Item = (&'f str, &'f str)>) -> Option<usize> {
    fields
        .enumerate()
        .filter(|(_, (_, json))| json.len() > 2 && json.starts_with('"'))
        .filter_map(|(at, (name, _))| Some((NAMING.iter().position(|naming| *naming == name)?, at)))
        .min()
        .map(|(_, at)| at)
}

/// The members of an object, in their order; none where it is not one.
fn members(json: &str) -> Vec<(Cow<'_, str>, &str)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::with_capacity(16);
            while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &RawValue>()? {
                members.push((name, value.get()));
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(json).deserialize_map(Members).unwrap_or_default()
}

/// Where the JSON string ends that this begins with.
fn string_end(json: &str) -> usize {
    let (bytes, mut at) = (json.as_bytes(), 1);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn push_string(out: &mut String, string: &str) {
    let decoded = if string.contains('\\') { serde_json::from_str::<String>(string).ok() } else { None };
    match decoded {
        Some(text) => out.push_str(&serde_json::Value::String(text).to_string()),
        // Half of a surrogate pair has no other form.
        None => out.push_str(string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(record: &str) -> String {
        let fields: Vec<_> = Record::read(record)
            .shown()
            .fields
            .iter()
            .map(|field| format!("{}={}", field.name, field.value()))
            .collect();
        fields.join(" ")
    }

    fn diff(old: &str, new: &str) -> String {
        let changes: Vec<_> = Record::read(new)
            .changes(&Record::read(old))
            .unwrap()
            .iter()
            .map(|change| {
                let side = |side: &Option<Cow<'_, str>>| side.as_deref().unwrap_or("-").to_owned();
                format!("{}: {} > {}", change.name, side(&change.before), side(&change.after))
            })
            .collect();
        changes.join(", ")
    }

    #[test]
    fn fields_of_a_record() {
        for (record, fields) in [
            (r#"{"collectionId":"c","collectionName":"posts","id":"a","n":1.50,"created":"","updated":""}"#, "n=1.50"),
            (r#"{"author":"u1","status":"draft","title":"Hello"}"#, r#"title="Hello" author="u1" status="draft""#),
            (r#"{"title":"","name":"N","e":[],"a":1}"#, r#"name="N" a=1 title="" e=[]"#),
            (
                r#"{"body":"a text that takes most of a line by itself","n":1,"title":"T","z":null}"#,
                r#"title="T" n=1 body="a text that takes most of a line by itself" z=null"#,
            ),
            (r#"{"id":"a","updated":"u"}"#, r#"id="a" updated="u""#),
            ("{}", ""),
            ("5", ""),
            (r#"{"a":{ "b" : [1, 2] , "c d" : "e f" }}"#, r#"a={"b":[1,2],"c d":"e f"}"#),
            (r#"{"a":"\u003cb\u003e \n \ud83d\ude00 \ud83d"}"#, r#"a="\u003cb\u003e \n \ud83d\ude00 \ud83d""#),
            (r#"{"a":"\u003cb\u003e \n \ud83d\ude00 \\"}"#, r#"a="<b> \n 😀 \\""#),
            (
                r#"{"author":"u1","expand":{"author":{"id":"u1","email":"a@b","name":"Ann"}},"n":1}"#,
                r#"author="Ann" n=1"#,
            ),
            (
                r#"{"author":"oo24noecaparkw1","n":1,"tags":["oo24noecaparkw1","oo24noecaparkw2"],"text":"Hi"}"#,
                r#"text="Hi" n=1 author="oo24noecaparkw1" tags=["oo24noecaparkw1","oo24noecaparkw2"]"#,
            ),
            // One of the two may not be seen.
            (r#"{"tags":["a","b"],"expand":{"tags":[{"name":"x"}]}}"#, r#"tags=["a","b"] expand.tags.name=["x"]"#),
            (r#"{"tags":["a","b"],"expand":{"tags":[{"name":"x"},{"name":"y"}]}}"#, r#"tags=["x","y"]"#),
            (
                r#"{"expand":{"tags":[{"name":"a"},{"name":"b"}],"x":[{"name":"a"},{"title":"b"}],"y":{"z":1},"e":[]}}"#,
                r#"expand.tags.name=["a","b"] expand.x=[{"name":"a"},{"title":"b"}] expand.y={"z":1} expand.e=[]"#,
            ),
            (r#"{"expand":"text"}"#, r#"expand="text""#),
        ] {
            assert_eq!(list(record), fields);
        }
        let named = |record| Record::read(record).shown().named;
        assert!(named(r#"{"a":1,"title":"x"}"#) && !named(r#"{"a":"title"}"#));
    }

    #[test]
    fn differences() {
        for (old, new, changes) in [
            (r#"{"s":"draft","n":1}"#, r#"{"s":"live","n":1}"#, r#"s: "draft" > "live""#),
            (r#"{"a":1,"b":2}"#, r#"{"b":3,"a":1}"#, "b: 2 > 3"),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#, "c: - > 2, b: 2 > -"),
            (r#"{"a":"\u003c","o":{"x": 1}}"#, r#"{"a":"<","o":{"x":1}}"#, ""),
            (r#"{"a":1,"updated":"x"}"#, r#"{"a":1,"updated":"y"}"#, r#"updated: "x" > "y""#),
            (r#"{"a":1,"updated":"x"}"#, r#"{"a":2,"updated":"y"}"#, "a: 1 > 2"),
            (
                r#"{"u":"1","expand":{"u":{"name":"A"}}}"#,
                r#"{"u":"1","expand":{"u":{"name":"B"}}}"#,
                r#"expand.u.name: "A" > "B""#,
            ),
            (
                r#"{"u":"1","expand":{"u":{"id":"1","name":"A"}}}"#,
                r#"{"u":"2","expand":{"u":{"id":"2","name":"B"}}}"#,
                r#"u: "A" > "B""#,
            ),
            // Two who are called the same.
            (
                r#"{"u":"1","expand":{"u":{"id":"1","name":"A"}}}"#,
                r#"{"u":"2","expand":{"u":{"id":"2","name":"A"}}}"#,
                r#"u: "1" > "2""#,
            ),
            (
                r#"{"big":18446744073709551617}"#,
                r#"{"big":18446744073709551618}"#,
                "big: 18446744073709551617 > 18446744073709551618",
            ),
        ] {
            assert_eq!(diff(old, new), changes);
        }
        let many: Vec<_> = (0..=MAX_COMPARED).map(|n| format!("\"k{n}\":1")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(Record::read(&many).changes(&Record::read("{}")), None);
    }

    #[test]
    fn shortened() {
        assert_eq!(shorten(r#""abcdef""#, 8), r#""abcdef""#);
        assert_eq!(shorten(r#""abcdef""#, 7), r#""abcd…""#);
        assert_eq!(shorten("[1,2,3]", 5), "[1,2…");
        assert_eq!(shorten("\"日本語\"", 6), "\"日…\"");
        // A variation selector counts, whatever stands before it.
        assert!(text_width(&shorten("\"\u{fe0f}0\u{80} \"", 4)) <= 4);
        let (old, new) = ("\"the quick brown fox jumps\"", "\"the quick brown cat jumps over\"");
        assert_eq!(
            shorten_both(old, new, 20),
            ("\"…k brown fox jumps\"".to_owned(), "\"…k brown cat jump…\"".to_owned())
        );
        assert_eq!(shorten_both("1", "\"the quick brown\"", 8), ("1".to_owned(), "\"the q…\"".to_owned()));
    }

    proptest! {
        #[test]
        fn compact_means_the_same(text in super::super::sanitize::tests::text(), n in any::<i64>()) {
            let value = serde_json::json!({ &*text: [n, &*text, null, {"a b": text}] });
            for json in [value.to_string(), format!("{value:#}")] {
                let short = compact(&json);
                prop_assert_eq!(&short, &value.to_string());
                prop_assert_eq!(compact(&short), short.as_ref());
            }
        }

        #[test]
        fn shortened_fits(
            old in super::super::sanitize::tests::text(),
            new in super::super::sanitize::tests::text(),
            columns in 4_usize..60,
        ) {
            let [old, new] = [old, new].map(|text| serde_json::Value::from(text).to_string());
            let (old, new) = shorten_both(&old, &new, columns);
            prop_assert!(text_width(&old) <= columns && text_width(&new) <= columns);
        }
    }
}

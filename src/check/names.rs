//! Whether `expand`, `fields` and `filter` name what is there.
//!
//! The server says nothing where `expand` and `fields` match nothing, and not
//! what is wrong with a filter. It is judged on a record that was returned, or
//! on the schema that a superuser may read, and where neither is there, not at
//! all. What may be there for others, or in other records, is not complained of.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::Topic;
use crate::api::{CollectionInfo, FieldInfo};
use crate::topic::split_fields;

/// What is known of a collection.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    /// Records that were returned: one, or those that one refers to.
    pub(super) records: Vec<&'a Map<String, Value>>,
    /// The collection, where the schema is known.
    pub(super) collection: Option<&'a CollectionInfo>,
    /// All collections, for relations.
    pub(super) all: &'a [CollectionInfo],
}

/// A name that matches nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// A stable word for programs.
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The nearest name that is there.
    pub(super) near: Option<String>,
}

impl<'a> Known<'a> {
    fn field(&self, name: &str) -> Option<&'a FieldInfo> {
        self.collection?.fields.iter().find(|field| field.name == name)
    }

    fn nothing(&self) -> bool {
        self.records.is_empty() && self.collection.is_none()
    }

    /// What this collection is called, for people.
    fn called(&self, fallback: &str) -> String {
        let of_record = || self.records.first()?.get("collectionName")?.as_str();
        let name = self.collection.map(|collection| collection.name.as_str()).or_else(of_record);
        name.unwrap_or(fallback).to_owned()
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        let of_schema = self.collection.into_iter().flat_map(|collection| &collection.fields);
        let of_records = self.records.iter().take(1).flat_map(|record| record.keys());
        of_schema.map(|field| field.name.as_str()).chain(of_records.map(String::as_str))
    }

    /// Whether it is a relation, by the schema.
    fn is_relation(&self, name: &str) -> bool {
        self.field(name).map_or_else(|| self.back(name).is_some(), |field| field.kind == "relation")
    }

    /// Where a relation leads, by the schema.
    fn target(&self, name: &str) -> Option<&'a CollectionInfo> {
        match self.field(name) {
            Some(field) => {
                let id = field.collection_id.as_deref()?;
                self.all.iter().find(|collection| collection.id == id)
            }
            None => self.back(name),
        }
    }

    /// The collection whose relation leads here.
    fn back(&self, name: &str) -> Option<&'a CollectionInfo> {
        let (from, field) = back_relation(name)?;
        let from = self.all.iter().find(|collection| collection.name == from)?;
        let field = from.fields.iter().find(|have| have.name == field && have.kind == "relation")?;
        (field.collection_id.as_deref() == self.collection.map(|here| here.id.as_str())).then_some(from)
    }

    /// What stands in the records' `expand` under this name.
    fn expanded(&self, name: &str) -> Vec<&'a Map<String, Value>> {
        let found = self.records.iter().filter_map(|record| record.get("expand")?.get(name));
        found
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().filter_map(Value::as_object).collect(),
                other => other.as_object().into_iter().collect::<Vec<_>>(),
            })
            .collect()
    }

    /// What the relation leads to: the records that came, and the schema. `None` where nothing is known of it.
    fn follow(&self, name: &str) -> Self {
        Self { records: self.expanded(name), collection: self.target(name), all: self.all }
    }
}

/// `comments_via_post`, or `comments(post)` as it was written before: a collection and its field.
fn back_relation(name: &str) -> Option<(&str, &str)> {
    name.split_once("_via_").or_else(|| name.strip_suffix(')')?.split_once('('))
}

/// The collection that a step of a path leads to, by its id or name, where its relations say so.
pub(super) fn leads_to<'a>(here: &'a CollectionInfo, step: &'a str) -> Option<&'a str> {
    match here.fields.iter().find(|field| field.name == step) {
        Some(field) => field.collection_id.as_deref(),
        None => back_relation(step).map(|(from, _)| from),
    }
}

/// The paths that the options of a topic name: what each of them leads through.
pub(super) fn paths(topic: &Topic) -> impl Iterator<Item = Vec<&str>> {
    let option = |key| topic.option(key).unwrap_or_default();
    let lists = split_fields(option("expand")).chain(split_fields(option("fields")));
    let paths = lists.chain(identifiers(option("filter")));
    paths.filter(|path| !path.is_empty()).map(|path| {
        let path = path.split_once(':').map_or(path, |(path, _)| path);
        path.split('.').map(str::trim).filter(|step| *step != "expand").collect()
    })
}

/// The first path of an `expand` that leads nowhere.
pub(super) fn in_expand(expand: &str, known: &Known<'_>, name: &str) -> Option<Unknown> {
    split_fields(expand).find_map(|path| {
        let path: Vec<&str> = path.split('.').map(str::trim).collect();
        expand_path(&path, known, name)
    })
}

fn expand_path(path: &[&str], known: &Known<'_>, name: &str) -> Option<Unknown> {
    let (first, rest) = path.split_first()?;
    let unknown = |message: String, near: Option<String>| {
        Some(Unknown { code: "no-such-relation", message: format!("expand: {message}"), near })
    };
    if known.expanded(first).is_empty() && !known.nothing() {
        let called = known.called(name);
        if let Some(here) = known.collection {
            if !known.is_relation(first) {
                if known.field(first).is_some() {
                    return unknown(format!("{first} is not a relation of {called}"), None);
                }
                let relations = here.fields.iter().filter(|field| field.kind == "relation");
                let near = super::nearest(first, relations.map(|field| field.name.as_str())).map(str::to_owned);
                return unknown(format!("{called} has no relation {first}"), near);
            }
        } else if back_relation(first).is_none() {
            let values: Vec<&Value> = known.records.iter().filter_map(|record| record.get(*first)).collect();
            if values.is_empty() {
                let near = super::nearest(first, known.names()).map(str::to_owned);
                return unknown(format!("{called} has no relation {first}"), near);
            }
            let refers = |value: &&Value| match value {
                Value::String(id) => !id.is_empty(),
                Value::Array(ids) => !ids.is_empty(),
                Value::Null => false,
                _ => true,
            };
            if values.iter().any(refers) {
                // The server leaves all of a path out where a part of it fails.
                let what = match rest {
                    [] => format!("{first} of {called} is no relation, or leads to what this login may not see"),
                    _ => format!("{} of {called} leads nowhere, or to what this login may not see", path.join(".")),
                };
                return unknown(what, None);
            }
        }
    }
    expand_path(rest, &known.follow(first), first)
}

/// The first of the `fields` that matches nothing.
pub(super) fn in_fields(fields: &str, expand: &str, known: &Known<'_>, name: &str) -> Option<Unknown> {
    let expand: Vec<Vec<&str>> = split_fields(expand).map(|path| path.split('.').map(str::trim).collect()).collect();
    split_fields(fields).find_map(|field| {
        let (path, modifier) = field.split_once(':').map_or((field, None), |(path, modifier)| (path, Some(modifier)));
        if let Some(modifier) = modifier
            && !(modifier.starts_with("excerpt(") && modifier.ends_with(')'))
        {
            return Some(Unknown {
                code: "no-such-modifier",
                message: format!(
                    "fields: {field} has a modifier that the server does not know: the record comes whole"
                ),
                near: Some(format!("{path}:excerpt(100)")),
            });
        }
        let path: Vec<&str> = path.split('.').map(str::trim).collect();
        let expand: Vec<&[&str]> = expand.iter().map(Vec::as_slice).collect();
        field_path(&path, &expand, known, name)
    })
}

fn field_path(path: &[&str], expand: &[&[&str]], known: &Known<'_>, name: &str) -> Option<Unknown> {
    let unknown = |message: String, near: Option<String>| {
        Some(Unknown { code: "no-such-field", message: format!("fields: {message}"), near })
    };
    match path {
        [] | ["*" | "id" | "collectionId" | "collectionName", ..] => None,
        ["expand", rest @ ..] => {
            let below = |first: &&str| {
                let paths = expand.iter().filter_map(|path| path.split_first()).filter(|(have, _)| *have == first);
                paths.map(|(_, rest)| rest).collect::<Vec<_>>()
            };
            match rest {
                [] | ["*", ..] if !expand.is_empty() => None,
                [] | ["*", ..] => unknown("expand is always empty where --expand names no relation".into(), None),
                [first, rest @ ..] => {
                    let below = below(first);
                    if below.is_empty() {
                        return unknown(
                            format!("expand.{first} is always empty: --expand does not name {first}"),
                            super::nearest(first, expand.iter().filter_map(|path| path.first().copied()))
                                .map(str::to_owned),
                        );
                    }
                    field_path(rest, &below, &known.follow(first), first)
                }
            }
        }
        [first, ..] => {
            let is_there = known.records.iter().any(|record| record.contains_key(*first));
            // An e-mail shows in some records of an auth collection, and not in others.
            let may_be = known.collection.is_none() && *first == "email";
            if known.nothing() || is_there || may_be || known.field(first).is_some() {
                return None;
            }
            let near = super::nearest(first, known.names()).map(str::to_owned);
            unknown(format!("{} has no field {first}", known.called(name)), near)
        }
    }
}

/// The first field of a filter that is not there.
pub(super) fn in_filter(filter: &str, known: &Known<'_>, name: &str) -> Option<Unknown> {
    if known.nothing() {
        return None;
    }
    identifiers(filter).into_iter().find_map(|path| unknown(path, known, name))
}

/// What of a dotted name is not there.
fn unknown(path: &str, known: &Known<'_>, name: &str) -> Option<Unknown> {
    filter_path(&path.split('.').collect::<Vec<_>>(), known, name)
}

fn filter_path(path: &[&str], known: &Known<'_>, name: &str) -> Option<Unknown> {
    let (first, rest) = path.split_first()?;
    // `title:lower`
    let first = first.split(':').next().unwrap_or_default();
    if matches!(first, "id" | "collectionId" | "collectionName") || known.nothing() {
        return None;
    }
    match known.collection {
        Some(_) if known.is_relation(first) => filter_path(rest, &known.follow(first), first),
        Some(_) if known.field(first).is_some() => None,
        // A record shows no hidden field, and not every e-mail.
        None if first == "email" || back_relation(first).is_some() => None,
        None if known.records.iter().any(|record| record.contains_key(first)) => None,
        _ => Some(Unknown {
            code: "bad-filter",
            message: format!("{} has no field {first}", known.called(name)),
            near: super::nearest(first, known.names()).map(str::to_owned),
        }),
    }
}

/// The fields that are known, where a filter compares what is none of them.
pub(super) fn fields_instead(filter: &str, known: &Known<'_>) -> Option<String> {
    let is_unknown = |path: &str| unknown(path, known, "").is_some();
    // A word that nothing follows is a text without quotes.
    let is_it = |pair: &[Piece<'_>]| matches!(pair, [Piece::Name(path), Piece::Operator(_)] if is_unknown(path));
    pieces(filter).windows(2).any(is_it).then(|| {
        // A schema and a record name most of them twice.
        let mut said = HashSet::from(["collectionId", "collectionName", "expand"]);
        let names: Vec<_> = known.names().filter(|name| said.insert(name)).take(12).collect();
        format!("the fields here are {}", names.join(", "))
    })
}

/// What is wrong with a filter that is written as in another language.
pub(super) fn slip(filter: &str, known: &Known<'_>) -> Option<String> {
    let pieces = pieces(filter);
    if let Some(Piece::Unclosed(quote)) = pieces.last() {
        return Some(format!("the last {quote} is not closed by another"));
    }
    let has = |wrong| pieces.iter().any(|piece| matches!(piece, Piece::Operator(operator) if operator.contains(wrong)));
    let operator = [("<>", "!="), ("!==", "!="), ("==", "="), ("=~", "~")].into_iter().find(|(wrong, _)| has(*wrong));
    if let Some((wrong, right)) = operator {
        return Some(format!("`{wrong}` is `{right}` here"));
    }
    pieces.iter().find_map(|piece| {
        let Piece::Name(word) = piece else { return None };
        let right = match word.to_ascii_lowercase().as_str() {
            "and" => "&&",
            "or" => "||",
            "is" => "=",
            "like" | "ilike" | "contains" => "~",
            _ => return None,
        };
        let is_field = known.names().any(|name| name == *word);
        (!is_field).then(|| format!("`{word}` is `{right}` here"))
    })
}

/// The names of fields in a filter: not what stands in quotes or behind `//`,
/// no `@request…`, no number, no function.
fn identifiers(filter: &str) -> Vec<&str> {
    let names = pieces(filter).into_iter().filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Operator(_) | Piece::Unclosed(_) => None,
    });
    names.collect()
}

/// What a filter is made of, as far as it is looked at.
enum Piece<'a> {
    /// See [`identifiers`].
    Name(&'a str),
    /// What compares.
    Operator(&'a str),
    /// A text that does not end: its quote.
    Unclosed(char),
}

fn pieces(filter: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let bytes = filter.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\'' | b'"' => {
                at += 1;
                while bytes.get(at).is_some_and(|here| *here != byte) {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                if at >= bytes.len() {
                    found.push(Piece::Unclosed(byte.into()));
                }
                at += 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while bytes.get(at).is_some_and(|here| *here != b'\n') {
                    at += 1;
                }
            }
            _ if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'#') => {
                let start = at;
                while bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || b"_@#.:".contains(b)) {
                    at += 1;
                }
                let word = &filter[start..at];
                let is_function = filter[at..].trim_start().starts_with('(');
                let is_value = matches!(word.to_ascii_lowercase().as_str(), "true" | "false" | "null");
                if (byte.is_ascii_alphabetic() || byte == b'_') && !is_function && !is_value {
                    found.push(Piece::Name(word));
                }
            }
            b'<' | b'>' | b'=' | b'!' | b'~' => {
                let start = at;
                while bytes.get(at).is_some_and(|byte| b"<>=!~".contains(byte)) {
                    at += 1;
                }
                found.push(Piece::Operator(&filter[start..at]));
            }
            _ => at += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Vec<CollectionInfo> {
        let collection = |id: &str, name: &str, kind: &str, fields: Value| {
            serde_json::from_value(json!({ "id": id, "name": name, "type": kind, "fields": fields })).unwrap()
        };
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        let to = |name: &str, id: &str| json!({ "name": name, "type": "relation", "collectionId": id });
        vec![
            collection(
                "p",
                "posts",
                "base",
                json!([field("id", "text"), field("title", "text"), to("author", "u"), field("data", "json")]),
            ),
            collection("c", "comments", "base", json!([field("text", "text"), to("post", "p"), to("author", "u")])),
            collection("u", "users", "auth", json!([field("email", "email"), field("name", "text"), to("team", "t")])),
            collection("t", "teams", "base", json!([field("name", "text")])),
        ]
    }

    #[test]
    fn filters_of_another_language() {
        let known = Known { records: vec![], collection: None, all: &[] };
        for (filter, hint) in [
            (r#"status == "x""#, Some("`==` is `=` here")),
            (r#"status !== "x""#, Some("`!==` is `!=` here")),
            (r#"status <> "x""#, Some("`<>` is `!=` here")),
            ("a = 1 and b = 2", Some("`and` is `&&` here")),
            ("a = 1 OR b = 2", Some("`OR` is `||` here")),
            ("title LIKE 'x%'", Some("`LIKE` is `~` here")),
            ("title contains 'x'", Some("`contains` is `~` here")),
            ("title =~ 'x'", Some("`=~` is `~` here")),
            ("author is null", Some("`is` is `=` here")),
            (r#"status = "open"#, Some("the last \" is not closed by another")),
            ("a = 'it's'", Some("the last ' is not closed by another")),
            ("tags ?~ 'x' && title !~ 'y'", None),
            (r#"a = "x == y and 'z'" && b = 'it\'s == or'"#, None),
            ("android = 1 || for = 2", None),
            ("", None),
        ] {
            assert_eq!(slip(filter, &known).as_deref(), hint, "{filter}");
        }
        // Where there is such a field, it is one.
        let record = json!({ "and": 1 });
        let known = Known { records: vec![record.as_object().unwrap()], ..known };
        assert_eq!(slip("and = 1", &known), None);
    }

    fn post() -> Value {
        json!({
            "collectionName": "posts", "collectionId": "p", "id": "r", "title": "x", "author": "a", "editor": "",
            "data": { "k": 1 },
            "expand": {
                "author": { "collectionName": "users", "id": "a", "name": "Ann", "verified": true, "team": "t1" },
                "comments_via_post": [{ "collectionName": "comments", "id": "c1", "text": "x", "author": "" }],
            },
        })
    }

    /// What is said with a record, and with a schema.
    fn said(judge: impl Fn(&Known<'_>) -> Option<Unknown>) -> [Option<String>; 2] {
        let (all, post) = (schema(), post());
        let by_record = Known { records: vec![post.as_object().unwrap()], collection: None, all: &[] };
        let by_schema = Known { records: Vec::new(), collection: all.first(), all: &all };
        let nothing = Known { records: Vec::new(), collection: None, all: &[] };
        // What needs no knowledge of the collection is said in any case.
        let is_plain = |found: &Unknown| !["always empty", "modifier"].iter().any(|word| found.message.contains(word));
        assert_eq!(judge(&nothing).filter(is_plain), None);
        [by_record, by_schema].map(|known| {
            let found = judge(&known)?;
            let near = found.near.map(|near| format!(" ({near})")).unwrap_or_default();
            Some(found.message + &near)
        })
    }

    #[test]
    fn expands() {
        let of = |expand: &str| said(|known| in_expand(expand, known, "posts"));
        for fine in ["", "author", " author , comments_via_post", "comments(post)", "comments_via_post.author"] {
            assert_eq!(of(fine), [None, None], "{fine}");
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            of("auhtor").map(Option::unwrap),
            ["expand: posts has no relation auhtor (author)"; 2].map(str::to_owned)
        );
        assert_eq!(
            of("title"),
            [
                text("expand: title of posts is no relation, or leads to what this login may not see"),
                text("expand: title is not a relation of posts"),
            ]
        );
        // Nothing shows where the relation is empty, or leads, or whether others have it.
        assert_eq!(of("editor")[0], None);
        assert_eq!(of("likes_via_post"), [None, text("expand: posts has no relation likes_via_post")]);
        assert_eq!(of("comments_via_author"), [None, text("expand: posts has no relation comments_via_author")]);
        assert_eq!(
            of("author.team"),
            [text("expand: team of users is no relation, or leads to what this login may not see"), None]
        );
        assert_eq!(
            of("author.tema").map(Option::unwrap),
            ["expand: users has no relation tema (team)"; 2].map(str::to_owned)
        );
        assert_eq!(of("author.team.boss")[1], text("expand: teams has no relation boss"));
    }

    #[test]
    fn fields() {
        let of = |fields: &str, expand: &str| said(|known| in_fields(fields, expand, known, "posts"));
        for (fine, expand) in [
            ("", ""),
            ("*", ""),
            ("title, id,collectionName", ""),
            ("title:excerpt(3,true)", ""),
            ("data.k.other", ""),
            ("expand", "author"),
            ("*,expand.*", "author"),
            ("expand.author.name,expand.author.email", "author"),
            ("expand.author.expand.team.name", "author.team"),
            ("expand.comments_via_post.text", "comments_via_post"),
            ("expand.author.*", "author"),
        ] {
            assert_eq!(of(fine, expand), [None, None], "{fine}");
        }
        let both = |text: &str| [Some(text.to_owned()), Some(text.to_owned())];
        assert_eq!(of("id,titel", ""), both("fields: posts has no field titel (title)"));
        assert_eq!(of("expand.author.nmae", "author"), both("fields: users has no field nmae (name)"));
        assert_eq!(of("expand", ""), both("fields: expand is always empty where --expand names no relation"));
        assert_eq!(
            of("expand.auhtor.name", "author"),
            both("fields: expand.auhtor is always empty: --expand does not name auhtor (author)")
        );
        assert_eq!(
            of("expand.author.expand.team.name", "author")[1].as_deref(),
            Some("fields: expand.team is always empty: --expand does not name team")
        );
        assert!(of("title:upper()", "")[0].as_deref().unwrap().contains("a modifier that the server does not know"));
        // Not every record of an auth collection shows it.
        assert_eq!(of("email", ""), [None, Some("fields: posts has no field email".into())]);
    }

    #[test]
    fn filters() {
        let of = |filter: &str| said(|known| in_filter(filter, known, "posts"));
        for fine in [
            "title = 'no.such = 1' && id != \"x\"",
            "title:lower ~ 'a' || author.name ?= null // nothing = 1\n && data.k > 1.5",
            "comments_via_post.text ?~ 'x'",
            "geoDistance(1, 2, 3, 4) < 25 && author = @request.auth.id && title = TRUE",
        ] {
            assert_eq!(of(fine), [None, None], "{fine}");
        }
        let both = |text: &str| [Some(text.to_owned()), Some(text.to_owned())];
        assert_eq!(of("titel = 1"), both("posts has no field titel (title)"));
        assert_eq!(of("title = 'a\\'b' && nothing = 1"), both("posts has no field nothing"));
        assert_eq!(of("author.nmae = 1")[1].as_deref(), Some("users has no field nmae (name)"));
        assert_eq!(of("title = open")[1].as_deref(), Some("posts has no field open"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z'\"\\\\./@é (){}]{0,40}") {
            identifiers(&text);
            said(|known| in_filter(&text, known, "posts"));
            said(|known| in_fields(&text, &text, known, "posts"));
            said(|known| in_expand(&text, known, "posts"));
        }
    }
}

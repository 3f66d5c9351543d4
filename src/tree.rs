//! JSON as a tree of values, whatever its keys.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// An object as a tree of values. `serde_json`'s own, with `raw_value`, takes an object with
/// a key that it keeps for itself for something else, and whoever writes a record chooses its keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(document: D) -> Result<Self, D::Error> {
        match Node::deserialize(document)?.0 {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(D::Error::custom("no object")),
        }
    }
}

struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(document: D) -> Result<Self, D::Error> {
        document.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Map::new();
        while let Some((key, Node(value))) = map.next_entry::<String, Node>()? {
            members.insert(key, value);
        }
        Ok(Node(Value::Object(members)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(Node(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Node(Value::Array(values)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node(text.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node(number.into()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_whatever_keys() {
        let text = r#"{"a":[1,-1,1.5,"x",null,true,{"b":{}}],"$serde_json::private::RawValue":"no JSON"}"#;
        let Tree(tree) = serde_json::from_str(text).unwrap();
        assert_eq!(tree["$serde_json::private::RawValue"], "no JSON");
        assert_eq!(Value::Object(tree).to_string(), text);
        assert!(["[]", "1", "", r#"{"a":}"#].iter().all(|text| serde_json::from_str::<Tree>(text).is_err()));
    }
}

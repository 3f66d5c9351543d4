//! Hashes of JSON that do not depend on the order of keys.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The hash of what a document says, not of how it is written. `None` where it is no JSON.
pub(crate) fn hash_json(hasher: &impl BuildHasher, text: &str) -> Option<u64> {
    let mut document = serde_json::Deserializer::from_str(text);
    let hash = Content(hasher).deserialize(&mut document).ok()?;
    document.end().ok().map(|()| hash)
}

/// Hashes a value as it is read: no tree is built.
struct Content<'a, B>(&'a B);

impl<B: BuildHasher> Content<'_, B> {
    /// `kind` keeps values apart that are written alike.
    fn hash(&self, kind: u8, value: impl Hash) -> u64 {
        self.0.hash_one((kind, value))
    }
}

impl<'de, B: BuildHasher> DeserializeSeed<'de> for Content<'_, B> {
    type Value = u64;

    fn deserialize<D: Deserializer<'de>>(self, document: D) -> Result<u64, D::Error> {
        document.deserialize_any(self)
    }
}

impl<'de, B: BuildHasher> Visitor<'de> for Content<'_, B> {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<u64, A::Error> {
        let (mut count, mut sum) = (0_usize, 0_u64);
        while let Some(key) = map.next_key_seed(Content(self.0))? {
            let value = map.next_value_seed(Content(self.0))?;
            // A sum does not depend on the order.
            sum = sum.wrapping_add(self.0.hash_one((key, value)));
            count += 1;
        }
        Ok(self.hash(0, (count, sum)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut state = self.0.build_hasher();
        1_u8.hash(&mut state);
        while let Some(item) = items.next_element_seed(Content(self.0))? {
            item.hash(&mut state);
        }
        Ok(state.finish())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        Ok(self.hash(2, text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        Ok(self.hash(3, number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
        Ok(self.hash(4, number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
        Ok(self.hash(5, number.to_bits()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<u64, E> {
        Ok(self.hash(6, value))
    }

    fn visit_unit<E: Error>(self) -> Result<u64, E> {
        Ok(self.hash(7, ()))
    }
}

/// The hash of some bytes.
#[cfg(feature = "cli")]
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut hasher = Fnv::default();
    hasher.write(bytes);
    hasher.finish()
}

/// FNV-1a, eight bytes at a time and mixed at the end: the same in every run, unlike the hashes of the
/// standard library. Nobody gains anything from a collision here.
#[derive(Debug)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            // A product spreads to higher bits only.
            self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
        for byte in words.remainder() {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // FNV alone leaves sums of hashes too alike.
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasherDefault;

    use super::*;

    fn hash(text: &str) -> Option<u64> {
        hash_json(&BuildHasherDefault::<Fnv>::default(), text)
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        for (a, b) in [
            (r#"{"a":1,"b":{"c":[1,"x",null]}}"#, r#" { "b" : {"c":[1, "\u0078", null]}, "a":1 } "#),
            (r#""<é""#, r#""\u003c\u00e9""#),
            ("1.50", "1.5"),
            ("[]", " [ ] "),
        ] {
            assert_eq!(hash(a), hash(b), "{a} {b}");
            assert!(hash(a).is_some());
        }
    }

    #[test]
    fn what_says_something_else_is_not() {
        let texts = [
            "{}",
            "[]",
            "null",
            "0",
            "1",
            "-1",
            "1.5",
            "true",
            "false",
            r#""""#,
            r#""0""#,
            r#""null""#,
            "[0]",
            "[[0]]",
            "[0,1]",
            "[1,0]",
            r#"{"a":0}"#,
            r#"{"b":0}"#,
            r#"{"a":1}"#,
            r#"{"a":0,"b":1}"#,
            r#"{"a":1,"b":0}"#,
            r#"{"a":{"b":0}}"#,
            r#"{"a":["b",0]}"#,
            r#""abcdefgh""#,
            r#""abcdefgi""#,
            r#""abcdefghabcdefgh""#,
            r#""abcdefgiabcdefgh""#,
        ];
        let hashes: std::collections::HashSet<_> = texts.iter().map(|text| hash(text)).collect();
        assert_eq!(hashes.len(), texts.len());
        assert!([r#"{"a":1"#, "", "1 2", "x"].iter().all(|text| hash(text).is_none()));
    }

    /// Words are mixed, not only their bits moved up: texts that differ in few bits.
    #[test]
    fn near_texts_do_not_meet() {
        let mut hashes = std::collections::HashSet::new();
        for number in 0..100_000 {
            hashes.insert(hash(&format!(r#"{{"id":"record{number:09}","updated":"2026-01-01 00:00:00.000Z"}}"#)));
        }
        assert_eq!(hashes.len(), 100_000);
    }
}

//! Hashes of JSON that do not depend on the order of keys.

use std::hash::{BuildHasher, Hash as _, Hasher};

use serde_json::Value;

/// The hash of what a value says, not of how it is written.
pub(crate) fn hash_json(hasher: &impl BuildHasher, value: &Value) -> u64 {
    let mut state = hasher.build_hasher();
    match value {
        Value::Object(map) => {
            // A sum does not depend on the order.
            let sum = map
                .iter()
                .fold(0_u64, |sum, (key, value)| sum.wrapping_add(hasher.hash_one((key, hash_json(hasher, value)))));
            (0_u8, map.len(), sum).hash(&mut state);
        }
        Value::Array(items) => {
            1_u8.hash(&mut state);
            for item in items {
                hash_json(hasher, item).hash(&mut state);
            }
        }
        Value::String(text) => (2_u8, text).hash(&mut state),
        Value::Number(number) => (3_u8, number.to_string()).hash(&mut state),
        Value::Bool(value) => (4_u8, value).hash(&mut state),
        Value::Null => 5_u8.hash(&mut state),
    }
    state.finish()
}

/// The hash of some bytes.
#[cfg(feature = "cli")]
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut hasher = Fnv::default();
    hasher.write(bytes);
    hasher.finish()
}

/// FNV-1a, mixed at the end: the same in every run, unlike the hashes of the
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
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // FNV alone leaves sums of hashes too alike.
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

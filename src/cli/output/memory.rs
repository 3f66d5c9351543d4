//! The last copies of records, so that an update can show what changed.

use std::collections::HashMap;

/// At most as many records are remembered, ...
const MAX_RECORDS: usize = 10_000;
/// ... of at most as many bytes of JSON together, since one record can be megabytes.
const MAX_BYTES: usize = 64 << 20;

/// Two generations: what is touched is young. When the young are half of what
/// is allowed they become the old, and what was old is forgotten.
#[derive(Debug, Default)]
pub(super) struct Memory {
    young: HashMap<String, String>,
    old: HashMap<String, String>,
    young_bytes: usize,
}

impl Memory {
    /// Takes out the copy of a record.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        match self.young.remove(key) {
            Some(json) => {
                self.young_bytes -= json.len();
                Some(json)
            }
            None => self.old.remove(key),
        }
    }

    /// Remembers a copy of a record that was taken out before.
    pub(super) fn put(&mut self, key: &str, json: String) {
        if json.len() > MAX_BYTES / 2 {
            return;
        }
        if self.young.len() >= MAX_RECORDS / 2 || self.young_bytes + json.len() > MAX_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += json.len();
        self.young.insert(key.to_owned(), json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_and_no_more() {
        let mut memory = Memory::default();
        for n in 0..100_000 {
            memory.put(&n.to_string(), n.to_string());
            assert!(memory.young.len() + memory.old.len() <= MAX_RECORDS);
        }
        assert_eq!(memory.take("95000").as_deref(), Some("95000"));
        assert_eq!(memory.take("95000"), None);
        assert_eq!(memory.take("89999"), None);
    }

    #[test]
    fn what_is_touched_stays() {
        let mut memory = Memory::default();
        memory.put("a", "1".into());
        for n in 0..100_000 {
            memory.put(&n.to_string(), String::new());
            if n % 1000 == 0 {
                let copy = memory.take("a").unwrap();
                memory.put("a", copy);
            }
        }
        assert_eq!(memory.take("a").as_deref(), Some("1"));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut memory = Memory::default();
        for n in 0..200 {
            memory.put(&n.to_string(), "x".repeat(1 << 20));
            let bytes: usize = memory.young.values().chain(memory.old.values()).map(String::len).sum();
            assert!(bytes <= MAX_BYTES);
        }
        memory.put("huge", "x".repeat(MAX_BYTES));
        assert_eq!(memory.take("huge"), None);
        assert!(memory.take("199").is_some());
    }
}

//! Two source items that would share a target key, looked for in bounded memory.
//!
//! When the memory is full, the half of the keys with the higher hashes is given up, now and for the rest of
//! the reading: two items that collide have one hash, so both stay or both go, wherever in the table they are.

use super::groups::{Example, Group};
use crate::model::{Key, KeySchema};
use std::collections::HashMap;

/// Keys that are kept for a service: some 50 MB.
const KEYS: usize = 250_000;
/// Collisions that are shown.
const SHOWN: usize = 10;

/// The keys that were made so far.
#[derive(Clone, Debug)]
pub(super) struct KeyWatch {
    capacity: usize,
    /// Hash of the target key, and the source key that made it.
    seen: HashMap<u128, Key>,
    /// Only hashes whose first bits, this many, are zero are kept.
    given_up_bits: u32,
    pub compared: u64,
    pub found: u64,
    pub shown: Vec<Group>,
}

impl KeyWatch {
    /// With room for [`KEYS`].
    pub fn new() -> Self {
        Self::with_capacity(KEYS)
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            capacity,
            seen: HashMap::new(),
            given_up_bits: 0,
            compared: 0,
            found: 0,
            shown: Vec::new(),
        }
    }

    /// The share of the keys that is compared: 1 is all of them.
    pub fn share(&self) -> f64 {
        0.5f64.powi(i32::try_from(self.given_up_bits).unwrap_or(i32::MAX))
    }

    /// Compares a target key with those before.
    pub fn add(&mut self, target: &Key, source: &Key, keys: &KeySchema) {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(&target.encode()).as_bytes()[..16]);
        let hash = u128::from_be_bytes(bytes);
        if hash.leading_zeros() < self.given_up_bits {
            return;
        }
        self.compared += 1;
        match self.seen.get(&hash) {
            // A page can show an item twice while the table changes.
            Some(first) if first == source => {}
            Some(first) => {
                self.found += 1;
                if self.shown.len() < SHOWN {
                    self.shown.push(Group {
                        what: target.to_string(),
                        items: 2,
                        examples: vec![Example::new(keys, first), Example::new(keys, source)],
                    });
                }
            }
            None => {
                self.seen.insert(hash, source.clone());
            }
        }
        while self.seen.len() > self.capacity {
            self.given_up_bits += 1;
            let bits = self.given_up_bits;
            self.seen.retain(|hash, _| hash.leading_zeros() >= bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute, Value};

    fn key(text: String) -> Key {
        Key {
            partition: Value::S(text),
            sort: None,
        }
    }

    fn schema() -> KeySchema {
        KeySchema {
            partition: KeyAttribute {
                name: "PK".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        }
    }

    #[test]
    fn two_sources_of_one_key_are_found_and_an_item_seen_twice_is_not() {
        let mut watch = KeyWatch::new();
        for source in ["a", "b", "a", "c"] {
            watch.add(&key("same".into()), &key(source.into()), &schema());
        }
        assert_eq!((watch.found, watch.share()), (2, 1.0));
        assert_eq!(watch.shown[0].examples[1].text, "b");
    }

    #[test]
    fn past_the_bound_a_part_is_compared_over_the_whole_table() {
        let mut watch = KeyWatch::with_capacity(100);
        // The second item of each pair comes long after the first.
        for source in ["first", "second"] {
            for n in 0..2000 {
                watch.add(&key(n.to_string()), &key(format!("{source} {n}")), &schema());
            }
        }
        assert!(
            watch.seen.len() <= 100 && watch.share() < 0.1,
            "{}",
            watch.share()
        );
        assert!(watch.found > 10, "{}", watch.found);
    }
}

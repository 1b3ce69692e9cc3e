//! Partition keys that take a large part of the writes, found in bounded memory.
//!
//! The counts are those of Misra and Gries: never too high, and too low by one part in [`KEYS`] at most.

use crate::model::Value;
use std::collections::HashMap;

/// Keys that are counted at once. A key with less than this part of the items is not found, and does no harm.
const KEYS: usize = 1000;

/// Write units by partition key.
#[derive(Clone, Debug, Default)]
pub(super) struct HotKeys {
    counts: HashMap<u64, u64>,
    total: u64,
}

impl HotKeys {
    /// Counts a write.
    pub fn add(&mut self, partition: &Value, units: u64) {
        let mut encoded = Vec::with_capacity(32);
        partition.encode(&mut encoded);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&blake3::hash(&encoded).as_bytes()[..8]);
        self.total += units;
        *self.counts.entry(u64::from_be_bytes(bytes)).or_default() += units;
        if self.counts.len() > KEYS {
            let least = self.counts.values().min().copied().unwrap_or(0);
            self.counts.retain(|_, count| {
                *count -= least;
                *count > 0
            });
        }
    }

    /// The part of all units that the hottest key takes, at least.
    #[allow(clippy::cast_precision_loss)] // a share
    pub fn share(&self) -> f64 {
        let hottest = self.counts.values().max().copied().unwrap_or(0);
        hottest as f64 / (self.total.max(1)) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hot_key_is_found_among_many() {
        let mut hot = HotKeys::default();
        for n in 0..20_000 {
            hot.add(&Value::s(format!("cold {n}")), 1);
            if n % 4 == 0 {
                hot.add(&Value::s("hot"), 1);
            }
        }
        assert!((0.19..=0.2).contains(&hot.share()), "{}", hot.share());
        assert!(hot.counts.len() <= KEYS);
    }

    #[test]
    fn even_keys_are_not_hot() {
        let mut hot = HotKeys::default();
        for n in 0..20_000 {
            hot.add(&Value::s(n.to_string()), 1);
        }
        assert!(hot.share() < 0.001, "{}", hot.share());
    }
}

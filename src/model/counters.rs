//! Counters of the outcomes of changes.

use serde::{Deserialize, Serialize};

/// Counters of the outcomes of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Source items or records that were looked at.
    pub seen: u64,
    /// Puts that landed.
    pub put: u64,
    /// Removals that landed, tombstones among them.
    pub removed: u64,
    /// Removals that left a tombstone.
    pub tombstones: u64,
    /// Writes whose guard was refused: something newer is there.
    pub superseded: u64,
    /// Writes that were not needed, since nothing in the service's shape changed.
    #[serde(rename = "saved")]
    pub unchanged: u64,
    /// Changes that can't land and became dead letters.
    pub dead_letters: u64,
    /// Writes with a timestamp that went backwards.
    pub backwards: u64,
    /// Items left behind on purpose (only in the watch lane).
    pub left_behind: u64,
    /// Changes of the service's own items, if items of others are copied to its table, too (only in the tail).
    pub own: u64,
    /// Events that were sent (only in lanes that send events).
    #[serde(skip_serializing_if = "is_none")]
    pub events: u64,
    /// Write units used, in thousandths.
    pub write_milliunits: u64,
    /// The part that was estimated from item sizes, because the engine did not report it.
    pub estimated_write_milliunits: u64,
}

/// Lanes of tables have no such count.
#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Counters {
    /// Adds another count.
    pub fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.put += other.put;
        self.removed += other.removed;
        self.tombstones += other.tombstones;
        self.superseded += other.superseded;
        self.unchanged += other.unchanged;
        self.dead_letters += other.dead_letters;
        self.backwards += other.backwards;
        self.left_behind += other.left_behind;
        self.own += other.own;
        self.events += other.events;
        self.write_milliunits += other.write_milliunits;
        self.estimated_write_milliunits += other.estimated_write_milliunits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    /// JSON output and the state have this word, whatever the field is called here.
    #[test]
    fn the_word_of_unchanged_stays() {
        let counters = Counters {
            unchanged: 7,
            ..Counters::default()
        };
        assert_eq!(serde_json::to_value(counters).unwrap()["saved"], json!(7));
    }

    /// Field by field, so that none can be forgotten.
    #[test]
    fn every_count_is_added() {
        let fields = |counters: &Counters| -> Map<String, Value> {
            match serde_json::to_value(counters).unwrap() {
                Value::Object(fields) => fields,
                other => panic!("{other}"),
            }
        };
        let with = |first: u64| -> Counters {
            let names = fields(&Counters::default());
            let counts: Map<_, _> = names
                .keys()
                .zip(first..)
                .map(|(name, count)| (name.clone(), json!(count)))
                .collect();
            serde_json::from_value(Value::Object(counts)).unwrap()
        };
        let mut sum = with(3);
        sum.add(&with(100));
        let fields = fields(&sum);
        assert_eq!(fields.len(), 12);
        for (count, expected) in fields.values().zip((103u64..).step_by(2)) {
            assert_eq!(count, &json!(expected), "{fields:?}");
        }
    }
}

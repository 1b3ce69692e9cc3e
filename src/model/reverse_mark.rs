//! The mark that a reverse write leaves in the source item: which record of the target it carried back.

use super::position::SequenceNumber;
use serde::{Deserialize, Serialize};

/// The record of a target's stream that was carried back last to a source item. Marks of one split are compared by the
/// fields in their order; a mark of another split counts as absent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReverseMark {
    /// The split.
    pub split: String,
    /// The epoch of the cutover (see `CutoverState::epoch`).
    pub epoch: u64,
    /// The generation of the target's stream.
    pub generation: u32,
    /// The sequence number of the record.
    pub sequence: SequenceNumber,
}

impl ReverseMark {
    /// Whether this mark is newer than another one of the same split. A mark of another split is always older.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let place = |mark: &Self| (mark.epoch, mark.generation, mark.sequence.clone());
        self.split != other.split || place(self) > place(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_ordered_by_epoch_generation_and_sequence() {
        let mark = |epoch, generation, sequence| ReverseMark {
            split: "a".into(),
            epoch,
            generation,
            sequence: SequenceNumber::new(sequence),
        };
        let order = [
            mark(1, 1, "9"),
            mark(1, 1, "10"),
            mark(1, 2, "1"),
            mark(2, 1, "1"),
        ];
        for (n, earlier) in order.iter().enumerate() {
            assert!(!earlier.is_newer_than(earlier));
            for later in &order[n + 1..] {
                assert!(later.is_newer_than(earlier) && !earlier.is_newer_than(later));
            }
        }
        let other = ReverseMark {
            split: "b".into(),
            ..mark(9, 9, "9")
        };
        assert!(order[0].is_newer_than(&other));
    }
}

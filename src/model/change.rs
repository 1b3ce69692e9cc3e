//! A change of a source item: its images and its origin.

use super::{Item, Key, SequenceNumber};

/// The images of one source item before and after a write.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Images {
    /// Before; `None` if there was no item, or it is unknown (a backfill).
    pub old: Option<Item>,
    /// After; `None` if there is no item.
    pub new: Option<Item>,
}

/// Where a change was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A record of the stream: its generation (one per stream ARN) and sequence number.
    Tail {
        /// Counts the streams that this split has read, from 1; records of a later one win.
        generation: u32,
        /// Place of the record in its shard.
        sequence: SequenceNumber,
    },
    /// A read of the source: a scanned page, or a consistent read of one key.
    Backfill,
    /// A page that was scanned while no lane writes: whatever stands in the target is older, or is written again.
    Bulk,
}

/// A change of one source item, from the tail or from a read of the source. Every change takes the same path: route,
/// transform, guard, write, checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Primary key in the source.
    pub key: Key,
    /// The images of the item.
    pub images: Images,
    /// Where the change was read.
    pub origin: Origin,
}

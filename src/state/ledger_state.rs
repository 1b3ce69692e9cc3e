//! The ledger in the split's record.

use serde::{Deserialize, Serialize};

/// The ledger of all changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerState {
    /// Names the chains of its objects, and its lane: when they began, in milliseconds since 1970. Another one means that nothing of
    /// before continues.
    pub chain: u64,
    /// The bucket and the beginning of the keys.
    pub place: String,
    /// The id of the source table, which is part of the keys.
    pub table_id: String,
    /// The generation of the stream in which the positions of the lane are pinned.
    pub captured_in: Option<u32>,
}

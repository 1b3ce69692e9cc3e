//! The journal of a heal: which changes a gap lost, the exports that name their keys, and how far those are read.

use super::error::StateError;
use super::export_copy::RequestedExport;
use super::records::VerifyRecord;
use super::store::Store;
use serde::{Deserialize, Serialize};

/// The last heal of gaps from incremental exports. The process that holds the lease of repairs writes it; persisted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealRecord {
    /// The generation of the stream whose pinned positions end the gap.
    pub generation: u32,
    /// ARN of the source table.
    pub table_arn: String,
    /// Its id, which a table that is restored under the same name does not have; `None` if the engine names none.
    #[serde(default)]
    pub table_id: Option<String>,
    /// Where the exports go: `s3://bucket/prefix/`.
    pub to: String,
    /// The windows without a break, oldest first.
    pub windows: Vec<HealWindow>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended: every window is healed, and the tombstones are swept.
    #[serde(default)]
    pub finished_ms: Option<u64>,
    /// What became of the keys so far.
    #[serde(default)]
    pub counts: HealCounts,
}

/// A window: the time that one incremental export is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HealWindow {
    /// Its beginning, in milliseconds since 1970. Whole seconds.
    pub from_ms: u64,
    /// Its end, which the next window begins with.
    pub to_ms: u64,
    /// The export, when its token is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestedExport>,
    /// The MD5 sum of the list of its files, when the first of them is read: the cursor counts by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_md5: Option<String>,
    /// Files of the list that are read to their end.
    #[serde(default)]
    pub file: u64,
    /// Lines of the next file that are read.
    #[serde(default)]
    pub line: u64,
    /// Every key of the window was read again.
    #[serde(default)]
    pub done: bool,
}

/// What became of the keys that a heal found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HealCounts {
    /// Lines of exports: keys that changed. A key that changed in several windows counts several times.
    pub keys: u64,
    /// Items that were written to services' tables, or removed there.
    pub repaired: u64,
    /// Items of services' tables that are newer than those of the source. They stay.
    pub newer: u64,
    /// Source items that are invalid for a service.
    pub invalid: u64,
    /// Keys that the tail was writing all the time, or whose key range is throttled.
    pub busy: u64,
    /// What DynamoDB bills for the exports, in bytes.
    pub billed_bytes: u64,
}

impl HealCounts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.keys += other.keys;
        self.repaired += other.repaired;
        self.newer += other.newer;
        self.invalid += other.invalid;
        self.busy += other.busy;
        self.billed_bytes += other.billed_bytes;
    }

    /// Items that a heal left as they are, although they may be wrong.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.newer + self.invalid + self.busy
    }
}

impl HealWindow {
    /// A window of which nothing is known yet.
    #[must_use]
    pub fn new(from_ms: u64, to_ms: u64) -> Self {
        Self {
            from_ms,
            to_ms,
            request: None,
            files_md5: None,
            file: 0,
            line: 0,
            done: false,
        }
    }

    /// Forgets its export, so that another one is requested and read from its beginning.
    pub fn forget_export(&mut self) {
        *self = Self::new(self.from_ms, self.to_ms);
    }
}

impl HealRecord {
    /// Name of the record.
    pub const NAME: &'static str = "HEAL";

    /// The beginning of the first window, in milliseconds since 1970.
    #[must_use]
    pub fn begin_ms(&self) -> u64 {
        self.windows.first().map_or(0, |window| window.from_ms)
    }

    /// The end of the last window.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.windows.last().map_or(0, |window| window.to_ms)
    }

    /// How many windows are healed.
    #[must_use]
    pub fn done(&self) -> usize {
        self.windows.iter().filter(|window| window.done).count()
    }
}

impl VerifyRecord {
    /// Something is about to write services' tables beside the lanes, or has just done it: whatever was proven before, or is being
    /// compared now, is proven no more. Returns how often that has happened.
    ///
    /// # Errors
    /// If the state can't be reached.
    pub async fn note_repair(store: &Store, now_ms: u64) -> Result<u64, StateError> {
        let stored = store
            .change::<Self, StateError>(Self::NAME, |found| {
                let mut record = found.unwrap_or_else(|| Self::blank(now_ms));
                record.clean = false;
                record.repairs += 1;
                Ok(record)
            })
            .await?;
        Ok(stored.value.repairs)
    }
}

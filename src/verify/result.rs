//! Options and results of a verification.

use super::exported::Exports;
use super::invalid::InvalidItem;
use crate::verify::compare::{Mismatch, Report};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Options of a verification.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Repair mismatches, by the rules for repairs.
    pub repair: bool,
    /// A repair also overwrites items that dynasplit did not write: these writes are lost.
    pub discard_target_writes: bool,
    /// Compare although the lanes or a copy are not ready. Changes that were not delivered yet then count as
    /// mismatches.
    pub anyway: bool,
    /// Compare only what changed since the last proof of each service.
    pub changed: bool,
    /// Only these services. Such a run proves nothing of the split as a whole.
    pub services: Option<Vec<String>>,
    /// Read units a second on each table.
    pub read_units: Option<f64>,
    /// Share the work with the other processes that are given the same name. Nothing is repaired then, and no export is read.
    pub shared: Option<String>,
    /// With [`Self::shared`]: give up another shared verify that is under way.
    pub replace: bool,
    /// Exports that are read instead of tables. The result is about the moment of the earliest one.
    pub exports: Exports,
    /// Segments of each parallel scan.
    pub segments: Option<u32>,
    /// Memory for sorting, for all services together.
    pub memory_bytes: Option<usize>,
    /// A write of the source counts as late, not lost, for this long. Unless given, it follows from how far the
    /// lanes are behind.
    pub patience: Option<Duration>,
    /// Mismatches that the result names; all are counted.
    pub limit: usize,
    /// Every mismatch goes to this file too, as JSON lines.
    pub list: Option<PathBuf>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            repair: false,
            discard_target_writes: false,
            anyway: false,
            changed: false,
            services: None,
            read_units: None,
            shared: None,
            replace: false,
            exports: Exports::default(),
            segments: None,
            memory_bytes: None,
            patience: None,
            limit: 100,
            list: None,
        }
    }
}

/// Read units used, in thousandths. Scans are billed as the engine says; looks at single keys, as AWS documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReadUnits {
    /// On the source.
    pub source: u64,
    /// On all targets together.
    pub targets: u64,
}

/// Confirmed mismatches that a repair left unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Unrepaired {
    /// Several source items lead to one target key: only a person can say which one is right.
    pub collisions: u64,
    /// The source item is invalid for the service: a dead letter.
    pub invalid: u64,
    /// Another process wrote the key each time, or a tombstone is there until the sweep: the next run continues.
    pub busy: u64,
    /// Nothing that dynasplit did explains them: something else wrote the target.
    pub foreign: u64,
}

impl Unrepaired {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.collisions + self.invalid + self.busy + self.foreign
    }

    pub(super) fn add(&mut self, other: Self) {
        self.collisions += other.collisions;
        self.invalid += other.invalid;
        self.busy += other.busy;
        self.foreign += other.foreign;
    }
}

/// What was compared, if that was only what changed since earlier comparisons.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChangesCompared {
    /// Records that were read, of the source's stream or of its ledger.
    pub records: u64,
    /// As many of these came from the ledger.
    #[serde(default)]
    pub from_ledger: u64,
    /// Everything that changed before this moment was compared, in milliseconds since 1970.
    pub complete_to_ms: u64,
    /// Service by service.
    pub services: Vec<ServiceChanges>,
}

/// What was compared of one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceChanges {
    /// Its name.
    pub service: String,
    /// When the comparison began that this one goes on from, in milliseconds since 1970.
    pub since_ms: u64,
    /// When the last comparison of the whole table began.
    pub whole_ms: u64,
    /// Keys of its table that were compared.
    pub keys: u64,
    /// Items that it should hold, by the last verify that counted them.
    pub items: Option<u64>,
}

/// The result of a verification.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VerifyResult {
    /// Service by service.
    pub report: Report,
    /// Some of the mismatches, at most [`VerifyOptions::limit`], service by service: of each service faults first, expired
    /// items after. If there are more, every service has its share.
    pub mismatches: Vec<Mismatch>,
    /// All mismatches that are faults.
    pub total_mismatches: u64,
    /// Source items that no service takes and the plan does not leave behind.
    pub unrouted: u64,
    /// The first of the source items that can be in no target and have no dead letter, at most [`VerifyOptions::limit`]: no
    /// stream record covers them, or no lane has read it yet.
    pub invalid: Vec<InvalidItem>,
    /// All source items that can be in no target and have no dead letter.
    pub total_invalid: u64,
    /// Dead letters that a repair recorded for such items.
    pub recorded_letters: u64,
    /// Keys that were repaired.
    pub repaired: u64,
    /// Keys that were to be repaired, and could not be.
    pub unrepaired: Unrepaired,
    /// Tombstones that were swept, by service.
    pub swept: BTreeMap<String, u64>,
    /// Read units used.
    pub read_milliunits: ReadUnits,
    /// How long it took.
    pub seconds: f64,
    /// Every compared target held exactly the items that it should, and nothing had to be repaired.
    pub clean: bool,
    /// It covers the whole split, and is kept in the state as such.
    pub recorded: bool,
    /// Otherwise: the services whose tables it found to be exact, which is kept in the state for each of them.
    pub proven: Vec<String>,
    /// The one service that was compared has switched with a way back: the source was compared with what the service writes.
    pub carried_back: bool,
    /// How many of the mismatches are listed as stray writes now, if that service was to be repaired.
    pub listed: u64,
    /// Services that were not compared, because they have switched to their own tables.
    pub switched: Vec<String>,
    /// Why a repair would be wrong, or was refused. The mismatches then are as they were.
    pub not_repairable: Option<String>,
    /// The next command.
    pub next: String,
    /// The moment that the result is about, in milliseconds since 1970, if exports were read instead of tables: later differences
    /// may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of_ms: Option<u64>,
    /// What was compared, if that was only what changed. Then the report counts keys that changed as candidates, and those that agree
    /// as changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesCompared>,
    /// Notes for a person.
    pub notes: Vec<String>,
}

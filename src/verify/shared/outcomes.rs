//! What the tasks of a shared verify found, as their objects hold it.

use crate::state::{StoredRef, VerifyTask};
use crate::verify::compare::ServiceReport;
use crate::verify::invalid::InvalidItem;
use crate::verify::recheck::HotKeys;
use crate::verify::record::Baseline;
use crate::verify::result::VerifyResult;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The objects with the outcomes of tasks.
pub(super) type Outcomes = Arc<Vec<(VerifyTask, StoredRef)>>;

/// The state of the split at the beginning, from before anything was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Beginning {
    pub baseline: Baseline,
    /// Notes about the lanes.
    pub notes: Vec<String>,
    /// The epoch of the tombstone switches.
    pub epoch: u64,
}

/// A block of entries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Block {
    pub object: StoredRef,
    /// Where the span of each range ends.
    pub ends: Vec<u32>,
}

/// What was read of a segment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ScanOutcome {
    pub blocks: Vec<Block>,
    /// Service by service.
    pub counts: Vec<ScanCounts>,
    /// Items of the source that no service takes.
    pub unrouted: u64,
    /// Source items that can be in no target, and that had no dead letter; and how many more there are.
    pub invalid: Vec<InvalidItem>,
    pub more_invalid: u64,
    pub milliunits: u64,
}

/// What was read of a segment for one service.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct ScanCounts {
    pub tombstones: u64,
    pub invalid: u64,
}

/// The comparison of one range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RangeOutcome {
    pub services: Vec<RangeService>,
    pub source_milliunits: u64,
    pub target_milliunits: u64,
    /// Objects with the mismatches, as JSON lines.
    pub mismatches: Vec<StoredRef>,
}

/// The comparison of one range for one service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RangeService {
    pub report: ServiceReport,
    pub undelivered_keys: u64,
    pub hot: HotKeys,
}

/// The result of all ranges.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Without the mismatches, of which each process shows as many as it was told to.
    pub result: VerifyResult,
    pub mismatches: Vec<StoredRef>,
}

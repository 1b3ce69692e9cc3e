//! What a rehearsal does now, for its progress.

use crate::backfill::BackfillView;
use crate::status::LaneStatus;

/// The present phase, for progress.
#[derive(Clone, Debug, Default)]
pub struct RehearseView {
    /// In a few words.
    pub phase: String,
    /// Items that are loaded, of how many.
    pub loaded: (u64, u64),
    /// Writes of the live writers so far.
    pub writes: u64,
    /// The backfill.
    pub backfill: BackfillView,
    /// The lanes.
    pub lanes: Vec<LaneStatus>,
}

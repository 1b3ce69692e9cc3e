//! Rounds of a backfill: which segments belong to one, and why a process of an earlier one stops.

use crate::state::{BackfillRecord, SegmentRecord};
use crate::worker::Split;

/// Why a process of an earlier round stops.
pub(super) const LATER_ROUND: &str = "another process has begun to copy services that were added: run \
     `dynasplit backfill` with the newest plan to help it";

/// Whether a segment is one of this round of a backfill.
pub(super) fn is_of_round(segment: &SegmentRecord, record: &BackfillRecord) -> bool {
    segment.services.len() == record.round.len()
        && record
            .round
            .iter()
            .all(|lane| segment.services.contains_key(lane))
}

/// The services whose tables this round of a backfill fills: not the watch lane, and none that has switched since.
pub(super) fn filled<'a>(split: &'a Split, record: &BackfillRecord) -> Vec<&'a str> {
    let active = split.active().map(|(service, _)| service.name.as_str());
    active
        .filter(|service| record.round.iter().any(|lane| lane == service))
        .collect()
}

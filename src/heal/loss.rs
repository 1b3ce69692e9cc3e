//! What gaps of the stream lost: since when, and whether one of them is still open.

use crate::source::lineage::{age_gap, kept_watermark, watermark};
use crate::source::{StreamState, stream_state};
use crate::state::{ShardRecord, SplitRecord, StreamRecord, VerifyRecord};
use crate::worker::{Recorded, RunError, Split, recorded_shards};
use std::collections::BTreeMap;

/// Two clocks of workers differ by less than this.
const CLOCKS_MS: u64 = 30 * 60 * 1000;

/// What gaps lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Loss {
    /// Every change from before this moment (milliseconds since 1970, by the clock of a worker) is in the services' tables.
    pub from_ms: u64,
    /// The lanes have not been restarted behind the last gap yet.
    pub is_open: bool,
}

/// What was lost in this generation of the stream and in later ones; `None`: nothing. What a clean verify has compared since is not lost.
///
/// # Errors
/// If the state or the source can't be read.
pub(super) async fn find_loss(
    split: &Split,
    record: &SplitRecord,
    since: u32,
) -> Result<Option<Loss>, RunError> {
    let Some((present, stream)) = record.stream() else {
        return Ok(None);
    };
    let recorded = recorded_shards(split, present).await?;
    let is_open = has_gap(split, &recorded, split.now_ms()) || is_replaced(split, stream).await?;
    let verify = split.store.get::<VerifyRecord>(VerifyRecord::NAME).await?;
    let clean_ms = verify.and_then(|verify| verify.value.last_clean_ms);
    let mut from_ms = None;
    for generation in since.max(1)..=present {
        if generation == present && !is_open || is_proven(&record.streams, generation, clean_ms) {
            continue;
        }
        let recorded = recorded_shards(split, generation).await?;
        let lowest = lowest(split, &recorded);
        from_ms = [from_ms, lowest].into_iter().flatten().min();
    }
    Ok(from_ms.map(|from_ms| Loss { from_ms, is_open }))
}

/// The time up to which every lane of a service is complete; `None` if no lane has a position.
fn lowest(split: &Split, recorded: &Recorded) -> Option<u64> {
    let lanes = split.active().map(|(service, _)| &service.name);
    lanes.filter_map(|lane| watermark(recorded, lane)).min()
}

/// Whether the lane of a service lost records.
fn has_gap(split: &Split, recorded: &BTreeMap<String, ShardRecord>, now_ms: u64) -> bool {
    split.active().any(|(service, _)| {
        let states = recorded
            .values()
            .filter_map(|shard| shard.lanes.get(&service.name));
        let is_noted = states.filter(|state| state.gap.is_some()).count() > 0;
        let is_too_old = || kept_watermark(recorded, &service.name).and_then(|kept| age_gap(kept, now_ms));
        is_noted || is_too_old().is_some()
    })
}

/// Whether the table has another stream than the one that the lanes read.
async fn is_replaced(split: &Split, known: &StreamRecord) -> Result<bool, RunError> {
    let state = stream_state(&split.source.control, &split.plan.source.table).await?;
    Ok(matches!(state, StreamState::On { arn, .. } if arn != known.arn))
}

/// Whether a clean verify began after the positions were pinned that follow on a generation. It has compared whatever was lost before them.
fn is_proven(streams: &[StreamRecord], generation: u32, clean_ms: Option<u64>) -> bool {
    let later = streams
        .iter()
        .skip(usize::try_from(generation).unwrap_or(usize::MAX));
    let pinned_ms = later.filter_map(|stream| stream.captured_ms).next();
    match (pinned_ms, clean_ms) {
        (Some(pinned), Some(clean)) => clean > pinned + CLOCKS_MS,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verify_that_certainly_began_after_the_pin_proves_anything() {
        let streams: Vec<StreamRecord> = [Some(1), None, Some(5_000_000)]
            .into_iter()
            .map(|captured_ms| StreamRecord {
                arn: "a".into(),
                captured_ms,
                ended_ms: None,
                restarted_ms: None,
            })
            .collect();
        let pinned = 5_000_000 + CLOCKS_MS;
        assert!(
            is_proven(&streams, 1, Some(pinned + 1)),
            "the second was never captured"
        );
        assert!(is_proven(&streams, 2, Some(pinned + 1)));
        assert!(!is_proven(&streams, 1, Some(pinned)), "the clocks may differ");
        assert!(!is_proven(&streams, 1, None));
        assert!(
            !is_proven(&streams, 3, Some(u64::MAX)),
            "nothing is pinned behind it"
        );
    }
}

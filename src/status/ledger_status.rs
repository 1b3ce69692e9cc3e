//! The ledger, from the records: how far it is.

use super::lane_status::lane_status;
use super::obstacle::{Obstacle, ObstacleKind};
use crate::source::lineage::RETENTION_MS;
use crate::state::SplitRecord;
use crate::worker::{Recorded, Split};
use serde::Serialize;

/// The ledger of all changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LedgerStatus {
    /// The bucket and the beginning of the keys.
    pub place: String,
    /// How far it is behind, in milliseconds; `None` before its places are pinned.
    pub lag_ms: Option<u64>,
    /// Records in its objects, those of finished shards among them.
    pub records: u64,
    /// It lost records: the reason.
    pub gap: Option<String>,
    /// Why it is not written at present.
    pub blocked: Option<String>,
    /// Time until the stream may trim records that are not in the ledger, in milliseconds.
    pub time_left_ms: Option<u64>,
    /// Lanes that have records to read which the stream may have trimmed, so that they depend on the ledger.
    pub lanes: Vec<String>,
}

/// The ledger; `None`: the split has none.
pub(super) fn ledger_status(
    split: &Split,
    record: &SplitRecord,
    recorded: &Recorded,
    now_ms: u64,
) -> Option<LedgerStatus> {
    let (state, lane) = (split.ledger()?, split.ledger_lane()?);
    let is_captured = state.captured_in == record.stream().map(|(generation, _)| generation);
    let lane = lane_status(recorded, &lane, now_ms);
    let behind = |name: &String| {
        let other = lane_status(recorded, name, now_ms);
        other.open_shards > 0 && other.lag_ms.is_some_and(|lag| lag > RETENTION_MS) && other.gap.is_none()
    };
    Some(LedgerStatus {
        place: state.place.clone(),
        lag_ms: lane.shown_lag_ms.filter(|_| is_captured),
        records: lane.counters.seen,
        time_left_ms: lane.time_left_ms().filter(|_| is_captured),
        gap: lane.gap,
        blocked: lane.blocked,
        lanes: split.lanes().into_iter().filter(behind).collect(),
    })
}

/// What is wrong with the ledger. It stands in the way of nothing but itself: with the split, the ledger ends.
pub(super) fn obstacles(ledger: &LedgerStatus) -> Vec<Obstacle> {
    let Some(reason) = &ledger.gap else {
        return Vec::new();
    };
    vec![Obstacle {
        services: Vec::new(),
        kind: ObstacleKind::Ledger,
        service: None,
        what: format!("the ledger lost records: {reason}"),
        next: "run `dynasplit replicate --restart-ledger`, which begins the ledger anew; or, to end without a ledger, remove `ledger` \
               from the plan and run `dynasplit apply`"
            .into(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_the_ledger_has_a_way_out_of_its_own() {
        let ledger = LedgerStatus {
            place: "s3://b/p/".into(),
            lag_ms: Some(9_000_000),
            records: 7,
            gap: None,
            blocked: None,
            time_left_ms: Some(1),
            lanes: Vec::new(),
        };
        assert_eq!(obstacles(&ledger), []);
        let lost = LedgerStatus {
            gap: Some("too late".into()),
            ..ledger
        };
        let found = obstacles(&lost);
        assert_eq!(found[0].what, "the ledger lost records: too late");
        assert!(found[0].next.contains("--restart-ledger"));
    }
}

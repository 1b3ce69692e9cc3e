//! The state of a lane, computed from the records: the same for `status`, for the workers' own progress, and for the
//! decision whether a split may complete.

use super::late_changes::late_changes;
use crate::model::Counters;
use crate::model::duration;
use crate::plan::Plan;
use crate::source::lineage::{RETENTION_MS, kept_watermark, watermark};
use crate::state::{
    LaneState, LateChanges, Noted, Received, SegmentRecord, ShardRecord, SplitRecord, StateError,
    StreamPlaces,
};
use crate::worker::{Split, recorded_shards};
use serde::Serialize;
use std::collections::BTreeMap;

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneStatus {
    /// The service's name, or the watch lane.
    pub lane: String,
    /// How far it is behind now, in milliseconds; `None` before its places are pinned.
    pub lag_ms: Option<u64>,
    /// The lag to show: without the minute, if the engine rounds its creation times down to the minute.
    pub shown_lag_ms: Option<u64>,
    /// Age of the oldest record that the lane needs from the stream, in milliseconds, if it reads the older ones from the ledger;
    /// otherwise the field is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_lag_ms: Option<u64>,
    /// Shards that it still reads, or waits to read.
    pub open_shards: usize,
    /// When it had read the last shard to its end, in milliseconds since 1970: the stream is off. `None` while a
    /// shard is open. Later writes to the source are in no stream.
    pub drained_ms: Option<u64>,
    /// Age of the oldest checkpoint of these shards, in milliseconds.
    pub checkpoint_age_ms: Option<u64>,
    /// Records were lost: the reason.
    pub gap: Option<String>,
    /// Why it does not move at the moment.
    pub blocked: Option<String>,
    /// The present limit, while a worker reads its shards.
    pub limit: Option<Noted>,
    /// Open dead letters of the service, without those of the backfill. The counters contain how many it ever left.
    pub dead_letters: u64,
    /// The counters of its changes.
    pub counters: Counters,
    /// Changes of services that have switched, which came to the source after the switch. Only the watch lane has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub late: BTreeMap<String, LateChanges>,
}

impl LaneStatus {
    /// The lag as every table and every sentence shows it.
    #[must_use]
    pub fn told_lag(&self) -> Option<String> {
        self.shown_lag_ms.map(duration)
    }

    /// Time until the stream may trim what the lane has not applied, in milliseconds; `None` if it has nothing to read any
    /// more, or has no place yet.
    #[must_use]
    pub fn time_left_ms(&self) -> Option<u64> {
        let lag_ms = self.needed_lag_ms().filter(|_| self.open_shards > 0)?;
        Some(RETENTION_MS.saturating_sub(lag_ms))
    }

    /// Whether the lag is so long that the stream may forget records before they are read (a third of 24 hours).
    #[must_use]
    pub fn lags_dangerously(&self) -> bool {
        self.needed_lag_ms().is_some_and(|lag| lag > RETENTION_MS / 3)
    }

    /// Age of the oldest record that the lane needs from the stream, in milliseconds.
    #[must_use]
    pub fn needed_lag_ms(&self) -> Option<u64> {
        self.stream_lag_ms.or(self.lag_ms)
    }
}

/// Where a lane stands in all recorded shards of a generation.
#[must_use]
pub fn lane_status(recorded: &BTreeMap<String, ShardRecord>, lane: &str, now_ms: u64) -> LaneStatus {
    let mut status = LaneStatus {
        lane: lane.to_owned(),
        lag_ms: watermark(recorded, lane).map(|complete| now_ms.saturating_sub(complete)),
        ..LaneStatus::default()
    };
    let needed = kept_watermark(recorded, lane).map(|kept| now_ms.saturating_sub(kept));
    status.stream_lag_ms = needed.filter(|needed| Some(*needed) != status.lag_ms);
    let rounded = recorded
        .values()
        .filter_map(|record| record.lanes.get(lane))
        .any(|state| {
            !state.finished() && !state.fine_times && state.last_record_ms == Some(state.complete_to_ms)
        });
    status.shown_lag_ms = status
        .lag_ms
        .map(|lag| if rounded { lag.saturating_sub(59_999) } else { lag });
    let states = || recorded.values().filter_map(|record| record.lanes.get(lane));
    // If no worker reads a shard, the limit of its last reader means nothing any more.
    let read = recorded.values().filter(|record| record.lease.owner.is_some());
    status.limit = read
        .filter_map(|record| record.lanes.get(lane))
        .filter(|state| !state.finished())
        .filter_map(|state| state.limit.clone())
        .max_by_key(|noted| (noted.limit.weight(), noted.at_ms));
    if states().all(LaneState::finished) {
        status.drained_ms = states().map(|state| state.saved_ms).max();
    }
    if lane == ShardRecord::WATCH {
        status.late = late_changes(recorded.values());
    }
    for state in states() {
        status.counters.add(&state.counters);
        if let Some(gap) = &state.gap {
            status.gap = Some(gap.reason.clone());
        }
        if !state.finished() {
            status.open_shards += 1;
            status.checkpoint_age_ms = status
                .checkpoint_age_ms
                .max(Some(now_ms.saturating_sub(state.saved_ms)));
            status.blocked = status.blocked.or_else(|| state.blocked.clone());
        }
    }
    status
}

/// The changes that the lanes have received so far and that matter to the split; `None` before the stream is
/// captured.
///
/// # Errors
/// If the state can't be read.
pub(crate) async fn received(split: &Split, record: &SplitRecord) -> Result<Option<Received>, StateError> {
    let Some((generation, _)) = record.stream().filter(|(_, stream)| stream.captured_ms.is_some()) else {
        return Ok(None);
    };
    let recorded = recorded_shards(split, generation).await?;
    let changes = split.lanes().into_iter().map(|lane| {
        let states = recorded.values().filter_map(|record| record.lanes.get(&lane));
        let count = states.map(|state| relevant(&lane, &state.counters)).sum();
        (lane, count)
    });
    Ok(Some(Received {
        generation,
        changes: changes.collect(),
    }))
}

/// How many changes of its own items the lane of a service has seen, if the service copies everything.
///
/// # Errors
/// If the state can't be read.
pub(crate) async fn own_changes(
    split: &Split,
    record: &SplitRecord,
    service: &str,
) -> Result<u64, StateError> {
    let Some((generation, _)) = record.stream() else {
        return Ok(0);
    };
    let recorded = recorded_shards(split, generation).await?;
    let states = recorded.values().filter_map(|record| record.lanes.get(service));
    Ok(states.map(|state| state.counters.own).sum())
}

/// Where the lanes stand in the stream that is read at present: before it is captured, nowhere. Every change from before these
/// places was in the source before this call.
///
/// # Errors
/// If the state can't be read.
pub(crate) async fn stream_places(
    split: &Split,
    record: &SplitRecord,
) -> Result<Option<StreamPlaces>, StateError> {
    let Some((generation, _)) = record.stream().filter(|(_, stream)| stream.captured_ms.is_some()) else {
        return Ok(None);
    };
    let recorded = recorded_shards(split, generation).await?;
    let complete = split
        .lanes()
        .into_iter()
        .filter_map(|lane| watermark(&recorded, &lane));
    let Some(complete_to_ms) = complete.min() else {
        return Ok(None);
    };
    // The lanes of events and of the ledger write nothing that is compared.
    let behind = |record: &ShardRecord| {
        let lanes = record.lanes.iter();
        let lanes = lanes.filter(|(lane, _)| !ShardRecord::is_beside(lane));
        lanes.map(|(_, state)| state.position.clone()).min()
    };
    let shards = recorded
        .iter()
        .filter_map(|(id, record)| Some((id.clone(), behind(record)?)));
    Ok(Some(StreamPlaces {
        generation,
        complete_to_ms,
        shards: shards.collect(),
    }))
}

/// Where each lane stands in the source's stream, by its name.
pub(crate) async fn lane_places(
    split: &Split,
    record: &SplitRecord,
) -> Result<BTreeMap<String, StreamPlaces>, StateError> {
    let Some((generation, _)) = record.stream().filter(|(_, stream)| stream.captured_ms.is_some()) else {
        return Ok(BTreeMap::new());
    };
    let recorded = recorded_shards(split, generation).await?;
    let places = |lane: &String| {
        let shards = recorded.iter().filter_map(|(id, record)| {
            let state = record.lanes.get(lane)?;
            Some((id.clone(), state.position.clone()))
        });
        Some(StreamPlaces {
            generation,
            complete_to_ms: watermark(&recorded, lane)?,
            shards: shards.collect(),
        })
    };
    let lanes = split.lanes().into_iter();
    Ok(lanes
        .filter_map(|lane| Some((lane.clone(), places(&lane)?)))
        .collect())
}

/// Changes that matter to a lane, whatever became of them.
fn relevant(lane: &str, counters: &Counters) -> u64 {
    if lane == ShardRecord::WATCH {
        return counters.dead_letters;
    }
    counters.put + counters.removed + counters.superseded + counters.unchanged + counters.dead_letters
}

/// The backfill of one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FillStatus {
    /// The service's name, or the watch lane.
    pub lane: String,
    /// Segments that are durable.
    pub segments_done: u32,
    /// All segments.
    pub segments: u32,
    /// Open dead letters of the backfill. The counters contain how many it ever left.
    pub dead_letters: u64,
    /// The counters of its items.
    pub counters: Counters,
}

/// Where the backfill stands, lane by lane: the services in the order of the plan, then the watch lane.
#[must_use]
pub fn fill_status(segments: &[SegmentRecord], plan: &Plan) -> Vec<FillStatus> {
    let mut lanes: BTreeMap<String, FillStatus> = BTreeMap::new();
    for segment in segments {
        for (lane, progress) in &segment.services {
            let status = lanes.entry(lane.clone()).or_insert_with(|| FillStatus {
                lane: lane.clone(),
                ..FillStatus::default()
            });
            status.segments += 1;
            status.segments_done += u32::from(progress.done);
            status.counters.add(&progress.counters);
        }
    }
    let place = |fill: &FillStatus| {
        let mut services = plan.services.iter();
        services
            .position(|service| service.name == fill.lane)
            .unwrap_or(usize::MAX)
    };
    let mut lanes: Vec<FillStatus> = lanes.into_values().collect();
    lanes.sort_by_key(place);
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;
    use crate::state::{Lease, Limit, Owner};
    use std::time::Duration;

    fn shard(name: &str, read: bool, limit: Limit) -> (String, ShardRecord) {
        let state = LaneState {
            limit: Some(Noted { at_ms: 5, limit }),
            ..LaneState::starting(Position::Beginning, 0)
        };
        let lease = Lease::held_by(&Owner("a".into()), Duration::from_secs(1));
        let record = ShardRecord {
            generation: 1,
            shard: name.to_owned(),
            parent: None,
            lease: if read { lease } else { Lease::default() },
            beat: 0,
            lanes: [("Content".to_owned(), state)].into(),
        };
        (name.to_owned(), record)
    }

    #[test]
    fn a_lane_is_limited_by_what_weighs_most_in_the_shards_that_are_read() {
        let gone = shard("a", false, Limit::held_up("throttled: X".into()));
        let (slow, idle) = (
            shard("b", true, Limit::write_budget(5.0)),
            shard("c", true, Limit::Idle),
        );
        let limit = |shards: &[&(String, ShardRecord)]| {
            let shards = shards.iter().map(|shard| (*shard).clone()).collect();
            lane_status(&shards, "Content", 10).limit.map(|noted| noted.limit)
        };
        assert_eq!(limit(&[&gone, &slow, &idle]), Some(Limit::write_budget(5.0)));
        assert_eq!(limit(&[&gone, &idle]), Some(Limit::Idle));
        assert_eq!(limit(&[&gone]), None);
    }
}

use super::shard::Recorded;
use crate::dynamo::again;
use crate::fault;
use crate::model::Position;
use crate::run::error::RunError;
use crate::run::split::{Split, now_ms};
use crate::source::lineage::{Shard, capture, discovered, first_state};
use crate::source::{Listing, StreamSource};
use crate::state::{HistoryRecord, LaneState, Lease, ServiceRecord, ShardRecord, SplitRecord, StateError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Prefix of the records that list history: shards that nobody reads.
const HISTORY: &str = "HISTORY#";
/// Shard ids in one such record: it stays far below 400 KB.
const HISTORY_CHUNK: usize = 2000;

/// The recorded shards of a generation, by their ids.
pub(in crate::run) async fn recorded_shards(split: &Split, generation: u32) -> Result<Recorded, StateError> {
    let prefix = ShardRecord::record_name(generation, "");
    let found = split.store.list::<ShardRecord>(&prefix).await?;
    Ok(Arc::new(
        found
            .into_iter()
            .map(|(_, stored)| (stored.value.shard.clone(), stored.value))
            .collect(),
    ))
}

/// Pins the open shards for every lane that is not captured yet, before anything is read. Answers how many lanes
/// were captured now.
///
/// The places are durable before the service counts as captured, so a crash in between only pins again.
pub(super) async fn capture_lanes(split: &Split, source: &StreamSource) -> Result<usize, RunError> {
    let uncaptured = uncaptured_lanes(split).await?;
    if uncaptured.is_empty() {
        return Ok(0);
    }
    // The first look at the stream: one lost answer is no reason to give up.
    let listing = again(|| source.shards()).await?;
    let found = capture(&listing.shards);
    let at_ms = now_ms();
    save_history(split, source.generation(), &found.history).await?;
    for (shard, place) in &found.pinned {
        let state = LaneState::starting(place.clone(), at_ms);
        add_lanes(split, source.generation(), shard, |lane| {
            uncaptured.contains(lane).then(|| state.clone())
        })
        .await?;
    }
    fault::moment("capture.pinned").await;
    for lane in uncaptured.iter().filter(|lane| *lane != ShardRecord::WATCH) {
        split
            .store
            .change::<ServiceRecord, RunError>(&ServiceRecord::record_name(lane), |found| {
                let mut record = found.ok_or_else(|| RunError::UnknownService {
                    service: lane.clone(),
                })?;
                record.captured_ms.get_or_insert(at_ms);
                Ok(record)
            })
            .await?;
    }
    SplitRecord::change(&split.store, |record| {
        if let Some(stream) = record.streams.last_mut() {
            stream.captured_ms.get_or_insert(at_ms);
        }
    })
    .await?;
    fault::moment("capture.done").await;
    Ok(uncaptured.len())
}

/// Lanes whose places are not pinned. The watch lane goes with the stream's own first capture.
async fn uncaptured_lanes(split: &Split) -> Result<BTreeSet<String>, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let mut lanes = BTreeSet::new();
    for service in &split.plan.services {
        let name = ServiceRecord::record_name(&service.name);
        let known = split.store.get::<ServiceRecord>(&name).await?;
        let known = known.ok_or_else(|| RunError::UnknownService {
            service: service.name.clone(),
        })?;
        if known.value.captured_ms.is_none() {
            lanes.insert(service.name.clone());
        }
    }
    if record
        .stream()
        .is_some_and(|(_, stream)| stream.captured_ms.is_none())
    {
        lanes.insert(ShardRecord::WATCH.to_owned());
    }
    Ok(lanes)
}

/// Records the shards that appeared since the capture. Answers whether there were any.
pub(super) async fn record_discovered(
    split: &Split,
    source: &StreamSource,
    listing: &Listing,
    recorded: &Recorded,
) -> Result<bool, RunError> {
    let history = read_history(split, source.generation()).await?;
    let new = discovered(&listing.shards, recorded, &history);
    let lanes: BTreeSet<String> = recorded
        .values()
        .flat_map(|record| record.lanes.keys().cloned())
        .collect();
    for shard in &new {
        add_lanes(split, source.generation(), shard, |lane| {
            lanes
                .contains(lane)
                .then(|| first_state(shard, lane, recorded, now_ms()))
        })
        .await?;
    }
    Ok(!new.is_empty())
}

/// Adds lanes to a shard's record, which it creates where it is missing. What is there stays.
async fn add_lanes(
    split: &Split,
    generation: u32,
    shard: &Shard,
    state: impl Fn(&str) -> Option<LaneState>,
) -> Result<(), RunError> {
    let added: BTreeMap<String, LaneState> = split
        .lanes()
        .into_iter()
        .filter_map(|lane| state(&lane).map(|state| (lane, state)))
        .collect();
    split
        .store
        .change::<ShardRecord, RunError>(&ShardRecord::record_name(generation, &shard.id), |found| {
            let mut record = found.unwrap_or_else(|| ShardRecord {
                generation,
                shard: shard.id.clone(),
                parent: shard.parent.clone(),
                lease: Lease::default(),
                beat: 0,
                lanes: BTreeMap::new(),
            });
            for (lane, state) in &added {
                record.lanes.entry(lane.clone()).or_insert_with(|| state.clone());
            }
            Ok(record)
        })
        .await?;
    Ok(())
}

async fn save_history(split: &Split, generation: u32, ids: &[String]) -> Result<(), StateError> {
    let known = read_history(split, generation).await?;
    let new: Vec<&String> = ids.iter().filter(|id| !known.contains(*id)).collect();
    for chunk in new.chunks(HISTORY_CHUNK) {
        let record = HistoryRecord {
            shards: chunk.iter().map(|id| (*id).clone()).collect(),
        };
        let name = format!("{HISTORY}{generation:06}#{}", chunk[0]);
        split.store.set(&name, &record).await?;
    }
    Ok(())
}

async fn read_history(split: &Split, generation: u32) -> Result<BTreeSet<String>, StateError> {
    let found = split
        .store
        .list::<HistoryRecord>(&format!("{HISTORY}{generation:06}#"))
        .await?;
    Ok(found
        .into_iter()
        .flat_map(|(_, stored)| stored.value.shards)
        .collect())
}

/// Whether every lane has read every recorded shard to its end.
pub(super) fn all_finished(recorded: &Recorded) -> bool {
    !recorded.is_empty()
        && recorded
            .values()
            .flat_map(|record| record.lanes.values())
            .all(|state| state.position == Position::End)
}

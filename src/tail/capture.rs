//! Captures lanes: pins their positions in all open shards, and records new shards.

use crate::dynamo::retry_transient;
use crate::fault::{self, Rule, broken};
use crate::model::Position;
use crate::source::lineage::{Shard, capture, discovered, first_state, heirs, vanished};
use crate::source::{Listing, StreamSource};
use crate::state::{
    GapRecord, HistoryRecord, LaneState, Lease, ServiceRecord, ShardRecord, SplitRecord, StateError,
};
use crate::worker::{Recorded, RunError, Split, recorded_shards, without_unread};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Prefix of the records that list history: shards that no worker reads.
const HISTORY: &str = "HISTORY#";
/// Shard ids in one such record: it stays far below 400 KB.
const HISTORY_CHUNK: usize = 2000;
/// Shards that are read first to find out which lanes have places.
const FIRST_SHARDS: usize = 25;

/// Pins the open shards for every lane that is not captured yet, before anything is read. Returns how many lanes were
/// captured.
///
/// The positions are durable before the service counts as captured, so after a crash in between they are only pinned
/// again. First, lanes that already have positions (of other services, or of an interrupted capture) get the shards
/// that appeared meanwhile: a shard that is pinned or history is not discovered as new any more.
pub(super) async fn capture_lanes(split: &Split, source: &StreamSource) -> Result<usize, RunError> {
    let uncaptured = uncaptured_lanes(split, source.generation()).await?;
    if uncaptured.is_empty() {
        return Ok(0);
    }
    // The command starts here, so a temporary failure must not end it.
    let listing = retry_transient(|| source.shards()).await?;
    let recorded = recorded_shards(split, source.generation()).await?;
    if !broken(Rule::FoundBeforeCapture) {
        record_discovered(split, source, &listing, &recorded).await?;
    }
    let found = capture(&listing.shards);
    let at_ms = split.now_ms();
    // History of another worker's capture: its lanes may be reading the children by now.
    let history = read_history(split, source.generation()).await?;
    save_history(split, source.generation(), &found.history).await?;
    for (shard, place) in found
        .pinned
        .iter()
        .filter(|(shard, _)| !history.contains(&shard.id))
    {
        let state = LaneState::starting(place.clone(), at_ms);
        add_lanes(split, source.generation(), shard, |lane| {
            let is_pinned = uncaptured.contains(lane) && ShardRecord::of_ledger(lane).is_none();
            is_pinned.then(|| state.clone())
        })
        .await?;
    }
    fault::moment("capture.pinned").await;
    capture_ledger(split, source, &uncaptured, &listing).await?;
    let is_of_service = |lane: &&String| *lane != ShardRecord::WATCH && !ShardRecord::is_beside(lane);
    for lane in uncaptured.iter().filter(is_of_service) {
        split
            .store
            .change::<ServiceRecord, RunError>(&ServiceRecord::record_name(lane), |found| {
                let mut record = found.ok_or_else(|| RunError::UnknownService {
                    service: lane.clone(),
                })?;
                record.capture(source.generation(), at_ms);
                Ok(record)
            })
            .await?;
    }
    // Of the generation that was pinned here: the tail may have been restarted meanwhile.
    SplitRecord::change(&split.store, |record| {
        if let Some(stream) = record.generation_mut(source.generation()) {
            stream.captured_ms.get_or_insert(at_ms);
        }
        if let Some(ledger) = &mut record.ledger
            && uncaptured.contains(&ShardRecord::ledger_lane(ledger.chain))
        {
            ledger.captured_in = ledger.captured_in.max(Some(source.generation()));
        }
        for (service, epoch) in uncaptured.iter().filter_map(|lane| ShardRecord::of_events(lane)) {
            if let Some(state) = record
                .events
                .get_mut(service)
                .filter(|state| state.epoch == epoch)
            {
                state.captured_in = state.captured_in.max(Some(source.generation()));
            }
        }
    })
    .await?;
    fault::moment("capture.done").await;
    Ok(uncaptured.len())
}

/// Pins the lane of the ledger at the oldest record of every shard that the stream still keeps, also of those that are closed: other
/// lanes may still read them.
async fn capture_ledger(
    split: &Split,
    source: &StreamSource,
    uncaptured: &BTreeSet<String>,
    listing: &Listing,
) -> Result<(), RunError> {
    if !uncaptured
        .iter()
        .any(|lane| ShardRecord::of_ledger(lane).is_some())
    {
        return Ok(());
    }
    for shard in &listing.shards {
        let place = shard.starting.clone().map_or(Position::Beginning, Position::At);
        let state = LaneState::starting(place, split.now_ms());
        let of_ledger = |lane: &str| uncaptured.contains(lane) && ShardRecord::of_ledger(lane).is_some();
        add_lanes(split, source.generation(), shard, |lane| {
            of_ledger(lane).then(|| state.clone())
        })
        .await?;
    }
    Ok(())
}

/// Records the shards of the pin of a service's own table: where its reverse lane begins. Existing positions stay.
pub(super) async fn record_pin(split: &Split) -> Result<(), RunError> {
    let Some(back) = split.back_side() else {
        return Ok(());
    };
    for (id, last) in &back.pin.shards {
        let place = last.clone().map_or(Position::Beginning, Position::After);
        let state = LaneState::starting(place, back.pin.pinned_ms);
        let shard = Shard {
            id: id.clone(),
            parent: None,
            starting: None,
        };
        add_lanes(split, back.pin.generation, &shard, |_| Some(state.clone())).await?;
    }
    Ok(())
}

/// Notes that the reverse lane lost changes, in every shard that it has not read to its end.
pub(super) async fn record_back_gap(split: &Split, reason: &str) -> Result<(), RunError> {
    let Some(back) = split.back_side() else {
        return Ok(());
    };
    for (id, _) in recorded_shards(split, back.pin.generation).await?.iter() {
        let name = split.shard_record(back.pin.generation, id);
        let noted = split.store.change::<ShardRecord, RunError>(&name, |found| {
            let mut record = found.ok_or_else(|| RunError::Failed(format!("{name} is gone")))?;
            for state in record.lanes.values_mut() {
                state.gap.get_or_insert_with(|| GapRecord {
                    reason: reason.to_owned(),
                    noticed_ms: split.now_ms(),
                });
            }
            Ok(record)
        });
        noted.await?;
    }
    Ok(())
}

/// Lanes whose positions are not pinned in a generation; none if this is not the present generation. The watch lane
/// is pinned with the first capture of the generation.
///
/// An older version could mark lanes as captured in another generation than the one in which it pinned their
/// positions. So a lane that was not marked in this very generation must have a position in one of its shards.
async fn uncaptured_lanes(split: &Split, generation: u32) -> Result<BTreeSet<String>, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let mut lanes = BTreeSet::new();
    let Some((_, stream)) = record.stream().filter(|(now, _)| *now == generation) else {
        return Ok(lanes);
    };
    // Most often, the first shards have all lanes. There may be thousands.
    let prefix = split.shard_record(generation, "");
    let part = split
        .store
        .list_part::<ShardRecord>(&prefix, None, FIRST_SHARDS)
        .await?;
    let is_all = part.len() < FIRST_SHARDS;
    let first = part.into_iter().map(|(_, stored)| stored.value);
    let mut recorded = Arc::new(without_unread(split, first));
    let has_all = |shards: &Recorded| {
        let active = split.active().map(|(service, _)| service.name.as_str());
        active
            .chain([ShardRecord::WATCH])
            .all(|lane| shards.values().any(|shard| shard.lanes.contains_key(lane)))
    };
    if !is_all && !has_all(&recorded) {
        recorded = recorded_shards(split, generation).await?;
    }
    let has_place = |lane: &str| recorded.values().any(|shard| shard.lanes.contains_key(lane));
    for (service, _) in split.active() {
        let name = ServiceRecord::record_name(&service.name);
        let known = split.store.get::<ServiceRecord>(&name).await?;
        let known = known.ok_or_else(|| RunError::UnknownService {
            service: service.name.clone(),
        })?;
        let is_marked = known.value.captured_in.is_some() || has_place(&service.name);
        if !record.has_captured(&known.value) || !is_marked {
            lanes.insert(service.name.clone());
        }
    }
    // Events of another epoch than that of this worker are captured by a worker that knows them.
    for (service, state) in record.events.iter().filter(|(_, state)| state.on) {
        if split.events_epoch(service) == Some(state.epoch) && state.captured_in != Some(generation) {
            lanes.insert(ShardRecord::events_lane(service, state.epoch));
        }
    }
    if let (Some(ledger), Some(own)) = (&record.ledger, split.ledger())
        && ledger.chain == own.chain
        && ledger.captured_in != Some(generation)
    {
        lanes.insert(ShardRecord::ledger_lane(ledger.chain));
    }
    if stream.captured_ms.is_none() || !has_place(ShardRecord::WATCH) {
        lanes.insert(ShardRecord::WATCH.to_owned());
    }
    Ok(lanes)
}

/// Records the shards that appeared since the capture, and lanes that are missing in shards whose parents they read.
/// Answers whether there were any.
pub(super) async fn record_discovered(
    split: &Split,
    source: &StreamSource,
    listing: &Listing,
    recorded: &Recorded,
) -> Result<bool, RunError> {
    let lanes: BTreeSet<String> = recorded
        .values()
        .flat_map(|record| record.lanes.keys().cloned())
        .collect();
    if lanes.is_empty() {
        return Ok(false);
    }
    let history = read_history(split, source.generation()).await?;
    let new = discovered(&listing.shards, recorded, &history);
    let heirs = heirs(recorded);
    let meets = |shard: &Shard, lane: &str| first_state(shard, lane, recorded, split.now_ms());
    // These first: their children among the new shards must find a parent to wait for.
    for (shard, missing) in &heirs {
        let state = |lane: &str| missing.contains(lane).then(|| meets(shard, lane));
        add_lanes(split, source.generation(), shard, state).await?;
    }
    for shard in &new {
        let state = |lane: &str| lanes.contains(lane).then(|| meets(shard, lane));
        add_lanes(split, source.generation(), shard, state).await?;
    }
    let gone = note_vanished(split, source.generation(), listing, recorded).await?;
    Ok(!new.is_empty() || !heirs.is_empty() || gone)
}

/// Notes the gap of lanes whose next shards came and went unseen, and when the stream has ended. Answers whether there was
/// such a gap.
async fn note_vanished(
    split: &Split,
    generation: u32,
    listing: &Listing,
    recorded: &Recorded,
) -> Result<bool, RunError> {
    let is_back = split.back_side().is_some();
    let record = SplitRecord::read(&split.store).await?.value;
    let stream = record.stream().filter(|(now, _)| *now == generation);
    if !is_back && stream.is_none_or(|(_, stream)| stream.ended_ms.is_some()) {
        return Ok(false);
    }
    let gone = vanished(&listing.shards, recorded, split.now_ms());
    for (shard, lane, reason) in &gone {
        tracing::error!(
            lane,
            shard,
            reason,
            "gap: the shards that continue this one are gone"
        );
        let name = split.shard_record(generation, shard);
        split
            .store
            .change::<ShardRecord, RunError>(&name, |found| {
                let mut record = found.ok_or_else(|| RunError::Failed(format!("{name} is gone")))?;
                if let Some(state) = record.lanes.get_mut(lane) {
                    state.gap.get_or_insert_with(|| GapRecord {
                        reason: reason.clone(),
                        noticed_ms: split.now_ms(),
                    });
                }
                Ok(record)
            })
            .await?;
    }
    if !listing.enabled && !is_back {
        SplitRecord::change(&split.store, |record| {
            if record.stream().is_some_and(|(now, _)| now == generation)
                && let Some(stream) = record.streams.last_mut()
            {
                stream.ended_ms.get_or_insert(split.now_ms());
            }
        })
        .await?;
    }
    Ok(!gone.is_empty())
}

/// Adds lanes to the record of a shard, and creates the record if it is missing. Existing lanes stay unchanged.
async fn add_lanes(
    split: &Split,
    generation: u32,
    shard: &Shard,
    state: impl Fn(&str) -> Option<LaneState>,
) -> Result<(), RunError> {
    let added: BTreeMap<String, LaneState> = split
        .tail_lanes()
        .into_keys()
        .filter_map(|lane| state(&lane).map(|state| (lane, state)))
        .collect();
    split
        .store
        .change::<ShardRecord, RunError>(&split.shard_record(generation, &shard.id), |found| {
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

/// Shards that nobody reads: they were closed when the capture began.
pub(crate) async fn read_history(split: &Split, generation: u32) -> Result<BTreeSet<String>, StateError> {
    if let Some(back) = split.back_side() {
        return Ok(back.pin.closed.clone());
    }
    let found = split
        .store
        .list::<HistoryRecord>(&format!("{HISTORY}{generation:06}#"))
        .await?;
    Ok(found
        .into_iter()
        .flat_map(|(_, stored)| stored.value.shards)
        .collect())
}

/// Whether every lane has read every recorded shard to its end, without a gap, and none is owed a shard.
pub(super) fn all_finished(recorded: &Recorded) -> bool {
    !recorded.is_empty()
        && recorded
            .values()
            .flat_map(|record| &record.lanes)
            // Nothing waits for what the ledger has lost.
            .filter(|(lane, state)| ShardRecord::of_ledger(lane).is_none() || state.gap.is_none())
            .map(|(_, state)| state)
            .all(|state| state.position == Position::End && state.gap.is_none())
        && heirs(recorded).is_empty()
}

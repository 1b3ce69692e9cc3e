//! The lineage of shards, pure: the positions to pin when the capture begins, which shards are new, and when a lane
//! may read a shard. A child starts only after its parent is finished *by that lane*.

mod marked;

pub use marked::{Known, unmarked};

use crate::fault::{Rule, broken};
use crate::model::{Position, SequenceNumber};
use crate::state::{LaneState, ShardRecord};
use std::collections::{BTreeMap, BTreeSet};

/// How long a stream keeps its records.
/// See [reading a stream](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
pub const RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// The stream certainly still keeps a record that is at most this old, although the clocks of two workers may differ: one
/// worker records up to when a lane is complete, and another one judges how long ago that was. AWS refuses requests whose
/// time is wrong by more than 15 minutes, so two clocks differ by at most 30 minutes.
pub const SURELY_KEPT_MS: u64 = RETENTION_MS - 30 * 60 * 1000;

/// A shard, as the stream lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard that it continues; it may be trimmed and absent from the listing.
    pub parent: Option<String>,
    /// Its first sequence number, if the engine shows one.
    pub starting: Option<SequenceNumber>,
}

/// Where reading begins when a stream is captured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capture {
    /// Open shards and the place that each is read from.
    pub pinned: Vec<(Shard, Position)>,
    /// Shards that others already continue: no lane reads them.
    pub history: Vec<String>,
}

/// Pins every open shard at its first record. A shard that another one continues is history. (Whether a shard
/// shows an ending sequence number is not asked: one engine shows it for open shards.)
#[must_use]
pub fn capture(shards: &[Shard]) -> Capture {
    let parents: BTreeSet<&str> = shards
        .iter()
        .filter_map(|shard| shard.parent.as_deref())
        .collect();
    let mut found = Capture::default();
    for shard in shards {
        if parents.contains(shard.id.as_str()) {
            found.history.push(shard.id.clone());
        } else {
            let place = shard.starting.clone().map_or(Position::Beginning, Position::At);
            found.pinned.push((shard.clone(), place));
        }
    }
    found
}

/// Shards in a listing that are neither recorded nor history: they appeared since the capture.
#[must_use]
pub fn discovered<'a>(
    shards: &'a [Shard],
    recorded: &BTreeMap<String, ShardRecord>,
    history: &BTreeSet<String>,
) -> Vec<&'a Shard> {
    shards
        .iter()
        .filter(|shard| !recorded.contains_key(&shard.id) && !history.contains(&shard.id))
        .collect()
}

/// Lanes that read a shard's parent but are missing in the shard. The process that recorded the shard did not know
/// them, for example a worker that has been running since before a service was added. A lane that reads a parent also
/// reads its children.
#[must_use]
pub fn heirs(recorded: &BTreeMap<String, ShardRecord>) -> Vec<(Shard, BTreeSet<String>)> {
    let missing = |shard: &ShardRecord| -> Option<BTreeSet<String>> {
        let parent = recorded.get(shard.parent.as_ref()?)?;
        if broken(Rule::Heirs) {
            return None;
        }
        let lanes = parent
            .lanes
            .keys()
            .filter(|lane| !shard.lanes.contains_key(*lane));
        Some(lanes.cloned().collect()).filter(|lanes: &BTreeSet<String>| !lanes.is_empty())
    };
    recorded
        .iter()
        .filter_map(|(id, record)| {
            let shard = Shard {
                id: id.clone(),
                parent: record.parent.clone(),
                starting: None,
            };
            Some((shard, missing(record)?))
        })
        .collect()
}

/// Shards whose children are gone unread, by shard and lane, with the reason: a listing shows no child, and a lane
/// was last complete there so long ago that one may have come and gone. (It does not matter whether the lane has
/// finished the shard: the stored state may be behind the state in memory.)
#[must_use]
pub fn vanished(
    listed: &[Shard],
    recorded: &BTreeMap<String, ShardRecord>,
    now_ms: u64,
) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (id, record) in recorded {
        let is_child = |parent: &Option<String>| parent.as_ref() == Some(id);
        if listed.iter().any(|shard| is_child(&shard.parent))
            || recorded.values().any(|shard| is_child(&shard.parent))
        {
            continue;
        }
        for (lane, state) in &record.lanes {
            if is_uncaptured(lane, state) {
                continue;
            }
            let complete = kept_to(record, lane, recorded).unwrap_or(0);
            if let (None, Some(reason)) = (&state.gap, age_gap(complete, now_ms))
                && !broken(Rule::Vanished)
            {
                found.push((id.clone(), lane.clone(), reason));
            }
        }
    }
    found
}

/// The first state of a lane in a shard that appeared since the capture.
///
/// In a child of a shard that the lane reads, the lane starts at the beginning, as far complete as in the parent
/// (computed when it is read). If the lane never saw the parent, it is as far complete as it is anywhere. If this is
/// longer ago than the stream keeps records, records were lost in between, and [`readiness`] reports it.
#[must_use]
pub fn first_state(
    shard: &Shard,
    lane: &str,
    recorded: &BTreeMap<String, ShardRecord>,
    now_ms: u64,
) -> LaneState {
    let known = shard
        .parent
        .as_ref()
        .and_then(|parent| recorded.get(parent))
        .is_some_and(|parent| parent.lanes.contains_key(lane));
    let complete = if known {
        0
    } else {
        let lane = watermark(recorded, lane).filter(|_| !broken(Rule::UnknownParent));
        lane.unwrap_or(now_ms)
    };
    LaneState {
        complete_to_ms: complete,
        kept_from_ms: (ShardRecord::of_ledger(lane).is_some() && !begins_late(shard, lane, recorded))
            .then_some(0),
        ..LaneState::starting(Position::Beginning, now_ms)
    }
}

/// Whether a lane may read a shard now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// From its position.
    Ready,
    /// Not before its parent is finished by this lane.
    Waits,
    /// There is nothing left in it for this lane.
    Finished,
    /// Records were lost, for this reason.
    Gap(String),
}

/// Decides whether a lane may read a shard.
#[must_use]
pub fn readiness(
    shard: &ShardRecord,
    lane: &str,
    recorded: &BTreeMap<String, ShardRecord>,
    now_ms: u64,
) -> Readiness {
    let Some(state) = shard.lanes.get(lane) else {
        return Readiness::Finished;
    };
    if let Some(gap) = &state.gap {
        return Readiness::Gap(gap.reason.clone());
    }
    if state.finished() {
        return Readiness::Finished;
    }
    let parent = shard
        .parent
        .as_ref()
        .and_then(|id| recorded.get(id))
        .and_then(|parent| {
            let any = parent.lanes.values().find(|state| state.finished());
            any.filter(|_| broken(Rule::OwnParent)).or(parent.lanes.get(lane))
        });
    if parent.is_some_and(|parent| !parent.finished() && !broken(Rule::ChildWaits)) {
        return Readiness::Waits;
    }
    if is_uncaptured(lane, state) {
        return Readiness::Ready;
    }
    let complete = kept_to(shard, lane, recorded).unwrap_or(0);
    age_gap(complete, now_ms).map_or(Readiness::Ready, Readiness::Gap)
}

/// The time up to which a lane is complete in a shard; before it is read, as far as its parent is. A shard may end
/// without a record, which leaves no time of its own: then as far as the parent's parent is, and so on.
#[must_use]
pub fn complete_to(shard: &ShardRecord, lane: &str, recorded: &BTreeMap<String, ShardRecord>) -> Option<u64> {
    let own = shard.lanes.get(lane)?.complete_to_ms;
    let parent_of = |shard: &&ShardRecord| shard.parent.as_ref().and_then(|id| recorded.get(id));
    // Bounded, so that a lineage that ran in a circle could not hang the worker.
    let ancestors = std::iter::successors(parent_of(&shard), parent_of).take(recorded.len());
    let inherited = ancestors.map_while(|shard| shard.lanes.get(lane));
    Some(inherited.fold(own, |complete, state| complete.max(state.complete_to_ms)))
}

/// The time from which on every record that a lane has not read in a shard is still kept: by the stream, if this is at most
/// [`SURELY_KEPT_MS`] ago. It is the time up to which the lane is complete, or, if the ledger has the records from there on without
/// a hole, the time up to which the ledger is complete: the lane reads these records from the ledger.
///
/// Every decision about a gap asks for this time. A lane that is not behind the ledger in a shard takes nothing from the ledger
/// there. If both stand at the same place, no record is between them, so the lane is as far complete as the ledger. Both places must
/// be of one snapshot of the record.
#[must_use]
pub fn kept_to(shard: &ShardRecord, lane: &str, recorded: &BTreeMap<String, ShardRecord>) -> Option<u64> {
    let own = complete_to(shard, lane, recorded)?;
    let Some(ledger) = ledger_lane(shard, recorded).filter(|ledger| ledger != lane) else {
        return Some(own);
    };
    let is_covered = |shard: &ShardRecord| {
        let (Some(state), Some(kept)) = (shard.lanes.get(lane), shard.lanes.get(&ledger)) else {
            return false;
        };
        kept.kept_from_ms.is_some_and(|from| from <= own) && state.position <= kept.position
    };
    let parent_of = |shard: &&ShardRecord| shard.parent.as_ref().and_then(|id| recorded.get(id));
    let ancestors = std::iter::successors(parent_of(&shard), parent_of).take(recorded.len());
    let lineage = std::iter::once(shard).chain(ancestors);
    let covered = lineage.filter(|shard| is_covered(shard));
    let kept = covered.filter_map(|covered| match covered.shard == shard.shard {
        true => ledger_to(covered, &ledger, recorded, recorded.len()),
        false => complete_to(covered, &ledger, recorded),
    });
    Some(kept.fold(own, u64::max))
}

/// The time up to which the ledger has everything that comes in a shard and in the shards that continue it. A shard that it has read
/// to its end gets no record any more, however long ago that was: what comes later is in its children.
fn ledger_to(
    shard: &ShardRecord,
    ledger: &str,
    recorded: &BTreeMap<String, ShardRecord>,
    depth: usize,
) -> Option<u64> {
    let own = complete_to(shard, ledger, recorded)?;
    if depth == 0 || !shard.lanes.get(ledger)?.finished() {
        return Some(own);
    }
    let children = recorded
        .values()
        .filter(|child| child.parent.as_ref() == Some(&shard.shard));
    let below = children.filter_map(|child| ledger_to(child, ledger, recorded, depth - 1));
    Some(below.min().map_or(own, |below| below.max(own)))
}

/// The lane that writes the ledger of a shard; `None`: there is none. Lanes that nobody reads any more are not among those recorded.
#[must_use]
pub fn ledger_lane(shard: &ShardRecord, recorded: &BTreeMap<String, ShardRecord>) -> Option<String> {
    let parent_of = |shard: &&ShardRecord| shard.parent.as_ref().and_then(|id| recorded.get(id));
    let lineage = std::iter::successors(recorded.get(&shard.shard), parent_of).take(recorded.len());
    let mut chains =
        lineage.flat_map(|shard| shard.lanes.keys().filter_map(|lane| ShardRecord::of_ledger(lane)));
    chains.next().map(ShardRecord::ledger_lane)
}

/// Whether the ledger may find a shard that appears without its first records. It has the shards that appear from their beginning,
/// but if it has not begun in the shard before, hours may pass until it reads either of them.
fn begins_late(shard: &Shard, lane: &str, recorded: &BTreeMap<String, ShardRecord>) -> bool {
    let of_lane = |record: &ShardRecord| record.lanes.get(lane).map(|state| state.kept_from_ms.is_none());
    let parent = shard.parent.as_ref().and_then(|parent| recorded.get(parent));
    let of_parent = parent.and_then(of_lane);
    of_parent.unwrap_or_else(|| recorded.values().filter_map(of_lane).any(|is_late| is_late))
}

/// Whether the ledger has not begun in a shard that may have trimmed records already. It loses nothing: it begins with what is left.
fn is_uncaptured(lane: &str, state: &LaneState) -> bool {
    ShardRecord::of_ledger(lane).is_some() && state.kept_from_ms.is_none()
}

/// A lane that is complete only up to a time whose records the stream may have trimmed has a gap, whether or not a call
/// fails. A lane that is complete up to a later time has lost none, even if its old position is trimmed.
#[must_use]
pub fn age_gap(complete_to_ms: u64, now_ms: u64) -> Option<String> {
    let age = now_ms.saturating_sub(complete_to_ms);
    (age > SURELY_KEPT_MS && !broken(Rule::AgeGap)).then(|| {
        let minutes = age / (60 * 1000);
        format!(
            "complete only up to {} hours and {} minutes ago, and the stream keeps records for 24 hours (30 minutes of them \
             are left for clocks that differ)",
            minutes / 60,
            minutes % 60
        )
    })
}

/// The time up to which a lane is complete in all of its shards; `None` before the capture.
///
/// A finished shard counts as long as none of its children is recorded, because they may hold records that the lane
/// has not read.
#[must_use]
pub fn watermark(recorded: &BTreeMap<String, ShardRecord>, lane: &str) -> Option<u64> {
    earliest(recorded, lane, complete_to)
}

/// The time from which on every record that a lane has not read is still kept, by the stream or by the ledger; `None` before the
/// capture. See [`kept_to`].
#[must_use]
pub fn kept_watermark(recorded: &BTreeMap<String, ShardRecord>, lane: &str) -> Option<u64> {
    earliest(recorded, lane, kept_to)
}

fn earliest(
    recorded: &BTreeMap<String, ShardRecord>,
    lane: &str,
    time: impl Fn(&ShardRecord, &str, &BTreeMap<String, ShardRecord>) -> Option<u64>,
) -> Option<u64> {
    let mine = || recorded.values().filter(|shard| shard.lanes.contains_key(lane));
    let continued: BTreeSet<&str> = mine().filter_map(|shard| shard.parent.as_deref()).collect();
    mine()
        .filter(|shard| !shard.lanes[lane].finished() || !continued.contains(shard.shard.as_str()))
        .filter_map(|shard| time(shard, lane, recorded))
        .min()
}

#[cfg(test)]
mod kept_tests;
#[cfg(test)]
mod tests;

//! The lineage of shards, pure: what to pin when the capture begins, which shards are new, and when a lane
//! may read which. A child starts only after its parent is finished *by that lane*.

use crate::model::{Position, SequenceNumber};
use crate::state::{LaneState, ShardRecord};
use std::collections::{BTreeMap, BTreeSet};

/// How long a stream keeps its records.
/// See [reading a stream](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
pub const RETENTION_MS: u64 = 24 * 60 * 60 * 1000;

/// A shard, as the stream lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard that it continues; it may be trimmed and absent from the listing.
    pub parent: Option<String>,
    /// Its first sequence number, where the engine shows one.
    pub starting: Option<SequenceNumber>,
}

/// Where reading begins when a stream is captured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capture {
    /// Open shards and the place that each is read from.
    pub pinned: Vec<(Shard, Position)>,
    /// Shards that were continued by others already: nobody reads them.
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

/// Lanes that read a shard's parent but are missing in the shard: whoever recorded it did not know them, like a
/// worker that runs since before a service was added. What reads a parent reads its children.
#[must_use]
pub fn heirs(recorded: &BTreeMap<String, ShardRecord>) -> Vec<(Shard, BTreeSet<String>)> {
    let missing = |shard: &ShardRecord| -> Option<BTreeSet<String>> {
        let parent = recorded.get(shard.parent.as_ref()?)?;
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

/// Shards whose children are gone unread, by shard and lane, with the reason: a listing shows no child, and a lane was
/// last complete there so long ago that one may have come and gone. (Whether the lane has finished the shard is not
/// asked: what is stored may be behind what is in memory.)
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
            let complete = complete_to(record, lane, recorded).unwrap_or(0);
            if let (None, Some(reason)) = (&state.gap, age_gap(complete, now_ms)) {
                found.push((id.clone(), lane.clone(), reason));
            }
        }
    }
    found
}

/// The state in which a lane meets a shard that appeared since the capture.
///
/// A child of a shard that the lane reads starts at its beginning, as far complete as its parent is (asked when it
/// is read). One whose parent the lane never saw is as far complete as the lane is anywhere: when that is longer
/// ago than the stream keeps records, something between was lost, and [`readiness`] says so.
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
        watermark(recorded, lane).unwrap_or(now_ms)
    };
    LaneState {
        complete_to_ms: complete,
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
        .and_then(|parent| parent.lanes.get(lane));
    if parent.is_some_and(|parent| !parent.finished()) {
        return Readiness::Waits;
    }
    let complete = complete_to(shard, lane, recorded).unwrap_or(0);
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

/// A lane that is complete only up to a time before the retention has lost records, whether or not an exception
/// says so. One that is younger has lost none, even if its old position is trimmed.
#[must_use]
pub fn age_gap(complete_to_ms: u64, now_ms: u64) -> Option<String> {
    let age = now_ms.saturating_sub(complete_to_ms);
    (age > RETENTION_MS).then(|| {
        format!(
            "complete only up to {} hours ago, and the stream keeps 24 hours",
            age / (60 * 60 * 1000)
        )
    })
}

/// The time up to which a lane is complete in all of its shards; `None` before the capture.
///
/// A finished shard counts as long as none of its children is recorded: they may hold records that nobody has seen.
#[must_use]
pub fn watermark(recorded: &BTreeMap<String, ShardRecord>, lane: &str) -> Option<u64> {
    let mine = || recorded.values().filter(|shard| shard.lanes.contains_key(lane));
    let continued: BTreeSet<&str> = mine().filter_map(|shard| shard.parent.as_deref()).collect();
    mine()
        .filter(|shard| !shard.lanes[lane].finished() || !continued.contains(shard.shard.as_str()))
        .filter_map(|shard| complete_to(shard, lane, recorded))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Lease;

    fn shard(id: &str, parent: Option<&str>) -> Shard {
        Shard {
            id: id.into(),
            parent: parent.map(Into::into),
            starting: Some(SequenceNumber::new("7")),
        }
    }

    fn record(id: &str, parent: Option<&str>, position: Position, complete: u64) -> (String, ShardRecord) {
        let state = LaneState {
            complete_to_ms: complete,
            ..LaneState::starting(position, 0)
        };
        let record = ShardRecord {
            generation: 1,
            shard: id.into(),
            parent: parent.map(Into::into),
            lease: Lease::default(),
            beat: 0,
            lanes: BTreeMap::from([("a".to_owned(), state)]),
        };
        (id.to_owned(), record)
    }

    #[test]
    fn capture_pins_the_open_shards_at_their_first_record() {
        let found = capture(&[shard("1", None), shard("2", Some("1")), shard("3", Some("gone"))]);
        assert_eq!(found.history, ["1"]);
        let pinned: Vec<_> = found
            .pinned
            .iter()
            .map(|(shard, place)| (shard.id.as_str(), place.clone()))
            .collect();
        let at = Position::At(SequenceNumber::new("7"));
        assert_eq!(pinned, [("2", at.clone()), ("3", at)]);
    }

    #[test]
    fn a_child_waits_for_its_parent_in_each_lane() {
        let now = 1000;
        let mut recorded = BTreeMap::from([
            record("1", None, Position::Beginning, now),
            record("2", Some("1"), Position::Beginning, 0),
        ]);
        assert_eq!(readiness(&recorded["2"], "a", &recorded, now), Readiness::Waits);
        assert_eq!(readiness(&recorded["1"], "a", &recorded, now), Readiness::Ready);
        recorded
            .get_mut("1")
            .unwrap()
            .lanes
            .get_mut("a")
            .unwrap()
            .position = Position::End;
        assert_eq!(readiness(&recorded["2"], "a", &recorded, now), Readiness::Ready);
        assert_eq!(
            readiness(&recorded["1"], "a", &recorded, now),
            Readiness::Finished
        );
    }

    #[test]
    fn what_is_older_than_the_retention_is_a_gap_and_what_is_younger_is_not() {
        let now = 10 * RETENTION_MS;
        let recorded = BTreeMap::from([
            record("old", None, Position::Beginning, now - RETENTION_MS - 1),
            record(
                "young",
                None,
                Position::After(SequenceNumber::new("1")),
                now - RETENTION_MS,
            ),
            record("done", None, Position::End, now - 2 * RETENTION_MS),
            record("child", Some("done"), Position::Beginning, 0),
        ]);
        assert!(matches!(
            readiness(&recorded["old"], "a", &recorded, now),
            Readiness::Gap(_)
        ));
        assert_eq!(
            readiness(&recorded["young"], "a", &recorded, now),
            Readiness::Ready
        );
        assert!(matches!(
            readiness(&recorded["child"], "a", &recorded, now),
            Readiness::Gap(_)
        ));
    }

    #[test]
    fn a_shard_whose_parent_was_never_seen_is_a_gap_if_the_lane_is_old() {
        let now = 10 * RETENTION_MS;
        let orphan = shard("9", Some("never-seen"));
        for (complete, gap) in [(now - RETENTION_MS - 1, true), (now - 5, false)] {
            let mut recorded = BTreeMap::from([record("1", None, Position::End, complete)]);
            assert_eq!(
                discovered(std::slice::from_ref(&orphan), &recorded, &BTreeSet::new()).len(),
                1
            );
            let state = first_state(&orphan, "a", &recorded, now);
            let (id, mut found) = record("9", Some("never-seen"), Position::Beginning, 0);
            found.lanes.insert("a".into(), state);
            recorded.insert(id, found);
            let verdict = readiness(&recorded["9"], "a", &recorded, now);
            assert_eq!(matches!(verdict, Readiness::Gap(_)), gap, "{verdict:?}");
        }
    }

    #[test]
    fn a_shard_that_ended_empty_makes_no_gap_in_its_children() {
        let now = 10 * RETENTION_MS;
        let mut recorded = BTreeMap::from([
            record("1", None, Position::End, now - 5),
            record("2", Some("1"), Position::End, 0),
            record("3", Some("2"), Position::End, 0),
            record("4", Some("3"), Position::Beginning, 0),
        ]);
        assert_eq!(readiness(&recorded["4"], "a", &recorded, now), Readiness::Ready);
        assert_eq!(watermark(&recorded, "a"), Some(now - 5));
        // A circle has an end, and no time.
        recorded.extend([
            record("5", Some("6"), Position::Beginning, 0),
            record("6", Some("5"), Position::End, 0),
        ]);
        assert!(matches!(
            readiness(&recorded["5"], "a", &recorded, now),
            Readiness::Gap(_)
        ));
    }

    #[test]
    fn two_generations_behind_is_as_far_as_the_one_that_is_read() {
        let now = 10 * RETENTION_MS;
        let recorded = BTreeMap::from([
            record("1", None, Position::Beginning, now - 5),
            record("2", Some("1"), Position::Beginning, 0),
            record("3", Some("2"), Position::Beginning, 0),
        ]);
        assert_eq!(watermark(&recorded, "a"), Some(now - 5));
        let state = first_state(&shard("9", Some("never-seen")), "a", &recorded, now);
        assert_eq!(state.complete_to_ms, now - 5, "so a new shard is no gap");
    }

    #[test]
    fn what_reads_a_parent_reads_its_children() {
        let mut recorded = BTreeMap::from([
            record("1", None, Position::End, 5),
            record("2", Some("1"), Position::Beginning, 0),
            record("3", Some("2"), Position::Beginning, 0),
        ]);
        assert_eq!(heirs(&recorded), []);
        recorded.get_mut("2").unwrap().lanes.clear();
        let found = heirs(&recorded);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.id, "2");
        assert_eq!(found[0].1, BTreeSet::from(["a".to_owned()]));
        // Until then, a shard below it is no child of what the lane reads, and no gap because of that.
        let state = first_state(&shard("4", Some("2")), "a", &recorded, 9);
        assert_eq!(state.complete_to_ms, 0, "as far as the lane is anywhere: in 3");
        recorded.remove("3");
        let state = first_state(&shard("4", Some("2")), "a", &recorded, 9);
        assert_eq!(state.complete_to_ms, 5);
    }

    #[test]
    fn children_that_came_and_went_are_a_gap() {
        let now = 10 * RETENTION_MS;
        let mut recorded = BTreeMap::from([
            record("1", None, Position::End, now - 3 * RETENTION_MS),
            record("2", Some("1"), Position::End, now - RETENTION_MS - 1),
            record("3", Some("1"), Position::End, now - RETENTION_MS),
            record("4", Some("1"), Position::Beginning, now - 2 * RETENTION_MS),
        ]);
        recorded.extend([record("6", Some("4"), Position::Beginning, now)]);
        let found = vanished(&[], &recorded, now);
        let shards: Vec<_> = found
            .iter()
            .map(|(id, lane, _)| (id.as_str(), lane.as_str()))
            .collect();
        assert_eq!(shards, [("2", "a")]);
        assert_eq!(vanished(&[shard("5", Some("2"))], &recorded, now), []);
        recorded.extend([record("5", Some("2"), Position::Beginning, now)]);
        assert_eq!(vanished(&[], &recorded, now), []);
    }

    /// One branch goes on while the children of the other are not found.
    #[test]
    fn a_finished_shard_counts_until_a_child_is_found() {
        let now = 10 * RETENTION_MS;
        let mut recorded = BTreeMap::from([
            record("1", None, Position::End, 2),
            record("2", Some("1"), Position::End, 3),
            record("3", Some("1"), Position::Beginning, now),
        ]);
        assert_eq!(watermark(&recorded, "a"), Some(3));
        let orphan = shard("9", Some("a child of 2 that was trimmed"));
        assert_eq!(first_state(&orphan, "a", &recorded, now).complete_to_ms, 3);
        recorded.extend([record("4", Some("2"), Position::Beginning, now - 1)]);
        assert_eq!(watermark(&recorded, "a"), Some(now - 1));
    }

    #[test]
    fn the_watermark_is_the_slowest_open_shard() {
        let recorded = BTreeMap::from([
            record("1", None, Position::End, 5),
            record("2", Some("1"), Position::Beginning, 0),
            record("3", None, Position::Beginning, 9),
        ]);
        assert_eq!(watermark(&recorded, "a"), Some(5));
        assert_eq!(watermark(&recorded, "b"), None);
    }

    #[test]
    fn a_stream_keeps_a_day() {
        assert_eq!(RETENTION_MS, 86_400_000);
        assert_eq!(age_gap(5, 5 + 86_400_000), None);
        let told = age_gap(5, 5 + 2 * 86_400_000).unwrap();
        assert!(told.contains("48 hours ago"), "{told}");
        assert_eq!(age_gap(9, 5), None, "clocks may differ");
    }

    #[test]
    fn only_what_is_neither_recorded_nor_history_is_new() {
        let recorded = BTreeMap::from([record("recorded", None, Position::Beginning, 0)]);
        let history = BTreeSet::from(["history".to_owned()]);
        let listed = [
            shard("history", None),
            shard("recorded", None),
            shard("new", None),
        ];
        let found: Vec<_> = discovered(&listed, &recorded, &history)
            .into_iter()
            .map(|shard| shard.id.as_str())
            .collect();
        assert_eq!(found, ["new"]);
    }

    #[test]
    fn a_finished_shard_holds_the_watermark_back_until_a_child_is_known() {
        let mut recorded = BTreeMap::from([
            record("early", None, Position::End, 1),
            record("late", None, Position::End, 7),
        ]);
        assert_eq!(
            watermark(&recorded, "a"),
            Some(1),
            "its children may hold what nobody has seen"
        );
        recorded.extend([record("child", Some("early"), Position::Beginning, 9)]);
        assert_eq!(watermark(&recorded, "a"), Some(7));
    }

    #[test]
    fn a_child_of_a_recorded_shard_inherits_and_any_other_starts_as_far_as_the_lane_is() {
        let recorded = BTreeMap::from([record("1", None, Position::Beginning, 40)]);
        let of = |shard: &Shard, lane: &str| first_state(shard, lane, &recorded, 100);
        let child = of(&shard("2", Some("1")), "a");
        assert_eq!((child.complete_to_ms, child.saved_ms), (0, 100));
        assert_eq!(child.position, Position::Beginning);
        assert_eq!(of(&shard("2", None), "a").complete_to_ms, 40);
        assert_eq!(of(&shard("2", None), "new lane").complete_to_ms, 100);
    }

    #[test]
    fn a_gap_stays_one_and_a_lane_that_is_not_there_has_nothing_to_read() {
        let (_, mut found) = record("1", None, Position::Beginning, 5);
        let recorded = BTreeMap::new();
        assert_eq!(readiness(&found, "b", &recorded, 5), Readiness::Finished);
        assert_eq!(complete_to(&found, "b", &recorded), None);
        let gap = crate::state::GapRecord {
            reason: "trimmed".into(),
            noticed_ms: 5,
        };
        found.lanes.get_mut("a").unwrap().gap = Some(gap);
        assert_eq!(
            readiness(&found, "a", &recorded, 5),
            Readiness::Gap("trimmed".into())
        );
    }
}

//! Which shards may hold records from before a run of markers that a lane has not applied.

use super::Shard;
use crate::state::ShardRecord;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a stream and its shards.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The shards that the stream lists. It was read after the last write that matters.
    pub listed: &'a [Shard],
    /// The stream is on: a shard that ends has children.
    pub is_on: bool,
    /// The shards that workers have recorded.
    pub recorded: &'a BTreeMap<String, ShardRecord>,
    /// Shards that nobody reads.
    pub history: &'a BTreeSet<String>,
}

/// The shards that may hold records which a lane has not applied and which are older than the markers of a run.
///
/// A shard keeps the order of the writes. So if the lane has passed a marker of the run, it has applied every earlier record of
/// this shard, and the shards that continue it hold only later ones. If the lane has read a shard to its end without a marker, the
/// shards that continue it count; as long as none is listed, nobody knows.
#[must_use]
pub fn unmarked(known: Known<'_>, lane: &str, run: u64) -> Vec<String> {
    let listed = known
        .listed
        .iter()
        .map(|shard| (shard.id.as_str(), shard.parent.as_deref()));
    let recorded = known
        .recorded
        .iter()
        .map(|(id, record)| (id.as_str(), record.parent.as_deref()));
    let parents: BTreeMap<&str, Option<&str>> = recorded.chain(listed).collect();
    let continued: BTreeSet<&str> = parents.values().copied().flatten().collect();
    let has_marker = |id: &str| {
        let state = known.recorded.get(id).and_then(|record| record.lanes.get(lane));
        state.is_some_and(|state| state.marker == Some(run))
    };
    let is_after_marker = |id: &str| {
        let mut at = Some(id);
        // A chain is not longer than there are shards.
        for _ in 0..=parents.len() {
            let Some(id) = at else { return false };
            if has_marker(id) {
                return true;
            }
            at = parents.get(id).copied().flatten();
        }
        false
    };
    let is_over = |id: &str| {
        let ended = known.history.contains(id)
            || known
                .recorded
                .get(id)
                .is_some_and(|it| has_ended(known, it, lane));
        ended && (continued.contains(id) || !known.is_on)
    };
    let open = parents.keys().filter(|id| !is_after_marker(id) && !is_over(id));
    open.map(|id| (*id).to_owned()).collect()
}

/// Whether the lane has nothing to read in a shard. A lane that began later does not read the shards that were closed then. But
/// a lane that reads a shard also reads the shards that continue it.
fn has_ended(known: Known<'_>, shard: &ShardRecord, lane: &str) -> bool {
    match shard.lanes.get(lane) {
        Some(state) => state.finished(),
        None => {
            let parent = shard
                .parent
                .as_ref()
                .and_then(|parent| known.recorded.get(parent));
            !parent.is_some_and(|parent| parent.lanes.contains_key(lane))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Position, SequenceNumber};
    use crate::state::{LaneState, Lease};

    const RUN: u64 = 7;

    fn listed(shards: &[(&str, Option<&str>)]) -> Vec<Shard> {
        let shard = |(id, parent): &(&str, Option<&str>)| Shard {
            id: (*id).into(),
            parent: parent.map(Into::into),
            starting: None,
        };
        shards.iter().map(shard).collect()
    }

    /// A shard whose lane is at its end or not, and has passed a marker of a run or not.
    fn at(parent: Option<&str>, ended: bool, marker: Option<u64>) -> ShardRecord {
        let position = if ended {
            Position::End
        } else {
            Position::After(SequenceNumber::new("5"))
        };
        ShardRecord {
            generation: 1,
            shard: String::new(),
            parent: parent.map(Into::into),
            lease: Lease::default(),
            beat: 0,
            lanes: BTreeMap::from([(
                "a".to_owned(),
                LaneState {
                    marker,
                    ..LaneState::starting(position, 0)
                },
            )]),
        }
    }

    fn open(shards: &[(&str, Option<&str>)], is_on: bool, recorded: &[(&str, ShardRecord)]) -> Vec<String> {
        let recorded = recorded.iter();
        let known = Known {
            listed: &listed(shards),
            is_on,
            recorded: &recorded
                .map(|(id, record)| ((*id).to_owned(), record.clone()))
                .collect(),
            history: &BTreeSet::from(["old".to_owned()]),
        };
        unmarked(known, "a", RUN)
    }

    #[test]
    fn every_open_shard_has_to_show_a_marker_of_this_run() {
        let shards = [("1", None), ("2", None), ("3", None)];
        let none: [String; 0] = [];
        let marked = |third| {
            [
                ("1", at(None, false, Some(RUN))),
                ("2", at(None, false, Some(RUN))),
                ("3", third),
            ]
        };
        assert_eq!(open(&shards, true, &marked(at(None, false, None))), ["3"]);
        assert_eq!(
            open(&shards, true, &marked(at(None, false, Some(RUN - 1)))),
            ["3"]
        );
        assert_eq!(open(&shards, true, &marked(at(None, false, Some(RUN)))), none);
        // A shard that no worker has recorded yet.
        assert_eq!(
            open(
                &[("1", None), ("4", None)],
                true,
                &marked(at(None, true, Some(RUN)))
            ),
            ["4"]
        );
    }

    #[test]
    fn a_shard_that_ended_without_a_marker_is_continued_by_its_children() {
        let ended = [("1", at(None, true, None))];
        assert_eq!(
            open(&[("1", None)], true, &ended),
            ["1"],
            "its children are not listed yet"
        );
        assert!(
            open(&[("1", None)], false, &ended).is_empty(),
            "a stream that is off has no more shards"
        );
        let split = [("1", None), ("2", Some("1")), ("3", Some("1"))];
        assert_eq!(open(&split, true, &ended), ["2", "3"]);
        let one = [
            ("1", at(None, true, None)),
            ("2", at(Some("1"), false, Some(RUN))),
        ];
        assert_eq!(open(&split, true, &one), ["3"]);
    }

    #[test]
    fn what_continues_a_marked_shard_is_later_than_the_marker() {
        let split = [("1", None), ("2", Some("1")), ("3", Some("2"))];
        for ended in [false, true] {
            assert!(open(&split, true, &[("1", at(None, ended, Some(RUN)))]).is_empty());
        }
        // Also if the marked shard is trimmed from the list.
        let recorded = [
            ("1", at(None, true, Some(RUN))),
            ("2", at(Some("1"), false, None)),
        ];
        assert!(open(&[("2", Some("1"))], true, &recorded).is_empty());
    }

    #[test]
    fn history_and_shards_from_before_the_lane_do_not_count() {
        let mut earlier = at(None, true, None);
        earlier.lanes = BTreeMap::from([("b".to_owned(), LaneState::starting(Position::End, 0))]);
        let shards = [("old", None), ("1", Some("old")), ("0", None), ("2", Some("0"))];
        let marked = at(Some("old"), false, Some(RUN));
        let recorded = [
            ("0", earlier.clone()),
            ("1", marked.clone()),
            ("2", at(Some("0"), false, Some(RUN))),
        ];
        assert!(open(&shards, true, &recorded).is_empty());
        // A child of a shard that the lane reads, recorded by a process that does not know the lane.
        earlier.parent = Some("1".into());
        let unmarked = at(Some("old"), true, None);
        assert_eq!(
            open(
                &[("1", None), ("5", Some("1"))],
                true,
                &[("1", unmarked), ("5", earlier)]
            ),
            ["5"]
        );
    }
}

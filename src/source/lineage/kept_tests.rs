//! Tests of what the ledger covers.

use super::*;
use crate::state::Lease;

const NOW: u64 = 100 * RETENTION_MS;
const WEEK: u64 = 7 * RETENTION_MS;

fn after(number: u32) -> Position {
    Position::After(SequenceNumber::new(&number.to_string()))
}

/// A shard with a lane, complete up to a week ago, and the ledger.
fn shard(
    id: &str,
    parent: Option<&str>,
    lane: Position,
    (ledger, complete, from): (Position, u64, Option<u64>),
) -> (String, ShardRecord) {
    let lane = LaneState {
        complete_to_ms: NOW - WEEK,
        ..LaneState::starting(lane, 0)
    };
    let ledger = LaneState {
        complete_to_ms: complete,
        kept_from_ms: from,
        ..LaneState::starting(ledger, 0)
    };
    let record = ShardRecord {
        generation: 1,
        shard: id.into(),
        parent: parent.map(Into::into),
        lease: Lease::default(),
        beat: 0,
        lanes: BTreeMap::from([("a".to_owned(), lane), (ShardRecord::ledger_lane(5), ledger)]),
    };
    (id.to_owned(), record)
}

fn is_kept(recorded: &[(String, ShardRecord)], id: &str) -> bool {
    let recorded: BTreeMap<String, ShardRecord> = recorded.iter().cloned().collect();
    let ready = readiness(&recorded[id], "a", &recorded, NOW) == Readiness::Ready;
    let gone = vanished(&[], &recorded, NOW)
        .iter()
        .any(|(shard, lane, _)| shard == id && lane == "a");
    assert!(!ready || !gone, "both decide by one test");
    ready
}

#[test]
fn a_lane_is_covered_at_or_before_the_place_of_a_ledger_that_keeps_up() {
    let recent = NOW - 60_000;
    let ledger = |place: Position| (place, recent, Some(NOW - 2 * WEEK));
    for (lane, place, kept) in [
        (after(5), after(9), true),
        (after(9), after(9), true),
        (after(10), after(9), false),
        (Position::Beginning, Position::Beginning, true),
        (Position::Beginning, Position::End, true),
        (after(10), Position::End, true),
    ] {
        let found = is_kept(&[shard("1", None, lane.clone(), ledger(place.clone()))], "1");
        assert_eq!(found, kept, "a lane {lane}, and the ledger {place}");
    }
}

#[test]
fn a_ledger_that_began_late_or_is_behind_itself_covers_nothing() {
    let of = |complete, from| is_kept(&[shard("1", None, after(5), (after(9), complete, from))], "1");
    let recent = NOW - 60_000;
    assert!(of(recent, Some(NOW - WEEK)));
    assert!(
        !of(recent, Some(NOW - WEEK + 1)),
        "it began after the lane's place"
    );
    assert!(!of(recent, None), "it has not begun");
    assert!(
        !of(NOW - SURELY_KEPT_MS - 1, Some(0)),
        "the stream has lost what follows it"
    );
    // An earlier ledger, which nobody reads any more, is not among what was recorded.
    let (id, with) = shard("1", None, after(5), (after(9), recent, Some(0)));
    let mut without = with.clone();
    without.lanes.remove(&ShardRecord::ledger_lane(5));
    let recorded = BTreeMap::from([(id, without)]);
    assert!(matches!(readiness(&with, "a", &recorded, NOW), Readiness::Gap(_)));
}

#[test]
fn a_child_is_covered_by_what_the_ledger_has_of_it_and_of_its_parent() {
    let old = Some(0);
    let parent = shard("1", None, Position::End, (Position::End, NOW - 60_000, old));
    let unread = shard("2", Some("1"), Position::Beginning, (Position::Beginning, 0, old));
    assert!(
        is_kept(&[parent.clone(), unread.clone()], "2"),
        "both begin the child"
    );
    // The lane is before the ledger in the child, and the ledger has finished the parent.
    let ahead = shard("2", Some("1"), after(3), (Position::Beginning, 0, old));
    assert!(is_kept(&[parent, ahead], "2"));
    let unfinished = shard("1", None, Position::End, (after(7), NOW - 60_000, old));
    let ahead = shard("2", Some("1"), after(3), (Position::Beginning, 0, old));
    assert!(
        !is_kept(&[unfinished, ahead], "2"),
        "the lane is before the ledger everywhere"
    );
}

#[test]
fn what_the_ledger_has_read_to_its_end_is_kept_as_long_as_it_goes_on_with_the_children() {
    let old = Some(0);
    let closed = shard("1", None, after(5), (Position::End, NOW - WEEK, old));
    let child = |complete| shard("2", Some("1"), Position::Beginning, (after(3), complete, old));
    assert!(is_kept(&[closed.clone(), child(NOW - 60_000)], "1"));
    assert!(
        !is_kept(&[closed.clone(), child(NOW - WEEK)], "1"),
        "the ledger is behind itself"
    );
    assert!(!is_kept(&[closed], "1"), "its children may have come and gone");
}

#[test]
fn a_ledger_that_has_not_begun_has_no_gap() {
    let (id, record) = shard("1", None, after(5), (Position::Beginning, NOW - WEEK, None));
    let recorded = BTreeMap::from([(id, record)]);
    let ledger = ShardRecord::ledger_lane(5);
    assert_eq!(
        readiness(&recorded["1"], &ledger, &recorded, NOW),
        Readiness::Ready
    );
    assert!(
        vanished(&[], &recorded, NOW)
            .iter()
            .all(|(_, lane, _)| *lane != ledger)
    );
}

#[test]
fn the_lag_of_a_lane_is_its_own() {
    let covered = shard("1", None, after(5), (after(9), NOW - 60_000, Some(0)));
    let recorded = BTreeMap::from([covered]);
    assert_eq!(watermark(&recorded, "a"), Some(NOW - WEEK));
    assert_eq!(kept_watermark(&recorded, "a"), Some(NOW - 60_000));
}

/// Hours may pass between the end of the shard before and the first read of the one that appeared. Its first records may be forgotten
/// then, so that the ledger must not say that it has everything from its beginning.
#[test]
fn a_shard_that_appears_before_the_ledger_has_begun_is_one_in_which_it_begins_late() {
    let lane = ShardRecord::ledger_lane(5);
    let appeared = |id: &str, parent: &str| Shard {
        id: id.into(),
        parent: Some(parent.into()),
        starting: None,
    };
    for (from, expected) in [(None, None), (Some(NOW - WEEK), Some(0))] {
        let recorded = [shard("1", None, after(5), (after(9), NOW, from))];
        let mut recorded: BTreeMap<String, ShardRecord> = recorded.into();
        // Its parent may have come and gone as well.
        for parent in ["1", "never seen"] {
            let state = first_state(&appeared("2", parent), &lane, &recorded, NOW);
            assert_eq!(state.kept_from_ms, expected, "a child of {parent}, {from:?}");
        }
        let child = first_state(&appeared("2", "1"), &lane, &recorded, NOW);
        let record = ShardRecord {
            shard: "2".into(),
            parent: Some("1".into()),
            lanes: BTreeMap::from([(lane.clone(), child)]),
            ..recorded["1"].clone()
        };
        recorded.insert("2".into(), record);
        let state = first_state(&appeared("3", "2"), &lane, &recorded, NOW);
        assert_eq!(state.kept_from_ms, expected, "a grandchild, {from:?}");
    }
    let recorded = BTreeMap::from([shard("1", None, after(5), (after(9), NOW, None))]);
    let state = first_state(&appeared("2", "1"), "a", &recorded, NOW);
    assert_eq!(state.kept_from_ms, None, "only the ledger keeps anything");
}

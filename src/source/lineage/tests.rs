//! Tests of the lineage of shards.

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
        record("old", None, Position::Beginning, now - SURELY_KEPT_MS - 1),
        record(
            "young",
            None,
            Position::After(SequenceNumber::new("1")),
            now - SURELY_KEPT_MS,
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
    for (complete, gap) in [(now - SURELY_KEPT_MS - 1, true), (now - 5, false)] {
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
    // Until then, a shard below it is not a child of a shard that the lane reads, and no gap for this reason.
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
        record("2", Some("1"), Position::End, now - SURELY_KEPT_MS - 1),
        record("3", Some("1"), Position::End, now - SURELY_KEPT_MS),
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

/// One branch continues while the children of the other are not found.
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
fn a_stream_keeps_a_day_less_what_clocks_may_differ() {
    assert_eq!(RETENTION_MS, 86_400_000);
    assert_eq!(age_gap(5, 5 + 84_600_000), None);
    assert!(age_gap(5, 6 + 84_600_000).is_some());
    let told = age_gap(5, 5 + 2 * 86_400_000).unwrap();
    assert!(told.contains("48 hours and 0 minutes ago"), "{told}");
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

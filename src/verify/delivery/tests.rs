//! Tests of what lanes have delivered.

use super::*;
use crate::model::Position;
use crate::state::{LaneState, Lease, Owner};

const MARGIN: Duration = Duration::from_secs(25);
/// The first look of these tests.
const FIRST: Duration = Duration::from_secs(100);
const RENEW: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_secs(2);
/// The time of day when the clock of the looks began.
const EPOCH_MS: u64 = 1_000_000_000;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn shard(position: Position, complete_s: u64) -> ShardRecord {
    let state = LaneState {
        complete_to_ms: EPOCH_MS + complete_s * 1000,
        saved_ms: EPOCH_MS,
        ..LaneState::starting(position, 0)
    };
    ShardRecord {
        generation: 1,
        shard: "shard".to_owned(),
        parent: None,
        lease: Lease::default(),
        beat: 0,
        lanes: [("a".to_owned(), state)].into(),
    }
}

fn worker(seen_s: u64) -> WorkerRecord {
    WorkerRecord {
        kind: "tail".into(),
        lease: Lease::held_by(&Owner("a".into()), s(20)),
        beat: 1,
        acknowledged_epoch: 0,
        seen_ms: EPOCH_MS + seen_s * 1000,
        services: Default::default(),
        fingerprint: String::new(),
        routes: BTreeMap::new(),
        chaos: None,
    }
}

/// Reads, at a second of both clocks, a lane and a worker.
fn read(reading: &mut Reading, at: u64, shard: ShardRecord, worker: WorkerRecord) {
    let seen = Seen {
        now: s(at),
        now_ms: EPOCH_MS + at * 1000,
        workers: &[worker],
        shards: Some(&[("shard".to_owned(), shard)].into()),
    };
    reading.take_in(&["a".to_owned()], &seen, (RENEW, POLL));
}

fn open(complete_s: u64) -> ShardRecord {
    shard(Position::Beginning, complete_s)
}

#[test]
fn a_lane_has_delivered_as_far_as_it_is_complete() {
    let mut reading = Reading::default();
    read(&mut reading, 100, open(90), worker(99));
    // A difference of the clocks by up to one poll may be hidden.
    let delivery = reading.of("a", (FIRST, s(101)), MARGIN);
    assert_eq!((delivery.up_to, delivery.is_given_up), (s(88), false));
    // It stands still: nothing more was delivered, however late it is.
    read(&mut reading, 500, open(90), worker(400));
    assert_eq!(reading.of("a", (FIRST, s(500)), MARGIN).up_to, s(88));
}

#[test]
fn a_clock_that_is_ahead_is_allowed_for_also_after_its_worker_is_gone() {
    let mut reading = Reading::default();
    read(&mut reading, 100, open(140), worker(150));
    let up_to = |reading: &Reading, at| reading.of("a", (FIRST, s(at)), MARGIN).up_to;
    assert_eq!(up_to(&reading, 100), s(140 - 50 - 4));
    // Now another worker lives, whose clock is right. What the former one recorded is no truer than before.
    read(&mut reading, 160, open(140), worker(159));
    assert_eq!(up_to(&reading, 160), s(140 - 50 - 4));
    // The time of a record is enough.
    let mut reading = Reading::default();
    read(&mut reading, 100, open(140), worker(50));
    assert_eq!(up_to(&reading, 100), s(140 - 40 - 4));
}

#[test]
fn a_lane_that_is_given_up_is_named() {
    let mut reading = Reading::default();
    let later = 100 + LONGEST_LAG.as_secs();
    read(&mut reading, 100, open(90), worker(99));
    read(&mut reading, later - 1, open(90), worker(99));
    assert!(!reading.of("a", (FIRST, s(later - 1)), MARGIN).is_given_up);
    assert!(reading.of("a", (FIRST, s(later)), MARGIN).is_given_up);
    assert_eq!(
        reading.lanes["a"].told("a"),
        "the lane 'a' stood still for 15m 0s"
    );
    read(&mut reading, later, open(200), worker(99));
    let told = reading.lanes["a"].told("a");
    assert!(
        told.starts_with("the lane 'a' is 13m") && told.contains("waited 15m 0s"),
        "{told}"
    );
    assert!(Lane::default().told("a").contains("did not follow the stream"));
}

#[test]
fn a_lane_with_nothing_more_to_deliver_is_not_waited_for() {
    let mut reading = Reading::default();
    read(&mut reading, 100, shard(Position::End, 20), worker(99));
    // A child may be found in a moment.
    assert_eq!(reading.of("a", (FIRST, s(124)), MARGIN).up_to, s(18));
    assert_eq!(reading.of("a", (FIRST, s(126)), MARGIN).up_to, s(101));
    read(&mut reading, 130, open(20), worker(99));
    assert_eq!(reading.of("a", (FIRST, s(200)), MARGIN).up_to, s(18));

    let mut lost = open(20);
    let gap = crate::state::GapRecord {
        reason: "trimmed".into(),
        noticed_ms: 0,
    };
    lost.lanes.get_mut("a").unwrap().gap = Some(gap);
    read(&mut reading, 131, lost, worker(99));
    assert_eq!(reading.of("a", (FIRST, s(140)), MARGIN).up_to, s(115));
}

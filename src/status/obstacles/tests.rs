//! Tests of the obstacles of a split.

use super::*;
use crate::state::{
    BackfillRecord, Order, RepairScope, ShardRecord, SwitchedService, Tombstones, VerifyService,
};
use crate::status::lane_status::LaneStatus;
use crate::status::next::{Moves, next};
use crate::status::split_status::{Phase, WorkerStatus};

/// A split that is verified, and whose lanes a worker reads.
fn verified() -> SplitStatus {
    let lane = |name: &str| LaneStatus {
        lane: name.into(),
        lag_ms: Some(900),
        shown_lag_ms: Some(900),
        open_shards: 1,
        ..LaneStatus::default()
    };
    let service = VerifyService {
        fingerprint: "f".into(),
        ..VerifyService::default()
    };
    SplitStatus {
        backfill_record: Some(BackfillRecord {
            segments: 1,
            services: vec!["a".into(), "b".into()],
            round: Vec::new(),
            started_ms: 1,
            before_ms: None,
            finished_ms: Some(5),
            estimated_items: 0,
            order: Order::Concurrent,
            order_reason: String::new(),
            export: None,
            import: None,
        }),
        verify: Some(VerifyRecord {
            started_ms: 10,
            ended_ms: 11,
            clean: true,
            repaired: 0,
            services: ["a", "b"].map(|name| (name.to_owned(), service.clone())).into(),
            unrouted: 0,
            repairs: 0,
            repaired_for: None,
            last_clean_ms: Some(10),
            received: None,
            places: None,
        }),
        read_ms: 1000,
        ..SplitStatus::sample(Phase::Verified, ["a", "b", ShardRecord::WATCH].map(lane).into())
    }
}

/// The obstacles of a status, with these services still to be switched.
fn found(status: &SplitStatus, record: &SplitRecord, planned: &[&str]) -> Vec<Obstacle> {
    let known = Known {
        record,
        planned: planned
            .iter()
            .map(|name| ((*name).to_owned(), "f".to_owned()))
            .collect(),
        other_plan: None,
        other_stream: None,
        rechecked: ["a".to_owned()].into(),
    };
    obstacles(status, &known)
}

fn kinds(status: &SplitStatus) -> Vec<ObstacleKind> {
    let found = found(status, &SplitRecord::sample(), &["a", "b"]);
    found.iter().map(|obstacle| obstacle.kind).collect()
}

#[test]
fn a_verified_split_has_none_and_is_switched_over() {
    let status = verified();
    assert_eq!(kinds(&status), []);
    assert!(next(&status, &Moves::default()).contains("docs/cutover.md"));
}

#[test]
fn a_cause_comes_before_its_consequences() {
    let mut status = verified();
    status.verify = None;
    assert_eq!(kinds(&status), [ObstacleKind::NotVerified]);
    status.backfill_record.as_mut().unwrap().services.pop();
    assert_eq!(
        kinds(&status),
        [ObstacleKind::NotBackfilled, ObstacleKind::NotVerified]
    );
    status.workers.clear();
    assert_eq!(kinds(&status)[0], ObstacleKind::NoWorker);
    status.workers.push(WorkerStatus::sample(Some(
        "a worker runs with an older plan, which lacks b",
    )));
    assert_eq!(
        kinds(&status)[..2],
        [ObstacleKind::OtherWorker, ObstacleKind::NoWorker]
    );
    status.obstacles = found(&status, &SplitRecord::sample(), &["a", "b"]);
    let next = next(&status, &Moves::default());
    assert!(next.starts_with("restart each worker"), "{next}");
}

#[test]
fn one_reason_for_several_lanes_is_told_once() {
    let mut status = verified();
    for lane in &mut status.lanes {
        lane.gap = Some("trimmed".into());
    }
    let found = found(&status, &SplitRecord::sample(), &["a", "b"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].what,
        format!("gap in a, b, {}: trimmed", ShardRecord::WATCH)
    );
    assert_eq!(found[0].service, None);
}

#[test]
fn lanes_that_are_drained_need_no_worker_and_do_not_lag() {
    let mut status = verified();
    status.workers.clear();
    for lane in &mut status.lanes {
        (lane.open_shards, lane.drained_ms, lane.lag_ms) = (0, Some(7), Some(3_600_000));
    }
    assert_eq!(kinds(&status), []);
    for lane in &mut status.lanes {
        lane.drained_ms = Some(20);
    }
    assert_eq!(
        kinds(&status),
        [ObstacleKind::NotVerified],
        "written after the stream's end"
    );
}

#[test]
fn a_lag_is_told_as_the_tables_show_it() {
    let mut status = verified();
    // An engine that rounds times down to the minute.
    (status.lanes[0].lag_ms, status.lanes[0].shown_lag_ms) = (Some(190_999), Some(131_000));
    let lag = found(&status, &SplitRecord::sample(), &["a", "b"]).remove(0);
    assert_eq!(
        lag.what,
        format!("a lags by {}", status.lanes[0].told_lag().unwrap())
    );
    assert_eq!(lag.what, "a lags by 2m 11s");
    (status.lanes[0].lag_ms, status.lanes[0].shown_lag_ms) = (Some(150_000), Some(90_001));
    assert_eq!(kinds(&status), [], "as far as anybody can see, it is not behind");
}

#[test]
fn an_outdated_worker_is_named_before_the_dead_letters_that_it_leaves() {
    let mut status = verified();
    status.dead_letters.insert(ShardRecord::WATCH.into(), 2);
    status.workers = vec![WorkerStatus {
        lacks_lanes: false,
        ..WorkerStatus::sample(Some("a worker runs with an older plan"))
    }];
    assert_eq!(
        kinds(&status),
        [ObstacleKind::OtherWorker, ObstacleKind::DeadLetters]
    );
    let all = found(&status, &SplitRecord::sample(), &["a", "b"]);
    assert!(
        all.iter()
            .all(|obstacle| obstacle.next.contains("restart each worker")),
        "{all:?}"
    );
    // It concerns no service, so it is not in the way of a switch.
    assert_eq!(all[0].service.as_deref(), Some(ShardRecord::WATCH));
}

#[test]
fn mismatches_that_nothing_explains_lead_to_no_repair() {
    let mut status = verified();
    let verify = status.verify.as_mut().unwrap();
    verify.clean = false;
    verify
        .services
        .get_mut("a")
        .unwrap()
        .mismatches
        .insert("extra".into(), 3);
    let obstacle = found(&status, &SplitRecord::sample(), &["a", "b"]).remove(0);
    assert!(obstacle.what.contains("a: 3 extra"), "{obstacle}");
    assert!(
        obstacle
            .next
            .contains("`dynasplit switched --unproven --service a`"),
        "the command can be copied: {obstacle}"
    );
    assert!(obstacle.next.contains("--discard-target-writes"), "{obstacle}");
    // A gap explains them.
    let mut explained = SplitRecord::sample();
    explained.repair_required = Some("the tail was restarted".into());
    let all = found(&status, &explained, &["a", "b"]);
    assert!(
        all.iter().all(|obstacle| !obstacle.next.contains("--discard")),
        "{all:?}"
    );
    // But not those of a service that the reason does not concern.
    explained.end_repair_duty();
    explained.require_repair("the switch of b was taken back", ["b"], RepairScope::AnyItem);
    let all = found(&status, &explained, &["a", "b"]);
    assert!(
        all.iter().any(|obstacle| obstacle.next.contains("--discard")),
        "{all:?}"
    );
    // Those of a service that has switched don't count.
    assert!(found(&status, &SplitRecord::sample(), &[]).is_empty());
}

/// The last verify found an extra item in a table, and so many mismatches in which that table holds something newer.
fn not_clean_with_newer(newer: u64) -> SplitStatus {
    let mut status = verified();
    let verify = status.verify.as_mut().unwrap();
    verify.clean = false;
    let found = verify.services.get_mut("a").unwrap();
    found.mismatches.insert("extra".into(), 3);
    found.newer = newer;
    status
}

#[test]
fn a_repair_after_lost_changes_is_not_advised_where_it_leaves_the_table_alone() {
    let mut explained = SplitRecord::sample();
    explained.require_repair("the tail was restarted", ["a", "b"], RepairScope::LostChanges);
    let discards = |newer| -> Vec<bool> {
        let all = found(&not_clean_with_newer(newer), &explained, &["a", "b"]);
        let discards = |obstacle: &Obstacle| {
            let next = &obstacle.next;
            next.contains("--discard-target-writes") && next.contains("If nobody writes it")
        };
        all.iter().map(discards).collect()
    };
    assert_eq!(discards(0), [false, false]);
    assert_eq!(
        discards(1),
        [true, true],
        "the duty and the verify that was not clean"
    );
}

#[test]
fn dead_letters_of_a_service_that_has_switched_do_not_count() {
    let mut status = verified();
    status.dead_letters.insert("a".into(), 2);
    assert_eq!(kinds(&status), [ObstacleKind::DeadLetters]);
    let mut switched = SplitRecord::sample();
    let service = SwitchedService {
        at_ms: 20,
        epoch: 1,
        verified_ms: Some(10),
    };
    switched.switched.insert("a".into(), service);
    assert_eq!(found(&status, &switched, &["b"]), []);
}

#[test]
fn after_the_mandatory_repair_a_verify_is_next() {
    let mut required = SplitRecord::sample();
    required.require_repair("the tail was restarted", ["a", "b"], RepairScope::LostChanges);
    let mut status = verified();
    status.verify.as_mut().unwrap().clean = false;
    let next = |status: &SplitStatus| {
        let found = found(status, &required, &["a", "b"]);
        let duty = found
            .into_iter()
            .find(|found| found.kind == ObstacleKind::RepairRequired);
        duty.expect("the duty stays until a verify is clean").next
    };
    assert!(next(&status).contains("--repair"));
    status.verify.as_mut().unwrap().repaired_for = required.repair_duty();
    assert!(!next(&status).contains("--repair"));
}

#[test]
fn what_is_wrong_with_one_service_does_not_concern_another() {
    let mut status = verified();
    let concerns = |status: &SplitStatus| {
        let found = found(status, &SplitRecord::sample(), &["a", "b"]);
        let of = |service: &str| {
            let concerned = found.iter().filter(|obstacle| obstacle.concerns(service));
            concerned.map(|obstacle| obstacle.kind).collect::<Vec<_>>()
        };
        (of("a"), of("b"))
    };
    // b was added, and is being copied.
    let backfill = status.backfill_record.as_mut().unwrap();
    (backfill.round, backfill.started_ms) = (vec!["b".into()], 20);
    (backfill.before_ms, backfill.finished_ms) = (Some(5), None);
    let on = Tombstones {
        phase: TombstonePhase::On,
        epoch: 3,
    };
    status.tombstones.insert("b".into(), on);
    status.proven = [("a".into(), 10), ("b".into(), 10)].into();
    let (a, b) = concerns(&status);
    assert_eq!(
        (a, b),
        (
            vec![],
            vec![ObstacleKind::BackfillUnfinished, ObstacleKind::Tombstones]
        )
    );
    // It is copied: only its own verify is too old.
    status.tombstones.clear();
    status.backfill_record.as_mut().unwrap().finished_ms = Some(30);
    assert_eq!(concerns(&status), (vec![], vec![ObstacleKind::NotVerified]));
    // The verify of the whole found a fault in b.
    status.verify.as_mut().unwrap().clean = false;
    assert_eq!(concerns(&status), (vec![], vec![ObstacleKind::NotClean]));
    status.proven.insert("b".into(), 40);
    let (a, b) = concerns(&status);
    assert_eq!((a, b), (vec![], vec![]), "each was verified since");
    assert_eq!(
        found(&status, &SplitRecord::sample(), &["a", "b"]).len(),
        1,
        "and the whole was not"
    );
}

//! One service's table may not be written: the others go on, it is shown, and it goes on when it is permitted.

use std::time::Duration;

use super::course::{HABITS, begin, end, filled, order, put, set, until, until_more};
use crate::support::faulty::{Fault, FaultKind, Reason, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::lane;
use crate::support::trial::Mode;

const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "BatchExecuteStatement"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_denied_its_table_holds_back_no_other() {
    in_the_long_run!(a_lane_that_is_denied_its_table_holds_back_no_other);
    let stage = set(Script::quiet(16), Mode::Sequence).await;
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    let rule = Rule::new(Fault::Denied).on(&WRITES).table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    denied.until(1).await;
    let status = stage.cli.until("the denial", |status| {
        let blocked = lane(status, "orders")["blocked"].to_string();
        blocked.contains("AccessDeniedException") && blocked.contains(&stage.trial.orders)
    });
    let others = lane(&status.await, "invoices")["blocked"].to_string();
    assert!(!others.contains("AccessDenied"), "{others}");
    until_more(&stage, "invoices", 60).await;
    mutator.stop().await;
    denied.off();
    end(&stage, tail).await;
    assert!(
        stage.engine.faults().count(FaultKind::Denied) > 1,
        "it was tried again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_denied_one_table_copies_the_others() {
    let stage = set(Script::quiet(17), Mode::Timestamp).await;
    for id in 0..20 {
        put(&stage, id, 1, "there before").await;
    }
    let tail = begin(&stage).await;
    let rule = Rule::new(Fault::Denied).on(&WRITES).table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    put(&stage, 50, 1, "for the tail").await;
    let mut fill = stage.cli.start(&["backfill"]);
    let others_done = |status: &serde_json::Value| {
        assert!(!fill.has_ended(), "it ended: {}", fill.told());
        let lanes = status["backfill"].as_array().expect("lanes").iter();
        let mut others = lanes.filter(|lane| lane["lane"] != "orders").peekable();
        let done = others.peek().is_some() && others.all(|lane| lane["segments_done"] == lane["segments"]);
        done && lane(status, "orders")["blocked"]
            .to_string()
            .contains("AccessDenied")
    };
    until(&stage, "the others' copies, and the denial", others_done).await;
    assert_eq!(stage.cli.status().await["phase"], "backfilling");
    denied.off();
    fill.end().await.with_code(&["backfill"], 0);
    end(&stage, tail).await;
}

/// Attempts to write that a table without capacity is given, while everything else is done.
const ATTEMPTS: u64 = 3;
/// Writes that are refused within so much time are one attempt.
const ONE_ATTEMPT: Duration = Duration::from_millis(300);
const SEGMENTS: u64 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_accepts_no_writes_is_told_once_and_its_pages_are_not_read_again_and_again() {
    in_the_long_run!(a_table_that_accepts_no_writes_is_told_once_and_its_pages_are_not_read_again_and_again);
    let stage = filled(Script::quiet(18), (0..140).map(|id| order(id, 1, "there before"))).await;
    let tail = begin(&stage).await;
    let no_capacity = Reason::of_table("Write", "ProvisionedThroughputExceeded");
    let rule = Rule::new(Fault::Throttled(Throttle::Throttling, no_capacity)).on(&WRITES);
    let throttled = stage.engine.faults().rule(rule.table(&stage.trial.orders));
    let scans = stage.engine.faults().record(&["Scan"], &stage.trial.source);
    let fill = stage.cli.start(&["backfill", "--output", "json"]);
    let others_done = |status: &serde_json::Value| {
        let lanes = status["backfill"].as_array().expect("lanes").iter();
        let mut others = lanes.filter(|lane| lane["lane"] != "orders").peekable();
        others.peek().is_some() && others.all(|lane| lane["segments_done"] == SEGMENTS)
    };
    until(&stage, "the others' copies", others_done).await;
    let read = scans.count();
    for _ in 0..ATTEMPTS {
        throttled.until(throttled.hits() + 1).await;
        tokio::time::sleep(ONE_ATTEMPT).await;
    }
    assert_eq!(scans.count(), read, "with the pages that are there");
    let status = stage.cli.status().await;
    let next = status["obstacles"].to_string();
    assert!(!next.contains("interrupted"), "it runs: {next}");
    throttled.off();
    let done = fill.end().await.with_code(&["backfill"], 0);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("one JSON document");
    // Once for the others, and once more for this one.
    let scanned = report["scanned"].as_u64().expect("a count");
    assert!(scanned <= 280, "{report:#}");
    assert!(scans.count() <= 2 * 16, "{} reads", scans.count());
    let warnings = done
        .stderr
        .lines()
        .filter(|line| line.contains("accepts no writes"));
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    for named in [
        &stage.trial.orders,
        &no_capacity.name(),
        "The other services are copied meanwhile",
    ] {
        assert!(warnings[0].contains(named), "{named}: {warnings:?}");
    }
    end(&stage, tail).await;
}

//! Shards that split and roll while records flow, and one that is forgotten before it was read.

use super::course::{self, HABITS, begin, copied, end, put, seen, set, stream, until_more, until_seen};
use crate::support::age::set_back;
use crate::support::faulty::{Fault, FaultKind, Landing, Loss, Reason, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::process::{lane, lanes, obstacles};
use crate::support::table::{self, item, text};
use crate::support::trial::{Mode, Stamps};

const HOUR_MS: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_splits_twice_while_one_lane_is_held_up() {
    in_the_long_run!(a_shard_splits_twice_while_one_lane_is_held_up);
    let stage = set(
        Script::quiet(1).listed_at_once(2).records_at_once(20),
        Mode::Timestamp,
    )
    .await;
    let tail = begin(&stage).await;
    let mutator = stage.write(HABITS).await;
    // Orders stand still in the first shard; the others go on through its children and theirs.
    let reason = Reason::of(true).next().expect("a reason");
    let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, reason)).table(&stage.trial.orders);
    let held = stage.engine.faults().rule(rule);
    held.until(3).await;
    let stuck = seen(&stage.cli.status().await, "orders");
    stream(&stage).split_all().await;
    until_more(&stage, "invoices", 60).await;
    stream(&stage).split_all().await;
    until_more(&stage, "invoices", 120).await;
    // What a lane has read to its end is known a moment later.
    let open = |status: &serde_json::Value, name: &str| lane(status, name)["open_shards"].as_u64();
    let behind = |status: &serde_json::Value| {
        let blocked = lane(status, "orders")["blocked"].to_string();
        open(status, "orders") > open(status, "invoices") && blocked.contains(&reason.name())
    };
    let status = stage.cli.until("a lane that is left behind", behind).await;
    assert!(seen(&status, "orders") < stuck + 100, "held up: {status:#}");
    mutator.stop().await;
    held.off();
    end(&stage, tail).await;
    assert_eq!(stage.engine.faults().count(FaultKind::Split), 3);
    assert!(
        stage.engine.faults().count(FaultKind::NoChange) > 0,
        "writes that change nothing leave no record"
    );
}

/// A lane that reads alone, because its table took no writes, cannot read either for a while. After both have passed, it is
/// not blocked, although nothing more is written to its table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_can_read_again_is_not_blocked() {
    let stage = set(Script::quiet(4).records_at_once(1), Mode::Timestamp).await;
    let tail = begin(&stage).await;
    let reason = Reason::of(true).next().expect("a reason");
    let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, reason)).table(&stage.trial.orders);
    let unwritable = stage.engine.faults().rule(rule);
    put(&stage, 1, 1, "an order").await;
    unwritable.until(3).await;
    let before = seen(&stage.cli.look().await, "invoices");
    // More than the front of the shard keeps for a lane that is behind.
    for number in 0..15 {
        let invoice = [
            ("kind", text("invoice")),
            ("at", table::number(number)),
            ("name", text("n")),
        ];
        let invoice = item("ACC#2", &format!("DOC#{number}"), invoice);
        table::put(&stage.client, &stage.trial.source, invoice).await;
    }
    until_seen(&stage, "invoices", before + 15).await;
    let lost = Fault::Lost(Loss::ServerError(500), Landing::Never);
    let unreadable = stage.engine.faults().rule(Rule::new(lost).on(&["GetRecords"]));
    unwritable.off();
    let is_reading = |status: &serde_json::Value| {
        let lane = lane(status, "orders");
        lane["counters"]["put"] == 1 && lane["blocked"].to_string().contains("reading the stream")
    };
    stage.cli.until("a read that fails", is_reading).await;
    // The front of the shard is blocked in the same words: some more reads belong to the lane.
    unreadable.until(unreadable.hits() + 6).await;
    unreadable.off();
    let free = |status: &serde_json::Value| lanes(status).all(|lane| lane["blocked"].is_null());
    stage.cli.until("lanes that are not blocked", free).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_roll_and_split_by_themselves_while_workers_come_and_go() {
    in_the_long_run!(shards_roll_and_split_by_themselves_while_workers_come_and_go);
    let stage = set(
        Script::quiet(2).shards(3).reshard_every(60).listed_at_once(1),
        Mode::Sequence,
    )
    .await;
    let mutator = stage.write(HABITS).await;
    let tail = begin(&stage).await;
    let second = stage.cli.start(&["replicate"]);
    stage.cli.succeed(&["backfill"]).await;
    tail.kill().await;
    until_more(&stage, "orders", 60).await;
    mutator.stop().await;
    end(&stage, second).await;
    let faults = stage.engine.faults();
    assert!(
        faults.count(FaultKind::Split) + faults.count(FaultKind::Rolled) > 4,
        "{}",
        faults.told()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parent_that_was_forgotten_unread_is_a_gap() {
    in_the_long_run!(a_parent_that_was_forgotten_unread_is_a_gap);
    let stage = set(Script::quiet(3), Mode::Sequence).await;
    for id in 0..20 {
        course::put(&stage, id, 1, "first").await;
    }
    let tail = copied(&stage).await;
    stage.cli.until_caught_up().await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);

    // Nobody reads; a parent is written to, continued, and forgotten. Its children hold more.
    for id in 0..10 {
        course::delete(&stage, id).await;
    }
    course::put(&stage, 90, 1, "unseen").await;
    let parent = stream(&stage).open().await.remove(0);
    stream(&stage).split(&parent).await;
    for id in 5..15 {
        course::put(&stage, id, 3, "again").await;
    }
    assert!(stream(&stage).trim(&parent).await >= 11, "records are lost");
    set_back(&stage, 25 * HOUR_MS).await;

    let tail = stage.cli.start(&["replicate"]);
    let gaps = |status: &serde_json::Value| lanes(status).all(|lane| lane["gap"].is_string());
    let status = stage.cli.until("the gap", gaps).await;
    assert!(obstacles(&status).contains("--restart-tail"), "{status:#}");
    let refused = stage
        .cli
        .run(&["complete", "--yes"])
        .await
        .with_code(&["complete"], 3);
    assert!(refused.stderr.contains("gap in orders"), "{}", refused.stderr);
    tail.signal("TERM");
    let ended = tail.end().await.with_code(&["replicate"], 3);
    assert!(ended.stdout.contains("GAP"), "{}", ended.stdout);

    let tail = stage.cli.start(&["replicate", "--restart-tail"]);
    let whole = |status: &serde_json::Value| {
        lanes(status).all(|lane| lane["gap"].is_null() && lane["lag_ms"].is_u64())
    };
    stage.cli.until("a tail without a gap", whole).await;
    stage.cli.until_caught_up().await;
    stage.cli.run(&["verify"]).await.with_code(&["verify"], 3);
    stage.cli.run(&["verify", "--repair"]).await;
    stage.cli.succeed(&["verify"]).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    end(&stage, tail).await;
}

//! A bulk copy that is given up: by somebody in the middle, before it begins, and by itself.

use std::time::Duration;

use dynasplit::state::{ShardRecord, SplitRecord, StateError, Store, TombstonePhase};
use serde_json::Value;

use super::bulk::{AUTO, BATCH, BULK, ITEMS, json, loaded};
use super::course::{HABITS, begin, end, in_time, order, put, set};
use crate::support::contents::{self, Plain, PlainItem};
use crate::support::faulty::{Fault, Reason, Rule, Script, Throttle};
use crate::support::long::in_the_long_run;
use crate::support::table;
use crate::support::trial::Mode;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_be_given_up_in_the_middle() {
    in_the_long_run!(it_may_be_given_up_in_the_middle);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let stage = set(Script::quiet(55).shards(2), mode).await;
        let writers = stage.write(HABITS).await;
        let tail = begin(&stage).await;
        // One dies, one works on slowly, and one gives bulk up.
        let dying = stage.cli.armed("backfill.checkpoint.after@2=kill");
        let words = [
            "backfill",
            "--order",
            "bulk",
            "--segments",
            "32",
            "--workers",
            "1",
        ];
        assert!(dying.run(&words).await.killed_at().is_some());
        let slow = stage.cli.armed("bulk.put.before@*=delay:1200").start(&words);
        // It has put something, and has the next page in its hands.
        let faults = stage.engine.faults();
        let asked = || faults.asked(BATCH, &stage.trial.orders) + faults.asked(BATCH, &stage.trial.names);
        let before = asked();
        let asks = async {
            while asked() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        in_time("the first batch", asks).await;
        let other = ["backfill", "--order", "concurrent", "--output", "json"];
        let dying = stage.cli.armed("bulk.given-up=kill");
        assert_eq!(dying.run(&other).await.killed_at(), Some("bulk.given-up"));
        let report = json(&stage.cli.succeed(&other).await.stdout);
        assert_eq!(report["order"], "concurrent");
        let slow = slow.end().await;
        assert_eq!(
            slow.code,
            Some(0),
            "it goes on in the other order: {}",
            slow.stderr
        );
        writers.stop().await;
        stage.cli.until_caught_up().await;
        stage.cli.succeed(&["verify"]).await;
        end(&stage, tail).await;
    }
}

/// Its segments are on record, as bulk's; the lanes are not held yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_be_given_up_before_it_begins() {
    in_the_long_run!(it_may_be_given_up_before_it_begins);
    let stage = loaded(62, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = begin(&stage).await;
    let dying = cli.armed("state.segment.put.after=kill");
    assert!(dying.run(BULK).await.killed_at().is_some());
    let dying = cli.armed("backfill.page-read=kill");
    let other = ["backfill", "--order", "concurrent"];
    assert!(dying.run(&other).await.killed_at().is_some(), "it copies");
    let report = json(&cli.succeed(AUTO).await.stdout);
    assert_eq!(report["order"], "concurrent");
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_takes_nothing_does_not_hold_the_lanes_of_others() {
    in_the_long_run!(a_table_that_takes_nothing_does_not_hold_the_lanes_of_others);
    let stage = set(Script::quiet(59), Mode::Sequence).await;
    let before = (0..ITEMS).map(|id| order(usize::try_from(id).expect("few"), 1, "there before"));
    table::put_all(&stage.client, &stage.trial.source, before).await;
    let tail = begin(&stage).await;
    let reason = Reason::of(true).next().expect("a reason");
    let fault = Fault::Throttled(Throttle::Provisioned, reason);
    let rule = Rule::new(fault)
        .on(&[BATCH, "PutItem", "BatchExecuteStatement"])
        .table(&stage.trial.orders);
    let throttled = stage.engine.faults().rule(rule);
    let fill = stage
        .cli
        .start(&["backfill", "--order", "bulk", "--output", "json"]);
    // They are held for eight leases; a `status` may take as long.
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let holds = async {
        while !is_held(&store).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("the hold", holds).await;
    let names = &stage.trial.names;
    let copied = async {
        while contents::read(&stage.client, names).await.len() < usize::try_from(ITEMS).expect("few") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    in_time("the copy of the other service", copied).await;
    put(&stage, 7, 2, "written meanwhile").await;
    let given_up = |status: &Value| status["backfill_record"]["order"] == "concurrent";
    let status = stage.cli.until("an end of bulk", given_up).await;
    let told = status["backfill_record"]["order_reason"].to_string();
    assert!(told.contains("the table of orders accepted no writes"), "{told}");
    // The copy may have read what was written before; this is for the lane alone.
    put(&stage, 7, 3, "written afterwards").await;
    let is_there = |item: &PlainItem| {
        item.values()
            .any(|value| *value == Plain::Text("written afterwards".into()))
    };
    let goes_on = async {
        while !contents::read(&stage.client, names).await.values().any(is_there) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), goes_on)
        .await
        .expect("the other service goes on, though this one's table still takes nothing");
    throttled.off();
    let done = fill.end().await.with_code(&["backfill"], 0);
    let report = json(&done.stdout);
    assert_eq!(report["order"], "concurrent", "{report:#}");
    let stuck = done
        .stderr
        .lines()
        .find(|line| line.contains("accepts no writes"));
    let told = stuck.unwrap_or_else(|| panic!("{}", done.stderr));
    assert!(told.contains(&stage.trial.orders), "{told}");
    assert!(told.contains("the lanes of all services stay on hold"), "{told}");
    end(&stage, tail).await;
}

/// Whether the lanes are held, as the record of the split says.
async fn is_held(store: &Store) -> bool {
    let record = SplitRecord::read(store).await;
    let record = record.expect("the state can be read").value;
    let held = [TombstonePhase::Held];
    record.switch.services_in(&held).next().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_are_held_too_long_are_released_while_they_can_catch_up() {
    const HELD_MS: u64 = 13 * 3_600_000;
    let stage = loaded(61, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = begin(&stage).await;
    // It holds the lanes and copies nothing, as if the forecast had been wrong.
    let rule = Rule::new(Fault::Throttled(
        Throttle::Provisioned,
        Reason::of(true).next().expect("a reason"),
    ));
    let rule = rule.on(&[BATCH, "PutItem"]);
    let rule = rule.table(&stage.trial.orders).table(&stage.trial.names);
    let throttled = stage.engine.faults().rule(rule);
    assert!(cli.armed("bulk.held=kill").run(BULK).await.killed_at().is_some());
    // Nobody reads the stream, and so the places stay as old as they are.
    tail.kill().await;
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let shards = store.list::<ShardRecord>(ShardRecord::PREFIX).await;
    for (name, _) in shards.expect("the state can be read") {
        let aged = store.change::<ShardRecord, StateError>(&name, |found| {
            let mut record = found.expect("it is there");
            for state in record.lanes.values_mut() {
                state.complete_to_ms = state.complete_to_ms.saturating_sub(HELD_MS);
            }
            Ok(record)
        });
        aged.await.expect("the state can be written");
    }
    // Bulk must not begin so; but it has begun.
    let fill = cli.start(AUTO);
    let given_up = |status: &Value| status["backfill_record"]["order"] == "concurrent";
    let status = cli.until("an end of bulk", given_up).await;
    let told = status["backfill_record"]["order_reason"].to_string();
    assert!(
        told.contains("are 13.0 h behind, and the stream keeps its records for 24 hours"),
        "{told}"
    );
    throttled.off();
    let tail = cli.start(&["replicate"]);
    let report = json(&fill.end().await.with_code(AUTO, 0).stdout);
    assert_eq!(report["order"], "concurrent", "{report:#}");
    end(&stage, tail).await;
}

//! The bulk order: what is left undone of a batch, what lands after its process's death, a hold that outlives everybody, and
//! what must not be bulk.

use std::time::Duration;

use aws_sdk_dynamodb::types::{BillingMode, ProvisionedThroughput};
use dynasplit::state::{SplitRecord, Store};
use serde_json::Value;

use super::course::{HABITS, assert_few, begin, delete, end, mark, order, put, set};
use crate::support::faulty::{Fault, FaultKind, Gate, Landing, Loss, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::process::{Cli, lane, lanes, obstacles};
use crate::support::stage::{LEASE_SECONDS, Stage};
use crate::support::trial::Mode;
use crate::support::{Engine, contents, table};

pub const BATCH: &str = "BatchWriteItem";
pub const BULK: &[&str] = &["backfill", "--order", "bulk"];
pub const AUTO: &[&str] = &["backfill", "--order", "auto", "--output", "json"];
pub const ITEMS: u64 = 200;

/// A source with orders that no stream tells of: it is switched on by `apply`.
pub async fn loaded(seed: u64, mode: Mode) -> Stage {
    let engine = Engine::scripted(Script::quiet(seed)).await;
    let stage = Stage::seeded(engine, mode, seed, false).await;
    let orders = (0..usize::try_from(ITEMS).expect("few")).map(|id| order(id, 1, "there before"));
    table::put_all(&stage.client, &stage.trial.source, orders).await;
    stage
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("one JSON document")
}

/// How many orders are in their table.
async fn copied(stage: &Stage) -> usize {
    contents::read(&stage.client, &stage.trial.orders).await.len()
}

async fn until_held(cli: &Cli) {
    cli.until("the hold", |status| {
        status["tombstones"]["orders"]["phase"] == "held"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_source_costs_a_unit_an_item_and_a_request_for_twenty_five() {
    let stage = loaded(50, Mode::Sequence).await;
    let (faults, orders) = (stage.engine.faults(), &stage.trial.orders);
    let tail = begin(&stage).await;
    let batches = faults.record(&[BATCH], orders);
    let words = [
        "backfill",
        "--order",
        "bulk",
        "--segments",
        "1",
        "--output",
        "json",
    ];
    let report = json(&stage.cli.succeed(&words).await.stdout);
    assert_eq!(report["order"], "bulk");
    assert!(
        report["order_reason"].to_string().contains("200 items"),
        "{report:#}"
    );
    for name in ["orders", "names"] {
        let counters = &lane(&report, name)["counters"];
        assert_eq!(counters["put"], ITEMS, "{report:#}");
        assert_eq!(counters["write_milliunits"], ITEMS * 1000, "{report:#}");
        assert_eq!(counters["superseded"], 0);
    }
    assert_few(&batches, ITEMS);
    assert_eq!(faults.asked("PutItem", orders), 0, "none was put alone");
    assert_eq!(faults.asked("Scan", orders), 0, "there is nothing to sweep");
    end(&stage, tail).await;
    let status = stage.cli.status().await;
    assert_eq!(status["backfill_record"]["order"], "bulk");
    assert_eq!(status["tombstones"], serde_json::json!({}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_undone_of_a_batch_is_put_until_it_lands() {
    in_the_long_run!(what_is_left_undone_of_a_batch_is_put_until_it_lands);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let stage = set(Script::quiet(51), mode).await;
        let writers = stage.write(HABITS).await;
        let tail = begin(&stage).await;
        let faults = stage.engine.faults();
        let undone = faults.rule(Rule::new(Fault::Unprocessed).on(&[BATCH]).sometimes(0.5));
        let lost = faults.rule(
            Rule::new(Fault::silent_after_landing())
                .on(&[BATCH])
                .skip(1)
                .times(2),
        );
        stage
            .cli
            .succeed(&["backfill", "--order", "bulk", "--segments", "1"])
            .await;
        assert!(undone.hits() > 1 && lost.hits() == 2, "{}", faults.told());
        assert!(faults.count(FaultKind::Unprocessed) > 10, "{}", faults.told());
        writers.stop().await;
        end(&stage, tail).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_batches_puts_item_by_item_and_says_so() {
    in_the_long_run!(a_role_without_batches_puts_item_by_item_and_says_so);
    let stage = loaded(52, Mode::Timestamp).await;
    let tail = begin(&stage).await;
    let rule = Rule::new(Fault::Denied).on(&[BATCH]).table(&stage.trial.orders);
    stage.engine.faults().rule(rule);
    let done = stage.cli.succeed(BULK).await;
    assert!(
        done.stdout.contains("orders was written item by item"),
        "{}",
        done.stdout
    );
    // On a busy machine some are given up, and sent again.
    let puts = stage.engine.faults().asked("PutItem", &stage.trial.orders);
    assert!(puts >= ITEMS, "{puts} puts");
    end(&stage, tail).await;
}

/// The next process takes the segment over after a lease, and copies everything before the batch lands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lands_after_the_death_of_its_process_brings_nothing_back() {
    in_the_long_run!(what_lands_after_the_death_of_its_process_brings_nothing_back);
    lands_late("bulk", Duration::from_millis(LEASE_SECONDS * 1000 + 2600)).await;
}

/// Who gives bulk up waits for no lease to be taken over; but for what is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_what_lands_when_bulk_is_given_up() {
    in_the_long_run!(nor_does_what_lands_when_bulk_is_given_up);
    lands_late("concurrent", Duration::from_millis(LEASE_SECONDS * 1000 + 500)).await;
}

async fn lands_late(then: &str, late: Duration) {
    let stage = set(Script::quiet(53), Mode::Sequence).await;
    for id in 0..5 {
        put(&stage, id, 1, "there before").await;
    }
    let tail = begin(&stage).await;
    stage.cli.until_caught_up().await;
    // A batch is on its way when its process dies. It lands later than the product has to reckon with.
    let late = Landing::Late(Gate::After(late));
    let rule = Rule::new(Fault::Lost(Loss::Silence, late))
        .on(&[BATCH])
        .table(&stage.trial.orders)
        .holding(&mark(0))
        .times(1);
    let late = stage.engine.faults().rule(rule);
    let words = ["backfill", "--order", "bulk", "--segments", "1"];
    let first = stage.cli.start(&words);
    late.until(1).await;
    first.kill().await;
    for id in 0..5 {
        delete(&stage, id).await;
    }
    stage.cli.succeed(&["backfill", "--order", then]).await;
    let faults = stage.engine.faults();
    stage
        .cli
        .until("the late batch", |_| faults.count(FaultKind::LandedLate) == 1)
        .await;
    end(&stage, tail).await;
    assert_eq!(copied(&stage).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hold_outlives_the_copy_and_the_workers() {
    in_the_long_run!(the_hold_outlives_the_copy_and_the_workers);
    for mode in [Mode::Sequence, Mode::Timestamp] {
        let stage = set(Script::quiet(54).shards(2), mode).await;
        let cli = &stage.cli;
        for id in 0..60 {
            put(&stage, id, 1, "there before").await;
        }
        let tail = begin(&stage).await;
        cli.until_caught_up().await;
        for point in ["bulk.holding", "bulk.held", "bulk.put.after"] {
            let dying = cli.armed(&format!("{point}=kill"));
            assert_eq!(dying.run(BULK).await.killed_at(), Some(point));
        }
        until_held(cli).await;
        for id in 0..20 {
            delete(&stage, id).await;
            put(&stage, id + 100, 1, "while the lanes are held").await;
        }
        // Another worker takes its place, and is held as well; so is one that comes.
        tail.kill().await;
        let (tail, more) = (cli.start(&["replicate"]), cli.start(&["replicate"]));
        let held = cli
            .until("the reason", |status| {
                let blocked = lane(status, "orders")["blocked"].to_string();
                blocked.contains("the hold until the bulk copy")
            })
            .await;
        assert!(
            obstacles(&held).contains("a bulk copy holds the lanes"),
            "{held:#}"
        );
        assert!(
            held["next"].to_string().contains("dynasplit backfill"),
            "{held:#}"
        );
        tokio::time::sleep(Duration::from_secs(2 * LEASE_SECONDS)).await;
        for name in ["orders", "names"] {
            let table = if name == "orders" {
                &stage.trial.orders
            } else {
                &stage.trial.names
            };
            let found = contents::read(&stage.client, table).await;
            assert_eq!(
                found.len(),
                60,
                "{name}: nothing was removed, and nothing new was put"
            );
        }
        let refused = cli.run(&["verify"]).await.with_code(&["verify"], 1);
        assert!(refused.stderr.contains("holds the lanes"), "{}", refused.stderr);
        let refused = cli.run(&["complete", "--yes"]).await.with_code(&["complete"], 3);
        assert!(
            refused.stderr.contains("a bulk copy holds the lanes"),
            "{}",
            refused.stderr
        );
        let done = cli.succeed(AUTO).await;
        assert_eq!(json(&done.stdout)["order"], "bulk", "it goes on as it began");
        more.signal("TERM");
        more.end().await.with_code(&["replicate"], 0);
        cli.until_caught_up().await;
        cli.succeed(&["verify"]).await;
        end(&stage, tail).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_held_says_so_also_when_it_has_nothing_to_do() {
    in_the_long_run!(a_lane_that_is_held_says_so_also_when_it_has_nothing_to_do);
    let stage = loaded(60, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = begin(&stage).await;
    let limited =
        |by: &'static str| move |status: &Value| lanes(status).all(|lane| lane["limit"]["by"] == by);
    cli.until("nothing to do", limited("idle")).await;
    assert!(cli.armed("bulk.held=kill").run(BULK).await.killed_at().is_some());
    let blocked = |lane: &Value| {
        lane["blocked"]
            .to_string()
            .contains("the hold until the bulk copy")
    };
    // What looks for items that no service takes writes no table, and is not held.
    let held = |status: &Value| {
        let mut applied = lanes(status).filter(|lane| lane["lane"] != "(unrouted)");
        applied.all(|lane| lane["limit"]["by"] == "held" && blocked(lane))
    };
    cli.until("the hold", held).await;
    let told = cli.succeed(&["status"]).await.stdout;
    assert_eq!(told.matches("a bulk copy holds the lanes").count(), 1, "{told}");
    assert!(!told.contains("idle"), "{told}");
    cli.succeed(BULK).await;
    cli.until("the end of the hold", limited("idle")).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_repaired_while_the_lanes_are_held() {
    let stage = loaded(58, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = begin(&stage).await;
    let mut unfit = order(300, 1, "unfit");
    unfit.insert("dynasplit:mine".to_owned(), table::text("a reserved name"));
    table::put(&stage.client, &stage.trial.source, unfit).await;
    let letters = |status: &Value| status["dead_letters"]["orders"] == 1;
    cli.until("the letter", letters).await;
    assert!(cli.armed("bulk.held=kill").run(BULK).await.killed_at().is_some());
    let words = ["dead-letters", "reconcile"];
    let refused = cli.run(&words).await.with_code(&words, 1);
    assert!(
        refused.stderr.contains("holds the lanes of orders, names"),
        "{}",
        refused.stderr
    );
    // The copy meets the same item, and keeps its letter in the place of the other.
    cli.run(BULK).await.with_code(BULK, 3);
    assert!(letters(&cli.status().await));
    put(&stage, 300, 2, "repaired").await;
    cli.until_caught_up().await;
    cli.succeed(&words).await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_itself_it_takes_bulk_where_the_forecast_allows_it_and_says_why() {
    let stage = loaded(56, Mode::Sequence).await;
    let tail = begin(&stage).await;
    // At a unit in a quarter of an hour, the items take longer than the stream keeps records.
    let slow = ["backfill", "--order", "bulk", "--write-units", "0.001"];
    let refused = stage.cli.run(&slow).await.with_code(&slow, 1);
    assert!(
        refused.stderr.contains("more than a third of the 24 hours"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("--write-units"), "{}", refused.stderr);
    // What is tuned wins over the options, here too.
    stage.cli.succeed(&["tune", "--write-units", "0.001"]).await;
    let refused = stage.cli.run(BULK).await.with_code(BULK, 1);
    assert!(
        refused
            .stderr
            .contains("writing orders at 0.001 write units per second"),
        "{}",
        refused.stderr
    );
    stage.cli.succeed(&["tune", "--reset"]).await;
    // A table that exists may serve less than a new one.
    let units = ProvisionedThroughput::builder()
        .read_capacity_units(2)
        .write_capacity_units(2)
        .build()
        .expect("whole units");
    let provisioned = stage.client.update_table().table_name(&stage.trial.names);
    let provisioned = provisioned
        .billing_mode(BillingMode::Provisioned)
        .provisioned_throughput(units);
    provisioned.send().await.expect("the table is provisioned");
    let done = stage.cli.succeed(AUTO).await;
    let report = json(&done.stdout);
    assert_eq!(report["order"], "bulk", "{report:#}");
    let reason = report["order_reason"].as_str().expect("a reason");
    assert!(reason.starts_with("bulk: 200 items"), "{reason}");
    assert!(
        reason.contains("(writing names at 2 write units per second"),
        "{reason}"
    );
    assert!(done.stderr.contains(reason), "{}", done.stderr);
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_is_refused_where_it_must_not_be() {
    in_the_long_run!(bulk_is_refused_where_it_must_not_be);
    let stage = loaded(57, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = begin(&stage).await;
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let refused = async |why: &str| {
        let refused = cli.run(BULK).await.with_code(BULK, 1);
        assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
    };
    let change = async |change: &mut dyn FnMut(&mut SplitRecord)| {
        SplitRecord::change(&store, change)
            .await
            .expect("the state can be written");
    };
    change(&mut |record| record.repair_required = Some("a table may hold items".into())).await;
    refused("a table may hold items").await;
    change(&mut |record| {
        record.repair_required = None;
        assert!(record.switch.turn_on("reconcile", ["orders"]));
    })
    .await;
    refused("tombstones are on, or are not swept yet (reconcile)").await;
    let rule = Rule::new(Fault::Denied)
        .on(&["DescribeTable"])
        .table(&stage.trial.orders);
    let denied = stage.engine.faults().rule(rule);
    refused("because DescribeTable is not allowed: allow dynamodb:DescribeTable").await;
    denied.off();
    change(&mut |record| {
        let since = record.switch.claim("reconcile").unwrap_or_default();
        let worked_off = ["orders".to_owned()].into();
        assert!(record.switch.release("reconcile", since, &worked_off));
        record.switch.swept("orders", record.switch.epoch());
    })
    .await;
    // One that began in the other order goes on in it.
    let dying = cli.armed("backfill.page-read=kill");
    assert!(dying.run(&["backfill"]).await.killed_at().is_some());
    refused("began in the concurrent order").await;
    let report = json(&cli.succeed(AUTO).await.stdout);
    assert_eq!(report["order"], "concurrent");
    end(&stage, tail).await;
}

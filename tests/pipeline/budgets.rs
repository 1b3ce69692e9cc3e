//! Budgets are kept: the rate that a target or the source sees over time.

use super::running::Running;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, create, item, number, put_all, text};
use dynasplit::backfill::BackfillOptions;
use dynasplit::dynamo::{AccountLimit, Budget, ConcurrencyLimit};
use dynasplit::model::Counters;
use dynasplit::tail::TailOptions;
use dynasplit::target::Sweep;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PLAN: &str = "
version: 1
split: budgets
source:
  table: Source
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
services:
  - name: copy
    where: attribute_exists(PK)
    table:
      name: Copy
      keys: { partition: PK, sort: SK }
  - name: half
    where: attribute_exists(pad)
    table:
      name: Half
      keys: { partition: PK, sort: SK }
";

/// Items of about 2.5 KB: three write units each, on any table without indexes.
const UNITS: f64 = 3.0;

fn items(prefix: &str, count: u32) -> Vec<SdkItem> {
    (0..count)
        .map(|n| item(&format!("{prefix}{n}"), "x", [("body", text("b".repeat(2500)))]))
        .collect()
}

/// So many items were paid for. One whose answer was too late is written again, and what that costs is counted: a refusal.
fn assert_paid(milliunits: u64, items: u64) {
    let all = items * 3000;
    assert!(
        (all * 2 / 3..=all).contains(&milliunits),
        "{milliunits} for {items} items of three units each"
    );
}

/// The budget is used, not only kept. What is done beside copying takes a few seconds, and on a busy machine many.
fn assert_used(seconds: f64, least: f64) {
    assert!(seconds < least * 4.0 + 30.0, "{seconds}, and {least} are enough");
}

/// A split whose source holds 600 items, about 1.5 MB. The stream's history is not what is measured here.
async fn filled(engine: &Engine) -> Running {
    let mut running = Running::open(engine, PLAN).await;
    create(&running.client, running.source()).await;
    running.begin().await;
    running.stop_tail().await;
    put_all(&running.client, running.source(), items("a", 600)).await;
    running
}

/// Seconds that 600 items take at 400 write units a second, of which a second's worth may be saved up.
const LEAST: f64 = (600.0 * UNITS - 400.0) / 400.0;

/// Copies the 600 items within 400 write units a second, and answers how long that took.
async fn copied_within_its_write_units(running: &Running) -> (f64, Counters) {
    let began = Instant::now();
    let options = BackfillOptions {
        write_units: Some(400.0),
        ..BackfillOptions::default()
    };
    let report = running.backfill(options).await;
    let seconds = began.elapsed().as_secs_f64();
    let copy = report.lanes.into_iter().find(|lane| lane.lane == "copy").unwrap();
    assert_paid(copy.counters.write_milliunits, 600);
    assert!(seconds > LEAST * 0.95, "{seconds} < {LEAST}");
    (seconds, copy.counters)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_keeps_its_write_units_and_a_tail_its_own() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let (client, source) = (running.client.clone(), running.source().to_owned());
    create(&client, &source).await;
    running.apply().await;
    running
        .start_tail(TailOptions {
            write_units: Some(300.0),
            ..TailOptions::default()
        })
        .await;
    // From here: the tail writes while the last items are still being put.
    let began = Instant::now();
    put_all(&client, &source, items("a", 400)).await;
    running.drained().await;
    // 1,200 units at 300 a second, of which a second's worth may be saved up.
    let least = (400.0 * UNITS - 300.0) / 300.0;
    assert!(
        began.elapsed().as_secs_f64() > least * 0.95,
        "{:?} < {least}",
        began.elapsed()
    );
    let used = running.lane("copy").counters.write_milliunits;
    assert_paid(used, 400);
    running.stop_tail().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_keeps_both_its_budgets() {
    let engine = Engine::embedded().await;
    let running = filled(&engine).await;
    let (seconds, _) = copied_within_its_write_units(&running).await;
    assert_used(seconds, LEAST);
    running.assert_holds("copy", |item| Some(item.clone())).await;
}

/// DynamoDB Local does not tell what a batch of statements used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_keeps_its_write_units_on_an_engine_that_does_not_tell_them_and_says_so() {
    in_the_long_run!(a_backfill_keeps_its_write_units_on_an_engine_that_does_not_tell_them_and_says_so);
    let engine = Engine::genuine().await;
    let running = filled(&engine).await;
    let (_, counters) = copied_within_its_write_units(&running).await;
    assert!(counters.estimated_write_milliunits > 0, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_keeps_its_read_units() {
    let engine = Engine::embedded().await;
    // Read consistently: some 370 units.
    let running = filled(&engine).await;
    let began = Instant::now();
    let report = running
        .backfill(BackfillOptions {
            read_units: Some(60.0),
            segments: Some(60),
            ..BackfillOptions::default()
        })
        .await;
    let (seconds, units) = (
        began.elapsed().as_secs_f64(),
        report.read_milliunits as f64 / 1000.0,
    );
    assert!((360.0..500.0).contains(&units), "{units}");
    let least = (units - 60.0) / 60.0;
    assert!(seconds > least * 0.9, "{seconds} < {least}");
    assert_used(seconds, least);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_keeps_its_units_and_counts_them() {
    let engine = Engine::embedded().await;
    let running = Running::open(&engine, PLAN).await;
    let (client, table) = (running.client.clone(), running.target("copy").to_owned());
    create(&client, &table).await;
    // Half of them tombstones, of three write units each; 200 KB in all.
    let dead = items("dead", 40).into_iter().map(|mut item| {
        item.insert("dynasplit:tombstone".into(), number(7));
        item
    });
    put_all(&client, &table, dead.chain(items("live", 40)).collect::<Vec<_>>()).await;
    let sweep = |reads, writes| Sweep {
        client: client.clone(),
        table: table.clone(),
        keys: running.split.plan.service("copy").unwrap().keys.clone(),
        reads: Arc::new(Budget::new(reads)),
        writes: Arc::new(Budget::new(writes)),
        concurrency: Arc::new(ConcurrencyLimit::new(
            Duration::from_secs(5),
            &AccountLimit::default(),
        )),
        health: Arc::default(),
    };
    let began = Instant::now();
    // Nothing is swept: all are of a later epoch. So this is the scan alone.
    // Fewer units than segments are saved, so that they can't all start together.
    let looked = sweep(Some(4.0), None).tombstones(0).await.unwrap();
    let (seconds, units) = (
        began.elapsed().as_secs_f64(),
        looked.read_milliunits as f64 / 1000.0,
    );
    assert_eq!(
        (looked.removed, looked.changed, looked.write_milliunits),
        (0, 40, 0)
    );
    assert!((50.0..60.0).contains(&units), "{units}");
    // A second's worth is saved, and nobody waits for the last page.
    assert!(seconds > 4.0, "{seconds} for {units} units at 4 a second");
    let began = Instant::now();
    let swept = sweep(None, Some(20.0)).tombstones(8).await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!((swept.removed, swept.changed), (40, 0));
    assert_eq!(swept.write_milliunits, 120_000);
    assert_eq!(swept.read_milliunits, looked.read_milliunits);
    assert!(seconds > 3.5, "120 units at 20 a second, 20 saved: {seconds}");
    assert_eq!(running.held("copy").await.len(), 40);
}

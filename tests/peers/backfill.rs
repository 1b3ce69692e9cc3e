//! Copies that read with one reader, or divided their rate among segments, and checks that switched themselves off when
//! they were full.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dynasplit::state::{DeadLetters, MAX_RECHECKS, RecheckKey, Store};
use serde_json::{Value, json};

use super::orders;
use crate::support::Engine;
use crate::support::faulty::{Fault, Gate, Holder, Record, Rule, Script};
use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

/// emr-dynamodb-connector gives each segment a fixed share of the rate: one hot segment went on for five days when all the
/// others were done. Here the budget is whoever's has work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_segment_gets_the_whole_rate() {
    in_the_long_run!(a_hot_segment_gets_the_whole_rate);
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    // One partition key, so one segment of the parallel scan has all of it.
    let orders = (0..600).map(|n| {
        let order = [("kind", text("order")), ("at", number(n))];
        item("ACC#1", &format!("DOC#{n}"), order)
    });
    table::put_all(&stage.client, &stage.trial.source, orders).await;
    let cli = &stage.cli;
    let tail = cli.begin().await;
    // The tail has taken what the stream tells of them; without it, the backfill has to.
    cli.until_caught_up().await;
    for n in 0..600 {
        let key = key("ACC#1", &format!("DOC#{n}"));
        table::delete(&stage.client, &stage.trial.orders, key).await;
    }
    let began = Instant::now();
    let fill = cli.start(&["backfill", "--write-units", "100"]);
    let copied = |status: &Value| {
        let lanes = status["backfill"].as_array().expect("lanes");
        !lanes.is_empty() && lanes.iter().all(|lane| lane["segments_done"] == lane["segments"])
    };
    let status = cli.until("the copy", copied).await;
    let took = began.elapsed();
    // The share of one of them would be a small one.
    let lanes = status["backfill"].as_array().expect("lanes");
    let is_divided = |lane: &Value| lane["segments"].as_u64() >= Some(16);
    assert!(lanes.iter().all(is_divided), "{status:#}");
    // 600 units at 100 a second are six seconds; with a share of a sixteenth they would be a minute and a half.
    assert!(took < Duration::from_secs(50), "{took:?}");
    assert!(took > Duration::from_secs(3), "the rate is kept: {took:?}");
    fill.end().await.with_code(&["backfill"], 0);
    cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// kafka-connect-dynamodb scans with one reader, however large the table is. Here the next segment does not wait until
/// the one before is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_segments_are_read_at_the_same_time() {
    const SEED: u64 = 32;
    let engine = Engine::scripted(Script::quiet(SEED)).await;
    // No stream tells of what is there before `apply` switches it on: the backfill has to copy all of it.
    let stage = Stage::seeded(engine, Mode::Sequence, SEED, false).await;
    let (client, trial, cli) = (&stage.client, &stage.trial, &stage.cli);
    table::put_all(client, &trial.source, orders(200)).await;
    let tail = cli.begin().await;
    cli.until_caught_up().await;

    let (holder, faults) = (Holder::new(), stage.engine.faults());
    let held = Rule::new(Fault::Held(Gate::Held(holder.clone()))).on(&["Scan"]);
    faults.rule(held.table(&trial.source));
    let scans = faults.record(&["Scan"], &trial.source);
    let fill = cli.start(&["backfill"]);
    let several = async {
        while under_way(&scans).len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), several).await;
    assert!(waited.is_ok(), "only segments {:?}", under_way(&scans));
    holder.open();
    fill.end().await.with_code(&["backfill"], 0);
    cli.until_caught_up().await;
    trial.assert_equal(client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// The segments for whose pages somebody waits.
fn under_way(scans: &Record) -> BTreeSet<u64> {
    let scans = scans.under_way().into_iter();
    scans
        .filter_map(|scan| scan.call.json()["Segment"].as_u64())
        .collect()
}

/// The deduplication of Redpanda's connector switches itself off when its buffer is full. The one list of ours that has an
/// end says so when it is reached, and the split goes no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_recheck_list_stops_the_backfill_and_says_what_to_do() {
    in_the_long_run!(a_full_recheck_list_stops_the_backfill_and_says_what_to_do);
    let stage = Stage::set(Engine::embedded().await, Mode::Timestamp).await;
    let cli = &stage.cli;
    let order = [("kind", text("order")), ("at", number(1))];
    table::put(&stage.client, &stage.trial.source, item("ACC#1", "DOC#1", order)).await;
    let tail = cli.begin().await;
    let letters = DeadLetters::new(Store::new(stage.client.clone(), &stage.trial.state_table()));
    let entries = (0..=MAX_RECHECKS).map(|n| RecheckKey {
        service: "orders".into(),
        key: json!({ "PK": { "S": format!("ACC#{n}") }, "SK": { "S": "DOC#1" } }),
        epoch: 1,
        targets: Vec::new(),
    });
    let puts = entries.map(|entry| {
        let letters = letters.clone();
        async move { letters.recheck(&entry).await.expect("an entry") }
    });
    futures::StreamExt::collect::<Vec<()>>(futures::StreamExt::buffer_unordered(
        futures::stream::iter(puts),
        32,
    ))
    .await;
    let refused = cli.run(&["backfill"]).await.with_code(&["backfill"], 1);
    assert!(refused.stderr.contains("timestamp: none"), "{}", refused.stderr);
    let status = cli.status().await;
    assert_eq!(
        status["tombstones"]["orders"]["phase"], "on",
        "the backfill released a page: {status:#}"
    );
    assert!(obstacles(&status).contains("10,001 keys"), "{status:#}");
    cli.run(&["complete", "--yes"]).await.with_code(&["complete"], 3);
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

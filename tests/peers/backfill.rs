//! Copies that divided their rate among segments, and checks that switched themselves off when they were full.

use std::time::{Duration, Instant};

use dynasplit::state::{Letters, MAX_RECHECKS, RecheckKey, Store};
use serde_json::json;

use crate::support::Engine;
use crate::support::process::obstacles;
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

/// emr-dynamodb-connector gives each segment a fixed share of the rate: one hot segment went on for five days when all the
/// others were done. Here the budget is whoever's has work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_segment_gets_the_whole_rate() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    // One partition key, so one segment of the parallel scan has all of it.
    let orders = (0..600).map(|n| {
        let order = [("kind", text("order")), ("at", number(n))];
        item("ACC#1", &format!("DOC#{n}"), order)
    });
    table::put_all(&stage.client, &stage.trial.source, orders).await;
    let cli = &stage.cli;
    cli.succeed(&["apply"]).await;
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    // The tail has taken what the stream tells of them; without it, the backfill has to.
    cli.until_caught_up().await;
    for n in 0..600 {
        let key = key("ACC#1", &format!("DOC#{n}"));
        table::delete(&stage.client, &stage.trial.orders, key).await;
    }
    let began = Instant::now();
    let fill = cli.start(&["backfill", "--write-units", "150"]);
    cli.until("the copy", |status| {
        let lanes = status["backfill"].as_array().expect("lanes");
        !lanes.is_empty() && lanes.iter().all(|lane| lane["segments_done"] == lane["segments"])
    })
    .await;
    let took = began.elapsed();
    // 600 units at 150 a second are four seconds; with a share of a sixteenth they would be over a minute.
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert!(took > Duration::from_secs(2), "the rate is kept: {took:?}");
    fill.end().await.with_code(&["backfill"], 0);
    cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// The deduplication of Redpanda's connector switches itself off when its buffer is full. The one list of ours that has an
/// end says so when it is reached, and the split goes no further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_recheck_list_stops_the_backfill_and_says_what_to_do() {
    let stage = Stage::set(Engine::embedded().await, Mode::Timestamp).await;
    let cli = &stage.cli;
    let order = [("kind", text("order")), ("at", number(1))];
    table::put(&stage.client, &stage.trial.source, item("ACC#1", "DOC#1", order)).await;
    cli.succeed(&["apply"]).await;
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    let letters = Letters::new(Store::new(stage.client.clone(), &stage.trial.state_table()));
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
        status["tombstones"]["phase"], "on",
        "nothing was let go of: {status:#}"
    );
    assert!(obstacles(&status).contains("10001 keys"), "{status:#}");
    cli.run(&["complete", "--yes"]).await.with_code(&["complete"], 3);
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

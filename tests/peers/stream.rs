//! Tails that began again after a restart, that could not outlive the stream's retention, or that were called ready while
//! their stream was dead.

use serde_json::Value;

use crate::support::Engine;
use crate::support::age::set_back;
use crate::support::long::in_the_long_run;
use crate::support::process::{Cli, lane, lanes, obstacles};
use crate::support::stage::Stage;
use crate::support::table::{self, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

const HOUR_MS: u64 = 3_600_000;

/// Puts orders: every one is for two of the three services.
async fn put_orders(stage: &Stage, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let order = [("kind", text("order")), ("at", number(n)), ("name", text("n"))];
        let (pk, sk) = names(n);
        table::put(&stage.client, &stage.trial.source, item(&pk, &sk, order)).await;
    }
}

async fn delete_order(stage: &Stage, n: u32) {
    let (pk, sk) = names(n);
    table::delete(&stage.client, &stage.trial.source, key(&pk, &sk)).await;
}

fn names(n: u32) -> (String, String) {
    (format!("ACC#{}", n / 7), format!("DOC#{n}"))
}

/// Records that a lane has taken since the capture, over all processes.
fn seen(status: &Value, name: &str) -> u64 {
    lane(status, name)["counters"]["seen"].as_u64().expect("a count")
}

async fn until_seen(cli: &Cli, name: &str, count: u64) {
    cli.until("the records", |status| seen(status, name) >= count)
        .await;
}

/// scylla-migrator replays everything after a restart, thumbtack/dynamodb-rename remembers finished shards in memory only,
/// and flink's connector lost the lineage: here a restart goes on where it was, across shards that ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_reads_nothing_twice_and_finished_shards_stay_finished() {
    in_the_long_run!(a_restart_reads_nothing_twice_and_finished_shards_stay_finished);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let (cli, orders) = (&stage.cli, "orders");
    let tail = cli.begin().await;
    put_orders(&stage, 0..60).await;
    until_seen(cli, orders, 60).await;
    stage.engine.roll_shards().await;
    put_orders(&stage, 60..90).await;
    until_seen(cli, orders, 90).await;
    cli.until_caught_up().await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);

    // Nobody looks while another shard ends; and every shard of before is still there to be read again.
    put_orders(&stage, 90..100).await;
    stage.engine.roll_shards().await;
    put_orders(&stage, 100..110).await;
    let tail = cli.start(&["replicate"]);
    until_seen(cli, orders, 110).await;
    cli.until_caught_up().await;
    let status = cli.status().await;
    for name in [orders, "names"] {
        assert_eq!(seen(&status, name), 110, "not one record twice: {status:#}");
        assert_eq!(lane(&status, name)["counters"]["superseded"], 0, "{status:#}");
    }
    cli.succeed(&["backfill"]).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// kafka-connect-dynamodb starts over when it is more than 20 hours behind: here only records that are gone are a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_is_twenty_three_hours_behind_goes_on() {
    in_the_long_run!(a_tail_that_is_twenty_three_hours_behind_goes_on);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let cli = &stage.cli;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    tail.kill().await;
    put_orders(&stage, 0..40).await;
    delete_order(&stage, 3).await;
    stage.engine.dilate(23 * HOUR_MS).await;
    set_back(&stage, 23 * HOUR_MS).await;

    let status = cli.status().await;
    assert!(
        obstacles(&status).contains("lag by up to 23h"),
        "23 hours are shown: {status:#}"
    );
    let tail = cli.start(&["replicate"]);
    cli.until_caught_up().await;
    let status = cli.status().await;
    assert!(lanes(&status).all(|lane| lane["gap"].is_null()), "{status:#}");
    assert_eq!(seen(&status, "orders"), 41);
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// scylla-migrator's snapshot must end within the stream's 24 hours, and spiceai's checkpoints were useless when the
/// bootstrap took longer: here the tail runs beside the backfill, whose length does not matter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_may_take_longer_than_the_stream_keeps_its_records() {
    in_the_long_run!(a_backfill_may_take_longer_than_the_stream_keeps_its_records);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let cli = &stage.cli;
    put_orders(&stage, 0..300).await;
    let tail = cli.begin().await;
    // A part of the segments is copied.
    let words = ["backfill", "--workers", "2"];
    let mut fill = cli.armed("backfill.checkpoint.after@6=stop").start(&words);
    fill.until_stopped().await;
    fill.signal("TERM");
    fill.signal("CONT");
    fill.end().await.with_code(&words, 4);
    assert!(cli.status().await["scanned"].as_u64() > Some(0));
    delete_order(&stage, 7).await;
    put_orders(&stage, 300..320).await;
    cli.until_caught_up().await;

    // A day and an hour later every record of before is gone from the stream.
    stage.engine.dilate(25 * HOUR_MS).await;
    delete_order(&stage, 8).await;
    cli.succeed(&["backfill"]).await;
    cli.until_caught_up().await;
    let status = cli.status().await;
    assert!(lanes(&status).all(|lane| lane["gap"].is_null()), "{status:#}");
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// spiceai said "Ready" while its stream was dead: here what is written behind a stream's end is never called verified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_off_is_never_taken_for_one_that_is_quiet() {
    in_the_long_run!(a_stream_that_is_off_is_never_taken_for_one_that_is_quiet);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let cli = &stage.cli;
    put_orders(&stage, 0..10).await;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;
    cli.until_caught_up().await;
    cli.succeed(&["verify"]).await;
    assert_eq!(cli.status().await["phase"], "verified");
    let off = aws_sdk_dynamodb::types::StreamSpecification::builder()
        .stream_enabled(false)
        .build()
        .expect("a specification");
    let client = &stage.client;
    let update = client.update_table().table_name(&stage.trial.source);
    update
        .stream_specification(off)
        .send()
        .await
        .expect("the stream is switched off");
    put_orders(&stage, 10..12).await;

    let done = tail.end().await.with_code(&["replicate"], 0);
    assert!(done.stdout.contains("the stream is off"), "{}", done.stdout);
    let status = cli.status().await;
    assert_ne!(status["phase"], "verified", "{status:#}");
    assert!(
        obstacles(&status).contains("the stream was switched off after the last verify"),
        "{status:#}"
    );
    let refused = cli
        .run(&["complete", "--yes", "--quiet-for", "1"])
        .await
        .with_code(&["complete"], 3);
    assert!(
        refused
            .stderr
            .contains("the stream was switched off after the last verify"),
        "{}",
        refused.stderr
    );
    let found = cli.run(&["verify"]).await.with_code(&["verify"], 3);
    assert!(found.stdout.contains("missing"), "{}", found.stdout);
    // Without these two, the source is as it was when the stream ended.
    for n in 10..12 {
        delete_order(&stage, n).await;
    }
    cli.succeed(&["verify"]).await;
    assert_eq!(cli.status().await["phase"], "verified");
    cli.succeed(&["complete", "--yes", "--quiet-for", "1"]).await;
    stage.trial.assert_equal(client, Stamps::Gone).await;
}

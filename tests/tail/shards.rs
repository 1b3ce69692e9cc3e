//! Shards that roll, also while nobody reads; iterators that expire; a place that only seems trimmed.

use std::time::Duration;

use aws_sdk_dynamodbstreams::types::ShardIteratorType::AtSequenceNumber;

use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::process::{Cli, lane, lanes};
use crate::support::stage::Stage;
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, stream, unique};

const HOUR_MS: u64 = 3_600_000;
const HABITS: Habits = Habits {
    keys: 100,
    writers: 3,
    pause: Duration::from_millis(60),
    backwards: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_follows_across_rolls_and_expired_iterators() {
    in_the_long_run!(the_tail_follows_across_rolls_and_expired_iterators);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let mutator = stage.write(HABITS).await;
    let cli = &stage.cli;
    let tail = cli.begin().await;
    cli.succeed(&["backfill"]).await;

    // Two at once: what lies between them is empty, or nearly so.
    for rolls in [1, 2] {
        for _ in 0..rolls {
            stage.engine.roll_shards().await;
        }
        until_more(cli).await;
    }
    // Nobody reads while shards roll; two share the work afterwards.
    tail.kill().await;
    for _ in 0..2 {
        stage.engine.roll_shards().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let tails = [cli.start(&["replicate"]), cli.start(&["replicate"])];
    until_more(cli).await;
    // Every iterator expires, and the open shard rolls by its age.
    stage.engine.dilate(5 * HOUR_MS).await;
    until_more(cli).await;
    stage.engine.roll_shards().await;

    mutator.stop().await;
    cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    let status = cli.succeed(&["verify"]).await;
    assert!(!status.stdout.is_empty());
    for tail in tails {
        tail.signal("TERM");
        tail.end().await.with_code(&["replicate"], 0);
    }
}

/// Waits until every lane has taken records that were written after now.
async fn until_more(cli: &Cli) {
    let before = cli.status().await;
    let seen = |status: &serde_json::Value, name: &str| {
        lane(status, name)["counters"]["seen"].as_u64().expect("a count")
    };
    cli.until("progress in every lane", |status| {
        lanes(status).all(|lane| {
            let name = lane["lane"].as_str().expect("a name");
            seen(status, name) > seen(&before, name) + 20
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_only_seems_trimmed_is_no_gap() {
    in_the_long_run!(a_place_that_only_seems_trimmed_is_no_gap);
    let stage = Stage::set(Engine::genuine_dedicated().await, Mode::Sequence).await;
    let (client, source) = (&stage.client, &stage.trial.source);
    let streams = stage.engine.streams();
    let arn = stream::arn(client, source).await;
    let shards = stream::shards(&streams, &arn).await;
    let start = stream::range(&shards[0]).0.expect("a start").to_owned();
    stage.cli.succeed(&["apply"]).await;
    let mut tail = stage.cli.start(&["replicate"]);
    stage.cli.until_captured().await;

    // Another table takes the number at which the empty shard was pinned.
    for turn in 0..3 {
        table::create(client, &unique("other")).await;
        let order = [("kind", text("order")), ("at", number(turn)), ("name", text("n"))];
        table::put(client, source, item("ACC#1", &format!("DOC#{turn}"), order)).await;
        let shard = stream::id(&shards[0]);
        let iterator = stream::iterator_at(&streams, &arn, shard, AtSequenceNumber, &start).await;
        let read = match iterator {
            Ok(iterator) => stream::page(&streams, &iterator).await.map(drop),
            Err(code) => Err(code),
        };
        assert_eq!(
            read,
            Err("TrimmedDataAccessException".to_owned()),
            "the engine errs as it is known to"
        );
        stage.cli.until_caught_up().await;
    }
    assert!(
        tail.told().contains("no longer keeps the position"),
        "{}",
        tail.told()
    );
    let status = stage.cli.status().await;
    assert!(lanes(&status).all(|lane| lane["gap"].is_null()), "{status:#}");
    stage.cli.succeed(&["backfill"]).await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

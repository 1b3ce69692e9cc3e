//! SIGTERM: what was under way is saved, the exit code says so, and the same command goes on.

use aws_sdk_dynamodb::Client;

use crate::chaos::Stage;
use crate::support::Engine;
use crate::support::process::Cli;
use crate::support::trial::{Mode, Stamps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_told_to_stop_goes_on_later() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence);
    let client = stage.engine.dynamodb();
    let mutator = stage.begin(&client).await;
    let cli = &stage.cli;
    cli.succeed(&["apply"]).await;

    // Not before the stream is captured: the command says what to do first.
    let early = cli.run(&["backfill"]).await.with_code(&["backfill"], 1);
    assert!(early.stderr.contains("dynasplit replicate"), "{}", early.stderr);

    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    // Twenty read units a second: some ten pages of the sixteen take several seconds.
    let fill = cli.start(&["backfill", "--read-units", "10", "--workers", "1"]);
    let status = cli
        .until("the first segment", |status| segments_done(status) > 0)
        .await;
    let before = segments_done(&status);
    fill.signal("TERM");
    let done = fill.end().await.with_code(&["backfill"], 4);
    assert!(
        done.stderr.contains("the same command goes on"),
        "{}",
        done.stderr
    );
    let status = cli.status().await;
    assert_eq!(status["phase"], "backfilling");
    assert_eq!(status["tombstones"]["phase"], "on", "{status:#}");
    assert!(segments_done(&status) >= before, "progress was saved");

    cli.succeed(&["backfill"]).await;
    finish(cli, &client, &stage, mutator).await;
    tail.signal("TERM");
    let done = tail.end().await.with_code(&["replicate"], 0);
    assert!(
        done.stdout.contains("To go on: dynasplit replicate"),
        "{}",
        done.stdout
    );
    assert_eq!(
        cli.status().await["workers"].as_array().map(Vec::len),
        Some(0),
        "it left"
    );
}

async fn finish(cli: &Cli, client: &Client, stage: &Stage, mutator: crate::support::mutator::Mutator) {
    mutator.stop().await;
    cli.until_caught_up().await;
    stage.trial.assert_equal(client, Stamps::Stripped).await;
}

fn segments_done(status: &serde_json::Value) -> u64 {
    let lanes = status["backfill"].as_array().expect("lanes");
    lanes
        .iter()
        .filter_map(|lane| lane["segments_done"].as_u64())
        .sum()
}

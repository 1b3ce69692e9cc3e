//! SIGTERM: what was under way is saved, the exit code says so, and run the same command. SIGSTOP: a process that
//! was held up for longer than its lease.

use std::time::Duration;

use serde_json::Value;

use crate::crashes::scene::HABITS;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::stage::{LEASE_SECONDS, Stage};
use crate::support::trial::{Mode, Stamps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_is_told_to_stop_goes_on_later() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let mutator = stage.write(HABITS).await;
    let cli = &stage.cli;
    cli.succeed(&["apply"]).await;

    // Not before the stream is captured: the command says what to do first.
    let early = cli.run(&["backfill"]).await.with_code(&["backfill"], 1);
    assert!(early.stderr.contains("dynasplit replicate"), "{}", early.stderr);

    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    // Each of the sixteen segments is a page of a unit or two, of which one is given for a second.
    let fill = cli.start(&["backfill", "--read-units", "1", "--workers", "1"]);
    let status = cli
        .until("the first segment", |status| segments_done(status) > 0)
        .await;
    let before = segments_done(&status);
    fill.signal("TERM");
    let done = fill.end().await.with_code(&["backfill"], 4);
    assert!(done.stderr.contains("run the same command"), "{}", done.stderr);
    let status = cli.status().await;
    assert_eq!(status["phase"], "backfilling");
    assert_eq!(status["tombstones"]["orders"]["phase"], "on", "{status:#}");
    assert!(segments_done(&status) >= before, "progress was saved");

    cli.succeed(&["backfill"]).await;
    mutator.stop().await;
    cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    let done = tail.end().await.with_code(&["replicate"], 0);
    assert!(
        done.stdout.contains("run `dynasplit replicate"),
        "{}",
        done.stdout
    );
    assert_eq!(
        cli.status().await["workers"].as_array().map(Vec::len),
        Some(0),
        "it left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_that_was_held_up_until_it_counted_as_dead_goes_on() {
    in_the_long_run!(a_tail_that_was_held_up_until_it_counted_as_dead_goes_on);
    let stage = Stage::set(Engine::embedded().await, Mode::Timestamp).await;
    let mutator = stage.write(HABITS).await;
    let cli = &stage.cli;
    let tail = cli.begin().await;
    tail.signal("STOP");
    // The backfill waits for the tail's word on tombstones, finds it dead, and goes on without it.
    let fill = cli.start(&["backfill"]);
    cli.until("a tail that counts as dead", |status| {
        status["workers"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
    tokio::time::sleep(Duration::from_secs(LEASE_SECONDS)).await;
    tail.signal("CONT");
    fill.end().await.with_code(&["backfill"], 0);
    mutator.stop().await;
    cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

fn segments_done(status: &Value) -> u64 {
    let lanes = status["backfill"].as_array().expect("lanes");
    lanes
        .iter()
        .filter_map(|lane| lane["segments_done"].as_u64())
        .sum()
}

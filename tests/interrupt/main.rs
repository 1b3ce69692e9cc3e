//! Real processes, killed and started again, while writers go on: at the end every target is exactly what it should be.
//!
//! A run prints its seed; `DYNASPLIT_SEED=n` repeats what was decided (not the timing, which no seed decides).
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod chaos;
mod signals;

use chaos::{Chaos, HABITS};
use support::Engine;
use support::stage::Stage;
use support::trial::{Mode, Stamps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_in_timestamp_mode() {
    let stage = Stage::set(Engine::embedded().await, Mode::Timestamp).await;
    survive(stage, Chaos::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_in_sequence_mode() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    survive(stage, Chaos::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_on_dynamodb_local() {
    let stage = Stage::set(Engine::genuine().await, Mode::Sequence).await;
    survive(stage, Chaos { steps: 5 }).await;
}

/// Splits while processes are killed, then compares.
async fn survive(stage: Stage, chaos: Chaos) {
    let mutator = stage.write(HABITS).await;
    let tail = chaos.run(&stage).await;
    // The backfill is finished, so every tombstone must be gone, whatever the writers still write.
    let writes = mutator.stop().await;
    eprintln!("{writes} writes");
    stage.cli.until_caught_up().await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    stage.cli.succeed(&["verify"]).await;
    tail.signal("TERM");
    let done = tail.end().await.with_code(&["replicate"], 0);
    assert!(
        done.stdout.contains("To go on: dynasplit replicate"),
        "{}",
        done.stdout
    );
}

//! Looks that lost progress: here nothing that only looks writes a word.

use dynasplit::state::{SegmentRecord, Store};
use serde_json::Value;

use super::orders;
use crate::support::long::in_the_long_run;
use crate::support::stage::Stage;
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents, table};

/// A dry run of gh-ost that resumed dropped the progress of the real one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_only_read_change_nothing_of_a_running_split() {
    in_the_long_run!(commands_that_only_read_change_nothing_of_a_running_split);
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let (client, trial, cli) = (&stage.client, &stage.trial, &stage.cli);
    table::put_all(client, &trial.source, orders(400)).await;
    let tail = cli.begin().await;
    let words = ["backfill", "--workers", "1"];
    let mut fill = cli.armed("backfill.checkpoint.after@4=stop").start(&words);
    fill.until_stopped().await;
    fill.signal("TERM");
    fill.signal("CONT");
    fill.end().await.with_code(&words, 4);
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);

    let before = [
        contents::read(client, &trial.state_table()).await,
        contents::read(client, &trial.orders).await,
    ];
    let segments = done(&cli.status().await);
    assert!(segments > 0);
    for words in [
        &["plan"] as &[&str],
        &["plan", "--offline"],
        &["status"],
        &["status", "--output", "json"],
        &["dead-letters", "list"],
    ] {
        cli.succeed(words).await;
    }
    // This one refuses: the split is not to be completed yet.
    cli.run(&["complete", "--yes"]).await.with_code(&["complete"], 3);
    let after = [
        contents::read(client, &trial.state_table()).await,
        contents::read(client, &trial.orders).await,
    ];
    contents::assert_same(&after[0], &before[0]);
    contents::assert_same(&after[1], &before[1]);

    // What creates finds all that is there, and leaves the progress.
    cli.succeed(&["apply"]).await;
    assert_eq!(done(&cli.status().await), segments);
    let store = Store::new(client.clone(), &trial.state_table());
    let cursors = |records: Vec<(String, dynasplit::state::Stored<SegmentRecord>)>| -> u64 {
        records.iter().map(|(_, stored)| stored.value.scanned).sum()
    };
    let kept = store.list::<SegmentRecord>(SegmentRecord::PREFIX).await;
    assert!(cursors(kept.expect("segments")) > 0);
    let tail = cli.start(&["replicate"]);
    cli.succeed(&["backfill"]).await;
    cli.until_caught_up().await;
    trial.assert_equal(client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

fn done(status: &Value) -> u64 {
    let lanes = status["backfill"].as_array().expect("lanes");
    lanes
        .iter()
        .filter_map(|lane| lane["segments_done"].as_u64())
        .sum()
}

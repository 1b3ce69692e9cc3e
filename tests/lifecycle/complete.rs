//! `complete`: refuses while anything is not clean, then ends everything, and can be run again.

use std::time::Duration;

use aws_sdk_dynamodb::types::TimeToLiveStatus;

use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::mutator::Habits;
use crate::support::stage::Stage;
use crate::support::trial::{Mode, Stamps};

const HABITS: Habits = Habits {
    keys: 200,
    writers: 2,
    pause: Duration::from_millis(40),
    backwards: 0,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_ends_in_sequence_mode() {
    in_the_long_run!(a_split_ends_in_sequence_mode);
    from_apply_to_the_end(Mode::Sequence).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_ends_in_timestamp_mode() {
    from_apply_to_the_end(Mode::Timestamp).await;
}

async fn from_apply_to_the_end(mode: Mode) {
    let stage = Stage::set(Engine::genuine().await, mode).await;
    let (client, trial, cli) = (&stage.client, &stage.trial, &stage.cli);
    let mutator = stage.write(HABITS).await;
    cli.succeed(&["apply"]).await;
    refuses(&stage, "do not follow the stream yet").await;
    let mut tails = vec![cli.start(&["replicate"])];
    cli.until_captured().await;
    refuses(&stage, "there was no backfill").await;
    cli.succeed(&["backfill"]).await;
    tails.push(cli.start(&["replicate"]));
    mutator.stop().await;
    refuses(&stage, "nothing was verified").await;
    cli.until_caught_up().await;
    cli.succeed(&["verify"]).await;
    // One worker died, and is waited for.
    tails.remove(0).kill().await;

    cli.run(&["complete"]).await.with_code(&["complete"], 2);
    let done = cli.succeed(&["complete", "--yes", "--quiet-for", "1"]).await;
    assert!(done.stdout.contains("the split is complete"), "{}", done.stdout);
    for tail in tails {
        let ended = tail.end().await.with_code(&["replicate"], 0);
        assert!(ended.stdout.contains("no longer needed"), "{}", ended.stdout);
    }
    trial.assert_equal(client, Stamps::Gone).await;
    let described = client
        .describe_time_to_live()
        .table_name(&trial.invoices)
        .send()
        .await
        .expect("TTL can be described");
    let ttl = described.time_to_live_description().expect("a description");
    assert_eq!(ttl.time_to_live_status(), Some(&TimeToLiveStatus::Enabled));
    assert_eq!(ttl.attribute_name(), Some("expires"));

    let again = cli.succeed(&["complete", "--yes", "--quiet-for", "1"]).await;
    assert!(again.stdout.contains("was completed earlier"), "{}", again.stdout);
    let status = cli.status().await;
    assert_eq!(status["phase"], "done", "{status:#}");
    // A supervisor that starts it again does not do so without end.
    let late = cli.succeed(&["replicate"]).await;
    assert!(late.stdout.contains("so do not start"), "{}", late.stdout);
    for words in [&["backfill"] as &[&str], &["verify", "--repair"]] {
        let late = cli.run(words).await.with_code(words, 1);
        assert!(late.stderr.contains("was completed"), "{}", late.stderr);
    }
    trial.assert_equal(client, Stamps::Gone).await;
}

async fn refuses(stage: &Stage, reason: &str) {
    let words = ["complete", "--yes", "--quiet-for", "1"];
    let refused = stage.cli.run(&words).await.with_code(&words, 3);
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
}

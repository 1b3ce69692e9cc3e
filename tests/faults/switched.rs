//! A stream that is switched off and on again: another ARN, and nobody knows what was written in between.

use aws_sdk_dynamodb::types::StreamSpecification;

use super::course::{begin, copied, delete, end, put, set, stream};
use crate::support::faulty::Script;
use crate::support::long::in_the_long_run;
use crate::support::process::{lanes, obstacles};
use crate::support::stage::Stage;
use crate::support::table::both_images;
use crate::support::trial::{Mode, Stamps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_under_a_new_arn_is_noticed_and_the_way_out_ends_exact() {
    in_the_long_run!(a_stream_under_a_new_arn_is_noticed_and_the_way_out_ends_exact);
    let stage = set(Script::quiet(18).shards(2), Mode::Sequence).await;
    for id in 0..20 {
        put(&stage, id, 1, "first").await;
    }
    let tail = copied(&stage).await;
    stage.cli.until_caught_up().await;
    stage.cli.succeed(&["verify"]).await;
    let clean = stage.cli.status().await;
    assert_eq!(clean["phase"], "verified", "{clean:#}");

    let was = stream(&stage).arn().await;
    put(&stage, 30, 1, "the last that is seen").await;
    switch(&stage, false).await;
    for id in 0..5 {
        delete(&stage, id).await;
        put(&stage, id + 40, 1, "unseen").await;
    }
    switch(&stage, true).await;
    assert_ne!(stream(&stage).arn().await, was);
    put(&stage, 31, 1, "in the new stream").await;

    // What the old one held was read to its end; then the worker sees that there is another, and says what to do.
    let ended = tail.end().await;
    assert_ne!(ended.code, Some(0), "it is not drained: {}", ended.stdout);
    assert!(ended.stderr.contains("--restart-tail"), "{}", ended.stderr);
    let status = stage.cli.status().await;
    assert!(obstacles(&status).contains("--restart-tail"), "{status:#}");
    let next = status["next"].to_string();
    assert!(next.contains("--restart-tail"), "before all else: {next}");
    let refused = stage
        .cli
        .run(&["complete", "--yes"])
        .await
        .with_code(&["complete"], 3);
    assert!(refused.stderr.contains("--restart-tail"), "{}", refused.stderr);
    let refused = stage.cli.run(&["replicate"]).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("--restart-tail"), "{}", refused.stderr);

    let tail = stage.cli.start(&["replicate", "--restart-tail"]);
    let followed = |status: &serde_json::Value| {
        let mandatory = obstacles(status).contains("a repair is mandatory");
        mandatory && lanes(status).all(|lane| lane["lag_ms"].is_u64())
    };
    stage.cli.until("the new stream", followed).await;
    stage.cli.until_caught_up().await;
    stage.cli.run(&["verify"]).await.with_code(&["verify"], 3);
    stage.cli.run(&["verify", "--repair"]).await;
    stage.cli.succeed(&["verify"]).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    // The new stream's numbers are the smaller ones, and its records win all the same.
    put(&stage, 6, 2, "after the repair").await;
    end(&stage, tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_switched_off_is_drained_to_its_end() {
    let stage = set(Script::quiet(19).shards(2).records_at_once(1), Mode::Timestamp).await;
    let tail = begin(&stage).await;
    // They are read one by one, for longer than it takes to see that the stream is off.
    for id in 0..80 {
        put(&stage, id, 1, "before the fence").await;
    }
    switch(&stage, false).await;
    let ended = tail.end().await.with_code(&["replicate"], 0);
    assert!(ended.stdout.contains("drained"), "{}", ended.stdout);
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
}

async fn switch(stage: &Stage, on: bool) {
    let off = || {
        StreamSpecification::builder()
            .stream_enabled(false)
            .build()
            .expect("a whole specification")
    };
    let wanted = if on { both_images() } else { off() };
    let update = stage.client.update_table().table_name(&stage.trial.source);
    update
        .stream_specification(wanted)
        .send()
        .await
        .expect("the stream is switched");
}

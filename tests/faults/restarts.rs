//! Several restarts of the tail at once: one of them begins a generation, every lane is captured in the generation that is
//! read, and a restart that is needed later still works.

use std::time::Duration;

use aws_sdk_dynamodb::types::StreamSpecification;
use dynasplit::dynamo::{Clients, Endpoint, Timing};
use dynasplit::plan::Plan;
use dynasplit::state::{SplitRecord, Store};
use dynasplit::tail::{Ended, Tail, TailOptions};
use dynasplit::worker::Split;
use tokio_util::sync::CancellationToken;

use super::course::{begin, in_time, put, seen, set, until_seen};
use crate::support::contents;
use crate::support::faulty::Script;
use crate::support::long::in_the_long_run;
use crate::support::process::obstacles;
use crate::support::stage::Stage;
use crate::support::table::both_images;
use crate::support::trial::Mode;

const RESTART: &[&str] = &["replicate", "--restart-tail"];

async fn generations(stage: &Stage) -> SplitRecord {
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    SplitRecord::read(&store).await.expect("a record").value
}

/// Switches the source's stream.
pub async fn switch(stage: &Stage, on: bool) {
    let wanted = if on {
        both_images()
    } else {
        let off = StreamSpecification::builder().stream_enabled(false).build();
        off.expect("a whole specification")
    };
    let changed = stage
        .client
        .update_table()
        .table_name(&stage.trial.source)
        .stream_specification(wanted)
        .send()
        .await;
    changed.expect("the stream is switched");
}

/// A restart stands still when it has pinned its places, and another one begins meanwhile: at the same stream, or at the one
/// that replaced it. Answers what the split's record says when every lane has a place.
async fn overtaken(replaced: bool) -> SplitRecord {
    let stage = set(Script::quiet(41), Mode::Sequence).await;
    let first = begin(&stage).await;
    put(&stage, 1, 1, "seen by the first tail").await;
    until_seen(&stage, "orders", 1).await;
    first.kill().await;
    let mut earlier = stage.cli.armed("capture.pinned=stop").start(RESTART);
    earlier.until_stopped().await;
    if replaced {
        switch(&stage, false).await;
        switch(&stage, true).await;
    }
    let mut later = stage.cli.armed("lease.taken=stop").start(RESTART);
    later.until_stopped().await;
    earlier.signal("CONT");
    earlier.until_told("pinned the stream's open shards").await;
    later.signal("CONT");

    stage.cli.until_captured().await;
    put(&stage, 2, 1, "seen by the tail that was restarted").await;
    // The counters of the lanes begin anew with a stream, so the target tells.
    let follows = async {
        while contents::read(&stage.client, &stage.trial.orders).await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    in_time("a tail that follows", follows).await;
    let status = stage.cli.status().await;
    assert!(obstacles(&status).contains("a repair is mandatory"), "{status:#}");
    for tail in [earlier, later] {
        tail.signal("TERM");
        tail.end().await.with_code(RESTART, 0);
    }
    generations(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_restart_of_the_same_stream_follows_the_first() {
    let record = overtaken(false).await;
    assert_eq!(record.streams.len(), 2, "one restart: {record:#?}");
    assert!(record.streams[1].captured_ms.is_some(), "{record:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_an_earlier_stream_marks_no_lane_of_the_later_one() {
    let record = overtaken(true).await;
    assert_eq!(
        record.streams.len(),
        3,
        "another stream needs another restart: {record:#?}"
    );
    assert_ne!(record.streams[1].arn, record.streams[2].arn);
    assert!(record.streams[2].captured_ms.is_some(), "{record:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_restarts_at_once_beside_a_running_tail_are_one() {
    in_the_long_run!(many_restarts_at_once_beside_a_running_tail_are_one);
    let stage = set(Script::quiet(42).shards(2), Mode::Sequence).await;
    let running = begin(&stage).await;
    let endpoint = Endpoint {
        url: Some(stage.engine.endpoint().to_owned()),
        anonymous: true,
        ..Endpoint::default()
    };
    let clients = Clients::load(&endpoint, Timing::LOCAL)
        .await
        .expect("the clients are made");
    let plan = Plan::parse(&stage.trial.plan(), "plan.yaml").expect("the trial's plan");
    let split = Split::open(plan, &clients).await;
    let stop = CancellationToken::new();
    let mut tails = Vec::new();
    for _ in 0..4 {
        let options = TailOptions {
            restart: true,
            ..TailOptions::default()
        };
        let (tail, lanes) = Tail::new(split.clone(), options, stop.clone());
        tails.push((tokio::spawn(tail.run()), lanes));
    }
    for (_, lanes) in &mut tails {
        let captured =
            lanes.wait_for(|lanes| !lanes.is_empty() && lanes.iter().all(|lane| lane.lag_ms.is_some()));
        in_time("the capture", async {
            captured.await.map(drop).expect("the tail runs")
        })
        .await;
    }
    let record = generations(&stage).await;
    assert_eq!(record.streams.len(), 2, "{record:#?}");
    stage.cli.until_captured().await;
    stop.cancel();
    for (tail, _) in tails {
        let ended = tail.await.expect("it does not panic").expect("it ends well");
        assert_eq!(ended, Ended::Stopped);
    }
    // The running tail follows to the new generation.
    put(&stage, 1, 1, "after the restarts").await;
    stage.cli.until_caught_up().await;
    assert!(seen(&stage.cli.status().await, "orders") > 0);
    running.signal("TERM");
    running.end().await.with_code(&["replicate"], 0);
}

//! Workers that come when a split ends, or wake up when it has ended, write nothing; and a lane that stops lets the writes
//! that it has under way finish.

use std::time::{Duration, Instant};

use crate::crashes::scene::{Scene, assert_nothing_left, succeed_soon};
use crate::support::long::in_the_long_run;
use crate::support::process::{LIMIT, Running};
use crate::support::stage::{LEASE_SECONDS, Stage};
use crate::support::table::{self, item, number, text};
use crate::support::trial::{Mode, Stamps};
use crate::support::{Engine, contents};

const COMPLETE: &[&str] = &["complete", "--yes", "--quiet-for", "1"];

/// A split that can be completed, and the tail that replicates it.
async fn verified() -> (Stage, Running) {
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    cli.succeed(&["backfill"]).await;
    let Scene { stage, writers } = scene;
    writers.stop().await;
    stage.cli.until_caught_up().await;
    succeed_soon(&stage.cli, &["verify"]).await;
    (stage, tail)
}

/// What the orders hold, without the stamps, which are being stripped.
async fn orders(stage: &Stage) -> contents::Contents {
    let mut orders = contents::read(&stage.client, &stage.trial.orders).await;
    for item in orders.values_mut() {
        item.retain(|name, _| !name.starts_with("dynasplit:"));
    }
    orders
}

/// A write of the source that a worker which should not write would replicate.
async fn tempt(stage: &Stage) {
    let order = item("ACC#9", "DOC#9999", [("kind", text("order")), ("at", number(1))]);
    table::put(&stage.client, &stage.trial.source, order).await;
}

/// `complete` is held up at a point; a worker comes meanwhile.
async fn comes_during_complete(point: &str) {
    let (stage, tail) = verified().await;
    let before = orders(&stage).await;
    let mut complete = stage.cli.armed(&format!("{point}=stop")).start(COMPLETE);
    complete.until_stopped().await;
    tail.end().await.with_code(&["replicate"], 0);
    tempt(&stage).await;
    let late = stage.cli.succeed(&["replicate"]).await;
    assert!(
        late.stdout.contains("this worker is no longer needed"),
        "{}",
        late.stdout
    );
    assert!(orders(&stage).await == before, "it wrote");
    complete.signal("CONT");
    complete.end().await.with_code(COMPLETE, 0);
    assert!(orders(&stage).await == before, "it wrote");
    assert_nothing_left(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_comes_before_complete_looks_for_workers_writes_nothing() {
    in_the_long_run!(a_worker_that_comes_before_complete_looks_for_workers_writes_nothing);
    comes_during_complete("complete.begun").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_comes_while_complete_strips_writes_nothing() {
    in_the_long_run!(a_worker_that_comes_while_complete_strips_writes_nothing);
    comes_during_complete("complete.strip.before").await;
}

/// A second worker stands still at a point; meanwhile the split is completed; then it goes on.
async fn wakes_after_complete(point: &str) {
    let (stage, tail) = verified().await;
    let mut late = stage.cli.armed(&format!("{point}=stop")).start(&["replicate"]);
    late.until_stopped().await;
    stage.cli.succeed(COMPLETE).await;
    tail.end().await.with_code(&["replicate"], 0);
    let before = orders(&stage).await;
    tempt(&stage).await;
    late.signal("CONT");
    let done = late.end().await;
    assert!(
        done.code == Some(0) || done.stderr.contains("was completed"),
        "{:?}: {}",
        done.code,
        done.stderr
    );
    assert!(orders(&stage).await == before, "it wrote");
    assert_nothing_left(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_registers_after_complete_writes_nothing() {
    in_the_long_run!(a_worker_that_registers_after_complete_writes_nothing);
    wakes_after_complete("state.worker.put.before").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_wakes_after_complete_writes_nothing() {
    wakes_after_complete("state.worker.put.after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_stood_still_before_its_writes_lets_its_successor_win() {
    in_the_long_run!(a_lane_that_stood_still_before_its_writes_lets_its_successor_win);
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let cli = &stage.cli;
    let first = cli.begin().await;
    first.kill().await;
    // A put that is about to be written when its worker is held up.
    let order = |at: u32| item("ACC#1", "DOC#1", [("kind", text("order")), ("at", number(at))]);
    table::put(&stage.client, &stage.trial.source, order(1)).await;
    let mut held = cli.armed("tail.put.before=stop").start(&["replicate"]);
    held.until_stopped().await;
    // Its successor writes it, and deletes it for good: without tombstones, nothing is left to refuse the late put.
    let successor = cli.start(&["replicate"]);
    let began = Instant::now();
    while contents::read(&stage.client, &stage.trial.orders)
        .await
        .is_empty()
    {
        assert!(began.elapsed() < LIMIT, "the successor writes nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    table::delete(&stage.client, &stage.trial.source, table::key("ACC#1", "DOC#1")).await;
    cli.until_caught_up().await;
    held.signal("CONT");
    tokio::time::sleep(Duration::from_secs(LEASE_SECONDS)).await;
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    for tail in [held, successor] {
        tail.signal("TERM");
        tail.end().await.with_code(&["replicate"], 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_told_to_stop_waits_for_the_writes_it_has_sent() {
    let stage = Stage::set(Engine::embedded().await, Mode::Sequence).await;
    let cli = &stage.cli;
    let first = cli.begin().await;
    first.signal("TERM");
    first.end().await.with_code(&["replicate"], 0);
    for number_of in 0..40 {
        let document = format!("DOC#{number_of}");
        let order = item("ACC#1", &document, [("kind", text("order")), ("at", number(1))]);
        table::put(&stage.client, &stage.trial.source, order).await;
    }
    // One write of many is not answered for a while; the others are not begun.
    let faults = "tail.put.after=delay:3000,tail.put.before@2+=delay:1000";
    let tail = cli.armed(faults).start(&["replicate"]);
    // As of the last look that did not find it, however late the next one is.
    let (began, mut sent) = (Instant::now(), Instant::now());
    loop {
        let look = Instant::now();
        let found = contents::read(&stage.client, &stage.trial.orders).await;
        if !found.is_empty() {
            break;
        }
        assert!(began.elapsed() < LIMIT, "nothing is written");
        sent = look;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
    assert!(
        sent.elapsed() > Duration::from_millis(2500),
        "it left after {:?}, before its write was answered",
        sent.elapsed()
    );
    cli.start(&["replicate"]).kill().await;
}

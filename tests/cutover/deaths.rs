//! Processes that die at each step: the same command continues, and nothing is lost.

use crate::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::process::Running;
use crate::support::trial::Mode;

/// The points of a cutover, in their order, and those of a rollback.
const THERE: &[&str] = &[
    "state.cutover.put.before",
    "state.cutover.put.after",
    "state.cutover-event.put.before",
    "state.cutover-event.put.after",
    "cutover.fencing",
    "cutover.step",
    "cutover.closed",
    "cutover.close-acknowledged",
    "state.cutover-pin.put.before",
    "state.cutover-pin.put.after",
    "cutover.pinned",
    "cutover.switching",
    "cutover.hook-done",
    "cutover.switched",
];
const BACK: &[&str] = &[
    "rollback.fencing",
    "rollback.drained",
    "rollback.reopened",
    "rollback.reopen-acknowledged",
    "rollback.unfenced",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_dies_at_each_step_and_the_same_command_continues() {
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    for point in THERE {
        die(&shop, CUTOVER, point).await;
    }
    shop.cutover().await;
    until_written(&application, |written| written.target >= 40).await;
    for point in BACK {
        die(&shop, ROLLBACK, point).await;
    }
    shop.cli.succeed(ROLLBACK).await;
    let before = application.written().await;
    until_written(&application, |written| written.source >= before.source + 40).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    shop.verify().await;
    end(tail).await;
}

/// The worker dies instead, again and again, also while it carries back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_dies_during_the_cutover_and_the_rollback_and_nothing_is_lost() {
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let cutting = shop.cli.start(CUTOVER);
    let tail = restarted(&shop, tail, "fence").await;
    cutting.end().await.with_code(CUTOVER, 0);
    until_written(&application, |written| written.target >= 40).await;
    tail.kill().await;
    let tail = shop.cli.start(&["replicate"]);
    until_written(&application, |written| written.target >= 80).await;
    let going_back = shop.cli.start(ROLLBACK);
    let tail = restarted(&shop, tail, "fence-target").await;
    going_back.end().await.with_code(ROLLBACK, 0);
    let before = application.written().await;
    until_written(&application, |written| written.source >= before.source + 40).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

/// Kills the worker when the command has reached a step, and starts another one.
async fn restarted(shop: &Shop, tail: Running, step: &str) -> Running {
    shop.cli
        .until("the step", |status| status["cutovers"][0]["step"] == step)
        .await;
    tail.kill().await;
    shop.cli.start(&["replicate"])
}

async fn die(shop: &Shop, words: &[&str], point: &str) {
    let died = shop.cli.armed(&format!("{point}=kill")).run(words).await;
    assert_eq!(died.killed_at(), Some(point), "{words:?}: {}", died.stderr);
}

//! Processes that die at each step: the same command continues, and nothing is lost.

use super::held::POINTS as HELD;
use super::marked::POINTS as MARKED;
use super::policy::POINTS as POLICY;
use super::pruned::POINTS as PRUNES;
use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::failpoints;
use crate::support::long::in_the_long_run;
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
/// The points of a cancel, and those of the cancel of a rollback.
const CANCELS: &[&str] = &["cutover.reopened", "cutover.lifted"];
const ROLLBACK_CANCELS: &[&str] = &["rollback.cancelled"];
/// The points of a worker that carries back.
const CARRIES: &[&str] = &[
    "reverse.put.before",
    "reverse.put.after",
    "reverse.update.before",
    "reverse.update.after",
    "reverse.mark.before",
    "reverse.mark.after",
    "reverse.delete.before",
    "reverse.delete.after",
];
const BACK: &[&str] = &[
    "rollback.fencing",
    "rollback.drained",
    "rollback.reopened",
    "rollback.reopen-acknowledged",
    "rollback.unfenced",
];

/// Those of the end of a service.
pub const ENDS: &[&str] = &[
    "cutover.way-back-ended",
    "cutover.end-acknowledged",
    "cutover.watch-ended",
    "cutover.unmark.before",
    "cutover.unmark.after",
    "cutover.unmarked",
    "cutover.stripped",
];

#[test]
fn processes_die_at_every_failpoint_of_a_cutover() {
    let known = [
        THERE,
        BACK,
        CANCELS,
        ROLLBACK_CANCELS,
        CARRIES,
        POLICY,
        ENDS,
        HELD,
        MARKED,
        PRUNES,
    ]
    .concat();
    for point in failpoints::points().filter(|point| failpoints::is_of_cutovers(point)) {
        assert!(known.contains(&&*point), "nobody dies at {point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_dies_and_the_same_command_continues() {
    in_the_long_run!(a_cancel_dies_and_the_same_command_continues);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    die(&shop, CUTOVER, "cutover.pinned").await;
    for point in CANCELS {
        die(&shop, CANCEL, point).await;
    }
    shop.succeed(CANCEL).await;
    shop.cutover().await;
    die(&shop, ROLLBACK, "rollback.drained").await;
    for point in ROLLBACK_CANCELS {
        die(&shop, CANCEL_ROLLBACK, point).await;
    }
    shop.succeed(CANCEL_ROLLBACK).await;
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_dies_at_each_reverse_write_and_nothing_is_lost() {
    in_the_long_run!(a_worker_dies_at_each_reverse_write_and_nothing_is_lost);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.cutover().await;
    tail.kill().await;
    for point in CARRIES {
        let died = shop.cli.armed(&format!("{point}=kill")).run(&["replicate"]).await;
        assert_eq!(died.killed_at(), Some(*point), "{}", died.stderr);
    }
    let tail = shop.cli.start(&["replicate"]);
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_dies_at_each_step_and_the_same_command_continues() {
    in_the_long_run!(the_command_dies_at_each_step_and_the_same_command_continues);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    for point in THERE {
        die(&shop, CUTOVER, point).await;
    }
    shop.cutover().await;
    until_written(&application, |written| written.target >= 40).await;
    for point in BACK {
        die(&shop, ROLLBACK, point).await;
    }
    shop.succeed(ROLLBACK).await;
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

pub async fn die(shop: &Shop, words: &[&str], point: &str) {
    let died = shop.run(&shop.cli.armed(&format!("{point}=kill")), words).await;
    assert_eq!(died.killed_at(), Some(point), "{words:?}: {}", died.stderr);
}

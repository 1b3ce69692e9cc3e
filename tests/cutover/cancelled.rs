//! Cancels, by the operator and by the command itself.

use super::shop::{CANCEL, CANCEL_ROLLBACK, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

/// Killed in the middle, and cancelled by the next command: the application goes on with the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cutover_that_died_is_cancelled_from_each_step_before_the_switch() {
    in_the_long_run!(a_cutover_that_died_is_cancelled_from_each_step_before_the_switch);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    for point in [
        "cutover.fencing",
        "cutover.closed",
        "cutover.close-acknowledged",
        "cutover.pinned",
        "cutover.switching",
    ] {
        let died = shop.run(&shop.cli.armed(&format!("{point}=kill")), CUTOVER).await;
        assert_eq!(died.killed_at(), Some(point), "{}", died.stderr);
        let status = shop.cli.status().await;
        assert!(
            status["obstacles"].to_string().contains("\"cutover\""),
            "{status:#}"
        );
        let cancelled = shop.succeed(CANCEL).await;
        assert!(cancelled.stdout.contains("was cancelled"), "{}", cancelled.stdout);
        assert_eq!(shop.phase().await, "replicating", "{point}");
        let before = application.written().await;
        until_written(&application, |written| written.source >= before.source + 20).await;
        assert_eq!(
            before.target, 0,
            "{point}: the application never wrote the target"
        );
    }
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    shop.verify().await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_would_be_too_long_cancels_the_cutover() {
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let words = ["cutover", "--service", "people", "--max-pause", "100ms", "--yes"];
    let cancelled = shop.run(&shop.cli, &words).await.with_code(&words, 3);
    assert!(cancelled.stdout.contains("--max-pause"), "{}", cancelled.stdout);
    // The pause may have been over before the fence was in the record of the split.
    let phase = shop.phase().await;
    assert!(["none", "replicating"].contains(&&*phase), "{phase}");
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    let written = application.end().await;
    assert_eq!(written.target, 0);
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_would_be_too_long_cancels_the_rollback() {
    in_the_long_run!(a_pause_that_would_be_too_long_cancels_the_rollback);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    shop.cutover().await;
    let words = ["rollback", "--service", "people", "--max-pause", "100ms", "--yes"];
    let cancelled = shop.run(&shop.cli, &words).await.with_code(&words, 3);
    assert!(cancelled.stdout.contains("--max-pause"), "{}", cancelled.stdout);
    assert_eq!(shop.phase().await, "switched");
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 20).await;
    // What was cancelled limits nothing later.
    shop.succeed(ROLLBACK).await;
    let written = application.end().await;
    shop.assert_both_sides(&written).await;
    end(tail).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_cancelled_and_the_service_goes_on_with_its_table() {
    in_the_long_run!(a_rollback_is_cancelled_and_the_service_goes_on_with_its_table);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    shop.cutover().await;
    for point in ["rollback.fencing", "rollback.drained"] {
        let died = shop
            .run(&shop.cli.armed(&format!("{point}=kill")), ROLLBACK)
            .await;
        assert_eq!(died.killed_at(), Some(point), "{}", died.stderr);
        let cancelled = shop.succeed(CANCEL_ROLLBACK).await;
        assert!(cancelled.stdout.contains("was cancelled"), "{}", cancelled.stdout);
        assert_eq!(shop.phase().await, "switched", "{point}");
        let before = application.written().await.target;
        until_written(&application, |written| written.target >= before + 20).await;
    }
    // Past the point of no return, there is only one way.
    let died = shop.cli.armed("rollback.reopened=kill").run(ROLLBACK).await;
    assert_eq!(died.killed_at(), Some("rollback.reopened"), "{}", died.stderr);
    let refused = shop.cli.run(CANCEL_ROLLBACK).await.with_code(CANCEL_ROLLBACK, 1);
    assert!(
        refused.stderr.contains("cannot be cancelled"),
        "{}",
        refused.stderr
    );
    shop.succeed(ROLLBACK).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

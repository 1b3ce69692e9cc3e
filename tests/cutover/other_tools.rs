//! What went wrong at the cutovers of other tools. `docs/testing.md` lists the failures, and the tests of other files that prevent
//! them here.

use super::shop::{CANCEL, CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::long::in_the_long_run;
use crate::support::trial::Mode;

/// An undo fails halfway: it says so, deletes nothing, and the same command ends it later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_fails_halfway_is_repeated_and_loses_nothing() {
    in_the_long_run!(an_undo_that_fails_halfway_is_repeated_and_loses_nothing);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    // The cancel: the lane is open again, and the fence cannot be lifted.
    super::deaths::die(&shop, CUTOVER, "cutover.pinned").await;
    shop.spoil("fail", "unfence");
    for _ in 0..2 {
        let failed = shop.run(&shop.cli, CANCEL).await.with_code(CANCEL, 1);
        assert!(failed.stderr.contains("unfence"), "{}", failed.stderr);
        let stand = shop.stand().await;
        assert_eq!(stand["step"], "cancel-lift", "{stand:#}");
        let next = stand["next"].as_str().unwrap_or_default();
        assert!(next.contains("--cancel"), "{next}");
    }
    shop.mend("fail", "unfence");
    shop.succeed(CANCEL).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;

    // The rollback: the writes are back in the source, and the writers cannot be moved.
    shop.cutover().await;
    until_written(&application, |written| written.target >= 20).await;
    shop.spoil("fail", "rollback");
    for _ in 0..2 {
        let failed = shop.run(&shop.cli, ROLLBACK).await.with_code(ROLLBACK, 1);
        assert!(failed.stderr.contains("rollback"), "{}", failed.stderr);
        assert_eq!(shop.stand().await["step"], "unfence");
    }
    shop.mend("fail", "rollback");
    shop.succeed(ROLLBACK).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 20).await;
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

/// The writers are not moved if nobody would carry their writes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_is_refused_if_no_worker_runs_the_way_back() {
    in_the_long_run!(a_switch_is_refused_if_no_worker_runs_the_way_back);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let mut cutting = shop.cli.armed("cutover.pinned=stop").start(CUTOVER);
    cutting.until_stopped_at("cutover.pinned").await;
    tail.kill().await;
    cutting.signal("CONT");
    let cancelled = cutting.end().await.with_code(CUTOVER, 3);
    assert!(
        cancelled.stdout.contains("no live worker"),
        "{}",
        cancelled.stdout
    );
    assert_eq!(shop.calls("switch"), 0, "no writer was moved");
    assert_eq!(shop.phase().await, "replicating");
    let before = application.written().await;
    until_written(&application, |written| written.source >= before.source + 20).await;
    assert_eq!(before.target, 0);
    let tail = shop.cli.start(&["replicate"]);
    shop.assert_both_sides(&application.end().await).await;
    end(tail).await;
}

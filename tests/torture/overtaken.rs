//! A process that lost the lease of repairs while a write of it stood still: it ends, or looks again, and waits for nothing
//! that never comes.

use crate::scene::Scene;
use crate::support::Engine;
use crate::support::process::Running;
use crate::support::trial::Mode;

const RECONCILE: &[&str] = &["dead-letters", "reconcile"];
const BACKFILL: &[&str] = &["backfill"];

/// A split whose tail left a letter that can be mended by now, and whose target lost the item meanwhile.
async fn with_a_letter() -> (Scene, Running) {
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    scene.cli().succeed(&["apply"]).await;
    let tail = scene.tail().await;
    scene.cli().succeed(BACKFILL).await;
    scene.own().put_unfit(0, 5).await;
    scene.cli().until_caught_up().await;
    scene.own().put(0, 10).await;
    scene.cli().until_caught_up().await;
    scene.own().lose(0).await;
    (scene, tail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_that_was_overtaken_ends() {
    let (scene, tail) = with_a_letter().await;
    let cli = scene.cli();
    let mut held = cli.armed("letters.put.before=stop").start(RECONCILE);
    held.until_stopped().await;
    cli.succeed(RECONCILE).await;
    held.signal("CONT");
    let done = held.end().await.with_code(RECONCILE, 4);
    assert!(done.stderr.contains("took over"), "{}", done.stderr);
    scene.end(tail).await;
}

//! A process that lost the lease of repairs while a write of it stood still: it ends, or looks again, and waits for nothing
//! that never comes.

use crate::crashes::reserved_items::ReservedItems;
use crate::crashes::scene::Scene;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::Running;
use crate::support::stage::{Stage, seed};
use crate::support::trial::{Mode, Stamps};

const RECONCILE: &[&str] = &["dead-letters", "reconcile"];
const BACKFILL: &[&str] = &["backfill"];

/// A split whose tail left a dead letter that can be repaired by now, and whose target lost the item meanwhile.
async fn with_a_dead_letter() -> (Scene, Running) {
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    scene.cli().succeed(&["apply"]).await;
    let tail = scene.tail().await;
    scene.cli().succeed(BACKFILL).await;
    scene.reserved_items().put_invalid(0, 5).await;
    scene.cli().until_caught_up().await;
    scene.reserved_items().put(0, 10).await;
    scene.cli().until_caught_up().await;
    scene.reserved_items().lose(0).await;
    (scene, tail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconcile_that_lost_the_repair_lease_ends() {
    in_the_long_run!(a_reconcile_that_lost_the_repair_lease_ends);
    let (scene, tail) = with_a_dead_letter().await;
    let cli = scene.cli();
    let mut held = cli.armed("letters.put.before=stop").start(RECONCILE);
    held.until_stopped().await;
    cli.succeed(RECONCILE).await;
    held.signal("CONT");
    let done = held.end().await.with_code(RECONCILE, 4);
    assert!(done.stderr.contains("took over"), "{}", done.stderr);
    scene.end(tail).await;
}

/// What a page of it beat is on the recheck list, and its write of that stands still while another process of the backfill
/// works the list off and switches tombstones off.
async fn lost_at(point: &str) {
    let engine = Engine::embedded().await;
    let stage = Stage::seeded(engine, Mode::Timestamp, seed(), false).await;
    let (cli, own) = (&stage.cli, ReservedItems::of(&stage));
    own.put(0, 1000).await;
    let tail = cli.begin().await;
    // Whose page lands late is not to read it again.
    let held = cli
        .with_lease(12)
        .armed(&format!("backfill.page-read=stop,{point}=stop"));
    let mut held = held.start(&["backfill", "--segments", "1", "--workers", "1"]);
    held.until_stopped().await;
    own.put(0, 500).await;
    cli.until("the list", |status| status["rechecks"].as_u64() > Some(0))
        .await;
    // The tail lists a key before it writes it: only over the written item does the page beat something.
    cli.until_caught_up().await;
    held.signal("CONT");
    held.until_stopped_at(point).await;
    cli.succeed(BACKFILL).await;
    let status = cli.status().await;
    assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
    held.signal("CONT");
    held.end().await.with_code(BACKFILL, 0);
    assert_eq!(cli.status().await["rechecks"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_lost_the_repair_lease_before_a_write_reads_again() {
    lost_at("recheck.put.before").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_that_lost_the_repair_lease_after_a_write_reads_again() {
    in_the_long_run!(a_backfill_that_lost_the_repair_lease_after_a_write_reads_again);
    lost_at("recheck.put.after").await;
}

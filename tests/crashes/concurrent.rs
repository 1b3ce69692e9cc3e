//! Several commands need tombstones at the same time, and some are suspended: each one releases only its own hold.

use crate::crashes::reserved_items::ReservedItems;
use crate::crashes::scene::{Scene, end_soon, succeed_soon};
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::process::Running;
use crate::support::stage::{Stage, seed};
use crate::support::trial::{Mode, Stamps};

const BACKFILL: &[&str] = &["backfill"];
const RECONCILE: &[&str] = &["dead-letters", "reconcile"];
const ITEMS: usize = 20;

/// A page is in the backfill's hands while the clocks of its items go back; another command comes and switches tombstones off meanwhile. The
/// page beats what the tail wrote, and only the backfill, when all its pages have landed, can bring that in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_backfill_rechecks_items_that_go_back_under_a_page_whoever_switches_off_first() {
    let engine = Engine::embedded().await;
    let stage = Stage::seeded(engine, Mode::Timestamp, seed(), false).await;
    let (cli, own) = (&stage.cli, ReservedItems::of(&stage));
    for place in 0..ITEMS {
        own.put(place, 1000).await;
    }
    let tail = cli.begin().await;
    own.put_invalid(ITEMS, 5).await;
    cli.until("the letter", |status| status["dead_letters"]["orders"] == 1)
        .await;
    let slow = cli.armed("backfill.page-read=stop");
    let mut fill = slow.start(&["backfill", "--segments", "1", "--workers", "1"]);
    fill.until_stopped().await;
    for place in 0..ITEMS {
        own.put(place, 500).await;
    }
    let listed = |status: &serde_json::Value| status["rechecks"].as_u64() >= Some(ITEMS as u64);
    cli.until("the list", listed).await;
    // The letter stays: its item is as it was.
    end_soon(cli, RECONCILE, &[3]).await;
    assert!(listed(&cli.status().await), "the list is the backfill's");
    own.delete(ITEMS).await;
    fill.signal("CONT");
    fill.end().await.with_code(BACKFILL, 3);
    succeed_soon(cli, RECONCILE).await;
    cli.until_caught_up().await;
    assert_eq!(cli.status().await["rechecks"], 0);
    stage.trial.assert_equal(&stage.client, Stamps::Stripped).await;
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// A process of a backfill stands still at a point; others end its round, and a service is added.
async fn stands_still_at(point: &str) -> (Scene, Running, Running) {
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    let plan = scene.stage.trial.plan();
    let names = plan.find("  - name: names").map(|at| &plan[at..]);
    let few = scene.stage.edited(names.expect("the last service"), "");
    few.succeed(&["apply"]).await;
    let tail = few.start(&["replicate"]);
    few.until_captured().await;
    let mut still = few.armed(&format!("{point}=stop")).start(BACKFILL);
    still.until_stopped().await;
    few.succeed(BACKFILL).await;
    tail.kill().await;
    scene.cli().succeed(&["apply"]).await;
    let tail = scene.tail().await;
    (scene, tail, still)
}

/// It found all segments done, and stood still. Others ended its round, and began another one for a service that was added.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_an_earlier_round_ends_nothing_of_a_later_one() {
    in_the_long_run!(a_process_of_an_earlier_round_ends_nothing_of_a_later_one);
    let (scene, tail, held_up) = stands_still_at("backfill.copied").await;
    let cli = scene.cli();
    // It copies until the other one has switched tombstones off.
    let slow = cli.armed("backfill.page-read=stop");
    let mut fill = slow.start(&["backfill", "--segments", "2", "--workers", "2"]);
    fill.until_stopped().await;
    held_up.signal("CONT");
    held_up.end().await.with_code(BACKFILL, 0);
    let status = cli.status().await;
    assert_eq!(status["tombstones"]["names"]["phase"], "on", "{status:#}");
    assert!(status["backfill_record"]["finished_ms"].is_null(), "{status:#}");
    fill.signal("CONT");
    fill.end().await.with_code(BACKFILL, 0);
    let status = cli.status().await;
    assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
    scene.end(tail).await;
}

/// It opened the backfill's record, and stood still; others ended the backfill; it switched tombstones on, and died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_holder_is_released_by_the_next_process() {
    in_the_long_run!(a_late_holder_is_released_by_the_next_process);
    let scene = Scene::open(Engine::embedded().await, Mode::Sequence, true).await;
    let cli = scene.cli();
    cli.succeed(&["apply"]).await;
    let tail = scene.tail().await;
    // On the way from the record to the switch.
    let late = cli.armed("bulk.given-up=stop,tombstones.on-acknowledged=kill");
    let mut late = late.start(BACKFILL);
    late.until_stopped().await;
    cli.succeed(BACKFILL).await;
    late.signal("CONT");
    assert_eq!(late.end().await.killed_at(), Some("tombstones.on-acknowledged"));
    let status = cli.status().await;
    assert_eq!(status["tombstones"]["orders"]["phase"], "on", "{status:#}");
    assert!(status["backfill_record"]["finished_ms"].is_u64(), "{status:#}");
    cli.succeed(BACKFILL).await;
    assert_eq!(cli.status().await["tombstones"], serde_json::json!({}));
    scene.end(tail).await;
}

/// The same, and nobody ran it again before a service was added: its round releases that, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_of_an_earlier_round_is_released_by_a_later_round() {
    in_the_long_run!(a_holder_of_an_earlier_round_is_released_by_a_later_round);
    let (scene, tail, late) = stands_still_at("bulk.given-up").await;
    let cli = scene.cli();
    let dying = cli.armed("backfill.page-read=kill");
    assert!(dying.run(BACKFILL).await.killed_at().is_some());
    late.signal("CONT");
    let late = late.end().await;
    assert!(
        late.stderr.contains("has begun to copy services that were added"),
        "{}",
        late.stderr
    );
    cli.succeed(BACKFILL).await;
    let status = cli.status().await;
    assert_eq!(status["tombstones"], serde_json::json!({}), "{status:#}");
    scene.end(tail).await;
}

//! A service is cut over, rolled back, cut over again and completed, while the table of another one, which was added, is copied.

use serde_json::Value;

use super::application::Application;
use super::completed::COMPLETE;
use super::shop::{CUTOVER, ROLLBACK, Shop, end, until_written};
use crate::support::contents::{self, Contents, Plain};
use crate::support::long::in_the_long_run;
use crate::support::process::{Running, obstacles};
use crate::support::table::{self, item, number};
use crate::support::trial::{Mode, STAMP};
use crate::support::unique;

/// So many that their copy takes longer than everything else, at one unit a second.
const ITEMS: u64 = 900;

/// The copy is suspended, as on a machine that sleeps: nobody else continues it, and nothing of it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_moves_while_the_copy_of_another_one_is_interrupted() {
    in_the_long_run!(a_service_moves_while_the_copy_of_another_one_is_interrupted);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    let (late, tail) = added(&shop, tail).await;
    let mut copying = shop.cli.armed("backfill.page-read=stop").start(&["backfill"]);
    copying.until_stopped_at("backfill.page-read").await;
    let application = moves(&shop, application).await;
    assert_copied(&shop).await;
    copying.signal("CONT");
    copying.end().await.with_code(&["backfill"], 0);
    ends(&shop, &late, application, tail).await;
}

/// A service whose table has a stream for the way back, or had one, does not stand in the way of `apply`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_added_while_another_one_is_cut_over_and_after_it_went_back() {
    in_the_long_run!(a_service_is_added_while_another_one_is_cut_over_and_after_it_went_back);
    let (shop, tail, application) = Shop::open(Mode::Sequence).await;
    // Its cutover has begun, and comes to no fence: the stream of its table is on already.
    shop.spoil("fail", "before-fence");
    let failed = shop.run(&shop.cli, CUTOVER).await;
    assert_ne!(failed.code, Some(0), "{}", failed.stdout);
    shop.mend("fail", "before-fence");
    let (late, tail) = added(&shop, tail).await;
    shop.succeed(&["backfill"]).await;
    verify_all(&shop).await;
    shop.cutover().await;
    shop.succeed(ROLLBACK).await;
    shop.succeed(&["apply"]).await;
    let plan = ["plan"];
    let planned = shop.run(&shop.cli, &plan).await;
    assert!(!planned.stdout.contains("differs"), "{}", planned.stdout);
    verify(&shop, "people").await;
    shop.cutover().await;
    ends(&shop, &late, application, tail).await;
}

/// The copy runs all the time, and its service is written meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_moves_while_another_one_is_copied() {
    in_the_long_run!(a_service_moves_while_another_one_is_copied);
    let (shop, tail, application) = Shop::open(Mode::Timestamp).await;
    let (late, tail) = added(&shop, tail).await;
    // It would take minutes: it is killed before it ends.
    let copying = shop.cli.start(&["backfill", "--write-units", "1"]);
    shop.cli
        .until("the copy reads", |status| {
            status["tombstones"]["late"]["phase"] == "on"
        })
        .await;
    for n in (0..ITEMS).step_by(3) {
        table::delete(&shop.stage.client, &shop.stage.trial.source, key(n)).await;
    }
    let application = moves(&shop, application).await;
    assert_copied(&shop).await;
    copying.kill().await;
    shop.succeed(&["backfill"]).await;
    ends(&shop, &late, application, tail).await;
}

/// Adds a service and its items; nothing of it is copied yet.
async fn added(shop: &Shop, tail: Running) -> (String, Running) {
    let late = unique("late");
    let path = shop.path("plan.yaml");
    let plan = std::fs::read_to_string(&path).expect("the plan is read");
    let added = format!(
        "  - name: late
    where: begins_with(PK, 'LATE#')
    owns: items
    table:
      name: {late}
      keys: {{ partition: PK, sort: SK }}
"
    );
    std::fs::write(path, plan + &added).expect("the plan is written");
    shop.succeed(&["apply"]).await;
    // It ends by itself, because its plan lacks the service; if it has not noticed that yet, it is killed.
    tail.kill().await;
    // The other one keeps the plan that it read first, and would not wait for the lane of the new service.
    let newest = shop.cli.with_plan(shop.path("plan.yaml"));
    let tail = newest.begin().await;
    let items = (0..ITEMS).map(|n| {
        let mut item = key(n);
        item.insert("n".into(), number(n + 1));
        item
    });
    table::put_all(&shop.stage.client, &shop.stage.trial.source, items).await;
    (late, tail)
}

fn key(n: u64) -> table::SdkItem {
    item(&format!("LATE#{n}"), "L", [])
}

/// The whole way of the other service: nothing of it is refused, and nothing of the copy shows in its table.
async fn moves(shop: &Shop, application: Application) -> Application {
    let status = shop.cli.status().await;
    assert!(obstacles(&status).contains("backfill-unfinished"), "{status:#}");
    let whole = ["verify"];
    let refused = shop.run(&shop.cli, &whole).await.with_code(&whole, 1);
    assert!(refused.stderr.contains("too early"), "{}", refused.stderr);
    // What was proven before the service was added is proven still.
    shop.cutover().await;
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 60).await;
    assert!(is_copied(&shop.cli.status().await));

    shop.succeed(ROLLBACK).await;
    let before = application.written().await.source;
    until_written(&application, |written| written.source >= before + 60).await;
    verify(shop, "people").await;
    let status = shop.cli.status().await;
    assert!(
        is_copied(&status) && status["proven"]["people"].is_u64(),
        "{status:#}"
    );
    shop.cutover().await;
    let before = application.written().await.target;
    until_written(&application, |written| written.target >= before + 60).await;

    shop.succeed(COMPLETE).await;
    assert_eq!(shop.phase().await, "completed");
    application
}

/// A clean verify of one service, while its application writes.
async fn verify(shop: &Shop, service: &str) {
    let words = ["verify", "--service", service];
    for _ in 0..3 {
        if shop.run(&shop.cli, &words).await.code == Some(0) {
            return;
        }
    }
    shop.succeed(&words).await;
}

fn is_copied(status: &Value) -> bool {
    let phases = &status["tombstones"];
    phases["late"]["phase"] == "on" && phases["people"].is_null() && phases["orders"].is_null()
}

async fn assert_copied(shop: &Shop) {
    let status = shop.cli.status().await;
    assert!(is_copied(&status), "{status:#}");
    assert!(
        status["backfill_record"]["finished_ms"].is_null(),
        "the copy has not ended: {status:#}"
    );
}

/// The copy has ended: everything is exact, and the split goes on as any other.
async fn ends(shop: &Shop, late: &str, application: Application, tail: Running) {
    let written = application.end().await;
    let target = contents::read(&shop.stage.client, &shop.people).await;
    assert_eq!(target.len(), written.people.len(), "nothing but people");
    verify_all(shop).await;
    assert_eq!(obstacles(&shop.cli.status().await), "[]");
    let mut expected: Contents = contents::read(&shop.stage.client, &shop.stage.trial.source).await;
    expected.retain(|key, _| matches!(&key[0], Plain::Text(pk) if pk.starts_with("LATE#")));
    let mut held = contents::read(&shop.stage.client, late).await;
    for item in held.values_mut() {
        item.remove(STAMP);
    }
    assert!(
        !expected.is_empty() && held == expected,
        "{held:?} is not {expected:?}"
    );
    shop.succeed(&["cutover", "--service", "late", "--yes"]).await;
    end(tail).await;
}

async fn verify_all(shop: &Shop) {
    shop.succeed(&["verify"]).await;
}

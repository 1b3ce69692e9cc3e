//! What a repair fixes, and what it must never do.

use super::bench::{
    Bench, CARTS, ORDERS, SOURCE, USERS, cart, named, options, order, phase, repairing, target_key,
    target_of, user, with,
};
use super::proxy::Action;
use crate::support::contents::{Contents, assert_same};
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, item, key, number, text};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::repair::{RepairRecord, reconcile_dead_letters};
use dynasplit::state::{Lease, Owner, SplitRecord};
use dynasplit::verify::{InvalidItem, VerifyResult};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn tombstone(pk: &str) -> SdkItem {
    item(pk, "x", [("dynasplit:tombstone", AttributeValue::Bool(true))])
}

async fn require_repair(bench: &Bench) {
    SplitRecord::change(&bench.split.store, |record| {
        record.repair_required = Some("the tail was restarted".into());
    })
    .await
    .unwrap();
}

/// Breaks every target in ways that a repair fixes. Returns the number of keys.
async fn break_targets(bench: &Bench) -> u64 {
    for n in 0..5 {
        bench.delete(ORDERS, key(&format!("ORDER#{n}"), "x")).await;
        bench.put(ORDERS, order(300 + n, 9)).await;
        let moved = with(order(400 + n, 2), "moved", text("elsewhere"));
        bench.put(SOURCE, moved).await;
        bench.put(ORDERS, order(400 + n, 1)).await;
        bench.put(CARTS, target_of(&cart(n, 7)).1).await;
        bench.put(CARTS, target_of(&cart(300 + n, 1)).1).await;
        bench.put(USERS, user(300 + n, &format!("extra{n}@x"))).await;
        bench
            .put(USERS, with(user(n, &format!("u{n}@x")), "n", number(1)))
            .await;
    }
    35
}

async fn all(bench: &Bench) -> [Contents; 3] {
    [
        bench.contents(ORDERS).await,
        bench.contents(CARTS).await,
        bench.contents(USERS).await,
    ]
}

fn assert_all_same(found: &[Contents; 3], expected: &[Contents; 3]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_same(found, expected);
    }
}

#[tokio::test]
async fn a_repair_fixes_and_only_a_clean_run_after_it_proves_it() {
    let bench = Bench::patient().await;
    bench.fill().await;
    let expected = all(&bench).await;
    assert!(bench.verify(options()).await.clean);
    require_repair(&bench).await;
    let broken = break_targets(&bench).await;

    let first = bench.verify(repairing()).await;
    assert_eq!((first.total_mismatches, first.repaired), (broken, broken));
    assert_eq!(first.unrepaired.total(), 0);
    assert!(!first.clean && !bench.record().await.clean);
    assert_all_same(&all(&bench).await, &expected);
    assert_eq!(first.swept["orders"], 10);
    let record = bench.split_record().await;
    assert!(record.switch.is_off());
    assert!(record.repair_required.is_some(), "nothing is proven yet");

    let second = bench.verify(options()).await;
    assert!(second.clean && bench.record().await.clean, "{second:?}");
    assert_eq!(bench.split_record().await.repair_required, None);

    let third = bench.verify(repairing()).await;
    assert!(third.clean && third.repaired == 0, "{third:?}");
    assert_all_same(&all(&bench).await, &expected);
}

#[tokio::test]
async fn the_duty_to_repair_ends_only_with_a_repairing_run() {
    let bench = Bench::new().await;
    bench.fill().await;
    require_repair(&bench).await;
    assert!(bench.verify(options()).await.clean);
    assert!(bench.split_record().await.repair_required.is_some());
    let result = bench.verify(repairing()).await;
    assert!(result.clean, "{result:?}");
    assert_eq!(bench.split_record().await.repair_required, None);
}

#[tokio::test]
async fn collisions_and_dead_letters_are_told_and_left() {
    let bench = Bench::new().await;
    bench.put(SOURCE, user(1, "same@x")).await;
    bench.put(SOURCE, user(2, "same@x")).await;
    bench.put(USERS, user(2, "same@x")).await;
    // Its desired item can't be made, so that whatever the target holds for it is wrong and nobody can say what is
    // right.
    let unfit = with(item("CART#9", "x", []), "cart", text("another value"));
    bench.put(SOURCE, unfit).await;
    bench.put(CARTS, target_of(&cart(9, 1)).1).await;
    let before = all(&bench).await;

    let result = bench.verify(repairing()).await;
    assert_eq!(
        named(&result),
        [
            "users collision same@x <- USER#1 / x + USER#2 / x",
            "carts misrouted 9 / x <- CART#9 / x"
        ]
        .map(str::to_owned)
        .into()
    );
    assert_eq!(
        (
            result.repaired,
            result.unrepaired.collisions,
            result.unrepaired.invalid
        ),
        (0, 1, 1)
    );
    assert_all_same(&all(&bench).await, &before);
    let record = bench.record().await;
    assert!(!result.clean && !record.clean);
    assert_eq!(
        record.findings(),
        "carts: 1 misrouted, 1 invalid; users: 1 collision"
    );

    // Nobody is told to repair what no repair touches.
    bench.delete(SOURCE, key("CART#9", "x")).await;
    bench
        .delete(CARTS, target_key(CARTS, &target_of(&cart(9, 1)).1))
        .await;
    assert!(!bench.verify(options()).await.clean);
    assert!(bench.record().await.only_collisions());
    let standing = dynasplit::status::split_status(&bench.split).await.unwrap();
    let of_verify = standing
        .obstacles
        .iter()
        .find(|each| each.what.contains("last verify"));
    let of_verify = of_verify.unwrap();
    assert!(of_verify.what.contains("users: 1 collision"), "{of_verify}");
    assert!(of_verify.next.contains("in the source"), "{of_verify}");
    assert!(!of_verify.next.contains("--repair"), "{of_verify}");
}

/// The write of a repair is under way when the application deletes the item, and the tail leaves its tombstone.
#[tokio::test]
async fn nothing_that_is_deleted_meanwhile_is_resurrected() {
    let hold = |operation: &str, request: &str| match operation {
        "PutItem" if request.contains(r#""TableName":"Orders""#) => Action::Hold,
        _ => Action::Pass,
    };
    let (bench, proxy) = Bench::behind(Arc::new(hold)).await;
    bench.put(SOURCE, order(1, 1)).await;
    bench.put(SOURCE, order(2, 1)).await;
    let (running, _view) = bench.start(repairing());
    proxy.holds().await;
    bench.delete(SOURCE, key("ORDER#1", "x")).await;
    bench.put(ORDERS, tombstone("ORDER#1")).await;
    proxy.release();
    let result = running.await.unwrap().unwrap();
    assert_eq!((result.total_mismatches, result.repaired), (2, 1), "{result:?}");
    assert_eq!(result.swept["orders"], 1);
    let left = bench.contents(ORDERS).await;
    assert_same(&left, &bench.contents(SOURCE).await);
    assert_eq!(left.len(), 1);
}

/// The other way round: an extra is about to be removed when the application creates its item.
#[tokio::test]
async fn nothing_that_is_created_meanwhile_is_removed() {
    in_the_long_run!(nothing_that_is_created_meanwhile_is_removed);
    let hold = |operation: &str, request: &str| match operation {
        "PutItem" if request.contains(r#""TableName":"Orders""#) => Action::Hold,
        "PutItem" if request.contains(r#""TableName":"Users""#) => Action::Hold,
        _ => Action::Pass,
    };
    let (bench, proxy) = Bench::behind(Arc::new(hold)).await;
    bench.put(ORDERS, order(1, 1)).await;
    bench.put(USERS, user(1, "new@x")).await;
    let (running, _view) = bench.start(repairing());
    proxy.holds().await;
    bench.put_both(with(order(1, 2), "n", number(8))).await;
    bench.put_both(with(user(1, "new@x"), "at", number(2))).await;
    proxy.release();
    let result = running.await.unwrap().unwrap();
    assert_eq!(bench.contents(ORDERS).await.len(), 1, "{result:?}");
    assert_eq!(bench.contents(USERS).await.len(), 1, "{result:?}");
    assert!(bench.verify(options()).await.clean);
}

#[tokio::test]
async fn tombstones_that_nobody_needs_are_not_clean_until_a_repair_has_removed_them() {
    let bench = Bench::new().await;
    bench.fill().await;
    let expected = all(&bench).await;
    bench.put(ORDERS, tombstone("ORDER#700")).await;
    let found = bench.verify(options()).await;
    assert!(!found.clean && !bench.record().await.clean, "{found:?}");
    assert_eq!(found.total_mismatches, 0);
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("1 tombstone is left although")),
        "{found:?}"
    );
    let repaired = bench.verify(repairing()).await;
    assert_eq!(
        (repaired.clean, repaired.swept["orders"]),
        (false, 1),
        "{repaired:?}"
    );
    assert!(bench.verify(options()).await.clean);
    assert_all_same(&all(&bench).await, &expected);
}

#[tokio::test]
async fn nothing_is_repaired_while_the_split_is_being_completed() {
    let bench = Bench::new().await;
    bench.fill().await;
    bench.put(ORDERS, order(300, 9)).await;
    let before = all(&bench).await;
    SplitRecord::change(&bench.split.store, |record| record.completing_ms = Some(1))
        .await
        .unwrap();
    let refused = bench.refused(repairing()).await;
    assert!(refused.contains("being completed"), "{refused}");
    assert!(bench.split_record().await.switch.is_off());
    assert_all_same(&all(&bench).await, &before);
}

#[tokio::test]
async fn a_repair_that_died_is_finished_by_the_next() {
    let bench = Bench::new().await;
    bench.fill().await;
    let expected = all(&bench).await;
    bench.put(ORDERS, tombstone("ORDER#700")).await;
    SplitRecord::change(&bench.split.store, |record| {
        assert!(record.switch.turn_on("repair", ["orders"]));
    })
    .await
    .unwrap();
    // Its lease is still there: nobody takes it before a whole lease time without a sign of life.
    let dead = RepairRecord {
        lease: Lease::held_by(&Owner("dead".into()), Duration::from_secs(2)),
        beat: 3,
        started_ms: 1,
    };
    bench.split.store.put(RepairRecord::NAME, dead, 0).await.unwrap();

    let began = Instant::now();
    let result = bench.verify(repairing()).await;
    assert!(began.elapsed() > Duration::from_secs(2));
    assert!(result.clean && result.swept["orders"] == 1, "{result:?}");
    assert!(bench.split_record().await.switch.is_off());
    assert_all_same(&all(&bench).await, &expected);
    let lease = bench
        .split
        .store
        .get::<RepairRecord>(RepairRecord::NAME)
        .await
        .unwrap();
    assert_eq!(lease.unwrap().value.lease.owner, None);
}

#[tokio::test]
async fn only_one_repair_runs_at_a_time() {
    let bench = Bench::patient().await;
    bench.fill().await;
    // It looks long enough to settle what a repair must wait for.
    bench.put(ORDERS, order(900, 1)).await;
    let (first, _view) = bench.start(repairing());
    while !dynasplit::repair::repair_runs(&bench.split.store).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let text = bench.refused(repairing()).await;
    assert!(text.contains("another repair"), "{text}");
    first.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_repair_waits_for_the_backfill_and_the_capture() {
    let bench = Bench::new().await;
    bench.backfill(None).await;
    let text = bench.refused(repairing()).await;
    assert!(text.contains("dynasplit backfill"), "{text}");
    assert!(!dynasplit::repair::repair_runs(&bench.split.store).await.unwrap());
    // A plain verification refuses, too, unless it is told to compare anyway.
    let text = bench.refused(options()).await;
    assert!(text.contains("the backfill is not finished"), "{text}");
    let anyway = dynasplit::verify::VerifyOptions {
        anyway: true,
        ..options()
    };
    let result = bench.verify(anyway).await;
    assert!(!result.recorded, "{result:?}");
    assert!(result.clean && result.notes.iter().any(|note| note.contains("does not count")));

    bench.backfill(Some(2)).await;
    let name = dynasplit::state::ServiceRecord::record_name("orders");
    let stored = bench
        .split
        .store
        .get::<dynasplit::state::ServiceRecord>(&name)
        .await;
    let mut stored = stored.unwrap().unwrap();
    stored.value.captured_ms = None;
    bench
        .split
        .store
        .put(&name, stored.value, stored.revision)
        .await
        .unwrap();
    let text = bench.refused(repairing()).await;
    assert!(text.contains("dynasplit replicate"), "{text}");
}

#[tokio::test]
async fn what_was_compared_before_a_repair_is_not_kept_after_it() {
    let bench = Bench::patient().await;
    bench.fill().await;
    // Lag in one key makes the plain run wait, while a repair of another begins and ends.
    bench.put(SOURCE, order(800, 1)).await;
    let patient = dynasplit::verify::VerifyOptions {
        patience: Some(Duration::from_secs(20)),
        ..options()
    };
    let (plain, mut view) = bench.start(patient);
    phase(&mut view, "reading different keys again").await;
    let repaired = bench.verify(repairing()).await;
    assert_eq!(repaired.repaired, 1);
    let plain = plain.await.unwrap().unwrap();
    assert!(plain.clean && !plain.recorded, "{plain:?}");
    assert!(!bench.record().await.clean);
}

#[tokio::test]
async fn invalid_items_that_no_stream_record_covers_are_named_and_become_dead_letters() {
    let bench = Bench::new().await;
    bench.fill().await;
    bench.put(SOURCE, item("LOST#1", "x", [])).await;
    bench
        .put(SOURCE, item("USER#99", "x", [("email", number(3))]))
        .await;
    let keys = |result: &VerifyResult| {
        let of = |item: &InvalidItem| format!("{} {}", item.service, item.source_key["PK"]["S"]);
        result.invalid.iter().map(of).collect::<BTreeSet<_>>()
    };
    let both = BTreeSet::from([
        r#"(unrouted) "LOST#1""#.to_owned(),
        r#"users "USER#99""#.to_owned(),
    ]);
    let letters = || bench.split.dead_letters.list(None);
    let seen = bench.verify(options()).await;
    assert!(!seen.clean && seen.total_invalid == 2, "{seen:?}");
    assert_eq!(keys(&seen), both);
    let told = seen
        .notes
        .iter()
        .any(|note| note.contains("`dynasplit verify --repair` records"));
    assert!(told, "{:?}", seen.notes);
    assert!(letters().await.unwrap().is_empty(), "a look records nothing");

    let repaired = bench.verify(repairing()).await;
    assert!(!repaired.clean && repaired.recorded_letters == 2, "{repaired:?}");
    let found = letters().await.unwrap();
    let named: BTreeSet<_> = found
        .iter()
        .map(|letter| format!("{} {}", letter.service, letter.key["PK"]["S"]))
        .collect();
    assert_eq!(named, both);
    assert!(
        found
            .iter()
            .all(|letter| letter.origin == "verify" && !letter.reason.is_empty())
    );
    let again = bench.verify(repairing()).await;
    assert_eq!(
        (again.total_invalid, again.recorded_letters),
        (0, 0),
        "each has a dead letter: {again:?}"
    );

    // The items are corrected, which ends the loop.
    bench.delete(SOURCE, key("LOST#1", "x")).await;
    bench.put(SOURCE, user(99, "u99@x")).await;
    let settled = Box::pin(reconcile_dead_letters(
        &bench.split,
        &found,
        &CancellationToken::new(),
    ))
    .await
    .unwrap();
    assert!(settled.iter().all(|letter| letter.settled), "{settled:?}");
    let clean = bench.verify(options()).await;
    assert!(clean.clean && clean.total_invalid == 0, "{clean:?}");
}

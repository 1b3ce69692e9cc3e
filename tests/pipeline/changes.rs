//! A verify of only what changed since an earlier one.

use super::running::Running;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, create, delete, item, key, number, put, put_all, text};
use dynasplit::backfill::BackfillOptions;
use dynasplit::state::{ProofRecord, SplitRecord, VerifyRecord};
use dynasplit::status::split_status;
use dynasplit::verify::{Verify, VerifyOptions, VerifyResult};
use dynasplit::worker::RunError;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PLAN: &str = "version: 1
split: changes
source: { table: Source, keys: { partition: PK, sort: SK } }
timestamp: none
unrouted: { left-behind: attribute_exists(moved) }
services:
  - name: orders
    where: begins_with(PK, 'ORDER#') AND attribute_not_exists(moved)
    table: { name: Orders, keys: { partition: PK, sort: SK }, ttl: expires }
  - name: carts
    where: begins_with(PK, 'CART#') AND attribute_not_exists(moved)
    table: { name: Carts, keys: { partition: cart, sort: line } }
    transform:
      keys:
        from: { PK: 'CART#{cart}', SK: '{line}' }
        to: { cart: '{cart}', line: '{line}' }
      drop: [PK, SK]
  - name: users
    where: begins_with(PK, 'USER#') AND attribute_not_exists(moved)
    table: { name: Users, keys: { partition: email } }
    transform:
      keys:
        from: { email: '{email}' }
        to: { email: '{email}' }
        vouch: sign-up refuses a second account
";

fn order(number: u32, value: u32) -> SdkItem {
    named("ORDER", number, value)
}

fn named(kind: &str, id: u32, value: u32) -> SdkItem {
    item(&format!("{kind}#{id}"), "x", [("n", number(value))])
}

fn user(number: u32, email: &str) -> SdkItem {
    item(&format!("USER#{number}"), "x", [("email", text(email))])
}

/// A split whose copy is finished. The writers rest.
async fn copied(engine: &Engine) -> Running {
    let mut running = Running::open(engine, PLAN).await;
    create(&running.client, running.source()).await;
    let orders = (0..30).map(|n| order(n, 1));
    let carts = (0..20).map(|n| named("CART", n, 1));
    let users = (0..10).map(|n| user(n, &format!("u{n}@x")));
    put_all(
        &running.client,
        running.source(),
        orders.chain(carts).chain(users),
    )
    .await;
    running.begin().await;
    running.backfill(BackfillOptions::default()).await;
    running.drained().await;
    saved(&running).await;
    running
}

/// Waits until each lane has saved that it is complete up to now: a verify begins where the saved places are.
async fn saved(running: &Running) {
    let asked_ms = running.split.now_ms();
    loop {
        let status = split_status(&running.split).await.unwrap();
        let is_saved =
            |lag: Option<u64>| lag.is_some_and(|lag| status.read_ms.saturating_sub(lag) >= asked_ms);
        if status.lanes.iter().all(|lane| is_saved(lane.lag_ms)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn try_verify(running: &Running, options: VerifyOptions) -> Result<VerifyResult, RunError> {
    let (verify, _) = Verify::new(running.split.clone(), options, CancellationToken::new());
    Box::pin(verify.run()).await
}

async fn verify(running: &Running, options: VerifyOptions) -> VerifyResult {
    try_verify(running, options).await.unwrap()
}

async fn refused(running: &Running) -> String {
    let error = try_verify(running, changed()).await.unwrap_err();
    error.to_string()
}

fn changed() -> VerifyOptions {
    VerifyOptions {
        changed: true,
        ..VerifyOptions::default()
    }
}

fn whole() -> VerifyOptions {
    VerifyOptions::default()
}

/// How many keys of each service were compared.
fn keys(result: &VerifyResult) -> BTreeMap<&str, u64> {
    let changes = result.changes.as_ref().unwrap();
    let services = changes.services.iter();
    services
        .map(|service| (service.service.as_str(), service.keys))
        .collect()
}

async fn record(running: &Running) -> VerifyRecord {
    let found = running.split.store.get::<VerifyRecord>(VerifyRecord::NAME).await;
    found.unwrap().unwrap().value
}

async fn write(running: &Running, item: SdkItem) {
    put(&running.client, running.source(), item).await;
}

fn moved(mut item: SdkItem) -> SdkItem {
    item.insert("moved".into(), text("elsewhere"));
    item
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_keys_that_changed_are_read() {
    let engine = Engine::embedded().await;
    let mut running = copied(&engine).await;
    let all = verify(&running, whole()).await;
    assert!(all.clean && all.recorded, "{all:?}");
    let nothing = verify(&running, changed()).await;
    assert!(nothing.clean && !nothing.recorded, "{nothing:?}");
    assert_eq!(keys(&nothing), [("carts", 0), ("orders", 0), ("users", 0)].into());
    assert_eq!(
        (nothing.read_milliunits.source, nothing.read_milliunits.targets),
        (0, 0)
    );

    // Changed twice, changed, deleted, taken from its service, and new.
    for order in [
        order(3, 2),
        order(3, 3),
        order(5, 2),
        moved(order(9, 1)),
        order(100, 1),
    ] {
        write(&running, order).await;
    }
    delete(&running.client, running.source(), key("ORDER#7", "x")).await;
    write(&running, named("CART", 2, 2)).await;
    // It has another key afterwards.
    write(&running, user(1, "new@x")).await;
    // Nobody's before and after.
    write(&running, moved(order(200, 1))).await;
    running.drained().await;
    let result = verify(&running, changed()).await;
    assert!(result.clean && !result.recorded, "{result:?}");
    assert_eq!(keys(&result), [("carts", 1), ("orders", 5), ("users", 2)].into());
    assert_eq!(result.proven, ["orders", "carts", "users"]);
    // A small item is one unit, and each key is looked at once on each side.
    assert_eq!(
        (result.read_milliunits.source, result.read_milliunits.targets),
        (8000, 8000),
        "{result:?}"
    );
    let changes = result.changes.as_ref().unwrap();
    assert_eq!(changes.records, 9);
    let of: Vec<_> = changes.services.iter().map(|service| service.items).collect();
    assert_eq!(of, [Some(30), Some(20), Some(10)]);
    // The record of the last verify stays, and with it what a complete split needs.
    let kept = record(&running).await;
    assert!(kept.clean && kept.services["orders"].expected == 30, "{kept:?}");
    let since: Vec<u64> = changes.services.iter().map(|service| service.whole_ms).collect();
    assert_eq!(since, [kept.started_ms; 3]);

    // The next one goes on from here, and not from the whole one.
    write(&running, order(5, 3)).await;
    running.drained().await;
    let next = verify(&running, changed()).await;
    assert!(next.clean, "{next:?}");
    assert_eq!(keys(&next), [("carts", 0), ("orders", 1), ("users", 0)].into());
    let services = &next.changes.as_ref().unwrap().services;
    assert!(services[0].since_ms > services[0].whole_ms, "{services:?}");
    assert_eq!(services[0].whole_ms, kept.started_ms);
    let status = split_status(&running.split).await.unwrap();
    assert_eq!(status.proven["orders"], kept.started_ms);
    assert!(status.changes_compared["orders"] > kept.started_ms, "{status:?}");

    // A whole one counts more than all of that.
    let all = verify(&running, whole()).await;
    assert!(all.clean && all.recorded, "{all:?}");
    let status = split_status(&running.split).await.unwrap();
    assert!(status.changes_compared.is_empty(), "{status:?}");
    running.stop_tail().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_lost_is_found_and_nothing_is_proven_any_more() {
    in_the_long_run!(a_change_that_is_lost_is_found_and_nothing_is_proven_any_more);
    let engine = Engine::embedded().await;
    let mut running = copied(&engine).await;
    assert!(verify(&running, whole()).await.clean);
    let orders = running.target("orders").to_owned();
    write(&running, order(3, 2)).await;
    write(&running, user(1, "new@x")).await;
    running.drained().await;
    // Nobody changed this key in the source, so only a verify of everything can see it.
    delete(&running.client, &orders, key("ORDER#25", "x")).await;
    let result = verify(&running, changed()).await;
    assert!(result.clean, "{result:?}");
    assert!(record(&running).await.clean);

    // One that changed is missing; another one is there although its source left.
    write(&running, order(3, 3)).await;
    write(&running, user(1, "newest@x")).await;
    running.drained().await;
    delete(&running.client, &orders, key("ORDER#3", "x")).await;
    put(&running.client, running.target("users"), user(1, "new@x")).await;
    let result = verify(&running, changed()).await;
    assert!(!result.clean && result.total_mismatches == 2, "{result:?}");
    let found: Vec<String> = result
        .mismatches
        .iter()
        .map(|mismatch| format!("{} {} {}", mismatch.service, mismatch.class, mismatch.target_key))
        .collect();
    assert_eq!(found, ["orders missing ORDER#3 / x", "users extra new@x"]);
    assert_eq!(result.proven, ["carts"]);
    let kept = record(&running).await;
    assert!(
        !kept.clean && kept.services["orders"].mismatches["missing"] == 1,
        "{kept:?}"
    );
    assert_eq!(
        kept.services["orders"].expected, 30,
        "of the whole table: {kept:?}"
    );
    let status = split_status(&running.split).await.unwrap();
    assert!(status.proven.is_empty(), "{status:?}");
    let text = refused(&running).await;
    assert!(text.contains("orders: its last verify was not clean"), "{text}");

    let all = verify(&running, whole()).await;
    assert_eq!(all.total_mismatches, 3, "{all:?}");
    running.stop_tail().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_no_table_can_hold_are_not_clean() {
    in_the_long_run!(items_that_no_table_can_hold_are_not_clean);
    let engine = Engine::embedded().await;
    let mut running = copied(&engine).await;
    assert!(verify(&running, whole()).await.clean);
    // This one was only wrong for a moment.
    write(&running, item("LOST#1", "x", [])).await;
    delete(&running.client, running.source(), key("LOST#1", "x")).await;
    let nameless = item("USER#3", "x", [("email", number(3))]);
    write(&running, nameless.clone()).await;
    write(&running, user(3, "u3@x")).await;
    running.drained().await;
    let result = verify(&running, changed()).await;
    assert!(result.clean && result.total_invalid == 0, "{result:?}");

    write(&running, nameless).await;
    write(&running, item("LOST#2", "x", [])).await;
    running.drained().await;
    let result = verify(&running, changed()).await;
    assert!(!result.clean && result.unrouted == 1, "{result:?}");
    let invalid: Vec<u64> = result
        .report
        .services
        .iter()
        .map(|service| service.invalid)
        .collect();
    assert_eq!(invalid, [0, 0, 1]);
    assert_eq!(result.proven, ["orders", "carts"]);
    let kept = record(&running).await;
    assert!(!kept.clean && kept.unrouted == 1, "{kept:?}");
    assert_eq!(kept.services["users"].invalid, 1);
    running.stop_tail().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_proof_to_go_on_from_it_is_refused_with_the_reason() {
    let engine = Engine::embedded().await;
    let mut running = copied(&engine).await;
    let text = refused(&running).await;
    assert!(
        text.contains("orders: it was never verified; carts: it was never verified")
            && text.contains("`dynasplit verify`"),
        "{text}"
    );
    // One of a service alone is enough for this service.
    let alone = |options: VerifyOptions| VerifyOptions {
        services: Some(vec!["carts".into()]),
        ..options
    };
    assert!(verify(&running, alone(whole())).await.clean);
    let result = verify(&running, alone(changed())).await;
    assert!(result.clean, "{result:?}");
    assert_eq!(keys(&result), [("carts", 0)].into());
    let text = refused(&running).await;
    assert!(
        text.contains("orders: it was never verified") && !text.contains("carts"),
        "{text}"
    );

    assert!(verify(&running, whole()).await.clean);
    let store = running.split.store.clone();
    let require = |reason: Option<&'static str>| {
        let store = store.clone();
        async move {
            let set = |record: &mut SplitRecord| record.repair_required = reason.map(str::to_owned);
            SplitRecord::change(&store, set).await.unwrap();
        }
    };
    require(Some("records were lost")).await;
    let text = refused(&running).await;
    assert!(
        text.contains("a repair is mandatory (records were lost)") && text.contains("verify --repair"),
        "{text}"
    );
    require(None).await;
    assert!(verify(&running, changed()).await.clean);

    // A repair that writes takes every proof away.
    VerifyRecord::note_repair(&store, 1).await.unwrap();
    let text = refused(&running).await;
    assert!(text.contains("a repair wrote since"), "{text}");
    let own = store
        .get::<ProofRecord>(&ProofRecord::record_name("carts"))
        .await
        .unwrap();
    assert!(own.is_some(), "it is there, and does not count");

    // A stream that keeps nothing from before.
    assert!(verify(&running, whole()).await.clean);
    let age = |record: Option<VerifyRecord>| {
        let mut record = record.unwrap();
        record.places.as_mut().unwrap().complete_to_ms -= 24 * 3_600_000;
        Ok::<_, dynasplit::state::StateError>(record)
    };
    store
        .change::<VerifyRecord, dynasplit::state::StateError>(VerifyRecord::NAME, age)
        .await
        .unwrap();
    let text = refused(&running).await;
    assert!(text.contains("the last clean verify is too old"), "{text}");
    running.stop_tail().await;
}

/// Writes a few keys again and again, in every way, until it is told to stop.
async fn keep_writing(client: aws_sdk_dynamodb::Client, source: String, stop: CancellationToken) {
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        let id = number % 20;
        match number % 7 {
            0 => delete(&client, &source, key(&format!("ORDER#{id}"), "x")).await,
            1 => put(&client, &source, moved(order(id, number))).await,
            2 => put(&client, &source, user(id, &format!("u{number}@x"))).await,
            3 => put(&client, &source, named("CART", id, number)).await,
            _ => put(&client, &source, order(id, number)).await,
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_do_not_disturb_it() {
    in_the_long_run!(writers_do_not_disturb_it);
    let engine = Engine::embedded().await;
    let mut running = copied(&engine).await;
    assert!(verify(&running, whole()).await.clean);
    let stop = CancellationToken::new();
    let writers = keep_writing(running.client.clone(), running.source().to_owned(), stop.clone());
    let writers = tokio::spawn(writers);
    let mut compared = 0;
    for _ in 0..2 {
        let result = verify(&running, changed()).await;
        assert!(result.clean, "{result:?}");
        let changes = result.changes.as_ref().unwrap();
        // Each key once, however often it changed: of the users, each change makes a key.
        assert!(
            keys(&result)["orders"] <= 20 && keys(&result)["carts"] <= 20,
            "{result:?}"
        );
        compared += changes.records;
    }
    stop.cancel();
    writers.await.unwrap();
    assert!(compared > 0);
    running.drained().await;
    let result = verify(&running, changed()).await;
    assert!(result.clean, "{result:?}");
    assert!(verify(&running, whole()).await.clean);
    running.stop_tail().await;
}

//! Timestamps that are missing, of another kind, or go backwards.

use super::running::{Running, without};
use crate::support::Engine;
use crate::support::contents::PlainItem;
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, create, delete, item, key, number, put, put_all, text as string};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::backfill::BackfillOptions;

/// One service shows the timestamp, one drops it, one renames it.
const PLAN: &str = "
version: 1
split: times
source:
  table: Events
  keys: { partition: PK, sort: SK }
timestamp: { attribute: at, type: S, format: iso-8601-millis }
unrouted: fail
services:
  - name: shown
    where: attribute_exists(PK)
    table:
      name: Shown
      keys: { partition: PK, sort: SK }
  - name: dropped
    where: attribute_exists(PK)
    table:
      name: Dropped
      keys: { partition: PK, sort: SK }
    transform:
      drop: [at]
  - name: renamed
    where: attribute_exists(PK)
    table:
      name: Renamed
      keys: { partition: PK, sort: SK }
    transform:
      rename: { at: updated }
";

fn time(seconds: u32) -> AttributeValue {
    string(format!(
        "2026-11-01T{:02}:{:02}:{:02}.000Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

fn event(n: u32, at: Option<AttributeValue>, version: u32) -> SdkItem {
    let mut event = item(&format!("E#{n}"), "x", [("version", number(version))]);
    event.extend(at.map(|at| ("at".to_owned(), at)));
    event
}

async fn assert_split(running: &Running) {
    running.assert_holds("shown", |item| Some(item.clone())).await;
    running
        .assert_holds("dropped", |item| Some(without(item, &["at"])))
        .await;
    running
        .assert_holds("renamed", |item| {
            let mut renamed: PlainItem = without(item, &["at"]);
            renamed.extend(item.get("at").map(|at| ("updated".to_owned(), at.clone())));
            Some(renamed)
        })
        .await;
}

/// Timestamps as applications leave them behind.
fn unlike() -> Vec<Option<AttributeValue>> {
    vec![
        None,
        Some(number(1_790_000_000)),
        Some(string("2026-11-01 10:00:00")),
        Some(string("")),
        Some(string("2026-11-01T10:00:00Z")),
        Some(string("yesterday")),
        Some(AttributeValue::Null(true)),
        Some(AttributeValue::L(vec![time(1)])),
        Some(time(50)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timestamps_that_are_no_versions_lose_nothing() {
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let (client, source) = (running.client.clone(), running.source().to_owned());
    create(&client, &source).await;
    let kinds = unlike();
    let count = u32::try_from(kinds.len()).unwrap();
    // Each kind, followed by each kind.
    let pairs: Vec<(u32, Option<AttributeValue>, Option<AttributeValue>)> = kinds
        .iter()
        .flat_map(|before| kinds.iter().map(move |after| (before.clone(), after.clone())))
        .zip(0u32..)
        .map(|((before, after), n)| (n, before, after))
        .collect();
    put_all(
        &client,
        &source,
        pairs.iter().map(|(n, before, _)| event(*n, before.clone(), 1)),
    )
    .await;
    running.begin().await;
    let (_, ()) = tokio::join!(running.backfill(BackfillOptions::default()), async {
        for (n, _, after) in &pairs {
            put(&client, &source, event(*n, after.clone(), 2)).await;
            if n % 7 == 0 {
                delete(&client, &source, key(&format!("E#{n}"), "x")).await;
            }
        }
    });
    running.drained().await;
    assert_split(&running).await;
    assert_eq!(
        running.held("shown").await.len() as u32,
        count * count - (count * count).div_ceil(7)
    );
    // And after it.
    for (n, before, _) in &pairs {
        put(&client, &source, event(*n, before.clone(), 3)).await;
    }
    running.drained().await;
    running.stop_tail().await;
    assert_split(&running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_that_are_created_again_with_an_older_time_during_a_backfill_end_right() {
    in_the_long_run!(items_that_are_created_again_with_an_older_time_during_a_backfill_end_right);
    let engine = Engine::embedded().await;
    let mut running = Running::open(&engine, PLAN).await;
    let (client, source) = (running.client.clone(), running.source().to_owned());
    create(&client, &source).await;
    put_all(&client, &source, (0..200).map(|n| event(n, Some(time(1000)), 1))).await;
    running.begin().await;
    let slow = BackfillOptions {
        // Pages of some 50 items, one after the other: the writes below come before, between and after them.
        write_units: Some(150.0),
        segments: Some(4),
        workers: Some(2),
        ..BackfillOptions::default()
    };
    let (report, ()) = tokio::join!(running.backfill(slow), async {
        for round in 2..5 {
            for n in 0..60 {
                delete(&client, &source, key(&format!("E#{n}"), "x")).await;
                put(
                    &client,
                    &source,
                    event(n, Some(time(1000 - round * 10 - n)), round),
                )
                .await;
                // Without a delete, too.
                put(&client, &source, event(100 + n, Some(time(1000 - round)), round)).await;
            }
        }
        for n in (0..60).step_by(3) {
            delete(&client, &source, key(&format!("E#{n}"), "x")).await;
        }
    });
    running.drained().await;
    assert!(running.lane("shown").counters.backwards > 0, "the tail saw them");
    assert!(report.scanned > 0);
    running.stop_tail().await;
    assert_split(&running).await;
    assert_eq!(
        running.split.dead_letters.rechecks().await.unwrap().len(),
        0,
        "the list was worked off"
    );
}

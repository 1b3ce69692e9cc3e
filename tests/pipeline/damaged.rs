//! Records of the state that are damaged: each is named with what can be done, and what is not needed stops nothing.

use super::running::Running;
use crate::support::{Engine, table};
use aws_sdk_dynamodb::types::AttributeValue;
use dynasplit::repair::reconcile_dead_letters;
use dynasplit::state::{DeadLetter, SplitRecord};
use dynasplit::status::split_status;
use dynasplit::worker::RunError;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const PLAN: &str = "
version: 1
split: damaged
source:
  table: Source
  keys: { partition: PK, sort: SK }
timestamp: none
unrouted: fail
services:
  - name: all
    where: attribute_exists(PK)
    table: { name: All, keys: { partition: PK, sort: SK } }
";

async fn applied(engine: &Engine) -> Running {
    let running = Running::open(engine, PLAN).await;
    table::create(&running.client, running.source()).await;
    running.apply().await;
    running
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// What somebody, or something, left of a record.
async fn damage(running: &Running, record: &str) {
    let put = running.client.put_item().table_name(running.split.store.table());
    put.item("pk", text("split"))
        .item("sk", text(record))
        .item("revision", AttributeValue::N("1".into()))
        .item("record", text("{\"half\":"))
        .send()
        .await
        .unwrap();
}

async fn remove(running: &Running, record: &str) {
    let delete = running
        .client
        .delete_item()
        .table_name(running.split.store.table());
    delete
        .key("pk", text("split"))
        .key("sk", text(record))
        .send()
        .await
        .unwrap();
}

fn letter() -> DeadLetter {
    DeadLetter {
        service: "all".into(),
        key: json!({ "PK": { "S": "x" }, "SK": { "S": "y" } }),
        reason: "it does not fit".into(),
        origin: "backfill".into(),
        at_ms: 1,
        image: Some(json!({ "PK": { "S": "x" }, "SK": { "S": "y" } })),
        old_image: None,
    }
}

#[tokio::test]
async fn what_is_not_needed_disables_no_status() {
    let engine = Engine::embedded().await;
    let running = applied(&engine).await;
    let records = [
        "ACTIVITY#verify",
        "WORKER#tail-1",
        "VERIFY",
        "TUNING",
        "LETTER#all#0",
    ];
    for record in records {
        damage(&running, record).await;
    }
    let status = split_status(&running.split).await.unwrap();
    for record in &records[..4] {
        let told = status
            .obstacles
            .iter()
            .find(|obstacle| obstacle.what.contains(record));
        let told = told.unwrap_or_else(|| panic!("{record} is not named: {:#?}", status.obstacles));
        assert!(told.next.contains("aws dynamodb delete-item"), "{told:?}");
    }
    assert_eq!(status.dead_letters["all"], 1, "a damaged letter counts");
}

#[tokio::test]
async fn a_record_that_is_needed_is_named_with_the_way_out() {
    let engine = Engine::embedded().await;
    let running = applied(&engine).await;
    damage(&running, "SHARD#000001#shardId-1").await;
    let error = split_status(&running.split).await.unwrap_err().to_string();
    assert!(
        error.contains("'SHARD#000001#shardId-1'") && error.contains("--restart-tail"),
        "{error}"
    );
    damage(&running, SplitRecord::NAME).await;
    let error = split_status(&running.split).await.unwrap_err();
    assert!(matches!(error, RunError::State(_)), "{error:?}");
    assert!(error.to_string().contains("restore the table"), "{error}");
}

#[tokio::test]
async fn a_damaged_letter_is_listed_and_its_removal_makes_a_repair_mandatory() {
    let engine = Engine::embedded().await;
    let running = applied(&engine).await;
    damage(&running, "LETTER#all#0").await;
    let letters = running.split.dead_letters.list(None).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].damage.is_some() && letters[0].service == "all",
        "{letters:?}"
    );
    let settled = reconcile_dead_letters(&running.split, &letters, &CancellationToken::new())
        .await
        .unwrap();
    assert!(
        settled[0].settled && settled[0].outcome.contains("verify --repair"),
        "{settled:?}"
    );
    assert!(running.split.dead_letters.list(None).await.unwrap().is_empty());
    let record = SplitRecord::read(&running.split.store).await.unwrap().value;
    assert_eq!(
        record.repair_required.as_deref(),
        Some("a dead letter was damaged")
    );
}

#[tokio::test]
async fn a_letter_whose_part_is_missing_is_shown_and_settled() {
    let engine = Engine::embedded().await;
    let running = applied(&engine).await;
    running.split.dead_letters.keep(&letter()).await.unwrap();
    let head = running.split.dead_letters.list(None).await.unwrap().remove(0);
    let part = format!("LETTERPART#{}#{:016x}#0000", head.id, head.writing);
    for missing in [false, true] {
        if missing {
            remove(&running, &part).await;
        } else {
            damage(&running, &part).await;
        }
        let shown = running
            .split
            .dead_letters
            .show(&head.id)
            .await
            .unwrap()
            .expect("it is there");
        assert_eq!(shown.letter.reason, "it does not fit");
        assert!(
            shown.damage.is_some_and(|damage| damage.contains(&part)),
            "missing: {missing}"
        );
    }
    // The item is gone from the source, so nothing is left to bring in order.
    let settled = reconcile_dead_letters(&running.split, &[head], &CancellationToken::new())
        .await
        .unwrap();
    assert!(settled[0].settled, "{settled:?}");
    assert!(running.split.dead_letters.list(None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_letter_that_is_written_over_a_damaged_one_is_kept() {
    let engine = Engine::embedded().await;
    let running = applied(&engine).await;
    let id = dynasplit::state::DeadLetters::id("all", &letter().key);
    damage(&running, &format!("LETTER#{id}")).await;
    running.split.dead_letters.keep(&letter()).await.unwrap();
    let shown = running
        .split
        .dead_letters
        .show(&id)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!((shown.letter, shown.damage), (letter(), None));
}

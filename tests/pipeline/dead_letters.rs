//! Dead letters as they are kept: whole, and nothing of them left when they are settled.

use super::running::Running;
use crate::support::Engine;
use dynasplit::state::DeadLetter;
use serde_json::{Value, json};

const PLAN: &str = "
version: 1
split: letters
source:
  table: Letters
  keys: { partition: PK }
timestamp: none
unrouted: fail
services:
  - name: all
    where: attribute_exists(PK)
    table: { name: All, keys: { partition: PK } }
";

fn letter(body: &str) -> DeadLetter {
    DeadLetter {
        service: "all".into(),
        key: json!({ "PK": { "S": "x" } }),
        reason: "it does not fit".into(),
        origin: "backfill".into(),
        at_ms: 1,
        image: Some(json!({ "PK": { "S": "x" }, "body": { "S": body } })),
        old_image: None,
    }
}

/// Images that the state table holds, whole or in parts.
async fn parts(running: &Running) -> usize {
    let found = running.split.store.list::<Value>("LETTERPART#").await.unwrap();
    found.len()
}

#[tokio::test]
async fn a_letter_that_is_written_anew_is_whole_and_leaves_nothing() {
    let engine = Engine::embedded().await;
    let running = Running::open(&engine, PLAN).await;
    let split = &running.split;
    split.store.ensure_table(&split.source.control).await.unwrap();
    let letters = &split.dead_letters;
    // More than one part, then fewer.
    letters.keep(&letter(&"long".repeat(200_000))).await.unwrap();
    let first = letters.list(None).await.unwrap().remove(0);
    assert!(parts(&running).await > 1);
    letters.keep(&letter("short")).await.unwrap();
    assert_eq!(parts(&running).await, 1, "nothing is left of the one before");
    assert!(!letters.settle(&first).await.unwrap(), "that one is no more");
    let shown = letters.show(&first.id).await.unwrap().unwrap();
    assert_eq!(
        shown.letter.image,
        letter("short").image,
        "the newer one is whole"
    );
    let second = letters.list(None).await.unwrap().remove(0);
    assert!(letters.settle(&second).await.unwrap());
    assert_eq!(parts(&running).await, 0);
    assert_eq!(letters.show(&first.id).await.unwrap(), None);
}

/// As by a process that died between the two removals of a letter.
#[tokio::test]
async fn images_that_nothing_leads_to_are_removed_in_the_end() {
    let engine = Engine::embedded().await;
    let running = Running::open(&engine, PLAN).await;
    let split = &running.split;
    split.store.ensure_table(&split.source.control).await.unwrap();
    split.dead_letters.keep(&letter("secret")).await.unwrap();
    let head = split.dead_letters.list(None).await.unwrap().remove(0);
    let name = format!("LETTER#{}", head.id);
    let stored = split.store.get::<Value>(&name).await.unwrap().unwrap();
    split.store.delete(&name, stored.revision).await.unwrap();
    assert_eq!(parts(&running).await, 1);
    split.dead_letters.forget_orphans().await.unwrap();
    assert_eq!(parts(&running).await, 0);
}

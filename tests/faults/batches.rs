//! Batches of which parts are left undone: the engine itself, as callers of batches meet it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BatchStatementRequest, DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest,
};

use super::course::order;
use crate::support::faulty::{Fault, FaultKind, Rule, Script};
use crate::support::table::{self, PK, SK, key, text};
use crate::support::{Engine, contents, unique};

const BATCHES: [&str; 3] = ["BatchWriteItem", "BatchGetItem", "BatchExecuteStatement"];

/// An engine on which the first batches are left undone in part, and a table on it.
async fn engine() -> (Engine, String) {
    let script = Script::quiet(23).rule(Rule::new(Fault::Unprocessed).on(&BATCHES).times(4));
    let engine = Engine::scripted(script).await;
    let table = unique("batches");
    table::create(&engine.dynamodb(), &table).await;
    (engine, table)
}

/// Writes a batch, and answers what was left undone.
async fn written(client: &Client, table: &str, batch: Vec<WriteRequest>) -> Vec<WriteRequest> {
    let request = client.batch_write_item().request_items(table, batch);
    let answer = request.send().await.expect("an answer");
    let mut left = answer.unprocessed_items.unwrap_or_default();
    left.remove(table).unwrap_or_default()
}

#[tokio::test]
async fn what_is_left_of_a_batch_of_writes_is_told_and_the_rest_is_done() {
    let (engine, table) = engine().await;
    let client = engine.product_dynamodb();
    let puts = (0..25).map(|id| {
        let put = PutRequest::builder()
            .set_item(Some(order(id, 1, "batch")))
            .build()
            .expect("a whole put");
        WriteRequest::builder().put_request(put).build()
    });
    let mut left: Vec<WriteRequest> = puts.collect();
    let mut rounds = 0;
    while !left.is_empty() {
        let before = contents::read(&engine.dynamodb(), &table).await.len();
        let sent = left.len();
        left = written(&client, &table, left).await;
        let after = contents::read(&engine.dynamodb(), &table).await.len();
        assert_eq!(after - before, sent - left.len(), "exactly the rest is done");
        rounds += 1;
    }
    assert!(rounds > 1, "something was left undone");
    let (pk, sk) = ("ACC#0", "DOC#3");
    let delete = DeleteRequest::builder()
        .set_key(Some(key(pk, sk)))
        .build()
        .expect("a whole removal");
    let mut left = vec![WriteRequest::builder().delete_request(delete).build()];
    while !left.is_empty() {
        left = written(&client, &table, left).await;
    }
    assert_eq!(contents::read(&engine.dynamodb(), &table).await.len(), 24);
    assert!(engine.faults().count(FaultKind::Unprocessed) > 0);
}

#[tokio::test]
async fn what_is_left_of_a_batch_of_reads_is_told_and_the_rest_is_read() {
    let (engine, table) = engine().await;
    table::put_all(
        &engine.dynamodb(),
        &table,
        (0..40).map(|id| order(id, 1, "batch")),
    )
    .await;
    let client = engine.product_dynamodb();
    let keys = (0..40).map(|id| key(&format!("ACC#{}", id / 7), &format!("DOC#{id}")));
    let wanted = KeysAndAttributes::builder()
        .consistent_read(true)
        .set_keys(Some(keys.collect()));
    let mut left = HashMap::from([(table.clone(), wanted.build().expect("keys"))]);
    let (mut found, mut rounds) = (Vec::new(), 0);
    while !left.is_empty() {
        let answer = client
            .batch_get_item()
            .set_request_items(Some(left))
            .send()
            .await
            .expect("an answer");
        found.extend(
            answer
                .responses
                .unwrap_or_default()
                .remove(&table)
                .unwrap_or_default(),
        );
        left = answer.unprocessed_keys.unwrap_or_default();
        assert!(
            left.values().all(|keys| keys.consistent_read == Some(true)),
            "asked as it was asked"
        );
        rounds += 1;
    }
    assert!(rounds > 1, "something was left undone");
    let distinct: std::collections::BTreeSet<_> = found
        .iter()
        .map(|item| [PK, SK].map(|name| item[name].as_s().expect("a text").clone()))
        .collect();
    assert_eq!((found.len(), distinct.len()), (40, 40), "each once");
}

#[tokio::test]
async fn each_statement_of_a_batch_has_its_own_outcome() {
    let (engine, table) = engine().await;
    let client = engine.product_dynamodb();
    let statement = |id: usize| {
        BatchStatementRequest::builder()
            .statement(format!("INSERT INTO \"{table}\" VALUE {{'{PK}': ?, '{SK}': ?}}"))
            .parameters(text("ACC#1"))
            .parameters(text(format!("DOC#{id}")))
            .build()
            .expect("a whole statement")
    };
    let mut left: Vec<usize> = (0..25).collect();
    let mut codes = Vec::new();
    while !left.is_empty() {
        let statements = left.iter().map(|id| statement(*id)).collect();
        let answer = client
            .batch_execute_statement()
            .set_statements(Some(statements))
            .send()
            .await;
        let outcomes = answer.expect("an answer").responses.unwrap_or_default();
        assert_eq!(outcomes.len(), left.len(), "one outcome for each");
        let failed = left
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.error.is_some());
        codes.extend(
            outcomes
                .iter()
                .filter_map(|outcome| outcome.error.as_ref()?.code.clone()),
        );
        let failed: Vec<usize> = failed.map(|(id, _)| *id).collect();
        let held = contents::read(&engine.dynamodb(), &table).await.len();
        assert_eq!(held, 25 - failed.len(), "exactly what is said to be done is done");
        left = failed;
    }
    codes.dedup();
    assert!(codes.len() > 1, "several reasons: {codes:?}");
}

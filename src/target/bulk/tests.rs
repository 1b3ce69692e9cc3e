//! What a batch leaves undone, against an endpoint that answers as AWS does: engines here leave nothing undone.

use super::*;
use crate::dynamo::scripted::{Asked, scripted};
use crate::dynamo::{AccountLimit, Budget, Clock, ConcurrencyLimit};
use crate::fault::Writer;
use crate::model::{AttributeKind, Number, Value, Version};
use crate::state::{Moment, Validity};
use crate::target::lease_fence::tests::HeldUp;
use crate::target::{Batched, Batches, Batching, Fence};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn writer(client: aws_sdk_dynamodb::Client) -> TargetWriter {
    TargetWriter {
        written_by: Writer::Bulk,
        always_leaves_tombstones: true,
        // One after the other, so that the answers go where they are meant to.
        concurrency: Arc::new(ConcurrencyLimit::within(
            1.0,
            1.0,
            Duration::from_secs(5),
            &AccountLimit::default(),
        )),
        margin: Duration::ZERO,
        ..TargetWriter::sample(client, AttributeKind::N)
    }
}

fn put(id: i64, body: &str, guard: Guard) -> Write {
    let id = Value::N(Number::from(id));
    Write {
        key: Key {
            partition: id.clone(),
            sort: None,
        },
        kind: WriteKind::Put(Item::from([
            ("id".to_owned(), id),
            ("body".to_owned(), Value::s(body)),
        ])),
        guard,
    }
}

/// Makes all writes at once, and sends the batches that they gather.
async fn write_all(batched: &(impl Batched + Sink), writes: &[Write]) -> Vec<Result<Landed, SinkError>> {
    let sends = async {
        loop {
            batched.send(batched.next().await).await;
        }
    };
    let written = futures::future::join_all(writes.iter().map(|write| batched.write_copied(write)));
    tokio::select! {
        // What can be sent is asked after the writes.
        biased;
        landed = written => landed,
        () = sends => unreachable!("it never ends"),
    }
}

fn ids(asked: &Asked, at: usize) -> Vec<String> {
    let asked = asked.lock().unwrap();
    let requests = asked[at]["RequestItems"]["mine"].as_array().unwrap();
    let id = |request: &Json| {
        request["PutRequest"]["Item"]["id"]["N"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    requests.iter().map(id).collect()
}

fn alone(asked: &Asked, at: usize) -> String {
    asked.lock().unwrap()[at]["Item"]["id"]["N"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_is_left_undone_is_put_again_and_nothing_else_and_one_of_it_alone() {
    let left = |id: &str| json!({ "PutRequest": { "Item": { "id": { "N": id }, "body": { "S": "b" } } } });
    let used = |units: f64| json!({ "TableName": "mine", "CapacityUnits": units });
    // The engine spells the number otherwise than we do.
    let undone = json!({ "mine": [left("2.0"), left("4")] });
    let (client, asked) = scripted(vec![
        (
            200,
            json!({ "UnprocessedItems": undone, "ConsumedCapacity": [used(2.0)] }),
        ),
        (200, json!({ "ConsumedCapacity": used(1.0) })),
        (
            200,
            json!({ "UnprocessedItems": {}, "ConsumedCapacity": [used(1.0)] }),
        ),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let writes = [1, 2, 3, 4].map(|id| put(id, "b", Guard::Any));
    let landed = write_all(&bulk, &writes).await;
    let units: u64 = landed
        .iter()
        .map(|one| one.as_ref().unwrap().used.milliunits)
        .sum();
    assert_eq!((landed.len(), units), (4, 4000));
    assert_eq!(ids(&asked, 0), ["1", "2", "3", "4"]);
    assert_eq!(alone(&asked, 1), "2", "it would be told why");
    assert_eq!(ids(&asked, 2), ["4"]);
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert_eq!(writer.health.blocked(), None);
}

#[tokio::test]
async fn an_answer_that_names_what_was_not_asked_leaves_all_open() {
    let strange = json!({ "mine": [{ "PutRequest": { "Item": { "id": { "N": "9" } } } }] });
    let (client, asked) = scripted(vec![
        (200, json!({ "UnprocessedItems": strange })),
        (200, json!({})),
        (200, json!({})),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let landed = write_all(&bulk, &[1, 2].map(|id| put(id, "b", Guard::Any))).await;
    assert!(landed.iter().all(Result::is_ok));
    assert_eq!(alone(&asked, 1), "1");
    assert_eq!(ids(&asked, 2), ["2"]);
}

#[tokio::test]
async fn one_key_is_never_twice_in_a_batch() {
    let (client, asked) = scripted(vec![(200, json!({})), (200, json!({}))]).await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let writes = [
        put(1, "a", Guard::Any),
        put(2, "b", Guard::Any),
        put(1, "c", Guard::Any),
    ];
    assert!(write_all(&bulk, &writes).await.iter().all(Result::is_ok));
    assert_eq!(ids(&asked, 0), ["1", "2"]);
    assert_eq!(ids(&asked, 1), ["1"]);
}

#[tokio::test]
async fn of_a_batch_that_is_refused_the_item_that_is_wrong_is_found_and_the_others_land() {
    let invalid =
        json!({ "__type": "com.amazon.coral.validate#ValidationException", "message": "too large" });
    let (client, asked) = scripted(vec![
        (400, invalid.clone()),
        (200, json!({})),
        (400, invalid),
        (200, json!({})),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let landed = write_all(&bulk, &[1, 2, 3].map(|id| put(id, "b", Guard::Any))).await;
    let rejected = landed
        .iter()
        .filter(|one| matches!(one, Err(SinkError::Rejected(_))));
    assert_eq!((rejected.count(), landed.len()), (1, 3));
    assert_eq!(asked.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_role_without_batches_writes_item_by_item() {
    let denied =
        json!({ "__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException", "message": "no" });
    let (client, asked) = scripted(vec![(400, denied), (200, json!({})), (200, json!({}))]).await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let landed = write_all(&bulk, &[1, 2].map(|id| put(id, "b", Guard::Any))).await;
    assert!(landed.iter().all(Result::is_ok));
    assert!(
        batching
            .stopped()
            .is_some_and(|reason| reason.contains("BatchWriteItem"))
    );
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn what_has_a_guard_is_no_part_of_a_batch() {
    let (client, asked) = scripted(vec![(200, json!({}))]).await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let landed = write_all(&bulk, &[put(1, "b", Guard::Absent)]).await;
    assert!(landed[0].is_ok());
    let asked = asked.lock().unwrap();
    assert!(asked[0]["ConditionExpression"].is_string(), "{}", asked[0]);
}

const LEASE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn no_kind_of_write_goes_out_after_its_lease() {
    let (client, asked) = scripted(vec![(200, json!({}))]).await;
    let remove = Write {
        kind: WriteKind::Remove(None),
        ..put(1, "a", Guard::Any)
    };
    for (write, in_batches) in [
        (put(1, "a", Guard::Any), false),
        (remove, false),
        (put(1, "a", Guard::Any), true),
        (put(1, "a", Guard::Absent), true),
    ] {
        let lease = Validity::new(
            Clock::SYSTEM,
            Moment::now(Clock::SYSTEM),
            LEASE,
            Duration::from_secs(1),
        );
        let config = client
            .config()
            .to_builder()
            .interceptor(HeldUp::until_the_end_of(&lease));
        let config = config.retry_config(RetryConfig::disabled()).build();
        let writer = TargetWriter {
            fence: Fence::new([lease]),
            always_leaves_tombstones: false,
            ..writer(aws_sdk_dynamodb::Client::from_conf(config))
        };
        let batching = Batching::default();
        let (bulk, batches) = (Bulk::new(&writer, &batching), Batches::new(&writer, &batching));
        let sending = async {
            match (in_batches, &write.guard) {
                (false, _) => drop(writer.write_copied(&write).await),
                (true, Guard::Any) => drop(write_all(&bulk, std::slice::from_ref(&write)).await),
                (true, _) => drop(write_all(&batches, std::slice::from_ref(&write)).await),
            }
        };
        tokio::pin!(sending);
        let begun = Instant::now();
        while writer.fence.is_open() {
            assert!(begun.elapsed() < Duration::from_secs(20), "not built: {write:?}");
            let ended = tokio::time::timeout(Duration::from_millis(10), &mut sending).await;
            assert!(ended.is_err(), "it waits for a lease: {write:?}");
        }
        let ended = tokio::time::timeout(Duration::from_millis(300), &mut sending).await;
        assert!(ended.is_err(), "it waits for a lease: {write:?}");
        assert!(asked.lock().unwrap().is_empty(), "{write:?}");
    }
}

/// Answers each statement with a code, or with success.
fn statements(codes: &[Option<&str>]) -> (u16, Json) {
    let responses = codes.iter().map(|code| match code {
        Some(code) => json!({ "Error": { "Code": code } }),
        None => json!({}),
    });
    (200, json!({ "Responses": responses.collect::<Vec<_>>() }))
}

#[tokio::test]
async fn an_insert_is_sent_again_as_it_was_and_what_exists_is_put_under_its_own_guard() {
    let (client, asked) = scripted(vec![
        statements(&[Some("ThrottlingError"), Some("ThrottlingError")]),
        (200, json!({})),
        statements(&[Some("DuplicateItem")]),
        (200, json!({})),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let batches = Batches::new(&writer, &batching);
    let writes = [1, 2].map(|id| put(id, "a", Guard::Older(Version::Text("5".into()))));
    let landed = write_all(&batches, &writes).await;
    let written = |one: &Result<Landed, SinkError>| one.as_ref().unwrap().outcome == Outcome::Written;
    assert!(landed.iter().all(written), "{landed:?}");
    // The first of those that were throttled goes alone: it would be told why.
    assert_eq!((alone(&asked, 1), alone(&asked, 3)), ("1".into(), "2".into()));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 4, "{asked:?}");
    for place in [1, 3] {
        let condition = asked[place]["ConditionExpression"].as_str().unwrap();
        assert!(condition.contains('<'), "{condition}");
    }
    let rebuild = asked[2]["Statements"].as_array().unwrap();
    assert_eq!(rebuild, &asked[0]["Statements"].as_array().unwrap()[1..]);
    assert_eq!(rebuild[0]["Parameters"].as_array().map(Vec::len), Some(2));
}

/// 2,500 bytes: three units.
const LARGE: usize = 2500;

#[tokio::test]
async fn what_an_engine_does_not_tell_is_estimated_from_the_sizes_and_paid_for() {
    let large = |id, guard| put(id, &"b".repeat(LARGE), guard);
    let used = |landed: &[Result<Landed, SinkError>]| -> WriteUse {
        landed.iter().map(|one| one.as_ref().unwrap().used).sum()
    };
    // In batches of inserts, of which one is left undone and goes alone; in batches of puts; and alone.
    let (client, _) = scripted(vec![
        statements(&[None, None, Some("ThrottlingError")]),
        (200, json!({})),
        (200, json!({ "UnprocessedItems": {} })),
        (200, json!({})),
    ])
    .await;
    let writer = TargetWriter {
        budget: Arc::new(Budget::new(Some(1e6))),
        ..writer(client)
    };
    let batching = Batching::default();
    let batches = Batches::new(&writer, &batching);
    let landed = write_all(&batches, &[1, 2, 3].map(|id| large(id, Guard::Absent))).await;
    assert_eq!(used(&landed), WriteUse::estimated(9000));
    let bulk = Bulk::new(&writer, &batching);
    let landed = write_all(&bulk, &[1, 2].map(|id| large(id, Guard::Any))).await;
    assert_eq!(used(&landed), WriteUse::estimated(6000));
    let landed = writer.write_copied(&large(4, Guard::Any)).await.unwrap();
    assert_eq!(landed.used, WriteUse::estimated(3000));
}

#[tokio::test]
async fn what_an_engine_tells_is_no_estimate_and_a_budget_holds_without_its_word() {
    let told = json!([{ "TableName": "mine", "CapacityUnits": 2.0 }]);
    let (client, _) = scripted(vec![
        (200, json!({ "Responses": [{}, {}], "ConsumedCapacity": told })),
        statements(&[None, None]),
        statements(&[None, None]),
    ])
    .await;
    let writer = TargetWriter {
        budget: Arc::new(Budget::new(Some(20.0))),
        ..writer(client)
    };
    let batching = Batching::default();
    let batches = Batches::new(&writer, &batching);
    let landed = write_all(&batches, &[1, 2].map(|id| put(id, "b", Guard::Absent))).await;
    let used: WriteUse = landed.iter().map(|one| one.as_ref().unwrap().used).sum();
    assert_eq!(used, WriteUse::told(2000));
    // 38 units of 20 a second, of which 18 were saved at most: the next one waits for the rest.
    let large = |id| put(id, &"b".repeat(19_000), Guard::Absent);
    write_all(&batches, &[3, 4].map(large)).await;
    let begun = Instant::now();
    write_all(&batches, &[5, 6].map(large)).await;
    assert!(
        begun.elapsed() > Duration::from_millis(800),
        "{:?}",
        begun.elapsed()
    );
}

//! What a batch leaves undone, against an endpoint that answers as AWS does: engines here leave nothing undone.

use super::*;
use crate::dynamo::scripted::{Asked, scripted};
use crate::dynamo::{Brake, Budget, Health, Pace};
use crate::fault::Hand;
use crate::flow::VersionFields;
use crate::model::{AttributeKind, KeyAttribute, Number, Value, Version};
use crate::state::{Moment, Validity};
use crate::target::fence::tests::HeldUp;
use crate::target::{Batches, Fence, Gate};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn writer(client: aws_sdk_dynamodb::Client) -> TargetWriter {
    TargetWriter {
        hand: Hand::Bulk,
        endless: true,
        client,
        table: "mine".into(),
        keys: KeySchema {
            partition: KeyAttribute {
                name: "id".into(),
                kind: AttributeKind::N,
            },
            sort: None,
        },
        fields: VersionFields {
            partition: "id".into(),
            live: "at".into(),
        },
        gate: Gate::default(),
        always_bury: true,
        fence: Fence::new([]),
        // One after the other, so that the answers go where they are meant to.
        pace: Arc::new(Pace::within(1.0, 1.0, Duration::from_secs(5), &Brake::default())),
        budget: Arc::new(Budget::new(None)),
        health: Arc::new(Health::default()),
        stop: CancellationToken::new(),
        margin: Duration::ZERO,
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
async fn write_all(bulk: &Bulk<'_>, writes: &[Write]) -> Vec<Result<Landed, SinkError>> {
    let mut written: FuturesUnordered<_> = writes.iter().map(|write| bulk.write_copied(write)).collect();
    let mut landed = Vec::new();
    loop {
        tokio::select! {
            biased;
            next = written.next() => match next {
                None => return landed,
                Some(next) => landed.push(next),
            },
            batch = bulk.next() => bulk.send(batch).await,
        }
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

#[tokio::test]
async fn what_is_left_undone_is_put_again_and_nothing_else() {
    // The engine spells the number otherwise than we do.
    let undone =
        json!({ "mine": [{ "PutRequest": { "Item": { "id": { "N": "2.0" }, "body": { "S": "b" } } } }] });
    let (client, asked) = scripted(vec![
        (200, json!({ "UnprocessedItems": undone, "ConsumedCapacity": [{ "TableName": "mine", "CapacityUnits": 2.0 }] })),
        (200, json!({ "UnprocessedItems": {}, "ConsumedCapacity": [{ "TableName": "mine", "CapacityUnits": 1.0 }] })),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    let writes = [1, 2, 3].map(|id| put(id, "b", Guard::Any));
    let landed = write_all(&bulk, &writes).await;
    let units: u64 = landed
        .iter()
        .map(|one| one.as_ref().unwrap().write_milliunits)
        .sum();
    assert_eq!((landed.len(), units), (3, 3000));
    assert_eq!(ids(&asked, 0), ["1", "2", "3"]);
    assert_eq!(ids(&asked, 1), ["2"]);
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(writer.health.blocked(), None);
}

#[tokio::test]
async fn an_answer_that_names_what_was_not_asked_leaves_all_open() {
    let strange = json!({ "mine": [{ "PutRequest": { "Item": { "id": { "N": "9" } } } }] });
    let (client, asked) = scripted(vec![
        (200, json!({ "UnprocessedItems": strange })),
        (200, json!({})),
    ])
    .await;
    let (writer, batching) = (writer(client), Batching::default());
    let bulk = Bulk::new(&writer, &batching);
    // Their waits differ: what comes later is gathered in a batch of its own, and the endpoint hangs up.
    let landed = write_all(&bulk, &[put(1, "b", Guard::Any)]).await;
    assert!(landed[0].is_ok());
    assert_eq!(ids(&asked, 1), ["1"]);
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
        let lease = Validity::new(Moment::now(), LEASE, Duration::from_secs(1));
        let config = client
            .config()
            .to_builder()
            .interceptor(HeldUp::until_the_end_of(&lease));
        let config = config.retry_config(RetryConfig::disabled()).build();
        let writer = TargetWriter {
            fence: Fence::new([lease]),
            always_bury: false,
            ..writer(aws_sdk_dynamodb::Client::from_conf(config))
        };
        let batching = Batching::default();
        let (bulk, batches) = (Bulk::new(&writer, &batching), Batches::new(&writer, &batching));
        let sending = async {
            match (in_batches, &write.guard) {
                (false, _) => drop(writer.write_copied(&write).await),
                (true, Guard::Any) => drop(write_all(&bulk, std::slice::from_ref(&write)).await),
                (true, _) => {
                    let sent = async { batches.send(batches.next().await).await };
                    drop(futures::join!(batches.write_copied(&write), sent));
                }
            }
        };
        let ended = tokio::time::timeout(Duration::from_millis(300), sending).await;
        assert!(ended.is_err(), "it waits for a lease: {write:?}");
        assert!(!writer.fence.is_open(), "it was built: {write:?}");
        assert!(asked.lock().unwrap().is_empty(), "{write:?}");
    }
}

#[tokio::test]
async fn an_insert_is_sent_again_as_it_was_and_what_exists_is_put_under_its_own_guard() {
    let one = |code: &str| (200, json!({ "Responses": [{ "Error": { "Code": code } }] }));
    let answers = vec![one("ThrottlingError"), one("DuplicateItem"), (200, json!({}))];
    let (client, asked) = scripted(answers).await;
    let (writer, batching) = (writer(client), Batching::default());
    let batches = Batches::new(&writer, &batching);
    let write = put(1, "a", Guard::Older(Version::Text("5".into())));
    let sends = async {
        loop {
            batches.send(batches.next().await).await;
        }
    };
    let landed = tokio::select! {
        // What can be sent is asked after the writes.
        biased;
        landed = batches.write_copied(&write) => landed.unwrap(),
        () = sends => unreachable!("it never ends"),
    };
    assert_eq!(landed.outcome, Outcome::Written);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(
        asked[0]["Statements"][0]["Parameters"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(asked[1], asked[0]);
    let condition = asked[2]["ConditionExpression"].as_str().unwrap();
    assert!(condition.contains('<'), "{condition}");
    assert_eq!(asked[2]["Item"]["id"], json!({ "N": "1" }));
}

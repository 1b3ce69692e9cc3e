//! The simulated engine and the embedded one share no code. For the same random requests they must give the same answers,
//! and hold the same items and the same stream records afterwards.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

use super::requests::request;
use super::{HABITS, NOW, create};
use crate::engine::Engine;
use crate::engine::value::{Value, item_of};
use crate::support;
use crate::support::faulty::backend::{Backend, streams, tables};

const REQUESTS: usize = 1500;

/// The part of an answer that must be equal: the error's code, or the items (also of before a write) without the order of
/// names and sets.
fn essence(status: u16, body: &Json) -> String {
    let items = |list: &Json| -> Vec<BTreeMap<String, Value>> {
        let list = list.as_array().into_iter().flatten();
        list.map(|item| item_of(item).expect("an item")).collect()
    };
    let item = |name: &str| body.get(name).map(|item| item_of(item).expect("an item"));
    let code = body["__type"]
        .as_str()
        .unwrap_or_default()
        .rsplit('#')
        .next()
        .unwrap_or_default();
    let of_statements: Vec<&str> = body["Responses"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|response| response["Error"]["Code"].as_str().unwrap_or("ok"))
        .collect();
    format!(
        "{status} {code} {:?} {:?} {:?} {of_statements:?}",
        item("Item"),
        item("Attributes"),
        items(&body["Items"])
    )
}

/// Old and new images, key by key.
fn changes(records: &Json) -> BTreeMap<String, Vec<String>> {
    let mut changes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in records.as_array().into_iter().flatten() {
        let change = &record["dynamodb"];
        let image = |name: &str| change.get(name).map(|image| item_of(image).expect("an image"));
        let (old, new) = (image("OldImage"), image("NewImage"));
        // The embedded engine makes a record of a write that changes nothing.
        if old != new {
            let key = format!("{:?}", item_of(&change["Keys"]).expect("a key"));
            changes.entry(key).or_default().push(format!("{old:?} {new:?}"));
        }
    }
    changes
}

struct Pair {
    ours: Engine,
    other: Backend,
    /// Updates that created an item, and were to tell what was there.
    created_by_updates: usize,
}

impl Pair {
    async fn ask(&mut self, target: &str, body: &Json) -> (Json, Json) {
        let ours = self.ours.answer(NOW, target, body);
        let other = self.other.send(target, body.to_string().into()).await;
        let other = other.expect("the embedded engine answers");
        let mut other_body = other.json();
        // What `engines::embedded::an_update_that_creates_an_item_says_that_its_key_was_there` shows of the embedded engine.
        if ours.body.get("Attributes").is_none() && other_body.get("Attributes") == body.get("Key") {
            self.created_by_updates += usize::from(other_body["Attributes"].is_object());
            other_body
                .as_object_mut()
                .expect("an answer")
                .remove("Attributes");
        }
        assert_eq!(
            essence(ours.status, &ours.body),
            essence(other.status, &other_body),
            "{target} {body}\nours:  {}\nother: {other_body}",
            ours.body
        );
        (ours.body, other_body)
    }
}

#[tokio::test]
async fn it_answers_as_the_embedded_engine() {
    let engine = support::Engine::embedded().await;
    let mut pair = Pair {
        ours: Engine::new(HABITS),
        other: Backend::at(engine.endpoint()),
        created_by_updates: 0,
    };
    let mut rng = StdRng::seed_from_u64(12);
    pair.ask(&tables("CreateTable"), &create()).await;
    support::table::wait_active(&engine.dynamodb(), "tab").await;
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..REQUESTS {
        let (operation, body) = request(&mut rng);
        let (answer, _) = pair.ask(&tables(operation), &body).await;
        let code = answer["__type"].as_str().unwrap_or("ok").to_owned();
        *codes.entry(format!("{operation} {code}")).or_default() += 1;
    }
    eprintln!("{codes:#?}");
    assert!(pair.created_by_updates > 0, "no update created an item");
    let scan = json!({
        "TableName": "tab",
        "ConsistentRead": true,
        "FilterExpression": "attribute_exists(#h)",
        "ExpressionAttributeNames": { "#h": "dynasplit:deleted" },
    });
    let ours = pair.ours.answer(NOW, "Scan", &scan).body;
    let other = pair.other.ask(&tables("Scan"), &scan).await.expect("a page");
    let sorted = |page: &Json| {
        let items = page["Items"].as_array().expect("items").iter();
        let mut items: Vec<_> = items.map(|item| item_of(item).expect("an item")).collect();
        items.sort();
        items
    };
    assert!(!sorted(&ours).is_empty());
    assert_eq!(sorted(&ours), sorted(&other));
    assert_eq!(
        records_of_ours(&mut pair.ours),
        records_of_other(&pair.other).await
    );
    assert_eq!(pair.ours.unsupported, Vec::<String>::new());
}

fn records_of_ours(engine: &mut Engine) -> BTreeMap<String, Vec<String>> {
    let arn = engine.stream("tab").expect("a stream").arn.clone();
    let shard = engine.stream("tab").expect("a stream").open_shards().remove(0);
    let mut all = Vec::new();
    let body = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let mut next = engine.answer(NOW, "GetShardIterator", &body).body["ShardIterator"].take();
    loop {
        let mut page = engine
            .answer(NOW, "GetRecords", &json!({ "ShardIterator": next }))
            .body;
        let records = page["Records"].as_array().cloned().expect("records");
        if records.is_empty() {
            return changes(&Json::Array(all));
        }
        all.extend(records);
        next = page["NextShardIterator"].take();
    }
}

async fn records_of_other(other: &Backend) -> BTreeMap<String, Vec<String>> {
    let ask =
        async |operation: &str, body: &Json| other.ask(&streams(operation), body).await.expect("an answer");
    let described = other
        .ask(&tables("DescribeTable"), &json!({ "TableName": "tab" }))
        .await;
    let arn = described.expect("a table")["Table"]["LatestStreamArn"].take();
    let described = ask("DescribeStream", &json!({ "StreamArn": arn })).await;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let body = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let mut next = ask("GetShardIterator", &body).await["ShardIterator"].take();
    let mut all = Vec::new();
    loop {
        let mut page = ask("GetRecords", &json!({ "ShardIterator": next })).await;
        let records = page["Records"].as_array().cloned().expect("records");
        if records.is_empty() {
            return changes(&Json::Array(all));
        }
        all.extend(records);
        next = page["NextShardIterator"].take();
    }
}

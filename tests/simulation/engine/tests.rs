//! The engine against the embedded one, which knows nothing of it: the same random requests, the same answers, the same
//! tables and the same records of the stream. And its streams against AWS's documentation.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value as Json, json};

use super::value::{Value, item_of};
use super::{Arrival, Engine, Habits};
use crate::support;
use crate::support::faulty::backend::{Backend, streams, tables};

const HABITS: Habits = Habits {
    page_items: 1000,
    page_records: 1000,
    shards: 1,
    creation_ms: 0,
};
const NOW: Arrival = Arrival {
    now_ms: 1_000_000,
    stale_ms: 0,
};
const REQUESTS: usize = 1500;

fn create() -> Json {
    json!({
        "TableName": "tab",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            { "AttributeName": "pk", "KeyType": "HASH" },
            { "AttributeName": "sk", "KeyType": "RANGE" },
        ],
        "AttributeDefinitions": [
            { "AttributeName": "pk", "AttributeType": "S" },
            { "AttributeName": "sk", "AttributeType": "S" },
        ],
        "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
    })
}

fn key(rng: &mut StdRng) -> Json {
    let sk = format!(
        "{}#{}",
        ["A", "B"][rng.random_range(0..2)],
        rng.random_range(0..3)
    );
    json!({ "pk": { "S": format!("p{}", rng.random_range(0..3)) }, "sk": { "S": sk } })
}

fn value(rng: &mut StdRng) -> Json {
    let number = *["1", "2", "10", "1.5", "-3", "100000000000000000001"]
        .choose(rng)
        .expect("some");
    match rng.random_range(0..9) {
        0 | 1 => json!({ "N": number }),
        2 | 3 => json!({ "S": *["1", "2", "a", "b", ""].choose(rng).expect("some") }),
        4 => json!({ "BOOL": rng.random::<bool>() }),
        5 => json!({ "SS": ["x", "y"] }),
        6 => json!({ "NS": [number, "7"] }),
        7 => json!({ "L": [{ "N": number }, { "NULL": true }] }),
        _ => json!({ "M": { "in": { "B": "AAEC" }, "n": { "N": number } } }),
    }
}

fn version(rng: &mut StdRng) -> Json {
    let digit = rng.random_range(0..12).to_string();
    match rng.random() {
        true => json!({ "N": digit }),
        false => json!({ "S": digit }),
    }
}

fn item(rng: &mut StdRng) -> Json {
    let mut item = key(rng);
    for (name, odds) in [
        ("at", 0.7),
        ("dynasplit:version", 0.4),
        ("dynasplit:deleted", 0.2),
    ] {
        if rng.random_bool(odds) {
            item[name] = version(rng);
        }
    }
    for name in ["a", "b"] {
        if rng.random_bool(0.5) {
            item[name] = value(rng);
        }
    }
    item
}

/// Conditions in the forms that the product sends, with random contents.
fn condition(rng: &mut StdRng, body: &mut Json) {
    let (mut names, mut values) = (json!({}), json!({}));
    let older = *["<", "<=", ">", ">="].choose(rng).expect("some");
    let text = match rng.random_range(0..7) {
        0 => return,
        1 => {
            names["#p"] = json!("pk");
            "attribute_not_exists(#p)".to_owned()
        }
        2 | 3 => {
            let v = version(rng);
            let kind = v.as_object().and_then(|v| v.keys().next()).cloned();
            names = json!({ "#p": "pk", "#v": "at", "#r": "dynasplit:version" });
            values = json!({ ":v": v, ":t": { "S": kind } });
            format!(
                "attribute_not_exists(#p) OR #v {older} :v OR #r {older} :v OR \
                 (NOT attribute_type(#v, :t) AND NOT attribute_type(#r, :t))"
            )
        }
        4 => {
            names = json!({ "#d": "dynasplit:deleted", "#a0": "at", "#a1": "a", "#n0": "dynasplit:version" });
            values = json!({ ":a0": version(rng), ":a1": value(rng) });
            "attribute_not_exists(#d) AND #a0 = :a0 AND #a1 = :a1 AND attribute_not_exists(#n0)".into()
        }
        5 => {
            names = json!({ "#t": "b" });
            values = json!({ ":t": value(rng), ":r": { "N": "1" } });
            "revision = :r OR #t = :t".into()
        }
        _ => {
            names["#d"] = json!("dynasplit:deleted");
            values[":d"] = version(rng);
            "attribute_exists(#d) AND NOT #d = :d".into()
        }
    };
    body["ConditionExpression"] = json!(text);
    body["ExpressionAttributeNames"] = names;
    if values.as_object().is_some_and(|values| !values.is_empty()) {
        body["ExpressionAttributeValues"] = values;
    }
    body["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
}

fn insert(rng: &mut StdRng) -> Json {
    let item = item(rng);
    let members = item.as_object().expect("an item");
    let names: Vec<String> = members.keys().map(|name| format!("'{name}':?")).collect();
    let values: Vec<&Json> = members.values().collect();
    json!({ "Statement": format!("INSERT INTO \"tab\" VALUE {{{}}}", names.join(",")), "Parameters": values })
}

fn request(rng: &mut StdRng) -> (&'static str, Json) {
    let mut body = json!({ "TableName": "tab" });
    match rng.random_range(0..12) {
        0..4 => {
            body["Item"] = item(rng);
            condition(rng, &mut body);
            ("PutItem", body)
        }
        4 | 5 => {
            body["Key"] = key(rng);
            condition(rng, &mut body);
            ("DeleteItem", body)
        }
        6 => {
            body["Key"] = key(rng);
            body["UpdateExpression"] = json!("SET #a = :a, #b = :b REMOVE #r");
            body["ExpressionAttributeNames"] = json!({ "#a": "a", "#b": "b", "#r": "dynasplit:version" });
            body["ExpressionAttributeValues"] = json!({ ":a": value(rng), ":b": value(rng) });
            ("UpdateItem", body)
        }
        7 => {
            body["Key"] = key(rng);
            body["UpdateExpression"] = json!("SET #a = :a ADD revision :one");
            body["ExpressionAttributeNames"] = json!({ "#a": "a" });
            body["ExpressionAttributeValues"] = json!({ ":a": value(rng), ":one": { "N": "1" } });
            ("UpdateItem", body)
        }
        8 => {
            let statements = [insert(rng), insert(rng)];
            ("BatchExecuteStatement", json!({ "Statements": statements }))
        }
        9 => {
            let put = json!({ "PutRequest": { "Item": item(rng) } });
            let delete = json!({ "DeleteRequest": { "Key": key(rng) } });
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "tab": [put, delete] } }),
            )
        }
        10 => {
            body["Key"] = key(rng);
            body["ConsistentRead"] = json!(true);
            ("GetItem", body)
        }
        _ => {
            body["KeyConditionExpression"] = json!("pk = :pk AND begins_with(sk, :prefix)");
            let prefix = *["A", "B#", "B"].choose(rng).expect("some");
            body["ExpressionAttributeValues"] = json!({ ":pk": key(rng)["pk"], ":prefix": { "S": prefix } });
            body["ConsistentRead"] = json!(true);
            ("Query", body)
        }
    }
}

/// What both must answer alike: the error's code; or items, in a form that knows no order of names and sets.
fn essence(status: u16, body: &Json) -> String {
    let items = |list: &Json| -> Vec<BTreeMap<String, Value>> {
        let list = list.as_array().into_iter().flatten();
        list.map(|item| item_of(item).expect("an item")).collect()
    };
    let item = body.get("Item").map(|item| item_of(item).expect("an item"));
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
        "{status} {code} {item:?} {:?} {of_statements:?}",
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
}

impl Pair {
    async fn ask(&mut self, target: &str, body: &Json) -> (Json, Json) {
        let ours = self.ours.answer(NOW, target, body);
        let other = self.other.send(target, body.to_string().into()).await;
        let other = other.expect("the embedded engine answers");
        let other_body = other.json();
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

/// A table with a stream and some items in it.
fn filled(habits: Habits, items: usize) -> Engine {
    let mut engine = Engine::new(habits);
    engine.answer(NOW, "CreateTable", &create());
    for place in 0..items {
        put(&mut engine, NOW.now_ms, place);
    }
    engine
}

fn put(engine: &mut Engine, now_ms: u64, place: usize) {
    let at = Arrival { now_ms, stale_ms: 0 };
    let item = json!({ "pk": { "S": format!("p{place}") }, "sk": { "S": "s" } });
    let answer = engine.answer(at, "PutItem", &json!({ "TableName": "tab", "Item": item }));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn listed(engine: &mut Engine) -> Vec<Json> {
    let arn = engine.stream("tab").expect("a stream").arn.clone();
    let (mut shards, mut body) = (Vec::new(), json!({ "StreamArn": arn }));
    loop {
        let mut page = engine.answer(NOW, "DescribeStream", &body).body["StreamDescription"].take();
        shards.extend(page["Shards"].as_array().cloned().expect("shards"));
        match page.get_mut("LastEvaluatedShardId") {
            Some(last) => body["ExclusiveStartShardId"] = last.take(),
            None => return shards,
        }
    }
}

#[test]
fn shards_split_and_their_records_are_read_to_the_end() {
    let habits = Habits {
        shards: 2,
        page_records: 3,
        ..HABITS
    };
    let mut engine = filled(habits, 20);
    let stream = engine.stream("tab").expect("a stream");
    let arn = stream.arn.clone();
    for id in stream.open_shards() {
        assert!(stream.split_shard(NOW.now_ms, &id));
        assert!(!stream.split_shard(NOW.now_ms, &id), "it is closed");
    }
    for place in 20..40 {
        put(&mut engine, NOW.now_ms, place);
    }
    let shards = listed(&mut engine);
    assert_eq!(shards.len(), 6);
    let (mut closed, mut records) = (0, 0);
    for shard in &shards {
        let body =
            json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
        let mut next = engine.answer(NOW, "GetShardIterator", &body).body["ShardIterator"].take();
        while next.is_string() {
            let mut page = engine
                .answer(NOW, "GetRecords", &json!({ "ShardIterator": next }))
                .body;
            let count = page["Records"].as_array().map_or(0, Vec::len);
            records += count;
            next = page["NextShardIterator"].take();
            if count == 0 && next.is_string() {
                break;
            }
        }
        assert_eq!(next.is_null(), shard["ParentShardId"].is_null(), "{shard}");
        closed += usize::from(next.is_null());
    }
    assert_eq!((closed, records), (2, 40));
}

#[test]
fn a_trimmed_position_fails_and_an_old_iterator_expires() {
    let mut engine = filled(HABITS, 3);
    let later = Arrival {
        now_ms: NOW.now_ms + 16 * 60 * 1000,
        stale_ms: 0,
    };
    put(&mut engine, later.now_ms, 3);
    let arn = engine.stream("tab").expect("a stream").arn.clone();
    let shard = listed(&mut engine).remove(0);
    let at = |kind: &str, number: &Json| json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind, "SequenceNumber": number });
    let first = json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
    let iterator = engine.answer(NOW, "GetShardIterator", &first).body["ShardIterator"].take();
    let page = engine
        .answer(NOW, "GetRecords", &json!({ "ShardIterator": iterator }))
        .body;
    let numbers: Vec<Json> = (0..4)
        .map(|place| page["Records"][place]["dynamodb"]["SequenceNumber"].clone())
        .collect();
    let code = |answer: super::Answer| answer.body["__type"].as_str().unwrap_or_default().to_owned();
    let expired = engine.answer(later, "GetRecords", &json!({ "ShardIterator": iterator }));
    assert!(code(expired).ends_with("#ExpiredIteratorException"));
    engine.stream("tab").expect("a stream").trim(later.now_ms);
    let trimmed = engine.answer(NOW, "GetRecords", &json!({ "ShardIterator": iterator }));
    assert!(code(trimmed).ends_with("#TrimmedDataAccessException"));
    let behind_the_first = engine.answer(NOW, "GetShardIterator", &at("AFTER_SEQUENCE_NUMBER", &numbers[0]));
    assert!(code(behind_the_first).ends_with("#TrimmedDataAccessException"));
    let behind_all = engine.answer(NOW, "GetShardIterator", &at("AFTER_SEQUENCE_NUMBER", &numbers[2]));
    assert_eq!(behind_all.status, 200, "{behind_all:?}");
    let begin = engine.answer(NOW, "GetShardIterator", &first).body["ShardIterator"].take();
    let page = engine
        .answer(NOW, "GetRecords", &json!({ "ShardIterator": begin }))
        .body;
    assert_eq!(page["Records"].as_array().map(Vec::len), Some(1), "{page}");
}

#[test]
fn an_eventually_consistent_scan_shows_the_table_as_it_was() {
    let mut engine = filled(HABITS, 3);
    let later = NOW.now_ms + 1000;
    put(&mut engine, later, 3);
    let key = json!({ "pk": { "S": "p0" }, "sk": { "S": "s" } });
    let at = |stale_ms| Arrival {
        now_ms: later,
        stale_ms,
    };
    engine.answer(at(0), "DeleteItem", &json!({ "TableName": "tab", "Key": key }));
    let mut keys = |stale_ms, consistent: bool| -> Vec<String> {
        let body = json!({ "TableName": "tab", "ConsistentRead": consistent });
        let page = engine.answer(at(stale_ms), "Scan", &body).body;
        let items = page["Items"].as_array().expect("items").iter();
        let mut keys: Vec<String> = items
            .map(|item| item["pk"]["S"].as_str().expect("a key").to_owned())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(500, false), ["p0", "p1", "p2"]);
    assert_eq!(keys(0, false), ["p1", "p2", "p3"]);
    assert_eq!(keys(500, true), ["p1", "p2", "p3"]);
}

#[test]
fn segments_and_pages_hold_each_item_once() {
    let habits = Habits {
        page_items: 2,
        ..HABITS
    };
    let mut engine = filled(habits, 30);
    let mut seen = BTreeMap::new();
    for segment in 0..4 {
        let mut body =
            json!({ "TableName": "tab", "Segment": segment, "TotalSegments": 4, "ConsistentRead": true });
        loop {
            let mut page = engine.answer(NOW, "Scan", &body).body;
            for item in page["Items"].as_array().expect("items") {
                *seen.entry(item.to_string()).or_insert(0) += 1;
            }
            match page.get_mut("LastEvaluatedKey") {
                Some(last) => body["ExclusiveStartKey"] = last.take(),
                None => break,
            }
        }
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.values().all(|count| *count == 1));
}

#[test]
fn what_it_does_not_know_is_refused_and_noted() {
    let mut engine = filled(HABITS, 1);
    for (target, body) in [
        ("TransactWriteItems", json!({})),
        ("Scan", json!({ "TableName": "tab", "Select": "COUNT" })),
        (
            "PutItem",
            json!({ "TableName": "tab", "Item": { "pk": { "S": "a" }, "sk": { "S": "b" } }, "ConditionExpression": "size(a) = b" }),
        ),
    ] {
        assert_eq!(engine.answer(NOW, target, &body).status, 400, "{target}");
    }
    assert_eq!(engine.unsupported.len(), 3, "{:?}", engine.unsupported);
}

//! Streams, scans and refusals of the simulated engine, compared with AWS's documentation.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{HABITS, NOW, create};
use crate::engine::{Answer, Arrival, Engine, Habits};

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
    let code = |answer: Answer| answer.body["__type"].as_str().unwrap_or_default().to_owned();
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

//! Tests of the live writers, on an embedded engine.

use super::super::generate::Generator;
use super::super::generate::tests::spec;
use super::super::load::{LoadError, Loaded, load};
use super::super::population::Population;
use super::super::population::tests::keys;
use super::*;
use crate::dynamo::convert::{ConvertError, item_from_sdk};
use crate::model::{Item, Number, Value};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType,
};
use aws_sdk_dynamodbstreams::types::{OperationType, Record, ShardIteratorType};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicI64;
use std::time::Duration;

/// An embedded engine that dies with the test's runtime.
struct Engine {
    tables: Client,
    streams: aws_sdk_dynamodbstreams::Client,
}

const TABLE: &str = "source";

async fn engine() -> Engine {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_with_shutdown(
        listener,
        database,
        std::future::pending(),
    ));
    let credentials = Credentials::new("local", "local", None, None, "test");
    let region = Region::new("eu-west-1");
    let tables = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(region.clone())
        .credentials_provider(credentials.clone())
        .build();
    let streams = aws_sdk_dynamodbstreams::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(region)
        .credentials_provider(credentials)
        .build();
    Engine {
        tables: Client::from_conf(tables),
        streams: aws_sdk_dynamodbstreams::Client::from_conf(streams),
    }
}

impl Engine {
    async fn create_table(&self) {
        let mut request = self
            .tables
            .create_table()
            .table_name(TABLE)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, key_type) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let kind = ScalarAttributeType::S;
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind)
                .build();
            let element = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(key_type)
                .build();
            request = request
                .attribute_definitions(attribute.unwrap())
                .key_schema(element.unwrap());
        }
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewAndOldImages)
            .build();
        request
            .stream_specification(stream.unwrap())
            .send()
            .await
            .unwrap();
    }

    async fn items(&self) -> BTreeMap<Vec<u8>, Item> {
        let mut items = BTreeMap::new();
        let mut pages = self.tables.scan().table_name(TABLE).into_paginator().send();
        while let Some(page) = pages.next().await {
            for item in page.unwrap().items.unwrap_or_default() {
                let item = item_from_sdk(item).unwrap();
                items.insert(keys().key_of(&item).unwrap().encode(), item);
            }
        }
        items
    }

    /// All records of the engine's only shard.
    async fn records(&self) -> Vec<Record> {
        let arn = self
            .streams
            .list_streams()
            .table_name(TABLE)
            .send()
            .await
            .unwrap();
        let arn = arn.streams()[0].stream_arn().unwrap().to_owned();
        let stream = self
            .streams
            .describe_stream()
            .stream_arn(&arn)
            .send()
            .await
            .unwrap();
        let shard = stream.stream_description().unwrap().shards()[0]
            .shard_id()
            .unwrap()
            .to_owned();
        let start = self.streams.get_shard_iterator().stream_arn(&arn).shard_id(shard);
        let start = start
            .shard_iterator_type(ShardIteratorType::TrimHorizon)
            .send()
            .await
            .unwrap();
        let (mut iterator, mut records) = (start.shard_iterator, Vec::new());
        while let Some(at) = iterator {
            let page = self
                .streams
                .get_records()
                .shard_iterator(at)
                .send()
                .await
                .unwrap();
            let read = page.records.unwrap_or_default();
            if read.is_empty() {
                break;
            }
            records.extend(read);
            iterator = page.next_shard_iterator;
        }
        records
    }
}

fn population(count: u64) -> Population {
    let spec = spec(json!([
        {"weight": 2, "item": {"pk": "A#{n}", "sk": "META", "title": "{random}", "at": "{now}", "tags": {"SS": ["x", "{n}"]}},
         "updates": {"title": "{random}", "type": "new"}},
        {"item": {"pk": "A#{n/3}", "sk": "B#{n}", "at": "{now}", "doc": {"a": [1, null, {"B": "AAE="}]}}},
    ]));
    let generator = Generator::new(&spec, 1, || Value::N(0.into())).unwrap();
    Population::generated(generator, count, &keys()).unwrap()
}

fn options(writes_per_second: u32) -> WriterOptions {
    let ticks = AtomicI64::new(0);
    let now = move || Value::N(ticks.fetch_add(1, Ordering::SeqCst).into());
    let timestamp = Timestamp {
        attribute: "at".into(),
        now: Arc::new(now),
    };
    WriterOptions {
        application: None,
        writes_per_second,
        seed: 9,
        timestamp: Some(timestamp),
        tasks: 4,
        rests: None,
    }
}

fn at(item: &Item) -> Number {
    match &item["at"] {
        Value::N(number) => number.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn loads_and_writes_what_the_stream_then_shows() {
    let engine = engine().await;
    engine.create_table().await;
    let population = population(333);
    let mut told = Vec::new();
    let loaded = load(&engine.tables, TABLE, population.items(), 4, |items| {
        told.push(items)
    })
    .await
    .unwrap();
    let expected: Vec<Item> = population.items().map(Result::unwrap).collect();
    let bytes = expected.iter().map(crate::model::ItemExt::size).sum::<usize>() as u64;
    assert_eq!(
        loaded,
        Loaded {
            items: 333,
            bytes,
            retries: 0
        }
    );
    assert_eq!((told.len(), told.last()), (14, Some(&333)));
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|item| (keys().key_of(&item).unwrap().encode(), item))
        .collect();
    assert_eq!(engine.items().await, expected);

    let writers = LiveWriters::start(&engine.tables, TABLE, &keys(), population, options(2000));
    while writers.report().writes() < 1200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let report = writers.stop().await.unwrap();

    // Each write left one record; per item they fit together, and the timestamps never go back.
    let mut table: HashMap<Vec<u8>, Item> = HashMap::new();
    let mut newest: HashMap<Vec<u8>, Number> = HashMap::new();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for record in engine.records().await {
        let name = record.event_name.unwrap();
        *counts
            .entry(if name == OperationType::Insert {
                "insert"
            } else {
                "other"
            })
            .or_default() += 1;
        *counts
            .entry(if name == OperationType::Remove {
                "remove"
            } else {
                "kept"
            })
            .or_default() += 1;
        let change = record.dynamodb.unwrap();
        let image = |image: Option<HashMap<_, _>>| -> Result<Option<Item>, ConvertError> {
            image
                .filter(|image| !image.is_empty())
                .map(item_from_sdk)
                .transpose()
        };
        let key = keys()
            .key_of(&item_from_sdk(change.keys.unwrap()).unwrap())
            .unwrap()
            .encode();
        let new = image(change.new_image).unwrap();
        assert_eq!(table.remove(&key), image(change.old_image).unwrap());
        if let Some(new) = new {
            let last = newest.insert(key.clone(), at(&new));
            assert!(last.is_none_or(|last| last <= at(&new)), "a timestamp went back");
            table.insert(key, new);
        }
    }
    assert_eq!(
        counts["insert"],
        333 + report.creates + report.recreates,
        "{report:?}"
    );
    assert_eq!(counts["remove"], report.deletes, "{report:?}");
    assert_eq!(
        counts["insert"] + counts["other"],
        333 + report.writes(),
        "{report:?}"
    );
    assert_eq!(engine.items().await, table.into_iter().collect());
    assert!(
        report.deletes > 20 && report.recreates > 20 && report.bursts > 10,
        "{report:?}"
    );
}

#[tokio::test]
async fn the_rate_is_kept() {
    let engine = engine().await;
    engine.create_table().await;
    let population = population(50);
    load(&engine.tables, TABLE, population.items(), 4, |_| ())
        .await
        .unwrap();
    let started = Instant::now();
    let writers = LiveWriters::start(&engine.tables, TABLE, &keys(), population, options(100));
    while writers.report().writes() < 60 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        started.elapsed() >= Duration::from_millis(550),
        "{:?}",
        started.elapsed()
    );
    writers.stop().await.unwrap();
}

#[tokio::test]
async fn a_rate_of_zero_writes_nothing() {
    let engine = engine().await;
    let writers = LiveWriters::start(&engine.tables, TABLE, &keys(), population(5), options(0));
    assert_eq!(writers.stop().await.unwrap(), WriterReport::default());
}

#[tokio::test]
async fn a_write_that_cannot_land_fails_the_rehearsal() {
    let engine = engine().await;
    let failed = load(&engine.tables, TABLE, population(5).items(), 4, |_| ())
        .await
        .unwrap_err();
    assert!(matches!(failed, LoadError::Write { sends: 1, .. }), "{failed}");
    assert!(failed.to_string().contains("'source'"), "{failed}");
    let writers = LiveWriters::start(&engine.tables, TABLE, &keys(), population(50), options(100));
    writers.failed().await;
    let failed = writers.stop().await.unwrap_err().to_string();
    assert!(failed.contains("ResourceNotFoundException"), "{failed}");
    assert!(failed.contains("in the table 'source' (attempt 1)"), "{failed}");
}

#[test]
fn turns_come_at_the_pace() {
    assert!(WriteRate::of(0, None).is_none());
    let pace = WriteRate::of(100, None).unwrap();
    let now = Instant::now();
    let first = pace.next_turn(now);
    let turns: Vec<Instant> = (0..50).map(|_| pace.next_turn(now)).collect();
    assert_eq!(turns[49] - first, Duration::from_millis(500));
    // Missed turns are made up for, but only a few of them.
    let later = now + Duration::from_secs(60);
    assert_eq!((0..1000).filter(|_| pace.next_turn(later) <= later).count(), 26);
}

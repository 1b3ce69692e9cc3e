//! Every kind of value, key and attribute name arrives as it was: by the backfill, by the tail, and by both.

use super::running::{Running, only, with, without};
use crate::support::contents::PlainItem;
use crate::support::long::in_the_long_run;
use crate::support::table::{SdkItem, both_images, number, put, put_all, text, wait_active};
use crate::support::{Engine, Kind};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dynasplit::backfill::BackfillOptions;
use std::collections::HashMap;

/// Binary partition key, numeric sort key; one service takes items as they are, one turns the keys round and renames
/// what has an odd name, one keeps little.
const PLAN: &str = r##"
version: 1
split: values
source:
  table: Things
  keys: { partition: { name: "the key", type: B }, sort: { name: "no.", type: N } }
timestamp: none
unrouted: fail
services:
  - name: whole
    where: attribute_exists("the key")
    table:
      name: Whole
      keys: { partition: { name: "the key", type: B }, sort: { name: "no.", type: N } }
  - name: turned
    where: attribute_exists("the key") AND NOT attribute_type("no.", 'S')
    table:
      name: Turned
      keys: { partition: { name: number, type: N }, sort: { name: bytes, type: B } }
    transform:
      keys:
        from: { "the key": '{bytes}', "no.": '{number}' }
        to: { number: '{number}', bytes: '{bytes}' }
      rename: { "a.b": size, "with space": "ä#:'\"" }
      drop: ["the key", "no.", "name"]
  - name: little
    where: attribute_exists("with space")
    table:
      name: Little
      keys: { partition: { name: "the key", type: B }, sort: { name: "no.", type: N } }
    transform:
      keep: ["#hash", "with space"]
"##;

/// Numbers that a DynamoDB table can hold, in its own spelling.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1.5",
    "-0.000001",
    "12345678901234567890123456789012345678",
    "-99999999999999999999999999999999999999",
    "0.12345678901234567890123456789012345678",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "1E-130",
    "-1E-130",
    "100000000000000000000",
    "0.1",
    "42",
];

fn key(bytes: &[u8], n: &str) -> SdkItem {
    SdkItem::from([
        ("the key".to_owned(), binary(bytes)),
        ("no.".to_owned(), number(n)),
    ])
}

fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn nested(depth: usize) -> AttributeValue {
    (0..depth).fold(text("deep"), |inner, level| {
        if level % 2 == 0 {
            AttributeValue::M(HashMap::from([("inner \"x\" . #".to_owned(), inner)]))
        } else {
            AttributeValue::L(vec![inner])
        }
    })
}

/// An item with every type of value; `seed` makes each one differ.
fn everything(seed: &str) -> Vec<(&'static str, AttributeValue)> {
    let texts = |members: &[&str]| AttributeValue::Ss(members.iter().map(|m| format!("{m}{seed}")).collect());
    vec![
        ("name", text(seed)),
        ("size", AttributeValue::Bool(seed.len().is_multiple_of(2))),
        ("select", AttributeValue::Null(true)),
        ("empty text", text("")),
        ("empty bytes", binary(&[])),
        ("empty list", AttributeValue::L(vec![])),
        ("empty map", AttributeValue::M(HashMap::new())),
        ("#hash", texts(&["z", "a", "ü", ""])),
        (
            ":colon",
            AttributeValue::Ns(NUMBERS.iter().map(ToString::to_string).collect()),
        ),
        (
            "bytes?",
            AttributeValue::Bs(vec![Blob::new([0]), Blob::new([255, 0]), Blob::new(seed)]),
        ),
        (
            "empty in sets",
            AttributeValue::Ss(vec![String::new(), "x".to_owned()]),
        ),
        (
            "empty bytes in sets",
            AttributeValue::Bs(vec![Blob::new([]), Blob::new([1])]),
        ),
        ("日本語 🦀", text("🦀\u{0}\u{10ffff}")),
        ("quote'\"`", binary(&(0..=255).collect::<Vec<u8>>())),
        ("{brace}", nested(31)),
        ("[0]", AttributeValue::L(NUMBERS.iter().map(number).collect())),
        ("a", number("1")),
    ]
}

fn thing(bytes: &[u8], n: &str, seed: &str) -> SdkItem {
    let mut item = key(bytes, n);
    item.extend(
        everything(seed)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    item
}

/// What has a dot or a space, which `turned` renames, only every other item has.
fn odd(mut item: SdkItem, value: AttributeValue) -> SdkItem {
    // `size` is what `a.b` is renamed to.
    item.remove("size");
    item.insert("a.b".to_owned(), value.clone());
    item.insert("with space".to_owned(), value);
    item
}

fn turned(item: &PlainItem) -> PlainItem {
    let mut shaped = without(item, &["the key", "no.", "name", "a.b", "with space"]);
    for (from, to) in [
        ("a.b", "size"),
        ("with space", "ä#:'\""),
        ("the key", "bytes"),
        ("no.", "number"),
    ] {
        if let Some(value) = item.get(from) {
            shaped = with(shaped, to, value.clone());
        }
    }
    shaped
}

async fn create(running: &Running) {
    let attribute = |name: &str, kind| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
            .unwrap()
    };
    let element = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    let request = running.client.create_table().table_name(running.source());
    request
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("the key", ScalarAttributeType::B))
        .attribute_definitions(attribute("no.", ScalarAttributeType::N))
        .key_schema(element("the key", KeyType::Hash))
        .key_schema(element("no.", KeyType::Range))
        .stream_specification(both_images())
        .send()
        .await
        .unwrap();
    wait_active(&running.client, running.source()).await;
}

async fn every_value_arrives(engine: &Engine) {
    // The streams of DynamoDB Local 3.3.0 show an empty map as `{}`, which no SDK can read (docs/limits.md).
    let thing = |bytes: &[u8], n: &str, seed: &str| {
        let mut item = thing(bytes, n, seed);
        if engine.kind() == Kind::Genuine {
            item.remove("empty map");
        }
        item
    };
    let mut running = Running::open(engine, PLAN).await;
    create(&running).await;
    let source = running.source().to_owned();
    let partitions: [&[u8]; 4] = [&[0], &[255, 254, 0], b"text", &[7; 1000]];
    let mut loaded = Vec::new();
    for bytes in partitions {
        loaded.extend(NUMBERS.map(|n| thing(bytes, n, n)));
    }
    put_all(&running.client, &source, loaded).await;
    running.begin().await;
    // The tail's own: new items, changed ones, and one that is gone.
    for (index, n) in NUMBERS.iter().enumerate() {
        let item = thing(&[1, 2, 3], n, "new");
        let item = if index % 2 == 0 {
            odd(item, binary(b"\x00odd"))
        } else {
            item
        };
        put(&running.client, &source, item).await;
        put(
            &running.client,
            &source,
            odd(thing(b"text", n, "changed"), text(*n)),
        )
        .await;
    }
    crate::support::table::delete(&running.client, &source, key(&[0], "0")).await;
    let (report, ()) = tokio::join!(running.backfill(BackfillOptions::default()), async {
        // While the backfill runs.
        for n in NUMBERS {
            put(
                &running.client,
                &source,
                odd(thing(&[7; 1000], n, "while"), number(n)),
            )
            .await;
        }
        crate::support::table::delete(&running.client, &source, key(&[255, 254, 0], "42")).await;
    });
    running.drained().await;
    running.stop_tail().await;
    assert!(
        report.lanes.iter().all(|lane| lane.counters.dead_letters == 0),
        "{report:?}"
    );
    assert_eq!(running.split.dead_letters.list(None).await.unwrap().len(), 0);
    running.assert_holds("whole", |item| Some(item.clone())).await;
    running.assert_holds("turned", |item| Some(turned(item))).await;
    running
        .assert_holds("little", |item| {
            let kept = ["the key", "no.", "#hash", "with space"];
            item.contains_key("with space").then(|| only(item, &kept))
        })
        .await;
    let held = running.held("whole").await;
    assert_eq!(
        held.len(),
        5 * NUMBERS.len() - 2,
        "the test itself has items to look at"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_arrives_on_the_embedded_engine() {
    Box::pin(every_value_arrives(&Engine::embedded().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_arrives_on_dynamodb_local() {
    in_the_long_run!(every_value_arrives_on_dynamodb_local);
    let engine = Engine::genuine().await;
    assert_eq!(engine.kind(), Kind::Genuine);
    Box::pin(every_value_arrives(&engine)).await;
}

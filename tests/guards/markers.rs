//! Markers of a cutover on real engines, in tables with keys of every type: a scan leaves them out, and the stream shows each one
//! as a marker and none as an item.

use crate::support::{Engine, unique};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use aws_sdk_dynamodbstreams::primitives::Blob;
use dynasplit::dynamo::convert::item_to_sdk;
use dynasplit::model::{AttributeKind, KeyAttribute, KeySchema, Marker, Position};
use dynasplit::source::{Scan, StreamSource, StreamState, stream_state};
use dynasplit::target::MarkerWriter;
use std::time::{Duration, Instant};

const KINDS: [AttributeKind; 3] = [AttributeKind::S, AttributeKind::N, AttributeKind::B];
const RUN: u64 = 120_000_000_000_340;
const MARKERS: u32 = 12;
const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn markers_of_every_key_type_are_no_items_on_the_embedded_engine() {
    every_type(&Engine::embedded().await).await;
}

#[tokio::test]
async fn markers_of_every_key_type_are_no_items_on_dynamodb_local() {
    every_type(&Engine::genuine().await).await;
}

async fn every_type(engine: &Engine) {
    for partition in KINDS {
        for sort in KINDS.into_iter().map(Some).chain([None]) {
            one(engine, partition, sort).await;
        }
    }
}

async fn one(engine: &Engine, partition: AttributeKind, sort: Option<AttributeKind>) {
    let attribute = |name: &str, kind| KeyAttribute {
        name: name.to_owned(),
        kind,
    };
    let keys = KeySchema {
        partition: attribute("p", partition),
        sort: sort.map(|kind| attribute("s", kind)),
    };
    let (client, table) = (engine.dynamodb(), unique("marked"));
    create(&client, &table, &keys).await;
    // An item of the application beside them.
    let own = |kind| match kind {
        AttributeKind::S => AttributeValue::S("a".into()),
        AttributeKind::N => AttributeValue::N("5917304826135".into()),
        AttributeKind::B => AttributeValue::B(Blob::new("dynasplit:marker")),
    };
    let put = client.put_item().table_name(&table).item("p", own(partition));
    let put = sort.into_iter().fold(put, |put, kind| put.item("s", own(kind)));
    put.send().await.expect("the item is put");
    let writer = MarkerWriter {
        client: client.clone(),
        table: table.clone(),
        keys: keys.clone(),
    };
    assert!(writer.put(RUN, 0..MARKERS).await.expect("the markers are put"));
    assert_eq!(
        stored(&client, &table).await,
        MARKERS as usize + 1,
        "{partition} {sort:?}"
    );
    let scan = Scan::new(client.clone(), &table, keys.clone(), true);
    let page = scan.page(0, 1, None).await.expect("a page");
    assert_eq!(page.items.len(), 1, "{partition} {sort:?}: {:?}", page.items);
    writer
        .delete(RUN, MARKERS)
        .await
        .expect("the markers are deleted");
    assert_eq!(stored(&client, &table).await, 1);
    let (records, markers) = streamed(engine, &table, keys.clone()).await;
    assert_eq!((records, markers), (1, true), "{partition} {sort:?}");
    // Its key is that of the marker, byte for byte, after a way through the engine.
    let key = Marker { run: RUN, number: 10 }.key(&keys);
    let put = client
        .put_item()
        .table_name(&table)
        .set_item(Some(item_to_sdk(keys.item_of(&key))));
    put.send().await.expect("a marker is put");
    let get = client
        .get_item()
        .table_name(&table)
        .set_key(Some(item_to_sdk(keys.item_of(&key))));
    let found = get.send().await.expect("it is read").item.expect("it is there");
    let found = dynasplit::dynamo::convert::item_from_sdk(found).expect("an item");
    assert_eq!(keys.key_of(&found), Some(key));
}

async fn create(client: &Client, table: &str, keys: &KeySchema) {
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in keys.attributes().zip([KeyType::Hash, KeyType::Range]) {
        let kind = match attribute.kind {
            AttributeKind::S => ScalarAttributeType::S,
            AttributeKind::N => ScalarAttributeType::N,
            AttributeKind::B => ScalarAttributeType::B,
        };
        let (name, definition) = (&attribute.name, AttributeDefinition::builder());
        let definition = definition.attribute_name(name).attribute_type(kind).build();
        let element = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(role)
            .build();
        request = request
            .attribute_definitions(definition.expect("a definition"))
            .key_schema(element.expect("a key"));
    }
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .expect("a stream");
    request
        .stream_specification(stream)
        .send()
        .await
        .expect("the table is created");
}

async fn stored(client: &Client, table: &str) -> usize {
    let scan = client.scan().table_name(table).consistent_read(true).send().await;
    scan.expect("a scan").items().len()
}

/// How many records of items the stream shows, and whether it shows a marker of the run. Both sides of each marker are there.
async fn streamed(engine: &Engine, table: &str, keys: KeySchema) -> (usize, bool) {
    let StreamState::On { arn, .. } = stream_state(&engine.dynamodb(), table).await.expect("a state") else {
        panic!("the stream is on");
    };
    let source = StreamSource::new(engine.streams(), &arn, 1, keys);
    let shards = source.shards().await.expect("shards").shards;
    let mut next = source
        .open(&shards[0].id, &Position::Beginning)
        .await
        .expect("an iterator");
    let (began, mut records, mut shown, mut reached) = (Instant::now(), 0, false, None);
    // The deletes come last, and each page shows the last record.
    let mut pages = 0;
    while let Some(iterator) = next {
        let page = source.read(&iterator, Some(7)).await.expect("a page");
        records += page.records.len();
        shown |= page
            .marker
            .is_some_and(|marker| marker.run == RUN && marker.number < MARKERS);
        pages += u32::from(page.last.is_some());
        let is_over = page.last.is_none() && pages >= (2 * MARKERS + 1).div_ceil(7);
        reached = page.last.max(reached);
        if is_over {
            break;
        }
        assert!(
            began.elapsed() < SOON,
            "the stream shows {records} items, up to {reached:?}"
        );
        next = page.next;
    }
    (records, shown)
}

//! Tables and items for tests, written through the SDK.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, PutRequest,
    ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus, WriteRequest,
};
use std::collections::HashMap;
use std::time::Duration;

/// An item as the SDK takes it.
pub type SdkItem = HashMap<String, AttributeValue>;

/// Partition and sort key of the tables made here.
pub const PK: &str = "PK";
/// See [`PK`].
pub const SK: &str = "SK";

/// Makes a table with the string keys [`PK`] and [`SK`] and a stream of both images. It is active on return.
pub async fn create(client: &Client, name: &str) {
    create_with(client, name, &[PK, SK], true).await;
}

/// Makes a table with the named string keys (one or two), with or without a stream of both images.
pub async fn create_with(client: &Client, name: &str, keys: &[&str], stream: bool) {
    let mut request = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let definition = AttributeDefinition::builder()
            .attribute_name(*attribute)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("a whole definition");
        let element = KeySchemaElement::builder()
            .attribute_name(*attribute)
            .key_type(kind)
            .build()
            .expect("a whole element");
        request = request.attribute_definitions(definition).key_schema(element);
    }
    if stream {
        request = request.stream_specification(both_images());
    }
    request.send().await.expect("the table is made");
    wait_active(client, name).await;
}

/// Waits until a table is active. DynamoDB Local makes one at once; the embedded engine says `CREATING` first, as AWS.
pub async fn wait_active(client: &Client, name: &str) {
    for _ in 0..100 {
        let described = client
            .describe_table()
            .table_name(name)
            .send()
            .await
            .expect("the table can be described");
        if described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{name} did not become active");
}

/// A stream that shows items before and after each write.
pub fn both_images() -> StreamSpecification {
    StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .expect("a whole specification")
}

/// A string value.
pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number value.
pub fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with the keys [`PK`] and [`SK`] and these attributes.
pub fn item<const N: usize>(pk: &str, sk: &str, attributes: [(&str, AttributeValue); N]) -> SdkItem {
    let mut item = key(pk, sk);
    item.extend(
        attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    item
}

/// A key of a table made by [`create`].
pub fn key(pk: &str, sk: &str) -> SdkItem {
    SdkItem::from([(PK.to_owned(), text(pk)), (SK.to_owned(), text(sk))])
}

/// Puts one item.
pub async fn put(client: &Client, table: &str, item: SdkItem) {
    client
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .send()
        .await
        .expect("the item is put");
}

/// Puts many items, in batches. Each key at most once.
pub async fn put_all(client: &Client, table: &str, items: impl IntoIterator<Item = SdkItem>) {
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let batch = items.by_ref().take(25).map(|item| {
            let put = PutRequest::builder()
                .set_item(Some(item))
                .build()
                .expect("a whole put");
            WriteRequest::builder().put_request(put).build()
        });
        let written = client.batch_write_item().request_items(table, batch.collect());
        let written = written.send().await.expect("the batch is put");
        assert!(
            written.unprocessed_items().is_none_or(HashMap::is_empty),
            "the engines of tests take whole batches"
        );
    }
}

/// Deletes one item.
pub async fn delete(client: &Client, table: &str, key: SdkItem) {
    client
        .delete_item()
        .table_name(table)
        .set_key(Some(key))
        .send()
        .await
        .expect("the item is deleted");
}

/// Reads an item, consistently.
pub async fn get(client: &Client, table: &str, key: SdkItem) -> Option<SdkItem> {
    let found = client
        .get_item()
        .table_name(table)
        .set_key(Some(key))
        .consistent_read(true)
        .send()
        .await;
    found.expect("an item can be read").item
}

/// Switches the table's stream off.
pub async fn disable_stream(client: &Client, table: &str) {
    let off = StreamSpecification::builder().stream_enabled(false).build();
    client
        .update_table()
        .table_name(table)
        .stream_specification(off.expect("a whole specification"))
        .send()
        .await
        .expect("the stream is switched off");
}

/// Whether the table's stream is on.
pub async fn has_stream(client: &Client, table: &str) -> bool {
    let described = client.describe_table().table_name(table).send().await;
    let table = described.expect("a table can be described").table;
    table.is_some_and(|table| {
        table
            .stream_specification
            .is_some_and(|stream| stream.stream_enabled)
    })
}

//! What a table holds, read and compared by code that shares nothing with the product.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::str::FromStr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use bigdecimal::BigDecimal;

use super::table::SdkItem;

/// A value in a form that compares as DynamoDB does: numbers by value, sets without order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plain {
    /// `S`.
    Text(String),
    /// `N`.
    Number(BigDecimal),
    /// `B`.
    Bytes(Vec<u8>),
    /// `BOOL`.
    Bool(bool),
    /// `NULL`.
    Null,
    /// `L`.
    List(Vec<Plain>),
    /// `M`.
    Map(PlainItem),
    /// `SS`.
    TextSet(BTreeSet<String>),
    /// `NS`.
    NumberSet(BTreeSet<BigDecimal>),
    /// `BS`.
    BytesSet(BTreeSet<Vec<u8>>),
}

/// An item, or a map inside one.
pub type PlainItem = BTreeMap<String, Plain>;
/// A table: items by the values of their key attributes, partition key first.
pub type Contents = BTreeMap<Vec<Plain>, PlainItem>;

/// Reads a whole table, consistently, page by page.
///
/// # Panics
/// Where the engine refuses, and where it gives a key twice.
pub async fn read(client: &Client, table: &str) -> Contents {
    let keys = key_names(client, table).await;
    let mut contents = Contents::new();
    let mut start = None;
    loop {
        let page = client
            .scan()
            .table_name(table)
            .consistent_read(true)
            .set_exclusive_start_key(start);
        let page = page.send().await.expect("the table can be scanned");
        for item in page.items() {
            let item = plain_item(item);
            let key = keys.iter().map(|name| item[name].clone()).collect();
            let before = contents.insert(key, item);
            assert!(before.is_none(), "a scan of {table} gave a key twice: {before:?}");
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            return contents;
        }
    }
}

/// Fails with the first few differences where two tables, or a table and what it should be, are not equal.
///
/// # Panics
/// Where they differ.
pub fn assert_same(found: &Contents, expected: &Contents) {
    const SHOWN: usize = 10;
    let mut differences = 0;
    let mut report = String::new();
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        let (is, should) = (found.get(key), expected.get(key));
        if is != should {
            differences += 1;
            if differences <= SHOWN {
                writeln!(report, "{key:?}\n  found    {is:?}\n  expected {should:?}")
                    .expect("a string takes text");
            }
        }
    }
    assert_eq!(
        differences, 0,
        "{differences} items differ, the first of them:\n{report}"
    );
}

/// An item in comparable form.
pub fn plain_item(item: &SdkItem) -> PlainItem {
    item.iter()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

/// A value in comparable form.
///
/// # Panics
/// On a type or a number that DynamoDB does not have.
pub fn plain(value: &AttributeValue) -> Plain {
    match value {
        AttributeValue::S(text) => Plain::Text(text.clone()),
        AttributeValue::N(digits) => Plain::Number(decimal(digits)),
        AttributeValue::B(bytes) => Plain::Bytes(bytes.as_ref().to_vec()),
        AttributeValue::Bool(truth) => Plain::Bool(*truth),
        AttributeValue::Null(_) => Plain::Null,
        AttributeValue::L(list) => Plain::List(list.iter().map(plain).collect()),
        AttributeValue::M(map) => Plain::Map(plain_item(map)),
        AttributeValue::Ss(set) => Plain::TextSet(set.iter().cloned().collect()),
        AttributeValue::Ns(set) => Plain::NumberSet(set.iter().map(|digits| decimal(digits)).collect()),
        AttributeValue::Bs(set) => Plain::BytesSet(set.iter().map(|bytes| bytes.as_ref().to_vec()).collect()),
        other => panic!("a value of a type that is not known: {other:?}"),
    }
}

fn decimal(digits: &str) -> BigDecimal {
    BigDecimal::from_str(digits).unwrap_or_else(|error| panic!("{digits:?} is no number: {error}"))
}

async fn key_names(client: &Client, table: &str) -> Vec<String> {
    let described = client
        .describe_table()
        .table_name(table)
        .send()
        .await
        .expect("the table can be described");
    let schema = described
        .table
        .and_then(|table| table.key_schema)
        .expect("a key schema");
    schema.into_iter().map(|element| element.attribute_name).collect()
}

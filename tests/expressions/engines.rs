//! The engines, and items on their way to them and back.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use dynasplit::model::{Item, Number, Value};
use dynasplit::plan::expr::FilterExpression;
use std::collections::{BTreeMap, HashMap};

pub async fn create_table(client: &Client, name: &str) -> String {
    // A genuine engine may be shared by several runs at once.
    let table = format!("expressions-{name}-{}", std::process::id());
    client
        .create_table()
        .table_name(&table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(
            KeySchemaElement::builder()
                .attribute_name("pk")
                .key_type(KeyType::Hash)
                .build()
                .expect("a key"),
        )
        .attribute_definitions(
            AttributeDefinition::builder()
                .attribute_name("pk")
                .attribute_type(ScalarAttributeType::S)
                .build()
                .expect("an attribute"),
        )
        .send()
        .await
        .expect("the table is created");
    table
}

pub async fn drop_table(client: &Client, table: &str) {
    client
        .delete_table()
        .table_name(table)
        .send()
        .await
        .expect("the table is deleted");
}

/// The items that a filter lets through, by key; or why the engine refused it.
pub async fn scan(
    client: &Client,
    table: &str,
    filter: Option<&FilterExpression>,
) -> Result<BTreeMap<String, Item>, String> {
    let mut scan = client.scan().table_name(table).consistent_read(true);
    if let Some(filter) = filter {
        let names = filter.names.clone().into_iter().collect();
        let values = filter.values.clone().into_iter().collect();
        let values = wire_item(&values, &mut ToString::to_string);
        scan = scan
            .filter_expression(&filter.expression)
            .set_expression_attribute_names(Some(names).filter(|names: &HashMap<_, _>| !names.is_empty()))
            .set_expression_attribute_values(Some(values).filter(|values| !values.is_empty()));
    }
    let pages: Vec<_> = scan
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| format!("{:?}", error.into_service_error()))?;
    let mut found = BTreeMap::new();
    for item in pages {
        let item: Item = item
            .into_iter()
            .map(|(name, value)| (name, from_wire(value)))
            .collect();
        let Some(Value::S(key)) = item.get("pk").cloned() else {
            panic!("an item without its key");
        };
        found.insert(key, item);
    }
    Ok(found)
}

/// An item as it travels, its numbers written as `spell` says.
pub fn wire_item(item: &Item, spell: &mut dyn FnMut(&Number) -> String) -> HashMap<String, AttributeValue> {
    item.iter()
        .map(|(name, value)| (name.clone(), wire(value, spell)))
        .collect()
}

fn wire(value: &Value, spell: &mut dyn FnMut(&Number) -> String) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text.clone()),
        Value::N(number) => AttributeValue::N(spell(number)),
        Value::B(bytes) => AttributeValue::B(Blob::new(bytes.clone())),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Null => AttributeValue::Null(true),
        Value::L(values) => AttributeValue::L(values.iter().map(|value| wire(value, spell)).collect()),
        Value::M(entries) => AttributeValue::M(wire_item(entries, spell)),
        Value::Ss(members) => AttributeValue::Ss(members.iter().rev().cloned().collect()),
        Value::Ns(members) => AttributeValue::Ns(members.iter().rev().map(spell).collect()),
        Value::Bs(members) => AttributeValue::Bs(members.iter().rev().cloned().map(Blob::new).collect()),
    }
}

fn number(text: &str) -> Number {
    Number::parse(text).expect("a number")
}

fn from_wire(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(text) => Value::N(number(&text)),
        AttributeValue::B(bytes) => Value::B(bytes.into_inner()),
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::L(values) => Value::L(values.into_iter().map(from_wire).collect()),
        AttributeValue::M(entries) => Value::M(entries.into_iter().map(|(k, v)| (k, from_wire(v))).collect()),
        AttributeValue::Ss(members) => Value::string_set(members),
        AttributeValue::Ns(members) => Value::number_set(members.iter().map(|text| number(text)).collect()),
        AttributeValue::Bs(members) => Value::binary_set(members.into_iter().map(Blob::into_inner).collect()),
        other => panic!("an unknown type of value: {other:?}"),
    }
}

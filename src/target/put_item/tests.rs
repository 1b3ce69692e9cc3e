//! The bodies of batches say what the SDK would say.

use super::PutItem;
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::flow::{Guard, Write, WriteKind};
use crate::model::json::tests::any_item;
use crate::model::json::{item_from_json, item_to_json, value_from_json};
use crate::model::raw::{RawPage, RawPut};
use crate::model::{Item, ItemExt as _, Key, Value};
use crate::plan::PutCost;
use crate::target::bulk::puts_body;
use crate::target::insert::{Insert, statements_body};
use aws_sdk_dynamodb::config::ConfigBag;
use aws_sdk_dynamodb::operation::batch_execute_statement::{
    BatchExecuteStatement, BatchExecuteStatementInput,
};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItem, BatchWriteItemInput};
use aws_sdk_dynamodb::types::{BatchStatementRequest, PutRequest, ReturnConsumedCapacity, WriteRequest};
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{SerializeRequest as _, SharedRequestSerializer};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const TABLE: &str = "A.table-1";

/// What the SDK sends.
fn by_the_sdk(operation: &impl RuntimePlugin, input: Input) -> Json {
    let config = operation.config().unwrap();
    let serializer = config.load::<SharedRequestSerializer>().unwrap();
    let request = serializer.serialize_input(input, &mut ConfigBag::base()).unwrap();
    serde_json::from_slice(request.body().bytes().unwrap()).unwrap()
}

/// The same item as it came, with some of its attributes read.
fn raw(item: &Item, read: u8) -> RawPut {
    let answer = json!({ "Items": [item_to_json(item)] }).to_string();
    let looks = |name: &str| name.bytes().fold(read, u8::wrapping_add) % 2 == 0;
    let page = RawPage::read(answer.as_bytes(), &looks).unwrap();
    RawPut::new(page.items[0].read.clone(), &page.items[0], |_| true)
}

/// Each item whole and as it came.
fn both(items: &[Item], read: u8) -> [Vec<PutItem>; 2] {
    [
        items.iter().cloned().map(PutItem::Whole).collect(),
        items.iter().map(|item| PutItem::Raw(raw(item, read))).collect(),
    ]
}

proptest! {
    #[test]
    fn a_batch_of_puts_is_that_of_the_sdk(items in prop::collection::vec(any_item(), 0..4), read: u8) {
        let requests = items.iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item_to_sdk(item.clone())));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        });
        let input = BatchWriteItemInput::builder()
            .request_items(TABLE, requests.collect())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let expected = by_the_sdk(&BatchWriteItem::new(), Input::erase(input.build().unwrap()));
        for items in both(&items, read) {
            let body: Json = serde_json::from_slice(&puts_body(TABLE, &items)).unwrap();
            prop_assert_eq!(&body, &expected);
        }
    }

    #[test]
    fn a_batch_of_statements_is_that_of_the_sdk(items in prop::collection::vec(any_item(), 0..4), read: u8) {
        for kind in 0..2 {
            let (mut requests, mut statements, mut said) = (Vec::new(), Vec::new(), Vec::new());
            for item in &items {
                let kind = match kind {
                    0 => WriteKind::Put(item.clone()),
                    _ => WriteKind::PutRaw(raw(item, read)),
                };
                let key = Key { partition: Value::s("x"), sort: None };
                let write = Write { key, kind, guard: Guard::Absent };
                let Ok(insert) = Insert::of(TABLE, &PutCost::default(), write) else {
                    prop_assert!(item.keys().any(|name| name.contains(['\'', '"', '\\', '?']) || name.chars().any(char::is_control)));
                    continue;
                };
                prop_assert_eq!(insert.bytes, item.size());
                let (_, statement) = insert.into_request();
                let names: Vec<String> = statement.item.names().map(str::to_owned).collect();
                let each = names.iter().map(|name| value_to_sdk(item[name].clone()));
                let request = BatchStatementRequest::builder()
                    .statement(statement.text.clone())
                    .set_parameters(Some(each.collect()));
                requests.push(request.build().unwrap());
                statements.push(statement);
                said.push((item, names));
            }
            let input = BatchExecuteStatementInput::builder()
                .set_statements(Some(requests))
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let expected = by_the_sdk(&BatchExecuteStatement::new(), Input::erase(input.build().unwrap()));
            let body: Json = serde_json::from_slice(&statements_body(&statements)).unwrap();
            prop_assert_eq!(&body, &expected);
            for ((item, names), one) in said.iter().zip(body["Statements"].as_array().unwrap()) {
                let values = one["Parameters"].as_array().unwrap().iter().cloned();
                let pairs = names.iter().cloned().zip(values.map(|value| value_from_json(value).unwrap()));
                prop_assert_eq!(&pairs.collect::<Item>(), *item);
                let list: Vec<String> = names.iter().map(|name| format!("'{name}':?")).collect();
                let text = format!("INSERT INTO \"{TABLE}\" VALUE {{{}}}", list.join(","));
                prop_assert_eq!(&one["Statement"], &Json::from(text));
            }
        }
    }

    #[test]
    fn an_item_has_one_size_and_one_use_however_it_is_held(item in any_item(), read: u8) {
        let [whole, raw] = both(std::slice::from_ref(&item), read);
        let cost = PutCost::default();
        prop_assert_eq!(whole[0].size(), raw[0].size());
        prop_assert_eq!(whole[0].milliunits(&cost), raw[0].milliunits(&cost));
        let mut text = Vec::new();
        raw[0].write(&mut text);
        prop_assert_eq!(item_from_json(serde_json::from_slice(&text).unwrap()).unwrap(), item);
    }
}

//! What the transform calls a fault because an index would refuse it, DynamoDB does refuse; and the other way round.

use crate::support::{Engine, unique};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
    Projection, ProjectionType, ScalarAttributeType,
};
use dynasplit::dynamo::convert::item_to_sdk;
use dynasplit::flow::shaped;
use dynasplit::model::{Item, Number, Value};
use dynasplit::plan::Plan;

const PLAN: &str = "
version: 1
split: tests
source: { table: Source, keys: { partition: id, sort: part } }
timestamp: none
unrouted: { left-behind: kind = 'other' }
services:
  - name: mine
    where: kind = 'mine'
    table:
      name: Mine
      keys: { partition: id, sort: part }
      global-indexes: [{ name: by-state, keys: { partition: state, sort: { name: rank, type: B } } }]
      local-indexes: [{ name: by-day, sort: { name: day, type: N } }, { name: by-tail, sort: tail }]
";

fn element(name: &str, kind: KeyType) -> KeySchemaElement {
    let element = KeySchemaElement::builder().attribute_name(name).key_type(kind);
    element.build().expect("a whole element")
}

async fn create(client: &aws_sdk_dynamodb::Client, table: &str) {
    let projection = || {
        Projection::builder()
            .projection_type(ProjectionType::KeysOnly)
            .build()
    };
    let local = |name: &str, sort: &str| {
        LocalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(element("id", KeyType::Hash))
            .key_schema(element(sort, KeyType::Range))
            .projection(projection())
            .build()
            .expect("a whole index")
    };
    let global = GlobalSecondaryIndex::builder()
        .index_name("by-state")
        .key_schema(element("state", KeyType::Hash))
        .key_schema(element("rank", KeyType::Range))
        .projection(projection())
        .build()
        .expect("a whole index");
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(element("id", KeyType::Hash))
        .key_schema(element("part", KeyType::Range))
        .global_secondary_indexes(global)
        .local_secondary_indexes(local("by-day", "day"))
        .local_secondary_indexes(local("by-tail", "tail"));
    for (name, kind) in [
        ("id", ScalarAttributeType::S),
        ("part", ScalarAttributeType::S),
        ("state", ScalarAttributeType::S),
        ("rank", ScalarAttributeType::B),
        ("day", ScalarAttributeType::N),
        ("tail", ScalarAttributeType::S),
    ] {
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind);
        request = request.attribute_definitions(definition.build().expect("a whole definition"));
    }
    request.send().await.expect("the table is made");
}

#[tokio::test]
async fn genuine_dynamodb_refuses_what_the_transform_does() {
    let engine = Engine::genuine().await;
    let (client, table) = (engine.dynamodb(), unique("indexes"));
    create(&client, &table).await;
    let plan = Plan::parse(PLAN, "plan.yaml").expect("a plan");
    let text = |length: usize| Value::s("x".repeat(length));
    for (name, value) in [
        ("state", text(1)),
        ("state", text(0)),
        ("state", text(2048)),
        ("state", text(2049)),
        ("state", Value::Null),
        ("state", Value::N(Number::from(1))),
        ("rank", Value::B(vec![1; 1024])),
        ("rank", Value::B(vec![1; 1025])),
        ("rank", Value::B(vec![])),
        ("day", Value::N(Number::from(1))),
        ("day", Value::s("1")),
        ("tail", text(1024)),
        ("tail", text(1025)),
        ("tail", text(0)),
        ("elsewhere", text(0)),
    ] {
        let said = format!("{name} {} of {} bytes", value.type_name(), value.size());
        let item = Item::from([
            ("id".to_owned(), Value::s(&said)),
            ("part".to_owned(), Value::s("p")),
            ("kind".to_owned(), Value::s("mine")),
            (name.to_owned(), value),
        ]);
        let fault = shaped(
            &plan.services[0],
            &plan.services[0].shapes[0],
            &plan.versions,
            &item,
        )
        .err();
        let put = client
            .put_item()
            .table_name(&table)
            .set_item(Some(item_to_sdk(item)));
        let refused = put.send().await.err();
        assert_eq!(
            fault.is_some(),
            refused.is_some(),
            "{said}: {fault:?}, {refused:?}"
        );
    }
}

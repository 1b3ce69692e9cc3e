//! Changes that can't land: kept, shown, in the way of completing, and settled when the source is fixed.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndexUpdate, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use serde_json::Value;

use crate::support::Engine;
use crate::support::process::{Cli, lane};
use crate::support::stage::Stage;
use crate::support::table::{self, SdkItem, item, key, number, text};
use crate::support::trial::{Mode, Stamps};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_land_is_kept_until_the_source_is_fixed() {
    let stage = Stage::set(Engine::genuine().await, Mode::Sequence).await;
    let (client, source, cli) = (&stage.client, &stage.trial.source, &stage.cli);
    cli.succeed(&["apply"]).await;
    // Somebody gave the target an index that the plan does not know, and whose key the items have as a number.
    add_index(client, &stage.trial.orders, "amount").await;
    // Half of them are there before the capture, and found by the backfill.
    for bad in bad_items("1") {
        table::put(client, source, bad).await;
    }
    let tail = cli.start(&["replicate"]);
    cli.until_captured().await;
    cli.run(&["backfill"]).await.with_code(&["backfill"], 3);
    for bad in bad_items("2") {
        table::put(client, source, bad).await;
    }
    cli.until_caught_up().await;

    let letters = list(cli).await;
    let of = |service: &str| {
        letters
            .iter()
            .filter(|letter| letter["service"] == service)
            .count()
    };
    assert_eq!(letters.len(), 6, "{letters:#?}");
    assert_eq!(
        [of("invoices"), of("orders"), of("(unrouted)")],
        [2, 2, 2],
        "{letters:#?}"
    );
    let reasons = |service: &str| {
        let of = letters.iter().filter(|letter| letter["service"] == service);
        of.map(|letter| letter["reason"].to_string()).collect::<String>()
    };
    assert!(reasons("orders").contains("DynamoDB refuses it"), "{letters:#?}");
    let status = cli.status().await;
    assert_eq!(status["dead_letters"]["orders"], 2, "{status:#}");
    let free = |status: &Value| lane(status, "orders")["blocked"].is_null();
    cli.until("a lane that waits for nothing", free).await;
    let refused = cli
        .run(&["complete", "--yes", "--quiet-for", "1"])
        .await
        .with_code(&["complete"], 3);
    assert!(
        refused.stderr.contains("dead letters of orders"),
        "{}",
        refused.stderr
    );
    // Nothing is fixed, so nothing is settled.
    cli.run(&["dead-letters", "reconcile"])
        .await
        .with_code(&["dead-letters", "reconcile"], 3);
    let again = list(cli).await;
    assert_eq!(again.len(), 6);
    for (letter, before) in again.iter().zip(&letters) {
        assert_tried_again(letter, before);
    }

    for group in ["1", "2"] {
        table::delete(client, source, key(&format!("BAD#{group}"), "DOC#1")).await;
        fix(client, source, &format!("ACC#{group}"), "DOC#2", "REMOVE amount").await;
        fix(
            client,
            source,
            &format!("ACC#{group}"),
            "DOC#3",
            "SET kind = :archive",
        )
        .await;
    }
    cli.until_caught_up().await;
    cli.succeed(&["dead-letters", "reconcile"]).await;
    assert_eq!(list(cli).await.len(), 0);
    stage.trial.assert_equal(client, Stamps::Stripped).await;
    cli.succeed(&["verify"]).await;
    let status = cli.status().await;
    assert_eq!(status["phase"], "verified", "{status:#}");
    tail.signal("TERM");
    tail.end().await.with_code(&["replicate"], 0);
}

/// The letter has one attempt more than before, that of `reconcile`, and is otherwise the same.
fn assert_tried_again(letter: &Value, before: &Value) {
    let attempts = |letter: &Value| letter["attempts"].as_u64().expect("a number of attempts");
    assert!(attempts(before) >= 1, "{before:#}");
    assert_eq!(attempts(letter), attempts(before) + 1, "{letter:#}");
    for field in ["id", "reason", "origin", "at_ms", "writing", "first_at_ms"] {
        assert_eq!(letter[field], before[field], "{field} of {letter:#}");
    }
    let history = letter["history"].as_array().expect("attempts");
    let last = history.last().expect("an attempt");
    assert_eq!(last["origin"], "reconcile");
    assert!(last["at_ms"].as_u64() >= letter["at_ms"].as_u64(), "{letter:#}");
    assert_ne!(last["reason"], "", "{letter:#}");
}

/// One whose key does not match its service's pattern, one that the target's index refuses, one that nobody takes.
fn bad_items(group: &str) -> [SdkItem; 3] {
    let account = format!("ACC#{group}");
    [
        item(&format!("BAD#{group}"), "DOC#1", [("kind", text("invoice"))]),
        item(
            &account,
            "DOC#2",
            [("kind", text("order")), ("amount", number(3))],
        ),
        item(&account, "DOC#3", [("kind", text("strange"))]),
    ]
}

async fn fix(client: &Client, source: &str, pk: &str, sk: &str, update: &str) {
    let mut request = client
        .update_item()
        .table_name(source)
        .set_key(Some(key(pk, sk)))
        .update_expression(update);
    if update.contains(":archive") {
        request = request.expression_attribute_values(":archive", text("archive"));
    }
    request.send().await.expect("the item is fixed");
}

async fn list(cli: &Cli) -> Vec<Value> {
    let done = cli.run(&["dead-letters", "list", "--output", "json"]).await;
    serde_json::from_str(&done.stdout).expect("a list of letters")
}

async fn add_index(client: &Client, table: &str, attribute: &str) {
    let element = KeySchemaElement::builder()
        .attribute_name(attribute)
        .key_type(KeyType::Hash)
        .build()
        .expect("a whole element");
    let index = CreateGlobalSecondaryIndexAction::builder()
        .index_name("not-in-the-plan")
        .key_schema(element)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
        .expect("a whole index");
    let definition = AttributeDefinition::builder()
        .attribute_name(attribute)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .expect("a whole definition");
    let definitions = ["PK", "SK"].map(|name| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("a whole definition")
    });
    client
        .update_table()
        .table_name(table)
        .set_attribute_definitions(Some([definition].into_iter().chain(definitions).collect()))
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index).build())
        .send()
        .await
        .expect("the index is made");
}

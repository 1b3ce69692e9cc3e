//! The sweep of tombstones: a table that takes no removals is waited for, and keeps no other from being swept.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use dynasplit::model::TOMBSTONE_ATTRIBUTE;
use serde_json::Value;

use super::course::{begin, delete, end, filled, order};
use crate::support::faulty::{Asked, Fault, Reason, Rule, Script, Throttle};

const ITEMS: usize = 40;
const REASON: Reason = Reason::of_table("Write", "ProvisionedThroughputExceeded");

async fn tombstones(client: &Client, table: &str) -> i32 {
    let scan = client.scan().table_name(table);
    let scan = scan.filter_expression("attribute_exists(#t)");
    let found = scan.expression_attribute_names("#t", TOMBSTONE_ATTRIBUTE).send();
    found.await.expect("the table can be read").count()
}

async fn until_tombstones(client: &Client, table: &str, count: i32) {
    let waits = async {
        while tombstones(client, table).await != count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waits).await;
    assert!(
        waited.is_ok(),
        "{table}: {} are left",
        tombstones(client, table).await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_takes_no_removals_is_waited_for_and_keeps_no_other_from_its_sweep() {
    let items = (0..ITEMS).map(|id| order(id, 1, "there before"));
    let stage = filled(Script::quiet(90), items).await;
    let (client, trial, cli) = (&stage.client, &stage.trial, &stage.cli);
    let tail = begin(&stage).await;
    let dying = cli.armed("backfill.copied=kill");
    assert!(dying.run(&["backfill"]).await.killed_at().is_some());
    for id in 0..ITEMS / 2 {
        delete(&stage, id).await;
    }
    for table in [&trial.orders, &trial.names] {
        until_tombstones(client, table, 20).await;
    }
    let rule = Rule::new(Fault::Throttled(Throttle::Provisioned, REASON)).on(&["DeleteItem"]);
    let faults = stage.engine.faults();
    let throttled = faults.rule(rule.table(&trial.orders));
    let notes = faults.record(&["UpdateItem"], &trial.state_table());
    let fill = cli.start(&["backfill"]);
    until_tombstones(client, &trial.names, 0).await;
    assert_eq!(tombstones(client, &trial.orders).await, 20);
    let told = |status: &Value| {
        let limits = status["limits"].as_array().expect("limits");
        let is_told = |limit: &Value| {
            limit["command"] == "backfill" && limit["of"] == "orders" && limit["by"] == "throttled"
        };
        let running = status["running"].as_array().expect("what runs");
        let sweeps = |doing: &Value| doing["phase"].to_string().contains("sweeping tombstones");
        limits.iter().any(is_told) && running.iter().any(sweeps)
    };
    cli.until("what holds the sweep up", told).await;
    let shown = cli.succeed(&["status"]).await.stdout;
    assert!(shown.contains("running: backfill, "), "{shown}");
    assert!(
        shown.contains("throttled: TableWriteProvisionedThroughputExceeded"),
        "{shown}"
    );
    throttled.off();
    fill.end().await.with_code(&["backfill"], 0);
    assert_eq!(tombstones(client, &trial.orders).await, 0);
    assert!(notes.asked().iter().any(says_that_it_ended));
    // Where that was not answered for long, it may not be on record.
    let nothing = Value::Array(Vec::new());
    cli.until("an end of what runs", |status| status["running"] == nothing)
        .await;
    end(&stage, tail).await;
}

/// Whether this is the last note of a backfill.
fn says_that_it_ended(asked: &Asked) -> bool {
    let body = asked.call.json();
    let note = body["ExpressionAttributeValues"][":text"]["S"].as_str();
    let note = serde_json::from_str::<Value>(note.unwrap_or_default()).unwrap_or_default();
    note["command"] == "backfill" && note["phase"] == ""
}

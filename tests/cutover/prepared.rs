//! Days before a cutover, `status` and `plan` say what would refuse it. Each check is made wrong once.

use aws_sdk_dynamodb::types::{ProvisionedThroughput, StreamSpecification, StreamViewType};
use dynasplit::state::{ChartRecord, ChartSample, Store, VerifyRecord};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::shop::{Shop, application_role, end};
use crate::support::long::in_the_long_run;
use crate::support::table::{self, item, number};
use crate::support::trial::Mode;

const STATUS: &[&str] = &["status", "--preparation", "--output", "json"];
const PLAN: &[&str] = &["plan", "--output", "json"];
const DRY_RUN: &[&str] = &["cutover", "--service", "people", "--dry-run", "--output", "json"];
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What the checks of a service found.
async fn prepared(shop: &Shop, words: &[&str], service: &str) -> Value {
    let said = shop.cli.run(words).await;
    let document: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
    let services = document["preparation"].as_array().expect("services").clone();
    let of_service = services.into_iter().find(|each| each["service"] == service);
    of_service.unwrap_or_else(|| panic!("{service} is not in {document:#}"))
}

/// What a check says, of those that refuse or of those that warn.
fn said(found: &Value, kind: &str, check: &str) -> String {
    let all = found[kind].as_array().expect("objections").iter();
    let of_check = all.filter(|each| each["check"] == check);
    of_check
        .map(|each| each["what"].as_str().expect("words").to_owned() + "\n")
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_check_is_made_wrong_and_is_told_before_the_cutover() {
    in_the_long_run!(each_check_is_made_wrong_and_is_told_before_the_cutover);
    let (shop, tail, application) = Shop::open_with_policy(Mode::Sequence, None).await;
    let source = shop.stage.trial.source.clone();
    let client = &shop.stage.client;
    let good = prepared(&shop, STATUS, "people").await;
    assert_eq!(good["refused"], json!([]), "{good:#}");
    assert_eq!(good["warnings"], json!([]), "{good:#}");
    let untried = good["untried"].to_string();
    assert!(
        untried.contains("is off") && untried.contains("a put would be the fence"),
        "{untried}"
    );
    let refused_before = application.written().await.refused;

    // Permissions, as the tool: everybody but the application is refused.
    let deny = json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "Freeze", "Effect": "Deny", "Principal": "*",
        "Action": "dynamodb:UpdateItem", "Resource": "*",
        "Condition": { "ArnNotLike": { "aws:PrincipalArn": [application_role()] } } }] });
    shop.policies().set(&source, &deny.to_string());
    let found = prepared(&shop, STATUS, "people").await;
    let refused = said(&found, "refused", "permissions");
    assert!(refused.contains("may not send dynamodb:UpdateItem"), "{found:#}");
    assert!(
        !refused.contains("PutItem"),
        "only what is refused is named: {refused}"
    );
    let dry: Value =
        serde_json::from_str(&shop.cli.run(DRY_RUN).await.with_code(DRY_RUN, 3).stdout).expect("JSON");
    assert!(
        dry["refused"].to_string().contains("dynamodb:UpdateItem"),
        "{dry:#}"
    );

    // A policy that has no room for the fence.
    let large = deny
        .to_string()
        .replace("Freeze", &"F".repeat(20_000))
        .replace("Deny", "Allow");
    shop.policies().set(&source, &large);
    let found = prepared(&shop, STATUS, "people").await;
    assert!(
        said(&found, "refused", "policy").contains("DynamoDB accepts 20480"),
        "{found:#}"
    );

    // The probe role cannot be assumed.
    shop.policies()
        .set(&source, &deny.to_string().replace("Deny", "Allow"));
    shop.policies().forbid(&application_role());
    let found = prepared(&shop, STATUS, "people").await;
    assert!(
        said(&found, "refused", "policy").contains("cannot be used"),
        "{found:#}"
    );
    assert_eq!(said(&found, "refused", "permissions"), "", "{found:#}");

    // The target's stream, its capacity, a stale verify, a dead letter.
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::KeysOnly);
    let stream = stream.build().expect("a stream");
    let update = client
        .update_table()
        .table_name(&shop.people)
        .stream_specification(stream);
    update.send().await.expect("the stream is on");
    set_capacity(&shop, 50).await;
    age_verify(&shop).await;
    let bad = item("PER#bad", "P", [("n", number(1)), ("dynasplit:x", number(1))]);
    table::put(client, &source, bad).await;
    shop.cli
        .until("the dead letter", |status| status["dead_letters"]["people"] == 1)
        .await;
    let found = prepared(&shop, STATUS, "people").await;
    assert!(
        said(&found, "refused", "target-stream").contains("KEYS_ONLY"),
        "{found:#}"
    );
    assert!(said(&found, "refused", "verify").contains("too old"), "{found:#}");
    assert!(
        said(&found, "refused", "dead-letters").contains("1 dead letter"),
        "{found:#}"
    );
    assert!(
        said(&found, "warnings", "capacity").contains("serves 50 write units"),
        "{found:#}"
    );
    assert_eq!(found["peak_write_units"], 60, "{found:#}");

    // `plan` says the same, and the text has it, too.
    let planned = prepared(&shop, PLAN, "people").await;
    for check in ["target-stream", "verify", "dead-letters", "policy"] {
        assert_eq!(said(&planned, "refused", check), said(&found, "refused", check));
    }
    let text = shop.cli.run(&STATUS[..2]).await.stdout;
    assert!(
        text.contains("people: a cutover would be refused") && text.contains("KEYS_ONLY"),
        "{text}"
    );
    assert_eq!(
        application.written().await.refused,
        refused_before,
        "nobody was stopped"
    );
    assert_eq!(shop.phase().await, "none");
    application.end().await;
    end(tail).await;
}

/// A service that owns nothing is never written back, and nothing is tried for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_a_way_back_is_told_why() {
    in_the_long_run!(a_service_without_a_way_back_is_told_why);
    let engine = crate::support::Engine::embedded().await;
    let (shop, tail, application) = Shop::open_with_copy(engine, Mode::Sequence).await;
    let found = prepared(&shop, STATUS, "copy").await;
    assert!(
        said(&found, "refused", "reversible").contains("owns nothing"),
        "{found:#}"
    );
    assert_eq!(found["untried"], json!([]));
    // It was cut over, so nothing is prepared any more.
    shop.cutover().await;
    let status: Value = serde_json::from_str(&shop.succeed(STATUS).await.stdout).expect("JSON");
    let left = status["preparation"].as_array().expect("services").iter();
    let left: Vec<&Value> = left.map(|each| &each["service"]).collect();
    assert_eq!(left, ["orders", "copy"]);
    application.end().await;
    end(tail).await;
}

/// The table serves few write units, and the lane used more.
async fn set_capacity(shop: &Shop, units: i64) {
    let throughput = ProvisionedThroughput::builder()
        .read_capacity_units(50)
        .write_capacity_units(units);
    let update = shop.stage.client.update_table().table_name(&shop.people);
    let update = update.billing_mode(aws_sdk_dynamodb::types::BillingMode::Provisioned);
    let update = update.provisioned_throughput(throughput.build().expect("units"));
    update.send().await.expect("the table is provisioned");
    let store = store(shop).await;
    let sample = |at_ms: u64, units: u64| ChartSample {
        at_ms,
        write_milliunits: BTreeMap::from([("people".to_owned(), units * 1000)]),
        ..ChartSample::default()
    };
    let samples = vec![sample(1_000, 0), sample(11_000, 600)];
    let charted = store
        .change::<ChartRecord, dynasplit::state::StateError>(ChartRecord::NAME, |found| {
            let mut chart = found.unwrap_or_default();
            chart.samples.splice(0..0, samples.clone());
            Ok(chart)
        })
        .await;
    charted.expect("the chart is written");
}

/// The last verify was a day ago.
async fn age_verify(shop: &Shop) {
    let changed = store(shop)
        .await
        .change::<VerifyRecord, dynasplit::state::StateError>(VerifyRecord::NAME, |found| {
            let mut verify = found.expect("a verify");
            if let Some(places) = &mut verify.places {
                places.complete_to_ms -= DAY_MS;
            }
            Ok(verify)
        })
        .await;
    changed.expect("the verify is written");
}

/// The state of the split, on an engine that has no other.
async fn store(shop: &Shop) -> Store {
    let tables = shop.stage.client.list_tables().send().await.expect("tables");
    let names = tables.table_names().iter();
    let state = names
        .filter(|name| name.starts_with("dynasplit-"))
        .collect::<Vec<_>>();
    assert_eq!(state.len(), 1, "{state:?}");
    Store::new(shop.stage.client.clone(), state[0])
}

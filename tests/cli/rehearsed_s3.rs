//! Rehearsals with S3: tables that are imported, and an outage that the ledger bridges. Neither needs AWS.

use super::shell::Shell;
use crate::support::Engine;
use crate::support::long::in_the_long_run;
use serde_json::Value;
use std::time::Duration;

const CLIENTS: &str = include_str!("../../plans/clients-and-people.yaml");
const LEARNING: &str = include_str!("../../plans/online-learning.yaml");
/// Few items and few writes: the machine is busy with other tests.
const FEW: &str = "--items 150 --writes-per-second 20 --seconds 1 --output json";
/// Every wait inside has a limit of its own.
const PATIENCE: Duration = Duration::from_secs(900);

fn rehearsed(plan: &str, words: &str) -> Value {
    let shell = Shell::new(plan);
    let running = shell.start(&format!("rehearse plan.yaml {words} {FEW}"));
    running.patient(PATIENCE).end().ended(0).json()
}

fn stands_in(report: &Value, what: &str) -> bool {
    let stand_ins = report["stand_ins"].as_array().expect("a list");
    stand_ins
        .iter()
        .any(|stand_in| stand_in.as_str().expect("a text").starts_with(what))
}

/// Every item of every table came by an import, and the lanes brought it in order.
fn imported(report: &Value, services: &[&str]) {
    assert_eq!(report["clean"], true, "{report:#}");
    assert_eq!(report["backfill"]["order"], "import", "{report:#}");
    let import = &report["import"];
    assert!(import.get("given_up").is_none(), "{import:#}");
    let of = |service: &str, what: &str| import["services"][service][what].as_u64().unwrap_or(0);
    for service in services {
        let fills = report["backfill"]["lanes"].as_array().expect("lanes");
        let fill = fills
            .iter()
            .find(|fill| fill["lane"] == *service)
            .expect("a lane");
        assert!(of(service, "items") > 0, "{service}: {import:#}");
        assert_eq!(
            fill["counters"]["put"],
            of(service, "items"),
            "{service}: {report:#}"
        );
        assert!(
            of(service, "bytes") > of(service, "stored_bytes"),
            "{service}: {import:#}"
        );
    }
    let sum: u64 = services.iter().map(|service| of(service, "items")).sum();
    assert_eq!(import["items"], sum, "{import:#}");
}

/// A table accepted no writes for longer than the stream keeps its records, and its lane lost nothing.
fn bridged(report: &Value, hours: u64) {
    assert_eq!(report["clean"], true, "{report:#}");
    let ledger = &report["ledger"];
    assert_eq!(ledger["wrong"], serde_json::json!([]), "{ledger:#}");
    let number = |what: &str| ledger[what].as_u64().expect("a number");
    let least_ms = hours * 3_600_000;
    assert!(
        number("outage_ms") >= least_ms && number("lag_ms") >= least_ms,
        "{ledger:#}"
    );
    assert!(
        number("forgotten") > 0,
        "the stream forgot what the lane needed: {ledger:#}"
    );
    assert!(
        number("records") >= number("forgotten") && number("objects") > 1,
        "{ledger:#}"
    );
    assert!(stands_in(report, "S3") && stands_in(report, "time"), "{report:#}");
}

#[test]
fn a_split_in_the_import_order_is_rehearsed_without_aws() {
    let report = rehearsed(LEARNING, "--order import");
    imported(&report, &["CourseCatalog", "Content", "Progress", "Users"]);
    assert!(
        stands_in(&report, "S3") && stands_in(&report, "imports"),
        "{report:#}"
    );
}

#[tokio::test]
async fn dynamodb_local_gets_a_stand_in_for_imports() {
    in_the_long_run!(dynamodb_local_gets_a_stand_in_for_imports);
    let engine = Engine::genuine_dedicated().await;
    let words = format!("--order import --endpoint-url {}", engine.endpoint());
    let report = tokio::task::spawn_blocking(move || rehearsed(LEARNING, &words)).await;
    let report = report.expect("no panic");
    imported(&report, &["CourseCatalog", "Content", "Progress", "Users"]);
    assert!(
        stands_in(&report, "S3") && stands_in(&report, "imports"),
        "{report:#}"
    );
    let left = engine.dynamodb().list_tables().send().await;
    assert_eq!(
        left.expect("tables").table_names(),
        [""; 0],
        "nothing is left there"
    );
}

#[test]
fn chaos_meets_the_import_order() {
    in_the_long_run!(chaos_meets_the_import_order);
    let chaos = "--chaos latency=10ms,errors=3%,throttle=3%,kill=10s";
    let report = rehearsed(LEARNING, &format!("--order import --lease-seconds 1 {chaos}"));
    imported(&report, &["CourseCatalog", "Content", "Progress", "Users"]);
}

#[test]
fn an_outage_that_is_longer_than_the_stream_keeps_is_bridged_by_the_ledger() {
    bridged(&rehearsed(CLIENTS, "--ledger --outage 30h"), 30);
}

#[test]
fn an_outage_of_a_week_is_bridged_by_the_ledger() {
    in_the_long_run!(an_outage_of_a_week_is_bridged_by_the_ledger);
    bridged(&rehearsed(LEARNING, "--ledger"), 7 * 24);
    let report = rehearsed(LEARNING, "--ledger --outage 2d --order import");
    bridged(&report, 48);
    imported(&report, &["CourseCatalog", "Content", "Progress", "Users"]);
}

#[test]
fn what_cannot_be_rehearsed_with_s3_is_refused() {
    let before = "      # Progress in expired trial courses";
    let index = "      local-indexes: [{ name: by-update, sort: updatedAt }]\n";
    let local = LEARNING.replacen(before, &format!("{index}{before}"), 1);
    assert_ne!(local, LEARNING);
    let refused = |plan: &str, words: &str, code: i32, expected: &[&str]| {
        let done = Shell::new(plan)
            .run(&format!("rehearse plan.yaml {words}"))
            .ended(code);
        let told = done.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in expected {
            assert!(told.contains(text), "{text:?} is not in {told}");
        }
    };
    refused(
        &local,
        "--order import",
        1,
        &["local index by-update", "rehearse another order"],
    );
    refused(
        LEARNING,
        "--ledger --outage 1h",
        2,
        &["such an outage needs no ledger"],
    );
    refused(
        LEARNING,
        "--ledger --writes-per-second 0",
        2,
        &["must be at least 1"],
    );
    refused(LEARNING, "--outage 30h", 2, &["--ledger"]);
    refused(LEARNING, "--ledger --cutover", 2, &["cannot be used with"]);
    let aws = "--order import --endpoint-url https://dynamodb.eu-central-1.amazonaws.com";
    refused(LEARNING, aws, 1, &["one of AWS", "leave out --endpoint-url"]);
}

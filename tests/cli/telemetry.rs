//! Metrics and traces for a collector of OpenTelemetry, and metrics for CloudWatch. No collector holds a command up.

use crate::listen::split;
use crate::shell::{Running, Shell};
use crate::support::scripted::{Answer, Scripted};
use crate::tables::PLAN;
use serde_json::Value as Json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(150);
/// A value of an item, which nothing may show.
const VALUE: &str = "4711-4711";

/// A collector, and the texts of what it received. Names stand in the protocol as they are.
fn collector() -> (Scripted, Arc<Mutex<Vec<String>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&received);
    let collector = Scripted::start(move |request| {
        log.lock().unwrap().push(request.body.clone());
        Answer {
            status: 200,
            body: String::new(),
        }
    });
    (collector, received)
}

fn until_received(received: &Mutex<Vec<String>>, words: &[&str]) {
    let waited = Instant::now();
    let is_there = || {
        let all = received.lock().unwrap();
        all.iter()
            .any(|body| words.iter().all(|word| body.contains(word)))
    };
    while !is_there() {
        assert!(waited.elapsed() < PATIENCE, "nothing with {words:?} came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn stop(running: Running) -> String {
    running.interrupt();
    running.end().ended(0).stderr
}

async fn put(engine: &crate::support::Engine) {
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.into());
    let put = engine.dynamodb().put_item().table_name("Learning");
    put.item("PK", text("COURSE#1"))
        .item("SK", text("1"))
        .item("card", text(VALUE))
        .send()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_metrics_and_traces_by_the_standard_variables() {
    let (collector, received) = collector();
    let (engine, shell) = split().await;
    let shell = shell
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .with("OTEL_METRIC_EXPORT_INTERVAL", "500")
        .with("OTEL_BSP_SCHEDULE_DELAY", "500")
        .with("OTEL_RESOURCE_ATTRIBUTES", "team=shop");
    let running = shell.start("replicate plan.yaml");
    put(&engine).await;
    until_received(
        &received,
        &[
            "dynasplit_stream_time_left_seconds",
            "Courses",
            "service.name",
            "dynasplit",
            "team",
        ],
    );
    until_received(&received, &["apply batch", "lane", "team"]);
    stop(running);
    shell.run("backfill plan.yaml").ended(0);
    until_received(&received, &["copy segment"]);
    let all = received.lock().unwrap().join("\n");
    assert!(!all.contains(VALUE), "no collector gets values of items");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_holds_nothing_up() {
    let (engine, shell) = split().await;
    put(&engine).await;
    let silent = Scripted::silent();
    for endpoint in [silent.endpoint(), "http://127.0.0.1:9"] {
        let shell = Shell::new(PLAN)
            .at(engine.endpoint())
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .with("OTEL_METRIC_EXPORT_INTERVAL", "200")
            .with("OTEL_BSP_SCHEDULE_DELAY", "200");
        let running = shell.start("replicate plan.yaml");
        running.until_told("following the stream");
        shell.run("backfill plan.yaml").ended(0);
        shell.run("status plan.yaml").ended(0);
        let said = stop(running);
        assert!(!said.to_lowercase().contains("otel"), "{said}");
    }
    shell.run("status plan.yaml").ended(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dynasplit_does_not_support_is_a_warning() {
    let (_engine, shell) = split().await;
    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "speaks only http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "localhost", "is not a URL"),
    ] {
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
            (name, value),
        ];
        let status = shell.run_with("status plan.yaml", &environment).ended(0);
        assert!(status.stderr.contains(said), "{}", status.stderr);
        assert!(
            status.stderr.contains("warning: no metrics and no traces"),
            "{}",
            status.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_for_cloudwatch_are_lines_of_json() {
    let (_engine, shell) = split().await;
    let running = shell.start("replicate plan.yaml --emf Shop/split");
    running.until_told("following the stream");
    running.until_told("\"_aws\"");
    let said = stop(running);
    let documents: Vec<Json> = said
        .lines()
        .filter(|line| line.starts_with("{\"_aws\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let has = |name: &str| documents.iter().any(|document| document[name].is_number());
    assert!(has("dynasplit_build_info") && has("dynasplit_phase"), "{said}");
    for document in &documents {
        assert_eq!(
            document["_aws"]["CloudWatchMetrics"][0]["Namespace"],
            "Shop/split"
        );
        assert_eq!(wrong_in(document), None, "{document}");
    }
    shell.run("replicate plan.yaml --emf AWS/DynamoDB").ended(2);
}

/// Units of CloudWatch.
const UNITS: [&str; 4] = ["Seconds", "Milliseconds", "Count", "None"];

/// The first rule of the specification of the embedded metric format that a document breaks.
fn wrong_in(document: &Json) -> Option<&'static str> {
    let length = |value: &Json, most: usize| {
        value
            .as_str()
            .is_some_and(|text| (1..=most).contains(&text.chars().count()))
    };
    let has_only = |value: &Json, names: &[&str]| {
        value
            .as_object()
            .is_some_and(|object| object.keys().all(|name| names.contains(&name.as_str())))
    };
    let about = &document["_aws"];
    let is_dimension =
        |name: &Json| length(name, 250) && length(&document[name.as_str().unwrap_or("")], 1024);
    let is_metric = |metric: &Json| {
        has_only(metric, &["Name", "Unit", "StorageResolution"])
            && length(&metric["Name"], 1024)
            && metric["Unit"].as_str().is_some_and(|unit| UNITS.contains(&unit))
            && document[metric["Name"].as_str().unwrap_or("")].is_number()
    };
    let list = |value: &Json, most: usize, is: &dyn Fn(&Json) -> bool| {
        value
            .as_array()
            .is_some_and(|list| list.len() <= most && list.iter().all(is))
    };
    let directive = |directive: &Json| {
        if !has_only(directive, &["Namespace", "Dimensions", "Metrics"])
            || !length(&directive["Namespace"], 1024)
        {
            return Some("the directive");
        }
        let sets = &directive["Dimensions"];
        if sets[0].is_null() || !list(sets, 30, &|set| list(set, 30, &is_dimension)) {
            return Some("the dimensions");
        }
        let metrics = &directive["Metrics"];
        (metrics[0].is_null() || !list(metrics, 100, &is_metric)).then_some("the metrics")
    };
    match () {
        () if document.to_string().len() > 256 * 1024 => Some("the size"),
        () if !has_only(about, &["Timestamp", "CloudWatchMetrics"]) => Some("the metadata"),
        () if !about["Timestamp"].is_u64() => Some("the timestamp"),
        () => about["CloudWatchMetrics"]
            .as_array()
            .map_or(Some("no directives"), |all| all.iter().find_map(directive)),
    }
}

#[test]
fn a_line_that_cloudwatch_would_not_take_is_noticed() {
    let fine = serde_json::json!({
        "_aws": { "Timestamp": 1, "CloudWatchMetrics": [{
            "Namespace": "a", "Dimensions": [["lane"]], "Metrics": [{ "Name": "lag", "Unit": "Seconds" }],
        }] },
        "lane": "users", "lag": 1.5,
    });
    assert_eq!(wrong_in(&fine), None);
    let directive = "/_aws/CloudWatchMetrics/0";
    for (place, value, noticed) in [
        (
            "/_aws/Timestamp".to_owned(),
            serde_json::json!("1"),
            "the timestamp",
        ),
        (
            format!("{directive}/Namespace"),
            serde_json::json!(""),
            "the directive",
        ),
        (
            format!("{directive}/Dimensions"),
            serde_json::json!(["lane"]),
            "the dimensions",
        ),
        (
            format!("{directive}/Dimensions"),
            serde_json::json!([["table"]]),
            "the dimensions",
        ),
        ("/lane".to_owned(), serde_json::json!(1), "the dimensions"),
        (
            format!("{directive}/Metrics/0/Unit"),
            serde_json::json!("seconds"),
            "the metrics",
        ),
        (
            format!("{directive}/Metrics/0/Name"),
            serde_json::json!("age"),
            "the metrics",
        ),
        ("/lag".to_owned(), Json::Null, "the metrics"),
    ] {
        let mut wrong = fine.clone();
        *wrong.pointer_mut(&place).unwrap() = value;
        assert_eq!(wrong_in(&wrong), Some(noticed), "{place}");
    }
}

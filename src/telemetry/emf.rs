//! Metrics in the embedded metric format of CloudWatch: lines of JSON that CloudWatch Logs turns into metrics. See
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use crate::web::Samples;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The namespace of metrics in CloudWatch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Namespace(String);

/// Why a text is no namespace.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a namespace of CloudWatch has 1 to 255 letters, digits and . - _ / # :, and does not begin with 'AWS/' or ':'"
)]
pub struct NamespaceError;

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(text: &str) -> Result<Self, NamespaceError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".-_/#:".contains(c);
        let fine = (1..=255).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with(':')
            && !text.starts_with("AWS/");
        fine.then(|| Self(text.to_owned())).ok_or(NamespaceError)
    }
}

/// The most metrics of one line.
const MOST_METRICS: usize = 100;
/// The most characters of the value of a dimension.
const MOST_CHARS: usize = 1024;

/// Names and values.
type Labels<'a> = Vec<(&'a str, String)>;
/// A name, a unit and a value.
type Figure<'a> = (&'a str, &'a str, f64);

/// One line for each set of labels.
#[must_use]
pub(super) fn lines(samples: &Samples, namespace: &Namespace, now_ms: u64) -> Vec<String> {
    let mut by_labels: BTreeMap<Labels<'_>, Vec<Figure<'_>>> = BTreeMap::new();
    for sample in samples.iter() {
        let labels = sample.pairs().map(|(name, value)| (name, dimension(value)));
        let metrics = by_labels.entry(labels.collect()).or_default();
        metrics.push((sample.metric.name, unit(sample.metric.unit), sample.value));
    }
    let mut lines = Vec::new();
    for (labels, metrics) in &by_labels {
        for metrics in metrics.chunks(MOST_METRICS) {
            lines.push(line(labels, metrics, namespace, now_ms));
        }
    }
    lines
}

fn line(
    labels: &[(&str, String)],
    metrics: &[(&str, &str, f64)],
    namespace: &Namespace,
    now_ms: u64,
) -> String {
    let names: Vec<&str> = labels.iter().map(|(name, _)| *name).collect();
    let described: Vec<Value> = metrics
        .iter()
        .map(|(name, unit, _)| json!({ "Name": name, "Unit": unit }))
        .collect();
    let mut document = Map::new();
    document.insert(
        "_aws".into(),
        json!({
            "Timestamp": now_ms,
            "CloudWatchMetrics": [{ "Namespace": namespace.0, "Dimensions": [names], "Metrics": described }],
        }),
    );
    for (name, value) in labels {
        document.insert((*name).to_owned(), json!(value));
    }
    for (name, _, value) in metrics {
        document.insert((*name).to_owned(), json!(value));
    }
    Value::Object(document).to_string()
}

/// The value of a dimension: CloudWatch refuses empty ones, and other characters than those of ASCII.
fn dimension(value: &str) -> String {
    let text: String = value
        .chars()
        .map(|c| {
            if c.is_ascii() && !c.is_ascii_control() {
                c
            } else {
                '?'
            }
        })
        .take(MOST_CHARS)
        .collect();
    if text.trim().is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn unit(unit: &str) -> &'static str {
    match unit {
        "seconds" => "Seconds",
        "0 or 1" | "1" => "None",
        _ => "Count",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{LaneStatus, Phase, SplitStatus};
    use crate::web::samples;

    #[test]
    fn metrics_with_the_same_labels_share_a_line() {
        let lane = LaneStatus {
            lane: "Größe".into(),
            lag_ms: Some(1500),
            shown_lag_ms: Some(1500),
            open_shards: 1,
            ..LaneStatus::default()
        };
        let status = SplitStatus::sample(Phase::Tailing, vec![lane]);
        let namespace: Namespace = "Shop/split".parse().unwrap();
        let lines = lines(&samples(Some(&status)), &namespace, 17);
        let documents: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of_lane = documents
            .iter()
            .find(|document| document["lane"] == "Gr??e" && document.get("outcome").is_none())
            .unwrap();
        let about = &of_lane["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(about["Namespace"], "Shop/split");
        assert_eq!(about["Dimensions"], json!([["split", "lane"]]));
        assert!(
            about["Metrics"]
                .as_array()
                .unwrap()
                .contains(&json!({ "Name": "dynasplit_lane_lag_seconds", "Unit": "Seconds" })),
            "{about}"
        );
        assert_eq!(of_lane["dynasplit_lane_lag_seconds"], 1.5);
        assert_eq!(of_lane["_aws"]["Timestamp"], 17);
        for document in &documents {
            let about = &document["_aws"]["CloudWatchMetrics"][0];
            for metric in about["Metrics"].as_array().unwrap() {
                assert!(
                    document[metric["Name"].as_str().unwrap()].is_number(),
                    "{document}"
                );
            }
            for name in about["Dimensions"][0].as_array().unwrap() {
                assert!(
                    !document[name.as_str().unwrap()].as_str().unwrap().is_empty(),
                    "{document}"
                );
            }
        }
    }

    #[test]
    fn a_dimension_is_never_empty_and_a_namespace_is_checked() {
        assert_eq!(dimension(""), "-");
        assert_eq!(dimension(" \n"), " ?");
        for wrong in ["", "AWS/DynamoDB", ":x", "a b"] {
            assert!(wrong.parse::<Namespace>().is_err(), "{wrong:?}");
        }
    }
}

//! The metrics that the code defines, those of the page, and those that alarms and the dashboard ask for.

use super::pages::{read, section};
use dynasplit::web::metrics::{ALL, Metric};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const RULES: &str = "deploy/prometheus/dynasplit.rules.yaml";
const DASHBOARD: &str = "deploy/grafana/dynasplit.json";
/// Labels that Prometheus adds itself.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

#[test]
fn the_page_lists_every_metric_as_it_is() {
    let page = read("docs/metrics.md");
    let listed: Vec<&str> = section(&page, "## All metrics")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let defined: Vec<String> = ALL
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!(
                "| `{}` | {} | {} | {} | {} | {} |",
                metric.name,
                metric.kind,
                metric.unit,
                labels.join(", "),
                metric.stability,
                metric.help
            )
        })
        .collect();
    assert_eq!(listed, defined);
    let labels: BTreeSet<&str> = ALL.iter().flat_map(|metric| metric.labels).copied().collect();
    let explained = section(&page, "## Labels");
    for label in labels
        .iter()
        .filter(|label| !["version", "class", "outcome", "state"].contains(label))
    {
        assert!(
            explained.contains(&format!("`{label}`")),
            "the label {label} is not explained"
        );
    }
}

fn metric(name: &str) -> Metric {
    *ALL.iter()
        .find(|metric| metric.name == name)
        .unwrap_or_else(|| panic!("there is no metric {name}"))
}

/// Checks an expression: its metrics exist, and have the labels that it asks for. Returns the metrics.
fn check(expression: &str) -> Vec<Metric> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("dynasplit_") {
        let rest = &expression[at..];
        let (name, rest) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let metric = metric(name);
        if let Some((selector, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            for matcher in selector.split(',') {
                let label = matcher.split(|c| !is_name(c)).next().unwrap_or_default();
                assert!(
                    metric.labels.contains(&label),
                    "{expression}: {name} has no label {label}"
                );
            }
        }
        found.push(metric);
    }
    assert!(!found.is_empty(), "{expression} asks for no metric");
    for group in expression.split("by (").skip(1) {
        let (labels, _) = group.split_once(')').expect("a closing bracket");
        for label in labels.split(", ") {
            let is_known =
                OF_PROMETHEUS.contains(&label) || found.iter().all(|metric| metric.labels.contains(&label));
            assert!(is_known, "{expression}: not every metric has the label {label}");
        }
    }
    found
}

/// An alarm of the rules.
#[derive(Debug, Default)]
struct Alarm {
    expression: String,
    severity: String,
    texts: String,
}

fn alarms() -> BTreeMap<String, Alarm> {
    let mut alarms: BTreeMap<String, Alarm> = BTreeMap::new();
    let mut name = String::new();
    for line in read(RULES).lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = alert.to_owned();
            assert!(
                alarms.insert(name.clone(), Alarm::default()).is_none(),
                "{name} is there twice"
            );
        }
        let Some(alarm) = alarms.get_mut(&name) else {
            continue;
        };
        match line.split_once(": ") {
            Some(("expr", expression)) => alarm.expression = expression.to_owned(),
            Some(("severity", severity)) => alarm.severity = severity.to_owned(),
            Some(("summary" | "description", text)) => alarm.texts.push_str(text),
            _ => {}
        }
    }
    alarms
}

#[test]
fn alarms_ask_for_metrics_that_there_are() {
    let alarms = alarms();
    assert!(alarms.len() >= 10, "{alarms:?}");
    for (name, alarm) in &alarms {
        let metrics = check(&alarm.expression);
        assert!(
            ["critical", "warning"].contains(&alarm.severity.as_str()),
            "{name}"
        );
        let grouped = alarm
            .expression
            .split_once("by (")
            .and_then(|(_, rest)| rest.split_once(')'));
        let kept: Vec<&str> = grouped.map_or(Vec::new(), |(labels, _)| labels.split(", ").collect());
        for rest in alarm.texts.split("$labels.").skip(1) {
            let label = rest
                .split(|c: char| !c.is_ascii_alphanumeric())
                .next()
                .unwrap_or_default();
            assert!(
                kept.contains(&label),
                "{name} shows the label {label}, which its expression drops"
            );
        }
        // Several processes report the same split.
        let is_aggregated = ["min", "max", "sum", "absent"]
            .iter()
            .any(|word| alarm.expression.starts_with(word));
        assert!(is_aggregated, "{name}: {metrics:?}");
    }
    let first = &alarms["DynasplitChangesWillBeLost"];
    assert!(first.expression.contains("dynasplit_stream_time_left_seconds") && first.severity == "critical");
}

#[test]
fn every_alarm_is_explained() {
    let page = read("docs/monitoring.md");
    let explained: BTreeMap<&str, &str> = section(&page, "## Alarms")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, rest)| (name, rest.split(" |").next().unwrap_or_default()))
        .collect();
    let alarms = alarms();
    let defined: BTreeMap<&str, &str> = alarms
        .iter()
        .map(|(name, alarm)| (name.as_str(), alarm.severity.as_str()))
        .collect();
    assert_eq!(explained, defined);
}

#[test]
fn metrics_in_the_prose_are_there() {
    let mut count = 0;
    for page in ["docs/monitoring.md", "docs/metrics.md", "docs/commands.md"] {
        let text = read(page);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for (at, _) in text.match_indices("dynasplit_") {
            let rest = &text[at..];
            metric(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
            count += 1;
        }
    }
    assert!(count > 30, "only {count}");
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut ids, mut cells, mut shown) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is there twice");
        assert!(
            panel["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let place = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        assert!(place("x") + place("w") <= 24, "{title} is too wide");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(cells.insert((x, y)), "{title} overlaps another panel at {x}, {y}");
            }
        }
        let targets = panel["targets"].as_array().expect("targets");
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(
                expression.contains("split=~\"$split\""),
                "{title} ignores the chosen split"
            );
            let metrics = check(expression);
            let legend = target["legendFormat"].as_str().expect("a legend");
            for label in legend
                .split("{{")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once("}}")?.0))
            {
                assert!(
                    expression.contains(label) && metrics[0].labels.contains(&label),
                    "{title}: {label}"
                );
            }
            shown.extend(metrics.iter().map(|metric| metric.name));
        }
    }
    assert!(
        shown.contains("dynasplit_stream_time_left_seconds") && shown.len() >= 12,
        "{shown:?}"
    );
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = variable["query"]["query"].as_str().expect("a query");
        let (name, label) = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')')?.split_once(", "))
            .expect("values of a label");
        assert!(metric(name).labels.contains(&label), "{query}");
    }
}

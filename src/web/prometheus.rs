//! Metrics in Prometheus's text format. See
//! [the format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).

use super::metrics::{ALL, Metric};
use std::fmt::Write as _;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Samples, collected.
#[derive(Debug, Default)]
pub struct Samples(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    metric: &'static str,
    labels: String,
    value: f64,
}

impl Samples {
    /// Adds a sample, with the values of the metric's labels in their order.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "the labels of {}", metric.name);
        let pairs: Vec<String> = metric
            .labels
            .iter()
            .zip(labels)
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        self.0.push(Sample {
            metric: metric.name,
            labels: pairs.join(","),
            value,
        });
    }

    /// Adds a count.
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    pub fn count(&mut self, metric: &Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Adds a duration, or units, that are known in thousandths.
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    pub fn thousandths(&mut self, metric: &Metric, labels: &[&str], thousandths: u64) {
        self.add(metric, labels, thousandths as f64 / 1000.0);
    }

    /// The text: the samples of a metric stand together, below its help and its type.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for metric in &ALL {
            let mut samples = self
                .0
                .iter()
                .filter(|sample| sample.metric == metric.name)
                .peekable();
            if samples.peek().is_none() {
                continue;
            }
            let name = metric.name;
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {}", metric.help.replace('\\', r"\\"));
            let _ = writeln!(text, "# TYPE {name} {}", metric.kind);
            for Sample { labels, value, .. } in samples {
                let _ = if labels.is_empty() {
                    writeln!(text, "{name} {value}")
                } else {
                    writeln!(text, "{name}{{{labels}}} {value}")
                };
            }
        }
        text
    }
}

/// The value of a label, in which the format's own characters are escaped.
fn escaped(value: &str) -> String {
    value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::metrics::{DEAD_LETTERS, STATE_READABLE};

    #[test]
    fn samples_stand_below_their_metric_and_names_cannot_break_a_line() {
        let mut samples = Samples::default();
        samples.count(&DEAD_LETTERS, &["s", "a\"} 1\nb\\"], 2);
        samples.count(&STATE_READABLE, &[], 1);
        samples.thousandths(&DEAD_LETTERS, &["s", "c"], 1500);
        let text = samples.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE dynasplit_state_readable gauge",
                "dynasplit_state_readable 1",
                "# TYPE dynasplit_dead_letters gauge",
                r#"dynasplit_dead_letters{split="s",service="a\"} 1\nb\\"} 2"#,
                r#"dynasplit_dead_letters{split="s",service="c"} 1.5"#,
            ]
        );
    }
}

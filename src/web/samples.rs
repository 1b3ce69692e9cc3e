//! Samples of metrics, before they have the form of a protocol.

use super::metrics::Metric;

/// Samples, collected.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

/// The value of a metric with its labels.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// The metric.
    pub metric: &'static Metric,
    /// The values of its labels, in their order.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// The labels with their values.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = self.metric.labels.iter().copied();
        names.zip(self.labels.iter().map(String::as_str))
    }
}

impl Samples {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    /// Adds a sample, with the values of the metric's labels in their order.
    pub fn add(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        assert_eq!(metric.labels.len(), labels.len(), "the labels of {}", metric.name);
        self.0.push(Sample {
            metric,
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            value,
        });
    }

    /// Adds a count.
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    pub fn count(&mut self, metric: &'static Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Adds a duration, or units, that are known in thousandths.
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53
    pub fn thousandths(&mut self, metric: &'static Metric, labels: &[&str], thousandths: u64) {
        self.add(metric, labels, thousandths as f64 / 1000.0);
    }
}

//! Metrics in Prometheus's text format. See
//! [the format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).

use super::metrics::ALL;
use super::samples::Samples;
use std::fmt::Write as _;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text: the samples of a metric stand together, below its help and its type.
#[must_use]
pub fn text(samples: &Samples) -> String {
    let mut text = String::new();
    for metric in &ALL {
        let mut samples = samples
            .iter()
            .filter(|sample| sample.metric.name == metric.name)
            .peekable();
        if samples.peek().is_none() {
            continue;
        }
        let name = metric.name;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {}", metric.help.replace('\\', r"\\"));
        let _ = writeln!(text, "# TYPE {name} {}", metric.kind);
        for sample in samples {
            let pairs = sample.pairs();
            let labels: Vec<String> = pairs
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
                .collect();
            let value = sample.value;
            let _ = if labels.is_empty() {
                writeln!(text, "{name} {value}")
            } else {
                writeln!(text, "{name}{{{}}} {value}", labels.join(","))
            };
        }
    }
    text
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
        let text = text(&samples);
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

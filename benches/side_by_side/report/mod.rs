//! The report: Markdown for people, in the form that `docs/performance.md` includes, and JSON with every run.

mod bars;
mod machine;
mod shaping;
mod tables;
mod together;

pub use machine::load;

use crate::contender::{Contender, Kit};
use crate::results::Results;
use serde_json::{Value, json};
use std::time::Duration;

/// Before the figures, in a page.
const BEGIN: &str = "<!-- figures -->";
/// After them.
const END: &str = "<!-- end of figures -->";

/// What was measured, in both forms.
pub struct Report {
    markdown: String,
    json: Value,
}

impl Report {
    /// Of a run.
    pub fn of(kit: &Kit, results: &Results, took: Duration, load: String) -> Self {
        let (args, peers) = (&kit.args, &kit.peers);
        let facts = machine::facts(args, peers, took, load);
        let bars = bars::judge(results);
        let mut parts = vec![facts.markdown()];
        parts.push(bars::markdown(&bars));
        parts.extend(tables::all(args, results));
        parts.extend(together::workers(&results.shared));
        parts.extend(results.forecast.as_ref().map(together::forecast));
        parts.extend(results.shaped.as_ref().map(shaping::markdown));
        if !peers.absent.is_empty() {
            let lines = peers
                .absent
                .iter()
                .map(|line| format!("- {}", line.replace('\n', " ")));
            parts.push(format!(
                "Not installed, and so not compared:\n\n{}",
                lines.collect::<Vec<_>>().join("\n")
            ));
        }
        if !results.failed.is_empty() {
            let line = |(who, place, why): &(Contender, String, String)| {
                format!("- {who} ({place}): {}", why.lines().next().unwrap_or_default())
            };
            let lines: Vec<String> = results.failed.iter().map(line).collect();
            parts.push(format!("Failed, and so without figures:\n\n{}", lines.join("\n")));
        }
        Self {
            markdown: format!("{}\n", parts.join("\n\n")),
            json: json!({
                "facts": facts.json(),
                "bars": bars::json(&bars),
                "copies": results.cases.iter().map(|case| json!({
                    "engine": case.engine.name(),
                    "items": case.items,
                    "services": case.services,
                    "contender": case.contender.to_string(),
                    "items_per_second": case.items_per_second(),
                    "cpu_seconds_per_million": case.cpu_per_million(),
                    "peak_mib": case.peak_mib(),
                    "requests_per_thousand": case.requests_per_thousand(),
                    "source_read_units_per_item": case.source_reads(),
                    "target_write_units_per_item": case.target_writes(),
                    "runs": case.copies,
                })).collect::<Vec<_>>(),
                "verify": results.verified.iter().map(|(engine, runs)| json!({
                    "engine": engine.name(),
                    "runs": runs,
                })).collect::<Vec<_>>(),
                "catch_up": results.caught_up.iter().map(|(null_targets, runs)| json!({
                    "null_targets": null_targets,
                    "runs": runs,
                })).collect::<Vec<_>>(),
                "lag": results.lags.iter().map(|lag| json!({
                    "writes": lag.writes,
                    "rate": lag.rate,
                    "median_ms": lag.at(0.5),
                    "p99_ms": lag.at(0.99),
                    "max_ms": lag.at(1.0),
                })).collect::<Vec<_>>(),
                "workers": results.shared,
                "forecast": results.forecast,
                "shape": results.shaped,
                "absent": peers.absent,
            }),
        }
    }

    /// A page with the report in its place: between the comments that bound figures, or as the whole of it.
    pub fn placed(&self, page: &str) -> String {
        match page
            .split_once(BEGIN)
            .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)))
        {
            Some((head, foot)) => format!("{head}{BEGIN}\n\n{}\n{END}{foot}", self.markdown),
            None => self.markdown.clone(),
        }
    }

    /// For people.
    pub fn markdown(&self) -> &str {
        &self.markdown
    }

    /// Every run.
    pub fn json(&self) -> String {
        format!("{:#}\n", self.json)
    }
}

/// A table in Markdown, columns aligned in the text as well. The first column is of words.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = width(column);
            if column == 0 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = (0..head.len()).map(|column| {
        let dashes = "-".repeat(width(column) - usize::from(column > 0));
        if column == 0 { dashes } else { format!("{dashes}:") }
    });
    let rule = format!("| {} |", rule.collect::<Vec<_>>().join(" | "));
    let rows = rows.iter().map(line);
    [line(&head), rule]
        .into_iter()
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A number with few digits, thousands apart.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    let (whole, fraction) = text
        .split_once('.')
        .map_or((&*text, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

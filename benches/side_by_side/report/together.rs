//! The tables of several processes, and of the forecast.

use super::{figure, table};
use crate::forecast::{ForecastCheck, Line};
use crate::workers::Shared;

/// Copies by several processes, if there were any.
#[allow(clippy::cast_precision_loss)] // items and processes of a benchmark
pub fn workers(shared: &[Shared]) -> Option<String> {
    let one = shared.first()?.items_per_second();
    let row = |shared: &Shared| {
        vec![
            shared.processes.to_string(),
            figure(shared.items_per_second()),
            figure(shared.items_per_second() / one),
            figure(shared.cpu_seconds() * 1e6 / shared.items as f64),
            shared.runs.len().to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = shared.iter().map(row).collect();
    Some(format!(
        "### Several processes\n\nA copy of {} items on the null endpoint, where each answer takes 400 ms, so that waiting is what takes \
         time. Each process copies two of 64 segments at the same time.\n\n{}",
        figure(shared.first()?.items as f64),
        table(
            &[
                "`backfill` processes",
                "items/s",
                "times one process",
                "CPU s per million",
                "runs"
            ],
            &rows
        )
    ))
}

/// The forecast beside what came of it.
#[allow(clippy::cast_precision_loss)] // items of a benchmark
pub fn forecast(checked: &ForecastCheck) -> String {
    let row = |line: &Line| {
        vec![
            line.what.clone(),
            figure(line.forecast),
            figure(line.actual),
            format!("{:+.1} %", 100.0 * line.error()),
        ]
    };
    let rows: Vec<Vec<String>> = checked.lines.iter().map(row).collect();
    format!(
        "### The forecast of `plan`\n\nOf a copy of {} items of 1 KB from and to tables that serve what a new on-demand table of AWS \
         serves (12,000 read and 4,000 write units a second; the null endpoint throttles what is above).\n\n{}",
        figure(checked.items as f64),
        table(&["", "forecast", "actual", "difference"], &rows)
    )
}

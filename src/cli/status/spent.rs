//! What a split has used so far, beside the forecast of `plan`.

use crate::cli::table::table;
use crate::cli::text;
use crate::model::duration;
use crate::report::{ForecastLine, Spent, SpentLine};

/// Nobody knows, or nobody counts it.
const UNKNOWN: &str = "-";
const MS_AN_HOUR: f64 = 3_600_000.0;

/// A table of the steps, the hours and the money.
pub fn render(spent: &Spent) -> String {
    let mut rows: Vec<Vec<String>> = spent.lines.iter().map(counted).collect();
    rows.extend(spent.uncounted.iter().map(uncounted));
    rows.push(vec![
        "time of the backfill".into(),
        or_unknown(spent.backfill_hours.map(time)),
        or_unknown(spent.expected_backfill_hours.map(time)),
        or_unknown(spent.forecast_backfill_hours.map(time)),
    ]);
    rows.push(vec![
        "US dollars".into(),
        format!("{:.2}", spent.dollars),
        UNKNOWN.into(),
        or_unknown(spent.forecast_dollars.map(|dollars| format!("{dollars:.2}"))),
    ]);
    let table = table(&["units", "so far", "at this rate", "forecast"], rows);
    format!(
        "{table}\nthe requests of the steps without a figure are not counted; the dollars so far lack them"
    )
}

fn counted(line: &SpentLine) -> Vec<String> {
    let so_far = line.read_milliunits + line.write_milliunits;
    let expected = line.expected_read_units.zip(line.expected_write_units);
    vec![
        line.what.clone(),
        text::units(so_far),
        or_unknown(expected.map(|(read, write)| text::count(read + write))),
        or_unknown(line.forecast.as_ref().map(units)),
    ]
}

fn uncounted(line: &ForecastLine) -> Vec<String> {
    vec![line.what.clone(), UNKNOWN.into(), UNKNOWN.into(), units(line)]
}

/// A step reads or writes, and the name of the step says which.
fn units(line: &ForecastLine) -> String {
    text::count(line.read_units + line.write_units)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours of a backfill
fn time(hours: f64) -> String {
    duration((hours * MS_AN_HOUR) as u64)
}

fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| UNKNOWN.into())
}

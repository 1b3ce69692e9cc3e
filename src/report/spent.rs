//! What a split has used so far, beside what `plan` estimated.

use super::forecast::{Forecast, ForecastLine};
use super::standing::ServiceView;
use crate::plan::Prices;
use crate::plan::cost::WAIT_STEP;
use crate::status::SplitStatus;
use serde::Serialize;

/// The first word of the steps of a copy.
const COPY: &str = "backfill";
const MS_AN_HOUR: f64 = 3_600_000.0;

/// What a split has used so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// The steps whose requests are counted, in their order.
    pub lines: Vec<SpentLine>,
    /// Those steps of the forecast whose requests nobody counts, for example `verify, each time`.
    pub uncounted: Vec<ForecastLine>,
    /// US dollars so far, of tables that are billed by request.
    pub dollars: f64,
    /// US dollars of the forecast.
    pub forecast_dollars: Option<f64>,
    /// Hours of the backfill so far; `None`: it has not begun.
    pub backfill_hours: Option<f64>,
    /// Hours of the backfill at its end, if it goes on as so far; `None`: nobody knows.
    pub expected_backfill_hours: Option<f64>,
    /// Hours of the backfill in the forecast.
    pub forecast_backfill_hours: Option<f64>,
}

/// A step. Amounts are in US dollars; `None` if nobody knows, or if the table is billed by the hour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpentLine {
    /// `backfill: read OnlineLearning`, `tail: write Content`, ...
    pub what: String,
    /// Thousandths of read units so far.
    pub read_milliunits: u64,
    /// Thousandths of write units so far.
    pub write_milliunits: u64,
    /// Read units at the end of the backfill, if it goes on as so far; `None`: nobody knows, or it is a step of the tail.
    pub expected_read_units: Option<u64>,
    /// The same of write units.
    pub expected_write_units: Option<u64>,
    /// Dollars so far.
    pub dollars: Option<f64>,
    /// The same step of the forecast.
    pub forecast: Option<ForecastLine>,
}

/// What a split has used so far, and the steps of a forecast beside it.
#[must_use]
pub fn spent(
    status: &SplitStatus,
    source: &str,
    services: &[ServiceView],
    prices: &Prices,
    forecast: Option<&Forecast>,
) -> Spent {
    let factor = expected_factor(status);
    let line = |what: String, [read, write]: [u64; 2], dollars| {
        let factor = factor.filter(|_| what.starts_with(COPY));
        SpentLine {
            expected_read_units: factor.map(|factor| expected(read, factor)),
            expected_write_units: factor.map(|factor| expected(write, factor)),
            forecast: forecast.and_then(|forecast| forecast.line(&what)).cloned(),
            what,
            read_milliunits: read,
            write_milliunits: write,
            dollars,
        }
    };
    let read = status.read_milliunits;
    let mut lines = vec![line(
        format!("{COPY}: read {source}"),
        [read, 0],
        Some(price(read, prices.standard.read_per_million)),
    )];
    for service in services {
        let fill = status.backfill.iter().find(|fill| fill.lane == service.name);
        let used = fill.map_or(0, |fill| fill.counters.write_milliunits);
        let what = format!("{COPY}: write {}", service.name);
        lines.push(line(what, [0, used], of_writes(service, used, prices)));
    }
    for service in services {
        let lane = status.lanes.iter().find(|lane| lane.lane == service.name);
        let used = lane.map_or(0, |lane| lane.counters.write_milliunits);
        let what = format!("tail: write {}", service.name);
        lines.push(line(what, [0, used], of_writes(service, used, prices)));
    }
    let is_counted = |line: &&ForecastLine| lines.iter().any(|counted| counted.what == line.what);
    let forecast_lines = forecast.map_or(&[][..], |forecast| &forecast.lines);
    let hours = hours(status);
    Spent {
        uncounted: forecast_lines
            .iter()
            .filter(|line| !is_counted(line) && line.what != WAIT_STEP)
            .cloned()
            .collect(),
        dollars: lines.iter().filter_map(|line| line.dollars).sum(),
        forecast_dollars: forecast.map(|forecast| forecast.dollars),
        backfill_hours: hours,
        expected_backfill_hours: factor.and_then(|factor| Some(hours? * factor)),
        forecast_backfill_hours: forecast.map(|forecast| forecast.backfill_hours),
        lines,
    }
}

impl Spent {
    /// Dollars of the backfill at its end, if it goes on as so far; `None` if it has ended, or if nobody knows.
    #[must_use]
    pub fn expected_backfill_dollars(&self, status: &SplitStatus) -> Option<f64> {
        let is_running = status.backfill_record.as_ref()?.finished_ms.is_none();
        let of_backfill = self.lines.iter().filter(|line| line.what.starts_with(COPY));
        let so_far: f64 = of_backfill.filter_map(|line| line.dollars).sum();
        expected_factor(status)
            .filter(|_| is_running)
            .map(|factor| so_far * factor)
    }
}

/// How many times as much the backfill will have used at its end; `None` if nobody knows.
#[allow(clippy::cast_precision_loss)] // an estimate
fn expected_factor(status: &SplitStatus) -> Option<f64> {
    let record = status.backfill_record.as_ref()?;
    if record.finished_ms.is_some() {
        return Some(1.0);
    }
    let is_known = status.scanned > 0 && record.estimated_items >= status.scanned;
    is_known.then(|| record.estimated_items as f64 / status.scanned as f64)
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn hours(status: &SplitStatus) -> Option<f64> {
    let record = status.backfill_record.as_ref()?;
    let ended_ms = record.finished_ms.unwrap_or(status.read_ms);
    Some(ended_ms.saturating_sub(record.started_ms) as f64 / MS_AN_HOUR)
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // an estimate
fn expected(milliunits: u64, factor: f64) -> u64 {
    (milliunits as f64 / 1000.0 * factor).ceil() as u64
}

fn of_writes(service: &ServiceView, milliunits: u64, prices: &Prices) -> Option<f64> {
    let per_million = prices.of_class(service.is_infrequent).write_per_million;
    service.is_on_demand.then(|| price(milliunits, per_million))
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn price(milliunits: u64, per_million: f64) -> f64 {
    milliunits as f64 / 1000.0 / 1e6 * per_million
}

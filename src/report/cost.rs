//! What the split has cost so far, beside a forecast.

use super::figures::{dollars, units};
use super::forecast::Forecast;
use super::standing::{ServiceView, Standing};
use crate::model::count;
use crate::plan::Prices;
use maud::{Markup, html};

/// A row of the table. Amounts are in US dollars; `None` if nobody knows, or if the table is billed by the hour.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CostLine {
    what: String,
    read_milliunits: u64,
    write_milliunits: u64,
    dollars: Option<f64>,
    forecast: Option<f64>,
}

/// The section.
pub(super) fn cost(standing: &Standing) -> Markup {
    let lines = lines(standing);
    let so_far = total(&lines);
    let prices = &standing.prices;
    html! {
        section aria-labelledby="cost" {
            h2 id="cost" { "Cost" }
            p {
                "So far about " strong { (dollars(so_far)) } " for requests of the backfill and the tail"
                @match (&standing.forecast, extrapolated(standing)) {
                    (Some(forecast), _) => {
                        "; " code { "dynasplit plan" } " estimated " strong { (dollars(forecast.dollars)) } " for the whole split."
                    }
                    (None, Some(factor)) => {
                        "; at this rate, the backfill will have cost about " strong { (dollars(backfill(&lines) * factor)) } " at its end."
                    }
                    (None, None) => { "." }
                }
            }
            (table(&lines, so_far, standing.forecast.as_ref()))
            p.note {
                "Prices of " (prices.as_of) " in " (prices.region) " for tables that are billed by request. Reads of verify and of the stream, "
                "the state table, storage, and tables with provisioned throughput are not included."
            }
        }
    }
}

/// The cost so far.
pub(super) fn so_far(standing: &Standing) -> f64 {
    total(&lines(standing))
}

fn total(lines: &[CostLine]) -> f64 {
    lines.iter().filter_map(|line| line.dollars).sum()
}

fn backfill(lines: &[CostLine]) -> f64 {
    let of_backfill = lines.iter().filter(|line| line.what.starts_with("backfill"));
    of_backfill.filter_map(|line| line.dollars).sum()
}

/// How many times as much the backfill will have read at its end; `None` if it has ended, or if nobody knows.
#[allow(clippy::cast_precision_loss)] // an estimate
fn extrapolated(standing: &Standing) -> Option<f64> {
    let status = &standing.status;
    let record = status.backfill_record.as_ref()?;
    let is_known =
        record.finished_ms.is_none() && status.scanned > 0 && record.estimated_items >= status.scanned;
    is_known.then(|| record.estimated_items as f64 / status.scanned as f64)
}

fn lines(standing: &Standing) -> Vec<CostLine> {
    let (status, prices) = (&standing.status, &standing.prices);
    let forecast = |what: &str| {
        let line = standing.forecast.as_ref()?.line(what)?;
        line.dollars
    };
    let line = |what: String, read_milliunits, write_milliunits, dollars| CostLine {
        forecast: forecast(&what),
        what,
        read_milliunits,
        write_milliunits,
        dollars,
    };
    let read = of(status.read_milliunits, prices.standard.read_per_million);
    let mut lines = vec![line(
        format!("backfill: read {}", standing.source),
        status.read_milliunits,
        0,
        Some(read),
    )];
    for service in &standing.services {
        let fill = status.backfill.iter().find(|fill| fill.lane == service.name);
        let used = fill.map_or(0, |fill| fill.counters.write_milliunits);
        let dollars = writes(service, used, prices);
        lines.push(line(
            format!("backfill: write {}", service.name),
            0,
            used,
            dollars,
        ));
    }
    for service in &standing.services {
        let lane = status.lanes.iter().find(|lane| lane.lane == service.name);
        let used = lane.map_or(0, |lane| lane.counters.write_milliunits);
        let dollars = writes(service, used, prices);
        lines.push(line(format!("tail: write {}", service.name), 0, used, dollars));
    }
    lines
}

fn writes(service: &ServiceView, milliunits: u64, prices: &Prices) -> Option<f64> {
    let price = prices.of_class(service.is_infrequent).write_per_million;
    service.is_on_demand.then(|| of(milliunits, price))
}

#[allow(clippy::cast_precision_loss)] // an estimate
fn of(milliunits: u64, per_million: f64) -> f64 {
    milliunits as f64 / 1000.0 / 1e6 * per_million
}

fn table(lines: &[CostLine], so_far: f64, forecast: Option<&Forecast>) -> Markup {
    let shown = |amount: Option<f64>| amount.map_or("-".to_owned(), dollars);
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="cost-table" {
            table {
                caption id="cost-table" { "Units and cost" }
                thead { tr {
                    th scope="col" { "step" }
                    th.number scope="col" { "read units" } th.number scope="col" { "write units" }
                    th.number scope="col" { "so far" }
                    @if forecast.is_some() { th.number scope="col" { "forecast" } }
                } }
                tbody {
                    @for line in lines {
                        tr {
                            th scope="row" { (line.what) }
                            td.number { (units(line.read_milliunits)) }
                            td.number { (units(line.write_milliunits)) }
                            td.number { (shown(line.dollars)) }
                            @if forecast.is_some() { td.number { (shown(line.forecast)) } }
                        }
                    }
                    @if let Some(forecast) = forecast {
                        @for line in forecast.lines.iter().filter(|line| !lines.iter().any(|known| known.what == line.what)) {
                            tr {
                                th scope="row" { (line.what) }
                                td.number { "-" } td.number { "-" } td.number { "-" }
                                td.number { (shown(line.dollars)) }
                            }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "total" }
                    td.number { (sum(lines, |line| line.read_milliunits)) }
                    td.number { (sum(lines, |line| line.write_milliunits)) }
                    td.number { (dollars(so_far)) }
                    @if let Some(forecast) = forecast { td.number { (dollars(forecast.dollars)) } }
                } }
            }
        }
    }
}

fn sum(lines: &[CostLine], of: impl Fn(&CostLine) -> u64) -> String {
    count(lines.iter().map(of).sum::<u64>().div_ceil(1000))
}

//! What the split has cost so far, beside a forecast.

use super::figures::{dollars, units};
use super::spent::{Spent, SpentLine, spent};
use super::standing::Standing;
use crate::model::count;
use maud::{Markup, html};

/// The section.
pub(super) fn cost(standing: &Standing) -> Markup {
    let spent = of(standing);
    let prices = &standing.prices;
    html! {
        section aria-labelledby="cost" {
            h2 id="cost" { "Cost" }
            p {
                "So far about " strong { (dollars(spent.dollars)) } " for requests of the backfill and the tail"
                @match (spent.forecast_dollars, spent.expected_backfill_dollars(&standing.status)) {
                    (Some(forecast), _) => {
                        "; " code { "dynasplit plan" } " estimated " strong { (dollars(forecast)) } " for the whole split."
                    }
                    (None, Some(expected)) => {
                        "; at this rate, the backfill will have cost about " strong { (dollars(expected)) } " at its end."
                    }
                    (None, None) => { "." }
                }
            }
            (table(&spent))
            p.note {
                "Prices of " (prices.as_of) " in " (prices.region) " for tables that are billed by request. Reads of verify and of the stream, "
                "the state table, storage, and tables with provisioned throughput are not included."
            }
        }
    }
}

/// The cost so far.
pub(super) fn so_far(standing: &Standing) -> f64 {
    of(standing).dollars
}

fn of(standing: &Standing) -> Spent {
    spent(
        &standing.status,
        &standing.source,
        &standing.services,
        &standing.prices,
        standing.forecast.as_ref(),
    )
}

fn table(spent: &Spent) -> Markup {
    let lines = &spent.lines;
    let forecast = spent.forecast_dollars;
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
                            @if forecast.is_some() { td.number { (shown(line.forecast.as_ref().and_then(|line| line.dollars))) } }
                        }
                    }
                    @for line in &spent.uncounted {
                        tr {
                            th scope="row" { (line.what) }
                            td.number { "-" } td.number { "-" } td.number { "-" }
                            td.number { (shown(line.dollars)) }
                        }
                    }
                }
                tfoot { tr {
                    th scope="row" { "total" }
                    td.number { (sum(lines, |line| line.read_milliunits)) }
                    td.number { (sum(lines, |line| line.write_milliunits)) }
                    td.number { (dollars(spent.dollars)) }
                    @if let Some(forecast) = forecast { td.number { (dollars(forecast)) } }
                } }
            }
        }
    }
}

fn sum(lines: &[SpentLine], of: impl Fn(&SpentLine) -> u64) -> String {
    count(lines.iter().map(of).sum::<u64>().div_ceil(1000))
}

//! The backfill: how far it is, service by service.

use super::figures::{ago, percent, prose, share, units};
use super::standing::Standing;
use crate::model::{count, counted, duration};
use crate::state::{BackfillRecord, Estimate, ShardRecord};
use crate::status::FillStatus;
use maud::{Markup, html};

/// The section.
pub(super) fn copying(standing: &Standing) -> Markup {
    let status = &standing.status;
    html! {
        section aria-labelledby="backfill" {
            h2 id="backfill" { "Backfill" }
            @match &status.backfill_record {
                None => p { "The backfill has not started yet." },
                Some(record) => {
                    p { (told(standing, record)) }
                    @for reason in &status.backfill_blocked { p.warn { "It is held up: " (prose(reason)) } }
                    (table(&status.backfill))
                }
            }
        }
    }
}

fn told(standing: &Standing, record: &BackfillRecord) -> Markup {
    let status = &standing.status;
    let running = status.running.iter().find(|doing| doing.command == "backfill");
    html! {
        (counted(status.scanned, "item")) " read"
        @if record.finished_ms.is_none() && record.estimated_items > 0 { " of about " (count(record.estimated_items)) }
        ", " (units(status.read_milliunits)) " read units, " (record.order.to_string()) " order; "
        @match (record.finished_ms, running) {
            (Some(finished), _) => {
                "finished in " (duration(finished.saturating_sub(record.started_ms))) ", " (ago(finished, standing.now_ms)) "."
            }
            (None, None) => { strong { "no process works on it." } }
            (None, Some(running)) => {
                (running.phase)
                @if let Some(estimate) = running.estimate {
                    ", " (format!("{:.0}", estimate.per_second())) " items per second"
                    @if let Some(left_ms) = left_ms(estimate) { ", about " (duration(left_ms)) " left" }
                }
                "."
            }
        }
    }
}

/// The remaining time at the present rate.
fn left_ms(estimate: Estimate) -> Option<u64> {
    let per_second = estimate.per_second_thousandths;
    let left = estimate.left.saturating_mul(1_000_000);
    (per_second > 0).then(|| left / per_second)
}

fn table(fills: &[FillStatus]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby="backfill-table" {
            table {
                caption id="backfill-table" { "Backfill by service" }
                thead { tr {
                    th scope="col" { "service" }
                    th scope="col" { "segments" }
                    @for name in ["done", "copied", "superseded", "dead letters", "write units"] {
                        th.number scope="col" { (name) }
                    }
                } }
                tbody {
                    @for fill in fills {
                        @let done = share(fill.segments_done.into(), fill.segments.into());
                        @let is_watch = fill.lane == ShardRecord::WATCH;
                        tr {
                            th scope="row" { (fill.lane) }
                            td { progress max="1" value=(format!("{done:.4}")) aria-label={ "segments of " (fill.lane) } { (percent(done)) } }
                            td.number { (count(fill.segments_done.into())) "/" (count(fill.segments.into())) }
                            @if is_watch {
                                td.number { "-" } td.number { "-" }
                            } @else {
                                td.number { (count(fill.counters.put)) }
                                td.number { (count(fill.counters.superseded)) }
                            }
                            td.number { (count(fill.dead_letters)) }
                            td.number {
                                @if is_watch { "-" } @else {
                                    @if fill.counters.estimated_write_milliunits > 0 { "~" }
                                    (units(fill.counters.write_milliunits))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

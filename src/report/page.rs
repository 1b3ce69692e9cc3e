//! The page of a split: one HTML document that loads nothing.

use super::charts::charts;
use super::comparison::comparison;
use super::copying::copying;
use super::cost::{cost, so_far};
use super::events::events;
use super::figures::{dollars, moment, percent, prose, share};
use super::flow::flow;
use super::journal::journal;
use super::lanes::lanes;
use super::ledger::ledger;
use super::limits::limits;
use super::policy::{SCRIPT, STYLE, policy};
use super::standing::Standing;
use super::timeline::timeline;
use crate::model::{count, counted, duration};
use crate::status::{Phase, SplitStatus, Unnotified, told};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Seconds after which the live page is loaded again by a browser without scripts.
const RELOAD_SECONDS: u32 = 30;

/// The page. All names and texts are escaped, because they come from users.
#[must_use]
pub fn page(standing: &Standing) -> String {
    let split = &standing.status.split;
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(standing.is_live));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { (split) " · " (standing.status.phase.to_string()) " · dynasplit" }
                style { (PreEscaped(STYLE)) }
                @if standing.is_live {
                    noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
                }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                @if standing.is_live {
                    div.live {
                        p id="live" role="status" { "This page updates itself." }
                        button id="pause" type="button" hidden { "Pause updates" }
                    }
                }
                main id="content" tabindex="-1" { (content(standing)) }
                @if standing.is_live { script { (PreEscaped(SCRIPT)) } }
            }
        }
    };
    document.into_string()
}

/// What changes from one look to the next.
fn content(standing: &Standing) -> Markup {
    let status = &standing.status;
    html! {
        header {
            p.product { "dynasplit " (env!("CARGO_PKG_VERSION")) }
            h1 { (status.split) }
            p { strong.phase { (status.phase.to_string()) } " as of " (moment(status.read_ms)) }
        }
        (next(standing))
        (cards(standing))
        (flow(standing))
        (lanes(standing))
        (events(standing))
        (ledger(standing))
        (charts(standing))
        (timeline(standing))
        (copying(standing))
        (limits(standing))
        (comparison(standing))
        (journal(standing))
        (cost(standing))
        (processes(standing))
        footer {
            p { "The page shows names and counts. It contains no values of items. Times are in UTC." }
        }
    }
}

/// The obstacles, and the next command.
fn next(standing: &Standing) -> Markup {
    let status = &standing.status;
    let obstacles = told(&status.obstacles);
    let copyable = standing.copyable;
    html! {
        section.next aria-labelledby="next" {
            h2 id="next" { "Next" }
            p.command { (prose(&copyable(&status.next))) }
            @if obstacles.is_empty() && status.phase != Phase::Done {
                p { "Nothing is in the way of completing the split." }
            } @else if !obstacles.is_empty() {
                h3 { "In the way of completing" }
                ul { @for obstacle in &obstacles { li.obstacle { (prose(&copyable(obstacle))) } } }
            }
            @if !status.unnotified.is_empty() {
                h3 { "Notifications that do not get through" }
                ul { @for failing in &status.unnotified { li.obstacle { (unnotified(failing)) } } }
            }
        }
    }
}

fn unnotified(failing: &Unnotified) -> String {
    format!(
        "{} has received none for {} ({}): {}",
        failing.destination,
        duration(failing.since_ms_ago),
        counted(failing.attempts.into(), "attempt"),
        failing.reason
    )
}

/// A figure that a glance should find.
struct Card {
    title: &'static str,
    value: String,
    class: &'static str,
    note: String,
}

fn cards(standing: &Standing) -> Markup {
    let status = &standing.status;
    let all = [
        time_left(status),
        backfill(status),
        dead_letters(status),
        verify(status, standing.now_ms),
        Card {
            title: "Cost so far",
            value: dollars(so_far(standing)),
            class: "",
            note: "requests of backfill and tail".into(),
        },
    ];
    html! {
        section aria-labelledby="overview" {
            h2.hidden id="overview" { "Overview" }
            dl.cards {
                @for card in &all {
                    div class={ "card " (card.class) } {
                        dt { (card.title) }
                        dd.value { (card.value) }
                        dd.note { (card.note) }
                    }
                }
            }
        }
    }
}

fn time_left(status: &SplitStatus) -> Card {
    let title = "Until changes are lost";
    let lost = status.lanes.iter().find(|lane| lane.gap.is_some());
    if let Some(lane) = lost {
        return Card {
            title,
            value: "lost".into(),
            class: "bad",
            note: format!("{} has a gap", lane.lane),
        };
    }
    let lanes = status
        .lanes
        .iter()
        .filter_map(|lane| Some((lane.time_left_ms()?, lane)));
    match lanes.min_by_key(|(left, _)| *left) {
        Some((left_ms, lane)) => Card {
            title,
            value: duration(left_ms),
            class: if lane.lags_dangerously() { "bad" } else { "good" },
            note: format!("of 24 hours, lane {}", lane.lane),
        },
        None => Card {
            title,
            value: "-".into(),
            class: "",
            note: "no lane reads the stream".into(),
        },
    }
}

fn backfill(status: &SplitStatus) -> Card {
    let (done, all) = status.backfill.iter().fold((0, 0), |(done, all), fill| {
        (
            done + u64::from(fill.segments_done),
            all + u64::from(fill.segments),
        )
    });
    let is_finished = status
        .backfill_record
        .as_ref()
        .is_some_and(|record| record.finished_ms.is_some());
    Card {
        title: "Backfill",
        value: match (&status.backfill_record, is_finished) {
            (None, _) => "-".into(),
            (Some(_), true) => "finished".into(),
            (Some(_), false) => percent(share(done, all)),
        },
        class: if is_finished { "good" } else { "" },
        note: match &status.backfill_record {
            None => "not started".into(),
            Some(_) => format!("{} items read", count(status.scanned)),
        },
    }
}

fn dead_letters(status: &SplitStatus) -> Card {
    let open = status.dead_letters.values().sum::<u64>();
    Card {
        title: "Dead letters",
        value: count(open),
        class: if open > 0 { "bad" } else { "good" },
        note: "changes that could not be written".into(),
    }
}

fn verify(status: &SplitStatus, now_ms: u64) -> Card {
    let title = "Last verify";
    match &status.verify {
        None => Card {
            title,
            value: "-".into(),
            class: "",
            note: "nothing was verified".into(),
        },
        Some(verify) => Card {
            title,
            value: if verify.clean { "clean" } else { "not clean" }.into(),
            class: if verify.clean { "good" } else { "bad" },
            note: super::figures::ago(verify.ended_ms, now_ms),
        },
    }
}

/// The processes that give signs of life.
fn processes(standing: &Standing) -> Markup {
    let workers = &standing.status.workers;
    html! {
        section aria-labelledby="processes" {
            h2 id="processes" { "Processes" }
            @if workers.is_empty() { p { "No process works on the split." } } @else {
                div.scroll tabindex="0" role="region" aria-labelledby="processes-table" {
                    table {
                        caption id="processes-table" { "Processes with a heartbeat" }
                        thead { tr { th scope="col" { "kind" } th scope="col" { "last sign of life" } th scope="col" { "remarks" } } }
                        tbody {
                            @for worker in workers {
                                tr {
                                    th scope="row" { (worker.kind) }
                                    td { (duration(worker.seen_ms_ago)) " ago" @if worker.overdue { ", " strong.bad { "overdue" } } }
                                    td {
                                        @if let Some(other) = &worker.other_plan { (prose(&(standing.copyable)(other))) " " }
                                        @if let Some(chaos) = &worker.chaos { "chaos is on: " (chaos) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @for doing in &standing.status.running {
                p {
                    "Running: " strong { (doing.command) } ", " (doing.phase)
                    @if let Some(wait) = &doing.waits_for { ", waits until " (wait.until) }
                    "."
                }
            }
        }
    }
}

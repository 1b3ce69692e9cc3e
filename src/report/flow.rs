//! The flow of items from the source to the services, with the share of each.

use super::figures::{colour, percent, share};
use super::standing::Standing;
use crate::model::{count, counted};
use crate::state::ShardRecord;
use maud::{Markup, html};

/// The height of a row in the coordinates of the drawing.
const ROW: f64 = 100.0;
/// The part of a row that the widest ribbon takes.
const WIDEST: f64 = 0.8;
/// The thinnest ribbon, so that something is never shown as nothing.
const THINNEST: f64 = 2.0;

/// Where items go.
struct Branch {
    name: String,
    table: String,
    items: u64,
    class: String,
}

/// The section.
pub(super) fn flow(standing: &Standing) -> Markup {
    let (branches, unit) = branches(standing);
    let total: u64 = branches.iter().map(|branch| branch.items).sum();
    html! {
        section aria-labelledby="flow" {
            h2 id="flow" { "Where the items go" }
            @if total == 0 {
                p { "Nothing has been copied or applied yet." }
            } @else {
                p.note { "Shares of the " (unit) " that were read from the source so far." }
            }
            div.flow {
                div.from {
                    strong { (standing.source) }
                    span { (counted(total, if unit == "items" { "item" } else { "change" })) }
                }
                div.ribbons { (ribbons(&branches, total)) }
                ul.to {
                    @for branch in &branches {
                        li class=(branch.class) {
                            strong title=(branch.name) { (branch.name) }
                            span title=(branch.table) { (branch.table) }
                            span { (percent(share(branch.items, total))) " · " (count(branch.items)) }
                        }
                    }
                }
            }
        }
    }
}

/// The branches, and what is counted: items of the backfill, or changes of the stream before there is one.
fn branches(standing: &Standing) -> (Vec<Branch>, &'static str) {
    let status = &standing.status;
    let copied = |lane: &str| {
        let fill = status.backfill.iter().find(|fill| fill.lane == lane)?;
        Some(fill.counters)
    };
    let applied = |lane: &str| {
        let lane = status.lanes.iter().find(|found| found.lane == lane)?;
        Some(lane.counters)
    };
    let is_copied = status.scanned > 0;
    let counters = |lane: &str| {
        let found = if is_copied { copied(lane) } else { applied(lane) };
        found.unwrap_or_default()
    };
    let mut branches: Vec<Branch> = standing
        .services
        .iter()
        .enumerate()
        .map(|(place, service)| {
            let counters = counters(&service.name);
            Branch {
                name: service.name.clone(),
                table: service.table.clone(),
                items: counters.put
                    + counters.removed
                    + counters.superseded
                    + counters.unchanged
                    + counters.dead_letters,
                class: colour(place),
            }
        })
        .collect();
    let watch = counters(ShardRecord::WATCH);
    for (name, table, items, class) in [
        (
            "left behind",
            "on purpose, in no new table",
            watch.left_behind,
            "left",
        ),
        ("no service", "dead letters", watch.dead_letters, "bad"),
    ] {
        if items > 0 {
            branches.push(Branch {
                name: name.to_owned(),
                table: table.to_owned(),
                items,
                class: class.to_owned(),
            });
        }
    }
    (branches, if is_copied { "items" } else { "changes" })
}

/// The drawing stretches to the rows beside it, so it has no text.
fn ribbons(branches: &[Branch], total: u64) -> Markup {
    #[allow(clippy::cast_precision_loss)] // some services
    let height = branches.len().max(1) as f64 * ROW;
    let widest = branches.iter().map(|branch| branch.items).max().unwrap_or(0);
    let width = |items: u64| match items {
        0 => 0.0,
        items => (share(items, widest) * ROW * WIDEST).max(THINNEST),
    };
    let all: f64 = branches.iter().map(|branch| width(branch.items)).sum();
    let mut left = (height - all) / 2.0;
    let mut row = 0.0;
    let paths: Vec<(&str, String)> = branches
        .iter()
        .map(|branch| {
            let width = width(branch.items);
            let right = row + (ROW - width) / 2.0;
            let path = format!(
                "M0 {left:.1} C50 {left:.1} 50 {right:.1} 100 {right:.1} V{:.1} C50 {:.1} 50 {:.1} 0 {:.1} Z",
                right + width,
                right + width,
                left + width,
                left + width
            );
            left += width;
            row += ROW;
            (branch.class.as_str(), path)
        })
        .collect();
    html! {
        svg aria-hidden="true" focusable="false" viewBox={ "0 0 100 " (height) } preserveAspectRatio="none" {
            @if total > 0 {
                @for (class, path) in &paths { path class={ "ribbon " (class) } d=(path) {} }
            }
        }
    }
}

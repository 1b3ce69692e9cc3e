//! What `dynasplit plan` prints for people: the survey as sections of plain text.

mod cutover;
mod layout;
mod patterns;
mod preparation;

use super::next::copyable;
use super::text::{bytes, count as number, counted};
use crate::cutover::Preparation;
use crate::plan::Cutover;
use crate::source::{Billing, StreamState};
use crate::survey::{
    CollisionView, Estimate, OrderEstimate, Reading, Routing, Severity, StateStatus, Survey, TableSize,
    TableView, TargetStatus, VersionView,
};
use console::Style;
use layout::{Align, Page, hours, key, more, percent, visible};

/// Shapes of keys that are shown.
const SHAPES: usize = 10;
/// Differences of a table that are shown.
const DIFFERENCES: usize = 20;

/// The survey as text for a terminal of this width.
#[must_use]
pub fn render(survey: &Survey, width: usize, color: bool) -> String {
    let mut page = Page::new(width, color);
    let title = page.bold(&format!("Plan {}", survey.split));
    page.say(&format!("{title}: based on the live source. Nothing was written"));
    source(&mut page, survey);
    if let (Some(routing), Some(reading), Some(size)) = (&survey.routing, &survey.reading, &survey.size) {
        routes(&mut page, routing, reading, size);
        patterns::patterns(&mut page, routing);
        unrouted(&mut page, routing);
        faults(&mut page, routing);
    }
    tables(&mut page, survey);
    stream(&mut page, survey);
    if let Some(estimate) = &survey.estimate {
        costs(&mut page, estimate);
    }
    cutover::cutover(&mut page, &survey.cutover);
    preparation::preparation(&mut page, &survey.preparation);
    findings(&mut page, survey);
    page.into_text()
}

/// What the plan says of the cutover of each service, as text for a terminal of this width.
pub(super) fn render_cutover(services: &[Cutover], width: usize, color: bool) -> String {
    let mut page = Page::new(width, color);
    cutover::cutover(&mut page, services);
    page.into_text()
}

/// What a cutover of each service would refuse now, as text for a terminal of this width.
pub(super) fn render_preparation(services: &[Preparation], width: usize, color: bool) -> String {
    let mut page = Page::new(width, color);
    preparation::preparation(&mut page, services);
    page.into_text()
}

fn source(page: &mut Page, survey: &Survey) {
    let source = &survey.source;
    let billing = match source.billing {
        Billing::OnDemand => "on demand".to_owned(),
        Billing::Provisioned { read, write } => format!("provisioned ({read} read, {write} write units/s)"),
    };
    let region = source.arn.split(':').nth(3).unwrap_or_default();
    page.heading("Source", "");
    page.wrapped(
        "  table     ",
        &format!("{} ({region}), {}, {billing}", source.table, source.status),
    );
    page.wrapped(
        "  holds     ",
        &format!(
            "{}, {} (DescribeTable: up to six hours old)",
            counted(source.item_count, "item"),
            bytes(source.bytes)
        ),
    );
    if let Some(reading) = &survey.reading {
        let what = match (reading.whole, reading.places) {
            (true, _) => "every item".to_owned(),
            (false, places) => format!("a sample from {}", counted(places as u64, "place")),
        };
        page.wrapped(
            "  read      ",
            &format!(
                "{}, {}: {what}; it took {}",
                counted(reading.items, "item"),
                bytes(reading.bytes),
                counted(reading.read_units, "read unit")
            ),
        );
    }
    let versions = match &survey.versions {
        VersionView::Timestamp { attribute } => format!("the newest '{attribute}' wins"),
        VersionView::Sequence => "the stream's order (sequence mode)".to_owned(),
    };
    page.wrapped("  versions  ", &versions);
}

fn routes(page: &mut Page, routing: &Routing, reading: &Reading, size: &TableSize) {
    let scope = if reading.whole {
        "of all items; bytes as stored in the targets"
    } else {
        "of the sample; bytes as stored in the targets; ~ estimated for the whole table"
    };
    page.heading("Where the items go", scope);
    let mut heads = vec![
        ("service", Align::Left),
        ("items", Align::Right),
        ("of all", Align::Right),
        ("bytes", Align::Right),
    ];
    if !reading.whole {
        heads.extend([("~ items", Align::Right), ("~ bytes", Align::Right)]);
    }
    heads.extend([("can't be written", Align::Right), ("keys", Align::Left)]);
    let mut rows = Vec::new();
    for service in &routing.services {
        let mut row = vec![
            service.service.clone(),
            number(service.routed),
            percent(service.routed, reading.items),
            bytes(service.written.bytes),
        ];
        if !reading.whole {
            row.extend([number(service.whole.items), bytes(service.whole.bytes)]);
        }
        row.extend([number(service.faulty()), collisions(&service.collisions)]);
        rows.push(row);
    }
    for (name, count) in [
        ("left behind", routing.left_behind),
        ("no service", routing.unrouted),
    ] {
        let mut row = vec![
            format!("({name})"),
            number(count.items),
            percent(count.items, reading.items),
            bytes(count.bytes),
        ];
        if !reading.whole {
            let whole = count.times(size.factor);
            row.extend([number(whole.items), bytes(whole.bytes)]);
        }
        rows.push(row);
    }
    page.table(&heads, &rows);
    for overlap in &routing.overlaps {
        let [first, second] = &overlap.services;
        page.say(&format!(
            "  {} of them go to both {first} and {second}",
            number(overlap.items)
        ));
    }
}

fn collisions(view: &CollisionView) -> String {
    match view {
        CollisionView::Proven => "distinct (proven)".to_owned(),
        CollisionView::Compared { found: 0, share, .. } if *share < 1.0 => {
            format!("no collision in {:.1} %", share * 100.0)
        }
        CollisionView::Compared { found: 0, .. } => "no collision (vouched)".to_owned(),
        CollisionView::Compared { found, .. } => counted(*found, "collision"),
    }
}

fn unrouted(page: &mut Page, routing: &Routing) {
    if routing.unrouted.items == 0 {
        return;
    }
    page.heading("What no service takes", "by the shape of the key");
    let shapes = &routing.unrouted_shapes;
    let rows: Vec<Vec<String>> = shapes.iter().take(SHAPES).map(group_row).collect();
    let heads = [
        ("key", Align::Left),
        ("items", Align::Right),
        ("as in", Align::Left),
    ];
    page.table(&heads, &rows);
    more(page, shapes.len(), SHAPES);
}

fn group_row(group: &crate::survey::Group) -> Vec<String> {
    let keys: Vec<String> = group
        .examples
        .iter()
        .take(2)
        .map(|each| key(&each.text))
        .collect();
    vec![visible(&group.what), number(group.items), keys.join("; ")]
}

fn faults(page: &mut Page, routing: &Routing) {
    let mut groups = Vec::new();
    for service in &routing.services {
        groups.extend(
            service
                .faults
                .iter()
                .map(|group| (service.service.as_str(), group)),
        );
    }
    groups.extend(routing.unversioned.iter().map(|group| ("versions", group)));
    if groups.is_empty() {
        return;
    }
    page.heading("Items that do not fit", "");
    for (whose, group) in groups {
        page.wrapped(
            "  ",
            &format!("{whose}: {} x {}", number(group.items), visible(&group.what)),
        );
        for example in group.examples.iter().take(3) {
            let line = page.dim(&format!("      {}", key(&example.text)));
            page.say(&line);
        }
    }
}

fn tables(page: &mut Page, survey: &Survey) {
    page.heading("Target tables", "");
    let rows: Vec<Vec<String>> = survey.tables.iter().map(table_row).collect();
    let heads = [
        ("service", Align::Left),
        ("table", Align::Left),
        ("what is there", Align::Left),
    ];
    page.table(&heads, &rows);
    for table in &survey.tables {
        table_details(page, table);
    }
    let state = match &survey.state.status {
        StateStatus::Unknown => "would be created",
        StateStatus::Begun => "exists: the split has begun",
        StateStatus::Wider { .. } => "exists: the split has begun; `left-behind` would be widened",
        StateStatus::Refused { .. } => "exists, and does not match this plan",
    };
    page.say(&format!("  state table {}: {state}", survey.state.table));
}

fn table_row(table: &TableView) -> Vec<String> {
    let status = match &table.status {
        TargetStatus::Missing if table.adopted => "missing, and adopted".to_owned(),
        TargetStatus::Missing => "nothing: would be created".to_owned(),
        TargetStatus::Same { pending, .. } if pending.is_empty() => "as planned".to_owned(),
        TargetStatus::Same { pending, .. } => format!("as planned; would be added: {}", pending.join(", ")),
        TargetStatus::Differs { .. } => "differs from the plan".to_owned(),
    };
    let holds = if table.empty == Some(false) {
        "; holds items"
    } else {
        ""
    };
    let name = match &table.region {
        Some(region) => format!("{} ({region})", table.table),
        None => table.table.clone(),
    };
    vec![table.service.clone(), name, format!("{status}{holds}")]
}

fn table_details(page: &mut Page, table: &TableView) {
    match &table.status {
        TargetStatus::Differs { differences } => {
            page.blank();
            page.say(&format!("  {} differs:", table.table));
            let rows: Vec<Vec<String>> = differences
                .iter()
                .take(DIFFERENCES)
                .map(|each| {
                    vec![
                        format!("  {}", each.what),
                        each.planned.clone(),
                        each.actual.clone(),
                    ]
                })
                .collect();
            let heads = [
                ("  what", Align::Left),
                ("planned", Align::Left),
                ("actual", Align::Left),
            ];
            page.table(&heads, &rows);
            more(page, differences.len(), DIFFERENCES);
            page.blank();
        }
        TargetStatus::Same { notes, .. } => {
            for note in notes {
                page.wrapped("  ", &format!("{}: {note}", table.table));
            }
        }
        TargetStatus::Missing => {}
    }
}

fn stream(page: &mut Page, survey: &Survey) {
    let view = &survey.stream;
    page.heading("Stream", "");
    let state = match &view.state {
        StreamState::Off => "off: `dynasplit apply` switches it on, with both images".to_owned(),
        StreamState::Starting => "being switched on".to_owned(),
        StreamState::On { label, .. } => format!("on with both images, since {label}"),
        StreamState::WrongView { view, .. } => format!("on with the view {view}, which a split can't use"),
    };
    page.say(&format!("  {state}"));
    if let (Some(open), Some(all)) = (view.open_shards, view.shards) {
        page.say(&format!(
            "  {} open, {all} in the last 24 hours",
            counted(open as u64, "shard")
        ));
    }
    if !survey.source.replicas.is_empty() {
        page.say(&format!(
            "  a global table with {}",
            survey.source.replicas.join(", ")
        ));
    }
}

fn costs(page: &mut Page, estimate: &Estimate) {
    let prices = &estimate.prices;
    page.heading(
        "Estimate",
        &format!(
            "US dollars, on-demand prices of {}, {}",
            prices.region, prices.as_of
        ),
    );
    let units = |count: u64, other: u64| {
        if count == 0 && other > 0 {
            String::new()
        } else {
            number(count)
        }
    };
    let rows: Vec<Vec<String>> = estimate
        .lines
        .iter()
        .map(|line| {
            vec![
                line.what.clone(),
                units(line.read_units, line.write_units),
                units(line.write_units, line.read_units),
                line.dollars
                    .map_or("by the hour".to_owned(), |dollars| format!("{dollars:.2}")),
                line.hours.map_or(String::new(), hours),
                line.bound.clone(),
            ]
        })
        .collect();
    let heads = [
        ("step", Align::Left),
        ("read units", Align::Right),
        ("write units", Align::Right),
        ("$", Align::Right),
        ("time", Align::Right),
        ("at", Align::Left),
    ];
    page.table(&heads, &rows);
    page.say(&format!(
        "  together ${:.2}; the backfill takes {}, and a stream keeps 24 h",
        estimate.dollars,
        hours(estimate.backfill_hours),
    ));
    let heads = [
        ("order of the backfill", Align::Left),
        ("$", Align::Right),
        ("time", Align::Right),
        ("requests", Align::Right),
        ("the lanes meanwhile", Align::Left),
    ];
    let rows: Vec<Vec<String>> = estimate.orders.iter().map(order).collect();
    page.table(&heads, &rows);
    for order in &estimate.orders {
        if let Some(reason) = &order.not_possible {
            page.wrapped("  - ", &format!("not {}: {reason}", order.order));
        }
    }
    page.say(&format!(
        "  one core needs {} to send the backfill's writes",
        hours(estimate.core_hours)
    ));
    page.say(&format!(
        "  reading the stream while it is quiet: ${:.2} a day",
        estimate.stream_dollars_per_day
    ));
    for note in &estimate.notes {
        page.wrapped("  - ", note);
    }
    page.wrapped(
        "  - ",
        &format!(
            "prices change: these are from {}; use --prices FILE for others",
            prices.source
        ),
    );
}

fn order(order: &OrderEstimate) -> Vec<String> {
    let lanes = match order.lanes_wait {
        true => "are on hold",
        false => "apply changes",
    };
    vec![
        order.order.to_string(),
        order
            .dollars
            .map_or("by the hour".to_owned(), |dollars| format!("{dollars:.2}")),
        hours(order.hours),
        number(order.requests),
        lanes.to_owned(),
    ]
}

fn findings(page: &mut Page, survey: &Survey) {
    let count = |severity| {
        survey
            .findings
            .iter()
            .filter(|each| each.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    page.heading("Findings", "");
    let mut following = survey.findings.iter().skip(1);
    for finding in &survey.findings {
        let (word, style) = match finding.severity {
            Severity::Error => ("error   ", Style::new().red().bold()),
            Severity::Warning => ("warning ", Style::new().yellow().bold()),
            Severity::Note => ("note    ", Style::new().cyan()),
        };
        let head = format!("  {}", page.paint(style, word));
        let mut head = head.as_str();
        // A list of settings has a line for each.
        for line in finding.what.lines() {
            page.wrapped(head, &copyable(&visible(line.trim_start())));
            head = "          ";
        }
        // What several have in common is said once, after the last of them.
        let next = following.next().and_then(|next| next.hint.as_ref());
        if let Some(hint) = finding.hint.as_ref().filter(|hint| next != Some(*hint)) {
            page.wrapped("          ", &format!("-> {}", copyable(hint)));
        }
    }
    page.blank();
    let verdict = if survey.would_fail() {
        format!(
            "{errors} {}: correct the plan, the items or the tables, then run `dynasplit plan` again.",
            if errors == 1 {
                "problem was found"
            } else {
                "problems were found"
            }
        )
    } else {
        let careful = match warnings {
            0 => String::new(),
            1 => " (read the warning first)".to_owned(),
            n => format!(" (read the {n} warnings first)"),
        };
        let next = match survey.state.status {
            StateStatus::Begun => "`dynasplit status`, or `dynasplit apply` if the plan has a new service",
            StateStatus::Unknown | StateStatus::Wider { .. } | StateStatus::Refused { .. } => {
                "`dynasplit apply`"
            }
        };
        format!("No problem was found{careful}. Next: {next}.")
    };
    page.say(&page.bold(&copyable(&verdict)));
}

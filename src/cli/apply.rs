//! The command `apply`.

use super::args::{Apply, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::table::table;
use super::{output, screen};
use crate::ledger::LedgerBucket;
use crate::lifecycle::{ApplyOptions, ApplyReport, apply};
use crate::status::split_status_with_worker;

/// Runs `apply`.
pub async fn run(global: &Global, args: &Apply) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    output::warn(&split.plan);
    let options = ApplyOptions {
        enable_stream: args.enable_stream,
        for_import: args.for_import,
    };
    let report = apply(&split, options, &screen::say).await?;
    let next = split_status_with_worker(&split).await?.next;
    output::print_with_next(global, &report, &next, render)?;
    Ok(Exit::Done)
}

pub(super) fn render(report: &ApplyReport, next: &str) -> String {
    let done = |now: bool| if now { "created" } else { "exists" };
    let mut rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|table| {
            vec![
                table.service.clone(),
                table.table.clone(),
                match table.awaits_import {
                    true => "left to an import".into(),
                    false => done(table.created).into(),
                },
            ]
        })
        .collect();
    rows.push(vec![
        "(state)".into(),
        report.state_table.clone(),
        done(report.state_created).into(),
    ]);
    let stream = if report.stream_enabled {
        "switched on"
    } else {
        "on"
    };
    let mut lines = vec![
        table(&["for", "table", "state"], rows),
        format!("stream of the source: {stream}"),
    ];
    for table in &report.tables {
        lines.extend(
            table
                .added
                .iter()
                .map(|added| format!("{}: added {added}", table.table)),
        );
        lines.extend(
            table
                .notes
                .iter()
                .map(|note| format!("{}: note: {note}", table.table)),
        );
    }
    if let Some(change) = &report.widened {
        lines.push(format!("`left-behind` was widened: {change}"));
    }
    lines.extend(report.ledger.iter().flat_map(LedgerBucket::notes));
    lines.push(format!("next: {next}"));
    lines.join("\n")
}

//! The tables of the report.

use super::{figure, table};
use crate::args::Args;
use crate::chapters::SMALL;
use crate::contender::Contender;
use crate::results::{Case, Results, median};
use crate::stage::Engine;

/// All of them, with their headings.
pub fn all(args: &Args, results: &Results) -> Vec<String> {
    let mut parts = Vec::new();
    for engine in [Engine::Null, Engine::Embedded] {
        for items in results.sizes(engine) {
            let cases = results.side_by_side(engine, items);
            if cases.len() > 1 {
                parts.push(copies(engine, items, &cases));
            }
        }
    }
    parts.extend(services(results));
    parts.extend(growth(results));
    parts.extend(beside(results));
    parts.extend(verify(results));
    parts.extend(tail(args, results));
    if !args.patient && !args.no_peers && args.items.last().is_some_and(|items| *items > SMALL) {
        parts.push(format!(
            "Above {} items, the conditional script, dynamodump and copy-dynamodb-table were left out: `--patient` takes \
             them in.",
            figure(SMALL as f64)
        ));
    }
    parts
}

fn copies(engine: Engine, items: u64, cases: &[&Case]) -> String {
    let head = [
        "",
        "items/s",
        "CPU s per million",
        "peak MiB",
        "requests per 1,000",
        "RCU per item",
        "WCU per item",
        "whole run, s",
        "runs",
    ];
    let row = |case: &&Case| {
        vec![
            case.contender.to_string(),
            figure(case.items_per_second()),
            figure(case.cpu_per_million()),
            figure(case.peak_mib()),
            figure(case.requests_per_thousand()),
            figure(case.source_reads()),
            figure(case.target_writes()),
            figure(case.wall_seconds()),
            case.copies.len().to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
    format!(
        "### {} items of 1 KB to one table, {}\n\n{}",
        figure(items as f64),
        engine.name(),
        table(&head, &rows)
    )
}

fn services(results: &Results) -> Option<String> {
    let several = results.cases.iter().filter(|case| case.services > 1);
    let sizes: Vec<u64> = several.map(|case| case.items).collect();
    let of_tool = |case: &&Case| {
        case.engine == Engine::Null && sizes.contains(&case.items) && case.contender.is_product()
    };
    let mut cases: Vec<&Case> = results.cases.iter().filter(of_tool).collect();
    cases.retain(|case| case.contender != Contender::Singly);
    cases.sort_by_key(|case| (case.items, case.contender, case.services));
    if cases.is_empty() {
        return None;
    }
    let row = |case: &&Case| {
        vec![
            case.contender.to_string(),
            figure(case.items as f64),
            case.services.to_string(),
            figure(case.items_per_second()),
            figure(case.cpu_per_million()),
            figure(case.peak_mib()),
            figure(case.requests_per_thousand()),
            format!("{:.4}", case.source_reads()),
            figure(case.target_writes()),
        ]
    };
    let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
    let head = [
        "",
        "items",
        "services",
        "items/s",
        "CPU s per million",
        "peak MiB",
        "requests per 1,000",
        "RCU per item",
        "WCU per item",
    ];
    Some(format!(
        "### To several services, null endpoint\n\n{}",
        table(&head, &rows)
    ))
}

/// How cost grows with the table.
fn growth(results: &Results) -> Option<String> {
    let sizes = results.sizes(Engine::Null);
    if sizes.len() < 2 {
        return None;
    }
    let mut rows = Vec::new();
    let largest = results.side_by_side(Engine::Null, *sizes.last()?);
    for contender in largest.iter().map(|case| case.contender) {
        let cases: Vec<Option<&Case>> = sizes
            .iter()
            .map(|items| results.find(Engine::Null, *items, 1, contender))
            .collect();
        let mut row = vec![contender.to_string()];
        let cell = |case: &Option<&Case>, of: fn(&Case) -> f64| {
            case.map_or_else(|| "-".to_owned(), |case| figure(of(case)))
        };
        row.extend(cases.iter().map(|case| cell(case, Case::cpu_per_million)));
        row.push(further(&cases).map_or_else(|| "-".to_owned(), figure));
        row.extend(cases.iter().map(|case| cell(case, Case::peak_mib)));
        rows.push(row);
    }
    let cpu = sizes
        .iter()
        .map(|items| format!("CPU s per million at {}", figure(*items as f64)));
    let peak = sizes
        .iter()
        .map(|items| format!("peak MiB at {}", figure(*items as f64)));
    let head = std::iter::once(String::new()).chain(cpu);
    let head: Vec<String> = head
        .chain(["for each further million".to_owned()])
        .chain(peak)
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    Some(format!(
        "### How cost grows, null endpoint\n\n{}",
        table(&head, &rows)
    ))
}

/// CPU seconds for a million more items, from the smallest table to the largest: without what each run costs as such.
#[allow(clippy::cast_precision_loss)] // counts of a benchmark
fn further(cases: &[Option<&Case>]) -> Option<f64> {
    let mut measured = cases.iter().flatten();
    let (first, last) = (measured.next()?, measured.next_back()?);
    let seconds = |case: &Case| case.cpu_per_million() * case.items as f64 / 1e6;
    Some((seconds(last) - seconds(first)) * 1e6 / (last.items - first.items) as f64)
}

/// What a backfill costs beside its copies.
fn beside(results: &Results) -> Option<String> {
    let tools: Vec<&Case> = results
        .cases
        .iter()
        .filter(|case| case.contender.is_product())
        .collect();
    let row = |case: &&Case| {
        vec![
            case.contender.to_string(),
            case.engine.name().to_owned(),
            figure(case.items as f64),
            case.services.to_string(),
            figure(case.other_requests()),
            figure(case.other_reads()),
            figure(case.other_writes()),
            figure(case.copies.iter().map(|copy| copy.refused).max().unwrap_or(0) as f64),
            figure(case.cpu_beside()),
        ]
    };
    let rows: Vec<Vec<String>> = tools.iter().map(row).collect();
    let head = [
        "",
        "on",
        "items",
        "services",
        "other requests",
        "other RCU per item",
        "other WCU, in all",
        "refused",
        "CPU s of replicate",
    ];
    (!rows.is_empty()).then(|| {
        format!(
            "### What a backfill costs beside its copies\n\nOther requests and units are those of the sweep (a consistent \
             scan of the targets), of the state table and of the stream, which `replicate` reads meanwhile; its CPU is \
             from its own start to its end.\n\n{}",
            table(&head, &rows)
        )
    })
}

fn verify(results: &Results) -> Option<String> {
    let row = |(engine, runs): &(Engine, Vec<crate::verify::Verified>)| {
        let items = runs.first().map_or(0, |run| run.items) as f64;
        let each = |of: &dyn Fn(&crate::verify::Verified) -> f64| median(runs.iter().map(of));
        vec![
            figure(items),
            engine.name().to_owned(),
            format!(
                "{:.4}",
                each(&|run| run.source_milliunits as f64 / 1000.0 / items)
            ),
            format!(
                "{:.4}",
                each(&|run| run.target_milliunits as f64 / 1000.0 / items)
            ),
            format!("{:.4}", each(&|run| run.point_milliunits as f64 / 1000.0 / items)),
            format!("{:.3}", each(&crate::verify::Verified::share)),
            figure(each(&|run| run.used.cpu_seconds * 1e6 / items)),
            figure(each(&|run| run.used.peak_bytes as f64 / f64::from(1 << 20))),
            figure(each(&|run| run.used.wall_seconds)),
        ]
    };
    let rows: Vec<Vec<String>> = results.verified.iter().map(row).collect();
    let head = [
        "items",
        "on",
        "RCU per item, source",
        "RCU per item, target",
        "RCU per item, point reads of both",
        "share",
        "CPU s per million",
        "peak MiB",
        "s",
    ];
    (!rows.is_empty()).then(|| format!("### Verify\n\n{}", table(&head, &rows)))
}

fn tail(args: &Args, results: &Results) -> Option<String> {
    let mut parts = Vec::new();
    let row = |(null_targets, runs): &(bool, Vec<crate::tail::CatchUp>)| {
        let each = |of: &dyn Fn(&crate::tail::CatchUp) -> f64| median(runs.iter().map(of));
        let records = |run: &crate::tail::CatchUp| run.records as f64;
        let targets = match null_targets {
            true => Engine::Null,
            false => Engine::Embedded,
        };
        vec![
            targets.name().to_owned(),
            figure(each(&records)),
            figure(each(&|run| records(run) / run.seconds)),
            figure(each(&|run| run.used.cpu_seconds * 1e6 / records(run))),
            figure(each(&|run| run.used.peak_bytes as f64 / f64::from(1 << 20))),
            figure(each(&|run| run.requests as f64 * 1000.0 / records(run))),
            figure(each(&|run| run.write_milliunits as f64 / 1000.0 / records(run))),
        ]
    };
    let rows: Vec<Vec<String>> = results.caught_up.iter().map(row).collect();
    if !rows.is_empty() {
        let head = [
            "targets",
            "records",
            "records/s",
            "CPU s per million",
            "peak MiB",
            "requests per 1,000",
            "WCU per record",
        ];
        parts.push(format!(
            "### Catching up\n\n`replicate` works off a backlog of records of different items, from the embedded engine's \
             stream.\n\n{}",
            table(&head, &rows)
        ));
    }
    if !results.lags.is_empty() {
        let each = |share: f64| figure(median(results.lags.iter().map(|lag| lag.at(share))));
        let rate = median(results.lags.iter().map(|lag| lag.rate));
        let row = vec![figure(rate), each(0.5), each(0.9), each(0.99), each(1.0)];
        let head = ["writes/s", "median ms", "p90 ms", "p99 ms", "worst ms"];
        parts.push(format!(
            "### Lag at a steady load\n\nFrom the answer to a write of the source to the answer to its write of the target, \
             both seen at the server, over {} s. A shard is read twice a second at rest.\n\n{}",
            args.load_seconds,
            table(&head, &[row])
        ));
    }
    (!parts.is_empty()).then(|| parts.join("\n\n"))
}

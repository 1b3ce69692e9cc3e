//! The command `rehearse`.

use super::args::{Global, Order, Rehearse};
use super::chaos;
use super::exit::Exit;
use super::failure::Failed;
use super::progress::{Bar, Progress, Shown};
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::{Row, table};
use super::{output, screen, text};
use crate::dynamo::{Endpoint, Timing};
use crate::model::BuildPart;
use crate::plan::Plan;
use crate::rehearse::{
    CutoverRehearsal, ImportRehearsal, LedgerRehearsal, Rehearsal, RehearseOptions, RehearseReport,
    RehearseView, RehearsedStep,
};
use tokio_util::sync::CancellationToken;

/// Runs `rehearse`.
pub async fn run(global: &Global, args: &Rehearse, stop: CancellationToken) -> Result<Exit, Failed> {
    if args.order == Order::Import || args.ledger {
        let needed = BuildPart::RehearseS3.needed();
        needed.map_err(|missing| Failed::of(Exit::Usage, missing.to_string()))?;
    }
    let plan = Plan::load(&args.plan)?;
    output::warn(&plan);
    let options = RehearseOptions {
        endpoint: global.endpoint_url.as_ref().map(|_| local_endpoint(global)),
        items: args.items,
        writes_per_second: args.writes_per_second,
        seed: args.seed.unwrap_or_else(|| rand::random::<u32>().into()),
        seconds: args.seconds,
        sample: args.sample.clone(),
        timing: output::timing(global, Timing::LOCAL),
        keep: args.keep_tables,
        order: args.order.into(),
        chaos: args.chaos,
        cutover: args.cutover,
        rounds: args.rounds,
        ledger: args.ledger.then_some(args.outage),
    };
    if args.writes_per_second == 0 {
        let needs = match (args.cutover, args.ledger) {
            (true, _) => "--cutover moves live writers",
            (_, true) => "--ledger shows that their changes are kept",
            (false, false) => "",
        };
        if !needs.is_empty() {
            let said = format!("{needs}, so --writes-per-second must be at least 1");
            return Err(Failed::of(Exit::Usage, said));
        }
    }
    if let Some(chaos) = args.chaos {
        let checked = chaos.check(options.timing.lease);
        checked.map_err(|error| Failed::of(Exit::Usage, format!("--chaos: {error}")))?;
        chaos::announce(chaos);
    }
    screen::say(&format!(
        "rehearsing {} (seed {})",
        args.plan.display(),
        options.seed
    ));
    if let Some(unsent) = unsent(&plan, args.ledger) {
        screen::say(&format!(
            "the plan has {unsent}: a rehearsal sends nothing to others, so it does not test them"
        ));
    }
    let (rehearsal, view) = Rehearsal::new(plan, options, stop);
    let progress = Progress::of(view);
    let result = stoppable(&global.session, GRACE, Box::pin(rehearsal.run())).await;
    progress.end().await;
    let report = result?;
    output::print(global, &report, render)?;
    Ok(if report.clean { Exit::Done } else { Exit::NotClean })
}

/// What a plan sends to others, and a rehearsal does not.
fn unsent(plan: &Plan, ledger: bool) -> Option<String> {
    let unsent = [
        plan.with_events().next().map(|_| "`events`"),
        plan.notify.as_ref().map(|_| "`notify`"),
        plan.ledger.as_ref().filter(|_| !ledger).map(|_| "`ledger`"),
    ];
    let unsent: Vec<&str> = unsent.into_iter().flatten().collect();
    match unsent.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        [rest @ .., last] => Some(format!("{} and {last}", rest.join(", "))),
    }
}

/// Without credentials in the environment, dummy ones: local engines ask for some and check none.
fn local_endpoint(global: &Global) -> Endpoint {
    let given = global.profile.is_some() || std::env::var_os("AWS_ACCESS_KEY_ID").is_some();
    Endpoint {
        anonymous: !given,
        ..output::endpoint(global)
    }
}

pub(super) fn render(report: &RehearseReport) -> String {
    let services: Vec<Row> = text::services(&report.lanes)
        .map(|lane| {
            let fill = report.backfill.lanes.iter().find(|fill| fill.lane == lane.lane);
            let verified = report
                .verify
                .report
                .services
                .iter()
                .find(|service| service.service == lane.lane);
            let filled = fill.map(|fill| fill.counters).unwrap_or_default();
            let row = Row::from(vec![
                lane.lane.clone(),
                verified.map_or("-".into(), |verified| text::count(verified.found)),
                text::count(filled.put),
                text::count(lane.counters.put),
                text::count(lane.counters.removed),
                text::count(lane.counters.superseded + filled.superseded),
                text::count(lane.counters.unchanged),
                report
                    .backfill
                    .swept
                    .get(&lane.lane)
                    .copied()
                    .map_or("-".into(), text::count),
                report
                    .most_lag_ms
                    .get(&lane.lane)
                    .copied()
                    .map_or("-".into(), text::duration),
            ]);
            match verified.map_or(0, |verified| verified.mismatches.faults()) {
                0 => row,
                1 => row.note("1 mismatch"),
                found => row.note(format!("{} mismatches", text::count(found))),
            }
        })
        .collect();
    let head = [
        "service",
        "items",
        "copied",
        "put",
        "removed",
        "superseded",
        "unchanged",
        "swept",
        "most lag",
    ];
    let writes = &report.writes;
    let mut lines = Vec::new();
    // After a cutover of every service, no lane copies anything.
    if !services.is_empty() {
        lines.extend([table(&head, services), String::new()]);
    }
    lines.extend([
        format!(
            "engine {}; {} loaded; the live writers wrote {} ({} created, {} updated, {} replaced, {} deleted, {} created again)",
            report.engine,
            text::counted(report.loaded, "item"),
            text::count(writes.writes()),
            text::count(writes.creates),
            text::count(writes.updates),
            text::count(writes.replaces),
            text::count(writes.deletes),
            text::count(writes.recreates),
        ),
        format!(
            "the lanes caught up {} after the last write; {} in all; seed {}",
            text::duration(report.catch_up_ms),
            super::text::elapsed(std::time::Duration::from_secs_f64(report.seconds)),
            report.seed
        ),
    ]);
    lines.extend(
        report
            .dead_letters
            .iter()
            .map(|(service, n)| format!("{service}: {}", text::counted(*n, "dead letter"))),
    );
    lines.extend(
        report
            .verify
            .mismatches
            .iter()
            .take(10)
            .map(|mismatch| format!("  {mismatch}")),
    );
    lines.extend(report.import.iter().flat_map(render_import));
    lines.extend(report.ledger.iter().flat_map(render_ledger));
    lines.extend(report.stand_ins.iter().map(|what| format!("stand-in for {what}")));
    lines.extend(report.cutover.iter().flat_map(render_cutover));
    lines.push(if report.clean {
        "every table holds exactly the items that it should".into()
    } else {
        "NOT CLEAN: a table differs, or a change could not be written".into()
    });
    lines.join("\n")
}

/// What went through imports.
fn render_import(import: &ImportRehearsal) -> Vec<String> {
    let services = import.services.iter();
    let services: Vec<String> = services
        .map(|(service, found)| format!("{service} {}", text::count(found.items)))
        .collect();
    let mut lines = vec![format!(
        "{} went through an import ({}): {} with {} of JSON, {} compressed",
        text::counted(import.items, "item"),
        services.join(", "),
        text::counted(import.objects, "object"),
        text::bytes(import.bytes),
        text::bytes(import.stored_bytes),
    )];
    lines.extend(
        import
            .given_up
            .iter()
            .map(|why| format!("the tables were not imported: {why}")),
    );
    lines
}

/// The outage that the ledger bridged.
fn render_ledger(ledger: &LedgerRehearsal) -> Vec<String> {
    let mut lines = vec![format!(
        "the table of {} accepted no writes for {} of the rehearsal's clock; its lane was {} behind, and the stream had forgotten {}",
        ledger.service,
        text::duration(ledger.outage_ms),
        text::duration(ledger.lag_ms),
        text::counted(ledger.forgotten, "record"),
    )];
    let has = format!(
        "the ledger has {} in {}",
        text::counted(ledger.records, "record"),
        text::counted(ledger.objects, "object")
    );
    lines.push(match ledger.wrong.is_empty() {
        true => format!(
            "the lane read the ledger and caught up in {}; {has}, and none is missing or damaged",
            text::duration(ledger.catch_up_ms)
        ),
        false => has,
    });
    lines.extend(ledger.wrong.iter().map(|wrong| format!("  {wrong}")));
    lines
}

/// The steps of the cutovers, one line each, what was replaced, and what went wrong.
fn render_cutover(cutover: &CutoverRehearsal) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(cutover.steps.iter().map(render_step));
    lines.push(String::new());
    lines.extend(
        cutover
            .not_cut_over
            .iter()
            .map(|service| format!("not cut over: {service}")),
    );
    lines.extend(
        cutover
            .stand_ins
            .iter()
            .map(|what| format!("stand-in for {what}")),
    );
    lines.extend(cutover.pauses.as_ref().map(|pauses| {
        format!(
            "pauses of {}: median {}, 99% within {}, longest {}",
            text::counted(pauses.cutovers, "cutover"),
            text::duration(pauses.median_ms),
            text::duration(pauses.p99_ms),
            text::duration(pauses.longest_ms)
        )
    }));
    lines.extend(cutover.reverse_lag.as_ref().map(|lag| {
        format!(
            "{} of the services {} in the source after: median {}, 99% within {}, longest {}",
            text::counted(lag.writes, "write"),
            if lag.writes == 1 { "was" } else { "were" },
            text::duration(lag.median_ms),
            text::duration(lag.p99_ms),
            text::duration(lag.longest_ms)
        )
    }));
    lines.extend(cutover.wrong.iter().map(|wrong| format!("  {wrong}")));
    lines
}

fn render_step(step: &RehearsedStep) -> String {
    let what = match &step.service {
        Some(service) => format!("{} {service}", step.step),
        None => step.step.clone(),
    };
    let mut times = vec![text::duration(step.ms)];
    times.extend(step.pause_ms.map(|ms| format!("pause {}", text::duration(ms))));
    times.extend(
        step.writers_waited_ms
            .map(|ms| format!("writers waited {}", text::duration(ms))),
    );
    format!("{what}: {} ({})", step.outcome, times.join("; "))
}

impl Shown for RehearseView {
    fn title(&self) -> String {
        if self.lanes.is_empty() {
            return self.phase.clone();
        }
        format!("{}; {}", self.phase, text::counted(self.writes, "live write"))
    }

    fn bars(&self) -> Vec<Bar> {
        if self.lanes.is_empty() {
            return vec![Bar {
                name: "load".into(),
                position: self.loaded.0,
                total: Some(self.loaded.1),
                unit: "item",
                verb: "written",
                ..Bar::default()
            }];
        }
        let named = |phase: &'static str| {
            move |bar: Bar| Bar {
                name: format!("{phase} {}", bar.name),
                ..bar
            }
        };
        let fill = self.backfill.bars().into_iter().map(named("backfill"));
        fill.chain(self.lanes.bars().into_iter().map(named("tail")))
            .collect()
    }
}

//! The command `complete`.

use super::args::{Complete, Global};
use super::cutover::operator;
use super::exit::Exit;
use super::failure::Failed;
use super::notifying::begin_notifying;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use super::{output, screen, text};
use crate::cutover::{CompleteServiceOptions, ServiceEnd, complete_service};
use crate::lifecycle::{CompleteOptions, CompleteReport, complete};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `complete`.
pub async fn run(global: &Global, args: &Complete, stop: CancellationToken) -> Result<Exit, Failed> {
    if let Some(service) = &args.service {
        return run_service(global, args, service, stop).await;
    }
    if !args.yes {
        return Err(Failed::of(Exit::Usage, "`complete` ends replication for good, so you must confirm it with --yes").hint(
            "stop every writer of the source, then run `dynasplit complete --yes` (docs/cutover.md describes the steps, and the way back from each)",
        ));
    }
    let split = output::open(global, &args.plan).await?;
    let _waiting = Waiting::tell(&split.waits);
    let options = CompleteOptions {
        quiet: Duration::from_secs(args.quiet_for),
        lose_late_writes: args.lose_late_writes,
    };
    let notifying = begin_notifying(&split).await;
    let completing = complete(&split, options, &stop, &screen::say);
    let report = stoppable(&global.session, GRACE, Box::pin(completing)).await;
    notifying.end().await;
    let report = report?;
    output::print(global, &report, render)?;
    Ok(Exit::Done)
}

/// Completes one service that was cut over.
async fn run_service(
    global: &Global,
    args: &Complete,
    service: &str,
    stop: CancellationToken,
) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, service)?;
    if !args.yes {
        let said = format!(
            "`complete --service` ends the way back of {service} for good, so you must confirm it with --yes"
        );
        let hint = "docs/cutover.md#complete-a-service says what it does";
        return Err(Failed::of(Exit::Usage, said).hint(hint));
    }
    let _waiting = Waiting::tell(&split.waits);
    let options = CompleteServiceOptions {
        end_copies: args.end_copies,
        end_way_back: args.end_way_back,
    };
    // Nobody is asked: no fence is raised.
    let operator = operator(None);
    let notifying = begin_notifying(&split).await;
    let completing = complete_service(&split, service, options, &operator, &stop);
    let end = stoppable(&global.session, GRACE, Box::pin(completing)).await;
    notifying.end().await;
    let end = end?;
    output::print(global, &end, render_service)?;
    Ok(Exit::Done)
}

pub(super) fn render_service(end: &ServiceEnd) -> String {
    let ServiceEnd { service, table, .. } = end;
    if end.already {
        return format!("{service} was completed earlier, so nothing was done");
    }
    let mut lines: Vec<String> = end
        .accepted
        .iter()
        .map(|what| format!("accepted: {what}"))
        .collect();
    lines.push(format!(
        "removed {} from the source",
        text::counted(end.marks, "mark")
    ));
    lines.push(format!(
        "removed {} from {table}",
        text::counted(end.stripped, "stamp")
    ));
    lines.extend(
        end.ttl
            .iter()
            .map(|attribute| format!("{table}: TTL is on ({attribute})")),
    );
    lines.extend(end.notes.iter().map(|note| format!("note: {note}")));
    lines.push(format!(
        "{service} is completed: it writes {table} for good, and nothing is carried back to the source"
    ));
    lines.join("\n")
}

pub(super) fn render(report: &CompleteReport) -> String {
    if report.already_completed {
        return "the split was completed earlier, so nothing was done".into();
    }
    let mut lines = Vec::new();
    lines.extend(
        report
            .source_at_rest
            .iter()
            .map(|seen| format!("the source is at rest: {seen}")),
    );
    lines.extend(
        report
            .stripped
            .iter()
            .map(|(service, items)| format!("{service}: stripped {}", text::counted(*items, "item"))),
    );
    lines.extend(
        report
            .ttl
            .iter()
            .map(|(table, attribute)| format!("{table}: TTL is on ({attribute})")),
    );
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    lines.push("the split is complete: dynasplit no longer replicates anything".into());
    lines.join("\n")
}

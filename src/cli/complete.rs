//! The command `complete`.

use super::args::{Complete, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use super::{output, screen, text};
use crate::lifecycle::{CompleteOptions, CompleteReport, complete};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `complete`.
pub async fn run(global: &Global, args: &Complete, stop: CancellationToken) -> Result<Exit, Failed> {
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
        end_way_back: args.end_way_back,
    };
    let completing = complete(&split, options, &stop, &screen::say);
    let report = stoppable(&global.session, GRACE, Box::pin(completing)).await?;
    output::print(global, &report, render)?;
    Ok(Exit::Done)
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

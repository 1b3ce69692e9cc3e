//! The command `prune`.

use super::args::{Global, Prune};
use super::cutover::operator;
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use super::service_names::refuse_unknown;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use crate::lifecycle::{Backup, PruneOptions, PruneReport, prune};
use crate::model::{count, counted};
use crate::state::PruneSide;
use tokio_util::sync::CancellationToken;

/// Runs `prune`.
pub async fn run(global: &Global, args: &Prune, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, &args.plan).await?;
    refuse_unknown(&split.plan, &args.service)?;
    let side = match args.target {
        true => PruneSide::Target,
        false => PruneSide::Source,
    };
    if !(args.yes || args.dry_run) {
        let service = &args.service;
        let said = match side {
            PruneSide::Source => format!(
                "`prune` deletes the items of {service} from the source for good, so you must confirm it with --yes"
            ),
            PruneSide::Target => format!(
                "`prune --target` deletes irrelevant items from the table of {service} for good, so you must confirm it with --yes"
            ),
        };
        return Err(Failed::of(Exit::Usage, said).hint("to count them first, add --dry-run"));
    }
    let _waiting = Waiting::tell(&split.waits);
    let options = PruneOptions {
        side,
        dry_run: args.dry_run,
        no_backup: args.no_backup,
        export: args.export.clone(),
        lose_late_writes: args.lose_late_writes,
        read_units: args.read_units,
        write_units: args.write_units,
    };
    let operator = operator(None);
    let pruning = prune(&split, &args.service, &options, &operator.name, &stop);
    let report = stoppable(&global.session, GRACE, Box::pin(pruning)).await?;
    output::print(global, &report, render)?;
    let is_clean = report.refused.is_empty() && report.counts.changed + report.counts.put_back == 0;
    Ok(if is_clean { Exit::Done } else { Exit::NotClean })
}

fn render(report: &PruneReport) -> String {
    let PruneReport {
        service,
        table,
        counts,
        ..
    } = report;
    let mut lines = vec![match &report.backup {
        Backup::PointInTimeRecovery => format!("backup: point-in-time recovery of {table} is on"),
        Backup::Export(arn) => format!("backup: the export {arn}"),
        Backup::None => "backup: none".to_owned(),
    }];
    if report.resumed {
        lines.push("continued an earlier run, whose items are counted here, too".into());
    }
    let items = |number: u64| counted(number, "item");
    let done = match report.dry_run {
        true => "would be deleted",
        false => "deleted",
    };
    lines.push(format!(
        "{service}: {} of {} in {table} {done}",
        count(counts.deleted),
        items(counts.scanned)
    ));
    let kept = [
        (counts.own, "kept, because they belong to the service"),
        (
            counts.kept,
            "kept, because the plan does not declare them as irrelevant",
        ),
        (
            counts.shared,
            "kept, because a service that is not completed takes them, too",
        ),
        (
            counts.ambiguous,
            "kept, because it is not clear that the service owns them alone",
        ),
        (
            counts.too_large,
            "kept, because they have too many attributes to be compared, or no room for a mark",
        ),
        (
            counts.changed,
            "kept, because somebody changed them after they were read",
        ),
        (
            counts.put_back,
            "put back, because somebody changed them while they were deleted",
        ),
    ];
    lines.extend(
        kept.iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, why)| format!("  {why}: {}", counted(*number, "item"))),
    );
    if counts.changed + counts.put_back > 0 {
        lines.push(match report.side {
            PruneSide::Source => format!(
                "somebody writes items of {service} to the source: find and stop the writer, then run this command again"
            ),
            PruneSide::Target => format!(
                "somebody writes items of {table} that the plan declares as irrelevant: check `irrelevant` in the plan, then run \
                 this command again"
            ),
        });
    }
    if !report.refused.is_empty() {
        lines.push("it would be refused now:".into());
        let reasons = report.refused.iter();
        lines.extend(reasons.map(|reason| format!("  - {}", reason.replace('\n', "\n    "))));
    }
    lines.join("\n")
}

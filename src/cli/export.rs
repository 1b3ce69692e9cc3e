//! The command `export`.

use super::args::{Export as Args, ExportAction, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use crate::backfill::{CancelledExport, ExportStart, StartedExport, cancel_export};
use crate::model::moment;
use crate::status::split_status_with_worker;
use tokio_util::sync::CancellationToken;

/// Runs `export start` and `export cancel`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let split = output::open(global, args.action.plan()).await?;
    let _waiting = Waiting::tell(&split.waits);
    match &args.action {
        ExportAction::Start { to, .. } => {
            let start = ExportStart::new(split.clone(), to.clone(), stop);
            let started = stoppable(&global.session, GRACE, Box::pin(start.run())).await?;
            let next = split_status_with_worker(&split).await?.next;
            output::print_with_next(global, &started, &next, render)?;
        }
        ExportAction::Cancel { .. } => {
            let cancelled = cancel_export(&split).await?;
            let next = split_status_with_worker(&split).await?.next;
            output::print_with_next(global, &cancelled, &next, render_cancelled)?;
        }
    }
    Ok(Exit::Done)
}

fn render_cancelled(cancelled: &CancelledExport, next: &str) -> String {
    let export = cancelled.export.as_ref().map_or(String::new(), |export| {
        format!("\nDynamoDB still makes the export {export}: delete it when it is complete")
    });
    format!("the backfill waits for no export: it scans the source{export}\nnext: {next}")
}

fn render(started: &StartedExport, next: &str) -> String {
    format!(
        "the export {} is complete\nexport time: {}\nfolder: {}\nnext: {next}",
        started.export,
        started.export_time_ms.map_or("unknown".to_owned(), moment),
        started.folder
    )
}

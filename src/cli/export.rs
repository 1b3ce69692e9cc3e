//! The command `export`.

use super::args::{Export as Args, ExportAction, Global};
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::waiting::Waiting;
use crate::backfill::{ExportStart, StartedExport};
use crate::model::moment;
use crate::status::split_status_with_worker;
use tokio_util::sync::CancellationToken;

/// Runs `export start`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let ExportAction::Start { plan, to } = &args.action;
    let split = output::open(global, plan).await?;
    let _waiting = Waiting::tell(&split.waits);
    let start = ExportStart::new(split.clone(), to.clone(), stop);
    let started = stoppable(&global.session, GRACE, Box::pin(start.run())).await?;
    let next = split_status_with_worker(&split).await?.next;
    output::print_with_next(global, &started, &next, render)?;
    Ok(Exit::Done)
}

fn render(started: &StartedExport, next: &str) -> String {
    format!(
        "the export {} is complete\nexport time: {}\nfolder: {}\nnext: {next}",
        started.export,
        started.export_time_ms.map_or("unknown".to_owned(), moment),
        started.folder
    )
}

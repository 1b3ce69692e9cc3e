//! The command `offline`.

use super::args::{ExportOptions, Global, ImportOptions, Offline as Args, OfflineAction, ShapeOptions};
use super::exit::Exit;
use super::failure::Failed;
use super::session::GRACE;
use super::stoppable::stoppable;
use super::table::table;
use super::waiting::Waiting;
use super::{output, screen, shape, text};
use crate::model::{Compression, moment};
use crate::offline::Report;
use crate::offline_split::{OfflineOptions, OfflineReport, OfflineSplit, Step};
use crate::state::ImportPhase;
use crate::verify::AtRestResult;
use tokio_util::sync::CancellationToken;

/// Runs the steps of `offline`, and `offline status`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let (options, steps) = options(&args.action);
    let report = match steps {
        None => {
            let split = output::open_to_look(global, args.action.plan()).await?;
            let look = OfflineSplit::look(&split, &options, &stop, &screen::say);
            stoppable(&global.session, GRACE, Box::pin(look)).await?
        }
        Some(steps) => {
            let split = output::open(global, args.action.plan()).await?;
            output::warn(&split.plan);
            let _waiting = Waiting::tell(&split.waits);
            let work = OfflineSplit::run(&split, &options, steps, &stop, &screen::say);
            stoppable(&global.session, GRACE, Box::pin(work)).await?
        }
    };
    let next = next(&report, &args.action.place().to.path());
    output::print_with_next(global, &report, &next, render)?;
    Ok(ended(&report))
}

/// What the command line says; no steps for a command that only looks.
fn options(action: &OfflineAction) -> (OfflineOptions, Option<(Step, Step)>) {
    let place = action.place();
    let mut options = OfflineOptions {
        to: place.to.clone(),
        writers_stopped_ms: None,
        export: None,
        file_bytes: 0,
        compression: Compression::default(),
        workers: 1,
        region: place.s3_region.clone(),
        owner: place.bucket_owner.clone(),
        delete_partial: false,
        against: None,
        limit: 0,
    };
    let exporting = |options: &mut OfflineOptions, export: &ExportOptions| {
        options.writers_stopped_ms = export.writers_stopped;
        options.export.clone_from(&export.export);
    };
    let shaping = |options: &mut OfflineOptions, shape: &ShapeOptions| {
        options.file_bytes = shape.file_size << 20;
        options.compression = shape.compression.into();
        options.workers = shape.threads.map_or_else(shape::cores, usize::from);
    };
    let importing = |options: &mut OfflineOptions, import: &ImportOptions| {
        options.delete_partial = import.delete_partial;
    };
    let steps = match action {
        OfflineAction::Run {
            export,
            shape,
            import,
            verify,
            ..
        } => {
            exporting(&mut options, export);
            shaping(&mut options, shape);
            importing(&mut options, import);
            options.against.clone_from(&verify.against);
            options.limit = verify.limit;
            (Step::Export, Step::Verify)
        }
        OfflineAction::Export { export, .. } => {
            exporting(&mut options, export);
            (Step::Export, Step::Export)
        }
        OfflineAction::Shape { shape, .. } => {
            shaping(&mut options, shape);
            (Step::Shape, Step::Shape)
        }
        OfflineAction::Import { import, .. } => {
            importing(&mut options, import);
            (Step::Import, Step::Import)
        }
        OfflineAction::Verify { verify, .. } => {
            options.against.clone_from(&verify.against);
            options.limit = verify.limit;
            (Step::Verify, Step::Verify)
        }
        OfflineAction::Status { .. } => return (options, None),
    };
    (options, Some(steps))
}

fn refused(report: &OfflineReport) -> Option<&Report> {
    report.shaped.as_ref().filter(|shaped| shaped.refused_items() > 0)
}

fn ended(report: &OfflineReport) -> Exit {
    let is_different = report
        .comparison
        .as_ref()
        .is_some_and(|comparison| !comparison.clean);
    match refused(report).is_some() || is_different {
        true => Exit::NotClean,
        false => Exit::Done,
    }
}

fn next(report: &OfflineReport, to: &str) -> String {
    if report.done {
        return "start the services on their own tables. Keep the source until you are sure, and delete the folder of the export and the \
                shaped files"
            .into();
    }
    if refused(report).is_some() {
        return format!(
            "correct the plan, so that every item belongs to a service or is left behind, and run `dynasplit offline run --to s3://{to}` again; \
             it shapes the same export"
        );
    }
    if report
        .comparison
        .as_ref()
        .is_some_and(|comparison| !comparison.clean)
    {
        return format!(
            "find out what wrote to the source or to a table, or which items share a key. If the source is right, delete the imported \
             tables, and begin anew with another folder than s3://{to}"
        );
    }
    format!("run `dynasplit offline run --to s3://{to}`, which continues")
}

fn render(report: &OfflineReport, next: &str) -> String {
    let mut parts = Vec::new();
    if let Some(export) = &report.export {
        let time = report.export_time_ms.map_or("unknown".to_owned(), moment);
        parts.push(format!("export: {export}, of {time}"));
    }
    let rows = report.tables.iter().map(|row| {
        let shaped = report.shaped.as_ref().and_then(|shaped| {
            shaped
                .services
                .iter()
                .find(|service| service.service == row.service)
        });
        let number = |value: Option<u64>| value.map_or("-".to_owned(), text::count);
        vec![
            row.service.clone(),
            number(shaped.map(|shaped| shaped.items)),
            number(shaped.map(|shaped| shaped.bytes)),
            number(shaped.map(|shaped| shaped.files)),
            row.table.clone(),
            phase(row.phase).into(),
        ]
    });
    parts.push(table(
        &["service", "items", "bytes", "files", "table", "state"],
        rows,
    ));
    for row in &report.tables {
        parts.extend(
            row.notes
                .iter()
                .map(|note| format!("{}: note: {note}", row.table)),
        );
    }
    if let Some(shaped) = &report.shaped {
        parts.push(format!(
            "{} exported; {} left behind, as the plan says",
            text::counted(shaped.items, "item"),
            text::count(shaped.left_behind)
        ));
    }
    if let Some(shaped) = refused(report) {
        parts.push(shape::refused(shaped));
        parts.push(format!(
            "the refused items are in {}shaped-.../refused/, with their reasons",
            report.folder
        ));
    }
    if let Some(comparison) = &report.comparison {
        parts.push(compared(comparison));
    }
    parts.push(format!("next: {next}"));
    parts.join("\n")
}

fn phase(phase: Option<ImportPhase>) -> &'static str {
    match phase {
        None => "not requested",
        Some(ImportPhase::Requested) => "importing",
        Some(ImportPhase::Imported) => "imported, settings missing",
        Some(ImportPhase::Failed) => "import failed",
        Some(ImportPhase::Removing) => "import failed, being deleted",
        Some(ImportPhase::Ready) => "ready",
    }
}

fn compared(comparison: &AtRestResult) -> String {
    let rows = comparison.report.services.iter().map(|service| {
        vec![
            service.service.clone(),
            text::count(service.expected),
            text::count(service.found),
            text::count(service.mismatches.missing),
            text::count(service.mismatches.extra),
            text::count(service.mismatches.different),
            text::count(service.mismatches.collision),
            text::count(service.invalid),
        ]
    });
    let head = [
        "service",
        "source",
        "table",
        "missing",
        "extra",
        "different",
        "collision",
        "invalid",
    ];
    let mut parts = vec![table(&head, rows)];
    parts.extend(comparison.mismatches.iter().map(ToString::to_string));
    if comparison.unrouted > 0 {
        parts.push(format!(
            "{} of the source belong to no service",
            text::counted(comparison.unrouted, "item")
        ));
    }
    parts.push(if comparison.clean {
        "CLEAN: every table holds exactly the items of its service".to_owned()
    } else {
        format!(
            "NOT CLEAN: {}",
            text::counted(comparison.total_mismatches, "mismatch")
        )
    });
    parts.join("\n")
}

//! `shape`: exported items as files that DynamoDB imports, one set per service.

use super::args::{Global, Shape as Args};
use super::exit::Exit;
use super::failure::Failed;
use super::output;
use super::progress::{Bar, Progress, Shown};
use super::screen;
use super::service_names::unknown_service;
use super::stoppable::stoppable;
use super::table::table;
use super::text;
use crate::offline::{FileForm, Input, Options, Report, Seen, ShapeError, WorkFolder, to_files, to_pipe};
use crate::plan::Plan;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How long a thread may need to notice that it is stopped.
const GRACE: Duration = Duration::from_secs(2);
const REDRAW: Duration = Duration::from_millis(200);

/// Runs `shape`. It needs no credentials and reads nothing but the plan and the items.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    let plan = Arc::new(Plan::load(&args.plan)?);
    output::warn(&plan);
    let inputs = Input::all(&args.items)?;
    match (&args.to, &args.service) {
        (Some(to), _) => into(global, args, plan, inputs, to, stop).await,
        (None, Some(service)) => {
            let place = plan.services.iter().position(|known| known.name == *service);
            let place = place.ok_or_else(|| unknown_service(&plan, service))?;
            pipe(global, plan, inputs, place, stop).await
        }
        (None, None) => Err(Failed::of(
            Exit::Usage,
            "--to or --service must say where the items go",
        )),
    }
}

/// All services into a folder.
async fn into(
    global: &Global,
    args: &Args,
    plan: Arc<Plan>,
    inputs: Vec<Input>,
    to: &Path,
    stop: CancellationToken,
) -> Result<Exit, Failed> {
    let folder = WorkFolder::beside(to)?;
    let options = Options {
        form: FileForm {
            bytes: args.file_size << 20,
            compression: args.compression.into(),
        },
        threads: args.threads.map_or_else(cores, usize::from),
    };
    let seen = Arc::new(Seen::default());
    let (progress, counting) = watched(&seen);
    let path = folder.path().to_owned();
    let work = on_a_thread(move || to_files(&plan, &inputs, &path, options, &stop, &seen));
    let done = stoppable(&global.session, GRACE, work).await;
    counting.abort();
    progress.end().await;
    let report = done?;
    folder.publish(&report)?;
    output::print(global, &report, |report| render(report, to))?;
    Ok(ended(&report))
}

/// One service to the standard output.
async fn pipe(
    global: &Global,
    plan: Arc<Plan>,
    inputs: Vec<Input>,
    service: usize,
    stop: CancellationToken,
) -> Result<Exit, Failed> {
    let work = on_a_thread(move || {
        let mut out = BufWriter::with_capacity(1 << 17, io::stdout().lock());
        to_pipe(&plan, service, &inputs, &mut out, &stop)
    });
    // A reader that went away (`| head`) is no failure.
    let work = async {
        match work.await {
            Err(ShapeError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            done => done.map(Some),
        }
    };
    let Some(report) = stoppable(&global.session, GRACE, work).await? else {
        return Ok(Exit::Done);
    };
    if report.refused_items() > 0 {
        screen::say(&refused(&report));
    }
    Ok(ended(&report))
}

pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn ended(report: &Report) -> Exit {
    if report.refused_items() > 0 {
        Exit::NotClean
    } else {
        Exit::Done
    }
}

/// Runs it on a thread that the end of the process does not wait for: it may be waiting for the standard input.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ShapeError> + Send + 'static,
) -> Result<T, ShapeError> {
    let (told, result) = oneshot::channel();
    let running = thread::spawn(move || {
        // Nobody waits any more if this fails.
        let _unheard = told.send(work());
    });
    match result.await {
        Ok(done) => done,
        Err(_) => match running.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => Err(ShapeError::Stopped),
        },
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Items(u64);

/// Shows how many items were read, until the task is aborted and the progress ended.
fn watched(seen: &Arc<Seen>) -> (Progress, tokio::task::JoinHandle<()>) {
    let (told, view) = watch::channel(Items::default());
    let seen = Arc::clone(seen);
    let counting = tokio::spawn(async move {
        loop {
            told.send_replace(Items(seen.items()));
            tokio::time::sleep(REDRAW).await;
        }
    });
    (Progress::of(view), counting)
}

impl Shown for Items {
    fn title(&self) -> String {
        "shape".into()
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar {
            name: "items".into(),
            position: self.0,
            unit: "item",
            verb: "read",
            ..Bar::default()
        }]
    }
}

fn render(report: &Report, to: &Path) -> String {
    let rows = report.services.iter().map(|service| {
        vec![
            service.service.clone(),
            text::count(service.items),
            text::count(service.bytes),
            text::count(service.files),
            to.join("tables").join(&service.service).display().to_string(),
        ]
    });
    let mut parts = vec![table(&["service", "items", "bytes", "files", "folder"], rows)];
    parts.push(format!(
        "{} read; {} left behind, as the plan says",
        text::counted(report.items, "item"),
        text::count(report.left_behind)
    ));
    if report.refused_items() > 0 {
        parts.push(refused(report));
        parts.push(format!(
            "the refused items are in {}, with their reasons",
            to.join("refused").display()
        ));
    }
    parts.join("\n")
}

/// What was refused, and why.
pub(super) fn refused(report: &Report) -> String {
    let mut lines = vec![format!(
        "NOT CLEAN: {} refused",
        text::counted(report.refused_items(), "item")
    )];
    lines.extend(report.refused.iter().map(|group| {
        let service = group.service.as_deref().unwrap_or("(no service)");
        format!(
            "  {service}: {}, the first at {}: {}",
            text::counted(group.items, "item"),
            group.first,
            group.reason
        )
    }));
    if report.refused_otherwise > 0 {
        lines.push(format!(
            "  {} for other reasons",
            text::counted(report.refused_otherwise, "item")
        ));
    }
    lines.join("\n")
}

impl From<ShapeError> for Failed {
    fn from(error: ShapeError) -> Self {
        let message = error.to_string();
        match error {
            ShapeError::Stopped => Self::of(Exit::Interrupted, message),
            ShapeError::Exists { .. } => {
                Self::of(Exit::Usage, message).hint("name another directory with --to, or delete this one")
            }
            ShapeError::NoFiles { .. } => Self::of(Exit::Usage, message)
                .hint("give the directory with the data files of the export, whose name is data"),
            ShapeError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::of(Exit::Usage, message).hint("check the path of the items")
            }
            ShapeError::Line { .. } => Self::of(Exit::Failed, message)
                .hint("the output is not complete; correct or replace this file, and run the command again"),
            ShapeError::Read { .. } => Self::of(Exit::Failed, message).hint(
                "the output is not complete; download this file again, and compare it with its checksum",
            ),
            ShapeError::Write { .. } => Self::of(Exit::Failed, message)
                .hint("nothing remains of what was written; make room, or name another directory with --to"),
            ShapeError::Stdout(_) => Self::of(Exit::Failed, message),
        }
    }
}

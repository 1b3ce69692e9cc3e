//! The command `init`.

mod file;
mod render;

use super::args::{Global, Init as Args, Output};
use super::exit::Exit;
use super::failure::Failed;
use super::progress::{Bar, Progress, Shown};
use super::stoppable::stoppable;
use super::{output, screen};
use crate::draft::{Draft, Sample, draft};
use crate::model::RESERVED_PREFIX;
use crate::plan::Plan;
use crate::source::SourceError;
use crate::survey::{SurveyOptions, sample_source};
use crate::worker::RunError;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Items of a table that are read by default.
const SAMPLE: u64 = 2000;
/// The name of the plan in the draft, if it is printed.
const PRINTED: &str = "plan.yaml";

/// Items that were read so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen(u64);

/// Runs `init`.
pub async fn run(global: &Global, args: &Args, stop: CancellationToken) -> Result<Exit, Failed> {
    if let Some(path) = args.write.as_deref().filter(|path| path.exists() && !args.force) {
        return Err(exists(path));
    }
    let sample = match (&args.from_file, &args.table) {
        (Some(path), table) => file::read(path, table.as_deref(), args)?,
        (None, Some(table)) if is_file(table) => return Err(file_as_table(table)),
        (None, Some(table)) => live(global, args, table, &stop).await?,
        (None, None) => {
            return Err(Failed::of(
                Exit::Usage,
                "name the table to read, or give --from-file",
            ));
        }
    };
    if sample.items.is_empty() {
        return Err(Failed::of(
            Exit::Failed,
            format!(
                "{} contains no items, so nothing shows which kinds of items there are",
                sample.origin
            ),
        )
        .hint("write a plan by hand: docs/plan.md explains each setting"));
    }
    let shown_as = args
        .write
        .as_deref()
        .unwrap_or(Path::new(PRINTED))
        .display()
        .to_string();
    let made = draft(&sample, &shown_as);
    check(&made, &shown_as)?;
    if let Some(path) = &args.write {
        write(path, &made.plan, args.force)?;
    }
    match (global.output, &args.write) {
        (Output::Json, _) => output::document(&made)?,
        (Output::Text, Some(path)) => output::print(global, &made, |made| render::summary(made, args, path))?,
        (Output::Text, None) => {
            output::verbatim(&made.plan)?;
            screen::say(&render::short(&made));
        }
    }
    Ok(Exit::Done)
}

/// Whether the name of a table is rather that of a file with items.
fn is_file(table: &str) -> bool {
    let path = Path::new(table);
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| ["json", "jsonl", "ndjson", "gz"].contains(&extension))
        && path.is_file()
}

fn file_as_table(table: &str) -> Failed {
    Failed::of(
        Exit::Usage,
        format!("'{table}' is a file, and `init` takes the name of a table here"),
    )
    .hint(format!(
        "to read the file, run `dynasplit init --from-file {table}`"
    ))
}

/// A draft that its user cannot check would be worse than none.
fn check(made: &Draft, file: &str) -> Result<(), Failed> {
    Plan::parse(&made.plan, file).map(drop).map_err(|error| {
        Failed::of(
            Exit::Failed,
            format!("the draft is not valid, which is a mistake of dynasplit. Please report it, with this message:\n{error}"),
        )
    })
}

/// The words of a missing table are about a plan, and there is none yet.
fn unreadable(error: RunError) -> Failed {
    match error {
        RunError::Source(SourceError::Missing { table }) => {
            Failed::of(Exit::Failed, format!("the table `{table}` was not found"))
                .hint("check its name, the region (--region) and the account (--profile)")
        }
        other => other.into(),
    }
}

async fn live(global: &Global, args: &Args, table: &str, stop: &CancellationToken) -> Result<Sample, Failed> {
    let clients = output::open_table(global).await?;
    let options = SurveyOptions {
        sample: args.sample.unwrap_or(SAMPLE),
        read_units: args.read_units,
        ..SurveyOptions::default()
    };
    let (told, view) = watch::channel(Seen::default());
    let progress = Progress::of(view);
    let reading = sample_source(&clients, table, &options, stop, |items| {
        told.send_replace(Seen(items));
    });
    let reading = async { Box::pin(reading).await.map_err(unreadable) };
    let result = stoppable(&global.session, Duration::ZERO, reading).await;
    progress.end().await;
    let found = result?;
    if let Some(key) = found
        .facts
        .keys
        .attributes()
        .find(|key| key.name.starts_with(RESERVED_PREFIX))
    {
        return Err(Failed::of(
            Exit::Failed,
            format!(
                "the key attribute {} of {table} has a name that is reserved for dynasplit",
                key.name
            ),
        ));
    }
    let of_all = match found.reading.whole {
        true => "all items of",
        false => "a sample of",
    };
    screen::say(&format!(
        "read {} items of {table} with {} read units; nothing was written",
        found.reading.items, found.reading.read_units
    ));
    Ok(Sample {
        table: table.to_owned(),
        keys: found.facts.keys,
        keys_guessed: false,
        indexes: found.facts.indexes,
        settings_known: true,
        ttl_attribute: found.facts.ttl_attribute,
        items: found.items,
        origin: format!("{of_all} the table {table}"),
        refused: Vec::new(),
        notes: Vec::new(),
    })
}

fn exists(path: &Path) -> Failed {
    Failed::of(
        Exit::Usage,
        format!("the file {} exists, and nothing was written", path.display()),
    )
    .hint("choose another name, or give --force to replace it")
}

/// Writes the plan. Without `force`, a file that exists is never replaced, even if it appeared just now.
fn write(path: &Path, plan: &str, force: bool) -> Result<(), Failed> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).create_new(!force);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(plan.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => Failed::of(
            Exit::Failed,
            format!("the draft cannot be written to {}: {error}", path.display()),
        )
        .hint("create the folder, or choose another name"),
    })
}

impl Shown for Seen {
    fn title(&self) -> String {
        "init: reading a sample of the table".into()
    }

    fn bars(&self) -> Vec<Bar> {
        vec![Bar {
            name: "source".into(),
            position: self.0,
            unit: "item",
            verb: "read",
            ..Bar::default()
        }]
    }
}

//! The command line: arguments, one command per file, progress, tables and JSON, and the report of a failure.
//!
//! Results go to stdout; progress and logs go to stderr. With `--output json`, stdout contains one JSON document.

mod abandon;
mod apply;
mod args;
mod backfill;
mod chaos;
mod complete;
mod completions;
mod connect;
mod cutover;
mod dead_letters;
mod error_document;
mod exit;
mod export;
mod failure;
mod forecast;
mod heal;
mod hold;
mod iam;
mod init;
mod ledger;
mod listen;
mod next;
mod notifying;
mod offline;
mod output;
mod plan;
mod progress;
mod prune;
#[cfg(feature = "rehearse")]
mod rehearse;
#[cfg(not(feature = "rehearse"))]
#[path = "no_rehearsal.rs"]
mod rehearse;
mod replicate;
mod report;
mod reverse;
mod screen;
mod service_names;
mod session;
mod shape;
mod signals;
mod status;
mod stoppable;
pub mod survey;
mod switched;
mod table;
mod tables;

mod telemetry;
mod tell;
#[cfg(test)]
mod tests;
mod text;
mod tune;
mod verify;
mod wait;
mod waiting;
mod wrapping;

pub use args::Args;
pub use exit::Exit;
pub use failure::Failed;

use crate::fault;
use args::{Command, Output};
use clap::Parser;
use error_document::{ErrorDocument, asks_for_json};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;

/// Parses the command line, runs the command, and answers the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and versions are no failures.
            if error.use_stderr() && asks_for_json(std::env::args_os()) {
                let document = ErrorDocument::of_usage(&error.render().to_string());
                if let Err(failed) = output::document(&document) {
                    return failed.tell(Output::Text);
                }
            }
            error.exit();
        }
    };
    let form = args.global.output;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failed::of(Exit::Failed, format!("can't start: {error}")).tell(form),
    };
    let traces = telemetry::begin_logs(&args.global, runtime.handle());
    if let Err(error) = fault::check() {
        return Failed::of(Exit::Usage, error.to_string()).tell(form);
    }
    let global = args.global.clone();
    let code = match runtime.block_on(run(args)) {
        Ok(exit) => exit.into(),
        Err(failed) => failed.at(&global).tell(form),
    };
    if let Some(traces) = traces {
        traces.end();
    }
    code
}

async fn run(args: Args) -> Result<Exit, Failed> {
    let Args { global, command, .. } = args;
    if let Some(plan) = command.plan() {
        next::remember(plan);
    }
    signals::stop_on_signal(&global.session);
    let stop = global.session.stop.clone();
    match command {
        Command::Init(command) => Box::pin(init::run(&global, &command, stop)).await,
        Command::Plan(command) => Box::pin(plan::run(&global, &command, stop)).await,
        Command::Apply(command) => Box::pin(unless(&stop, apply::run(&global, &command))).await,
        Command::Replicate(command) => replicate::run(&global, &command, stop).await,
        Command::Backfill(command) => backfill::run(&global, &command, stop).await,
        Command::Export(command) => Box::pin(export::run(&global, &command, stop)).await,
        Command::Verify(command) => verify::run(&global, &command, stop).await,
        Command::Heal(command) => Box::pin(heal::run(&global, &command, stop)).await,
        Command::Status(command) if command.watch => Box::pin(status::watch(&global, &command, stop)).await,
        Command::Status(command) => Box::pin(unless(&stop, status::run(&global, &command))).await,
        Command::Report(command) => Box::pin(unless(&stop, report::run(&global, &command))).await,
        Command::Wait(command) => wait::run(&global, &command, stop).await,
        Command::Tune(command) => Box::pin(unless(&stop, tune::run(&global, &command))).await,
        Command::DeadLetters(command) => Box::pin(dead_letters::run(&global, &command, stop)).await,
        Command::Ledger(command) => Box::pin(ledger::run(&global, &command, stop)).await,
        Command::Reverse(command) => Box::pin(reverse::run(&global, &command, stop)).await,
        Command::Switched(command) => Box::pin(switched::run(&global, &command, stop)).await,
        Command::Cutover(command) => Box::pin(cutover::run(&global, &command, stop)).await,
        Command::Rollback(command) => Box::pin(cutover::run_back(&global, &command, stop)).await,
        Command::Pause(command) => Box::pin(unless(&stop, hold::pause(&global, &command))).await,
        Command::Resume(command) => Box::pin(unless(&stop, hold::resume(&global, &command))).await,
        Command::Prune(command) => Box::pin(prune::run(&global, &command, stop)).await,
        Command::Abandon(command) => Box::pin(abandon::run(&global, &command, stop)).await,
        Command::Complete(command) => complete::run(&global, &command, stop).await,
        Command::Rehearse(command) => Box::pin(rehearse::run(&global, &command, stop)).await,
        Command::Shape(command) => shape::run(&global, &command, stop).await,
        Command::Offline(command) => Box::pin(offline::run(&global, &command, stop)).await,
        Command::Tables(command) => tables::run(&command),
        Command::Iam(command) => iam::run(&global, &command),
        Command::Schema => output::schema(),
        Command::Completions(command) => completions::completions(&command),
        Command::Man(command) => completions::man(&command),
    }
}

/// For commands that can be dropped at any point: each of their steps is repeated without harm.
async fn unless(
    stop: &CancellationToken,
    command: impl Future<Output = Result<Exit, Failed>>,
) -> Result<Exit, Failed> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Failed::of(Exit::Interrupted, "interrupted; run the same command to \
             continue")),
        done = command => done,
    }
}

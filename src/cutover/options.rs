//! Options and results of `cutover` and `rollback`.

use serde::Serialize;
use std::time::Duration;

/// The person or the script that runs the command.
pub struct Operator<'a> {
    /// A name, for the journal and for others.
    pub name: String,
    /// Tells what is done.
    pub tell: &'a (dyn Fn(&str) + Sync),
    /// Asks for a confirmation: what has to be so. `false`: it is not so.
    pub confirm: &'a (dyn Fn(&str) -> bool + Sync),
}

/// Options of `cutover`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutoverOptions {
    /// Cancel if the pause would be longer.
    pub max_pause: Option<Duration>,
    /// Compare the whole table of the service while its writers are stopped.
    pub full_check: bool,
}

/// Options of `rollback`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RollbackOptions {
    /// Go back although some writes of the service cannot be carried back. They are lost in the source.
    pub force: bool,
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The service writes its own table.
    Switched,
    /// The cutover was cancelled: the service writes the source, and nothing was lost.
    Cancelled,
    /// The service writes the source again.
    RolledBack,
    /// The rollback was cancelled: the service writes its own table.
    RollbackCancelled,
}

/// The result of `cutover` and `rollback`.
#[derive(Clone, Debug, Serialize)]
pub struct CutoverReport {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The epoch of the cutover.
    pub epoch: u64,
    /// It had ended before, so nothing was done.
    pub already: bool,
    /// How long the service could write nowhere, in milliseconds.
    pub pause_ms: Option<u64>,
    /// Why it was cancelled; `None` if nothing failed.
    pub reason: Option<String>,
    /// The next safe command.
    pub next: String,
}

/// A step of a preview.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewStep {
    /// Its name.
    pub step: String,
    /// What it does.
    pub does: String,
    /// How to go back from it.
    pub undo: String,
}

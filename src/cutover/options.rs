//! Options and results of `cutover` and `rollback`.

use crate::state::CutoverStep;
use serde::Serialize;
use std::pin::Pin;
use std::time::Duration;

/// The person or the script that runs the command.
pub struct Operator<'a> {
    /// A name, for the journal and for others.
    pub name: String,
    /// Tells what is done.
    pub tell: &'a (dyn Fn(&str) + Sync),
    /// Asks for a confirmation: what has to be so. `None`: nobody can be asked.
    pub confirm: Option<&'a (dyn Fn(&str) -> Confirmation + Sync)>,
}

/// The answer of a person: `false`: it is not so. It may be dropped, because nobody waits for ever while writers are stopped.
pub type Confirmation = Pin<Box<dyn Future<Output = bool> + Send>>;

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
    /// Cancel if the pause would be longer.
    pub max_pause: Option<Duration>,
    /// Go back although some writes of the service cannot be carried back. They are lost in the source.
    pub force: bool,
    /// Compare the whole table of the service while its writers are stopped.
    pub full_check: bool,
}

/// Options of `complete` for a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompleteServiceOptions {
    /// Services that receive items of this one keep what they have by now, and receive nothing more.
    pub end_copies: bool,
    /// End the way back although it is not complete: the source stays without some writes of the service, or the service's own
    /// table without writes of others.
    pub end_way_back: bool,
}

/// The result of `complete` for a service.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServiceEnd {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// It had ended before, so nothing was done.
    pub already: bool,
    /// What the operator accepted to be missing.
    pub accepted: Vec<String>,
    /// Marks that were removed from source items.
    pub marks: u64,
    /// Stamps that were removed from the service's own table.
    pub stripped: u64,
    /// The attribute of its TTL, if it is on now.
    pub ttl: Option<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// The result of `pause` and `resume`.
#[derive(Clone, Debug, Serialize)]
pub struct HoldReport {
    /// The service.
    pub service: String,
    /// The next step is on hold.
    pub held: bool,
    /// It was so before, so nothing was done.
    pub already: bool,
    /// Who put it on hold.
    pub operator: Option<String>,
    /// For how long it has been on hold, in milliseconds.
    pub held_ms: Option<u64>,
    /// The hold lasts for this long at most, in milliseconds. Then the cutover is cancelled, because of `--max-pause`. `None`:
    /// it lasts until `resume`.
    pub at_most_ms: Option<u64>,
    /// The step that is under way, or that ended the last command.
    pub step: CutoverStep,
    /// The next safe command.
    pub next: String,
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
    /// The service is completed: it writes its own table for good.
    Completed,
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

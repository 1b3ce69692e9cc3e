//! An obstacle to completing a split.

use crate::worker::sentence;
use serde::Serialize;
use std::fmt;

/// The kind of an obstacle. Part of the JSON output.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObstacleKind {
    /// The plan is not the one that the split runs by.
    OtherPlan,
    /// The source has another stream than the one that dynasplit reads.
    OtherStream,
    /// A worker runs with a plan that lacks a service, or has one too many.
    OtherWorker,
    /// A lane has no place in the stream yet.
    NotCaptured,
    /// Records were lost before they were read.
    Gap,
    /// No live worker reads the stream.
    NoWorker,
    /// A bulk copy holds the lanes.
    LanesHeld,
    /// The tables of services are left to an import.
    AwaitingImport,
    /// A service was not copied.
    NotBackfilled,
    /// The copy is not finished.
    BackfillUnfinished,
    /// A lane is behind.
    Lag,
    /// The source received changes of a service after the service had switched.
    WrittenAfterSwitch,
    /// Changes that could not land.
    DeadLetters,
    /// The heal of a gap has not ended.
    Heal,
    /// Tombstones are not swept.
    Tombstones,
    /// Keys must be read again.
    Rechecks,
    /// A repair is mandatory.
    RepairRequired,
    /// There is no verify that counts.
    NotVerified,
    /// The last verify found mismatches.
    NotClean,
    /// A cutover or a rollback has not ended.
    Cutover,
    /// A reverse lane lost records, so the way back is not complete.
    ReverseGap,
    /// Writes of a service that could not be carried back to the source.
    ReverseDeadLetters,
    /// Others wrote the source's items of a service after its switch.
    StrayWrites,
    /// Events of a service were not sent, were refused, or were lost.
    Events,
    /// The ledger lost records.
    Ledger,
    /// A record of the state can't be read.
    Damaged,
    /// The split was given up.
    Abandoned,
}

/// An obstacle to completing, with the command that removes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Obstacle {
    /// Its kind.
    pub kind: ObstacleKind,
    /// The service or lane that it concerns; `None`: several, or the split as a whole.
    pub service: Option<String>,
    /// The services or lanes that it concerns, if these are several, and not the split as a whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// The problem.
    pub what: String,
    /// The next command, or what a person must do.
    pub next: String,
}

impl Obstacle {
    /// Whether it concerns a service: by itself, among others, or as a part of the split.
    #[must_use]
    pub fn concerns(&self, service: &str) -> bool {
        match &self.service {
            Some(concerned) => concerned == service,
            None => self.services.is_empty() || self.services.iter().any(|concerned| concerned == service),
        }
    }
}

/// What a person can do if something other than dynasplit wrote the targets of these services, or seems to have written them:
/// after changes were lost, a target is newer than the source also if the application wrote an older timestamp.
pub(crate) fn foreign_advice(services: &[&str], lost_changes: bool) -> String {
    let switches: Vec<String> = services
        .iter()
        .map(|service| format!("`dynasplit switched --unproven --service {service}`"))
        .collect();
    let (its, owner) = match services {
        [service] => ("its", (*service).to_owned()),
        _ => ("their", services.join(", ")),
    };
    format!(
        "find out who writes the target of {owner}; `dynasplit verify --list FILE` lists the keys. If {owner} already {} {its} own \
         table, run {}. Otherwise, stop the writer, then run `dynasplit verify --repair --discard-target-writes`, which overwrites \
         what it wrote{}",
        if services.len() == 1 { "writes" } else { "write" },
        switches.join(", "),
        if lost_changes {
            ". If nobody writes it, the application gave items an older timestamp while changes were lost: the same repair corrects them"
        } else {
            ""
        }
    )
}

/// What is wrong, and what to do: a sentence. After a list, the advice has a line of its own.
pub(super) fn with_advice(what: &str, next: &str) -> String {
    if what.contains('\n') {
        format!("{what}\n  {}", sentence(next))
    } else {
        format!("{what}: {next}")
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_advice(&self.what, &self.next))
    }
}

/// How a person can resolve collisions. The key templates of a service are fixed after its stream is captured, so
/// only the data can change.
pub const COLLISION_ADVICE: &str = "a collision means that several source items lead to one target key, and dynasplit never \
     chooses between them: change or delete all but one of these items in the source, then run `dynasplit verify`. To keep \
     them all, add a service with another name, another table and key templates that tell them apart";

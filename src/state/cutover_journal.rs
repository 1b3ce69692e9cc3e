//! The journal of a cutover: one record for each service with the step that is under way, and one bounded record for each
//! event. The same command continues at the recorded step, by any process.

use super::lease::Lease;
use super::store::Store;
use super::{CutoverPhase, StateError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The longest text that an event keeps. A record must fit into an item of DynamoDB, with room for the others.
const MOST_TEXT: usize = 16 * 1024;

/// A step of a cutover, of its cancel, of a rollback, or of the cancel of a rollback. It is recorded before it begins, and
/// each step can be repeated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutoverStep {
    /// The copy and the way back are checked, and the tip of the target's stream is found. Nothing is stopped.
    Ready,
    /// The writers of the source are stopped.
    Fence,
    /// The forward lane applies what was accepted before.
    Drain,
    /// The copy is checked under the fence.
    Check,
    /// The forward lane is closed, and every worker acknowledges it.
    Close,
    /// The way back gets its beginning in the target's stream.
    Pin,
    /// The reverse lane starts.
    Reverse,
    /// The switch hook moves the writers to the target. From here on, there is no cancel.
    Switch,
    /// The service writes its own table. The cutover has ended.
    Switched,
    /// A cancel: a forward lane that was closed is opened again.
    CancelReopen,
    /// A cancel: the source's fence is lifted.
    CancelLift,
    /// The cutover was cancelled. Nothing was lost.
    Cancelled,
    /// A rollback: the writers of the target are stopped.
    FenceTarget,
    /// A rollback: the reverse lane carries back what was accepted before.
    DrainBack,
    /// A rollback: nothing that the service wrote is missing in the source.
    CheckBack,
    /// A rollback: the reverse lane ends, and the forward lane is opened again. From here on, a rollback has no cancel.
    Reopen,
    /// A rollback: the source's fence is lifted, and the rollback hook moves the writers back.
    Unfence,
    /// The service writes the source again. The rollback has ended.
    RolledBack,
    /// The cancel of a rollback: the target's fence is lifted.
    RollbackCancelLift,
    /// The rollback was cancelled: the service continues to write its own table.
    RollbackCancelled,
    /// The end: the reverse lane has carried everything back, and ends. After that, there is no way back.
    EndWayBack,
    /// The end: the watcher passes the last reverse write, and ends.
    EndWatch,
    /// The end: the marks are removed from the source items.
    RemoveMarks,
    /// The end: the stamps are removed from the table, and its TTL is switched on.
    Strip,
    /// The service is completed.
    Completed,
}

impl CutoverStep {
    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Switched | Self::Cancelled | Self::RolledBack | Self::RollbackCancelled | Self::Completed
        )
    }

    /// Whether a cutover is under way that can be cancelled.
    #[must_use]
    pub fn can_cancel(self) -> bool {
        self <= Self::Reverse
    }

    /// Whether the step is one of a cutover.
    #[must_use]
    pub fn is_of_cutover(self) -> bool {
        self <= Self::Switched
    }

    /// Whether the step is one of a cancel.
    #[must_use]
    pub fn is_of_cancel(self) -> bool {
        matches!(self, Self::CancelReopen | Self::CancelLift | Self::Cancelled)
    }

    /// Whether the step is one of a rollback.
    #[must_use]
    pub fn is_of_rollback(self) -> bool {
        (Self::FenceTarget..=Self::RolledBack).contains(&self)
    }

    /// Whether the step is one of the end of a service.
    #[must_use]
    pub fn is_of_end(self) -> bool {
        self >= Self::EndWayBack
    }

    /// Whether a rollback is under way that can be cancelled.
    #[must_use]
    pub fn can_cancel_rollback(self) -> bool {
        (Self::FenceTarget..=Self::CheckBack).contains(&self)
    }

    /// Whether a hold keeps this step from beginning. A step that lifts a fence, and the end of a command, are never kept.
    #[must_use]
    pub fn waits_for_resume(self) -> bool {
        self <= Self::Switch || self == Self::FenceTarget || self.is_of_end() && !self.is_over()
    }

    /// What is done, in a few words.
    #[must_use]
    pub fn doing(self) -> &'static str {
        match self {
            Self::Ready => "checks what a cutover needs",
            Self::Fence => "stops the writers of the source",
            Self::Drain => "waits until the forward lane has applied every write",
            Self::Check => "checks the copy",
            Self::Close => "closes the forward lane",
            Self::Pin => "pins the target's stream",
            Self::Reverse => "starts the reverse lane",
            Self::Switch => "switches the writers to the target",
            Self::Switched => "the service writes its own table",
            Self::CancelReopen => "opens the forward lane again",
            Self::CancelLift | Self::Unfence => "lifts the fence of the source",
            Self::Cancelled => "the cutover was cancelled",
            Self::FenceTarget => "stops the writers of the target",
            Self::DrainBack => "waits until the reverse lane has carried back every write",
            Self::CheckBack => "checks what was carried back",
            Self::Reopen => "opens the forward lane again, and ends the reverse lane",
            Self::RolledBack => "the service writes the source again",
            Self::RollbackCancelLift => "lifts the fence of the target",
            Self::RollbackCancelled => "the rollback was cancelled",
            Self::EndWayBack => "ends the way back when everything is in the source",
            Self::EndWatch => "looks for the last writes of others to the source",
            Self::RemoveMarks => "removes the marks from the source items",
            Self::Strip => "removes the stamps from the table",
            Self::Completed => "the service is completed",
        }
    }
}

impl std::fmt::Display for CutoverStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Fence => "fence",
            Self::Drain => "drain",
            Self::Check => "check",
            Self::Close => "close",
            Self::Pin => "pin",
            Self::Reverse => "reverse",
            Self::Switch => "switch",
            Self::Switched => "switched",
            Self::CancelReopen => "cancel-reopen",
            Self::CancelLift => "cancel-lift",
            Self::Cancelled => "cancelled",
            Self::FenceTarget => "fence-target",
            Self::DrainBack => "drain-back",
            Self::CheckBack => "check-back",
            Self::Reopen => "reopen",
            Self::Unfence => "unfence",
            Self::RolledBack => "rolled-back",
            Self::RollbackCancelLift => "rollback-cancel-lift",
            Self::RollbackCancelled => "rollback-cancelled",
            Self::EndWayBack => "end-way-back",
            Self::EndWatch => "end-watch",
            Self::RemoveMarks => "remove-marks",
            Self::Strip => "strip",
            Self::Completed => "completed",
        })
    }
}

/// The time in which the service could write nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// When the first writer was stopped, in milliseconds since 1970.
    pub from_ms: u64,
    /// The last write that was accepted before, as far as the stream shows it.
    pub last_write_ms: Option<u64>,
    /// When it was proven that no write is accepted any more.
    pub proven_ms: Option<u64>,
    /// When the service could write again.
    pub until_ms: Option<u64>,
}

impl Pause {
    /// How long it has lasted, in milliseconds.
    #[must_use]
    pub fn lasted_ms(&self, now_ms: u64) -> u64 {
        let from = self.last_write_ms.unwrap_or(self.from_ms).max(self.from_ms);
        self.until_ms.unwrap_or(now_ms).saturating_sub(from)
    }
}

/// An operator holds the next step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub operator: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

/// Markers that one attempt of a drain has written, or was about to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MarkerRun {
    /// The run, which is in the key of each marker.
    pub run: u64,
    /// How many there are at most: their numbers are below this.
    pub count: u32,
    /// Each request was answered, so none of them lands later.
    pub settled: bool,
}

/// The journal of a service's cutover or rollback: who does what, and what was seen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutoverRecord {
    /// The service.
    pub service: String,
    /// The epoch of the cutover.
    pub epoch: u64,
    /// The step that is under way, or that ended it.
    pub step: CutoverStep,
    /// Since when, in milliseconds since 1970.
    pub step_ms: u64,
    /// The process that works on it.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// Who started this process.
    pub operator: String,
    /// When the cutover, or the rollback, began, in milliseconds since 1970.
    pub began_ms: u64,
    /// The longest pause that the operator allows.
    pub max_pause_ms: Option<u64>,
    /// The pause of the cutover, or of the rollback.
    pub pause: Option<Pause>,
    /// The parts of the source's fence that are up, in the order in which they were raised.
    pub source_fence: Vec<serde_json::Value>,
    /// The parts of the target's fence that are up.
    pub target_fence: Vec<serde_json::Value>,
    /// Markers that were written to the source, and are not removed yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_markers: Vec<MarkerRun>,
    /// Markers that were written to the service's own table, and are not removed yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_markers: Vec<MarkerRun>,
    /// The number of events.
    pub events: u64,
    /// Why the last process stopped; `None` if it did not fail.
    pub problem: Option<String>,
    /// The next step does not begin, until somebody resumes it. Set and removed by other processes than the one that works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// The services with a journal: they are being cut over, or were. The streams of their tables are on, also if nothing else of
/// the cutover is on record.
///
/// # Errors
/// If the state can't be read.
pub async fn cut_over(store: &Store) -> Result<BTreeSet<String>, StateError> {
    let found = store.list::<CutoverRecord>(CutoverRecord::PREFIX).await?;
    let services = found.into_iter().map(|(_, stored)| stored.value.service);
    Ok(services.collect())
}

impl CutoverRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "CUTOVER#";

    /// Name of a service's record.
    #[must_use]
    pub fn record_name(service: &str) -> String {
        format!("{}{service}", Self::PREFIX)
    }

    /// A record before the first cutover of a service.
    #[must_use]
    pub fn new(service: &str, now_ms: u64) -> Self {
        Self {
            service: service.to_owned(),
            epoch: 0,
            step: CutoverStep::Cancelled,
            step_ms: now_ms,
            lease: Lease::unheld(),
            beat: 0,
            operator: String::new(),
            began_ms: now_ms,
            max_pause_ms: None,
            pause: None,
            source_fence: Vec::new(),
            target_fence: Vec::new(),
            source_markers: Vec::new(),
            target_markers: Vec::new(),
            events: 0,
            problem: None,
            hold: None,
        }
    }

    /// For how long the next step may be held, in milliseconds; `None`: for any time.
    ///
    /// # Errors
    /// Why it may not be held: the writers are stopped, and nothing would end that.
    pub fn longest_hold_ms(&self, now_ms: u64) -> Result<Option<u64>, String> {
        let step = self.step;
        if step == CutoverStep::Completed {
            return Err("the service is completed, so no step follows".into());
        }
        if step.is_over() || step == CutoverStep::Ready || step.is_of_end() {
            return Ok(None);
        }
        if !step.can_cancel() {
            return Err(format!(
                "the step {step} is under way (it {}), and the next step must not wait",
                step.doing()
            ));
        }
        let stopped = format!("the writers are stopped (step {step})");
        if self.lease.owner.is_none() {
            return Err(format!("{stopped}, and no process would end that"));
        }
        let (Some(most), Some(pause)) = (self.max_pause_ms, self.pause) else {
            return Err(format!(
                "{stopped}, and the cutover has no --max-pause that would end that"
            ));
        };
        match (pause.from_ms + most).saturating_sub(now_ms) {
            0 => Err(format!("{stopped}, and nothing is left of --max-pause")),
            left => Ok(Some(left)),
        }
    }

    /// The next safe command, for a person.
    #[must_use]
    pub fn next(&self, phase: CutoverPhase) -> String {
        let service = &self.service;
        if self.hold.is_some() {
            let cancel = if self.step.can_cancel() && !self.step.is_over() {
                format!(", or `dynasplit cutover --service {service} --cancel --yes` to go back")
            } else {
                String::new()
            };
            return format!(
                "run `dynasplit resume --service {service}` when the next step may begin{cancel}"
            );
        }
        let (cutover, rollback, complete) = (
            format!("`dynasplit cutover --service {service} --yes`"),
            format!("`dynasplit rollback --service {service} --yes`"),
            format!("`dynasplit complete --service {service} --yes`"),
        );
        match self.step {
            CutoverStep::Switched => {
                format!(
                    "watch the service. To go back without a loss, run {rollback}; when you are sure that nobody goes back, run {complete}"
                )
            }
            CutoverStep::Cancelled | CutoverStep::RolledBack => {
                format!("find the cause, then run {cutover} again when you are ready")
            }
            CutoverStep::RollbackCancelled => {
                format!("the service writes its own table. To go back, run {rollback}")
            }
            CutoverStep::Completed => "nothing is left to do for this service".into(),
            CutoverStep::EndWayBack if phase.carries_back() => {
                format!("run {complete} to continue, or {rollback} to go back")
            }
            step if step.is_of_end() => format!("run {complete} to continue"),
            step if step.can_cancel() => format!(
                "run {cutover} to continue, or `dynasplit cutover --service {service} --cancel --yes` to go back"
            ),
            step if step.is_of_cutover() => {
                format!("run {cutover} to continue, or {rollback} to go back")
            }
            step if step.is_of_cancel() => {
                format!("run `dynasplit cutover --service {service} --cancel --yes` to continue")
            }
            step if step.can_cancel_rollback() && phase == CutoverPhase::FencedForRollback => format!(
                "run {rollback} to continue, or `dynasplit rollback --service {service} --cancel --yes` to stay with the target"
            ),
            CutoverStep::RollbackCancelLift => {
                format!("run `dynasplit rollback --service {service} --cancel --yes` to continue")
            }
            _ => format!("run {rollback} to continue"),
        }
    }
}

/// One entry of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CutoverEvent {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The epoch of the cutover.
    pub epoch: u64,
    /// The step.
    pub step: CutoverStep,
    /// Who did it.
    pub operator: String,
    /// What happened.
    pub what: String,
    /// The output of a hook, cut to its end if it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl CutoverEvent {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "CUTOVEREVENT#";

    /// Name of an event's record.
    #[must_use]
    pub fn record_name(service: &str, number: u64) -> String {
        format!("{}{service}#{number:08}", Self::PREFIX)
    }

    /// Name of the record of an event that another process than the one that works adds: after the last event of that process.
    /// `revision` is that of the journal.
    #[must_use]
    pub fn name_between(service: &str, events: u64, revision: u64) -> String {
        format!("{}.{revision:010}", Self::record_name(service, events))
    }

    /// The same, whose texts fit into a record.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.what = end_of(self.what);
        self.output = self.output.map(end_of);
        self
    }

    /// The last events of a journal, at most this many, oldest first. Earlier ones are not read: a journal has those of every
    /// cutover and rollback of its service, with the output of hooks.
    ///
    /// # Errors
    /// If a request fails.
    pub async fn last(store: &Store, journal: &CutoverRecord, most: usize) -> Result<Vec<Self>, StateError> {
        let service = &journal.service;
        let prefix = format!("{}{service}#", Self::PREFIX);
        let before = journal.events.saturating_sub(most as u64);
        let found = store
            .list_after::<Self>(&prefix, &Self::record_name(service, before))
            .await?;
        let skipped = found.len().saturating_sub(most);
        Ok(found
            .into_iter()
            .skip(skipped)
            .map(|(_, stored)| stored.value)
            .collect())
    }
}

/// The end of a text: the last lines of a hook say why it failed.
fn end_of(text: String) -> String {
    if text.len() <= MOST_TEXT {
        return text;
    }
    let mut from = text.len() - MOST_TEXT;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    format!("...{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_end() {
        let event = CutoverEvent {
            at_ms: 0,
            epoch: 1,
            step: CutoverStep::Switch,
            operator: "o".into(),
            what: "short".into(),
            output: Some(format!("{}end", "é".repeat(MOST_TEXT))),
        };
        let bounded = event.bounded();
        assert_eq!(bounded.what, "short");
        let output = bounded.output.unwrap();
        assert!(output.len() <= MOST_TEXT + 3 && output.ends_with("end") && output.starts_with("..."));
    }

    #[test]
    fn a_hold_never_stops_the_writers_for_longer_than_the_operator_allows() {
        let mut record = CutoverRecord::new("a", 0);
        assert_eq!(record.longest_hold_ms(5), Ok(None), "nothing is under way");
        record.step = CutoverStep::Ready;
        assert_eq!(record.longest_hold_ms(5), Ok(None), "nobody is stopped");
        record.step = CutoverStep::Drain;
        record.pause = Some(Pause {
            from_ms: 100,
            last_write_ms: None,
            proven_ms: None,
            until_ms: None,
        });
        record.max_pause_ms = Some(50);
        let refused = |record: &CutoverRecord, now_ms| record.longest_hold_ms(now_ms).unwrap_err();
        assert!(refused(&record, 120).contains("no process"));
        let owner = super::super::Owner::unique("cutover");
        record.lease = Lease::held_by(&owner, std::time::Duration::from_secs(1));
        assert_eq!(record.longest_hold_ms(120), Ok(Some(30)));
        assert!(refused(&record, 150).contains("nothing is left"));
        record.max_pause_ms = None;
        assert!(refused(&record, 120).contains("no --max-pause"));
        for step in [
            CutoverStep::Switch,
            CutoverStep::CancelLift,
            CutoverStep::FenceTarget,
            CutoverStep::Unfence,
        ] {
            record.step = step;
            assert!(refused(&record, 120).contains("must not wait"), "{step}");
        }
        record.step = CutoverStep::Strip;
        assert_eq!(record.longest_hold_ms(5), Ok(None), "the service writes");
    }

    #[test]
    fn a_hold_keeps_no_step_that_lifts_a_fence() {
        for step in [
            CutoverStep::CancelReopen,
            CutoverStep::CancelLift,
            CutoverStep::Reopen,
            CutoverStep::Unfence,
            CutoverStep::RollbackCancelLift,
            CutoverStep::Switched,
            CutoverStep::Completed,
        ] {
            assert!(!step.waits_for_resume(), "{step}");
        }
        for step in [
            CutoverStep::Ready,
            CutoverStep::Fence,
            CutoverStep::Switch,
            CutoverStep::FenceTarget,
            CutoverStep::EndWayBack,
            CutoverStep::Strip,
        ] {
            assert!(step.waits_for_resume(), "{step}");
        }
    }

    #[test]
    fn the_pause_begins_with_the_last_accepted_write_and_ends_when_the_service_can_write() {
        let mut pause = Pause {
            from_ms: 100,
            last_write_ms: None,
            proven_ms: None,
            until_ms: None,
        };
        assert_eq!(pause.lasted_ms(150), 50);
        pause.last_write_ms = Some(120);
        assert_eq!(pause.lasted_ms(150), 30);
        pause.until_ms = Some(140);
        assert_eq!(pause.lasted_ms(1000), 20);
        pause.last_write_ms = Some(5);
        assert_eq!(
            pause.lasted_ms(1000),
            40,
            "an old write does not make the pause longer"
        );
    }
}

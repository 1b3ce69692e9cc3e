//! What all steps of one command share.

use super::changed::{Changed, Compared};
use super::journal::Journal;
use super::options::{CompleteServiceOptions, CutoverReport, Operator, Outcome, ServiceEnd};
use crate::dynamo::Tables;
use crate::plan::Service;
use crate::state::{CutoverPhase, CutoverStep, SplitRecord};
use crate::tail::TipReader;
use crate::worker::{RunError, Split};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// One command's work on the cutover of one service.
pub(super) struct Work<'a> {
    pub split: &'a Split,
    pub service: &'a Service,
    pub tables: &'a Tables,
    pub journal: &'a Journal,
    pub operator: &'a Operator<'a>,
    pub stop: &'a CancellationToken,
    /// `rollback --force`.
    pub force: bool,
    pub full_check: bool,
    /// `complete --service`.
    pub end: CompleteServiceOptions,
    /// What the end of the service has done so far.
    pub ended: std::sync::Mutex<ServiceEnd>,
    /// The tip of the target's stream, once it was looked for.
    pub tip: Mutex<Option<TipReader>>,
    /// What changed since the last verify, as far as it was read.
    pub changed: Mutex<Option<Changed>>,
}

impl Work<'_> {
    pub fn name(&self) -> &str {
        &self.service.name
    }

    /// For the comparison of what changed.
    pub fn compared(&self) -> Compared<'_> {
        Compared {
            split: self.split,
            service: self.service,
            journal: self.journal,
            stop: self.stop,
        }
    }

    pub fn epoch(&self) -> u64 {
        self.journal.record().epoch
    }

    pub fn ended(&self) -> MutexGuard<'_, ServiceEnd> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn phase(&self) -> Result<CutoverPhase, RunError> {
        let record = SplitRecord::read(&self.split.store).await?.value;
        Ok(record.cutover_phase(self.name()))
    }

    /// Moves the service to another phase.
    ///
    /// # Errors
    /// If another command moved it meanwhile.
    pub async fn move_to(&self, from: CutoverPhase, to: CutoverPhase) -> Result<(), RunError> {
        let (epoch, mut moved) = (self.epoch(), false);
        SplitRecord::change(&self.split.store, |record| {
            moved = record.move_cutover(self.name(), epoch, from, to, self.split.now_ms());
        })
        .await?;
        if moved {
            return Ok(());
        }
        Err(RunError::Failed(format!(
            "the state of {} is not the one that the journal shows (cutover {epoch}, {from}): another command changed it. Run \
             `dynasplit status` to see what it shows now",
            self.name()
        )))
    }

    /// The service can write again: the pause ends.
    pub async fn end_pause(&self) -> Result<(), RunError> {
        let now = self.split.now_ms();
        self.journal
            .change(|record| {
                if let Some(pause) = &mut record.pause {
                    pause.until_ms.get_or_insert(now);
                }
            })
            .await
    }

    pub async fn report(&self, already: bool) -> Result<CutoverReport, RunError> {
        let record = self.journal.record();
        let outcome = match record.step {
            CutoverStep::Switched => Outcome::Switched,
            CutoverStep::RolledBack => Outcome::RolledBack,
            CutoverStep::RollbackCancelled => Outcome::RollbackCancelled,
            CutoverStep::Completed => Outcome::Completed,
            _ => Outcome::Cancelled,
        };
        Ok(CutoverReport {
            service: self.name().to_owned(),
            table: self.service.table.name.clone(),
            outcome,
            epoch: record.epoch,
            already,
            pause_ms: record.pause.map(|pause| pause.lasted_ms(self.split.now_ms())),
            next: record.next(self.phase().await?),
            reason: record.problem,
        })
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

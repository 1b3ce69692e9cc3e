//! The journal of a service's cutover while a process works on it: one process at a time, and each step is recorded
//! before it begins.

use crate::fault::{Rule, broken};
use crate::repair::RepairLease;
use crate::state::{CutoverEvent, CutoverRecord, CutoverStep, Lease, LeaseWatch, Owner, StateError, Stored};
use crate::status::duration;
use crate::worker::{Leasable, LeasedRecord, RunError, Split, pause};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

impl Leasable for CutoverRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    /// While a process works, only `pause` and `resume` write its journal. A hold that came before a step keeps this step from
    /// beginning.
    fn absorb(&mut self, stored: Self) {
        let is_new = self.hold.is_none() && stored.hold.is_some();
        if is_new && self.step != stored.step {
            (self.step, self.step_ms) = (stored.step, stored.step_ms);
        }
        self.hold = stored.hold;
    }
}

/// Wait between two checks of a journal that another process holds.
const POLL: Duration = Duration::from_millis(300);

/// The exclusive right to continue the cutover of a service.
pub(super) struct Journal {
    split: Split,
    service: String,
    operator: String,
    leased: Arc<LeasedRecord<CutoverRecord>>,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
    /// No repair, reconcile or sweep runs meanwhile.
    repair: RepairLease,
}

impl Journal {
    /// Takes the journal: at once if nobody works on this cutover, and after a whole lease time without a sign of life if
    /// the process died.
    ///
    /// # Errors
    /// [`RunError::NotYet`] if another operator works on it, with the name and the time.
    pub async fn take(
        split: &Split,
        service: &str,
        operator: &str,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let leased = Self::lease(split, service, operator, stop).await?;
        let done = CancellationToken::new();
        let renewing = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&leased).renew_until(done.clone())));
        let repair = match RepairLease::take(split, stop).await {
            Ok(repair) => repair,
            Err(error) => {
                done.cancel();
                give_back(renewing).await;
                return Err(error);
            }
        };
        Ok(Self {
            split: split.clone(),
            service: service.to_owned(),
            operator: operator.to_owned(),
            leased,
            renewing,
            done,
            repair,
        })
    }

    async fn lease(
        split: &Split,
        service: &str,
        operator: &str,
        stop: &CancellationToken,
    ) -> Result<Arc<LeasedRecord<CutoverRecord>>, RunError> {
        let (name, owner) = (CutoverRecord::record_name(service), Owner::unique("cutover"));
        let _waiting = split.waits.until(
            "the lease of a cutover that was interrupted has expired",
            split.timing.lease,
        );
        let (mut watch, mut seen) = (LeaseWatch::default(), None);
        loop {
            let stored = split.store.get::<CutoverRecord>(&name).await?;
            let mut stored = stored.unwrap_or_else(|| Stored {
                value: CutoverRecord::new(service, split.now_ms()),
                revision: 0,
            });
            let (revision, held) = (stored.revision, stored.value.lease.owner.is_some());
            if held && seen.is_some_and(|seen| seen != revision) {
                return Err(held_by_another(split, &stored.value));
            }
            seen = Some(revision);
            if watch.is_free(&name, &stored.value.lease, revision, Instant::now()) {
                operator.clone_into(&mut stored.value.operator);
                if let Some(leased) =
                    LeasedRecord::take(&split.store, &name, stored, &owner, split.timing).await?
                {
                    return Ok(leased);
                }
            }
            pause(POLL.min(split.timing.renew()), stop).await?;
        }
    }

    /// Its name in the state table.
    pub fn name(&self) -> &str {
        self.leased.name()
    }

    /// The record.
    pub fn record(&self) -> CutoverRecord {
        self.leased.snapshot()
    }

    /// The step that is under way.
    pub fn step(&self) -> CutoverStep {
        self.record().step
    }

    /// Changes the record durably.
    ///
    /// # Errors
    /// If another process has taken over, or the state cannot be reached.
    pub async fn change(&self, change: impl FnOnce(&mut CutoverRecord)) -> Result<(), RunError> {
        self.leased.update(change);
        if self.leased.save().await? {
            return Ok(());
        }
        Err(taken_over())
    }

    /// Records that a step begins, also if the journal is on hold.
    ///
    /// # Errors
    /// As [`Journal::change`].
    pub async fn enter(&self, step: CutoverStep) -> Result<(), RunError> {
        let now = self.split.now_ms();
        // A hold that came at the same moment kept it from beginning once.
        while {
            self.change(|record| (record.step, record.step_ms) = (step, now))
                .await?;
            self.step() != step
        } {}
        self.event(step.doing(), None).await
    }

    /// Records that a step begins, unless the journal is on hold. Returns whether it has begun.
    ///
    /// # Errors
    /// As [`Journal::change`].
    pub async fn advance(&self, step: CutoverStep) -> Result<bool, RunError> {
        let now = self.split.now_ms();
        self.change(|record| {
            if record.hold.is_none() || broken(Rule::HoldKept) {
                (record.step, record.step_ms) = (step, now);
            }
        })
        .await?;
        let record = self.record();
        if record.hold.is_some() && record.step != step {
            return Ok(false);
        }
        self.event(step.doing(), None).await?;
        Ok(true)
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`Journal::change`].
    pub async fn event(&self, what: &str, output: Option<String>) -> Result<(), RunError> {
        // The number comes first, so that no event replaces another one.
        self.change(|record| record.events += 1).await?;
        let record = self.record();
        let event = CutoverEvent {
            at_ms: self.split.now_ms(),
            epoch: record.epoch,
            step: record.step,
            operator: self.operator.clone(),
            what: what.to_owned(),
            output,
        };
        let name = CutoverEvent::record_name(&self.service, record.events);
        Ok(self.split.store.set(&name, &event.bounded()).await?)
    }

    /// What comes of work that needs the journal. The work is dropped if another process takes over.
    pub async fn during<T>(&self, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        let lost = self.leased.lost();
        let guarded = self.repair.during(work);
        tokio::select! {
            biased;
            () = lost.cancelled() => Err(taken_over()),
            done = guarded => done.unwrap_or_else(|| Err(taken_over())),
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        self.repair.release().await;
        self.done.cancel();
        give_back(self.renewing).await;
    }
}

async fn give_back(renewing: AbortOnDropHandle<Result<(), StateError>>) {
    match renewing.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) if error.is_gone() => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the lease of the cutover was not released; it expires by itself");
        }
        Err(error) => {
            tracing::error!(%error, "the lease of the cutover was not released; it expires by itself")
        }
    }
}

fn taken_over() -> RunError {
    RunError::Stopped(
        "another process continues this cutover; run `dynasplit status` to see which step it has reached"
            .into(),
    )
}

fn held_by_another(split: &Split, record: &CutoverRecord) -> RunError {
    RunError::NotYet {
        what: format!(
            "{} works on the cutover of {} (it began {} ago; the present step began {} ago: {})",
            record.operator,
            record.service,
            duration(split.now_ms().saturating_sub(record.began_ms)),
            duration(split.now_ms().saturating_sub(record.step_ms)),
            record.step.doing(),
        ),
        next: "wait until it ends; `dynasplit status` shows its progress".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Hold;

    #[test]
    fn a_hold_that_came_before_a_step_keeps_it_from_beginning() {
        let hold = Some(Hold {
            operator: "o".into(),
            since_ms: 1,
        });
        let mut working = CutoverRecord::new("a", 0);
        working.step = CutoverStep::Pin;
        let stored = CutoverRecord {
            step: CutoverStep::Close,
            hold: hold.clone(),
            ..working.clone()
        };
        working.absorb(stored.clone());
        assert_eq!((working.step, &working.hold), (CutoverStep::Close, &hold));
        // It is known now, so a step that begins in spite of it (a cancel) begins.
        working.step = CutoverStep::CancelReopen;
        working.absorb(stored.clone());
        assert_eq!(working.step, CutoverStep::CancelReopen);
        working.absorb(CutoverRecord { hold: None, ..stored });
        assert_eq!((working.step, working.hold), (CutoverStep::CancelReopen, None));
    }
}

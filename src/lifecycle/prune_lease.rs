//! The lease of a prune: one process at a time keeps its cursors.

use crate::state::{Lease, LeaseWatch, Owner, PruneRecord, PruneSide, StateError, Stored};
use crate::worker::{Leasable, LeasedRecord, RunError, Split, pause};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

impl Leasable for PruneRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

/// Wait between two checks of a record that another process holds.
const POLL: Duration = Duration::from_millis(300);

/// The exclusive right to continue the prune of a service.
pub(super) struct PruneLease {
    leased: Arc<LeasedRecord<PruneRecord>>,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
}

impl PruneLease {
    /// Takes the lease: at once if nobody prunes the service, and after a whole lease time without a sign of life if the process
    /// died. A pass that has ended begins anew.
    ///
    /// # Errors
    /// [`RunError::NotYet`] if another process prunes the service.
    pub async fn take(
        split: &Split,
        service: &str,
        side: PruneSide,
        operator: &str,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let (name, owner) = (PruneRecord::record_name(service, side), Owner::unique("prune"));
        let _waiting = split.waits.until(
            "the lease of a prune that was interrupted has expired",
            split.timing.lease,
        );
        let (mut watch, mut seen) = (LeaseWatch::default(), None);
        loop {
            let stored = split.store.get::<PruneRecord>(&name).await?;
            let mut stored = stored.unwrap_or_else(|| Stored {
                value: PruneRecord::new(service, side, split.now_ms()),
                revision: 0,
            });
            let (revision, held) = (stored.revision, stored.value.lease.owner.is_some());
            if held && seen.is_some_and(|seen| seen != revision) {
                return Err(RunError::NotYet {
                    what: format!("{} prunes {service} already", stored.value.operator),
                    next: "wait until it ends; `dynasplit status` shows its progress".into(),
                });
            }
            seen = Some(revision);
            if watch.is_free(&name, &stored.value.lease, revision, Instant::now()) {
                if stored.value.ended_ms.is_some() {
                    stored.value = PruneRecord::new(service, side, split.now_ms());
                }
                operator.clone_into(&mut stored.value.operator);
                if let Some(leased) =
                    LeasedRecord::take(&split.store, &name, stored, &owner, split.timing).await?
                {
                    let done = CancellationToken::new();
                    let renewing = tokio::spawn(Arc::clone(&leased).renew_until(done.clone()));
                    return Ok(Self {
                        leased,
                        renewing: AbortOnDropHandle::new(renewing),
                        done,
                    });
                }
            }
            pause(POLL.min(split.timing.renew()), stop).await?;
        }
    }

    /// The record.
    pub fn record(&self) -> PruneRecord {
        self.leased.snapshot()
    }

    /// Changes the record durably.
    ///
    /// # Errors
    /// If another process has taken over, or the state cannot be reached.
    pub async fn change(&self, change: impl FnOnce(&mut PruneRecord)) -> Result<(), RunError> {
        self.leased.update(change);
        if self.leased.save().await? {
            return Ok(());
        }
        Err(taken_over())
    }

    /// Work that is dropped if another process takes over.
    pub async fn during<T>(&self, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        let lost = self.leased.lost();
        tokio::select! {
            biased;
            () = lost.cancelled() => Err(taken_over()),
            done = work => done,
        }
    }

    /// Gives it back.
    pub async fn release(self) {
        self.done.cancel();
        match self.renewing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_gone() => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease of the prune was not released; it expires by itself");
            }
            Err(error) => {
                tracing::error!(%error, "the lease of the prune was not released; it expires by itself");
            }
        }
    }
}

fn taken_over() -> RunError {
    RunError::Stopped("another process continues this prune".into())
}

//! The lease of repairs: only one process at a time repairs and switches tombstones off.

use crate::state::{BackfillRecord, Lease, LeaseWatch, Owner, StateError, Store, Stored, Validity};
use crate::worker::{
    ActivityNote, Budgets, Leasable, LeasedRecord, RunError, Split, pause, with_activity_notes,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The repair that runs, if one does: only one at a time may, since the one that ends switches tombstones off.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RepairRecord {
    /// Who repairs.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// When the last repair began, in milliseconds since 1970.
    pub started_ms: u64,
}

impl RepairRecord {
    /// Name of the record.
    pub const NAME: &'static str = "REPAIR";
}

impl Leasable for RepairRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

/// Wait between two checks of a lease that another process holds.
const POLL: Duration = Duration::from_millis(300);

/// Whether a repair runs, or ended without giving its lease back.
///
/// # Errors
/// When the state can't be read.
pub async fn repair_runs(store: &Store) -> Result<bool, StateError> {
    let found = store.get::<RepairRecord>(RepairRecord::NAME).await?;
    Ok(found.is_some_and(|stored| stored.value.lease.owner.is_some()))
}

/// The exclusive right to repair, and to release the tombstones. A process that writes what it read of the source
/// holds it until none of its writes can land any more.
pub(crate) struct RepairLease {
    leased: Arc<LeasedRecord<RepairRecord>>,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
}

impl RepairLease {
    /// Takes it: at once if it is free, and after a whole lease time without a sign of life if its owner died.
    ///
    /// # Errors
    /// [`RunError::NotYet`] if another repair is alive.
    pub async fn take(split: &Split, stop: &CancellationToken) -> Result<Self, RunError> {
        let owner = Owner::unique("repair");
        let _waiting = split.waits.until(
            "the lease of a repair that was interrupted has expired",
            split.timing.lease,
        );
        let mut watch = LeaseWatch::default();
        let mut seen = None;
        loop {
            let stored = split.store.get::<RepairRecord>(RepairRecord::NAME).await?;
            let mut stored = stored.unwrap_or(Stored {
                value: RepairRecord {
                    lease: Lease::unheld(),
                    ..RepairRecord::default()
                },
                revision: 0,
            });
            let revision = stored.revision;
            let held = stored.value.lease.owner.is_some();
            if held && seen.is_some_and(|seen| seen != revision) {
                return Err(RunError::NotYet {
                    what: "another repair of this split is running".into(),
                    next: "wait until it has ended, then run `dynasplit verify`".into(),
                });
            }
            seen = Some(revision);
            if watch.is_free(RepairRecord::NAME, &stored.value.lease, revision, Instant::now()) {
                stored.value.started_ms = split.now_ms();
                let name = RepairRecord::NAME;
                if let Some(leased) =
                    LeasedRecord::take(&split.store, name, stored, &owner, split.timing).await?
                {
                    return Ok(Self::keep(leased));
                }
            }
            pause(POLL.min(split.timing.renew()), stop).await?;
        }
    }

    /// Takes it as soon as it is free.
    ///
    /// # Errors
    /// If the state can't be reached, or the command is stopped.
    pub async fn wait(split: &Split, stop: &CancellationToken) -> Result<Self, RunError> {
        loop {
            match Self::take(split, stop).await {
                Err(RunError::NotYet { .. }) => pause(POLL, stop).await?,
                other => return other,
            }
        }
    }

    fn keep(leased: Arc<LeasedRecord<RepairRecord>>) -> Self {
        let done = CancellationToken::new();
        Self {
            renewing: AbortOnDropHandle::new(tokio::spawn(Arc::clone(&leased).renew_until(done.clone()))),
            leased,
            done,
        }
    }

    /// Until when writes may start.
    pub fn validity(&self) -> Validity {
        self.leased.validity()
    }

    /// Whether nothing that was written under this lease, by this process or one before it, can still land.
    pub fn is_settled(&self) -> bool {
        self.leased.is_settled()
    }

    /// So long was waited since this lease was taken that nothing of its earlier owners can land any more.
    pub fn earlier_owners_have_landed(&self) {
        self.leased.earlier_owners_have_landed();
    }

    /// What comes of work that needs it; none where somebody else took it meanwhile. Then nothing of the work may be written
    /// any more: it is dropped, and what was under way lands or does not, as if this process had died.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let lost = self.leased.lost();
        tokio::select! {
            biased;
            () = lost.cancelled() => None,
            result = work => Some(result),
        }
    }

    /// The same for the work of a command: within its budgets, and with notes of what it does, by its name and its phase.
    ///
    /// # Errors
    /// Those of the work; and if the budgets cannot be read, or another repair took over.
    pub async fn during_command<T>(
        &self,
        split: &Split,
        (command, phase): (&str, impl Fn() -> String),
        budgets: &Budgets,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        Box::pin(budgets.read(&split.store)).await?;
        let work = self.during(Box::pin(budgets.during(&split.store, work)));
        let doing = || ActivityNote::new(split.waits.beside(&phase()), budgets.limits());
        let result = Box::pin(with_activity_notes(split, command, doing, work)).await;
        result.unwrap_or_else(|| {
            Err(RunError::Stopped(
                "another repair took over: wait until it has ended, then run the same command again".into(),
            ))
        })
    }

    /// Gives it back.
    pub async fn release(self) {
        self.done.cancel();
        match self.renewing.await {
            Ok(Ok(())) => {}
            // The command reports it.
            Ok(Err(error)) if error.is_gone() => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease of the repair was not released; it expires by itself");
            }
            Err(error) => tracing::error!(%error, "the lease of the repair was not released; it expires by \
                 itself"),
        }
    }
}

/// Refuses a repair before the backfill is finished, or while lanes have no pinned positions. A late page, or a
/// change that no lane reads, could spoil an earlier repair.
///
/// # Errors
/// [`RunError::NotYet`], with the next step.
pub(crate) async fn refuse_unready(split: &Split, services: &[&str]) -> Result<(), RunError> {
    let uncaptured = crate::worker::uncaptured(split).await?;
    if let Some(service) = uncaptured
        .iter()
        .find(|service| services.contains(&service.as_str()))
    {
        return Err(RunError::NotYet {
            what: format!("the stream is not captured for '{service}'"),
            next: "start `dynasplit replicate` first, and leave it running during the repair".into(),
        });
    }
    refuse_uncopied(split, services).await
}

/// Refuses a repair before the backfill is finished.
///
/// # Errors
/// [`RunError::NotYet`], with the next step.
pub(crate) async fn refuse_uncopied(split: &Split, services: &[&str]) -> Result<(), RunError> {
    let Some(backfill) = backfill(split).await? else {
        return Err(RunError::NotYet {
            what: "there was no backfill yet".into(),
            next: "run `dynasplit backfill` first; a repair corrects differences that remain after it".into(),
        });
    };
    let is_copied = |service: &&&str| backfill.services.iter().any(|copied| copied == *service);
    if let Some(service) = services.iter().find(|service| !is_copied(service)) {
        return Err(RunError::NotYet {
            what: format!("'{service}' was not backfilled"),
            next: "run `dynasplit backfill` first; a repair corrects differences that remain after it".into(),
        });
    }
    let copied: Vec<&str> = services
        .iter()
        .copied()
        .filter(|service| backfill.copies(service))
        .collect();
    if !copied.is_empty() {
        return Err(RunError::NotYet {
            what: format!("the backfill of {} is not finished", copied.join(", ")),
            next: "run `dynasplit backfill` until it ends, then run this command again. (With `--service`, a repair leaves \
                 services out)"
                .into(),
        });
    }
    Ok(())
}

/// Whether a backfill is under way.
pub(crate) async fn backfill_runs(split: &Split) -> Result<bool, RunError> {
    let found = backfill(split).await?;
    Ok(found.is_some_and(|record| record.finished_ms.is_none()))
}

/// Those of these services whose backfill is under way.
pub(crate) async fn copied_now<'a>(split: &Split, services: &[&'a str]) -> Result<Vec<&'a str>, RunError> {
    let found = backfill(split).await?;
    let copied = services.iter().copied();
    Ok(copied
        .filter(|service| found.as_ref().is_some_and(|record| record.copies(service)))
        .collect())
}

async fn backfill(split: &Split) -> Result<Option<BackfillRecord>, RunError> {
    let found = split.store.get::<BackfillRecord>(BackfillRecord::NAME).await?;
    Ok(found.map(|stored| stored.value))
}

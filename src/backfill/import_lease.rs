//! The lease of the imports of a backfill: one process at a time requests imports, waits for them, and finishes their tables.

use crate::import::ImportJournal;
use crate::state::{ImportRecord, ImportsRecord, LeaseWatch, Owner, ServiceImport, StateError, Stored};
use crate::worker::{Leasable, LeasedRecord, RunError, Split, pause};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Wait between two checks of a record that another process holds.
const POLL: Duration = Duration::from_millis(500);

impl Leasable for ImportsRecord {
    fn lease(&mut self) -> &mut crate::state::Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

/// The exclusive right to continue the imports.
pub(super) struct ImportLease {
    leased: Arc<LeasedRecord<ImportsRecord>>,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
}

impl ImportLease {
    /// Takes the lease. Waits while another process has it: that process works on the same imports.
    ///
    /// # Errors
    /// If the state cannot be reached, or the command is stopped.
    pub async fn take(split: &Split, stop: &CancellationToken) -> Result<Self, RunError> {
        let (name, owner) = (ImportsRecord::NAME, Owner::unique("import"));
        let (mut watch, mut waiting) = (LeaseWatch::default(), None);
        loop {
            let stored = split.store.get::<ImportsRecord>(name).await?;
            let stored = stored.unwrap_or_else(|| Stored {
                value: ImportsRecord::new(),
                revision: 0,
            });
            if watch.is_free(name, &stored.value.lease, stored.revision, Instant::now())
                && let Some(leased) =
                    LeasedRecord::take(&split.store, name, stored, &owner, split.timing).await?
            {
                let done = CancellationToken::new();
                let renewing = tokio::spawn(Arc::clone(&leased).renew_until(done.clone()));
                return Ok(Self {
                    leased,
                    renewing: AbortOnDropHandle::new(renewing),
                    done,
                });
            }
            let what = "another process ends the imports, or its lease has expired";
            waiting.get_or_insert_with(|| split.waits.until(what, split.timing.lease));
            pause(POLL.min(split.timing.renew()), stop).await?;
        }
    }

    /// What is known of a service.
    pub fn of(&self, service: &str) -> ServiceImport {
        let known = self.leased.snapshot().services.remove(service);
        known.unwrap_or_default()
    }

    /// The record.
    pub fn record(&self) -> ImportsRecord {
        self.leased.snapshot()
    }

    /// Changes what is known of a service, durably.
    ///
    /// # Errors
    /// If another process has taken over, or the state cannot be reached.
    pub async fn change(
        &self,
        service: &str,
        change: impl FnOnce(&mut ServiceImport),
    ) -> Result<(), RunError> {
        self.leased
            .update(|record| change(record.services.entry(service.to_owned()).or_default()));
        if self.leased.save().await? {
            return Ok(());
        }
        Err(taken_over())
    }

    /// The journal of a service's import.
    pub fn journal<'l>(&'l self, service: &'l str) -> ServiceJournal<'l> {
        ServiceJournal { lease: self, service }
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
                tracing::warn!(%error, "the lease of the imports was not released; it expires by itself");
            }
            Err(error) => {
                tracing::error!(%error, "the lease of the imports was not released; it expires by itself");
            }
        }
    }
}

fn taken_over() -> RunError {
    RunError::Stopped("another process continues the imports of this backfill".into())
}

/// The record of one service's import.
pub(super) struct ServiceJournal<'l> {
    lease: &'l ImportLease,
    service: &'l str,
}

impl ImportJournal for ServiceJournal<'_> {
    fn import(&self) -> Option<ImportRecord> {
        self.lease.of(self.service).import
    }

    async fn change(&mut self, change: impl FnOnce(&mut ImportRecord) + Send) -> Result<(), RunError> {
        let changing = |known: &mut ServiceImport| {
            let import = &mut known.import;
            change(import.get_or_insert_with(|| ImportRecord::requested(String::new(), 0)));
        };
        self.lease.change(self.service, changing).await
    }

    async fn forget(&mut self) -> Result<(), RunError> {
        // The next attempt imports a prefix of its own.
        let forgetting = |known: &mut ServiceImport| *known = ServiceImport::default();
        self.lease.change(self.service, forgetting).await
    }
}

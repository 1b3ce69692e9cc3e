//! The task of one destination: it takes the lease of the destination's record, reads the status of the split at regular
//! intervals, and sends what the destination was not told. It never blocks the command beside which it runs.

use super::due::{Due, next_due};
use super::receiver::Receiver;
use super::subjects::{Thresholds, note_throttling, subjects};
use crate::fault;
use crate::state::{LeaseWatch, NotifyRecord, Owner, SendFailure, StateError, Stored};
use crate::status::split_status;
use crate::worker::{LeasedRecord, RunError, Split};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at the state.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// A look takes at most this part of the time: a state with many segments is read less often.
const SHARE: u32 = 20;
/// A look that takes longer is given up, and repeated.
const LONGEST: Duration = Duration::from_secs(60);
/// After the first failure, the next attempt waits so long; after each further one twice as long.
const FIRST_WAIT_MS: u64 = 15_000;
/// The longest wait between two attempts.
const LONGEST_WAIT_MS: u64 = 600_000;

/// What one destination needs.
#[derive(Debug)]
pub(super) struct Notifier {
    pub split: Split,
    pub receiver: Receiver,
    pub thresholds: Thresholds,
    pub owner: Owner,
    pub every: Duration,
}

/// The record of the destination, while this process holds its lease.
struct Held {
    record: Arc<LeasedRecord<NotifyRecord>>,
    renewing: AbortOnDropHandle<Result<(), StateError>>,
    done: CancellationToken,
}

impl Held {
    /// Gives the lease back.
    async fn release(self) {
        self.done.cancel();
        // If the last save fails, the lease expires.
        if let Ok(Err(error)) = self.renewing.await {
            tracing::debug!(%error, "the record of notifications could not be given back");
        }
    }
}

impl Notifier {
    /// Runs until it is told to stop, then looks a last time: what the command did last is told, too.
    pub async fn run(self, done: CancellationToken) {
        let name = NotifyRecord::record_name(&self.receiver.name);
        let mut watch = LeaseWatch::default();
        let mut held = None;
        loop {
            let began = Instant::now();
            let is_last = done.is_cancelled();
            let looking = tokio::time::timeout(LONGEST, Box::pin(self.look(&name, &mut watch, &mut held)));
            match looking.await {
                Ok(Ok(())) => {}
                // The worker reports what is wrong with the state table, because it needs it.
                Ok(Err(error)) => {
                    tracing::debug!(%error, "the state could not be read for notifications; trying again")
                }
                Err(_) => {
                    tracing::debug!("the state could not be read in time for notifications; trying again")
                }
            }
            if is_last {
                break;
            }
            let pause = self.every.max(began.elapsed() * SHARE);
            tokio::select! {
                biased;
                () = done.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Some(held) = held {
            held.release().await;
        }
    }

    /// Takes the lease if it is free, and sends what is due.
    async fn look(
        &self,
        name: &str,
        watch: &mut LeaseWatch,
        held: &mut Option<Held>,
    ) -> Result<(), RunError> {
        if held
            .as_ref()
            .is_some_and(|held| held.record.lost().is_cancelled())
        {
            *held = None;
        }
        if held.is_none() {
            *held = self.take(name, watch).await?;
        }
        let Some(current) = held else { return Ok(()) };
        let keeps = Box::pin(self.tell(&current.record)).await?;
        if !keeps && let Some(held) = held.take() {
            // Another process may be able to send.
            held.release().await;
        }
        Ok(())
    }

    async fn take(&self, name: &str, watch: &mut LeaseWatch) -> Result<Option<Held>, RunError> {
        let found = self.split.store.get::<NotifyRecord>(name).await?;
        let mut stored = found.unwrap_or_else(|| Stored {
            value: NotifyRecord::new(&self.receiver.name),
            revision: 0,
        });
        let is_free = watch.is_free(name, &stored.value.lease, stored.revision, Instant::now());
        if !is_free || stored.value.waits(self.split.now_ms(), LONGEST_WAIT_MS) {
            return Ok(None);
        }
        stored.value.destination.clone_from(&self.receiver.name);
        let taken =
            LeasedRecord::take(&self.split.store, name, stored, &self.owner, self.split.timing).await?;
        Ok(taken.map(|record| {
            let done = CancellationToken::new();
            let renewing =
                AbortOnDropHandle::new(tokio::spawn(Arc::clone(&record).renew_until(done.clone())));
            Held {
                record,
                renewing,
                done,
            }
        }))
    }

    /// Sends what is due. `false`: nothing gets through at present.
    async fn tell(&self, record: &LeasedRecord<NotifyRecord>) -> Result<bool, RunError> {
        let status = split_status(&self.split).await?;
        record.update_quietly(|record| note_throttling(record, &status, status.read_ms));
        loop {
            let known = record.snapshot();
            let found = subjects(&status, &known, self.thresholds);
            let now_ms = self.split.now_ms();
            let Some(due) = next_due(&status.split, &known, &found, now_ms) else {
                return Ok(true);
            };
            if !record.validity().may_write() {
                return Ok(true);
            }
            let sent = self.receiver.send(&due.notice).await;
            let goes_on = sent.is_ok();
            if goes_on {
                fault::moment("notify.sent").await;
            }
            self.note(record, &due, sent);
            // Only a notification that is recorded is not sent again.
            if !record.save().await? || !goes_on {
                return Ok(goes_on);
            }
        }
    }

    fn note(&self, record: &LeasedRecord<NotifyRecord>, due: &Due, sent: Result<(), String>) {
        let now_ms = self.split.now_ms();
        let destination = &self.receiver.name;
        match sent {
            Ok(()) => {
                tracing::debug!(destination, kind = %due.notice.kind, "sent a notification");
                record.update_quietly(|record| {
                    if record.failure.is_some() {
                        tracing::info!(destination, "notifications get through again");
                    }
                    record.was_sent(&due.subject, due.state.as_deref(), due.until_ms, now_ms);
                });
            }
            Err(reason) => {
                let is_first = record.update_quietly(|record| {
                    let before = record.failure.take();
                    let is_first = before.is_none();
                    record.failure = Some(next_failure(before.as_ref(), reason.clone(), now_ms));
                    is_first
                });
                // Once; `status` shows it as long as it lasts.
                if is_first {
                    tracing::warn!(
                        destination,
                        reason,
                        "a notification could not be sent; trying again"
                    );
                } else {
                    tracing::debug!(
                        destination,
                        reason,
                        "a notification could not be sent; trying again"
                    );
                }
            }
        }
    }
}

fn next_failure(before: Option<&SendFailure>, reason: String, now_ms: u64) -> SendFailure {
    let attempts = before.map_or(0, |before| before.attempts).saturating_add(1);
    let wait_ms = FIRST_WAIT_MS.saturating_mul(1 << (attempts - 1).min(10));
    SendFailure {
        since_ms: before.map_or(now_ms, |before| before.since_ms),
        attempts,
        next_ms: now_ms + wait_ms.min(LONGEST_WAIT_MS),
        reason,
    }
}

//! Leased records: kept in memory, saved soon after each change, and renewed while they are owned.

use crate::dynamo::Timing;
use crate::fault::{self, Rule, broken};
use crate::state::{
    Lease, MemberRecord, Moment, NotifyRecord, Owner, SegmentRecord, ShardRecord, StateError, Store, Stored,
    Validity, VerifyTaskRecord, WorkerRecord,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// A record that one worker owns at a time.
pub trait Leasable: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its lease.
    fn lease(&mut self) -> &mut Lease;
    /// Its heartbeat.
    fn beat(&mut self) -> &mut u64;
    /// It is about to be saved.
    fn touch(&mut self, _now_ms: u64) {
        *self.beat() += 1;
    }
    /// Merges what another process added to the stored record while we own it.
    fn absorb(&mut self, stored: Self);
}

impl Leasable for ShardRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, stored: Self) {
        for (lane, state) in stored.lanes {
            let known = self.lanes.entry(lane).or_insert_with(|| state.clone());
            // The process that lists the stream found it.
            known.gap = known.gap.take().or(state.gap);
        }
    }
}

impl Leasable for SegmentRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

impl Leasable for VerifyTaskRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

impl Leasable for MemberRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

impl Leasable for NotifyRecord {
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

impl Leasable for WorkerRecord {
    fn touch(&mut self, now_ms: u64) {
        self.beat += 1;
        self.seen_ms = now_ms;
    }
    fn lease(&mut self) -> &mut Lease {
        &mut self.lease
    }
    fn beat(&mut self) -> &mut u64 {
        &mut self.beat
    }
    fn absorb(&mut self, _stored: Self) {}
}

/// Keeps a leased record: holds it in memory, saves changes soon, renews the lease, and detects its loss. Progress is
/// recorded with [`LeasedRecord::update`] *after* the writes that it covers are durable.
#[derive(Debug)]
pub struct LeasedRecord<T> {
    store: Store,
    name: String,
    owner: Owner,
    timing: Timing,
    validity: Validity,
    /// Nothing that was sent under this lease before this process took it can land any more.
    settled_before: AtomicBool,
    lost: CancellationToken,
    value: Mutex<T>,
    revision: tokio::sync::Mutex<u64>,
    changed: Notify,
}

/// Wait after a save that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

impl<T: Leasable> LeasedRecord<T> {
    /// Takes the lease of a record that was read. `None`: another process was faster.
    ///
    /// # Errors
    /// If the state table can't be written.
    pub async fn take(
        store: &Store,
        name: &str,
        stored: Stored<T>,
        owner: &Owner,
        timing: Timing,
    ) -> Result<Option<Arc<Self>>, StateError> {
        let mut value = stored.value;
        let settled_before = AtomicBool::new(value.lease().is_settled());
        *value.lease() = Lease::held_by(owner, timing.lease);
        value.touch(timing.clock.now_ms());
        let sent = Moment::now(timing.clock);
        let stored = match store.put(name, value, stored.revision).await {
            Ok(stored) => stored,
            Err(StateError::Conflict { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        fault::moment("lease.taken").await;
        Ok(Some(Arc::new(Self {
            store: store.clone(),
            name: name.to_owned(),
            owner: owner.clone(),
            timing,
            validity: Validity::new(timing.clock, sent, timing.lease, timing.attempt)
                .landing_within(timing.landed()),
            settled_before,
            lost: CancellationToken::new(),
            value: Mutex::new(stored.value),
            revision: tokio::sync::Mutex::new(stored.revision),
            changed: Notify::new(),
        })))
    }

    /// Name of the record.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Until when writes may start.
    pub fn validity(&self) -> Validity {
        self.validity.clone()
    }

    /// Whether nothing that was sent under this lease, by this process or an earlier owner, can still land.
    pub fn is_settled(&self) -> bool {
        self.settled_before.load(Ordering::Relaxed) && self.validity.requests().are_settled()
    }

    /// So long was waited since this process took the lease that nothing of its earlier owners can land any more.
    pub fn earlier_owners_have_landed(&self) {
        self.settled_before.store(true, Ordering::Relaxed);
    }

    /// Cancelled when somebody else took the lease: all work under it must stop.
    pub fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    /// Changes the record in memory; it is saved soon.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        result
    }

    /// Changes the record in memory; it is saved with the next renewal at the latest. Use it for changes that may be
    /// lost.
    pub fn update_quietly<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The present record in memory.
    pub fn snapshot(&self) -> T {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Saves now. When this answers `Ok(true)`, all updates so far are durable; `Ok(false)`: the lease was lost.
    ///
    /// # Errors
    /// When the state table can't be reached; the updates stay in memory.
    pub async fn save(&self) -> Result<bool, StateError> {
        let mut revision = self.revision.lock().await;
        if self.lost.is_cancelled() {
            return Ok(false);
        }
        loop {
            let value = {
                let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
                value.touch(self.timing.clock.now_ms());
                value.clone()
            };
            let sent = Moment::now(self.timing.clock);
            match self.store.put(&self.name, value, *revision).await {
                Ok(stored) => {
                    *revision = stored.revision;
                    let sent = if broken(Rule::FromSent) {
                        Moment::now(self.timing.clock)
                    } else {
                        sent
                    };
                    self.validity.renew(sent, self.timing.lease);
                    return Ok(true);
                }
                Err(StateError::Conflict { .. }) => {
                    let Some(mut found) = self.store.get::<T>(&self.name).await? else {
                        self.lose();
                        return Ok(false);
                    };
                    if found.value.lease().owner.as_ref() != Some(&self.owner) {
                        self.lose();
                        return Ok(false);
                    }
                    *revision = found.revision;
                    self.value
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .absorb(found.value);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn lose(&self) {
        tracing::warn!(record = self.name, "another worker took the lease");
        self.validity.end();
        self.lost.cancel();
    }

    /// Saves and renews until `done`, then saves a last time and releases the lease. If another worker took the
    /// lease, that worker repeats what was not saved.
    ///
    /// # Errors
    /// If the last save failed, or the state was deleted: then the last updates are not durable.
    pub async fn renew_until(self: Arc<Self>, done: CancellationToken) -> Result<(), StateError> {
        while !done.is_cancelled() && !self.lost.is_cancelled() {
            tokio::select! {
                biased;
                () = done.cancelled() => break,
                () = self.lost.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.timing.renew()) => {}
                () = self.changed.notified() => {
                    tokio::select! {
                        biased;
                        () = done.cancelled() => {}
                        // Changes are collected, so that the cost of a save is small compared with the work that it
                        // covers.
                        () = tokio::time::sleep(self.timing.renew() / 2) => {}
                    }
                }
            }
            match self.save().await {
                Ok(_) => {}
                Err(error) if error.is_gone() => {
                    // The command reports it once; no write starts from here on.
                    self.validity.end();
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(record = self.name, %error, "could not save; trying again");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
        fault::moment("lease.given-back.before").await;
        // In this order: no write starts from here on, so what is said of those before stays true.
        self.validity.end();
        let settled = self.is_settled();
        self.update(|value| *value.lease() = Lease::given_back(settled));
        // The last save carries the release, so nobody can tell that we own it any more: no retry on conflict.
        let saved = self.save().await;
        fault::moment("lease.given-back.after").await;
        saved.map(drop)
    }
}

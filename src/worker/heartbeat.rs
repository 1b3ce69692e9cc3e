//! The heartbeat of a worker: it renews the worker's record and acknowledges the tombstone switch.

use super::leased_record::LeasedRecord;
use super::split::Split;
use crate::fault;
use crate::state::{Lease, Owner, SplitRecord, StateError, Stored, Validity, WorkerRecord};
use crate::target::Gate;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A worker's sign of life: it renews its record, takes over the tombstone switch from the split's record, and
/// acknowledges it once every attempt to write obeys.
pub(crate) struct Heartbeat {
    done: CancellationToken,
    task: AbortOnDropHandle<()>,
    validity: Validity,
    signs: Signs,
}

/// The facts that a worker reads from the state during its work.
#[derive(Clone, Default)]
struct Signs {
    over: CancellationToken,
    outdated: CancellationToken,
}

impl Signs {
    /// Reads from the split's record whether this worker must end or start again.
    fn read(&self, split: &Split, kind: &str, record: &SplitRecord, (generation, created_ms): (u32, u64)) {
        if record.completing_ms.is_some() {
            self.over.cancel();
        }
        let is_older = !split.has_same_services(record)
            || !split.has_same_switches(record)
            // Only a tail has lanes of events.
            || (kind == "tail" && !(split.has_same_events(record) && split.has_same_ledger(record)));
        // A state that was deleted and created again has no lease of this worker.
        let is_other = is_older || record.created_ms != created_ms;
        // It starts again, and then reports what was given up.
        let is_abandoned = record.has_abandoned(names(split));
        if is_other || is_abandoned || record.stream().is_none_or(|(now, _)| now != generation) {
            self.outdated.cancel();
        }
    }
}

/// Between two looks at the tombstone switch, at most.
const POLL: Duration = Duration::from_millis(500);
/// As a part of the time between two renewals: a short lease says that the engine is near.
const POLLS_PER_RENEWAL: u32 = 4;

impl Heartbeat {
    /// Starts it. The record exists when this returns, so a command that switches tombstones waits for this worker.
    pub async fn start(
        split: &Split,
        owner: &Owner,
        kind: &str,
        gate: Gate,
        generation: u32,
    ) -> Result<Self, StateError> {
        let name = format!("{}{owner}", WorkerRecord::PREFIX);
        let record = WorkerRecord {
            kind: kind.to_owned(),
            lease: Lease::default(),
            beat: 0,
            acknowledged_epoch: gate.acknowledged(),
            seen_ms: split.now_ms(),
            services: split
                .plan
                .services
                .iter()
                .map(|service| service.name.clone())
                .collect(),
            fingerprint: split.plan.fingerprint(),
            routes: split.plan.routes(),
            chaos: split.chaos.map(|chaos| chaos.to_string()),
        };
        let stored = Stored {
            value: record,
            revision: 0,
        };
        let taken = LeasedRecord::take(&split.store, &name, stored, owner, split.timing).await?;
        let leased = taken.ok_or(StateError::Conflict { record: name })?;
        let signs = Signs {
            outdated: leased.lost().child_token(),
            ..Signs::default()
        };
        // Much may have changed between our reading of the split and the creation of our record; commands that read
        // the workers later see this one.
        let record = SplitRecord::read(&split.store).await?.value;
        gate.obey_record(&record);
        let began_in = (generation, record.created_ms);
        signs.read(split, kind, &record, began_in);
        let done = CancellationToken::new();
        let validity = leased.validity();
        let beating = Beating {
            split: split.clone(),
            leased,
            gate,
            began_in,
            signs: signs.clone(),
            done: done.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(beating.run()));
        Ok(Self {
            done,
            task,
            validity,
            signs,
        })
    }

    /// Until when this worker counts as alive, and so may write. A command that switches tombstones does not wait for
    /// a worker that is not alive.
    pub fn validity(&self) -> Validity {
        self.validity.clone()
    }

    /// Cancelled when the split is being completed: its workers stop.
    pub fn over(&self) -> CancellationToken {
        self.signs.over.clone()
    }

    /// Cancelled when this worker can't continue: its lease was lost (it was suspended until it counted as dead), the
    /// tail was restarted at another stream, or the services of the split changed. It must start again, which fails
    /// if its plan lacks a service.
    pub fn outdated(&self) -> CancellationToken {
        self.signs.outdated.clone()
    }

    /// Ends it: the record is removed, so no command waits for this worker.
    pub async fn end(self) {
        self.done.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the heartbeat failed");
        }
    }
}

struct Beating {
    split: Split,
    leased: Arc<LeasedRecord<WorkerRecord>>,
    gate: Gate,
    /// The generation of the tail, and when the state was created.
    began_in: (u32, u64),
    signs: Signs,
    done: CancellationToken,
}

impl Beating {
    async fn run(self) {
        let saved = CancellationToken::new();
        let renewing =
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.leased).renew_until(saved.clone())));
        let poll = POLL.min(self.split.timing.renew() / POLLS_PER_RENEWAL);
        while !self.done.is_cancelled() {
            match SplitRecord::read(&self.split.store).await {
                Ok(record) => {
                    let record = record.value;
                    self.gate.obey_record(&record);
                    let kind = self.leased.snapshot().kind;
                    self.signs.read(&self.split, &kind, &record, self.began_in);
                }
                // The worker starts again, and then finds out why this is not possible.
                Err(error) if error.is_gone() => {
                    self.signs.outdated.cancel();
                    break;
                }
                Err(error) => tracing::warn!(%error, "could not read the tombstone switch; trying again"),
            }
            let acknowledged = self.gate.acknowledged();
            if self.leased.snapshot().acknowledged_epoch != acknowledged {
                fault::moment("tombstones.acknowledging").await;
                self.leased
                    .update_quietly(|record| record.acknowledged_epoch = acknowledged);
                // At once: somebody waits for it. If this fails, the next renewal saves it.
                if let Err(error) = self.leased.save().await {
                    tracing::warn!(%error, "could not save the acknowledgement; trying again");
                }
            }
            tokio::select! {
                biased;
                () = self.done.cancelled() => {}
                () = tokio::time::sleep(self.split.fleet.pause(poll, 1.0)) => {}
            }
        }
        saved.cancel();
        match renewing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_gone() => return,
            Ok(Err(error)) => {
                tracing::warn!(%error, "could not release the lease of this worker; it expires by itself");
            }
            Err(error) => tracing::error!(%error, "the task that saves the heartbeat failed"),
        }
        remove(&self.split, self.leased.name()).await;
    }
}

/// The services of the plan.
fn names(split: &Split) -> impl Iterator<Item = &str> {
    split.plan.services.iter().map(|service| service.name.as_str())
}

async fn remove(split: &Split, name: &str) {
    let removed = async {
        match split.store.get::<WorkerRecord>(name).await? {
            Some(stored) => split.store.delete(name, stored.revision).await,
            None => Ok(()),
        }
    };
    if let Err(error) = removed.await {
        tracing::warn!(%error, "could not remove the record of this worker; it expires by itself");
    }
}

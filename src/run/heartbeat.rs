use super::keeper::Keeper;
use super::split::{Split, now_ms};
use crate::state::{Lease, Owner, SplitRecord, StateError, Stored, Validity, WorkerRecord};
use crate::target::Gate;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A worker's sign of life: it renews its record, takes over the tombstone switch from the split's record, and
/// acknowledges it once every attempt to write obeys.
pub(super) struct Heartbeat {
    done: CancellationToken,
    task: JoinHandle<()>,
    validity: Validity,
    over: CancellationToken,
}

/// Between two looks at the tombstone switch.
const LOOK: Duration = Duration::from_millis(500);

impl Heartbeat {
    /// Starts it. The record is there when this returns, so whoever switches tombstones waits for this worker.
    pub async fn start(split: &Split, owner: &Owner, kind: &str, gate: Gate) -> Result<Self, StateError> {
        let name = format!("{}{owner}", WorkerRecord::PREFIX);
        let record = WorkerRecord {
            kind: kind.to_owned(),
            lease: Lease::default(),
            beat: 0,
            acknowledged_epoch: gate.acknowledged(),
            seen_ms: now_ms(),
        };
        let stored = Stored {
            value: record,
            revision: 0,
        };
        let taken = Keeper::take(&split.store, &name, stored, owner, split.timing).await?;
        let keeper = taken.ok_or(StateError::Conflict { record: name })?;
        // The switch may have moved between our reading of it and our record's appearance.
        gate.switch(SplitRecord::read(&split.store).await?.value.tombstones);
        let done = CancellationToken::new();
        let validity = keeper.validity();
        let over = CancellationToken::new();
        let task = tokio::spawn(beat(split.clone(), keeper, gate, done.clone(), over.clone()));
        Ok(Self {
            done,
            task,
            validity,
            over,
        })
    }

    /// Until when this worker counts as alive, and so may write: whoever switches the tombstones waits for no
    /// worker that is not.
    pub fn validity(&self) -> Validity {
        self.validity.clone()
    }

    /// Cancelled when the split is being completed: its workers stop.
    pub fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// Ends it: the record is removed, so nobody waits for this worker.
    pub async fn end(self) {
        self.done.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the heartbeat ended badly");
        }
    }
}

async fn beat(
    split: Split,
    keeper: Arc<Keeper<WorkerRecord>>,
    gate: Gate,
    done: CancellationToken,
    over: CancellationToken,
) {
    let saved = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&keeper).keep(saved.clone()));
    while !done.is_cancelled() {
        match SplitRecord::read(&split.store).await {
            Ok(record) => {
                gate.switch(record.value.tombstones);
                if record.value.completing_ms.is_some() {
                    over.cancel();
                }
            }
            Err(error) => tracing::warn!(%error, "could not read the tombstone switch; trying again"),
        }
        let acknowledged = gate.acknowledged();
        if keeper.snapshot().acknowledged_epoch != acknowledged {
            keeper.update(|record| record.acknowledged_epoch = acknowledged);
        }
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(LOOK.min(split.timing.renew())) => {}
        }
    }
    saved.cancel();
    if let Err(error) = keeping.await {
        tracing::error!(%error, "the heartbeat's keeper ended badly");
    }
    remove(&split, keeper.name()).await;
}

async fn remove(split: &Split, name: &str) {
    let removed = async {
        match split.store.get::<WorkerRecord>(name).await? {
            Some(stored) => split.store.delete(name, stored.revision).await,
            None => Ok(()),
        }
    };
    if let Err(error) = removed.await {
        tracing::warn!(%error, "could not remove this worker's record; it ends by itself");
    }
}

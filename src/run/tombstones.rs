//! The tombstone switch, as whoever reads the source and writes targets turns it: on before the first read, off
//! after the last write can have landed, and then the sweep.

use super::error::RunError;
use super::reconcile::{forget_rechecks, recheck_all};
use super::split::Split;
use crate::fault;
use crate::state::{LeaseWatch, SplitRecord, TombstonePhase, Tombstones, WorkerRecord};
use crate::target::{Sweep, Swept};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two looks at the workers' acknowledgements.
const LOOK: Duration = Duration::from_millis(200);

/// Who may need tombstones on. The names are kept in the split's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holder {
    /// All backfill processes together.
    Backfill,
    /// `verify --repair`.
    Repair,
    /// `dead-letters reconcile`.
    Reconcile,
}

impl Holder {
    /// The name in the split's record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Repair => "repair",
            Self::Reconcile => "reconcile",
        }
    }
}

/// Switches tombstones on, and waits until every live tail worker leaves them. When this returns, a removal by the
/// tail leaves a tombstone. A consistent read, or a wait of [`crate::dynamo::Timing::settle`], must follow before
/// anything that is read may be written: an eventually consistent page may show what was really deleted just before.
///
/// # Errors
/// When the state can't be reached, or the command is stopped.
pub async fn raise(split: &Split, holder: Holder, stop: &CancellationToken) -> Result<(), RunError> {
    let record = SplitRecord::change(&split.store, |record| {
        record.tombstone_holders.insert(holder.name().to_owned());
        if record.tombstones.phase != TombstonePhase::On {
            record.tombstones = Tombstones {
                phase: TombstonePhase::On,
                epoch: record.tombstones.epoch + 1,
            };
        }
    })
    .await?;
    fault::moment("tombstones.on").await;
    acknowledged(split, record.tombstones.epoch, stop).await?;
    fault::moment("tombstones.on-acknowledged").await;
    Ok(())
}

/// Brings the recheck list in order, when nothing that this run or a dead one had under way can still land, and lets
/// go of the tombstones. The last who lets go switches them off, and sweeps. Idempotent: run again after a crash, it
/// goes on.
///
/// # Errors
/// When the state or a target can't be reached, or the command is stopped. The tombstones that are left stay
/// visible in `status`, and the next run goes on.
pub async fn lower(
    split: &Split,
    holder: Holder,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    let standing = SplitRecord::read(&split.store).await?.value;
    if standing.tombstones.phase == TombstonePhase::Off {
        return Ok(Vec::new());
    }
    // In this order: a page that lands late may still beat a timestamp that went backwards, and is seen after.
    pause(split.timing.landed(), stop).await?;
    fault::moment("tombstones.landed").await;
    let rechecked = recheck_all(split, stop).await?;
    if rechecked.wrote {
        pause(split.timing.landed(), stop).await?;
    }
    let record = SplitRecord::change(&split.store, |record| {
        record.tombstone_holders.remove(holder.name());
        if record.tombstones.phase == TombstonePhase::On && record.tombstone_holders.is_empty() {
            record.tombstones = Tombstones {
                phase: TombstonePhase::Sweeping,
                epoch: record.tombstones.epoch + 1,
            };
        }
    })
    .await?;
    if record.tombstones.phase != TombstonePhase::Sweeping {
        return Ok(Vec::new());
    }
    let epoch = record.tombstones.epoch;
    fault::moment("tombstones.off").await;
    acknowledged(split, epoch, stop).await?;
    fault::moment("tombstones.off-acknowledged").await;
    forget_rechecks(split, epoch, &rechecked).await?;
    let swept = sweep(split, epoch, stop).await?;
    fault::moment("tombstones.swept").await;
    // Somebody may have switched them on again meanwhile (a new epoch): then they are not off.
    SplitRecord::change(&split.store, |record| {
        if record.tombstones.epoch == epoch {
            record.tombstones.phase = TombstonePhase::Off;
        }
    })
    .await?;
    fault::moment("tombstones.done").await;
    Ok(swept)
}

async fn sweep(
    split: &Split,
    epoch: u64,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    let mut swept = Vec::new();
    for (service, tables) in split.services() {
        if stop.is_cancelled() {
            return Err(RunError::Stopped(
                "the sweep was interrupted; the same command goes on".into(),
            ));
        }
        let sweep = Sweep {
            client: tables.items.clone(),
            table: service.table.name.clone(),
            keys: service.keys.clone(),
        };
        swept.push((service.name.clone(), sweep.tombstones(epoch).await?));
    }
    Ok(swept)
}

/// Waits until every live worker obeys an epoch. One that is not seen to live for a whole lease time starts no
/// writes any more, and what it had under way has landed after a margin.
async fn acknowledged(split: &Split, epoch: u64, stop: &CancellationToken) -> Result<(), RunError> {
    let mut watch = LeaseWatch::default();
    let mut gone = false;
    loop {
        let workers = split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await?;
        let mut waiting = false;
        for (name, worker) in &workers {
            if worker.value.acknowledged_epoch >= epoch || worker.value.lease.owner.is_none() {
                continue;
            }
            if watch.is_free(name, &worker.value.lease, worker.revision, Instant::now()) {
                gone = true;
                split
                    .store
                    .delete(name, worker.revision)
                    .await
                    .or_else(|error| match error {
                        crate::state::StateError::Conflict { .. } => Ok(()),
                        other => Err(other),
                    })?;
            } else {
                waiting = true;
            }
        }
        if !waiting {
            break;
        }
        pause(LOOK, stop).await?;
    }
    if gone {
        pause(split.timing.landed(), stop).await?;
    }
    Ok(())
}

/// Waits until no tail worker gives a sign of life: they stop by themselves when the split is being completed. One that
/// died is waited for as long as its lease, and what it had under way.
pub(super) async fn workers_gone(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    acknowledged(split, u64::MAX, stop).await
}

/// Waits, unless the command is stopped.
pub(super) async fn pause(wait: Duration, stop: &CancellationToken) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted; the same command goes on".into())),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

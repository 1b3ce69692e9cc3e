//! The tombstone switch, as whoever reads the source and writes targets turns it: on before the first read, off
//! after the last write can have landed, and then the sweep.

use super::budgets::Budgets;
use super::error::RunError;
use super::reconcile::{forget_rechecks, recheck_all};
use super::repair_lease::RepairLease;
use super::split::Split;
use crate::fault;
use crate::state::phases::{Heed, heed};
use crate::state::{LeaseWatch, SplitRecord, StateError, TombstonePhase, Tombstones, WorkerRecord};
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

/// Switches tombstones on, and waits until every live tail worker leaves them; answers how they stand then. When this returns, a removal by the
/// tail leaves a tombstone. A consistent read, or a wait of [`crate::dynamo::Timing::settle`], must follow before
/// anything that is read may be written: an eventually consistent page may show what was really deleted just before.
///
/// # Errors
/// When the state can't be reached, or the command is stopped.
pub async fn raise(split: &Split, holder: Holder, stop: &CancellationToken) -> Result<Tombstones, RunError> {
    let record = SplitRecord::change(&split.store, |record| record.switch.raise(holder.name())).await?;
    let tombstones = record.switch.tombstones;
    fault::moment("tombstones.on").await;
    acknowledged(split, tombstones.epoch, stop).await?;
    fault::moment("tombstones.on-acknowledged").await;
    Ok(tombstones)
}

/// Brings the recheck list in order, when nothing that this run or a dead one had under way can still land, and lets
/// go of the tombstones. The last who lets go switches them off, and sweeps, within these budgets. Idempotent: run again after a crash, it
/// goes on.
///
/// Whoever calls this holds the lease of repairs: of two processes of one backfill, the second would otherwise still
/// write what it rechecks when the first has switched them off.
///
/// # Errors
/// When the state or a target can't be reached, or the command is stopped. The tombstones that are left stay
/// visible in `status`, and the next run goes on.
pub async fn lower(
    split: &Split,
    holder: Holder,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    let mut claimed = None;
    let record = SplitRecord::change(&split.store, |record| {
        claimed = record.switch.claim(holder.name());
    })
    .await?;
    let tombstones = match claimed {
        Some(since) => let_go(split, holder, since, lease, budgets, stop).await?,
        // Others of its kind let go: a dead one, or one beside it. Its sweep goes on.
        None => record.switch.tombstones,
    };
    if tombstones.phase != TombstonePhase::Sweeping {
        return Ok(Vec::new());
    }
    let epoch = tombstones.epoch;
    fault::moment("tombstones.off").await;
    acknowledged(split, epoch, stop).await?;
    fault::moment("tombstones.off-acknowledged").await;
    forget_rechecks(split, epoch).await?;
    let swept = sweep(split, epoch, budgets, stop).await?;
    fault::moment("tombstones.swept").await;
    // Somebody may have switched them on again meanwhile (a new epoch): then they are not off.
    SplitRecord::change(&split.store, |record| record.switch.swept(epoch)).await?;
    fault::moment("tombstones.done").await;
    Ok(swept)
}

/// In this order: what is under way lands; keys whose timestamp went backwards are read again, since a page that landed
/// late may have beaten them; what that wrote lands; only then the holder is taken out.
async fn let_go(
    split: &Split,
    holder: Holder,
    since: u64,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Tombstones, RunError> {
    pause(split.timing.landed(), stop).await?;
    let on = Tombstones {
        phase: TombstonePhase::On,
        epoch: since,
    };
    fault::moment("tombstones.landed").await;
    if recheck_all(split, on, &lease.validity(), budgets, stop).await? {
        pause(split.timing.landed(), stop).await?;
    }
    let record =
        SplitRecord::change(&split.store, |record| record.switch.release(holder.name(), since)).await?;
    Ok(record.switch.tombstones)
}

async fn sweep(
    split: &Split,
    epoch: u64,
    budgets: &Budgets,
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
            reads: budgets.reads(&service.name),
            writes: budgets.writes(&service.name),
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
            let free = watch.is_free(name, &worker.value.lease, worker.revision, Instant::now());
            match heed(&worker.value, epoch, free) {
                Heed::Obeys => {}
                Heed::Awaited => waiting = true,
                Heed::Gone => {
                    gone = true;
                    match split.store.delete(name, worker.revision).await {
                        // It lives after all, and is waited for at the next look.
                        Err(StateError::Conflict { .. }) => waiting = true,
                        other => other?,
                    }
                }
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

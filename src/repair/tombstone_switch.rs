//! Turns the tombstone switch: on before a command reads the source for the first time, off after its last write can have
//! landed, and then the sweep.

use super::acknowledgement::{Holder, acknowledged, lanes_held, refuse_switched_since};
use super::landing::{Writes, landed};
use super::reconcile::{Rechecked, forget_rechecks, recheck_all};
use super::repair_lease::RepairLease;
use crate::dynamo::{AccountLimit, ConcurrencyLimit, Failure, Tables};
use crate::fault;
use crate::plan::Service;
use crate::state::{SplitRecord, TombstonePhase, Tombstones};
use crate::target::{Sweep, Swept};
use crate::worker::{Budgets, RunError, Split, check_left_out, services};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Switches tombstones on, and waits until every live tail worker leaves them; answers how they stand then. When this returns, a removal by the
/// tail leaves a tombstone. A consistent read, or a wait of [`crate::dynamo::Timing::settle`], must follow before
/// anything that is read may be written: an eventually consistent page may show what was really deleted just before.
///
/// # Errors
/// When a bulk copy holds the lanes, the state can't be reached, or the command is stopped.
pub async fn switch_on(
    split: &Split,
    holder: &Holder,
    stop: &CancellationToken,
) -> Result<Tombstones, RunError> {
    let mut switched = false;
    let record = SplitRecord::change(&split.store, |record| {
        let services = split.plan.services.iter().map(|service| service.name.as_str());
        let is_over = record.completing_ms.is_some() || record.has_abandoned(services);
        switched = !is_over && split.has_same_switches(record) && record.switch.turn_on(holder.name());
    })
    .await?;
    refuse_switched_since(split, &record)?;
    if record.completing_ms.is_some() {
        return Err(RunError::NotYet {
            what: "the split is being completed: nobody may write its tables any more but their services"
                .into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    crate::worker::refuse_abandoned(&split.plan, &record)?;
    if !switched {
        return Err(lanes_held());
    }
    let tombstones = record.switch.tombstones;
    fault::moment("tombstones.on").await;
    acknowledged(split, tombstones.epoch, stop).await?;
    fault::moment("tombstones.on-acknowledged").await;
    Ok(tombstones)
}

/// Brings the recheck list in order, when nothing that this run or a dead one had under way can still land, and
/// releases the tombstones. The last who releases them switches them off, and sweeps, within these budgets. Idempotent: run again after a crash, it
/// goes on.
///
/// Whoever calls this holds the lease of repairs: of two processes of one backfill, the second would otherwise still
/// write what it rechecks when the first has switched them off.
///
/// # Errors
/// When the state or a target can't be reached, or the command is stopped. The tombstones that are left stay
/// visible in `status`, and the next run goes on.
pub async fn switch_off(
    split: &Split,
    holder: &Holder,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    let mut claimed = None;
    let record = SplitRecord::change(&split.store, |record| {
        record.switch.holders.retain(|name, _| !holder.comes_after(name));
        claimed = record.switch.claim(holder.name());
    })
    .await?;
    let tombstones = match claimed {
        Some(since) => {
            // Whose table this plan does not know would keep its tombstones.
            check_left_out(&split.plan, &services(split).await?)?;
            release(split, holder, since, lease, budgets, stop).await?
        }
        // Others of its kind released them: a dead one, or one beside it. Its sweep goes on.
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
///
/// The list is for the last one: while another one has tombstones on, a page of its own may beat what was read again.
async fn release(
    split: &Split,
    holder: &Holder,
    mut since: u64,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Tombstones, RunError> {
    let writes = if holder.is_backfill() {
        Writes::Backfill(lease)
    } else {
        Writes::Repairs(lease)
    };
    loop {
        landed(split, writes, split.timing.landed(), stop).await?;
        fault::moment("tombstones.landed").await;
        let rechecked = recheck_all(split, (holder, since), &lease.validity(), budgets, stop).await?;
        if rechecked == Rechecked::Wrote {
            landed(split, writes, split.timing.landed(), stop).await?;
        }
        fault::moment("tombstones.rechecked").await;
        let (mut settled, mut anew) = (false, None);
        let record = SplitRecord::change(&split.store, |record| {
            let worked_off = rechecked != Rechecked::LeftToOthers;
            settled = record.switch.release(holder.name(), since, worked_off);
            anew = if settled {
                None
            } else {
                record.switch.claim(holder.name())
            };
        })
        .await?;
        match anew {
            Some(epoch) => since = epoch,
            None => return Ok(record.switch.tombstones),
        }
    }
}

/// All services at once: a table that can't be swept for the moment, or at all, keeps no other from it.
async fn sweep(
    split: &Split,
    epoch: u64,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    check_left_out(&split.plan, &services(split).await?)?;
    let account_limit = AccountLimit::default();
    // Nothing of ours is left in the table of a service that has switched: its tombstones were swept before.
    let sweeps = split.active().map(|(service, tables)| {
        let sweep = sweep_of(split, service, tables, budgets, &account_limit);
        async move { Ok((service.name.clone(), sweep.tombstones(epoch).await?)) }
    });
    // What is under way when it stops may still land: each is on the condition of what was read.
    let swept: Vec<Result<_, Failure>> = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(RunError::Stopped(
            "the sweep was interrupted; the same command goes on".into(),
        )),
        swept = futures::future::join_all(sweeps) => swept,
    };
    Ok(swept.into_iter().collect::<Result<_, _>>()?)
}

/// A sweep of a service's table, within the command's budgets.
pub(crate) fn sweep_of(
    split: &Split,
    service: &Service,
    tables: &Tables,
    budgets: &Budgets,
    account_limit: &AccountLimit,
) -> Sweep {
    Sweep {
        client: tables.items.clone(),
        table: service.table.name.clone(),
        keys: service.keys.clone(),
        reads: budgets.reads(&service.name),
        writes: budgets.writes(&service.name),
        concurrency: Arc::new(ConcurrencyLimit::new(split.timing.attempt, account_limit)),
        health: budgets.health(&service.name),
    }
}

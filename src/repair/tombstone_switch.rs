//! Turns the tombstone switch: on before a command reads the source for the first time, off after its last write can have
//! landed, and then the sweep.

use super::acknowledgement::{Holder, acknowledged, lanes_held, refuse_fenced, refuse_switched_since};
use super::landing::{Writes, landed};
use super::reconcile::{forget_rechecks, recheck_all};
use super::repair_lease::RepairLease;
use crate::dynamo::{AccountLimit, ConcurrencyLimit, Failure, Tables};
use crate::fault::{self, Rule, broken};
use crate::plan::Service;
use crate::state::{SplitRecord, Switch};
use crate::target::{Sweep, Swept};
use crate::worker::{Budgets, RunError, Split, check_left_out, services};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Switches tombstones of these services on, and waits until every live tail worker leaves them. Returns the epoch. When this
/// returns, a removal by the tail leaves a tombstone. A consistent read, or a wait of
/// [`crate::dynamo::Timing::settle`], must follow before anything that is read may be written: an eventually
/// consistent page may show an item that was really deleted just before.
///
/// # Errors
/// If a bulk copy holds one of the lanes, the state can't be reached, or the command is stopped.
pub async fn switch_on(
    split: &Split,
    holder: &Holder,
    services: &[&str],
    stop: &CancellationToken,
) -> Result<u64, RunError> {
    let each = || services.iter().copied();
    let mut switched = false;
    let record = SplitRecord::change(&split.store, |record| {
        let planned = split.plan.services.iter().map(|service| service.name.as_str());
        let is_over = record.completing_ms.is_some() || record.has_abandoned(planned);
        switched = !is_over
            && refuse_fenced(record, each()).is_ok()
            && refuse_switched_since(split, record, each()).is_ok()
            && (needs_none(holder) || record.switch.turn_on(holder.name(), each()));
    })
    .await?;
    refuse_switched_since(split, &record, each())?;
    if record.completing_ms.is_some() {
        return Err(RunError::NotYet {
            what: "the split is being completed, so only the services may write its tables".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    crate::worker::refuse_abandoned(&split.plan, &record)?;
    refuse_fenced(&record, each())?;
    if !switched {
        let held = each().filter(|service| record.switch.of(service).holds());
        return Err(lanes_held(&record, &held.collect::<Vec<_>>()));
    }
    let epoch = record.switch.epoch();
    fault::moment("tombstones.on").await;
    if !broken(Rule::AcknowledgedOn) {
        acknowledged(split, epoch, stop).await?;
    }
    fault::moment("tombstones.on-acknowledged").await;
    Ok(epoch)
}

/// Whether a test leaves out the rule that this command switches tombstones on.
fn needs_none(holder: &Holder) -> bool {
    broken(Rule::RepairSwitchesOn) && [Holder::REPAIR, Holder::RECONCILE].contains(holder)
}

/// Works on the recheck list when no write of this run or of a dead one can land any more, and releases the
/// tombstones. The last holder that releases them switches them off, and sweeps within these budgets. Idempotent: it
/// continues if it is run again after a crash.
///
/// The caller holds the lease of repairs. Otherwise, of two processes of one backfill, the second could still write
/// what it rechecks after the first has switched tombstones off.
///
/// # Errors
/// If the state or a target can't be reached, or the command is stopped. The remaining tombstones stay visible in
/// `status`, and the next run continues.
pub async fn switch_off(
    split: &Split,
    holder: &Holder,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    let mut claimed = None;
    let record = SplitRecord::change(&split.store, |record| {
        record.switch.forget(|name| holder.comes_after(name));
        claimed = record.switch.claim(holder.name());
    })
    .await?;
    let switch = match claimed {
        Some(since) => {
            // Whose table this plan does not know would keep its tombstones.
            check_left_out(&split.plan, &services(split).await?)?;
            release(split, holder, since, lease, budgets, stop).await?
        }
        // A process of the same kind released them: a dead one, or a concurrent one. Its sweep continues here.
        None => record.switch,
    };
    let unswept = switch.unswept();
    let Some(newest) = unswept.values().copied().max() else {
        return Ok(Vec::new());
    };
    fault::moment("tombstones.off").await;
    if !broken(Rule::AcknowledgedOff) {
        acknowledged(split, newest, stop).await?;
    }
    fault::moment("tombstones.off-acknowledged").await;
    forget_rechecks(split, &unswept).await?;
    let swept = sweep(split, &unswept, budgets, stop).await?;
    fault::moment("tombstones.swept").await;
    // Another command may have switched them on again meanwhile (a new epoch): then they are not off.
    SplitRecord::change(&split.store, |record| {
        for (service, epoch) in &unswept {
            record.switch.swept(service, *epoch);
        }
    })
    .await?;
    fault::moment("tombstones.done").await;
    Ok(swept)
}

/// The order matters. First, requests under way land. Then keys whose timestamp went backwards are read again,
/// because a page that landed late may have overwritten them. Then the writes of this recheck land. Only then the
/// holder is removed.
///
/// The last holder of a service works on the service's keys: while another holder has tombstones on, one of its pages may overwrite
/// what was read again.
async fn release(
    split: &Split,
    holder: &Holder,
    mut since: u64,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Switch, RunError> {
    let writes = if holder.is_backfill() {
        Writes::Backfill(lease)
    } else {
        Writes::Repairs(lease)
    };
    loop {
        landed(split, writes, split.timing.landed(), stop).await?;
        fault::moment("tombstones.landed").await;
        let rechecked = recheck_all(split, (holder, since), &lease.validity(), budgets, stop).await?;
        if rechecked.has_written {
            landed(split, writes, split.timing.landed(), stop).await?;
        }
        fault::moment("tombstones.rechecked").await;
        let mut anew = None;
        let record = SplitRecord::change(&split.store, |record| {
            let settled = record.switch.release(holder.name(), since, &rechecked.services);
            anew = if settled {
                None
            } else {
                record.switch.claim(holder.name())
            };
        })
        .await?;
        match anew {
            Some(epoch) => since = epoch,
            None => return Ok(record.switch),
        }
    }
}

/// All services at once: a table that can't be swept for the moment, or at all, keeps no other from it.
async fn sweep(
    split: &Split,
    unswept: &BTreeMap<String, u64>,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Vec<(String, Swept)>, RunError> {
    check_left_out(&split.plan, &services(split).await?)?;
    let account_limit = AccountLimit::default();
    let sweeps = split.active().filter_map(|(service, tables)| {
        let epoch = *unswept.get(&service.name)?;
        let sweep = sweep_of(split, service, tables, budgets, &account_limit);
        Some(async move { Ok((service.name.clone(), sweep.tombstones(epoch).await?)) })
    });
    // Requests that are under way when it stops may still land: each has the condition that the target is still what
    // was read.
    let swept: Vec<Result<_, Failure>> = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(RunError::Stopped(
            "the sweep was interrupted; run the same command to continue".into(),
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

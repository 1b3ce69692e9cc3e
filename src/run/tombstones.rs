//! The tombstone switch, as whoever reads the source and writes targets turns it: on before the first read, off
//! after the last write can have landed, and then the sweep.

use super::budgets::Budgets;
use super::checks::{check_left_out, services};
use super::error::RunError;
use super::reconcile::{Rechecked, forget_rechecks, recheck_all};
use super::repair_lease::RepairLease;
use super::split::Split;
use crate::dynamo::{Brake, Failure, Pace, Tables};
use crate::fault;
use crate::plan::Service;
use crate::state::phases::{Heed, heed};
use crate::state::{
    BackfillRecord, LeaseWatch, SplitRecord, StateError, TombstonePhase, Tombstones, WorkerRecord,
};
use crate::target::{Sweep, Swept};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two looks at the workers' acknowledgements.
const LOOK: Duration = Duration::from_millis(200);

const FIRST_ROUND: &str = "backfill";
const LATER_ROUND: &str = "backfill of ";
const BETWEEN: &str = ", ";

/// Who may need tombstones on, by the name in the split's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    name: Cow<'static, str>,
    /// Services that rounds of the backfill before this one filled.
    before: Vec<String>,
}

impl Holder {
    /// `verify --repair`.
    pub const REPAIR: Self = Self::named("repair");
    /// `dead-letters reconcile`.
    pub const RECONCILE: Self = Self::named("reconcile");
    /// All processes together that fill the services that were there at first.
    pub const BACKFILL: Self = Self::named(FIRST_ROUND);

    /// All processes of a backfill's round together. One of an earlier round that was held up lets go of nothing that is a
    /// later one's.
    pub fn backfill(record: &BackfillRecord) -> Self {
        if record.round == record.services {
            return Self::BACKFILL;
        }
        let services = record.services.iter();
        Self {
            name: format!("{LATER_ROUND}{}", record.round.join(BETWEEN)).into(),
            before: services
                .filter(|name| !record.round.contains(name))
                .cloned()
                .collect(),
        }
    }

    const fn named(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            before: Vec::new(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a name is that of an earlier round. This one began when that one had ended: whoever still holds tombstones
    /// under it came too late for it, and has nothing to write.
    fn comes_after(&self, name: &str) -> bool {
        let is_before = |service: &str| self.before.iter().any(|before| before == service);
        match name.strip_prefix(LATER_ROUND) {
            Some(services) => services.split(BETWEEN).all(is_before),
            None => name == FIRST_ROUND && !self.before.is_empty(),
        }
    }
}

/// Switches tombstones on, and waits until every live tail worker leaves them; answers how they stand then. When this returns, a removal by the
/// tail leaves a tombstone. A consistent read, or a wait of [`crate::dynamo::Timing::settle`], must follow before
/// anything that is read may be written: an eventually consistent page may show what was really deleted just before.
///
/// # Errors
/// When a bulk copy holds the lanes, the state can't be reached, or the command is stopped.
pub async fn raise(split: &Split, holder: &Holder, stop: &CancellationToken) -> Result<Tombstones, RunError> {
    let mut raised = false;
    let record = SplitRecord::change(&split.store, |record| {
        let services = split.plan.services.iter().map(|service| service.name.as_str());
        let is_over = record.completing_ms.is_some() || record.has_abandoned(services);
        raised = !is_over && split.sees(record) && record.switch.raise(holder.name());
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
    super::checks::refuse_abandoned(&split.plan, &record)?;
    if !raised {
        return Err(super::hold::refused());
    }
    let tombstones = record.switch.tombstones;
    fault::moment("tombstones.on").await;
    acknowledged(split, tombstones.epoch, stop).await?;
    fault::moment("tombstones.on-acknowledged").await;
    Ok(tombstones)
}

/// Refuses to go on if a service has switched since this command began: it would write the table of that service.
///
/// # Errors
/// [`RunError::NotYet`]; the same command leaves the service out when it is run again.
pub(super) fn refuse_switched_since(split: &Split, record: &SplitRecord) -> Result<(), RunError> {
    if split.sees(record) {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: "a service switched to its own table while this command was running".into(),
        next: "run the same command again; it then leaves this service out".into(),
    })
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
            let_go(split, holder, since, lease, budgets, stop).await?
        }
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
///
/// The list is for the last one: while another one has tombstones on, a page of its own may beat what was read again.
async fn let_go(
    split: &Split,
    holder: &Holder,
    mut since: u64,
    lease: &RepairLease,
    budgets: &Budgets,
    stop: &CancellationToken,
) -> Result<Tombstones, RunError> {
    loop {
        pause_landed(split, stop).await?;
        fault::moment("tombstones.landed").await;
        let rechecked = recheck_all(split, (holder, since), &lease.validity(), budgets, stop).await?;
        if rechecked == Rechecked::Wrote {
            pause_landed(split, stop).await?;
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
    let brake = Brake::default();
    // Nothing of ours is left in the table of a service that has switched: its tombstones were swept before.
    let sweeps = split.active().map(|(service, tables)| {
        let sweep = sweep_of(split, service, tables, budgets, &brake);
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
pub(super) fn sweep_of(
    split: &Split,
    service: &Service,
    tables: &Tables,
    budgets: &Budgets,
    brake: &Brake,
) -> Sweep {
    Sweep {
        client: tables.items.clone(),
        table: service.table.name.clone(),
        keys: service.keys.clone(),
        reads: budgets.reads(&service.name),
        writes: budgets.writes(&service.name),
        pace: Arc::new(Pace::new(split.timing.attempt, brake)),
        health: budgets.health(&service.name),
    }
}

/// Waits until every live worker obeys an epoch. One that is not seen to live for a whole lease time starts no
/// writes any more, and what it had under way has landed after a margin.
pub(super) async fn acknowledged(
    split: &Split,
    epoch: u64,
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let most = split.timing.lease + split.timing.landed();
    let what = "every tail worker obeys the switch, or a worker that died can write nothing any more";
    let _waiting = split.waits.until(what, most);
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

/// Waits until no request that was given up can take effect.
async fn pause_landed(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    let landed = split.timing.landed();
    let _waiting = split
        .waits
        .until("no write that was given up can take effect any more", landed);
    pause(landed, stop).await
}

/// Waits, unless the command is stopped.
pub(super) async fn pause(wait: Duration, stop: &CancellationToken) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted; the same command goes on".into())),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Order;

    fn round(services: &[&str], round: &[&str]) -> Holder {
        let names = |of: &[&str]| of.iter().map(|&name| name.to_owned()).collect();
        Holder::backfill(&BackfillRecord {
            segments: 1,
            services: names(services),
            round: names(round),
            started_ms: 0,
            finished_ms: None,
            estimated_items: 0,
            order: Order::Concurrent,
            order_reason: String::new(),
        })
    }

    #[test]
    fn a_round_comes_after_those_that_it_does_not_fill_and_after_nobody_else() {
        let first = round(&["a", "b"], &["a", "b"]);
        let second = round(&["a", "b", "c", "d"], &["c", "d"]);
        let third = round(&["a", "b", "c", "d", "e"], &["e"]);
        assert_eq!(first, Holder::BACKFILL);
        assert_eq!(second.name(), "backfill of c, d");
        let all = [first, second, third, Holder::REPAIR, Holder::RECONCILE];
        for (place, holder) in all.iter().enumerate() {
            for (other, earlier) in all.iter().enumerate() {
                let after = place < 3 && other < place;
                assert_eq!(
                    holder.comes_after(earlier.name()),
                    after,
                    "{holder:?} {earlier:?}"
                );
            }
        }
    }
}

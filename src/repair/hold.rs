//! The hold of a bulk copy: while it is on record, no lane writes anything, even if workers die or start. If the copy
//! dies, the hold stays on record, and the same command continues under it or gives up the bulk order.

use super::acknowledgement::{Holder, acknowledged, refuse_fenced, refuse_switched_since};
use super::landing::{Writes, landed};
use crate::fault::{self, Rule, broken};
use crate::state::{
    Order, SegmentRecord, SegmentService, ShardRecord, SplitRecord, StateError, TombstonePhase,
};
use crate::worker::{RunError, Split, pause};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Holds the lanes of these services, and waits until no live tail worker writes their tables any more. Returns the epoch of the hold. Reads of the
/// source *after* this returns, consistent or after a wait of [`crate::dynamo::Timing::settle`], are at least as new
/// as the position of any lane.
///
/// # Errors
/// If another command needs tombstones, the state can't be reached, or the command is stopped.
pub(crate) async fn hold(
    split: &Split,
    services: &[&str],
    stop: &CancellationToken,
) -> Result<u64, RunError> {
    let each = || services.iter().copied();
    let mut held = None;
    let record = SplitRecord::change(&split.store, |record| {
        let planned = split.plan.services.iter().map(|service| service.name.as_str());
        let may_hold = record.completing_ms.is_none()
            && !record.has_abandoned(planned)
            && refuse_fenced(record, each()).is_ok()
            && refuse_switched_since(split, record, each()).is_ok();
        held = if may_hold {
            record.switch.hold(each())
        } else {
            None
        };
    })
    .await?;
    refuse_switched_since(split, &record, each())?;
    crate::worker::refuse_abandoned(&split.plan, &record)?;
    if record.completing_ms.is_some() {
        return Err(RunError::NotYet {
            what: "the split is being completed, so nothing is copied any more".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    refuse_fenced(&record, each())?;
    let Some(epoch) = held else {
        let holders: Vec<&str> = record.switch.holders().into_iter().collect();
        return Err(RunError::NotYet {
            what: format!("tombstones are on, or are not swept yet ({})", holders.join(", ")),
            next: "let the command that needs them end (if it was interrupted, run it again), then run this command again"
                .into(),
        });
    };
    fault::moment("bulk.holding").await;
    if !broken(Rule::BulkAcknowledged) {
        acknowledged(split, epoch, stop).await?;
    }
    fault::moment("bulk.held").await;
    Ok(epoch)
}

/// Releases the lanes, when nothing of the copy can land any more. The caller has found every segment durable. If every
/// process that copied gave its segments back, and each of its requests was answered, nothing is under way. Otherwise a lease,
/// an attempt and a margin are waited for: a process that lost its lease starts no write that ends after it, and one that began
/// just before may land as late as any request that was given up.
///
/// # Errors
/// When the state can't be reached, or the command is stopped: the lanes then stay held.
pub(crate) async fn free(split: &Split, since: u64, stop: &CancellationToken) -> Result<(), RunError> {
    bulk_landed(split, stop).await?;
    SplitRecord::change(&split.store, |record| record.switch.free(since)).await?;
    fault::moment("bulk.freed").await;
    Ok(())
}

/// Waits until nothing that a copy in the bulk or the import order wrote can land any more.
///
/// # Errors
/// When the state can't be reached, or the command is stopped.
pub(crate) async fn bulk_landed(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    let most = split.timing.lease + split.timing.landed();
    landed(split, Writes::Bulk, most, stop).await?;
    fault::moment("bulk.landed").await;
    Ok(())
}

/// Gives up the bulk order: the lanes continue, and leave tombstones for the concurrent order, which copies the rest.
///
/// First every segment's record is changed, whoever holds it: nobody takes one for bulk any more, and who has one loses
/// it. After a lease, an attempt and a margin, nothing of bulk can land. If nobody held one and every request was answered,
/// nothing can land at once. Where the lanes are not held, nothing was copied in bulk: it is over with that. Idempotent: run again
/// after a crash, it goes on.
///
/// What the import order copied is in no table, unless `is_imported` says so of a service: its segments begin anew.
///
/// # Errors
/// If the state can't be reached, or the command is stopped; the lanes then stay on hold.
pub(crate) async fn give_up(
    split: &Split,
    holder: &Holder,
    is_imported: &(dyn Fn(&str) -> bool + Sync),
    stop: &CancellationToken,
) -> Result<(), RunError> {
    let taken = take_segments(split, is_imported).await?;
    fault::moment("bulk.given-up").await;
    let switch = SplitRecord::read(&split.store).await?.value.switch;
    if switch.services_in(&[TombstonePhase::Held]).next().is_none() {
        return Ok(());
    }
    let most = taken.longest_lease.max(split.timing.lease) + split.timing.landed();
    if !taken.are_settled && !broken(Rule::BulkLands) {
        let what = "no write of the bulk copy can land any more (a process held a segment of it, died with it, or left a \
            request of it without an answer)";
        let _waiting = split.waits.until(what, most);
        pause(most, stop).await?;
    }
    SplitRecord::change(&split.store, |record| {
        record.switch.give_up(holder.name());
    })
    .await?;
    Ok(())
}

/// What was known about the segments of a bulk copy when they were taken from it.
struct Taken {
    /// The longest lease that one of them had: whoever loses it writes for so long at most.
    longest_lease: Duration,
    /// Nobody held one, and every request for them had been answered.
    are_settled: bool,
}

/// Takes every segment from whoever copies it in bulk.
async fn take_segments(
    split: &Split,
    is_imported: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Taken, RunError> {
    let mut taken = Taken {
        longest_lease: Duration::ZERO,
        are_settled: true,
    };
    for (name, listed) in split.store.list::<SegmentRecord>(SegmentRecord::PREFIX).await? {
        let mut left = Some(listed);
        while let Some(mut stored) = left.take() {
            let lease = &stored.value.lease;
            taken.longest_lease = taken.longest_lease.max(Duration::from_millis(lease.duration_ms));
            let was_settled = lease.is_settled();
            if stored.value.order == Order::Concurrent {
                taken.are_settled &= was_settled;
                break;
            }
            if stored.value.order == Order::Import {
                for (lane, progress) in &mut stored.value.services {
                    if lane != ShardRecord::WATCH && !is_imported(lane) {
                        *progress = SegmentService::default();
                    }
                }
            }
            stored.value.order = Order::Concurrent;
            // The length of the lease stays on record, for a process that continues this after a crash.
            stored.value.lease.owner = None;
            match split.store.put(&name, stored.value, stored.revision).await {
                Ok(_) => taken.are_settled &= was_settled,
                Err(StateError::Conflict { .. }) => left = split.store.get::<SegmentRecord>(&name).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(taken)
}

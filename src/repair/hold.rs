//! The hold of a bulk copy: while it is on record, no lane writes anything, even if workers die or start. If the copy
//! dies, the hold stays on record, and the same command continues under it or gives up the bulk order.

use super::acknowledgement::{Holder, acknowledged, refuse_switched_since};
use crate::fault;
use crate::state::{Order, SegmentRecord, SplitRecord, StateError};
use crate::worker::{RunError, Split, pause};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Holds the lanes, and waits until no live tail worker writes any more. Returns the epoch of the hold. Reads of the
/// source *after* this returns, consistent or after a wait of [`crate::dynamo::Timing::settle`], are at least as new
/// as the position of any lane.
///
/// # Errors
/// If another command needs tombstones, the state can't be reached, or the command is stopped.
pub(crate) async fn hold(split: &Split, stop: &CancellationToken) -> Result<u64, RunError> {
    let mut held = None;
    let record = SplitRecord::change(&split.store, |record| {
        let services = split.plan.services.iter().map(|service| service.name.as_str());
        let is_over = record.completing_ms.is_some() || record.has_abandoned(services);
        held = if !is_over && split.has_same_switches(record) {
            record.switch.hold()
        } else {
            None
        };
    })
    .await?;
    refuse_switched_since(split, &record)?;
    crate::worker::refuse_abandoned(&split.plan, &record)?;
    if record.completing_ms.is_some() {
        return Err(RunError::NotYet {
            what: "the split is being completed, so nothing is copied any more".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        });
    }
    let Some(epoch) = held else {
        let holders: Vec<String> = record.switch.holders.into_keys().collect();
        return Err(RunError::NotYet {
            what: format!("tombstones are on, or are not swept yet ({})", holders.join(", ")),
            next: "let the command that needs them end (if it was interrupted, run it again), then run this command again"
                .into(),
        });
    };
    fault::moment("bulk.holding").await;
    acknowledged(split, epoch, stop).await?;
    fault::moment("bulk.held").await;
    Ok(epoch)
}

/// Releases the lanes, when nothing of the copy can land any more. The caller has found every segment durable; a process
/// that lost its lease starts no write that ends after it, and one that began just before may land as late as any request
/// that was given up.
///
/// # Errors
/// When the state can't be reached, or the command is stopped: the lanes then stay held.
pub(crate) async fn free(split: &Split, since: u64, stop: &CancellationToken) -> Result<(), RunError> {
    landed(split, stop).await?;
    fault::moment("bulk.landed").await;
    SplitRecord::change(&split.store, |record| record.switch.free(since)).await?;
    fault::moment("bulk.freed").await;
    Ok(())
}

/// Gives up the bulk order: the lanes continue, and leave tombstones for the concurrent order, which copies the rest.
///
/// First it changes the record of every segment, whoever owns it: no process takes a segment for the bulk order any
/// more, and an owner loses it. After a lease, an attempt and a margin, no write of the bulk copy can land. If the
/// lanes are not on hold, nothing was copied in bulk, and there is nothing else to do. Idempotent: it continues if it
/// is run again after a crash.
///
/// # Errors
/// If the state can't be reached, or the command is stopped; the lanes then stay on hold.
pub(crate) async fn give_up(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    let longest = take_segments(split).await?;
    fault::moment("bulk.given-up").await;
    if !SplitRecord::read(&split.store)
        .await?
        .value
        .switch
        .tombstones
        .holds()
    {
        return Ok(());
    }
    pause_landed(split, longest.max(split.timing.lease), stop).await?;
    SplitRecord::change(&split.store, |record| {
        record.switch.give_up(Holder::BACKFILL.name());
    })
    .await?;
    Ok(())
}

/// Takes every segment from the process that copies it in bulk. Returns the longest lease of them: the former owner
/// writes for at most that long.
async fn take_segments(split: &Split) -> Result<Duration, RunError> {
    let mut longest = Duration::ZERO;
    for (name, listed) in split.store.list::<SegmentRecord>(SegmentRecord::PREFIX).await? {
        let mut left = Some(listed);
        while let Some(mut stored) = left.take() {
            longest = longest.max(Duration::from_millis(stored.value.lease.duration_ms));
            if stored.value.order == Order::Concurrent {
                break;
            }
            stored.value.order = Order::Concurrent;
            // The length of the lease stays on record, for a process that continues this after a crash.
            stored.value.lease.owner = None;
            match split.store.put(&name, stored.value, stored.revision).await {
                Ok(_) => {}
                Err(StateError::Conflict { .. }) => left = split.store.get::<SegmentRecord>(&name).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(longest)
}

/// Waits for a lease, an attempt and a margin: every process that lost a segment's lease has noticed it by then, and
/// its requests have landed.
async fn landed(split: &Split, stop: &CancellationToken) -> Result<(), RunError> {
    pause_landed(split, split.timing.lease, stop).await
}

/// Waits until every process that lost a segment with such a lease has noticed it, and none of its requests can land.
async fn pause_landed(split: &Split, lease: Duration, stop: &CancellationToken) -> Result<(), RunError> {
    let most = lease + split.timing.landed();
    let _waiting = split
        .waits
        .until("no write of the bulk copy can land any more", most);
    pause(most, stop).await
}

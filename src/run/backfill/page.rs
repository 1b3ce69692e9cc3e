use crate::dynamo::Timing;
use crate::flow::{Group, Stop, apply};
use crate::model::{Change, Counters, Images, Item, KeySchema, Origin};
use crate::run::split::{Split, StateLedger};
use crate::run::tail::watch_group;
use crate::state::ShardRecord;
use crate::target::TargetWriter;
use futures::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Writes that one segment has under way for one service at most.
const WRITES_AT_ONCE: usize = 16;
/// A service none of whose writes lands for this long is left behind by the pass, and served by a later one.
pub(super) fn patience(timing: Timing) -> Duration {
    timing.lease
}

/// What became of a page for one lane.
#[derive(Debug)]
pub(super) enum PageEnd {
    /// Everything is durable.
    Durable(Counters),
    /// Its table takes nothing at the moment: the lane stays at its cursor.
    Held,
    /// The worker stops.
    Stopped(Stop),
}

/// The items of a page, as changes.
pub(super) fn groups(items: Vec<Item>, keys: &KeySchema) -> Vec<Group> {
    items
        .into_iter()
        .filter_map(|item| {
            let key = keys.key_of(&item)?;
            let images = Images {
                old: None,
                new: Some(item),
            };
            let change = Change {
                key: key.clone(),
                images,
                origin: Origin::Backfill,
            };
            Some(Group {
                key,
                changes: vec![Arc::new(change)],
            })
        })
        .collect()
}

/// Takes a page through the write path for one lane.
pub(super) async fn fill(
    split: &Split,
    lane: &str,
    writer: Option<&TargetWriter>,
    ledger: &StateLedger,
    groups: &[Group],
) -> PageEnd {
    let landed = AtomicU64::new(0);
    let work = fill_all(split, lane, writer, ledger, groups, &landed);
    tokio::pin!(work);
    let mut before = 0;
    loop {
        match tokio::time::timeout(patience(split.timing), &mut work).await {
            Ok(Ok(counters)) => return PageEnd::Durable(counters),
            Ok(Err(stop)) => return PageEnd::Stopped(stop),
            Err(_) => {
                let now = landed.load(Ordering::Relaxed);
                if now == before {
                    return PageEnd::Held;
                }
                before = now;
            }
        }
    }
}

async fn fill_all(
    split: &Split,
    lane: &str,
    writer: Option<&TargetWriter>,
    ledger: &StateLedger,
    groups: &[Group],
    landed: &AtomicU64,
) -> Result<Counters, Stop> {
    // The futures are made first: a closure that lends its argument can't cross threads.
    let work: Vec<_> = groups
        .iter()
        .map(|group| fill_one(split, lane, writer, ledger, group))
        .collect();
    let mut applied = futures::stream::iter(work).buffer_unordered(WRITES_AT_ONCE);
    let mut sum = Counters::default();
    while let Some(counters) = applied.next().await {
        landed.fetch_add(1, Ordering::Relaxed);
        sum.add(&counters?);
    }
    Ok(sum)
}

async fn fill_one(
    split: &Split,
    lane: &str,
    writer: Option<&TargetWriter>,
    ledger: &StateLedger,
    group: &Group,
) -> Result<Counters, Stop> {
    match (split.target(lane), writer) {
        (Some((service, _)), Some(writer)) => {
            apply(service, &split.plan.versions, group, writer, ledger).await
        }
        _ if lane == ShardRecord::WATCH => watch_group(split, ledger, group).await,
        _ => Ok(Counters::default()),
    }
}

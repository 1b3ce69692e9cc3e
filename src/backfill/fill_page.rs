//! Applies one page of the source to one service.

use crate::dynamo::Timing;
use crate::flow::{Group, PageItem, RawPageItem, Sink, Stop, apply};
use crate::model::raw::RawItem;
use crate::model::{Change, Counters, Images, Item, Key, KeySchema, Origin};
use crate::state::{Order, ShardRecord};
use crate::tail::watch_item;
use crate::target::{Batched, Batches, Batching, Bulk, TargetWriter};
use crate::worker::{Split, StateLedger};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Writes that one segment has begun for one service at most: enough to fill the batches. It is never more than a page
/// of the source.
const WRITES_AT_ONCE: usize = 128;
/// Batches that one segment has under way for one service at most.
const BATCHES_AT_ONCE: usize = 4;
/// If no write of a service lands for this long, the pass leaves the service behind, and a later pass serves it.
pub(super) fn patience(timing: Timing) -> Duration {
    timing.lease
}

/// The result of a page for one lane.
#[derive(Debug)]
pub(super) enum PageEnd {
    /// Everything is durable.
    Durable(Counters),
    /// Its table takes nothing at the moment: the lane stays at its cursor.
    Held,
    /// The worker stops.
    Stopped(Stop),
}

/// The items of a page, as changes. An item without the key is none of this source: nothing is left out.
pub(super) fn groups(items: Vec<Item>, keys: &KeySchema, order: Order) -> Result<Vec<PageItem>, Stop> {
    let group = |item| {
        let key = key_of(&item, keys)?;
        let images = Images {
            old: None,
            new: Some(item),
        };
        let change = Change {
            key: key.clone(),
            images,
            origin: origin(order),
        };
        Ok(PageItem::Read(Group {
            key,
            changes: vec![Arc::new(change)],
        }))
    };
    items.into_iter().map(group).collect()
}

/// The same of items that are as they came.
pub(super) fn raw_items(items: Vec<RawItem>, keys: &KeySchema, order: Order) -> Result<Vec<PageItem>, Stop> {
    let raw = |item: RawItem| {
        Ok(PageItem::Raw(RawPageItem {
            key: key_of(&item.read, keys)?,
            item,
            origin: origin(order),
        }))
    };
    items.into_iter().map(raw).collect()
}

fn key_of(item: &Item, keys: &KeySchema) -> Result<Key, Stop> {
    keys.key_of(item).ok_or_else(|| Stop {
        reason: "the source has items without the key attributes of the plan: check source.keys".into(),
    })
}

fn origin(order: Order) -> Origin {
    match order {
        Order::Concurrent => Origin::Backfill,
        Order::Bulk | Order::Import => Origin::Bulk,
    }
}

/// One lane of a page, with its sink, unless it is the watch lane.
pub(super) struct Filling<'a> {
    pub split: &'a Split,
    pub lane: &'a str,
    pub writer: Option<(&'a TargetWriter, &'a Batching)>,
    pub ledger: &'a StateLedger,
    pub order: Order,
}

impl Filling<'_> {
    /// Takes a page through the write path.
    pub async fn fill(&self, groups: &[PageItem]) -> PageEnd {
        let landed = AtomicU64::new(0);
        let work = self.fill_all(groups, &landed);
        tokio::pin!(work);
        let mut before = 0;
        loop {
            match tokio::time::timeout(patience(self.split.timing), &mut work).await {
                Ok(Ok(counters)) => return PageEnd::Durable(counters),
                Ok(Err(stop)) => return PageEnd::Stopped(stop),
                Err(_) => {
                    let now = landed.load(Ordering::Relaxed);
                    if now == before && !self.waits_for_its_budget() {
                        return PageEnd::Held;
                    }
                    before = now;
                }
            }
        }
    }

    /// Whether nothing lands because the user's budget does not allow more. This is no reason to leave the page: it
    /// would be read again, and its landed writes be paid for again.
    fn waits_for_its_budget(&self) -> bool {
        self.writer
            .is_some_and(|(writer, _)| writer.budget.limits().is_some() && writer.health.blocked().is_none())
    }

    async fn fill_all(&self, groups: &[PageItem], landed: &AtomicU64) -> Result<Counters, Stop> {
        let Some((writer, batching)) = self.writer else {
            if self.lane != ShardRecord::WATCH {
                return Err(Stop {
                    reason: format!(
                        "the plan of this process does not know the service '{}'",
                        self.lane
                    ),
                });
            }
            return self.watch_all(groups).await;
        };
        match self.order {
            Order::Concurrent => self.drive(&Batches::new(writer, batching), groups, landed).await,
            Order::Bulk | Order::Import => self.drive(&Bulk::new(writer, batching), groups, landed).await,
        }
    }

    /// Applies all groups, and sends the batches that they gather.
    async fn drive<S: Batched + Sink>(
        &self,
        batches: &S,
        groups: &[PageItem],
        landed: &AtomicU64,
    ) -> Result<Counters, Stop> {
        let Some((service, _)) = self.split.target(self.lane) else {
            return Ok(Counters::default());
        };
        let versions = &self.split.plan.versions;
        let mut groups = groups.iter();
        let (mut applied, mut sent) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut sum = Counters::default();
        loop {
            while applied.len() < WRITES_AT_ONCE
                && let Some(group) = groups.next()
            {
                applied.push(apply(service, versions, group, batches, self.ledger));
            }
            if applied.is_empty() {
                return Ok(sum);
            }
            // In this order: a batch is sent only when no write can be gathered any more.
            tokio::select! {
                biased;
                Some(counters) = applied.next() => {
                    landed.fetch_add(1, Ordering::Relaxed);
                    sum.add(&counters?);
                }
                batch = batches.next(), if sent.len() < BATCHES_AT_ONCE => sent.push(batches.send(batch)),
                Some(()) = sent.next(), if !sent.is_empty() => {}
            }
        }
    }

    async fn watch_all(&self, groups: &[PageItem]) -> Result<Counters, Stop> {
        let mut sum = Counters::default();
        for group in groups {
            sum.add(&watch_item(self.split, self.ledger, group).await?);
        }
        Ok(sum)
    }
}

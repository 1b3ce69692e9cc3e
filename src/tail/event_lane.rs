//! The work of a lane that sends the events of a service.
//!
//! It sends the event of a record only after the service's own lane has applied the record: then the service's table holds what
//! the event tells. The lane of the service never waits for it. What the service's lane only watched, because the service had
//! switched, is in no event: other writers made it, or it was carried back.

use super::feed::{Batch, Feed};
use crate::dynamo::{Clock, Health};
use crate::events::{Occurred, Outbox, Outgoing, Progress, document};
use crate::flow::{Stop, coalesce, item_events};
use crate::model::{Counters, Origin, Position};
use crate::plan::Service;
use crate::publish::Publisher;
use crate::source::Record;
use crate::state::{LaneState, ShardRecord};
use crate::target::Fence;
use crate::worker::{LeasedRecord, Split};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// Sends the events of one service in one shard.
pub(super) struct ItemEvents {
    split: Split,
    service: String,
    shard: String,
    leased: Arc<LeasedRecord<ShardRecord>>,
    outbox: Outbox,
}

impl ItemEvents {
    /// `None`: the plan has no events of the service.
    pub fn new(
        split: &Split,
        service: &Service,
        publisher: Arc<Publisher>,
        leased: &Arc<LeasedRecord<ShardRecord>>,
        fence: Fence,
        stop: &CancellationToken,
    ) -> Option<Self> {
        Some(Self {
            outbox: Outbox {
                service: service.name.clone(),
                settings: service.events.clone()?,
                publisher,
                letters: split.event_letters(),
                fence,
                stop: stop.clone(),
            },
            split: split.clone(),
            service: service.name.clone(),
            shard: leased.snapshot().shard,
            leased: Arc::clone(leased),
        })
    }

    /// The service's own lane in this shard.
    pub fn applied(&self) -> Option<LaneState> {
        self.leased.snapshot().lanes.remove(&self.service)
    }

    /// The events of records, by source item.
    fn outgoing(&self, records: &[&Record]) -> Vec<VecDeque<Outgoing>> {
        let Some(service) = self.split.plan.service(&self.service) else {
            return Vec::new();
        };
        let times: BTreeMap<&str, Option<u64>> = records
            .iter()
            .map(|record| (record.sequence.as_text(), record.created_ms))
            .collect();
        let changes: Vec<_> = records.iter().map(|record| Arc::clone(&record.change)).collect();
        let groups = coalesce(&changes).into_iter();
        let queues = groups.map(|group| {
            let changes = group.changes.iter();
            let events = changes.flat_map(|change| {
                let sequence = match &change.origin {
                    Origin::Tail { sequence, .. } => sequence.as_text(),
                    Origin::Backfill | Origin::Bulk => "",
                };
                let occurred = Occurred {
                    split: &self.split.plan.split,
                    service: &service.name,
                    table: &service.table.name,
                    keys: &service.keys,
                    shard: &self.shard,
                    sequence,
                    at_ms: times.get(sequence).copied().flatten(),
                };
                let events = item_events(service, &self.split.plan.versions, &change.images);
                let images = self.outbox.settings.images;
                let documents = events.iter().map(|event| document(event, &occurred, images));
                documents.filter_map(Outgoing::of).collect::<Vec<_>>()
            });
            events.collect()
        });
        queues.collect()
    }
}

/// Tells why the lane does not move.
pub(super) struct Told<'a> {
    lane: &'a str,
    feed: &'a Feed,
    health: &'a Health,
    service: &'a str,
    clock: Clock,
    is_blocked: AtomicBool,
}

impl Progress for Told<'_> {
    fn is_blocked(&self, reason: &str) {
        // The other lanes of the shard do not wait for it.
        self.feed.detach(self.lane);
        self.health.block(reason.to_owned());
        let service = self.service;
        if self.is_blocked.swap(true, Ordering::Relaxed) {
            tracing::debug!(service, reason, "events do not get through; trying again");
        } else {
            tracing::warn!(service, reason, "events do not get through; trying again");
        }
    }

    fn goes_on(&self) {
        if self.is_blocked.swap(false, Ordering::Relaxed) {
            self.health.clear();
            tracing::info!(service = self.service, "events get through again");
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }
}

impl ItemEvents {
    /// Tells how the events of a lane get through.
    pub fn told<'a>(&'a self, lane: &'a str, feed: &'a Feed, health: &'a Health) -> Told<'a> {
        Told {
            lane,
            feed,
            health,
            service: &self.service,
            clock: self.split.timing.clock,
            is_blocked: AtomicBool::new(false),
        }
    }

    /// Sends the events of those records between two places that the service's lane has applied. Answers what it counted, and the
    /// creation time of the last record.
    pub async fn send(
        &self,
        told: &Told<'_>,
        batch: &Batch,
        (from, to): (&Position, &Position),
        applied: &LaneState,
    ) -> Result<(Counters, Option<u64>), Stop> {
        let place = |record: &&Record| Position::After(record.sequence.clone());
        let passed = |record: &&Record| place(record) > *from && place(record) <= *to;
        let passed: Vec<&Record> = batch.records.iter().filter(passed).collect();
        let newest_ms = passed.iter().filter_map(|record| record.created_ms).max();
        let seen = passed.len() as u64;
        let shown = passed.into_iter();
        let shown: Vec<&Record> = shown
            .filter(|record| applied.has_applied(&place(record)))
            .collect();
        let delivered = self.outbox.deliver(self.outgoing(&shown), told).await?;
        let counters = Counters {
            seen,
            events: delivered.sent,
            dead_letters: delivered.dead_letters,
            ..Counters::default()
        };
        Ok((counters, newest_ms))
    }
}

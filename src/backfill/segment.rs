//! The task that copies one segment of the source, page by page, with a cursor for each service.

use super::circuit_breaker::{CircuitBreaker, STUCK_LEASES};
use super::export_pages::{File, FilePages};
use super::fill_page::{Filling, PageEnd, groups, patience, raw_items};
use super::hot_segments::HotSegments;
use super::import_target::ImportTarget;
use super::kept_pages::{KeptPages, Page};
use super::read_again::before_attempt;
use crate::dynamo::{
    AdaptiveReadRate, Budget, ConcurrencyLimit, Failure, FailureKind, Health, HotSince, Load,
};
use crate::fault::{self, Writer};
use crate::flow::Stop;
use crate::model::{Item, json};
use crate::plan::{LookedAt, PutCost};
use crate::s3::Export;
use crate::source::{PageItems, RawScanPage, Scan};
use crate::state::{Limit, NotedLimits, Order, SegmentRecord};
use crate::status::limits;
use crate::target::{Batching, Fence, Gate, TargetWriter};
use crate::worker::{LeasedRecord, Split, StateLedger};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// The data that all segments of a process share.
#[derive(Clone)]
pub(super) struct FillShare {
    pub split: Split,
    pub scan: Scan,
    /// Which attributes of the source's items the plan looks at.
    pub looked_at: Arc<LookedAt>,
    /// The export whose files are the segments, instead of a scan.
    pub export: Option<Arc<Export>>,
    /// Where the items go in the import order.
    pub import: Option<Arc<ImportTarget>>,
    pub segments: u32,
    pub order: Order,
    pub reads: Arc<Budget>,
    pub read_rate: Arc<AdaptiveReadRate>,
    pub writes: BTreeMap<String, Arc<Budget>>,
    pub batching: BTreeMap<String, Arc<Batching>>,
    pub concurrency_limits: BTreeMap<String, Arc<ConcurrencyLimit>>,
    pub health: BTreeMap<String, Arc<Health>>,
    pub source_health: Arc<Health>,
    /// Segments that wait for a page, and those that write one.
    pub reading: Arc<Load>,
    pub writing: Arc<Load>,
    pub breaker: Arc<CircuitBreaker>,
    pub hot: Arc<HotSegments>,
    pub kept: Arc<KeptPages>,
    pub stop: CancellationToken,
}

impl FillShare {
    /// Whether some target can't take more in some ranges of its keys.
    pub fn is_hot(&self) -> bool {
        self.concurrency_limits
            .values()
            .any(|concurrency| concurrency.is_hot())
    }

    /// Why something is held up at the moment: the source, or a service by its name.
    pub fn blocked(&self) -> Vec<String> {
        let source = self.source_health.blocked().or_else(|| self.hot.told());
        let source = source.map(|reason| format!("source: {reason}"));
        let targets = self
            .health
            .iter()
            .filter_map(|(name, health)| Some(format!("{name}: {}", health.blocked()?)));
        source.into_iter().chain(targets).collect()
    }

    /// The limits at the moment: of the source, of services by their names, or of the segments at once.
    pub fn limits(&self) -> BTreeMap<String, Limit> {
        let source = limits::of_reads(&self.source_health, &self.reads, &self.read_rate)
            .or_else(|| self.hot.told().map(Limit::held_up));
        let services = self.health.iter().filter_map(|(name, health)| {
            let (budget, concurrency) = (self.writes.get(name)?, self.concurrency_limits.get(name)?);
            Some((name.clone(), limits::of_writes(health, budget, concurrency)?))
        });
        limits::of_segments(source, services, &self.reading, &self.writing)
    }
}

/// One segment that this worker owns.
pub(super) struct SegmentTask {
    pub share: FillShare,
    pub leased: Arc<LeasedRecord<SegmentRecord>>,
    /// It ends with its page, and leaves the rest to a later process.
    pub enough: CancellationToken,
    /// The file of an export that it reads.
    pub file: FilePages,
}

impl SegmentTask {
    /// Runs until every lane is done with the segment, or those that are left take nothing at the moment (then others
    /// come first), or the lease was lost, or the worker stops.
    pub async fn run(self) -> Result<(), Stop> {
        self.leave_out_switched();
        let saved = CancellationToken::new();
        let renewing =
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.leased).renew_until(saved.clone())));
        let lost = self.leased.lost();
        let work = self.share.stop.child_token();
        let result = tokio::select! {
            biased;
            () = lost.cancelled() => Ok(()),
            () = self.tell_blocked() => Ok(()),
            result = self.passes(&work).instrument(self.span()) => result,
        };
        work.cancel();
        saved.cancel();
        let stop = |error: &dyn std::fmt::Display| Stop {
            reason: error.to_string(),
        };
        renewing
            .await
            .map_err(|error| stop(&error))?
            .map_err(|error| stop(&error))?;
        result
    }

    fn span(&self) -> tracing::Span {
        tracing::info_span!(target: "dynasplit::span", "copy segment", segment = self.leased.name())
    }

    /// A service may have switched since the round began: nothing more is written to its table.
    fn leave_out_switched(&self) {
        self.leased.update(|record| {
            for (lane, progress) in &mut record.services {
                progress.done |= self.share.split.has_switched(lane);
            }
        });
    }

    /// Records the reason for a delay of the segment, and its limit, for `status`. Never ends.
    async fn tell_blocked(&self) {
        loop {
            tokio::time::sleep(self.share.split.timing.renew()).await;
            let blocked = self.share.blocked();
            let limits = NotedLimits {
                at_ms: self.share.split.now_ms(),
                of: self.share.limits(),
            };
            self.leased.update_quietly(|record| {
                record.blocked = blocked;
                record.limits = Some(limits);
            });
        }
    }

    /// One pass for all lanes at the same cursor; more passes if some were left behind before.
    async fn passes(&self, work: &CancellationToken) -> Result<(), Stop> {
        let ledger = StateLedger::new(&self.share.split);
        if let Some(target) = &self.share.import {
            return Box::pin(self.gather(target, &ledger, work)).await;
        }
        let writers = self.writers(work);
        let lanes = self.leased.snapshot().services.into_keys();
        let mut held: BTreeSet<String> = lanes
            .filter(|lane| !self.share.breaker.allows_attempt(lane))
            .collect();
        while let Some((cursor, lanes)) = self.next_pass(&held)
            && !self.ends(work)
        {
            self.pass(cursor, lanes, &writers, &ledger, &mut held, work)
                .await?;
        }
        Ok(())
    }

    /// The largest set of lanes that can share a scan: unfinished, not held back, at one cursor.
    pub(super) fn next_pass(&self, held: &BTreeSet<String>) -> Option<(Option<String>, Vec<String>)> {
        let record = self.leased.snapshot();
        let mut sets: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
        for (lane, progress) in &record.services {
            if !progress.done && !held.contains(lane) {
                sets.entry(progress.cursor.clone())
                    .or_default()
                    .push(lane.clone());
            }
        }
        sets.into_iter().max_by_key(|(_, lanes)| lanes.len())
    }

    async fn pass(
        &self,
        mut cursor: Option<String>,
        mut lanes: Vec<String>,
        writers: &BTreeMap<String, TargetWriter>,
        ledger: &StateLedger,
        held: &mut BTreeSet<String>,
        work: &CancellationToken,
    ) -> Result<(), Stop> {
        let share = &self.share;
        let segment = self.leased.snapshot().segment;
        while !lanes.is_empty() && !self.ends(work) {
            let page = match self.next_page(cursor.as_deref(), work).await? {
                PageRead::Page(page) => page,
                PageRead::Left => {
                    // Nothing of this segment can be read, by any lane.
                    held.extend(self.leased.snapshot().services.into_keys());
                    return Ok(());
                }
                PageRead::Stopped => return Ok(()),
            };
            fault::moment("backfill.page-read").await;
            let (items, count) = (&page.items, page.items.len() as u64);
            let fillings: Vec<_> = lanes
                .iter()
                .map(|lane| Filling {
                    split: &share.split,
                    lane,
                    writer: writers.get(lane).zip(share.batching.get(lane).map(Arc::as_ref)),
                    ledger,
                    order: share.order,
                })
                .collect();
            let fills = fillings.iter().map(|filling| filling.fill(items));
            let writing = share.writing.enter();
            let ends = futures::future::join_all(fills).await;
            drop(writing);
            fault::moment("backfill.checkpoint.before").await;
            let next = page.next.clone();
            if !page.counted {
                self.leased.update(|record| {
                    record.scanned += count;
                    record.read_milliunits += page.read_milliunits;
                });
            }
            let mut going = Vec::new();
            for (lane, end) in lanes.drain(..).zip(ends) {
                match end {
                    PageEnd::Durable(counters) => {
                        self.advance(&lane, next.clone(), &counters, count);
                        going.push(lane);
                    }
                    PageEnd::Held => {
                        share.kept.keep(segment, cursor.clone(), page.clone());
                        self.hold_back(&lane);
                        held.insert(lane);
                    }
                    PageEnd::Stopped(stop) if work.is_cancelled() => {
                        tracing::debug!(reason = stop.reason, "the page will be read again");
                    }
                    PageEnd::Stopped(stop) => return Err(stop),
                }
            }
            fault::moment("backfill.checkpoint.after").await;
            if next.is_none() {
                return Ok(());
            }
            lanes = going;
            cursor = next;
        }
        Ok(())
    }

    fn ends(&self, work: &CancellationToken) -> bool {
        work.is_cancelled() || self.enough.is_cancelled()
    }

    /// The page after a cursor: kept from an attempt before, or read.
    pub(super) async fn next_page(
        &self,
        cursor: Option<&str>,
        work: &CancellationToken,
    ) -> Result<PageRead, Stop> {
        let segment = self.leased.snapshot().segment;
        match self.share.kept.take(segment, cursor) {
            Some(page) => Ok(PageRead::Page(page)),
            None => self.read(cursor, work).await,
        }
    }

    /// Leaves a lane at its page, since its table accepts no writes.
    fn hold_back(&self, lane: &str) {
        let share = &self.share;
        if share.breaker.open(lane) {
            self.tell_stuck(lane);
        }
        // It stays with the segment while no process works on it, for `status`.
        self.leased.update(|record| record.blocked = share.blocked());
    }

    /// Moves a lane's cursor: every write of the page is durable.
    fn advance(&self, lane: &str, next: Option<String>, counters: &crate::model::Counters, items: u64) {
        self.leased.update(|record| {
            if let Some(progress) = record.services.get_mut(lane) {
                progress.done = next.is_none();
                progress.cursor = next;
                progress.counters.add(counters);
                progress.counters.seen += items.saturating_sub(counters.seen);
            }
        });
        // A page with nothing for it proves nothing.
        if counters.put + counters.superseded > 0 {
            self.share.breaker.close(lane);
        }
    }

    /// Reports once that the table of a service accepts no writes.
    fn tell_stuck(&self, lane: &str) {
        let share = &self.share;
        let table = share
            .split
            .plan
            .service(lane)
            .map_or("", |service| &service.table.name);
        let reason = share.health.get(lane).and_then(|health| health.blocked());
        let reason = reason.unwrap_or_else(|| "no write was answered in time".to_owned());
        let timing = share.split.timing;
        match share.order {
            Order::Concurrent => tracing::warn!(
                "the table {table} of {lane} accepts no writes ({reason}). The other services are copied \
                 meanwhile, and {lane} is tried again every {} s",
                share.breaker.retry().as_secs()
            ),
            Order::Bulk | Order::Import => tracing::warn!(
                "the table {table} of {lane} accepts no writes ({reason}). The other services are copied \
                 meanwhile, but the lanes of all services stay on hold. The backfill gives up the bulk \
                 order if this lasts {} s",
                (timing.lease * STUCK_LEASES).as_secs()
            ),
        }
    }

    /// Reads a page, however long it takes. A page whose key range is throttled all the time is left, so that other segments
    /// come first.
    async fn read(&self, cursor: Option<&str>, work: &CancellationToken) -> Result<PageRead, Stop> {
        let share = &self.share;
        if let Some(export) = &share.export {
            return Box::pin(self.read_file(export, cursor, work)).await;
        }
        let segment = self.leased.snapshot().segment;
        let after = cursor.map(cursor_item).transpose()?;
        let (mut attempt, mut hot) = (0u32, HotSince::default());
        let _reading = share.reading.enter();
        loop {
            let turn = tokio::select! {
                biased;
                () = work.cancelled() => return Ok(PageRead::Stopped),
                turn = async { share.reads.ready().await; share.read_rate.ready(Some(segment)).await } => turn,
            };
            match share
                .scan
                .raw_page(segment, share.segments, after.as_ref(), &share.looked_at)
                .await
            {
                Ok(page) => {
                    share.reads.pay(page.read_milliunits);
                    turn.answered(page.read_milliunits);
                    share.hot.take_back(segment);
                    if attempt > 0 {
                        share.source_health.clear();
                    }
                    return self.changes(page).map(PageRead::Page);
                }
                Err(failure) if failure.kind == FailureKind::Missing => {
                    let reason = format!(
                        "the source table {} was deleted, so its other items can't be copied",
                        share.split.plan.source.table
                    );
                    return Err(Stop { reason });
                }
                Err(failure) => {
                    turn.failed(&failure);
                    if hot.failed(&failure, patience(share.split.timing)) {
                        share.source_health.clear();
                        self.leave(segment, after.as_ref(), &failure);
                        return Ok(PageRead::Left);
                    }
                    attempt = attempt.saturating_add(1);
                    share.source_health.block(failure.reason());
                    tracing::debug!(segment, attempt, %failure, "reading the page again");
                    before_attempt(attempt, work).await;
                }
            }
        }
    }

    /// Reads a page of the segment's file.
    async fn read_file(
        &self,
        export: &Export,
        cursor: Option<&str>,
        work: &CancellationToken,
    ) -> Result<PageRead, Stop> {
        let share = &self.share;
        let _reading = share.reading.enter();
        let file = File {
            export,
            segment: self.leased.snapshot().segment,
            keys: share.scan.keys(),
            order: share.order,
            health: &share.source_health,
        };
        let page = self.file.page(&file, cursor, work).await?;
        Ok(page.map_or(PageRead::Stopped, PageRead::Page))
    }

    /// Leaves the segment, because its key range is throttled all the time. The report names the place.
    fn leave(&self, segment: u32, after: Option<&Item>, failure: &Failure) {
        let share = &self.share;
        let place = match after.and_then(|after| share.scan.keys().key_of(after)) {
            Some(key) => format!("after the key {key}"),
            None => "at its beginning".to_owned(),
        };
        let reason = format!(
            "{}: segment {segment} of {}, {place}",
            failure.reason(),
            share.segments
        );
        share.hot.leave(segment, reason.clone());
        tracing::warn!(
            "the source is {reason}. Other segments are copied first, and this one is tried again every {} \
             s",
            patience(share.split.timing).as_secs()
        );
        // It stays with the segment while no process works on it, for `status`.
        self.leased.update(|record| record.blocked = share.blocked());
    }

    /// The items of a page, as changes.
    fn changes(&self, page: RawScanPage) -> Result<Page, Stop> {
        let share = &self.share;
        let items = match page.items {
            PageItems::Raw(items) => raw_items(items, share.scan.keys(), share.order)?,
            PageItems::Read(items) => groups(items, share.scan.keys(), share.order)?,
        };
        Ok(Page {
            items: Arc::new(items),
            next: page.next.as_ref().map(cursor_text),
            read_milliunits: page.read_milliunits,
            counted: false,
        })
    }

    fn writers(&self, work: &CancellationToken) -> BTreeMap<String, TargetWriter> {
        let split = &self.share.split;
        split
            .active()
            .map(|(service, tables)| {
                let writer = TargetWriter {
                    written_by: match self.share.order {
                        Order::Concurrent => Writer::Backfill,
                        Order::Bulk | Order::Import => Writer::Bulk,
                    },
                    client: tables.items.clone(),
                    table: service.table.name.clone(),
                    keys: service.keys.clone(),
                    fields: service.version_fields(&split.plan.versions),
                    gate: Gate::default(),
                    always_leaves_tombstones: true,
                    fence: Fence::new([self.leased.validity()]),
                    concurrency: Arc::clone(&self.share.concurrency_limits[&service.name]),
                    budget: self
                        .share
                        .writes
                        .get(&service.name)
                        .cloned()
                        .unwrap_or_else(|| Arc::new(Budget::new(None))),
                    cost: PutCost::of(service),
                    health: self.share.health.get(&service.name).cloned().unwrap_or_default(),
                    endless: true,
                    stop: work.clone(),
                    // A page may land late: the guards and the tombstones, or the hold of the lanes, make this
                    // harmless.
                    margin: Duration::ZERO,
                };
                (service.name.clone(), writer)
            })
            .collect()
    }
}

/// The result of the read of a page.
pub(super) enum PageRead {
    Page(Page),
    /// The segment is left for now.
    Left,
    /// The worker stops.
    Stopped,
}

/// A cursor is a key of the source, kept as DynamoDB JSON.
fn cursor_text(key: &Item) -> String {
    json::item_to_json(key).to_string()
}

fn cursor_item(text: &str) -> Result<Item, Stop> {
    let broken = |error: String| Stop {
        reason: format!("a cursor in the state table can't be read: {error}"),
    };
    let value = serde_json::from_str(text).map_err(|error: serde_json::Error| broken(error.to_string()))?;
    json::item_from_json(value).map_err(|error| broken(error.to_string()))
}

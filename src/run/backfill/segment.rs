use super::bench::Bench;
use super::page::{Filling, PageEnd, groups};
use crate::dynamo::{Budget, Courtesy, FailureKind, Health, Load, Pace, backoff};
use crate::fault::{self, Hand};
use crate::flow::Stop;
use crate::model::{Item, json};
use crate::run::keeper::Keeper;
use crate::run::limits;
use crate::run::split::{Split, StateLedger, now_ms};
use crate::source::{Scan, ScanPage};
use crate::state::{Limit, NotedLimits, Order, SegmentRecord};
use crate::target::{Batching, Fence, Gate, TargetWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What all segments of a process share.
#[derive(Clone)]
pub(super) struct FillShare {
    pub split: Split,
    pub scan: Scan,
    pub segments: u32,
    pub order: Order,
    pub reads: Arc<Budget>,
    pub courtesy: Arc<Courtesy>,
    pub writes: BTreeMap<String, Arc<Budget>>,
    pub batching: BTreeMap<String, Arc<Batching>>,
    pub paces: BTreeMap<String, Arc<Pace>>,
    pub health: BTreeMap<String, Arc<Health>>,
    pub source_health: Arc<Health>,
    /// Segments that wait for a page, and those that write one.
    pub reading: Arc<Load>,
    pub writing: Arc<Load>,
    pub bench: Arc<Bench>,
    pub stop: CancellationToken,
}

impl FillShare {
    /// Whether some target can't take more in some ranges of its keys.
    pub fn is_hot(&self) -> bool {
        self.paces.values().any(|pace| pace.is_hot())
    }

    /// Why something is held up at the moment: the source, or a service by its name.
    pub fn blocked(&self) -> Vec<String> {
        let source = self
            .source_health
            .blocked()
            .map(|reason| format!("source: {reason}"));
        let targets = self
            .health
            .iter()
            .filter_map(|(name, health)| Some(format!("{name}: {}", health.blocked()?)));
        source.into_iter().chain(targets).collect()
    }

    /// What limits at the moment: the source, services by their names, or the segments at once.
    pub fn limits(&self) -> BTreeMap<String, Limit> {
        let source = limits::of_reads(&self.source_health, &self.reads, &self.courtesy);
        let services = self.health.iter().filter_map(|(name, health)| {
            let (budget, pace) = (self.writes.get(name)?, self.paces.get(name)?);
            Some((name.clone(), limits::of_writes(health, budget, pace)?))
        });
        limits::of_segments(source, services, &self.reading, &self.writing)
    }
}

/// One segment that this worker owns.
pub(super) struct SegmentTask {
    pub share: FillShare,
    pub keeper: Arc<Keeper<SegmentRecord>>,
    /// It ends with its page, and leaves the rest to whoever comes next.
    pub enough: CancellationToken,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

impl SegmentTask {
    /// Runs until every lane is done with the segment, or those that are left take nothing at the moment (then others
    /// come first), or the lease was lost, or the worker stops.
    pub async fn run(self) -> Result<(), Stop> {
        let saved = CancellationToken::new();
        let keeping = tokio::spawn(Arc::clone(&self.keeper).keep(saved.clone()));
        let lost = self.keeper.lost();
        let work = self.share.stop.child_token();
        let result = tokio::select! {
            () = lost.cancelled() => Ok(()),
            () = self.tell_blocked() => Ok(()),
            result = self.passes(&work) => result,
        };
        work.cancel();
        saved.cancel();
        let stop = |error: &dyn std::fmt::Display| Stop {
            reason: error.to_string(),
        };
        keeping
            .await
            .map_err(|error| stop(&error))?
            .map_err(|error| stop(&error))?;
        result
    }

    /// Writes down what holds the segment up, and what limits it, for `status`. Never ends.
    async fn tell_blocked(&self) {
        loop {
            tokio::time::sleep(self.share.split.timing.renew()).await;
            let blocked = self.share.blocked();
            let limits = NotedLimits {
                at_ms: now_ms(),
                of: self.share.limits(),
            };
            self.keeper.update_quietly(|record| {
                record.blocked = blocked;
                record.limits = Some(limits);
            });
        }
    }

    /// One pass for all lanes that stand at the same cursor; more where some were held back before.
    async fn passes(&self, work: &CancellationToken) -> Result<(), Stop> {
        let ledger = StateLedger::new(&self.share.split);
        let writers = self.writers(work);
        let lanes = self.keeper.snapshot().services.into_keys();
        let mut held: BTreeSet<String> = lanes.filter(|lane| !self.share.bench.may_try(lane)).collect();
        while let Some((cursor, lanes)) = self.next_pass(&held)
            && !self.ends(work)
        {
            self.pass(cursor, lanes, &writers, &ledger, &mut held, work)
                .await?;
        }
        Ok(())
    }

    /// The largest set of lanes that can share a scan: unfinished, not held back, at one cursor.
    fn next_pass(&self, held: &BTreeSet<String>) -> Option<(Option<String>, Vec<String>)> {
        let record = self.keeper.snapshot();
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
        while !lanes.is_empty() && !self.ends(work) {
            let Some(page) = self.read(cursor.as_deref(), work).await? else {
                return Ok(());
            };
            fault::moment("backfill.page-read").await;
            let count = page.items.len() as u64;
            let items = groups(page.items, share.scan.keys(), share.order);
            if items.len() as u64 != count {
                return Err(Stop {
                    reason: "the source has items without the plan's key: check source.keys".into(),
                });
            }
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
            let fills = fillings.iter().map(|filling| filling.fill(&items));
            let writing = share.writing.enter();
            let ends = futures::future::join_all(fills).await;
            drop(writing);
            fault::moment("backfill.checkpoint.before").await;
            let next = page.next.as_ref().map(cursor_text);
            self.keeper.update(|record| {
                record.scanned += count;
                record.read_milliunits += page.read_milliunits;
            });
            let mut going = Vec::new();
            for (lane, end) in lanes.drain(..).zip(ends) {
                match end {
                    PageEnd::Durable(counters) => {
                        self.advance(&lane, next.clone(), &counters, count);
                        // A page with nothing for it proves nothing.
                        if counters.put + counters.superseded > 0 {
                            share.bench.take_back(&lane);
                        }
                        going.push(lane);
                    }
                    PageEnd::Held => {
                        tracing::warn!(
                            lane,
                            "its table takes no writes at the moment; the other services go on"
                        );
                        share.bench.put_out(&lane);
                        held.insert(lane);
                        // It stays with the segment while nobody works on it, for `status`.
                        self.keeper.update(|record| record.blocked = share.blocked());
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

    /// Moves a lane's cursor: every write of the page is durable.
    fn advance(&self, lane: &str, next: Option<String>, counters: &crate::model::Counters, items: u64) {
        self.keeper.update(|record| {
            if let Some(progress) = record.services.get_mut(lane) {
                progress.done = next.is_none();
                progress.cursor = next;
                progress.counters.add(counters);
                progress.counters.seen += items.saturating_sub(counters.seen);
            }
        });
    }

    /// Reads a page, however long it takes; `None` when the worker stops.
    async fn read(&self, cursor: Option<&str>, work: &CancellationToken) -> Result<Option<ScanPage>, Stop> {
        let share = &self.share;
        let segment = self.keeper.snapshot().segment;
        let after = cursor.map(cursor_item).transpose()?;
        let mut attempt = 0u32;
        let _reading = share.reading.enter();
        loop {
            tokio::select! {
                biased;
                () = work.cancelled() => return Ok(None),
                () = async { share.reads.ready().await; share.courtesy.ready().await } => {}
            }
            match share.scan.page(segment, share.segments, after.as_ref()).await {
                Ok(page) => {
                    share.reads.pay(page.read_milliunits);
                    share.courtesy.pay(page.read_milliunits);
                    if attempt > 0 {
                        share.source_health.clear();
                    }
                    return Ok(Some(page));
                }
                Err(failure) if failure.kind == FailureKind::Missing => {
                    let reason = format!(
                        "the source table {} was deleted, so the rest of it can't be copied",
                        share.split.plan.source.table
                    );
                    return Err(Stop { reason });
                }
                Err(failure) => {
                    attempt = attempt.saturating_add(1);
                    share.source_health.block(failure.reason());
                    if matches!(failure.kind, FailureKind::Throttled(_)) {
                        share.courtesy.throttled();
                    }
                    tracing::debug!(segment, attempt, %failure, "reading the page again");
                    pause(work, backoff(attempt, FIRST_WAIT, LONGEST_WAIT)).await;
                }
            }
        }
    }

    fn writers(&self, work: &CancellationToken) -> BTreeMap<String, TargetWriter> {
        let split = &self.share.split;
        split
            .services()
            .map(|(service, tables)| {
                let writer = TargetWriter {
                    hand: match self.share.order {
                        Order::Concurrent => Hand::Backfill,
                        Order::Bulk => Hand::Bulk,
                    },
                    client: tables.items.clone(),
                    table: service.table.name.clone(),
                    keys: service.keys.clone(),
                    fields: service.version_fields(&split.plan.versions),
                    gate: Gate::default(),
                    always_bury: true,
                    fence: Fence::new([self.keeper.validity()]),
                    pace: Arc::clone(&self.share.paces[&service.name]),
                    budget: self
                        .share
                        .writes
                        .get(&service.name)
                        .cloned()
                        .unwrap_or_else(|| Arc::new(Budget::new(None))),
                    health: self.share.health.get(&service.name).cloned().unwrap_or_default(),
                    endless: true,
                    stop: work.clone(),
                    // A page may land late: that is what its guards and the tombstones are for, or the hold of the lanes.
                    margin: Duration::ZERO,
                };
                (service.name.clone(), writer)
            })
            .collect()
    }
}

async fn pause(work: &CancellationToken, wait: Duration) {
    tokio::select! {
        () = work.cancelled() => {}
        () = tokio::time::sleep(wait) => {}
    }
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

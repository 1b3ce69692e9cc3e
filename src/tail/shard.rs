//! The task of one shard: a front reader and a lane for each service.

use super::at_once::WRITES_AT_ONCE;
use super::carried_back::CarriedBack;
use super::continued::Continued;
use super::event_lane::ItemEvents;
use super::feed::Feed;
use super::from_ledger::{FromLedger, about};
use super::lane::{Lane, Work};
use super::ledger_lane::LedgerLane;
use super::reader::{ShardReader, is_trimmed};
use super::strays::Strays;
use crate::dynamo::{Budget, Clock, ConcurrencyLimit, Failure, Health, Load};
use crate::fault::Writer;
use crate::ledger::Chain;
use crate::model::Position;
use crate::plan::PutCost;
use crate::publish::Publisher;
use crate::source::StreamSource;
use crate::source::lineage::{Readiness, readiness};
use crate::state::{GapRecord, Noted, ShardRecord, StateError, Validity};
use crate::status::limits;
use crate::target::{Fence, Gate, HELD, TargetWriter};
use crate::worker::{LaneKind, LeasedRecord, Recorded, Split, StateLedger};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// The budget and the health of one service, which its lanes in all shards of this process share.
#[derive(Clone, Debug)]
pub(super) struct LaneShare {
    pub budget: Arc<Budget>,
    pub health: Arc<Health>,
    pub concurrency: Arc<ConcurrencyLimit>,
    /// Lanes that write a batch.
    pub busy: Arc<Load>,
    /// Where the events go, if the lane sends them.
    pub publisher: Option<Arc<Publisher>>,
}

/// How the reading of a shard goes.
#[derive(Debug, Default)]
struct Reading {
    /// Why it can't be read.
    health: Health,
    /// One while its pages are full: there is more than was read.
    full: Load,
}

/// One shard that this worker owns: its front reader, and the lanes that may read it.
pub(super) struct ShardTask {
    pub split: Split,
    pub source: StreamSource,
    pub leased: Arc<LeasedRecord<ShardRecord>>,
    pub gate: Gate,
    /// The worker's own lease.
    pub alive: Validity,
    pub shares: BTreeMap<String, LaneShare>,
    pub recorded: watch::Receiver<Recorded>,
    pub stop: CancellationToken,
}

/// Empty reads in a row, at least, before a shard counts as read to its tip: empty pages before it are normal.
const EMPTY_READS: u32 = 5;
const AFTER_FAILURE: Duration = Duration::from_millis(500);
/// A wait between failed reads is at most this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl ShardTask {
    /// Runs until every lane that can continue has finished the shard, the lease was lost, or the worker stops.
    /// Everything is joined and saved when this returns.
    ///
    /// # Errors
    /// If the last save failed: the lanes then repeat their work since the save before.
    pub async fn run(mut self) -> Result<(), StateError> {
        let work = self.stop.child_token();
        let saved = CancellationToken::new();
        let renewing =
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&self.leased).renew_until(saved.clone())));
        let feed = Arc::new(Feed::default());
        let alone = Arc::new(Semaphore::new(1));
        let mut lanes = JoinSet::new();
        let mut started = BTreeSet::new();
        let reading = Arc::new(Reading::default());
        let mut front = AbortOnDropHandle::new(tokio::spawn(front(
            ShardReader::new(&self.source, &self.leased.snapshot().shard),
            Arc::clone(&feed),
            Arc::clone(&reading),
            self.split.timing,
            self.continued(),
            work.clone(),
        )));
        let lost = self.leased.lost();
        let mut is_read = false;
        loop {
            let waiting = self.start_ready(&mut started, &mut lanes, &feed, &alone, &work);
            if lanes.is_empty() && !waiting {
                break;
            }
            self.tell_blocked(&reading);
            tokio::select! {
                biased;
                () = lost.cancelled() => break,
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(self.split.timing.renew()) => {}
                changed = self.recorded.changed() => if changed.is_err() { break },
                read = &mut front, if !is_read => match read {
                    Ok(()) => is_read = true,
                    // Without it, the lanes would wait for ever.
                    Err(error) => {
                        tracing::error!(%error, "the front reader failed; the shard starts again");
                        is_read = true;
                        break;
                    }
                },
                ended = lanes.join_next(), if !lanes.is_empty() => match ended {
                    // A lane repeats what it could not make durable, so an error loses nothing.
                    Some(Ok((lane, Err(failed)))) => {
                        tracing::warn!(lane, reason = failed.reason, "the lane starts again at its \
                             checkpoint");
                        tokio::time::sleep(AFTER_FAILURE).await;
                        started.remove(&lane);
                    }
                    Some(Err(error)) => {
                        tracing::error!(%error, "a lane failed; the shard starts again");
                        break;
                    }
                    Some(Ok((_, Ok(())))) | None => {}
                },
            }
        }
        work.cancel();
        while let Some(ended) = lanes.join_next().await {
            if let Ok((lane, Err(stopped))) = ended {
                tracing::debug!(
                    lane,
                    reason = stopped.reason,
                    "it stopped before its batch was saved"
                );
            }
        }
        if !is_read && let Err(error) = front.await {
            tracing::error!(%error, "the front reader failed");
        }
        saved.cancel();
        renewing.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the task that saves the checkpoints of the shard failed");
            Ok(())
        })
    }

    /// Whether other known shards continue this one: it gets no record any more.
    fn continued(&self) -> Continued {
        Continued {
            shard: self.leased.snapshot().shard,
            recorded: self.recorded.clone(),
        }
    }

    /// Records the limit of every lane, and why it makes no progress at the moment: a bulk copy holds the lane, the
    /// shard can't be read, or its table accepts no writes. A shard that makes no progress is an alarm.
    fn tell_blocked(&self, reading: &Reading) {
        self.leased.update_quietly(|record| {
            let unfinished = record.lanes.iter_mut().filter(|(_, state)| !state.finished());
            for (lane, state) in unfinished {
                // The lane of a service that has switched, or that this worker's plan lacks, stays unchanged.
                let Some(share) = self.shares.get(lane) else {
                    continue;
                };
                // The gates of reverse lanes, watchers and events are held by nothing.
                let is_applied = self.split.tail_lanes().get(lane) == Some(&LaneKind::Apply);
                let is_held = is_applied && self.gate.of(lane).is_held();
                let held = is_held.then(|| HELD.to_owned());
                let reading_or_writing = || reading.health.blocked().or_else(|| share.health.blocked());
                state.blocked = held.or_else(reading_or_writing);
                state.limit = Some(Noted {
                    at_ms: self.split.now_ms(),
                    limit: limits::of_lane(
                        is_held,
                        (&reading.health, &reading.full),
                        (&share.health, &share.budget, &share.concurrency, &share.busy),
                        WRITES_AT_ONCE,
                    ),
                });
            }
        });
    }

    /// Starts lanes that may read now. Answers whether some still wait for their parent.
    fn start_ready(
        &self,
        started: &mut BTreeSet<String>,
        lanes: &mut JoinSet<(String, Result<(), crate::flow::Stop>)>,
        feed: &Arc<Feed>,
        alone: &Arc<Semaphore>,
        work: &CancellationToken,
    ) -> bool {
        let recorded = self.recorded.borrow().clone();
        let record = self.leased.snapshot();
        let mut waiting = false;
        // A lane that nobody reads any more is not among those that were found.
        let found = recorded.get(&record.shard);
        let is_read = |lane: &&String| {
            self.shares.contains_key(*lane) && found.is_some_and(|found| found.lanes.contains_key(*lane))
        };
        for lane in record.lanes.keys().filter(is_read) {
            match readiness(&record, lane, &recorded, self.split.now_ms()) {
                Readiness::Ready if started.insert(lane.clone()) => {
                    let (name, task) = (lane.clone(), self.lane(lane, feed, alone, work));
                    lanes.spawn(async move { (name, task.run().await) });
                }
                Readiness::Waits => waiting = true,
                Readiness::Gap(reason) if record.lanes[lane].gap.is_none() => {
                    tracing::error!(lane, shard = record.shard, reason, "gap: records were lost");
                    self.leased.update(|record| {
                        if let Some(state) = record.lanes.get_mut(lane) {
                            state.gap = Some(GapRecord {
                                reason,
                                noticed_ms: self.split.now_ms(),
                            });
                        }
                    });
                }
                Readiness::Ready | Readiness::Finished | Readiness::Gap(_) => {}
            }
        }
        waiting
    }

    fn lane(&self, name: &str, feed: &Arc<Feed>, alone: &Arc<Semaphore>, work: &CancellationToken) -> Lane {
        let share = &self.shares[name];
        let kind = self.split.tail_lanes().get(name).copied();
        let gate = match kind {
            Some(LaneKind::Back) => self.gate.back_of(name),
            Some(LaneKind::Strays) => self.gate.watch_of(name),
            Some(LaneKind::Apply) => self.gate.of(name),
            Some(LaneKind::Unrouted | LaneKind::Events | LaneKind::Ledger) | None => self.gate.clone(),
        };
        Lane {
            name: name.to_owned(),
            work: self.work(name, kind, work),
            split: self.split.clone(),
            ledger: StateLedger::behind(&self.split, &self.gate),
            feed: Arc::clone(feed),
            leased: Arc::clone(&self.leased),
            recorded: self.recorded.clone(),
            reader: ShardReader::new(&self.source, &self.leased.snapshot().shard),
            from_ledger: FromLedger::new(&self.split, &self.source, &self.leased.snapshot()),
            continued: self.continued(),
            alone: Arc::clone(alone),
            health: Arc::clone(&share.health),
            read_failed: false,
            busy: Arc::clone(&share.busy),
            gate,
            stop: work.clone(),
        }
    }

    fn ledger_lane(&self) -> Option<LedgerLane> {
        let about = about(&self.source, &self.leased.snapshot());
        Some(LedgerLane {
            chain: Chain::of(&self.split, &about)?,
            about,
            split: self.split.plan.split.clone(),
            table: self.split.plan.source.table.clone(),
            flush: self.split.timing.flush(),
        })
    }

    fn work(&self, name: &str, kind: Option<LaneKind>, stop: &CancellationToken) -> Work {
        let fence = Fence::new([self.leased.validity(), self.alive.clone()]);
        if let Some((service, _)) = ShardRecord::of_events(name) {
            let publisher = self.shares[name].publisher.clone();
            let service = publisher.zip(self.split.plan.service(service));
            let events = service.and_then(|(publisher, service)| {
                ItemEvents::new(&self.split, service, publisher, &self.leased, fence, stop)
            });
            return Work::Events(events.map(Box::new));
        }
        if ShardRecord::of_ledger(name).is_some() {
            return Work::Ledger(self.ledger_lane().map(Box::new));
        }
        let (Some(kind), Some((service, tables))) = (kind, self.split.target(name)) else {
            return Work::Unrouted;
        };
        let share = &self.shares[name];
        let writer = TargetWriter {
            written_by: Writer::Tail,
            client: tables.items.clone(),
            table: service.table.name.clone(),
            keys: service.keys.clone(),
            fields: service.version_fields(&self.split.plan.versions),
            gate: self.gate.of(name),
            always_leaves_tombstones: false,
            fence: fence.clone(),
            concurrency: Arc::clone(&share.concurrency),
            budget: Arc::clone(&share.budget),
            cost: PutCost::of(service),
            health: Arc::clone(&share.health),
            endless: true,
            stop: stop.clone(),
            margin: self.split.timing.margin,
        };
        match kind {
            LaneKind::Apply => Work::Apply(Box::new(writer)),
            LaneKind::Unrouted | LaneKind::Events | LaneKind::Ledger => Work::Unrouted,
            LaneKind::Strays => {
                let strays = Strays::new(&self.split, name, self.gate.watch_of(name), fence);
                Work::Strays(Box::new(strays))
            }
            LaneKind::Back => {
                let source = &self.split.plan.source;
                let way = TargetWriter {
                    client: self.split.source.items.clone(),
                    table: source.table.clone(),
                    keys: source.keys.clone(),
                    gate: self.gate.back_of(name),
                    cost: PutCost::default(),
                    ..writer
                };
                Work::Back(Box::new(CarriedBack::new(&self.split, name, way)))
            }
        }
    }
}

/// The front: reads the shard once for all lanes that keep up.
async fn front(
    mut reader: ShardReader,
    feed: Arc<Feed>,
    reading: Arc<Reading>,
    timing: crate::dynamo::Timing,
    continued: Continued,
    stop: CancellationToken,
) {
    let mut empty_reads = EmptyReads::default();
    let mut failures = 0u32;
    loop {
        let wanted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            wanted = feed.wanted() => wanted,
        };
        let Some(from) = wanted else { return };
        let asked_ms = timing.clock.now_ms();
        let wait = match reader.read(&from).await {
            Ok(batch) => {
                if failures > 0 {
                    reading.health.clear();
                }
                let full = reader.is_full(batch.records.len());
                reading.full.set(u32::from(full));
                failures = 0;
                if batch.to == from {
                    if let Some(complete_to_ms) = empty_reads.empty(asked_ms, timing.idle) {
                        feed.idle(complete_to_ms);
                    }
                    timing.poll
                } else {
                    empty_reads = EmptyReads::default();
                    let ended = batch.to == Position::End;
                    // A shard serves five reads a second; a full page says that there is more to fetch at once.
                    let wait = if full || ended {
                        Duration::ZERO
                    } else {
                        timing.poll / 2
                    };
                    feed.put(batch);
                    wait
                }
            }
            Err(failure) => {
                failures = failures.saturating_add(1);
                reading
                    .health
                    .block(format!("reading the stream: {}", failure.reason()));
                recover(
                    &mut reader,
                    &feed,
                    (&from, timing.clock),
                    failure,
                    failures,
                    &continued,
                )
                .await
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Recovers from a failed read. A trimmed position is a gap for lanes that are old, and none for the others.
async fn recover(
    reader: &mut ShardReader,
    feed: &Feed,
    (from, clock): (&Position, Clock),
    failure: Failure,
    failures: u32,
    continued: &Continued,
) -> Duration {
    if is_trimmed(&failure) {
        tracing::warn!(%failure, "the stream no longer keeps the position");
        if !feed.trimmed(clock.now_ms()) {
            return AFTER_FAILURE;
        }
        match reader.read_horizon(from, continued.known()).await {
            // Nothing yet: the reader stands at the oldest place now.
            Ok(batch) if batch.to == *from => return AFTER_FAILURE,
            Ok(batch) => {
                feed.put(batch);
                return Duration::ZERO;
            }
            Err(failure) => tracing::warn!(%failure, "reading the shard again"),
        }
    } else {
        tracing::warn!(%failure, "reading the shard again");
    }
    LONGEST_WAIT.min(AFTER_FAILURE * failures.min(40))
}

/// Watches for a shard that stays empty.
#[derive(Default)]
struct EmptyReads {
    reads: u32,
    since: Option<Instant>,
}

impl EmptyReads {
    /// One more empty read, sent at `asked_ms`. If the shard was empty for long enough, returns the time up to which
    /// it is known to be complete: the time of the read, minus the time that a record may need to appear.
    fn empty(&mut self, asked_ms: u64, idle: Duration) -> Option<u64> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.reads = self.reads.saturating_add(1);
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        (self.reads >= EMPTY_READS && since.elapsed() >= idle).then(|| asked_ms.saturating_sub(idle_ms))
    }
}

//! The backfill worker: it switches tombstones on, copies segments, waits for late writes and sweeps.

mod view;

pub use view::BackfillView;

use super::circuit_breaker::CircuitBreaker;
use super::export_pages::FilePages;
use super::fill_page::patience;
use super::hot_segments::HotSegments;
use super::order::OrderChoice;
use super::round::{LATER_ROUND, filled, is_of_round};
use super::segment::{FillShare, SegmentTask};
use super::segment_queue::{SegmentQueue, is_shared_by_blocks};
use crate::dynamo::{AccountLimit, ConcurrencyLimit, Health};
use crate::fault;
use crate::model::Compression;
use crate::plan::cost::reads_consistently;
use crate::repair::{Holder, RepairLease, switch_off, switch_on};
use crate::s3::Export;
use crate::source::describe_source;
use crate::state::{BackfillRecord, Order, Owner, SegmentRecord, SplitRecord, Stored, TombstonePhase};
use crate::status::{FillStatus, OpenDeadLetters, RateMeter, fill_status};
use crate::target::{Batching, Swept};
use crate::worker::{
    ActivityNote, Budgets, LeasedRecord, Members, RunError, Split, check_split, unless_stopped,
    with_activity_notes,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Options of a backfill.
#[derive(Clone, Debug, Default)]
pub struct BackfillOptions {
    /// Segments of the parallel scan. Fixed when the backfill first starts.
    pub segments: Option<u32>,
    /// Segments that this process works on at once.
    pub workers: Option<usize>,
    /// Read units a second on the source.
    pub read_units: Option<f64>,
    /// Write units a second on each service's table.
    pub write_units: Option<f64>,
    /// Read consistently, at twice the read units, instead of waiting a minute after tombstones are on.
    pub consistent: Option<bool>,
    /// The requested order. `None`: the order in which it began, or concurrent.
    pub order: Option<OrderChoice>,
    /// An export to copy, instead of scanning the source.
    pub export: Option<Arc<Export>>,
    /// Delete the partial table of an import that failed, and import again.
    pub delete_partial: bool,
    /// Bytes of an object of the import order before compression, if they are not to be chosen by the size of the source.
    pub object_bytes: Option<u64>,
    /// How the objects of the import order are compressed. Fixed when the backfill first starts.
    pub compression: Compression,
}

/// Segments at once, unless an option says otherwise.
const WORKERS: usize = 4;
/// If key ranges of a target are throttled, this many times as many segments share the throughput of the table: they
/// write to more of its ranges.
const SPREAD: usize = 4;
/// Segments that a spread leads to at most: each holds a page in memory.
const MOST_SPREAD: usize = 64;
const POLL: Duration = Duration::from_millis(500);

/// The number of segments to work on at once, given the requested number.
fn at_once(workers: usize, is_hot: bool) -> usize {
    if is_hot {
        (workers * SPREAD).min(MOST_SPREAD).max(workers)
    } else {
        workers
    }
}

/// The result of a finished backfill.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BackfillReport {
    /// Items that were read.
    pub scanned: u64,
    /// Read units used, in thousandths.
    pub read_milliunits: u64,
    /// By lane.
    pub lanes: Vec<FillStatus>,
    /// Tombstones that were swept, by service.
    pub swept: BTreeMap<String, u64>,
    /// It had been finished before.
    pub already_finished: bool,
    /// Why items were written one by one rather than in batches, by service.
    pub written_singly: BTreeMap<String, String>,
    /// The order of copying and applying.
    pub order: Order,
    /// Why it was chosen; empty if no order was asked for.
    pub order_reason: String,
}

/// A backfill worker.
pub struct Backfill {
    pub(super) split: Split,
    pub(super) options: BackfillOptions,
    pub(super) budgets: Arc<Budgets>,
    pub(super) stop: CancellationToken,
    view: watch::Sender<BackfillView>,
    meter: Mutex<RateMeter>,
    batching: BTreeMap<String, Arc<Batching>>,
    pub(super) breaker: Arc<CircuitBreaker>,
    /// When this process began, in milliseconds since 1970: a backfill that began before is continued.
    pub(super) began_ms: u64,
}

/// A segment that this process works on.
struct Running {
    leased: Arc<LeasedRecord<SegmentRecord>>,
    /// Cancelled when fewer are to be worked on at once: it ends with its page.
    enough: CancellationToken,
}

impl Backfill {
    /// A worker, and a view of it that is refreshed about twice a second.
    #[must_use]
    pub fn new(
        split: Split,
        options: BackfillOptions,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<BackfillView>) {
        let (view, seen) = watch::channel(BackfillView::default());
        let services = split.plan.services.iter();
        let batching = services
            .map(|service| (service.name.clone(), Arc::default()))
            .collect();
        let budgets = Budgets::new(&split, options.read_units, options.write_units);
        let breaker = Arc::new(CircuitBreaker::new(patience(split.timing) * 3 / 2));
        (
            Self {
                began_ms: split.now_ms(),
                split,
                options,
                budgets,
                stop,
                view,
                meter: Mutex::default(),
                batching,
                breaker,
            },
            seen,
        )
    }

    /// Runs until this process and others together have finished the backfill: copied, rechecked and swept.
    ///
    /// # Errors
    /// If it must not start, or was stopped; the same command then continues.
    pub async fn run(mut self) -> Result<BackfillReport, RunError> {
        let record = unless_stopped(&self.stop, Box::pin(check_split(&self.split))).await?;
        self.split = self.split.without_switched(&record);
        unless_stopped(&self.stop, self.budgets.read(&self.split.store)).await?;
        let (budgets, store) = (Arc::clone(&self.budgets), self.split.store.clone());
        let (view, split) = (self.view.clone(), self.split.clone());
        let doing = || {
            let view = view.borrow();
            ActivityNote {
                estimate: view.estimate,
                ..ActivityNote::new(split.waits.beside(&view.phase), view.limits.clone())
            }
        };
        let work = budgets.during(&store, Box::pin(self.run_tuned()));
        with_activity_notes(&split, "backfill", doing, work).await
    }

    async fn run_tuned(self) -> Result<BackfillReport, RunError> {
        let (control, table) = (&self.split.source.control, &self.split.plan.source.table);
        let facts = unless_stopped(&self.stop, describe_source(control, table)).await?;
        let Some(record) = unless_stopped(&self.stop, Box::pin(self.open(&facts))).await? else {
            return Ok(BackfillReport {
                already_finished: true,
                ..self.report().await?
            });
        };
        self.split.store.runs();
        // Nothing in an export is from before the tombstones.
        let settled = self.options.export.is_some();
        let consistent = self.options.consistent.unwrap_or(reads_consistently(facts.bytes)) || settled;
        if record.order == Order::Bulk {
            return Box::pin(self.bulk(&record, consistent)).await;
        }
        if record.order == Order::Import {
            return Box::pin(self.import(&record, consistent)).await;
        }
        self.concurrent(&record, consistent).await
    }

    /// The concurrent order: switches tombstones on, copies under guards while the lanes write, and switches
    /// tombstones off.
    pub(super) async fn concurrent(
        &self,
        record: &BackfillRecord,
        consistent: bool,
    ) -> Result<BackfillReport, RunError> {
        self.after_import(record).await?;
        self.after_bulk(record).await?;
        self.say("switching tombstones on", record);
        let holder = Holder::backfill(record);
        switch_on(&self.split, &holder, &filled(&self.split, record), &self.stop).await?;
        self.settle(record, consistent).await?;
        unless_stopped(&self.stop, async {
            self.probe().await;
            Ok::<_, RunError>(())
        })
        .await?;
        self.copy(record, consistent, &self.stop).await?;
        fault::moment("backfill.copied").await;
        self.say(
            "waiting until no late write can land, then sweeping tombstones",
            record,
        );
        let swept = tokio::select! {
            biased;
            swept = self.switch_off(&holder) => swept?,
            never = self.show_limits() => match never {},
        };
        fault::moment("backfill.swept").await;
        self.finish(record).await?;
        Ok(BackfillReport {
            swept: counts(&swept),
            written_singly: self
                .batching
                .iter()
                .filter_map(|(service, batching)| Some((service.clone(), batching.stopped()?.to_owned())))
                .collect(),
            ..self.report().await?
        })
    }

    /// Releases the tombstones. Where another process takes over meanwhile, it does, and this one looks again when that
    /// has ended.
    async fn switch_off(&self, holder: &Holder) -> Result<Vec<(String, Swept)>, RunError> {
        loop {
            let lease = RepairLease::wait(&self.split, &self.stop).await?;
            let switched_off = switch_off(&self.split, holder, &lease, &self.budgets, &self.stop);
            let switched_off = lease.during(Box::pin(switched_off)).await;
            lease.release().await;
            if let Some(switched_off) = switched_off {
                return switched_off;
            }
        }
    }

    /// Tries whether the engine takes inserts in batches as DynamoDB does. Where it does not, items are written one by
    /// one, which costs requests and nothing else.
    async fn probe(&self) {
        if let Err(reason) = self.split.store.probe_inserts().await {
            for batching in self.batching.values() {
                batching.stop(reason.clone());
            }
        }
    }

    /// Works on free segments until all are done, by whomever.
    pub(super) async fn copy(
        &self,
        record: &BackfillRecord,
        consistent: bool,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let mut share = self.share(record, consistent, stop);
        if record.order == Order::Import {
            share.import = Some(Arc::new(self.import_target(record)?));
        }
        let mut queue = SegmentQueue::new(&self.split, record);
        let mut tasks = JoinSet::new();
        let owner = Owner::unique("backfill");
        let mut members = None;
        if is_shared_by_blocks(record.segments) {
            members = Some(Members::join(&self.split, &owner).await?);
        }
        let result = self
            .work(record, &share, (&mut queue, &mut members, &owner), &mut tasks)
            .await;
        share.stop.cancel();
        if let Some(members) = members {
            members.leave().await;
        }
        let mut unsaved = None;
        while let Some(ended) = tasks.join_next().await {
            unsaved = ended.ok().and_then(|(_, end)| end.err()).or(unsaved);
        }
        match (result, unsaved) {
            (Err(RunError::Stopped(_)), Some(stop)) => Err(RunError::Unsaved { cause: stop.reason }),
            (result, _) => result,
        }
    }

    async fn work(
        &self,
        record: &BackfillRecord,
        share: &FillShare,
        (queue, members, owner): (&mut SegmentQueue, &mut Option<Members>, &Owner),
        tasks: &mut JoinSet<(u32, Result<(), crate::flow::Stop>)>,
    ) -> Result<(), RunError> {
        let mut running: BTreeMap<u32, Running> = BTreeMap::new();
        loop {
            if share.stop.is_cancelled() {
                return Err(RunError::Stopped(
                    "the backfill was interrupted; run the same command to continue".into(),
                ));
            }
            let wanted = at_once(self.workers(), share.is_hot());
            if let Some(members) = members {
                members.refresh().await;
            }
            let has_room = running.len() < wanted;
            queue
                .refresh(has_room && !queue.has_free(&running, (&share.breaker, &share.hot)))
                .await?;
            self.budgets.shared_by(queue.processes(owner));
            for surplus in running.values().skip(wanted) {
                surplus.enough.cancel();
            }
            self.show(record, queue, &running, share);
            if queue.records().any(|segment| !is_of_round(segment, record)) {
                return Err(RunError::Stopped(LATER_ROUND.into()));
            }
            if queue.all_done().await? {
                return Ok(());
            }
            let more = wanted.saturating_sub(running.len());
            for (name, segment) in queue.free(&running, (&share.breaker, &share.hot), more) {
                let number = segment.value.segment;
                if segment.value.order != record.order {
                    return Err(RunError::Stopped(
                        "another process gave up the order of this backfill: run `dynasplit backfill`, which continues \
                         in the concurrent order"
                            .into(),
                    ));
                }
                match LeasedRecord::take(&self.split.store, &name, segment, owner, self.split.timing).await? {
                    Some(leased) => {
                        let enough = CancellationToken::new();
                        let task = SegmentTask {
                            share: share.clone(),
                            leased: Arc::clone(&leased),
                            enough: enough.clone(),
                            file: FilePages::default(),
                        };
                        running.insert(number, Running { leased, enough });
                        tasks.spawn(async move { (number, task.run().await) });
                    }
                    None => queue.is_taken(number),
                }
            }
            tokio::select! {
                biased;
                () = share.stop.cancelled() => {}
                ended = tasks.join_next(), if !tasks.is_empty() => {
                    let Some(ended) = ended else { continue };
                    let (number, end) = ended.map_err(|error| RunError::Failed(error.to_string()))?;
                    running.remove(&number);
                    end?;
                    queue.reread(number).await?;
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    fn share(&self, record: &BackfillRecord, consistent: bool, stop: &CancellationToken) -> FillShare {
        let account_limit = AccountLimit::default();
        let attempt = self.split.timing.attempt;
        FillShare {
            split: self.split.clone(),
            scan: self.split.scan_source(consistent),
            looked_at: Arc::new(self.split.plan.looked_at()),
            export: self.options.export.clone(),
            import: None,
            segments: record.segments,
            order: record.order,
            reads: self.budgets.source(),
            writes: self.each(|service| self.budgets.writes(service)),
            read_rate: Arc::default(),
            concurrency_limits: self.each(|_| Arc::new(ConcurrencyLimit::new(attempt, &account_limit))),
            batching: self.batching.clone(),
            health: self.each(|_| Arc::new(Health::default())),
            source_health: Arc::default(),
            reading: Arc::default(),
            writing: Arc::default(),
            breaker: Arc::clone(&self.breaker),
            hot: Arc::new(HotSegments::new(patience(self.split.timing))),
            kept: Arc::default(),
            stop: stop.child_token(),
        }
    }

    /// One for each service.
    fn each<T>(&self, make: impl Fn(&str) -> T) -> BTreeMap<String, T> {
        let services = self.split.plan.services.iter();
        services
            .map(|service| (service.name.clone(), make(&service.name)))
            .collect()
    }

    /// Segments at once: as tuned, or as the option says.
    fn workers(&self) -> usize {
        self.budgets
            .workers()
            .or(self.options.workers)
            .unwrap_or(WORKERS)
            .max(1)
    }

    /// The round is finished, unless another process of it still has tombstones on. Of a round that began since, this says
    /// nothing.
    pub(super) async fn finish(&self, round: &BackfillRecord) -> Result<(), RunError> {
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        let switch = &split_record.switch;
        let is_held = switch.services_in(&[TombstonePhase::Held]).next().is_some();
        if switch.has_holder(Holder::backfill(round).name()) || is_held {
            return Ok(());
        }
        let found = self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?;
        let Some(Stored { mut value, revision }) = found else {
            return Ok(());
        };
        if value.finished_ms.is_none() && value.services == round.services {
            value.finished_ms = Some(self.split.now_ms());
            match self.split.store.put(BackfillRecord::NAME, value, revision).await {
                Ok(_) | Err(crate::state::StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) async fn report(&self) -> Result<BackfillReport, RunError> {
        let segments: Vec<SegmentRecord> = self.segments().await?.into_iter().map(|(_, s)| s.value).collect();
        let record = self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?;
        let (order, order_reason) = record.map_or_else(Default::default, |stored| {
            (stored.value.order, stored.value.order_reason)
        });
        let mut lanes = fill_status(&segments, &self.split.plan);
        if lanes.iter().any(|lane| lane.counters.dead_letters > 0) {
            OpenDeadLetters::of(&self.split.dead_letters.list(None).await?).note_backfill(&mut lanes);
        }
        Ok(BackfillReport {
            scanned: segments.iter().map(|segment| segment.scanned).sum(),
            read_milliunits: segments.iter().map(|segment| segment.read_milliunits).sum(),
            lanes,
            order,
            order_reason,
            written_singly: self
                .batching
                .iter()
                .filter_map(|(service, batching)| Some((service.clone(), batching.stopped()?.to_owned())))
                .collect(),
            ..BackfillReport::default()
        })
    }
}

fn counts(swept: &[(String, Swept)]) -> BTreeMap<String, u64> {
    swept
        .iter()
        .map(|(service, swept)| (service.clone(), swept.removed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::at_once;

    #[test]
    fn a_hot_range_spreads_the_work_over_more_segments_but_not_over_any_number() {
        assert_eq!((at_once(4, false), at_once(4, true)), (4, 16));
        assert_eq!((at_once(20, true), at_once(256, true)), (64, 256));
    }
}

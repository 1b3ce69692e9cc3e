//! The passes of one run, in their order.

mod repairing;
mod stray_list;

use self::stray_list::list_strays;
use super::delivery::Deliveries;
use super::exported::{Exports, read_export};
use super::invalid::InvalidItems;
use super::lanes::{EARLY_LAG, Lanes};
use super::leftovers::tombstones;
use super::mismatch_list::MismatchList;
use super::pages::{SourceEntry, SourcePages, TargetEntry, TargetPages};
use super::point_reader::PointReader;
use super::reads::{TableReads, interrupted};
use super::recheck::{HotKeys, LOOKS_AT_ONCE, Recheck, Settled, settle_rules};
use super::record::Baseline;
use super::result::{ReadUnits, VerifyResult};
use super::scan::Scanning;
use super::sorting::{Sorting, blocking};
use super::verification::Verify;
use super::view::{Progress, ServiceProgress, get};
use crate::dynamo::AccountLimit;
use crate::repair::RepairLease;
use crate::source::{Scan, describe_source};
use crate::state::SplitRecord;
use crate::status::counted;
use crate::verify::compare::{
    CandidateFile, DEFAULT_MEMORY_BYTES, Pending, Report, ServiceReport, SortLimits, SourceSide, SpillDir,
    TargetSide, Written, join,
};
use crate::worker::{Budgets, RunError, Split, Waiting};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// One run, with all that its steps share.
pub(super) struct Run {
    pub split: Split,
    pub reader: Vec<PointReader>,
    pub scanning: Scanning,
    exports: Exports,
    /// The memory of all sorts together.
    pub memory_bytes: usize,
    pub dir: SpillDir,
    pub invalid: Arc<InvalidItems>,
    limit: usize,
    pub lanes: Lanes,
    pub deliveries: Arc<Deliveries>,
    /// The epoch of the tombstone switches at the beginning.
    pub epoch: u64,
    list: MismatchList,
    pub progress: Arc<Progress>,
    budgets: Arc<Budgets>,
    discard_target_writes: bool,
    /// Confirmed mismatches of a service that has switched are listed as stray writes.
    lists_strays: bool,
    /// Which side the applications of these services write.
    pub written: Written,
    pub stop: CancellationToken,
    began: Instant,
}

/// One service's sides while they are filled: first the copy, then the side that is written.
pub(super) struct Sides {
    pub target: TargetSide,
    pub source: SourceSide,
}

/// Joins the two sides of a service; each difference is a candidate.
pub(super) async fn join_sides(
    sides: Sides,
    progress: Arc<ServiceProgress>,
    dir: SpillDir,
    stop: CancellationToken,
) -> Result<(CandidateFile, ServiceReport), RunError> {
    blocking(move || {
        let mut candidates = CandidateFile::new(dir);
        let mut joined = join(sides.source, sides.target)?;
        for candidate in joined.by_ref() {
            candidates.push(&Pending::new(candidate?))?;
            progress.candidates.store(candidates.len(), Ordering::Relaxed);
            if stop.is_cancelled() {
                return Err(interrupted());
            }
        }
        let mut report = ServiceReport::new(progress.service.clone());
        if let Some(counts) = joined.counts() {
            report.compared(counts);
        }
        report.tombstones = get(&progress.tombstones);
        report.invalid = get(&progress.invalid);
        Ok((candidates, report))
    })
    .await
}

impl Run {
    pub async fn begin(
        verify: &Verify,
        record: &SplitRecord,
        places: Vec<usize>,
        stop: &CancellationToken,
    ) -> Result<Self, RunError> {
        let Verify {
            split,
            options,
            budgets,
            view,
            ..
        } = verify;
        // The processes of a shared verify write it at the end.
        let path = options.list.clone().filter(|_| options.shared.is_none());
        let limit = options.limit;
        let list = blocking(move || MismatchList::open(limit, path.as_deref())).await?;
        let began = Instant::now();
        let (account_limit, patience) = (AccountLimit::default(), split.timing.hot_range());
        let source = TableReads::new(
            "source",
            split.scan_source(false),
            budgets.source(),
            &account_limit,
            patience,
            stop,
        );
        let mut reader = Vec::with_capacity(places.len());
        for place in places {
            let (service, tables) = (&split.plan.services[place], &split.targets[place]);
            let scan = Scan::new(
                tables.items.clone(),
                &service.table.name,
                service.keys.clone(),
                false,
            );
            reader.push(PointReader {
                split: split.clone(),
                place,
                target: TableReads::new(
                    &service.name,
                    scan,
                    budgets.reads(&service.name),
                    &account_limit,
                    patience,
                    stop,
                ),
                source: source.clone(),
                written: verify.written(),
                clock: began,
            });
        }
        let services: Vec<_> = reader.iter().map(PointReader::service).collect();
        let early = options.anyway || record.completed_ms.is_some();
        let lanes = match early {
            true => Lanes::default(),
            false => verify.lanes(record, &services).await?,
        };
        let fixed = options.patience.or(early.then_some(EARLY_LAG));
        let deliveries = Arc::new(Deliveries::new(verify.follows(), &services, fixed));
        let names = services.iter().map(|service| service.name.clone()).collect();
        let tables = std::iter::once(source).chain(reader.iter().map(|reader| reader.target.clone()));
        let progress = Progress::new(names, tables.collect(), view.clone());
        Ok(Self {
            split: split.clone(),
            memory_bytes: options.memory_bytes.unwrap_or(DEFAULT_MEMORY_BYTES),
            scanning: Scanning::new(options.segments),
            exports: options.exports.clone(),
            dir: SpillDir::default(),
            invalid: Arc::new(InvalidItems::begin(split).await?),
            limit: options.limit,
            lanes,
            deliveries,
            epoch: record.switch.epoch(),
            list,
            progress,
            budgets: Arc::clone(budgets),
            discard_target_writes: options.discard_target_writes,
            lists_strays: options.repair && verify.written() == Written::Target,
            written: verify.written(),
            stop: stop.clone(),
            began,
            reader,
        })
    }

    pub async fn all(
        self,
        lease: Option<&RepairLease>,
        baseline: &mut Baseline,
    ) -> Result<VerifyResult, RunError> {
        self.estimate().await;
        let span = |part| tracing::info_span!(target: "dynasplit::span", "part", part);
        let targets = async || {
            self.progress.say("reading the targets");
            self.read_targets().instrument(span("read targets")).await
        };
        let sources = async || {
            self.progress.say("reading the source");
            self.read_source().instrument(span("read source")).await
        };
        let (targets, sources) = match self.written {
            Written::Source => {
                let targets = targets().await?;
                (targets, sources().await?)
            }
            Written::Target => {
                let sources = sources().await?;
                (targets().await?, sources)
            }
        };
        self.progress.say("comparing");
        let mut compared = Vec::with_capacity(self.reader.len());
        for (index, (target, source)) in targets.into_iter().zip(sources).enumerate() {
            compared.push(self.join(index, Sides { target, source }).await?);
        }
        self.progress.say("reading different keys again");
        let settled = self.recheck(compared).instrument(span("read again")).await?;
        self.conclude(settled, lease, baseline).await
    }

    /// The limits of each sort, if so many comparisons share the memory.
    pub fn limits(&self, comparisons: usize) -> SortLimits {
        let limits = SortLimits {
            memory_bytes: self.memory_bytes,
            ..SortLimits::default()
        };
        limits.shared_by(2 * self.reader.len() * comparisons)
    }

    /// The result, once every difference is settled; and the repairs.
    pub async fn conclude(
        mut self,
        settled: Vec<Settled>,
        lease: Option<&RepairLease>,
        baseline: &mut Baseline,
    ) -> Result<VerifyResult, RunError> {
        let mut result = self.result(&settled).await;
        let left = match self.written {
            Written::Source => self.tombstones_left(&mut result).await?,
            // Its lane is closed, so nothing there is a tombstone.
            Written::Target => 0,
        };
        if left > 0 {
            result.clean = false;
            let tombstones = counted(left, "tombstone");
            result.notes.push(if lease.is_some() {
                format!("{tombstones} {} left although no command needed them: the repair removed {}",
                    if left == 1 { "was" } else { "were" },
                    if left == 1 { "it" } else { "them" })
            } else {
                format!(
                    "{tombstones} {} left although no command needs them: run `dynasplit verify --repair`, which removes them",
                    if left == 1 { "is" } else { "are" }
                )
            });
        }
        if self.written == Written::Source {
            self.invalid_items(lease.is_some(), &mut result).await?;
        }
        if self.lists_strays {
            result.unrepaired.collisions = settled.iter().map(|settled| settled.collisions).sum();
            result.listed = list_strays(&self.split, &self.reader, settled).await?;
        } else if let Some(lease) = lease {
            self.repair(lease, baseline, settled, left > 0, &mut result)
                .await?;
        }
        let list = self.list.clone();
        result.mismatches = blocking(move || list.close()).await?;
        result.read_milliunits.source = self.reader.first().map_or(0, |reader| reader.source.milliunits());
        result.read_milliunits.targets += self
            .reader
            .iter()
            .map(|reader| reader.target.milliunits())
            .sum::<u64>();
        result.notes = std::mem::take(&mut self.lanes.notes)
            .into_iter()
            .chain(result.notes)
            .collect();
        result.seconds = self.began.elapsed().as_secs_f64();
        Ok(result)
    }

    /// Tombstones that were read although tombstones were off and swept all the time. No command would remove them,
    /// and a service would take them for items. An eventually consistent read may show a tombstone that was swept
    /// just before.
    async fn tombstones_left(&self, result: &mut VerifyResult) -> Result<u64, RunError> {
        let now = SplitRecord::read(&self.split.store).await?.value.switch;
        if now.epoch() != self.epoch {
            return Ok(0);
        }
        let mut left = 0;
        for (reader, progress) in self.reader.iter().zip(&self.progress.services) {
            if get(&progress.tombstones) > 0 && now.is_off_for(&reader.service().name) {
                let (count, milliunits) = tombstones(reader, &self.budgets, &self.stop).await?;
                left += count;
                result.read_milliunits.targets += milliunits;
            }
        }
        Ok(left)
    }

    /// Names the source items that can be in no target and have no dead letter. A repair records one for each: no lane will,
    /// if no stream record covers them.
    async fn invalid_items(&self, repairs: bool, result: &mut VerifyResult) -> Result<(), RunError> {
        let uncovered = self.invalid.uncovered().await?;
        let count = uncovered.count();
        result.total_invalid = count;
        result.invalid = uncovered.first(self.limit);
        if count == 0 {
            return Ok(());
        }
        if !repairs {
            result.notes.push(format!(
                "there is no dead letter for {} that can be in no target, because no lane has read a stream record of it: \
                 `dynasplit verify --repair` records a dead letter for each",
                counted(count, "source item")
            ));
            return Ok(());
        }
        if let Some(reader) = self.reader.first() {
            self.progress.say("recording dead letters");
            result.recorded_letters = self.invalid.record(&uncovered, &reader.source).await?;
        }
        result.notes.push(format!(
            "the repair recorded {}: `dynasplit dead-letters list` shows them, and what to do about each \
             kind",
            counted(result.recorded_letters, "dead letter")
        ));
        if uncovered.more() > 0 {
            result.notes.push(format!(
                "{} are left for the next `dynasplit verify --repair`, because one run records a limited \
                 number of dead letters",
                counted(uncovered.more(), "such item")
            ));
        }
        Ok(())
    }

    /// Asks how much there is to read: for progress only, so a refusal is no failure.
    async fn estimate(&self) {
        let table = &self.split.plan.source.table;
        match describe_source(&self.split.source.control, table).await {
            Ok(facts) => self
                .progress
                .estimated_items
                .store(facts.item_count, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "the size of the source is not known"),
        }
    }

    async fn read_targets(&self) -> Result<Vec<TargetSide>, RunError> {
        let reads = self
            .reader
            .iter()
            .zip(&self.progress.services)
            .map(|(reader, progress)| {
                let side = TargetSide::new(self.dir.clone(), self.limits(1));
                let sorting: Sorting<TargetEntry, _> =
                    Sorting::of(side, |side, (key, held)| side.push(key, *held));
                let pages = TargetPages {
                    table: reader.service().table.name.clone(),
                    keys: reader.service().keys.clone(),
                    entries: sorting.clone(),
                    progress: Arc::clone(progress),
                };
                let export = self.exports.targets.get(&reader.service().name);
                async move {
                    let pages = Arc::new(pages);
                    match export {
                        None => self.scanning.read(&reader.target, pages).await?,
                        Some(export) => {
                            read_export(export, &reader.service().keys, pages, &self.stop).await?
                        }
                    }
                    sorting.finish()
                }
            });
        let reads: Vec<_> = reads.collect();
        futures::future::try_join_all(reads).await
    }

    /// One scan, for all services together.
    async fn read_source(&self) -> Result<Vec<SourceSide>, RunError> {
        let Some(first) = self.reader.first() else {
            return Ok(Vec::new());
        };
        let mut sortings: Vec<Sorting<SourceEntry, SourceSide>> = Vec::with_capacity(self.reader.len());
        let mut services = Vec::with_capacity(self.reader.len());
        for (reader, progress) in self.reader.iter().zip(&self.progress.services) {
            let side = SourceSide::new(self.dir.clone(), self.limits(1));
            let sorting = Sorting::of(
                side,
                |side: &mut SourceSide, (target, source, digest): &SourceEntry| {
                    side.push(target, source, *digest)
                },
            );
            services.push((reader.place, sorting.clone(), Arc::clone(progress)));
            sortings.push(sorting);
        }
        let pages = SourcePages {
            plan: Arc::clone(&self.split.plan),
            services,
            progress: Arc::clone(&self.progress.source),
            invalid: Arc::clone(&self.invalid),
        };
        let pages = Arc::new(pages);
        match &self.exports.source {
            None => self.scanning.read(&first.source, pages).await?,
            Some(export) => read_export(export, &self.split.plan.source.keys, pages, &self.stop).await?,
        }
        sortings.into_iter().map(Sorting::finish).collect()
    }

    /// Joins the two sides of a service; each difference is a candidate.
    async fn join(&self, index: usize, sides: Sides) -> Result<(CandidateFile, ServiceReport), RunError> {
        let progress = Arc::clone(&self.progress.services[index]);
        join_sides(sides, progress, self.dir.clone(), self.stop.clone()).await
    }

    /// All services at once, because they wait for the same time.
    pub async fn recheck(
        &self,
        compared: Vec<(CandidateFile, ServiceReport)>,
    ) -> Result<Vec<Settled>, RunError> {
        let rules = settle_rules(self.written, &self.deliveries);
        let _waiting = self.tell_waiting();
        let settle: Vec<_> = self
            .reader
            .iter()
            .zip(&self.progress.services)
            .zip(compared)
            .map(|((reader, progress), (candidates, report))| {
                let recheck = Recheck {
                    reader: reader.clone(),
                    rules,
                    deliveries: Arc::clone(&self.deliveries),
                    dir: self.dir.clone(),
                    scanning: self.scanning.clone(),
                    list: self.list.clone(),
                    looks: LOOKS_AT_ONCE,
                    progress: Arc::clone(progress),
                    stop: self.stop.clone(),
                };
                Box::pin(recheck.run(candidates, report))
            })
            .collect();
        futures::future::try_join_all(settle).await
    }

    /// Tells what the run waits for while it reads keys again.
    pub fn tell_waiting(&self) -> Waiting<'_> {
        let rules = settle_rules(self.written, &self.deliveries);
        let what = if self.deliveries.longest().is_zero() {
            let rests = rules.rest.as_secs_f64().ceil();
            format!("each difference has disappeared, or has stayed the same for {rests} s")
        } else {
            "each difference has disappeared, or its lane has delivered every change from before it was seen"
                .into()
        };
        // Extra items whose source must be searched for start again after the search.
        let most = self.deliveries.longest() + (rules.max_time + rules.rest) * 2;
        self.split.waits.until(what, most)
    }

    async fn result(&self, settled: &[Settled]) -> VerifyResult {
        let report = Report {
            services: settled.iter().map(|settled| settled.report.clone()).collect(),
        };
        let unrouted = get(&self.progress.source.unrouted);
        let mut notes = Vec::new();
        if unrouted > 0 {
            notes.push(format!(
                "no service takes {} of the source, and `left-behind` does not cover {them}: `dynasplit \
                 dead-letters list` shows those that have a dead letter",
                counted(unrouted, "item"),
                them = if unrouted == 1 { "it" } else { "them" }
            ));
        }
        let invalid: u64 = report.services.iter().map(|service| service.invalid).sum();
        if invalid > 0 {
            notes.push(format!(
                "{} {} invalid for a service that should hold {}: `dynasplit dead-letters list` shows those that have a dead \
                 letter",
                counted(invalid, "source item"),
                if invalid == 1 { "is" } else { "are" },
                if invalid == 1 { "it" } else { "them" }
            ));
        }
        let undelivered = settled.iter().filter(|settled| settled.undelivered_keys > 0);
        let undelivered: Vec<_> = undelivered
            .map(|settled| (settled.report.service.clone(), settled.undelivered_keys))
            .collect();
        notes.extend(self.deliveries.notes(&undelivered).await);
        let mut hot = HotKeys::default();
        settled.iter().for_each(|settled| hot.extend(settled.hot.clone()));
        notes.extend(hot.notes());
        VerifyResult {
            notes,
            // If every service has switched, there is nothing to compare.
            clean: (report.is_clean() || self.reader.is_empty()) && unrouted == 0,
            total_mismatches: report
                .services
                .iter()
                .map(|service| service.mismatches.faults())
                .sum(),
            report,
            unrouted,
            as_of_ms: self.exports.as_of_ms(),
            read_milliunits: ReadUnits::default(),
            ..VerifyResult::default()
        }
    }
}

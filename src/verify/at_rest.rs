//! Compares the source with tables that nobody writes. There is no stream and no lane, so nothing is read again: each difference is a
//! mismatch.

use super::exported::read_export;
use super::pages::{SourceEntry, TargetEntry, key_of};
use super::reads::{TableReads, interrupted};
use super::scan::{Pages, Scanning};
use super::sorting::{Entries as _, Sorting, blocking};
use crate::dynamo::{AccountLimit, Budget};
use crate::flow::{Watched, desired, watch};
use crate::model::{Item, KeySchema};
use crate::plan::Plan;
use crate::s3::Export;
use crate::source::Scan;
use crate::verify::compare::{
    Candidate, DEFAULT_MEMORY_BYTES, Digest, Held, Mismatch, MismatchClass, Outcome, Report, ServiceReport,
    SortLimits, SourceSide, SpillDir, TargetSide, classify, join,
};
use crate::worker::{RunError, Split};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// The comparison of a source at rest.
#[derive(Debug)]
pub struct AtRest {
    /// The plan and the clients.
    pub split: Split,
    /// A later export that is read instead of the source.
    pub export: Option<Export>,
    /// Most mismatches that are named. All are counted.
    pub limit: usize,
    /// When it ends.
    pub stop: CancellationToken,
}

/// What a comparison at rest found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AtRestResult {
    /// Every table holds exactly what it should, and every item of the source belongs to a service or is left behind.
    pub clean: bool,
    /// The services.
    #[serde(flatten)]
    pub report: Report,
    /// Items of the source that no service takes, and that `left-behind` does not cover.
    pub unrouted: u64,
    /// The first mismatches.
    pub mismatches: Vec<Mismatch>,
    /// Mismatches in all.
    pub total_mismatches: u64,
    /// Read units that were used, in thousandths.
    pub read_milliunits: u64,
}

impl AtRest {
    /// Reads all tables, the targets first, and compares them.
    ///
    /// # Errors
    /// If a table cannot be read to its end. There is no result then.
    pub async fn run(&self) -> Result<AtRestResult, RunError> {
        let (dir, scanning) = (SpillDir::default(), Scanning::new(None));
        let services = &self.split.plan.services;
        let limits = SortLimits {
            memory_bytes: DEFAULT_MEMORY_BYTES,
            ..SortLimits::default()
        }
        .shared_by(2 * services.len());
        let account = AccountLimit::default();
        let mut units = 0;
        let mut targets = Vec::with_capacity(services.len());
        for (service, tables) in self.split.services() {
            let side = TargetSide::new(dir.clone(), limits);
            let sorting: Sorting<TargetEntry, _> =
                Sorting::of(side, |side, (key, held)| side.push(key, *held));
            let (name, keys) = (service.table.name.clone(), service.keys.clone());
            let scan = Scan::new(tables.pages.clone(), &name, keys.clone(), true);
            let reads = self.reads(&service.name, scan, &account);
            let pages = Target {
                table: name,
                keys,
                entries: sorting.clone(),
            };
            scanning.read(&reads, Arc::new(pages)).await?;
            units += reads.milliunits();
            targets.push(sorting.finish()?);
        }
        let (sources, unrouted, invalid) = self.source(&dir, limits, &account, &mut units).await?;
        let mut result = AtRestResult {
            clean: false,
            report: Report::default(),
            unrouted,
            mismatches: Vec::new(),
            total_mismatches: 0,
            read_milliunits: units,
        };
        for (place, (target, source)) in targets.into_iter().zip(sources).enumerate() {
            let name = services[place].name.clone();
            let (report, named) = self.join(name, source, target, invalid[place]).await?;
            result.total_mismatches += report.mismatches.faults();
            let room = self.limit.saturating_sub(result.mismatches.len());
            result.mismatches.extend(named.into_iter().take(room));
            result.report.services.push(report);
        }
        result.clean = result.report.is_clean() && unrouted == 0;
        Ok(result)
    }

    fn reads(&self, label: &str, scan: Scan, account: &AccountLimit) -> TableReads {
        let (budget, patience) = (Arc::new(Budget::new(None)), self.split.timing.hot_range());
        TableReads::new(label, scan, budget, account, patience, &self.stop)
    }

    /// One pass over the source, for all services together: their sides, the unrouted items, and the invalid ones of each service.
    async fn source(
        &self,
        dir: &SpillDir,
        limits: SortLimits,
        account: &AccountLimit,
        units: &mut u64,
    ) -> Result<(Vec<SourceSide>, u64, Vec<u64>), RunError> {
        let plan = &self.split.plan;
        let mut sortings: Vec<Sorting<SourceEntry, SourceSide>> = Vec::new();
        for _ in &plan.services {
            let side = SourceSide::new(dir.clone(), limits);
            sortings.push(Sorting::of(
                side,
                |side: &mut SourceSide, (target, source, digest): &SourceEntry| {
                    side.push(target, source, *digest)
                },
            ));
        }
        let pages = Arc::new(Source {
            plan: Arc::clone(plan),
            services: sortings.clone(),
            unrouted: AtomicU64::new(0),
            invalid: plan.services.iter().map(|_| AtomicU64::new(0)).collect(),
        });
        match &self.export {
            None => {
                let reads = self.reads("source", self.split.scan_source(true), account);
                Scanning::new(None).read(&reads, Arc::clone(&pages)).await?;
                *units += reads.milliunits();
            }
            Some(export) => read_export(export, &plan.source.keys, Arc::clone(&pages), &self.stop).await?,
        }
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let (unrouted, invalid) = (count(&pages.unrouted), pages.invalid.iter().map(count).collect());
        drop(pages);
        let sides = sortings
            .into_iter()
            .map(Sorting::finish)
            .collect::<Result<_, _>>()?;
        Ok((sides, unrouted, invalid))
    }

    async fn join(
        &self,
        service: String,
        source: SourceSide,
        target: TargetSide,
        invalid: u64,
    ) -> Result<(ServiceReport, Vec<Mismatch>), RunError> {
        let (stop, limit) = (self.stop.clone(), self.limit);
        blocking(move || {
            let mut report = ServiceReport::new(service.clone());
            let mut named = Vec::new();
            let mut joined = join(source, target)?;
            for candidate in joined.by_ref() {
                let candidate = candidate?;
                let class = match &candidate {
                    Candidate::Missing { .. } => MismatchClass::Missing,
                    Candidate::Extra { .. } => MismatchClass::Extra,
                    Candidate::Different { .. } => MismatchClass::Different,
                    Candidate::Collision { .. } => MismatchClass::Collision,
                };
                if named.len() < limit {
                    named.push(Mismatch::of(&service, class, &candidate));
                }
                report.rechecked(Outcome::Mismatch(class));
                if stop.is_cancelled() {
                    return Err(interrupted());
                }
            }
            if let Some(counts) = joined.counts() {
                report.compared(counts);
            }
            report.rechecked = 0;
            report.invalid = invalid;
            Ok((report, named))
        })
        .await
    }
}

/// Pages of a target.
struct Target {
    table: String,
    keys: KeySchema,
    entries: Sorting<TargetEntry, TargetSide>,
}

impl Pages for Target {
    async fn take(&self, items: Vec<Item>) -> Result<(), RunError> {
        let mut batch = Vec::with_capacity(items.len());
        for item in &items {
            // An import brings no tombstones, so whatever is there is an item.
            let digest = match classify(item) {
                Held::Live(digest) => digest,
                Held::Tombstone => Digest::of(item),
            };
            batch.push((key_of(&self.keys, item, &self.table)?, digest));
        }
        self.entries.send(batch).await
    }
}

/// Pages of the source.
struct Source {
    plan: Arc<Plan>,
    services: Vec<Sorting<SourceEntry, SourceSide>>,
    unrouted: AtomicU64,
    invalid: Vec<AtomicU64>,
}

impl Pages for Source {
    async fn take(&self, items: Vec<Item>) -> Result<(), RunError> {
        let source = &self.plan.source;
        let keys = items.iter().map(|item| key_of(&source.keys, item, &source.table));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let unrouted = items
            .iter()
            .filter(|item| watch(&self.plan, item) == Watched::Unrouted);
        self.unrouted
            .fetch_add(unrouted.count() as u64, Ordering::Relaxed);
        for (place, entries) in self.services.iter().enumerate() {
            let mut batch = Vec::new();
            for (item, source) in items.iter().zip(&keys) {
                match desired(&self.plan.services[place], &self.plan.versions, item) {
                    Ok(None) => {}
                    Ok(Some(wanted)) => batch.push((wanted.key, source.clone(), Digest::of(&wanted.item))),
                    Err(_) => {
                        self.invalid[place].fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            entries.send(batch).await?;
        }
        Ok(())
    }
}

//! Deletes the items of a completed service from the source, or irrelevant copies from its own table.
//!
//! Each page of the table is read consistently. Each item of the source is decided about by the services that are completed at
//! that time, and each item of a service's own table by what it shows. An item is deleted only if it still is what was read. A cursor moves after the deletes that it covers. So a prune
//! can be interrupted and repeated at any point, and two processes would do no harm.

use super::prune_checks::{Backup, PruneOptions, allowed, backup};
use super::prune_lease::PruneLease;
use crate::dynamo::{AccountLimit, Budget, ConcurrencyLimit, Health, Tables, until_answered};
use crate::fault;
use crate::flow::{Pruned, PrunedCopy, pruned, pruned_copy};
use crate::model::{Item, json, strip_marks};
use crate::plan::Service;
use crate::source::{Scan, ScanPage};
use crate::state::{PruneCounts, PruneRecord, PruneSegment, PruneSide, SplitRecord};
use crate::target::{Deleted, PruneDeleter};
use crate::worker::{ActivityNote, Budgets, RunError, Split, check_plan, pause, with_activity_notes};
use futures::{FutureExt as _, StreamExt, TryStreamExt};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Deletes of each segment that are under way at once.
const AT_ONCE: usize = 8;
/// Between two looks whether the writers of another service are still stopped.
const POLL: Duration = Duration::from_secs(1);
/// For how long writers are stopped at most, as a rule.
const LONGEST_FENCE: Duration = Duration::from_secs(5 * 60);

/// The result of `prune`.
#[derive(Clone, Debug, Serialize)]
pub struct PruneReport {
    /// The service.
    pub service: String,
    /// Which table: the source, or the service's own.
    pub side: PruneSide,
    /// The table.
    pub table: String,
    /// Nothing was deleted: the items were only counted.
    pub dry_run: bool,
    /// It continued an earlier run, whose counts are included.
    pub resumed: bool,
    /// What became of the items.
    #[serde(flatten)]
    pub counts: PruneCounts,
    /// The backup that there is.
    pub backup: Backup,
    /// What would refuse the command. Only with a dry run.
    pub refused: Vec<String>,
}

/// One pass over a table.
struct Pass<'a> {
    split: &'a Split,
    service: &'a Service,
    side: PruneSide,
    reads: Arc<Budget>,
    budgets: Arc<Budgets>,
    health: Arc<Health>,
    scan: Scan,
    /// `None`: the items are only counted.
    deleter: Option<PruneDeleter>,
    lease: Option<&'a PruneLease>,
    counts: Mutex<PruneCounts>,
    stop: &'a CancellationToken,
}

/// Deletes the items of a completed service from the source, or irrelevant copies from its own table, or counts them.
///
/// # Errors
/// If the service is not completed, if there is no backup, or if writes of others are only in the source.
pub async fn prune(
    split: &Split,
    service: &str,
    options: &PruneOptions,
    operator: &str,
    stop: &CancellationToken,
) -> Result<PruneReport, RunError> {
    let record = check_plan(split).await?;
    let side = options.side;
    let planned = allowed(split, &record, service, side)?;
    let (found, refused) = backup(split, &record, planned, options).await?;
    if !(refused.is_empty() || options.dry_run) {
        return Err(RunError::Unclean { reasons: refused });
    }
    let budgets = Budgets::new(split, options.read_units, options.write_units);
    budgets.read(&split.store).await?;
    let lease = match options.dry_run {
        true => None,
        false => Some(PruneLease::take(split, service, side, operator, stop).await?),
    };
    let resumed = lease.as_ref().is_some_and(|lease| lease.record().has_begun());
    let ground = ground(split, planned, side);
    let pass = Pass {
        deleter: lease
            .as_ref()
            .map(|_| deleter(split, planned, (side, &ground), &record, &budgets)),
        split,
        service: planned,
        side,
        reads: match side {
            PruneSide::Source => budgets.source(),
            PruneSide::Target => budgets.reads(service),
        },
        health: budgets.health(service),
        scan: ground.scan,
        lease: lease.as_ref(),
        counts: Mutex::default(),
        stop,
        budgets,
    };
    let done = Box::pin(followed(&pass)).await;
    let counts = pass.counts();
    drop(pass);
    if let Some(lease) = lease {
        lease.release().await;
    }
    done?;
    Ok(PruneReport {
        service: service.to_owned(),
        side,
        table: ground.table,
        dry_run: options.dry_run,
        resumed,
        counts,
        backup: found,
        refused,
    })
}

/// The table that is pruned.
struct Ground {
    table: String,
    tables: Tables,
    scan: Scan,
}

fn ground(split: &Split, service: &Service, side: PruneSide) -> Ground {
    match (side, split.target(&service.name)) {
        (PruneSide::Target, Some((_, tables))) => Ground {
            table: service.table.name.clone(),
            tables: tables.clone(),
            scan: Scan::new(
                tables.pages.clone(),
                &service.table.name,
                service.keys.clone(),
                true,
            ),
        },
        _ => Ground {
            table: split.plan.source.table.clone(),
            tables: split.source.clone(),
            scan: split.scan_source(true).keeping_marks(),
        },
    }
}

fn deleter(
    split: &Split,
    service: &Service,
    (side, ground): (PruneSide, &Ground),
    record: &SplitRecord,
    budgets: &Budgets,
) -> PruneDeleter {
    let epoch = record.cutovers.get(&service.name).map_or(0, |state| state.epoch);
    // In a service's own table, nobody has to tell who made a delete, and its readers would see the mark.
    let mark =
        (side == PruneSide::Source).then(|| PruneDeleter::mark_of(&split.plan.split, &service.name, epoch));
    PruneDeleter::new(
        ground.tables.items.clone(),
        ground.scan.clone(),
        &ground.table,
        budgets.writes(&service.name),
        Arc::new(ConcurrencyLimit::new(
            split.timing.attempt,
            &AccountLimit::default(),
        )),
        budgets.health(&service.name),
        mark,
    )
}

/// The pass, under its budgets and its lease, and shown by `status`.
async fn followed(pass: &Pass<'_>) -> Result<(), RunError> {
    let split = pass.split;
    let doing = || {
        let counts = pass.counts();
        let phase = format!(
            "{}: {} items deleted, {} items read",
            pass.service.name, counts.deleted, counts.scanned
        );
        ActivityNote::new(split.waits.beside(&phase), BTreeMap::new())
    };
    let work = pass.budgets.during(&split.store, Box::pin(pass.all()));
    let work = async {
        tokio::select! {
            biased;
            () = pass.stop.cancelled() => Err(RunError::Stopped(
                "pruning was interrupted; run the same command to continue".into(),
            )),
            done = work => done,
        }
    };
    match pass.lease {
        None => work.await,
        Some(lease) => Box::pin(with_activity_notes(split, "prune", doing, lease.during(work))).await,
    }
}

impl Pass<'_> {
    fn counts(&self) -> PruneCounts {
        match self.lease {
            Some(lease) => lease.record().counts,
            None => *self.counts.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    async fn all(&self) -> Result<(), RunError> {
        let segments = (0..PruneRecord::SEGMENTS).map(|segment| self.segment(segment));
        futures::future::try_join_all(segments).await?;
        if let Some(lease) = self.lease {
            let now = self.split.now_ms();
            lease.change(|record| record.ended_ms = Some(now)).await?;
        }
        Ok(())
    }

    async fn segment(&self, segment: u32) -> Result<(), RunError> {
        let place = self.place(segment);
        if place.done {
            return Ok(());
        }
        let mut after = read_cursor(place.cursor.as_deref())?;
        loop {
            let page = until_answered(&self.health, || async {
                self.reads.ready().await;
                self.scan
                    .page(segment, PruneRecord::SEGMENTS, after.as_ref())
                    .await
            })
            .await?;
            self.reads.pay(page.read_milliunits);
            let ScanPage { items, next, .. } = page;
            // After the read: a service that was completed before it needs none of these items.
            let ended = self.ended().await?;
            let counts = self.page(items, &ended).await?;
            fault::moment("prune.page").await;
            self.note(segment, &counts, next.as_ref()).await?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Decides about the items of a page, and deletes.
    async fn page(&self, items: Vec<Item>, ended: &BTreeSet<String>) -> Result<PruneCounts, RunError> {
        let mut counts = PruneCounts {
            scanned: items.len() as u64,
            ..PruneCounts::default()
        };
        let meant: Vec<Item> = items
            .into_iter()
            .filter(|item| self.is_meant(item, ended, &mut counts))
            .collect();
        let Some(deleter) = &self.deleter else {
            counts.deleted = meant.len() as u64;
            return Ok(counts);
        };
        // A future that is made in a closure is not known to be `Send`.
        let mut deletes = Vec::with_capacity(meant.len());
        for item in &meant {
            deletes.push(deleter.delete(item).boxed());
        }
        let mut done = futures::stream::iter(deletes).buffer_unordered(AT_ONCE);
        while let Some(done) = done.try_next().await? {
            *match done {
                Deleted::Deleted => &mut counts.deleted,
                Deleted::Changed => &mut counts.changed,
                Deleted::TooLarge => &mut counts.too_large,
                Deleted::PutBack => &mut counts.put_back,
            } += 1;
        }
        Ok(counts)
    }

    /// Whether an item is to be deleted. An item that stays for a reason is counted.
    fn is_meant(&self, item: &Item, ended: &BTreeSet<String>, counts: &mut PruneCounts) -> bool {
        let (plan, service) = (&self.split.plan, self.service);
        if self.side == PruneSide::Target {
            let decided = pruned_copy(plan, service, item);
            counts.own += u64::from(decided == PrunedCopy::Own);
            counts.kept += u64::from(decided == PrunedCopy::Kept);
            return decided == PrunedCopy::Delete;
        }
        let mut image = item.clone();
        let marks = strip_marks(&mut image);
        let decided = pruned(plan, service, ended, &image, &marks);
        counts.shared += u64::from(decided == Pruned::Shared);
        counts.ambiguous += u64::from(decided == Pruned::Ambiguous);
        decided == Pruned::Delete
    }

    /// The services that are completed now. While the writers of another service are stopped, this waits, so that they do not
    /// have to wait for the records of these deletes.
    async fn ended(&self) -> Result<BTreeSet<String>, RunError> {
        loop {
            let record = check_plan(self.split).await?;
            allowed(self.split, &record, &self.service.name, self.side)?;
            let writes_source = self.deleter.is_some() && self.side == PruneSide::Source;
            let Some(fenced) = record.fenced_service().filter(|_| writes_source) else {
                let services = self.split.plan.service_names().into_iter();
                return Ok(services
                    .filter(|service| record.has_ended(service))
                    .map(str::to_owned)
                    .collect());
            };
            let what = format!("the writers of {fenced} write again");
            let _waiting = self.split.waits.until(what, LONGEST_FENCE);
            pause(POLL, self.stop).await?;
        }
    }

    fn place(&self, segment: u32) -> PruneSegment {
        let record = self.lease.map(PruneLease::record);
        record
            .and_then(|record| record.segments.get(segment as usize).cloned())
            .unwrap_or_default()
    }

    /// A page is done.
    async fn note(&self, segment: u32, counts: &PruneCounts, next: Option<&Item>) -> Result<(), RunError> {
        let Some(lease) = self.lease else {
            let mut sum = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(counts);
            return Ok(());
        };
        let place = PruneSegment {
            cursor: next.map(|key| json::item_to_json(key).to_string()),
            done: next.is_none(),
        };
        lease
            .change(|record| {
                record.counts.add(counts);
                if let Some(known) = record.segments.get_mut(segment as usize) {
                    *known = place;
                }
            })
            .await
    }
}

fn read_cursor(cursor: Option<&str>) -> Result<Option<Item>, RunError> {
    let Some(text) = cursor else { return Ok(None) };
    let read = serde_json::from_str(text).map_err(|error| error.to_string());
    let item = read.and_then(|json| json::item_from_json(json).map_err(|error| error.to_string()));
    item.map(Some).map_err(|error| {
        RunError::Failed(format!(
            "the record of the prune holds a cursor that cannot be read: {error}. Delete the record {}... in the state table, and run \
             this command again: it begins anew",
            PruneRecord::PREFIX
        ))
    })
}

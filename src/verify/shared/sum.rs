//! The last task: the reports of all ranges become one result, and the verdict is kept by the rules of a verify by one process.

use super::begin::replaced;
use super::outcomes::{Beginning, Ended, Outcomes, RangeOutcome, ScanOutcome};
use super::task::{Held, Share, TaskEnd};
use crate::fault;
use crate::state::{
    SharedVerifyEnd, SharedVerifyRecord, SplitRecord, StoredRef, VerifyTask, VerifyTaskRecord,
};
use crate::verify::compare::ServiceReport;
use crate::verify::passes::Run;
use crate::verify::recheck::Settled;
use crate::verify::verification::Verify;
use crate::verify::view::{add, get};
use crate::worker::{LeasedRecord, RunError};
use std::sync::Arc;

/// What the tasks found together.
struct Found {
    settled: Vec<Settled>,
    source_milliunits: u64,
    target_milliunits: u64,
    mismatches: Vec<StoredRef>,
}

impl Verify {
    /// Sums up, under the lease of that task. What it keeps counts only if nothing has changed since the beginning that a verify by one
    /// process would not survive.
    pub(super) async fn sum(
        &self,
        share: &Share,
        record: &SplitRecord,
        beginning: &Beginning,
        found: (&Outcomes, &Outcomes),
        leased: Arc<LeasedRecord<VerifyTaskRecord>>,
    ) -> Result<TaskEnd, RunError> {
        let held = Held::of(&leased);
        let lost = leased.lost();
        let summed = tokio::select! {
            biased;
            () = lost.cancelled() => Ok(TaskEnd::Lost),
            summed = Box::pin(self.sum_up(share, record, beginning, found, &leased)) => summed,
        };
        held.release().await;
        summed
    }

    async fn sum_up(
        &self,
        share: &Share,
        record: &SplitRecord,
        beginning: &Beginning,
        (scans, ranges): (&Outcomes, &Outcomes),
        leased: &LeasedRecord<VerifyTaskRecord>,
    ) -> Result<TaskEnd, RunError> {
        let places: Vec<usize> = share.run.reader.iter().map(|reader| reader.place).collect();
        let whole = self.is_whole(record, &places);
        let mut run = Run::begin(self, record, places, &share.run.stop).await?;
        run.lanes.notes.clone_from(&beginning.notes);
        run.epoch = beginning.epoch;
        let found = collect(share, &run, scans, ranges).await?;
        // The notes of the result tell how the lanes stand.
        for (reader, settled) in run.reader.iter().zip(&found.settled) {
            if settled.undelivered_keys > 0 {
                run.deliveries.of(&reader.service().name, reader.now()).await?;
            }
        }
        let mut baseline = beginning.baseline.clone();
        let mut result = run.conclude(found.settled, None, &mut baseline).await?;
        result.read_milliunits.source += found.source_milliunits;
        result.read_milliunits.targets += found.target_milliunits;
        #[allow(clippy::cast_precision_loss)] // a time for people
        let seconds = self.split.now_ms().saturating_sub(share.verify.began_ms) as f64 / 1000.0;
        result.seconds = seconds;
        // Not if another process sums up by now.
        if !leased.save().await? {
            return Ok(TaskEnd::Lost);
        }
        self.keep(record, &baseline, (whole, false), &mut result).await?;
        fault::moment("verify.kept").await;
        let clean = result.clean;
        let ended = Ended {
            result,
            mismatches: found.mismatches,
        };
        let key = format!("{}outcome", share.claim(VerifyTask::Sum));
        let end = SharedVerifyEnd {
            ended_ms: self.split.now_ms(),
            result: share.folder.write_json(key, &ended).await?,
            clean,
            removed: false,
        };
        self.end(&share.verify, end).await?;
        fault::moment("verify.ended").await;
        Ok(TaskEnd::Done)
    }

    /// Records the end, unless that was done.
    async fn end(&self, verify: &SharedVerifyRecord, end: SharedVerifyEnd) -> Result<(), RunError> {
        let store = &self.split.store;
        let ended = store.change::<SharedVerifyRecord, RunError>(SharedVerifyRecord::NAME, |found| {
            let mut found = found
                .filter(|found| found.id == verify.id)
                .ok_or_else(|| replaced(&verify.name))?;
            found.end.get_or_insert_with(|| end.clone());
            Ok(found)
        });
        ended.await?;
        Ok(())
    }
}

/// Reads the outcomes of all tasks, one after the other.
async fn collect(share: &Share, run: &Run, scans: &Outcomes, ranges: &Outcomes) -> Result<Found, RunError> {
    let services = run.reader.len();
    let (mut source_milliunits, mut target_milliunits) = (0, 0);
    for (task, done) in scans.iter() {
        let scan: ScanOutcome = share.folder.read_json(done).await?;
        if scan.counts.len() != services {
            return Err(share.folder.gone(done, "it is about other services"));
        }
        for (progress, counts) in run.progress.services.iter().zip(&scan.counts) {
            add(&progress.tombstones, counts.tombstones);
            add(&progress.invalid, counts.invalid);
        }
        add(&run.progress.source.unrouted, scan.unrouted);
        run.invalid.add_part(scan.invalid, scan.more_invalid);
        match task {
            VerifyTask::Source { .. } => source_milliunits += scan.milliunits,
            _ => target_milliunits += scan.milliunits,
        }
    }
    let mut of_ranges: Vec<RangeOutcome> = Vec::with_capacity(ranges.len());
    for (_, done) in ranges.iter() {
        let range: RangeOutcome = share.folder.read_json(done).await?;
        if range.services.len() != services {
            return Err(share.folder.gone(done, "it is about other services"));
        }
        of_ranges.push(range);
    }
    let mut settled = Vec::with_capacity(services);
    for (service, reader) in run.reader.iter().enumerate() {
        let parts = || of_ranges.iter().map(|range| &range.services[service]);
        let name = reader.service().name.clone();
        let mut report = ServiceReport::of_ranges(name, parts().map(|part| &part.report));
        let progress = &run.progress.services[service];
        report.tombstones = get(&progress.tombstones);
        report.invalid = get(&progress.invalid);
        let mut all = Settled::new(report, &run.dir);
        for part in parts() {
            all.undelivered_keys += part.undelivered_keys;
            all.hot.extend(part.hot.clone());
        }
        settled.push(all);
    }
    source_milliunits += of_ranges.iter().map(|range| range.source_milliunits).sum::<u64>();
    target_milliunits += of_ranges.iter().map(|range| range.target_milliunits).sum::<u64>();
    Ok(Found {
        settled,
        source_milliunits,
        target_milliunits,
        mismatches: of_ranges.into_iter().flat_map(|range| range.mismatches).collect(),
    })
}

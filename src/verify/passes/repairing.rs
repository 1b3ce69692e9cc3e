//! The repair at the end of a run: the confirmed mismatches, between switching tombstones on and sweeping them.

use super::Run;
use crate::repair::{Holder, RepairLease, refuse_unready, switch_off, switch_on};
use crate::state::{RepairScope, SplitRecord};
use crate::verify::chunks::{Chunks, push_all};
use crate::verify::compare::CandidateFile;
use crate::verify::recheck::{HotKeys, Settled};
use crate::verify::record::Baseline;
use crate::verify::repair::Repair;
use crate::verify::result::VerifyResult;
use crate::worker::RunError;
use std::sync::Arc;

/// Candidates that are in memory at once while lists are joined.
const APPENDED_AT_ONCE: usize = 256;

/// The work of a repair in one service's table.
struct Work {
    file: CandidateFile,
    overwrites_newer: bool,
}

/// Adds the candidates of another list.
async fn append(mut file: CandidateFile, more: CandidateFile) -> Result<CandidateFile, RunError> {
    let mut chunks = Chunks::of(more, APPENDED_AT_ONCE);
    loop {
        let chunk = chunks.next().await?;
        if chunk.is_empty() {
            return Ok(file);
        }
        file = push_all(file, chunk).await?;
    }
}

/// Why a repair is refused.
fn foreign_reason(services: &[&str]) -> String {
    format!(
        "something other than dynasplit wrote the target of {}: no gap, restart of the tail or table from before the split \
         explains these mismatches, or the target holds newer timestamps than the source",
        services.join(", ")
    )
}

impl Run {
    /// Repairs the confirmed mismatches, between switching tombstones on and sweeping them. Tombstones that an
    /// interrupted repair left on are switched off in any case.
    pub(super) async fn repair(
        &self,
        lease: &RepairLease,
        baseline: &mut Baseline,
        settled: Vec<Settled>,
        sweeps: bool,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        result.unrepaired.collisions = settled.iter().map(|settled| settled.collisions).sum();
        let services: Vec<&str> = self
            .reader
            .iter()
            .map(|reader| reader.service().name.as_str())
            .collect();
        let listed = self.split.dead_letters.rechecks().await?;
        let rechecks = listed
            .iter()
            .any(|(_, _, recheck)| services.contains(&recheck.service.as_str()));
        let works = Box::pin(self.judge(settled, result)).await?;
        let has_work = works.iter().any(|work| !work.file.is_empty());
        if sweeps || rechecks || has_work {
            // A backfill may have begun since the start: its own switching would get into the way.
            refuse_unready(&self.split, &services).await?;
            baseline.repairing(&self.split).await?;
            self.progress.say("switching tombstones on");
            let epoch = switch_on(&self.split, &Holder::REPAIR, &services, &self.stop).await?;
            self.progress.say("repairing");
            self.repair_all(lease, epoch, works, result).await?;
        }
        self.sweep(lease, result).await?;
        if result.repaired > 0 {
            result.clean = false;
            result
                .notes
                .push("keys were repaired: run `dynasplit verify` again, which must be clean".into());
        }
        if result.unrepaired.busy > 0 {
            result.notes.push(
                "other processes wrote some keys at the same time: run `dynasplit verify --repair` again"
                    .into(),
            );
        }
        Ok(())
    }

    /// Leaves out every service whose mismatches nothing explains: something other than dynasplit wrote its table.
    async fn judge(&self, settled: Vec<Settled>, result: &mut VerifyResult) -> Result<Vec<Work>, RunError> {
        let record = SplitRecord::read(&self.split.store).await?.value;
        let mut works = Vec::new();
        let mut foreign: Vec<&str> = Vec::new();
        for (reader, found) in self.reader.iter().zip(settled) {
            let service = reader.service().name.as_str();
            let scope = self.scope(&record, service);
            let is_explained = match scope {
                None => found.repairable.is_empty(),
                Some(RepairScope::LostChanges) => found.report.newer == 0,
                Some(RepairScope::AnyItem) => true,
            };
            let mut work = Work {
                file: found.repairable,
                overwrites_newer: scope == Some(RepairScope::AnyItem),
            };
            if scope.is_some() && is_explained {
                // Each of them may only be late. Then the repair writes what the lane would write.
                work.file = append(work.file, found.undelivered).await?;
            }
            if !is_explained {
                result.unrepaired.foreign += work.file.len();
                foreign.push(service);
                work.file = CandidateFile::new(self.dir.clone());
            }
            works.push(work);
        }
        if !foreign.is_empty() {
            result.not_repairable = Some(foreign_reason(&foreign));
        }
        Ok(works)
    }

    /// The mismatches that a repair may correct in a service's table without a flag; `None`: none of them.
    fn scope(&self, record: &SplitRecord, service: &str) -> Option<RepairScope> {
        if self.discard_target_writes {
            return Some(RepairScope::AnyItem);
        }
        let lost = self.lanes.with_gap.contains(service);
        record
            .repair_scope(service)
            .max(lost.then_some(RepairScope::LostChanges))
    }

    async fn repair_all(
        &self,
        lease: &RepairLease,
        epoch: u64,
        works: Vec<Work>,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        let repairs: Vec<_> = self
            .reader
            .iter()
            .zip(&self.progress.services)
            .zip(works)
            .map(|((reader, progress), work)| {
                let repair = Repair {
                    reader: reader.clone(),
                    scanning: self.scanning.clone(),
                    dir: self.dir.clone(),
                    epoch,
                    overwrites_newer: work.overwrites_newer,
                    lease: lease.validity(),
                    progress: Arc::clone(progress),
                    budgets: Arc::clone(&self.budgets),
                    stop: self.stop.clone(),
                };
                Box::pin(repair.run(work.file))
            })
            .collect();
        let mut hot = HotKeys::default();
        for repaired in futures::future::try_join_all(repairs).await? {
            result.repaired += repaired.repaired;
            result.unrepaired.add(repaired.unrepaired);
            hot.extend(repaired.hot);
        }
        result.notes.extend(hot.notes());
        Ok(())
    }

    async fn sweep(&self, lease: &RepairLease, result: &mut VerifyResult) -> Result<(), RunError> {
        let switch = SplitRecord::read(&self.split.store).await?.value.switch;
        if !switch.has_holder(Holder::REPAIR.name()) && switch.unswept().is_empty() {
            return Ok(());
        }
        self.progress.say("sweeping tombstones");
        for (service, swept) in
            switch_off(&self.split, &Holder::REPAIR, lease, &self.budgets, &self.stop).await?
        {
            result.read_milliunits.targets += swept.read_milliunits;
            result.swept.insert(service, swept.removed);
        }
        Ok(())
    }
}

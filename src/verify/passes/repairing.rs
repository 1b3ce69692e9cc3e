//! The repair at the end of a run: what was confirmed, between switching tombstones on and sweeping them.

use super::Run;
use crate::repair::{Holder, RepairLease, backfill_runs, lower, raise, refuse_unready};
use crate::state::{SplitRecord, TombstonePhase, Tombstones};
use crate::verify::compare::CandidateFile;
use crate::verify::recheck::{HotKeys, Settled};
use crate::verify::record::Standing;
use crate::verify::repair::Repair;
use crate::verify::result::VerifyResult;
use crate::worker::RunError;
use std::sync::Arc;

/// Why a repair is refused.
const FOREIGN: &str = "no gap, restart of the tail or table from before the split explains these mismatches, so something \
     else than dynasplit wrote to the targets. If a service writes its own table already, record it: `dynasplit switched \
     --unproven --service NAME`. To overwrite and lose what was written: `dynasplit verify --repair --discard-target-writes`";

impl Run {
    /// Repairs what was confirmed, between switching tombstones on and sweeping them. Those that an interrupted repair
    /// left on are lowered in any case.
    pub(super) async fn repair(
        &self,
        lease: &RepairLease,
        standing: &mut Standing,
        settled: Vec<Settled>,
        sweeps: bool,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        result.unrepaired.collisions = settled.iter().map(|settled| settled.collisions).sum();
        let mut files: Vec<_> = settled.into_iter().map(|settled| settled.repairable).collect();
        let rechecks = !self.split.letters.rechecks().await?.is_empty();
        if files.iter().any(|file| !file.is_empty()) && !self.is_explained().await? {
            // Nothing that dynasplit does leads to these mismatches: somebody else wrote the targets.
            result.not_repairable = Some(FOREIGN.into());
            files = files
                .iter()
                .map(|_| CandidateFile::new(self.dir.clone()))
                .collect();
        }
        if sweeps || rechecks || files.iter().any(|file| !file.is_empty()) {
            // A backfill may have begun since the start: its own switching would get into the way.
            refuse_unready(&self.split).await?;
            standing.repairing(&self.split).await?;
            self.progress.say("switching tombstones on");
            let tombstones = raise(&self.split, &Holder::REPAIR, &self.stop).await?;
            self.progress.say("repairing");
            self.mend(lease, tombstones, files, result).await?;
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

    /// Whether mismatches are to be expected, or the operator takes the loss of other writers' writes into account.
    async fn is_explained(&self) -> Result<bool, RunError> {
        if self.discard_target_writes {
            return Ok(true);
        }
        let record = SplitRecord::read(&self.split.store).await?.value;
        Ok(record.repair_required.is_some() || self.lanes.lost_records)
    }

    async fn mend(
        &self,
        lease: &RepairLease,
        tombstones: Tombstones,
        files: Vec<CandidateFile>,
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        let repairs: Vec<_> = self
            .eyes
            .iter()
            .zip(&self.progress.services)
            .zip(files)
            .map(|((eyes, progress), file)| {
                let repair = Repair {
                    eyes: eyes.clone(),
                    scanning: self.scanning.clone(),
                    dir: self.dir.clone(),
                    tombstones,
                    lease: lease.validity(),
                    progress: Arc::clone(progress),
                    budgets: Arc::clone(&self.budgets),
                    stop: self.stop.clone(),
                };
                Box::pin(repair.run(file))
            })
            .collect();
        let mut hot = HotKeys::default();
        for mended in futures::future::try_join_all(repairs).await? {
            result.repaired += mended.repaired;
            result.unrepaired.add(mended.unrepaired);
            hot.extend(mended.hot);
        }
        result.notes.extend(hot.notes());
        Ok(())
    }

    async fn sweep(&self, lease: &RepairLease, result: &mut VerifyResult) -> Result<(), RunError> {
        let standing = SplitRecord::read(&self.split.store)
            .await?
            .value
            .switch
            .tombstones;
        if standing.phase == TombstonePhase::Off {
            return Ok(());
        }
        if backfill_runs(&self.split).await? {
            result
                .notes
                .push("a backfill is running, so tombstones stay on until it ends and sweeps them".into());
            return Ok(());
        }
        self.progress.say("sweeping tombstones");
        for (service, swept) in lower(&self.split, &Holder::REPAIR, lease, &self.budgets, &self.stop).await? {
            result.read_milliunits.targets += swept.read_milliunits;
            result.swept.insert(service, swept.removed);
        }
        Ok(())
    }
}

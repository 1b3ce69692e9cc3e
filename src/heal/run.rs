//! A heal from its first request to its last, under the lease of repairs.

use super::begin::{Begun, begin, services};
use super::healing::{HealOptions, HealView, Healing};
use super::journal::Journal;
use super::keys::Reconcilers;
use crate::fault::{self, Writer};
use crate::repair::{
    Holder, LeftKey, Reconciler, RepairLease, refuse_fenced, refuse_unready, switch_off, switch_on,
};
use crate::state::{HealCounts, HealRecord, RepairScope, SplitRecord, VerifyRecord};
use crate::worker::{Budgets, RunError, Split, check_split, unless_stopped};
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a heal did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HealReport {
    /// The beginning of the time that was healed, in milliseconds since 1970.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
    /// The exports, oldest first.
    pub exports: Vec<String>,
    /// What became of the keys, those of interrupted runs among them.
    #[serde(flatten)]
    pub counts: HealCounts,
    /// Some of the keys that this run left as they are, with the reason.
    pub left: Vec<LeftKey>,
    /// Why a complete repair and verify must follow.
    pub repair_required: Option<String>,
}

impl HealReport {
    fn of(record: &HealRecord, left: Vec<LeftKey>, repair_required: Option<String>) -> Self {
        let requests = record.windows.iter().filter_map(|window| window.request.as_ref());
        Self {
            from_ms: record.begin_ms(),
            to_ms: record.end_ms(),
            exports: requests.filter_map(|request| request.arn.clone()).collect(),
            counts: record.counts,
            left,
            repair_required,
        }
    }
}

/// Restarts the tail behind a gap, lets DynamoDB export which keys changed meanwhile, reads each of them again, consistently, and brings the
/// services' tables in order. Tombstones are on from the first key on, and are swept at the end. The same command continues after a death.
///
/// # Errors
/// If nothing was lost, the exports can't be had, or something can't be reached.
pub async fn heal(
    split: &Split,
    options: &HealOptions,
    view: &watch::Sender<HealView>,
    stop: &CancellationToken,
) -> Result<HealReport, RunError> {
    let record = unless_stopped(stop, Box::pin(check_split(split))).await?;
    let split = &split.without_switched(&record);
    services(split)?;
    let lease = RepairLease::take(split, stop).await?;
    let budgets = Budgets::new(split, None, None);
    let healing = Healing {
        split,
        options,
        lease: &lease,
        budgets: &budgets,
        view,
        stop,
    };
    let command = ("heal", || view.borrow().phase.clone());
    let work = Box::pin(healing.run());
    let result = lease.during_command(split, command, &budgets, work).await;
    lease.release().await;
    result
}

impl Healing<'_> {
    async fn run(&self) -> Result<HealReport, RunError> {
        self.say(|view| view.phase = "looking for what was lost".into());
        let mut journal = match Box::pin(begin(self.split, self.options, self.stop)).await? {
            Begun::Continues(journal) => journal,
            Begun::Ended(record) => {
                let required = SplitRecord::read(&self.split.store).await?.value.repair_required;
                return Ok(HealReport::of(&record, Vec::new(), required));
            }
        };
        let mut left = Vec::new();
        Box::pin(self.windows(&mut journal, &mut left)).await?;
        self.say(|view| view.phase = "sweeping tombstones".into());
        // A comparison that began before the last write may have seen what was there before it.
        VerifyRecord::note_repair(&self.split.store, self.split.now_ms()).await?;
        switch_off(
            self.split,
            &Holder::RECONCILE,
            self.lease,
            self.budgets,
            self.stop,
        )
        .await?;
        fault::moment("heal.swept").await;
        let now_ms = self.split.now_ms();
        journal.change(|record| record.finished_ms = Some(now_ms)).await?;
        let record = SplitRecord::read(&self.split.store).await?.value;
        Ok(HealReport::of(journal.record(), left, record.repair_required))
    }

    /// Heals the windows that are left, oldest first.
    async fn windows(&self, journal: &mut Journal, left: &mut Vec<LeftKey>) -> Result<(), RunError> {
        let mut reconcilers = Reconcilers::new();
        for at in 0..journal.record().windows.len() {
            let counts = journal.record().counts;
            self.say(|view| {
                view.windows = (journal.record().done(), journal.record().windows.len());
                (view.keys, view.repaired) = (counts.keys, counts.repaired);
            });
            if journal.record().windows[at].done {
                continue;
            }
            let record = SplitRecord::read(&self.split.store).await?.value;
            if record.repair_required.is_none() {
                // Meanwhile, everything was repaired and found to be exact.
                return Ok(());
            }
            let export = Box::pin(self.export(journal, at)).await?;
            if reconcilers.is_empty() {
                reconcilers = Box::pin(self.reconcilers(&record)).await?;
            }
            Box::pin(self.read_again(journal, at, &export, &reconcilers, left)).await?;
        }
        Ok(())
    }

    /// Tombstones are on, and every worker leaves them.
    async fn reconcilers(&self, record: &SplitRecord) -> Result<Reconcilers<'_>, RunError> {
        let scoped = |name: &&str| record.repair_scope(name).is_some();
        let names: Vec<&str> = services(self.split)?.into_iter().filter(scoped).collect();
        refuse_fenced(record, names.iter().copied())?;
        refuse_unready(self.split, &names).await?;
        VerifyRecord::note_repair(&self.split.store, self.split.now_ms()).await?;
        self.say(|view| view.phase = "switching tombstones on".into());
        let epoch = switch_on(self.split, &Holder::RECONCILE, &names, self.stop).await?;
        fault::moment("heal.tombstones-on").await;
        let mut found = Reconcilers::new();
        for name in names {
            let Some((service, _)) = self.split.target(name) else {
                continue;
            };
            let reconciler = Reconciler::new(
                self.split,
                service,
                Writer::Repair,
                epoch,
                self.lease.validity(),
                self.budgets,
                self.stop,
            );
            let reconciler =
                reconciler.ok_or_else(|| RunError::Failed(format!("the table of {name} has no client")))?;
            found.push((
                name.to_owned(),
                match record.repair_scope(name) {
                    Some(RepairScope::AnyItem) => reconciler,
                    _ => reconciler.keeping_newer(),
                },
            ));
        }
        Ok(found)
    }
}

//! The worker of `verify`.

use super::passes::Run;
use super::record::{Baseline, Scope};
use super::result::VerifyResult;
use super::verification::Verify;
use crate::repair::{RepairLease, refuse_unready};
use crate::state::SplitRecord;
use crate::status::{ObstacleKind, split_status_with_worker};
use crate::worker::{
    ActivityNote, RunError, Split, check_plan, completed, unless_stopped, with_activity_notes,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

impl Verify {
    /// Compares every target with the source, and repairs if it is told to.
    ///
    /// Mismatches are a result, not an error.
    ///
    /// # Errors
    /// If it must not start, or could not complete the comparison. It then has no result, and an interrupted repair
    /// continues when the same command is run again.
    pub async fn run(mut self) -> Result<VerifyResult, RunError> {
        let record = unless_stopped(&self.stop, Box::pin(check_plan(&self.split))).await?;
        if record.completed_ms.is_some() && self.options.repair {
            return Err(completed(&self.split));
        }
        self.split = self.split.without_switched(&record);
        if !self.options.anyway && record.completed_ms.is_none() {
            let places = self.places()?;
            unless_stopped(&self.stop, Box::pin(refuse_early(&self.split, &places))).await?;
        }
        unless_stopped(&self.stop, self.budgets.read(&self.split.store)).await?;
        let (budgets, store) = (Arc::clone(&self.budgets), self.split.store.clone());
        let (view, waits) = (self.view.clone(), self.split.waits.clone());
        let doing = || {
            let view = view.borrow();
            // Of repairs, the budgets know.
            let mut limits = budgets.limits();
            limits.extend(view.limits.clone());
            ActivityNote::new(waits.beside(&view.phase), limits)
        };
        let split = self.split.clone();
        let work = budgets.during(&store, Box::pin(self.run_tuned(record)));
        let mut result = with_activity_notes(&split, "verify", doing, work).await?;
        result.next = split_status_with_worker(&split).await?.next;
        Ok(result)
    }

    async fn run_tuned(self, record: SplitRecord) -> Result<VerifyResult, RunError> {
        let places = self.places()?;
        if !self.options.repair {
            return Box::pin(self.compare(&record, places, None)).await;
        }
        let lease = RepairLease::take(&self.split, &self.stop).await?;
        let result = lease
            .during(Box::pin(self.compare(&record, places, Some(&lease))))
            .await;
        lease.release().await;
        result.unwrap_or_else(|| {
            Err(RunError::Stopped(
                "another process took over the repair: run `dynasplit status` to see whether it still runs"
                    .into(),
            ))
        })
    }

    /// Places of the chosen services in the plan.
    fn places(&self) -> Result<Vec<usize>, RunError> {
        let services = &self.split.plan.services;
        let Some(chosen) = &self.options.services else {
            return Ok((0..services.len())
                .filter(|place| !self.split.has_switched(&services[*place].name))
                .collect());
        };
        if let Some(switched) = chosen.iter().find(|name| self.split.has_switched(name)) {
            return Err(RunError::NotYet {
                what: format!(
                    "{switched} has switched to its own table, so the table cannot be compared with the \
                     source any more"
                ),
                next: "leave it out".into(),
            });
        }
        if let Some(unknown) = chosen.iter().find(|name| self.split.plan.service(name).is_none()) {
            let known: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
            return Err(RunError::NoSuchService {
                service: unknown.clone(),
                known: known.join(", "),
            });
        }
        let is_chosen = |place: &usize| chosen.contains(&services[*place].name);
        Ok((0..services.len()).filter(is_chosen).collect())
    }

    async fn compare(
        &self,
        record: &SplitRecord,
        places: Vec<usize>,
        lease: Option<&RepairLease>,
    ) -> Result<VerifyResult, RunError> {
        if lease.is_some() {
            refuse_unready(&self.split).await?;
        }
        let whole = places.len() == self.split.active().count()
            && !self.options.anyway
            && record.completed_ms.is_none();
        // Read once the lease is ours: another repair may have ended just before.
        let mut baseline = Baseline::read(&self.split, record).await?;
        let run = Run::begin(self, record, places).await?;
        let done = CancellationToken::new();
        // Ends the display, too, if this future is dropped because the repair's lease was lost.
        let shown_until = done.clone().drop_guard();
        let shown = tokio::spawn(Arc::clone(&run.progress).show(done));
        let span = tracing::info_span!(target: "dynasplit::span", "verify", repair = lease.is_some());
        let result = Box::pin(run.all(lease, &mut baseline).instrument(span)).await;
        drop(shown_until);
        if let Err(error) = shown.await {
            tracing::error!(%error, "the progress display failed");
        }
        let mut result = result?;
        let scope = Scope {
            whole,
            repair: lease.is_some(),
        };
        result.switched = record.switched.keys().cloned().collect();
        if self.options.anyway || record.completed_ms.is_some() {
            let why = if record.completed_ms.is_some() {
                "the split is complete, and the services write their own tables, so a difference may be a \
                 write of a service"
            } else {
                "the comparison began before everything was ready, so a difference may be a change that was \
                 not delivered yet"
            };
            result.notes.push(format!("{why}. This result does not count"));
        } else {
            baseline.keep(&self.split, scope, &mut result).await?;
        }
        Ok(result)
    }
}

/// Refuses a verification that could only find changes that were not delivered yet: no worker reads the stream, the
/// lanes are on hold, or a copy of these services is not finished.
async fn refuse_early(split: &Split, places: &[usize]) -> Result<(), RunError> {
    let chosen = |service: &str| {
        places
            .iter()
            .any(|place| split.plan.services[*place].name == service)
    };
    let obstacles = split_status_with_worker(split).await?.obstacles.into_iter();
    let mut early = obstacles.filter(|obstacle| {
        let kind = matches!(
            obstacle.kind,
            ObstacleKind::NotCaptured
                | ObstacleKind::NoWorker
                | ObstacleKind::OtherWorker
                | ObstacleKind::LanesHeld
                | ObstacleKind::NotBackfilled
                | ObstacleKind::BackfillUnfinished
        );
        kind && obstacle.service.as_deref().is_none_or(chosen)
    });
    match early.next() {
        None => Ok(()),
        Some(obstacle) => Err(RunError::NotYet {
            what: format!("too early to verify: {}", obstacle.what),
            next: format!(
                "{} (or use --anyway: changes that were not delivered yet then count as mismatches)",
                obstacle.next
            ),
        }),
    }
}

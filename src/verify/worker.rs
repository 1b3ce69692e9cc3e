//! The worker of `verify`.

use super::lanes::Lanes;
use super::passes::Run;
use super::record::{Baseline, Scope};
use super::result::{VerifyOptions, VerifyResult};
use super::verification::Verify;
use crate::model::moment;
use crate::plan::Service;
use crate::repair::{RepairLease, refuse_unready};
use crate::state::{SplitRecord, StreamPin};
use crate::status::{Obstacle, ObstacleKind, split_status_with_worker};
use crate::verify::compare::Written;
use crate::worker::{
    ActivityNote, RunError, Split, check_plan, completed, unless_stopped, with_activity_notes,
};
use std::sync::Arc;
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
        self.back = unless_stopped(&self.stop, way_back(&self.split, &self.options)).await?;
        self.refuse_exports()?;
        self.refuse_awaiting(&record)?;
        if self.options.changed {
            self.refuse_changes(&record)?;
        }
        let is_over = match &self.options.shared {
            Some(name) => unless_stopped(&self.stop, self.has_ended(name)).await?,
            None => false,
        };
        if !self.options.anyway && record.completed_ms.is_none() && !is_over {
            let places = self.places()?;
            unless_stopped(
                &self.stop,
                Box::pin(refuse_early(&self.split, &places, self.written())),
            )
            .await?;
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

    /// Which side the applications of the compared services write.
    pub(super) fn written(&self) -> Written {
        match self.back {
            None => Written::Source,
            Some(_) => Written::Target,
        }
    }

    /// The split whose lanes carry the writes from the one side to the other.
    pub(super) fn follows(&self) -> &Split {
        self.back.as_ref().unwrap_or(&self.split)
    }

    /// How the lanes of the compared services stand.
    pub(super) async fn lanes(&self, record: &SplitRecord, services: &[&Service]) -> Result<Lanes, RunError> {
        match self.back.as_ref().and_then(Split::back_side) {
            None => Lanes::look(&self.split, record, services).await,
            Some(back) => Lanes::look_back(&self.split, &back.service, back.pin.epoch).await,
        }
    }

    async fn run_tuned(self, record: SplitRecord) -> Result<VerifyResult, RunError> {
        let places = self.places()?;
        if let Some(name) = &self.options.shared {
            return Box::pin(self.run_shared(name, &record, places)).await;
        }
        if self.options.changed {
            return Box::pin(self.compare_changes(&record, places)).await;
        }
        // Of a service that has switched, a repair only lists what differs.
        if !self.options.repair || self.back.is_some() {
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

    /// Refuses exports that would not be read.
    fn refuse_exports(&self) -> Result<(), RunError> {
        let exports = &self.options.exports;
        if let (Some(back), Some(_)) = (self.back.as_ref().and_then(Split::back_side), exports.as_of_ms()) {
            return Err(RunError::NotYet {
                what: format!(
                    "{} has switched with a way back, so what it writes is compared with the source as it is now",
                    back.service
                ),
                next: "leave the exports out".into(),
            });
        }
        let places = self.places()?;
        let is_compared = |name: &String| {
            let mut names = places.iter().map(|place| &self.split.plan.services[*place].name);
            names.any(|service| service == name)
        };
        match exports.targets.keys().find(|name| !is_compared(name)) {
            None => Ok(()),
            Some(name) => Err(RunError::NotYet {
                what: format!("{name} is not compared, so the export of its table would not be read"),
                next: "leave this export out, or name the service with --service".into(),
            }),
        }
    }

    /// Refuses a service whose table is left to an import, because there is nothing to compare.
    fn refuse_awaiting(&self, record: &SplitRecord) -> Result<(), RunError> {
        let places = self.places()?;
        let mut services = places.iter().map(|place| &self.split.plan.services[*place].name);
        match services.find(|service| record.awaiting_import.contains(*service)) {
            None => Ok(()),
            Some(service) => Err(RunError::NotYet {
                what: format!("the table of {service} is left to an import, and is not ready"),
                next: "run `dynasplit backfill` until it ends, then run this command again".into(),
            }),
        }
    }

    /// Places of the chosen services in the plan.
    fn places(&self) -> Result<Vec<usize>, RunError> {
        let services = &self.split.plan.services;
        if let Some(back) = self.back.as_ref().and_then(Split::back_side) {
            return Ok((0..services.len())
                .filter(|place| services[*place].name == back.service)
                .collect());
        }
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
            let services = places
                .iter()
                .map(|place| self.split.plan.services[*place].name.as_str());
            refuse_unready(&self.split, &services.collect::<Vec<_>>()).await?;
        }
        let whole = self.is_whole(record, &places);
        // Read once the lease is ours: another repair may have ended just before.
        let mut baseline = Baseline::read(&self.split, record, self.options.exports.as_of_ms()).await?;
        let run = Run::begin(self, record, places, &self.stop).await?;
        let progress = Arc::clone(&run.progress);
        let span = tracing::info_span!(target: "dynasplit::span", "verify", repair = lease.is_some());
        let work = Box::pin(run.all(lease, &mut baseline).instrument(span));
        let mut result = progress.while_shown(work).await?;
        self.keep(record, &baseline, (whole, lease.is_some()), &mut result)
            .await?;
        Ok(result)
    }

    /// Whether a verify of these services counts for the split as a whole.
    pub(super) fn is_whole(&self, record: &SplitRecord, places: &[usize]) -> bool {
        places.len() == self.split.active().count() && !self.options.anyway && record.completed_ms.is_none()
    }

    /// Keeps the result, if nothing has changed that it rests on.
    pub(super) async fn keep(
        &self,
        record: &SplitRecord,
        baseline: &Baseline,
        (whole, repair): (bool, bool),
        result: &mut VerifyResult,
    ) -> Result<(), RunError> {
        let scope = Scope { whole, repair };
        result.notes.extend(result.as_of_ms.map(of_a_moment));
        result.carried_back = self.written() == Written::Target;
        let compared: Vec<_> = result.report.services.iter().map(|s| s.service.clone()).collect();
        let switched = record.switched.keys().filter(|name| !compared.contains(name));
        result.switched = switched.cloned().collect();
        let watched = result.switched.iter().filter(|name| self.split.is_watched(name));
        let watched: Vec<_> = watched.map(|name| other_way(name)).collect();
        result.notes.extend(watched);
        if result.carried_back {
            let notes = not_carried_back(result);
            result.notes.extend(notes);
            return Ok(());
        }
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
            baseline.keep(&self.split, scope, result).await?;
        }
        Ok(())
    }
}

/// What a result says if exports were read.
fn of_a_moment(as_of_ms: u64) -> String {
    format!(
        "exports were read, so the result is about {}: a difference that came up later may be missing",
        moment(as_of_ms)
    )
}

/// How to compare a service that has switched with a way back.
fn other_way(service: &str) -> String {
    format!("`dynasplit verify --service {service}` compares the source with what {service} writes")
}

/// What to do about items that the source does not hold as the service wrote them.
fn not_carried_back(result: &VerifyResult) -> Option<String> {
    let name = &result.report.services.first()?.service;
    let listed = match result.listed {
        0 => format!("`dynasplit verify --service {name} --repair` lists them as stray writes."),
        1 => "One of them is listed as a stray write now.".into(),
        listed => format!("{listed} of them are listed as stray writes now."),
    };
    (result.total_mismatches > 0).then(|| {
        format!(
            "the source does not hold these items as {name} wrote them, so a rollback would lose that. {listed} `dynasplit \
             reverse settle --service {name} --overwrite` writes what the table of {name} holds to the source"
        )
    })
}

/// The tail of the chosen service's own table, if it has switched with a way back. Such a service is compared alone: its
/// table is what counts, and the source is the copy.
async fn way_back(split: &Split, options: &VerifyOptions) -> Result<Option<Split>, RunError> {
    let chosen = options.services.iter().flatten();
    let Some(service) = chosen.clone().find(|name| split.is_watched(name)) else {
        return Ok(None);
    };
    let refused = |what: &str, next: String| {
        Err(RunError::NotYet {
            what: format!("{service} has switched with a way back, so {what}"),
            next,
        })
    };
    if chosen.clone().any(|name| name != service) {
        return refused(
            "the source is compared with its table, and not the other way round as for other services",
            format!("run `dynasplit verify --service {service}`, and verify the other services without it"),
        );
    }
    let epoch = split.cutover(service).map_or(0, |cutover| cutover.epoch);
    match StreamPin::read(&split.store, service, epoch).await? {
        Some(pin) => Ok(Some(split.back(service, pin))),
        None => refused(
            "its cutover is under way, and nothing is carried back yet",
            format!("run `dynasplit cutover --service {service} --yes` to end that"),
        ),
    }
}

/// Refuses a verification that could only find changes that were not delivered yet: no worker reads the stream, the
/// lanes are on hold, or a copy of these services is not finished.
async fn refuse_early(split: &Split, places: &[usize], written: Written) -> Result<(), RunError> {
    let chosen = |obstacle: &Obstacle| {
        let mut services = places.iter().map(|place| &split.plan.services[*place].name);
        services.any(|service| obstacle.concerns(service))
    };
    let obstacles = split_status_with_worker(split).await?.obstacles.into_iter();
    let mut early = obstacles.filter(|obstacle| {
        let kind = match obstacle.kind {
            ObstacleKind::NoWorker | ObstacleKind::OtherWorker => true,
            // Nothing else holds a reverse lane up.
            ObstacleKind::NotCaptured
            | ObstacleKind::LanesHeld
            | ObstacleKind::AwaitingImport
            | ObstacleKind::NotBackfilled
            | ObstacleKind::BackfillUnfinished => written == Written::Source,
            _ => false,
        };
        kind && chosen(obstacle)
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

//! The lifecycle step `complete`: ends the lanes, strips versions, and switches TTL and streams on.

use super::at_rest::{self, Rest};
use super::marks::remove_marks;
use crate::dynamo::{AccountLimit, Tables};
use crate::fault;
use crate::model::{VERSION_ATTRIBUTE, counted};
use crate::plan::Service;
use crate::repair::{refuse_switched_since, sweep_of, workers_gone};
use crate::state::{CutoverPhase, CutoverState, ServiceRecord, SplitRecord};
use crate::status::{Obstacle, ObstacleKind, split_status, split_status_with_worker, told};
use crate::target::{TtlOutcome, enable_ttl};
use crate::worker::{ActivityNote, Budgets, RunError, Split, unless_stopped, with_activity_notes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Wait between two reports of what limits the strips.
const POLL: Duration = Duration::from_secs(5);

/// Options of `complete`.
#[derive(Clone, Copy, Debug)]
pub struct CompleteOptions {
    /// How long the source must have been quiet.
    pub quiet: Duration,
    /// Complete although nothing shows that the source is at rest: writes that no lane has delivered are lost.
    pub lose_late_writes: bool,
}

impl CompleteOptions {
    /// How long the source must have been quiet, unless said otherwise.
    pub const QUIET: Duration = Duration::from_secs(30);
}

impl Default for CompleteOptions {
    fn default() -> Self {
        Self {
            quiet: Self::QUIET,
            lose_late_writes: false,
        }
    }
}

/// What `complete` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CompleteReport {
    /// The evidence that the source was at rest; `None` if an earlier run found it, or if it was overridden.
    pub source_at_rest: Option<String>,
    /// Items whose stamps were stripped, by service.
    pub stripped: BTreeMap<String, u64>,
    /// Tables whose TTL is on now, and the attribute.
    pub ttl: BTreeMap<String, String>,
    /// Remarks.
    pub notes: Vec<String>,
    /// It had been completed before, and nothing was done now.
    pub already_completed: bool,
}

/// Ends the split: refuses while anything is not clean; stops the lanes, strips stamps, switches on TTL and streams,
/// closes the state. Each step can be repeated, so an interrupted run continues if it is run again.
///
/// # Errors
/// With everything that is not clean, and the next command for each.
pub async fn complete(
    split: &Split,
    options: CompleteOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<CompleteReport, RunError> {
    let record = match unless_stopped(stop, crate::worker::check_split(split)).await {
        Err(RunError::Completed { .. }) => {
            return Ok(CompleteReport {
                already_completed: true,
                ..CompleteReport::default()
            });
        }
        checked => checked?,
    };
    let split = &split.without_switched(&record);
    let source_at_rest = Box::pin(stop_lanes(split, &record, options, stop, tell)).await?;
    // Nobody keeps dead letters any more, and all of them are settled.
    split.dead_letters.forget_orphans().await?;
    split.event_letters().forget_orphans().await?;
    let budgets = Budgets::new(split, None, None);
    budgets.read(&split.store).await?;
    let phase = Mutex::new("ending the services".to_owned());
    let say = |message: &str| {
        message.clone_into(&mut phase.lock().unwrap_or_else(PoisonError::into_inner));
        tell(message);
    };
    let doing = || {
        let phase = phase.lock().unwrap_or_else(PoisonError::into_inner);
        ActivityNote::new(phase.clone(), budgets.limits())
    };
    let ending = budgets.during(&split.store, Box::pin(end_services(split, &budgets, &say)));
    // Each step can be repeated, and a strip has the condition that the target is still what was read.
    let work = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RunError::Stopped(
                "completing was interrupted; run the same command to continue".into(),
            )),
            report = ending => report,
            never = tell_limits(&budgets, tell) => match never {},
        }
    };
    let mut report = Box::pin(with_activity_notes(split, "complete", doing, work)).await?;
    report.source_at_rest = source_at_rest;
    SplitRecord::change(&split.store, |record| record.completed_ms = Some(split.now_ms())).await?;
    Ok(report)
}

/// Begins to complete, unless that was done before, and waits until every worker has stopped. Answers what shows that the source
/// is at rest.
async fn stop_lanes(
    split: &Split,
    record: &SplitRecord,
    options: CompleteOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Option<String>, RunError> {
    let mut source_at_rest = None;
    if record.completing_ms.is_none() {
        match unless_stopped(stop, Box::pin(begin(split, record, options, stop, tell))).await {
            Ok(seen) => source_at_rest = seen,
            // Another process may have begun to complete meanwhile: this one helps it.
            Err(error) => {
                if SplitRecord::read(&split.store)
                    .await?
                    .value
                    .completing_ms
                    .is_none()
                {
                    return Err(error);
                }
            }
        }
    }
    fault::moment("complete.begun").await;
    tell("stopping the lanes");
    noted(split, workers_gone(split, stop)).await?;
    still_at_rest(split).await?;
    fault::moment("complete.workers-gone").await;
    Ok(source_at_rest)
}

/// Waits, and lets `status` show it. A command that refuses before it waits changes nothing in the state.
async fn noted<T>(split: &Split, wait: impl Future<Output = T>) -> T {
    let doing = || ActivityNote::new(split.waits.beside("preparing the end"), BTreeMap::new());
    with_activity_notes(split, "complete", doing, Box::pin(wait)).await
}

/// Tells what limits the strips, when that changes. Never ends.
async fn tell_limits(budgets: &Budgets, tell: &(dyn Fn(&str) + Sync)) -> Infallible {
    let mut told = BTreeMap::new();
    loop {
        tokio::time::sleep(POLL).await;
        let limits = budgets.limits();
        if limits != told {
            for (service, limit) in &limits {
                tell(&format!("{service}: limited by {limit}"));
            }
            told = limits;
        }
    }
}

/// Strips the stamps of every service, within the tuned budgets, and switches on TTL and streams that had to wait.
async fn end_services(
    split: &Split,
    budgets: &Budgets,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<CompleteReport, RunError> {
    let mut report = CompleteReport::default();
    for (service, tables) in split.services() {
        end_service(split, budgets, (service, tables), &mut report, tell).await?;
        // A service that was rolled back has marks in the source, and nobody reads them any more.
        let is_marked = |state: &CutoverState| state.phase == CutoverPhase::Replicating;
        if split.cutover(&service.name).is_some_and(is_marked) {
            tell(&format!("removing the marks of {} from the source", service.name));
            let removed = remove_marks(split, budgets, (service, tables)).await?;
            report.notes.push(format!(
                "removed {} of {}, which was rolled back, from the source",
                counted(removed, "mark"),
                service.name
            ));
        }
    }
    Ok(report)
}

/// Strips the stamps of one service, and switches on its TTL.
pub(crate) async fn end_service(
    split: &Split,
    budgets: &Budgets,
    (service, tables): (&Service, &Tables),
    report: &mut CompleteReport,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<(), RunError> {
    if service.version_fields(&split.plan.versions).live == VERSION_ATTRIBUTE {
        tell(&format!("stripping stamps from {}", service.table.name));
        let sweep = sweep_of(split, service, tables, budgets, &AccountLimit::default());
        report
            .stripped
            .insert(service.name.clone(), sweep.versions().await?.removed);
    }
    let ttl = match enable_ttl(&tables.control, &service.table).await {
        // The service owns its table and decides about its TTL.
        Err(error) if split.has_switched(&service.name) => {
            report.notes.push(error.to_string());
            TtlOutcome::NotPlanned
        }
        other => other?,
    };
    match ttl {
        TtlOutcome::NotPlanned => {}
        TtlOutcome::On { attribute, .. } => {
            report.ttl.insert(service.table.name.clone(), attribute);
        }
        TtlOutcome::LeftToOwner { attribute } => report.notes.push(format!(
            "{} is adopted: its owner switches TTL on '{attribute}' on",
            service.table.name
        )),
        TtlOutcome::Unknown { note } => report.notes.push(note),
    }
    split
        .store
        .change::<ServiceRecord, RunError>(&ServiceRecord::record_name(&service.name), |found| {
            let mut record = found.ok_or_else(|| RunError::UnknownService {
                service: service.name.clone(),
            })?;
            record.completed = true;
            Ok(record)
        })
        .await?;
    Ok(())
}

/// Begins to complete, if nothing is in the way: from here on, no command may switch tombstones on, and the workers
/// stop. Returns the evidence that the source is at rest.
async fn begin(
    split: &Split,
    record: &SplitRecord,
    options: CompleteOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Option<String>, RunError> {
    refuse_way_back(record)?;
    refuse_unclean(split, options).await?;
    let (resting, seen) = if options.lose_late_writes {
        (None, None)
    } else {
        match Box::pin(noted(
            split,
            at_rest::wait(split, record, options.quiet, stop, tell),
        ))
        .await?
        {
            Rest::StreamClosed => (
                None,
                Some("the stream is off, every lane has read it to its end, and the last verify began after that".into()),
            ),
            Rest::Quiet { received, seen } => (Some(received), Some(seen)),
        }
    };
    // Much may have happened while the source was waited for.
    refuse_unclean(split, options).await?;
    // In one step: from here on, commands that switch tombstones on are refused, and no earlier one is overlooked.
    let seen_streams = record.streams.len();
    let record = SplitRecord::change(&split.store, |record| {
        let owes_repair = record.repair_required.is_some() && split.active().next().is_some();
        let is_same = split.has_same_switches(record)
            && split.has_same_services(record)
            && record.streams.len() == seen_streams;
        let has_no_way_back = refuse_way_back(record).is_ok();
        if record.switch.is_off()
            && has_no_way_back
            && is_same
            && !owes_repair
            && record.completing_ms.is_none()
        {
            record.completing_ms = Some(split.now_ms());
            record.resting.clone_from(&resting);
        }
    })
    .await?;
    refuse_switched_since(split, &record, split.plan.service_names())?;
    if record.completing_ms.is_none() {
        return Err(RunError::Unclean {
            reasons: vec![
                "another command (a repair, a restart of the tail or an `apply`) has just changed the split: wait until it ends, then run this command again"
                    .into(),
            ],
        });
    }
    Ok(seen)
}

/// Checks once more after the workers have stopped: changes that they received while they stopped show that the
/// source was not at rest. The split then continues as before.
async fn still_at_rest(split: &Split) -> Result<(), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let Some(before) = &record.resting else {
        return Ok(());
    };
    match at_rest::unchanged(split, &record, before).await {
        Ok(_) => Ok(()),
        Err(error) => {
            SplitRecord::change(&split.store, |record| {
                record.completing_ms = None;
                record.resting = None;
            })
            .await?;
            Err(error)
        }
    }
}

/// Refuses while a service can be rolled back: its way back ends only when everything is in the source. A cutover or a rollback
/// that is under way is refused, too.
fn refuse_way_back(record: &SplitRecord) -> Result<(), RunError> {
    if let Some(service) = record.fenced_service() {
        return Err(RunError::NotYet {
            what: format!("a cutover or a rollback of {service} is under way"),
            next: "end it first: `dynasplit status` shows the next command".into(),
        });
    }
    let services: Vec<&str> = record.with_way_back().collect();
    if services.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = services
        .iter()
        .map(|service| format!("`dynasplit complete --service {service} --yes`"))
        .collect();
    Err(RunError::NotYet {
        what: format!(
            "{} can still be rolled back, and `complete` ends the way back, because nothing is carried back to the source any more",
            services.join(", ")
        ),
        next: format!(
            "when you are sure that nobody goes back, run {}, then run this command again",
            each.join(" and ")
        ),
    })
}

/// Refuses while something is in the way. If writes may be lost, a stream without a reader is not in the way.
async fn refuse_unclean(split: &Split, options: CompleteOptions) -> Result<(), RunError> {
    let lose_late_writes = options.lose_late_writes;
    let status = if lose_late_writes {
        split_status(split).await?
    } else {
        split_status_with_worker(split).await?
    };
    let matters = |obstacle: &&Obstacle| {
        let late = matches!(
            obstacle.kind,
            ObstacleKind::NoWorker
                | ObstacleKind::OtherWorker
                | ObstacleKind::Lag
                | ObstacleKind::WrittenAfterSwitch
        );
        !(lose_late_writes && late)
    };
    let reasons = told(status.obstacles.iter().filter(matters));
    if reasons.is_empty() {
        return Ok(());
    }
    Err(RunError::Unclean { reasons })
}

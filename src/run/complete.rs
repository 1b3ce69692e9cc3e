use super::activity::noted;
use super::budgets::Budgets;
use super::error::RunError;
use super::split::{Split, now_ms};
use super::standing::{Standing, standing};
use super::stopping::unless_stopped;
use super::tombstones::{sweep_of, workers_gone};
use crate::dynamo::Brake;
use crate::fault;
use crate::model::VERSION_ATTRIBUTE;
use crate::state::{ServiceRecord, SplitRecord};
use crate::target::{TtlOutcome, enable_ttl};
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at what limits the strips.
const LOOK: Duration = Duration::from_secs(5);

/// What `complete` did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CompleteReport {
    /// Items whose stamps were stripped, by service.
    pub stripped: BTreeMap<String, u64>,
    /// Tables whose TTL is on now, and the attribute.
    pub ttl: BTreeMap<String, String>,
    /// Remarks.
    pub notes: Vec<String>,
    /// It had been completed before, and nothing was done now.
    pub already_completed: bool,
}

/// Ends the split: refuses while anything is not clean; stops the lanes, strips stamps, switches on what had to wait,
/// closes the state. Each step can be repeated, so a run that was interrupted goes on.
///
/// # Errors
/// With everything that is not clean, and the next command for each.
pub async fn complete(
    split: &Split,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<CompleteReport, RunError> {
    let record = match unless_stopped(stop, super::checks::check_split(split)).await {
        Err(RunError::Completed { .. }) => {
            return Ok(CompleteReport {
                already_completed: true,
                ..CompleteReport::default()
            });
        }
        checked => checked?,
    };
    if record.completing_ms.is_none() {
        refuse_unclean(&unless_stopped(stop, standing(split)).await?)?;
        // In one step: who switches tombstones on is refused from here on, and nobody who did so before is overlooked.
        let record = SplitRecord::change(&split.store, |record| {
            if record.switch.is_off() {
                record.completing_ms.get_or_insert_with(now_ms);
            }
        })
        .await?;
        if record.completing_ms.is_none() {
            return Err(RunError::Unclean {
                reasons: vec!["tombstones were switched on just now: let the command that did so end".into()],
            });
        }
    }
    fault::moment("complete.begun").await;
    tell("stopping the lanes");
    workers_gone(split, stop).await?;
    fault::moment("complete.workers-gone").await;
    // Nobody keeps letters any more, and all of them are settled.
    split.letters.forget_orphans().await?;
    let budgets = Budgets::new(split, None, None);
    budgets.read(&split.store).await?;
    let phase = Mutex::new("ending the services".to_owned());
    let say = |message: &str| {
        message.clone_into(&mut phase.lock().unwrap_or_else(PoisonError::into_inner));
        tell(message);
    };
    let doing = || {
        let phase = phase.lock().unwrap_or_else(PoisonError::into_inner);
        (phase.clone(), budgets.limits())
    };
    let ending = budgets.during(&split.store, Box::pin(end_services(split, &budgets, &say)));
    // Each of its steps can be repeated, and a strip is on the condition of what was read.
    let work = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RunError::Stopped(
                "completing was interrupted; the same command goes on".into(),
            )),
            report = ending => report,
            never = tell_limits(&budgets, tell) => match never {},
        }
    };
    let report = Box::pin(noted(&split.store, "complete", doing, work)).await?;
    SplitRecord::change(&split.store, |record| record.completed_ms = Some(now_ms())).await?;
    Ok(report)
}

/// Tells what limits the strips, when that changes. Never ends.
async fn tell_limits(budgets: &Budgets, tell: &(dyn Fn(&str) + Sync)) -> Infallible {
    let mut told = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let limits = budgets.limits();
        if limits != told {
            for (service, limit) in &limits {
                tell(&format!("{service}: limited by {limit}"));
            }
            told = limits;
        }
    }
}

/// Strips the stamps of every service, within the tuned budgets, and switches on what had to wait.
async fn end_services(
    split: &Split,
    budgets: &Budgets,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<CompleteReport, RunError> {
    let mut report = CompleteReport::default();
    for (service, tables) in split.services() {
        if service.version_fields(&split.plan.versions).live == VERSION_ATTRIBUTE {
            tell(&format!("stripping stamps from {}", service.table.name));
            let sweep = sweep_of(split, service, tables, budgets, &Brake::default());
            report
                .stripped
                .insert(service.name.clone(), sweep.versions().await?.removed);
        }
        match enable_ttl(&tables.control, &service.table).await? {
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
    }
    Ok(report)
}

fn refuse_unclean(standing: &Standing) -> Result<(), RunError> {
    if standing.obstacles.is_empty() {
        return Ok(());
    }
    Err(RunError::Unclean {
        reasons: standing.obstacles.iter().map(ToString::to_string).collect(),
    })
}

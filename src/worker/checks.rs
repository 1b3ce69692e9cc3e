//! Checks before any work: the split exists, and the plan is the one that it runs with.

use super::error::RunError;
use super::plan_change::plan_change;
use super::split::Split;
use crate::plan::Plan;
use crate::state::{ServiceRecord, SplitRecord};

/// Reads the split's record, and refuses a plan that was edited while the split runs, or a split that is over.
///
/// # Errors
/// With the next step; see [`RunError`].
pub async fn check_split(split: &Split) -> Result<SplitRecord, RunError> {
    let record = check_plan(split).await?;
    if record.completed_ms.is_some() {
        return Err(completed(split));
    }
    Ok(record)
}

/// Reads the split's record, and refuses a plan that was edited while the split runs. A split that is over is not
/// refused.
///
/// # Errors
/// With the next step; see [`RunError`].
pub(crate) async fn check_plan(split: &Split) -> Result<SplitRecord, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    refuse_abandoned(&split.plan, &record)?;
    differs(split, &record, &services(split).await?)?;
    Ok(record)
}

/// The error of a command that comes after `complete`.
pub(crate) fn completed(split: &Split) -> RunError {
    RunError::Completed {
        split: split.plan.split.clone(),
        state: split.plan.state_table.clone(),
    }
}

/// Refuses a plan that is not the one with which the split runs.
///
/// # Errors
/// With the first difference.
pub(crate) fn differs(split: &Split, record: &SplitRecord, known: &[ServiceRecord]) -> Result<(), RunError> {
    let plan = &split.plan;
    let change = plan_change(plan, record, known);
    if change.is_edited() {
        return Err(RunError::edited(change, split));
    }
    // An `apply` that died may have recorded a service that it did not add: the split's record names it last. For everybody but
    // `apply`, the split does not have this service.
    let added: Vec<ServiceRecord> = known
        .iter()
        .filter(|known| record.services.is_empty() || record.services.contains(&known.name))
        .cloned()
        .collect();
    let is_known = |name: &str| added.iter().any(|record| record.name == name);
    if let Some(service) = plan.services.iter().find(|service| !is_known(&service.name)) {
        return Err(RunError::UnknownService {
            service: service.name.clone(),
        });
    }
    if let Some(change) = change.widened {
        return Err(RunError::Widened {
            change: Box::new(change),
        });
    }
    if let Some(change) = change.outdated {
        tracing::warn!(
            "this plan is older than the split's: `left-behind` was widened since ({change}). What only the newer plan leaves \
             behind becomes a dead letter here; start this command again with the newer plan"
        );
    }
    check_left_out(plan, &added)
}

/// All services that the split knows.
///
/// # Errors
/// When the state can't be read.
pub async fn services(split: &Split) -> Result<Vec<ServiceRecord>, RunError> {
    let found = split.store.list::<ServiceRecord>(ServiceRecord::PREFIX).await?;
    Ok(found.into_iter().map(|(_, stored)| stored.value).collect())
}

/// Services that have not switched, and that have no pinned positions in the stream that is read now.
///
/// # Errors
/// If the state can't be read.
pub async fn uncaptured(split: &Split) -> Result<Vec<String>, RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let known = services(split).await?.into_iter();
    Ok(known
        .filter(|service| !record.has_captured(service) && !record.switched.contains_key(&service.name))
        .map(|service| service.name)
        .collect())
}

/// Refuses to continue a service or a split that was given up.
pub(crate) fn refuse_abandoned(plan: &Plan, record: &SplitRecord) -> Result<(), RunError> {
    if record.abandoned_ms.is_some() {
        return Err(RunError::SplitAbandoned {
            split: plan.split.clone(),
            state: plan.state_table.clone(),
        });
    }
    let mut services = plan.services.iter();
    match services.find(|service| record.abandoned.contains_key(&service.name)) {
        None => Ok(()),
        Some(service) => Err(RunError::ServiceAbandoned {
            service: service.name.clone(),
        }),
    }
}

/// A service that began can't just vanish from the plan: its lane would stop without a word.
pub(crate) fn check_left_out(plan: &Plan, known: &[ServiceRecord]) -> Result<(), RunError> {
    match known.iter().find(|record| plan.service(&record.name).is_none()) {
        None => Ok(()),
        Some(record) => Err(RunError::NotYet {
            what: format!(
                "the service '{}' is part of the split and missing in the plan",
                record.name
            ),
            next: format!(
                "put it back into the plan. To give the service up, run `dynasplit abandon --service {}` with a plan that has it \
                 (also if that command was interrupted)",
                record.name
            ),
        }),
    }
}

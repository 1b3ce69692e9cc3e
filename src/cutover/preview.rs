//! What `cutover` and `rollback` would do, for an operator who has not confirmed it yet.

use super::objection::Objection;
use super::options::{CutoverOptions, PreviewStep, RollbackOptions};
use super::prepare::preparation;
use super::run::{Wish, begins};
use crate::plan::{HookName, Plan};
use crate::state::{CutoverPhase, CutoverStep};
use crate::worker::{RunError, Split, check_split};
use serde::Serialize;

/// What a command would do.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// Its steps.
    pub steps: Vec<PreviewStep>,
    /// What would refuse it now.
    pub refused: Vec<String>,
    /// What would not refuse it, and what may go wrong.
    pub warnings: Vec<String>,
}

/// The steps of a cutover, and what would refuse it now. What it needs is tried without an effect.
///
/// # Errors
/// If the state cannot be read.
pub async fn preview_cutover(split: &Split, service: &str) -> Result<Preview, RunError> {
    let record = check_split(split).await?;
    let cancel = "`cutover --cancel`, without a loss";
    let rollback = "`rollback`, which carries the service's writes back";
    let steps = [
        (
            CutoverStep::Ready,
            vec![HookName::BeforeFence],
            "nothing to take back",
        ),
        (
            CutoverStep::Fence,
            vec![HookName::Fence, HookName::Fenced],
            cancel,
        ),
        (CutoverStep::Drain, vec![HookName::Drained], cancel),
        (CutoverStep::Check, vec![], cancel),
        (CutoverStep::Close, vec![], cancel),
        (CutoverStep::Pin, vec![HookName::BeforeSwitch], cancel),
        (CutoverStep::Reverse, vec![], cancel),
        (CutoverStep::Switch, vec![HookName::Switch], rollback),
        (CutoverStep::Switched, vec![HookName::Switched], rollback),
    ];
    let steps = steps.map(|(step, hooks, undo)| previewed(&split.plan, service, step, &hooks, undo));
    let wish = Wish::Cutover(CutoverOptions::default());
    let mut preview = Preview {
        steps: steps.into(),
        refused: reasons(Box::pin(begins(split, service, wish, &record)).await)?,
        warnings: Vec::new(),
    };
    let is_begun = record.cutover_phase(service) != CutoverPhase::Replicating;
    if !(is_begun || record.switched.contains_key(service)) {
        let found = Box::pin(preparation(split, service)).await?;
        for Objection { what, .. } in found.refused {
            if !preview.refused.contains(&what) {
                preview.refused.push(what);
            }
        }
        let warnings = found.warnings.into_iter();
        preview.warnings = warnings.map(|objection| objection.what).collect();
    }
    if split.events_are_planned(service) {
        preview.warnings.push(format!(
            "the events of {service} pause at the switch: what it writes to its own table is in no event (docs/events.md)"
        ));
    }
    Ok(preview)
}

/// The steps of a rollback, and what would refuse it now.
///
/// # Errors
/// If the state cannot be read.
pub async fn preview_rollback(split: &Split, service: &str, force: bool) -> Result<Preview, RunError> {
    let record = check_split(split).await?;
    let cancel = "`rollback --cancel`: the service continues with its own table";
    let cutover = "`cutover`, once more";
    let before = vec![HookName::BeforeRollback, HookName::FenceTarget];
    let steps = [
        (CutoverStep::FenceTarget, before, cancel),
        (CutoverStep::DrainBack, vec![], cancel),
        (CutoverStep::CheckBack, vec![], cancel),
        (CutoverStep::Reopen, vec![], cutover),
        (
            CutoverStep::Unfence,
            vec![HookName::Unfence, HookName::Rollback],
            cutover,
        ),
        (CutoverStep::RolledBack, vec![HookName::RolledBack], cutover),
    ];
    let steps = steps.map(|(step, hooks, undo)| previewed(&split.plan, service, step, &hooks, undo));
    let wish = RollbackOptions {
        force,
        ..RollbackOptions::default()
    };
    let refused = reasons(begins(split, service, Wish::Rollback(wish), &record).await)?;
    Ok(Preview {
        steps: steps.into(),
        refused,
        warnings: Vec::new(),
    })
}

fn previewed(plan: &Plan, service: &str, step: CutoverStep, hooks: &[HookName], undo: &str) -> PreviewStep {
    let stops = matches!(step, CutoverStep::Fence | CutoverStep::FenceTarget);
    let fence = plan.service(service).map(|service| plan.fence_of(service));
    let fence = fence.filter(|_| stops);
    let policy = fence.as_ref().and_then(|fence| fence.policy.as_ref());
    let puts = policy
        .map(|_| "puts a statement that denies writes into the resource policy of the table".to_owned());
    let manual = fence.as_ref().and_then(|fence| fence.manual.as_ref());
    let asks = manual.map(|what| format!("asks whether these writers are stopped: {what}"));
    let commands = hooks.iter().filter_map(|hook| {
        let command = plan.hooks.get(hook)?;
        Some(format!("runs {} (hook {hook})", command.program))
    });
    let does = std::iter::once(step.doing().to_owned())
        .chain(asks)
        .chain(commands)
        .chain(puts);
    PreviewStep {
        step: step.to_string(),
        does: does.collect::<Vec<_>>().join("; "),
        undo: undo.to_owned(),
    }
}

fn reasons(refused: Result<(), RunError>) -> Result<Vec<String>, RunError> {
    match refused {
        Ok(()) => Ok(Vec::new()),
        Err(RunError::Unclean { reasons }) => Ok(reasons),
        Err(error @ RunError::NotYet { .. }) => Ok(vec![error.to_string()]),
        Err(error) => Err(error),
    }
}

//! What `cutover` and `rollback` would do, for an operator who has not confirmed it yet.

use super::options::{CutoverOptions, PreviewStep, RollbackOptions};
use super::run::{Wish, begins};
use crate::plan::{HookName, Plan};
use crate::state::CutoverStep;
use crate::worker::{RunError, Split, check_split};

/// The steps of a cutover, and what would refuse it now.
///
/// # Errors
/// If the state cannot be read.
pub async fn preview_cutover(
    split: &Split,
    service: &str,
) -> Result<(Vec<PreviewStep>, Vec<String>), RunError> {
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
    let refused = reasons(begins(split, service, Wish::Cutover(CutoverOptions::default()), &record).await)?;
    Ok((steps.into(), refused))
}

/// The steps of a rollback, and what would refuse it now.
///
/// # Errors
/// If the state cannot be read.
pub async fn preview_rollback(
    split: &Split,
    service: &str,
    force: bool,
) -> Result<(Vec<PreviewStep>, Vec<String>), RunError> {
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
    let refused = reasons(begins(split, service, Wish::Rollback(RollbackOptions { force }), &record).await)?;
    Ok((steps.into(), refused))
}

fn previewed(plan: &Plan, service: &str, step: CutoverStep, hooks: &[HookName], undo: &str) -> PreviewStep {
    let stops = matches!(step, CutoverStep::Fence | CutoverStep::FenceTarget);
    let fence = plan.service(service).map(|service| plan.fence_of(service));
    let manual = fence.and_then(|fence| fence.manual).filter(|_| stops);
    let asks = manual.map(|what| format!("asks whether these writers are stopped: {what}"));
    let commands = hooks.iter().filter_map(|hook| {
        let command = plan.hooks.get(hook)?;
        Some(format!("runs {} (hook {hook})", command.program))
    });
    let does = std::iter::once(step.doing().to_owned())
        .chain(asks)
        .chain(commands);
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

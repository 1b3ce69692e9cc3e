//! The resource policy as a part of a fence.

use super::fence_parts::{Part, Side, raised, remember};
use super::work::Work;
use crate::fence::{FenceError, FencedTable, Lifted, RaisedPolicy, TablePolicy};
use crate::source::describe_source;
use crate::status::duration;
use crate::worker::RunError;
use std::time::Duration;

/// How often a policy is read again that somebody else changed meanwhile.
const ATTEMPTS: usize = 3;

/// Checks that the policy of a side can be put and proven; `None` if the plan has none. Changes nothing. A policy that an
/// earlier process has put, or was about to put, is continued.
pub(super) async fn prepare(work: &Work<'_>, side: Side) -> Result<Option<RaisedPolicy>, RunError> {
    let earlier = raised(work, side)?.into_iter().find_map(|part| match part {
        Part::Policy(raised) => Some(*raised),
        _ => None,
    });
    if earlier.is_some() {
        return Ok(earlier);
    }
    let arn = arn(work, side).await?;
    let Some(policy) = of(work, side, &arn).await? else {
        return Ok(None);
    };
    policy.prepare().await.map(Some).map_err(told)
}

/// Puts the policy, and shows that the probe roles are refused. It is in the journal before it is put, and after.
pub(super) async fn raise(
    work: &Work<'_>,
    side: Side,
    mut prepared: RaisedPolicy,
    prove_for: Duration,
) -> Result<(), RunError> {
    let arn = arn(work, side).await?;
    let Some(policy) = of(work, side, &arn).await? else {
        return Err(RunError::Failed(format!(
            "the plan has no policy for the fence of {} any more: use the plan of before, or cancel",
            work.name()
        )));
    };
    let mut attempts = 0;
    let put = loop {
        remember(work, side, &Part::Policy(Box::new(prepared.clone()))).await?;
        attempts += 1;
        match policy.raise(prepared.clone()).await {
            Err(FenceError::Changed { .. }) if attempts < ATTEMPTS => {
                // Nothing of ours may stay in a policy that is forgotten.
                policy.lift(&prepared).await.map_err(told)?;
                prepared = policy.prepare().await.map_err(told)?;
            }
            answer => break answer.map_err(told)?,
        }
    };
    remember(work, side, &Part::Policy(Box::new(put.clone()))).await?;
    work.journal.event("the resource policy was put", None).await?;
    let what = match policy.prove(&put, prove_for).await.map_err(told)? {
        None => {
            "the plan names no probe role for this table: the fence is proven by its stream alone".to_owned()
        }
        Some(proof) => {
            let last = proof.last_accepted_ms_ago.map_or_else(String::new, |ago| {
                format!("; the last one was accepted {} before", duration(ago))
            });
            format!(
                "{} probes were refused in a row, for {}{last}",
                proof.refused,
                duration(proof.refused_for_ms)
            )
        }
    };
    work.journal.event(&what, None).await
}

/// Takes the policy back, also one that was only about to be put.
pub(super) async fn lift(work: &Work<'_>, side: Side, raised: &RaisedPolicy) -> Result<(), RunError> {
    let arn = arn(work, side).await?;
    let Some(policy) = of(work, side, &arn).await? else {
        return Err(RunError::Failed(format!(
            "the policy of {arn} is up, and the plan names none any more: use the plan of before"
        )));
    };
    let what = match policy.lift(raised).await.map_err(told)? {
        Lifted::Restored => "the table has the resource policy of before the fence",
        Lifted::Removed => {
            "the statement of the fence was removed; somebody else changed the resource policy meanwhile"
        }
        Lifted::WasNotUp => "the resource policy of the fence was not up",
    };
    work.journal.event(what, None).await
}

async fn of<'w>(work: &Work<'w>, side: Side, arn: &'w str) -> Result<Option<TablePolicy<'w>>, RunError> {
    let fenced = match side {
        Side::Source => FencedTable::Source,
        Side::Target => FencedTable::Target,
    };
    let split = work.split;
    let policy = TablePolicy::of(&split.clients, &split.plan, work.service, fenced, arn);
    Box::pin(policy).await.map_err(told)
}

/// ARN of the table.
async fn arn(work: &Work<'_>, side: Side) -> Result<String, RunError> {
    let facts = match side {
        Side::Source => describe_source(&work.split.source.control, &work.split.plan.source.table).await?,
        Side::Target => describe_source(&work.tables.control, &work.service.table.name).await?,
    };
    Ok(facts.arn)
}

fn told(error: FenceError) -> RunError {
    RunError::Failed(error.to_string())
}

//! The fence of a service, and the hooks of the plan.
//!
//! The parts of a fence are raised in this order: what a person stops, the hook, the policy. They are lifted in the reverse
//! order. Each part is in the journal before it is raised, so that a later process lifts what an earlier one has begun.

use super::fence_parts::{self, Part, Side};
use super::work::Work;
use super::{drain, policy};
use crate::fault::{Rule, broken};
use crate::fence::run_hook;
use crate::plan::{Fence, FenceScope, HookName, Plan, Service};
use crate::state::SplitRecord;
use crate::status::{duration, own_changes, received, reverse_state, split_status_with_worker};
use crate::worker::{RunError, pause};
use std::time::Duration;
use tokio::time::Instant;

/// For how long writes may still arrive after the fence was raised, before it counts as ignored. A feature flag needs time to
/// reach every writer.
const LONGEST_PROOF: Duration = Duration::from_secs(60);

/// Runs a hook of the plan. Returns whether the plan has it.
pub(super) async fn hook(work: &Work<'_>, hook: HookName) -> Result<bool, RunError> {
    match run_hook(&work.split.plan, work.service, work.epoch(), hook).await {
        Ok(None) => Ok(false),
        Ok(Some(run)) => {
            let what = format!("the hook `{hook}` succeeded after {}", duration(run.ms));
            work.journal.event(&what, Some(run.output)).await?;
            Ok(true)
        }
        Err(error) => {
            let output = error.output().to_owned();
            work.journal.event(&error.to_string(), Some(output)).await?;
            Err(RunError::Failed(error.to_string()))
        }
    }
}

/// Runs the hook that reports a step that failed. Call it when the service can write again, or when nothing is cancelled: the hook
/// must not make a pause longer. If it fails, this changes nothing: the operator learns of the step anyway.
pub(super) async fn report_failure(work: &Work<'_>) {
    if work.journal.record().problem.is_none() {
        return;
    }
    if let Err(error) = hook(work, HookName::Failed).await {
        (work.operator.tell)(&error.to_string());
    }
}

/// The parts that the plan names for a side, without the policy.
fn parts(work: &Work<'_>, side: Side) -> Vec<Part> {
    let fence = work.split.plan.fence_of(work.service);
    let by_hook = work.split.plan.hooks.contains_key(&stops(side));
    let manual = fence.manual.iter().map(|_| Part::Manual);
    manual.chain(by_hook.then_some(Part::Hook)).collect()
}

fn stops(side: Side) -> HookName {
    match side {
        Side::Source => HookName::Fence,
        Side::Target => HookName::FenceTarget,
    }
}

fn lifts(side: Side) -> HookName {
    match side {
        Side::Source => HookName::Unfence,
        Side::Target => HookName::UnfenceTarget,
    }
}

/// Why the plan does not say how the writers of a service stop; nothing if it does.
pub(super) fn missing(plan: &Plan, service: &Service) -> Vec<String> {
    let hooks = plan.unfenced(service).into_iter();
    hooks
        .map(|hook| {
            format!(
                "the plan does not say how the writers of {} stop: add the hook `{hook}`, or `policy` or `manual` to `fence`",
                service.name
            )
        })
        .collect()
}

/// Stops the writers of one side, and proves that nothing arrives any more. Returns the moment from which on nothing arrived,
/// in milliseconds since 1970.
pub(super) async fn raise(work: &Work<'_>, side: Side) -> Result<u64, RunError> {
    let fence = work.split.plan.fence_of(work.service);
    // What cannot be put or proven is told before anybody is stopped.
    let policy = Box::pin(policy::prepare(work, side)).await?;
    for part in parts(work, side) {
        fence_parts::remember(work, side, &part).await?;
        match part {
            Part::Manual => confirm(work, &fence).await?,
            Part::Hook => {
                hook(work, stops(side)).await?;
            }
            Part::Policy(_) => {}
        }
    }
    if let Some(prepared) = policy {
        Box::pin(policy::raise(work, side, prepared, fence.prove_for)).await?;
    }
    Box::pin(prove(work, side, &fence)).await
}

/// Asks the operator whether the writers have stopped that only a person can stop.
async fn confirm(work: &Work<'_>, fence: &Fence) -> Result<(), RunError> {
    let Some(what) = &fence.manual else { return Ok(()) };
    let asked = format!("stop these writers of {} now: {what}", work.name());
    if let Some(confirm) = work.operator.confirm {
        let is_so = tokio::select! {
            biased;
            () = work.stop.cancelled() => return pause(Duration::ZERO, work.stop).await,
            is_so = confirm(&asked) => is_so,
        };
        if is_so {
            return Ok(());
        }
    }
    Err(RunError::Failed(format!(
        "nobody confirmed that these writers are stopped: {what}. Confirm it on the terminal, or with --stopped"
    )))
}

/// The fence holds when nothing of the service arrived for a while after it was raised. This rests on the stream: every write
/// from before the end of that time was read.
async fn prove(work: &Work<'_>, side: Side, fence: &Fence) -> Result<u64, RunError> {
    if broken(Rule::FenceProven) {
        return drain::now_of_workers(work).await;
    }
    let began = Instant::now();
    let for_ms = u64::try_from(fence.prove_for.as_millis()).unwrap_or(u64::MAX);
    loop {
        let from_ms = drain::now_of_workers(work).await?;
        drained(work, side, from_ms).await?;
        let before = arrived(work, side).await?;
        let (since_ms, until_ms) = silence(from_ms, complete_to(work, side).await?, for_ms);
        drained(work, side, until_ms).await?;
        let after = arrived(work, side).await?;
        if before == after {
            let what = format!("nothing arrived for {}: the fence holds", duration(for_ms));
            work.journal.event(&what, None).await?;
            return Ok(since_ms);
        }
        let late = after.saturating_sub(before);
        if began.elapsed() > LONGEST_PROOF {
            return Err(RunError::Failed(format!(
                "{late} writes of {} arrived after the fence was raised, so a writer ignores it. Find it, stop it, and run this \
                 command again",
                work.name()
            )));
        }
        (work.operator.tell)(&format!(
            "{late} writes of {} arrived after the fence was raised; proving it again",
            work.name()
        ));
    }
}

/// When the time begins in which nothing may arrive, and when it ends. A lane that is behind may pass the whole time at once, so
/// the time begins where the count of what has arrived ends.
fn silence(from_ms: u64, counted_to_ms: u64, for_ms: u64) -> (u64, u64) {
    let since_ms = from_ms.max(counted_to_ms);
    (since_ms, since_ms.saturating_add(for_ms))
}

async fn drained(work: &Work<'_>, side: Side, until_ms: u64) -> Result<(), RunError> {
    match side {
        Side::Source => drain::forward(work, until_ms).await,
        Side::Target => drain::back(work, until_ms).await,
    }
}

/// The moment up to which every write of the service has arrived; 0 if that is not known.
async fn complete_to(work: &Work<'_>, side: Side) -> Result<u64, RunError> {
    let moment = match side {
        Side::Source => {
            let status = split_status_with_worker(work.split).await?;
            let lanes = status.lanes.iter();
            let lag = lanes
                .filter(|lane| lane.lane == work.name())
                .find_map(|lane| lane.lag_ms);
            lag.map(|lag| status.read_ms.saturating_sub(lag))
        }
        Side::Target => {
            reverse_state(work.split, work.name(), work.epoch())
                .await?
                .complete_to_ms
        }
    };
    Ok(moment.unwrap_or(0))
}

/// How many changes of the service have arrived.
async fn arrived(work: &Work<'_>, side: Side) -> Result<u64, RunError> {
    match side {
        Side::Source => {
            let record = SplitRecord::read(&work.split.store).await?.value;
            let split = work.split.without_switched(&record);
            if work.service.copies_everything() {
                // The writers of others go on.
                return Ok(own_changes(&split, &record, work.name()).await?);
            }
            let received = received(&split, &record).await?;
            let count = received.and_then(|received| received.changes.get(work.name()).copied());
            Ok(count.unwrap_or(0))
        }
        Side::Target => Ok(reverse_state(work.split, work.name(), work.epoch())
            .await?
            .received),
    }
}

/// Lifts what is up on one side. A part that was only about to be raised is lifted, too.
pub(super) async fn lift(work: &Work<'_>, side: Side) -> Result<(), RunError> {
    while let Some(part) = fence_parts::raised(work, side)?.pop() {
        match part {
            Part::Manual => (work.operator.tell)(&format!(
                "the writers of {} that a person stopped may write {} again",
                work.name(),
                match side {
                    Side::Source => &work.split.plan.source.table,
                    Side::Target => &work.service.table.name,
                }
            )),
            Part::Hook => {
                hook(work, lifts(side)).await?;
            }
            Part::Policy(raised) => Box::pin(policy::lift(work, side, &raised)).await?,
        }
        fence_parts::forget_last(work, side).await?;
    }
    Ok(())
}

/// The service writes its own table. A policy that stops the writers of every service is lifted now, because the other services
/// still write the source. From then on, only the watcher of stray writes notices a forgotten writer of this service.
pub(super) async fn lift_for_others(work: &Work<'_>) -> Result<(), RunError> {
    let (source, fence) = (
        &work.split.plan.source.table,
        work.split.plan.fence_of(work.service),
    );
    let stops_all = fence
        .policy
        .as_ref()
        .is_some_and(|policy| policy.scope == FenceScope::Table);
    let raised = fence_parts::raised(work, Side::Source)?;
    if let (true, Some(Part::Policy(policy))) = (stops_all, raised.last()) {
        Box::pin(policy::lift(work, Side::Source, policy)).await?;
        fence_parts::forget_last(work, Side::Source).await?;
        (work.operator.tell)(&format!(
            "the other services may write {source} again: its policy stopped all writers, and is lifted. If a writer of {} was \
             forgotten, its writes are reported as stray writes",
            work.name()
        ));
    }
    if raised.contains(&Part::Manual) {
        (work.operator.tell)(&format!(
            "the writers that a person stopped may write again: what they write of {} goes to its own table, {}, and the rest \
             to {source}",
            work.name(),
            work.service.table.name
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_is_behind_and_passes_the_whole_time_at_once_proves_nothing() {
        assert_eq!(silence(1_000, 1_200, 500), (1_200, 1_700));
        let (since_ms, until_ms) = silence(1_000, 9_000, 500);
        assert!(
            since_ms >= 9_000 && until_ms >= 9_500,
            "a write after the count is in the time"
        );
        assert_eq!(silence(1_000, 0, 500), (1_000, 1_500));
    }
}

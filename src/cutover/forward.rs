//! The steps of a cutover.

use super::beside::beside;
use super::changed::{self, Changed};
use super::checks::{busy, compare, refuse_unproven};
use super::fence_parts::Side;
use super::options::CutoverOptions;
use super::work::{Work, millis};
use super::{canary, drain, fencing, hold, ready};
use crate::fault::{self, Rule, broken};
use crate::plan::{DrainBy, HookName};
use crate::source::ensure_stream;
use crate::state::{CutoverPhase, CutoverStep, Pause, SplitRecord};
use crate::tail::TipReader;
use crate::worker::RunError;

/// Begins a cutover in the journal.
pub(super) async fn begin(
    work: &Work<'_>,
    options: CutoverOptions,
    record: &SplitRecord,
) -> Result<(), RunError> {
    let epoch = record
        .cutovers
        .get(work.name())
        .map_or(1, |state| state.epoch + 1);
    let now = work.split.now_ms();
    work.journal
        .change(|journal| {
            journal.epoch = epoch;
            journal.began_ms = now;
            journal.max_pause_ms = options.max_pause.map(millis);
            journal.pause = None;
            journal.problem = None;
        })
        .await?;
    hold::begun(work, CutoverStep::Ready).await
}

/// Everything that takes time is done before a writer is stopped.
pub(super) async fn ready(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    ready::refuse(work.split, work.name()).await?;
    ensure_stream(&work.tables.control, &work.service.table.name).await?;
    // The pause does not pay for the changes since the last verify, nor for the records of 24 hours.
    let (mut reader, mut changed) = (tip(work).await?, Changed::since_verify(&work.compared()).await?);
    changed.follow(&work.compared(), &mut reader).await?;
    *work.tip.lock().await = Some(reader);
    *work.changed.lock().await = Some(changed);
    if work.split.plan.drain.by == DrainBy::Canary {
        canary::tried(work).await?;
    }
    fencing::hook(work, HookName::BeforeFence).await?;
    let now = work.split.now_ms();
    work.journal
        .change(|record| {
            record.pause = Some(Pause {
                from_ms: now,
                last_write_ms: None,
                proven_ms: None,
                until_ms: None,
            });
        })
        .await?;
    Ok(CutoverStep::Fence)
}

/// Stops the writers of the source, and proves it.
pub(super) async fn fence(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let (epoch, mut begun) = (work.epoch(), None);
    SplitRecord::change(&work.split.store, |record| {
        begun = record.begin_cutover(work.name(), work.split.now_ms());
    })
    .await?;
    match begun {
        None => return Err(busy(work.name())),
        Some(state) if state.epoch != epoch || state.phase != CutoverPhase::Fenced => {
            return Err(RunError::Failed(format!(
                "the split's record shows cutover {} of {} ({}), and the journal cutover {epoch}",
                state.epoch,
                work.name(),
                state.phase
            )));
        }
        Some(_) => {}
    }
    fault::moment("cutover.fencing").await;
    // From then on, nothing arrived, so this is what has to be drained. The proof has read further already.
    let proven_ms = beside(work, Box::pin(fencing::raise(work, Side::Source))).await?;
    work.journal
        .change(|record| {
            if let Some(pause) = &mut record.pause {
                pause.proven_ms = Some(proven_ms);
            }
        })
        .await?;
    fencing::hook(work, HookName::Fenced).await?;
    Ok(CutoverStep::Drain)
}

/// The forward lane applies what was accepted before the fence.
pub(super) async fn drain(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let proven_ms = work.journal.record().pause.and_then(|pause| pause.proven_ms);
    beside(work, Box::pin(drain::fenced(work, Side::Source, proven_ms))).await?;
    fencing::hook(work, HookName::Drained).await?;
    Ok(CutoverStep::Check)
}

/// Nothing is repaired under the fence: a copy that is not clean cancels the cutover.
pub(super) async fn check(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    refuse_unproven(work.split, work.name()).await?;
    if broken(Rule::CheckedUnderFence) {
        return Ok(CutoverStep::Close);
    }
    if work.full_check {
        compare(work.split, work.name(), work.stop).await?;
    } else {
        let mut changed = changed(work).await?;
        changed.settle(&work.compared()).await?;
        *work.changed.lock().await = Some(changed);
    }
    Ok(CutoverStep::Close)
}

/// Closes the forward lane. When this returns, no worker writes the target, and no request from before can land.
pub(super) async fn close(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let (epoch, now) = (work.epoch(), work.split.now_ms());
    let verified_ms = crate::status::split_status(work.split)
        .await?
        .verify
        .and_then(|verify| verify.last_clean_ms);
    let mut closed = None;
    let record = SplitRecord::change(&work.split.store, |record| {
        let is_ours = record
            .cutovers
            .get(work.name())
            .is_some_and(|state| state.epoch == epoch && state.phase == CutoverPhase::Fenced);
        closed = match record.completing_ms {
            None if is_ours => record.switch_service(work.name(), now, verified_ms),
            _ => None,
        };
    })
    .await?;
    super::checks::refuse_completing(&record)?;
    let Some(closed) = closed else {
        return Err(busy(work.name()));
    };
    fault::moment("cutover.closed").await;
    if !broken(Rule::CloseAcknowledged) {
        drain::acknowledged(work, closed.epoch).await?;
    }
    fault::moment("cutover.close-acknowledged").await;
    Ok(CutoverStep::Pin)
}

/// The way back begins at the tip of the target's stream.
pub(super) async fn pin(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let mut reader = tip(work).await?;
    let pin = Box::pin(drain::pinned(work, &mut reader)).await?;
    if !work.full_check && !broken(Rule::CheckedUnderFence) {
        let keys = reader.keys.take();
        changed(work).await?.settle_target(&work.compared(), keys).await?;
    }
    pin.write_once(&work.split.store, work.name()).await?;
    fault::moment("cutover.pinned").await;
    fencing::hook(work, HookName::BeforeSwitch).await?;
    Ok(CutoverStep::Reverse)
}

/// The reader of the target's stream: the one that `ready` has opened, or a new one if another process did that step.
async fn tip(work: &Work<'_>) -> Result<TipReader, RunError> {
    match work.tip.lock().await.take() {
        Some(reader) => Ok(reader),
        None => changed::tip(&work.compared()).await,
    }
}

/// The changes since the last verify: as `ready` has read them, or from the beginning if another process did that step.
async fn changed(work: &Work<'_>) -> Result<Changed, RunError> {
    match work.changed.lock().await.take() {
        Some(changed) => Ok(changed),
        None => Changed::since_verify(&work.compared()).await,
    }
}

/// The reverse lane runs before a writer can write the target.
pub(super) async fn reverse(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    work.move_to(CutoverPhase::Fenced, CutoverPhase::Switching)
        .await?;
    fault::moment("cutover.switching").await;
    drain::reverse_runs(work).await?;
    Ok(CutoverStep::Switch)
}

/// The switch hook moves the writers. It may have moved some of them when it fails, so only a rollback goes back from here.
pub(super) async fn switch(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    if work.phase().await? == CutoverPhase::Switching {
        // The fence of an earlier rollback.
        fencing::lift(work, Side::Target).await?;
        if !fencing::hook(work, HookName::Switch).await? {
            (work.operator.tell)(&format!(
                "let {} write its own table now: {}",
                work.name(),
                work.service.table.name
            ));
        }
        fault::moment("cutover.hook-done").await;
        work.end_pause().await?;
        work.move_to(CutoverPhase::Switching, CutoverPhase::Switched)
            .await?;
    }
    fault::moment("cutover.switched").await;
    fencing::lift_for_others(work).await?;
    fencing::hook(work, HookName::Switched).await?;
    canary::removed(work).await?;
    Ok(CutoverStep::Switched)
}

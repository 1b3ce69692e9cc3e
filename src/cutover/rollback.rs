//! The steps of a rollback.

use super::beside::beside;
use super::changed::Changed;
use super::checks::{busy, compare, losses, passed, refuse_completing, reverse};
use super::fence_parts::Side;
use super::options::RollbackOptions;
use super::work::{Work, millis};
use super::{canary, drain, fencing, hold};
use crate::fault::{self, Rule, broken};
use crate::plan::HookName;
use crate::state::{CutoverPhase, CutoverStep, Pause, RepairScope, SplitRecord};
use crate::worker::{RunError, Split};

/// Refuses a rollback that would lose writes, before anything is stopped.
pub(super) async fn refuse(split: &Split, service: &str, force: bool) -> Result<(), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    refuse_completing(&record)?;
    if !record.switch.is_off_for(service) && record.cutover_phase(service) != CutoverPhase::FencedForRollback
    {
        return Err(busy(service));
    }
    let mut reasons = losses(service, &reverse(split, service).await?);
    if reasons.is_empty() || force {
        return Ok(());
    }
    reasons.push(format!(
        "to list them, run `dynasplit reverse list --service {service}`. To go back without them, run `dynasplit rollback \
         --service {service} --force --yes`: the source then counts, and a repair is mandatory"
    ));
    Err(RunError::Unclean { reasons })
}

/// Begins a rollback in the journal.
pub(super) async fn begin(work: &Work<'_>, options: RollbackOptions) -> Result<(), RunError> {
    let now = work.split.now_ms();
    // The pause does not pay for the changes since the switch.
    if let Some(mut changed) = Changed::since_switch(&work.compared(), work.epoch()).await? {
        changed.follow_back(&work.compared()).await?;
        *work.changed.lock().await = Some(changed);
    }
    fencing::hook(work, HookName::BeforeRollback).await?;
    work.journal
        .change(|journal| {
            journal.began_ms = now;
            journal.max_pause_ms = options.max_pause.map(millis);
            journal.problem = None;
            journal.pause = Some(Pause {
                from_ms: work.split.now_ms(),
                last_write_ms: None,
                proven_ms: None,
                until_ms: None,
            });
        })
        .await?;
    hold::begun(work, CutoverStep::FenceTarget).await
}

/// Stops the writers of the target, and proves it.
pub(super) async fn fence(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let (epoch, mut begun) = (work.epoch(), false);
    let record = SplitRecord::change(&work.split.store, |record| {
        begun =
            record.completing_ms.is_none() && record.begin_rollback(work.name(), epoch, work.split.now_ms());
    })
    .await?;
    refuse_completing(&record)?;
    if !begun {
        return Err(busy(work.name()));
    }
    fault::moment("rollback.fencing").await;
    // From then on, nothing arrived, so this is what has to be drained. The proof has read further already.
    let proven_ms = beside(work, Box::pin(fencing::raise(work, Side::Target))).await?;
    work.journal
        .change(|record| {
            if let Some(pause) = &mut record.pause {
                pause.proven_ms = Some(proven_ms);
            }
        })
        .await?;
    Ok(CutoverStep::DrainBack)
}

/// The reverse lane carries back what was accepted before the fence, and the watcher of the source passes it.
pub(super) async fn drain(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let proven_ms = work.journal.record().pause.and_then(|pause| pause.proven_ms);
    beside(work, Box::pin(drain::fenced(work, Side::Target, proven_ms))).await?;
    fault::moment("rollback.drained").await;
    Ok(CutoverStep::CheckBack)
}

/// Nothing of the service is missing in the source, and nobody else wrote there.
pub(super) async fn check(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let reasons = losses(work.name(), &reverse(work.split, work.name()).await?);
    if work.force {
        return Ok(CutoverStep::Reopen);
    }
    if !reasons.is_empty() {
        return Err(RunError::Unclean { reasons });
    }
    if work.full_check {
        compare(work.split, work.name(), work.stop).await?;
    } else {
        let found = match work.changed.lock().await.take() {
            Some(changed) => Some(changed),
            // Another process did the steps before.
            None => Changed::since_switch(&work.compared(), work.epoch()).await?,
        };
        if let Some(mut changed) = found {
            changed.settle(&work.compared()).await?;
        }
    }
    Ok(CutoverStep::Reopen)
}

/// Opens the forward lane again, and ends the reverse lane, in one step. The application may write the source only when every
/// worker has acknowledged this.
pub(super) async fn reopen(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let (epoch, service) = (work.epoch(), work.name());
    // Who forces it knows that something is missing, also if no list names it.
    let lost = work.force || !losses(service, &reverse(work.split, service).await?).is_empty();
    let mut obeyed = None;
    SplitRecord::change(&work.split.store, |record| {
        let was_closed = record.switched.contains_key(service);
        obeyed = record.reopen_lane(service, epoch, CutoverPhase::Replicating, work.split.now_ms());
        let has_copies = work.service.copies_everything() && !broken(Rule::CopiesRepaired);
        if obeyed.is_some() && was_closed && has_copies {
            record.require_repair(&passed(service), [service], RepairScope::AnyItem);
        }
        if obeyed.is_some() && was_closed && lost {
            // The target holds writes that the source lacks, or lacks writes of others.
            let reason = format!("the rollback of {service} was forced");
            record.require_repair(&reason, [service], RepairScope::AnyItem);
        }
    })
    .await?;
    fault::moment("rollback.reopened").await;
    let Some(obeyed) = obeyed else {
        return Err(busy(service));
    };
    if !broken(Rule::ReopenAcknowledged) {
        drain::acknowledged(work, obeyed).await?;
    }
    fault::moment("rollback.reopen-acknowledged").await;
    Ok(CutoverStep::Unfence)
}

/// Lifts the source's fence, and moves the writers back. The target's fence stays: a forgotten writer gets an error.
pub(super) async fn unfence(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    fencing::lift(work, Side::Source).await?;
    if !fencing::hook(work, HookName::Rollback).await? {
        (work.operator.tell)(&format!(
            "let {} write the source again: {}",
            work.name(),
            work.split.plan.source.table
        ));
    }
    work.end_pause().await?;
    fault::moment("rollback.unfenced").await;
    fencing::hook(work, HookName::RolledBack).await?;
    canary::removed(work).await?;
    Ok(CutoverStep::RolledBack)
}

/// Lifts the target's fence: the service continues to write its own table.
pub(super) async fn cancel_lift(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    fencing::lift(work, Side::Target).await?;
    work.end_pause().await?;
    let epoch = work.epoch();
    SplitRecord::change(&work.split.store, |record| {
        let (from, to) = (CutoverPhase::FencedForRollback, CutoverPhase::Switched);
        record.move_cutover(work.name(), epoch, from, to, work.split.now_ms());
    })
    .await?;
    fault::moment("rollback.cancelled").await;
    fencing::report_failure(work).await;
    canary::removed(work).await?;
    Ok(CutoverStep::RollbackCancelled)
}

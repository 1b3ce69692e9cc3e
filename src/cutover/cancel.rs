//! The cancel of a cutover: the forward lane is open again before the source's fence is lifted.

use super::checks::{busy, passed, reverse};
use super::fence_parts::Side;
use super::work::Work;
use super::{canary, drain, fencing};
use crate::fault::{self, Rule, broken};
use crate::plan::HookName;
use crate::state::{CutoverPhase, CutoverStep, RepairScope, SplitRecord};
use crate::worker::RunError;

/// Opens the forward lane again, if it was closed. When this returns, every worker applies what it reads.
pub(super) async fn reopen(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let record = SplitRecord::read(&work.split.store).await?.value;
    let (epoch, service) = (work.epoch(), work.name());
    let is_ours = record
        .cutovers
        .get(service)
        .is_some_and(|state| state.epoch == epoch && state.phase != CutoverPhase::Replicating);
    if !is_ours {
        return Ok(CutoverStep::CancelLift);
    }
    // While the lane was closed, it passed the writes of others without applying them.
    let strays = reverse(work.split, service).await?.strays.len();
    let mut obeyed = None;
    SplitRecord::change(&work.split.store, |record| {
        let was_closed = record.switched.contains_key(service);
        obeyed = record.reopen_lane(service, epoch, CutoverPhase::Fenced, work.split.now_ms());
        let has_copies = work.service.copies_everything() && !broken(Rule::CopiesRepaired);
        if obeyed.is_some() && was_closed && has_copies {
            record.require_repair(&passed(service), [service], RepairScope::LostChanges);
        }
        if obeyed.is_some() && was_closed && strays > 0 && !broken(Rule::ReopenRepairs) {
            let reason = format!("the source was written while the lane of {service} was closed");
            record.require_repair(&reason, [service], RepairScope::LostChanges);
        }
    })
    .await?;
    fault::moment("cutover.reopened").await;
    let Some(obeyed) = obeyed else {
        return Err(busy(service));
    };
    drain::acknowledged(work, obeyed).await?;
    Ok(CutoverStep::CancelLift)
}

/// Lifts the fence. The service writes the source again.
pub(super) async fn lift(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    fencing::lift(work, Side::Source).await?;
    work.end_pause().await?;
    let epoch = work.epoch();
    SplitRecord::change(&work.split.store, |record| {
        record.move_cutover(
            work.name(),
            epoch,
            CutoverPhase::Fenced,
            CutoverPhase::Replicating,
            work.split.now_ms(),
        );
    })
    .await?;
    fault::moment("cutover.lifted").await;
    fencing::report_failure(work).await;
    fencing::hook(work, HookName::Cancelled).await?;
    canary::removed(work).await?;
    Ok(CutoverStep::Cancelled)
}

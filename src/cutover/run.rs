//! The commands: each takes the journal, and works step by step until nothing is left to do.

use super::checks::refuse_completing;
use super::journal::Journal;
use super::max_pause::within_pause;
use super::options::{
    CompleteServiceOptions, CutoverOptions, CutoverReport, Operator, RollbackOptions, ServiceEnd,
};
use super::work::{Work, millis};
use super::{cancel, complete, fencing, forward, hold, ready, rollback as back};
use crate::fault;
use crate::plan::Service;
use crate::state::{CutoverPhase, CutoverRecord, CutoverStep, SplitRecord};
use crate::worker::{ActivityNote, RunError, Split, check_split, with_activity_notes};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// What a command wants to do with a service's cutover.
#[derive(Clone, Copy)]
pub(super) enum Wish {
    Cutover(CutoverOptions),
    Cancel,
    Rollback(RollbackOptions),
    CancelRollback,
    Complete(CompleteServiceOptions),
}

/// Cuts a service over to its own table, or continues a cutover that was interrupted.
///
/// # Errors
/// If something is in the way and nothing was begun, or if the switch hook failed. A failure before the switch hook is no
/// error: the cutover is cancelled, and the report says why.
pub async fn cutover(
    split: &Split,
    service: &str,
    options: CutoverOptions,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<CutoverReport, RunError> {
    let done = Box::pin(command(split, service, Wish::Cutover(options), operator, stop)).await?;
    Ok(done.0)
}

/// Cancels a cutover, before the switch hook.
///
/// # Errors
/// If there is none, or if it can only be rolled back.
pub async fn cancel_cutover(
    split: &Split,
    service: &str,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<CutoverReport, RunError> {
    let done = Box::pin(command(split, service, Wish::Cancel, operator, stop)).await?;
    Ok(done.0)
}

/// Moves the writes of a service back to the source, with everything that it wrote to its table.
///
/// # Errors
/// If writes of the service could not be carried back, unless it is forced.
pub async fn rollback(
    split: &Split,
    service: &str,
    options: RollbackOptions,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<CutoverReport, RunError> {
    let done = Box::pin(command(split, service, Wish::Rollback(options), operator, stop)).await?;
    Ok(done.0)
}

/// Cancels a rollback, before the forward lane is opened again.
///
/// # Errors
/// If there is none, or if it is too late.
pub async fn cancel_rollback(
    split: &Split,
    service: &str,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<CutoverReport, RunError> {
    let done = Box::pin(command(split, service, Wish::CancelRollback, operator, stop)).await?;
    Ok(done.0)
}

/// Completes a service that was cut over: its way back ends when everything is in the source, and dynasplit removes what it left
/// in the items. The other services continue.
///
/// # Errors
/// If the way back is not complete, or if another service still receives items of this one, unless the options accept it.
pub async fn complete_service(
    split: &Split,
    service: &str,
    options: CompleteServiceOptions,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<ServiceEnd, RunError> {
    let done = Box::pin(command(split, service, Wish::Complete(options), operator, stop)).await?;
    Ok(done.1)
}

async fn command(
    split: &Split,
    service: &str,
    wish: Wish,
    operator: &Operator<'_>,
    stop: &CancellationToken,
) -> Result<(CutoverReport, ServiceEnd), RunError> {
    let record = check_split(split).await?;
    refuse_completing(&record)?;
    let (planned, tables) = split.target(service).ok_or_else(|| RunError::NoSuchService {
        service: service.to_owned(),
        known: split.plan.service_names().join(", "),
    })?;
    // A command that refuses leaves no journal.
    Box::pin(begins(split, service, wish, &record)).await?;
    if operator.confirm.is_none() {
        nobody_to_ask(split, planned, wish, &record).await?;
    }
    let journal = Box::pin(Journal::take(split, service, &operator.name, stop)).await?;
    let options = match wish {
        Wish::Cutover(options) => options,
        _ => CutoverOptions::default(),
    };
    let back = match wish {
        Wish::Rollback(options) => options,
        _ => RollbackOptions::default(),
    };
    let work = Work {
        split,
        service: planned,
        tables,
        journal: &journal,
        operator,
        stop,
        force: back.force,
        full_check: options.full_check || back.full_check,
        end: match wish {
            Wish::Complete(options) => options,
            _ => CompleteServiceOptions::default(),
        },
        ended: std::sync::Mutex::default(),
        tip: tokio::sync::Mutex::default(),
        changed: tokio::sync::Mutex::default(),
    };
    let doing = || {
        let record = journal.record();
        let held = record
            .hold
            .map(|hold| format!("; {} holds the next step", hold.operator));
        let phase = format!("{service}: {}{}", record.step.doing(), held.unwrap_or_default());
        ActivityNote::new(split.waits.beside(&phase), BTreeMap::new())
    };
    let doing_it = journal.during(Box::pin(wished(&work, wish)));
    let done = with_activity_notes(split, "cutover", doing, Box::pin(doing_it)).await;
    let done = done.map(|report| {
        let ended = complete::report(&work, report.already);
        (report, ended)
    });
    drop(work);
    journal.release().await;
    done
}

/// Where the service is, by the journal and by the split's record.
struct Stand {
    phase: CutoverPhase,
    journal: CutoverRecord,
}

async fn stand(split: &Split, service: &str, record: &SplitRecord) -> Result<Stand, RunError> {
    let journal = split
        .store
        .get::<CutoverRecord>(&CutoverRecord::record_name(service))
        .await?;
    Ok(Stand {
        phase: record.cutover_phase(service),
        journal: journal.map_or_else(
            || CutoverRecord::new(service, split.now_ms()),
            |stored| stored.value,
        ),
    })
}

/// Refuses a command that would ask a person, before it does anything: nobody can be asked.
async fn nobody_to_ask(
    split: &Split,
    service: &Service,
    wish: Wish,
    record: &SplitRecord,
) -> Result<(), RunError> {
    let Some(what) = split.plan.fence_of(service).manual else {
        return Ok(());
    };
    let Stand { phase, journal } = stand(split, &service.name, record).await?;
    let step = journal.step;
    let asks = match wish {
        Wish::Cutover(_) => {
            step <= CutoverStep::Fence || step.is_over() && phase == CutoverPhase::Replicating
        }
        Wish::Rollback(_) => {
            !step.is_of_rollback() || matches!(step, CutoverStep::FenceTarget | CutoverStep::RolledBack)
        }
        Wish::Cancel | Wish::CancelRollback | Wish::Complete(_) => false,
    };
    if !asks {
        return Ok(());
    }
    let name = &service.name;
    Err(RunError::Unconfirmed(format!(
        "nobody can be asked whether these writers of {name} are stopped (`manual` in the plan): {what}. Nothing was done. Run the \
         command on a terminal, or stop them first and confirm it with --stopped"
    )))
}

/// Refuses a command that cannot begin or continue here.
pub(super) async fn begins(
    split: &Split,
    service: &str,
    wish: Wish,
    record: &SplitRecord,
) -> Result<(), RunError> {
    let Stand { phase, journal } = stand(split, service, record).await?;
    let step = journal.step;
    if !matches!(wish, Wish::Cancel | Wish::CancelRollback) && (step.is_over() || step.waits_for_resume()) {
        hold::refuse(split, &journal)?;
    }
    if let Wish::Complete(options) = wish {
        return ends(split, service, options, phase, step).await;
    }
    let refused = |what: &str, next: String| refused(service, what, next);
    if matches!(phase, CutoverPhase::Ending | CutoverPhase::Completed) {
        return refused(
            "its way back has ended, so it writes its own table for good",
            match step.is_over() {
                true => "nothing is necessary".into(),
                false => format!("run `dynasplit complete --service {service} --yes` to end that"),
            },
        );
    }
    let rollback = format!("run `dynasplit rollback --service {service} --yes`");
    match wish {
        Wish::Cutover(_) if step.is_over() && phase == CutoverPhase::Replicating => {
            ready::refuse(split, service).await
        }
        Wish::Cutover(_) if step.is_of_cutover() || phase == CutoverPhase::Switched && step.is_over() => {
            Ok(())
        }
        Wish::Cutover(_) if step.is_of_cancel() => refused(
            "the cutover is being cancelled",
            format!("run `dynasplit cutover --service {service} --cancel --yes` to end that"),
        ),
        Wish::Cutover(_) => refused("a rollback is under way", format!("{rollback} to end it")),
        Wish::Cancel if step.is_of_cancel() && !step.is_over() => Ok(()),
        Wish::Cancel if step.can_cancel() && !step.is_over() => Ok(()),
        Wish::Cancel if phase == CutoverPhase::Replicating && step.is_over() => refused(
            "no cutover is under way, so nothing was done",
            "nothing is necessary".into(),
        ),
        Wish::Cancel => refused(
            "the switch has begun, so some writers may write the service's own table already",
            format!("{rollback}, which carries their writes back"),
        ),
        Wish::Rollback(options)
            if step.is_of_cutover() && !step.can_cancel()
                || step.is_over()
                || step == CutoverStep::EndWayBack =>
        {
            if phase.carries_back() {
                return back::refuse(split, service, options.force).await;
            }
            refused(
                "it was not moved by `cutover`, so there is nothing to roll back",
                "nothing is necessary".into(),
            )
        }
        Wish::Rollback(_) if step.is_of_rollback() => Ok(()),
        Wish::Rollback(_) if step == CutoverStep::RollbackCancelLift => refused(
            "the rollback is being cancelled",
            format!("run `dynasplit rollback --service {service} --cancel --yes` to end that"),
        ),
        Wish::Rollback(_) => refused(
            "the writers have not switched yet",
            format!("run `dynasplit cutover --service {service} --cancel --yes`"),
        ),
        Wish::CancelRollback if step.can_cancel_rollback() || step == CutoverStep::RollbackCancelLift => {
            Ok(())
        }
        Wish::CancelRollback if step.is_of_rollback() && !step.is_over() => refused(
            "the forward lane is open again, so the rollback cannot be cancelled any more",
            format!("{rollback} to end it"),
        ),
        Wish::CancelRollback => refused(
            "no rollback is under way, so nothing was done",
            "nothing is necessary".into(),
        ),
        Wish::Complete(_) => Ok(()),
    }
}

fn refused(service: &str, what: &str, next: String) -> Result<(), RunError> {
    Err(RunError::NotYet {
        what: format!("{service}: {what}"),
        next,
    })
}

/// Refuses the end of a service that cannot begin or continue here.
async fn ends(
    split: &Split,
    service: &str,
    options: CompleteServiceOptions,
    phase: CutoverPhase,
    step: CutoverStep,
) -> Result<(), RunError> {
    match phase {
        CutoverPhase::Ending | CutoverPhase::Completed => Ok(()),
        CutoverPhase::Switched if step.is_over() || step == CutoverStep::EndWayBack => {
            complete::refuse(split, service, options).await
        }
        CutoverPhase::Replicating if step.is_over() => refused(
            service,
            "it was not moved by `cutover`, so it has no way back that could end",
            "to end the whole split, run `dynasplit complete --yes`".into(),
        ),
        _ => refused(
            service,
            "its cutover or rollback is under way",
            "end it first: `dynasplit status` shows the next command".into(),
        ),
    }
}

/// Brings the journal to the first step of what is wished, unless it is there already, and does the steps.
async fn wished(work: &Work<'_>, wish: Wish) -> Result<CutoverReport, RunError> {
    // Another command may have moved it since it was looked at.
    let record = SplitRecord::read(&work.split.store).await?.value;
    begins(work.split, work.name(), wish, &record).await?;
    let step = work.journal.step();
    let phase = record.cutover_phase(work.name());
    match wish {
        Wish::Cutover(_) if phase == CutoverPhase::Switched && step.is_over() => {
            return work.report(true).await;
        }
        Wish::Cutover(options) if step.is_over() => forward::begin(work, options, &record).await?,
        Wish::Cancel if !step.is_of_cancel() => {
            work.journal.change(|record| record.problem = None).await?;
            work.journal.enter(CutoverStep::CancelReopen).await?;
        }
        Wish::Rollback(options) if !step.is_of_rollback() || step == CutoverStep::RolledBack => {
            back::begin(work, options).await?
        }
        Wish::Cutover(CutoverOptions { max_pause, .. })
        | Wish::Rollback(RollbackOptions { max_pause, .. }) => {
            let most = max_pause.map(millis);
            work.journal
                .change(|record| {
                    record.max_pause_ms = most.or(record.max_pause_ms);
                    record.problem = None;
                })
                .await?;
        }
        Wish::CancelRollback if step != CutoverStep::RollbackCancelLift => {
            work.journal.change(|record| record.problem = None).await?;
            work.journal.enter(CutoverStep::RollbackCancelLift).await?;
        }
        Wish::Complete(_) => {
            if step == CutoverStep::Completed {
                return work.report(true).await;
            }
            work.journal.change(|record| record.problem = None).await?;
            if !step.is_of_end() {
                hold::begun(work, CutoverStep::EndWayBack).await?;
            }
        }
        Wish::Cancel | Wish::CancelRollback => {}
    }
    let span = tracing::info_span!(target: "dynasplit::span", "cutover", service = work.name());
    Box::pin(steps(work).instrument(span)).await
}

async fn steps(work: &Work<'_>) -> Result<CutoverReport, RunError> {
    loop {
        let step = work.journal.step();
        if step.is_over() {
            return work.report(false).await;
        }
        (work.operator.tell)(&format!("{}: {} ({step})", work.name(), step.doing()));
        let failure =
            match within_pause(work, step, Box::pin(one(work, step).instrument(of_step(step)))).await {
                Ok(next) => match Box::pin(hold::entered(work, step, next)).await {
                    Ok(()) => None,
                    // It was on hold for longer than the writers may be stopped.
                    Err(error @ RunError::Failed(_)) => Some(error),
                    Err(error) => return Err(error),
                },
                // The steps that are journalled are continued later, by this command or by its cancel.
                Err(error @ RunError::Stopped(_)) => return Err(error),
                Err(error) => Some(error),
            };
        if let Some(error) = failure {
            let next = failed(work, step, error).await?;
            work.journal.enter(next).await?;
        }
        fault::moment("cutover.step").await;
    }
}

fn of_step(step: CutoverStep) -> tracing::Span {
    tracing::info_span!(target: "dynasplit::span", "step", %step)
}

/// Does a step, and returns the next one.
async fn one(work: &Work<'_>, step: CutoverStep) -> Result<CutoverStep, RunError> {
    match step {
        CutoverStep::Ready => Box::pin(forward::ready(work)).await,
        CutoverStep::Fence => forward::fence(work).await,
        CutoverStep::Drain => forward::drain(work).await,
        CutoverStep::Check => Box::pin(forward::check(work)).await,
        CutoverStep::Close => forward::close(work).await,
        CutoverStep::Pin => forward::pin(work).await,
        CutoverStep::Reverse => forward::reverse(work).await,
        CutoverStep::Switch => forward::switch(work).await,
        CutoverStep::CancelReopen => cancel::reopen(work).await,
        CutoverStep::CancelLift => cancel::lift(work).await,
        CutoverStep::FenceTarget => back::fence(work).await,
        CutoverStep::DrainBack => back::drain(work).await,
        CutoverStep::CheckBack => back::check(work).await,
        CutoverStep::Reopen => back::reopen(work).await,
        CutoverStep::Unfence => back::unfence(work).await,
        CutoverStep::RollbackCancelLift => back::cancel_lift(work).await,
        CutoverStep::EndWayBack => complete::end_way_back(work).await,
        CutoverStep::EndWatch => complete::end_watch(work).await,
        CutoverStep::RemoveMarks => complete::remove_marks(work).await,
        CutoverStep::Strip => complete::strip(work).await,
        CutoverStep::Switched
        | CutoverStep::Cancelled
        | CutoverStep::RolledBack
        | CutoverStep::RollbackCancelled
        | CutoverStep::Completed => Ok(step),
    }
}

/// A step failed: the cutover or the rollback is cancelled if that is possible. Returns the first step of the cancel.
async fn failed(work: &Work<'_>, step: CutoverStep, error: RunError) -> Result<CutoverStep, RunError> {
    let reason = error.to_string();
    work.journal
        .change(|record| record.problem = Some(reason.clone()))
        .await?;
    work.journal
        .event(&format!("the step failed: {reason}"), None)
        .await?;
    if !(step.can_cancel() || step.can_cancel_rollback()) {
        fencing::report_failure(work).await;
    }
    if step == CutoverStep::EndWayBack && work.phase().await? == CutoverPhase::Switched {
        // Nothing was done: the service can still be rolled back.
        work.journal.enter(CutoverStep::Switched).await?;
        return Err(error);
    }
    if step.can_cancel() {
        (work.operator.tell)(&format!(
            "{}: cancelling the cutover, because {reason}",
            work.name()
        ));
        return Ok(CutoverStep::CancelReopen);
    }
    if step.can_cancel_rollback() {
        (work.operator.tell)(&format!(
            "{}: cancelling the rollback, because {reason}",
            work.name()
        ));
        return Ok(CutoverStep::RollbackCancelLift);
    }
    Err(error)
}

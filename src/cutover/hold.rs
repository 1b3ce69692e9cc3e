//! The hold of a service's next step: `pause` sets it, `resume` removes it, and the process that works on the cutover waits in
//! between.
//!
//! The hold is in the journal, which is written by compare-and-set, so a step begins either before the hold or after it. The
//! process waits, and does not end: it keeps the lease, so that nobody else begins, and it still cancels the cutover when
//! `--max-pause` is over. A process that ended would leave writers stopped with nobody to end that.

use super::checks::refuse_completing;
use super::max_pause::within_pause;
use super::options::HoldReport;
use super::work::Work;
use crate::fault::{self, Rule, broken};
use crate::state::{CutoverEvent, CutoverRecord, CutoverStep, Hold, Stored};
use crate::status::duration;
use crate::worker::{RunError, Split, check_split, pause};
use std::time::Duration;

/// Between two looks at a journal that is on hold.
const POLL: Duration = Duration::from_millis(300);

/// Holds the next step of a service's cutover, rollback or end, until [`resume_cutover`].
///
/// # Errors
/// [`RunError::NotYet`] if the writers are stopped, and nothing would end that.
pub async fn pause_cutover(split: &Split, service: &str, operator: &str) -> Result<HoldReport, RunError> {
    known(split, service).await?;
    let now = split.now_ms();
    let (mut at_most_ms, mut already) = (None, false);
    let stored = split
        .store
        .change::<CutoverRecord, RunError>(&CutoverRecord::record_name(service), |found| {
            let mut record = found.unwrap_or_else(|| CutoverRecord::new(service, now));
            at_most_ms = match record.longest_hold_ms(now) {
                Ok(most) => most,
                Err(_) if broken(Rule::HoldBounded) => None,
                Err(why) => return Err(refused(&record, &why)),
            };
            already = record.hold.is_some();
            record.hold.get_or_insert_with(|| Hold {
                operator: operator.to_owned(),
                since_ms: now,
            });
            Ok(record)
        })
        .await?;
    if !already {
        noted(split, &stored, operator, "put the next step on hold").await?;
    }
    report(split, &stored.value, already, at_most_ms).await
}

/// Lets the next step of a service begin.
///
/// # Errors
/// If the state cannot be reached.
pub async fn resume_cutover(split: &Split, service: &str, operator: &str) -> Result<HoldReport, RunError> {
    known(split, service).await?;
    let name = CutoverRecord::record_name(service);
    let found = split.store.get::<CutoverRecord>(&name).await?;
    let Some(found) = found.filter(|stored| stored.value.hold.is_some()) else {
        return Err(RunError::NotYet {
            what: format!("{service} is not on hold, so nothing was done"),
            next: "`dynasplit status` shows the next command".into(),
        });
    };
    let mut was_held = false;
    let stored = split
        .store
        .change::<CutoverRecord, RunError>(&name, |found_now| {
            let mut record = found_now.unwrap_or_else(|| found.value.clone());
            was_held = record.hold.take().is_some();
            Ok(record)
        })
        .await?;
    if was_held {
        noted(split, &stored, operator, "resumed it").await?;
    }
    report(split, &stored.value, !was_held, None).await
}

async fn known(split: &Split, service: &str) -> Result<(), RunError> {
    let record = check_split(split).await?;
    refuse_completing(&record)?;
    match split.target(service) {
        Some(_) => Ok(()),
        None => Err(RunError::NoSuchService {
            service: service.to_owned(),
            known: split.plan.service_names().join(", "),
        }),
    }
}

fn refused(record: &CutoverRecord, why: &str) -> RunError {
    let service = &record.service;
    RunError::NotYet {
        what: format!("{service} cannot be put on hold now: {why}"),
        next: if record.step.can_cancel() && !record.step.is_over() {
            format!("to stop the cutover, run `dynasplit cutover --service {service} --cancel --yes`")
        } else {
            "`dynasplit status` shows the next command".into()
        },
    }
}

/// Adds an event beside the process that works, which numbers its own events.
async fn noted(
    split: &Split,
    stored: &Stored<CutoverRecord>,
    operator: &str,
    what: &str,
) -> Result<(), RunError> {
    let record = &stored.value;
    let event = CutoverEvent {
        at_ms: split.now_ms(),
        epoch: record.epoch,
        step: record.step,
        operator: operator.to_owned(),
        what: what.to_owned(),
        output: None,
    };
    let name = CutoverEvent::name_between(&record.service, record.events, stored.revision);
    Ok(split.store.set(&name, &event).await?)
}

async fn report(
    split: &Split,
    record: &CutoverRecord,
    already: bool,
    at_most_ms: Option<u64>,
) -> Result<HoldReport, RunError> {
    let phase = check_split(split).await?.cutover_phase(&record.service);
    let now = split.now_ms();
    Ok(HoldReport {
        service: record.service.clone(),
        held: record.hold.is_some(),
        already,
        operator: record.hold.as_ref().map(|hold| hold.operator.clone()),
        held_ms: record.hold.as_ref().map(|hold| now.saturating_sub(hold.since_ms)),
        at_most_ms,
        step: record.step,
        next: record.next(phase),
    })
}

/// Refuses to begin while the service is on hold.
pub(super) fn refuse(split: &Split, record: &CutoverRecord) -> Result<(), RunError> {
    let Some(hold) = &record.hold else { return Ok(()) };
    Err(RunError::NotYet {
        what: format!("{}: {}", record.service, held(split, hold)),
        next: format!(
            "run `dynasplit resume --service {}`, then run this command again",
            record.service
        ),
    })
}

fn held(split: &Split, hold: &Hold) -> String {
    format!(
        "{} put it on hold {} ago",
        hold.operator,
        duration(split.now_ms().saturating_sub(hold.since_ms))
    )
}

/// Begins a first step.
pub(super) async fn begun(work: &Work<'_>, step: CutoverStep) -> Result<(), RunError> {
    if work.journal.advance(step).await? {
        return Ok(());
    }
    refuse(work.split, &work.journal.record())
}

/// Begins the step after another one. While the journal is on hold, it waits.
pub(super) async fn entered(
    work: &Work<'_>,
    step: CutoverStep,
    mut next: CutoverStep,
) -> Result<(), RunError> {
    if !next.waits_for_resume() {
        return work.journal.enter(next).await;
    }
    while !work.journal.advance(next).await? {
        within_pause(work, step, Box::pin(resumed(work, step))).await?;
        if step == CutoverStep::Ready {
            // What was checked is old by now.
            next = CutoverStep::Ready;
        }
    }
    Ok(())
}

/// Waits until somebody resumes it.
async fn resumed(work: &Work<'_>, step: CutoverStep) -> Result<(), RunError> {
    let (service, journal) = (work.name(), work.journal);
    if step == CutoverStep::Ready {
        // Nobody is stopped.
        journal.change(|record| record.pause = None).await?;
    }
    if let Some(hold) = journal.record().hold {
        let held = held(work.split, &hold);
        journal.event(&format!("waits: {held}"), None).await?;
        (work.operator.tell)(&format!(
            "{service}: {held}; waiting until `dynasplit resume --service {service}`"
        ));
    }
    fault::moment("cutover.held").await;
    loop {
        let stored = work.split.store.get::<CutoverRecord>(journal.name()).await?;
        if stored.is_none_or(|stored| stored.value.hold.is_none()) {
            break;
        }
        pause(POLL, work.stop).await?;
    }
    // Takes over what `resume` wrote.
    journal.change(|_| {}).await?;
    fault::moment("cutover.resumed").await;
    Ok(())
}

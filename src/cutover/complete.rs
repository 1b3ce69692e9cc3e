//! The end of a service that was cut over: its way back ends, and nothing of dynasplit stays in its items.
//!
//! The point of no return is one change of the split's record, when everything that the service wrote before is in the source.
//! Until then, a failure changes nothing. After it, the same command continues until the service is completed.

use super::checks::{busy, losses, refuse_completing, reverse};
use super::drain;
use super::options::{CompleteServiceOptions, ServiceEnd};
use super::work::Work;
use crate::fault;
use crate::lifecycle::{CompleteReport, end_service, remove_marks as remove_marks_of};
use crate::plan::{Plan, Service};
use crate::repair::acknowledged;
use crate::state::{CutoverPhase, CutoverStep, SplitRecord};
use crate::worker::{Budgets, RunError, Split};

/// Refuses the end of a service that would lose something, before anything is done.
pub(super) async fn refuse(
    split: &Split,
    service: &str,
    options: CompleteServiceOptions,
) -> Result<(), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    refuse_completing(&record)?;
    let mut reasons = Vec::new();
    let planned = split.plan.service(service);
    let copies = planned.map_or_else(Vec::new, |planned| copies(&split.plan, &record, planned));
    if !copies.is_empty() && !options.end_copies {
        reasons.push(format!(
            "{} still receives items of {service} from the source, and the source receives none of them after the end. If these \
             copies may stay as they are, add --end-copies",
            copies.join(", ")
        ));
    }
    let losses = losses(service, &reverse(split, service).await?);
    if !losses.is_empty() && !options.end_way_back {
        reasons.extend(losses);
        reasons.push(format!(
            "to list them, run `dynasplit reverse list --service {service}`. If the source may stay without them, add \
             --end-way-back"
        ));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(RunError::Unclean { reasons })
}

/// The services that receive items of a service from the source, and write no table of their own yet.
fn copies(plan: &Plan, record: &SplitRecord, service: &Service) -> Vec<String> {
    let others = plan.copies_of(service).into_iter();
    let open = others.filter(|other| !record.switched.contains_key(&other.name));
    open.map(|other| other.name.clone()).collect()
}

/// Everything that the service wrote so far is carried back, and then the reverse lane ends. When this returns, no reverse
/// write can land any more.
pub(super) async fn end_way_back(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    if work.phase().await? == CutoverPhase::Switched {
        let until_ms = drain::now_of_workers(work).await?;
        let is_lost = reverse(work.split, work.name()).await?.gap.is_some();
        // A lane that has lost records never gets there.
        if !(is_lost && work.end.end_way_back) {
            drain::back(work, until_ms).await?;
        }
        refuse(work.split, work.name(), work.end).await?;
        accept(work).await?;
    }
    let (epoch, mut obeyed) = (work.epoch(), None);
    let record = SplitRecord::change(&work.split.store, |record| {
        obeyed = match record.completing_ms {
            None => record.end_way_back(work.name(), epoch, work.split.now_ms()),
            Some(_) => None,
        };
    })
    .await?;
    refuse_completing(&record)?;
    let obeyed = obeyed.ok_or_else(|| busy(work.name()))?;
    fault::moment("cutover.way-back-ended").await;
    acknowledged(work.split, obeyed, work.stop).await?;
    fault::moment("cutover.end-acknowledged").await;
    Ok(CutoverStep::EndWatch)
}

/// Notes in the journal what the operator accepts to be missing.
async fn accept(work: &Work<'_>) -> Result<(), RunError> {
    let record = SplitRecord::read(&work.split.store).await?.value;
    let mut accepted = losses(work.name(), &reverse(work.split, work.name()).await?);
    let copies = copies(&work.split.plan, &record, work.service);
    accepted.extend(
        copies
            .iter()
            .map(|copy| format!("{copy} receives no items of {} any more", work.name())),
    );
    for what in &accepted {
        work.journal.event(&format!("accepted: {what}"), None).await?;
    }
    work.ended().accepted.extend(accepted);
    Ok(())
}

/// The watcher passes the last reverse write, so every stray write from before is listed. Then it ends.
pub(super) async fn end_watch(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let mut watched_to_ms = work.split.now_ms();
    if work.phase().await? == CutoverPhase::Ending {
        watched_to_ms = drain::now_of_workers(work).await?;
        let is_lost = reverse(work.split, work.name()).await?.gap.is_some();
        if !(is_lost && work.end.end_way_back) {
            drain::watched(work, watched_to_ms).await?;
        }
        let strays = reverse(work.split, work.name()).await?.strays.len();
        if strays > 0 && !work.end.end_way_back {
            return Err(RunError::Unclean {
                reasons: vec![format!(
                    "{strays} writes of others came to the source's items of {service} while the way back ended. They are not in the \
                     table of {service}: apply them there with the service. `dynasplit reverse list --service {service}` shows them. \
                     Then run `dynasplit complete --service {service} --end-way-back --yes`",
                    service = work.name()
                )],
            });
        }
    }
    let (epoch, mut obeyed) = (work.epoch(), None);
    SplitRecord::change(&work.split.store, |record| {
        obeyed = record.complete_cutover(work.name(), epoch, watched_to_ms, work.split.now_ms());
    })
    .await?;
    let obeyed = obeyed.ok_or_else(|| busy(work.name()))?;
    // A watcher that is still at work would take the removal of a mark for a stray write.
    acknowledged(work.split, obeyed, work.stop).await?;
    fault::moment("cutover.watch-ended").await;
    Ok(CutoverStep::RemoveMarks)
}

/// Removes the marks of the service from the source items.
pub(super) async fn remove_marks(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let split = work.split;
    let budgets = Budgets::new(split, None, None);
    budgets.read(&split.store).await?;
    let removing = remove_marks_of(split, &budgets, (work.service, work.tables));
    let removed = interruptible(work, budgets.during(&split.store, Box::pin(removing))).await?;
    work.ended().marks += removed;
    let what = format!("removed {removed} marks from the source");
    work.journal.event(&what, None).await?;
    fault::moment("cutover.unmarked").await;
    Ok(CutoverStep::Strip)
}

/// Removes the stamps from the service's own table, and switches on its TTL.
pub(super) async fn strip(work: &Work<'_>) -> Result<CutoverStep, RunError> {
    let record = SplitRecord::read(&work.split.store).await?.value;
    let split = work.split.without_switched(&record);
    let budgets = Budgets::new(&split, None, None);
    budgets.read(&split.store).await?;
    let stripping = async {
        let mut report = CompleteReport::default();
        let service = (work.service, work.tables);
        end_service(&split, &budgets, service, &mut report, work.operator.tell).await?;
        Ok(report)
    };
    let report = interruptible(work, budgets.during(&split.store, Box::pin(stripping))).await?;
    let stripped = report.stripped.values().sum::<u64>();
    let what = format!("removed {stripped} stamps from the table");
    {
        let mut ended = work.ended();
        ended.stripped += stripped;
        ended.ttl = report.ttl.into_values().next();
        ended.notes = report.notes;
    }
    work.journal.event(&what, None).await?;
    fault::moment("cutover.stripped").await;
    Ok(CutoverStep::Completed)
}

/// Each write of a sweep has the condition that the item is still what was read, so it can be interrupted and repeated.
async fn interruptible<T>(
    work: &Work<'_>,
    sweep: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = work.stop.cancelled() => Err(RunError::Stopped(
            "completing was interrupted; run the same command to continue".into(),
        )),
        done = sweep => done,
    }
}

/// What the command did, for a person.
pub(super) fn report(work: &Work<'_>, already: bool) -> ServiceEnd {
    ServiceEnd {
        service: work.name().to_owned(),
        table: work.service.table.name.clone(),
        already,
        ..work.ended().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_receives_items_of_another_one_is_named_until_it_has_switched() {
        let plan = Plan::parse(include_str!("../../plans/clients-and-people.yaml"), "plan.yaml").unwrap();
        let mut record = SplitRecord::sample();
        let of = |record: &SplitRecord, name: &str| copies(&plan, record, plan.service(name).unwrap());
        assert_eq!(of(&record, "client"), ["common", "invoice"]);
        assert_eq!(of(&record, "person"), ["invoice"], "it copies everything");
        record.switch_service("invoice", 1, None).unwrap();
        assert_eq!(of(&record, "client"), ["common"]);
        assert!(of(&record, "person").is_empty());
        record.switch_service("common", 1, None).unwrap();
        assert!(of(&record, "client").is_empty());
    }
}

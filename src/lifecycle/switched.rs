//! The record that a service has switched to its own table. From then on, nothing that is read from the source is
//! written there: not by the tail, a repair, a reconcile, a recheck, a sweep or a backfill.

use super::at_rest::refuse_unread;
use crate::fault;
use crate::repair::{RepairLease, acknowledged};
use crate::state::{CutoverPhase, RepairScope, SplitRecord, SwitchedService};
use crate::status::{Obstacle, ObstacleKind, SplitStatus, split_status, split_status_with_worker, told};
use crate::worker::{ActivityNote, RunError, Split, check_split, pause, with_activity_notes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at the lane.
const POLL: Duration = Duration::from_millis(300);

/// Options of `switched`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SwitchOptions {
    /// Record it although the copy is not proven, or the lane is behind. Changes that the lane has not delivered
    /// never arrive.
    pub unproven: bool,
}

/// What `switched` did.
#[derive(Clone, Debug, Serialize)]
pub struct SwitchReport {
    /// The service.
    pub service: String,
    /// Its table.
    pub table: String,
    /// When the switch was recorded, in milliseconds since 1970; `None`: the record was taken back.
    pub switched_ms: Option<u64>,
    /// When the last clean verify before the switch began.
    pub verified_ms: Option<u64>,
    /// It had been recorded, or taken back, before.
    pub already: bool,
    /// Problems that were overridden.
    pub overridden: Vec<String>,
}

impl SwitchReport {
    /// What to do next; nothing if the command changed nothing.
    #[must_use]
    pub fn next(&self) -> String {
        let Self { service, table, .. } = self;
        match (self.switched_ms, self.already) {
            (_, true) => String::new(),
            (None, false) => format!(
                "run `dynasplit verify --repair`. It overwrites what {service} has written to {table} since the switch"
            ),
            (Some(_), false) => format!("let {service} write {table}"),
        }
    }
}

/// Records that a service has switched, when its lane has delivered all writes from before this call. When this
/// returns, every worker has stopped writing the service's table. Can be repeated.
///
/// # Errors
/// With every obstacle to the switch, and the next command for each.
pub async fn switch(
    split: &Split,
    service: &str,
    options: SwitchOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<SwitchReport, RunError> {
    let record = check_split(split).await?;
    refuse_completing(&record)?;
    refuse_cut_over(&record, service)?;
    let table = table_of(split, service)?;
    let known = record.switched.get(service).cloned();
    let mut overridden = Vec::new();
    if known.is_none() {
        let split = split.without_switched(&record);
        // No command repairs, reconciles or releases tombstones meanwhile.
        let lease = RepairLease::take(&split, stop).await?;
        let proven = lease
            .during(Box::pin(prove(&split, service, options, stop, tell)))
            .await;
        let recorded = match proven {
            Some(Ok(found)) => {
                overridden = found;
                record_switch(&split, service).await
            }
            Some(Err(error)) => Err(error),
            None => Err(RunError::Stopped(
                "a repair has taken over; run this command again when it has ended".into(),
            )),
        };
        lease.release().await;
        recorded?;
    }
    let record = SplitRecord::read(&split.store).await?.value;
    let Some(switched) = record.switched.get(service) else {
        return Err(RunError::NotYet {
            what: format!("another command took the switch of {service} back at the same time"),
            next: "run this command again".into(),
        });
    };
    tell("waiting until every worker has stopped writing the table");
    // The epoch of the switch itself: also for a run that goes on after one that was killed here.
    let doing = || ActivityNote::new(split.waits.beside("recorded"), BTreeMap::new());
    let obeyed = acknowledged(split, switched.epoch, stop);
    with_activity_notes(split, "switched", doing, obeyed).await?;
    fault::moment("switched.acknowledged").await;
    // The workers start again without the service. A `status` that follows at once does not report them as missing.
    split_status_with_worker(&split.without_switched(&record)).await?;
    Ok(SwitchReport {
        service: service.to_owned(),
        table,
        switched_ms: Some(switched.at_ms),
        verified_ms: switched.verified_ms,
        already: known.is_some(),
        overridden,
    })
}

/// Removes the record: the lane continues at its checkpoint, and overwrites what the service wrote to its table.
///
/// # Errors
/// If a command that writes targets is under way, or the state can't be reached.
pub async fn switch_back(split: &Split, service: &str) -> Result<SwitchReport, RunError> {
    let record = check_split(split).await?;
    refuse_completing(&record)?;
    refuse_cut_over(&record, service)?;
    let table = table_of(split, service)?;
    let already = !record.switched.contains_key(service);
    let mut back = false;
    SplitRecord::change(&split.store, |record| {
        back = record.switch_back(service);
        if back && !already {
            // The service's own writes are in no stream that a lane reads.
            let reason = format!("the switch of {service} was taken back");
            record.require_repair(&reason, [service], RepairScope::AnyItem);
        }
    })
    .await?;
    if !back {
        return Err(busy(service));
    }
    Ok(SwitchReport {
        service: service.to_owned(),
        table,
        switched_ms: None,
        verified_ms: None,
        already,
        overridden: Vec::new(),
    })
}

/// Waits until the lane has delivered all writes from before this call, and refuses an unproven copy. Returns the
/// obstacles that were overridden.
async fn prove(
    split: &Split,
    service: &str,
    options: SwitchOptions,
    stop: &CancellationToken,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Vec<String>, RunError> {
    let now = split_status_with_worker(split).await?;
    let asked_ms = now.moment_ms(split.now_ms(), split.timing.renew());
    if options.unproven {
        return Ok(in_the_way(&now, service)
            .map(|obstacle| obstacle.what.clone())
            .collect());
    }
    let reasons = told(in_the_way(&now, service));
    if !reasons.is_empty() {
        return Err(RunError::Unclean { reasons });
    }
    tell(&format!(
        "waiting until the lane of {service} has delivered all writes so far"
    ));
    loop {
        let now = split_status_with_worker(split).await?;
        let reasons = told(in_the_way(&now, service));
        if !reasons.is_empty() {
            return Err(RunError::Unclean { reasons });
        }
        if is_past(&now, service, asked_ms) {
            return Ok(Vec::new());
        }
        refuse_unread(&now)?;
        pause(POLL, stop).await?;
    }
}

/// Whether the lane has delivered everything that was written before a moment.
pub(crate) fn is_past(status: &SplitStatus, service: &str, asked_ms: u64) -> bool {
    let lane = status.lanes.iter().find(|lane| lane.lane == service);
    lane.is_some_and(|lane| {
        lane.drained_ms.is_some()
            || lane
                .lag_ms
                .is_some_and(|lag| status.read_ms.saturating_sub(lag) >= asked_ms)
    })
}

/// The obstacles that concern a service: its own, and those of the split as a whole. Another service's are not in its way.
pub(crate) fn in_the_way<'a>(
    status: &'a SplitStatus,
    service: &'a str,
) -> impl Iterator<Item = &'a Obstacle> {
    status
        .obstacles
        .iter()
        .filter(move |obstacle| match obstacle.kind {
            // The lane is waited for, as long as somebody reads the stream.
            ObstacleKind::Lag => false,
            // A destination of events holds up no service.
            ObstacleKind::Events | ObstacleKind::Ledger => false,
            _ => obstacle.concerns(service),
        })
}

async fn record_switch(split: &Split, service: &str) -> Result<SwitchedService, RunError> {
    let status = split_status(split).await?;
    let last_clean_ms = status.verify.and_then(|verify| verify.last_clean_ms);
    let verified_ms = status.proven.get(service).copied().or(last_clean_ms);
    fault::moment("switched.recording").await;
    let mut switched = None;
    let record = SplitRecord::change(&split.store, |record| {
        switched = match record.completing_ms {
            None => record.switch_service(service, split.now_ms(), verified_ms),
            Some(_) => None,
        };
    })
    .await?;
    refuse_completing(&record)?;
    switched.ok_or_else(|| busy(service))
}

fn busy(service: &str) -> RunError {
    RunError::NotYet {
        what: format!(
            "a backfill, repair or reconcile of {service} is under way, or was interrupted, and may write its table"
        ),
        next: "let it end (`dynasplit status` names the command), then run this command again".into(),
    }
}

fn refuse_completing(record: &SplitRecord) -> Result<(), RunError> {
    match record.completing_ms {
        None => Ok(()),
        Some(_) => Err(RunError::NotYet {
            what: "the split is being completed".into(),
            next: "run `dynasplit complete --yes` until it ends".into(),
        }),
    }
}

/// A service that is cut over with a way back is switched, and goes back, with the commands for that.
fn refuse_cut_over(record: &SplitRecord, service: &str) -> Result<(), RunError> {
    match record.cutover_phase(service) {
        CutoverPhase::Replicating => Ok(()),
        CutoverPhase::Completed => Err(RunError::NotYet {
            what: format!("{service} was completed after its cutover: it writes its own table for good"),
            next: "nothing is necessary".into(),
        }),
        phase => Err(RunError::NotYet {
            what: format!(
                "{service} is cut over with a way back (it is {phase}), and `switched` would end the way back"
            ),
            next: format!(
                "to go back, run `dynasplit rollback --service {service} --yes`; `dynasplit status` shows where the cutover is"
            ),
        }),
    }
}

fn table_of(split: &Split, service: &str) -> Result<String, RunError> {
    split
        .plan
        .service(service)
        .map(|service| service.table.name.clone())
        .ok_or_else(|| RunError::NoSuchService {
            service: service.to_owned(),
            known: split
                .plan
                .services
                .iter()
                .map(|service| service.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
}

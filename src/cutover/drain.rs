//! Waits until a lane has applied everything from before a moment.

use super::canary;
use super::checks::reverse;
use super::fence_parts::Side;
use super::waiting::{Absence, LONGEST, refuse_slow};
use super::work::{Work, millis};
use crate::fault::{Rule, broken};
use crate::lifecycle::is_past;
use crate::plan::DrainBy;
use crate::repair;
use crate::state::StreamPin;
use crate::status::{SplitStatus, split_status_with_worker};
use crate::tail::TipReader;
use crate::worker::{RunError, pause};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// The present moment, by the clock that is ahead, of this machine or of the workers.
pub(super) async fn now_of_workers(work: &Work<'_>) -> Result<u64, RunError> {
    let status = split_status_with_worker(work.split).await?;
    Ok(status.moment_ms(work.split.now_ms(), work.split.timing.renew()))
}

/// Waits until the lane of a side has applied every write from before the fence, as the plan says. `proven_ms` is when the fence
/// was seen to hold.
pub(super) async fn fenced(work: &Work<'_>, side: Side, proven_ms: Option<u64>) -> Result<(), RunError> {
    let drain = work.split.plan.drain;
    let from_ms = match proven_ms {
        Some(proven) => proven,
        None => now_of_workers(work).await?,
    };
    // The stream may show a record late.
    let until_ms = from_ms.saturating_add(millis(drain.quiet_for));
    if drain.by == DrainBy::Canary && !broken(Rule::Drain) {
        canary::drained(work, side, until_ms).await?;
    }
    match side {
        Side::Source if drain.by == DrainBy::Canary => Ok(()),
        Side::Source => forward(work, until_ms).await,
        // Also after the markers: what could not be carried back is looked at again when the lane is idle, and the watcher
        // reads another stream.
        Side::Target => back(work, until_ms).await,
    }
}

/// Waits until the forward lane has applied, and saved, every write from before a moment.
pub(super) async fn forward(work: &Work<'_>, until_ms: u64) -> Result<(), RunError> {
    if broken(Rule::Drain) {
        return Ok(());
    }
    let (began, mut absence) = (Instant::now(), Absence::default());
    let _waiting = work.split.waits.until(
        format!("the lane of {} has applied every write", work.name()),
        LONGEST,
    );
    loop {
        let status = split_status_with_worker(work.split).await?;
        if is_past(&status, work.name(), until_ms) {
            return Ok(());
        }
        absence.refuse(work, status.is_read() || status.is_drained())?;
        refuse_slow(began, work.name())?;
        pause(POLL, work.stop).await?;
    }
}

/// Waits until the reverse lane has carried back every write from before a moment, and until the watcher of the source has
/// passed it.
pub(super) async fn back(work: &Work<'_>, until_ms: u64) -> Result<(), RunError> {
    let (began, mut absence) = (Instant::now(), Absence::default());
    let _waiting = work.split.waits.until(
        format!("the reverse lane of {} has carried back every write", work.name()),
        LONGEST,
    );
    loop {
        let state = reverse(work.split, work.name()).await?;
        let status = split_status_with_worker(work.split).await?;
        let is_carried_back = state.complete_to_ms.is_some_and(|complete| complete >= until_ms);
        let is_watched = state.watched_to_ms.is_some_and(|watched| watched >= until_ms);
        if (is_carried_back || broken(Rule::DrainBack)) && (is_watched || broken(Rule::WatchedPast)) {
            return Ok(());
        }
        absence.refuse(work, is_worked(&status))?;
        if let Some(reason) = state.gap {
            return Err(RunError::Failed(format!(
                "the reverse lane of {} has lost records: {reason}",
                work.name()
            )));
        }
        refuse_slow(began, work.name())?;
        pause(POLL, work.stop).await?;
    }
}

/// Waits until the watcher of the source has passed a moment.
pub(super) async fn watched(work: &Work<'_>, until_ms: u64) -> Result<(), RunError> {
    let (began, mut absence) = (Instant::now(), Absence::default());
    let _waiting = work.split.waits.until(
        format!(
            "every write to the source's items of {} was looked at",
            work.name()
        ),
        LONGEST,
    );
    loop {
        let state = reverse(work.split, work.name()).await?;
        if state.watched_to_ms.is_some_and(|watched| watched >= until_ms) {
            return Ok(());
        }
        if let Some(reason) = state.gap {
            return Err(RunError::Failed(format!(
                "writes to the source's items of {} were lost before anybody looked at them: {reason}. If this does not matter, \
                 run `dynasplit complete --service {} --end-way-back --yes`",
                work.name(),
                work.name()
            )));
        }
        let status = split_status_with_worker(work.split).await?;
        absence.refuse(work, is_worked(&status))?;
        refuse_slow(began, work.name())?;
        pause(POLL, work.stop).await?;
    }
}

/// Waits until a worker runs the reverse lane in every shard of the target's stream.
pub(super) async fn reverse_runs(work: &Work<'_>) -> Result<(), RunError> {
    let (began, mut absence) = (Instant::now(), Absence::default());
    let _waiting = work.split.waits.until(
        format!("a worker runs the reverse lane of {}", work.name()),
        work.split.timing.lease * 3,
    );
    loop {
        if reverse(work.split, work.name()).await?.complete_to_ms.is_some() {
            return Ok(());
        }
        let status = split_status_with_worker(work.split).await?;
        absence.refuse(work, is_worked(&status))?;
        refuse_slow(began, work.name())?;
        pause(POLL, work.stop).await?;
    }
}

/// Waits until every live worker obeys an epoch.
pub(super) async fn acknowledged(work: &Work<'_>, epoch: u64) -> Result<(), RunError> {
    let obeyed = tokio::time::timeout(LONGEST, repair::acknowledged(work.split, epoch, work.stop));
    obeyed.await.unwrap_or_else(|_| {
        Err(RunError::NotYet {
            what: format!(
                "a worker that lives has not obeyed the change of {} for {} s",
                work.name(),
                LONGEST.as_secs()
            ),
            next: "`dynasplit status` shows the workers. End the one that does not obey, then run this command again".into(),
        })
    })
}

/// Reads the target's stream on to its tip.
pub(super) async fn pinned(work: &Work<'_>, reader: &mut TipReader) -> Result<StreamPin, RunError> {
    let pinned = tokio::time::timeout(LONGEST, reader.pin(work.epoch(), work.stop));
    pinned.await.unwrap_or_else(|_| {
        Err(RunError::Failed(format!(
            "the stream of {} was not read to its end within {} s: somebody writes the table, although {} has not switched yet",
            work.service.table.name,
            LONGEST.as_secs(),
            work.name()
        )))
    })
}

/// Whether a worker of the tail is alive.
fn is_worked(status: &SplitStatus) -> bool {
    status.workers.iter().any(|worker| worker.reads_stream())
}

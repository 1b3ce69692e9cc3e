//! What a rehearsal sees of its lanes: how far they are behind, and when they have caught up.

use super::error::RehearseError;
use super::run_view::RehearseView;
use crate::dynamo::Clock;
use crate::status::LaneStatus;
use crate::worker::RunError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The lanes must have caught up with the last write within this.
const CATCH_UP: Duration = Duration::from_secs(180);

/// Waits until every lane is complete up to now. Answers how long that took, in milliseconds.
pub(super) async fn caught_up(
    mut lanes: watch::Receiver<Vec<LaneStatus>>,
    clock: Clock,
    stop: &CancellationToken,
) -> Result<u64, RehearseError> {
    let (ended_ms, since) = (clock.now_ms(), Instant::now());
    loop {
        let caught_up = {
            let lanes = lanes.borrow_and_update();
            !lanes.is_empty()
                && lanes.iter().all(|lane| {
                    lane.lag_ms
                        .is_some_and(|lag| clock.now_ms().saturating_sub(lag) >= ended_ms)
                })
        };
        let lost = lanes.borrow().iter().find_map(|lane| {
            let gap = lane.gap.as_ref()?;
            Some(format!("the lane of {} lost records: {gap}", lane.lane))
        });
        if let Some(lost) = lost {
            return Err(RunError::Failed(lost).into());
        }
        if caught_up {
            return Ok(u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
        if since.elapsed() > CATCH_UP {
            let lanes = lanes.borrow().clone();
            let behind: Vec<String> = lanes
                .iter()
                .map(|l| format!("{}: {:?}", l.lane, l.blocked))
                .collect();
            return Err(RunError::Failed(format!("the tail did not catch up: {}", behind.join(", "))).into());
        }
        tokio::select! {
            () = stop.cancelled() => return Err(RunError::Stopped("the rehearsal was interrupted".into()).into()),
            _ = lanes.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

/// Shows the lanes, and notes their largest lags.
pub(super) async fn watch_lanes(
    mut lanes: watch::Receiver<Vec<LaneStatus>>,
    view: watch::Sender<RehearseView>,
    lags: Arc<std::sync::Mutex<std::collections::BTreeMap<String, u64>>>,
) {
    while lanes.changed().await.is_ok() {
        let now = lanes.borrow_and_update().clone();
        {
            let mut lags = lags.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for lane in &now {
                let most = lags.entry(lane.lane.clone()).or_insert(0);
                *most = (*most).max(lane.lag_ms.unwrap_or(0));
            }
        }
        view.send_modify(|view| view.lanes = now);
    }
}

//! The longest time for which a service may write nowhere.

use super::work::Work;
use crate::state::CutoverStep;
use crate::worker::RunError;
use std::time::Duration;

/// Drops work at a step that would make the pause longer than the operator allows. Only a step that can still be cancelled.
pub(super) async fn within_pause<T>(
    work: &Work<'_>,
    step: CutoverStep,
    doing: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
    let record = work.journal.record();
    let (Some(most), Some(pause)) = (record.max_pause_ms, record.pause) else {
        return doing.await;
    };
    let is_of_cutover = step.can_cancel() && step != CutoverStep::Ready;
    if !is_of_cutover && !step.can_cancel_rollback() {
        return doing.await;
    }
    let left = (pause.from_ms + most).saturating_sub(work.split.now_ms());
    match tokio::time::timeout(Duration::from_millis(left), doing).await {
        Ok(done) => done,
        Err(_) => Err(RunError::Failed(format!(
            "the pause would have been longer than --max-pause allows ({} s)",
            most / 1000
        ))),
    }
}

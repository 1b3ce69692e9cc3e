//! The pause before a page is read again.

use crate::dynamo::backoff;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Waits after an attempt that failed, or until the work stops.
pub(super) async fn before_attempt(attempt: u32, work: &CancellationToken) {
    tokio::select! {
        biased;
        () = work.cancelled() => {}
        () = tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)) => {}
    }
}

//! Work that ends when the command is told to stop.

use super::error::RunError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Does the work, and drops it at once when the command is told to stop. Use it only for work that may end at any
/// request, as if the process had died there.
pub(crate) async fn unless_stopped<T, E: Into<RunError>>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted; run the same command to \
             continue".into())),
        done = work => done.map_err(Into::into),
    }
}

/// Waits, unless the command is stopped.
pub(crate) async fn pause(wait: Duration, stop: &CancellationToken) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted; run the same command to \
             continue".into())),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

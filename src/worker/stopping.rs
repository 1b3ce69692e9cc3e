//! Work that ends when the command is told to stop.

use super::error::RunError;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Works, and drops the work where it stands when the command is told to stop: for what may end at any request, as if the
/// process had died there, since nothing that it began has to be brought to an end.
pub(crate) async fn unless_stopped<T, E: Into<RunError>>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted: run the same command to \
             continue".into())),
        done = work => done.map_err(Into::into),
    }
}

/// Waits, unless the command is stopped.
pub(crate) async fn pause(wait: Duration, stop: &CancellationToken) -> Result<(), RunError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(RunError::Stopped("it was interrupted: run the same command to \
             continue".into())),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}

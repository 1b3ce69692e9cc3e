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

/// Between two looks at something that DynamoDB does for minutes or hours: soon at first, then less often.
pub(crate) struct Looks {
    next: Duration,
}

const FIRST_LOOK: Duration = Duration::from_secs(1);
const LONGEST_LOOK: Duration = Duration::from_secs(20);

impl Default for Looks {
    fn default() -> Self {
        Self { next: FIRST_LOOK }
    }
}

impl Looks {
    /// Waits until the next look.
    ///
    /// # Errors
    /// If the command is stopped meanwhile.
    pub async fn pause(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        pause(self.next, stop).await?;
        self.next = (self.next * 3 / 2).min(LONGEST_LOOK);
        Ok(())
    }
}

//! Sorts the entries of a scan, on a thread for blocking work.

use crate::verify::compare::VerifyError;
use crate::worker::RunError;
use std::sync::Arc;
use tokio::sync::Mutex;

impl From<VerifyError> for RunError {
    fn from(error: VerifyError) -> Self {
        Self::Comparison(Box::new(error))
    }
}

/// Takes the entries of a scan, page by page.
pub(super) trait Entries<E>: Send + Sync + 'static {
    /// Takes a batch (of at most one page).
    fn send(&self, batch: Vec<E>) -> impl Future<Output = Result<(), RunError>> + Send;
}

/// One side of a comparison while the pages of a scan fill it. Clones fill the same side.
pub(super) struct Sorting<E, S> {
    side: Arc<Mutex<S>>,
    push: fn(&mut S, &E) -> Result<(), VerifyError>,
}

impl<E, S> Clone for Sorting<E, S> {
    fn clone(&self) -> Self {
        Self {
            side: Arc::clone(&self.side),
            push: self.push,
        }
    }
}

impl<E: Send + 'static, S: Send + 'static> Sorting<E, S> {
    /// Begins with an empty side; `push` adds one entry.
    pub fn of(side: S, push: fn(&mut S, &E) -> Result<(), VerifyError>) -> Self {
        Self {
            side: Arc::new(Mutex::new(side)),
            push,
        }
    }

    /// The side, once every clone is dropped.
    pub fn finish(self) -> Result<S, RunError> {
        let side = Arc::into_inner(self.side);
        side.map(Mutex::into_inner)
            .ok_or_else(|| RunError::Stopped("sorting ended early".into()))
    }
}

impl<E: Send + 'static, S: Send + 'static> Entries<E> for Sorting<E, S> {
    /// It sorts and spills on a thread for what blocks, so the scan waits if the side cannot follow.
    async fn send(&self, batch: Vec<E>) -> Result<(), RunError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (mut side, push) = (Arc::clone(&self.side).lock_owned().await, self.push);
        blocking(move || {
            for entry in &batch {
                push(&mut side, entry)?;
            }
            Ok(())
        })
        .await
    }
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    join(crate::dynamo::blocking(work).await)?
}

/// The result of a task; a task that panicked ends the run.
pub(super) fn join<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, RunError> {
    ended.map_err(|error| RunError::Stopped(format!("a part of verify failed: {error}")))
}

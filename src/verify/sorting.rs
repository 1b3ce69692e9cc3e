//! Sorts the entries of a scan on a thread of its own.

use crate::verify::compare::VerifyError;
use crate::worker::RunError;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches (each of at most one page) that wait for a sorter: the scan waits when it can't follow.
const BATCHES: usize = 4;

impl From<VerifyError> for RunError {
    fn from(error: VerifyError) -> Self {
        Self::Comparison(Box::new(error))
    }
}

/// One side of a comparison while it is filled: a thread of its own sorts and spills, since both block.
pub(super) struct Sorting<E, S> {
    batches: mpsc::Sender<Vec<E>>,
    thread: JoinHandle<Result<S, VerifyError>>,
}

impl<E: Send + 'static, S: Send + 'static> Sorting<E, S> {
    /// Starts the thread; `push` adds one entry.
    pub fn start(mut side: S, push: fn(&mut S, &E) -> Result<(), VerifyError>) -> Self {
        let (batches, mut waiting) = mpsc::channel::<Vec<E>>(BATCHES);
        let thread = tokio::task::spawn_blocking(move || {
            while let Some(batch) = waiting.blocking_recv() {
                for entry in &batch {
                    push(&mut side, entry)?;
                }
            }
            Ok(side)
        });
        Self { batches, thread }
    }

    /// Where entries go in.
    pub fn entries(&self) -> Entries<E> {
        Entries(self.batches.clone())
    }

    /// Waits for the last entry, after every [`Entries`] is dropped. `read` is the result of the scan: if the thread
    /// failed, its reason is reported.
    pub async fn finish(self, read: Result<(), RunError>) -> Result<S, RunError> {
        drop(self.batches);
        let side = join(self.thread.await)??;
        read?;
        Ok(side)
    }
}

/// The way into a [`Sorting`].
#[derive(Clone)]
pub(super) struct Entries<E>(mpsc::Sender<Vec<E>>);

impl<E> Entries<E> {
    /// Hands on a batch; waits while the sorter is busy.
    pub async fn send(&self, batch: Vec<E>) -> Result<(), RunError> {
        if batch.is_empty() {
            return Ok(());
        }
        let sent = self.0.send(batch).await;
        // `finish` reports the error of the thread itself.
        sent.map_err(|_| RunError::Stopped("sorting ended early".into()))
    }
}

/// Runs blocking work on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RunError> + Send + 'static,
) -> Result<T, RunError> {
    join(tokio::task::spawn_blocking(work).await)?
}

/// The result of a task; a task that panicked ends the run.
pub(super) fn join<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, RunError> {
    ended.map_err(|error| RunError::Stopped(format!("a part of verify failed: {error}")))
}

//! One task of a shared verify, under its lease.

use super::folder::Folder;
use super::outcomes::{Block, Outcomes};
use crate::dynamo::chance;
use crate::fault;
use crate::state::{SharedVerifyRecord, StoredRef, VerifyTask, VerifyTaskRecord};
use crate::verify::compare::Side;
use crate::verify::passes::Run;
use crate::worker::{LeasedRecord, RunError};
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Ranges that are sorted at the same time: they share the memory of the process.
pub(super) const SORTS_AT_ONCE: usize = 2;

/// What all tasks of a process share.
pub(super) struct Share {
    pub run: Run,
    pub folder: Folder,
    pub verify: SharedVerifyRecord,
    pub sorts: Semaphore,
    /// Which blocks the scans wrote, once they were all done.
    pub blocks: OnceCell<Vec<(Side, Block)>>,
}

/// How a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TaskEnd {
    /// It is done, and its record says so.
    Done,
    /// Another process took it over, because this one seemed to be dead. Nothing of this process counts.
    Lost,
}

/// A task that this process has the lease of.
pub(super) struct Task {
    pub share: Arc<Share>,
    pub leased: Arc<LeasedRecord<VerifyTaskRecord>>,
    pub task: VerifyTask,
    /// What the scans found, for a range.
    pub scans: Outcomes,
    /// So many tasks of its kind are at work in this process.
    pub at_once: usize,
}

impl Task {
    /// Does the task, and records what came of it.
    pub async fn run(self) -> Result<TaskEnd, RunError> {
        let held = Held::of(&self.leased);
        let lost = self.leased.lost();
        let done = tokio::select! {
            biased;
            () = lost.cancelled() => Ok(None),
            done = Box::pin(self.work()) => done.map(Some),
        };
        let end = match done {
            Ok(Some(done)) => commit(&self.leased, done).await,
            Ok(None) => Ok(TaskEnd::Lost),
            Err(error) => Err(error),
        };
        held.release().await;
        end
    }

    /// The work. Its outcome is in an object whose name no other claim has.
    async fn work(&self) -> Result<StoredRef, RunError> {
        let share = &*self.share;
        let claim = share.claim(self.task);
        let key = format!("{claim}outcome");
        match self.task {
            VerifyTask::Target { service, segment } => {
                let found = share
                    .read_target(&claim, (service, segment), self.at_once)
                    .await?;
                share.folder.write_json(key, &found).await
            }
            VerifyTask::Source { segment } => {
                let found = share.read_source(&claim, segment, self.at_once).await?;
                share.folder.write_json(key, &found).await
            }
            VerifyTask::Range { range } => {
                let range = (range, &self.scans);
                let found = Box::pin(share.compare_range(&claim, range, self.at_once)).await?;
                share.folder.write_json(key, &found).await
            }
            VerifyTask::Sum => Err(RunError::Failed("the sum is no task of this kind".into())),
        }
    }
}

impl Share {
    /// What the keys of the objects of a new claim of a task begin with. The mismatches of ranges stay until the next verify has ended,
    /// and everything else is removed when this one has.
    pub fn claim(&self, task: VerifyTask) -> String {
        let folder = self.folder.of_verify(&self.verify.id);
        let part = match task {
            VerifyTask::Target { .. } | VerifyTask::Source { .. } => "scans",
            VerifyTask::Range { .. } | VerifyTask::Sum => "results",
        };
        let claim: u128 = chance::any();
        format!("{folder}{part}/{}/{claim:032x}/", task.word())
    }
}

/// Records what came of a task, under its lease.
pub(super) async fn commit(
    leased: &LeasedRecord<VerifyTaskRecord>,
    done: StoredRef,
) -> Result<TaskEnd, RunError> {
    leased.update_quietly(|record| record.done = Some(done));
    if !leased.save().await? {
        return Ok(TaskEnd::Lost);
    }
    fault::moment("verify.task-done").await;
    Ok(TaskEnd::Done)
}

/// A lease that is renewed.
pub(super) struct Held {
    renewing: AbortOnDropHandle<Result<(), crate::state::StateError>>,
    done: CancellationToken,
}

impl Held {
    /// Renews the lease from now on.
    pub fn of(leased: &Arc<LeasedRecord<VerifyTaskRecord>>) -> Self {
        let done = CancellationToken::new();
        let renewing = tokio::spawn(Arc::clone(leased).renew_until(done.clone()));
        Self {
            renewing: AbortOnDropHandle::new(renewing),
            done,
        }
    }

    /// Gives it back. A lease that can't be given back expires.
    pub async fn release(self) {
        self.done.cancel();
        match self.renewing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "could not give a task back; its lease expires"),
            Err(error) => tracing::error!(%error, "the renewal of a task failed; its lease expires"),
        }
    }
}

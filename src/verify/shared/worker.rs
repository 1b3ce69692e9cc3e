//! The worker of a shared verify: works on free tasks until all are done, by whomever.

use super::begin::replaced;
use super::outcomes::Beginning;
use super::queue::{Standing, TaskQueue};
use super::task::{SORTS_AT_ONCE, Share, Task, TaskEnd};
use crate::dynamo::chance;
use crate::model::duration;
use crate::state::{Owner, SplitRecord, Stored, VerifyPhase, VerifyTask, VerifyTaskRecord};
use crate::verify::mismatch_list::MismatchList;
use crate::verify::passes::Run;
use crate::verify::result::VerifyResult;
use crate::verify::sorting::blocking;
use crate::verify::verification::Verify;
use crate::worker::{LeasedRecord, Members, RunError};
use futures::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Segments that one process reads at once: as many pages as it holds in memory.
const SCANS_AT_ONCE: usize = 16;
/// Ranges that one process compares at once. Most of them only wait for their lanes.
const RANGES_AT_ONCE: usize = 32;
const POLL: Duration = Duration::from_millis(250);

/// Tasks of a phase that one process works on at once: its share, and no more than it has room for.
fn at_once(phase: VerifyPhase, all: usize, processes: usize) -> usize {
    let most = match phase {
        VerifyPhase::Targets | VerifyPhase::Source => SCANS_AT_ONCE,
        VerifyPhase::Compare => RANGES_AT_ONCE,
        VerifyPhase::Sum => 1,
    };
    all.div_ceil(processes.max(1)).clamp(1, most)
}

type Tasks = JoinSet<(VerifyTask, Result<TaskEnd, RunError>)>;

impl Verify {
    /// Takes part in a shared verify until it has ended.
    ///
    /// # Errors
    /// If this process may not take part, cannot go on, or another verify was begun instead.
    pub(in crate::verify) async fn run_shared(
        &self,
        name: &str,
        record: &SplitRecord,
        places: Vec<usize>,
    ) -> Result<VerifyResult, RunError> {
        if let Some(back) = &self.back {
            let service = back.back_side().map_or("the service", |back| &*back.service);
            return Err(RunError::NotYet {
                what: format!(
                    "{service} has switched with a way back, and one process compares it with the source"
                ),
                next: "leave --shared out".into(),
            });
        }
        // A wrong path is found out before anything is read.
        let path = self.options.list.clone();
        blocking(move || MismatchList::open(0, path.as_deref())).await?;
        let joined = self.join(name, record, &places).await?;
        if let Some(end) = &joined.verify.end {
            let ago = duration(self.split.now_ms().saturating_sub(end.ended_ms));
            let mut result = self.ended(&joined).await?;
            // Whoever gives the same name every night would believe the first night.
            result.notes.push(format!(
                "this is the result of the shared verify '{name}', which ended {ago} ago: to verify again, give another name"
            ));
            return Ok(result);
        }
        self.split.store.runs();
        let halt = self.stop.child_token();
        let run = Run::begin(self, record, places, &halt).await?;
        let done = CancellationToken::new();
        let shown_until = done.clone().drop_guard();
        let shown = tokio::spawn(Arc::clone(&run.progress).show(done));
        let share = Arc::new(Share {
            run,
            folder: joined.folder.clone(),
            verify: joined.verify.clone(),
            sorts: Semaphore::new(SORTS_AT_ONCE),
            blocks: OnceCell::new(),
        });
        let owner = Owner::unique("verify");
        let mut members = Members::join(&self.split, &owner).await?;
        let mut tasks = Tasks::new();
        let worked = Box::pin(self.work(&share, record, (&owner, &mut members), &mut tasks)).await;
        // They give their leases back.
        halt.cancel();
        while tasks.join_next().await.is_some() {}
        members.leave().await;
        drop(shown_until);
        if let Err(error) = shown.await {
            tracing::error!(%error, "the progress display failed");
        }
        match worked {
            Ok(()) => self.ended(&joined).await,
            Err(_) if self.stop.is_cancelled() => Err(RunError::Stopped(format!(
                "this process has left the shared verify '{name}': run the same command to take part again; what was done is kept"
            ))),
            Err(error) => Err(error),
        }
    }

    /// Works on free tasks until the verify has ended.
    async fn work(
        &self,
        share: &Arc<Share>,
        record: &SplitRecord,
        (owner, members): (&Owner, &mut Members),
        tasks: &mut Tasks,
    ) -> Result<(), RunError> {
        let beginning: Beginning = share.folder.read_json(&share.verify.beginning).await?;
        let mut queue = TaskQueue::new(&self.split, &share.verify);
        let mut running: BTreeMap<VerifyTask, ()> = BTreeMap::new();
        let (salt, mut told) = (chance::any(), String::new());
        loop {
            if self.stop.is_cancelled() {
                return Err(RunError::Stopped("it was interrupted".into()));
            }
            members.refresh().await;
            match queue.refresh().await? {
                Standing::Working => {}
                Standing::Ended => return Ok(()),
                Standing::Replaced => return Err(replaced(&share.verify.name)),
            }
            let (phase, progress) = (queue.phase(), queue.progress());
            let words = format!(
                "{} ({} of {} parts done)",
                phase.words(),
                progress.done,
                progress.all
            );
            if words != told {
                share.run.progress.say(&words);
                told = words;
            }
            let processes = self.split.fleet.processes();
            self.budgets.shared_by(processes);
            let wanted = at_once(phase, progress.all, processes);
            let scans =
                queue.found(|task| matches!(task, VerifyTask::Target { .. } | VerifyTask::Source { .. }));
            let mut free = queue.free(&running, salt);
            free.truncate(wanted.saturating_sub(running.len()));
            let taken = free
                .into_iter()
                .map(async |(task, stored)| (task, self.take(share, owner, task, stored).await));
            for (task, leased) in join_all(taken).await {
                let Some(leased) = leased? else {
                    queue.is_taken(task);
                    continue;
                };
                if task == VerifyTask::Sum {
                    let ranges = queue.found(|task| matches!(task, VerifyTask::Range { .. }));
                    let found = (&scans, &ranges);
                    match Box::pin(self.sum(share, record, &beginning, found, leased)).await? {
                        TaskEnd::Done => return Ok(()),
                        TaskEnd::Lost => queue.is_stale(),
                    }
                    continue;
                }
                running.insert(task, ());
                let work = Task {
                    share: Arc::clone(share),
                    leased,
                    task,
                    scans: Arc::clone(&scans),
                    at_once: wanted,
                };
                tasks.spawn(async move { (task, work.run().await) });
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                first = tasks.join_next(), if !tasks.is_empty() => {
                    let mut next = first;
                    while let Some(ended) = next {
                        let (task, end) = ended.map_err(|error| RunError::Failed(error.to_string()))?;
                        running.remove(&task);
                        self.note_end(&mut queue, task, end).await?;
                        next = tasks.try_join_next();
                    }
                    if queue.free(&running, salt).is_empty() {
                        queue.is_stale();
                    }
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn take(
        &self,
        share: &Share,
        owner: &Owner,
        task: VerifyTask,
        stored: Stored<VerifyTaskRecord>,
    ) -> Result<Option<Arc<LeasedRecord<VerifyTaskRecord>>>, RunError> {
        let name = VerifyTaskRecord::record_name(&share.verify.id, task);
        let (store, timing) = (&self.split.store, self.split.timing);
        Ok(LeasedRecord::take(store, &name, stored, owner, timing).await?)
    }

    /// A task of this process has ended.
    async fn note_end(
        &self,
        queue: &mut TaskQueue,
        task: VerifyTask,
        end: Result<TaskEnd, RunError>,
    ) -> Result<(), RunError> {
        match end {
            Ok(TaskEnd::Done) => {
                queue.is_done(task);
                Ok(())
            }
            Ok(TaskEnd::Lost) => {
                queue.is_taken(task);
                Ok(())
            }
            // Others are read first, and then it is tried once more.
            Err(RunError::HotRange { .. }) if !queue.is_hot(task) => Ok(()),
            // Another process has summed up, and removed what this task was about to read.
            Err(error) => match queue.standing().await? {
                Standing::Working => Err(error),
                Standing::Ended | Standing::Replaced => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_share_the_tasks_of_a_phase_evenly() {
        use VerifyPhase::{Compare, Source, Sum, Targets};
        assert_eq!(at_once(Source, 64, 1), 16, "no more than pages in memory");
        assert_eq!(at_once(Targets, 64, 4), 16);
        assert_eq!(at_once(Targets, 64, 30), 3);
        assert_eq!(at_once(Compare, 32, 1), 32, "they wait together");
        assert_eq!(at_once(Compare, 32, 4), 8);
        assert_eq!(at_once(Compare, 32, 100), 1);
        assert_eq!((at_once(Sum, 1, 4), at_once(Sum, 1, 0)), (1, 1));
    }
}

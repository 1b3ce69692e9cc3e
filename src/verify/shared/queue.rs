//! The queue of tasks: which phase it is, which tasks are free, and what the others found.

use super::outcomes::Outcomes;
use crate::state::{
    LeaseWatch, PhaseProgress, SharedVerifyRecord, Stored, StoredRef, VerifyPhase, VerifyTask,
    VerifyTaskRecord,
};
use crate::worker::{RunError, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two readings.
const SHORTEST: Duration = Duration::from_millis(500);
/// If something of the queue is known to have changed.
const AGAIN: Duration = Duration::from_millis(100);
/// What a read unit shows, if it may not be older than its answer: some ten records of tasks.
const TASKS_A_UNIT: f64 = 10.0;

/// The tasks of the present phase, as they were read last.
pub(super) struct TaskQueue {
    split: Split,
    verify: SharedVerifyRecord,
    phase: usize,
    tasks: BTreeMap<VerifyTask, Seen>,
    /// What the tasks of the earlier phases found.
    found: BTreeMap<VerifyTask, StoredRef>,
    leases: LeaseWatch,
    read: Option<(Instant, Duration)>,
    /// Tasks whose key range is throttled: others come first.
    hot: BTreeSet<VerifyTask>,
    /// Tasks that this process has done, whatever was read before.
    done: BTreeSet<VerifyTask>,
}

struct Seen {
    stored: Stored<VerifyTaskRecord>,
    is_free: bool,
}

/// Where a shared verify stands.
pub(super) enum Standing {
    /// It is under way.
    Working,
    /// It has ended.
    Ended,
    /// Another one has begun in its place.
    Replaced,
}

impl TaskQueue {
    /// Not read yet.
    pub fn new(split: &Split, verify: &SharedVerifyRecord) -> Self {
        Self {
            split: split.clone(),
            verify: verify.clone(),
            phase: 0,
            tasks: BTreeMap::new(),
            found: BTreeMap::new(),
            leases: LeaseWatch::default(),
            read: None,
            hot: BTreeSet::new(),
            done: BTreeSet::new(),
        }
    }

    /// The present phase.
    pub fn phase(&self) -> VerifyPhase {
        SharedVerifyRecord::PHASES[self.phase.min(SharedVerifyRecord::PHASES.len() - 1)]
    }

    /// How far it is.
    pub fn progress(&self) -> PhaseProgress {
        let records = self.tasks.values().map(|seen| &seen.stored.value);
        PhaseProgress::of(&self.verify, self.phase(), records)
    }

    /// What the scans found, or the ranges.
    pub fn found(&self, is_meant: impl Fn(VerifyTask) -> bool) -> Outcomes {
        let found = self.found.iter().filter(|(task, _)| is_meant(**task));
        Arc::new(found.map(|(task, done)| (*task, done.clone())).collect())
    }

    /// Reads where the verify stands, whatever was read before.
    pub async fn standing(&self) -> Result<Standing, RunError> {
        let store = &self.split.store;
        let found = store.get::<SharedVerifyRecord>(SharedVerifyRecord::NAME).await?;
        Ok(match found.map(|found| found.value) {
            Some(found) if found.id != self.verify.id => Standing::Replaced,
            Some(found) if found.end.is_some() => Standing::Ended,
            Some(_) => Standing::Working,
            None => Standing::Replaced,
        })
    }

    /// Reads the queue if it is due.
    pub async fn refresh(&mut self) -> Result<Standing, RunError> {
        if self.read.is_some_and(|(at, pause)| at.elapsed() < pause) {
            return Ok(Standing::Working);
        }
        loop {
            match self.standing().await? {
                Standing::Working => {}
                over => return Ok(over),
            }
            let prefix = VerifyTaskRecord::of_phase(&self.verify.id, self.phase());
            let found = self.split.store.list::<VerifyTaskRecord>(&prefix).await?;
            self.take_in(found);
            #[allow(clippy::cast_precision_loss)] // there are few
            let units = self.tasks.len() as f64 / TASKS_A_UNIT + 2.0;
            self.read = Some((Instant::now(), self.split.fleet.pause(SHORTEST, units)));
            if !self.progress().is_complete() || self.phase() == VerifyPhase::Sum {
                return Ok(Standing::Working);
            }
            self.phase += 1;
            let done = std::mem::take(&mut self.tasks).into_iter();
            let done = done.filter_map(|(task, seen)| Some((task, seen.stored.value.done?)));
            self.found.extend(done);
        }
    }

    fn take_in(&mut self, found: Vec<(String, Stored<VerifyTaskRecord>)>) {
        let now = Instant::now();
        self.tasks.clear();
        for (name, stored) in found {
            // Looking at every lease, so that one that ends is seen to end.
            let is_free = self
                .leases
                .is_free(&name, &stored.value.lease, stored.revision, now);
            self.tasks.insert(stored.value.task, Seen { stored, is_free });
        }
    }

    /// The queue has changed: it is read again soon.
    pub fn is_stale(&mut self) {
        if let Some((_, pause)) = &mut self.read {
            *pause = AGAIN.min(*pause);
        }
    }

    /// Another process has a task that seemed to be free.
    pub fn is_taken(&mut self, task: VerifyTask) {
        let unread = || Seen {
            stored: Stored {
                value: VerifyTaskRecord::new(task),
                revision: 0,
            },
            is_free: false,
        };
        self.tasks.entry(task).or_insert_with(unread).is_free = false;
        self.is_stale();
    }

    /// This process has done a task.
    pub fn is_done(&mut self, task: VerifyTask) {
        self.done.insert(task);
    }

    /// The key range of a task is throttled all the time. Returns whether that was found out before.
    pub fn is_hot(&mut self, task: VerifyTask) -> bool {
        !self.hot.insert(task)
    }

    /// Tasks that no process works on, in an order of their own for each process.
    pub fn free<T>(
        &self,
        mine: &BTreeMap<VerifyTask, T>,
        salt: u32,
    ) -> Vec<(VerifyTask, Stored<VerifyTaskRecord>)> {
        let mut free: Vec<_> = self
            .verify
            .tasks(self.phase())
            .into_iter()
            .enumerate()
            .filter(|(_, task)| !mine.contains_key(task) && !self.done.contains(task))
            .filter_map(|(place, task)| {
                let stored = match self.tasks.get(&task) {
                    None => Stored {
                        value: VerifyTaskRecord::new(task),
                        revision: 0,
                    },
                    Some(seen) if seen.is_free && seen.stored.value.done.is_none() => seen.stored.clone(),
                    Some(_) => return None,
                };
                Some((self.hot.contains(&task), scattered(place, salt), task, stored))
            })
            .collect();
        free.sort_by_key(|(is_hot, place, ..)| (*is_hot, *place));
        free.into_iter()
            .map(|(_, _, task, stored)| (task, stored))
            .collect()
    }
}

/// A place such that processes begin at different tasks, and rarely try to take the same one (Fibonacci hashing: Knuth, The Art of
/// Computer Programming, 6.4).
fn scattered(place: usize, salt: u32) -> u32 {
    #[allow(clippy::cast_possible_truncation)] // any number is as good
    let place = place as u32;
    place.wrapping_add(salt).wrapping_mul(0x9E37_79B9)
}

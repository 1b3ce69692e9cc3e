//! The budgets of a running command: they follow what is tuned, and they record what delays its requests.

use super::error::RunError;
use super::fleet::Fleet;
use super::split::Split;
use crate::dynamo::{Budget, Health, Timing};
use crate::state::{Limit, StateError, Store, TuningChange, TuningRecord};
use serde::Serialize;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The budgets of one process: for reads of each table, and for writes to each service's table.
///
/// A command-line option applies to one process. A tuned budget overrides the option, and applies to all processes of
/// the command together: each takes an equal share ([`Budgets::shared_by`]).
#[derive(Debug)]
pub(crate) struct Budgets {
    read_option: Option<f64>,
    write_option: Option<f64>,
    source: Arc<Budget>,
    targets: BTreeMap<String, TargetBudgets>,
    processes: AtomicU32,
    tuning: Mutex<TuningRecord>,
}

#[derive(Debug, Default)]
struct TargetBudgets {
    reads: Arc<Budget>,
    writes: Arc<Budget>,
    health: Arc<Health>,
}

/// Wait between two reads of the tuned budgets: a change takes effect within a second or two, or, in a large fleet, within some
/// seconds.
const POLL: Duration = Duration::from_secs(1);

impl Budgets {
    /// As a command's options say.
    pub fn new(split: &Split, read_units: Option<f64>, write_units: Option<f64>) -> Arc<Self> {
        let targets = split.plan.services.iter().map(|service| {
            let budgets = TargetBudgets {
                reads: Arc::new(Budget::new(read_units)),
                writes: Arc::new(Budget::new(write_units)),
                health: Arc::default(),
            };
            (service.name.clone(), budgets)
        });
        Arc::new(Self {
            read_option: read_units,
            write_option: write_units,
            source: Arc::new(Budget::new(read_units)),
            targets: targets.collect(),
            processes: AtomicU32::new(1),
            tuning: Mutex::default(),
        })
    }

    /// Of reads of the source.
    pub fn source(&self) -> Arc<Budget> {
        Arc::clone(&self.source)
    }

    /// The budget for reads of a service's table; unlimited if there is none.
    pub fn reads(&self, service: &str) -> Arc<Budget> {
        self.targets
            .get(service)
            .map_or_else(Arc::default, |target| Arc::clone(&target.reads))
    }

    /// The budget for writes to a service's table; unlimited if there is none.
    pub fn writes(&self, service: &str) -> Arc<Budget> {
        self.targets
            .get(service)
            .map_or_else(Arc::default, |target| Arc::clone(&target.writes))
    }

    /// What delays the requests of the command to a service's table.
    pub fn health(&self, service: &str) -> Arc<Health> {
        self.targets
            .get(service)
            .map_or_else(Arc::default, |target| Arc::clone(&target.health))
    }

    /// What limits the reads and writes of the services' tables: a failing request, or a budget.
    pub fn limits(&self) -> BTreeMap<String, Limit> {
        let limit = |target: &TargetBudgets| {
            let blocked = target.health.blocked().map(Limit::held_up);
            blocked
                .or_else(|| target.reads.limits().map(Limit::read_budget))
                .or_else(|| target.writes.limits().map(Limit::write_budget))
        };
        let targets = self.targets.iter();
        targets
            .filter_map(|(service, target)| Some((service.clone(), limit(target)?)))
            .collect()
    }

    /// The tuned number of segments at once.
    pub fn workers(&self) -> Option<usize> {
        let tuning = self.tuning.lock().unwrap_or_else(PoisonError::into_inner);
        tuning.workers.map(|workers| usize::from(workers.max(1)))
    }

    /// So many processes of this command work, this one among them.
    pub fn shared_by(&self, processes: usize) {
        let processes = u32::try_from(processes.max(1)).unwrap_or(u32::MAX);
        if self.processes.swap(processes, Ordering::Relaxed) != processes {
            self.obey();
        }
    }

    /// Reads the tuned budgets, before the first request that they apply to.
    ///
    /// # Errors
    /// If the state can't be read.
    pub async fn read(&self, store: &Store) -> Result<(), StateError> {
        let found = TuningRecord::read(store).await?;
        let changed = {
            let mut tuning = self.tuning.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *tuning, found.clone()) != found
        };
        if changed {
            tracing::info!(?found, "budgets were tuned");
            self.obey();
        }
        Ok(())
    }

    /// Follows the tuned budgets until the state is deleted; the work under these budgets drops this future. If the
    /// state can't be read, the last values stay.
    async fn follow(&self, store: &Store) -> StateError {
        let fleet = Fleet::new(Timing::LIVE);
        loop {
            fleet.note(self.processes.load(Ordering::Relaxed) as usize);
            tokio::time::sleep(fleet.pause(POLL, 1.0)).await;
            match self.read(store).await {
                Ok(()) => {}
                Err(error) if error.is_gone() => return error,
                Err(error) => tracing::debug!(%error, "could not read the tuned budgets; trying again"),
            }
        }
    }

    /// Works under these budgets, and follows what is tuned meanwhile.
    ///
    /// # Errors
    /// The errors of the work; also if the state is deleted meanwhile, because nothing of the work can be saved then.
    /// The work is dropped: its last requests land or not, as if this process had died.
    pub async fn during<T>(
        &self,
        store: &Store,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        tokio::select! {
            biased;
            done = work => done,
            gone = self.follow(store) => Err(gone.into()),
        }
    }

    /// The same for work that finds out by itself that the state was deleted, and then ends in order.
    pub async fn beside<T>(&self, store: &Store, work: impl Future<Output = T>) -> T {
        let following = async {
            self.follow(store).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = following => match never {},
        }
    }

    fn obey(&self) {
        // Under the lock, so that of two simultaneous calls the later one sees the latest values.
        let tuning = self.tuning.lock().unwrap_or_else(PoisonError::into_inner);
        let processes = self.processes.load(Ordering::Relaxed);
        let reads = tuning.read_units(self.read_option, processes);
        self.source.set_rate(reads);
        for (service, target) in &self.targets {
            target.reads.set_rate(reads);
            target
                .writes
                .set_rate(tuning.write_units(service, self.write_option, processes));
        }
    }
}

/// The budgets before and after a change.
#[derive(Clone, Debug, Serialize)]
pub struct Tuned {
    /// Before.
    pub was: TuningRecord,
    /// From now on.
    pub now: TuningRecord,
}

/// Changes the tuned budgets, and returns them. Running commands obey within a second or two.
///
/// # Errors
/// If the split is not applied or is over, the plan was edited, or the state can't be reached.
pub async fn tune(split: &Split, change: &TuningChange) -> Result<Tuned, RunError> {
    super::checks::check_split(split).await?;
    let mut was = TuningRecord::read(&split.store).await?;
    if change.is_none() {
        return Ok(Tuned {
            now: was.clone(),
            was,
        });
    }
    let stored = split
        .store
        .change::<TuningRecord, StateError>(TuningRecord::NAME, |found| {
            was = found.unwrap_or_default();
            Ok(was.changed(change, split.now_ms()))
        })
        .await?;
    Ok(Tuned {
        was,
        now: stored.value,
    })
}

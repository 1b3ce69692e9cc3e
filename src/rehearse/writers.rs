//! The live writers: they write to the source as an application does during a split.
//!
//! There are several tasks, each with its own items, so that the writes of one item come one after the other. A write
//! lands before the next one is decided. A write that cannot land ends the rehearsal, because the correct contents of
//! the tables are unknown from then on.

use super::application::{Application, Written};
use super::delivery::Delivery;
use super::mutate::{Action, Mutation, Mutator, Timestamp};
use super::population::Population;
use super::write_rate::{Rests, WriteRate};
pub use super::writer_error::WriterError;
use crate::model::KeySchema;
use aws_sdk_dynamodb::Client;
use serde::Serialize;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How the live writers write.
#[derive(Clone)]
pub struct WriterOptions {
    /// Writes a second, of all tasks together. 0: none at all.
    pub writes_per_second: u32,
    /// Decides the writes. The same seed gives each task the same writes; the machine decides how the tasks
    /// interleave.
    pub seed: u64,
    /// The timestamp that each write sets, if the plan has one.
    pub timestamp: Option<Timestamp>,
    /// Tasks that write at the same time.
    pub tasks: usize,
    /// When none of them writes.
    pub rests: Option<Rests>,
    /// The application that knows which table each item is written to. `None`: all are written to the source.
    pub(super) application: Option<Arc<Application>>,
}

/// Writes that landed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct WriterReport {
    /// New items.
    pub creates: u64,
    /// Items changed in part.
    pub updates: u64,
    /// Items that were replaced as a whole.
    pub replaces: u64,
    /// Items deleted.
    pub deletes: u64,
    /// Deleted items that were created again.
    pub recreates: u64,
    /// Times when one item was written several times in a row; those writes are counted above.
    pub bursts: u64,
    /// Requests that were sent again.
    pub retries: u64,
}

impl WriterReport {
    /// All writes that landed.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.creates + self.updates + self.replaces + self.deletes + self.recreates
    }
}

#[derive(Default)]
struct Counts {
    creates: AtomicU64,
    updates: AtomicU64,
    replaces: AtomicU64,
    deletes: AtomicU64,
    recreates: AtomicU64,
    bursts: AtomicU64,
    retries: AtomicU64,
}

impl Counts {
    fn of(&self, action: Action) -> &AtomicU64 {
        match action {
            Action::Create => &self.creates,
            Action::Update => &self.updates,
            Action::Replace => &self.replaces,
            Action::Delete => &self.deletes,
            Action::Recreate => &self.recreates,
        }
    }

    fn report(&self) -> WriterReport {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WriterReport {
            creates: read(&self.creates),
            updates: read(&self.updates),
            replaces: read(&self.replaces),
            deletes: read(&self.deletes),
            recreates: read(&self.recreates),
            bursts: read(&self.bursts),
            retries: read(&self.retries),
        }
    }
}

/// Writers at work. Dropping it breaks them off, perhaps within a write: a rehearsal stops them instead.
pub struct LiveWriters {
    tasks: JoinSet<Result<(), WriterError>>,
    stop: CancellationToken,
    counts: Arc<Counts>,
    under_way: Arc<RwLock<()>>,
}

impl LiveWriters {
    /// Starts to write. The population's items must be loaded.
    #[must_use]
    pub fn start(
        client: &Client,
        table: &str,
        keys: &KeySchema,
        population: Population,
        options: WriterOptions,
    ) -> Self {
        let stop = CancellationToken::new();
        let counts = Arc::new(Counts::default());
        let under_way = Arc::new(RwLock::new(()));
        let mut tasks = JoinSet::new();
        if let Some(pace) = WriteRate::of(options.writes_per_second, options.rests) {
            let pace = Arc::new(pace);
            for (number, share) in population.split(options.tasks).into_iter().enumerate() {
                let seed = options.seed.wrapping_add(number as u64);
                let writer = Writer {
                    source: Delivery {
                        client: client.clone(),
                        table: table.to_owned(),
                        keys: keys.clone(),
                    },
                    application: options.application.clone(),
                    pace: Arc::clone(&pace),
                    stop: stop.clone(),
                    counts: Arc::clone(&counts),
                    under_way: Arc::clone(&under_way),
                };
                let mutator = Mutator::new(share, options.timestamp.clone(), seed);
                tasks.spawn(writer.run(mutator));
            }
        }
        Self {
            tasks,
            stop,
            counts,
            under_way,
        }
    }

    /// The writes that have landed so far.
    #[must_use]
    pub fn report(&self) -> WriterReport {
        self.counts.report()
    }

    /// Resolves once a writer has failed; [`stop`](Self::stop) then says why. As long as all is well it waits,
    /// so it belongs into a `select!`.
    pub async fn failed(&self) {
        self.stop.cancelled().await;
    }

    /// Lets the writes under way land. Nobody writes until the result is dropped.
    pub async fn rest(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.under_way).write_owned().await
    }

    /// Lets the writes under way land, and ends.
    ///
    /// # Errors
    /// The first write that did not land: the rehearsal has failed then.
    pub async fn stop(mut self) -> Result<WriterReport, WriterError> {
        self.stop.cancel();
        let mut outcome = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            outcome = outcome.and(ended.unwrap_or_else(|error| Err(error.into())));
        }
        outcome.map(|()| self.counts.report())
    }
}

/// One task's tools.
struct Writer {
    source: Delivery,
    application: Option<Arc<Application>>,
    pace: Arc<WriteRate>,
    stop: CancellationToken,
    counts: Arc<Counts>,
    /// Held while a write is under way.
    under_way: Arc<RwLock<()>>,
}

impl Writer {
    async fn run(self, mut mutator: Mutator) -> Result<(), WriterError> {
        // A task that fails, even by a panic, stops the others.
        let alarm = self.stop.clone().drop_guard();
        let outcome = self.write(&mut mutator).await;
        self.counts.bursts.fetch_add(mutator.bursts(), Ordering::Relaxed);
        if outcome.is_ok() {
            alarm.disarm();
        }
        outcome
    }

    async fn write(&self, mutator: &mut Mutator) -> Result<(), WriterError> {
        let mut waiting = VecDeque::new();
        loop {
            let turn = self.pace.next_turn(Instant::now());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(turn) => {}
            }
            let _under_way = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                writing = self.under_way.read() => writing,
            };
            let Some(mutation) = mutator.next_mutation()? else {
                return Ok(());
            };
            match &self.application {
                Some(application) => {
                    waiting.push_back(mutation);
                    self.write_waiting(application, &mut waiting).await?;
                }
                None => {
                    let Mutation { action, key, request } = mutation;
                    self.source.send(&key, request, &self.counts.retries).await?;
                    self.count(action);
                }
            }
        }
    }

    /// Writes everything that need not wait, in its order: no write of an item overtakes an earlier one.
    async fn write_waiting(
        &self,
        application: &Application,
        waiting: &mut VecDeque<Mutation>,
    ) -> Result<(), WriterError> {
        let mut stopped = HashSet::new();
        for mutation in std::mem::take(waiting) {
            if stopped.contains(&mutation.key) {
                waiting.push_back(mutation);
                continue;
            }
            match application.write(&mutation, &self.counts.retries).await? {
                Written::Landed => self.count(mutation.action),
                Written::Meaningless => {}
                Written::Stopped => {
                    stopped.insert(mutation.key.clone());
                    waiting.push_back(mutation);
                }
            }
        }
        Ok(())
    }

    fn count(&self, action: Action) {
        self.counts.of(action).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

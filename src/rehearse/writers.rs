//! The live writers: they write to the source as an application does during a split.
//!
//! There are several tasks, each with its own items, so that the writes of one item come one after the other. A write
//! lands before the next one is decided. A write that cannot land ends the rehearsal, because the correct contents of
//! the tables are unknown from then on.

use super::generate::GenerateError;
use super::mutate::{Action, Mutation, Mutator, Request, Timestamp};
use super::population::Population;
use super::retry::{Refusal, until_landed};
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::model::{Item, KeySchema};
use aws_sdk_dynamodb::Client;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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

/// Why the live writers stopped by themselves.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// An item could not be made.
    #[error(transparent)]
    Item(#[from] GenerateError),
    /// A write did not land.
    #[error(
        "a live writer cannot {operation} '{key}' in the table '{table}' (attempt {sends}): {reason}; the \
         rehearsal proves nothing without this write, so fix the cause and rehearse again"
    )]
    Write {
        /// The API's operation.
        operation: &'static str,
        /// Key of the item.
        key: String,
        /// The table.
        table: String,
        /// How often it was sent.
        sends: u32,
        /// The last answer.
        reason: String,
    },
    /// A task came to grief.
    #[error("a live writer ended unexpectedly: {0}; this is a bug in dynasplit, please report it")]
    Task(#[from] tokio::task::JoinError),
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
        let mut tasks = JoinSet::new();
        if let Some(pace) = WriteRate::of(options.writes_per_second) {
            let pace = Arc::new(pace);
            for (number, share) in population.split(options.tasks).into_iter().enumerate() {
                let seed = options.seed.wrapping_add(number as u64);
                let writer = Writer {
                    client: client.clone(),
                    table: table.to_owned(),
                    keys: keys.clone(),
                    pace: Arc::clone(&pace),
                    stop: stop.clone(),
                    counts: Arc::clone(&counts),
                };
                let mutator = Mutator::new(share, options.timestamp.clone(), seed);
                tasks.spawn(writer.run(mutator));
            }
        }
        Self { tasks, stop, counts }
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
    client: Client,
    table: String,
    keys: KeySchema,
    pace: Arc<WriteRate>,
    stop: CancellationToken,
    counts: Arc<Counts>,
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
        loop {
            let turn = self.pace.next_turn(Instant::now());
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(turn) => {}
            }
            let Some(mutation) = mutator.next_mutation()? else {
                return Ok(());
            };
            let action = mutation.action;
            self.send(mutation).await?;
            self.counts.of(action).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends a write until it has landed.
    async fn send(&self, mutation: Mutation) -> Result<(), WriterError> {
        let name = mutation.key.to_string();
        let key = item_to_sdk(self.keys.item_of(&mutation.key));
        let retries = &self.counts.retries;
        let (operation, landed) = match mutation.request {
            Request::Put(item) => {
                let request = self
                    .client
                    .put_item()
                    .table_name(&self.table)
                    .set_item(Some(item_to_sdk(item)));
                let send = || request.clone().send();
                ("PutItem", until_landed(retries, send).await.map(drop))
            }
            Request::Set(attributes) => {
                let request = self.update(attributes).set_key(Some(key));
                let send = || request.clone().send();
                ("UpdateItem", until_landed(retries, send).await.map(drop))
            }
            Request::Delete => {
                let request = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(key));
                let send = || request.clone().send();
                ("DeleteItem", until_landed(retries, send).await.map(drop))
            }
        };
        landed.map_err(|Refusal { sends, reason }| WriterError::Write {
            operation,
            key: name,
            table: self.table.clone(),
            sends,
            reason,
        })
    }

    /// An update that sets attributes, whatever their names are.
    fn update(
        &self,
        attributes: Item,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        let mut request = self.client.update_item().table_name(&self.table);
        let mut clauses = Vec::with_capacity(attributes.len());
        for (index, (name, value)) in attributes.into_iter().enumerate() {
            clauses.push(format!("#a{index} = :v{index}"));
            request = request
                .expression_attribute_names(format!("#a{index}"), name)
                .expression_attribute_values(format!(":v{index}"), value_to_sdk(value));
        }
        request.update_expression(format!("SET {}", clauses.join(", ")))
    }
}

/// Gives all tasks together this many turns per second.
struct WriteRate {
    gap: Duration,
    next: Mutex<Instant>,
}

impl WriteRate {
    /// How far turns that were missed may be made up for, by going faster for a moment.
    const CATCH_UP: Duration = Duration::from_millis(250);

    /// `None` for a rate of 0.
    fn of(writes_per_second: u32) -> Option<Self> {
        let gap = Duration::from_secs(1).checked_div(writes_per_second)?;
        Some(Self {
            gap,
            next: Mutex::new(Instant::now()),
        })
    }

    /// Takes the next turn: when it is.
    fn next_turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now.checked_sub(Self::CATCH_UP).unwrap_or(now));
        *next = turn + self.gap;
        turn
    }
}

#[cfg(test)]
mod tests;

use super::gather::{Batched, Gather, Operation, Waiting};
use super::insert::Insert;
use super::write::{TargetWriter, putting, units};
use crate::dynamo::{Failure, FailureKind};
use crate::fault;
use crate::flow::{Guard, Landed, Outcome, Sink, SinkError, Write};
use crate::model::Key;
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum, BatchStatementResponse, ReturnConsumedCapacity};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use tokio::sync::Semaphore;

/// Writes that go alone, at once.
const ALONE_AT_ONCE: usize = 16;
/// Where so many more items exist than are new, a batch costs more than it saves: each that exists is billed twice.
const MANY_EXIST: i32 = 50;

/// Whether the inserts of a service go in batches, in one process.
#[derive(Debug, Default)]
pub struct Batching {
    off: OnceLock<String>,
    /// Raised by each item that exists already and must be written again alone, lowered by each that is new.
    existing: AtomicI32,
}

impl Batching {
    /// Never: for this reason.
    pub fn stop(&self, reason: String) {
        if self.off.set(reason.clone()).is_ok() {
            tracing::warn!(reason, "items are written one by one from now on");
        }
    }

    /// Why there are no batches, if so.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.off.get().map(String::as_str)
    }

    fn pays(&self) -> bool {
        self.off.get().is_none() && self.existing.load(Ordering::Relaxed) < MANY_EXIST
    }

    fn count(&self, exists: bool) {
        let by = if exists { 3 } else { -1 };
        let update = |seen: i32| Some((seen + by).clamp(0, 2 * MANY_EXIST));
        let _ = self
            .existing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }
}

/// The writes of a page to one service, gathered into batches of inserts.
///
/// A write waits here until its batch was answered; whoever drives the page asks for the [next](Batched::next) batch
/// when no write can be gathered any more, and [sends](Batched::send) it. What an insert can't settle is written alone,
/// under its own guard: an item that exists and may be older, a statement that was refused. So each write has the outcome
/// that it would have had alone.
#[derive(Debug)]
pub struct Batches<'a> {
    writer: &'a TargetWriter,
    batching: &'a Batching,
    waiting: Gather<Insert, Inserted>,
    /// Writes that go alone.
    alone: Semaphore,
}

impl Operation for Insert {
    fn key(&self) -> &Key {
        &self.key
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What became of an insert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It landed, and used so many thousandths of a write unit.
    Landed(u64),
    /// There is an item, or a tombstone; the refusal used so many thousandths.
    Exists(u64),
    /// It is to be tried again, after a wait.
    Again,
    /// It is to be written alone, which tells what is wrong.
    Alone,
}

impl Sink for Batches<'_> {
    async fn write(&self, write: &Write) -> Result<Landed, SinkError> {
        if !self.batching.pays() {
            let landed = self.alone(write).await?;
            self.batching.count(landed.outcome != Outcome::Written);
            return Ok(landed);
        }
        let Some(insert) = Insert::of(&self.writer.table, write) else {
            return self.alone(write).await;
        };
        let mut attempt = 0u32;
        loop {
            match self.insert(insert.clone()).await {
                Inserted::Landed(write_milliunits) => {
                    self.batching.count(false);
                    return Ok(Landed {
                        outcome: Outcome::Written,
                        write_milliunits,
                    });
                }
                Inserted::Exists(write_milliunits) if write.guard == Guard::Absent => {
                    return Ok(Landed {
                        outcome: Outcome::Superseded,
                        write_milliunits,
                    });
                }
                Inserted::Exists(refused) => {
                    self.batching.count(true);
                    let landed = self.alone(write).await?;
                    return Ok(Landed {
                        write_milliunits: landed.write_milliunits + refused,
                        ..landed
                    });
                }
                Inserted::Alone => return self.alone(write).await,
                Inserted::Again => {
                    attempt = attempt.saturating_add(1);
                    self.writer.pause(attempt).await?;
                }
            }
        }
    }
}

impl Batched for Batches<'_> {
    type Batch = Vec<Waiting<Insert, Inserted>>;

    async fn next(&self) -> Self::Batch {
        self.waiting.next().await
    }

    async fn send(&self, batch: Self::Batch) {
        let answers = self.attempt(&batch).await;
        for (waiting, answer) in batch.into_iter().zip(answers) {
            // A write that nobody waits for any more belongs to a worker that stops.
            let _ = waiting.answer.send(answer);
        }
    }
}

impl<'a> Batches<'a> {
    /// For the writes of a writer.
    #[must_use]
    pub fn new(writer: &'a TargetWriter, batching: &'a Batching) -> Self {
        Self {
            writer,
            batching,
            waiting: Gather::default(),
            alone: Semaphore::new(ALONE_AT_ONCE),
        }
    }

    async fn alone(&self, write: &Write) -> Result<Landed, SinkError> {
        // It is never closed; without a permit there would only be more at once.
        let _permit = self.alone.acquire().await.ok();
        self.writer.write(write).await
    }

    async fn insert(&self, insert: Insert) -> Inserted {
        self.waiting.answered(insert).await.unwrap_or(Inserted::Alone)
    }

    /// One request for all.
    async fn attempt(&self, batch: &[Waiting<Insert, Inserted>]) -> Vec<Inserted> {
        let sendable = fault::before(putting(self.writer.hand)).await;
        if self.writer.admitted().await.is_err() {
            return vec![Inserted::Alone; batch.len()];
        }
        let sent = match sendable {
            Ok(()) => self.request(batch).await,
            Err(lost) => Err(lost.into()),
        };
        let sent = match fault::after(putting(self.writer.hand)).await {
            Ok(()) => sent,
            Err(lost) => Err(lost.into()),
        };
        match sent {
            Ok(answer) => self.read(&answer, batch.len()),
            Err(failure) => vec![self.failed(&failure); batch.len()],
        }
    }

    async fn request(
        &self,
        batch: &[Waiting<Insert, Inserted>],
    ) -> Result<BatchExecuteStatementOutput, Failure> {
        let statements: Vec<_> = batch
            .iter()
            .filter_map(|waiting| waiting.operation.request())
            .collect();
        let sent = self
            .writer
            .client
            .batch_execute_statement()
            .set_statements(Some(statements))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        sent.map_err(|error| Failure::of("dynamodb:BatchExecuteStatement", &*self.writer.table, &error))
    }

    fn failed(&self, failure: &Failure) -> Inserted {
        match &failure.kind {
            FailureKind::Throttled(_) | FailureKind::Transient => {
                self.writer.health.block(failure.reason());
                Inserted::Again
            }
            FailureKind::Denied | FailureKind::Unsupported => {
                self.batching.stop(failure.to_string());
                Inserted::Alone
            }
            // The single write finds out, and tells.
            _ => Inserted::Alone,
        }
    }

    fn read(&self, answer: &BatchExecuteStatementOutput, count: usize) -> Vec<Inserted> {
        let consumed = answer.consumed_capacity();
        let total: u64 = consumed.iter().map(|one| units(Some(one))).sum();
        self.writer.budget.pay(total);
        // Each statement's own, where the engine tells it; else the first has it all, so that the sum is right.
        let used = |place: usize| match consumed.get(place) {
            Some(one) if consumed.len() == count => units(Some(one)),
            _ if place == 0 => total,
            _ => 0,
        };
        let mut throttled = None;
        let responses = answer.responses();
        let mut inserted: Vec<_> = responses
            .iter()
            .take(count)
            .enumerate()
            .map(|(place, response)| one(response, used(place), &mut throttled))
            .collect();
        // An answer that says nothing of a statement leaves it open.
        inserted.resize(count, Inserted::Alone);
        match throttled {
            Some(code) => self.writer.health.block(format!("{code}: {}", self.writer.table)),
            None if self.writer.health.blocked().is_some() => self.writer.health.clear(),
            None => {}
        }
        inserted
    }
}

fn one(response: &BatchStatementResponse, used: u64, throttled: &mut Option<String>) -> Inserted {
    use BatchStatementErrorCodeEnum as Code;
    let Some(error) = response.error() else {
        return Inserted::Landed(used);
    };
    match error.code() {
        Some(Code::DuplicateItem) => Inserted::Exists(used),
        Some(
            code @ (Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::ThrottlingError
            | Code::InternalServerError
            | Code::TransactionConflict),
        ) => {
            *throttled = Some(code.as_str().to_owned());
            Inserted::Again
        }
        _ => Inserted::Alone,
    }
}

use super::insert::Insert;
use super::write::{TargetWriter, putting, units};
use crate::dynamo::{Failure, FailureKind, Felt, Paced};
use crate::fault;
use crate::flow::{Guard, Landed, Outcome, Sink, SinkError, Write};
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum, BatchStatementResponse, ReturnConsumedCapacity};
use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;
use tokio::sync::oneshot;

/// Statements in one batch at most
/// ([BatchExecuteStatement](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html)).
const MOST_STATEMENTS: usize = 25;
/// Bytes of items in one batch, about: far below what a request may have, so that one that fails costs little.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Where so many more items exist than are new, a batch costs more than it saves: each that exists is billed twice.
const MANY_EXIST: i32 = 50;

/// Whether the inserts of a service go in batches, and how large, in one process.
#[derive(Debug)]
pub struct Batching {
    off: OnceLock<String>,
    /// Statements in one batch at most, now.
    most: AtomicUsize,
    /// Raised by each item that exists already and must be written again alone, lowered by each that is new.
    existing: AtomicI32,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            off: OnceLock::new(),
            most: AtomicUsize::new(MOST_STATEMENTS),
            existing: AtomicI32::new(0),
        }
    }
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

    /// A batch was not answered: an engine that takes longer for it than an attempt may is asked for less at once.
    fn shrink(&self) {
        self.resize(|most| (most / 2).max(1));
    }

    /// A whole batch was answered.
    fn grow(&self) {
        self.resize(|most| (most + 1).min(MOST_STATEMENTS));
    }

    fn resize(&self, to: impl Fn(usize) -> usize) {
        let _ = self
            .most
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |most| Some(to(most)));
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
/// A write waits here until its batch was answered; whoever drives the page asks for the [next](Batches::next) batch
/// when no write can be gathered any more, and [sends](Batches::send) it. What an insert can't settle is written alone,
/// under its own guard: an item that exists and may be older, a statement that was refused. So each write has the outcome
/// that it would have had alone.
#[derive(Debug)]
pub struct Batches<'a> {
    writer: &'a TargetWriter,
    batching: &'a Batching,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Batches in a row of which something has to be tried again.
    failed: AtomicU32,
}

/// A write that waits for its batch.
#[derive(Debug)]
pub struct Waiting {
    insert: Insert,
    answer: oneshot::Sender<Inserted>,
}

/// What became of an insert.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Inserted {
    /// It landed, and used so many thousandths of a write unit.
    Landed(u64),
    /// There is an item, or a tombstone; the refusal used so many thousandths.
    Exists(u64),
    /// It is to be tried again; the wait is over.
    Again,
    /// It is to be written alone, which tells what is wrong.
    Alone,
}

impl Sink for Batches<'_> {
    async fn write(&self, write: &Write) -> Result<Landed, SinkError> {
        if !self.batching.pays() {
            let landed = self.writer.write(write).await?;
            self.batching.count(landed.outcome != Outcome::Written);
            return Ok(landed);
        }
        loop {
            let Some(insert) = Insert::of(&self.writer.table, write) else {
                return self.writer.write(write).await;
            };
            match self.insert(insert).await {
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
                    let landed = self.writer.write(write).await?;
                    return Ok(Landed {
                        write_milliunits: landed.write_milliunits + refused,
                        ..landed
                    });
                }
                Inserted::Alone => return self.writer.write(write).await,
                Inserted::Again => {}
            }
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
            waiting: Mutex::default(),
            failed: AtomicU32::new(0),
        }
    }

    /// The next batch, as large as what waits allows. Never ends while nothing waits: it is asked in the task that polls
    /// the writes, after they were polled.
    pub async fn next(&self) -> Vec<Waiting> {
        poll_fn(|_| {
            let batch = self.gather();
            if batch.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(batch)
            }
        })
        .await
    }

    /// Sends a batch, and tells each of its writes what became of it. What is to be tried again is told after a wait:
    /// all at once, so that it makes a batch again.
    pub async fn send(&self, batch: Vec<Waiting>) {
        let (inserts, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|one| (one.insert, one.answer)).unzip();
        let mut answers = self.attempt(inserts).await;
        if answers.contains(&Inserted::Again) {
            let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
            if self.writer.pause(failed).await.is_err() {
                // The worker stops, as a write finds when it is tried alone.
                let again = answers.iter_mut().filter(|answer| **answer == Inserted::Again);
                again.for_each(|answer| *answer = Inserted::Alone);
            }
        } else {
            self.failed.store(0, Ordering::Relaxed);
        }
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // A write that nobody waits for any more belongs to a worker that stops.
            let _ = waiting.send(answer);
        }
    }

    async fn insert(&self, insert: Insert) -> Inserted {
        let (answer, answered) = oneshot::channel();
        self.lock().push_back(Waiting { insert, answer });
        answered.await.unwrap_or(Inserted::Alone)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first of what waits, without a key twice: of two inserts of one key in a batch, nobody says which lands.
    fn gather(&self) -> Vec<Waiting> {
        let most = self.batching.most.load(Ordering::Relaxed);
        let mut waiting = self.lock();
        let (mut batch, mut left) = (Vec::new(), VecDeque::new());
        let (mut keys, mut bytes) = (HashSet::new(), 0);
        while let Some(next) = waiting.pop_front() {
            let fits = batch.is_empty() || bytes + next.insert.bytes <= MOST_BYTES;
            if batch.len() >= most || !fits {
                left.push_back(next);
                break;
            }
            if keys.insert(next.insert.key.clone()) {
                bytes += next.insert.bytes;
                batch.push(next);
            } else {
                left.push_back(next);
            }
        }
        left.extend(waiting.drain(..));
        *waiting = left;
        batch
    }

    /// One request for all.
    async fn attempt(&self, batch: Vec<Insert>) -> Vec<Inserted> {
        let count = batch.len();
        let sendable = fault::before(putting(self.writer.hand)).await;
        let Ok(mut place) = self.writer.admitted().await else {
            return vec![Inserted::Alone; count];
        };
        let sent = match sendable {
            Ok(()) => self.request(batch).await,
            Err(lost) => Err(lost.into()),
        };
        let sent = match fault::after(putting(self.writer.hand)).await {
            Ok(()) => sent,
            Err(lost) => Err(lost.into()),
        };
        match sent {
            Ok(answer) => {
                place.answered(u32::try_from(count).unwrap_or(u32::MAX));
                self.read(&answer, count, &mut place)
            }
            Err(failure) => {
                place.failed(&failure);
                vec![self.failed(&failure); count]
            }
        }
    }

    async fn request(&self, batch: Vec<Insert>) -> Result<BatchExecuteStatementOutput, Failure> {
        let statements: Vec<_> = batch.into_iter().filter_map(Insert::into_request).collect();
        let sent = self
            .writer
            .client
            .batch_execute_statement()
            .set_statements(Some(statements))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.writer.fence.clone())
            .send()
            .await;
        sent.map_err(|error| Failure::of("dynamodb:BatchExecuteStatement", &*self.writer.table, &error))
    }

    fn failed(&self, failure: &Failure) -> Inserted {
        match &failure.kind {
            FailureKind::Throttled(_) | FailureKind::Transient => {
                self.writer.health.block(failure.reason());
                if failure.kind == FailureKind::Transient {
                    self.batching.shrink();
                }
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

    fn read(
        &self,
        answer: &BatchExecuteStatementOutput,
        count: usize,
        place: &mut Paced<'_>,
    ) -> Vec<Inserted> {
        let consumed = answer.consumed_capacity();
        let total: u64 = consumed.iter().map(|one| units(Some(one))).sum();
        self.writer.budget.pay(total);
        // Each statement's own, where the engine tells it; else the first has it all, so that the sum is right.
        let used = |place: usize| match consumed.get(place) {
            Some(one) if consumed.len() == count => units(Some(one)),
            _ if place == 0 => total,
            _ => 0,
        };
        let mut throttled = Throttled::default();
        let responses = answer.responses();
        let mut inserted: Vec<_> = responses
            .iter()
            .take(count)
            .enumerate()
            .map(|(place, response)| one(response, used(place), &mut throttled))
            .collect();
        // An answer that says nothing of a statement leaves it open.
        inserted.resize(count, Inserted::Alone);
        place.feels_if(throttled.felt(count));
        match throttled.code {
            Some(code) => {
                self.writer.health.block(format!("{code}: {}", self.writer.table));
            }
            None if self.writer.health.blocked().is_some() => self.writer.health.clear(),
            None => {}
        }
        if count >= self.batching.most.load(Ordering::Relaxed) {
            self.batching.grow();
        }
        inserted
    }
}

/// Statements of a batch that were throttled.
#[derive(Debug, Default)]
struct Throttled {
    count: usize,
    code: Option<String>,
}

impl Throttled {
    /// What that says of the table. The statements of a batch don't tell the reason: where most of them landed, only a
    /// range of its keys can't take more.
    fn felt(&self, of: usize) -> Option<Felt> {
        match self.count * 2 {
            0 => None,
            twice if twice < of => Some(Felt::Range),
            _ => Some(Felt::Crowded),
        }
    }
}

fn one(response: &BatchStatementResponse, used: u64, throttled: &mut Throttled) -> Inserted {
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
            throttled.count += 1;
            throttled.code = Some(code.as_str().to_owned());
            Inserted::Again
        }
        _ => Inserted::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_does_not_answer_in_time_gets_smaller_batches() {
        let batching = Batching::default();
        let most = || batching.most.load(Ordering::Relaxed);
        assert_eq!(most(), MOST_STATEMENTS);
        for expected in [12, 6, 3, 1, 1] {
            batching.shrink();
            assert_eq!(most(), expected);
        }
        batching.grow();
        assert_eq!(most(), 2);
        for _ in 0..100 {
            batching.grow();
        }
        assert_eq!(most(), MOST_STATEMENTS);
    }

    #[test]
    fn where_most_exists_no_batch_is_tried_until_much_is_new() {
        let batching = Batching::default();
        for _ in 0..MANY_EXIST {
            batching.count(true);
        }
        assert!(!batching.pays());
        for _ in 0..=MANY_EXIST {
            batching.count(false);
        }
        assert!(batching.pays());
        batching.stop("the engine takes none".into());
        assert!(!batching.pays());
        assert_eq!(batching.stopped(), Some("the engine takes none"));
    }

    #[test]
    fn a_batch_that_is_throttled_in_part_tells_of_a_range_of_keys() {
        let felt = |count, of| Throttled { count, code: None }.felt(of);
        assert_eq!(felt(0, 25), None);
        assert_eq!(felt(12, 25), Some(Felt::Range));
        assert_eq!(felt(13, 25), Some(Felt::Crowded));
        assert_eq!(felt(1, 1), Some(Felt::Crowded));
    }
}

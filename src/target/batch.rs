//! Gathers the writes of a page to one service into batches of inserts.

use super::batching::{Batching, Retry, ask_alone};
use super::gather::{Batched, Gather, Operation, Waiting};
use super::insert::Insert;
use super::write::{LEAST_MILLIUNITS, TargetWriter, units};
use crate::dynamo::{ConcurrencyPermit, Failure, RequestOutcome};
use crate::flow::{Again, Guard, Landed, Outcome, Sink, SinkError, Write, WriteUse};
use crate::model::Key;
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_dynamodb::types::{
    BatchStatementErrorCodeEnum as Code, BatchStatementRequest, BatchStatementResponse,
    ReturnConsumedCapacity,
};

/// Gathers the writes of a page to one service into batches of inserts.
///
/// A write waits here until its batch was answered. The task that runs the page asks for the [next](Batched::next)
/// batch when no write can be gathered any more, and [sends](Batched::send) it. A write that an insert can't settle
/// is written alone, under its own guard: an item that exists and may be older, or a statement that was refused. So
/// each write has the outcome that it would have had alone.
#[derive(Debug)]
pub struct Batches<'a> {
    writer: &'a TargetWriter,
    batching: &'a Batching,
    waiting: Gather<Insert, Inserted>,
}

impl Operation for Insert {
    fn key(&self) -> &Key {
        &self.key
    }
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The answer to an insert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It landed, with this use.
    Landed(WriteUse),
    /// An item or a tombstone exists; the refusal had this use.
    Exists(WriteUse),
    /// It is to be tried again; the wait is over.
    Again,
    /// It must be written alone, which shows the reason.
    Alone,
}

impl Inserted {
    /// The estimated part of its use.
    fn estimated(&self) -> u64 {
        match self {
            Self::Landed(used) | Self::Exists(used) => used.estimated_milliunits,
            Self::Again | Self::Alone => 0,
        }
    }
}

impl From<Retry> for Inserted {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Again => Self::Again,
            Retry::Alone => Self::Alone,
        }
    }
}

impl Sink for Batches<'_> {
    async fn write(&self, write: Write, rebuild: &Again<'_>) -> Result<Landed, SinkError> {
        if !self.batching.pays() {
            let landed = Box::pin(self.writer.write(write, rebuild)).await?;
            self.batching.count(landed.outcome != Outcome::Written);
            return Ok(landed);
        }
        let replaces = write.guard != Guard::Absent;
        let mut made = write;
        loop {
            let insert = match Insert::of(&self.writer.table, &self.writer.cost, made) {
                Ok(insert) => insert,
                Err(other) => return Box::pin(self.writer.write(*other, rebuild)).await,
            };
            match self.waiting.answered(insert).await.unwrap_or(Inserted::Alone) {
                Inserted::Landed(used) => {
                    self.batching.count(false);
                    return Ok(Landed {
                        outcome: Outcome::Written,
                        used,
                    });
                }
                // It lands on nothing only, and something is there: the answer is in.
                Inserted::Exists(used) if !replaces => {
                    return Ok(Landed {
                        outcome: Outcome::Superseded,
                        used,
                    });
                }
                Inserted::Exists(refused) => {
                    self.batching.count(true);
                    let mut landed = Box::pin(self.writer.write(rebuild()?, rebuild)).await?;
                    landed.used += refused;
                    return Ok(landed);
                }
                Inserted::Alone => {
                    return Box::pin(self.writer.write(rebuild()?, rebuild)).await;
                }
                Inserted::Again => made = rebuild()?,
            }
        }
    }
}

impl Batched for Batches<'_> {
    type Batch = Vec<Waiting<Insert, Inserted>>;

    async fn next(&self) -> Self::Batch {
        self.waiting.next(self.batching).await
    }

    async fn send(&self, batch: Self::Batch) {
        let (mut statements, mut waiting, mut estimates) = (Vec::new(), Vec::new(), Vec::new());
        for Waiting { operation, answer } in batch {
            // One that makes no statement loses its answer with it, and goes alone.
            let estimate = operation.estimated_milliunits;
            if let Some(statement) = operation.into_request() {
                statements.push(statement);
                estimates.push(estimate);
                waiting.push(answer);
            }
        }
        let mut answers = self.attempt(statements, &estimates).await;
        self.batching.wait(self.writer, &mut answers).await;
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // No task waits for this write any more: its worker stops.
            let _ = waiting.send(answer);
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
        }
    }

    /// One request for all.
    async fn attempt(&self, statements: Vec<BatchStatementRequest>, estimates: &[u64]) -> Vec<Inserted> {
        let count = statements.len();
        match self.writer.send_batch(self.request(statements)).await {
            Ok((mut admitted, Ok(answer))) => self.read(&answer, estimates, &mut admitted.place),
            Ok((_, Err(failure))) => vec![self.batching.failed(self.writer, &failure).into(); count],
            Err(_) => vec![Inserted::Alone; count],
        }
    }

    async fn request(
        &self,
        statements: Vec<BatchStatementRequest>,
    ) -> Result<BatchExecuteStatementOutput, Failure> {
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

    fn read(
        &self,
        answer: &BatchExecuteStatementOutput,
        estimates: &[u64],
        place: &mut ConcurrencyPermit<'_>,
    ) -> Vec<Inserted> {
        let count = estimates.len();
        place.answered(count);
        self.batching.answered(count);
        let consumed = answer.consumed_capacity();
        let total: u64 = consumed.iter().map(|one| units(Some(one))).sum();
        // The use of each statement if the engine reports it; otherwise the first statement has the whole use, so
        // that the sum is right. No statement is free: if an engine reports nothing, the use is estimated from the
        // sizes of the items.
        let used = |place: usize| match consumed.get(place) {
            _ if total == 0 => WriteUse::estimated(estimates.get(place).copied().unwrap_or(LEAST_MILLIUNITS)),
            Some(one) if consumed.len() == count => WriteUse::told(units(Some(one))),
            _ if place == 0 => WriteUse::told(total),
            _ => WriteUse::default(),
        };
        let mut undone = Vec::new();
        let responses = answer.responses();
        let mut inserted: Vec<_> = responses
            .iter()
            .take(count)
            .enumerate()
            .map(|(place, response)| one(response, used(place), &mut undone))
            .collect();
        let estimated: u64 = inserted.iter().map(Inserted::estimated).sum();
        self.writer.budget.pay(total + estimated);
        // An answer that says nothing of a statement leaves it open.
        inserted.resize(count, Inserted::Alone);
        if undone.is_empty() {
            if self.writer.health.blocked().is_some() {
                self.writer.health.clear();
            }
        } else {
            self.writer
                .health
                .block(held_up_by(&undone, &self.writer.table, place));
            ask_alone(&mut inserted);
        }
        inserted
    }
}

/// Why statements were left undone, in a few words; the concurrency limit takes them into account.
fn held_up_by(undone: &[&Code], table: &str, place: &mut ConcurrencyPermit<'_>) -> String {
    let limit = undone.iter().find(|code| **code == &Code::RequestLimitExceeded);
    if let Some(code) = limit {
        place.set_outcome(RequestOutcome::Account);
        return format!("throttled: {code}");
    }
    let throttled = [&Code::ProvisionedThroughputExceeded, &Code::ThrottlingError];
    if let Some(code) = undone.iter().find(|code| throttled.contains(code)) {
        place.throttled_in_part();
        return format!("throttled: {code} of {table}");
    }
    place.set_outcome(RequestOutcome::Neutral);
    let code = undone.first().map_or("Unknown", |code| code.as_str());
    format!("{code}: dynamodb:BatchExecuteStatement on {table}")
}

fn one<'a>(response: &'a BatchStatementResponse, used: WriteUse, undone: &mut Vec<&'a Code>) -> Inserted {
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
            undone.push(code);
            Inserted::Again
        }
        _ => Inserted::Alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::{AccountLimit, ConcurrencyLimit};
    use std::time::Duration;

    #[tokio::test]
    async fn what_a_statement_was_left_undone_for_says_who_slows_down() {
        for (codes, of_the_table, of_the_account, told) in [
            (
                &[Code::InternalServerError][..],
                10,
                10,
                "InternalServerError: dynamodb:",
            ),
            (
                &[Code::TransactionConflict],
                10,
                10,
                "TransactionConflict: dynamodb:",
            ),
            (
                &[Code::InternalServerError, Code::ThrottlingError],
                6,
                10,
                "throttled: ThrottlingError of mine",
            ),
            (
                &[Code::ProvisionedThroughputExceeded],
                6,
                10,
                "throttled: Provisioned",
            ),
            (
                &[Code::ThrottlingError, Code::RequestLimitExceeded],
                6,
                6,
                "throttled: RequestLimit",
            ),
        ] {
            let account_limit = AccountLimit::default();
            let concurrency = || ConcurrencyLimit::within(10.0, 10.0, Duration::from_secs(5), &account_limit);
            let (mine, other) = (concurrency(), concurrency());
            let mut place = mine.enter().await;
            let reason = held_up_by(&codes.iter().collect::<Vec<_>>(), "mine", &mut place);
            drop(place);
            assert!(reason.starts_with(told), "{reason}");
            drop((mine.enter().await, other.enter().await));
            assert_eq!(
                (mine.limit(), other.limit()),
                (of_the_table, of_the_account),
                "{reason}"
            );
        }
    }
}

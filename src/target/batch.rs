//! Gathers the writes of a page to one service into batches of inserts.

use super::batching::{Answer, ask_alone};
use super::gather::{Gather, Operation, Sent};
use super::insert::{Insert, Statement, statements_body};
use super::write::{LEAST_MILLIUNITS, TargetWriter, units};
use crate::dynamo::{ConcurrencyPermit, Failure, OwnBody, RequestOutcome};
use crate::flow::{Again, Guard, Landed, Outcome, Sink, SinkError, Write, WriteUse};
use crate::model::Key;
use aws_sdk_dynamodb::operation::batch_execute_statement::BatchExecuteStatementOutput;
use aws_sdk_dynamodb::types::{BatchStatementErrorCodeEnum as Code, BatchStatementResponse};

/// Gathers the writes of a page to one service into batches of inserts.
///
/// A write waits here until its batch was answered. The task that runs the page asks for the
/// [next](super::Batched::next) batch when no write can be gathered any more, and [sends](super::Batched::send) it. A
/// write that an insert can't settle is written alone, under its own guard: an item that exists and may be older, or
/// a statement that was refused. So each write has the outcome that it would have had alone.
pub type Batches<'a> = Gather<'a, Insert>;

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
            match self.answered(insert).await {
                Answer::Landed(used) => {
                    self.batching.count(false);
                    return Ok(Landed {
                        outcome: Outcome::Written,
                        used,
                    });
                }
                // It lands on nothing only, and something is there: the answer is in.
                Answer::Exists(used) if !replaces => {
                    return Ok(Landed {
                        outcome: Outcome::Superseded,
                        used,
                    });
                }
                Answer::Exists(refused) => {
                    self.batching.count(true);
                    let mut landed = Box::pin(self.writer.write(rebuild()?, rebuild)).await?;
                    landed.used += refused;
                    return Ok(landed);
                }
                Answer::Alone => {
                    return Box::pin(self.writer.write(rebuild()?, rebuild)).await;
                }
                Answer::Again => made = rebuild()?,
            }
        }
    }
}

impl Operation for Insert {
    type Request = Statement;
    type Output = BatchExecuteStatementOutput;

    fn key(&self) -> &Key {
        &self.key
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn into_request(self) -> (Sent, Statement) {
        self.into_request()
    }

    async fn request(
        writer: &TargetWriter,
        statements: Vec<Statement>,
    ) -> Result<BatchExecuteStatementOutput, Failure> {
        let sent = writer
            .client
            .batch_execute_statement()
            .set_statements(Some(Vec::new()))
            .customize()
            .interceptor(OwnBody::new(statements_body(&statements)))
            .interceptor(writer.fence.clone())
            .send()
            .await;
        sent.map_err(|error| Failure::of("dynamodb:BatchExecuteStatement", &*writer.table, &error))
    }

    fn read(
        batches: &Batches<'_>,
        answer: BatchExecuteStatementOutput,
        sent: &[Sent],
        place: &mut ConcurrencyPermit<'_>,
    ) -> Vec<Answer> {
        let (writer, count) = (batches.writer, sent.len());
        let consumed = answer.consumed_capacity();
        let total: u64 = consumed.iter().map(|one| units(Some(one))).sum();
        // The use of each statement if the engine reports it; otherwise the first statement has the whole use, so
        // that the sum is right. No statement is free: if an engine reports nothing, the use is estimated from the
        // sizes of the items.
        let used = |place: usize| match consumed.get(place) {
            _ if total == 0 => WriteUse::estimated(
                sent.get(place)
                    .map_or(LEAST_MILLIUNITS, |one| one.estimated_milliunits),
            ),
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
        let estimated: u64 = inserted.iter().map(estimated_milliunits).sum();
        writer.budget.pay(total + estimated);
        // An answer that says nothing of a statement leaves it open.
        inserted.resize(count, Answer::Alone);
        // An answer that leaves a statement out decides nothing about it.
        if responses.len() < count || !responses.iter().all(is_decided) {
            drop(writer.fence.begin());
        }
        if undone.is_empty() {
            batches.unblock();
        } else {
            writer.health.block(held_up_by(&undone, &writer.table, place));
            ask_alone(&mut inserted);
        }
        inserted
    }
}

/// The estimated part of the use of an insert.
fn estimated_milliunits(answer: &Answer) -> u64 {
    match answer {
        Answer::Landed(used) | Answer::Exists(used) => used.estimated_milliunits,
        Answer::Again | Answer::Alone => 0,
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

/// Whether the service certainly decided about a statement. A server error decides nothing, nor does one that nobody knows.
fn is_decided(response: &BatchStatementResponse) -> bool {
    let Some(error) = response.error() else {
        return true;
    };
    matches!(
        error.code(),
        Some(
            Code::DuplicateItem
                | Code::ConditionalCheckFailed
                | Code::ProvisionedThroughputExceeded
                | Code::RequestLimitExceeded
                | Code::ThrottlingError
                | Code::TransactionConflict
                | Code::ValidationError
                | Code::AccessDenied
                | Code::ResourceNotFound
                | Code::ItemCollectionSizeLimitExceeded
        )
    )
}

fn one<'a>(response: &'a BatchStatementResponse, used: WriteUse, undone: &mut Vec<&'a Code>) -> Answer {
    let Some(error) = response.error() else {
        return Answer::Landed(used);
    };
    match error.code() {
        Some(Code::DuplicateItem) => Answer::Exists(used),
        Some(
            code @ (Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::ThrottlingError
            | Code::InternalServerError
            | Code::TransactionConflict),
        ) => {
            undone.push(code);
            Answer::Again
        }
        _ => Answer::Alone,
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

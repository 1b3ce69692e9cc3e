//! Writes single items of one service's table under guards.

use super::lease_fence::Fence;
use super::switch_gate::{Admission, Gate, HELD};
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::dynamo::{Budget, ConcurrencyLimit, ConcurrencyPermit, Failure, FailureKind, Health, backoff};
use crate::fault::{self, Rule, WriteOp, Writer, broken};
use crate::flow::{
    Again, GuardExpression, Landed, Outcome, Sink, SinkError, Stop, VersionFields, Write, WriteKind,
    WriteUse, tombstone_of,
};
use crate::model::raw::Unreadable;
use crate::model::{Item, KeySchema, TOMBSTONE_ATTRIBUTE};
use crate::plan::PutCost;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
};
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Writes one service's table, under guards. Temporary failures are retried without end, with growing waits and
/// jitter; [`Health`] shows the reason meanwhile.
#[derive(Clone, Debug)]
pub struct TargetWriter {
    /// Whose writes they are: for failpoints.
    pub written_by: Writer,
    /// For items, without retries of its own.
    pub client: Client,
    /// Name of the table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Where its items show their version.
    pub fields: VersionFields,
    /// Whether removals leave tombstones.
    pub gate: Gate,
    /// Removals leave tombstones whatever the gate says: a repair.
    pub always_leaves_tombstones: bool,
    /// No write goes out that could end after the leases.
    pub fence: Fence,
    /// How many requests may be under way.
    pub concurrency: Arc<ConcurrencyLimit>,
    /// Write units a second.
    pub budget: Arc<Budget>,
    /// The use of a put if the engine does not report it.
    pub cost: PutCost,
    /// Why it is held up.
    pub health: Arc<Health>,
    /// Permanent failures (no permission, no table) are retried as well: a worker that runs unattended shows them,
    /// and continues when they are fixed. Otherwise they end the work.
    pub endless: bool,
    /// Ends retries.
    pub stop: CancellationToken,
    /// How much later a request that was given up may still take effect.
    pub margin: Duration,
}

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(25);
/// Between two looks at a lease that does not allow writes.
const FENCED: Duration = Duration::from_millis(20);
/// The least that a write is billed, in thousandths of a unit, also if its condition was refused.
pub(super) const LEAST_MILLIUNITS: u64 = 1000;

impl Sink for TargetWriter {
    /// A request without an answer may land later than its repetition, and then later than the *next* write of its
    /// key: a put that lands after a delete would bring the item back. So nothing is answered before this time is
    /// over.
    async fn write(&self, write: Write, rebuild: &Again<'_>) -> Result<Landed, SinkError> {
        let mut unanswered = Unanswered::default();
        let result = self
            .write_until_answered(Ok(write), rebuild, &mut unanswered)
            .await;
        unanswered.land().await;
        result
    }
}

/// Requests that were given up without an answer, and until when they may land. They stay inside the gate.
#[derive(Default)]
pub(super) struct Unanswered(Vec<(Instant, Admission)>);

impl Unanswered {
    pub fn add(&mut self, until: Instant, admission: Admission) {
        self.0.retain(|(until, _)| *until > Instant::now());
        self.0.push((until, admission));
    }

    /// Lets those leave whose time is over. Ends when the first of them has.
    async fn expire(&mut self) {
        if let Some(first) = self.0.iter().map(|(until, _)| *until).min() {
            tokio::time::sleep_until(first).await;
            self.0.retain(|(until, _)| *until > first);
        }
    }

    pub async fn land(self) {
        if let Some((last, _)) = self.0.last() {
            tokio::time::sleep_until(*last).await;
        }
    }
}

/// A request that may start.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    /// Inside the gate.
    pub admission: Admission,
    /// Among those that are under way.
    pub place: ConcurrencyPermit<'a>,
}

/// Whether the request may still take effect. Without an answer, this is open. It is also open after a server error,
/// which may come from a part of the service that stopped waiting for another, or from an intermediary.
pub(super) fn is_unanswered(failure: &Failure) -> bool {
    failure.kind == FailureKind::Transient && !DECIDED.contains(&&*failure.code)
}

/// Whether the service certainly decided that the request does not take effect. Stricter than the opposite of
/// [`is_unanswered`]: an error that nobody knows decides nothing.
pub(super) fn is_decided(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Throttled(_)
        | FailureKind::Condition
        | FailureKind::Missing
        | FailureKind::InUse
        | FailureKind::Denied
        | FailureKind::Credentials
        | FailureKind::Invalid
        | FailureKind::Unsupported => true,
        FailureKind::Transient => DECIDED.contains(&&*failure.code),
        FailureKind::Trimmed | FailureKind::ExpiredIterator | FailureKind::Unknown => false,
    }
}

/// Of what passes by itself: the service decided that it did not take effect.
const DECIDED: [&str; 3] = [
    "TransactionConflictException",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
];

/// Sends a put or a delete under a guard. The builders of the SDK have the same methods, and no trait.
macro_rules! guarded {
    ($writer:expr, $request:expr, $condition:expr) => {{
        let Condition { text, names, values } = Condition::of($condition);
        let sent = $request
            .table_name(&$writer.table)
            .set_condition_expression(text)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor($writer.fence.clone())
            .send()
            .await;
        sent.map(|answer| answer.consumed_capacity)
    }};
}

impl TargetWriter {
    async fn write_until_answered(
        &self,
        mut made: Result<Write, Stop>,
        rebuild: &Again<'_>,
        unanswered: &mut Unanswered,
    ) -> Result<Landed, SinkError> {
        let mut attempt = 0u32;
        loop {
            let write = made?;
            let sendable = fault::before(self.site(&write)).await;
            // Each attempt asks the gate again, so that a turn of the tombstone switch applies to retries as well.
            let Admitted { admission, mut place } = self.admitted_beside(unanswered).await?;
            let leaves_tombstones = admission.leaves_tombstones || self.always_leaves_tombstones;
            let tombstone_epoch = (leaves_tombstones && !self.leaves_none()).then_some(admission.epoch);
            let under_way = self.fence.begin();
            let failure = match self.attempt(write, tombstone_epoch, sendable).await {
                Ok(landed) => {
                    under_way.answered();
                    place.answered(1);
                    if attempt > 0 {
                        self.health.clear();
                    }
                    self.budget.pay(landed.used.milliunits);
                    return Ok(landed);
                }
                Err(failure) if failure.kind == FailureKind::Invalid => {
                    under_way.answered();
                    return Err(SinkError::Rejected(format!(
                        "DynamoDB refuses it: {}",
                        failure.message
                    )));
                }
                Err(failure) if !self.endless && !failure.passes() => {
                    return Err(Stop {
                        reason: failure.to_string(),
                    }
                    .into());
                }
                Err(failure) => failure,
            };
            if is_decided(&failure) {
                under_way.answered();
            } else {
                drop(under_way);
            }
            place.failed(&failure);
            drop(place);
            if is_unanswered(&failure) && !broken(Rule::Unanswered) {
                unanswered.add(Instant::now() + self.margin, admission);
            }
            attempt = attempt.saturating_add(1);
            self.health.block(failure.reason());
            tracing::debug!(
                table = self.table,
                attempt,
                reason = failure.reason(),
                "write again"
            );
            self.pause(attempt).await?;
            made = rebuild();
        }
    }

    /// As [`TargetWriter::admitted`]. Meanwhile requests that were given up leave the gate when they can land no more: a
    /// bulk copy that holds the lanes waits for them, and this for it.
    pub(super) async fn admitted_beside(&self, unanswered: &mut Unanswered) -> Result<Admitted<'_>, Stop> {
        let admitted = self.admitted();
        tokio::pin!(admitted);
        loop {
            tokio::select! {
                biased;
                admitted = &mut admitted => return admitted,
                () = unanswered.expire(), if !unanswered.0.is_empty() => {}
            }
        }
    }

    /// Waits until a write may start: the budget allows it, no bulk copy holds the lanes, the table has a place for it,
    /// and the leases outlast it.
    pub(super) async fn admitted(&self) -> Result<Admitted<'_>, Stop> {
        let admitted = async {
            // Once for each request: it sets units aside.
            self.budget.ready().await;
            loop {
                self.opened().await;
                let place = self.concurrency.enter().await;
                if self.fence.is_open()
                    && let Some(admission) = self.gate.admit()
                {
                    return Admitted { admission, place };
                }
                drop(place);
                tokio::time::sleep(FENCED).await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(self.stopped()),
            admitted = admitted => Ok(admitted),
        }
    }

    /// Sends a request for several writes, with its failpoints. An error: the worker stops, and nothing was sent.
    pub(super) async fn send_batch<T>(
        &self,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(Admitted<'_>, Result<T, Failure>), Stop> {
        let sendable = fault::before(putting(self.written_by)).await;
        let mut admitted = self.admitted().await?;
        let under_way = self.fence.begin();
        let sent = match sendable {
            Ok(()) => request.await,
            Err(lost) => Err(lost.into()),
        };
        let sent = match fault::after(putting(self.written_by)).await {
            Ok(()) => sent,
            Err(lost) => Err(lost.into()),
        };
        match &sent {
            Ok(_) => under_way.answered(),
            Err(failure) => {
                if is_decided(failure) {
                    under_way.answered();
                }
                admitted.place.failed(failure);
            }
        }
        Ok((admitted, sent))
    }

    async fn opened(&self) {
        if self.gate.is_held() {
            self.health.block(HELD.to_owned());
            self.gate.opened().await;
            self.health.clear();
        }
    }

    pub(super) async fn pause(&self, attempt: u32) -> Result<(), Stop> {
        let wait = backoff(attempt, FIRST_WAIT, LONGEST_WAIT);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(self.stopped()),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    pub(super) fn stopped(&self) -> Stop {
        Stop {
            reason: format!("writing {} was interrupted", self.table),
        }
    }

    /// One request, unless a failpoint stopped it. If the gate gives an epoch, a removal leaves a tombstone.
    async fn attempt(
        &self,
        write: Write,
        tombstone_epoch: Option<u64>,
        sendable: Result<(), fault::Lost>,
    ) -> Result<Landed, Failure> {
        sendable?;
        let site = self.site(&write);
        let condition = write.guard.expression(&self.fields);
        let landed = match write.kind {
            WriteKind::Put(item) => self.put(item, condition, Outcome::Written).await,
            // Alone, an item is written by the SDK, which needs all of it.
            WriteKind::PutRaw(item) => {
                let item = item.decoded().map_err(|error| self.unreadable(&error))?;
                self.put(item, condition, Outcome::Written).await
            }
            WriteKind::Remove(version) => {
                let key = self.keys.item_of(&write.key);
                match tombstone_epoch {
                    None => self.delete(key, condition).await,
                    Some(epoch) => {
                        let item = tombstone_of(epoch, key, version.as_ref());
                        self.put(item, condition, Outcome::TombstoneWritten).await
                    }
                }
            }
        };
        fault::after(site).await?;
        landed
    }

    fn unreadable(&self, error: &Unreadable) -> Failure {
        Failure {
            kind: FailureKind::Invalid,
            action: "dynamodb:PutItem".into(),
            resource: self.table.clone(),
            code: "UnreadableItem".into(),
            message: error.to_string(),
        }
    }

    /// Whether a test leaves out the rule that removals leave tombstones.
    fn leaves_none(&self) -> bool {
        match self.written_by {
            Writer::Tail => broken(Rule::Tombstones),
            _ => broken(Rule::RepairBuries),
        }
    }

    /// The failpoint of a write.
    fn site(&self, write: &Write) -> &'static str {
        fault::writing(self.written_by, || match write.kind {
            WriteKind::Put(_) | WriteKind::PutRaw(_) => WriteOp::Put,
            WriteKind::Remove(_) if self.always_leaves_tombstones || self.gate.leaves_tombstones() => {
                WriteOp::Tombstone
            }
            WriteKind::Remove(_) => WriteOp::Delete,
        })
    }

    async fn put(&self, item: Item, condition: GuardExpression, outcome: Outcome) -> Result<Landed, Failure> {
        let estimate = self.cost.milliunits(&item);
        let request = self.client.put_item().set_item(Some(item_to_sdk(item)));
        let sent = guarded!(self, request, condition);
        self.landed("dynamodb:PutItem", sent, outcome, estimate)
    }

    async fn delete(&self, key: Item, condition: GuardExpression) -> Result<Landed, Failure> {
        let request = self.client.delete_item().set_key(Some(item_to_sdk(key)));
        let sent = guarded!(self, request, condition);
        self.landed("dynamodb:DeleteItem", sent, Outcome::Written, LEAST_MILLIUNITS)
    }

    /// What became of a request that was sent.
    fn landed<E: ProvideErrorMetadata + Error + 'static>(
        &self,
        action: &'static str,
        sent: Result<Option<ConsumedCapacity>, SdkError<E, HttpResponse>>,
        outcome: Outcome,
        estimate: u64,
    ) -> Result<Landed, Failure> {
        let error = match sent {
            Ok(consumed) => {
                let used = used(consumed.as_ref(), estimate);
                return Ok(Landed { outcome, used });
            }
            Err(error) => error,
        };
        // The same exception, inside of the errors of both operations.
        let refused = error.as_service_error().and_then(Error::source);
        match refused.and_then(<dyn Error>::downcast_ref::<ConditionalCheckFailedException>) {
            Some(refused) => Ok(superseded(refused.item())),
            None => Err(Failure::of(action, &*self.table, &error)),
        }
    }
}

/// A guard in the form that the SDK's requests take.
pub(super) struct Condition {
    pub(super) text: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

impl Condition {
    pub(super) fn of(guard: GuardExpression) -> Self {
        let GuardExpression { text, names, values } = guard;
        Self {
            text: (!text.is_empty()).then_some(text),
            names: (!names.is_empty()).then(|| names.into_iter().collect()),
            values: (!values.is_empty()).then(|| {
                values
                    .into_iter()
                    .map(|(name, value)| (name, value_to_sdk(value)))
                    .collect()
            }),
        }
    }
}

/// The failpoint of puts.
pub(super) fn putting(written_by: Writer) -> &'static str {
    fault::writing(written_by, || WriteOp::Put)
}

fn superseded(held: Option<&HashMap<String, AttributeValue>>) -> Landed {
    let dead = held.is_some_and(|item| item.contains_key(TOMBSTONE_ATTRIBUTE));
    let outcome = if dead {
        Outcome::SupersededByTombstone
    } else {
        Outcome::Superseded
    };
    Landed {
        outcome,
        used: WriteUse::told(LEAST_MILLIUNITS),
    }
}

/// The use of a write that landed: as the engine reports it, or estimated. A write is never free, so an engine that
/// reports nothing, or zero, does not know it.
pub(super) fn used(consumed: Option<&ConsumedCapacity>, estimate: u64) -> WriteUse {
    match units(consumed) {
        0 => WriteUse::estimated(estimate),
        told => WriteUse::told(told),
    }
}

pub(super) fn units(consumed: Option<&ConsumedCapacity>) -> u64 {
    crate::source::milliunits(consumed.and_then(ConsumedCapacity::capacity_units))
}

#[cfg(test)]
mod tests;

//! Writes single items of the source: what a service wrote to its own table, carried back. Each write has the condition
//! that the source item is still the one that was read.

use super::switch_gate::Admission;
use super::write::{
    Admitted, Condition, LEAST_MILLIUNITS, TargetWriter, Unanswered, is_decided, is_unanswered, used,
};
use crate::dynamo::convert::{item_to_sdk, value_to_sdk};
use crate::dynamo::{Failure, FailureKind};
use crate::fault::{self, Rule, broken};
use crate::flow::{BackOutcome, BackWrite, BackWriteKind, SinkError, SourceSide, Stop, WriteUse};
use crate::model::{Item, Key};
use crate::source::Scan;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use std::collections::{BTreeSet, HashMap};
use tokio::time::Instant;

/// Writes the source for the reverse lane of one service. Temporary failures are retried without end, and a request
/// without an answer is waited for, as by the writer of a service's table.
#[derive(Clone, Debug)]
pub struct SourceWriter {
    /// The way to the source table: its client, name, key and limits. Its gate is that of the reverse lane.
    pub way: TargetWriter,
    /// Reads single items, with their marks.
    pub reads: Scan,
}

impl SourceSide for SourceWriter {
    async fn read(&self, key: &Key) -> Result<Option<Item>, Stop> {
        let mut attempt = 0u32;
        loop {
            let failure = match self.reads.get(key).await {
                Ok(item) => {
                    if attempt > 0 {
                        self.way.health.clear();
                    }
                    return Ok(item);
                }
                Err(failure) => self.passing(failure)?,
            };
            attempt = attempt.saturating_add(1);
            self.way.health.block(failure.reason());
            self.way.pause(attempt).await?;
        }
    }

    /// A request without an answer may land later than its repetition, and then later than the *next* write of its key. So
    /// nothing is answered before this time is over.
    async fn write(&self, write: &BackWrite) -> Result<BackOutcome, SinkError> {
        let mut unanswered = Unanswered::default();
        let result = self.write_until_answered(write, &mut unanswered).await;
        if !broken(Rule::ReverseLanded) {
            unanswered.land().await;
        }
        result
    }
}

impl SourceWriter {
    async fn write_until_answered(
        &self,
        write: &BackWrite,
        unanswered: &mut Unanswered,
    ) -> Result<BackOutcome, SinkError> {
        let way = &self.way;
        let mut attempt = 0u32;
        loop {
            let sendable = fault::before(site(write)).await;
            let Admitted { admission, mut place } = way.admitted_beside(unanswered).await?;
            let under_way = way.fence.begin();
            let failure = match self.attempt(write, sendable).await {
                Ok(outcome) => {
                    under_way.answered();
                    place.answered(1);
                    if attempt > 0 {
                        way.health.clear();
                    }
                    let (BackOutcome::Written(used) | BackOutcome::Refused(used)) = outcome;
                    way.budget.pay(used.milliunits);
                    return Ok(outcome);
                }
                Err(failure) if failure.kind == FailureKind::Invalid => {
                    under_way.answered();
                    return Err(SinkError::Rejected(format!(
                        "DynamoDB refuses it: {}",
                        failure.message
                    )));
                }
                Err(failure) => self.passing(failure)?,
            };
            if is_decided(&failure) {
                under_way.answered();
            } else {
                drop(under_way);
            }
            place.failed(&failure);
            drop(place);
            self.note_unanswered(&failure, admission, unanswered);
            attempt = attempt.saturating_add(1);
            way.health.block(failure.reason());
            tracing::debug!(
                table = way.table,
                attempt,
                reason = failure.reason(),
                "write again"
            );
            way.pause(attempt).await?;
        }
    }

    /// A failure after which the request is repeated. A lane repeats all of them; a command ends.
    fn passing(&self, failure: Failure) -> Result<Failure, Stop> {
        if self.way.endless || failure.passes() {
            return Ok(failure);
        }
        Err(Stop {
            reason: failure.to_string(),
        })
    }

    fn note_unanswered(&self, failure: &Failure, admission: Admission, unanswered: &mut Unanswered) {
        if is_unanswered(failure) {
            unanswered.add(Instant::now() + self.way.margin, admission);
        }
    }

    /// One request, unless a failpoint stopped it.
    async fn attempt(
        &self,
        write: &BackWrite,
        sendable: Result<(), fault::Lost>,
    ) -> Result<BackOutcome, Failure> {
        sendable?;
        let sent = match &write.kind {
            BackWriteKind::Create(item) => self.create(write, item).await,
            BackWriteKind::Update { set, remove } => self.update(write, set, remove).await,
            BackWriteKind::MarkDeleting(set) => self.update(write, set, &BTreeSet::new()).await,
            BackWriteKind::Delete => self.delete(write).await,
        };
        fault::after(site(write)).await?;
        match sent {
            Ok(used) => Ok(BackOutcome::Written(used)),
            Err(failure) if failure.kind == FailureKind::Condition => {
                Ok(BackOutcome::Refused(WriteUse::told(LEAST_MILLIUNITS)))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn create(&self, write: &BackWrite, item: &Item) -> Result<WriteUse, Failure> {
        let estimate = self.way.cost.milliunits(item);
        let condition = Condition::of(write.condition.clone());
        let sent = self
            .way
            .client
            .put_item()
            .table_name(&self.way.table)
            .set_item(Some(item_to_sdk(item.clone())))
            .set_condition_expression(condition.text)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.way.fence.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(used(answer.consumed_capacity(), estimate)),
            Err(error) => Err(Failure::of("dynamodb:PutItem", &*self.way.table, &error)),
        }
    }

    async fn update(
        &self,
        write: &BackWrite,
        set: &Item,
        remove: &BTreeSet<String>,
    ) -> Result<WriteUse, Failure> {
        let estimate = self.way.cost.milliunits(set);
        let mut condition = Condition::of(write.condition.clone());
        let names = condition.names.get_or_insert_default();
        let values = condition.values.get_or_insert_default();
        let text = update_text(set, remove, names, values);
        let sent = self
            .way
            .client
            .update_item()
            .table_name(&self.way.table)
            .set_key(Some(self.key(write)))
            .update_expression(text)
            .set_condition_expression(condition.text)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.way.fence.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(used(answer.consumed_capacity(), estimate)),
            Err(error) => Err(Failure::of("dynamodb:UpdateItem", &*self.way.table, &error)),
        }
    }

    async fn delete(&self, write: &BackWrite) -> Result<WriteUse, Failure> {
        let condition = Condition::of(write.condition.clone());
        let sent = self
            .way
            .client
            .delete_item()
            .table_name(&self.way.table)
            .set_key(Some(self.key(write)))
            .set_condition_expression(condition.text)
            .set_expression_attribute_names(condition.names)
            .set_expression_attribute_values(condition.values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(self.way.fence.clone())
            .send()
            .await;
        match sent {
            Ok(answer) => Ok(used(answer.consumed_capacity(), LEAST_MILLIUNITS)),
            Err(error) => Err(Failure::of("dynamodb:DeleteItem", &*self.way.table, &error)),
        }
    }

    fn key(&self, write: &BackWrite) -> HashMap<String, AttributeValue> {
        item_to_sdk(self.way.keys.item_of(&write.key))
    }
}

/// The failpoint of a write.
fn site(write: &BackWrite) -> &'static str {
    match write.kind {
        BackWriteKind::Create(_) => "reverse.put",
        BackWriteKind::Update { .. } => "reverse.update",
        BackWriteKind::MarkDeleting(_) => "reverse.mark",
        BackWriteKind::Delete => "reverse.delete",
    }
}

/// An update expression. Its names and values are added to those of the condition.
fn update_text(
    set: &Item,
    remove: &BTreeSet<String>,
    names: &mut HashMap<String, String>,
    values: &mut HashMap<String, AttributeValue>,
) -> String {
    let mut text = String::new();
    for (index, (name, value)) in set.iter().enumerate() {
        names.insert(format!("#s{index}"), name.clone());
        values.insert(format!(":s{index}"), value_to_sdk(value.clone()));
        text.push_str(if index == 0 { "SET " } else { "," });
        text.push_str(&format!("#s{index}=:s{index}"));
    }
    for (index, name) in remove.iter().enumerate() {
        names.insert(format!("#r{index}"), name.clone());
        text.push_str(if index == 0 { " REMOVE " } else { "," });
        text.push_str(&format!("#r{index}"));
    }
    text
}

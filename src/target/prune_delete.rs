//! Deletes items that a prune means: each one only if it is what was read.
//!
//! In the source, a delete has two steps. First, the item gets a mark which says that it is being deleted, as in the way back. So the record of the delete shows who
//! deleted it, and no worker takes it for a write of the application. Then the item is deleted. In a service's own
//! table, nobody of the split reads the stream any more, and readers of the table would see the mark: there is one step. Each request
//! has the condition that every attribute is what was read. A condition cannot ask for attributes that are added, so the answers are compared, too:
//! they show the whole item.

use super::write::Condition;
use crate::dynamo::convert::{item_from_sdk, item_to_sdk, value_to_sdk};
use crate::dynamo::{Budget, ConcurrencyLimit, Failure, FailureKind, Health, chance, until_answered};
use crate::fault;
use crate::flow::GuardExpression;
use crate::model::{Item, Key, KeySchema, MarkKind, ReverseMark, SequenceNumber, Value};
use crate::source::{Scan, milliunits};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValue};
use std::collections::HashMap;
use std::sync::Arc;

/// Attributes that a condition can compare: an expression may have 4 KB and 300 operators
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters)).
const MOST_COMPARED: usize = 140;
/// The least that a write is billed, in thousandths of a unit.
const LEAST_MILLIUNITS: u64 = 1000;

/// What became of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deleted {
    /// It is deleted.
    Deleted,
    /// It is not what was read any more, so it stays.
    Changed,
    /// It has too many attributes to be compared, or no room for the mark, so it stays.
    TooLarge,
    /// Somebody added attributes to it between the two steps, so it was put back as it was then.
    PutBack,
}

/// Deletes items of one table. Temporary failures are retried without end.
#[derive(Clone, Debug)]
pub struct PruneDeleter {
    /// For items, without retries of its own.
    pub client: Client,
    /// The table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Reads single items, with their marks.
    pub reads: Scan,
    /// Write units a second.
    pub writes: Arc<Budget>,
    /// Writes at once.
    pub concurrency: Arc<ConcurrencyLimit>,
    /// The reason for a delay.
    pub health: Arc<Health>,
    /// The mark, which no other process uses, and its attribute. `None`: items are deleted in one step.
    mark: Option<(String, Value)>,
}

/// The answer to the first step.
enum Marked {
    /// The item as it is now.
    As(Item),
    Refused,
    TooLarge,
}

/// The answer to the second step.
enum Removed {
    /// The item as it was.
    Was(Item),
    Refused,
}

impl PruneDeleter {
    /// The mark of this process, for items of a service in the epoch of its cutover.
    #[must_use]
    pub fn mark_of(split: &str, service: &str, epoch: u64) -> (String, Value) {
        let mark = ReverseMark {
            split: split.to_owned(),
            epoch,
            generation: u32::MAX,
            sequence: SequenceNumber::new(&chance::any::<u64>().to_string()),
            kind: MarkKind::Deleting,
        };
        (ReverseMark::attribute(service), mark.to_value())
    }

    /// With the mark that it leaves, if a delete has to say who made it.
    #[must_use]
    #[allow(clippy::too_many_arguments)] // each is a field
    pub fn new(
        client: Client,
        reads: Scan,
        table: &str,
        writes: Arc<Budget>,
        concurrency: Arc<ConcurrencyLimit>,
        health: Arc<Health>,
        mark: Option<(String, Value)>,
    ) -> Self {
        Self {
            client,
            table: table.to_owned(),
            keys: reads.keys().clone(),
            reads,
            writes,
            concurrency,
            health,
            mark,
        }
    }

    /// Deletes an item, if it still is what was read, its marks included.
    ///
    /// # Errors
    /// If a request fails permanently.
    pub async fn delete(&self, read: &Item) -> Result<Deleted, Failure> {
        let Some(key) = self.keys.key_of(read) else {
            return Ok(Deleted::TooLarge);
        };
        if read.len() > MOST_COMPARED {
            return Ok(Deleted::TooLarge);
        }
        let Some((attribute, mark)) = &self.mark else {
            return self.delete_at_once(&key, read).await;
        };
        let mut marked = read.clone();
        marked.insert(attribute.clone(), mark.clone());
        match self.mark(&key, read, (attribute, mark)).await? {
            Marked::As(now) if now == marked => {}
            Marked::TooLarge => return Ok(Deleted::TooLarge),
            // An attempt without an answer may have marked it.
            Marked::As(_) | Marked::Refused => match self.read(&key).await? {
                Some(now) if now == marked => {}
                now => return self.left(&key, now).await,
            },
        }
        match self.remove(&key, &marked).await? {
            Removed::Was(was) if was == marked => Ok(Deleted::Deleted),
            Removed::Was(was) => {
                self.put_back(was).await?;
                Ok(Deleted::PutBack)
            }
            Removed::Refused => match self.read(&key).await? {
                // An attempt without an answer has deleted it.
                None => Ok(Deleted::Deleted),
                now => self.left(&key, now).await,
            },
        }
    }

    /// Without a mark.
    async fn delete_at_once(&self, key: &Key, read: &Item) -> Result<Deleted, Failure> {
        match self.remove(key, read).await? {
            Removed::Was(was) if was == *read => Ok(Deleted::Deleted),
            Removed::Was(was) => {
                self.put_back(was).await?;
                Ok(Deleted::PutBack)
            }
            // An attempt without an answer has deleted it, or somebody else.
            Removed::Refused if self.read(key).await?.is_none() => Ok(Deleted::Deleted),
            Removed::Refused => Ok(Deleted::Changed),
        }
    }

    /// The item stays. A mark of this process does not.
    async fn left(&self, key: &Key, now: Option<Item>) -> Result<Deleted, Failure> {
        if let Some((attribute, mark)) = &self.mark
            && now.is_some_and(|now| now.get(attribute) == Some(mark))
        {
            self.unmark(key, (attribute, mark)).await?;
        }
        Ok(Deleted::Changed)
    }

    async fn read(&self, key: &Key) -> Result<Option<Item>, Failure> {
        until_answered(&self.health, || self.reads.get(key)).await
    }

    async fn mark(
        &self,
        key: &Key,
        read: &Item,
        (attribute, mark): (&String, &Value),
    ) -> Result<Marked, Failure> {
        let mut guard = unchanged(read);
        if !read.contains_key(attribute) {
            guard.text.push_str(" AND attribute_not_exists(#m)");
        }
        guard.names.insert("#m".into(), attribute.clone());
        guard.values.insert(":m".into(), mark.clone());
        let Condition { text, names, values } = Condition::of(guard);
        self.permit(|| async {
            fault::before("prune.mark").await?;
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(self.key(key)))
                .update_expression("SET #m = :m")
                .set_condition_expression(text.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .return_values(ReturnValue::AllNew)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after("prune.mark").await?;
            match sent {
                Ok(mut answer) => {
                    let used = used(answer.consumed_capacity());
                    let now = self.image("dynamodb:UpdateItem", answer.attributes.take())?;
                    Ok((Marked::As(now), used))
                }
                Err(error) => match Failure::of("dynamodb:UpdateItem", &*self.table, &error) {
                    refused if refused.kind == FailureKind::Condition => {
                        Ok((Marked::Refused, LEAST_MILLIUNITS))
                    }
                    // The mark makes it larger than an item may be.
                    invalid if invalid.kind == FailureKind::Invalid => {
                        Ok((Marked::TooLarge, LEAST_MILLIUNITS))
                    }
                    failure => Err(failure),
                },
            }
        })
        .await
    }

    async fn remove(&self, key: &Key, marked: &Item) -> Result<Removed, Failure> {
        let Condition { text, names, values } = Condition::of(unchanged(marked));
        self.permit(|| async {
            fault::before("prune.delete").await?;
            let sent = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(self.key(key)))
                .set_condition_expression(text.clone())
                .set_expression_attribute_names(names.clone())
                .set_expression_attribute_values(values.clone())
                .return_values(ReturnValue::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after("prune.delete").await?;
            match sent {
                Ok(mut answer) => {
                    let used = used(answer.consumed_capacity());
                    let was = self.image("dynamodb:DeleteItem", answer.attributes.take())?;
                    Ok((Removed::Was(was), used))
                }
                Err(error) => match Failure::of("dynamodb:DeleteItem", &*self.table, &error) {
                    refused if refused.kind == FailureKind::Condition => {
                        Ok((Removed::Refused, LEAST_MILLIUNITS))
                    }
                    failure => Err(failure),
                },
            }
        })
        .await
    }

    /// Takes the mark back, if it is still the one of this process.
    async fn unmark(&self, key: &Key, (attribute, mark): (&String, &Value)) -> Result<(), Failure> {
        let value: AttributeValue = value_to_sdk(mark.clone());
        self.permit(|| async {
            fault::before("prune.unmark").await?;
            let sent = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(self.key(key)))
                .update_expression("REMOVE #m")
                .condition_expression("#m = :m")
                .expression_attribute_names("#m", attribute)
                .expression_attribute_values(":m", value.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after("prune.unmark").await?;
            match sent {
                Ok(answer) => Ok(((), used(answer.consumed_capacity()))),
                Err(error) => refused("dynamodb:UpdateItem", &self.table, &error),
            }
        })
        .await
    }

    /// Puts back an item that was not what was read. Whatever somebody has created there meanwhile is newer, and stays.
    async fn put_back(&self, mut was: Item) -> Result<(), Failure> {
        if let Some((attribute, _)) = &self.mark {
            was.remove(attribute);
        }
        let item = item_to_sdk(was);
        self.permit(|| async {
            fault::before("prune.put-back").await?;
            let sent = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(#p)")
                .expression_attribute_names("#p", &self.keys.partition.name)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await;
            fault::after("prune.put-back").await?;
            match sent {
                Ok(answer) => Ok(((), used(answer.consumed_capacity()))),
                Err(error) => refused("dynamodb:PutItem", &self.table, &error),
            }
        })
        .await
    }

    /// Sends a request when the budget and the table allow it, until it is answered.
    async fn permit<T, A: Future<Output = Result<(T, u64), Failure>>>(
        &self,
        send: impl Fn() -> A,
    ) -> Result<T, Failure> {
        let send = &send;
        until_answered(&self.health, || async move {
            self.writes.ready().await;
            let mut place = self.concurrency.enter().await;
            match send().await {
                Ok((done, milliunits)) => {
                    place.answered(1);
                    self.writes.pay(milliunits);
                    Ok(done)
                }
                Err(failure) => {
                    place.failed(&failure);
                    Err(failure)
                }
            }
        })
        .await
    }

    fn key(&self, key: &Key) -> HashMap<String, AttributeValue> {
        item_to_sdk(self.keys.item_of(key))
    }

    /// The whole item in an answer.
    fn image(
        &self,
        operation: &'static str,
        attributes: Option<HashMap<String, AttributeValue>>,
    ) -> Result<Item, Failure> {
        item_from_sdk(attributes.unwrap_or_default())
            .map_err(|error| Failure::unusable(operation, &self.table, error))
    }
}

/// A request whose condition was refused has nothing to do.
fn refused<E, R>(
    operation: &'static str,
    table: &str,
    error: &aws_sdk_dynamodb::error::SdkError<E, R>,
) -> Result<((), u64), Failure>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match Failure::of(operation, table, error) {
        refused if refused.kind == FailureKind::Condition => Ok(((), LEAST_MILLIUNITS)),
        failure => Err(failure),
    }
}

fn used(consumed: Option<&ConsumedCapacity>) -> u64 {
    let units = consumed.and_then(ConsumedCapacity::capacity_units);
    milliunits(units).max(LEAST_MILLIUNITS)
}

/// The condition that every attribute is what was read.
fn unchanged(read: &Item) -> GuardExpression {
    let mut guard = GuardExpression::default();
    for (n, (name, value)) in read.iter().enumerate() {
        guard.text.push_str(if n == 0 { "" } else { " AND " });
        guard.text.push_str(&format!("#a{n} = :a{n}"));
        guard.names.insert(format!("#a{n}"), name.clone());
        guard.values.insert(format!(":a{n}"), value.clone());
    }
    guard
}

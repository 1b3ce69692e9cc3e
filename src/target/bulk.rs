//! Gathers the writes of a bulk copy into batches of puts without guards.

use super::batching::{Answer, ask_alone};
use super::gather::{Gather, Operation, Sent};
use super::put_item::PutItem;
use super::write::{TargetWriter, units};
use crate::dynamo::convert::item_from_sdk;
use crate::dynamo::{ConcurrencyPermit, Failure, OwnBody};
use crate::flow::{Again, Guard, Landed, Outcome, Sink, SinkError, Write, WriteKind, WriteUse};
use crate::model::raw::write_text;
use crate::model::{Item, Key, KeySchema};
use crate::plan::PutCost;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::types::WriteRequest;
use std::collections::HashSet;

/// Gathers the writes of a page to one service into batches of puts without a guard
/// ([BatchWriteItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html)). Only
/// for a bulk copy, during which no lane writes.
///
/// A write with a guard, a removal, and a write that a batch can't settle are written alone: if a batch is refused as
/// a whole, one of its items can never land, and only single writes show which.
pub type Bulk<'a> = Gather<'a, Put>;

/// A put that waits for its batch.
#[derive(Debug)]
pub struct Put {
    key: Key,
    bytes: usize,
    estimated_milliunits: u64,
    item: PutItem,
}

impl Put {
    /// # Errors
    /// The write, if it is no put or has a guard.
    fn of(cost: &PutCost, write: Write) -> Result<Self, Box<Write>> {
        let (key, item) = match write {
            Write {
                key,
                kind: WriteKind::Put(item),
                guard: Guard::Any,
            } => (key, PutItem::Whole(item)),
            Write {
                key,
                kind: WriteKind::PutRaw(item),
                guard: Guard::Any,
            } => (key, PutItem::Raw(item)),
            other => return Err(Box::new(other)),
        };
        Ok(Self {
            key,
            bytes: item.size(),
            estimated_milliunits: item.milliunits(cost),
            item,
        })
    }
}

impl Sink for Bulk<'_> {
    async fn write(&self, write: Write, rebuild: &Again<'_>) -> Result<Landed, SinkError> {
        let mut made = write;
        while self.batching.stopped().is_none() {
            let put = match Put::of(&self.writer.cost, made) {
                Ok(put) => put,
                Err(other) => return Box::pin(self.writer.write(*other, rebuild)).await,
            };
            match self.answered(put).await {
                Answer::Landed(used) => {
                    return Ok(Landed {
                        outcome: Outcome::Written,
                        used,
                    });
                }
                // A put without a guard lands whatever exists.
                Answer::Alone | Answer::Exists(_) => {
                    return Box::pin(self.writer.write(rebuild()?, rebuild)).await;
                }
                Answer::Again => made = rebuild()?,
            }
        }
        Box::pin(self.writer.write(made, rebuild)).await
    }
}

impl Operation for Put {
    type Request = PutItem;
    type Output = BatchWriteItemOutput;

    fn key(&self) -> &Key {
        &self.key
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn into_request(self) -> (Sent, PutItem) {
        let sent = Sent {
            key: self.key,
            estimated_milliunits: self.estimated_milliunits,
        };
        (sent, self.item)
    }

    async fn request(writer: &TargetWriter, items: Vec<PutItem>) -> Result<BatchWriteItemOutput, Failure> {
        let sent = writer
            .client
            .batch_write_item()
            .request_items(&writer.table, Vec::new())
            .customize()
            .interceptor(OwnBody::new(puts_body(&writer.table, &items)))
            .interceptor(writer.fence.clone())
            .send()
            .await;
        sent.map_err(|error| Failure::of("dynamodb:BatchWriteItem", &*writer.table, &error))
    }

    fn read(
        bulk: &Bulk<'_>,
        answer: BatchWriteItemOutput,
        keys: &[Sent],
        place: &mut ConcurrencyPermit<'_>,
    ) -> Vec<Answer> {
        let writer = bulk.writer;
        let consumed = answer.consumed_capacity().iter();
        let told: u64 = consumed.map(|one| units(Some(one))).sum();
        let left = answer.unprocessed_items.unwrap_or_default();
        let left: Vec<WriteRequest> = left.into_values().flatten().collect();
        if left.is_empty() {
            bulk.unblock();
        } else {
            // An operation is left undone because it was throttled, or because of a server error, which decides nothing.
            drop(writer.fence.begin());
            place.throttled_in_part();
            let reason = format!("throttled: UnprocessedItems of {}", writer.table);
            writer.health.block(reason);
        }
        let undone = undone(&writer.keys, left, keys);
        let landed = |sent: &Sent| undone.as_ref().is_some_and(|undone| !undone.contains(&sent.key));
        // The use is reported for all puts together, and counts for the first one that landed. No put is free: if an
        // engine reports nothing, the use is estimated from the sizes of the items.
        let mut used = match told {
            0 => WriteUse::estimated(
                keys.iter()
                    .filter(|sent| landed(sent))
                    .map(|sent| sent.estimated_milliunits)
                    .sum(),
            ),
            told => WriteUse::told(told),
        };
        writer.budget.pay(used.milliunits);
        let each = keys.iter().map(|sent| {
            if landed(sent) {
                Answer::Landed(std::mem::take(&mut used))
            } else {
                Answer::Again
            }
        });
        let mut answers = each.collect::<Vec<_>>();
        ask_alone(&mut answers);
        answers
    }
}

/// The body of a request that puts these items into a table.
pub(super) fn puts_body(table: &str, items: &[PutItem]) -> Vec<u8> {
    let bytes: usize = items.iter().map(PutItem::text_bytes).sum();
    let mut body = Vec::with_capacity(bytes + table.len() + 128);
    body.extend_from_slice(br#"{"RequestItems":{"#);
    write_text(table, &mut body);
    body.extend_from_slice(b":[");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(br#"{"PutRequest":{"Item":"#);
        item.write(&mut body);
        body.extend_from_slice(b"}}");
    }
    body.extend_from_slice(br#"]},"ReturnConsumedCapacity":"TOTAL"}"#);
    body
}

/// The keys that a batch left undone. `None` if one of them is not in the batch: then it is unknown which puts
/// landed.
fn undone(schema: &KeySchema, left: Vec<WriteRequest>, keys: &[Sent]) -> Option<HashSet<Key>> {
    let key_of = |request: WriteRequest| {
        let mut item = request.put_request?.item;
        item.retain(|name, _| schema.attributes().any(|key| key.name == *name));
        let item: Item = item_from_sdk(item).ok()?;
        schema
            .key_of(&item)
            .filter(|key| keys.iter().any(|sent| sent.key == *key))
    };
    left.into_iter().map(key_of).collect()
}

#[cfg(test)]
mod tests;

//! Takes the embedded engine's records in, in their order.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::{Streams, TableStream};
use crate::support::faulty::backend::streams;
use crate::support::faulty::chance;
use crate::support::faulty::tally::Kind;

/// Records asked for at once.
const AT_ONCE: usize = 1000;

/// How far the embedded engine's stream is read.
pub struct Cursor {
    arn: String,
    iterator: Option<String>,
}

impl Cursor {
    pub fn at_beginning(arn: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            iterator: None,
        }
    }
}

impl TableStream {
    /// Takes in all that was written so far.
    pub async fn take_in(&mut self, streams: &Streams) -> Result<(), String> {
        loop {
            let records = self.read(streams).await?;
            let full = records.len() >= AT_ONCE;
            for record in records {
                self.take(record, streams);
            }
            if !full {
                return Ok(());
            }
        }
    }

    async fn read(&mut self, of: &Streams) -> Result<Vec<Value>, String> {
        let iterator = match self.cursor.iterator.take() {
            Some(iterator) => iterator,
            None => {
                let arn = &self.cursor.arn;
                let described = of
                    .backend
                    .ask(&streams("DescribeStream"), &json!({ "StreamArn": arn }))
                    .await?;
                let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
                let wanted =
                    json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
                let given = of.backend.ask(&streams("GetShardIterator"), &wanted).await?;
                super::member(&given, "ShardIterator").to_owned()
            }
        };
        let wanted = json!({ "ShardIterator": iterator, "Limit": AT_ONCE });
        // Where the request fails, the same place is read again.
        self.cursor.iterator = Some(iterator);
        let mut page = of.backend.ask(&streams("GetRecords"), &wanted).await?;
        self.cursor.iterator = page["NextShardIterator"].as_str().map(str::to_owned);
        match page["Records"].take() {
            Value::Array(records) => Ok(records),
            _ => Ok(Vec::new()),
        }
    }

    fn take(&mut self, mut record: Value, of: &Streams) {
        let change = &mut record["dynamodb"];
        // AWS makes no record of a write that changes nothing.
        if change
            .get("OldImage")
            .is_some_and(|old| same(old, &change["NewImage"]))
        {
            of.tally.add(Kind::NoChange);
            return;
        }
        of.changes.note(&self.table, change);
        let key = key_text(&change["Keys"]);
        self.past.note(Instant::now(), &key, change.get("OldImage"));
        let Some(generation) = self.generations.last_mut().filter(|generation| generation.on) else {
            return;
        };
        let happened = generation.lineage.deal(chance::place_of(&key), |number| {
            record["dynamodb"]["SequenceNumber"] = Value::String(number.to_string());
            record.to_string()
        });
        if let Some(kind) = happened {
            of.tally.add(kind);
        }
    }
}

/// A key as text, the same for the same key.
pub fn key_text(key: &Value) -> String {
    let sorted: BTreeMap<&String, &Value> = key.as_object().into_iter().flatten().collect();
    sorted
        .into_iter()
        .map(|(name, value)| format!("{name}={value};"))
        .collect()
}

/// Whether two images are equal; the members of sets have no order.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let same_set = |name: &str, one: &Value, other: &Value| match (name, one, other) {
                ("SS" | "NS" | "BS", Value::Array(one), Value::Array(other)) => {
                    one.len() == other.len() && one.iter().all(|member| other.contains(member))
                }
                _ => same(one, other),
            };
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| same_set(name, value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        _ => one == other,
    }
}

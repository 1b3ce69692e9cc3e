//! Finds records in the history.

use super::error::LedgerError;
use super::history::History;
use crate::model::{Key, KeySchema, Marker, Position, RawRecord, json, strip_marks};
use serde::Serialize;
use std::collections::BTreeMap;

/// Which records are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this item.
    pub key: Option<Key>,
    /// Written at or after this time, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Written before this time.
    pub until_ms: Option<u64>,
}

/// A change in the history, as people see it: without marks of reverse writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ShownChange {
    /// When it was written, in milliseconds since 1970, as the stream rounds it.
    pub at_ms: Option<u64>,
    /// The stream, the chain and the shard, as its folder in the bucket names them.
    pub shard: String,
    /// Its place in the shard.
    pub sequence: String,
    /// What the stream calls the write.
    pub event: Option<String>,
    /// The service of AWS that wrote, as for an item that expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The key of the item.
    pub key: serde_json::Value,
    /// The item before the write.
    pub old: Option<serde_json::Value>,
    /// The item after it.
    pub new: Option<serde_json::Value>,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Found {
    /// The oldest changes, in the order of their times.
    pub changes: Vec<ShownChange>,
    /// How many there are beside these.
    pub more: u64,
}

impl Wanted {
    fn is_in_time(&self, at_ms: Option<u64>) -> bool {
        // A record without a time may be of any.
        at_ms.is_none_or(|at| {
            self.since_ms.is_none_or(|since| at >= since) && self.until_ms.is_none_or(|until| at < until)
        })
    }
}

impl History {
    /// Hands out every record that is wanted, in the order of each shard. Markers of cutovers are no changes. A record that is in two
    /// chains is handed out twice.
    ///
    /// # Errors
    /// If an object cannot be read, or the receiver fails.
    pub async fn each<E: From<LedgerError>>(
        &self,
        keys: &KeySchema,
        wanted: &Wanted,
        mut take: impl AsyncFnMut(&str, RawRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        for chain in self.chains().await? {
            for begin in chain.list().await? {
                let Some(object) = chain.read(&begin).await? else {
                    continue;
                };
                let is_older = |since| object.header.newest_ms.is_some_and(|newest| newest < since);
                if wanted.since_ms.is_some_and(is_older) {
                    continue;
                }
                for n in 0..object.lines.len() {
                    let record = object.record(n).map_err(|reason| LedgerError::Broken {
                        name: format!("{} {begin}", chain.name),
                        reason,
                    })?;
                    let Some(record) = record else { break };
                    let key = keys.key_of(&record.keys);
                    let is_marker = key.as_ref().is_some_and(|key| Marker::of(key).is_some());
                    let is_of_key = wanted.key.is_none() || wanted.key == key;
                    if is_of_key && !is_marker && wanted.is_in_time(record.created_ms) {
                        take(&chain.name, record).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The changes that are wanted: the oldest ones, up to a number.
    ///
    /// # Errors
    /// If an object cannot be read.
    pub async fn find(&self, keys: &KeySchema, wanted: &Wanted, most: usize) -> Result<Found, LedgerError> {
        // By time and place, and each record once, also if it is in two chains.
        let mut found: BTreeMap<(Option<u64>, String, Position), ShownChange> = BTreeMap::new();
        let mut more = 0;
        self.each(keys, wanted, async |chain: &str, record: RawRecord| {
            let place = (
                record.created_ms,
                without_chain(chain),
                Position::After(record.sequence.clone()),
            );
            let is_new = found.insert(place, shown(chain, record)).is_none();
            if is_new && found.len() > most {
                found.pop_last();
                more += 1;
            }
            Ok::<(), LedgerError>(())
        })
        .await?;
        Ok(Found {
            changes: found.into_values().collect(),
            more,
        })
    }
}

/// The stream and the shard.
fn without_chain(name: &str) -> String {
    let mut parts = name.split('/');
    let (stream, _, shard) = (parts.next(), parts.next(), parts.next());
    format!("{}/{}", stream.unwrap_or_default(), shard.unwrap_or_default())
}

fn shown(shard: &str, mut record: RawRecord) -> ShownChange {
    for image in record.old.iter_mut().chain(&mut record.new) {
        strip_marks(image);
    }
    ShownChange {
        at_ms: record.created_ms,
        shard: shard.to_owned(),
        sequence: record.sequence.to_string(),
        event: record.event_name,
        by: record.by.and_then(|(_, principal)| principal),
        key: json::item_to_json(&record.keys),
        old: record.old.as_ref().map(json::item_to_json),
        new: record.new.as_ref().map(json::item_to_json),
    }
}

//! The shards of the stream, as the state has recorded them.

use super::split::Split;
use crate::state::{ShardRecord, StateError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All shards of a generation, as last read from the state table, by their ids.
pub(crate) type Recorded = Arc<BTreeMap<String, ShardRecord>>;

/// The recorded shards of a generation, by their ids.
pub(crate) async fn recorded_shards(split: &Split, generation: u32) -> Result<Recorded, StateError> {
    let prefix = split.shard_record(generation, "");
    let found = split.store.list::<ShardRecord>(&prefix).await?;
    Ok(Arc::new(
        found
            .into_iter()
            .map(|(_, stored)| (stored.value.shard.clone(), without_switched(split, stored.value)))
            .collect(),
    ))
}

/// A shard as this command sees it: without the lanes of services that have switched for good, which no worker reads any
/// more.
pub(crate) fn without_switched(split: &Split, mut record: ShardRecord) -> ShardRecord {
    record.lanes.retain(|lane, _| split.reads_lane(lane));
    record
}

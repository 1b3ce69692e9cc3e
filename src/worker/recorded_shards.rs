//! The shards of the stream, as the state has recorded them.

use super::split::Split;
use crate::state::{ShardRecord, StateError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All shards of a generation, as last read from the state table, by their ids.
pub(crate) type Recorded = Arc<BTreeMap<String, ShardRecord>>;

/// The recorded shards of a generation, by their ids.
pub(crate) async fn recorded_shards(split: &Split, generation: u32) -> Result<Recorded, StateError> {
    let prefix = split.shard_record(generation, "");
    let found = split.store.list::<ShardRecord>(&prefix).await?;
    let shards = found.into_iter().map(|(_, stored)| stored.value);
    Ok(Arc::new(without_unread(split, shards)))
}

/// The shards as this command sees them: without the lanes that no worker reads any more. These are the lanes of services that
/// have switched for good, and those of their events when everything was sent that the services' lanes had applied.
pub(crate) fn without_unread(
    split: &Split,
    shards: impl IntoIterator<Item = ShardRecord>,
) -> BTreeMap<String, ShardRecord> {
    let shards = shards.into_iter().map(|record| (record.shard.clone(), record));
    let mut shards: BTreeMap<String, ShardRecord> = shards.collect();
    let lanes: BTreeSet<String> = shards
        .values()
        .flat_map(|record| record.lanes.keys().cloned())
        .collect();
    let unread = lanes
        .into_iter()
        .filter(|lane| !split.reads_lane(lane) || have_ended(split, lane, &shards));
    for lane in unread.collect::<Vec<_>>() {
        for record in shards.values_mut() {
            record.lanes.remove(&lane);
        }
    }
    shards
}

/// Whether a lane sends events of a service that has switched for good, and has sent everything that the service's lane applied.
fn have_ended(split: &Split, lane: &str, shards: &BTreeMap<String, ShardRecord>) -> bool {
    let Some((service, _)) = ShardRecord::of_events(lane).filter(|(service, _)| split.is_closed(service))
    else {
        return false;
    };
    shards.values().all(|record| {
        let place = |lane: &str| record.lanes.get(lane).map(|state| &state.position);
        place(lane).is_none() || place(lane) >= place(service)
    })
}

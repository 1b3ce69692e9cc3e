//! The state of a split nobody worked on for long. Written through the product's own records: nothing is compared with
//! what stands here.

use dynasplit::state::{ShardRecord, Store};

use super::stage::Stage;

/// Makes every lane as old as it would be after so long a time without a worker: the engine ages its records, and
/// nothing ages the state.
pub async fn set_back(stage: &Stage, ms: u64) {
    let store = Store::new(stage.client.clone(), &stage.trial.state_table());
    let shards = store
        .list::<ShardRecord>(ShardRecord::PREFIX)
        .await
        .expect("the state can be read");
    assert!(!shards.is_empty());
    for (name, stored) in shards {
        let mut record = stored.value;
        for lane in record.lanes.values_mut() {
            lane.complete_to_ms -= ms;
            lane.saved_ms -= ms;
        }
        store
            .put(&name, record, stored.revision)
            .await
            .expect("nobody else writes");
    }
}

//! Leases of shards that a worker waits for, because their owners seem to be dead.

use crate::dynamo::Timing;
use crate::state::{ShardRecord, WorkerRecord};
use crate::worker::Recorded;
use std::collections::BTreeMap;
use std::time::Duration;

/// Shards whose leases are waited for, and in words which.
pub(super) type Awaited = BTreeMap<String, String>;

/// The lease of a shard whose owner seems to be dead. One who renews its lease is not waited for: it reads the shard.
pub(super) fn awaited_lease(
    shard: &ShardRecord,
    (silent, left): (Duration, Duration),
    tails: &BTreeMap<String, u64>,
    timing: Timing,
) -> Option<String> {
    let owner = shard.lease.owner.as_ref()?;
    let renews = 2 * timing.renew();
    let told = tails.get(&format!("{}{owner}", WorkerRecord::PREFIX));
    // The clocks of two machines are compared here, which a hint may do.
    let is_silent = |ms: &u64| u128::from(*ms) > renews.as_millis();
    if silent <= renews && !told.is_none_or(is_silent) {
        return None;
    }
    Some(format!(
        "the lease of shard {} (owner {owner}, free in at most {} s)",
        shard.shard,
        left.as_secs_f64().ceil()
    ))
}

/// The first lease that each lane waits for.
pub(super) fn awaited_by_lane(recorded: &Recorded, awaited: &Awaited) -> BTreeMap<String, String> {
    let mut lanes = BTreeMap::new();
    for (shard, reason) in awaited {
        let states = recorded.get(shard).map(|record| &record.lanes);
        for (lane, _) in states
            .into_iter()
            .flatten()
            .filter(|(_, state)| !state.finished())
        {
            lanes.entry(lane.clone()).or_insert_with(|| reason.clone());
        }
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Lease, Owner};

    #[test]
    fn the_lease_of_a_silent_owner_is_awaited_and_that_of_a_live_one_is_not() {
        let timing = Timing::LIVE;
        let owner = Owner("tail-1".into());
        let shard = ShardRecord {
            generation: 1,
            shard: "s".into(),
            parent: None,
            lease: Lease::held_by(&owner, timing.lease),
            beat: 0,
            lanes: BTreeMap::new(),
        };
        let (renew, left) = (timing.renew(), Duration::from_millis(26_500));
        let tails = |silent: Duration| {
            let silent_ms = u64::try_from(silent.as_millis()).unwrap();
            BTreeMap::from([("WORKER#tail-1".to_owned(), silent_ms)])
        };
        let awaited =
            |seen, tails: &BTreeMap<String, u64>| awaited_lease(&shard, (seen, left), tails, timing);
        assert_eq!(awaited(Duration::ZERO, &tails(renew)), None, "it lives");
        let told = "the lease of shard s (owner tail-1, free in at most 27 s)";
        for (seen, tails) in [
            (Duration::ZERO, tails(3 * renew)),
            (3 * renew, tails(renew)),
            (Duration::ZERO, BTreeMap::new()),
        ] {
            assert_eq!(awaited(seen, &tails).as_deref(), Some(told));
        }
    }
}

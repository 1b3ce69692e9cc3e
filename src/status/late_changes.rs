//! Changes that came to the source after their service had switched, from the shards of every generation of the stream. Pure.

use crate::state::{LateChanges, ShardRecord};
use std::collections::BTreeMap;

/// The late changes by service, whatever restarts of the tail there were.
///
/// A restart reads an open shard again from its first record, so several generations may count the same changes of a shard:
/// the generation that counts most has seen the others' changes. Different shards have different changes.
pub(super) fn late_changes<'a>(
    shards: impl IntoIterator<Item = &'a ShardRecord>,
) -> BTreeMap<String, LateChanges> {
    let mut by_shard: BTreeMap<(&str, &str), LateChanges> = BTreeMap::new();
    for shard in shards {
        let Some(watch) = shard.lanes.get(ShardRecord::WATCH) else {
            continue;
        };
        for (service, late) in &watch.late {
            let most = by_shard.entry((service, &shard.shard)).or_insert(*late);
            if late.switched_ms > most.switched_ms {
                *most = *late;
            } else if late.switched_ms == most.switched_ms {
                most.count = most.count.max(late.count);
                most.last_ms = most.last_ms.max(late.last_ms);
            }
        }
    }
    let mut sum: BTreeMap<String, LateChanges> = BTreeMap::new();
    for ((service, _), late) in by_shard {
        sum.entry(service.to_owned()).or_default().add(&late);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Position;
    use crate::state::{LaneState, Lease};

    fn shard(generation: u32, name: &str, switched_ms: u64, count: u64) -> ShardRecord {
        let late = LateChanges {
            switched_ms,
            count,
            last_ms: switched_ms + u64::from(generation),
        };
        let state = LaneState {
            late: [("a".to_owned(), late)].into(),
            ..LaneState::starting(Position::Beginning, 0)
        };
        ShardRecord {
            generation,
            shard: name.to_owned(),
            parent: None,
            lease: Lease::default(),
            beat: 0,
            lanes: [(ShardRecord::WATCH.to_owned(), state)].into(),
        }
    }

    fn found(shards: &[ShardRecord]) -> (u64, u64) {
        let late = late_changes(shards)["a"];
        (late.count, late.last_ms)
    }

    #[test]
    fn a_restart_forgets_no_late_change_and_counts_none_twice() {
        let before = [shard(1, "closed", 100, 3), shard(1, "open", 100, 2)];
        assert_eq!(found(&before), (5, 101));
        let [closed, open] = before;
        // The new generation has not read the open shard as far as the one before, and then further.
        let behind = [closed.clone(), open.clone(), shard(2, "open", 100, 1)];
        assert_eq!(found(&behind), (5, 102));
        let ahead = [closed, open, shard(2, "open", 100, 4), shard(2, "new", 100, 1)];
        assert_eq!(found(&ahead), (8, 102));
    }

    #[test]
    fn changes_after_a_switch_that_was_taken_back_do_not_count() {
        let shards = [
            shard(1, "x", 100, 3),
            shard(2, "x", 200, 1),
            shard(2, "y", 100, 7),
        ];
        assert_eq!(found(&shards), (1, 202));
    }
}

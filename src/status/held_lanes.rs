//! What is in the way while a copy holds lanes, and how long they may still be held.

use super::lane_status::LaneStatus;
use crate::model::duration;

/// A bulk copy holds these lanes.
pub(super) fn held_by_bulk(held: &[&str], lanes: &[LaneStatus]) -> String {
    let what = match held {
        [lane] => format!("a bulk copy holds the lane of {lane}, so it applies no changes until it ends"),
        lanes => format!(
            "a bulk copy holds the lanes of {}, so they apply no changes until it ends",
            lanes.join(", ")
        ),
    };
    what + &warning(held, lanes)
}

/// What to do before the stream removes records that held lanes have not applied; nothing while there is much time.
pub(super) fn warning(held: &[&str], lanes: &[LaneStatus]) -> String {
    let of_held = lanes.iter().filter(|lane| held.contains(&lane.lane.as_str()));
    let short = of_held.filter(|lane| lane.lags_dangerously() && lane.gap.is_none());
    let left = short.filter_map(LaneStatus::time_left_ms).min();
    left.map_or(String::new(), |left_ms| {
        format!(
            ". In {} the stream begins to remove changes that were not applied: if the copy takes longer, run `dynasplit backfill \
             --order concurrent` before then (it waits for an import that runs)",
            duration(left_ms)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn lane(name: &str, lag_ms: u64) -> LaneStatus {
        LaneStatus {
            lane: name.to_owned(),
            lag_ms: Some(lag_ms),
            open_shards: 1,
            ..LaneStatus::default()
        }
    }

    #[test]
    fn the_time_that_is_left_is_told_when_a_third_of_it_is_over() {
        let lanes = [lane("orders", 7 * HOUR_MS), lane("users", 20 * HOUR_MS)];
        assert_eq!(warning(&["orders"], &lanes), "", "there is much time");
        let told = held_by_bulk(&["orders", "users"], &lanes);
        assert!(
            told.starts_with("a bulk copy holds the lanes of orders, users, so they apply no changes until it ends. In 4h 0m the stream"),
            "{told}"
        );
        assert!(
            told.ends_with(
                "run `dynasplit backfill --order concurrent` before then (it waits for an import that runs)"
            ),
            "{told}"
        );
        let lost = [LaneStatus {
            gap: Some("lost".into()),
            ..lane("users", 30 * HOUR_MS)
        }];
        assert_eq!(warning(&["users"], &lost), "", "it is too late: the gap says so");
    }
}

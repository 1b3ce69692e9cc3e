//! Counts the open dead letters. The counters of a lane only grow, so they do not show them.

use super::lane_status::{FillStatus, LaneStatus};
use crate::state::{DeadLetter, DeadLetterHead};
use std::collections::BTreeMap;

/// How many dead letters are open, by service and by who left them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenDeadLetters {
    counts: BTreeMap<String, Count>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Count {
    backfill: u64,
    others: u64,
}

impl OpenDeadLetters {
    /// Counts them.
    #[must_use]
    pub fn of(letters: &[DeadLetterHead]) -> Self {
        let mut counts: BTreeMap<String, Count> = BTreeMap::new();
        for letter in letters {
            let count = counts.entry(letter.service.clone()).or_default();
            if letter.origin == DeadLetter::BACKFILL {
                count.backfill += 1;
            } else {
                count.others += 1;
            }
        }
        Self { counts }
    }

    /// All of them, by service.
    #[must_use]
    pub fn by_service(&self) -> BTreeMap<String, u64> {
        let counts = self.counts.iter();
        counts
            .map(|(service, count)| (service.clone(), count.backfill + count.others))
            .collect()
    }

    /// Notes them in the lanes.
    pub fn note(&self, lanes: &mut [LaneStatus]) {
        for lane in lanes {
            lane.dead_letters = self.counts.get(&lane.lane).map_or(0, |count| count.others);
        }
    }

    /// Notes those of the backfill.
    pub fn note_backfill(&self, lanes: &mut [FillStatus]) {
        for lane in lanes {
            lane.dead_letters = self.counts.get(&lane.lane).map_or(0, |count| count.backfill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn letter(service: &str, origin: &str) -> DeadLetterHead {
        DeadLetterHead {
            id: String::new(),
            service: service.to_owned(),
            key: json!({}),
            reason: String::new(),
            origin: origin.to_owned(),
            at_ms: 0,
            parts: 1,
            writing: 0,
            attempts: crate::state::Attempts::default(),
            damage: None,
        }
    }

    #[test]
    fn each_letter_counts_once_with_who_left_it() {
        let letters = ["backfill", "100", "backfill", "200", "300"].map(|origin| letter("a", origin));
        let open = OpenDeadLetters::of(&letters);
        let (mut lanes, mut fill) = (
            [LaneStatus {
                lane: "a".into(),
                ..LaneStatus::default()
            }],
            [FillStatus {
                lane: "a".into(),
                ..FillStatus::default()
            }],
        );
        open.note(&mut lanes);
        open.note_backfill(&mut fill);
        assert_eq!((lanes[0].dead_letters, fill[0].dead_letters), (3, 2));
        assert_eq!(open.by_service(), [("a".to_owned(), 5)].into());
        OpenDeadLetters::default().note(&mut lanes);
        assert_eq!(lanes[0].dead_letters, 0, "they were resolved");
    }
}

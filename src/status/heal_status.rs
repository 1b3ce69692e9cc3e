//! The heal of a gap, from its journal.

use super::limits::ActivityStatus;
use super::obstacle::{Obstacle, ObstacleKind};
use crate::state::{HealCounts, HealRecord};
use serde::Serialize;

/// The last heal of a gap from incremental exports.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HealStatus {
    /// The beginning of the time that it heals, in milliseconds since 1970.
    pub from_ms: u64,
    /// Its end.
    pub to_ms: u64,
    /// Exports whose keys were all read again.
    pub healed: usize,
    /// Exports in all.
    pub exports: usize,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended; `None`: it runs, or was interrupted.
    pub finished_ms: Option<u64>,
    /// What became of the keys so far.
    #[serde(flatten)]
    pub counts: HealCounts,
}

impl HealStatus {
    /// By its journal.
    pub(super) fn of(record: &HealRecord) -> Self {
        Self {
            from_ms: record.begin_ms(),
            to_ms: record.end_ms(),
            healed: record.done(),
            exports: record.windows.len(),
            started_ms: record.started_ms,
            finished_ms: record.finished_ms,
            counts: record.counts,
        }
    }

    /// Whether no process works on it, although it has not ended.
    pub(super) fn is_interrupted(&self, running: &[ActivityStatus]) -> bool {
        self.finished_ms.is_none() && !running.iter().any(|doing| doing.command == "heal")
    }
}

pub(super) const CONTINUE: &str = "run `dynasplit heal --from-exports --yes`, which continues it";

/// What is left of a heal that has not ended.
pub(super) fn obstacle(heal: &HealStatus, running: &[ActivityStatus]) -> Option<Obstacle> {
    if heal.finished_ms.is_some() {
        return None;
    }
    let so_far = format!("{} of {} exports are healed", heal.healed, heal.exports);
    let (what, next) = if heal.is_interrupted(running) {
        (format!("the heal of a gap was interrupted: {so_far}"), CONTINUE)
    } else {
        (
            format!("the heal of a gap has not ended: {so_far}"),
            "wait until it ends",
        )
    };
    Some(Obstacle {
        kind: ObstacleKind::Heal,
        service: None,
        services: Vec::new(),
        what,
        next: next.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::HealWindow;

    #[test]
    fn a_heal_that_was_interrupted_is_continued_and_one_that_runs_is_waited_for() {
        let mut record = HealRecord {
            generation: 2,
            table_arn: "arn".into(),
            table_id: None,
            to: "s3://b/".into(),
            windows: vec![HealWindow::new(0, 1), HealWindow::new(1, 2)],
            started_ms: 0,
            finished_ms: None,
            counts: HealCounts::default(),
        };
        record.windows[0].done = true;
        let running = ActivityStatus {
            command: "heal".into(),
            phase: "reading".into(),
            estimate: None,
            waits_for: None,
            age_ms: 0,
        };
        let told = |record: &HealRecord, running: &[ActivityStatus]| {
            obstacle(&HealStatus::of(record), running).map(|found| (found.what, found.next))
        };
        let interrupted = told(&record, &[]).unwrap();
        assert_eq!(
            interrupted.0,
            "the heal of a gap was interrupted: 1 of 2 exports are healed"
        );
        assert!(interrupted.1.contains("heal --from-exports --yes"));
        assert_eq!(told(&record, &[running]).unwrap().1, "wait until it ends");
        record.finished_ms = Some(9);
        assert_eq!(told(&record, &[]), None);
    }
}

//! What to do about open dead letters, the most likely cause first.

use super::split_status::WorkerStatus;
use crate::state::{ShardRecord, SplitRecord, WorkerRecord};
use crate::worker::{RunError, Split, services};

/// What decides which cause is the most likely one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeadLetterCauses {
    /// A live worker runs with another plan than the split.
    pub outdated_worker: bool,
    /// `left-behind` was widened while the split ran.
    pub widened: bool,
}

impl DeadLetterCauses {
    /// By the split's record and its workers.
    pub(super) fn of(record: &SplitRecord, workers: &[WorkerStatus]) -> Self {
        let mut workers = workers.iter();
        Self {
            outdated_worker: workers.any(|worker| worker.reads_stream() && worker.other_plan.is_some()),
            widened: !record.earlier.is_empty(),
        }
    }

    /// As [`DeadLetterCauses::advice`], for somebody who has not listed them.
    pub(super) fn next(self, service: &str) -> String {
        let advice = self.advice(service);
        if service == ShardRecord::WATCH {
            format!("{advice}. `dynasplit dead-letters list` shows the items")
        } else {
            format!("run `dynasplit dead-letters list`, then {advice}")
        }
    }

    /// What to do about the dead letters of a service, as a sentence that begins in lower case.
    #[must_use]
    pub fn advice(self, service: &str) -> String {
        if service != ShardRecord::WATCH {
            return "correct each item in the source, then run `dynasplit dead-letters reconcile`".into();
        }
        if self.outdated_worker {
            return "restart each worker with the newest plan, because an outdated worker records items that this plan takes or leaves \
                    behind. Then run `dynasplit dead-letters reconcile`"
                .into();
        }
        let forgotten = "if the plan forgot this kind of items, widen `left-behind` or add a service, run `dynasplit apply`, and \
                         restart each worker with the new plan. If an item is a mistake, correct or delete it in the source. Then \
                         run `dynasplit dead-letters reconcile`";
        if self.widened {
            "run `dynasplit dead-letters reconcile`: it settles what the plan leaves behind since `left-behind` was widened. If dead \
             letters stay open, the plan forgot another kind of items (widen `left-behind` further, or add a service), or an item \
             is a mistake (correct or delete it in the source)"
                .into()
        } else {
            forgotten.into()
        }
    }
}

/// Reads what decides which cause is the most likely one.
///
/// # Errors
/// When the state can't be read.
pub async fn dead_letter_causes(split: &Split, record: &SplitRecord) -> Result<DeadLetterCauses, RunError> {
    let known = services(split).await?;
    // A worker's record that is damaged says nothing.
    let workers = split
        .store
        .list_readable::<WorkerRecord>(WorkerRecord::PREFIX, &mut Vec::new())
        .await?;
    let workers: Vec<WorkerStatus> = workers
        .iter()
        .map(|(_, worker)| WorkerStatus::of(&worker.value, record, &known, split.now_ms()))
        .collect();
    Ok(DeadLetterCauses::of(record, &workers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_likely_cause_comes_first() {
        let begins = |causes: DeadLetterCauses, service: &str, with: &str| {
            let advice = causes.advice(service);
            assert!(advice.starts_with(with), "{advice}");
        };
        let (outdated, widened) = (
            DeadLetterCauses {
                outdated_worker: true,
                widened: true,
            },
            DeadLetterCauses {
                outdated_worker: false,
                widened: true,
            },
        );
        begins(outdated, ShardRecord::WATCH, "restart each worker");
        begins(
            widened,
            ShardRecord::WATCH,
            "run `dynasplit dead-letters reconcile`",
        );
        let forgotten = "if the plan forgot this kind of items, widen `left-behind`";
        begins(DeadLetterCauses::default(), ShardRecord::WATCH, forgotten);
        // What an outdated worker does not know is in no service.
        begins(outdated, "orders", "correct each item");
    }
}

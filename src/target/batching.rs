//! Whether an engine accepts batches, and how a refused batch is retried.

use super::write::TargetWriter;
use crate::dynamo::{Failure, FailureKind};
use crate::flow::WriteUse;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// Operations in one batch at most
/// ([BatchWriteItem](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html),
/// [BatchExecuteStatement](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html)).
const MOST_OPERATIONS: usize = 25;
/// If this many more items exist than are new, batches of inserts cost more than they save: each existing item is
/// billed twice.
const MANY_EXIST: i32 = 50;

/// Whether the writes to a service go in batches, and how large, in one process.
#[derive(Debug)]
pub struct Batching {
    off: OnceLock<String>,
    /// Operations in one batch at most, now.
    most: AtomicUsize,
    /// Increased by each item that exists and must be written again alone, decreased by each new item.
    existing: AtomicI32,
    /// Batches in a row of which something has to be tried again.
    failed: AtomicU32,
}

/// The answer to one write of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It landed, with this use.
    Landed(WriteUse),
    /// Of an insert: an item or a tombstone exists; the refusal had this use.
    Exists(WriteUse),
    /// It was left undone, or its result is unknown: it must be retried; the wait is over.
    Again,
    /// It must be written alone, which shows the reason.
    Alone,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            off: OnceLock::new(),
            most: AtomicUsize::new(MOST_OPERATIONS),
            existing: AtomicI32::new(0),
            failed: AtomicU32::new(0),
        }
    }
}

impl Batching {
    /// Never: for this reason.
    pub fn stop(&self, reason: String) {
        if self.off.set(reason.clone()).is_ok() {
            tracing::warn!(reason, "items are written one by one from now on");
        }
    }

    /// Why there are no batches, if so.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.off.get().map(String::as_str)
    }

    /// Operations in the next batch at most.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Whether inserts in batches cost less than single puts.
    pub(super) fn pays(&self) -> bool {
        self.off.get().is_none() && self.existing.load(Ordering::Relaxed) < MANY_EXIST
    }

    /// An item was there already, or not.
    pub(super) fn count(&self, exists: bool) {
        let by = if exists { 3 } else { -1 };
        let update = |seen: i32| Some((seen + by).clamp(0, 2 * MANY_EXIST));
        let _ = self
            .existing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// A batch of this size was answered.
    pub(super) fn answered(&self, count: usize) {
        if count >= self.most() {
            self.resize(|most| (most + 1).min(MOST_OPERATIONS));
        }
    }

    /// Decides the next step after a batch failed as a whole. If an engine does not answer in time, the concurrency
    /// is reduced at once.
    pub(super) fn failed(&self, writer: &TargetWriter, failure: &Failure) -> Answer {
        match &failure.kind {
            FailureKind::Throttled(_) | FailureKind::Transient => {
                writer.health.block(failure.reason());
                if failure.kind == FailureKind::Transient {
                    self.resize(|most| (most / 2).max(1));
                }
                Answer::Again
            }
            FailureKind::Denied | FailureKind::Unsupported => {
                self.stop(failure.to_string());
                Answer::Alone
            }
            _ => Answer::Alone,
        }
    }

    /// Waits before the rest of a batch is retried, all at once, so that it makes a batch again. If the worker stops
    /// meanwhile, the writes go alone and find out.
    pub(super) async fn wait(&self, writer: &TargetWriter, answers: &mut [Answer]) {
        if !answers.contains(&Answer::Again) {
            self.failed.store(0, Ordering::Relaxed);
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if writer.pause(failed).await.is_err() {
            let left = answers.iter_mut().filter(|answer| **answer == Answer::Again);
            left.for_each(|answer| *answer = Answer::Alone);
        }
    }

    fn resize(&self, to: impl Fn(usize) -> usize) {
        let _ = self
            .most
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |most| Some(to(most)));
    }
}

/// A batch does not report why it left a part undone. The first write of this part goes alone, and its error names
/// the reason.
pub(super) fn ask_alone(answers: &mut [Answer]) {
    if let Some(first) = answers.iter_mut().find(|answer| **answer == Answer::Again) {
        *first = Answer::Alone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_grows_by_one_where_it_was_full() {
        let batching = Batching::default();
        batching.resize(|_| 3);
        batching.answered(2);
        assert_eq!(batching.most(), 3, "a smaller one says nothing");
        batching.answered(3);
        assert_eq!(batching.most(), 4);
        for _ in 0..100 {
            batching.answered(25);
        }
        assert_eq!(batching.most(), MOST_OPERATIONS);
    }

    #[test]
    fn where_most_exists_no_batch_is_tried_until_much_is_new() {
        let batching = Batching::default();
        for _ in 0..MANY_EXIST {
            batching.count(true);
        }
        assert!(!batching.pays());
        for _ in 0..=MANY_EXIST {
            batching.count(false);
        }
        assert!(batching.pays());
        batching.stop("the engine takes none".into());
        assert!(!batching.pays());
        assert_eq!(batching.stopped(), Some("the engine takes none"));
    }
}

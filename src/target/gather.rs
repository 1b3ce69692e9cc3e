//! Writes that wait for their batch: the common part of the sinks that write in batches.

use super::batching::Batching;
use crate::flow::Sink;
use crate::model::Key;
use std::collections::{HashSet, VecDeque};
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::oneshot;

/// Approximate most bytes of items in one batch: far below the limit of a request, so that a failed batch costs
/// little.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// A sink whose writes wait for their batch. The task that runs the writes asks for the next batch when no write can
/// be gathered any more, and sends it.
pub trait Batched: Sink {
    /// A batch that can be sent.
    type Batch: Send;

    /// The next batch, as large as possible. Never returns while nothing waits: it is polled in the task that polls
    /// the writes, after them.
    fn next(&self) -> impl Future<Output = Self::Batch> + Send;

    /// Sends a batch, and passes the answers to its writes.
    fn send(&self, batch: Self::Batch) -> impl Future<Output = ()> + Send;
}

/// An operation that can be part of a batch.
pub(super) trait Operation {
    /// Key in the target. One batch never holds a key twice.
    fn key(&self) -> &Key;
    /// Bytes of the item, about.
    fn bytes(&self) -> usize;
}

/// An operation that waits for its batch, with the channel for its answer.
#[derive(Debug)]
pub struct Waiting<O, A> {
    pub(super) operation: O,
    pub(super) answer: oneshot::Sender<A>,
}

/// The operations that wait, in the order in which they came.
#[derive(Debug)]
pub(super) struct Gather<O, A> {
    waiting: Mutex<VecDeque<Waiting<O, A>>>,
}

impl<O, A> Default for Gather<O, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<O: Operation, A> Gather<O, A> {
    /// Waits for the answer to an operation. `None`: its batch was given up.
    pub async fn answered(&self, operation: O) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.lock().push_back(Waiting { operation, answer });
        answered.await.ok()
    }

    /// See [`Batched::next`].
    pub async fn next(&self, batching: &Batching) -> Vec<Waiting<O, A>> {
        poll_fn(|_| {
            let batch = self.take(batching.most());
            if batch.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(batch)
            }
        })
        .await
    }

    /// Takes the first waiting operations, without a key twice: if a batch has two operations on one key, it is
    /// undefined which one lands, if the batch is accepted at all.
    fn take(&self, most: usize) -> Vec<Waiting<O, A>> {
        let mut waiting = self.lock();
        let (mut batch, mut left) = (Vec::new(), VecDeque::new());
        let (mut keys, mut bytes) = (HashSet::new(), 0);
        while let Some(next) = waiting.pop_front() {
            let more = next.operation.bytes();
            let fits = batch.is_empty() || bytes + more <= MOST_BYTES;
            if batch.len() >= most || !fits {
                left.push_back(next);
                break;
            }
            if keys.insert(next.operation.key().clone()) {
                bytes += more;
                batch.push(next);
            } else {
                left.push_back(next);
            }
        }
        left.extend(waiting.drain(..));
        *waiting = left;
        batch
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting<O, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    struct Weighed(Key, usize);

    impl Operation for Weighed {
        fn key(&self) -> &Key {
            &self.0
        }
        fn bytes(&self) -> usize {
            self.1
        }
    }

    fn gathered(operations: &[(&str, usize)]) -> Gather<Weighed, ()> {
        let gather = Gather::default();
        for (key, bytes) in operations {
            let key = Key {
                partition: Value::s(*key),
                sort: None,
            };
            gather.lock().push_back(Waiting {
                operation: Weighed(key, *bytes),
                answer: oneshot::channel().0,
            });
        }
        gather
    }

    fn batches(gather: &Gather<Weighed, ()>) -> Vec<Vec<String>> {
        let names = |batch: Vec<Waiting<Weighed, ()>>| {
            let each = batch.iter().map(|one| one.operation.0.to_string());
            each.collect::<Vec<_>>()
        };
        std::iter::repeat_with(|| names(gather.take(25)))
            .take_while(|batch| !batch.is_empty())
            .collect()
    }

    #[test]
    fn a_batch_holds_no_key_twice_and_leaves_none_behind() {
        let gather = gathered(&[("a", 1), ("b", 1), ("a", 1), ("c", 1), ("a", 1)]);
        assert_eq!(batches(&gather), [vec!["a", "b", "c"], vec!["a"], vec!["a"]]);
    }

    #[test]
    fn a_batch_is_bounded_in_number_and_in_bytes() {
        let names: Vec<String> = (0..60).map(|n| n.to_string()).collect();
        let many: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let sizes: Vec<usize> = batches(&gathered(&many)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [25, 25, 10]);
        let heavy = gathered(&[("a", MOST_BYTES - 1), ("b", 2), ("c", 3 * MOST_BYTES), ("d", 1)]);
        assert_eq!(
            batches(&heavy),
            [["a"], ["b"], ["c"], ["d"]],
            "one that is too large goes by itself"
        );
    }
}

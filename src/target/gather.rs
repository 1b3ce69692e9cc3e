//! Writes that wait for their batch: the common part of batches of inserts and batches of puts.

use super::batching::{Answer, Batching};
use super::write::TargetWriter;
use crate::dynamo::{ConcurrencyPermit, Failure};
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
pub trait Batched {
    /// A batch that can be sent.
    type Batch: Send;

    /// The next batch, as large as possible. Never returns while nothing waits: it is polled in the task that polls
    /// the writes, after them.
    fn next(&self) -> impl Future<Output = Self::Batch> + Send;

    /// Sends a batch, and passes the answers to its writes.
    fn send(&self, batch: Self::Batch) -> impl Future<Output = ()> + Send;
}

/// One write of a batch.
pub trait Operation: Sized + Send {
    /// Its part of the request.
    type Request: Send;
    /// The answer to the request.
    type Output: Send;

    /// Key in the target. One batch never holds a key twice.
    fn key(&self) -> &Key;

    /// Bytes of the item, about.
    fn bytes(&self) -> usize;

    /// Its part of the request.
    fn into_request(self) -> (Sent, Self::Request);

    /// One request for all.
    fn request(
        writer: &TargetWriter,
        requests: Vec<Self::Request>,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;

    /// The answer for each operation.
    fn read(
        gather: &Gather<'_, Self>,
        answer: Self::Output,
        sent: &[Sent],
        place: &mut ConcurrencyPermit<'_>,
    ) -> Vec<Answer>;
}

/// A write that was sent.
#[derive(Debug)]
pub struct Sent {
    pub(super) key: Key,
    /// Thousandths of write units that it uses, if the engine does not report the use.
    pub(super) estimated_milliunits: u64,
}

/// An operation that waits for its batch, with the channel for its answer.
#[derive(Debug)]
pub struct Waiting<O> {
    operation: O,
    answer: oneshot::Sender<Answer>,
}

/// The writes of a page to one service, gathered into batches, in the order in which they came.
#[derive(Debug)]
pub struct Gather<'a, O> {
    pub(super) writer: &'a TargetWriter,
    pub(super) batching: &'a Batching,
    waiting: Mutex<VecDeque<Waiting<O>>>,
}

impl<O: Operation> Batched for Gather<'_, O> {
    type Batch = Vec<Waiting<O>>;

    async fn next(&self) -> Self::Batch {
        poll_fn(|_| {
            let batch = take(&mut self.lock(), self.batching.most());
            if batch.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(batch)
            }
        })
        .await
    }

    async fn send(&self, batch: Self::Batch) {
        let (mut sent, mut requests, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for Waiting { operation, answer } in batch {
            let (one, request) = operation.into_request();
            sent.push(one);
            requests.push(request);
            waiting.push(answer);
        }
        let mut answers = self.attempt(&sent, requests).await;
        self.batching.wait(self.writer, &mut answers).await;
        for (waiting, answer) in waiting.into_iter().zip(answers) {
            // No task waits for this write any more: its worker stops.
            let _ = waiting.send(answer);
        }
    }
}

impl<'a, O: Operation> Gather<'a, O> {
    /// For the writes of a writer.
    #[must_use]
    pub fn new(writer: &'a TargetWriter, batching: &'a Batching) -> Self {
        Self {
            writer,
            batching,
            waiting: Mutex::default(),
        }
    }

    /// Waits for the answer to an operation. One whose batch was given up goes alone.
    pub(super) async fn answered(&self, operation: O) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.lock().push_back(Waiting { operation, answer });
        answered.await.unwrap_or(Answer::Alone)
    }

    /// One request for all. In a bulk copy, a request without an answer may land late: the lanes stay on hold until
    /// this is over.
    async fn attempt(&self, sent: &[Sent], requests: Vec<O::Request>) -> Vec<Answer> {
        match self.writer.send_batch(O::request(self.writer, requests)).await {
            Ok((mut admitted, Ok(answer))) => {
                admitted.place.answered(sent.len());
                self.batching.answered(sent.len());
                O::read(self, answer, sent, &mut admitted.place)
            }
            Ok((_, Err(failure))) => vec![self.batching.failed(self.writer, &failure); sent.len()],
            Err(_) => vec![Answer::Alone; sent.len()],
        }
    }

    /// Of a batch of which nothing was left undone.
    pub(super) fn unblock(&self) {
        if self.writer.health.blocked().is_some() {
            self.writer.health.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting<O>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the first waiting operations, without a key twice: if a batch has two operations on one key, it is undefined
/// which one lands, if the batch is accepted at all.
fn take<O: Operation>(waiting: &mut VecDeque<Waiting<O>>, most: usize) -> Vec<Waiting<O>> {
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
    left.append(waiting);
    *waiting = left;
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;

    struct Weighed(Key, usize);

    impl Operation for Weighed {
        type Request = ();
        type Output = ();

        fn key(&self) -> &Key {
            &self.0
        }
        fn bytes(&self) -> usize {
            self.1
        }

        fn into_request(self) -> (Sent, ()) {
            let sent = Sent {
                key: self.0,
                estimated_milliunits: 0,
            };
            (sent, ())
        }

        async fn request(_: &TargetWriter, _: Vec<()>) -> Result<(), Failure> {
            Ok(())
        }

        fn read(_: &Gather<'_, Self>, (): (), _: &[Sent], _: &mut ConcurrencyPermit<'_>) -> Vec<Answer> {
            Vec::new()
        }
    }

    fn gathered(operations: &[(&str, usize)]) -> VecDeque<Waiting<Weighed>> {
        let waiting = |(key, bytes): &(&str, usize)| {
            let key = Key {
                partition: Value::s(*key),
                sort: None,
            };
            Waiting {
                operation: Weighed(key, *bytes),
                answer: oneshot::channel().0,
            }
        };
        operations.iter().map(waiting).collect()
    }

    fn batches(mut waiting: VecDeque<Waiting<Weighed>>) -> Vec<Vec<String>> {
        let names = |batch: Vec<Waiting<Weighed>>| {
            let each = batch.iter().map(|one| one.operation.0.to_string());
            each.collect::<Vec<_>>()
        };
        std::iter::repeat_with(|| names(take(&mut waiting, 25)))
            .take_while(|batch| !batch.is_empty())
            .collect()
    }

    #[test]
    fn a_batch_holds_no_key_twice_and_leaves_none_behind() {
        let waiting = gathered(&[("a", 1), ("b", 1), ("a", 1), ("c", 1), ("a", 1)]);
        assert_eq!(batches(waiting), [vec!["a", "b", "c"], vec!["a"], vec!["a"]]);
    }

    #[test]
    fn a_batch_is_bounded_in_number_and_in_bytes() {
        let names: Vec<String> = (0..60).map(|n| n.to_string()).collect();
        let many: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let sizes: Vec<usize> = batches(gathered(&many)).iter().map(Vec::len).collect();
        assert_eq!(sizes, [25, 25, 10]);
        let heavy = gathered(&[("a", MOST_BYTES - 1), ("b", 2), ("c", 3 * MOST_BYTES), ("d", 1)]);
        assert_eq!(
            batches(heavy),
            [["a"], ["b"], ["c"], ["d"]],
            "one that is too large goes by itself"
        );
    }
}

//! Sends the events of a batch: several items at a time, and the events of one item one after the other.

use super::document::message;
use crate::fault;
use crate::flow::Stop;
use crate::plan::Events;
use crate::publish::{Message, Publisher, Sent};
use crate::state::{DeadLetter, DeadLetters, StateError};
use crate::target::Fence;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Requests that one lane has under way in one shard at most.
const REQUESTS_AT_ONCE: usize = 4;
/// The wait after a round in which nothing got through. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two rounds.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// An event that is to be sent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    message: Message,
    document: Value,
    refusals: u32,
}

impl Outgoing {
    /// Of a document. `None`: it is no event.
    #[must_use]
    pub fn of(document: Value) -> Option<Self> {
        Some(Self {
            message: message(&document)?,
            document,
            refusals: 0,
        })
    }
}

/// How many events were sent, and how many became dead letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delivered {
    /// Events that the destination has.
    pub sent: u64,
    /// Events that became dead letters.
    pub dead_letters: u64,
}

/// The way of a lane's events to their destination.
pub struct Outbox {
    /// Name of the service.
    pub service: String,
    /// The settings of the plan.
    pub settings: Events,
    /// Sends them.
    pub publisher: Arc<Publisher>,
    /// Keeps what the destination refuses.
    pub letters: DeadLetters,
    /// The leases under which they are sent.
    pub fence: Fence,
    /// Ends the waits.
    pub stop: CancellationToken,
}

/// What is told while nothing gets through, and when something does again.
pub trait Progress: Sync {
    /// Nothing gets through, for this reason.
    fn is_blocked(&self, reason: &str);
    /// The destination accepts events.
    fn goes_on(&self);
    /// The time of day, in milliseconds since 1970.
    fn now_ms(&self) -> u64;
}

/// The events of each item, in the order in which they occurred.
type Queues = Vec<VecDeque<Outgoing>>;

/// A request: the messages of the first event of some queues.
struct Round {
    sent: u64,
    dead_letters: u64,
    failure: Option<String>,
}

impl Outbox {
    /// Sends everything: first the first event of each item, then the second of each, and so on, because of two events in one
    /// request the second could get through alone. Waits without end while the destination does not answer or does not accept
    /// anything. What it refuses for its contents becomes a dead letter after the attempts of the plan.
    ///
    /// # Errors
    /// If the lane must stop; some events may have been sent then.
    pub async fn deliver(&self, mut queues: Queues, progress: &impl Progress) -> Result<Delivered, Stop> {
        let (mut delivered, mut failures) = (Delivered::default(), 0);
        loop {
            queues.retain(|queue| !queue.is_empty());
            if queues.is_empty() {
                return Ok(delivered);
            }
            let round = self.round(&mut queues, progress).await?;
            delivered.sent += round.sent;
            delivered.dead_letters += round.dead_letters;
            let Some(reason) = round.failure else {
                failures = 0;
                progress.goes_on();
                continue;
            };
            failures = if round.sent > 0 { 1 } else { failures + 1 };
            progress.is_blocked(&reason);
            self.wait(failures).await?;
        }
    }

    async fn wait(&self, failures: u32) -> Result<(), Stop> {
        let wait = FIRST_WAIT * 2_u32.saturating_pow(failures.saturating_sub(1).min(10));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Stop { reason: "the worker stops".into() }),
            () = tokio::time::sleep(wait.min(LONGEST_WAIT)) => Ok(()),
        }
    }

    /// Sends the first event of each queue, and takes out what was accepted or became a dead letter.
    async fn round(&self, queues: &mut Queues, progress: &impl Progress) -> Result<Round, Stop> {
        let requests = requests(queues);
        let answers = stream::iter(requests.into_iter().map(|places| {
            let messages: Vec<&Message> = places.iter().map(|place| &queues[*place][0].message).collect();
            Box::pin(async move {
                let sent = self.request(&messages).await;
                (places, sent)
            })
        }));
        let answers: Vec<_> = answers.buffered(REQUESTS_AT_ONCE).collect().await;
        let mut round = Round {
            sent: 0,
            dead_letters: 0,
            failure: None,
        };
        for (places, sent) in answers {
            for (place, sent) in places.into_iter().zip(sent?) {
                match sent {
                    Sent::Accepted => {
                        queues[place].pop_front();
                        round.sent += 1;
                    }
                    Sent::Later(reason) => round.failure = Some(reason),
                    Sent::Refused(reason) => {
                        let Some(event) = queues[place].front_mut() else {
                            continue;
                        };
                        event.refusals += 1;
                        if event.refusals < self.settings.attempts {
                            round.failure.get_or_insert(reason);
                            continue;
                        }
                        self.keep(event, &reason, progress.now_ms()).await?;
                        queues[place].pop_front();
                        round.dead_letters += 1;
                    }
                }
            }
        }
        Ok(round)
    }

    /// One request. All of its messages come later if nothing is known to be accepted.
    async fn request(&self, messages: &[&Message]) -> Result<Vec<Sent>, Stop> {
        if self.stop.is_cancelled() || !self.fence.is_open() {
            return Err(Stop {
                reason: "the worker stops, or its lease ends".into(),
            });
        }
        let sent = match self.publisher.send(messages).await {
            Ok(sent) => sent,
            Err(failure) => vec![Sent::Later(failure.to_string()); messages.len()],
        };
        fault::moment("events.sent").await;
        Ok(sent)
    }

    async fn keep(&self, event: &Outgoing, reason: &str, now_ms: u64) -> Result<(), Stop> {
        let letter = DeadLetter {
            service: self.service.clone(),
            key: json!({ "event": event.document["id"], "key": event.document["data"]["key"] }),
            reason: reason.to_owned(),
            origin: event.document["data"]["sequenceNumber"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            at_ms: now_ms,
            image: Some(event.document.clone()),
            old_image: None,
        };
        self.letters.keep(&letter).await.map_err(stop)?;
        tracing::warn!(
            service = self.service,
            reason,
            "the destination refuses an event: a dead letter"
        );
        Ok(())
    }
}

/// The places of the queues whose first events go into each request.
fn requests(queues: &Queues) -> Vec<Vec<usize>> {
    let mut requests: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, queue) in queues.iter().enumerate() {
        let size = queue.front().map_or(0, |event| event.message.bytes());
        match requests.last_mut() {
            Some(last) if last.len() < Publisher::MOST && bytes + size <= Publisher::MOST_BYTES => {
                last.push(place);
                bytes += size;
            }
            _ => {
                requests.push(vec![place]);
                bytes = size;
            }
        }
    }
    requests
}

fn stop(error: StateError) -> Stop {
    Stop {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(bytes: usize) -> VecDeque<Outgoing> {
        let document = json!({
            "type": "dynasplit.item-created", "id": "1", "source": "/dynasplit/a/b", "subject": "x",
            "data": { "text": "x".repeat(bytes) },
        });
        VecDeque::from([Outgoing::of(document).unwrap()])
    }

    #[test]
    fn a_request_has_ten_events_at_most_and_fits_the_limit() {
        let small: Queues = (0..23).map(|_| queue(10)).collect();
        let sizes = |queues: &Queues| requests(queues).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&small), [10, 10, 3]);
        let large: Queues = (0..5).map(|_| queue(100 * 1024)).collect();
        assert_eq!(sizes(&large), [2, 2, 1]);
    }
}

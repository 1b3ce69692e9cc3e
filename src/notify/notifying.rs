//! The tasks of all destinations, beside a command.

use super::notifier::{INTERVAL, Notifier};
use super::receiver::Receiver;
use super::secret::SecretError;
use super::subjects::Thresholds;
use crate::state::Owner;
use crate::worker::Split;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The last look at the end of a command takes at most this long. What it does not send, another process sends, or the next
/// command.
const LAST: Duration = Duration::from_secs(3);

/// Sends notifications while a command runs. It ends when it is dropped.
#[derive(Debug)]
pub struct Notifying {
    done: CancellationToken,
    tasks: JoinSet<()>,
}

impl Notifying {
    /// Begins, if the plan has destinations. Answers which of them this process cannot send to, and why.
    pub async fn begin(split: &Split) -> (Self, Vec<(String, SecretError)>) {
        Self::begin_every(split, INTERVAL).await
    }

    /// The same, with another time between two looks.
    pub(super) async fn begin_every(split: &Split, every: Duration) -> (Self, Vec<(String, SecretError)>) {
        let mut notifying = Self {
            done: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let mut unusable = Vec::new();
        let Some(notify) = &split.plan.notify else {
            return (notifying, unusable);
        };
        let thresholds = Thresholds {
            lag: notify.lag,
            throttled: notify.throttled,
        };
        for destination in &notify.to {
            let receiver = Receiver::of(destination, &split.clients, &split.plan.folder()).await;
            match receiver {
                Ok(receiver) => {
                    let notifier = Notifier {
                        split: split.clone(),
                        receiver,
                        thresholds,
                        owner: Owner::unique("notify"),
                        every,
                    };
                    notifying.tasks.spawn(notifier.run(notifying.done.clone()));
                }
                Err(error) => unusable.push((destination.to_string(), error)),
            }
        }
        (notifying, unusable)
    }

    /// Looks a last time, and ends.
    pub async fn end(mut self) {
        self.done.cancel();
        let ending = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task that sends notifications failed");
                }
            }
        };
        if tokio::time::timeout(LAST, ending).await.is_err() {
            tracing::debug!("the last notifications were not sent in time");
        }
    }
}

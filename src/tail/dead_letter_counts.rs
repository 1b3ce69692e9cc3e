//! Counts of open dead letters, for the progress of the tail.

use crate::status::{LaneStatus, OpenDeadLetters};
use crate::worker::Split;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Wait between two reads of the open dead letters after a lane has left more of them: each read lists them all.
const SOON: Duration = Duration::from_secs(1);
/// Wait between two reads otherwise: a dead letter may have been resolved.
const LATER: Duration = Duration::from_secs(5);
/// A worker that ends does not wait longer than this for the last count.
const LAST: Duration = Duration::from_secs(2);

/// The open dead letters that a worker shows with its lanes. Read only if its lanes ever left one, so that a split
/// without any pays nothing.
#[derive(Clone, Debug)]
pub(super) struct ShownDeadLetters {
    split: Split,
    open: Arc<Mutex<OpenDeadLetters>>,
}

impl ShownDeadLetters {
    pub fn new(split: &Split) -> Self {
        Self {
            split: split.clone(),
            open: Arc::default(),
        }
    }

    /// Notes them in lanes.
    pub fn note(&self, lanes: &mut [LaneStatus]) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .note(lanes);
    }

    /// Keeps them up to date during the work, and once more at its end.
    pub async fn during<T>(&self, view: &watch::Sender<Vec<LaneStatus>>, work: impl Future<Output = T>) -> T {
        let result = tokio::select! {
            biased;
            result = work => result,
            never = self.follow(view.subscribe()) => match never {},
        };
        let any = left(&view.borrow()) > 0;
        if any && tokio::time::timeout(LAST, self.read()).await.is_ok() {
            view.send_modify(|lanes| self.note(lanes));
        }
        result
    }

    async fn follow(&self, view: watch::Receiver<Vec<LaneStatus>>) -> Infallible {
        let mut read: Option<(u64, Instant)> = None;
        loop {
            let now = left(&view.borrow());
            let is_due = read.is_none_or(|(then, at)| now != then || at.elapsed() >= LATER);
            if now > 0 && is_due {
                self.read().await;
                read = Some((now, Instant::now()));
            }
            tokio::time::sleep(SOON).await;
        }
    }

    /// A failure holds nothing back: the last count is shown.
    async fn read(&self) {
        match self.split.dead_letters.list(None).await {
            Ok(letters) => {
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = OpenDeadLetters::of(&letters);
            }
            Err(error) => tracing::debug!(%error, "could not count the dead letters"),
        }
    }
}

/// Dead letters that the lanes ever left.
fn left(lanes: &[LaneStatus]) -> u64 {
    lanes.iter().map(|lane| lane.counters.dead_letters).sum()
}

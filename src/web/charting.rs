//! Samples for the charts of a split, while a command runs that serves no page.

use crate::state::ChartRecord;
use crate::status::{add_to_chart, split_status};
use crate::worker::{RunError, Split};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two looks at whether a sample is due.
const INTERVAL: Duration = Duration::from_secs(15);
/// A look takes at most this part of the time: a state with many segments is read less often.
const SHARE: u32 = 20;

/// A task that adds samples. It ends when it is dropped.
#[derive(Debug)]
pub struct Charting {
    done: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Charting {
    /// Begins to add samples of a split.
    #[must_use]
    pub fn begin(split: Split) -> Self {
        let done = CancellationToken::new();
        let task = tokio::spawn(keep_charting(split, done.clone()));
        Self {
            done,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Ends it. A sample that is under way may be lost: nobody depends on it.
    pub async fn end(self) {
        self.done.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that adds samples to the charts failed");
        }
    }
}

async fn keep_charting(split: Split, done: CancellationToken) {
    let mut pause = INTERVAL;
    loop {
        tokio::select! {
            biased;
            () = done.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let began = tokio::time::Instant::now();
        let added = tokio::select! {
            biased;
            () = done.cancelled() => return,
            added = Box::pin(look(&split)) => added,
        };
        // The worker reports what is wrong with the state table, because it needs it.
        if let Err(error) = added {
            tracing::debug!(%error, "the charts miss a sample; trying again");
        }
        pause = INTERVAL.max(began.elapsed() * SHARE);
    }
}

/// Adds a sample if it is due. Only then, the whole state is read.
async fn look(split: &Split) -> Result<(), RunError> {
    let chart = ChartRecord::read(&split.store).await?.value;
    if chart.is_due(split.now_ms()) {
        let status = split_status(split).await?;
        add_to_chart(split, &status).await?;
    }
    Ok(())
}

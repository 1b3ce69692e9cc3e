//! Readings of the state of the split, taken at regular intervals. Requests are answered from the last one, so that many
//! requests cause no load on the state table.

use crate::report::Moments;
use crate::state::{ChartRecord, SplitRecord};
use crate::status::{SplitStatus, add_to_chart, split_status};
use crate::worker::{RunError, Split};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two readings, at least.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// A reading takes at most this part of the time: a state with many segments is read less often.
const SHARE: u32 = 20;
/// A longer reading is given up, and tried again.
const LONGEST: Duration = Duration::from_secs(60);
/// An older reading says too little about the present.
pub const FRESH: Duration = Duration::from_secs(90);

/// The state of the split at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When it began.
    pub began: Instant,
    /// The status.
    pub status: Arc<SplitStatus>,
    /// When the steps of the split were taken.
    pub moments: Moments,
}

/// The last readings.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// The last one that succeeded.
    pub last: Option<Reading>,
    /// What was measured during the split.
    pub chart: Arc<ChartRecord>,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
    /// How many attempts there were.
    pub attempts: u64,
}

impl Readings {
    /// The last reading, if the last attempt succeeded and is not too old.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<(Duration, &Reading)> {
        let reading = self.last.as_ref().filter(|_| self.failure.is_none())?;
        let age = now.saturating_duration_since(reading.began);
        (age <= FRESH).then_some((age, reading))
    }
}

/// Reads the state until it is told to stop.
pub async fn keep_reading(split: Split, readings: watch::Sender<Readings>, done: CancellationToken) {
    loop {
        let began = Instant::now();
        let reading = tokio::time::timeout(LONGEST, Box::pin(read(&split, began)));
        let result = tokio::select! {
            biased;
            () = done.cancelled() => return,
            result = reading => result,
        };
        let result = match result {
            Ok(Ok(reading)) => {
                let chart = Arc::clone(&readings.borrow().chart);
                let adding = tokio::time::timeout(LONGEST, Box::pin(charted(&split, &reading, &chart)));
                let charted = tokio::select! {
                    biased;
                    () = done.cancelled() => return,
                    charted = adding => charted.unwrap_or_default(),
                };
                Ok((reading, charted.map_or(chart, Arc::new)))
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "the state could not be read within {} s",
                LONGEST.as_secs()
            )),
        };
        readings.send_modify(|readings| {
            readings.attempts += 1;
            match result {
                Ok((reading, chart)) => {
                    readings.chart = chart;
                    readings.last = Some(reading);
                    readings.failure = None;
                }
                Err(failure) => {
                    tracing::warn!(
                        failure,
                        "metrics and the page miss the state of the split; trying again"
                    );
                    readings.failure = Some(failure);
                }
            }
        });
        let pause = INTERVAL.max(began.elapsed() * SHARE);
        tokio::select! {
            biased;
            () = done.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The chart with a new sample, if it is time for one. A process that cannot write it still serves.
async fn charted(split: &Split, reading: &Reading, known: &ChartRecord) -> Option<ChartRecord> {
    if !known.is_due(reading.status.read_ms) {
        return None;
    }
    let charted = add_to_chart(split, &reading.status).await;
    charted
        .inspect_err(|error| tracing::warn!(%error, "the charts of the page miss a sample; trying again"))
        .ok()
}

async fn read(split: &Split, began: Instant) -> Result<Reading, RunError> {
    let moments = Moments::from(&SplitRecord::read(&split.store).await?.value);
    let status = Arc::new(split_status(split).await?);
    Ok(Reading {
        began,
        status,
        moments,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Phase;

    #[test]
    fn a_failure_or_an_old_reading_says_nothing_about_the_present() {
        let now = Instant::now();
        let status = Arc::new(SplitStatus::sample(Phase::Tailing, Vec::new()));
        let read = Readings {
            last: Some(Reading {
                began: now,
                status,
                moments: Moments::default(),
            }),
            ..Readings::default()
        };
        assert!(read.fresh(now + FRESH).is_some());
        assert!(read.fresh(now + FRESH + Duration::from_millis(1)).is_none());
        let failed = Readings {
            failure: Some("throttled".into()),
            ..read
        };
        assert!(failed.fresh(now).is_none());
        assert!(Readings::default().fresh(now).is_none());
    }
}

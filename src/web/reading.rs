//! Readings of the state of the split, taken at regular intervals. Requests are answered from the last one, so that many
//! requests cause no load on the state table.

use crate::status::{SplitStatus, split_status};
use crate::worker::Split;
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

/// The last readings.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    /// The last one that succeeded, and when it began.
    pub last: Option<(Instant, Arc<SplitStatus>)>,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
    /// How many attempts there were.
    pub attempts: u64,
}

impl Readings {
    /// The last reading, if the last attempt succeeded and is not too old.
    #[must_use]
    pub fn fresh(&self, now: Instant) -> Option<(Duration, &SplitStatus)> {
        let (began, status) = self.last.as_ref().filter(|_| self.failure.is_none())?;
        let age = now.saturating_duration_since(*began);
        (age <= FRESH).then_some((age, status))
    }
}

/// Reads the state until it is told to stop.
pub async fn keep_reading(split: Split, readings: watch::Sender<Readings>, done: CancellationToken) {
    loop {
        let began = Instant::now();
        let reading = tokio::time::timeout(LONGEST, Box::pin(split_status(&split)));
        let result = tokio::select! {
            biased;
            () = done.cancelled() => return,
            result = reading => result,
        };
        let result = match result {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_) => Err(format!(
                "the state could not be read within {} s",
                LONGEST.as_secs()
            )),
        };
        readings.send_modify(|readings| {
            readings.attempts += 1;
            match result {
                Ok(status) => {
                    readings.last = Some((began, Arc::new(status)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Phase;

    #[test]
    fn a_failure_or_an_old_reading_says_nothing_about_the_present() {
        let now = Instant::now();
        let status = Arc::new(SplitStatus::sample(Phase::Tailing, Vec::new()));
        let read = Readings {
            last: Some((now, status)),
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

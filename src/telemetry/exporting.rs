//! Exports metrics while a command runs: to a collector, and as lines on stderr for CloudWatch.

use super::emf::{Namespace, lines};
use super::otlp::Meters;
use super::settings::Settings;
use crate::status::split_status;
use crate::web::{Samples, samples};
use crate::worker::Split;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Between two readings of the state, as long as a collector asks by default.
const INTERVAL: Duration = Duration::from_secs(60);
/// A reading takes at most this part of the time: a state with many segments is read less often.
const SHARE: u32 = 20;
/// A longer reading is given up, and repeated.
const LONGEST: Duration = Duration::from_secs(60);
/// The last metrics at the end of a command take at most so long.
const LAST: Duration = Duration::from_secs(3);

/// A task that exports metrics. It ends when it is dropped.
#[derive(Debug)]
pub struct Exporting {
    done: CancellationToken,
    task: Option<AbortOnDropHandle<()>>,
}

impl Exporting {
    /// Begins, if something is asked for. `write` writes one line for CloudWatch.
    ///
    /// # Errors
    /// Why the collector cannot be used.
    pub fn begin(
        split: &Split,
        settings: Settings,
        namespace: Option<Namespace>,
        write: fn(&str),
    ) -> Result<Self, String> {
        let done = CancellationToken::new();
        let meters = settings.metrics.then(Meters::begin).transpose()?;
        let is_asked = meters.is_some() || namespace.is_some();
        let exporter = Exporter {
            split: split.clone(),
            meters,
            namespace,
            write,
        };
        let task = is_asked.then(|| AbortOnDropHandle::new(tokio::spawn(exporter.run(done.clone()))));
        Ok(Self { done, task })
    }

    /// Nothing is exported.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            done: CancellationToken::new(),
            task: None,
        }
    }

    /// Exports a last time, and ends.
    pub async fn end(self) {
        self.done.cancel();
        let Some(task) = self.task else { return };
        match tokio::time::timeout(LAST, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the task that exports metrics failed"),
            Err(_) => tracing::debug!("the last metrics were not exported in time"),
        }
    }
}

struct Exporter {
    split: Split,
    meters: Option<Meters>,
    namespace: Option<Namespace>,
    write: fn(&str),
}

impl Exporter {
    async fn run(self, done: CancellationToken) {
        loop {
            let began = Instant::now();
            let is_last = done.is_cancelled();
            let found = self.read().await;
            if let Some(namespace) = &self.namespace {
                for line in lines(&found, namespace, self.split.now_ms()) {
                    (self.write)(&line);
                }
            }
            if let Some(meters) = &self.meters {
                meters.show(found);
            }
            if is_last {
                break;
            }
            let interval = self
                .meters
                .as_ref()
                .map_or(INTERVAL, |meters| meters.interval().min(INTERVAL));
            let pause = interval.max(began.elapsed() * SHARE);
            tokio::select! {
                biased;
                () = done.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Some(meters) = self.meters {
            meters.end().await;
        }
    }

    async fn read(&self) -> Samples {
        let reading = tokio::time::timeout(LONGEST, Box::pin(split_status(&self.split)));
        let status = match reading.await {
            Ok(Ok(status)) => Some(status),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the metrics miss the state of the split; trying again");
                None
            }
            Err(_) => {
                tracing::warn!(
                    "the metrics miss the state of the split, which could not be read in time; trying again"
                );
                None
            }
        };
        samples(status.as_ref())
    }
}

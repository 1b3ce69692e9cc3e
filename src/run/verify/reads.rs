use crate::dynamo::{Budget, Courtesy, Failure, FailureKind, Health, backoff};
use crate::model::{Item, ItemExt, Key};
use crate::run::error::RunError;
use crate::run::limits;
use crate::source::{Scan, ScanPage};
use crate::state::Limit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One table, as verification reads it: within its budget, and as often as it takes. All clones share the budget.
#[derive(Clone, Debug)]
pub(super) struct TableReads {
    scan: Scan,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    label: String,
    budget: Arc<Budget>,
    courtesy: Courtesy,
    health: Health,
    milliunits: AtomicU64,
    stop: CancellationToken,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A consistent point read is billed one unit for each 4 KB begun, and one where there is no item
/// ([read units](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html)).
const UNIT_BYTES: usize = 4096;

impl TableReads {
    /// Of a table; `label` is what people call it.
    pub fn new(label: &str, scan: Scan, budget: Arc<Budget>, stop: &CancellationToken) -> Self {
        Self {
            scan,
            shared: Arc::new(Shared {
                label: label.to_owned(),
                budget,
                courtesy: Courtesy::default(),
                health: Health::default(),
                milliunits: AtomicU64::new(0),
                stop: stop.clone(),
            }),
        }
    }

    /// The same table and budget, scanned by `scan`.
    pub fn by(&self, scan: Scan) -> Self {
        Self {
            scan,
            shared: Arc::clone(&self.shared),
        }
    }

    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// What limits the reads at the moment, if anything does.
    pub fn limit(&self) -> Option<Limit> {
        limits::of_reads(&self.shared.health, &self.shared.budget, &self.shared.courtesy)
    }

    /// Read units used so far, in thousandths.
    pub fn milliunits(&self) -> u64 {
        self.shared.milliunits.load(Ordering::Relaxed)
    }

    /// Reads a page of a segment.
    pub async fn page(
        &self,
        segment: u32,
        segments: u32,
        after: Option<&Item>,
    ) -> Result<ScanPage, RunError> {
        let page = self
            .patiently(|| self.scan.page(segment, segments, after))
            .await?;
        self.pay(page.read_milliunits);
        Ok(page)
    }

    /// Reads an item by its key, consistently.
    pub async fn get(&self, key: &Key) -> Result<Option<Item>, RunError> {
        let item = self.patiently(|| self.scan.get(key)).await?;
        let units = item.as_ref().map_or(0, ItemExt::size).div_ceil(UNIT_BYTES).max(1);
        self.pay(units as u64 * 1000);
        Ok(item)
    }

    fn pay(&self, milliunits: u64) {
        self.shared.budget.pay(milliunits);
        self.shared.courtesy.pay(milliunits);
        self.shared.milliunits.fetch_add(milliunits, Ordering::Relaxed);
    }

    /// Sends a request again while it fails for what passes by itself; nothing else is ever retried.
    async fn patiently<T, A>(&self, send: impl Fn() -> A) -> Result<T, RunError>
    where
        A: Future<Output = Result<T, Failure>>,
    {
        let Shared {
            budget,
            courtesy,
            health,
            stop,
            ..
        } = &*self.shared;
        let mut attempt = 0u32;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(interrupted()),
                () = async { budget.ready().await; courtesy.ready().await } => {}
            }
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(interrupted()),
                sent = send() => sent,
            };
            match sent {
                Ok(answer) => {
                    if attempt > 0 {
                        health.clear();
                    }
                    return Ok(answer);
                }
                Err(failure) if failure.passes() => {
                    attempt = attempt.saturating_add(1);
                    health.block(failure.reason());
                    if matches!(failure.kind, FailureKind::Throttled(_)) {
                        courtesy.throttled();
                    }
                    tracing::debug!(table = self.label(), attempt, %failure, "reading again");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)) => {}
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

/// The run was told to stop.
pub(super) fn interrupted() -> RunError {
    RunError::Stopped("verify was interrupted and says nothing; run it again, it starts anew".into())
}

//! Reads of one table for a verification, within its budget.

use crate::dynamo::{AccountLimit, AdaptiveReadRate, Budget, Failure, Health, HotSince, backoff};
use crate::model::{Item, ItemExt, Key};
use crate::source::{Scan, ScanPage};
use crate::state::Limit;
use crate::status::limits;
use crate::worker::RunError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// One table, as verification reads it: within its budget, and as often as it takes. All clones share the budget.
#[derive(Clone, Debug)]
pub(super) struct TableReads {
    scan: Scan,
    shared: Arc<Shared>,
    milliunits: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Shared {
    label: String,
    budget: Arc<Budget>,
    read_rate: AdaptiveReadRate,
    health: Health,
    /// A key range that is throttled for this long is skipped.
    patience: Duration,
    stop: CancellationToken,
}

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A consistent point read is billed one unit for each 4 KB or part of it, and one unit if there is no item ([read
/// units](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html)).
const UNIT_BYTES: usize = 4096;

impl TableReads {
    /// Reads of a table; `label` is its name for people. Tables that share an account limit slow down together at a
    /// limit of the account. A key range that is throttled for as long as `patience` is skipped.
    pub fn new(
        label: &str,
        scan: Scan,
        budget: Arc<Budget>,
        account_limit: &AccountLimit,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Self {
        Self {
            scan,
            shared: Arc::new(Shared {
                label: label.to_owned(),
                budget,
                read_rate: AdaptiveReadRate::under(account_limit),
                health: Health::default(),
                patience,
                stop: stop.clone(),
            }),
            milliunits: Arc::default(),
        }
    }

    /// The same table and budget, scanned by `scan`.
    pub fn by(&self, scan: Scan) -> Self {
        Self { scan, ..self.clone() }
    }

    /// The same table and budget, whose read units are counted from now on.
    pub fn counted_anew(&self) -> Self {
        Self {
            milliunits: Arc::default(),
            ..self.clone()
        }
    }

    pub fn label(&self) -> &str {
        &self.shared.label
    }

    /// The present limit of the reads, if there is one.
    pub fn limit(&self) -> Option<Limit> {
        limits::of_reads(&self.shared.health, &self.shared.budget, &self.shared.read_rate)
    }

    /// Read units used so far, in thousandths.
    pub fn milliunits(&self) -> u64 {
        self.milliunits.load(Ordering::Relaxed)
    }

    /// Reads a page of a segment.
    ///
    /// # Errors
    /// [`RunError::HotRange`] if the key range is throttled all the time; it can be tried again.
    pub async fn page(
        &self,
        segment: u32,
        segments: u32,
        after: Option<&Item>,
    ) -> Result<ScanPage, RunError> {
        let place = || match after.and_then(|after| self.scan.keys().key_of(after)) {
            Some(key) => format!("segment {segment} of {segments}, after the key {key}"),
            None => format!("the beginning of segment {segment} of {segments}"),
        };
        let send = || self.scan.page(segment, segments, after);
        let used = |page: &ScanPage| page.read_milliunits;
        self.patiently(Some(segment), place, send, used).await
    }

    /// Reads an item by its key, consistently.
    ///
    /// # Errors
    /// [`RunError::HotRange`] if the key range is throttled all the time.
    pub async fn get(&self, key: &Key) -> Result<Option<Item>, RunError> {
        let place = || format!("the key {key}");
        let used = |item: &Option<Item>| {
            let units = item.as_ref().map_or(0, ItemExt::size).div_ceil(UNIT_BYTES).max(1);
            units as u64 * 1000
        };
        self.patiently(None, place, || self.scan.get(key), used).await
    }

    /// Repeats a request after temporary failures, and after no others.
    async fn patiently<T, A>(
        &self,
        part: Option<u32>,
        place: impl Fn() -> String,
        send: impl Fn() -> A,
        used: impl Fn(&T) -> u64,
    ) -> Result<T, RunError>
    where
        A: Future<Output = Result<T, Failure>>,
    {
        let Shared {
            budget,
            read_rate,
            health,
            stop,
            patience,
            ..
        } = &*self.shared;
        let (mut attempt, mut hot) = (0u32, HotSince::default());
        loop {
            let turn = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(interrupted()),
                turn = async { budget.ready().await; read_rate.ready(part).await } => turn,
            };
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(interrupted()),
                sent = send() => sent,
            };
            match sent {
                Ok(answer) => {
                    let milliunits = used(&answer);
                    budget.pay(milliunits);
                    turn.answered(milliunits);
                    self.milliunits.fetch_add(milliunits, Ordering::Relaxed);
                    if attempt > 0 {
                        health.clear();
                    }
                    return Ok(answer);
                }
                Err(failure) if failure.passes() => {
                    turn.failed(&failure);
                    if hot.failed(&failure, *patience) {
                        health.clear();
                        return Err(RunError::HotRange {
                            table: self.label().to_owned(),
                            place: place(),
                            reason: failure.reason(),
                            seconds: patience.as_secs(),
                        });
                    }
                    attempt = attempt.saturating_add(1);
                    health.block(failure.reason());
                    tracing::debug!(table = self.label(), attempt, %failure, "reading again");
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)) => {}
                    }
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }
}

/// The error of a run that was told to stop.
pub(super) fn interrupted() -> RunError {
    RunError::Stopped(
        "verify was interrupted and has no result: run it again; it starts from the beginning".into(),
    )
}

//! The progress of a verification.

use super::reads::TableReads;
use crate::state::Limit;
use crate::worker::RunError;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where a verification stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyView {
    /// The present phase, in a few words.
    pub phase: String,
    /// Service by service.
    pub services: Vec<VerifyServiceView>,
    /// Source items that were read.
    pub scanned: u64,
    /// The number of source items according to DescribeTable (about six hours old on AWS); 0 if it is unknown.
    pub estimated_items: u64,
    /// The limits of the reads: of the source, or of a service's table by its name.
    pub limits: BTreeMap<String, Limit>,
}

/// Where the verification of one service stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyServiceView {
    /// Its name.
    pub service: String,
    /// Source items read so far that it should hold.
    pub expected: u64,
    /// Target items read so far.
    pub held: u64,
    /// Keys that differ and have no verdict yet.
    pub candidates: u64,
    /// Confirmed mismatches.
    pub mismatches: u64,
    /// Keys that were repaired.
    pub repaired: u64,
}

/// Counts while it runs; part of the result is made of them.
#[derive(Debug)]
pub(super) struct Progress {
    phase: Mutex<String>,
    pub source: Arc<SourceProgress>,
    pub estimated_items: AtomicU64,
    pub services: Vec<Arc<ServiceProgress>>,
    tables: Vec<TableReads>,
    view: watch::Sender<VerifyView>,
}

/// The counts of the source.
#[derive(Debug, Default)]
pub(super) struct SourceProgress {
    pub scanned: AtomicU64,
    pub unrouted: AtomicU64,
}

/// The counts of one service.
#[derive(Debug, Default)]
pub(super) struct ServiceProgress {
    pub service: String,
    pub expected: AtomicU64,
    pub invalid: AtomicU64,
    pub held: AtomicU64,
    pub tombstones: AtomicU64,
    pub candidates: AtomicU64,
    pub mismatches: AtomicU64,
    pub repaired: AtomicU64,
}

/// Adds to a count.
pub(super) fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

/// Reads a count.
pub(super) fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

impl ServiceProgress {
    /// Of one service.
    pub fn of(service: &str) -> Arc<Self> {
        Arc::new(Self {
            service: service.to_owned(),
            ..Self::default()
        })
    }
}

/// Between two refreshes of the view.
const REFRESH: Duration = Duration::from_millis(300);

impl Progress {
    pub fn new(services: Vec<String>, tables: Vec<TableReads>, view: watch::Sender<VerifyView>) -> Arc<Self> {
        let services = services
            .into_iter()
            .map(|service| ServiceProgress::of(&service))
            .collect();
        Arc::new(Self {
            phase: Mutex::default(),
            source: Arc::default(),
            estimated_items: AtomicU64::new(0),
            services,
            tables,
            view,
        })
    }

    /// A new phase begins.
    pub fn say(&self, phase: &str) {
        tracing::info!(phase, "verify");
        phase.clone_into(&mut self.phase.lock().unwrap_or_else(PoisonError::into_inner));
        self.publish();
    }

    /// Refreshes the view while this work is done.
    pub async fn while_shown<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, RunError>>,
    ) -> Result<T, RunError> {
        let done = CancellationToken::new();
        // Ends the display, too, if this future is dropped because the repair's lease was lost.
        let shown_until = done.clone().drop_guard();
        let shown = tokio::spawn(self.show(done));
        let result = work.await;
        drop(shown_until);
        if let Err(error) = shown.await {
            tracing::error!(%error, "the progress display failed");
        }
        result
    }

    /// Refreshes the view until `done`.
    pub async fn show(self: Arc<Self>, done: CancellationToken) {
        while !done.is_cancelled() {
            self.publish();
            tokio::select! {
                biased;
                () = done.cancelled() => {}
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
        self.publish();
    }

    fn publish(&self) {
        let limit = |reads: &TableReads| Some((reads.label().to_owned(), reads.limit()?));
        self.view.send_replace(VerifyView {
            phase: self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            services: self.services.iter().map(|service| service.view()).collect(),
            scanned: get(&self.source.scanned),
            estimated_items: get(&self.estimated_items),
            limits: self.tables.iter().filter_map(limit).collect(),
        });
    }
}

impl ServiceProgress {
    fn view(&self) -> VerifyServiceView {
        VerifyServiceView {
            service: self.service.clone(),
            expected: get(&self.expected),
            held: get(&self.held),
            candidates: get(&self.candidates),
            mismatches: get(&self.mismatches),
            repaired: get(&self.repaired),
        }
    }
}

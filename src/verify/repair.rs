//! Repairs the mismatches of one service.

use super::chunks::Chunks;
use super::key_search::{KEYS_PER_SEARCH, search_keys};
use super::point_reader::PointReader;
use super::recheck::HotKeys;
use super::result::Unrepaired;
use super::scan::Scanning;
use super::view::{ServiceProgress, add};
use crate::fault::Writer;
use crate::model::Key;
use crate::repair::{Reconciled, Reconciler};
use crate::state::Validity;
use crate::verify::compare::{Candidate, CandidateFile, Digest, SpillDir, classify};
use crate::worker::{Budgets, RunError, pause};
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keys of one service that are repaired at once.
const REPAIRS_AT_ONCE: usize = 16;
/// Candidates that are in memory at once.
const CHUNK: usize = 256;
/// Attempts for a key that another process writes at the same moment.
const ATTEMPTS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// Repairs the confirmed mismatches of one service. Tombstones are on, and every tail worker has acknowledged it.
///
/// Each key is read again, the target first, then the source, and written on the condition that the target is still
/// what was read. The comparison only shows which keys to read.
pub(super) struct Repair {
    pub reader: PointReader,
    pub scanning: Scanning,
    pub dir: SpillDir,
    pub epoch: u64,
    /// Target items that are newer than the source are overwritten too.
    pub overwrites_newer: bool,
    pub lease: Validity,
    pub progress: Arc<ServiceProgress>,
    pub budgets: Arc<Budgets>,
    pub stop: CancellationToken,
}

/// The result of the repair of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Repaired {
    pub repaired: u64,
    pub unrepaired: Unrepaired,
    pub hot: HotKeys,
}

impl Repair {
    /// Goes through the list.
    pub async fn run(self, confirmed: CandidateFile) -> Result<Repaired, RunError> {
        let service = self.reader.service();
        let Some(reconciler) = Reconciler::new(
            &self.reader.split,
            service,
            Writer::Repair,
            self.epoch,
            self.lease.clone(),
            &self.budgets,
            &self.stop,
        ) else {
            return Ok(Repaired::default());
        };
        let reconciler = if self.overwrites_newer {
            reconciler
        } else {
            reconciler.keeping_newer()
        };
        let mut repaired = Repaired::default();
        let mut orphans = CandidateFile::new(self.dir.clone());
        let mut chunks = Chunks::of(confirmed, CHUNK);
        loop {
            let chunk = chunks.next().await?;
            if chunk.is_empty() {
                break;
            }
            let (sourceless, chunk): (Vec<_>, Vec<_>) = chunk.into_iter().partition(|pending| {
                !self.reader.can_invert() && matches!(pending.candidate, Candidate::Extra { .. })
            });
            let work: Vec<_> = chunk
                .iter()
                .map(|pending| self.by_source(&reconciler, &pending.candidate))
                .collect();
            self.count(work, &mut repaired).await?;
            orphans = super::chunks::push_all(orphans, sourceless).await?;
        }
        let mut chunks = Chunks::of(orphans, KEYS_PER_SEARCH);
        loop {
            let chunk = chunks.next().await?;
            if chunk.is_empty() {
                return Ok(repaired);
            }
            let keys = chunk
                .iter()
                .map(|pending| pending.candidate.target_key().clone())
                .collect();
            self.orphans(&reconciler, keys, &mut repaired).await?;
        }
    }

    async fn count<A>(&self, work: Vec<A>, repaired: &mut Repaired) -> Result<(), RunError>
    where
        A: Future<Output = Result<Reconciled, RunError>>,
    {
        let mut ended = futures::stream::iter(work).buffer_unordered(REPAIRS_AT_ONCE);
        while let Some(reconciled) = ended.next().await {
            let reconciled = match reconciled {
                Err(error @ RunError::HotRange { .. }) => {
                    repaired.hot.add(&error);
                    Reconciled::Busy
                }
                reconciled => reconciled?,
            };
            match reconciled {
                Reconciled::Agreed => {}
                Reconciled::Repaired => {
                    repaired.repaired += 1;
                    add(&self.progress.repaired, 1);
                }
                Reconciled::Busy => repaired.unrepaired.busy += 1,
                Reconciled::Newer => repaired.unrepaired.foreign += 1,
                Reconciled::Invalid(reason) => {
                    tracing::debug!(reason, "a mismatch is a dead letter");
                    repaired.unrepaired.invalid += 1;
                }
            }
        }
        Ok(())
    }

    /// Repairs a key whose source key is known, or that no source key can lead to.
    async fn by_source(
        &self,
        reconciler: &Reconciler<'_>,
        candidate: &Candidate,
    ) -> Result<Reconciled, RunError> {
        let source = self.reader.source_keys(candidate).into_iter().next();
        self.retry_while_busy(|| reconciler.target_key(candidate.target_key(), source.as_ref()))
            .await
    }

    /// Removes extra items whose target keys do not show their source. It reads the item, searches the source once
    /// more, and removes the key only if it still holds the item that was read *before* the search: a source item
    /// that was written behind the scan has put another item there.
    async fn orphans(
        &self,
        reconciler: &Reconciler<'_>,
        keys: Vec<Key>,
        repaired: &mut Repaired,
    ) -> Result<(), RunError> {
        let reads: Vec<_> = keys.iter().map(|key| self.reader.held(key)).collect();
        let held: Vec<Option<Digest>> = futures::stream::iter(reads)
            .buffered(REPAIRS_AT_ONCE)
            .try_collect()
            .await?;
        let found = search_keys(&self.reader, &self.scanning, keys.clone()).await?;
        let work: Vec<_> = keys
            .iter()
            .zip(held)
            .filter_map(|(key, held)| Some((key, held?)))
            .filter_map(|(key, held)| match found.get(key).map(Vec::as_slice) {
                Some([]) | None => Some(self.orphan(reconciler, key, held)),
                // It has a source after all: the next run compares the two.
                Some(_) => {
                    repaired.unrepaired.busy += 1;
                    None
                }
            })
            .collect();
        self.count(work, repaired).await
    }

    async fn orphan(
        &self,
        reconciler: &Reconciler<'_>,
        key: &Key,
        held: Digest,
    ) -> Result<Reconciled, RunError> {
        self.retry_while_busy(|| reconciler.orphan(key, |item| classify(item).digest() == Some(held)))
            .await
    }

    async fn retry_while_busy<A>(&self, attempt: impl Fn() -> A) -> Result<Reconciled, RunError>
    where
        A: Future<Output = Result<Reconciled, RunError>>,
    {
        for number in 1..=ATTEMPTS {
            match attempt().await? {
                Reconciled::Busy => pause(FIRST_WAIT * number, &self.stop).await?,
                other => return Ok(other),
            }
        }
        Ok(Reconciled::Busy)
    }
}

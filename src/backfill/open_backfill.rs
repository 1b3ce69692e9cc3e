//! Opens the backfill of a split: creates its record and its segments, or finds those of an earlier run.

use super::round::{LATER_ROUND, is_of_round};
use super::worker::Backfill;
use crate::repair::Holder;
use crate::source::SourceFacts;
use crate::state::{
    BackfillRecord, CopiedRecord, Lease, Order, SegmentRecord, SegmentService, SplitRecord, StateError,
    Stored, TombstonePhase,
};
use crate::worker::{RunError, uncaptured};
use std::collections::BTreeMap;

/// Bytes of the source for each segment: small enough that no slow segment leaves a long tail at the end.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
const FEWEST_SEGMENTS: u64 = 16;
const MOST_SEGMENTS: u64 = 10_000;

impl Backfill {
    /// Opens the backfill's record: a new one, or an existing one to continue. `None`: it is finished.
    pub(super) async fn open(&self, facts: &SourceFacts) -> Result<Option<BackfillRecord>, RunError> {
        if let Some(service) = uncaptured(&self.split).await?.first() {
            return Err(RunError::NotYet {
                what: format!("the stream is not captured for '{service}'"),
                next: "start `dynasplit replicate` first, and leave it running during the backfill".into(),
            });
        }
        let (stored, revision) = match self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?
        {
            Some(stored) => (Some(stored.value), stored.revision),
            None => (None, 0),
        };
        let (services, round, chosen, before_ms) = match stored {
            Some(record) if record.finished_ms.is_none() => {
                let Some(record) = self.go_on_reading(record, revision).await? else {
                    return Box::pin(self.open(facts)).await;
                };
                let mut record = self.go_on(record).await?;
                if record.is_unread() {
                    // It waited for an export, and that was cancelled.
                    record.segments = self.segments_of(facts);
                    match self.split.store.put(BackfillRecord::NAME, record, revision).await {
                        Ok(stored) => record = stored.value,
                        Err(StateError::Conflict { .. }) => return Box::pin(self.open(facts)).await,
                        Err(error) => return Err(error.into()),
                    }
                }
                self.ensure_segments(&record).await?;
                return Ok(Some(record));
            }
            Some(mut record) => {
                // A service that has switched writes its own table: nothing is copied there.
                let planned = self.split.active().map(|(service, _)| service.name.clone());
                let added: Vec<String> = planned.filter(|name| !record.services.contains(name)).collect();
                let switch = SplitRecord::read(&self.split.store).await?.value.switch;
                let is_in = |phase| switch.services_in(&[phase]).next().is_some();
                let is_on = switch.has_holder(Holder::backfill(&record).name());
                let is_unswept = is_in(TombstonePhase::Sweeping);
                if is_in(TombstonePhase::Held) || ((is_on || is_unswept) && added.is_empty()) {
                    // A process that came when the others had just ended was killed: nobody else takes back what it holds, or
                    // sweeps.
                    return Ok(Some(record));
                }
                if added.is_empty() {
                    return Ok(None);
                }
                self.may_begin()?;
                let chosen = self.choose(facts, true).await?;
                record.services.extend(added.clone());
                (record.services, added, chosen, record.finished_ms)
            }
            None => {
                self.may_begin()?;
                (
                    self.split.lanes(),
                    self.split.lanes(),
                    self.choose(facts, false).await?,
                    None,
                )
            }
        };
        let record = BackfillRecord {
            segments: self.segments_of(facts),
            services,
            round,
            started_ms: self.split.now_ms(),
            before_ms,
            finished_ms: None,
            estimated_items: facts.item_count,
            export: None,
            import: match chosen.order {
                Order::Import => Some(self.import_folder(facts)?),
                Order::Bulk | Order::Concurrent => None,
            },
            order: chosen.order,
            order_reason: chosen.reason,
        };
        match self.split.store.put(BackfillRecord::NAME, record, revision).await {
            Ok(stored) => {
                self.ensure_segments(&stored.value).await?;
                Ok(Some(stored.value))
            }
            // Another process opened it at the same moment: continue with its record.
            Err(StateError::Conflict { .. }) => Box::pin(self.open(facts)).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Segments of a scan: as the option says, or by the size of the source.
    pub(super) fn segments_of(&self, facts: &SourceFacts) -> u32 {
        let by_size = facts
            .bytes
            .div_ceil(SEGMENT_BYTES)
            .clamp(FEWEST_SEGMENTS, MOST_SEGMENTS);
        let by_size = u32::try_from(by_size).unwrap_or(u32::MAX);
        self.options.segments.unwrap_or(by_size).max(1)
    }

    /// The segments of this round: segments of an earlier round are written again, or removed. Several processes may
    /// do this at once, and again after a crash.
    async fn ensure_segments(&self, record: &BackfillRecord) -> Result<(), RunError> {
        let mut found: BTreeMap<String, Stored<SegmentRecord>> = self.segments().await?.into_iter().collect();
        // The order matters: a record that a later round has written meanwhile does not belong to this round.
        let now = self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?;
        if now.is_none_or(|now| now.value.services != record.services) {
            return Err(RunError::Stopped(LATER_ROUND.into()));
        }
        let mut has_forgotten = false;
        for segment in 0..record.segments {
            let name = SegmentRecord::record_name(segment);
            let (revision, lease) = match found.remove(&name) {
                Some(stored) if is_of_round(&stored.value, record) => continue,
                // What nobody knows of the requests of an earlier round stays unknown.
                Some(earlier) => (
                    earlier.revision,
                    Lease::given_back(earlier.value.lease.is_settled()),
                ),
                None => (0, Lease::unheld()),
            };
            if !has_forgotten {
                // A segment is missing, or of an earlier round: nothing counts as copied before it is there.
                CopiedRecord::forget(&self.split.store).await?;
                has_forgotten = true;
            }
            let value = SegmentRecord {
                segment,
                lease,
                beat: 0,
                order: record.order,
                services: record
                    .round
                    .iter()
                    .map(|lane| (lane.clone(), SegmentService::default()))
                    .collect(),
                blocked: Vec::new(),
                limits: None,
                scanned: 0,
                read_milliunits: 0,
            };
            unless_changed(self.split.store.put(&name, value, revision).await.map(drop))?;
        }
        for (name, surplus) in found {
            unless_changed(self.split.store.delete(&name, surplus.revision).await)?;
        }
        Ok(())
    }

    pub(super) async fn segments(&self) -> Result<Vec<(String, Stored<SegmentRecord>)>, RunError> {
        Ok(self
            .split
            .store
            .list::<SegmentRecord>(SegmentRecord::PREFIX)
            .await?)
    }
}

/// Another process was faster: the result is the same.
fn unless_changed(written: Result<(), StateError>) -> Result<(), StateError> {
    match written {
        Err(StateError::Conflict { .. }) => Ok(()),
        other => other,
    }
}

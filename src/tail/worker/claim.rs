//! Which shards a worker reads: its share of those that are free and have something to read.

use super::{Running, Tail, WorkerContext};
use crate::source::lineage::{Readiness, readiness};
use crate::state::{LeaseWatch, Owner, ShardRecord, WorkerRecord};
use crate::tail::awaited::{Awaited, awaited_lease};
use crate::worker::{LeasedRecord, Recorded, RunError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Tail {
    /// Claims shards that are free and have something to read, up to this worker's share of them.
    pub(super) async fn claim(
        &self,
        stored: &[(String, crate::state::Stored<ShardRecord>)],
        leases: &mut LeaseWatch,
        context: &WorkerContext,
        running: &mut BTreeMap<String, Running>,
        seen: &Recorded,
        mut start: impl FnMut(Arc<LeasedRecord<ShardRecord>>, watch::Receiver<Recorded>, CancellationToken),
    ) -> Result<Awaited, RunError> {
        let all: BTreeMap<String, ShardRecord> = stored
            .iter()
            .map(|(_, s)| {
                let mut record = s.value.clone();
                // An earlier ledger keeps nothing for anybody.
                record
                    .lanes
                    .retain(|lane, _| ShardRecord::of_ledger(lane).is_none() || self.split.reads_lane(lane));
                (record.shard.clone(), record)
            })
            .collect();
        let open = |record: &ShardRecord| {
            record
                .lanes
                .iter()
                .filter(|(lane, _)| {
                    let known = seen.get(&record.shard);
                    known.is_some_and(|known| known.lanes.contains_key(*lane))
                })
                .any(
                    |(lane, state)| match readiness(record, lane, &all, self.split.now_ms()) {
                        Readiness::Ready => true,
                        // The gap was found just now: a worker must own the shard to record it.
                        Readiness::Gap(_) => state.gap.is_none(),
                        Readiness::Waits | Readiness::Finished => false,
                    },
                )
        };
        let wanted = stored.iter().filter(|(_, record)| open(&record.value)).count();
        let tails = self.live_tails(leases).await?;
        let workers = tails.len().max(1);
        let mut awaited = Awaited::new();
        // A process that reads no shard uses no budget; one that died may still stand in a shard's record.
        let readers = readers(&all, &context.owner);
        if self.split.back_side().is_none() {
            self.budgets.shared_by(readers.min(workers));
        }
        let share = wanted.div_ceil(workers);
        if workers > 1 {
            // Another worker started: it takes the shards that are released here.
            running
                .values()
                .skip(share)
                .for_each(|surplus| surplus.stop.cancel());
        }
        for (name, record) in stored {
            if running.len() >= share && workers > 1 {
                // Keep watching the leases, so that one that ends is seen to end.
                leases.is_free(name, &record.value.lease, record.revision, Instant::now());
                continue;
            }
            let free = leases.is_free(name, &record.value.lease, record.revision, Instant::now());
            if running.contains_key(&record.value.shard) || !open(&record.value) {
                continue;
            }
            if !free {
                let lease = &record.value.lease;
                let silence = leases.silence(name, lease, Instant::now());
                let reason = silence
                    .and_then(|silence| awaited_lease(&record.value, silence, &tails, self.split.timing));
                awaited.extend(reason.map(|reason| (record.value.shard.clone(), reason)));
                continue;
            }
            match LeasedRecord::take(
                &self.split.store,
                name,
                record.clone(),
                &context.owner,
                self.split.timing,
            )
            .await
            {
                Ok(Some(leased)) => {
                    tracing::info!(shard = record.value.shard, "reading shard");
                    let stop = context.work.child_token();
                    let (recorded, told) = watch::channel(Arc::clone(seen));
                    let owned = Running {
                        leased: Arc::clone(&leased),
                        recorded,
                        stop: stop.clone(),
                    };
                    running.insert(record.value.shard.clone(), owned);
                    start(leased, told, stop);
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "could not take a shard's lease; trying again"),
            }
        }
        Ok(awaited)
    }

    /// Tail workers that are seen to live, by their records' names, and for how long each gave no sign of life, in
    /// milliseconds. A worker whose record did not change for a whole lease is dead, whatever its clock said: otherwise, the shards
    /// of a worker with a fast clock would be nobody's for a long time.
    async fn live_tails(&self, leases: &mut LeaseWatch) -> Result<BTreeMap<String, u64>, RunError> {
        match self.split.store.list::<WorkerRecord>(WorkerRecord::PREFIX).await {
            Ok(workers) => Ok(workers
                .into_iter()
                .filter(|(_, worker)| worker.value.kind == "tail" && worker.value.lease.owner.is_some())
                .filter(|(name, worker)| {
                    !leases.is_free(name, &worker.value.lease, worker.revision, Instant::now())
                })
                .map(|(name, worker)| {
                    let silent_ms = self.split.now_ms().saturating_sub(worker.value.seen_ms);
                    (name, silent_ms, worker.value.lease.duration_ms)
                })
                .filter(|(_, silent_ms, lease_ms)| *silent_ms < 3 * lease_ms)
                .map(|(name, silent_ms, _)| (name, silent_ms))
                .collect()),
            Err(error) => {
                tracing::warn!(%error, "could not list workers; trying again");
                Ok(BTreeMap::new())
            }
        }
    }
}

/// Workers that read an open shard, `me` among them.
fn readers(shards: &BTreeMap<String, ShardRecord>, me: &Owner) -> usize {
    let open = |record: &&ShardRecord| record.lanes.values().any(|state| !state.finished());
    let owners = shards
        .values()
        .filter(open)
        .filter_map(|record| record.lease.owner.as_ref());
    owners.chain([me]).collect::<BTreeSet<_>>().len()
}

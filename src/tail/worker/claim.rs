//! Which shards a worker reads: its share of those that are free and have something to read.

use super::crew::Crew;
use super::known_shards::{Claimed, KnownShards, Look};
use super::{Running, Tail, WorkerContext};
use crate::source::lineage::{Readiness, readiness};
use crate::state::{LeaseWatch, Owner, ShardRecord};
use crate::tail::awaited::{Awaited, awaited_lease};
use crate::worker::{LeasedRecord, Recorded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Tail {
    /// Claims shards that are free and have something to read, up to this worker's share of them.
    pub(super) async fn claim(
        &self,
        (known, look): (&mut KnownShards, &Look),
        leases: &mut LeaseWatch,
        (context, crew): (&WorkerContext, &Crew),
        running: &mut BTreeMap<String, Running>,
        seen: &Recorded,
        mut start: impl FnMut(Arc<LeasedRecord<ShardRecord>>, watch::Receiver<Recorded>, CancellationToken),
    ) -> Claimed {
        let all: BTreeMap<String, ShardRecord> = known
            .shards()
            .map(|mut record| {
                // An earlier ledger keeps nothing for anybody.
                record
                    .lanes
                    .retain(|lane, _| ShardRecord::of_ledger(lane).is_none() || self.split.reads_lane(lane));
                (record.shard.clone(), record)
            })
            .collect();
        let (mut wanted, mut open, mut is_doubtful) = (0_usize, BTreeSet::new(), false);
        let mut readable = BTreeSet::new();
        for (name, stored) in known.records() {
            match self.reading(&stored.value, &all, seen) {
                Reading::Open => {}
                // The gap was found just now: a worker must own the shard to record it. Only a look at everything decides that.
                Reading::Lost if look.is_whole => {}
                Reading::Lost => {
                    is_doubtful |= look.has(name);
                    continue;
                }
                Reading::Nothing => continue,
            }
            wanted += 1;
            open.insert(name.clone());
            readable.insert(stored.value.shard.clone());
        }
        let (workers, place) = (crew.workers(), crew.place(&context.owner));
        let mut awaited = Awaited::new();
        // A process that reads no shard uses no budget; one that died may still stand in a shard's record.
        let readers = readers(&all, &context.owner);
        if self.split.back_side().is_none() {
            self.budgets.shared_by(readers.min(workers));
        }
        let share = wanted.div_ceil(workers);
        if workers > 1 {
            // Another worker started: it takes the shards that are released here.
            let read = running.iter().filter(|(shard, _)| readable.contains(*shard));
            read.skip(share).for_each(|(_, surplus)| surplus.stop.cancel());
        }
        for (name, record) in known.records().iter().filter(|(name, _)| look.has(name)) {
            if has_share(running, &readable, share) && workers > 1 {
                // Keep watching the leases, so that one that ends is seen to end.
                leases.is_free(name, &record.value.lease, record.revision, Instant::now());
                continue;
            }
            let free = leases.is_free(name, &record.value.lease, record.revision, Instant::now());
            if running.contains_key(&record.value.shard) || !open.contains(name) {
                continue;
            }
            if !free {
                let lease = &record.value.lease;
                let silence = leases.silence(name, lease, Instant::now());
                let reason = silence.and_then(|silence| {
                    awaited_lease(&record.value, silence, crew.tails(), self.split.timing)
                });
                awaited.extend(reason.map(|reason| (record.value.shard.clone(), reason)));
                continue;
            }
            if !look.may_claim(name, place) {
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
        if is_doubtful {
            known.outdate();
        }
        Claimed {
            awaited,
            has_room: !has_share(running, &readable, share),
        }
    }

    /// What a worker would find to read in a shard.
    fn reading(&self, record: &ShardRecord, all: &BTreeMap<String, ShardRecord>, seen: &Recorded) -> Reading {
        let known = seen.get(&record.shard);
        let is_read = |lane: &String| known.is_some_and(|known| known.lanes.contains_key(lane));
        let mut reading = Reading::Nothing;
        for (lane, state) in record.lanes.iter().filter(|(lane, _)| is_read(lane)) {
            match readiness(record, lane, all, self.split.now_ms()) {
                Readiness::Ready => return Reading::Open,
                Readiness::Gap(_) if state.gap.is_none() => reading = Reading::Lost,
                Readiness::Gap(_) | Readiness::Waits | Readiness::Finished => {}
            }
        }
        reading
    }
}

/// What a worker would find to read in a shard.
enum Reading {
    /// Some lane can read.
    Open,
    /// No lane can read, and one lost records, which nobody has noted yet.
    Lost,
    /// Nothing at present.
    Nothing,
}

/// Whether a worker reads its share. A shard whose lanes wait for its parent does not count: if those of all workers waited, nobody would
/// take the parent of a worker that died.
fn has_share<T>(running: &BTreeMap<String, T>, readable: &BTreeSet<String>, share: usize) -> bool {
    let read = running.keys().filter(|shard| readable.contains(*shard));
    read.count() >= share
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

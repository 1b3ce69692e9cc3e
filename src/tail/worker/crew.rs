//! The tail workers that are alive, and the place of this one among them.

use super::known_shards::Place;
use crate::state::{LeaseWatch, Owner, WorkerRecord};
use crate::worker::Split;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The tail workers that were seen to live when they were listed last. A large fleet lists them less often.
#[derive(Default)]
pub(super) struct Crew {
    /// By their records' names, and for how long each gave no sign of life, in milliseconds.
    tails: BTreeMap<String, u64>,
    listed: Option<(Instant, Duration)>,
}

/// Records of workers that one read unit shows, if they may be a second old: two blocks of 4 KiB with some 500 bytes each.
const WORKERS_A_UNIT: f64 = 16.0;

impl Crew {
    /// Lists the workers if it is due.
    ///
    /// A worker whose record did not change for a whole lease is dead, whatever its clock said: otherwise, the shards of a
    /// worker with a fast clock would be nobody's for a long time. In a large fleet, the list may be a second old, because it decides
    /// only how many shards this worker takes. It never decides who may write.
    pub async fn refresh(&mut self, split: &Split, leases: &mut LeaseWatch) {
        if self.listed.is_some_and(|(at, pause)| at.elapsed() < pause) {
            return;
        }
        let (store, prefix) = (&split.store, WorkerRecord::PREFIX);
        let listed = match split.fleet.affords(split.timing.renew(), self.units()) {
            true => store.list::<WorkerRecord>(prefix).await,
            false => store.list_recent::<WorkerRecord>(prefix).await,
        };
        match listed {
            Ok(workers) => {
                let live = workers
                    .into_iter()
                    .filter(|(_, worker)| worker.value.kind == "tail" && worker.value.lease.owner.is_some())
                    .filter(|(name, worker)| {
                        !leases.is_free(name, &worker.value.lease, worker.revision, Instant::now())
                    })
                    .map(|(name, worker)| {
                        let silent_ms = split.now_ms().saturating_sub(worker.value.seen_ms);
                        (name, silent_ms, worker.value.lease.duration_ms)
                    })
                    .filter(|(_, silent_ms, lease_ms)| *silent_ms < 3 * lease_ms);
                self.tails = live.map(|(name, silent_ms, _)| (name, silent_ms)).collect();
                split.fleet.note(self.tails.len());
                self.listed = Some((Instant::now(), self.pause(split)));
            }
            Err(error) => {
                tracing::warn!(%error, "could not list workers; trying again");
                self.tails.clear();
            }
        }
    }

    /// In a small fleet, the workers are listed at each look.
    fn pause(&self, split: &Split) -> Duration {
        let usual = split.timing.renew();
        if split.fleet.affords(usual, self.units()) {
            return Duration::ZERO;
        }
        split.fleet.pause(usual, self.units())
    }

    /// The read units of a list.
    #[allow(clippy::cast_precision_loss)] // there are few
    fn units(&self) -> f64 {
        (self.tails.len() as f64 / WORKERS_A_UNIT).max(0.5)
    }

    /// The living ones, this one among them once its record is seen, and for how long each gave no sign of life.
    pub fn tails(&self) -> &BTreeMap<String, u64> {
        &self.tails
    }

    /// How many live.
    pub fn workers(&self) -> usize {
        self.tails.len().max(1)
    }

    /// The place of a worker among them.
    pub fn place(&self, me: &Owner) -> Place {
        let name = format!("{}{me}", WorkerRecord::PREFIX);
        Place {
            index: self.tails.range(..name).count().min(self.workers() - 1),
            of: self.workers(),
        }
    }
}

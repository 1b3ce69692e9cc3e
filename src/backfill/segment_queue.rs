//! The queue of segments: which segments are free, and what is left.

use super::circuit_breaker::CircuitBreaker;
use super::hot_segments::HotSegments;
use crate::dynamo::chance;
use crate::state::{LeaseWatch, Owner, SegmentRecord, Stored};
use crate::worker::{RunError, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// All segments of the backfill, as they were read last: their owners, and the remaining work. They are read again
/// only from time to time, because there may be thousands.
pub(super) struct SegmentQueue {
    split: Split,
    segments: BTreeMap<u32, (String, Stored<SegmentRecord>)>,
    read_at: Option<Instant>,
    leases: LeaseWatch,
    /// Where in the order of the segments this process begins.
    salt: u32,
}

/// Between two readings of a small queue; a larger one is read less often.
const SHORTEST: Duration = Duration::from_millis(500);
const FOR_EACH_SEGMENT: Duration = Duration::from_millis(2);

impl SegmentQueue {
    /// Not read yet.
    pub fn new(split: &Split) -> Self {
        Self {
            split: split.clone(),
            segments: BTreeMap::new(),
            read_at: None,
            leases: LeaseWatch::default(),
            salt: chance::any(),
        }
    }

    /// Reads the queue if it is due.
    pub async fn refresh(&mut self) -> Result<(), RunError> {
        let pause = SHORTEST + FOR_EACH_SEGMENT * u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
        if self.read_at.is_some_and(|at| at.elapsed() < pause) {
            return Ok(());
        }
        let found = self
            .split
            .store
            .list::<SegmentRecord>(SegmentRecord::PREFIX)
            .await?;
        let now = Instant::now();
        for (name, stored) in &found {
            // Looking at every lease, so that one that ends is seen to end.
            self.leases
                .is_free(name, &stored.value.lease, stored.revision, now);
        }
        self.segments = found
            .into_iter()
            .map(|(name, stored)| (stored.value.segment, (name, stored)))
            .collect();
        self.read_at = Some(now);
        Ok(())
    }

    /// Reads a segment again after this process worked on it. The state in memory does not count: the segment is done
    /// when this is durable, and only then may tombstones be switched off.
    pub async fn reread(&mut self, segment: u32) -> Result<(), RunError> {
        let name = SegmentRecord::record_name(segment);
        if let Some(stored) = self.split.store.get::<SegmentRecord>(&name).await? {
            self.segments.insert(segment, (name, stored));
        }
        Ok(())
    }

    /// Processes that are at work, `me` among them: those that hold a segment which is not done.
    pub fn processes(&mut self, me: &Owner) -> usize {
        let now = Instant::now();
        let mut owners = BTreeSet::from([me.clone()]);
        for (name, stored) in self.segments.values() {
            let lease = &stored.value.lease;
            if !is_done(&stored.value) && !self.leases.is_free(name, lease, stored.revision, now) {
                owners.extend(lease.owner.clone());
            }
        }
        owners.len()
    }

    /// Whether every lane is done with every one of this many segments.
    pub fn all_done(&self, segments: u32) -> bool {
        let done = |number| {
            let found = self.segments.get(&number);
            found.is_some_and(|(_, stored)| is_done(&stored.value))
        };
        (0..segments).all(done)
    }

    /// Segments with remaining work that no process owns, and that this process does not work on. They are not in
    /// their order: neighbours hold neighbouring keys, and would write to one range of a target's keys together.
    pub fn free<T>(
        &mut self,
        mine: &BTreeMap<u32, T>,
        (breaker, hot): (&CircuitBreaker, &HotSegments),
        at_most: usize,
    ) -> Vec<(String, Stored<SegmentRecord>)> {
        let now = Instant::now();
        let mut found = Vec::new();
        for (number, (name, stored)) in spread(&self.segments, self.salt) {
            if found.len() >= at_most {
                break;
            }
            // All of the remaining work may be for services whose tables accept no writes: other segments come first.
            let left = stored
                .value
                .services
                .iter()
                .filter(|(_, progress)| !progress.done);
            let useful = left.map(|(lane, _)| lane).any(|lane| !breaker.is_open(lane));
            let taken = mine.contains_key(number) || !useful || hot.is_left(*number);
            if !taken
                && self
                    .leases
                    .is_free(name, &stored.value.lease, stored.revision, now)
            {
                found.push((name.clone(), stored.clone()));
            }
        }
        found
    }

    /// All segments.
    pub fn records(&self) -> impl Iterator<Item = &SegmentRecord> {
        self.segments.values().map(|(_, stored)| &stored.value)
    }

    /// Marks the queue as outdated: it is read again at once.
    pub fn outdate(&mut self) {
        self.read_at = None;
    }
}

/// Far apart, one after the other.
fn spread<T>(segments: &BTreeMap<u32, T>, salt: u32) -> Vec<(&u32, &T)> {
    let mut segments: Vec<_> = segments.iter().collect();
    segments.sort_by_key(|(number, _)| scattered(**number, salt));
    segments
}

/// A place for a number such that the places of neighbours are far apart (Fibonacci hashing: Knuth, The Art of Computer
/// Programming, 6.4), and that processes have different firsts.
fn scattered(number: u32, salt: u32) -> u32 {
    number.wrapping_mul(0x9E37_79B9).wrapping_add(salt)
}

fn is_done(record: &SegmentRecord) -> bool {
    record.services.values().all(|progress| progress.done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_taken_one_after_the_other_are_no_neighbours() {
        for salt in [0, 1, 77, u32::MAX] {
            let mut numbers: Vec<u32> = (0..1000).collect();
            numbers.sort_by_key(|number| scattered(*number, salt));
            for four in numbers.windows(4) {
                let apart = |a: u32, b: u32| a.abs_diff(b).min(1000 - a.abs_diff(b));
                for other in &four[1..] {
                    assert!(apart(four[0], *other) > 10, "{four:?}");
                }
            }
        }
    }
}

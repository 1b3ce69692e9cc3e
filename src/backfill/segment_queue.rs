//! The queue of segments: which segments are free, and what is left.

use super::circuit_breaker::CircuitBreaker;
use super::hot_segments::HotSegments;
use super::round::is_of_round;
use crate::dynamo::chance;
use crate::state::{BackfillRecord, CopiedRecord, LeaseWatch, Owner, SegmentRecord, StateError, Stored};
use crate::worker::{RunError, Split};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// The segments of the backfill, as they were read last: their owners, and the remaining work. They are read again
/// only from time to time, because there may be thousands.
///
/// If the fleet can't afford that every process reads all of them, a process reads one block of neighbours when it needs a segment.
/// Processes begin at different blocks, and go on to the next one when nothing in theirs is free. A process that reads a block of which
/// every segment is durable records that ([`CopiedRecord`]), so that no other process has to read it before the end.
pub(super) struct SegmentQueue {
    split: Split,
    round: BackfillRecord,
    segments: BTreeMap<u32, Seen>,
    read_at: Option<Instant>,
    /// Until all are read again, if blocks are read in between.
    pause: Duration,
    copied: CopiedRecord,
    /// The block that was read last, when, and until the next one is read.
    block: u32,
    block_read: Option<(Instant, Duration)>,
    leases: LeaseWatch,
    /// Where in the order of the segments this process begins.
    salt: u32,
}

/// Whether so many segments are worth it that their processes count each other.
pub(super) fn is_shared_by_blocks(segments: u32) -> bool {
    segments > 2 * CopiedRecord::BLOCK
}

/// A segment as it was read last.
struct Seen {
    name: String,
    stored: Stored<SegmentRecord>,
    /// Nobody had its lease when it was read.
    is_free: bool,
}

/// Between two readings of a small queue; a larger one is read less often.
const SHORTEST: Duration = Duration::from_millis(500);
const FOR_EACH_SEGMENT: Duration = Duration::from_millis(2);
/// Blocks are read only by processes that have nothing to do, so all of them together may read more than of what all repeat.
const BLOCK_UNITS_A_SECOND: f64 = 500.0;
const BYTES_A_UNIT: f64 = 4096.0;
/// Of a segment's record, before one was read.
const USUAL_BYTES: f64 = 1200.0;

impl SegmentQueue {
    /// Not read yet.
    pub fn new(split: &Split, round: &BackfillRecord) -> Self {
        let salt = chance::any();
        Self {
            split: split.clone(),
            round: round.clone(),
            segments: BTreeMap::new(),
            read_at: None,
            pause: Duration::ZERO,
            copied: CopiedRecord::new(round),
            block: salt % round.segments.div_ceil(CopiedRecord::BLOCK).max(1),
            block_read: None,
            leases: LeaseWatch::default(),
            salt,
        }
    }

    /// Reads the queue if it is due. `has_room`: this process could work on more segments than it does.
    pub async fn refresh(&mut self, has_room: bool) -> Result<(), RunError> {
        let usual = SHORTEST + FOR_EACH_SEGMENT * self.round.segments;
        let is_small = self.split.fleet.processes() == 1 || self.split.fleet.affords(usual, self.units());
        let pause = if is_small { usual } else { self.pause.max(usual) };
        match self.read_at {
            Some(at) if at.elapsed() < pause => {}
            // The first one: most processes of a large fleet read a block, and all segments some time later.
            None if !is_small && self.pause.is_zero() => {
                self.read_at = Some(Instant::now());
                self.pause = self
                    .split
                    .fleet
                    .pause(usual, self.units())
                    .mul_f64(chance::within(0.0..1.0));
            }
            _ => return self.read_all().await,
        }
        let is_due = self.block_read.is_none_or(|(at, pause)| at.elapsed() >= pause);
        if !is_small && has_room && is_due {
            self.read_block().await?;
        }
        Ok(())
    }

    async fn read_all(&mut self) -> Result<(), RunError> {
        let found = self
            .split
            .store
            .list::<SegmentRecord>(SegmentRecord::PREFIX)
            .await?;
        self.segments.clear();
        self.take_in(found);
        self.read_at = Some(Instant::now());
        self.pause = self.split.fleet.pause(SHORTEST, self.units());
        Ok(())
    }

    /// Reads the next block in which something is left.
    async fn read_block(&mut self) -> Result<(), StateError> {
        let store = &self.split.store;
        self.copied = CopiedRecord::read(store, &self.round).await?;
        let blocks = self.round.segments.div_ceil(CopiedRecord::BLOCK);
        let after = if self.block_read.is_some() { 1 } else { 0 };
        let ring = (0..blocks).map(|place| (self.block + after + place) % blocks);
        let Some(block) = ring.into_iter().find(|block| !self.copied.blocks.contains(block)) else {
            return Ok(());
        };
        let first = block * CopiedRecord::BLOCK;
        let before = first.checked_sub(1).map(SegmentRecord::record_name);
        let size = CopiedRecord::BLOCK.min(self.round.segments - first);
        let found = store
            .list_part::<SegmentRecord>(SegmentRecord::PREFIX, before.as_deref(), size as usize)
            .await?;
        self.take_in(found);
        let is_copied = |number: u32| {
            let found = self.segments.get(&number);
            found.is_some_and(|seen| {
                let segment = &seen.stored.value;
                is_done(segment) && is_of_round(segment, &self.round) && segment.order == self.round.order
            })
        };
        if (first..first + size).all(is_copied) {
            self.copied = CopiedRecord::add(&self.split.store, &self.round, block).await?;
        }
        self.block = block;
        let units = self.units() / f64::from(blocks) + 1.0;
        let pause = self
            .split
            .fleet
            .pause_between(SHORTEST, units, BLOCK_UNITS_A_SECOND);
        self.block_read = Some((Instant::now(), pause));
        Ok(())
    }

    fn take_in(&mut self, found: Vec<(String, Stored<SegmentRecord>)>) {
        let now = Instant::now();
        for (name, stored) in found {
            // Looking at every lease, so that one that ends is seen to end.
            let lease = &stored.value.lease;
            let is_free = self.leases.is_free(&name, lease, stored.revision, now);
            let seen = Seen {
                name,
                stored,
                is_free,
            };
            self.segments.insert(seen.stored.value.segment, seen);
        }
    }

    /// The read units of reading all segments.
    fn units(&self) -> f64 {
        let one = self.segments.values().next_back();
        let bytes = one.and_then(|seen| serde_json::to_string(&seen.stored.value).ok());
        #[allow(clippy::cast_precision_loss)] // an estimate
        let bytes = bytes.map_or(USUAL_BYTES, |text| text.len() as f64);
        f64::from(self.round.segments) * bytes / BYTES_A_UNIT
    }

    /// Reads a segment again after this process worked on it. The state in memory does not count: the segment is done
    /// when this is durable, and only then may tombstones be switched off.
    pub async fn reread(&mut self, segment: u32) -> Result<(), RunError> {
        let name = SegmentRecord::record_name(segment);
        if let Some(stored) = self.split.store.get::<SegmentRecord>(&name).await? {
            self.take_in(vec![(name, stored)]);
        }
        Ok(())
    }

    /// Processes that are at work, `me` among them: those that hold a segment which is not done.
    pub fn processes(&self, me: &Owner) -> usize {
        let mut owners = BTreeSet::from([me.clone()]);
        for Seen { stored, is_free, .. } in self.segments.values() {
            if !is_done(&stored.value) && !is_free {
                owners.extend(stored.value.lease.owner.clone());
            }
        }
        owners.len().max(self.split.fleet.processes())
    }

    /// Whether every lane is done with every segment. Tombstones are released then, so this process reads each segment itself: what
    /// others recorded only tells when that is worth it.
    pub async fn all_done(&mut self) -> Result<bool, RunError> {
        let is_recorded = |number: u32| self.copied.blocks.contains(&(number / CopiedRecord::BLOCK));
        if !(0..self.round.segments).all(|number| self.is_read_as_done(number) || is_recorded(number)) {
            return Ok(false);
        }
        let all_read = |queue: &Self| (0..queue.round.segments).all(|number| queue.is_read_as_done(number));
        if !all_read(self) {
            self.read_all().await?;
            // Not again at once, if the record is wrong.
            self.copied = CopiedRecord::new(&self.round);
        }
        Ok(all_read(self))
    }

    fn is_read_as_done(&self, number: u32) -> bool {
        let found = self.segments.get(&number);
        found.is_some_and(|seen| is_done(&seen.stored.value))
    }

    /// Segments with remaining work that no process owns, and that this process does not work on. They are not in
    /// their order: neighbours hold neighbouring keys, and would write to one range of a target's keys together.
    pub fn free<T>(
        &self,
        mine: &BTreeMap<u32, T>,
        (breaker, hot): (&CircuitBreaker, &HotSegments),
        at_most: usize,
    ) -> Vec<(String, Stored<SegmentRecord>)> {
        let mut found = Vec::new();
        for (
            number,
            Seen {
                name,
                stored,
                is_free,
            },
        ) in spread(&self.segments, self.salt)
        {
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
            if !taken && *is_free {
                found.push((name.clone(), stored.clone()));
            }
        }
        found
    }

    /// Whether a segment is known to be free.
    pub fn has_free<T>(&self, mine: &BTreeMap<u32, T>, known: (&CircuitBreaker, &HotSegments)) -> bool {
        !self.free(mine, known, 1).is_empty()
    }

    /// The segments that were read.
    pub fn records(&self) -> impl Iterator<Item = &SegmentRecord> {
        self.segments.values().map(|seen| &seen.stored.value)
    }

    /// A segment that seemed to be free has another owner. A small queue is read again at once.
    pub fn is_taken(&mut self, number: u32) {
        if self.block_read.is_none() {
            self.read_at = None;
        } else {
            self.segments.remove(&number);
        }
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

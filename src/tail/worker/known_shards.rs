//! The shards of a stream, as a worker knows them.

use crate::state::{LaneState, ShardRecord, StateError, Stored};
use crate::tail::awaited::Awaited;
use crate::worker::Split;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;

/// The shards of a stream, as this worker read them last.
///
/// If the fleet can afford it, a look reads all records. In a large fleet, each worker reads all of them seldom. In between, a
/// look reads a part of them:
///
/// - the worker's own part: every record that is not finished belongs to the part of one worker, so that the leases of workers
///   that died are watched by somebody;
/// - records with later names: shards that appeared since;
/// - if the worker could read more shards than it does: the part of somebody else;
/// - the ancestors of shards that are not finished. A record of an ancestor that is not read again would look as if the shard
///   had to wait, or as if its parent had never been there.
///
/// What is known of other shards may be old. A lane's place only moves forward and a shard is never removed from a lineage, so an
/// old record makes a worker wait, and nothing else. A claim names the revision of the record, so it fails if the record is old.
pub(super) struct KnownShards {
    generation: u32,
    records: BTreeMap<String, Stored<ShardRecord>>,
    read_all: Option<Instant>,
    /// Until all are read again, if not all are read at each look.
    pause: Duration,
    /// All were read before the first look, which reads them no second time if that costs much.
    is_first: bool,
    /// Where the last part of others ended, among the open ones.
    wandered_to: Option<usize>,
    /// Names of ancestors that are not recorded.
    absent: BTreeSet<String>,
}

/// The place of a worker among those that live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// From 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

/// What a look read.
#[derive(Default)]
pub(super) struct Look {
    /// Every record.
    pub is_whole: bool,
    /// Otherwise: the names of those that it read.
    fresh: BTreeSet<String>,
    /// Among these, those of shards that appeared since.
    new: BTreeSet<String>,
}

/// What came of a look at the shards.
#[derive(Default)]
pub(super) struct Claimed {
    /// Leases that are waited for.
    pub awaited: Awaited,
    /// The worker has fewer shards than its share.
    pub has_room: bool,
}

impl Look {
    /// Whether a record was read.
    pub fn has(&self, name: &str) -> bool {
        self.is_whole || self.fresh.contains(name)
    }

    /// Whether a worker may claim the shard of a record, if it is free. Every worker sees a shard that is new, and only the one
    /// whose turn it is claims it.
    pub fn may_claim(&self, name: &str, place: Place) -> bool {
        self.has(name) && (!self.new.contains(name) || place.is_turn(name))
    }
}

impl Place {
    fn is_turn(self, name: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish() % self.of as u64 == self.index as u64
    }

    /// The worker's own part of so many records.
    fn part(self, number: usize) -> Range<usize> {
        number * self.index / self.of..number * (self.index + 1) / self.of
    }
}

/// A part of others has at least so many records: less than twenty read units.
const LEAST_PART: usize = 32;
const BYTES_A_UNIT: f64 = 4096.0;
/// A worker that starts does not spend so many read units twice.
const MUCH: f64 = 50.0;

impl KnownShards {
    /// None yet.
    pub fn new(generation: u32) -> Self {
        Self {
            generation,
            records: BTreeMap::new(),
            read_all: None,
            pause: Duration::ZERO,
            is_first: true,
            wandered_to: None,
            absent: BTreeSet::new(),
        }
    }

    /// The records, by their names.
    pub fn records(&self) -> &BTreeMap<String, Stored<ShardRecord>> {
        &self.records
    }

    /// The values of all records.
    pub fn shards(&self) -> impl Iterator<Item = ShardRecord> + '_ {
        self.records.values().map(|stored| stored.value.clone())
    }

    /// The next look reads every record.
    pub fn outdate(&mut self) {
        self.read_all = None;
    }

    /// Whether each look reads every record, because this costs little.
    pub fn reads_all(&self, split: &Split) -> bool {
        split.fleet.affords(split.timing.renew(), self.units())
    }

    /// Whether every record was read within a time.
    pub fn are_recent(&self, time: Duration) -> bool {
        self.read_all.is_some_and(|at| at.elapsed() <= time)
    }

    /// Reads the records, or a part of them. `running`: names of the records of shards that the worker reads. `has_room`: it could
    /// read more.
    pub async fn look(
        &mut self,
        split: &Split,
        place: Place,
        running: &[String],
        has_room: bool,
    ) -> Result<Look, StateError> {
        let is_due = self.read_all.is_none_or(|at| at.elapsed() >= self.pause);
        if std::mem::take(&mut self.is_first) && self.units() > MUCH {
            return Ok(Look {
                fresh: self.records.keys().cloned().collect(),
                ..Look::default()
            });
        }
        if is_due || self.records.is_empty() || self.reads_all(split) {
            return self.look_at_all(split).await;
        }
        let prefix = split.shard_record(self.generation, "");
        let mut look = Look::default();
        let mut parts = vec![self.part(place.part(self.open(split).len()), split)];
        if has_room {
            parts.push(self.others_part(split, place));
        }
        for (after, most) in parts.into_iter().flatten() {
            let found = split.store.list_part(&prefix, after.as_deref(), most).await?;
            self.take_in(found, &mut look.fresh);
        }
        let last = self.records.keys().next_back().cloned().unwrap_or_default();
        let new = split.store.list_after(&prefix, &last).await?;
        self.take_in(new, &mut look.new);
        look.fresh.extend(look.new.iter().cloned());
        let children: Vec<String> = look.fresh.iter().chain(running).cloned().collect();
        for name in children {
            self.read_ancestors(split, &name, &mut look).await?;
        }
        Ok(look)
    }

    /// Reads every record.
    pub async fn look_at_all(&mut self, split: &Split) -> Result<Look, StateError> {
        let prefix = split.shard_record(self.generation, "");
        self.records = split
            .store
            .list::<ShardRecord>(&prefix)
            .await?
            .into_iter()
            .collect();
        self.absent.clear();
        self.read_all = Some(Instant::now());
        self.pause = split.fleet.pause(Duration::ZERO, self.units());
        Ok(Look {
            is_whole: true,
            ..Look::default()
        })
    }

    fn take_in(&mut self, found: Vec<(String, Stored<ShardRecord>)>, names: &mut BTreeSet<String>) {
        for (name, stored) in found {
            names.insert(name.clone());
            self.records.insert(name, stored);
        }
    }

    /// Reads the ancestors of a shard again that were not finished. Its parent may have been recorded since all were read.
    async fn read_ancestors(&mut self, split: &Split, name: &str, look: &mut Look) -> Result<(), StateError> {
        let is_open = |shard: &&Stored<ShardRecord>| !is_finished(split, &shard.value);
        let Some(shard) = self.records.get(name).filter(is_open) else {
            return Ok(());
        };
        let mut parent = shard.value.parent.clone();
        // Bounded, so that a lineage that ran in a circle could not hang the worker.
        for _ in 0..=self.records.len() {
            let Some(id) = parent else {
                return Ok(());
            };
            let name = split.shard_record(self.generation, &id);
            let known = self.records.get(&name);
            let is_final = known.is_some_and(|known| is_finished(split, &known.value));
            if !is_final && !look.fresh.contains(&name) && !self.absent.contains(&name) {
                match split.store.get::<ShardRecord>(&name).await? {
                    Some(stored) => self.take_in(vec![(name.clone(), stored)], &mut look.fresh),
                    None => drop(self.absent.insert(name.clone())),
                }
            }
            parent = self
                .records
                .get(&name)
                .and_then(|parent| parent.value.parent.clone());
        }
        Ok(())
    }

    /// The places, in the order of the names, of all records from the first one on that is not finished. Names of DynamoDB's shards
    /// begin with a time, so nearly all that come before are finished.
    fn open(&self, split: &Split) -> Range<usize> {
        let mut records = self.records.values();
        let first = records.position(|stored| !is_finished(split, &stored.value));
        first.unwrap_or(self.records.len())..self.records.len()
    }

    /// A part of the open ones: the name that it comes after, and its size; `None`: it is empty.
    fn part(&self, part: Range<usize>, split: &Split) -> Option<(Option<String>, usize)> {
        let begin = self.open(split).start + part.start;
        let before = begin
            .checked_sub(1)
            .and_then(|before| self.records.keys().nth(before));
        (!part.is_empty()).then(|| (before.cloned(), part.len()))
    }

    /// A part of others: after the one before. Workers begin at different places.
    fn others_part(&mut self, split: &Split, place: Place) -> Option<(Option<String>, usize)> {
        let open = self.open(split).len();
        let begin = self.wandered_to.unwrap_or_else(|| place.part(open).end);
        let begin = if begin < open { begin } else { 0 };
        let end = (begin + (open / place.of).max(LEAST_PART)).min(open);
        self.wandered_to = Some(end);
        self.part(begin..end, split)
    }

    /// The read units of reading all of them.
    #[allow(clippy::cast_precision_loss)] // an estimate
    fn units(&self) -> f64 {
        let one = self.records.values().next_back();
        let bytes = one.and_then(|stored| serde_json::to_string(&stored.value).ok());
        let bytes = bytes.map_or(0, |text| text.len());
        (self.records.len() as f64 * bytes as f64 / BYTES_A_UNIT).max(1.0)
    }
}

/// Whether every lane that the tail reads has read the shard to its end.
fn is_finished(split: &Split, shard: &ShardRecord) -> bool {
    let read = shard.lanes.iter().filter(|(lane, _)| split.reads_lane(lane));
    read.map(|(_, state)| state).all(LaneState::finished)
}

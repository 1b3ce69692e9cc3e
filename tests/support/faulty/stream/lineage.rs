//! Shards: which records lie where, and how shards continue each other. Pure.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use rand::Rng;

use super::Habits;
use crate::support::faulty::chance;
use crate::support::faulty::tally::Kind;
use crate::support::role;

/// Open shards at most, when they split by themselves.
const OPEN_AT_MOST: usize = 6;
/// Bytes of records in a page.
const PAGE_BYTES: usize = 1024 * 1024;
/// Between two sequence numbers.
const STEP: u128 = 7;

/// All shards of one stream.
pub struct Lineage {
    seed: u64,
    /// What its table is there for: the same in every run.
    role: String,
    reshard_every: Option<u64>,
    /// The next sequence number.
    next: u128,
    dealt: u64,
    reshard_at: u64,
    opened: u64,
    shards: Vec<Shard>,
}

/// A shard.
#[derive(Debug)]
pub struct Shard {
    pub id: String,
    pub parent: Option<String>,
    pub starting: u128,
    /// The last number that it could hold; none while it is open.
    pub ending: Option<u128>,
    /// It is listed, and may be read.
    pub kept: bool,
    places: Range<u64>,
    records: VecDeque<Arc<Record>>,
    /// The last record that was forgotten.
    trimmed_to: Option<u128>,
}

/// A record, as it is answered.
#[derive(Debug)]
pub struct Record {
    pub number: u128,
    pub text: String,
}

/// A page of records.
pub struct Page {
    pub records: Vec<Arc<Record>>,
    /// Where to go on; none at the end of a closed shard.
    pub next: Option<u128>,
}

impl Lineage {
    /// With open shards that share all places evenly.
    pub fn new(habits: &Habits, seed: u64, table: &str, generation: usize) -> Self {
        // A later stream's numbers are the smaller ones: nothing may be read into them across streams.
        let base: u128 = 900_000_000_000_000_000_000 / (1 + generation as u128);
        let mut lineage = Self {
            seed,
            role: role(table).to_owned(),
            reshard_every: habits.reshard_every,
            next: base.max(100_000_000_000_000_000_000),
            dealt: 0,
            reshard_at: 0,
            opened: 0,
            shards: Vec::new(),
        };
        let count = habits.shards as u64;
        for index in 0..count {
            let places = (index << 32) / count..((index + 1) << 32) / count;
            lineage.open(None, places);
        }
        lineage.reshard_at = lineage.next_reshard();
        lineage
    }

    /// All of them, oldest first.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// One of them, also one that is no longer kept.
    pub fn shard(&self, id: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.id == id)
    }

    fn index(&self, id: &str) -> Option<usize> {
        self.shards.iter().position(|shard| shard.id == id)
    }

    /// Puts a record into the open shard of its place. Answers what happened to shards by itself.
    pub fn deal(&mut self, place: u32, text: impl FnOnce(u128) -> String) -> Option<Kind> {
        let number = self.take_number();
        let holds = |shard: &&mut Shard| shard.ending.is_none() && shard.places.contains(&u64::from(place));
        if let Some(shard) = self.shards.iter_mut().find(holds) {
            let text = text(number);
            shard.records.push_back(Arc::new(Record { number, text }));
        }
        self.dealt += 1;
        (self.dealt == self.reshard_at).then(|| self.reshard())
    }

    /// A shard rolls, or splits, as chance has it.
    fn reshard(&mut self) -> Kind {
        self.reshard_at = self.next_reshard();
        let mut chance = chance::at(self.seed, &["reshard", &self.role], self.dealt);
        let open: Vec<String> = self.open_ids();
        let id = open[chance.random_range(0..open.len())].clone();
        if open.len() < OPEN_AT_MOST && chance.random() {
            self.split(&id);
            Kind::Split
        } else {
            self.roll(&id);
            Kind::Rolled
        }
    }

    fn next_reshard(&self) -> u64 {
        let mut chance = chance::at(self.seed, &["when", &self.role], self.dealt);
        let every = self.reshard_every.unwrap_or(u64::MAX / 4);
        self.dealt
            + chance
                .random_range(every / 2..every.saturating_mul(3) / 2 + 1)
                .max(1)
    }

    /// The open shards' identifiers.
    pub fn open_ids(&self) -> Vec<String> {
        let open = self.shards.iter().filter(|shard| shard.ending.is_none());
        open.map(|shard| shard.id.clone()).collect()
    }

    /// Continues an open shard by two.
    pub fn split(&mut self, id: &str) -> bool {
        self.go_on(id, |places| {
            let middle = u64::midpoint(places.start, places.end);
            vec![places.start..middle, middle..places.end]
        })
    }

    /// Continues an open shard by one.
    pub fn roll(&mut self, id: &str) -> bool {
        self.go_on(id, |places| vec![places])
    }

    fn go_on(&mut self, id: &str, into: impl FnOnce(Range<u64>) -> Vec<Range<u64>>) -> bool {
        let Some(index) = self.close(id) else {
            return false;
        };
        for places in into(self.shards[index].places.clone()) {
            self.open(Some(id.to_owned()), places);
        }
        true
    }

    /// Closes an open shard without a child.
    fn close(&mut self, id: &str) -> Option<usize> {
        let index = self
            .index(id)
            .filter(|index| self.shards[*index].ending.is_none())?;
        self.shards[index].ending = Some(self.take_number());
        Some(index)
    }

    /// Closes what is open, as when a stream is switched off.
    pub fn close_all(&mut self) {
        for id in self.open_ids() {
            self.close(&id);
        }
    }

    fn open(&mut self, parent: Option<String>, places: Range<u64>) {
        let starting = self.take_number();
        self.opened += 1;
        let salt: u32 = chance::at(self.seed, &["shard", &self.role], self.opened).random();
        self.shards.push(Shard {
            id: format!(
                "shardId-{:020}-{salt:08x}",
                1_700_000_000_000 + self.opened * 1000
            ),
            parent,
            starting,
            ending: None,
            kept: true,
            places,
            records: VecDeque::new(),
            trimmed_to: None,
        });
    }

    fn take_number(&mut self) -> u128 {
        self.next += STEP;
        self.next
    }

    /// Forgets all records of a shard that are there now; a closed one is no longer listed. Answers how many.
    pub fn trim(&mut self, id: &str) -> Option<usize> {
        let shard = self.index(id).map(|index| &mut self.shards[index])?;
        let count = shard.records.len();
        if let Some(last) = shard.records.back() {
            shard.trimmed_to = Some(last.number);
        }
        shard.records.clear();
        shard.kept = shard.ending.is_none();
        Some(count)
    }
}

impl Shard {
    /// Whether this number is older than what is kept.
    pub fn is_trimmed(&self, number: u128) -> bool {
        self.trimmed_to.is_some_and(|last| number <= last)
    }

    /// Where its oldest record is, or its first will be.
    pub fn horizon(&self) -> u128 {
        self.trimmed_to.map_or(self.starting, |last| last + 1)
    }

    /// Where its next record will be, for one that reads only new ones.
    pub fn tip(&self) -> u128 {
        let last = self.records.back().map(|record| record.number + 1);
        last.unwrap_or_else(|| self.horizon())
    }

    /// The records that it holds now.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Records from a number on: at most so many, and 1 MB.
    pub fn page(&self, from: u128, at_most: usize) -> Page {
        let begin = self.records.partition_point(|record| record.number < from);
        let (mut records, mut bytes) = (Vec::new(), 0);
        for record in self.records.range(begin..).take(at_most) {
            bytes += record.text.len();
            if bytes > PAGE_BYTES && !records.is_empty() {
                break;
            }
            records.push(Arc::clone(record));
        }
        let read = begin + records.len();
        let next = records.last().map_or(from, |record| record.number + 1);
        // The last records of a closed shard come with an iterator or without one; both are right.
        let done =
            read == self.records.len() && self.ending.is_some() && (records.is_empty() || next % 2 == 0);
        Page {
            records,
            next: (!done).then_some(next),
        }
    }
}

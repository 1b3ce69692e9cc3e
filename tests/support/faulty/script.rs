//! What an engine with faults is told before it starts.

use std::time::Duration;

use super::fault::{Fault, Gate, Landing, Loss};
use super::rule::Rule;
use super::stream::Habits;

/// The story of an engine: its seed, its rules, how its streams behave.
pub struct Script {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
    pub(super) streams: Habits,
    pub(super) scanned_at_once: Option<u64>,
}

/// Reads and writes of items.
const ITEMS: [&str; 11] = [
    "GetItem",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "BatchExecuteStatement",
    "ExecuteStatement",
    "TransactWriteItems",
];
/// Writes of items.
const WRITES: [&str; 7] = [
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "BatchExecuteStatement",
    "ExecuteStatement",
    "TransactWriteItems",
];
const STREAMS: [&str; 3] = ["DescribeStream", "GetShardIterator", "GetRecords"];
/// Half a second before the product counts on it, with a lease of 2 s: a silent request lands within an attempt and a
/// margin (1.667 s), one that something in between answered within a margin (1 s).
pub const SILENT: Duration = Duration::from_millis(1200);
const ANSWERED: Duration = Duration::from_millis(500);

impl Script {
    /// Nothing goes wrong; one shard for each stream.
    pub fn quiet(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
            streams: Habits::default(),
            scanned_at_once: None,
        }
    }

    /// Everything goes wrong now and then, and nothing for ever: for runs that last. `late` is the longest time after
    /// which a request lands that its caller gave up; what the product assumes of it must hold, on a machine that stands
    /// still for a moment as well, and so it may be less.
    pub fn random_faults(seed: u64, late: Duration) -> Self {
        let lost = |loss, landing, probability| Rule::new(Fault::Lost(loss, landing)).sometimes(probability);
        let soon = Gate::Between(Duration::from_millis(5), Duration::from_millis(250));
        let later = |most| Landing::Late(Gate::Between(Duration::from_millis(50), late.min(most)));
        let never = || Landing::Never;
        let before = || Landing::Before;
        Self::quiet(seed)
            .rule(Rule::new(Fault::ThrottledSomehow).on(&ITEMS).sometimes(0.03))
            .rule(
                lost(Loss::ServerError(500), never(), 0.006)
                    .on(&ITEMS)
                    .on(&STREAMS),
            )
            .rule(
                lost(Loss::ServerError(503), never(), 0.006)
                    .on(&ITEMS)
                    .on(&STREAMS),
            )
            .rule(lost(Loss::ServerError(500), before(), 0.004).on(&WRITES))
            .rule(lost(Loss::Gateway(502), before(), 0.002).on(&WRITES))
            .rule(lost(Loss::Gateway(504), later(ANSWERED), 0.001).on(&WRITES))
            .rule(lost(Loss::HangUp, never(), 0.002).on(&ITEMS).on(&STREAMS))
            .rule(lost(Loss::HangUp, before(), 0.002).on(&WRITES))
            .rule(lost(Loss::Silence, before(), 0.002).on(&ITEMS).on(&STREAMS))
            .rule(lost(Loss::Silence, later(SILENT), 0.003).on(&WRITES))
            .rule(Rule::new(Fault::Held(soon)).on(&ITEMS).sometimes(0.03))
            .rule(
                Rule::new(Fault::Unprocessed)
                    .on(&WRITES)
                    .on(&["BatchGetItem"])
                    .sometimes(0.1),
            )
            .rule(
                Rule::new(Fault::Stale(Duration::from_millis(500)))
                    .on(&["Scan"])
                    .sometimes(0.3),
            )
            .rule(Rule::new(Fault::EmptyPage).on(&["GetRecords"]).sometimes(0.1))
            .rule(
                Rule::new(Fault::ExpiredIterator)
                    .on(&["GetRecords"])
                    .sometimes(0.03),
            )
            .rule(Rule::new(Fault::StreamLimit).on(&["GetRecords"]).sometimes(0.03))
            .shards(2)
            .reshard_every(250)
            .listed_at_once(3)
    }

    /// What chance is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// With another rule, which is asked after those before it; the first that strikes decides.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Each stream begins with so many shards.
    pub fn shards(mut self, count: usize) -> Self {
        self.streams.shards = count.max(1);
        self
    }

    /// About so many records after the last time, a shard rolls or splits by itself.
    pub fn reshard_every(mut self, records: u64) -> Self {
        self.streams.reshard_every = Some(records.max(1));
        self
    }

    /// `DescribeStream` gives at most so many shards a page (100, where it is not said).
    pub fn listed_at_once(mut self, shards: usize) -> Self {
        self.streams.listed_at_once = shards.clamp(1, 100);
        self
    }

    /// `GetRecords` gives at most so many records a page (1,000, where it is not said).
    pub fn records_at_once(mut self, records: usize) -> Self {
        self.streams.records_at_once = records.clamp(1, 1000);
        self
    }

    /// `Scan` gives at most so many items a page (1 MB, where it is not said).
    pub fn scanned_at_once(mut self, items: u64) -> Self {
        self.scanned_at_once = Some(items.max(1));
        self
    }

    /// Iterators live so long (15 minutes, where it is not said).
    pub fn iterators_live(mut self, time: Duration) -> Self {
        self.streams.iterators_live = time;
        self
    }
}

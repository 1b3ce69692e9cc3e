//! What a seed decides about a run that needs S3: imports, a ledger, copies of exports, and heals.

use std::time::Duration;

use dynasplit::backfill::OrderChoice;
use dynasplit::state::Order;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{COMPLETED, Cast, Focus};

/// In a run that lasts long, each shard costs requests.
const LONG_SHARDS_MS: (u64, u64) = (4000, 40_000);
/// Of the chances of heals.
const HEAL_CHANCES: u64 = 0x4ea1_0001;
/// Of the chances of ledgers.
const LEDGER_CHANCES: u64 = 0x1ed6e8;
/// Of the chances of exports.
const EXPORT_CHANCES: u64 = 0xe8_9047;
/// An export takes so long, with deaths.
const EXPORTING: Duration = Duration::from_secs(240);
/// Of the chances of imports.
const IMPORT_CHANCES: u64 = 0x1390_2717;

/// A table accepts no writes for long. Workers run for a while after each of these absences, so that the ledger keeps up.
#[derive(Clone, Debug)]
pub struct Outage {
    /// In minutes, one after the other.
    pub absences: Vec<u64>,
    /// Workers run for so many seconds between two of them.
    pub visit_s: u64,
    /// Which of the tables.
    pub table: usize,
    /// It begins while the copy runs.
    pub is_early: bool,
}

impl Cast {
    /// With what a run about S3 needs. What else a seed decides does not depend on it.
    pub fn with_s3(self, seed: u64, focus: Focus) -> Self {
        let of_s3 = [Focus::Imports, Focus::Ledger, Focus::Exports, Focus::Heal];
        let throttles = self.throttles || of_s3.contains(&focus) && seed.is_multiple_of(2);
        let throttled = Self { throttles, ..self };
        throttled.with_parts_of(seed, focus)
    }

    fn with_parts_of(self, seed: u64, focus: Focus) -> Self {
        match focus {
            Focus::Imports => self.with_imports(seed),
            Focus::Ledger => self.with_ledger(seed),
            Focus::Exports => self.with_exports(seed),
            Focus::Heal => self.with_heals(seed),
            _ => self,
        }
    }

    /// An export is copied.
    fn with_exports(mut self, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed ^ EXPORT_CHANCES);
        self.exports = true;
        self.shard_ends_ms = LONG_SHARDS_MS;
        self.backfills = rng.random_range(1..3);
        self.operator = rng.random_bool(0.3);
        self.suspends = rng.random_bool(0.3);
        self.failing_jobs = *[0, 30].choose(rng).expect("some");
        self.job_ms = *[2000, 30_000].choose(rng).expect("some");
        self.is_completed = seed.is_multiple_of(COMPLETED);
        self
    }

    /// A gap is healed from exports.
    fn with_heals(mut self, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed ^ HEAL_CHANCES);
        self.heals = true;
        self.shard_ends_ms = LONG_SHARDS_MS;
        self.away_minutes = Some(rng.random_range(25 * 60..60 * 60));
        self.suspends = rng.random_bool(0.3);
        self.fault_rates.trouble = self.fault_rates.trouble.min(60);
        self.job_ms = *[2000, 30_000].choose(rng).expect("some");
        self.is_completed = true;
        self
    }

    /// How long trouble lasts at most until everything is copied.
    pub fn longest_storm(&self) -> Duration {
        // The export of a time is asked for a minute later, and contains what was written up to a minute after that.
        let waits = if self.exports { EXPORTING } else { Duration::ZERO };
        self.storm[1] + waits
    }

    /// A ledger bridges an outage.
    fn with_ledger(mut self, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed ^ LEDGER_CHANCES);
        self.ledger = true;
        self.tails = rng.random_range(1..3);
        self.suspends = rng.random_bool(0.3);
        // Each shard that ends is an object, which a worker writes that lives long enough.
        self.shard_ends_ms = LONG_SHARDS_MS;
        self.fault_rates.trouble = self.fault_rates.trouble.min(60);
        let orders = [
            OrderChoice::Only(Order::Concurrent),
            OrderChoice::Only(Order::Bulk),
        ];
        self.order = *orders.choose(rng).expect("some");
        let longest = if rng.random_bool(0.15) { 27 * 60 } else { 12 * 60 };
        self.outage = Some(Outage {
            absences: (0..rng.random_range(3..6))
                .map(|_| rng.random_range(7 * 60..longest))
                .collect(),
            visit_s: rng.random_range(30..70),
            table: rng.random_range(0..3),
            is_early: rng.random(),
        });
        self.is_completed = seed.is_multiple_of(COMPLETED);
        self
    }

    /// The tables are left to imports.
    fn with_imports(mut self, seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed ^ IMPORT_CHANCES);
        self.imports = true;
        self.order = OrderChoice::Only(Order::Import);
        self.backfills = rng.random_range(1..3);
        self.operator = rng.random_bool(0.4);
        self.suspends = rng.random_bool(0.4);
        self.failing_jobs = *[0, 25, 60].choose(rng).expect("some");
        self.job_ms = *[2000, 12_000, 30_000].choose(rng).expect("some");
        self.object_bytes = *[Some(1), Some(400), None].choose(rng).expect("some");
        self.is_completed = seed.is_multiple_of(COMPLETED);
        self
    }
}

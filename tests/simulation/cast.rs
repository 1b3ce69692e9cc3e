//! What a seed decides about a run before it begins: who takes part, and what may go wrong.

mod of_s3;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dynasplit::backfill::OrderChoice;
use dynasplit::fault::Rule;
use dynasplit::state::Order;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::engine::Habits;
use crate::network::FaultRates;
use crate::script::Cuts;
use crate::shop::goods::{FencedBy, Layout};
use crate::world::TIMING;
pub use of_s3::Outage;

/// Who takes part in a run, and what may go wrong.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Keys of the source: few, so that histories grow long.
    pub keys: usize,
    pub engine: Habits,
    pub fault_rates: FaultRates,
    /// Supervised workers of `replicate`, and of `backfill`.
    pub tails: u64,
    pub backfills: u64,
    pub consistent: bool,
    pub order: OrderChoice,
    /// Clocks are wrong by up to so many milliseconds.
    pub wrong_ms: i64,
    /// Somebody sets clocks.
    pub sets_clocks: bool,
    pub suspends: bool,
    pub throttles: bool,
    /// Shards split and roll.
    pub shards_end: bool,
    /// So many shards are open at most: each is a read with each poll.
    pub most_shards: usize,
    /// An operator works beside the copy: follows the advice, and does other things.
    pub operator: bool,
    /// This operator does little else than to repair.
    pub repairs: bool,
    /// The first plan lacks a service, which is added later.
    pub grows: bool,
    /// One item in so many belongs to no service; 0: none.
    pub odd: u32,
    /// Items expire.
    pub expires: bool,
    /// Somebody switches the stream off, and on again.
    pub turns_stream: bool,
    /// Everybody is away for so many minutes.
    pub away_minutes: Option<u64>,
    /// Trouble begins after `apply`.
    pub spares_apply: bool,
    /// Trouble begins when a backfill is about to copy.
    pub spares_start: bool,
    /// No command dies or is stopped.
    pub spares_lives: bool,
    /// A lane looks for records so often.
    pub poll: Duration,
    /// Workers spend so little on repeated reading that they behave as in a large fleet, which reads a part of the shards at each look.
    pub shared_milliunits: u32,
    /// Trouble lasts at least and at most so long; between these, until everything is copied.
    pub storm: [Duration; 2],
    /// What is exact in a quiet moment stays so for so long.
    pub stays: Duration,
    /// How often trouble comes, each time until everything must be exact.
    pub acts: u32,
    /// Each writer's pause between two writes.
    pub pause: Duration,
    /// One write in so many has a timestamp that goes backwards.
    pub backwards: u32,
    /// One write in so many is the last one of its key; 0: none.
    pub retires: u32,
    /// While trouble lasts, a shard ends after so many milliseconds, at least and at most.
    pub shard_ends_ms: (u64, u64),
    /// At last, an operator completes the split.
    pub is_completed: bool,
    /// Services that switch before the split is completed.
    pub switches: usize,
    /// Services are cut over with a way back.
    pub cutovers: bool,
    /// Instances of their applications are forgotten, and write the source after the fence, or their table after a rollback.
    pub strays: bool,
    /// A colleague of the operator holds steps.
    pub holds: bool,
    /// The person who stops an application is slow.
    pub slow_person: bool,
    /// What the plan says of the services that are cut over.
    pub layout: Layout,
    /// A change of a resource policy takes effect for each request after so many milliseconds at most.
    pub policy_lag_ms: u64,
    /// While a lane is drained by markers, records are shown up to so much later.
    pub late_ms: u64,
    /// The tables are left to imports.
    pub imports: bool,
    /// So many in a hundred of the jobs of DynamoDB fail while trouble lasts.
    pub failing_jobs: u32,
    /// These jobs last so long at most.
    pub job_ms: u64,
    /// Bytes of an object of an import.
    pub object_bytes: Option<u64>,
    /// The copy is one of an export.
    pub exports: bool,
    /// Gaps are healed from exports.
    pub heals: bool,
    /// A ledger keeps the records.
    pub ledger: bool,
    /// A table accepts no writes for longer than the stream keeps its records.
    pub outage: Option<Outage>,
}

impl Cast {
    /// As a seed has it.
    pub fn drawn(rng: &mut StdRng) -> Self {
        let engine = Habits {
            page_items: rng.random_range(2..8),
            page_records: rng.random_range(3..40),
            shards: rng.random_range(1..4),
            creation_ms: 250,
            policy_rest_ms: 0,
        };
        let orders = [
            OrderChoice::Only(Order::Concurrent),
            OrderChoice::Only(Order::Concurrent),
            OrderChoice::Only(Order::Bulk),
            OrderChoice::Auto,
        ];
        Self {
            keys: KEYS,
            engine,
            fault_rates: FaultRates::drawn(rng),
            tails: rng.random_range(1..3),
            backfills: rng.random_range(1..3),
            consistent: rng.random(),
            order: *orders.choose(rng).expect("some"),
            wrong_ms: *[1, 2_000, 50_000].choose(rng).expect("some"),
            sets_clocks: rng.random_bool(0.3),
            suspends: rng.random_bool(0.5),
            throttles: rng.random_bool(0.4),
            shards_end: true,
            most_shards: 5,
            operator: rng.random_bool(0.6),
            repairs: false,
            grows: rng.random_bool(0.3),
            odd: *[0, 0, 12].choose(rng).expect("some"),
            expires: rng.random_bool(0.3),
            turns_stream: rng.random_bool(0.15),
            away_minutes: rng.random_bool(0.15).then(|| away_minutes(rng)),
            spares_apply: false,
            spares_start: false,
            spares_lives: false,
            poll: TIMING.poll,
            shared_milliunits: TIMING.shared_milliunits,
            storm: [Duration::from_secs(12), Duration::from_secs(60)],
            stays: Duration::from_secs(8),
            acts: if rng.random_bool(0.25) { 2 } else { 1 },
            pause: Duration::from_millis(500),
            backwards: 20,
            retires: 0,
            shard_ends_ms: (500, 9000),
            is_completed: true,
            switches: *[0, 0, 1, 3].choose(rng).expect("some"),
            cutovers: false,
            strays: false,
            holds: false,
            slow_person: false,
            layout: Layout {
                fenced_by: FencedBy::Person,
                has_markers: false,
                has_copies: false,
            },
            policy_lag_ms: 0,
            late_ms: 0,
            imports: false,
            failing_jobs: 0,
            job_ms: 1000,
            object_bytes: None,
            exports: false,
            heals: false,
            ledger: false,
            outage: None,
        }
    }

    /// As in a large fleet, in some runs. What else a seed decides does not depend on it.
    pub fn with_fleet(mut self, seed: u64) -> Self {
        if seed % 3 == 2 {
            self.shared_milliunits = *[200, 1000]
                .choose(&mut StdRng::seed_from_u64(seed ^ CHANCES))
                .expect("some");
        }
        self
    }

    /// With cutovers, in some runs or if the run is about them. What else a seed decides does not depend on it.
    pub fn with_cutovers(mut self, seed: u64, focus: Focus) -> Self {
        let is_one = seed % CUTOVERS == CUTOVERS / 2;
        if focus.moves() || focus == Focus::Everything && is_one {
            self.moved(&mut StdRng::seed_from_u64(seed ^ CHANCES));
        }
        if focus == Focus::Moves {
            self.is_completed = seed.is_multiple_of(COMPLETED);
            self.tails = 1 + seed % 2;
            self.engine.shards = self.engine.shards.min(2);
            self.shard_ends_ms = (2000, 30_000);
        }
        self
    }

    /// With what a rule needs to matter, and little else.
    pub fn without(mut self, rule: Option<Rule>) -> Self {
        let Some(rule) = rule else { return self };
        self.layout = Layout {
            fenced_by: FencedBy::Person,
            has_markers: matches!(rule, Rule::Canary | Rule::MarkersIgnored),
            has_copies: matches!(rule, Rule::CopiesStay | Rule::CopiesRepaired),
        };
        self.holds = matches!(rule, Rule::HoldKept | Rule::HoldBounded);
        self.slow_person = matches!(rule, Rule::FenceProven | Rule::Drain);
        if rule == Rule::FenceProven {
            // A drain by a clock that is ahead waits until the slowest writer has stopped.
            self.wrong_ms = 1;
            self.sets_clocks = false;
        }
        if rule == Rule::Canary {
            self.late_ms = LATE_FOR_A_DRAIN;
        }
        self
    }

    /// A small run with what makes a fault show soon if a rule of the copy is left out. A product that keeps the rule must end exact.
    pub fn sharpened(mut self, rule: Rule) -> Self {
        match rule {
            // Workers notice a switch some seconds late.
            Rule::AcknowledgedOn
            | Rule::AcknowledgedOff
            | Rule::BulkAcknowledged
            | Rule::BulkHolds
            | Rule::CloseAcknowledged
            | Rule::ReopenAcknowledged => {
                self.spares_lives = self.spares_start;
                self.shared_milliunits = FEW_READS;
            }
            // Every item is in a page that is read at once, and is old.
            Rule::Settled | Rule::BulkSettled => {
                self.spares_lives = true;
                self.engine.page_items = WHOLE_PAGE;
                self.consistent = false;
                // Nothing takes so long that old reads settle meanwhile.
                self.fault_rates = FaultRates {
                    stale_ms: MOST_STALE_MS,
                    ..FaultRates::NONE
                };
            }
            // Every item is on its way when the copy ends, which the rest of the end does not outlast.
            Rule::BackfillGuard
            | Rule::BackfillTies
            | Rule::PagesLand
            | Rule::DeadUnsettled
            | Rule::UnansweredUnsettled
            | Rule::BulkLands => {
                self.engine.page_items = WHOLE_PAGE;
                // Another process goes on with what a dead one has sent.
                let dies = matches!(rule, Rule::DeadUnsettled | Rule::PagesLand);
                self.spares_lives = !dies;
                self.backfills = if dies { 2 } else { 1 };
                if !matches!(rule, Rule::BackfillGuard | Rule::BackfillTies) {
                    self.fault_rates = SLOW_PAGES;
                    self.pause = OFTEN;
                }
            }
            // The applications write a lot when the copy ends, and only writes of the tail, or of the sweep, are slow.
            Rule::Inside | Rule::SweepConditional => {
                self.spares_lives = true;
                self.engine.page_items = WHOLE_PAGE;
                self.pause = OFTEN;
                self.retires = 40;
                self.fault_rates = if rule == Rule::Inside {
                    SLOW_TAIL
                } else {
                    SLOW_PAGES
                };
            }
            // The tail reads several records of a key at once, while pages are on their way.
            Rule::HighestVersion => {
                self.spares_lives = true;
                self.engine.page_items = WHOLE_PAGE;
                self.poll = Duration::from_millis(1500);
                self.pause = OFTEN;
                self.fault_rates = SLOW_PAGES;
            }
            // A write is tried for long after its record was read.
            Rule::CheckpointLast => {
                self.throttles = true;
                self.fault_rates.trouble = self.fault_rates.trouble.max(120);
            }
            // Timestamps often go backwards.
            Rule::Listed | Rule::ListedFirst | Rule::Rechecked | Rule::RecheckedByLast | Rule::Suspects => {
                self.spares_lives = rule != Rule::ListedFirst;
                self.engine.page_items = WHOLE_PAGE;
                self.backwards = 2;
            }
            _ => {}
        }
        self
    }

    /// Services move, and nothing happens that refuses every cutover.
    fn moved(&mut self, rng: &mut StdRng) {
        self.cutovers = true;
        self.strays = rng.random();
        self.layout = Layout {
            fenced_by: *[FencedBy::Person, FencedBy::Policy].choose(rng).expect("some"),
            has_markers: rng.random(),
            has_copies: rng.random_bool(0.4),
        };
        self.policy_lag_ms = *[0, 1500, 8000, 30_000].choose(rng).expect("some");
        self.engine.policy_rest_ms = *[0, 15_000].choose(rng).expect("some");
        self.late_ms = *[700, 4000, 12_000].choose(rng).expect("some");
        self.holds = rng.random_bool(0.4);
        // What is written while the stream shows nothing yet, no proof of a fence sees.
        self.slow_person = rng.random_bool(0.4) && !self.layout.has_markers;
        self.order = OrderChoice::Only(Order::Concurrent);
        self.odd = 0;
        self.expires = false;
        self.turns_stream = false;
        self.away_minutes = None;
        self.acts = 1;
        self.switches = 0;
        self.operator = true;
        self.is_completed = true;
    }
}

/// Keys of an ordinary run, and of a small one.
pub const KEYS: usize = 42;
const SMALL_KEYS: usize = 21;

impl Cast {
    /// The least that can go wrong in the same ways: a few keys that everybody writes, one or two processes of each kind, and
    /// trouble that ends as soon as everything is copied.
    pub fn small(mut self, focus: Focus) -> Self {
        self.keys = SMALL_KEYS;
        self.retires = 12;
        self.engine.page_items = self.engine.page_items.min(3);
        self.engine.shards = self.engine.shards.min(2);
        self.most_shards = 2;
        self.pause = Duration::from_millis(250);
        self.spares_apply = true;
        self.spares_start = matches!(focus, Focus::Copy | Focus::Bulk);
        self.poll = Duration::from_millis(300);
        if self.exports || self.heals || self.ledger {
            // An export takes minutes, and an outage has many visits.
            self.poll = Duration::from_millis(1000);
            self.pause = Duration::from_millis(600);
        }
        self.fault_rates.slow_writes = true;
        self.storm = [Duration::from_secs(2), Duration::from_secs(45)];
        self.stays = Duration::from_secs(4);
        self.tails = 1;
        self.backfills = 1;
        // A gap is healed by who follows the advice.
        self.is_completed = self.heals;
        self.acts = 1;
        self
    }
}

/// Thousandths of read units a second with which a worker looks at the switch every five seconds.
const FEW_READS: u32 = 200;
/// The pause of a writer that writes a lot.
const OFTEN: Duration = Duration::from_millis(100);
/// Nothing goes wrong but that pages, and what a sweep removes, take long, and that the answer to some is too late.
const SLOW_PAGES: FaultRates = FaultRates {
    slow_pages: true,
    ..FaultRates::NONE
};
/// Nothing goes wrong but that writes of the tail take long.
const SLOW_TAIL: FaultRates = FaultRates {
    slow_writes: true,
    ..FaultRates::NONE
};
/// A page of so many items has all that a small run has.
const WHOLE_PAGE: usize = 25;
/// Eventually consistent reads settle within [`TIMING`]'s time.
const MOST_STALE_MS: u64 = 1500;

/// One run in so many has cutovers: they are long.
const CUTOVERS: u64 = 8;
/// A record that is shown so late is not there when a drain by quiet ends.
const LATE_FOR_A_DRAIN: u64 = 30_000;
/// One of so many short runs with cutovers comes to the end of the split.
const COMPLETED: u64 = 4;
/// Of the chances of cutovers.
const CHANCES: u64 = 0xC0_7042;

/// What a run is mostly about. A rule of the protocol matters in some situations only, and a run without that rule is about
/// these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    Everything,
    /// A copy beside the lanes, with nobody who repairs.
    Copy,
    /// Shards that end all the time.
    Shards,
    /// The bulk order.
    Bulk,
    /// An operator who repairs all the time.
    Repairs,
    /// A service that is added.
    Growth,
    /// An absence of about as long as the stream keeps records.
    Absence,
    /// Processes that are suspended.
    Suspension,
    /// Cutovers, rollbacks and forgotten writers.
    Cutovers,
    /// The same in short runs, most of which do not come to the end of the split.
    Moves,
    /// The import order.
    Imports,
    /// A ledger that bridges an outage.
    Ledger,
    /// A copy of an export.
    Exports,
    /// A gap that is healed from exports.
    Heal,
}

impl Focus {
    /// Whether services are cut over in every run.
    fn moves(self) -> bool {
        matches!(self, Self::Cutovers | Self::Moves)
    }
}

impl Focus {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Everything,
        Self::Copy,
        Self::Shards,
        Self::Bulk,
        Self::Repairs,
        Self::Growth,
        Self::Absence,
        Self::Suspension,
        Self::Cutovers,
        Self::Moves,
        Self::Imports,
        Self::Ledger,
        Self::Exports,
        Self::Heal,
    ];
    /// Of these, runs are short: they end with a quiet moment, and not with the end of the split.
    pub const SHORT: [Self; 4] = [Self::Copy, Self::Shards, Self::Bulk, Self::Suspension];
    /// Of these, many small runs are made: they end with their first quiet moment.
    pub const SMALL: [Self; 5] = [
        Self::Everything,
        Self::Copy,
        Self::Shards,
        Self::Bulk,
        Self::Suspension,
    ];
}

impl fmt::Display for Focus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Focus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|focus| focus.to_string() == text);
        found.ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("no run is about '{text}': {}", known.join(", "))
        })
    }
}

impl Cast {
    /// With what a run is mostly about, and little else.
    pub fn on(mut self, focus: Focus) -> Self {
        if focus == Focus::Everything || focus.moves() {
            return self;
        }
        self.order = OrderChoice::Only(Order::Concurrent);
        self.operator = false;
        self.grows = false;
        self.odd = 0;
        self.expires = false;
        self.turns_stream = false;
        self.throttles = false;
        self.suspends = false;
        self.acts = 1;
        self.switches = 0;
        let away_minutes = self.away_minutes.take();
        self.fault_rates.slow = 100;
        self.fault_rates.trouble = self.fault_rates.trouble.max(60);
        self.fault_rates.stale_ms = 1500;
        self.fault_rates.slow_pages = true;
        self.engine.page_items = self.engine.page_items.min(3);
        self.pause = Duration::from_millis(150);
        self.backwards = 6;
        self.is_completed = matches!(focus, Focus::Repairs | Focus::Growth);
        match focus {
            Focus::Everything
            | Focus::Cutovers
            | Focus::Moves
            | Focus::Copy
            | Focus::Imports
            | Focus::Ledger
            | Focus::Exports
            | Focus::Heal => {}
            Focus::Shards => {
                self.tails = 2;
                self.shard_ends_ms = (300, 3000);
            }
            Focus::Bulk => self.order = OrderChoice::Only(Order::Bulk),
            Focus::Repairs => {
                self.operator = true;
                self.repairs = true;
                self.odd = 12;
                self.backfills = 1;
            }
            Focus::Growth => {
                self.operator = true;
                self.grows = true;
                self.tails = 2;
            }
            Focus::Absence => {
                self.away_minutes = Some(away_minutes.unwrap_or(25 * 60));
                self.fault_rates.trouble = 5;
            }
            Focus::Suspension => {
                self.suspends = true;
                self.tails = 2;
            }
        }
        self
    }
}

/// Something that a run can be without.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    Operator,
    Suspension,
    Throttling,
    Shards,
    Expiry,
    StreamTurns,
    Absence,
    OddItems,
    Growth,
    SecondAct,
    Switches,
    Strays,
    Policies,
    Markers,
    Copies,
    Holds,
    SlowPerson,
}

impl Part {
    pub const ALL: [Self; 17] = [
        Self::Operator,
        Self::Absence,
        Self::SecondAct,
        Self::StreamTurns,
        Self::Growth,
        Self::Suspension,
        Self::Throttling,
        Self::Shards,
        Self::Expiry,
        Self::OddItems,
        Self::Switches,
        Self::Strays,
        Self::Policies,
        Self::Markers,
        Self::Copies,
        Self::Holds,
        Self::SlowPerson,
    ];
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|part| part.to_string() == text)
            .ok_or(())
    }
}

impl Cast {
    /// What is left of it after cuts.
    pub fn cut(mut self, cuts: &Cuts) -> Self {
        let crew = cuts.crew.unwrap_or(u64::MAX);
        self.tails = self.tails.min(crew);
        self.backfills = self.backfills.min(crew);
        if cuts.right_clocks {
            self.wrong_ms = 0;
        }
        for part in &cuts.parts {
            match part {
                Part::Operator => self.operator = false,
                Part::Suspension => self.suspends = false,
                Part::Throttling => self.throttles = false,
                Part::Shards => self.shards_end = false,
                Part::Expiry => self.expires = false,
                Part::StreamTurns => self.turns_stream = false,
                Part::Absence => (self.away_minutes, self.outage) = (None, None),
                Part::OddItems => self.odd = 0,
                Part::Growth => self.grows = false,
                Part::SecondAct => self.acts = 1,
                Part::Switches => self.switches = 0,
                Part::Strays => self.strays = false,
                Part::Policies => self.layout.fenced_by = FencedBy::Person,
                Part::Markers => self.layout.has_markers = false,
                Part::Copies => self.layout.has_copies = false,
                Part::Holds => self.holds = false,
                Part::SlowPerson => self.slow_person = false,
            }
        }
        self
    }
}

/// Most of the time about as long as the stream keeps its records.
fn away_minutes(rng: &mut StdRng) -> u64 {
    match rng.random_range(0..3) {
        0 => rng.random_range(1..23 * 60),
        1 => rng.random_range(23 * 60 + 40..24 * 60 + 20),
        _ => rng.random_range(25 * 60..40 * 60),
    }
}

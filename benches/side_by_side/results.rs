//! What was measured: every run, and the medians that the report shows.

use crate::contender::{Contender, Copy};
use crate::forecast::ForecastCheck;
use crate::shape::Shapings;
use crate::stage::Engine;
use crate::tail::{CatchUp, Lag};
use crate::verify::Verified;
use crate::workers::Shared;

/// Copies of one kind.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where.
    pub engine: Engine,
    /// Items of the source.
    pub items: u64,
    /// Services that share them.
    pub services: u64,
    /// By whom.
    pub contender: Contender,
    /// Each run.
    pub copies: Vec<Copy>,
}

/// All that was measured.
#[derive(Debug, Default)]
pub struct Results {
    /// Copies of one source to one target, or to several.
    pub cases: Vec<Case>,
    /// Verifies, by the engine and the items.
    pub verified: Vec<(Engine, Vec<Verified>)>,
    /// Backlogs: whether targets were null, and each run.
    pub caught_up: Vec<(bool, Vec<CatchUp>)>,
    /// Steady loads.
    pub lags: Vec<Lag>,
    /// Copies by several processes.
    pub shared: Vec<Shared>,
    /// A forecast, and what came of it.
    pub forecast: Option<ForecastCheck>,
    /// Shapings of an export.
    pub shaped: Option<Shapings>,
    /// Copies that failed: whose, where, and how.
    pub failed: Vec<(Contender, String, String)>,
    /// Whether the binary has another order of the backfill.
    pub has_bulk: bool,
}

/// The middle of some figures; of an even number of them, the mean of the two in the middle.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[allow(clippy::cast_precision_loss)] // counts of a benchmark
impl Case {
    fn each(&self, figure: impl Fn(&Copy) -> f64) -> f64 {
        median(self.copies.iter().map(figure))
    }

    fn per_item(&self, figure: impl Fn(&Copy) -> u64) -> f64 {
        self.each(|copy| figure(copy) as f64) / self.items as f64
    }

    /// Items a second, from the first page read to the last item written.
    pub fn items_per_second(&self) -> f64 {
        self.each(|copy| self.items as f64 / copy.copy_seconds)
    }

    /// CPU seconds for a million items: start, end and all waits included.
    pub fn cpu_per_million(&self) -> f64 {
        self.each(|copy| copy.used.cpu_seconds) * 1e6 / self.items as f64
    }

    /// CPU seconds of `replicate` beside it, in all.
    pub fn cpu_beside(&self) -> f64 {
        self.each(|copy| copy.beside.cpu_seconds)
    }

    /// Peak memory in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.each(|copy| copy.used.peak_bytes as f64) / f64::from(1 << 20)
    }

    /// From start to end of the process.
    pub fn wall_seconds(&self) -> f64 {
        self.each(|copy| copy.used.wall_seconds)
    }

    /// Reads of the source and writes of targets, for 1,000 items.
    pub fn requests_per_thousand(&self) -> f64 {
        self.per_item(|copy| copy.requests) * 1000.0
    }

    /// All other requests, in all.
    pub fn other_requests(&self) -> f64 {
        self.each(|copy| copy.other_requests as f64)
    }

    /// Read units of the source, for an item.
    pub fn source_reads(&self) -> f64 {
        self.per_item(|copy| copy.source_read_milliunits) / 1000.0
    }

    /// Other read units, for an item: the sweep, state.
    pub fn other_reads(&self) -> f64 {
        self.per_item(|copy| copy.other_read_milliunits) / 1000.0
    }

    /// Write units of targets, for an item.
    pub fn target_writes(&self) -> f64 {
        self.per_item(|copy| copy.target_write_milliunits) / 1000.0
    }

    /// Other write units, in all: state.
    pub fn other_writes(&self) -> f64 {
        self.each(|copy| copy.other_write_milliunits as f64) / 1000.0
    }

    /// Write units of targets beyond the least that there can be, in the worst run, in thousandths.
    pub fn excess_milliunits(&self) -> u64 {
        let least = self.items * crate::size::write_milliunits(crate::items::ITEM_BYTES);
        let excess = |copy: &Copy| copy.target_write_milliunits.abs_diff(least);
        self.copies.iter().map(excess).max().unwrap_or(0)
    }
}

impl Results {
    /// Whether the product, or the floor under it, failed somewhere.
    pub fn has_own_failure(&self) -> bool {
        self.failed.iter().any(|(contender, ..)| contender.is_own())
    }

    /// One case.
    pub fn find(&self, engine: Engine, items: u64, services: u64, contender: Contender) -> Option<&Case> {
        self.cases.iter().find(|case| {
            case.engine == engine
                && case.items == items
                && case.services == services
                && case.contender == contender
        })
    }

    /// The cases of one comparison, in the order in which they ran.
    pub fn side_by_side(&self, engine: Engine, items: u64) -> Vec<&Case> {
        let is_one = |case: &&Case| case.engine == engine && case.items == items && case.services == 1;
        self.cases.iter().filter(is_one).collect()
    }

    /// How many items were copied on an engine, smallest first.
    pub fn sizes(&self, engine: Engine) -> Vec<u64> {
        let of_engine = self.cases.iter().filter(|case| case.engine == engine);
        let mut sizes: Vec<u64> = of_engine.map(|case| case.items).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

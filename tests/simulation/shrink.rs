//! The least of a failing run that still fails: the run is repeated with fewer items, faults, deaths and workers.

use std::collections::BTreeSet;

use crate::cast::Part;
use crate::check::Wrong;
use crate::network::Trace;
use crate::script::{Cuts, Script};
use crate::world::{Outcome, run};

/// Runs that are made at most before a failing seed is told.
pub const MOST_RUNS: u32 = 80;
/// Lengths of the trouble that are tried, in seconds.
const STORMS_S: [u64; 4] = [6, 12, 20, 35];

/// A search for the least that fails.
struct Search {
    script: Script,
    outcome: Outcome,
    runs: u32,
    most_runs: u32,
}

/// What was found.
pub struct Shrunk {
    pub script: Script,
    pub runs: u32,
}

/// Reduces a run that failed. Every reduction that still fails in the same way is kept.
pub fn shrink(script: Script, outcome: Outcome, most_runs: u32) -> Shrunk {
    let mut search = Search {
        script,
        outcome,
        runs: 0,
        most_runs,
    };
    search.items();
    for seconds in STORMS_S {
        if search.fails_with(|cuts| cuts.storm_s = Some(seconds)) {
            break;
        }
    }
    search.fails_with(|cuts| cuts.right_clocks = true);
    for part in Part::ALL {
        search.fails_with(|cuts| {
            cuts.parts.insert(part);
        });
    }
    search.fails_with(|cuts| cuts.crew = Some(1));
    search.least(
        |outcome| outcome.dead.clone(),
        |cuts, kept| cuts.deaths = Some(kept),
    );
    search.least(
        |outcome| outcome.trouble.clone(),
        |cuts, kept| cuts.trouble = Some(kept),
    );
    Shrunk {
        script: search.script,
        runs: search.runs,
    }
}

impl Search {
    /// Whether the run still fails with one more cut, which is kept then.
    fn fails_with(&mut self, cut: impl FnOnce(&mut Cuts)) -> bool {
        let mut script = self.script.clone();
        cut(&mut script.cuts);
        if self.runs == self.most_runs || script == self.script {
            return false;
        }
        self.runs += 1;
        let outcome = run(&script, Trace::default());
        let fails = match (&self.outcome.wrong, &outcome.wrong) {
            (Some(before), Some(now)) => before.is_like(now),
            _ => false,
        };
        if fails {
            self.script = script;
            self.outcome = outcome;
        }
        fails
    }

    /// Only the item that is wrong; or half of the items with it, and half of those, as long as that fails.
    fn items(&mut self) {
        let mut kept = BTreeSet::from_iter(0..crate::cast::KEYS);
        while let Some(wrong) = self.outcome.wrong.as_ref().and_then(Wrong::item_number) {
            let half = |parity: usize| -> BTreeSet<usize> {
                let places = kept.iter().enumerate();
                let halved = places.filter(|(place, item)| **item == wrong || place % 2 == parity);
                halved.map(|(_, item)| *item).collect()
            };
            let fewer = [BTreeSet::from([wrong]), half(0), half(1)];
            let fewer = fewer.into_iter().filter(|fewer| fewer.len() < kept.len());
            let found = fewer
                .into_iter()
                .find(|fewer| self.fails_with(|cuts| cuts.items = Some(fewer.clone())));
            match found {
                Some(fewer) => kept = fewer,
                None => return,
            }
        }
    }

    /// The smallest part of a set that still fails, by leaving out ever smaller parts.
    fn least<T: Ord + Clone>(
        &mut self,
        of: impl Fn(&Outcome) -> BTreeSet<T>,
        keep: impl Fn(&mut Cuts, BTreeSet<T>),
    ) {
        if self.fails_with(|cuts| keep(cuts, BTreeSet::new())) {
            return;
        }
        let mut parts = 2;
        loop {
            let all: Vec<T> = of(&self.outcome).into_iter().collect();
            let size = all.len().div_ceil(parts).max(1);
            let without = |part: usize| {
                let places = all.iter().enumerate();
                places
                    .filter(|(place, _)| place / size != part)
                    .map(|(_, value)| value.clone())
                    .collect::<BTreeSet<T>>()
            };
            let count = all.len().div_ceil(size);
            if (0..count).any(|part| self.fails_with(|cuts| keep(cuts, without(part)))) {
                parts = parts.saturating_sub(1).max(2);
            } else if size == 1 {
                return;
            } else {
                parts *= 2;
            }
        }
    }
}

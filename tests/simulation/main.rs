//! The product's own workers in one thread, in simulated time, over a simulated network: see [`world`].
//!
//! - [`engine`]: DynamoDB in memory, as deterministic as a function.
//! - [`network`]: the SDK's HTTP client, on which requests are late, lost, repeated, throttled and refused.
//! - [`worker`]: the product's commands as library calls. [`world`]: a run of them all. [`check`]: what must hold.
//! - [`script`]: what a run is made of. [`shrink`]: the least of a failing run that fails. [`story`]: what happened in it.
//! - [`rules`]: a rule of the protocol that is left out is noticed.
//!
//! `cargo test --test simulation` runs some seeds in each mode. `DYNASPLIT_SEED=7` runs one seed only,
//! `DYNASPLIT_SIMULATION_RUNS=1000` runs more of them, as does `DYNASPLIT_EFFORT`, and `DYNASPLIT_WITHOUT=TailTies`
//! leaves a rule out.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod engine;
mod network;
mod rules;
mod script;
mod shrink;
mod story;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use dynasplit::fault::Rule;
use network::Trace;
use script::{CUTS, Cuts, SEED, Script, WITHOUT};
use shrink::MOST_RUNS;
use support::effort::effort;
use support::trial::Mode;
use world::run;

/// Runs in each mode, unless told, times the effort.
const RUNS: u64 = 25;

fn seeds() -> Range<u64> {
    let number = |name: &str| -> Option<u64> {
        let given = std::env::var(name).ok()?;
        Some(given.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    match number(SEED) {
        Some(seed) => seed..seed + number("DYNASPLIT_SIMULATION_RUNS").unwrap_or(1),
        None => 1..1 + number("DYNASPLIT_SIMULATION_RUNS").unwrap_or(RUNS * effort()),
    }
}

/// A seed's run, with what the environment leaves out of it.
fn script(seed: u64, mode: Mode) -> Script {
    let told = |name: &str| std::env::var(name).ok();
    let rule = |text: String| {
        let found = Rule::ALL.iter().find(|rule| format!("{rule:?}") == text);
        *found.unwrap_or_else(|| panic!("{WITHOUT}: there is no rule {text}"))
    };
    let cuts = |text: String| -> Cuts { text.parse().unwrap_or_else(|error| panic!("{CUTS}: {error}")) };
    Script {
        without: told(WITHOUT).map(rule),
        cuts: told(CUTS).map(cuts).unwrap_or_default(),
        ..Script::new(seed, mode)
    }
}

/// Runs seeds, and tells of the first that fails, with the command that repeats it.
fn runs(mode: Mode) {
    let began = Instant::now();
    let (mut fates, mut ends) = (BTreeMap::new(), BTreeMap::new());
    let (mut simulated, mut writes, mut requests) = (Duration::ZERO, 0, 0);
    let seeds = seeds();
    for seed in seeds.clone() {
        let script = script(seed, mode);
        let outcome = run(&script, Trace::default());
        if outcome.wrong.is_some() {
            panic!("{}", story::told(&script, outcome, MOST_RUNS));
        }
        for (fate, count) in outcome.fates {
            *fates.entry(fate).or_insert(0) += count;
            requests += count;
        }
        for (end, count) in outcome.ends {
            *ends.entry(end).or_insert(0) += count;
        }
        simulated += outcome.simulated;
        writes += outcome.writes.total();
    }
    eprintln!(
        "{mode:?}, seeds {seeds:?}: {} s simulated in {:.1} s, {writes} writes of the source, {requests} requests\n\
         {fates:?}\n{ends:#?}",
        simulated.as_secs(),
        began.elapsed().as_secs_f64()
    );
}

#[test]
fn in_timestamp_mode_every_run_ends_exact() {
    runs(Mode::Timestamp);
}

#[test]
fn in_sequence_mode_every_run_ends_exact() {
    runs(Mode::Sequence);
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    for (seed, mode) in [(1001, Mode::Timestamp), (1002, Mode::Sequence)] {
        let [one, two] = [0, 1].map(|_| run(&Script::new(seed, mode), Trace::kept()).trace);
        let (one, two) = (one.into_lines(), two.into_lines());
        assert!(one.len() > 1000, "{} lines", one.len());
        for (place, (one, two)) in one.iter().zip(&two).enumerate() {
            assert!(one == two, "line {place} of seed {seed}:\n{one}\n{two}");
        }
        assert_eq!(one.len(), two.len());
    }
}

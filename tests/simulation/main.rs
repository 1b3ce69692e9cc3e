//! The product's own workers in one thread, in simulated time, over a simulated network: see [`world`].
//!
//! - [`engine`]: DynamoDB in memory, as deterministic as a function.
//! - [`network`]: the SDK's HTTP client, on which requests are late, lost, repeated, throttled and refused.
//! - [`worker`]: the product's commands as library calls. [`world`]: a run of them all. [`check`]: what must hold.
//!
//! `cargo test --test simulation` runs some seeds in each mode. `DYNASPLIT_SEED=7` runs one seed only, and
//! `DYNASPLIT_SIMULATION_RUNS=1000` runs more of them, as does `DYNASPLIT_EFFORT`.

#[path = "../support/mod.rs"]
mod support;

mod check;
mod engine;
mod network;
mod worker;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use network::Trace;
use support::effort::effort;
use support::trial::Mode;
use world::{Outcome, run};

/// Runs in each mode, unless told, times the effort.
const RUNS: u64 = 25;

fn seeds() -> Range<u64> {
    let number = |name: &str| -> Option<u64> {
        let given = std::env::var(name).ok()?;
        Some(given.parse().unwrap_or_else(|_| panic!("{name} is a number")))
    };
    match number("DYNASPLIT_SEED") {
        Some(seed) => seed..seed + number("DYNASPLIT_SIMULATION_RUNS").unwrap_or(1),
        None => 1..1 + number("DYNASPLIT_SIMULATION_RUNS").unwrap_or(RUNS * effort()),
    }
}

/// Runs seeds, and tells of the first that fails, with the command that repeats it.
fn runs(mode: Mode, name: &str) {
    let began = Instant::now();
    let (mut fates, mut ends) = (BTreeMap::new(), BTreeMap::new());
    let (mut simulated, mut writes, mut requests) = (Duration::ZERO, 0, 0);
    let seeds = seeds();
    for seed in seeds.clone() {
        let outcome = run(seed, mode, Trace::default());
        if let Some(wrong) = &outcome.wrong {
            panic!("{}", story(seed, mode, name, wrong));
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

/// What went wrong, with the complete trace of a second run in a file.
fn story(seed: u64, mode: Mode, name: &str, wrong: &str) -> String {
    let again: Outcome = run(seed, mode, Trace::kept());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("simulation-{mode:?}-{seed}.txt"));
    let mut text = String::new();
    for line in again.trace.into_lines() {
        writeln!(text, "{line}").expect("a string takes text");
    }
    std::fs::write(&path, text).expect("the trace is written");
    format!(
        "seed {seed} in {mode:?} mode: {wrong}\nThe complete trace is in {}. Repeat it with\n    \
         DYNASPLIT_SEED={seed} cargo test --test simulation {name}",
        path.display()
    )
}

#[test]
fn in_timestamp_mode_every_run_ends_exact() {
    runs(Mode::Timestamp, "in_timestamp_mode");
}

#[test]
fn in_sequence_mode_every_run_ends_exact() {
    runs(Mode::Sequence, "in_sequence_mode");
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    for (seed, mode) in [(1001, Mode::Timestamp), (1002, Mode::Sequence)] {
        let [one, two] = [0, 1].map(|_| run(seed, mode, Trace::kept()).trace);
        let (one, two) = (one.into_lines(), two.into_lines());
        assert!(one.len() > 1000, "{} lines", one.len());
        for (place, (one, two)) in one.iter().zip(&two).enumerate() {
            assert!(one == two, "line {place} of seed {seed}:\n{one}\n{two}");
        }
        assert_eq!(one.len(), two.len());
    }
}

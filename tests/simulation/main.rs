//! The product's own commands in one thread, in simulated time, over a simulated network: see [`world`].
//!
//! - [`engine`]: DynamoDB in memory, as deterministic as a function.
//! - [`network`]: the SDK's HTTP client, on which requests are late, lost, repeated, throttled and refused.
//! - [`script`]: which run is made. [`cast`]: what a seed decides before it begins. [`world`]: a run. [`events`]: what
//!   happens by itself.
//! - [`worker`]: the product's commands as library calls, some of them [`beside`] the others. [`life`]: one life of one. [`crew`]: those that a supervisor
//!   starts again. [`operator`]: who follows the tool's [`advice`], and does other things. [`mover`]: what it does with services that
//!   are cut over. [`colleague`]: who holds steps of cutovers.
//! - [`writers`]: who writes the source. [`shop`]: the applications of a run with cutovers, and the person who stops and moves them.
//! - [`check`], [`history`] and [`quiet`]: what must hold. [`finds`]: what runs found. [`tally`]: how often what happened.
//! - [`shrink`]: the least of a failing run that fails. [`story`]: what happened in it.
//! - [`rules`]: a rule of the protocol that is left out is noticed.
//!
//! `cargo test --test simulation` runs some seeds in each mode. `DYNASPLIT_SEED=7` runs one seed only,
//! `DYNASPLIT_SIMULATION_RUNS=1000` runs more of them, as does `DYNASPLIT_EFFORT`. `DYNASPLIT_FOCUS=cutovers`
//! makes only runs with cutovers, and `DYNASPLIT_WITHOUT=TailTies` leaves a rule out.

#![recursion_limit = "256"]

#[path = "../support/mod.rs"]
mod support;

mod advice;
mod beside;
mod cast;
mod check;
mod colleague;
mod crew;
mod days;
mod engine;
mod events;
mod finds;
mod fleet;
mod history;
mod life;
mod mover;
mod network;
mod operator;
mod quiet;
mod rules;
mod script;
mod shop;
mod shrink;
mod story;
mod tally;
mod worker;
mod world;
mod writers;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cast::Focus;
use dynasplit::fault::Rule;
use network::Trace;
use script::{CUTS, Cuts, FOCUS, SEED, SMALL, Script, WITHOUT};
use shrink::MOST_RUNS;
use support::effort::effort;
use support::trial::Mode;
use tally::Tally;
use world::{Outcome, run};

/// Whole runs in each mode, unless told, times the effort.
const WHOLE: u64 = 4;
/// Short runs of each kind beside them.
const SHORT: u64 = 4;
/// At the usual effort, so many small runs of each kind are made in each mode, and a whole run with cutovers.
const USUAL_SMALL: u64 = 6;
const WITH_CUTOVERS: u64 = 4;
/// A whole run without cutovers.
const ORDINARY: u64 = 3;
/// A small run with a ledger, of the shorter ones.
const WITH_A_LEDGER: u64 = 4;
/// At the usual effort, trouble lasts for so many seconds.
const SHORT_STORM_S: u64 = 15;
/// How many whole runs are made in each mode.
const RUNS: &str = "DYNASPLIT_SIMULATION_RUNS";

/// Keeps the trace of each run, and not only of one that fails.
const TRACE: &str = "DYNASPLIT_TRACE";

/// How many runs of less are made of a run that fails.
const SHRINKS: &str = "DYNASPLIT_SIMULATION_SHRINKS";

fn number(name: &str) -> Option<u64> {
    let given = std::env::var(name).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The runs of a mode: whole ones, and many short ones. The environment may name a seed, or what they are about.
fn scripts(mode: Mode) -> Vec<Script> {
    let runs = number(RUNS);
    let some = |seeds: Range<u64>, about: Option<Focus>| seeds.map(move |seed| script(seed, mode, about));
    if let Some(seed) = number(SEED) {
        return some(seed..seed + runs.unwrap_or(1), None).collect();
    }
    if std::env::var_os(FOCUS).is_some() {
        return some(1..1 + runs.unwrap_or(SHORT * effort()), None).collect();
    }
    if runs.is_none() && effort() == 1 {
        // The longest come first. What S3 is for has longer runs; the import order is in the test that runs a seed twice.
        let long = match mode {
            Mode::Timestamp => script(WITH_CUTOVERS, mode, None),
            Mode::Sequence => script(WITH_A_LEDGER, mode, Some(Focus::Ledger)).small(),
        };
        let small = Focus::SMALL.map(|about| some(1..1 + USUAL_SMALL, Some(about)));
        let small = small.into_iter().flatten().map(Script::small);
        let mut all: Vec<Script> = std::iter::once(long).chain(small).collect();
        for script in &mut all {
            script.cuts.storm_s = script.cuts.storm_s.or(Some(SHORT_STORM_S));
        }
        return all;
    }
    let rounds = runs.unwrap_or(WHOLE * effort());
    let short = Focus::SHORT.map(|about| some(1..1 + rounds * SHORT / WHOLE, Some(about)));
    some(1..1 + rounds, None)
        .chain(short.into_iter().flatten())
        .collect()
}

/// A seed's run, with what the environment leaves out of it.
fn script(seed: u64, mode: Mode, focus: Option<Focus>) -> Script {
    let told = |name: &str| std::env::var(name).ok();
    let rule = |text: String| {
        let found = Rule::ALL.iter().find(|rule| format!("{rule:?}") == text);
        *found.unwrap_or_else(|| panic!("{WITHOUT}: there is no rule {text}"))
    };
    let cuts = |text: String| -> Cuts { text.parse().unwrap_or_else(|error| panic!("{CUTS}: {error}")) };
    let about = |text: String| -> Focus { text.parse().unwrap_or_else(|error| panic!("{FOCUS}: {error}")) };
    Script {
        without: told(WITHOUT).map(rule),
        about: told(FOCUS).map(about).or(focus),
        is_small: std::env::var_os(SMALL).is_some(),
        cuts: told(CUTS).map(cuts).unwrap_or_default(),
        ..Script::new(seed, mode)
    }
}

/// What runs came to.
#[derive(Default)]
struct Sum {
    faults: Tally,
    ends: Tally,
    simulated: Duration,
    writes: u64,
    requests: u64,
    /// The first run that failed.
    failed: Option<(Script, Outcome)>,
}

impl Sum {
    fn add(&mut self, script: Script, outcome: Outcome) {
        self.simulated += outcome.simulated;
        self.writes += outcome.writes;
        self.requests += outcome.requests;
        if outcome.wrong.is_some() {
            self.failed.get_or_insert((script, outcome));
            return;
        }
        self.faults.add(outcome.faults);
        self.ends.add(outcome.ends);
    }
}

/// Both modes run beside each other, so each takes half of the cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Runs seeds, and tells of the first that fails, with the command that repeats it.
fn runs(mode: Mode) {
    let began = Instant::now();
    let scripts = scripts(mode);
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Sum::default()));
    // Whoever does not want a run that fails to be reduced wants to know which others fail.
    let goes_on = number(SHRINKS) == Some(0);
    let some = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let has_failed = sum.lock().expect("no thread panicked").failed.is_some();
            let Some(script) = scripts.get(place).filter(|_| goes_on || !has_failed) else {
                return;
            };
            let one = Instant::now();
            let keeps = std::env::var_os(TRACE).is_some();
            let mut outcome = run(script, if keeps { Trace::kept() } else { Trace::default() });
            if keeps {
                let lines = std::mem::take(&mut outcome.trace).into_lines();
                eprintln!("the trace is in {}", story::kept(script, &lines));
            }
            eprintln!(
                "{mode:?} mode, {}: {} simulated s and {} requests in {:.1} s",
                script.name(),
                outcome.simulated.as_secs(),
                outcome.requests,
                one.elapsed().as_secs_f64()
            );
            if let Some(wrong) = &outcome.wrong {
                eprintln!("{mode:?} mode, {} failed: {wrong}", script.name());
            }
            sum.lock()
                .expect("no thread panicked")
                .add(script.clone(), outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(some);
        }
    });
    let sum = sum.into_inner().expect("no thread panicked");
    eprintln!(
        "{mode:?} mode: {} runs, {:.1} simulated hours in {:.1} s, {} writes of the source, {} requests\n\
         what went wrong, and what was seen:\n{}how commands ended:\n{}",
        scripts.len(),
        sum.simulated.as_secs_f64() / 3600.0,
        began.elapsed().as_secs_f64(),
        sum.writes,
        sum.requests,
        sum.faults,
        sum.ends
    );
    if let Some((script, outcome)) = sum.failed {
        // The story of the least run that fails takes a while; what failed is known now.
        eprintln!("{mode:?} mode, {} is reduced now", script.name());
        let most = number(SHRINKS).map_or(MOST_RUNS, |most| most.try_into().expect("a small number"));
        panic!("{}", story::told(&script, outcome, most));
    }
}

#[test]
fn in_timestamp_mode_every_run_ends_exact() {
    runs(Mode::Timestamp);
}

#[test]
fn in_sequence_mode_every_run_ends_exact() {
    runs(Mode::Sequence);
}

/// Lines that are shown before and after the first one that differs between two traces.
const BEFORE: usize = 40;
const AFTER: usize = 20;

#[test]
fn a_seed_makes_the_same_run_each_time() {
    let scripts = [
        Script {
            about: Some(Focus::Suspension),
            ..Script::new(2, Mode::Sequence).small()
        },
        Script {
            about: Some(Focus::Imports),
            ..Script::new(1, Mode::Timestamp).small()
        },
        Script {
            about: Some(Focus::Moves),
            ..Script::new(1, Mode::Timestamp)
        },
    ];
    let whole = (effort() > 1).then(|| Script::new(ORDINARY, Mode::Timestamp));
    for mut script in scripts.into_iter().chain(whole) {
        script.cuts.storm_s = Some(SHORT_STORM_S);
        let [one, two] = [0, 1].map(|_| {
            let outcome = run(&script, Trace::kept());
            assert!(
                outcome.wrong.is_none(),
                "{}: {}",
                script.name(),
                outcome.wrong.expect("it failed")
            );
            outcome.trace
        });
        let (first, second) = (one.into_lines(), two.into_lines());
        assert!(first.len() > 1000, "{} lines", first.len());
        for (place, (one, two)) in first.iter().zip(&second).enumerate() {
            let both = (one == two).then_some(()).ok_or_else(|| {
                let from = place.saturating_sub(BEFORE);
                let part = |lines: &[String]| lines[from..(place + AFTER).min(lines.len())].join("\n");
                format!(
                    "line {place} of {}:\n{}\n\nand then:\n{}",
                    script.name(),
                    part(&first),
                    part(&second)
                )
            });
            both.unwrap_or_else(|lines| panic!("{lines}"));
        }
        assert_eq!(first.len(), second.len());
    }
}

//! Each rule of the protocol, left out of the product: the simulation finds that a target is wrong, within a few times the
//! number of seeds that was measured, or another test does.
//!
//! `cargo test` runs some rules that a short run finds, and with a larger effort those that a few whole runs find.
//! `DYNASPLIT_RULES=all` runs all that were found, and prints the seeds.
//! `DYNASPLIT_RULES=every` searches for the others, too.

mod coverage;
mod table;

use std::ops::RangeInclusive;
use std::time::Instant;

use dynasplit::fault::Rule;

use crate::SHORT_STORM_S;
use crate::cast::Focus;
use crate::network::Trace;
use crate::script::{CUTS, SMALL, Script};
use crate::story::told;
use crate::support::effort::effort;
use crate::support::trial::Mode;
use crate::world::{Outcome, run};
use table::TABLE;
pub use table::focus;

/// Rules that are tried at the usual effort, each in one mode, and found by the first small run. The story below finds one more.
const USUAL: [(Rule, Mode); 5] = [
    (Rule::TailTies, Mode::Timestamp),
    (Rule::Settled, Mode::Timestamp),
    (Rule::BackfillGuard, Mode::Sequence),
    (Rule::AllPages, Mode::Sequence),
    (Rule::NullIterator, Mode::Sequence),
];

/// Rules that are found within so many seeds are tried at a larger effort, in one mode.
const QUICK: u64 = 5;

/// How many seeds are tried for a rule that no seed has found yet, unless `DYNASPLIT_RULES_SEEDS` says otherwise.
const SEARCHED: u64 = 20;

/// How many seeds are tried until a rule counts as not found any more: a change of the product moves the seeds that find it.
fn patience(measured: u64) -> u64 {
    (4 * measured).max(10)
}

/// The first run that fails without a rule.
fn first(
    rule: Rule,
    mode: Mode,
    mut seeds: RangeInclusive<u64>,
    storm_s: Option<u64>,
    is_small: bool,
) -> Option<(Script, Outcome)> {
    seeds.find_map(|seed| {
        let mut script = Script {
            without: Some(rule),
            is_small,
            ..Script::new(seed, mode)
        };
        script.cuts.storm_s = storm_s;
        let outcome = run(&script, Trace::default());
        outcome.wrong.is_some().then_some((script, outcome))
    })
}

/// Leaves some rules out that short runs of a mode find.
fn usual_are_found(mode: Mode) {
    for (rule, _) in USUAL.into_iter().filter(|usual| usual.1 == mode) {
        let seeds = 1..=patience(1);
        let found = first(rule, mode, seeds.clone(), Some(SHORT_STORM_S), true);
        let (script, outcome) =
            found.unwrap_or_else(|| panic!("{mode:?}, without {rule:?}: {seeds:?} find nothing"));
        let wrong = outcome.wrong.expect("it failed");
        println!(
            "{mode:?}, without {rule:?}: found by {} {}",
            script.name(),
            wrong.what
        );
    }
}

/// Leaves each rule out that is found by the simulation in a mode.
fn are_found(mode: Mode) {
    let asked = std::env::var("DYNASPLIT_RULES").unwrap_or_default();
    if asked.is_empty() && effort() == 1 {
        usual_are_found(mode);
        return;
    }
    let most = std::env::var("DYNASPLIT_RULES_SEEDS").ok();
    let most: Option<u64> = most.map(|text| text.parse().expect("DYNASPLIT_RULES_SEEDS is a number"));
    let mut missed = Vec::new();
    for known in TABLE {
        let name = format!("{:?}", known.rule);
        let bound = known.bound(mode);
        let is_asked = match &*asked {
            // A run in which a service is added or moved is long.
            "" => {
                let is_long = matches!(focus(known.rule), Focus::Growth | Focus::Cutovers | Focus::Moves);
                let is_quick = |mode| known.bound(mode).is_some_and(|bound| bound <= QUICK);
                // What is found by timestamps as quickly is tried by these alone.
                let elsewhere = mode == Mode::Sequence && is_quick(Mode::Timestamp);
                is_quick(mode) && !is_long && !elsewhere
            }
            "all" => bound.is_some(),
            "every" => true,
            names => names.split(',').any(|one| one == name),
        };
        if !is_asked {
            continue;
        }
        let most = most.or(bound.map(patience)).unwrap_or(SEARCHED);
        let began = Instant::now();
        let found = first(
            known.rule,
            mode,
            1..=most,
            None,
            known.is_small || std::env::var_os(SMALL).is_some(),
        );
        let told = match &found {
            Some((script, _)) => format!("found by seed {}", script.seed),
            None => format!("not found by {most} seeds"),
        };
        let wrong = found.as_ref().and_then(|(_, outcome)| outcome.wrong.as_ref());
        let what = wrong.map_or("", |wrong| &wrong.what);
        println!(
            "{mode:?}, without {name}: {told} in {:.0} s {what}",
            began.elapsed().as_secs_f64()
        );
        // A search for a rule that was never found may find nothing.
        if found.is_none() && bound.is_some() {
            missed.push(name);
        }
    }
    assert!(missed.is_empty(), "{mode:?}: {missed:?} are not found any more");
}

#[test]
fn rules_that_are_left_out_are_found_by_timestamps() {
    are_found(Mode::Timestamp);
}

#[test]
fn rules_that_are_left_out_are_found_by_sequence_numbers() {
    are_found(Mode::Sequence);
}

/// Runs of less, enough to leave out most items.
const FEW: u32 = 7;
/// A run of so many seconds of trouble is enough for a story.
const STORY_STORM_S: u64 = 6;

#[test]
fn a_failing_run_is_reduced_and_told_as_a_story() {
    let (mode, rule) = (Mode::Timestamp, Rule::BothImages);
    let found = first(rule, mode, 1..=patience(1), Some(STORY_STORM_S), true);
    let (script, outcome) = found.expect("it is found");
    let whole = outcome.wrong.clone().expect("it failed");
    let story = told(&script, outcome, FEW);
    assert!(whole.item_number().is_some(), "an item is wrong");
    for part in ["An application puts into source: ACC#", " wrong\n"] {
        assert!(story.contains(part), "{part}\n{story}");
    }
    assert!(story.lines().count() < 120, "{story}");
    let command = story.lines().last().expect("a command");
    let (_, cuts) = command
        .split_once(&format!("{CUTS}='"))
        .expect("something was cut");
    let (cuts, _) = cuts.split_once('\'').expect("the end of the cuts");
    let least = Script {
        cuts: cuts.parse().expect("cuts"),
        ..script
    };
    assert_eq!(least.command(), command.trim());
    let items = least.cuts.items.as_ref().expect("items were left out").len();
    assert!(items <= crate::cast::KEYS / 4 + 1, "{items} are left\n{story}");
    let again = run(&least, Trace::default())
        .wrong
        .expect("what is left of it fails");
    assert!(story.contains(&again.to_string()), "{again}\n{story}");
}

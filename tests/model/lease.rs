//! Leases: two workers, one shard, one target key. Which of them may write, and what still lands of one that lost its
//! lease: a request that nobody waited for, a machine that slept, a process that stood still.
//!
//! A step of time is five seconds; the lease is 20, a request is given up after 5, and may land for 5 more. Whether a lease
//! is free and whether a write may start is asked of [`dynasplit::state::LeaseWatch`] and
//! [`dynasplit::state::Validity`]; what a write does, of [`dynasplit::flow::effects`] and its guards.

mod clock;
mod run;
mod target;

use crate::bounds::large;
use crate::proof::{breaks, holds};
use run::Leases;
use target::Mode;

/// The rules of leases, each of which can be left out.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A lease is free when a whole lease time was seen to pass. Without: as soon as it is seen.
    pub seen_to_pass: bool,
    /// ... and when what its owner had under way has landed.
    pub until_landed: bool,
    /// Valid from before the renewing request was sent. Without: from when it was answered.
    pub from_sent: bool,
    /// A save names the revision that it replaces.
    pub compare_and_set: bool,
    /// A write starts only if it ends before the lease does. Without: if it starts before.
    pub attempt: bool,
    /// The lease counts on both clocks. Without: on the one that stands still while the machine sleeps.
    pub both_clocks: bool,
    /// A write is not answered while an earlier attempt may land.
    pub unanswered: bool,
    /// The checkpoint moves after the write.
    pub write_first: bool,
    /// The tail writes only over what is not newer.
    pub guard: bool,
}

impl Rules {
    const ALL: Self = Self {
        seen_to_pass: true,
        until_landed: true,
        from_sent: true,
        compare_and_set: true,
        attempt: true,
        both_clocks: true,
        unanswered: true,
        write_first: true,
        guard: true,
    };
}

/// How much may happen.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Removals leave tombstones.
    pub bury: bool,
    /// Where versions come from.
    pub mode: Mode,
    /// Steps that a worker may stand still between its check and its request.
    pub pause: u8,
    /// Requests that get no answer.
    pub given_up: u8,
    /// The first worker's saves take their time; else they are answered at once.
    pub slow_saves: bool,
    /// Saves whose answer is lost.
    pub lost_saves: u8,
    /// Times that the first worker's machine sleeps.
    pub sleeps: u8,
    /// Only what the target holds in the end is judged, not who wrote when.
    pub outcome_only: bool,
}

/// A worker may stand still for as long as a request may take: more than one step passes, and not two.
const SMALL: Bounds = Bounds {
    bury: false,
    mode: Mode::Sequence,
    pause: 2,
    given_up: 1,
    slow_saves: false,
    lost_saves: 0,
    sleeps: 0,
    outcome_only: false,
};

/// Saves that take their time, or whose answer is lost.
const SAVES: Bounds = Bounds {
    pause: 0,
    given_up: 0,
    slow_saves: true,
    lost_saves: 1,
    ..SMALL
};

/// The first worker's machine sleeps.
const SLEEP: Bounds = Bounds {
    pause: 0,
    given_up: 0,
    sleeps: 1,
    ..SMALL
};

/// A worker stands still between its check and its request, for longer than a request may take.
const STOPPED: Bounds = Bounds {
    pause: 7,
    given_up: 0,
    outcome_only: true,
    ..SMALL
};

fn run(name: &str, bounds: Bounds) {
    let Bounds {
        bury,
        mode,
        pause,
        given_up,
        lost_saves,
        sleeps,
        ..
    } = bounds;
    let words = format!(
        "2 workers, 1 shard, two puts and a removal, {mode:?}, tombstones {}, pauses of {pause}, {given_up} unanswered writes, {lost_saves} lost answers of saves, {sleeps} sleeps",
        if bury { "on" } else { "off" }
    );
    holds(name, &words, Leases::new(Rules::ALL, bounds));
}

fn without(name: &str, rules: Rules, bounds: Bounds) {
    breaks(name, Leases::new(rules, bounds));
}

#[test]
fn nobody_writes_after_the_next_owner_began() {
    run("lease, writes", SMALL);
}

#[test]
fn nor_where_saves_are_slow_or_their_answers_are_lost() {
    run("lease, saves", SAVES);
}

#[test]
fn nor_does_a_machine_that_slept() {
    run("lease, a machine that sleeps", SLEEP);
}

#[test]
fn larger_bounds() {
    if large() {
        for mode in [Mode::Sequence, Mode::Timestamp] {
            for bury in [false, true] {
                let bounds = Bounds {
                    bury,
                    mode,
                    slow_saves: true,
                    lost_saves: 1,
                    ..SMALL
                };
                run("lease, large", bounds);
            }
        }
    }
}

/// What leases can't prevent, since nothing can be asked between a process and the wire: with tombstones on and stamps in
/// stream order, the guards refuse it.
#[test]
fn a_stopped_process_does_no_harm_to_a_tombstone_with_a_stamp() {
    let bounds = Bounds {
        bury: true,
        ..STOPPED
    };
    run("lease, a stopped process, tombstones on", bounds);
}

/// Order, leases and checkpoints don't: it is the guard.
#[test]
fn a_stopped_process_without_the_tails_guard() {
    let rules = Rules {
        guard: false,
        ..Rules::ALL
    };
    let bounds = Bounds {
        bury: true,
        ..STOPPED
    };
    without("a stopped process, without the tail's guard", rules, bounds);
}

/// ... but a removal bears the timestamp of what it removes, and a tie is the tail's.
#[test]
fn a_stopped_process_brings_an_item_back_over_a_tombstone_with_a_timestamp() {
    let bounds = Bounds {
        bury: true,
        mode: Mode::Timestamp,
        ..STOPPED
    };
    without(
        "a stopped process, over a tombstone with a timestamp",
        Rules::ALL,
        bounds,
    );
}

/// ... and what remains: with real deletes, it brings back what the next owner has removed.
#[test]
fn a_stopped_process_brings_an_item_back_while_removals_are_real() {
    without(
        "a process stopped between its check and its request",
        Rules::ALL,
        STOPPED,
    );
}

#[test]
fn a_lease_that_is_taken_at_first_sight() {
    let rules = Rules {
        seen_to_pass: false,
        ..Rules::ALL
    };
    without("taken at first sight", rules, SMALL);
}

#[test]
fn a_lease_that_is_taken_before_the_last_write_landed() {
    let rules = Rules {
        until_landed: false,
        ..Rules::ALL
    };
    without("taken before the last write landed", rules, SMALL);
    let outcome = Bounds {
        outcome_only: true,
        ..SMALL
    };
    without("... and what that does", rules, outcome);
}

#[test]
fn a_lease_that_counts_from_the_answer() {
    let rules = Rules {
        from_sent: false,
        ..Rules::ALL
    };
    without("valid from the answer", rules, SAVES);
}

#[test]
fn a_save_that_names_no_revision() {
    let rules = Rules {
        compare_and_set: false,
        ..Rules::ALL
    };
    without("saves without compare-and-set", rules, SAVES);
}

#[test]
fn a_write_that_may_outlive_the_lease() {
    let rules = Rules {
        attempt: false,
        ..Rules::ALL
    };
    without("a write outlives the lease", rules, SMALL);
}

#[test]
fn a_clock_that_stands_still() {
    let rules = Rules {
        both_clocks: false,
        ..Rules::ALL
    };
    without("one clock only", rules, SLEEP);
}

#[test]
fn an_attempt_that_lands_after_its_repetition() {
    let rules = Rules {
        unanswered: false,
        ..Rules::ALL
    };
    let bounds = Bounds {
        outcome_only: true,
        ..SMALL
    };
    without("an unanswered attempt is not waited for", rules, bounds);
}

#[test]
fn a_checkpoint_before_the_write() {
    let rules = Rules {
        write_first: false,
        ..Rules::ALL
    };
    without("a checkpoint before the write", rules, SAVES);
}

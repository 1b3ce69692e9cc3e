//! The lineage of shards: a stream that rolls, splits, closes, trims and ends, read by two lanes at their own speed.
//!
//! Time passes in steps of half of the retention. Which shards are pinned, found, read, waited for, and what is a gap, is
//! decided by [`dynasplit::source::lineage`]; the rules here are those that the tail keeps around these functions.

mod run;
mod stream;
mod tail;

use crate::support::long::in_the_long_run;
use run::Lineage;
use stream::{Hours, Stream};
use tail::Tail;

use crate::bounds::large;
use crate::effort::effort;
use crate::proof::{breaks, holds};

/// The rules of the tail, each of which can be left out.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A child waits for its parent.
    pub waits: bool,
    /// ... as finished by the lane itself, not by another one.
    pub own_parent: bool,
    /// ... and as it is stored, not as it is in memory.
    pub durable_parent: bool,
    /// The position moves after the write.
    pub write_first: bool,
    /// What is too old is a gap, whether or not an exception says so.
    pub age: bool,
    /// The age is asked after every read, not only before the first.
    pub age_after_read: bool,
    /// Places are pinned at the capture. Without: `LATEST`, when the shard is first read.
    pub pinned: bool,
    /// Only a null iterator ends a shard, not an ending sequence number.
    pub null_iterator: bool,
    /// Every page of a listing is followed.
    pub all_pages: bool,
    /// A shard whose parent was never seen is as complete as the lane is. Without: as if it began now.
    pub unknown_parent: bool,
    /// A capture first gives the lanes that are there what appeared since.
    pub found_before_capture: bool,
    /// What reads a parent reads its children, whoever recorded them.
    pub heirs: bool,
    /// A finished shard whose children may have come and gone is a gap.
    pub vanished: bool,
}

impl Rules {
    const ALL: Self = Self {
        waits: true,
        own_parent: true,
        durable_parent: true,
        write_first: true,
        age: true,
        age_after_read: true,
        pinned: true,
        null_iterator: true,
        all_pages: true,
        unknown_parent: true,
        found_before_capture: true,
        heirs: true,
        vanished: true,
    };
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Records that are written after the first capture.
    pub writes: u8,
    /// Shards, one of which is history when the first lane is captured.
    pub shards: u8,
    /// Lanes.
    pub lanes: usize,
    /// Steps of time.
    pub time: u8,
    /// Hours that each of them is.
    pub hours: Hours,
    /// Crashes of the worker.
    pub crashes: u8,
    /// The second lane is captured at any time; else at the beginning.
    pub late_lane: bool,
    /// A worker that does not know the second lane records shards too.
    pub old_worker: bool,
    /// Time passes only when every lane is complete up to the step before: then there must be no gap.
    pub prompt: bool,
}

/// One lane, which must see every way that shards can continue each other.
const ONE: Bounds = Bounds {
    writes: 2,
    shards: 4,
    lanes: 1,
    time: 1,
    hours: Hours(25),
    crashes: 0,
    late_lane: false,
    old_worker: false,
    prompt: false,
};

/// One lane, a crash, and fewer shards.
const CRASH: Bounds = Bounds {
    shards: 3,
    crashes: 1,
    ..ONE
};

/// One lane and little else: for what needs a long story.
const ROLL: Bounds = Bounds { time: 0, ..CRASH };

/// One lane, and time in small steps.
const TIMES: Bounds = Bounds {
    writes: 1,
    time: 3,
    hours: Hours(12),
    crashes: 0,
    ..ONE
};

/// Two lanes, each at its own speed.
const TWO: Bounds = Bounds {
    lanes: 2,
    shards: 3,
    crashes: 0,
    ..ONE
};

/// Two lanes, a crash, and every way that shards can continue each other.
const TWO_CRASH: Bounds = Bounds {
    writes: 1,
    shards: 4,
    time: 0,
    crashes: 1,
    ..TWO
};

/// Two lanes, one of which is added later, beside a worker that does not know it.
const LATE: Bounds = Bounds {
    writes: 1,
    shards: 4,
    time: 0,
    late_lane: true,
    old_worker: true,
    ..TWO
};

fn model(rules: Rules, bounds: Bounds) -> Lineage {
    Lineage { rules, bounds }
}

fn words(bounds: Bounds) -> String {
    let Bounds {
        writes,
        shards,
        lanes,
        time,
        hours: Hours(hours),
        crashes,
        ..
    } = bounds;
    format!(
        "{lanes} lanes, 2 keys, {writes} records after the capture, {shards} shards, {time} x {hours} hours, {crashes} crashes"
    )
}

fn run(name: &str, bounds: Bounds) {
    holds(name, &words(bounds), model(Rules::ALL, bounds));
}

#[test]
fn what_is_lost_to_a_lane_is_a_gap_and_the_rest_is_applied_in_order() {
    run("lineage, one lane", ONE);
    run("lineage, one lane and a crash", CRASH);
    run(
        "lineage, one lane, a split and a crash",
        Bounds { shards: 4, ..ROLL },
    );
}

#[test]
fn time_in_small_steps() {
    run("lineage, time in small steps", TIMES);
}

#[test]
fn each_lane_at_its_own_speed() {
    run("lineage, two lanes", TWO);
    if effort() > 1 {
        run("lineage, two lanes, a split and a crash", TWO_CRASH);
    }
}

#[test]
fn a_lane_that_comes_late_misses_nothing_and_takes_nothing_away() {
    run("lineage, a lane added later", LATE);
}

#[test]
fn lanes_that_keep_up_have_no_gap() {
    let bounds = Bounds {
        prompt: true,
        ..TIMES
    };
    run("lineage, lanes that keep up", bounds);
}

#[test]
fn larger_bounds() {
    if !large() {
        return;
    }
    run(
        "lineage, one lane and a crash, large",
        Bounds { crashes: 1, ..ONE },
    );
    let wide = Bounds { crashes: 1, ..TWO };
    run("lineage, two lanes, large", wide);
    let long = Bounds {
        writes: 2,
        time: 4,
        crashes: 1,
        ..TIMES
    };
    run("lineage, time in small steps, large", long);
    run("lineage, a lane added later, large", Bounds { time: 1, ..LATE });
}

#[test]
fn a_child_that_does_not_wait_for_its_parent() {
    let rules = Rules {
        waits: false,
        ..Rules::ALL
    };
    breaks("a child does not wait", model(rules, ROLL));
}

#[test]
fn a_child_that_waits_for_another_lane() {
    in_the_long_run!(a_child_that_waits_for_another_lane);
    let rules = Rules {
        own_parent: false,
        ..Rules::ALL
    };
    breaks("a child waits for any lane", model(rules, TWO));
}

#[test]
fn a_child_that_starts_before_its_parents_end_is_durable() {
    let rules = Rules {
        durable_parent: false,
        ..Rules::ALL
    };
    breaks("a parent's end is not durable", model(rules, ROLL));
}

#[test]
fn a_position_that_moves_before_the_write() {
    let rules = Rules {
        write_first: false,
        ..Rules::ALL
    };
    breaks("the position moves first", model(rules, ROLL));
}

#[test]
fn an_exception_is_not_enough() {
    let rules = Rules {
        age: false,
        age_after_read: false,
        ..Rules::ALL
    };
    breaks("only an exception is a gap", model(rules, ONE));
}

#[test]
fn the_age_before_the_first_read_is_not_enough() {
    let rules = Rules {
        age_after_read: false,
        ..Rules::ALL
    };
    breaks("the age is asked once", model(rules, ONE));
}

#[test]
fn latest_is_no_place() {
    let rules = Rules {
        pinned: false,
        ..Rules::ALL
    };
    breaks("captured at LATEST", model(rules, ONE));
}

#[test]
fn an_ending_sequence_number_ends_nothing() {
    let rules = Rules {
        null_iterator: false,
        ..Rules::ALL
    };
    breaks("an ending sequence number ends a shard", model(rules, ONE));
}

#[test]
fn a_page_of_the_listing_that_is_not_followed() {
    let rules = Rules {
        all_pages: false,
        ..Rules::ALL
    };
    breaks("the first page only", model(rules, ONE));
}

/// A lane's last shard that has lost its children is noticed by another rule, but not where that shard's own end was read
/// late: only the age of an unknown parent tells it then.
#[test]
fn a_parent_that_was_never_seen() {
    let rules = Rules {
        unknown_parent: false,
        ..Rules::ALL
    };
    breaks("an unknown parent is history", model(rules, TIMES));
}

#[test]
fn a_capture_that_hides_shards_from_other_lanes() {
    let rules = Rules {
        found_before_capture: false,
        ..Rules::ALL
    };
    breaks("a late lane's capture hides a shard", model(rules, LATE));
}

#[test]
fn children_that_came_and_went_unseen() {
    let rules = Rules {
        vanished: false,
        ..Rules::ALL
    };
    breaks("children came and went", model(rules, ONE));
}

#[test]
fn a_worker_that_does_not_know_a_lane() {
    let rules = Rules {
        heirs: false,
        ..Rules::ALL
    };
    breaks("a lane does not inherit a shard", model(rules, LATE));
}

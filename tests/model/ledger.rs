//! The ledger as a lane: a shard whose records the stream forgets, a lane that writes them to objects, and a lane of a service that
//! is far behind and reads the objects instead.
//!
//! Time passes in steps of eleven hours: after two, a lane reads the ledger, and after three, the stream has forgotten. What is still
//! kept, and what is a gap, is decided by [`dynasplit::source::lineage`]. The rules here are those that the two lanes keep around
//! these functions. A stream that has forgotten a record shows the next one and no error: that is the worst it may do.

mod run;
mod world;

use crate::effort::effort;
use crate::proof::{breaks, holds};
use crate::support::long::in_the_long_run;
use run::Model;

/// The rules, each of which can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// The ledger is complete only up to its oldest record that is not in an object yet.
    Durable,
    /// An object is never written over another one.
    CreateOnly,
    /// A lane reads the object that has its place, and not the next one that there is.
    Chained,
    /// A ledger that began late covers no lane that is further behind than that.
    Began,
    /// A lane reads the ledger when it is far behind, not when the stream says that it has forgotten.
    ByAge,
    /// A lane that has found the chain broken counts on the stream only.
    Broken,
    /// A lane is as far complete as the ledger if it stands at the same place, and not if it stands before it.
    SamePlace,
    /// What is too old is a gap, also after the read.
    AfterRead,
}

/// How much of everything there is.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Records.
    writes: u8,
    /// Steps of time.
    time: u8,
    /// The shard is closed once, and another one continues it.
    rolls: bool,
    /// Deaths of the worker that writes the ledger. Its last request may land later.
    deaths: u8,
    /// Objects that somebody deletes.
    deleted: u8,
    /// The ledger begins at any time; else with the capture.
    late: bool,
    /// Time passes only when the ledger is complete up to the step before: then there must be no gap.
    prompt: bool,
}

/// A ledger that keeps up: whatever the lane of the service does, it loses nothing and has no gap.
const PROMPT: Bounds = Bounds {
    writes: 2,
    time: 4,
    rolls: true,
    deaths: 1,
    deleted: 0,
    late: false,
    prompt: true,
};

/// A ledger that may be late, from which somebody deletes: what is lost is named.
const ANY: Bounds = Bounds {
    writes: 2,
    time: 3,
    rolls: true,
    deaths: 1,
    deleted: 1,
    late: true,
    prompt: false,
};

/// The same in one shard, with records that wait.
const WAITS: Bounds = Bounds {
    writes: 3,
    rolls: false,
    deaths: 0,
    ..PROMPT
};

/// The same, and the worker of the ledger dies.
const DIES: Bounds = Bounds {
    writes: 2,
    deaths: 1,
    ..WAITS
};

/// Little, for what needs a long story.
const ONE_SHARD: Bounds = Bounds {
    writes: 3,
    time: 3,
    rolls: false,
    deaths: 0,
    deleted: 1,
    late: true,
    prompt: false,
};

impl Bounds {
    fn words(self) -> String {
        let Self {
            writes,
            time,
            rolls,
            deaths,
            deleted,
            late,
            prompt,
        } = self;
        let shards = if rolls { 2 } else { 1 };
        let begins = if late { ", which may begin late" } else { "" };
        let keeps_up = if prompt { ", which keeps up" } else { "" };
        format!(
            "{writes} records in {shards} shards, {time} times 11 hours, {deaths} deaths of the ledger{begins}{keeps_up}, {deleted} objects \
             deleted"
        )
    }
}

fn lost_is_named(name: &str, bounds: Bounds) {
    let without = None;
    holds(
        &format!("ledger, {name}"),
        &bounds.words(),
        Model { bounds, without },
    );
}

#[test]
fn a_ledger_that_keeps_up_bridges_any_absence() {
    in_the_long_run!(a_ledger_that_keeps_up_bridges_any_absence);
    // Half of the states of one step more.
    let time = if effort() > 1 { PROMPT.time } else { 3 };
    lost_is_named("keeps up", Bounds { time, ..PROMPT });
    lost_is_named("keeps up, and its worker dies", DIES);
    lost_is_named("keeps up, and records wait", WAITS);
}

#[test]
fn what_neither_the_stream_nor_the_ledger_has_is_named() {
    // With a death, there are seventeen times as many states.
    let deaths = u8::from(effort() > 1);
    lost_is_named("late, and objects are deleted", Bounds { deaths, ..ANY });
    lost_is_named("one shard", ONE_SHARD);
}

#[test]
fn what_a_ledger_needs() {
    for (rule, bounds) in [
        (Rule::Durable, WAITS),
        (Rule::CreateOnly, DIES),
        (Rule::ByAge, WAITS),
        (Rule::SamePlace, WAITS),
        (Rule::Chained, ONE_SHARD),
        (Rule::Began, ONE_SHARD),
        (Rule::Broken, ONE_SHARD),
        (Rule::AfterRead, ONE_SHARD),
    ] {
        let without = Some(rule);
        breaks(&format!("ledger, without {rule:?}"), Model { bounds, without });
    }
}

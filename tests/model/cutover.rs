//! The cutover of a service with a way back: fence, drain, close, pin, switch, reverse,
//! rollback, and the whole once more.
//!
//! One source item, the target of the service that owns it, and a second service that only receives it. The item has an
//! attribute that the transform drops. Two processes: each lane has a request under way, may die, and leaves a request
//! behind that lands late; the successor of a reverse worker may begin at the pin. What a change of the target does to the
//! source is asked of [`dynasplit::flow::BackLane`], and what is a stray write of [`dynasplit::flow::is_stray`]; the rest is
//! a design, and this model is its proof.

mod operator;
mod run;
mod state;
mod step;
mod world;

use crate::proof::{breaks, holds};
use crate::support::long::in_the_long_run;
use run::Cutover;
use state::Bounds;

macro_rules! rules {
    ($($name:ident => $text:literal,)*) => {
        /// A rule of the design, each of which can be left out.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
        }

        const NAMES: &[&str] = &[$(stringify!($name),)*];
    };
}

rules! {
    FenceProven => "draining begins when no application write is accepted any more",
    Drain => "what was accepted before the fence is applied before the switch",
    Close => "the forward lane is closed before the switch",
    CloseLanded => "the close is acknowledged when no request from before can land",
    Pin => "the way back begins at the target's tip, not at the beginning of its stream",
    PinLate => "the target's stream is pinned after the close was acknowledged",
    PinEarly => "the target's stream is pinned before the application writes the target",
    DrainBack => "what was accepted before the target's fence is carried back before the source's fence is lifted",
    FenceBackProven => "draining back begins when no application write is accepted any more",
    PinAgainEarly => "the source's stream is pinned before its fence is lifted",
    Owned => "a reverse write changes only what the service owns",
    Mark => "a reverse write leaves a mark",
    OldImage => "a reverse write lands only if the source is what the target was before",
    AsRead => "a reverse write lands only on the item that was read",
    LooksAgain => "what could not be carried back is looked at again when the reverse lane is drained",
    TwoSteps => "a reverse delete marks the item before it deletes it",
    Stripped => "no lane looks at marks",
    ReverseLanded => "after the death of a reverse worker, its last request is waited for",
    Watched => "writes of others to the source are looked for after the switch",
    WatchedPastPin => "the watcher is past the pin of a rollback before the source's fence is lifted",
    StraysBlock => "a stray write blocks the rollback",
    RollbackOnly => "from the beginning of the switch on, there is no cancel",
}

/// The rules that hold.
#[derive(Clone, Copy, Debug)]
pub struct Rules(u32);

impl Rules {
    const ALL: Self = Self(u32::MAX);

    fn without(rule: Rule) -> Self {
        Self(!(1 << rule as u32))
    }

    /// Whether a rule holds.
    pub fn hold(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u32) != 0
    }
}

/// There, back, and there again; a page is under way.
const QUIET: Bounds = Bounds {
    writes: 4,
    deaths: [0, 0],
    strays: false,
    pages: 1,
    cutovers: 2,
    rollbacks: 1,
    cancels: 0,
};

/// Each lane's worker dies once.
const DEATHS: Bounds = Bounds {
    writes: 3,
    deaths: [1, 1],
    pages: 0,
    ..QUIET
};

/// A request of a dead reverse worker lands late, after the item was deleted.
const LATE: Bounds = Bounds {
    deaths: [0, 1],
    pages: 0,
    cutovers: 1,
    rollbacks: 0,
    ..QUIET
};

/// A forgotten writer.
const STRAYS: Bounds = Bounds {
    strays: true,
    pages: 0,
    ..QUIET
};

/// The first attempt is cancelled.
const CANCELLED: Bounds = Bounds {
    pages: 0,
    rollbacks: 0,
    cancels: 1,
    ..QUIET
};

fn exact(name: &str, bounds: Bounds) {
    let words = format!("1 item, {bounds:?}");
    holds(name, &words, Cutover::new(Rules::ALL, bounds));
}

#[test]
fn there_and_back_and_there_again() {
    exact("cutover", QUIET);
}

#[test]
fn there_and_back_with_deaths() {
    exact("cutover, a death in each lane", DEATHS);
    exact("cutover, a late reverse write", LATE);
}

#[test]
fn there_and_back_with_a_forgotten_writer() {
    exact("cutover, a stray write", STRAYS);
}

#[test]
fn cancelled_and_tried_again() {
    exact("cutover, cancelled", CANCELLED);
}

/// What goes wrong without each of the rules.
const NEEDED: [(Rule, Bounds); 22] = [
    (Rule::FenceProven, QUIET),
    (Rule::Drain, QUIET),
    (Rule::Close, QUIET),
    (Rule::CloseLanded, QUIET),
    (Rule::Pin, QUIET),
    (Rule::PinLate, QUIET),
    (Rule::PinEarly, QUIET),
    (Rule::DrainBack, QUIET),
    (Rule::FenceBackProven, QUIET),
    (Rule::PinAgainEarly, QUIET),
    (Rule::Owned, QUIET),
    (Rule::Mark, QUIET),
    (Rule::OldImage, STRAYS),
    (Rule::AsRead, STRAYS),
    (Rule::LooksAgain, DEATHS),
    (Rule::TwoSteps, QUIET),
    (Rule::Stripped, QUIET),
    (Rule::ReverseLanded, LATE),
    (Rule::Watched, STRAYS),
    (Rule::WatchedPastPin, STRAYS),
    (Rule::StraysBlock, STRAYS),
    (Rule::RollbackOnly, CANCELLED),
];

#[test]
fn what_a_cutover_needs() {
    in_the_long_run!(what_a_cutover_needs);
    for (rule, bounds) in NEEDED {
        breaks(
            &format!("cutover, without {rule:?}"),
            Cutover::new(Rules::without(rule), bounds),
        );
    }
}

#[test]
fn every_rule_is_left_out() {
    let tried = NEEDED.map(|(rule, _)| format!("{rule:?}"));
    assert_eq!(
        NAMES,
        tried.each_ref().map(String::as_str),
        "each of them, in this order"
    );
}

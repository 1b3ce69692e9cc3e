//! One source item, the tail and one backfill: stale pages, late writes, deaths on both sides.

use crate::bounds::{Bounds, large};
use crate::image::{NOBODY, of};
use crate::plans::Layout;
use crate::rule::Rule;
use crate::split::{exact, layout_or_all, layouts, needs};
use crate::support::long::in_the_long_run;

/// Without timestamps, a clock that moves says nothing new.
fn steps(layout: Layout, steps: &[i8]) -> Vec<i8> {
    if layout == Layout::Sequence {
        vec![1]
    } else {
        steps.to_vec()
    }
}

/// Created, changed, moved to another target key, deleted, created again; records are taken together.
fn keys(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![]],
        steps: steps(layout, &[0, 1]),
        batch: if large() { 3 } else { 2 },
        tail_deaths: large().into(),
        ..Bounds::new(layout)
    }
}

/// Moved between two services and away from both, with a lane for each.
fn lanes(layout: Layout) -> Bounds {
    Bounds {
        services: 2,
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(1, 0, 0), of(NOBODY, 0, 0)], vec![]],
        deletes: large(),
        steps: steps(layout, if large() { &[0, 1] } else { &[0] }),
        ..Bounds::new(layout)
    }
}

/// One target key, and all that may go wrong.
fn trouble(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 0, 1)], vec![]],
        steps: steps(layout, if large() { &[0, 1] } else { &[0] }),
        tail_deaths: 1,
        holder_deaths: 1,
        unanswered: large().into(),
        ..Bounds::new(layout)
    }
}

/// The same, of writes that are alike but for their time: versions tie, and rise.
fn times() -> Bounds {
    Bounds {
        shapes: [vec![of(0, 0, 0)], vec![]],
        steps: vec![0, 1],
        ..trouble(Layout::Shown)
    }
}

/// One target key, and a write of which nobody knows whether it lands.
fn unanswered(layout: Layout) -> Bounds {
    Bounds {
        holder_deaths: 0,
        unanswered: 1,
        ..trouble(layout)
    }
}

/// One target key, and a page of which nobody knows whether it lands.
fn page_unanswered(layout: Layout) -> Bounds {
    Bounds {
        tail_deaths: 0,
        holder_deaths: 0,
        pages_unanswered: 1,
        ..trouble(layout)
    }
}

/// With and without a timestamp.
fn untimed(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None], [Some(of(0, 0, 0).untimed()), None]],
        shapes: [vec![of(0, 0, 0), of(0, 0, 1).untimed()], vec![]],
        steps: vec![1],
        batch: 2,
        tail_deaths: large().into(),
        ..Bounds::new(layout)
    }
}

/// What changes is not shown by the target: the write is saved.
fn saved(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 0, 0).hiding(1)], vec![]],
        steps: steps(layout, &[0, 1]),
        batch: 2,
        tail_deaths: large().into(),
        ..Bounds::new(layout)
    }
}

/// Timestamps that go back.
fn backwards(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [
            if large() {
                vec![of(0, 0, 0), of(0, 1, 0)]
            } else {
                vec![of(0, 0, 0)]
            },
            vec![],
        ],
        steps: vec![-1, 1],
        ..Bounds::new(layout)
    }
}

fn all(name: &str, bounds: impl Fn(Layout) -> Bounds) {
    each(name, layouts(), bounds);
}

/// In one version mode at the usual effort, because the states are many. Clocks that move are tried beside it, by timestamps.
fn many(name: &str, bounds: impl Fn(Layout) -> Bounds) {
    each(name, layout_or_all(Layout::Sequence), bounds);
}

fn each(name: &str, layouts: Vec<Layout>, bounds: impl Fn(Layout) -> Bounds) {
    for layout in layouts {
        exact(&format!("core, {name}"), &bounds(layout));
    }
}

#[test]
fn two_target_keys() {
    all("two target keys", keys);
}

#[test]
fn two_lanes() {
    all("two lanes", lanes);
}

#[test]
fn everything_goes_wrong() {
    in_the_long_run!(everything_goes_wrong);
    many("trouble", trouble);
    exact("core, trouble, clocks that move", &times());
}

#[test]
fn a_write_without_an_answer() {
    many("unanswered", unanswered);
    let bounds = Bounds {
        steps: vec![1],
        ..unanswered(Layout::Shown)
    };
    exact("core, unanswered, clocks that move", &bounds);
}

#[test]
fn a_page_without_an_answer() {
    all("a page without an answer", page_unanswered);
}

#[test]
fn what_is_known_to_be_answered_is_not_waited_for() {
    in_the_long_run!(what_is_known_to_be_answered_is_not_waited_for);
    for layout in layout_or_all(Layout::Sequence) {
        needs("core, trouble", &trouble(layout), &[Rule::DeadUnsettled]);
        let name = "core, a page without an answer";
        needs(name, &page_unanswered(layout), &[Rule::UnansweredUnsettled]);
    }
}

#[test]
fn items_without_a_timestamp() {
    all("no timestamp", untimed);
}

#[test]
fn a_projection_that_does_not_change() {
    all("unchanged projection", saved);
}

#[test]
fn timestamps_that_go_back() {
    for layout in [Layout::Shown, Layout::Hidden] {
        exact("core, backwards", &backwards(layout));
    }
}

#[test]
fn a_recheck_looks_at_every_key_that_the_item_had() {
    let rules = [Rule::Suspects, Rule::Listed, Rule::Rechecked];
    needs("core, backwards", &backwards(Layout::Hidden), &rules);
}

#[test]
fn a_recheck_reads_again_after_its_write() {
    needs("core, backwards", &backwards(Layout::Shown), &[Rule::ReadsAgain]);
}

#[test]
fn a_key_is_listed_before_it_is_written() {
    let bounds = Bounds {
        tail_deaths: 1,
        writes: 2,
        ..backwards(Layout::Hidden)
    };
    needs("core, backwards", &bounds, &[Rule::ListedFirst]);
}

#[test]
fn tombstones_and_their_acknowledgement() {
    let rules = [
        Rule::Tombstones,
        Rule::AcknowledgedOn,
        Rule::AcknowledgedOff,
        Rule::Inside,
        Rule::Settled,
    ];
    for layout in layouts() {
        needs(
            "core, two target keys",
            &Bounds {
                batch: 1,
                ..keys(layout)
            },
            &rules,
        );
    }
}

#[test]
fn records_that_are_taken_together() {
    needs(
        "core, two target keys",
        &keys(Layout::Hidden),
        &[Rule::EveryTouchedKey, Rule::HighestVersion],
    );
    needs(
        "core, two target keys",
        &keys(Layout::Sequence),
        &[Rule::EveryTouchedKey],
    );
}

#[test]
fn both_images() {
    for layout in layouts() {
        needs("core, two lanes", &lanes(layout), &[Rule::BothImages]);
    }
}

#[test]
fn guards() {
    for layout in layouts() {
        needs("core, two target keys", &keys(layout), &[Rule::BackfillGuard]);
    }
    for layout in [Layout::Shown, Layout::Hidden] {
        needs(
            "core, two target keys",
            &keys(layout),
            &[Rule::TailTies, Rule::BackfillTies],
        );
    }
}

#[test]
fn what_lands_late_is_waited_for() {
    in_the_long_run!(what_lands_late_is_waited_for);
    let rules = [
        Rule::PagesLand,
        Rule::SweepConditional,
        Rule::CheckpointLast,
        Rule::Gone,
    ];
    needs("core, trouble", &trouble(Layout::Shown), &rules);
    for layout in layout_or_all(Layout::Sequence) {
        needs("core, unanswered", &unanswered(layout), &[Rule::Unanswered]);
    }
}

/// The stream's order and the checkpoints alone lead to the right end: the tail's guard only keeps a target from going
/// back on the way there, and stops a zombie ([`crate::lease`]).
#[test]
fn the_tails_guard_is_not_what_makes_it_exact() {
    for layout in layout_or_all(Layout::Sequence) {
        exact(
            "core, without the tail's guard",
            &unanswered(layout).without(Rule::TailGuard),
        );
    }
}

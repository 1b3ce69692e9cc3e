//! Repairs and dead letters, racing with the tail, with death, and with others who hold the tombstones.

use crate::bounds::{Bounds, Damage, Kind, large};
use crate::image::{REFUSED, of};
use crate::plans::Layout;
use crate::rule::Rule;
use crate::split::{exact, layout_or_all, layouts, needs, needs_all_writes};

/// A repair of two target keys, one of which is not what it should be.
fn repair(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![]],
        steps: vec![if layout == Layout::Sequence { 1 } else { 0 }],
        tail_deaths: large().into(),
        holders: vec![Kind::Repair],
        damage: Some(vec![
            Damage::None,
            Damage::Missing,
            Damage::Different(of(0, 0, 1), 3),
            Damage::Extra(of(0, 1, 1), 4),
        ]),
        ..Bounds::new(layout)
    }
}

/// The target holds nothing newer than the source, and no two writes are alike. Then the other rules carry a repair
/// without its last look, which would hide what each of them is for.
fn not_newer(layout: Layout) -> Bounds {
    Bounds {
        damage: Some(vec![
            Damage::None,
            Damage::Missing,
            Damage::Different(of(0, 0, 1), 3),
            Damage::Extra(of(0, 1, 1), 3),
        ]),
        steps: vec![1],
        ..repair(layout)
    }
    .without(Rule::ReadsAgain)
}

/// A repair dies, and another begins; the dead one may only have been held up.
fn taken_over(layout: Layout) -> Bounds {
    Bounds {
        holder_deaths: if large() { 2 } else { 1 },
        writes: 2,
        ..repair(layout)
    }
}

/// Deaths on both sides, of one target key.
fn deaths(layout: Layout) -> Bounds {
    Bounds {
        shapes: [vec![of(0, 0, 0)], vec![]],
        tail_deaths: 1,
        holder_deaths: 1,
        ..repair(layout)
    }
}

/// A repair dies while a write of it is under way, and the next one finds nothing to do. No two writes are alike: a repair
/// that took one for another would leave something to do.
fn finds_nothing(layout: Layout) -> Bounds {
    Bounds {
        holder_deaths: 1,
        finds_nothing: true,
        writes: if large() { 3 } else { 2 },
        steps: vec![1],
        damage: Some(vec![Damage::None]),
        ..repair(layout)
    }
}

/// A repair removes what is newer than the source's, while a page of it is on its way.
fn removes() -> Bounds {
    Bounds {
        damage: Some(vec![Damage::Different(of(0, 0, 0), 4)]),
        writes: 2,
        ..two_holders(Layout::Shown)
    }
}

/// A repair ends while a backfill begins.
fn two_holders(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0)], vec![]],
        holders: vec![Kind::Repair, Kind::Backfill],
        damage: Some(vec![Damage::None]),
        writes: 3,
        ..repair(layout)
    }
}

/// The target refuses an item at first.
fn with_dead_letters(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 0, REFUSED)], vec![]],
        steps: vec![1],
        holders: vec![Kind::Backfill, Kind::Reconcile],
        ..Bounds::new(layout)
    }
}

/// The same, with clocks that go back: what a page beats is on the recheck list, which both might work off.
fn dead_letters_backwards(layout: Layout) -> Bounds {
    Bounds {
        steps: vec![-1, 1],
        ..with_dead_letters(layout)
    }
}

fn all(name: &str, bounds: impl Fn(Layout) -> Bounds) {
    for layout in layouts() {
        exact(&format!("repair, {name}"), &bounds(layout));
    }
}

#[test]
fn a_repair() {
    all("two target keys", repair);
}

#[test]
fn a_repair_that_is_taken_over() {
    for layout in layout_or_all(Layout::Sequence) {
        exact("repair, taken over", &taken_over(layout));
    }
}

#[test]
fn a_repair_and_deaths_on_both_sides() {
    for layout in layout_or_all(Layout::Shown) {
        exact("repair, deaths on both sides", &deaths(layout));
    }
}

#[test]
fn a_repair_beside_a_backfill() {
    all("beside a backfill", two_holders);
}

#[test]
fn dead_letters_alone() {
    all("dead letters", with_dead_letters);
}

/// `sequence` mode has no clocks that could go back.
#[test]
fn dead_letters_beside_clocks_that_go_back() {
    let bounds = dead_letters_backwards(Layout::Shown);
    exact("repair, dead letters, clocks that go back", &bounds);
    needs(
        "repair, dead letters, clocks that go back",
        &Bounds { writes: 2, ..bounds },
        &[Rule::RecheckedByLast],
    );
}

#[test]
fn the_other_rules_hold_without_the_last_look() {
    for layout in layouts() {
        exact("repair, nothing newer in the target", &not_newer(layout));
    }
}

#[test]
fn what_a_repair_needs() {
    // In `sequence` mode, nothing in a target is newer than what the tail writes.
    needs(
        "repair, two target keys",
        &repair(Layout::Shown),
        &[Rule::ReadsAgain],
    );
    let name = "repair, nothing newer in the target";
    let rules = [Rule::RepairGuard, Rule::TargetFirst, Rule::RepairSwitchesOn];
    for layout in layout_or_all(Layout::Sequence) {
        needs(name, &not_newer(layout), &rules);
        needs_all_writes(name, &not_newer(layout), &[Rule::RepairObeysTombstones]);
    }
}

#[test]
fn who_switches_off() {
    for layout in layout_or_all(Layout::Shown) {
        let bounds = Bounds {
            holder_deaths: 1,
            writes: 2,
            ..not_newer(layout)
        };
        exact("repair, held up", &bounds);
        needs("repair, held up", &bounds, &[Rule::SwitchesOnAnew, Rule::Since]);
    }
}

#[test]
fn what_a_dead_repair_had_under_way() {
    for layout in layout_or_all(Layout::Shown) {
        let name = "repair, the next one finds nothing to do";
        exact(name, &finds_nothing(layout));
        needs(name, &finds_nothing(layout), &[Rule::DeadUnsettled]);
    }
}

#[test]
fn what_a_repair_removes() {
    exact("repair, removes what is newer", &removes());
    needs("repair, removes what is newer", &removes(), &[Rule::RepairBuries]);
}

#[test]
fn whose_tombstones_are_swept() {
    for layout in layouts() {
        needs(
            "repair, beside a backfill",
            &two_holders(layout),
            &[Rule::SweepLeavesLater],
        );
    }
}

#[test]
fn a_dead_letter_is_no_image() {
    for layout in layouts() {
        needs(
            "repair, dead letters",
            &with_dead_letters(layout),
            &[Rule::Reconciled],
        );
    }
}

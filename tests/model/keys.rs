//! Two source items, and whose target key it is.

use crate::bounds::{Bounds, large};
use crate::image::of;
use crate::plans::{Layout, Mapping};
use crate::rule::Rule;
use crate::split::{exact, layout_or_all, layouts, needs};

fn two(layout: Layout) -> Bounds {
    Bounds {
        items: 2,
        first: vec![[Some(of(0, 0, 0)), Some(of(0, 1, 0))]],
        steps: vec![1],
        tail_deaths: large().into(),
        ..Bounds::new(layout)
    }
}

/// Each item moves among slots, but its key alone says where it stands.
fn injective(layout: Layout) -> Bounds {
    Bounds {
        mapping: Mapping::Injective,
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![of(0, 0, 0)]],
        ..two(layout)
    }
}

/// One item moves between two target keys, which the other never had.
fn vouched(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), Some(of(0, 2, 0))]],
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![of(0, 2, 1)]],
        ..two(layout)
    }
}

/// Each item may be written where the other one is, or was: the vouch forbids it.
fn swapped(layout: Layout) -> Bounds {
    Bounds {
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![of(0, 1, 0), of(0, 0, 0)]],
        writes: 2,
        collisions: false,
        ..two(layout)
    }
}

/// One item, then the other one, at the death of either side.
fn deaths(layout: Layout) -> Bounds {
    Bounds {
        shapes: [vec![of(0, 1, 0)], vec![]],
        first: vec![[Some(of(0, 0, 0)), Some(of(0, 2, 0))]],
        deletes: false,
        tail_deaths: 1,
        holder_deaths: 1,
        ..two(layout)
    }
}

#[test]
fn a_target_key_that_the_source_key_alone_says() {
    for layout in layouts() {
        exact("keys, injective", &injective(layout));
    }
}

#[test]
fn a_vouch_that_is_true() {
    for layout in layouts() {
        exact("keys, vouched", &vouched(layout));
    }
}

#[test]
fn deaths_on_both_sides() {
    for layout in layout_or_all(Layout::Shown) {
        exact("keys, deaths on both sides", &deaths(layout));
    }
}

/// Two items that are at one target key at the same time are no state that a table could hold: what is asked is whether
/// it is exact when they no longer are.
#[test]
fn a_vouch_that_is_broken() {
    for layout in layouts() {
        exact("keys, that could be swapped", &swapped(layout));
        needs("keys, that could be swapped", &swapped(layout), &[Rule::Vouch]);
    }
}

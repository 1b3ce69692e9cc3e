//! Two source items, and whose target key it is.

use crate::bounds::{Bounds, large};
use crate::image::of;
use crate::plans::{Layout, Mapping};
use crate::proof::breaks;
use crate::rule::Rule;
use crate::split::{Split, exact, layouts};

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

/// They swap their target keys, which the vouch forbids.
fn swapped(layout: Layout) -> Bounds {
    Bounds {
        shapes: [vec![of(0, 1, 0)], vec![of(0, 0, 0)]],
        deletes: false,
        writes: 2,
        collisions: false,
        ..two(layout)
    }
    .without(Rule::Vouch)
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
fn a_vouch_that_is_broken() {
    for layout in layouts() {
        breaks(
            &format!("keys, but not: {}", Rule::Vouch),
            Split::new(&swapped(layout)),
        );
        let collide = Bounds {
            writes: 1,
            collisions: true,
            ..swapped(layout)
        };
        breaks("keys, two items at one target key", Split::new(&collide));
    }
}

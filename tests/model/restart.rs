//! A backfill that runs again for a service that was added, with real deletes in between; and one that was killed.

use crate::bounds::Bounds;
use crate::image::of;
use crate::plans::Layout;
use crate::rule::Rule;
use crate::split::{exact, layout_or_all, layouts, needs};

fn again(layout: Layout) -> Bounds {
    Bounds {
        services: 2,
        first: vec![[Some(of(1, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(1, 0, 0)], vec![]],
        steps: vec![if layout == Layout::Sequence { 1 } else { 0 }],
        writes: 3,
        added: true,
        stale: true,
        ..Bounds::new(layout)
    }
}

fn killed(layout: Layout) -> Bounds {
    Bounds {
        holder_deaths: 1,
        shapes: [vec![of(1, 0, 0)], vec![]],
        ..again(layout)
    }
}

/// Deaths on both sides.
fn deaths(layout: Layout) -> Bounds {
    Bounds {
        tail_deaths: 1,
        ..killed(layout)
    }
}

#[test]
fn a_service_is_added() {
    for layout in layouts() {
        exact("restart, a service is added", &again(layout));
    }
}

#[test]
fn a_backfill_is_killed() {
    for layout in layout_or_all(Layout::Sequence) {
        exact("restart, killed", &killed(layout));
    }
    exact("restart, deaths on both sides", &deaths(Layout::Sequence));
}

#[test]
fn the_wait_after_every_switch_on() {
    for layout in layouts() {
        needs("restart, a service is added", &again(layout), &[Rule::Settled]);
        needs("restart, killed", &killed(layout), &[Rule::PagesLand]);
    }
}

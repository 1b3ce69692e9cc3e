//! The other order: copied first, without guards, while the lanes are held at their pinned places.

use crate::bounds::{Bounds, large};
use crate::image::of;
use crate::plans::Layout;
use crate::rule::Rule;
use crate::split::{exact, layouts, needs};

fn bulk(layout: Layout) -> Bounds {
    Bounds {
        first: vec![[Some(of(0, 0, 0)), None]],
        shapes: [vec![of(0, 0, 0), of(0, 1, 0)], vec![]],
        steps: match layout {
            Layout::Sequence => vec![1],
            _ if large() => vec![0, 1],
            _ => vec![0],
        },
        batch: if large() { 2 } else { 1 },
        tail_deaths: 1,
        holder_deaths: 1,
        bulk: true,
        ..Bounds::new(layout)
    }
}

#[test]
fn copied_before_any_lane_applies() {
    for layout in layouts() {
        exact("bulk", &bulk(layout));
    }
}

#[test]
fn what_the_bulk_order_needs() {
    for layout in layouts() {
        needs(
            "bulk",
            &bulk(layout),
            &[Rule::BulkHolds, Rule::BulkLands, Rule::BulkRefuses],
        );
    }
}

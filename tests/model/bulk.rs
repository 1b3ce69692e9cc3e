//! The other order: copied without guards while the lanes are held, wherever they stand; and given up in the middle.

use crate::bounds::{Bounds, large};
use crate::image::of;
use crate::plans::Layout;
use crate::rule::Rule;
use crate::split::{exact, layout_or_all, layouts, needs};
use crate::support::long::in_the_long_run;

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
        stale: true,
        bulk: true,
        ..Bounds::new(layout)
    }
}

#[test]
fn copied_while_the_lanes_are_held() {
    for layout in layouts() {
        exact("bulk", &bulk(layout));
    }
    let bounds = Bounds {
        steps: vec![1],
        ..bulk(Layout::Shown)
    };
    exact("bulk, clocks that move", &bounds);
}

/// A write of the tail is given up without an answer, just before the lanes are held.
#[test]
fn copied_while_a_late_write_of_the_tail_is_waited_for() {
    for layout in layouts() {
        let bounds = Bounds {
            tail_deaths: 0,
            unanswered: 1,
            ..bulk(layout)
        };
        exact("bulk, unanswered", &bounds);
    }
}

fn page_unanswered(layout: Layout) -> Bounds {
    Bounds {
        tail_deaths: 0,
        holder_deaths: 0,
        pages_unanswered: 1,
        ..bulk(layout)
    }
}

/// A page of the copy is given up without an answer, and made again.
#[test]
fn copied_with_a_page_without_an_answer() {
    for layout in layouts() {
        exact("bulk, a page without an answer", &page_unanswered(layout));
        let name = "bulk, a page without an answer";
        needs(name, &page_unanswered(layout), &[Rule::UnansweredUnsettled]);
    }
}

/// Clocks that go back are the stream's to order: the copy has no guard that they could beat.
#[test]
fn copied_beside_clocks_that_go_back() {
    let bounds = Bounds {
        steps: vec![-1, 1],
        tail_deaths: 0,
        ..bulk(Layout::Shown)
    };
    exact("bulk, clocks that go back", &bounds);
}

#[test]
fn what_the_bulk_order_needs() {
    in_the_long_run!(what_the_bulk_order_needs);
    for layout in layout_or_all(Layout::Sequence) {
        needs(
            "bulk",
            &bulk(layout),
            &[
                Rule::BulkHolds,
                Rule::BulkAcknowledged,
                Rule::BulkSettled,
                Rule::BulkKept,
                Rule::BulkLands,
                Rule::DeadUnsettled,
                Rule::Inside,
                Rule::Gone,
            ],
        );
    }
}

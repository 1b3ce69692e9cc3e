//! The watch lane: it finds items that belong to no service.

use crate::model::Item;
use crate::plan::Plan;

/// The watch lane's verdict on an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    /// At least one service takes it.
    Routed,
    /// The plan lists it as left behind.
    LeftBehind,
    /// No service takes it: a dead letter.
    Unrouted,
}

/// Whether anybody takes an item. Nothing is ever silently ignored.
#[must_use]
pub fn watch(plan: &Plan, item: &Item) -> Watched {
    if plan.services.iter().any(|service| service.takes(item)) {
        Watched::Routed
    } else if plan
        .left_behind
        .as_ref()
        .is_some_and(|condition| condition.matches(item))
    {
        Watched::LeftBehind
    } else {
        Watched::Unrouted
    }
}

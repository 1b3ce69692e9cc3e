//! The watch lane: it finds items that belong to no service.

use crate::model::Item;
use crate::plan::Plan;

/// The watch lane's verdict on an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watched {
    /// It belongs to a service.
    Routed,
    /// The plan lists it as left behind.
    LeftBehind,
    /// It belongs to no service: a dead letter. A table that receives everything holds it, but nobody is responsible for it.
    Unrouted,
}

/// Whether an item belongs to anybody. Nothing is ever silently ignored.
#[must_use]
pub fn watch(plan: &Plan, item: &Item) -> Watched {
    if plan.services.iter().any(|service| service.belongs(item)) {
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

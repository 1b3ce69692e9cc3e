//! From one exported item to the items of the services.

use super::refused::Reason;
use crate::flow::{Watched, desired, watch};
use crate::model::{Item, RESERVED_PREFIX};
use crate::plan::Plan;

/// What becomes of an item.
pub enum Shaped {
    /// The item of a service, by its place in the plan.
    For(usize, Item),
    /// It cannot be an item of this service, or of any.
    Refused(Option<usize>, Reason),
    /// The plan leaves it behind.
    LeftBehind,
}

/// Routes an item, and calls `each` with everything that becomes of it. Nothing becomes of a marker of a cutover.
pub fn shape<E>(plan: &Plan, item: &Item, mut each: impl FnMut(Shaped) -> Result<(), E>) -> Result<(), E> {
    if plan.source.keys.is_marker(item) {
        return Ok(());
    }
    let mut taken = false;
    for (place, service) in plan.services.iter().enumerate() {
        let shaped = match desired(service, &plan.versions, item) {
            Ok(None) => continue,
            Ok(Some(wanted)) => {
                let mut item = wanted.item;
                // The version of a live split: no write follows that could be compared with it.
                item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
                Shaped::For(place, item)
            }
            Err(fault) => Shaped::Refused(Some(place), Reason::Fault(fault)),
        };
        taken = true;
        each(shaped)?;
    }
    if taken {
        return Ok(());
    }
    match watch(plan, item) {
        Watched::LeftBehind => each(Shaped::LeftBehind),
        Watched::Routed | Watched::Unrouted => each(Shaped::Refused(None, Reason::Unrouted)),
    }
}

//! From one exported item to the items of the services.

use super::error::ShapeError;
use super::exported::{Exported, ShapedItem};
use super::refused::Reason;
use crate::flow::{Fault, Watched, desired, desired_raw, watch};
use crate::model::{Item, LineProblem, RESERVED_PREFIX};
use crate::plan::{Plan, Service};
use std::borrow::Cow;
use std::cell::OnceCell;

/// What becomes of an item.
pub enum Shaped {
    /// The item of a service, by its place in the plan.
    For(usize, ShapedItem),
    /// It cannot be an item of this service, or of any.
    Refused(Option<usize>, Reason),
    /// The plan leaves it behind.
    LeftBehind,
}

/// Routes an item, and calls `each` with everything that becomes of it. Nothing becomes of a marker of a cutover.
///
/// # Errors
/// Those of `each`, or if the line is not an item, which was found out before.
pub fn shape(
    plan: &Plan,
    item: &Exported,
    unreadable: impl Fn(LineProblem) -> ShapeError,
    mut each: impl FnMut(Shaped) -> Result<(), ShapeError>,
) -> Result<(), ShapeError> {
    if plan.source.keys.is_marker(item.read()) {
        return Ok(());
    }
    let whole = OnceCell::new();
    let mut taken = false;
    for (place, service) in plan.services.iter().enumerate() {
        let shaped = match for_service(plan, service, item, &whole).map_err(&unreadable)? {
            Ok(None) => continue,
            Ok(Some(item)) => Shaped::For(place, item),
            Err(fault) => Shaped::Refused(Some(place), Reason::Fault(fault)),
        };
        taken = true;
        each(shaped)?;
    }
    if taken {
        return Ok(());
    }
    match watch(plan, item.read()) {
        Watched::LeftBehind => each(Shaped::LeftBehind),
        Watched::Routed | Watched::Unrouted => each(Shaped::Refused(None, Reason::Unrouted)),
    }
}

/// The item of a service, if it takes this one. What the split adds for itself is left out: no write follows that could be compared
/// with its version.
fn for_service<'i>(
    plan: &Plan,
    service: &Service,
    item: &'i Exported,
    whole: &OnceCell<Cow<'i, Item>>,
) -> Result<Result<Option<ShapedItem>, Fault>, LineProblem> {
    let is_reserved = |name: &str| name.starts_with(RESERVED_PREFIX);
    if let Exported::Raw(raw) = item
        && let Some(wanted) = desired_raw(service, &plan.versions, raw)
    {
        return Ok(Ok(
            wanted.map(|(_, put)| ShapedItem::Carried(put.without(is_reserved)))
        ));
    }
    let whole = match whole.get() {
        Some(whole) => whole,
        None => {
            let read = item.whole()?;
            whole.get_or_init(|| read)
        }
    };
    Ok(desired(service, &plan.versions, whole).map(|wanted| {
        wanted.map(|mut wanted| {
            wanted.item.retain(|name, _| !is_reserved(name));
            ShapedItem::Made(wanted.item)
        })
    }))
}

#[cfg(test)]
mod tests;

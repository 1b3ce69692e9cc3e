//! From one exported item to the lines of the services.

use super::error::ShapeError;
use super::exported::Exported;
use super::refused::Reason;
use crate::flow::{Carrier, Fault, Watched, desired, watch};
use crate::model::json::item_line;
use crate::model::{Item, ItemExt as _, LineProblem, RESERVED_PREFIX};
use crate::plan::{Plan, Service};
use std::borrow::Cow;
use std::cell::OnceCell;

/// What becomes of an item.
pub enum Shaped<'l> {
    /// The item of a service, by its place in the plan.
    For(usize, ShapedLine<'l>),
    /// It cannot be an item of this service, or of any.
    Refused(Option<usize>, Reason),
    /// The plan leaves it behind.
    LeftBehind,
}

/// The line of an item, as DynamoDB imports it.
#[derive(Clone, Copy)]
pub struct ShapedLine<'l> {
    /// With its end.
    pub line: &'l [u8],
    /// Bytes that DynamoDB charges for the item.
    pub bytes: usize,
}

/// Shapes items.
#[derive(Debug)]
pub struct Shaper {
    carriers: Vec<Carrier>,
    line: Vec<u8>,
}

impl Shaper {
    /// For the services of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            carriers: Carrier::all(plan),
            line: Vec::new(),
        }
    }

    /// Routes an item, and calls `each` with everything that becomes of it. Nothing becomes of a marker of a cutover.
    ///
    /// # Errors
    /// Those of `each`, or if the line is not an item, which was found out before.
    pub fn shape(
        &mut self,
        plan: &Plan,
        item: &Exported,
        unreadable: impl Fn(LineProblem) -> ShapeError,
        mut each: impl FnMut(Shaped<'_>) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        if plan.source.keys.is_marker(item.read()) {
            return Ok(());
        }
        let whole = OnceCell::new();
        let mut taken = false;
        for (place, service) in plan.services.iter().enumerate() {
            let shaped = self.for_service(plan, (place, service), item, &whole);
            let shaped = match shaped.map_err(&unreadable)? {
                Ok(None) => continue,
                Ok(Some(line)) => Shaped::For(place, line),
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
        &mut self,
        plan: &Plan,
        (place, service): (usize, &Service),
        item: &'i Exported,
        whole: &OnceCell<Cow<'i, Item>>,
    ) -> Result<Result<Option<ShapedLine<'_>>, Fault>, LineProblem> {
        self.line.clear();
        if let Exported::Raw(raw) = item
            && let Some(carrier) = self.carriers.get(place)
            && let Some(carried) = carrier.line(service, raw, &mut self.line)
        {
            let line = &self.line;
            return Ok(Ok(carried.map(|bytes| ShapedLine { line, bytes })));
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
                wanted.item.retain(|name, _| !name.starts_with(RESERVED_PREFIX));
                item_line(&wanted.item, &mut self.line);
                ShapedLine {
                    line: &self.line,
                    bytes: wanted.item.size(),
                }
            })
        }))
    }
}

#[cfg(test)]
mod tests;

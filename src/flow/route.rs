//! The target item that a service should hold for a source item.

use super::transform::{Fault, shaped};
use crate::model::{Item, Key, RESERVED_PREFIX, Value};
use crate::plan::{Service, Shape, Versions};

/// The target item that a service should hold for a source item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// Key in the target.
    pub key: Key,
    /// The whole target item, its key included.
    pub item: Item,
}

impl Desired {
    /// Whether a reader of the target could see a difference: all but the reserved attributes.
    #[must_use]
    pub fn looks_like(&self, other: &Self) -> bool {
        fn visible(item: &Item) -> impl Iterator<Item = (&String, &Value)> {
            item.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX))
        }
        self.key == other.key && visible(&self.item).eq(visible(&other.item))
    }
}

/// The target item that a service should hold for a source item, or nothing. This is the meaning of the plan. The
/// write path and verify share this function, and nothing else.
///
/// # Errors
/// A [`Fault`] if the item belongs to the service but is invalid for it.
pub fn desired(service: &Service, versions: &Versions, item: &Item) -> Result<Option<Desired>, Fault> {
    let Some(shape) = taker(service, item)? else {
        return Ok(None);
    };
    let (key, item) = shaped(service, shape, versions, item)?;
    Ok(Some(Desired { key, item }))
}

/// The shape of a service that takes a source item, if one does.
pub(super) fn taker<'s>(service: &'s Service, item: &Item) -> Result<Option<&'s Shape>, Fault> {
    let mut takers = service
        .shapes
        .iter()
        .enumerate()
        .filter(|(_, shape)| shape.condition.matches(item));
    let Some((first, shape)) = takers.next() else {
        return Ok(None);
    };
    if let Some((second, _)) = takers.next() {
        return Err(Fault::SeveralShapes { first, second });
    }
    Ok(Some(shape))
}

//! The target keys that a group of changes touches.

use super::coalesce::Group;
use super::route::desired;
use crate::model::Key;
use crate::plan::{Service, Versions};

/// Every target key of an image of the group, where a stale page of the same item may land. An invalid image has no
/// target key, and no page of it lands.
#[must_use]
pub fn touched(service: &Service, versions: &Versions, group: &Group) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let images = group.changes.iter().map(|change| &change.images);
    for image in images.flat_map(|images| [&images.old, &images.new]).flatten() {
        if let Ok(Some(wanted)) = desired(service, versions, image)
            && !keys.contains(&wanted.key)
        {
            keys.push(wanted.key);
        }
    }
    keys
}

//! The attributes of a source item that a target item stands for.

use super::{NoWayBack, WayBack};
use crate::flow::REPLICATION_PREFIX;
use crate::model::{Item, RESERVED_PREFIX, VERSION_ATTRIBUTE, Value};
use crate::plan::Shape;

/// Whether the service may change an attribute of the source's items: it owns it, and its transform copies it.
pub(super) fn is_own(back: &WayBack<'_>, shape: &Shape, name: &str) -> bool {
    is_copied(back, shape, name) && back.service.owns().has(name)
}

/// Whether the transform copies an attribute that an item can have or not.
fn is_copied(back: &WayBack<'_>, shape: &Shape, name: &str) -> bool {
    !name.starts_with(RESERVED_PREFIX)
        && !name.starts_with(REPLICATION_PREFIX)
        && !is_source_key(back, name)
        && shape.attributes.target_name(name).is_some()
}

fn is_source_key(back: &WayBack<'_>, name: &str) -> bool {
    back.source.attributes().any(|key| key.name == name)
}

/// What an item of the target means: neither the version that the split keeps in it, nor what global tables keep.
pub(super) fn meant(item: &Item) -> Item {
    let meant = item
        .iter()
        .filter(|(name, _)| *name != VERSION_ATTRIBUTE && !name.starts_with(REPLICATION_PREFIX));
    meant.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The attributes that the service owns, as the target item says them, under their names in the source. An attribute that
/// `current` has under one of two possible names keeps that name, so that a target item that did not change changes
/// nothing.
pub(super) fn source_image(
    back: &WayBack<'_>,
    shape: &Shape,
    target: &Item,
    current: &Item,
) -> Result<Item, NoWayBack> {
    let mut image = Item::new();
    for (name, value) in meant(target) {
        let Some(source) = source_name(back, shape, &name, &value, current)? else {
            continue;
        };
        if back.service.owns().has(source) {
            image.insert(source.to_owned(), value);
        }
    }
    Ok(image)
}

/// What an attribute of the target is called in the source. `None` where it follows from the key.
fn source_name<'s>(
    back: &WayBack<'_>,
    shape: &'s Shape,
    name: &'s str,
    value: &Value,
    current: &Item,
) -> Result<Option<&'s str>, NoWayBack> {
    let itself = (shape.attributes.target_name(name) == Some(name)).then_some(name);
    if back.service.keys.attributes().any(|key| key.name == name) {
        // The source may hold the made key as well, as an attribute of its own.
        return Ok(itself.filter(|name| !is_source_key(back, name) && current.get(*name) == Some(value)));
    }
    let renamed = shape
        .attributes
        .rename
        .iter()
        .find(|(from, to)| *to == name && shape.attributes.target_name(from).is_some())
        .map(|(from, _)| from.as_str());
    let found = match (renamed, itself) {
        (Some(renamed), Some(itself))
            if !is_source_key(back, renamed)
                && current.contains_key(itself)
                && !current.contains_key(renamed) =>
        {
            itself
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            return Err(NoWayBack::NoPlace {
                attribute: name.to_owned(),
            });
        }
    };
    if is_source_key(back, found) {
        return Ok(None);
    }
    if found.starts_with(RESERVED_PREFIX) {
        return Err(NoWayBack::NoPlace {
            attribute: name.to_owned(),
        });
    }
    Ok(Some(found))
}

/// The attributes in which two items differ.
pub(super) fn differences(one: &Item, other: &Item) -> Vec<String> {
    let mut names: Vec<String> = one
        .keys()
        .chain(other.keys())
        .filter(|name| !name.starts_with(RESERVED_PREFIX) && one.get(*name) != other.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

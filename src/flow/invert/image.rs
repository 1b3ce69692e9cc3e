//! The attributes of a source item that a target item stands for.

use super::reason::NoWayBack;
use crate::model::{Item, KeySchema, REPLICATION_PREFIX, RESERVED_PREFIX, VERSION_ATTRIBUTE, Value};
use crate::plan::{Service, Shape};

/// What a shape of a service copies of the source's items.
pub(super) struct Copied<'a> {
    pub service: &'a Service,
    pub shape: &'a Shape,
    /// The source's primary key.
    pub source: &'a KeySchema,
}

/// What an item of the target means: neither the version that the split keeps in it, nor what global tables keep.
pub(super) fn meant(item: &Item) -> Item {
    let meant = item
        .iter()
        .filter(|(name, _)| *name != VERSION_ATTRIBUTE && !name.starts_with(REPLICATION_PREFIX));
    meant.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Copied<'_> {
    /// Whether the service may change an attribute of the source's items: it owns it, and its transform copies it.
    pub fn is_own(&self, name: &str) -> bool {
        self.is_copied(name) && self.service.owns().has(name)
    }

    /// Whether the transform copies an attribute that an item can have or not.
    fn is_copied(&self, name: &str) -> bool {
        !name.starts_with(RESERVED_PREFIX)
            && !self.is_source_key(name)
            && self.shape.attributes.target_name(name).is_some()
    }

    fn is_source_key(&self, name: &str) -> bool {
        self.source.attributes().any(|key| key.name == name)
    }

    /// The attributes that the service owns, as the target item says them, under their names in the source. An attribute
    /// that `current` has under one of two possible names keeps that name, so that a target item that did not change
    /// changes nothing.
    pub fn source_image(&self, target: &Item, current: &Item) -> Result<Item, NoWayBack> {
        let mut image = Item::new();
        for (name, value) in meant(target) {
            let Some(source) = self.source_name(&name, &value, current)? else {
                continue;
            };
            if self.service.owns().has(source) {
                image.insert(source.to_owned(), value);
            }
        }
        Ok(image)
    }

    /// All attributes that the target item shows, under their names in the source.
    pub fn shown(&self, target: &Item) -> Result<Item, NoWayBack> {
        let mut image = Item::new();
        for (name, value) in meant(target) {
            if let Some(source) = self.source_name(&name, &value, &Item::new())? {
                image.insert(source.to_owned(), value);
            }
        }
        Ok(image)
    }

    /// What an attribute of the target is called in the source. `None` where it follows from the key.
    fn source_name<'s>(
        &'s self,
        name: &'s str,
        value: &Value,
        current: &Item,
    ) -> Result<Option<&'s str>, NoWayBack> {
        let attributes = &self.shape.attributes;
        let itself = (attributes.target_name(name) == Some(name)).then_some(name);
        if self.service.keys.attributes().any(|key| key.name == name) {
            // The source may hold the made key as well, as an attribute of its own.
            return Ok(itself.filter(|name| !self.is_source_key(name) && current.get(*name) == Some(value)));
        }
        let renamed = attributes
            .rename
            .iter()
            .find(|(from, to)| *to == name && attributes.target_name(from).is_some())
            .map(|(from, _)| from.as_str());
        let no_place = || NoWayBack::NoPlace {
            attribute: name.to_owned(),
        };
        let found = match (renamed, itself) {
            (Some(renamed), Some(itself))
                if !self.is_source_key(renamed)
                    && current.contains_key(itself)
                    && !current.contains_key(renamed) =>
            {
                itself
            }
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => return Err(no_place()),
        };
        if found.starts_with(RESERVED_PREFIX) {
            return Err(no_place());
        }
        Ok(Some(found).filter(|found| !self.is_source_key(found)))
    }
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

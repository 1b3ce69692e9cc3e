//! The way back: from a change of a target's item to the write of the source that says the same.
//!
//! It is the inverse of [`desired`](super::desired()): if the write is carried out, the source item means exactly the
//! target item again, for this service. Nothing that the service does not own is touched: attributes that the transform
//! drops keep their values, and items of others are never replaced or deleted. A change that has no such write is
//! refused with a [`NoWayBack`], so that it can be kept and told.

mod image;
mod reason;

use super::guard::is_tombstone;
use super::route::{Desired, desired};
use crate::fault::{Rule, broken};
use crate::model::{Item, ItemExt, Key, KeySchema, MAX_ITEM_BYTES, RESERVED_PREFIX, Value};
use crate::plan::{Owns, Service, Shape, Versions};
use image::{Copied, differences, meant};
pub use reason::NoWayBack;
use std::collections::BTreeSet;

/// Most bytes of a partition key and of a sort key
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys)).
const MAX_KEY_BYTES: [usize; 2] = [2048, 1024];

/// A service whose target is written back.
#[derive(Clone, Copy, Debug)]
pub struct WayBack<'a> {
    /// The service.
    pub service: &'a Service,
    /// The source's primary key.
    pub source: &'a KeySchema,
    /// Where versions come from.
    pub versions: &'a Versions,
    /// What the write adds to the source item for the split's own purposes (a mark), in bytes.
    pub mark_bytes: usize,
}

/// What happened to an item of a target.
#[derive(Clone, Copy, Debug)]
pub enum TargetChange<'a> {
    /// It is this now.
    Put {
        /// The whole item.
        item: &'a Item,
        /// There was none before. Only then the source gets a new item: otherwise its item was lost, and one without
        /// the attributes that the transform drops would take its place.
        is_new: bool,
    },
    /// It is gone.
    Delete(&'a Key),
}

/// A write of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceWrite {
    /// The source item's key.
    pub key: Key,
    /// What to do with it.
    pub kind: SourceWriteKind,
}

/// What a write does to the source item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceWriteKind {
    /// There is no item: this is the whole item.
    Create(Item),
    /// Some attributes get values, and some go away. All others stay as they are.
    Update {
        /// Attributes and their values.
        set: Item,
        /// Attributes that go away.
        remove: BTreeSet<String>,
    },
    /// The item goes away.
    Delete,
}

impl SourceWrite {
    /// Whether it changes nothing.
    fn is_empty(&self) -> bool {
        matches!(&self.kind, SourceWriteKind::Update { set, remove } if set.is_empty() && remove.is_empty())
    }

    /// What the source holds afterwards.
    #[must_use]
    pub fn merged(&self, current: Option<&Item>) -> Option<Item> {
        match &self.kind {
            SourceWriteKind::Create(item) => Some(item.clone()),
            SourceWriteKind::Update { set, remove } => {
                let mut merged = current.cloned().unwrap_or_default();
                merged.retain(|name, _| !remove.contains(name));
                merged.extend(set.clone());
                Some(merged)
            }
            SourceWriteKind::Delete => None,
        }
    }
}

/// The source key that a change is about, and the shape that makes the target's key of it.
struct Origin<'a> {
    key: Key,
    shape: &'a Shape,
}

impl WayBack<'_> {
    /// The key of the source item that a change is about; it has to be read before [`WayBack::write`] is asked. `None`:
    /// the change is about an item that the source cannot have, and that is gone.
    ///
    /// # Errors
    /// Where there is no such key.
    pub fn source_key(&self, change: TargetChange<'_>) -> Result<Option<Key>, NoWayBack> {
        Ok(self.origin(&self.settled(change)?)?.map(|origin| origin.key))
    }

    /// The write that makes the source say what the target says. `current` is the source item under
    /// [`WayBack::source_key`], without the mark that this write would replace. `None`: the source says so already.
    ///
    /// # Errors
    /// Where no write of what the service owns makes the source say it.
    pub fn write(
        &self,
        change: TargetChange<'_>,
        current: Option<&Item>,
    ) -> Result<Option<SourceWrite>, NoWayBack> {
        let change = self.settled(change)?;
        let Some(origin) = self.origin(&change)? else {
            return Ok(None);
        };
        if let Some(current) = current
            && self.source.key_of(current).as_ref() != Some(&origin.key)
        {
            return Err(NoWayBack::OtherItem { key: origin.key });
        }
        let kind = match &change {
            Settled::Put { item, is_new, .. } => self.put(&origin, item, *is_new, current)?,
            Settled::Delete(_) => match self.delete(&origin, current) {
                Some(kind) => kind,
                None => return Ok(None),
            },
        };
        let write = SourceWrite {
            key: origin.key,
            kind,
        };
        self.check(&change, &write, current)?;
        Ok((!write.is_empty()).then_some(write))
    }

    /// Whether a source item says what a target item says: `target` is what the transform makes of `current`, or both are
    /// absent for the service. A source item that is invalid for the service says nothing.
    #[must_use]
    pub fn stands_for(&self, target: Option<&Item>, current: Option<&Item>) -> bool {
        let said = current.map_or(Ok(None), |current| {
            desired(self.service, self.versions, &visible(current))
        });
        let target = target.filter(|item| !is_tombstone(item));
        match (said, target) {
            (Ok(None), None) => true,
            (Ok(Some(said)), Some(target)) => self.service.keys.key_of(target).is_some_and(|key| {
                said.looks_like(&Desired {
                    key,
                    item: meant(target),
                })
            }),
            _ => false,
        }
    }

    /// Whether a source item was copied to the table, and belongs to others: no change of its copy is carried back.
    #[must_use]
    pub fn is_of_others(&self, current: &Item) -> bool {
        self.service.copies_everything() && !self.is_own(current)
    }

    /// Whether a source item belongs to the service, so that changes of the table's item may change it.
    fn is_own(&self, current: &Item) -> bool {
        self.service.belongs(&visible(current))
            || self.service.copies_everything() && broken(Rule::CopiesStay)
    }

    fn copied<'s>(&'s self, shape: &'s Shape) -> Copied<'s> {
        Copied {
            service: self.service,
            shape,
            source: self.source,
        }
    }

    /// A tombstone is the split's own sign for a deleted item.
    fn settled<'c>(&self, change: TargetChange<'c>) -> Result<Settled<'c>, NoWayBack> {
        if *self.service.owns() == Owns::Nothing {
            return Err(NoWayBack::OwnsNothing);
        }
        if !self.service.is_injective() {
            return Err(NoWayBack::NotProven);
        }
        match change {
            TargetChange::Delete(key) => Ok(Settled::Delete(key.clone())),
            TargetChange::Put { item, is_new } => {
                let key = self.service.keys.key_of(item).ok_or(NoWayBack::NoKey)?;
                Ok(if is_tombstone(item) {
                    Settled::Delete(key)
                } else {
                    Settled::Put { key, item, is_new }
                })
            }
        }
    }

    fn origin(&self, change: &Settled<'_>) -> Result<Option<Origin<'_>>, NoWayBack> {
        let target = match change {
            Settled::Put { key, .. } | Settled::Delete(key) => key,
        };
        let mut origins = self.service.shapes.iter().filter_map(|shape| {
            let key = shape.keys.invert(target)?;
            shape.may_take(&key).then_some(Origin { key, shape })
        });
        let Some(origin) = origins.next() else {
            return match change {
                Settled::Put { .. } => Err(NoWayBack::NoSourceKey { key: target.clone() }),
                // What could never be written back leaves nothing behind.
                Settled::Delete(_) => Ok(None),
            };
        };
        let parts = std::iter::once(&origin.key.partition).chain(&origin.key.sort);
        for ((attribute, value), limit) in self.source.attributes().zip(parts).zip(MAX_KEY_BYTES) {
            let bytes = value.size();
            if bytes > limit {
                return match change {
                    Settled::Put { .. } => Err(NoWayBack::KeyTooLong {
                        attribute: attribute.name.clone(),
                        bytes,
                        limit,
                    }),
                    Settled::Delete(_) => Ok(None),
                };
            }
        }
        Ok(Some(origin))
    }

    fn put(
        &self,
        origin: &Origin<'_>,
        item: &Item,
        is_new: bool,
        current: Option<&Item>,
    ) -> Result<SourceWriteKind, NoWayBack> {
        let owns_items = *self.service.owns() == Owns::Items;
        let Some(current) = current else {
            if !is_new || !owns_items {
                return Err(NoWayBack::Gone);
            }
            let mut new = self.source.item_of(&origin.key);
            new.extend(origin.shape.given.clone());
            new.extend(self.copied(origin.shape).source_image(item, &Item::new())?);
            return Ok(SourceWriteKind::Create(new));
        };
        if owns_items && !self.is_own(current) {
            return Err(NoWayBack::Occupied);
        }
        let copied = self.copied(origin.shape);
        let image = copied.source_image(item, current)?;
        let remove: BTreeSet<String> = current
            .keys()
            .filter(|name| copied.is_own(name) && !image.contains_key(*name))
            .cloned()
            .collect();
        let set: Item = image
            .into_iter()
            .filter(|(name, value)| current.get(name) != Some(value))
            .collect();
        Ok(SourceWriteKind::Update { set, remove })
    }

    /// An item that is gone, or is not the service's any more, says already that the target has none.
    fn delete(&self, origin: &Origin<'_>, current: Option<&Item>) -> Option<SourceWriteKind> {
        let current = &visible(current.filter(|current| self.is_own(current))?);
        if *self.service.owns() == Owns::Items {
            return Some(SourceWriteKind::Delete);
        }
        let copied = self.copied(origin.shape);
        let remove: BTreeSet<String> = current
            .keys()
            .filter(|name| copied.is_own(name))
            .cloned()
            .collect();
        Some(SourceWriteKind::Update {
            set: Item::new(),
            remove,
        })
    }

    /// Whether the source says what the target says, if the write is carried out.
    fn check(
        &self,
        change: &Settled<'_>,
        write: &SourceWrite,
        current: Option<&Item>,
    ) -> Result<(), NoWayBack> {
        let Some(merged) = write.merged(current) else {
            return Ok(());
        };
        let bytes = merged.size() + self.mark_bytes;
        let merged = visible(&merged);
        match change {
            Settled::Delete(_) if self.service.belongs(&merged) => return Err(NoWayBack::StillRouted),
            Settled::Delete(_) => {}
            Settled::Put { key, item, .. } => {
                let wanted = Desired {
                    key: key.clone(),
                    item: meant(item),
                };
                let said = desired(self.service, self.versions, &merged)?.ok_or(NoWayBack::NotRouted)?;
                if !self.service.belongs(&merged) {
                    return Err(NoWayBack::NotRouted);
                }
                self.compare(&said, &wanted)?;
            }
        }
        if bytes > MAX_ITEM_BYTES && !write.is_empty() {
            return Err(NoWayBack::TooLarge {
                bytes,
                own: self.mark_bytes,
            });
        }
        Ok(())
    }

    fn compare(&self, said: &Desired, wanted: &Desired) -> Result<(), NoWayBack> {
        if said.looks_like(wanted) {
            return Ok(());
        }
        let attributes = differences(&said.item, &wanted.item);
        Err(match self.service.owns() {
            Owns::Attributes(_) => NoWayBack::NotOwned { attributes },
            _ => NoWayBack::Differs { attributes },
        })
    }
}

/// What a target item shows of the source item that it was copied from: the source's key, and the attributes that are copied.
/// `None`: no source item is copied to this.
#[must_use]
pub fn copied_from(service: &Service, source: &KeySchema, target: &Item) -> Option<Item> {
    let key = service.keys.key_of(target)?;
    service.shapes.iter().find_map(|shape| {
        let key = shape.keys.invert(&key).filter(|key| shape.may_take(key))?;
        let copied = Copied {
            service,
            shape,
            source,
        };
        let mut shown = copied.shown(target).ok()?;
        shown.extend(source.item_of(&key));
        Some(shown)
    })
}

/// A change whose kind is settled.
enum Settled<'c> {
    Put { key: Key, item: &'c Item, is_new: bool },
    Delete(Key),
}

/// Without the split's own attributes: they say nothing of the item.
fn visible(item: &Item) -> Item {
    let visible = item.iter().filter(|(name, _)| !name.starts_with(RESERVED_PREFIX));
    visible
        .map(|(name, value): (&String, &Value)| (name.clone(), value.clone()))
        .collect()
}

//! An item of a page of the source, of which the write path reads no more than the plan looks at.

use super::changes::Changes;
use super::coalesce::Group;
use super::effects::{Effects, Write, WriteKind, effects, page_guard};
use super::route::taker;
use super::stop::Stop;
use super::transform::{STAMP_BYTES, shaped};
use crate::model::raw::{RawItem, RawPut};
use crate::model::{Change, Images, Item, Key, MAX_ITEM_BYTES, Origin};
use crate::plan::{Service, Versions};
use std::borrow::Cow;
use std::sync::Arc;

/// An item of a page of the source.
#[derive(Clone, Debug)]
pub enum PageItem {
    /// As a change.
    Read(Group),
    /// As it came.
    Raw(RawPageItem),
}

/// An item of a page of the source, as it came. What the plan looks at is read.
#[derive(Clone, Debug)]
pub struct RawPageItem {
    /// Primary key in the source.
    pub key: Key,
    /// The item.
    pub item: RawItem,
    /// Where the page was read.
    pub origin: Origin,
}

impl PageItem {
    /// The attributes of the item that the plan looks at, and perhaps others.
    #[must_use]
    pub fn read(&self) -> Option<&Item> {
        match self {
            Self::Read(group) => group.changes.last()?.images.new.as_ref(),
            Self::Raw(raw) => Some(&raw.item.read),
        }
    }
}

impl Changes for PageItem {
    fn count(&self) -> u64 {
        match self {
            Self::Read(group) => group.count(),
            Self::Raw(_) => 1,
        }
    }

    fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Read(group) => group.origin(),
            Self::Raw(raw) => Some(&raw.origin),
        }
    }

    fn effects(&self, service: &Service, versions: &Versions) -> Effects {
        match self {
            Self::Read(group) => effects(service, versions, group),
            Self::Raw(raw) => raw.effects(service, versions),
        }
    }

    fn group(&self) -> Result<Cow<'_, Group>, Stop> {
        match self {
            Self::Read(group) => Ok(Cow::Borrowed(group)),
            Self::Raw(raw) => raw.group().map(Cow::Owned),
        }
    }
}

impl RawPageItem {
    /// The effects of the whole item: nothing, or a put that carries what nobody looks at. Anything else is found out by
    /// [`effects`], which sees the whole item.
    fn effects(&self, service: &Service, versions: &Versions) -> Effects {
        match self.put(service, versions) {
            Some(None) => Effects::default(),
            Some(Some(write)) => Effects {
                writes: vec![write],
                ..Effects::default()
            },
            None => match self.group() {
                Ok(group) => effects(service, versions, &group),
                Err(stop) => Effects::unreadable(stop.reason),
            },
        }
    }

    /// The put, if the item belongs to the service. `None`: the whole item must be looked at.
    fn put(&self, service: &Service, versions: &Versions) -> Option<Option<Write>> {
        let Some((key, put)) = desired_raw(service, versions, &self.item)? else {
            return Some(None);
        };
        Some(Some(Write {
            key,
            kind: WriteKind::PutRaw(put),
            guard: page_guard(versions, &self.item.read, self.origin == Origin::Bulk),
        }))
    }

    fn group(&self) -> Result<Group, Stop> {
        let item = self.item.decoded().map_err(|error| Stop {
            reason: format!("an item of the source can't be read: {error}"),
        })?;
        let change = Change {
            key: self.key.clone(),
            images: Images {
                old: None,
                new: Some(item),
            },
            origin: self.origin.clone(),
        };
        Ok(Group {
            key: self.key.clone(),
            changes: vec![Arc::new(change)],
        })
    }
}

/// The target item that a service should hold for an item of which not everything is read, or nothing. `None`: the whole item must be
/// looked at, by [`super::desired`], which gives the same answer and says what is wrong.
#[must_use]
pub fn desired_raw(service: &Service, versions: &Versions, item: &RawItem) -> Option<Option<(Key, RawPut)>> {
    let Some(shape) = taker(service, &item.read).ok()? else {
        return Some(None);
    };
    let (key, made) = shaped(service, shape, versions, &item.read).ok()?;
    let put = RawPut::new(made, item, |name| shape.attributes.target_name(name).is_some());
    if put.size() + STAMP_BYTES > MAX_ITEM_BYTES {
        return None;
    }
    Some(Some((key, put)))
}

//! From the changes of one source item to the writes of one service: the rules of the protocol's "one write
//! path", "versions and guards" and "coalescing", as one pure function.

use super::coalesce::Group;
use super::guard::{Guard, VersionFields, stamp};
use super::route::{Desired, desired};
use crate::fault::{Rule, broken};
use crate::model::raw::RawPut;
use crate::model::{Change, Item, Key, Origin, VERSION_ATTRIBUTE, Version};
use crate::plan::{Service, Versions};

/// A write of one target key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// Key in the target.
    pub key: Key,
    /// The kind of write.
    pub kind: WriteKind,
    /// When it may land.
    pub guard: Guard,
}

/// The kinds of writes of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteKind {
    /// The whole item.
    Put(Item),
    /// The whole item, of which most attributes are as they came from the source. Only of a page.
    PutRaw(RawPut),
    /// Nothing shall be there: a delete, or a tombstone with this version while tombstones are on.
    Remove(Option<Version>),
}

/// Something that a person must look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// Why the last image is invalid for the service.
    pub reason: String,
}

/// All that the changes of one source item do to one service.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// Writes; their order does not matter.
    pub writes: Vec<Write>,
    /// The last image can't be shaped: a dead letter.
    pub complaint: Option<Complaint>,
    /// The timestamp went backwards: stream order was kept, and the key must be read again after the backfill.
    pub backwards: bool,
    /// The service's shape did not change, so that no write is needed.
    pub unchanged: bool,
}

impl Effects {
    /// Of an item that cannot be read.
    pub(super) fn unreadable(reason: String) -> Self {
        Self {
            complaint: Some(Complaint { reason }),
            ..Self::default()
        }
    }
}

/// Computes the effects of a group on a service.
#[must_use]
pub fn effects(service: &Service, versions: &Versions, group: &Group) -> Effects {
    match group.changes.last().map(|change| &change.origin) {
        None => Effects::default(),
        Some(Origin::Backfill) => backfill(service, versions, group, false),
        Some(Origin::Bulk) => backfill(service, versions, group, true),
        Some(Origin::Tail { .. }) if broken(Rule::EveryTouchedKey) => tail(service, versions, &ends(group)),
        Some(Origin::Tail { .. }) => tail(service, versions, group),
    }
}

/// The effects of a page. In the bulk order no lane writes, and each lane continues at a position that is not newer
/// than the page. So a page needs no guard: if it did not show the last state of an item, the lane writes the item
/// again.
fn backfill(service: &Service, versions: &Versions, group: &Group, bulk: bool) -> Effects {
    let Some(item) = group.changes.last().and_then(|change| change.images.new.as_ref()) else {
        return Effects::default();
    };
    match desired(service, versions, item) {
        Ok(None) => Effects::default(),
        Err(fault) => Effects {
            complaint: Some(Complaint {
                reason: fault.to_string(),
            }),
            ..Effects::default()
        },
        Ok(Some(wanted)) => {
            let write = Write {
                key: wanted.key,
                kind: WriteKind::Put(wanted.item),
                guard: page_guard(versions, item, bulk),
            };
            Effects {
                writes: vec![write],
                ..Effects::default()
            }
        }
    }
}

/// When the write of an item of a page may land.
pub(super) fn page_guard(versions: &Versions, item: &Item, bulk: bool) -> Guard {
    match versions {
        _ if bulk || broken(Rule::BackfillGuard) => Guard::Any,
        Versions::Timestamp(timestamp) if broken(Rule::BackfillTies) => {
            timestamp.version_of(item).map_or(Guard::Absent, Guard::NotNewer)
        }
        Versions::Timestamp(timestamp) => timestamp.version_of(item).map_or(Guard::Absent, Guard::Older),
        Versions::Sequence => Guard::Absent,
    }
}

/// The versions of a group: the highest of all images, that of the last image, and whether one went backwards. An
/// unreadable version counts as going backwards, because neither can be compared with the contents of a stale page.
struct GroupVersion {
    highest: Option<Version>,
    last: Option<Version>,
    backwards: bool,
}

fn group_version(versions: &Versions, changes: &[std::sync::Arc<Change>]) -> GroupVersion {
    let mut found = GroupVersion {
        highest: None,
        last: None,
        backwards: false,
    };
    for change in changes {
        match (versions, &change.origin) {
            (Versions::Sequence, Origin::Tail { generation, sequence }) => {
                found.last = Some(stamp(*generation, sequence));
                found.highest = found.highest.max(found.last.clone());
            }
            (Versions::Sequence, Origin::Backfill | Origin::Bulk) => {}
            (Versions::Timestamp(timestamp), _) => {
                let of = |item: &Option<Item>| item.as_ref().and_then(|item| timestamp.version_of(item));
                let (old, new) = (of(&change.images.old), of(&change.images.new));
                // Text in another format is in the attribute that the guard reads, and compares as if it were a
                // version.
                found.backwards |= [&change.images.old, &change.images.new]
                    .into_iter()
                    .flatten()
                    .any(|item| timestamp.is_unreadable(item));
                let before = found.highest.take().max(old);
                found.backwards |= new
                    .as_ref()
                    .is_some_and(|new| before.as_ref().is_some_and(|old| new < old));
                found.last.clone_from(&new);
                found.highest = before.max(new);
            }
        }
    }
    found
}

fn tail(service: &Service, versions: &Versions, group: &Group) -> Effects {
    let fields = service.version_fields(versions);
    let version = group_version(versions, &group.changes);
    // Every target key that any image touched is removed or written: a backfill may hold an intermediate one.
    let mut touched: Vec<Key> = Vec::new();
    let mut touch = |wanted: &Desired| {
        if !touched.contains(&wanted.key) {
            touched.push(wanted.key.clone());
        }
    };
    let mut unchanged = true;
    let mut last: Option<Desired> = None;
    let mut complaint = None;
    for change in &group.changes {
        // If only the old image can't be shaped, it counts as none: the write that repairs it must arrive.
        let old = change
            .images
            .old
            .as_ref()
            .filter(|_| change.images.new.is_none() || !broken(Rule::BothImages))
            .and_then(|item| desired(service, versions, item).ok().flatten());
        let new = change
            .images
            .new
            .as_ref()
            .map_or(Ok(None), |item| desired(service, versions, item));
        complaint = new.as_ref().err().map(|fault| Complaint {
            reason: fault.to_string(),
        });
        let new = new.ok().flatten();
        unchanged &= match (&old, &new) {
            (Some(old), Some(new)) => old.looks_like(new),
            (None, None) => true,
            _ => false,
        };
        old.iter().chain(&new).for_each(&mut touch);
        last = new;
    }
    if unchanged && !version.backwards {
        let unchanged = last.is_some();
        return Effects {
            complaint,
            unchanged,
            ..Effects::default()
        };
    }
    let writes = touched
        .into_iter()
        .map(|key| match last.take_if(|wanted| wanted.key == key) {
            Some(wanted) => put(&fields, versions, wanted, &version),
            None if broken(Rule::HighestVersion) => {
                remove(key, &group_version(versions, &group.changes[..1]))
            }
            None => remove(key, &version),
        })
        .collect::<Vec<_>>();
    Effects {
        backwards: version.backwards && !writes.is_empty(),
        writes,
        complaint,
        unchanged: false,
    }
}

/// A write of the tail lands over what is not newer; where versions went backwards, stream order decides.
fn in_stream_order(version: Option<&Version>, backwards: bool) -> Guard {
    match version {
        Some(_) if broken(Rule::TailGuard) => Guard::Any,
        Some(version) if !backwards && broken(Rule::TailTies) => Guard::Older(version.clone()),
        Some(version) if !backwards => Guard::NotNewer(version.clone()),
        _ => Guard::Any,
    }
}

/// A group as if its records were one: from the image before the first to the image after the last.
fn ends(group: &Group) -> Group {
    let mut changes = group.changes.clone();
    if let (Some(first), Some(last)) = (changes.first().cloned(), changes.pop()) {
        let mut merged = Change::clone(&last);
        merged.images.old.clone_from(&first.images.old);
        changes = vec![std::sync::Arc::new(merged)];
    }
    Group {
        key: group.key.clone(),
        changes,
    }
}

fn put(fields: &VersionFields, versions: &Versions, wanted: Desired, version: &GroupVersion) -> Write {
    let mut item = wanted.item;
    if let (Versions::Sequence, Some(stamp)) = (versions, &version.highest) {
        assert_eq!(fields.live, VERSION_ATTRIBUTE);
        item.insert(VERSION_ATTRIBUTE.to_owned(), stamp.to_value());
    }
    let guard = in_stream_order(version.last.as_ref(), version.backwards);
    Write {
        key: wanted.key,
        kind: WriteKind::Put(item),
        guard,
    }
}

fn remove(key: Key, version: &GroupVersion) -> Write {
    let guard = in_stream_order(version.highest.as_ref(), version.backwards);
    Write {
        key,
        kind: WriteKind::Remove(version.highest.clone()),
        guard,
    }
}

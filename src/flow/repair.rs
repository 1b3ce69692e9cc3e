//! The write that repairs one target key, as a pure function.

use super::effects::{Write, WriteKind};
use super::guard::{Guard, VersionFields, alike, is_tombstone};
use super::route::Desired;
use crate::fault::{Rule, broken};
use crate::model::{Item, Key, VERSION_ATTRIBUTE, Version};
use crate::plan::Versions;

/// The write that corrects a target key for a repair, a recheck or a dead letter; `None` if the key is correct.
/// `held` was read in the target, and `wanted` follows from what was read in the source *after* that, both
/// consistently. The source is then at least as new, and the guard finds out whether the target changed since.
///
/// A tombstone counts as an absent item, but a repair never writes over one: the tail removed the item after the
/// read, or will apply a record of it.
#[must_use]
pub fn repair(
    versions: &Versions,
    fields: &VersionFields,
    target: &Key,
    held: Option<Item>,
    wanted: Option<Desired>,
) -> Option<Write> {
    let buried = held.as_ref().is_some_and(is_tombstone);
    let held = held.filter(|item| !is_tombstone(item));
    let wanted = wanted.filter(|wanted| wanted.key == *target);
    let (kind, guard) = match (held, wanted) {
        (None, None) => return None,
        (Some(held), None) => {
            let version = version_of(fields, &held);
            (WriteKind::Remove(version), Guard::Unchanged(Box::new(held)))
        }
        (None, Some(wanted)) => (WriteKind::Put(wanted.item), Guard::Absent),
        (Some(held), Some(wanted)) => {
            let held = Desired {
                key: target.clone(),
                item: held,
            };
            // A hidden timestamp counts too: if it is too high, it refuses later writes of the tail, and no reader
            // sees it.
            let agrees = match versions {
                Versions::Timestamp(_) => held.item == wanted.item,
                Versions::Sequence => held.looks_like(&wanted),
            };
            if agrees {
                return None;
            }
            let item = keep_stamp(versions, wanted.item, &held.item);
            (WriteKind::Put(item), Guard::Unchanged(Box::new(held.item)))
        }
    };
    let unguarded = broken(Rule::RepairGuard) || buried && broken(Rule::RepairObeysTombstones);
    Some(Write {
        key: target.clone(),
        kind,
        guard: if unguarded { Guard::Any } else { guard },
    })
}

/// Whether a target item is newer than the source says. Lost changes do not cause this, because they make the target
/// older. Another writer wrote the target, or the timestamp of the source went backwards. Only timestamps show it: a
/// sequence number is not in the source item.
#[must_use]
pub fn is_newer(versions: &Versions, fields: &VersionFields, held: &Item, wanted: &Item) -> bool {
    matches!(versions, Versions::Timestamp(_))
        && fields.shown(held).any(|held| {
            let mut comparable = fields
                .shown(wanted)
                .filter(|shown| alike(shown, &held))
                .peekable();
            comparable.peek().is_some() && comparable.all(|wanted| wanted < held)
        })
}

fn version_of(fields: &VersionFields, held: &Item) -> Option<Version> {
    let shown = held.get(VERSION_ATTRIBUTE).or_else(|| held.get(&fields.live));
    shown.and_then(Version::from_value)
}

/// In `sequence` mode a repaired item keeps the stamp that the tail gave it, so that older records that are read
/// again still lose against it.
fn keep_stamp(versions: &Versions, mut item: Item, held: &Item) -> Item {
    if let (Versions::Sequence, Some(stamp)) = (versions, held.get(VERSION_ATTRIBUTE)) {
        item.insert(VERSION_ATTRIBUTE.to_owned(), stamp.clone());
    }
    item
}

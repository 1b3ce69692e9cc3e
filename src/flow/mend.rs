use super::effects::{Write, WriteKind};
use super::guard::{Guard, VersionFields, is_tombstone};
use super::route::Desired;
use crate::model::{Item, Key, VERSION_ATTRIBUTE, Version};
use crate::plan::Versions;

/// The write that brings a target key in order for a repair, a recheck or a dead letter; `None` where nothing is to
/// do. `held` is what was read in the target, `wanted` what the source held *after* that, both consistently: the
/// source is then at least as new, and the guard finds out whether the target changed since.
///
/// A tombstone counts as nothing, but nothing is written over one: the tail removed the item after the read, or will
/// tell of it.
#[must_use]
pub fn mend(
    versions: &Versions,
    fields: &VersionFields,
    target: &Key,
    held: Option<Item>,
    wanted: Option<Desired>,
) -> Option<Write> {
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
            // A hidden timestamp counts too: one that is too high refuses what the tail writes later, and nobody sees it.
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
    Some(Write {
        key: target.clone(),
        kind,
        guard,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::plan::Plan;

    fn plan(timestamp: &str) -> Plan {
        let text = format!(
            "
version: 1
split: tests
source: {{ table: Source, keys: {{ partition: id }} }}
timestamp: {timestamp}
unrouted: fail
services:
  - name: mine
    where: attribute_exists(id)
    table: {{ name: Mine, keys: {{ partition: id }} }}
    transform: {{ drop: [at] }}
"
        );
        Plan::parse(&text, "plan.yaml").unwrap()
    }

    fn item(version: &str) -> Item {
        Item::from([
            ("id".to_owned(), Value::s("x")),
            (VERSION_ATTRIBUTE.to_owned(), Value::s(version)),
        ])
    }

    /// A stale page with a later timestamp landed, and what readers see happens to be right.
    #[test]
    fn a_hidden_timestamp_that_is_too_high_is_mended() {
        let key = Key {
            partition: Value::s("x"),
            sort: None,
        };
        let mended = |plan: &Plan, held: &str| {
            let wanted = Desired {
                key: key.clone(),
                item: item("3"),
            };
            let fields = plan.services[0].version_fields(&plan.versions);
            mend(&plan.versions, &fields, &key, Some(item(held)), Some(wanted))
        };
        let timed = plan("{ attribute: at, type: S, format: '0' }");
        assert_eq!(mended(&timed, "3"), None);
        let write = mended(&timed, "4").unwrap();
        assert_eq!(write.kind, WriteKind::Put(item("3")));
        assert_eq!(write.guard, Guard::Unchanged(Box::new(item("4"))));
        // Stamps are the tail's: they differ from what a read of the source could tell, and are right.
        assert_eq!(mended(&plan("none"), "4"), None);
    }
}

//! Whether what a service writes to its table can be written to the source: the proof, and the conditions.

use super::expr::Known;
use super::path::Path;
use super::remark::{Remark, Remarks};
use super::{Owns, Plan, Service, Shape};
use std::collections::BTreeSet;

/// What prevents that any item is written back, or any new one, or any delete.
pub(super) fn obstacles(plan: &Plan, service: &Service, path: &Path) -> Vec<Remark> {
    let mut found = Remarks::of(plan);
    if *service.owns() == Owns::Nothing {
        found.add(
            &path.field("owns"),
            "the service owns nothing: it receives data, and what it writes itself is never carried back"
                .to_owned(),
            None,
        );
        return found.list;
    }
    keys(plan, service, path, &mut found);
    for (n, shape) in service.shapes.iter().enumerate() {
        let path = plan.shape_path(path, n);
        match service.owns() {
            Owns::Items => new_items(plan, shape, &path, &mut found),
            Owns::Attributes(_) => {}
            Owns::Nothing => return found.list,
        }
    }
    if let Owns::Attributes(owned) = service.owns() {
        deletes(plan, service, owned, path, &mut found);
    }
    found.list
}

/// The source key must be known from the target key.
fn keys(plan: &Plan, service: &Service, path: &Path, found: &mut Remarks<'_>) {
    let mut vouch = None;
    for (n, shape) in service.shapes.iter().enumerate() {
        let path = plan
            .shape_path(path, n)
            .field("transform")
            .field("keys")
            .field("vouch");
        if !shape.keys.is_injective() {
            found.add(
                &path,
                "the source key cannot be read back from the target key: a `vouch` does not say which source item a target \
                 item belongs to"
                    .to_owned(),
                Some("make the target key of the whole source key"),
            );
        } else if shape.keys.vouched().is_some() {
            vouch.get_or_insert(path);
        }
    }
    if found.list.is_empty() && !service.is_injective() {
        found.add(
            &vouch.unwrap_or_else(|| path.field("shapes")),
            "nothing shows which shape a target item belongs to: a `vouch` does not say it".to_owned(),
            Some("begin a template of the target's key with another text in each shape, and a source key as well"),
        );
    }
}

/// New items must belong to the service, although they lack what the transform does not copy.
fn new_items(plan: &Plan, shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    let verdict = shape
        .own_condition()
        .verdict(&|name| match shape.given.get(name) {
            Some(value) => Known::Value(value),
            None if is_copied(plan, shape, name) || is_key(plan, name) => Known::Unknown,
            None => Known::Missing,
        });
    if verdict == Some(false) {
        let missing = read(plan, shape, false);
        let (why, hint) = match missing.first() {
            None => (
                "`where` does not match what `reverse.set` gives them".to_owned(),
                "correct the values under `reverse.set`".to_owned(),
            ),
            Some(first) => (
                format!("`where` reads {}, which the target does not hold", list(&missing)),
                set_hint(first),
            ),
        };
        let what = format!("new items would not belong to the service: {why}");
        found.add(&path.field("where"), what, Some(&hint));
    }
}

/// A delete removes the attributes that the service owns: then the item must not belong to it any more.
fn deletes(plan: &Plan, service: &Service, owned: &BTreeSet<String>, path: &Path, found: &mut Remarks<'_>) {
    let known = |shape: &Shape, name: &str| {
        if owned.contains(name) && is_copied(plan, shape, name) {
            Known::Missing
        } else {
            Known::Unknown
        }
    };
    let ends = |shape: &Shape| shape.own_condition().verdict(&|name| known(shape, name)) == Some(false);
    if !service.shapes.iter().all(ends) {
        found.add(
            &path.field("owns"),
            format!(
                "a delete could not be carried back: without {}, an item could still belong to the service",
                list(owned)
            ),
            Some("let `where` ask for an attribute that the service owns: ... AND attribute_exists(name)"),
        );
    }
}

/// What holds for the items that are written back.
pub(super) fn conditions(plan: &Plan, service: &Service, path: &Path) -> Vec<Remark> {
    let mut found = Remarks::of(plan);
    if let Owns::Attributes(owned) = service.owns() {
        found.add(
            &path.field("owns"),
            format!("only changes of {} are written back", list(owned)),
            None,
        );
    }
    if service.copies_everything() {
        found.add(
            &path.field("copy"),
            "items that `where` does not match are copied, too: no write of the service to them is written back, they stay as they \
             are after the switch, and after a rollback a repair is mandatory"
                .to_owned(),
            None,
        );
    }
    for (n, shape) in service.shapes.iter().enumerate() {
        let path = plan.shape_path(path, n);
        if *service.owns() == Owns::Items {
            given(plan, shape, &path, &mut found);
            lacking(plan, shape, &path, &mut found);
        }
        routed(plan, shape, &path, &mut found);
        ambiguous(shape, &path, &mut found);
        copied_keys(plan, service, shape, &path, &mut found);
    }
    found.list
}

/// Constants of new items.
fn given(plan: &Plan, shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    let set = path.field("reverse").field("set");
    let (named, pinned): (Vec<&String>, Vec<&String>) = shape
        .given
        .keys()
        .partition(|name| plan.lines.has(&set.field(name)));
    if !pinned.is_empty() {
        found.add(
            &path.field("where"),
            format!(
                "new items of the source get the value of {} that `where` requires",
                list(pinned)
            ),
            None,
        );
    }
    for name in named {
        found.add(
            &set.field(name),
            format!("new items of the source get this value of `{name}`"),
            None,
        );
    }
}

/// Attributes that the target does not hold.
fn lacking(plan: &Plan, shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    let transform = path.field("transform");
    if shape.attributes.keep.is_some() {
        found.add(
            &transform.field("keep"),
            "an attribute that `keep` does not list cannot be written back; existing items of the source are left as they \
             are"
                .to_owned(),
            None,
        );
        return;
    }
    let dropped = shape.attributes.drop.iter();
    let lost: Vec<&String> = dropped
        .filter(|name| !is_key(plan, name) && !shape.given.contains_key(*name))
        .collect();
    if !lost.is_empty() {
        found.add(
            &transform.field("drop"),
            format!(
                "new items of the source lack {}; existing items are left as they are",
                list(&lost)
            ),
            Some(&set_hint(lost[0])),
        );
    }
}

/// An item that `where` does not match any more has no place in the source.
fn routed(plan: &Plan, shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    let copied = read(plan, shape, true);
    if !copied.is_empty() {
        found.add(
            &path.field("where"),
            format!(
                "`where` reads {}: an item that it does not match any more cannot be written back",
                list(&copied)
            ),
            None,
        );
    }
    let missing = read(plan, shape, false);
    if !missing.is_empty() {
        found.add(
            &path.field("where"),
            format!(
                "`where` reads {}, which new items lack: one that it does not match cannot be written back",
                list(&missing)
            ),
            None,
        );
    }
}

/// An attribute of the target that two attributes of the source may become, and that `where` reads as one of them.
fn ambiguous(shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    for (from, to) in &shape.attributes.rename {
        if shape.attributes.target_name(to) == Some(to) && shape.own_condition().attributes().contains(to) {
            found.add(
                &path.field("transform").field("rename").field(from),
                format!("`where` reads `{to}`, and a new item with `{to}` in the target gets `{from}` in the source"),
                None,
            );
        }
    }
}

/// Copies of the source's key.
fn copied_keys(plan: &Plan, service: &Service, shape: &Shape, path: &Path, found: &mut Remarks<'_>) {
    let copies: Vec<&str> = plan
        .source
        .keys
        .attributes()
        .filter_map(|key| shape.attributes.target_name(&key.name))
        .filter(|name| service.keys.attributes().all(|key| key.name != *name))
        .collect();
    if !copies.is_empty() {
        found.add(
            &path.field("transform"),
            format!("each item must hold {} as the source's key has it", list(copies)),
            Some("drop what the service does not need"),
        );
    }
}

/// Attributes that `where` reads beside keys and constants: those that are copied, or those that are not.
fn read(plan: &Plan, shape: &Shape, copied: bool) -> Vec<String> {
    let names = shape.own_condition().attributes().into_iter();
    names
        .filter(|name| !is_key(plan, name) && !shape.given.contains_key(name))
        .filter(|name| is_copied(plan, shape, name) == copied)
        .collect()
}

fn is_key(plan: &Plan, name: &str) -> bool {
    plan.source.keys.attributes().any(|key| key.name == name)
}

fn is_copied(plan: &Plan, shape: &Shape, name: &str) -> bool {
    !is_key(plan, name) && shape.attributes.target_name(name).is_some()
}

fn set_hint(name: &str) -> String {
    format!("give new items a value: reverse: {{ set: {{ {name}: ... }} }}")
}

/// `a`, `b` and `c`.
fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut quoted: Vec<String> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    let last = quoted.pop().unwrap_or_default();
    if quoted.is_empty() {
        last
    } else {
        format!("{} and {last}", quoted.join(", "))
    }
}

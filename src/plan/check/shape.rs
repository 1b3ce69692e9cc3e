//! Which attributes are kept, dropped and renamed.

use super::names;
use super::report::Report;
use crate::model::KeySchema;
use crate::plan::path::Path;
use crate::plan::shape::Attributes;
use crate::plan::spec::TransformSpec;
use crate::plan::{Timestamp, Versions};
use std::collections::{BTreeMap, BTreeSet};

/// Checks the lists.
pub(super) fn check(
    spec: &TransformSpec,
    target: &KeySchema,
    versions: &Versions,
    path: &Path,
    report: &mut Report,
) -> Attributes {
    let keep = spec
        .keep
        .as_deref()
        .map(|names| attributes(names, &path.field("keep"), report));
    let drop = attributes(
        spec.drop.as_deref().unwrap_or_default(),
        &path.field("drop"),
        report,
    );
    let shape = Attributes {
        keep,
        drop,
        rename: spec.rename.clone().unwrap_or_default(),
    };
    check_drop(
        &shape,
        target,
        spec.drop.as_deref().unwrap_or_default(),
        &path.field("drop"),
        report,
    );
    check_rename(&shape, target, &path.field("rename"), report);
    if let Versions::Timestamp(timestamp) = versions {
        check_timestamp(timestamp, &shape, target, path, report);
    }
    shape
}

fn attributes(list: &[String], path: &Path, report: &mut Report) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    for (n, name) in list.iter().enumerate() {
        names::attribute(name, &path.index(n), report);
        if !set.insert(name.clone()) {
            report.at(&path.index(n), format!("`{name}` is listed twice"), "remove one");
        }
    }
    set
}

fn check_drop(shape: &Attributes, target: &KeySchema, list: &[String], path: &Path, report: &mut Report) {
    for (n, name) in list.iter().enumerate() {
        let path = path.index(n);
        if shape.keep.as_ref().is_some_and(|keep| keep.contains(name)) {
            report.at(
                &path,
                format!("`{name}` is listed under `keep` and under `drop`"),
                "remove it from one of them",
            );
        } else if shape.keep.is_some() {
            report.at(
                &path,
                format!("`{name}` is not listed under `keep`, so it is not copied anyway"),
                "remove it",
            );
        }
        if target.attributes().any(|key| key.name == *name) {
            report.at(
                &path,
                format!("`{name}` is a key of the target, so every item must have it"),
                "remove it",
            );
        }
    }
}

fn check_rename(shape: &Attributes, target: &KeySchema, path: &Path, report: &mut Report) {
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (from, to) in &shape.rename {
        let path = path.field(from);
        names::attribute(from, &path, report);
        names::attribute(to, &path, report);
        if let Some(first) = taken.insert(to, from) {
            report.at(
                &path,
                format!("`{first}` and `{from}` are both renamed to `{to}`"),
                "give each a name of its own",
            );
        }
        if from == to {
            report.at(&path, format!("`{from}` is renamed to itself"), "remove it");
        } else if shape.drop.contains(from) {
            report.at(
                &path,
                format!("`{from}` is both renamed and dropped"),
                "remove it from one of them",
            );
        } else if shape.keep.as_ref().is_some_and(|keep| !keep.contains(from)) {
            report.at(
                &path,
                format!("`{from}` is renamed, but it is not listed under `keep`"),
                "add `{from}` to `keep`, which lists names of the source",
            );
        }
        if target.attributes().any(|key| key.name == *to) {
            report.at(
                &path,
                format!("`{to}` is a key of the target, and is made by `transform.keys`"),
                "choose another name",
            );
        }
        // Without a `keep` list it is unknown here whether items have the attribute; the copy finds out.
        let kept = shape.keep.as_ref().is_some_and(|keep| keep.contains(to));
        if from != to && kept && !shape.rename.contains_key(to) {
            report.at(
                &path,
                format!("`{to}` is kept as well, so an item could have two values for it"),
                format!("choose another name, rename `{to}` too, or take it out of `keep`"),
            );
        }
    }
}

/// The split looks for an item's version under the timestamp's name: nothing else may take that name.
fn check_timestamp(
    timestamp: &Timestamp,
    shape: &Attributes,
    target: &KeySchema,
    path: &Path,
    report: &mut Report,
) {
    let name = &timestamp.attribute;
    for from in shape
        .rename
        .iter()
        .filter(|(_, to)| *to == name)
        .map(|(from, _)| from)
    {
        report.at(
            &path.field("rename").field(from),
            format!("`{name}` is the name of the timestamp, which orders the writes during the split"),
            "choose another name",
        );
    }
    if target.attributes().any(|key| key.name == *name) {
        report.at(
            path,
            format!(
                "the target's key `{name}` has the name of the timestamp, which orders the writes during \
                 the split"
            ),
            "give the key another name",
        );
    }
}

//! What a service owns, and what its new items are given in the source.

use super::names;
use super::report::Report;
use crate::model::Item;
use crate::plan::either::WordOr;
use crate::plan::path::Path;
use crate::plan::spec::{OwnsWord, ReverseSpec, ServiceSpec};
use crate::plan::{Attributes, Condition, Owns, Source, plain_value};
use std::collections::BTreeSet;

/// What `reverse` of a shape is checked against.
pub(super) struct Around<'a> {
    pub source: Option<&'a Source>,
    /// Where they are what the file says.
    pub attributes: Option<&'a Attributes>,
    pub condition: Option<&'a Condition>,
    /// The service, or its shape.
    pub path: &'a Path,
}

/// What the service owns. `copied` are the attributes that its shapes copy, where all of them are known.
pub(super) fn owns(
    spec: &ServiceSpec,
    source: Option<&Source>,
    copied: Option<&[&Attributes]>,
    path: &Path,
    report: &mut Report,
) -> Option<Owns> {
    let list_path = path.field("owns").field("attributes");
    let owns = match spec.owns.as_ref()? {
        WordOr::Word(OwnsWord::Items) => Owns::Items,
        WordOr::Word(OwnsWord::Nothing) => Owns::Nothing,
        WordOr::Map(owned) => {
            Owns::Attributes(attributes(&owned.attributes, source, copied, &list_path, report))
        }
    };
    if owns != Owns::Items {
        for shape in spec.shapes(path).iter().filter(|shape| shape.reverse.is_some()) {
            report.at_name(
                &shape.path.field("reverse"),
                "only a service that owns its items makes new items in the source",
                "remove `reverse`, or write `owns: items`",
            );
        }
    }
    Some(owns)
}

fn attributes(
    list: &[String],
    source: Option<&Source>,
    copied: Option<&[&Attributes]>,
    path: &Path,
    report: &mut Report,
) -> BTreeSet<String> {
    if list.is_empty() && !report.is_faulty(path) {
        report.at(
            path,
            "no attribute is listed",
            "list what the service owns, or write `owns: nothing`",
        );
    }
    let mut owned = BTreeSet::new();
    for (n, name) in list.iter().enumerate() {
        let path = path.index(n);
        names::attribute(name, &path, report);
        if !owned.insert(name.clone()) {
            report.at(&path, format!("`{name}` is listed twice"), "remove one");
        } else if source.is_some_and(|source| source.keys.attributes().any(|key| key.name == *name)) {
            report.at(
                &path,
                format!("`{name}` is a key of the source, which belongs to the item itself"),
                "remove it; if the service owns the items, write `owns: items`",
            );
        } else if copied.is_some_and(|shapes| shapes.iter().all(|shape| shape.target_name(name).is_none())) {
            report.at(
                &path,
                format!("`{name}` is not copied to the service, so the service cannot change it"),
                "remove it, or copy the attribute",
            );
        }
    }
    owned
}

/// The attributes that new items get beside those that the target has: as `reverse.set` says, and as the condition
/// requires.
pub(super) fn given(spec: Option<&ReverseSpec>, around: &Around<'_>, report: &mut Report) -> Item {
    let mut given = pinned(around);
    let Some(ReverseSpec { set }) = spec else {
        return given;
    };
    let path = around.path.field("reverse").field("set");
    if set.is_empty() && !report.is_faulty(&path) {
        report.at(
            &path,
            "no attribute is set",
            "name attributes and their values, as in set: { type: Course }, or remove `reverse`",
        );
    }
    for (name, written) in set {
        let path = path.field(name);
        names::attribute(name, &path, report);
        match plain_value::read(written) {
            Err(error) => report.at(
                &path,
                error.to_string(),
                "write the value as it is, or as DynamoDB JSON with its type: { N: '10' }",
            ),
            Ok(value) if given.get(name).is_some_and(|pinned| *pinned != value) => report.at(
                &path,
                format!("`where` takes only items with another value of `{name}`, so no new item would belong to the service"),
                "write the value of `where`, or remove it: new items get the value of `where` anyhow",
            ),
            Ok(value) => {
                if is_settable(name, around, &path, report) {
                    given.insert(name.clone(), value);
                }
            }
        }
    }
    given
}

/// What the condition pins to one value, without keys and what is copied: those are made from the target's item.
fn pinned(around: &Around<'_>) -> Item {
    let (Some(condition), Some(attributes), Some(source)) =
        (around.condition, around.attributes, around.source)
    else {
        return Item::new();
    };
    condition
        .pins()
        .into_iter()
        .filter(|(name, _)| {
            attributes.target_name(name).is_none() && source.keys.attributes().all(|key| key.name != *name)
        })
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

fn is_settable(name: &str, around: &Around<'_>, path: &Path, report: &mut Report) -> bool {
    let (message, hint) = if around
        .source
        .is_some_and(|source| source.keys.attributes().any(|key| key.name == name))
    {
        (
            format!("`{name}` is a key of the source, which is made from the target's key"),
            "remove it",
        )
    } else if let Some(copied) = around
        .attributes
        .and_then(|attributes| attributes.target_name(name))
    {
        (
            format!("`{name}` is copied, so a new item has the value of `{copied}` in the target"),
            "remove it here, or drop the attribute in the transform",
        )
    } else {
        return true;
    };
    report.at_name(path, message, hint);
    false
}

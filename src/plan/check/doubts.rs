//! Warnings: expressions that are correct, but probably not intended.

use super::condition::characters;
use super::report::Report;
use crate::plan::Condition;
use crate::plan::either::WordOr;
use crate::plan::expr::{Compared, Doubt, Doubts};
use crate::plan::path::Path;
use crate::plan::spec::{IncludeSpec, KeyAttributeSpec, KeysSpec, PlanSpec, ServiceSpec};
use std::collections::BTreeSet;

/// Warns about the conditions of a plan. A string in the quotes of an attribute's name, or without quotes, is an
/// attribute that nothing else in the plan names.
pub(super) fn check(spec: &PlanSpec, report: &mut Report) {
    let read: Vec<(&str, Path, Doubts)> = conditions(spec)
        .into_iter()
        .filter_map(|(text, path)| Some((text, path, Condition::parse_with_doubts(text).ok()?.1)))
        .collect();
    let mut named = attributes(spec);
    named.extend(
        read.iter()
            .flat_map(|(_, _, doubts)| doubts.certain.iter().map(String::as_str)),
    );
    for (text, path, doubts) in &read {
        for doubt in &doubts.list {
            match doubt {
                Doubt::Values { offset, name } => report.doubt(
                    path,
                    characters(text, *offset),
                    "this compares values with each other, so the result is the same for every item"
                        .to_owned(),
                    match name {
                        Some(name) => {
                            format!("if you mean the attribute, write its name without single quotes: {name}")
                        }
                        None => "compare an attribute with a value: type = 'Course'".to_owned(),
                    },
                ),
                Doubt::Attributes { left, right } => {
                    let unknown = |one: &&Compared| !one.nested && !named.contains(one.name.as_str());
                    // The left side is the value that is compared; a name without quotes belongs there.
                    let left_too = left.odd.then_some(left);
                    if let Some(meant) = std::iter::once(right).chain(left_too).find(unknown) {
                        let other = if meant == right { left } else { right };
                        report.doubt(
                            path,
                            characters(text, meant.offset),
                            format!(
                                "this compares the attribute `{}` with the attribute `{}`, which nothing else in the \
                                 plan names",
                                other.name, meant.name
                            ),
                            format!(
                                "if you mean the text, write it in single quotes: '{}'",
                                meant.name.replace('\'', "''")
                            ),
                        );
                    }
                }
            }
        }
    }
}

/// The conditions of a plan, with their paths.
fn conditions(spec: &PlanSpec) -> Vec<(&str, Path)> {
    let root = Path::root();
    let left_behind = spec.unrouted.map().map(|unrouted| {
        let path = root.field("unrouted").field("left-behind");
        (unrouted.left_behind.as_str(), path)
    });
    let services = spec.services.iter().enumerate().flat_map(|(n, service)| {
        let path = root.field("services").index(n);
        let irrelevant = service.irrelevant.as_deref();
        let irrelevant = irrelevant.map(|text| (text, path.field("irrelevant")));
        let shapes = service.shapes(&path).into_iter();
        let wheres = shapes.filter_map(|shape| Some((shape.condition?, shape.path.field("where"))));
        wheres.chain(irrelevant).collect::<Vec<_>>()
    });
    left_behind.into_iter().chain(services).collect()
}

/// All attributes of source items that the plan names outside its conditions, and those of the targets.
fn attributes(spec: &PlanSpec) -> BTreeSet<&str> {
    let mut named: BTreeSet<&str> = keys(&spec.source.keys).collect();
    named.extend(spec.timestamp.map().map(|timestamp| timestamp.attribute.as_str()));
    for service in &spec.services {
        of_service(service, &mut named);
    }
    for sample in spec.rehearse.iter().flat_map(|rehearse| &rehearse.items) {
        named.extend(
            sample
                .item
                .keys()
                .chain(sample.updates.keys())
                .map(String::as_str),
        );
    }
    named
}

fn of_service<'s>(service: &'s ServiceSpec, named: &mut BTreeSet<&'s str>) {
    let table = &service.table;
    named.extend(keys(&table.keys));
    named.extend(table.ttl.as_deref());
    let global = table.global_indexes.iter();
    named.extend(global.clone().flat_map(|index| keys(&index.keys)));
    named.extend(table.local_indexes.iter().map(|index| key(&index.sort)));
    let projections = global
        .map(|index| &index.projection)
        .chain(table.local_indexes.iter().map(|index| &index.projection));
    for projection in projections {
        if let Some(WordOr::Map(IncludeSpec { include })) = projection {
            named.extend(include.iter().map(String::as_str));
        }
    }
    if let Some(WordOr::Map(owned)) = &service.owns {
        named.extend(owned.attributes.iter().map(String::as_str));
    }
    for shape in service.shapes(&Path::root()) {
        named.extend(
            shape
                .reverse
                .iter()
                .flat_map(|reverse| reverse.set.keys())
                .map(String::as_str),
        );
        let Some(transform) = shape.transform else {
            continue;
        };
        let lists = [&transform.keep, &transform.drop].into_iter().flatten().flatten();
        named.extend(lists.map(String::as_str));
        named.extend(transform.rename.iter().flatten().map(|(from, _)| from.as_str()));
        let from = transform.keys.iter().flat_map(|keys| keys.from.keys());
        named.extend(from.map(String::as_str));
    }
}

fn keys(spec: &KeysSpec) -> impl Iterator<Item = &str> {
    std::iter::once(&spec.partition).chain(&spec.sort).map(key)
}

fn key(spec: &WordOr<String, KeyAttributeSpec>) -> &str {
    match spec {
        WordOr::Word(name) => name,
        WordOr::Map(spec) => &spec.name,
    }
}

//! Checks the sample items of a rehearsal: each must be a valid item of the source's table.

use super::names;
use super::report::Report;
use crate::model::AttributeKind;
use crate::plan::Source;
use crate::plan::path::Path;
use crate::plan::spec::{RehearseSpec, SampleSpec};
use serde_json::Value as Json;

/// Checks the sample items against the source's key.
pub(super) fn check(spec: &RehearseSpec, source: &Source, path: &Path, report: &mut Report) {
    let path = path.field("items");
    if spec.items.is_empty() {
        report.at(
            &path,
            "the list of sample items is empty",
            "add an item, or remove `rehearse` and name a file of items with --sample",
        );
    } else if spec.items.iter().all(|sample| sample.weight == 0) {
        report.at(
            &path,
            "all kinds of items have the weight 0",
            "give one of them a weight of 1 or more",
        );
    }
    for (n, sample) in spec.items.iter().enumerate() {
        check_one(sample, source, &path.index(n), report);
    }
}

fn check_one(sample: &SampleSpec, source: &Source, path: &Path, report: &mut Report) {
    let item = path.field("item");
    for name in sample.item.keys() {
        names::attribute(name, &item.field(name), report);
    }
    for name in sample.updates.keys() {
        names::attribute(name, &path.field("updates").field(name), report);
    }
    for key in source.keys.attributes() {
        match sample.item.get(&key.name) {
            None => report.at_name(
                &item,
                format!("the item lacks `{}`, which is a key of the source", key.name),
                format!("add it, for example {}: 'X#{{n}}'", key.name),
            ),
            Some(value) if kind_of(value) == Some(key.kind) => {}
            Some(_) => report.at(
                &item.field(&key.name),
                format!("`{}` has type {} in the source's key", key.name, key.kind),
                match key.kind {
                    AttributeKind::S => "write text".to_owned(),
                    AttributeKind::N => "write a number, or { N: '{n}' }".to_owned(),
                    AttributeKind::B => "write { B: '...' } with Base64 inside".to_owned(),
                },
            ),
        }
        if sample.updates.contains_key(&key.name) {
            report.at_name(
                &path.field("updates").field(&key.name),
                format!(
                    "`{}` is a key of the source, and an update cannot change a key",
                    key.name
                ),
                "remove it",
            );
        }
    }
}

/// The type that a value of a sample item has as a key.
fn kind_of(value: &Json) -> Option<AttributeKind> {
    match value {
        Json::String(text) => (!text.is_empty()).then_some(AttributeKind::S),
        Json::Number(_) => Some(AttributeKind::N),
        Json::Object(map) => match map.iter().next() {
            Some((name, Json::String(_) | Json::Number(_))) if map.len() == 1 && name == "N" => {
                Some(AttributeKind::N)
            }
            Some((name, Json::String(_))) if map.len() == 1 && name == "B" => Some(AttributeKind::B),
            _ => None,
        },
        _ => None,
    }
}

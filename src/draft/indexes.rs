//! The indexes of the source, for the services whose items are in them.

use super::name::is_table;
use super::yaml::scalar;
use crate::model::{AttributeKind, IndexFacts, Item, KeyAttribute, KeySchema, Projected};
use std::fmt::Write;

/// What DynamoDB accepts by default.
const MOST_GLOBAL: usize = 20;
const MOST_LOCAL: usize = 5;
const MOST_INCLUDED: usize = 20;

/// The indexes that contain some of the items. Without those that no table can have, as a model can describe them.
pub(super) fn used<'s>(all: &'s [IndexFacts], table: &KeySchema, items: &[&Item]) -> Vec<&'s IndexFacts> {
    let holds = |index: &IndexFacts, item: &Item| {
        index
            .keys
            .attributes()
            .all(|key| item.get(&key.name).is_some_and(|value| key.kind.holds(value)))
    };
    let mut found: Vec<&IndexFacts> = Vec::new();
    for index in all {
        let of_form = found.iter().filter(|other| other.local == index.local).count();
        let room = of_form < if index.local { MOST_LOCAL } else { MOST_GLOBAL };
        let known = |key: &KeyAttribute| {
            let others = found
                .iter()
                .flat_map(|other| other.keys.attributes())
                .chain(table.attributes());
            others
                .filter(|other| other.name == key.name)
                .all(|other| other.kind == key.kind)
        };
        let usable = is_table(&index.name)
            && found.iter().all(|other| other.name != index.name)
            && index.keys.attributes().all(known)
            && (!index.local || is_local(index, table))
            && items.iter().any(|item| holds(index, item));
        if room && usable {
            found.push(index);
        }
    }
    found
}

fn is_local(index: &IndexFacts, table: &KeySchema) -> bool {
    table.sort.is_some() && index.keys.partition == table.partition && index.keys.sort.is_some()
}

/// The attribute by which the table expires these items. An index whose key is text under the same name would refuse it, and a
/// key is never one.
pub(super) fn ttl_of<'s>(
    attribute: Option<&'s String>,
    table: &KeySchema,
    indexes: &[&IndexFacts],
    items: &[&Item],
) -> Option<&'s String> {
    let ttl = attribute?;
    let mut of_indexes = indexes.iter().flat_map(|index| index.keys.attributes());
    let usable = table.attributes().all(|key| key.name != *ttl)
        && of_indexes.all(|key| key.name != *ttl || key.kind == AttributeKind::N);
    (usable && items.iter().any(|item| item.contains_key(ttl))).then_some(ttl)
}

/// The settings of a table for its indexes.
pub(super) fn settings(indexes: &[&IndexFacts]) -> String {
    let mut out = String::new();
    for local in [false, true] {
        let mut chosen = indexes.iter().filter(|index| index.local == local).peekable();
        if chosen.peek().is_some() {
            let name = if local { "local-indexes" } else { "global-indexes" };
            writeln!(out, "      {name}:").unwrap_or_default();
        }
        for index in chosen {
            writeln!(out, "        - name: {}", scalar(&index.name)).unwrap_or_default();
            match index.keys.sort.as_ref().filter(|_| local) {
                Some(sort) => writeln!(out, "          sort: {}", attribute(sort)),
                None => writeln!(out, "          keys: {}", keys(&index.keys)),
            }
            .unwrap_or_default();
            match &index.projected {
                Projected::These(names) if (1..=MOST_INCLUDED).contains(&names.len()) => {
                    let names: Vec<String> = names.iter().map(|name| scalar(name)).collect();
                    writeln!(out, "          projection: {{ include: [{}] }}", names.join(", "))
                }
                Projected::Keys => writeln!(out, "          projection: keys-only"),
                Projected::All | Projected::These(_) => Ok(()),
            }
            .unwrap_or_default();
        }
    }
    out
}

/// A primary key, as the plan writes it.
pub(super) fn keys(keys: &KeySchema) -> String {
    let partition = attribute(&keys.partition);
    match &keys.sort {
        None => format!("{{ partition: {partition} }}"),
        Some(sort) => format!("{{ partition: {partition}, sort: {} }}", attribute(sort)),
    }
}

fn attribute(key: &KeyAttribute) -> String {
    match key.kind {
        AttributeKind::S => scalar(&key.name),
        kind => format!("{{ name: {}, type: {kind} }}", scalar(&key.name)),
    }
}

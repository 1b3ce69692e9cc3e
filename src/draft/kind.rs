//! The kinds of items in a cluster: by the attribute that names them, and by the patterns of their keys.

use super::attributes::{self, Attributes};
use super::cluster::patterns;
use super::pattern::KeyPattern;
use super::type_attribute::TypeAttribute;
use crate::model::{Item, ItemExt, KeySchema, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// A kind of items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// What the items call themselves.
    pub name: Option<String>,
    /// The pattern of their keys: `USER#… / ORDER#…`.
    pub keys: String,
    /// Items of the sample.
    pub items: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Attributes that each of them has, without the key.
    pub attributes: Vec<String>,
    /// Attributes that some of them have.
    pub optional: Vec<String>,
    /// Groups of optional attributes that an item has all of, or none.
    pub together: Vec<Vec<String>>,
    /// Two such groups of which each item has exactly one.
    pub either: Option<(Vec<String>, Vec<String>)>,
}

/// The kinds among some items, the largest first.
pub(super) fn kinds(
    keys: &KeySchema,
    items: &[&Item],
    kind: Option<&TypeAttribute>,
    partition: &[KeyPattern],
) -> Vec<Kind> {
    let sort = keys
        .sort
        .as_ref()
        .map(|sort| (&sort.name, patterns(items, &sort.name)));
    let mut found: BTreeMap<(Option<&str>, String), Vec<&Item>> = BTreeMap::new();
    for item in items {
        let mut shape = shown(item.get(&keys.partition.name), partition);
        if let Some((name, patterns)) = &sort {
            shape = format!("{shape} / {}", shown(item.get(*name), patterns));
        }
        let name = kind.and_then(|kind| kind.of(item));
        found.entry((name, shape)).or_default().push(item);
    }
    let mut kinds: Vec<Kind> = found
        .into_iter()
        .map(|((name, shape), items)| {
            let Attributes {
                always,
                sometimes,
                together,
                either,
            } = attributes::of(keys, &items);
            Kind {
                name: name.map(str::to_owned),
                keys: shape,
                items: items.len() as u64,
                bytes: items.iter().map(|item| item.size() as u64).sum(),
                attributes: always,
                optional: sometimes,
                together,
                either,
            }
        })
        .collect();
    kinds.sort_by(|a, b| {
        b.items
            .cmp(&a.items)
            .then_with(|| (&a.name, &a.keys).cmp(&(&b.name, &b.keys)))
    });
    kinds
}

fn shown(value: Option<&Value>, patterns: &[KeyPattern]) -> String {
    match value {
        Some(value @ Value::S(_)) => patterns
            .iter()
            .find(|pattern| pattern.matches(value))
            .map_or_else(|| "text".to_owned(), KeyPattern::shown),
        Some(Value::N(_)) => "number".to_owned(),
        _ => "binary".to_owned(),
    }
}

//! The attribute that names the kind of an item.

use crate::model::{Item, KeySchema, Value};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The attribute that names the kind of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TypeAttribute {
    /// Its name.
    pub name: String,
    /// The library that writes such an attribute, if only one does.
    pub library: Option<&'static str>,
    /// Items that have it.
    pub items: u64,
    /// Its values, and how many items have each.
    pub values: BTreeMap<String, u64>,
}

/// Attributes of libraries.
const LIBRARIES: [(&str, &str); 6] = [
    ("__edb_e__", "ElectroDB"),
    ("_type", "OneTable"),
    ("_et", "dynamodb-toolbox"),
    ("entity", "dynamodb-toolbox"),
    ("__typename", "AWS AppSync or Amplify"),
    ("_class", "Spring Data"),
];
/// What the names of other attributes contain.
const HINTS: [&str; 4] = ["type", "entity", "kind", "model"];
/// More values than these are no kinds.
const MOST_VALUES: usize = 60;
const LONGEST_VALUE: usize = 64;

impl TypeAttribute {
    /// The kind that an item names.
    pub(super) fn of<'i>(&self, item: &'i Item) -> Option<&'i str> {
        match item.get(&self.name) {
            Some(Value::S(text)) if self.values.contains_key(text) => Some(text),
            _ => None,
        }
    }
}

/// Finds the attribute. A library's own attribute comes first; another one has to be in most items.
pub(super) fn find(keys: &KeySchema, items: &[Item]) -> Option<TypeAttribute> {
    let is_key = |name: &str| keys.attributes().any(|key| key.name == name);
    let names: BTreeSet<&str> = items
        .iter()
        .flat_map(|item| item.keys().map(String::as_str))
        .filter(|name| !is_key(name))
        .collect();
    let of_library = LIBRARIES
        .iter()
        .filter(|(name, _)| names.contains(name))
        .find_map(|(name, library)| counted(name, Some(library), items, 50));
    of_library.or_else(|| {
        let hinted = names.iter().filter(|name| {
            let lower = name.to_ascii_lowercase();
            HINTS.iter().any(|hint| lower.contains(hint))
        });
        let found = hinted.filter_map(|name| counted(name, None, items, 80));
        // The one of most items, then the shortest name: `type` rather than `mimeType`.
        found.min_by_key(|one| (u64::MAX - one.items, one.name.len(), one.name.clone()))
    })
}

fn counted(name: &str, library: Option<&'static str>, items: &[Item], percent: u64) -> Option<TypeAttribute> {
    let mut values: BTreeMap<String, u64> = BTreeMap::new();
    for item in items {
        if let Some(Value::S(text)) = item.get(name)
            && is_name(text)
        {
            *values.entry(text.clone()).or_default() += 1;
            if values.len() > MOST_VALUES {
                return None;
            }
        }
    }
    let with: u64 = values.values().sum();
    let all = items.len() as u64;
    let repeats = library.is_some() || values.len() as u64 * 2 <= with.max(4);
    (with > 0 && with * 100 >= all * percent && repeats).then(|| TypeAttribute {
        name: name.to_owned(),
        library,
        items: with,
        values,
    })
}

/// Whether a text can be the name of a kind.
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:#/$ ".contains(c);
    !text.trim().is_empty() && text.len() <= LONGEST_VALUE && text.chars().all(plain)
}

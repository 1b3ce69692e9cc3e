//! Items counted by their fault, with a few of their keys.

use crate::model::{Key, KeySchema};
use crate::worker::key_json;
use serde::Serialize;
use std::collections::BTreeMap;

/// Keys that are kept for a group.
const EXAMPLES: usize = 5;
/// Groups that are kept; further groups are counted together.
const GROUPS: usize = 40;
/// The group of everything beyond [`GROUPS`].
const OTHERS: &str = "others";

/// A source key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// As DynamoDB JSON.
    pub json: serde_json::Value,
    /// For people.
    pub text: String,
}

impl Serialize for Example {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl Example {
    /// Of a key.
    #[must_use]
    pub fn new(keys: &KeySchema, key: &Key) -> Self {
        Self {
            json: key_json(keys, key),
            text: key.to_string(),
        }
    }
}

/// Items that have one thing in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The fault.
    pub what: String,
    /// How many there are among the items read.
    pub items: u64,
    /// Some of their keys.
    pub examples: Vec<Example>,
}

/// Groups while they are counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    found: BTreeMap<String, (u64, Vec<Example>)>,
}

impl Groups {
    /// Counts an item.
    pub fn add(&mut self, what: String, keys: &KeySchema, key: &Key) {
        let known = self.found.contains_key(&what) || self.found.len() < GROUPS;
        let what = if known { what } else { OTHERS.to_owned() };
        let (items, examples) = self.found.entry(what).or_default();
        *items += 1;
        if examples.len() < EXAMPLES {
            examples.push(Example::new(keys, key));
        }
    }

    /// The groups, the largest first.
    pub fn list(&self) -> Vec<Group> {
        let each = |(what, (items, examples)): (&String, &(u64, Vec<Example>))| Group {
            what: what.clone(),
            items: *items,
            examples: examples.clone(),
        };
        let mut list: Vec<Group> = self.found.iter().map(each).collect();
        list.sort_by(|a, b| b.items.cmp(&a.items).then_with(|| a.what.cmp(&b.what)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeKind, KeyAttribute, Value};

    #[test]
    fn groups_and_examples_are_bounded() {
        let keys = KeySchema {
            partition: KeyAttribute {
                name: "PK".into(),
                kind: AttributeKind::S,
            },
            sort: None,
        };
        let mut groups = Groups::default();
        for n in 0..1000 {
            let key = Key {
                partition: Value::s(n.to_string()),
                sort: None,
            };
            groups.add(format!("kind {}", n % 100), &keys, &key);
        }
        let list = groups.list();
        assert_eq!(list.len(), GROUPS + 1);
        assert_eq!((list[0].what.as_str(), list[0].items), (OTHERS, 600));
        assert_eq!(
            (list[0].examples.len(), groups.found.len()),
            (EXAMPLES, GROUPS + 1)
        );
    }
}

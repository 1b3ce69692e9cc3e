//! The patterns of a service's source keys, and an item of each before and after. Of the items' values only those of keys are
//! kept.

use super::groups::Example;
use super::key_shape::key_shape;
use crate::model::{Item, Key, KeyAttribute, KeySchema, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// Patterns that are kept for a service; further patterns are counted together.
const PATTERNS: usize = 40;
/// The pattern of everything beyond [`PATTERNS`].
const OTHERS: &str = "others";

/// An item: its key, and the names of its other attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShapedItem {
    /// Its key.
    pub key: Example,
    /// The same for people, each part with its name: `PK = USER#1, SK = PROFILE`.
    #[serde(skip)]
    pub parts: Vec<String>,
    /// Names of its other attributes.
    pub attributes: Vec<String>,
}

impl ShapedItem {
    fn new(keys: &KeySchema, key: &Key, item: &Item) -> Self {
        let part = |attribute: &KeyAttribute, value: &Value| {
            let alone = Key {
                partition: value.clone(),
                sort: None,
            };
            format!("{} = {alone}", attribute.name)
        };
        let sort = keys.sort.as_ref().zip(key.sort.as_ref());
        let is_key = |name: &String| keys.attributes().any(|key| key.name == *name);
        Self {
            key: Example::new(keys, key),
            parts: std::iter::once(part(&keys.partition, &key.partition))
                .chain(sort.map(|(attribute, value)| part(attribute, value)))
                .collect(),
            attributes: item.keys().filter(|name| !is_key(name)).cloned().collect(),
        }
    }
}

/// Items of a service whose source keys look alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pattern {
    /// The shape of their keys: `USER#… / PROFILE`.
    pub what: String,
    /// How many there are among the items read.
    pub items: u64,
    /// One of them, in the source.
    pub before: ShapedItem,
    /// The same item in the service's table; `None` if no item of the pattern can be written there.
    pub after: Option<ShapedItem>,
}

/// Patterns while they are counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns {
    found: BTreeMap<String, Pattern>,
}

impl Patterns {
    /// Counts an item; `after`: its key and itself in the service's table, with that table's keys.
    pub fn add(&mut self, source: (&KeySchema, &Key, &Item), after: Option<(&KeySchema, &Key, &Item)>) {
        let shape = key_shape(source.1);
        let known = self.found.contains_key(&shape) || self.found.len() < PATTERNS;
        let shape = if known { shape } else { OTHERS.to_owned() };
        let shaped = |(keys, key, item)| ShapedItem::new(keys, key, item);
        match self.found.get_mut(&shape) {
            Some(pattern) => {
                pattern.items += 1;
                // One that can be written shows more.
                if let (None, Some(after)) = (&pattern.after, after) {
                    pattern.before = shaped(source);
                    pattern.after = Some(shaped(after));
                }
            }
            None => {
                let pattern = Pattern {
                    what: shape.clone(),
                    items: 1,
                    before: shaped(source),
                    after: after.map(shaped),
                };
                self.found.insert(shape, pattern);
            }
        }
    }

    /// The patterns, the largest first.
    pub fn list(&self) -> Vec<Pattern> {
        let mut list: Vec<Pattern> = self.found.values().cloned().collect();
        list.sort_by(|a, b| b.items.cmp(&a.items).then_with(|| a.what.cmp(&b.what)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AttributeKind;

    fn keys(name: &str) -> KeySchema {
        KeySchema {
            partition: KeyAttribute {
                name: name.into(),
                kind: AttributeKind::S,
            },
            sort: None,
        }
    }

    fn item(text: &str) -> (Key, Item) {
        let key = Key {
            partition: Value::s(text),
            sort: None,
        };
        let item = [("PK", text), ("id", text), ("secret", "x")];
        let item = item.map(|(name, value)| (name.to_owned(), Value::s(value)));
        (key, Item::from(item))
    }

    #[test]
    fn an_item_of_each_pattern_is_shown_before_and_after() {
        let (source, target) = (keys("PK"), keys("id"));
        let mut patterns = Patterns::default();
        let (bad, good) = (item("USER#bad"), item("USER#good"));
        patterns.add((&source, &bad.0, &bad.1), None);
        assert_eq!(patterns.list()[0].after, None);
        patterns.add((&source, &good.0, &good.1), Some((&target, &good.0, &good.1)));
        patterns.add((&source, &bad.0, &bad.1), None);
        let list = patterns.list();
        assert_eq!(
            (list.len(), list[0].what.as_str(), list[0].items),
            (1, "USER#…", 3)
        );
        assert_eq!(list[0].before.parts, ["PK = USER#good"]);
        assert_eq!(list[0].before.attributes, ["id", "secret"]);
        let after = list[0].after.as_ref().unwrap();
        assert_eq!(
            (after.parts.as_slice(), after.attributes.as_slice()),
            (
                &["id = USER#good".to_owned()][..],
                &["PK".to_owned(), "secret".to_owned()][..]
            )
        );
        assert!(
            !serde_json::to_string(&list).unwrap().contains("\"x\""),
            "no value but those of keys"
        );
    }

    #[test]
    fn patterns_are_bounded() {
        let source = keys("PK");
        let mut patterns = Patterns::default();
        for n in 0..PATTERNS as u32 + 20 {
            let letters = char::from_u32('A' as u32 + n).unwrap_or('A');
            let (key, item) = item(&format!("{letters}K#1"));
            patterns.add((&source, &key, &item), None);
        }
        assert_eq!(patterns.list().len(), PATTERNS + 1);
        assert_eq!(
            (patterns.list()[0].what.as_str(), patterns.list()[0].items),
            (OTHERS, 20)
        );
    }
}

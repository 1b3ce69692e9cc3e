//! Keys and key schemas.

use super::{Item, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The types that a key attribute may have.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub enum AttributeKind {
    /// String.
    S,
    /// Number.
    N,
    /// Binary.
    B,
}

impl AttributeKind {
    /// Whether a value has this type.
    #[must_use]
    pub fn holds(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::S, Value::S(_)) | (Self::N, Value::N(_)) | (Self::B, Value::B(_))
        )
    }

    /// Whether DynamoDB calls this type so.
    #[must_use]
    pub fn is_called(self, name: &str) -> bool {
        matches!((self, name), (Self::S, "S") | (Self::N, "N") | (Self::B, "B"))
    }
}

impl fmt::Display for AttributeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A key attribute: its name and type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct KeyAttribute {
    /// Attribute name.
    pub name: String,
    /// Attribute type.
    pub kind: AttributeKind,
}

/// The key attributes of a table or an index: partition key, then perhaps a sort key.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct KeySchema {
    /// The partition key (`HASH`).
    pub partition: KeyAttribute,
    /// The sort key (`RANGE`).
    pub sort: Option<KeyAttribute>,
}

impl KeySchema {
    /// The attributes, partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(self.sort.as_ref())
    }

    /// The key of an item, if it has every part with the right type.
    #[must_use]
    pub fn key_of(&self, item: &Item) -> Option<Key> {
        let part = |attribute: &KeyAttribute| {
            item.get(&attribute.name)
                .filter(|value| attribute.kind.holds(value))
                .cloned()
        };
        Some(Key {
            partition: part(&self.partition)?,
            sort: match &self.sort {
                Some(attribute) => Some(part(attribute)?),
                None => None,
            },
        })
    }

    /// A key as the attributes that spell it.
    #[must_use]
    pub fn item_of(&self, key: &Key) -> Item {
        let mut item = Item::from([(self.partition.name.clone(), key.partition.clone())]);
        if let (Some(attribute), Some(value)) = (&self.sort, &key.sort) {
            item.insert(attribute.name.clone(), value.clone());
        }
        item
    }
}

/// The primary key of an item: the values, without the attributes' names.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Value of the partition key.
    pub partition: Value,
    /// Value of the sort key, if the table has one.
    pub sort: Option<Value>,
}

impl Key {
    /// The canonical encoding: equal keys, and only those, encode alike.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.partition.encode(&mut out);
        if let Some(sort) = &self.sort {
            sort.encode(&mut out);
        }
        out
    }
}

impl fmt::Display for Key {
    /// For people: `partition / sort`; binary as hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn part(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match value {
                Value::S(text) => f.write_str(text),
                Value::N(number) => write!(f, "{number}"),
                Value::B(bytes) => {
                    f.write_str("0x")?;
                    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
                }
                other => f.write_str(other.type_name()),
            }
        }
        part(&self.partition, f)?;
        if let Some(sort) = &self.sort {
            f.write_str(" / ")?;
            part(sort, f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Number;

    fn schema(sort: Option<AttributeKind>) -> KeySchema {
        let attribute = |name: &str, kind| KeyAttribute {
            name: name.into(),
            kind,
        };
        KeySchema {
            partition: attribute("p", AttributeKind::S),
            sort: sort.map(|kind| attribute("s", kind)),
        }
    }

    fn item(entries: &[(&str, Value)]) -> Item {
        entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }

    #[test]
    fn a_kind_holds_values_of_its_type() {
        let values = [Value::s("1"), Value::N(1.into()), Value::B(vec![1])];
        let kinds = [AttributeKind::S, AttributeKind::N, AttributeKind::B];
        for (at, kind) in kinds.into_iter().enumerate() {
            for (other, value) in values.iter().enumerate() {
                assert_eq!(kind.holds(value), at == other, "{kind} {value:?}");
            }
            assert!(!kind.holds(&Value::Null));
            assert_eq!(kind.to_string(), values[at].type_name());
        }
    }

    #[test]
    fn a_key_is_all_of_its_parts_with_their_types() {
        let schema = schema(Some(AttributeKind::N));
        let names: Vec<_> = schema
            .attributes()
            .map(|attribute| attribute.name.as_str())
            .collect();
        assert_eq!(names, ["p", "s"]);
        let spelled = item(&[("p", Value::s("x")), ("s", Value::N(7.into()))]);
        let key = Key {
            partition: Value::s("x"),
            sort: Some(Value::N(7.into())),
        };
        let mut whole = spelled.clone();
        whole.insert("other".into(), Value::Null);
        assert_eq!(schema.key_of(&whole), Some(key.clone()));
        assert_eq!(schema.item_of(&key), spelled);
        for broken in [
            item(&[("p", Value::s("x"))]),
            item(&[("s", Value::N(7.into()))]),
            item(&[("p", Value::s("x")), ("s", Value::s("7"))]),
            item(&[("p", Value::Null), ("s", Value::N(7.into()))]),
        ] {
            assert_eq!(schema.key_of(&broken), None, "{broken:?}");
        }
    }

    #[test]
    fn without_a_sort_key_there_is_one_part() {
        let schema = schema(None);
        assert_eq!(schema.attributes().count(), 1);
        let key = schema
            .key_of(&item(&[("p", Value::s("x")), ("s", Value::s("y"))]))
            .unwrap();
        assert_eq!(key.sort, None);
        assert_eq!(schema.item_of(&key), item(&[("p", Value::s("x"))]));
    }

    #[test]
    fn keys_are_told_apart_and_read_well() {
        let of = |partition: Value, sort: Option<Value>| Key { partition, sort };
        let number = Value::N(Number::from(1));
        let keys = [
            of(Value::s("a"), None),
            of(Value::s("a"), Some(Value::s("b"))),
            of(Value::s("ab"), Some(Value::s(""))),
            of(Value::s("1"), None),
            of(number.clone(), None),
            of(Value::B(vec![0xab, 1]), Some(number)),
        ];
        let encoded: std::collections::BTreeSet<_> = keys.iter().map(Key::encode).collect();
        assert_eq!(encoded.len(), keys.len());
        let same = of(Value::N(Number::parse("1.0").unwrap()), None);
        assert_eq!(same.encode(), keys[4].encode());
        let told: Vec<_> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a", "a / b", "ab / ", "1", "1", "0xab01 / 1"]);
        assert_eq!(of(Value::Null, None).to_string(), "NULL");
    }
}

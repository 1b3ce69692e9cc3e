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

    /// The key of an item, where it has every part with the right type.
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
    /// Value of the sort key, where the table has one.
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

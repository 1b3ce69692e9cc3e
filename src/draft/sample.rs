//! The items from which a draft is made, and their keys.

use super::suspect::{Suspect, Tally};
use super::yaml::shown;
use crate::model::{AttributeKind, IndexFacts, Item, KeyAttribute, KeySchema, RESERVED_PREFIX, Value};
use std::collections::BTreeSet;

/// The items from which a draft is made.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of the table.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Whether the key is a guess.
    pub keys_guessed: bool,
    /// Its indexes.
    pub indexes: Vec<IndexFacts>,
    /// Whether indexes and TTL are those of a table. Otherwise, a file told nothing about TTL.
    pub settings_known: bool,
    /// The attribute by which it expires items.
    pub ttl_attribute: Option<String>,
    /// The items. Each has the key, and no two have the same.
    pub items: Vec<Item>,
    /// Where the items come from, for people: `a sample of the table Shop`.
    pub origin: String,
    /// Items that cannot be in the table.
    pub refused: Vec<Suspect>,
    /// What else the reader of the draft should know.
    pub notes: Vec<String>,
}

/// Items of a file, checked against the key.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The items that can be in a table.
    pub items: Vec<Item>,
    /// The others.
    pub refused: Vec<Suspect>,
}

/// Why the key of the items in a file is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Nothing looks like a key.
    #[error("the items do not show what the key of their table is")]
    Unknown,
    /// No item has this attribute with a type that a key can have.
    #[error("no item has the attribute '{0}' as a string, a number or a binary")]
    Absent(String),
    /// Not a list of one or two names.
    #[error("--keys needs the name of the partition key, or of partition key and sort key: PK,SK")]
    Form,
    /// No plan can name it.
    #[error("the key attribute '{0}' begins with `{RESERVED_PREFIX}`, which is reserved for dynasplit")]
    Reserved(String),
}

/// Names of keys that single-table designs use.
const PAIRS: [(&str, &str); 14] = [
    ("PK", "SK"),
    ("pk", "sk"),
    ("Pk", "Sk"),
    ("_pk", "_sk"),
    ("hashKey", "rangeKey"),
    ("HashKey", "RangeKey"),
    ("hash_key", "range_key"),
    ("hash_key", "sort_key"),
    ("partitionKey", "sortKey"),
    ("PartitionKey", "SortKey"),
    ("partition_key", "sort_key"),
    ("HK", "RK"),
    ("hk", "rk"),
    ("hash", "range"),
];
const SINGLES: [&str; 5] = ["id", "Id", "ID", "_id", "key"];
/// An attribute of fewer items is no key, in percent.
const MOST: usize = 90;

/// Guesses the key from the names of attributes.
///
/// # Errors
/// [`KeysError::Unknown`] if no name is a usual one.
pub fn guess_keys(items: &[Item]) -> Result<KeySchema, KeysError> {
    let usual = |name: &str| {
        let with = items.iter().filter(|item| item.contains_key(name)).count();
        (with * 100 >= items.len() * MOST)
            .then(|| attribute(name, items))
            .flatten()
    };
    for (partition, sort) in PAIRS {
        if let Some(partition) = usual(partition) {
            return Ok(KeySchema {
                partition,
                sort: usual(sort),
            });
        }
    }
    let single = SINGLES.iter().find_map(|name| usual(name));
    single
        .map(|partition| KeySchema {
            partition,
            sort: None,
        })
        .ok_or(KeysError::Unknown)
}

/// The key with these names: `PK,SK`. The items show its types.
///
/// # Errors
/// If no item has such an attribute.
pub fn keys_named(names: &str, items: &[Item]) -> Result<KeySchema, KeysError> {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    let one = |name: &str| {
        if name.starts_with(RESERVED_PREFIX) {
            return Err(KeysError::Reserved(name.to_owned()));
        }
        attribute(name, items).ok_or_else(|| KeysError::Absent(name.to_owned()))
    };
    match names[..] {
        [partition] if !partition.is_empty() => Ok(KeySchema {
            partition: one(partition)?,
            sort: None,
        }),
        [partition, sort] if !partition.is_empty() && !sort.is_empty() && partition != sort => {
            Ok(KeySchema {
                partition: one(partition)?,
                sort: Some(one(sort)?),
            })
        }
        _ => Err(KeysError::Form),
    }
}

/// An attribute with the type that most items have.
fn attribute(name: &str, items: &[Item]) -> Option<KeyAttribute> {
    let kinds = [AttributeKind::S, AttributeKind::N, AttributeKind::B];
    let count = |kind: AttributeKind| {
        let held = |item: &&Item| item.get(name).is_some_and(|value| kind.holds(value));
        items.iter().filter(held).count()
    };
    let kind = kinds
        .into_iter()
        .rev()
        .max_by_key(|kind| count(*kind))
        .filter(|kind| count(*kind) > 0)?;
    Some(KeyAttribute {
        name: name.to_owned(),
        kind,
    })
}

impl Loaded {
    /// Sorts out the items that have no key, and those whose key another one has.
    #[must_use]
    pub fn of(items: Vec<Item>, keys: &KeySchema) -> Self {
        let mut tally = Tally::new(keys);
        let mut seen = BTreeSet::new();
        let mut kept = Vec::with_capacity(items.len());
        for item in items {
            let wrong = keys
                .attributes()
                .find(|key| !item.get(&key.name).is_some_and(|value| is_usable(key, value)));
            if let Some(wrong) = wrong {
                let what = format!(
                    "items without the key attribute `{}` of type {}, which no table with this key contains",
                    shown(&wrong.name),
                    wrong.kind
                );
                tally.add("no-key", what, &item);
                continue;
            }
            let Some(key) = keys.key_of(&item) else { continue };
            if seen.insert(key.encode()) {
                kept.push(item);
            } else {
                tally.add("repeated-key", "items with the key of an earlier item", &item);
            }
        }
        Self {
            items: kept,
            refused: tally.list(),
        }
    }
}

fn is_usable(key: &KeyAttribute, value: &Value) -> bool {
    let is_empty = match value {
        Value::S(text) => text.is_empty(),
        Value::B(bytes) => bytes.is_empty(),
        _ => false,
    };
    key.kind.holds(value) && !is_empty
}

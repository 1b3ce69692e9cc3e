//! The transform: it makes the target item from a source item, or reports why the item is invalid.

use crate::model::{
    Item, ItemExt, Key, MAX_ITEM_BYTES, REPLICATION_PREFIX, RESERVED_PREFIX, VERSION_ATTRIBUTE, Value,
};
use crate::plan::{KeyFault, Service, Shape, Versions};

/// Why an item is invalid for a service's table. It contains no item values, only names (and key values).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The target key can't be made.
    #[error("the target key can't be made: {0}")]
    Key(#[from] KeyFault),
    /// A target key attribute exists in the item with another value.
    #[error(
        "the target key '{attribute}' would overwrite an attribute of the item with the same name and \
         another value"
    )]
    KeyOverwrites {
        /// Its name.
        attribute: String,
    },
    /// Two attributes would get one name.
    #[error("the attribute '{from}' can't be renamed to '{to}': the item has an attribute of that name")]
    RenameOverwrites {
        /// Name in the source.
        from: String,
        /// Name in the target.
        to: String,
    },
    /// A key value that DynamoDB takes nowhere.
    #[error("the target key '{attribute}' is {problem}")]
    KeyValue {
        /// Its name.
        attribute: String,
        /// The problem.
        problem: &'static str,
    },
    /// An attribute that an index of the target would refuse.
    #[error("index '{index}' of the target needs '{attribute}' as a non-empty {expected}, but it is {found}")]
    IndexKey {
        /// Name of the index.
        index: String,
        /// Name of the attribute.
        attribute: String,
        /// The type that the index declares.
        expected: String,
        /// The type that the item has.
        found: String,
    },
    /// Over 400 KB.
    #[error(
        "the target item would have {bytes} bytes (with {own} bytes of dynasplit), but DynamoDB accepts at \
         most 409600"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// How many of them belong to the version, which `complete` strips.
        own: usize,
    },
    /// Several shapes of the service take the item, so that it has no one target item.
    #[error(
        "the item matches two shapes of the service, shapes[{first}] and shapes[{second}]: only one `where` \
         may match"
    )]
    SeveralShapes {
        /// The first of them.
        first: usize,
        /// The second.
        second: usize,
    },
    /// An attribute name that belongs to the split.
    #[error("the attribute '{attribute}' has a name that is reserved for dynasplit")]
    Reserved {
        /// Its name.
        attribute: String,
    },
}

/// Most bytes of a partition key and of a sort key
/// ([limits](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys)).
const MAX_PARTITION_BYTES: usize = 2048;
const MAX_SORT_BYTES: usize = 1024;
/// Weight of the stamp that the tail adds in `sequence` mode: name and text.
pub(super) const STAMP_BYTES: usize =
    VERSION_ATTRIBUTE.len() + 10 + 1 + crate::model::SequenceNumber::PADDED_DIGITS;

/// Shapes a source item for a service that it belongs to, with the shape of the service that takes it.
///
/// # Errors
/// A [`Fault`] if the target could never accept the result.
pub fn shaped(
    service: &Service,
    shape: &Shape,
    versions: &Versions,
    item: &Item,
) -> Result<(Key, Item), Fault> {
    if let Some(attribute) = item.keys().find(|name| name.starts_with(RESERVED_PREFIX)) {
        return Err(Fault::Reserved {
            attribute: attribute.clone(),
        });
    }
    let key = shape.keys.apply(item)?;
    let mut shaped = attributes(shape, item)?;
    for (name, value) in service.keys.item_of(&key) {
        match shaped.get(&name) {
            Some(present) if *present != value => return Err(Fault::KeyOverwrites { attribute: name }),
            _ => shaped.insert(name, value),
        };
    }
    check_keys(service, [Some(&key.partition), key.sort.as_ref()])?;
    check_indexes(service, |_, name| shaped.get(name).map(IndexValue::of))?;
    let visible = shaped.size();
    let own = keep_version(service, versions, item, &mut shaped);
    let bytes = visible + own;
    if bytes > MAX_ITEM_BYTES {
        return Err(Fault::TooLarge { bytes, own });
    }
    Ok((key, shaped))
}

/// The attributes that the shape keeps, under the names that it gives them.
fn attributes(shape: &Shape, item: &Item) -> Result<Item, Fault> {
    let mut shaped = Item::new();
    for (name, value) in item {
        let Some(target) = shape.attributes.target_name(name) else {
            continue;
        };
        if shaped.insert(target.to_owned(), value.clone()).is_some() {
            return Err(Fault::RenameOverwrites {
                from: name.clone(),
                to: target.to_owned(),
            });
        }
    }
    Ok(shaped)
}

/// Where the shape does not show the timestamp under its own name, it is kept under a reserved one for as long
/// as the split runs. Answers the bytes of the target item that are the split's own, with the stamp that the
/// tail will add in `sequence` mode.
fn keep_version(service: &Service, versions: &Versions, item: &Item, shaped: &mut Item) -> usize {
    match versions {
        Versions::Sequence => STAMP_BYTES,
        Versions::Timestamp(timestamp) => {
            if service.version_fields(versions).live == VERSION_ATTRIBUTE
                && let Some(version) = timestamp.version_of(item)
            {
                let version = version.to_value();
                let own = VERSION_ATTRIBUTE.len() + version.size();
                shaped.insert(VERSION_ATTRIBUTE.to_owned(), version);
                return own;
            }
            0
        }
    }
}

pub(super) fn check_keys(service: &Service, key: [Option<&Value>; 2]) -> Result<(), Fault> {
    let parts = key.into_iter().zip([MAX_PARTITION_BYTES, MAX_SORT_BYTES]);
    for (attribute, (value, limit)) in service.keys.attributes().zip(parts) {
        let problem = match value.map(Value::size) {
            _ if !value.is_some_and(|value| attribute.kind.holds(value)) => "missing or of another type",
            Some(0) => "empty",
            Some(bytes) if bytes > limit => "longer than DynamoDB accepts (2048 bytes; a sort key 1024)",
            _ => continue,
        };
        return Err(Fault::KeyValue {
            attribute: attribute.name.clone(),
            problem,
        });
    }
    Ok(())
}

/// What an index wants to know of an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexValue {
    /// Its type, as DynamoDB calls it.
    pub type_name: &'static str,
    /// What it weighs.
    pub bytes: usize,
}

impl IndexValue {
    pub fn of(value: &Value) -> Self {
        Self {
            type_name: value.type_name(),
            bytes: value.size(),
        }
    }
}

/// A missing index key is fine (the index leaves the item out); one of another type, empty or too long is
/// refused by DynamoDB together with the whole item. `value_of` gets the number of a key attribute, among those of all indexes, and its name.
pub(super) fn check_indexes(
    service: &Service,
    value_of: impl Fn(usize, &str) -> Option<IndexValue>,
) -> Result<(), Fault> {
    let mut number = 0;
    for index in &service.indexes {
        for (attribute, limit) in index.keys.attributes().zip([MAX_PARTITION_BYTES, MAX_SORT_BYTES]) {
            let value = value_of(number, &attribute.name);
            number += 1;
            let Some(IndexValue { type_name, bytes }) = value else {
                continue;
            };
            let found = if !attribute.kind.is_called(type_name) {
                type_name
            } else if bytes == 0 {
                "empty"
            } else if bytes > limit {
                "longer than DynamoDB accepts (2048 bytes; a sort key 1024)"
            } else {
                continue;
            };
            return Err(Fault::IndexKey {
                index: index.name.clone(),
                attribute: attribute.name.clone(),
                expected: attribute.kind.to_string(),
                found: found.to_owned(),
            });
        }
    }
    Ok(())
}

impl Service {
    /// Where items of this service's target show their version.
    #[must_use]
    pub fn version_fields(&self, versions: &Versions) -> super::VersionFields {
        let live = match versions {
            Versions::Timestamp(timestamp) if self.shows(&timestamp.attribute) => timestamp.attribute.clone(),
            _ => VERSION_ATTRIBUTE.to_owned(),
        };
        super::VersionFields {
            partition: self.keys.partition.name.clone(),
            live,
        }
    }

    /// Whether all shapes keep a source attribute under its own name. A guard looks at one place, whatever shape the
    /// held item has.
    fn shows(&self, attribute: &str) -> bool {
        !attribute.starts_with(REPLICATION_PREFIX)
            && self.shapes.iter().map(|shape| &shape.attributes).all(|shape| {
                !shape.drop.contains(attribute)
                    && !shape.rename.contains_key(attribute)
                    && shape.keep.as_ref().is_none_or(|keep| keep.contains(attribute))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn what_global_tables_keep_in_items_is_never_copied() {
        let text = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\n\
            timestamp: { attribute: 'aws:rep:updatetime', type: N }\nunrouted: fail\nservices:\n  \
            - name: all\n    where: attribute_exists(PK)\n    table: { name: Apart, keys: { partition: PK } }\n";
        let plan = Plan::parse(text, "plan.yaml").unwrap();
        let service = &plan.services[0];
        let item = Item::from([
            ("PK".to_owned(), Value::s("x")),
            ("aws:rep:deleting".to_owned(), Value::Bool(false)),
            ("aws:rep:updateregion".to_owned(), Value::s("eu-west-1")),
            ("aws:rep:updatetime".to_owned(), Value::N(5.into())),
            ("aws:reply".to_owned(), Value::s("kept")),
        ]);
        let (_, shaped) = shaped(service, &service.shapes[0], &plan.versions, &item).unwrap();
        // As a version it is kept for the split, under the reserved name.
        let expected = Item::from([
            ("PK".to_owned(), Value::s("x")),
            ("aws:reply".to_owned(), Value::s("kept")),
            (VERSION_ATTRIBUTE.to_owned(), Value::N(5.into())),
        ]);
        assert_eq!(shaped, expected);
        assert_eq!(service.version_fields(&plan.versions).live, VERSION_ATTRIBUTE);
    }
}

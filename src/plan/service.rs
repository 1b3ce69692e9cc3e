//! A service: which items are its own, the table that holds them, and their shapes there.

use super::spec::TableSpec;
use super::{Condition, Events, Fence, Owns, Place, Shape};
use crate::model::{Item, Key, KeySchema};
use serde_json::json;

/// A service: which items are its own, the table that holds them, and their shapes there.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The kinds of its items: at least one, and as a rule only one.
    pub shapes: Vec<Shape>,
    /// It is proven that no source key fits two of the shapes, and that no two of them make one target key.
    pub(super) shapes_are_disjoint: bool,
    /// What it owns of its source items, where the plan says so.
    pub owns: Option<Owns>,
    /// With `copy: everything`: the source items whose copies are removed when the service is completed.
    pub irrelevant: Option<Condition>,
    /// How its writers are stopped, where that differs from the fence of the plan.
    pub(super) fence: Option<Fence>,
    /// Events about its items, where the plan asks for them.
    pub events: Option<Events>,
    /// Its table's name and settings.
    pub table: TableSpec,
    /// Where its table is.
    pub place: Place,
    /// Primary key of its table.
    pub keys: KeySchema,
    /// Keys of its table's indexes.
    pub indexes: Vec<IndexKeys>,
    /// Changes with everything that decides which items are written, to which table and in which form: conditions,
    /// shapes, keys, the table's name and region. Not with settings like tags, billing or a role, nor with settings of
    /// the way back.
    pub fingerprint: String,
}

impl Service {
    /// Whether an item is copied to its table.
    #[must_use]
    pub fn takes(&self, item: &Item) -> bool {
        self.shapes.iter().any(|shape| shape.condition.matches(item))
    }

    /// Whether an item belongs to the service. With `copy: everything`, items of others are copied to its table, too.
    #[must_use]
    pub fn belongs(&self, item: &Item) -> bool {
        self.shapes
            .iter()
            .any(|shape| shape.own_condition().matches(item))
    }

    /// Whether its table receives all items of the source.
    #[must_use]
    pub fn copies_everything(&self) -> bool {
        self.shapes.iter().any(|shape| shape.own.is_some())
    }

    /// Whether it is proven that two source items never share a target key, and that an item's target key never changes.
    #[must_use]
    pub fn is_injective(&self) -> bool {
        self.shapes_are_disjoint && self.shapes.iter().all(|shape| shape.keys.is_injective())
    }

    /// What it owns of its source items: the items themselves, unless the plan says otherwise.
    #[must_use]
    pub fn owns(&self) -> &Owns {
        self.owns.as_ref().unwrap_or(&Owns::Items)
    }

    /// The vouch, if the mapping is not proven.
    #[must_use]
    pub fn vouched(&self) -> Option<String> {
        let mut vouched: Vec<&str> = self
            .shapes
            .iter()
            .filter_map(|shape| shape.keys.vouched())
            .collect();
        vouched.dedup();
        (!vouched.is_empty()).then(|| vouched.join("; "))
    }

    /// The source keys that make a target key, as far as the plan's templates prove them: one, if the mapping is
    /// proven and a source key makes it at all.
    #[must_use]
    pub fn source_keys(&self, target: &Key) -> Vec<Key> {
        let mut found: Vec<Key> = Vec::new();
        for shape in &self.shapes {
            if let Some(source) = shape.keys.invert(target)
                && shape.may_take(&source)
                && !found.contains(&source)
            {
                found.push(source);
            }
        }
        found
    }

    /// The target keys that an item with this source key may have, as far as the source key alone decides.
    #[must_use]
    pub fn target_keys(&self, source: &Key, schema: &KeySchema) -> Vec<Key> {
        self.made_of(source, &schema.item_of(source))
    }

    /// The target keys that an item with these attributes may have had, whatever shape it was then.
    #[must_use]
    pub fn target_keys_of(&self, item: &Item, schema: &KeySchema) -> Vec<Key> {
        schema
            .key_of(item)
            .map_or_else(Vec::new, |source| self.made_of(&source, item))
    }

    fn made_of(&self, source: &Key, item: &Item) -> Vec<Key> {
        let mut made: Vec<Key> = Vec::new();
        for shape in self.shapes.iter().filter(|shape| shape.may_take(source)) {
            if let Ok(key) = shape.keys.apply(item)
                && !made.contains(&key)
            {
                made.push(key);
            }
        }
        made
    }

    /// Everything that decides which items are written, to which table and in which form. A service with one shape
    /// has the same form as before there were several shapes, so that a running split continues.
    pub(super) fn fingerprint_of(shapes: &[Shape], keys: &KeySchema, table: &TableSpec) -> String {
        // The order of the fields is part of the hash.
        let canonical = match shapes {
            [only] => {
                let mut canonical = json!({
                    "where": only.own_condition().to_string(),
                    "shape": only.canonical(),
                    "table": table.name,
                    "region": table.region,
                    "keys": keys,
                });
                if only.own.is_some() {
                    canonical["copy"] = "everything".into();
                }
                canonical
            }
            several => json!({
                "shapes": several
                    .iter()
                    .map(|shape| json!({ "where": shape.condition.to_string(), "shape": shape.canonical() }))
                    .collect::<Vec<_>>(),
                "table": table.name,
                "region": table.region,
                "keys": keys,
            }),
        };
        fingerprint(&canonical)
    }
}

/// Keys of an index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexKeys {
    /// Index name.
    pub name: String,
    /// Its key attributes; a local index has the table's partition key.
    pub keys: KeySchema,
    /// A local secondary index.
    pub local: bool,
}

/// 16 hexadecimal digits: plans are compared with their own earlier forms, not with an attacker's.
pub(super) fn fingerprint(canonical: &serde_json::Value) -> String {
    blake3::hash(canonical.to_string().as_bytes()).to_hex()[..16].to_owned()
}

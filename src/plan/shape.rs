//! How a source item is shaped for a service.

use super::expr::Condition;
use super::extent::{self, Extent};
use super::key_mapping::KeyMapping;
use crate::model::{Item, Key, REPLICATION_PREFIX};
use std::collections::{BTreeMap, BTreeSet};

/// One kind of items of a service: which they are, how their keys are made, and which other attributes are copied under
/// which names.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Which source items are copied in this form.
    pub condition: Condition,
    /// Which of them belong to the service, if it copies items of others, too.
    pub own: Option<OwnItems>,
    /// Makes the target key. Its attributes override copied ones with the same name.
    pub keys: KeyMapping,
    /// The other attributes.
    pub attributes: Attributes,
    /// Attributes that are not copied, and their values in new items of the source: those of `reverse.set`, and those
    /// that the condition pins to one value.
    pub given: Item,
    /// The source keys that its items have.
    pub(super) domain: Vec<Extent>,
}

/// The items that belong to a service with `copy: everything`.
#[derive(Clone, Debug)]
pub struct OwnItems {
    /// The `where` of the service.
    pub condition: Condition,
    /// The source keys that they have.
    pub(super) domain: Vec<Extent>,
}

/// Which attributes are copied, and under which names.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// If it is given, only these source attributes are copied.
    pub keep: Option<BTreeSet<String>>,
    /// These source attributes are not copied.
    pub drop: BTreeSet<String>,
    /// Source attributes and their names in the target.
    pub rename: BTreeMap<String, String>,
}

impl Attributes {
    /// The name of a source attribute in the target; `None` if it is not copied. (A target key attribute with that
    /// name is made by [`Shape::keys`], which overrides it.)
    #[must_use]
    pub fn target_name<'a>(&'a self, attribute: &'a str) -> Option<&'a str> {
        (!attribute.starts_with(REPLICATION_PREFIX))
            .then(|| self.listed_name(attribute))
            .flatten()
    }

    /// The same by the lists alone.
    fn listed_name<'a>(&'a self, attribute: &'a str) -> Option<&'a str> {
        let kept = self.keep.as_ref().is_none_or(|keep| keep.contains(attribute));
        if !kept || self.drop.contains(attribute) {
            return None;
        }
        Some(self.rename.get(attribute).map_or(attribute, String::as_str))
    }

    /// The source attributes that are copied under this name.
    pub fn sources<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let renamed = self.rename.iter().filter(move |(_, to)| *to == name);
        std::iter::once(name)
            .chain(renamed.map(|(from, _)| from.as_str()))
            .filter(move |from| self.target_name(from) == Some(name))
    }

    /// Whether any source item can have an attribute with this name in the target, beside the target's key.
    #[must_use]
    pub fn can_show(&self, name: &str) -> bool {
        self.listed_name(name) == Some(name)
            || self
                .rename
                .iter()
                .any(|(from, to)| to == name && self.listed_name(from).is_some())
    }
}

impl Shape {
    /// Whether an item with this source key can be of this kind, whatever its other attributes are.
    #[must_use]
    pub fn may_take(&self, source: &Key) -> bool {
        extent::may_be(&self.domain, source)
    }

    /// Which source items belong to the service: the `where` of the plan.
    #[must_use]
    pub fn own_condition(&self) -> &Condition {
        self.own.as_ref().map_or(&self.condition, |own| &own.condition)
    }

    /// Whether an item with this source key can belong to the service, whatever its other attributes are.
    #[must_use]
    pub fn may_own(&self, source: &Key) -> bool {
        extent::may_be(self.own_domain(), source)
    }

    /// The source keys that items of the service have.
    pub(super) fn own_domain(&self) -> &[Extent] {
        self.own.as_ref().map_or(&self.domain, |own| &own.domain)
    }

    /// Everything that decides the form of a target item, for the service's fingerprint.
    pub(super) fn canonical(&self) -> serde_json::Value {
        serde_json::json!({
            "keys": self.keys.canonical(),
            "keep": self.attributes.keep,
            "drop": self.attributes.drop,
            "rename": self.attributes.rename,
        })
    }
}

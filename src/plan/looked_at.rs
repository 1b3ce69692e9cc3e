//! The attributes of source items that the plan looks at. All others are only carried.

use super::{Plan, Service, Versions};
use crate::model::{NameFilter, RESERVED_PREFIX};
use std::collections::BTreeSet;

/// Names of the attributes of source items whose values decide anything: whether an item is copied, its keys, its version,
/// and whether a name is taken. The value of any other attribute arrives as it is, or not at all, by its name alone.
#[derive(Clone, Debug)]
pub struct LookedAt {
    names: BTreeSet<String>,
    filter: NameFilter,
}

impl LookedAt {
    fn of(names: BTreeSet<String>) -> Self {
        Self {
            filter: NameFilter::of(names.iter().map(String::as_str)),
            names,
        }
    }

    /// Whether the plan looks at an attribute.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        (self.filter.may_have(name) && self.names.contains(name)) || name.starts_with(RESERVED_PREFIX)
    }
}

impl Plan {
    /// The attributes of source items that it looks at.
    #[must_use]
    pub fn looked_at(&self) -> LookedAt {
        let mut names = self.decisive();
        if let Versions::Timestamp(timestamp) = &self.versions {
            names.insert(timestamp.attribute.clone());
        }
        for service in &self.services {
            service.add_looked_at(&mut names);
        }
        LookedAt::of(names)
    }

    /// The same, if an item is only shaped, and its write neither has a guard nor is estimated: whether a name is taken is then seen by
    /// the name.
    #[must_use]
    pub fn looked_at_to_shape(&self) -> LookedAt {
        LookedAt::of(self.decisive())
    }

    /// Attributes that decide which services take an item, which keys it has there, and whether an index takes it.
    fn decisive(&self) -> BTreeSet<String> {
        let keys = self.source.keys.attributes().map(|key| key.name.clone());
        let mut names: BTreeSet<String> = keys.collect();
        names.extend(
            self.left_behind
                .iter()
                .flat_map(|condition| condition.attributes()),
        );
        for service in &self.services {
            service.add_decisive(&mut names);
        }
        names
    }
}

impl Service {
    fn add_decisive(&self, names: &mut BTreeSet<String>) {
        for shape in &self.shapes {
            names.extend(shape.condition.attributes());
            names.extend(shape.own_condition().attributes());
            names.extend(shape.keys.attributes().map(str::to_owned));
        }
        for key in self.key_names() {
            names.insert(key.to_owned());
            for shape in &self.shapes {
                names.extend(shape.attributes.sources(key).map(str::to_owned));
            }
        }
    }

    /// The key attributes of its table and of its indexes.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        let indexes = self.indexes.iter().flat_map(|index| index.keys.attributes());
        self.keys.attributes().chain(indexes).map(|key| key.name.as_str())
    }

    fn add_looked_at(&self, names: &mut BTreeSet<String>) {
        for shape in &self.shapes {
            // A new name may be taken.
            let renamed = &shape.attributes.rename;
            names.extend(renamed.iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
        }
        // What an index holds of an item counts for the estimated use of its put.
        names.extend(self.projected().map(str::to_owned));
    }
}

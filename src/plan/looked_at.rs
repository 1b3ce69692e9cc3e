//! The attributes of source items that the plan looks at. All others are only carried.

use super::{Plan, Service, Versions};
use crate::model::RESERVED_PREFIX;
use std::collections::BTreeSet;

/// Names of the attributes of source items whose values decide anything: whether an item is copied, its keys, its version,
/// and whether a name is taken. The value of any other attribute arrives as it is, or not at all, by its name alone.
#[derive(Clone, Debug)]
pub struct LookedAt(BTreeSet<String>);

impl LookedAt {
    /// Whether the plan looks at an attribute.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name) || name.starts_with(RESERVED_PREFIX)
    }
}

impl Plan {
    /// The attributes of source items that it looks at.
    #[must_use]
    pub fn looked_at(&self) -> LookedAt {
        let keys = self.source.keys.attributes().map(|key| key.name.clone());
        let mut names: BTreeSet<String> = keys.collect();
        if let Versions::Timestamp(timestamp) = &self.versions {
            names.insert(timestamp.attribute.clone());
        }
        names.extend(
            self.left_behind
                .iter()
                .flat_map(|condition| condition.attributes()),
        );
        for service in &self.services {
            service.add_looked_at(&mut names);
        }
        LookedAt(names)
    }
}

impl Service {
    fn add_looked_at(&self, names: &mut BTreeSet<String>) {
        for shape in &self.shapes {
            names.extend(shape.condition.attributes());
            names.extend(shape.own_condition().attributes());
            names.extend(shape.keys.attributes().map(str::to_owned));
            // A new name may be taken.
            let renamed = &shape.attributes.rename;
            names.extend(renamed.iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
        }
        let indexes = self.indexes.iter().flat_map(|index| index.keys.attributes());
        names.extend(self.keys.attributes().chain(indexes).map(|key| key.name.clone()));
        // What an index holds of an item counts for the estimated use of its put.
        names.extend(self.projected().map(str::to_owned));
    }
}

//! The attributes of source items that the plan looks at. All others are only carried.

use super::{Plan, Service, Versions};
use crate::model::raw::Known;
use crate::model::{NamePlaces, REPLICATION_PREFIX, RESERVED_PREFIX};
use std::collections::BTreeSet;

/// Names of the attributes of source items whose values decide anything: whether an item is copied, its keys, its version,
/// and whether a name is taken. The value of any other attribute arrives as it is, or not at all, by its name alone.
#[derive(Clone, Debug)]
pub struct LookedAt {
    names: NamePlaces,
    /// Whether the value is looked at, for each name.
    is_read: Vec<bool>,
}

impl LookedAt {
    fn of(plan: &Plan, read: &BTreeSet<String>) -> Self {
        let names = plan.name_places();
        Self {
            is_read: names.iter().map(|name| read.contains(name)).collect(),
            names,
        }
    }

    /// Whether the plan looks at an attribute.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.known(name).is_read
    }

    /// The same, and the place of the name among those of [`Plan::name_places`]. Behind them is the place of all other names that global
    /// tables use.
    #[must_use]
    pub fn known(&self, name: &str) -> Known {
        let Some(place) = self.names.place(name) else {
            return Known {
                place: name.starts_with(REPLICATION_PREFIX).then_some(self.names.count()),
                is_read: name.starts_with(RESERVED_PREFIX),
            };
        };
        Known {
            place: Some(place),
            is_read: self.is_read[place as usize] || name.starts_with(RESERVED_PREFIX),
        }
    }
}

impl Plan {
    /// The attributes of source items that it looks at.
    #[must_use]
    pub fn looked_at(&self) -> LookedAt {
        LookedAt::of(self, &self.written())
    }

    /// Those and the attributes whose names decide anything.
    #[must_use]
    pub fn name_places(&self) -> NamePlaces {
        let mut names = self.written();
        let shapes = self.services.iter().flat_map(|service| &service.shapes);
        for attributes in shapes.map(|shape| &shape.attributes) {
            names.extend(attributes.keep.iter().flatten().chain(&attributes.drop).cloned());
        }
        NamePlaces::of(names)
    }

    /// Attributes that a guarded write looks at.
    fn written(&self) -> BTreeSet<String> {
        let mut names = self.decisive();
        if let Versions::Timestamp(timestamp) = &self.versions {
            names.insert(timestamp.attribute.clone());
        }
        for service in &self.services {
            service.add_looked_at(&mut names);
        }
        names
    }

    /// The same, if an item is only shaped, and its write neither has a guard nor is estimated: whether a name is taken is then seen by
    /// the name, and whether an index takes an attribute, by its type and its size.
    #[must_use]
    pub fn looked_at_to_shape(&self) -> LookedAt {
        LookedAt::of(self, &self.decisive())
    }

    /// Attributes that decide which services take an item, and which keys it has there.
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
        let keys = self.keys.attributes().map(|key| key.name.as_str());
        self.add_sources(keys, names);
    }

    /// These target attributes, and the source attributes that are copied under their names.
    fn add_sources<'n>(&self, targets: impl Iterator<Item = &'n str>, names: &mut BTreeSet<String>) {
        for target in targets {
            names.insert(target.to_owned());
            for shape in &self.shapes {
                names.extend(shape.attributes.sources(target).map(str::to_owned));
            }
        }
    }

    /// The key attributes of its table and of its indexes.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        let indexes = self.indexes.iter().flat_map(|index| index.keys.attributes());
        self.keys.attributes().chain(indexes).map(|key| key.name.as_str())
    }

    fn add_looked_at(&self, names: &mut BTreeSet<String>) {
        self.add_sources(self.key_names(), names);
        for shape in &self.shapes {
            // A new name may be taken.
            let renamed = &shape.attributes.rename;
            names.extend(renamed.iter().flat_map(|(from, to)| [from.clone(), to.clone()]));
        }
        // What an index holds of an item counts for the estimated use of its put.
        names.extend(self.projected().map(str::to_owned));
    }
}

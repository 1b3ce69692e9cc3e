//! Which services may hold the same source items.

use super::extent::are_disjoint;
use super::{Plan, Service, Shape};

impl Service {
    /// Whether it is proven that no source key fits items of both services.
    fn is_apart_from(&self, other: &Self) -> bool {
        self.each_with(other)
            .all(|(one, two)| are_disjoint(one.own_domain(), two.own_domain()))
    }

    /// Whether it is proven that no item of another service is copied to the table of this one.
    fn receives_none_of(&self, other: &Self) -> bool {
        self.each_with(other)
            .all(|(one, two)| are_disjoint(&one.domain, two.own_domain()))
    }

    fn each_with<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = (&'s Shape, &'s Shape)> {
        let mine = self.shapes.iter();
        mine.flat_map(|one| other.shapes.iter().map(move |two| (one, two)))
    }
}

impl Plan {
    /// The other services that may receive items of this one from the source.
    #[must_use]
    pub fn copies_of(&self, service: &Service) -> Vec<&Service> {
        let others = self.services.iter();
        others
            .filter(|other| other.name != service.name && !other.receives_none_of(service))
            .collect()
    }

    /// The other services, by their places in the plan, that may hold an item of this one, now or later. Attributes that
    /// are no keys prove nothing: they can change.
    pub(super) fn sharing_with(&self, service: &Service) -> Vec<usize> {
        let others = self.services.iter().enumerate();
        others
            .filter(|(_, other)| other.name != service.name && !service.is_apart_from(other))
            .map(|(n, _)| n)
            .collect()
    }
}

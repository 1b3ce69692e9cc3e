//! Which services may hold the same source items.

use super::extent::are_disjoint;
use super::{Plan, Service};

impl Service {
    /// Whether it is proven that no source key fits both services.
    fn is_apart_from(&self, other: &Self) -> bool {
        let mine = self.shapes.iter();
        mine.flat_map(|one| other.shapes.iter().map(move |two| (one, two)))
            .all(|(one, two)| are_disjoint(&one.domain, &two.domain))
    }
}

impl Plan {
    /// The other services that may receive items of this one from the source.
    #[must_use]
    pub fn copies_of(&self, service: &Service) -> Vec<&Service> {
        let others = self.sharing_with(service).into_iter();
        others.filter_map(|n| self.services.get(n)).collect()
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

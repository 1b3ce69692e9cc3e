//! Adds the results of reading the items to the survey.

use super::tally::{ServiceTally, Tally};
use super::view::{CollisionView, Count, Expiry, Overlap, Reading, Routing, ServiceView, Survey, TableSize};
use crate::plan::{Plan, Service};
use crate::source::SourceFacts;

impl Survey {
    /// Adds the results of reading the items.
    pub(super) fn fill(&mut self, plan: &Plan, reading: Reading, tally: &Tally<'_>) {
        let size = TableSize::of(&self.source, &reading);
        let name = |n: usize| plan.services[n].name.clone();
        self.routing = Some(Routing {
            services: plan
                .services
                .iter()
                .zip(&tally.services)
                .map(|(service, counted)| ServiceView::of(service, counted, &size))
                .collect(),
            overlaps: tally
                .overlaps
                .iter()
                .map(|((first, second), items)| Overlap {
                    services: [name(*first), name(*second)],
                    items: *items,
                })
                .collect(),
            left_behind: tally.left_behind,
            unrouted: tally.unrouted,
            unrouted_shapes: tally.unrouted_shapes.list(),
            unversioned: tally.versions.list(),
            replicated: tally.replicated,
            expiry: self.source.ttl_attribute.clone().map(|attribute| Expiry {
                attribute,
                expired: tally.expired,
            }),
        });
        self.size = Some(size);
        self.reading = Some(reading);
    }
}

impl TableSize {
    #[allow(clippy::cast_precision_loss)] // an estimate
    fn of(source: &SourceFacts, reading: &Reading) -> Self {
        let read = Count {
            items: reading.items,
            bytes: reading.bytes,
        };
        // A description can be older than the items that were read.
        if reading.whole || source.item_count <= read.items {
            return Self {
                count: read,
                counted: reading.whole,
                factor: 1.0,
            };
        }
        let factor = source.item_count as f64 / read.items.max(1) as f64;
        Self {
            count: Count {
                items: source.item_count,
                bytes: source.bytes.max(read.bytes),
            },
            counted: false,
            factor,
        }
    }
}

impl ServiceView {
    fn of(service: &Service, counted: &ServiceTally, size: &TableSize) -> Self {
        let vouch = service.vouched();
        Self {
            service: service.name.clone(),
            routed: counted.routed,
            copies: service.copies_everything().then_some(counted.copies),
            written: counted.written,
            whole: counted.written.times(size.factor),
            faults: counted.faults.list(),
            collisions: match &counted.keys {
                None => CollisionView::Proven,
                Some(keys) => CollisionView::Compared {
                    vouch,
                    keys: keys.compared,
                    share: keys.share(),
                    found: keys.found,
                    shown: keys.shown.clone(),
                },
            },
            expiring: counted.expiring,
            patterns: counted.patterns.list(),
            ttl: service.table.ttl.as_deref().map(|ttl| counted.ttl.view(ttl)),
        }
    }
}

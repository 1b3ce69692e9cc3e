//! Whether the table of a service serves the writes that the service makes. Pure, beside the reading.

use super::objection::{Check, Objection};
use crate::plan::cost::Capability;
use crate::plan::{Service, TableThroughput};
use crate::state::ChartSample;

/// The service should need no more than this part of the write units: after the switch nothing evens out its peaks.
const COMFORTABLE_PART: f64 = 0.8;

/// The most write units per second that the lane of a service used between two samples; `None` without two samples.
#[allow(clippy::cast_precision_loss)] // units a second
pub(super) fn peak(samples: &[ChartSample], service: &str) -> Option<f64> {
    let units = |sample: &ChartSample| sample.write_milliunits.get(service).copied();
    let pairs = samples.iter().zip(samples.iter().skip(1));
    let rates = pairs.filter_map(|(before, after)| {
        // A restart of the tail begins the counters again.
        let used = units(after)?.checked_sub(units(before)?)?;
        let ms = after.at_ms.checked_sub(before.at_ms).filter(|ms| *ms > 0)?;
        Some(used as f64 / ms as f64)
    });
    rates.reduce(f64::max)
}

/// Whole units, rounded up.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // at least 0, and saturating
pub(super) fn whole(units: f64) -> u64 {
    units.ceil() as u64
}

/// Warns if the table or one of its global indexes serves hardly more than the service needs.
pub(super) fn too_small(service: &Service, throughput: &TableThroughput, peak: f64) -> Vec<Objection> {
    let indexes = throughput.indexes.iter();
    let parts = std::iter::once((String::new(), &throughput.table))
        .chain(indexes.map(|(name, throughput)| (format!(" (index {name})"), throughput)));
    let small = parts.filter_map(|(index, throughput)| {
        let serves = Capability::writes(throughput).at_first;
        (peak > serves * COMFORTABLE_PART).then(|| {
            Objection::new(
                Check::Capacity,
                format!(
                    "{}{index} serves {serves:.0} write units per second at first, and the lane of {} used up to {peak:.0}: the \
                     service would be throttled in its peaks. Raise its throughput, or its warm throughput, before the cutover",
                    service.table.name, service.name
                ),
            )
        })
    });
    small.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, Throughput, Units};
    use std::collections::BTreeMap;

    fn sample(at_ms: u64, milliunits: u64) -> ChartSample {
        ChartSample {
            at_ms,
            write_milliunits: BTreeMap::from([("person".to_owned(), milliunits)]),
            ..ChartSample::default()
        }
    }

    #[test]
    fn the_peak_is_that_of_the_busiest_time_between_two_samples() {
        let samples = [
            sample(0, 0),
            sample(10_000, 50_000),
            sample(20_000, 950_000),
            // The tail was restarted.
            sample(30_000, 1_000),
            sample(40_000, 2_000),
        ];
        assert_eq!(peak(&samples, "person"), Some(90.0));
        assert_eq!(peak(&samples[..1], "person"), None);
        assert_eq!(peak(&samples, "client"), None);
    }

    #[test]
    fn a_table_or_an_index_that_serves_too_little_is_named() {
        let plan = Plan::parse(include_str!("../../plans/clients-and-people.yaml"), "plan.yaml").unwrap();
        let person = plan.service("person").unwrap();
        let units = |write| Throughput {
            provisioned: Some(Units { read: 5, write }),
            ..Throughput::default()
        };
        let throughput = |table, index| TableThroughput {
            table: units(table),
            indexes: BTreeMap::from([("by-email".to_owned(), units(index))]),
        };
        assert!(too_small(person, &throughput(200, 200), 90.0).is_empty());
        let small = too_small(person, &throughput(100, 200), 90.0);
        assert!(small[0].what.starts_with("Person serves 100 "), "{small:?}");
        let small = too_small(person, &throughput(200, 50), 90.0);
        assert!(
            small[0].what.starts_with("Person (index by-email) serves 50 "),
            "{small:?}"
        );
        assert!(
            too_small(person, &TableThroughput::default(), 90.0).is_empty(),
            "on demand"
        );
        assert_eq!(too_small(person, &TableThroughput::default(), 3_900.0).len(), 1);
    }
}

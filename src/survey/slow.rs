//! Throughput that was set for a table, or for an index, and that holds the split back.

use super::costs::SlowTable;
use super::options::SurveyOptions;
use super::view::Survey;
use crate::plan::cost::{Capability, NEW_TABLE_WRITES, WriteCapability, WriteUnits};
use crate::plan::{Plan, Service};

/// A table with fewer write units per second than one full batch uses is reported, however few items there are: the
/// tail writes each change with them.
const FEW_WRITES: f64 = 25.0;
/// A table is reported if its part of the backfill takes longer than this, in hours.
const SLOW_HOURS: f64 = 0.5;

/// The tables and indexes of a service that are slow.
pub(super) fn slow_tables(service: &Service, served: &WriteCapability, units: &WriteUnits) -> Vec<SlowTable> {
    let indexes = service.indexes.iter().zip(&served.indexes).zip(&units.indexes);
    let indexes = indexes
        .filter(|((index, _), _)| !index.local)
        .map(|((index, served), units)| (Some(index.name.clone()), *served, *units));
    let slow = |(index, served, units): (Option<String>, Capability, u64)| {
        let hours = served.seconds(units) / 3600.0;
        let is_slow = served.at_most < FEW_WRITES || hours > SLOW_HOURS;
        (served.at_most < NEW_TABLE_WRITES && is_slow).then(|| SlowTable {
            service: service.name.clone(),
            table: service.table.name.clone(),
            index,
            write_units: served.at_most,
            hours,
        })
    };
    std::iter::once((None, served.table, units.table))
        .chain(indexes)
        .filter_map(slow)
        .collect()
}

/// Budgets that exceed the throughput of the tables, so that they limit nothing.
pub(super) fn surplus_budgets(plan: &Plan, survey: &Survey, options: &SurveyOptions) -> Vec<String> {
    let note = |option: &str, budget: f64, kind: &str, table: &str, served: Capability| {
        (budget > served.at_most).then(|| {
            format!(
                "{option} {budget} is more than {table} serves ({} {kind} units per second), so the \
                 forecast uses the throughput of the table",
                served.at_most
            )
        })
    };
    let source = &survey.source;
    let reads = options.read_units.and_then(|budget| {
        let served = Capability::reads(&source.throughput);
        note("--read-units", budget, "read", &source.table, served)
    });
    let writes = plan.services.iter().filter_map(|service| {
        let served = WriteCapability::of(service, survey.throughput(&service.name)).table;
        note(
            "--write-units",
            options.write_units?,
            "write",
            &service.table.name,
            served,
        )
    });
    reads.into_iter().chain(writes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{TableThroughput, Throughput, Units};
    use std::collections::BTreeMap;

    const PLAN: &str = "version: 1\nsplit: s\nsource: { table: Live, keys: { partition: PK } }\ntimestamp: none\n\
        unrouted: fail\nservices:\n  - name: all\n    where: attribute_exists(PK)\n    table:\n      \
        name: Apart\n      keys: { partition: PK }\n      \
        global-indexes: [{ name: by-kind, keys: { partition: kind } }]\n";

    #[test]
    fn a_table_with_few_units_is_slow_and_one_of_which_nothing_was_set_is_not() {
        let plan = Plan::parse(PLAN, "plan.yaml").unwrap();
        let service = &plan.services[0];
        let provisioned = |write| Throughput {
            provisioned: Some(Units { read: 1, write }),
            ..Throughput::default()
        };
        let slow = |table, index, units: u64| {
            let existing = TableThroughput {
                table,
                indexes: BTreeMap::from([("by-kind".to_owned(), index)]),
            };
            let units = WriteUnits {
                table: units,
                indexes: vec![units],
            };
            let found = slow_tables(service, &WriteCapability::of(service, Some(&existing)), &units);
            found
                .into_iter()
                .map(|each| (each.index, each.write_units))
                .collect::<Vec<_>>()
        };
        let index = || Some("by-kind".to_owned());
        assert_eq!(
            slow(provisioned(1), provisioned(5), 0),
            [(None, 1.0), (index(), 5.0)]
        );
        assert_eq!(slow(provisioned(100), provisioned(100), 100), []);
        assert_eq!(
            slow(provisioned(1000), provisioned(100), 1_000_000),
            [(index(), 100.0)]
        );
        // However much there is: no setting holds it back.
        assert_eq!(
            slow(Throughput::default(), Throughput::default(), u64::MAX / 2),
            []
        );
        let bounded = Throughput {
            most_writes: Some(10),
            ..Throughput::default()
        };
        assert_eq!(slow(bounded, Throughput::default(), 1), [(None, 10.0)]);
    }
}

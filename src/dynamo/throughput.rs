//! The throughput that a described table is set to serve.

use crate::plan::{TableThroughput, Throughput, Units};
use aws_sdk_dynamodb::types::{
    BillingMode, OnDemandThroughput, ProvisionedThroughputDescription, TableDescription,
};

/// The throughput that a described table is set to serve.
#[must_use]
pub fn table_throughput(table: &TableDescription) -> TableThroughput {
    let mode = table
        .billing_mode_summary()
        .and_then(|summary| summary.billing_mode());
    let on_demand = mode == Some(&BillingMode::PayPerRequest);
    let of = |provisioned: Option<&ProvisionedThroughputDescription>, most: Option<&OnDemandThroughput>| {
        Throughput {
            provisioned: (!on_demand).then(|| Units {
                read: units(provisioned.and_then(|units| units.read_capacity_units())),
                write: units(provisioned.and_then(|units| units.write_capacity_units())),
            }),
            most_reads: most.and_then(|most| set(most.max_read_request_units())),
            most_writes: most.and_then(|most| set(most.max_write_request_units())),
            warm: None,
        }
    };
    let warm = |read: Option<i64>, write: Option<i64>| Units {
        read: units(read),
        write: units(write),
    };
    let indexes = table.global_secondary_indexes().iter().map(|index| {
        let throughput = Throughput {
            warm: index
                .warm_throughput()
                .map(|each| warm(each.read_units_per_second(), each.write_units_per_second())),
            ..of(index.provisioned_throughput(), index.on_demand_throughput())
        };
        (index.index_name().unwrap_or_default().to_owned(), throughput)
    });
    TableThroughput {
        table: Throughput {
            warm: table
                .warm_throughput()
                .map(|each| warm(each.read_units_per_second(), each.write_units_per_second())),
            ..of(table.provisioned_throughput(), table.on_demand_throughput())
        },
        indexes: indexes.collect(),
    }
}

fn units(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// A bound that was set: -1 is none.
fn set(most: Option<i64>) -> Option<u64> {
    most.and_then(|most| u64::try_from(most).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::types::{
        BillingModeSummary, GlobalSecondaryIndexDescription, GlobalSecondaryIndexWarmThroughputDescription,
        TableWarmThroughputDescription,
    };

    #[test]
    fn a_provisioned_table_and_its_indexes() {
        let units = |read, write| {
            ProvisionedThroughputDescription::builder()
                .read_capacity_units(read)
                .write_capacity_units(write)
                .build()
        };
        let index = GlobalSecondaryIndexDescription::builder()
            .index_name("by-day")
            .provisioned_throughput(units(7, 2));
        let table = TableDescription::builder()
            .provisioned_throughput(units(5, 1))
            .global_secondary_indexes(index.build())
            .build();
        let found = table_throughput(&table);
        assert_eq!(found.table.provisioned, Some(Units { read: 5, write: 1 }));
        assert_eq!(
            found.indexes["by-day"].provisioned,
            Some(Units { read: 7, write: 2 })
        );
    }

    #[test]
    fn an_on_demand_table_with_bounds_and_warm_throughput() {
        let summary = BillingModeSummary::builder().billing_mode(BillingMode::PayPerRequest);
        let most = OnDemandThroughput::builder()
            .max_read_request_units(-1)
            .max_write_request_units(80)
            .build();
        let warm = GlobalSecondaryIndexWarmThroughputDescription::builder()
            .read_units_per_second(12_000)
            .write_units_per_second(4000);
        let index = GlobalSecondaryIndexDescription::builder()
            .index_name("by-day")
            .on_demand_throughput(most.clone())
            .warm_throughput(warm.build());
        let warm = TableWarmThroughputDescription::builder()
            .read_units_per_second(20_000)
            .write_units_per_second(9000);
        let table = TableDescription::builder()
            .billing_mode_summary(summary.build())
            .on_demand_throughput(most)
            .warm_throughput(warm.build())
            .global_secondary_indexes(index.build())
            .build();
        let found = table_throughput(&table);
        assert_eq!((found.table.provisioned, found.table.most_reads), (None, None));
        assert_eq!(found.table.most_writes, Some(80));
        assert_eq!(
            found.table.warm,
            Some(Units {
                read: 20_000,
                write: 9000
            })
        );
        assert_eq!(
            found.indexes["by-day"].warm,
            Some(Units {
                read: 12_000,
                write: 4000
            })
        );
        assert_eq!(found.indexes["by-day"].most_writes, Some(80));
    }
}

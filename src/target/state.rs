//! A table as an engine shows it, read once and kept in a form that can be compared.

use super::TargetError;
use crate::dynamo::{FailureKind, call_table, table_throughput};
use crate::plan::TableThroughput;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, Projection, ProjectionType,
    ProvisionedThroughputDescription, SseStatus, TableDescription, TableStatus,
};
use std::collections::{BTreeMap, BTreeSet};

/// A key attribute: its name, type and whether it is part of the sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPart {
    pub name: String,
    pub kind: String,
    pub sort: bool,
}

/// The projection of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    All,
    KeysOnly,
    Include(BTreeSet<String>),
}

/// Units of throughput, of whatever sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub read: i64,
    pub write: i64,
}

/// Warm throughput: the units that the table can serve now, and whether they are still being raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Warm {
    pub units: Units,
    pub changing: bool,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexState {
    pub keys: Vec<KeyPart>,
    pub held: Held,
    pub status: String,
    pub units: Units,
    pub warm: Option<Warm>,
}

/// Encryption with a KMS key, rather than one that DynamoDB owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kms {
    pub key_arn: String,
}

/// A table, as `DescribeTable` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableState {
    pub arn: String,
    /// Which no other table of the same name has; engines other than AWS may have none.
    pub id: Option<String>,
    pub status: String,
    pub keys: Vec<KeyPart>,
    pub global_indexes: BTreeMap<String, IndexState>,
    pub local_indexes: BTreeMap<String, IndexState>,
    /// Provisioned units; `None` if it is on demand.
    pub provisioned: Option<Units>,
    pub max_on_demand: Option<Units>,
    pub warm: Option<Warm>,
    /// View type of its stream, if it is on.
    pub stream: Option<String>,
    pub class: Option<String>,
    pub kms: Option<Kms>,
    pub deletion_protection: bool,
    /// The same units, as a forecast takes them.
    pub throughput: TableThroughput,
}

impl TableState {
    /// Whether this is an emulator, which may take a setting and ignore it. No AWS account has the
    /// number 000000000000, which is the one that DynamoDB Local and its like show.
    pub fn is_emulated(&self) -> bool {
        self.arn.split(':').nth(4) == Some("000000000000")
    }

    /// Whether the table and each index can be used.
    pub fn is_ready(&self) -> bool {
        self.status == "ACTIVE" && self.global_indexes.values().all(|index| index.status == "ACTIVE")
    }

    /// Whether waiting leads nowhere.
    pub fn is_dead_end(&self) -> bool {
        !matches!(self.status.as_str(), "ACTIVE" | "CREATING" | "UPDATING")
    }

    /// The parts that are not ready, for people.
    pub fn waiting_for(&self) -> String {
        let unready = self
            .global_indexes
            .iter()
            .find(|(_, index)| index.status != "ACTIVE");
        match unready {
            Some((name, index)) if self.status == "ACTIVE" => format!("{} (index {name})", index.status),
            _ => self.status.clone(),
        }
    }

    fn of(table: &TableDescription) -> Self {
        let definitions = table.attribute_definitions();
        let mode = table
            .billing_mode_summary()
            .and_then(|summary| summary.billing_mode());
        let on_demand = mode == Some(&BillingMode::PayPerRequest);
        let encryption = table.sse_description().filter(|sse| {
            !matches!(
                sse.status(),
                None | Some(SseStatus::Disabled | SseStatus::Disabling)
            )
        });
        Self {
            arn: table.table_arn().unwrap_or_default().to_owned(),
            id: table.table_id().map(str::to_owned),
            status: table
                .table_status()
                .map_or("UNKNOWN", TableStatus::as_str)
                .to_owned(),
            keys: key_parts(table.key_schema(), definitions),
            global_indexes: global_indexes(table),
            local_indexes: local_indexes(table),
            provisioned: (!on_demand).then(|| units(table.provisioned_throughput())),
            max_on_demand: table.on_demand_throughput().map(|max| Units {
                read: max.max_read_request_units().unwrap_or(-1),
                write: max.max_write_request_units().unwrap_or(-1),
            }),
            warm: table.warm_throughput().map(|warm| Warm {
                units: Units {
                    read: warm.read_units_per_second().unwrap_or(0),
                    write: warm.write_units_per_second().unwrap_or(0),
                },
                changing: warm.status().is_some_and(|status| *status != TableStatus::Active),
            }),
            stream: table
                .stream_specification()
                .filter(|stream| stream.stream_enabled())
                .map(|stream| {
                    stream
                        .stream_view_type()
                        .map_or("unknown view", |view| view.as_str())
                        .to_owned()
                }),
            class: table
                .table_class_summary()
                .and_then(|summary| summary.table_class())
                .map(|class| class.as_str().to_owned()),
            kms: encryption.map(|sse| Kms {
                key_arn: sse.kms_master_key_arn().unwrap_or_default().to_owned(),
            }),
            deletion_protection: table.deletion_protection_enabled().unwrap_or(false),
            throughput: table_throughput(table),
        }
    }
}

/// Reads a table; `None` if it is missing.
pub(super) async fn describe(client: &Client, table: &str) -> Result<Option<TableState>, TargetError> {
    let operation = "dynamodb:DescribeTable";
    let described = call_table(operation, table, || {
        client.describe_table().table_name(table).send()
    });
    match described.await {
        Ok(output) => Ok(output.table().map(TableState::of)),
        Err(failure) if failure.kind == FailureKind::Missing => Ok(None),
        Err(other) => Err(TargetError::of(other, table)),
    }
}

fn global_indexes(table: &TableDescription) -> BTreeMap<String, IndexState> {
    let definitions = table.attribute_definitions();
    let states = table.global_secondary_indexes().iter().map(|index| {
        let state = IndexState {
            keys: key_parts(index.key_schema(), definitions),
            held: held(index.projection()),
            status: index
                .index_status()
                .map_or("ACTIVE", |status| status.as_str())
                .to_owned(),
            units: units(index.provisioned_throughput()),
            warm: index.warm_throughput().map(|warm| Warm {
                units: Units {
                    read: warm.read_units_per_second().unwrap_or(0),
                    write: warm.write_units_per_second().unwrap_or(0),
                },
                changing: warm.status().is_some_and(|status| status.as_str() != "ACTIVE"),
            }),
        };
        (index.index_name().unwrap_or_default().to_owned(), state)
    });
    states.collect()
}

fn local_indexes(table: &TableDescription) -> BTreeMap<String, IndexState> {
    let definitions = table.attribute_definitions();
    let states = table.local_secondary_indexes().iter().map(|index| {
        let state = IndexState {
            keys: key_parts(index.key_schema(), definitions),
            held: held(index.projection()),
            status: "ACTIVE".to_owned(),
            units: Units { read: 0, write: 0 },
            warm: None,
        };
        (index.index_name().unwrap_or_default().to_owned(), state)
    });
    states.collect()
}

/// The parts of a key, those of the partition key first. (A global index may have several of each.)
fn key_parts(schema: &[KeySchemaElement], definitions: &[AttributeDefinition]) -> Vec<KeyPart> {
    let mut parts: Vec<KeyPart> = schema
        .iter()
        .map(|element| {
            let name = element.attribute_name();
            let definition = definitions.iter().find(|each| each.attribute_name() == name);
            KeyPart {
                name: name.to_owned(),
                kind: definition
                    .map_or("?", |each| each.attribute_type().as_str())
                    .to_owned(),
                sort: *element.key_type() == KeyType::Range,
            }
        })
        .collect();
    parts.sort_by_key(|part| part.sort);
    parts
}

fn held(projection: Option<&Projection>) -> Held {
    match projection.and_then(|each| each.projection_type()) {
        Some(ProjectionType::KeysOnly) => Held::KeysOnly,
        Some(ProjectionType::Include) => {
            let names = projection
                .map(|each| each.non_key_attributes())
                .unwrap_or_default();
            Held::Include(names.iter().cloned().collect())
        }
        _ => Held::All,
    }
}

fn units(throughput: Option<&ProvisionedThroughputDescription>) -> Units {
    Units {
        read: throughput
            .and_then(|units| units.read_capacity_units())
            .unwrap_or(0),
        write: throughput
            .and_then(|units| units.write_capacity_units())
            .unwrap_or(0),
    }
}

//! Facts about the source table: its keys, its size, its stream and its throughput.

use super::{SourceError, StreamState};
use crate::dynamo::{Failure, FailureKind, call_table, table_throughput};
use crate::model::{AttributeKind, IndexFacts, KeyAttribute, KeySchema, Projected};
use crate::plan::Throughput;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    BillingMode, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveStatus,
};
use serde::Serialize;

/// How the source pays for its throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Billing {
    /// Pay per request.
    OnDemand,
    /// Units a second.
    Provisioned {
        /// Read units a second.
        read: i64,
        /// Write units a second.
        write: i64,
    },
}

/// The facts of the source table that `plan` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceFacts {
    /// Table name.
    pub table: String,
    /// Table ARN.
    pub arn: String,
    /// `ACTIVE`, or another status.
    pub status: String,
    /// Its primary key.
    #[serde(serialize_with = "as_text")]
    pub keys: KeySchema,
    /// Items, as of some six hours ago. Never a proof of anything.
    pub item_count: u64,
    /// Bytes without the indexes', as of some six hours ago.
    pub bytes: u64,
    /// How it is paid for.
    pub billing: Billing,
    /// The throughput that it is set to serve.
    pub throughput: Throughput,
    /// Its stream.
    pub stream: StreamState,
    /// The other regions of a global table; empty for a plain one.
    pub replicas: Vec<String>,
    /// The version of global tables, if it is one.
    pub global_table_version: Option<String>,
    /// The attribute by which it expires items, if TTL is on.
    pub ttl_attribute: Option<String>,
    /// Table class: `STANDARD` or `STANDARD_INFREQUENT_ACCESS`.
    pub class: String,
    /// Number of global secondary indexes.
    pub global_indexes: usize,
    /// Number of local secondary indexes.
    pub local_indexes: usize,
    /// The indexes, local ones first.
    #[serde(skip)]
    pub indexes: Vec<IndexFacts>,
}

#[cfg(test)]
impl SourceFacts {
    /// Of an empty table without any setting, for tests.
    pub(crate) fn sample(keys: KeySchema) -> Self {
        Self {
            table: "Live".into(),
            arn: String::new(),
            status: "ACTIVE".into(),
            keys,
            item_count: 0,
            bytes: 0,
            billing: Billing::OnDemand,
            throughput: Throughput::default(),
            stream: StreamState::Off,
            replicas: Vec::new(),
            global_table_version: None,
            ttl_attribute: None,
            class: "STANDARD".into(),
            global_indexes: 0,
            local_indexes: 0,
            indexes: Vec::new(),
        }
    }
}

impl SourceFacts {
    /// Whether it receives writes of other regions.
    #[must_use]
    pub fn is_global(&self) -> bool {
        !self.replicas.is_empty() || self.global_table_version.is_some()
    }
}

fn as_text<S: serde::Serializer>(keys: &KeySchema, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&keys_text(keys))
}

/// A primary key for people: `partition PK (S), sort SK (S)`.
pub(crate) fn keys_text(keys: &KeySchema) -> String {
    let part =
        |role: &str, attribute: &KeyAttribute| format!("{role} {} ({})", attribute.name, attribute.kind);
    match &keys.sort {
        Some(sort) => format!("{}, {}", part("partition", &keys.partition), part("sort", sort)),
        None => part("partition", &keys.partition),
    }
}

/// Reads the facts of the source table. Writes nothing.
///
/// Needs `dynamodb:DescribeTable` and `dynamodb:DescribeTimeToLive`.
///
/// # Errors
/// If the table is missing, or may not be described.
pub async fn describe_source(dynamodb: &Client, table: &str) -> Result<SourceFacts, SourceError> {
    let description = describe(dynamodb, table).await?;
    let ttl_attribute = ttl_attribute(dynamodb, table).await?;
    let replicas = description
        .replicas()
        .iter()
        .filter_map(|replica| replica.region_name().map(str::to_owned));
    Ok(SourceFacts {
        table: table.to_owned(),
        arn: description.table_arn().unwrap_or_default().to_owned(),
        status: status(&description),
        keys: key_schema(table, &description)?,
        item_count: u64::try_from(description.item_count().unwrap_or(0)).unwrap_or(0),
        bytes: u64::try_from(description.table_size_bytes().unwrap_or(0)).unwrap_or(0),
        billing: billing(&description),
        throughput: table_throughput(&description).table,
        stream: StreamState::of(&description),
        replicas: replicas.collect(),
        global_table_version: description.global_table_version().map(str::to_owned),
        ttl_attribute,
        class: description
            .table_class_summary()
            .and_then(|summary| summary.table_class())
            .map_or("STANDARD", |class| class.as_str())
            .to_owned(),
        global_indexes: description.global_secondary_indexes().len(),
        local_indexes: description.local_secondary_indexes().len(),
        indexes: indexes(&description),
    })
}

/// Checks that the plan names the primary key of the table.
///
/// # Errors
/// [`SourceError::OtherKeys`] if it does not.
pub fn check_keys(planned: &KeySchema, facts: &SourceFacts) -> Result<(), SourceError> {
    if *planned == facts.keys {
        return Ok(());
    }
    Err(SourceError::OtherKeys {
        table: facts.table.clone(),
        planned: keys_text(planned),
        actual: keys_text(&facts.keys),
    })
}

pub(super) async fn describe(dynamodb: &Client, table: &str) -> Result<TableDescription, SourceError> {
    let operation = "dynamodb:DescribeTable";
    let described = call_table(operation, table, || {
        dynamodb.describe_table().table_name(table).send()
    });
    match described.await {
        Ok(output) => output.table.ok_or_else(|| SourceError::Missing {
            table: table.to_owned(),
        }),
        Err(refused) => Err(SourceError::of(refused, table)),
    }
}

pub(super) fn status(description: &TableDescription) -> String {
    description
        .table_status()
        .map_or("UNKNOWN", TableStatus::as_str)
        .to_owned()
}

fn billing(description: &TableDescription) -> Billing {
    let mode = description
        .billing_mode_summary()
        .and_then(|summary| summary.billing_mode());
    if mode == Some(&BillingMode::PayPerRequest) {
        return Billing::OnDemand;
    }
    let units = description.provisioned_throughput();
    Billing::Provisioned {
        read: units.and_then(|units| units.read_capacity_units()).unwrap_or(0),
        write: units.and_then(|units| units.write_capacity_units()).unwrap_or(0),
    }
}

/// An engine without TTL expires nothing, which is a sufficient answer.
async fn ttl_attribute(dynamodb: &Client, table: &str) -> Result<Option<String>, SourceError> {
    let operation = "dynamodb:DescribeTimeToLive";
    let described = call_table(operation, table, || {
        dynamodb.describe_time_to_live().table_name(table).send()
    });
    let output = match described.await {
        Ok(output) => output,
        Err(failure) if failure.kind == FailureKind::Unsupported => return Ok(None),
        Err(other) => return Err(SourceError::of(other, table)),
    };
    Ok(output.time_to_live_description.and_then(|ttl| {
        let off = matches!(ttl.time_to_live_status(), None | Some(TimeToLiveStatus::Disabled));
        ttl.attribute_name.filter(|_| !off)
    }))
}

fn key_schema(table: &str, description: &TableDescription) -> Result<KeySchema, SourceError> {
    Ok(keys_of(description, description.key_schema()).ok_or_else(|| {
        Failure::unusable(
            "dynamodb:DescribeTable",
            table,
            "the answer names no partition key",
        )
    })?)
}

/// The key of the table, or of one of its indexes.
fn keys_of(description: &TableDescription, schema: &[KeySchemaElement]) -> Option<KeySchema> {
    let attribute = |role: KeyType| {
        let name = schema
            .iter()
            .find(|part| *part.key_type() == role)?
            .attribute_name();
        let definition = description
            .attribute_definitions()
            .iter()
            .find(|each| each.attribute_name() == name)?;
        let kind = match definition.attribute_type() {
            ScalarAttributeType::S => AttributeKind::S,
            ScalarAttributeType::N => AttributeKind::N,
            ScalarAttributeType::B => AttributeKind::B,
            _ => return None,
        };
        Some(KeyAttribute {
            name: name.to_owned(),
            kind,
        })
    };
    Some(KeySchema {
        partition: attribute(KeyType::Hash)?,
        sort: attribute(KeyType::Range),
    })
}

/// The indexes, in the order of their names, because DynamoDB answers in any order.
fn indexes(description: &TableDescription) -> Vec<IndexFacts> {
    let index = |name: Option<&str>, schema: &[KeySchemaElement], projection: Option<&Projection>, local| {
        let projected = match projection.and_then(Projection::projection_type) {
            Some(ProjectionType::KeysOnly) => Projected::Keys,
            Some(ProjectionType::Include) => {
                Projected::These(projection.map_or_else(Vec::new, |some| some.non_key_attributes().to_vec()))
            }
            _ => Projected::All,
        };
        Some(IndexFacts {
            name: name?.to_owned(),
            keys: keys_of(description, schema)?,
            projected,
            local,
        })
    };
    let local = description.local_secondary_indexes().iter();
    let local = local.filter_map(|one| index(one.index_name(), one.key_schema(), one.projection(), true));
    let global = description.global_secondary_indexes().iter();
    let global = global.filter_map(|one| index(one.index_name(), one.key_schema(), one.projection(), false));
    let mut all: Vec<IndexFacts> = local.chain(global).collect();
    all.sort_by(|a, b| (!a.local, &a.name).cmp(&(!b.local, &b.name)));
    all
}

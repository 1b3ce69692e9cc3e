//! The plan's table as a `CreateTable` request. Everything that can be given at creation is, so that no
//! moment shows the table without it.

use super::settings::sdk_tags;
use crate::dynamo::Failure;
use crate::model::{AttributeKind, KeySchema};
use crate::plan::IndexKeys;
use crate::plan::either::WordOr;
use crate::plan::spec::{
    EncryptionWord, GlobalIndexSpec, IncludeSpec, ProjectionWord, TableClassSpec, TableSpec, ThroughputSpec,
};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex,
    OnDemandThroughput, Projection, ProjectionType, ProvisionedThroughput, ScalarAttributeType,
    SseSpecification, SseType, TableClass, TableCreationParameters, WarmThroughput,
};
use std::collections::BTreeMap;

/// The request that makes the table.
pub(super) fn request(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
) -> Result<CreateTableFluentBuilder, Failure> {
    build(client, spec, keys, indexes)
        .map_err(|error| Failure::unusable("dynamodb:CreateTable", &spec.name, error))
}

fn build(
    client: &Client,
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
) -> Result<CreateTableFluentBuilder, BuildError> {
    let mut request = client
        .create_table()
        .table_name(&spec.name)
        .set_key_schema(Some(key_schema(keys)?))
        .set_attribute_definitions(Some(definitions(keys, indexes)?))
        .set_deletion_protection_enabled(spec.deletion_protection);
    let provisioned = provisioned(spec);
    request = match provisioned {
        Some(units) => request
            .billing_mode(BillingMode::Provisioned)
            .provisioned_throughput(throughput(units)?),
        None => request.billing_mode(BillingMode::PayPerRequest),
    };
    for index in indexes {
        request = if index.local {
            request.local_secondary_indexes(local_index(spec, index)?)
        } else {
            request.global_secondary_indexes(global_index(spec, index, provisioned)?)
        };
    }
    if let Some(max) = spec.max_on_demand {
        request = request.on_demand_throughput(on_demand(max));
    }
    if !spec.tags.is_empty() {
        request = request.set_tags(Some(sdk_tags(&spec.tags)?));
    }
    Ok(request
        .set_warm_throughput(spec.warm_throughput.map(warm))
        .set_table_class(spec.class.map(table_class))
        .set_sse_specification(encryption(spec)))
}

/// What an import is told about the table that it makes. It knows nothing of local indexes, tags, the table class, deletion protection
/// and the table's warm throughput: the caller refuses the first, and sets the others afterwards.
pub(super) fn import_parameters(
    spec: &TableSpec,
    keys: &KeySchema,
    indexes: &[IndexKeys],
) -> Result<TableCreationParameters, BuildError> {
    let provisioned = provisioned(spec);
    let mode = match provisioned {
        Some(_) => BillingMode::Provisioned,
        None => BillingMode::PayPerRequest,
    };
    let indexes_of = indexes.iter().filter(|index| !index.local);
    let global: Vec<_> = indexes_of
        .map(|index| global_index(spec, index, provisioned))
        .collect::<Result<_, _>>()?;
    TableCreationParameters::builder()
        .table_name(&spec.name)
        .set_key_schema(Some(key_schema(keys)?))
        .set_attribute_definitions(Some(definitions(keys, indexes)?))
        .billing_mode(mode)
        .set_provisioned_throughput(provisioned.map(throughput).transpose()?)
        .set_on_demand_throughput(spec.max_on_demand.map(on_demand))
        .set_sse_specification(encryption(spec))
        .set_global_secondary_indexes((!global.is_empty()).then_some(global))
        .build()
}

/// The class as the SDK names it.
pub(super) fn table_class(class: TableClassSpec) -> TableClass {
    match class {
        TableClassSpec::Standard => TableClass::Standard,
        TableClassSpec::InfrequentAccess => TableClass::StandardInfrequentAccess,
    }
}

fn on_demand(max: ThroughputSpec) -> OnDemandThroughput {
    OnDemandThroughput::builder()
        .max_read_request_units(max.read.into())
        .max_write_request_units(max.write.into())
        .build()
}

/// Provisioned units of the table; `None` if it is on demand, which is the default of the plan.
pub(super) fn provisioned(spec: &TableSpec) -> Option<ThroughputSpec> {
    match &spec.billing {
        Some(WordOr::Map(units)) => Some(*units),
        _ => None,
    }
}

/// The plan's words on a global index.
pub(super) fn global_spec<'a>(spec: &'a TableSpec, name: &str) -> Option<&'a GlobalIndexSpec> {
    spec.global_indexes.iter().find(|index| index.name == name)
}

/// The plan's projection of an index.
pub(super) fn projection_spec<'a>(
    spec: &'a TableSpec,
    index: &IndexKeys,
) -> Option<&'a WordOr<ProjectionWord, IncludeSpec>> {
    if index.local {
        spec.local_indexes
            .iter()
            .find(|each| each.name == index.name)?
            .projection
            .as_ref()
    } else {
        global_spec(spec, &index.name)?.projection.as_ref()
    }
}

fn global_index(
    spec: &TableSpec,
    index: &IndexKeys,
    provisioned: Option<ThroughputSpec>,
) -> Result<GlobalSecondaryIndex, BuildError> {
    let words = global_spec(spec, &index.name);
    let units = provisioned.map(|table| words.and_then(|words| words.throughput).unwrap_or(table));
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.keys)?))
        .projection(projection(projection_spec(spec, index)))
        .set_provisioned_throughput(units.map(throughput).transpose()?)
        .set_warm_throughput(words.and_then(|words| words.warm_throughput).map(warm))
        .build()
}

fn local_index(spec: &TableSpec, index: &IndexKeys) -> Result<LocalSecondaryIndex, BuildError> {
    LocalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.keys)?))
        .projection(projection(projection_spec(spec, index)))
        .build()
}

fn projection(words: Option<&WordOr<ProjectionWord, IncludeSpec>>) -> Projection {
    let builder = Projection::builder();
    match words {
        None | Some(WordOr::Word(ProjectionWord::All)) => builder.projection_type(ProjectionType::All),
        Some(WordOr::Word(ProjectionWord::KeysOnly)) => builder.projection_type(ProjectionType::KeysOnly),
        Some(WordOr::Map(IncludeSpec { include })) => builder
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(include.clone())),
    }
    .build()
}

fn key_schema(keys: &KeySchema) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name: &str, role| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(role)
            .build()
    };
    let mut elements = vec![element(&keys.partition.name, KeyType::Hash)?];
    if let Some(sort) = &keys.sort {
        elements.push(element(&sort.name, KeyType::Range)?);
    }
    Ok(elements)
}

/// Every key attribute once: DynamoDB refuses a repeated one, and one that no key uses.
fn definitions(keys: &KeySchema, indexes: &[IndexKeys]) -> Result<Vec<AttributeDefinition>, BuildError> {
    let all = keys
        .attributes()
        .chain(indexes.iter().flat_map(|index| index.keys.attributes()));
    let kinds: BTreeMap<&str, AttributeKind> = all.map(|each| (each.name.as_str(), each.kind)).collect();
    let definition = |(name, kind): (&str, AttributeKind)| {
        let kind = match kind {
            AttributeKind::S => ScalarAttributeType::S,
            AttributeKind::N => ScalarAttributeType::N,
            AttributeKind::B => ScalarAttributeType::B,
        };
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(kind)
            .build()
    };
    kinds.into_iter().map(definition).collect()
}

fn throughput(units: ThroughputSpec) -> Result<ProvisionedThroughput, BuildError> {
    ProvisionedThroughput::builder()
        .read_capacity_units(units.read.into())
        .write_capacity_units(units.write.into())
        .build()
}

pub(super) fn warm(units: ThroughputSpec) -> WarmThroughput {
    WarmThroughput::builder()
        .read_units_per_second(units.read.into())
        .write_units_per_second(units.write.into())
        .build()
}

/// A table has a key that DynamoDB owns unless the plan says otherwise.
fn encryption(spec: &TableSpec) -> Option<SseSpecification> {
    let kms = || SseSpecification::builder().enabled(true).sse_type(SseType::Kms);
    match &spec.encryption {
        None | Some(WordOr::Word(EncryptionWord::Owned)) => None,
        Some(WordOr::Word(EncryptionWord::AwsManaged)) => Some(kms().build()),
        Some(WordOr::Map(key)) => Some(kms().kms_master_key_id(&key.kms_key).build()),
    }
}

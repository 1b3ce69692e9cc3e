//! The services' tables as a CloudFormation template. See
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html>.

use super::name::{distinct, logical_id};
use crate::model::KeySchema;
use crate::plan::either::WordOr;
use crate::plan::spec::{
    EncryptionWord, IncludeSpec, OnDemandWord, ProjectionWord, TableClassSpec, TableSpec, ThroughputSpec,
};
use crate::plan::{IndexKeys, Service};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A template with the tables of these services. They are kept if the stack is deleted, because they hold the data of the
/// services.
#[must_use]
pub fn cloudformation(split: &str, services: &[&Service]) -> Value {
    let ids = distinct(services.iter().map(|service| service.name.as_str()), logical_id);
    let resources: Map<String, Value> = ids
        .into_iter()
        .zip(services)
        .map(|(id, service)| (id, resource(service)))
        .collect();
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("Tables of the services of the split {split}, for `adopted: true` in its plan."),
        "Resources": resources,
    })
}

fn resource(service: &Service) -> Value {
    let mut resource = json!({
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
    });
    if let Some(attribute) = &service.table.ttl {
        resource["Metadata"] = json!({
            "TimeToLive": format!("Add a TimeToLiveSpecification for the attribute {attribute} after `dynasplit complete`, not before"),
        });
    }
    resource["Properties"] = properties(service);
    resource
}

fn properties(service: &Service) -> Value {
    let spec = &service.table;
    let provisioned = provisioned(spec);
    let mut table = json!({
        "TableName": spec.name,
        "KeySchema": key_schema(&service.keys),
        "AttributeDefinitions": definitions(service),
        "BillingMode": if provisioned.is_some() { "PROVISIONED" } else { "PAY_PER_REQUEST" },
    });
    set(&mut table, "ProvisionedThroughput", provisioned.map(throughput));
    set(
        &mut table,
        "OnDemandThroughput",
        spec.max_on_demand
            .map(|most| json!({ "MaxReadRequestUnits": most.read, "MaxWriteRequestUnits": most.write })),
    );
    set(&mut table, "WarmThroughput", spec.warm_throughput.map(warm));
    let (local, global): (Vec<_>, Vec<_>) = service.indexes.iter().partition(|index| index.local);
    let global = global.iter().map(|index| global_index(spec, index, provisioned));
    set(&mut table, "GlobalSecondaryIndexes", list(global));
    let local = local.iter().map(|index| local_index(spec, index));
    set(&mut table, "LocalSecondaryIndexes", list(local));
    set(
        &mut table,
        "TableClass",
        spec.class.map(|class| json!(class_name(class))),
    );
    set(&mut table, "SSESpecification", encryption(spec));
    set(
        &mut table,
        "DeletionProtectionEnabled",
        spec.deletion_protection.map(Value::from),
    );
    set(
        &mut table,
        "PointInTimeRecoverySpecification",
        spec.point_in_time_recovery
            .map(|on| json!({ "PointInTimeRecoveryEnabled": on })),
    );
    let tags = spec
        .tags
        .iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }));
    set(&mut table, "Tags", list(tags));
    table
}

fn set(table: &mut Value, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        table[name] = value;
    }
}

fn list(values: impl Iterator<Item = Value>) -> Option<Value> {
    let values: Vec<Value> = values.collect();
    (!values.is_empty()).then(|| values.into())
}

fn global_index(spec: &TableSpec, index: &IndexKeys, provisioned: Option<ThroughputSpec>) -> Value {
    let words = spec.global_indexes.iter().find(|each| each.name == index.name);
    let mut value = json!({
        "IndexName": index.name,
        "KeySchema": key_schema(&index.keys),
        "Projection": projection(words.and_then(|words| words.projection.as_ref())),
    });
    let units = provisioned.map(|table| words.and_then(|words| words.throughput).unwrap_or(table));
    set(&mut value, "ProvisionedThroughput", units.map(throughput));
    set(
        &mut value,
        "WarmThroughput",
        words.and_then(|words| words.warm_throughput).map(warm),
    );
    value
}

fn local_index(spec: &TableSpec, index: &IndexKeys) -> Value {
    let words = spec.local_indexes.iter().find(|each| each.name == index.name);
    json!({
        "IndexName": index.name,
        "KeySchema": key_schema(&index.keys),
        "Projection": projection(words.and_then(|words| words.projection.as_ref())),
    })
}

fn projection(words: Option<&WordOr<ProjectionWord, IncludeSpec>>) -> Value {
    match words {
        None | Some(WordOr::Word(ProjectionWord::All)) => json!({ "ProjectionType": "ALL" }),
        Some(WordOr::Word(ProjectionWord::KeysOnly)) => json!({ "ProjectionType": "KEYS_ONLY" }),
        Some(WordOr::Map(IncludeSpec { include })) => {
            json!({ "ProjectionType": "INCLUDE", "NonKeyAttributes": include })
        }
    }
}

fn key_schema(keys: &KeySchema) -> Value {
    let mut schema = vec![json!({ "AttributeName": keys.partition.name, "KeyType": "HASH" })];
    if let Some(sort) = &keys.sort {
        schema.push(json!({ "AttributeName": sort.name, "KeyType": "RANGE" }));
    }
    schema.into()
}

/// Every key attribute once, with its type, by name.
pub(super) fn key_types(service: &Service) -> BTreeMap<&str, String> {
    let indexes = service.indexes.iter().flat_map(|index| index.keys.attributes());
    let all = service.keys.attributes().chain(indexes);
    all.map(|each| (each.name.as_str(), each.kind.to_string()))
        .collect()
}

fn definitions(service: &Service) -> Value {
    let definition = |(name, kind)| json!({ "AttributeName": name, "AttributeType": kind });
    key_types(service).into_iter().map(definition).collect()
}

/// Provisioned units; `None` if the table is on demand, as it is if the plan says nothing.
pub(super) fn provisioned(spec: &TableSpec) -> Option<ThroughputSpec> {
    match &spec.billing {
        Some(WordOr::Map(units)) => Some(*units),
        Some(WordOr::Word(OnDemandWord::OnDemand)) | None => None,
    }
}

pub(super) fn class_name(class: TableClassSpec) -> &'static str {
    match class {
        TableClassSpec::Standard => "STANDARD",
        TableClassSpec::InfrequentAccess => "STANDARD_INFREQUENT_ACCESS",
    }
}

fn throughput(units: ThroughputSpec) -> Value {
    json!({ "ReadCapacityUnits": units.read, "WriteCapacityUnits": units.write })
}

fn warm(units: ThroughputSpec) -> Value {
    json!({ "ReadUnitsPerSecond": units.read, "WriteUnitsPerSecond": units.write })
}

/// A table without these settings has a key that DynamoDB owns.
fn encryption(spec: &TableSpec) -> Option<Value> {
    let kms = json!({ "SSEEnabled": true, "SSEType": "KMS" });
    match &spec.encryption {
        None | Some(WordOr::Word(EncryptionWord::Owned)) => None,
        Some(WordOr::Word(EncryptionWord::AwsManaged)) => Some(kms),
        Some(WordOr::Map(key)) => {
            let mut kms = kms;
            kms["KMSMasterKeyId"] = json!(key.kms_key);
            Some(kms)
        }
    }
}

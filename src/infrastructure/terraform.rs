//! Tables and policies in Terraform's language. See
//! <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/dynamodb_table>.

use super::cloudformation::{class_name, key_types, provisioned};
use super::name::{distinct, identifier};
use super::policy::{Policy, Statement};
use super::terraform_layout::aligned;
use crate::plan::either::WordOr;
use crate::plan::spec::{EncryptionWord, IncludeSpec, ProjectionWord, TableSpec, ThroughputSpec};
use crate::plan::{IndexKeys, Service};
use hcl::structure::BlockBuilder;
use hcl::{Block, Body, Expression};

/// The tables of these services as resources. Terraform refuses to destroy them, because they hold the data of the services.
///
/// # Errors
/// If the document cannot be formatted.
pub fn terraform_tables(services: &[&Service]) -> Result<String, hcl::Error> {
    let names = distinct(services.iter().map(|service| service.name.as_str()), identifier);
    let tables = names
        .iter()
        .zip(services)
        .map(|(name, service)| table(name, service));
    let mut text = String::new();
    for service in services {
        if let Some(attribute) = &service.table.ttl {
            text.push_str(&format!(
                "# {}: add a ttl block for the attribute {attribute} after `dynasplit complete`, not before.\n",
                service.table.name
            ));
        }
    }
    text.push_str(&aligned(&hcl::to_string(
        &Body::builder().add_blocks(tables).build(),
    )?));
    Ok(text)
}

/// A policy as a data source, whose `json` an `aws_iam_policy` can use.
///
/// # Errors
/// If the document cannot be formatted.
pub fn terraform_policy(name: &str, policy: &Policy) -> Result<String, hcl::Error> {
    let document = Block::builder("data")
        .add_label("aws_iam_policy_document")
        .add_label(identifier(name))
        .add_blocks(policy.statement.iter().map(statement))
        .build();
    Ok(aligned(&hcl::to_string(
        &Body::builder().add_block(document).build(),
    )?))
}

fn statement(statement: &Statement) -> Block {
    let mut block = Block::builder("statement")
        .add_attribute(("sid", statement.sid.as_str()))
        .add_attribute(("effect", statement.effect))
        .add_attribute(("actions", texts(&statement.action)))
        .add_attribute(("resources", texts(&statement.resource)));
    for (operator, keys) in &statement.condition {
        for (key, values) in keys {
            let condition = Block::builder("condition")
                .add_attribute(("test", operator.as_str()))
                .add_attribute(("variable", key.as_str()))
                .add_attribute(("values", texts(values)));
            block = block.add_block(condition.build());
        }
    }
    block.build()
}

fn table(name: &str, service: &Service) -> Block {
    let spec = &service.table;
    let units = provisioned(spec);
    let mut block = Block::builder("resource")
        .add_label("aws_dynamodb_table")
        .add_label(name)
        .add_attribute(("name", spec.name.as_str()))
        .add_attribute((
            "billing_mode",
            if units.is_some() {
                "PROVISIONED"
            } else {
                "PAY_PER_REQUEST"
            },
        ))
        .add_attribute(("hash_key", service.keys.partition.name.as_str()));
    if let Some(sort) = &service.keys.sort {
        block = block.add_attribute(("range_key", sort.name.as_str()));
    }
    if let Some(units) = units {
        block = capacity(block, units);
    }
    if let Some(class) = spec.class {
        block = block.add_attribute(("table_class", class_name(class)));
    }
    if let Some(protected) = spec.deletion_protection {
        block = block.add_attribute(("deletion_protection_enabled", protected));
    }
    if !spec.tags.is_empty() {
        // Quoted keys: an unquoted one could be an expression.
        let tags = spec.tags.iter().map(|(key, value)| {
            let key = hcl::ObjectKey::Expression(Expression::String(key.clone()));
            (key, Expression::String(value.clone()))
        });
        block = block.add_attribute(("tags", Expression::Object(tags.collect())));
    }
    let attributes = key_types(service).into_iter().map(|(name, kind)| {
        Block::builder("attribute")
            .add_attribute(("name", name))
            .add_attribute(("type", kind))
            .build()
    });
    block = block.add_blocks(attributes);
    block = block.add_blocks(
        service
            .indexes
            .iter()
            .map(|index| index_block(spec, index, units)),
    );
    block
        .add_blocks(settings(spec))
        .add_block(
            Block::builder("lifecycle")
                .add_attribute(("prevent_destroy", true))
                .build(),
        )
        .build()
}

fn settings(spec: &TableSpec) -> impl Iterator<Item = Block> {
    let most = spec.max_on_demand.map(|most| {
        Block::builder("on_demand_throughput")
            .add_attribute(("max_read_request_units", most.read))
            .add_attribute(("max_write_request_units", most.write))
            .build()
    });
    let backups = spec.point_in_time_recovery.map(|on| {
        Block::builder("point_in_time_recovery")
            .add_attribute(("enabled", on))
            .build()
    });
    most.into_iter()
        .chain(spec.warm_throughput.map(warm))
        .chain(encryption(spec))
        .chain(backups)
}

fn index_block(spec: &TableSpec, index: &IndexKeys, units: Option<ThroughputSpec>) -> Block {
    let kind = if index.local {
        "local_secondary_index"
    } else {
        "global_secondary_index"
    };
    let mut block = Block::builder(kind).add_attribute(("name", index.name.as_str()));
    if !index.local {
        block = block.add_attribute(("hash_key", index.keys.partition.name.as_str()));
    }
    if let Some(sort) = &index.keys.sort {
        block = block.add_attribute(("range_key", sort.name.as_str()));
    }
    if index.local {
        let words = spec.local_indexes.iter().find(|each| each.name == index.name);
        return projection(block, words.and_then(|words| words.projection.as_ref())).build();
    }
    let words = spec.global_indexes.iter().find(|each| each.name == index.name);
    block = projection(block, words.and_then(|words| words.projection.as_ref()));
    if let Some(table) = units {
        block = capacity(block, words.and_then(|words| words.throughput).unwrap_or(table));
    }
    if let Some(units) = words.and_then(|words| words.warm_throughput) {
        block = block.add_block(warm(units));
    }
    block.build()
}

fn projection(block: BlockBuilder, words: Option<&WordOr<ProjectionWord, IncludeSpec>>) -> BlockBuilder {
    match words {
        None | Some(WordOr::Word(ProjectionWord::All)) => block.add_attribute(("projection_type", "ALL")),
        Some(WordOr::Word(ProjectionWord::KeysOnly)) => block.add_attribute(("projection_type", "KEYS_ONLY")),
        Some(WordOr::Map(IncludeSpec { include })) => block
            .add_attribute(("projection_type", "INCLUDE"))
            .add_attribute(("non_key_attributes", texts(include))),
    }
}

fn capacity(block: BlockBuilder, units: ThroughputSpec) -> BlockBuilder {
    block
        .add_attribute(("read_capacity", units.read))
        .add_attribute(("write_capacity", units.write))
}

fn warm(units: ThroughputSpec) -> Block {
    Block::builder("warm_throughput")
        .add_attribute(("read_units_per_second", units.read))
        .add_attribute(("write_units_per_second", units.write))
        .build()
}

/// A table without this block has a key that DynamoDB owns.
fn encryption(spec: &TableSpec) -> Option<Block> {
    let block = Block::builder("server_side_encryption").add_attribute(("enabled", true));
    match &spec.encryption {
        None | Some(WordOr::Word(EncryptionWord::Owned)) => None,
        Some(WordOr::Word(EncryptionWord::AwsManaged)) => Some(block.build()),
        Some(WordOr::Map(key)) => Some(block.add_attribute(("kms_key_arn", key.kms_key.as_str())).build()),
    }
}

fn texts(values: &[String]) -> Expression {
    values
        .iter()
        .cloned()
        .map(Expression::String)
        .collect::<Vec<_>>()
        .into()
}

//! The tables of a rehearsal: the source, as the monolith would have it, and the end of all of them.

use crate::dynamo::Failure;
use crate::model::{AttributeKind, KeySchema};
use crate::worker::Split;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use std::time::Duration;

/// Creates the source as the monolith would have it: its key, and no stream yet.
pub(super) async fn create_source(
    control: &aws_sdk_dynamodb::Client,
    table: &str,
    keys: &KeySchema,
) -> Result<(), Failure> {
    let unusable = |error: aws_sdk_dynamodb::error::BuildError| Failure {
        kind: crate::dynamo::FailureKind::Invalid,
        action: "dynamodb:CreateTable".into(),
        resource: table.to_owned(),
        code: "RequestNotBuilt".into(),
        message: error.to_string(),
    };
    let mut request = control
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest);
    for (attribute, kind) in keys.attributes().zip([KeyType::Hash, KeyType::Range]) {
        let of = match attribute.kind {
            AttributeKind::S => ScalarAttributeType::S,
            AttributeKind::N => ScalarAttributeType::N,
            AttributeKind::B => ScalarAttributeType::B,
        };
        let definition = AttributeDefinition::builder()
            .attribute_name(&attribute.name)
            .attribute_type(of)
            .build();
        let element = KeySchemaElement::builder()
            .attribute_name(&attribute.name)
            .key_type(kind)
            .build();
        request = request
            .attribute_definitions(definition.map_err(unusable)?)
            .key_schema(element.map_err(unusable)?);
    }
    request
        .send()
        .await
        .map_err(|error| Failure::of("dynamodb:CreateTable", table, &error))?;
    until_active(control, table).await
}

/// Waits until a table can be used.
pub(super) async fn until_active(control: &aws_sdk_dynamodb::Client, table: &str) -> Result<(), Failure> {
    loop {
        let described = control
            .describe_table()
            .table_name(table)
            .send()
            .await
            .map_err(|error| Failure::of("dynamodb:DescribeTable", table, &error))?;
        if described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Removes the tables that the rehearsal created on an engine that is not its own. Their names have a prefix of the
/// rehearsal.
pub(super) async fn drop_tables(split: &Split) {
    let mut tables = vec![
        (split.source.control.clone(), split.plan.source.table.clone()),
        (split.source.control.clone(), split.plan.state_table.clone()),
    ];
    tables.extend(
        split
            .services()
            .map(|(service, clients)| (clients.control.clone(), service.table.name.clone())),
    );
    for (client, table) in tables {
        let unprotected = client
            .update_table()
            .table_name(&table)
            .deletion_protection_enabled(false)
            .send()
            .await;
        if let Err(error) = unprotected {
            tracing::debug!(table, error = %Failure::of("dynamodb:UpdateTable", &table, &error), "not unprotected");
        }
        if let Err(error) = client.delete_table().table_name(&table).send().await {
            let failure = Failure::of("dynamodb:DeleteTable", &table, &error);
            if failure.kind != crate::dynamo::FailureKind::Missing {
                tracing::warn!(%failure, "could not remove a table of the rehearsal");
            }
        }
    }
}

//! Creates the state table and waits until it is usable.

use super::error::StateError;
use super::store::Store;
use crate::dynamo::{Failure, FailureKind, retry_transient};
use crate::fault;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
};
use std::time::Duration;
use tokio::time::Instant;

/// AWS may answer "not found" for a moment after it took the order to create a table.
const APPEARS: Duration = Duration::from_secs(60);
/// A new table takes seconds.
const READY: Duration = Duration::from_secs(600);
/// Wait between two checks of a table that is being created.
const POLL: Duration = Duration::from_millis(300);

impl Store {
    /// Creates the table if it is missing, and waits until it can be used, also if another process or a dead one
    /// ordered it. Returns whether it was missing.
    ///
    /// # Errors
    /// If the table can't be created or described, or stays unusable.
    pub async fn ensure_table(&self, control: &Client) -> Result<bool, StateError> {
        let missing = !self.exists(control).await?;
        if missing {
            self.create_table(control).await?;
        }
        self.until_usable(control).await?;
        Ok(missing)
    }

    /// Whether the table exists (it may still be coming up).
    ///
    /// # Errors
    /// When it can't be described.
    pub async fn exists(&self, control: &Client) -> Result<bool, StateError> {
        match self.status(control).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.kind == FailureKind::Missing => Ok(false),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn create_table(&self, control: &Client) -> Result<(), StateError> {
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
                .map_err(|error| self.broken("(table)", error))
        };
        let key = |name: &str, kind| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
                .map_err(|error| self.broken("(table)", error))
        };
        fault::moment("apply.state-table.before").await;
        let definitions = vec![attribute("pk")?, attribute("sk")?];
        let keys = vec![key("pk", KeyType::Hash)?, key("sk", KeyType::Range)?];
        let created = retry_transient(|| async {
            let request = control
                .create_table()
                .table_name(self.table())
                .billing_mode(BillingMode::PayPerRequest)
                .set_attribute_definitions(Some(definitions.clone()))
                .set_key_schema(Some(keys.clone()));
            let sent = Box::pin(request.send()).await;
            sent.map_err(|error| Failure::of("dynamodb:CreateTable", self.table(), &error))
        })
        .await;
        fault::moment("apply.state-table.after").await;
        match created {
            Err(failure) if failure.kind != FailureKind::InUse => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// Deletes the table, with the whole state of the split. A missing table counts as deleted.
    ///
    /// # Errors
    /// If the request is refused or fails.
    pub async fn delete_table(&self, control: &Client) -> Result<(), StateError> {
        fault::moment("abandon.state-table.before").await;
        let deleted = control.delete_table().table_name(self.table()).send().await;
        fault::moment("abandon.state-table.after").await;
        match deleted.map_err(|error| Failure::of("dynamodb:DeleteTable", self.table(), &error)) {
            Err(failure) if failure.kind != FailureKind::Missing => Err(failure.into()),
            _ => Ok(()),
        }
    }

    async fn until_usable(&self, control: &Client) -> Result<(), StateError> {
        let began = Instant::now();
        loop {
            match self.status(control).await {
                Ok(Some(TableStatus::Active | TableStatus::Updating)) => return Ok(()),
                Ok(Some(TableStatus::Creating)) if began.elapsed() < READY => {}
                Ok(status) => {
                    return Err(StateError::Unusable {
                        table: self.table().to_owned(),
                        status: status.map_or_else(|| "UNKNOWN".into(), |status| status.as_str().to_owned()),
                    });
                }
                Err(failure) if failure.kind == FailureKind::Missing && began.elapsed() < APPEARS => {}
                Err(failure) => return Err(failure.into()),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn status(&self, control: &Client) -> Result<Option<TableStatus>, Failure> {
        let described = retry_transient(|| async {
            let sent = control.describe_table().table_name(self.table()).send().await;
            sent.map_err(|error| Failure::of("dynamodb:DescribeTable", self.table(), &error))
        });
        Ok(described.await?.table.and_then(|table| table.table_status))
    }
}

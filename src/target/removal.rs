//! Tables of a split that is given up.

use super::TargetError;
use super::state::describe;
use crate::dynamo::{Failure, FailureKind};
use crate::fault;
use aws_sdk_dynamodb::Client;

/// The ARN of a table; `None` if it does not exist.
///
/// # Errors
/// When the request is refused or fails.
pub async fn table_arn(client: &Client, table: &str) -> Result<Option<String>, TargetError> {
    Ok(describe(client, table).await?.map(|state| state.arn))
}

/// Deletes a service's table, whatever it holds. Answers whether it was there. DynamoDB refuses if the table is protected
/// against deletion.
///
/// # Errors
/// When the request is refused or fails.
pub async fn delete_table(client: &Client, table: &str) -> Result<bool, TargetError> {
    let operation = "dynamodb:DeleteTable";
    fault::moment("abandon.target-table.before").await;
    let deleted = client.delete_table().table_name(table).send().await;
    fault::moment("abandon.target-table.after").await;
    match deleted.map_err(|error| Failure::of(operation, table, &error)) {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind == FailureKind::Missing => Ok(false),
        Err(other) => Err(TargetError::of(other, table)),
    }
}

//! Tables of a split that is given up, and partial tables of imports that failed.

use super::TargetError;
use super::state::describe;
use crate::dynamo::{Failure, FailureKind, Poll};
use crate::fault;
use aws_sdk_dynamodb::Client;
use std::time::Duration;
use tokio::time::Instant;

/// How long DynamoDB may take to delete a table.
const GONE_LIMIT: Duration = Duration::from_secs(600);
/// A table may be deleted by its name only for so long after it was seen under its id. Afterwards, it may be another one.
const SEEN_FOR: Duration = Duration::from_secs(10);
/// Longest time from the look at a partial table to the end of a request that deletes it: whoever takes a deletion over waits for it.
pub const DELETION_LANDS: Duration = Duration::from_secs(30);

/// What became of a partial table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Removal {
    /// There is no table of this name any more.
    Gone {
        /// Every request to delete it was answered. Otherwise, one may still land.
        is_settled: bool,
    },
    /// The table of this name has another id, so somebody else made it. It is untouched.
    Other {
        /// Its id.
        id: String,
    },
}

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

/// Deletes the table that an import made, and waits until it is gone. A table of another id is left alone. DynamoDB deletes by name, so
/// a request is sent only if the table was seen under its id just before, and it is not repeated.
///
/// # Errors
/// If the request is refused or fails. The same call continues.
pub async fn delete_imported(client: &Client, table: &str, id: &str) -> Result<Removal, TargetError> {
    let operation = "dynamodb:DeleteTable";
    let mut poll = Poll::new(GONE_LIMIT);
    let mut is_settled = true;
    loop {
        let seen = Instant::now();
        let status = match describe(client, table).await? {
            None => return Ok(Removal::Gone { is_settled }),
            Some(state) if state.id.as_deref() != Some(id) => {
                let id = state.id.unwrap_or_else(|| "unknown".into());
                return Ok(Removal::Other { id });
            }
            Some(state) => state.status,
        };
        if status != "DELETING" && seen.elapsed() < SEEN_FOR {
            fault::moment("import.partial-table.before").await;
            let deleted = client.delete_table().table_name(table).send().await;
            fault::moment("import.partial-table.after").await;
            match deleted.map_err(|error| Failure::of(operation, table, &error)) {
                Ok(_) => {}
                // It is looked at again.
                Err(failure) if failure.passes() => is_settled = false,
                Err(failure) if matches!(failure.kind, FailureKind::Missing | FailureKind::InUse) => {}
                Err(other) => return Err(TargetError::of(other, table)),
            }
        }
        if !poll.pause().await {
            return Err(TargetError::TimedOut {
                table: table.to_owned(),
                status,
                waited_s: poll.waited().as_secs(),
            });
        }
    }
}

/// The id of a table; `None` if there is no table of this name. The inner `None` is an engine without ids.
///
/// # Errors
/// When the request is refused or fails.
pub async fn table_id(client: &Client, table: &str) -> Result<Option<Option<String>>, TargetError> {
    Ok(describe(client, table).await?.map(|state| state.id))
}

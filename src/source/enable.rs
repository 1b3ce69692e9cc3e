//! The source's stream: read, and switched on if it is off.
//!
//! Invariants: a stream that is on is never changed, whatever its view, because others may read it. It is enabled
//! with both images, because a record is routed by both.

use super::facts::{describe, status};
use super::{SourceError, StreamState};
use crate::dynamo::{Failure, FailureKind, Poll, call_table};
use crate::fault;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use std::time::Duration;

/// Enabling takes seconds on AWS; if the table is being changed otherwise, it may take minutes first.
const STREAM_LIMIT: Duration = Duration::from_secs(600);

/// The stream that a split reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnsuredStream {
    /// Stream ARN.
    pub arn: String,
    /// Whether this call switched it on.
    pub enabled_now: bool,
}

/// The state of a table's stream. Writes nothing.
///
/// # Errors
/// If the table is missing, or may not be described.
pub async fn stream_state(dynamodb: &Client, table: &str) -> Result<StreamState, SourceError> {
    Ok(StreamState::of(&describe(dynamodb, table).await?))
}

/// Switches the stream on with `NEW_AND_OLD_IMAGES` if it is off, and waits until it exists.
///
/// Idempotent, also if several processes do it at once: a later one finds it on. See
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>.
///
/// # Errors
/// [`SourceError::WrongView`] if it is on with another view, which is never changed.
pub async fn ensure_stream(dynamodb: &Client, table: &str) -> Result<EnsuredStream, SourceError> {
    let mut poll = Poll::new(STREAM_LIMIT);
    let mut enabled_now = false;
    // While a stream comes up, the ARN of a former one may still be shown.
    let mut former_arn = None;
    loop {
        let description = describe(dynamodb, table).await?;
        let status = status(&description);
        match (StreamState::of(&description), status.as_str()) {
            (StreamState::WrongView { arn, view }, _) => {
                return Err(SourceError::WrongView {
                    table: table.to_owned(),
                    arn,
                    view,
                });
            }
            (StreamState::On { arn, .. }, "ACTIVE") if Some(&arn) != former_arn.as_ref() => {
                return Ok(EnsuredStream { arn, enabled_now });
            }
            (StreamState::Off, "ACTIVE") if !enabled_now => {
                former_arn = description.latest_stream_arn().map(str::to_owned);
                enabled_now = enable(dynamodb, table).await?;
            }
            (_, "ACTIVE" | "CREATING" | "UPDATING") => {}
            _ => {
                return Err(SourceError::Unusable {
                    table: table.to_owned(),
                    status,
                });
            }
        }
        if !poll.pause().await {
            let waited_s = poll.waited().as_secs();
            return Err(SourceError::TimedOut {
                table: table.to_owned(),
                status,
                waited_s,
            });
        }
    }
}

/// Switches the stream off. Its records can be read for 24 hours more.
///
/// # Errors
/// If the request is refused or fails.
pub async fn disable_stream(dynamodb: &Client, table: &str) -> Result<(), SourceError> {
    let operation = "dynamodb:UpdateTable";
    let specification = StreamSpecification::builder().stream_enabled(false).build();
    let specification = specification.map_err(|error| Failure::unusable(operation, table, error))?;
    fault::moment("abandon.stream.before").await;
    let answer = dynamodb
        .update_table()
        .table_name(table)
        .stream_specification(specification)
        .send()
        .await;
    fault::moment("abandon.stream.after").await;
    match answer.map_err(|error| Failure::of(operation, table, &error)) {
        Ok(_) => Ok(()),
        // "Table is already without a stream": look again, and believe the table.
        Err(other) => match stream_state(dynamodb, table).await? {
            StreamState::Off => Ok(()),
            _ => Err(SourceError::of(other, table)),
        },
    }
}

/// Whether this call enabled it: not if another process was faster.
async fn enable(dynamodb: &Client, table: &str) -> Result<bool, SourceError> {
    let operation = "dynamodb:UpdateTable";
    let specification = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .map_err(|error| Failure::unusable(operation, table, error))?;
    fault::moment("apply.stream.before").await;
    let updated = call_table(operation, table, || {
        let request = dynamodb.update_table().table_name(table);
        request.stream_specification(specification.clone()).send()
    })
    .await;
    fault::moment("apply.stream.after").await;
    match updated {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind == FailureKind::InUse || failure.is_limit_of_changes() => Ok(false),
        // "Table already has an enabled stream": look again, and believe the table.
        Err(other) => match stream_state(dynamodb, table).await? {
            StreamState::Off => Err(SourceError::of(other, table)),
            _ => Ok(false),
        },
    }
}

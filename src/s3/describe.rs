//! What DynamoDB says about an export.

use super::error::ExportError;
use super::manifest::ExportWindow;
use super::place::Folder;
use crate::dynamo::{Failure, call_table};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::DateTime;
use aws_sdk_dynamodb::types::{ExportDescription, ExportFormat, ExportStatus as SdkStatus, ExportType};

/// How far an export is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExportStatus {
    /// DynamoDB works on it.
    InProgress,
    /// It is complete.
    Completed,
    /// It failed, for this reason.
    Failed(String),
}

/// What DynamoDB says about an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedExport {
    /// Its ARN.
    pub arn: String,
    /// How far it is.
    pub status: ExportStatus,
    /// The folder of its manifest.
    pub folder: Folder,
    /// The account that owns the bucket, if it was named.
    pub owner: Option<String>,
    /// Its export time, in milliseconds since 1970.
    pub export_time_ms: Option<u64>,
    /// The window of an incremental export, as far as DynamoDB says it.
    pub window: Option<ExportWindow>,
    /// What DynamoDB bills for, in bytes; 0 before it is complete.
    pub billed_bytes: u64,
}

const DESCRIBE: &str = "dynamodb:DescribeExport";

/// Asks DynamoDB about an export. Needs `dynamodb:DescribeExport`.
///
/// # Errors
/// If there is no such export, it may not be described, or it is not a full export in DynamoDB JSON without a filter.
pub async fn describe_export(dynamodb: &Client, arn: &str) -> Result<DescribedExport, ExportError> {
    let description = describe(dynamodb, arn).await?;
    if let Some(kind) = other_kind(&description, &ExportType::FullExport) {
        return Err(ExportError::NotFull {
            export: arn.to_owned(),
            kind,
        });
    }
    read(&description, arn)
}

/// Asks DynamoDB about an incremental export. Needs `dynamodb:DescribeExport`.
///
/// # Errors
/// If there is no such export, it may not be described, or it is not an incremental export in DynamoDB JSON without a filter.
pub async fn describe_changes(dynamodb: &Client, arn: &str) -> Result<DescribedExport, ExportError> {
    let description = describe(dynamodb, arn).await?;
    if let Some(kind) = other_kind(&description, &ExportType::IncrementalExport) {
        return Err(ExportError::NotIncremental {
            export: arn.to_owned(),
            kind,
        });
    }
    read(&description, arn)
}

/// Its kind, if it is another one. An engine that does not say it is not refused: its manifest says it.
fn other_kind(description: &ExportDescription, wanted: &ExportType) -> Option<String> {
    let kind = description.export_type().filter(|kind| *kind != wanted)?;
    Some(kind.to_string())
}

async fn describe(dynamodb: &Client, arn: &str) -> Result<ExportDescription, ExportError> {
    let answer = call_table(DESCRIBE, arn, || {
        dynamodb.describe_export().export_arn(arn).send()
    })
    .await;
    let answer = answer.map_err(ExportError::of)?;
    let description = answer.export_description;
    description
        .ok_or_else(|| ExportError::of(Failure::unusable(DESCRIBE, arn, "the answer has no description")))
}

fn read(description: &ExportDescription, arn: &str) -> Result<DescribedExport, ExportError> {
    if let Some(format) = description
        .export_format()
        .filter(|format| **format != ExportFormat::DynamodbJson)
    {
        return Err(ExportError::Format {
            export: arn.to_owned(),
            format: format.to_string(),
        });
    }
    if description.filter_specification().is_some() {
        return Err(ExportError::Filtered {
            export: arn.to_owned(),
        });
    }
    let id = arn.rsplit('/').next().unwrap_or_default();
    let prefix = match description.s3_prefix().unwrap_or_default().trim_matches('/') {
        "" => format!("AWSDynamoDB/{id}/"),
        prefix => format!("{prefix}/AWSDynamoDB/{id}/"),
    };
    // The key of the manifest, where DynamoDB names it, is the better authority.
    let named = description.export_manifest().and_then(|key| key.rsplit_once('/'));
    let prefix = named.map_or(prefix, |(folder, _)| format!("{folder}/"));
    Ok(DescribedExport {
        arn: arn.to_owned(),
        status: match description.export_status() {
            Some(SdkStatus::Completed) => ExportStatus::Completed,
            Some(SdkStatus::Failed) => ExportStatus::Failed(format!(
                "{}: {}",
                description.failure_code().unwrap_or("no code"),
                description.failure_message().unwrap_or("no message")
            )),
            _ => ExportStatus::InProgress,
        },
        folder: Folder {
            bucket: description.s3_bucket().unwrap_or_default().to_owned(),
            prefix,
        },
        owner: description.s3_bucket_owner().map(str::to_owned),
        export_time_ms: description.export_time().and_then(ms),
        window: description.incremental_export_specification().and_then(|window| {
            Some(ExportWindow {
                from_ms: ms(window.export_from_time()?)?,
                to_ms: ms(window.export_to_time()?)?,
            })
        }),
        billed_bytes: description
            .billed_size_bytes()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or(0),
    })
}

fn ms(time: &DateTime) -> Option<u64> {
    u64::try_from(time.to_millis().ok()?).ok()
}

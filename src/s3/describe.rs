//! What DynamoDB says about an export.

use super::error::ExportError;
use super::place::Folder;
use crate::dynamo::{Failure, call_table};
use aws_sdk_dynamodb::Client;
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
}

const DESCRIBE: &str = "dynamodb:DescribeExport";

/// Asks DynamoDB about an export. Needs `dynamodb:DescribeExport`.
///
/// # Errors
/// If there is no such export, it may not be described, or it is not a full export in DynamoDB JSON without a filter.
pub async fn describe_export(dynamodb: &Client, arn: &str) -> Result<DescribedExport, ExportError> {
    let answer = call_table(DESCRIBE, arn, || {
        dynamodb.describe_export().export_arn(arn).send()
    })
    .await;
    let answer = answer.map_err(ExportError::of)?;
    let description = answer.export_description();
    let description = description
        .ok_or_else(|| ExportError::of(Failure::unusable(DESCRIBE, arn, "the answer has no description")))?;
    read(description, arn)
}

fn read(description: &ExportDescription, arn: &str) -> Result<DescribedExport, ExportError> {
    if let Some(kind) = description
        .export_type()
        .filter(|kind| **kind != ExportType::FullExport)
    {
        return Err(ExportError::NotFull {
            export: arn.to_owned(),
            kind: kind.to_string(),
        });
    }
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
        export_time_ms: description
            .export_time()
            .and_then(|time| u64::try_from(time.to_millis().ok()?).ok()),
    })
}

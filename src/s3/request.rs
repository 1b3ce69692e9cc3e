//! Requests an export.

use super::error::ExportError;
use super::manifest::ExportWindow;
use super::place::Folder;
use crate::dynamo::{Failure, call_table};
use crate::fault;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::DateTime;
use aws_sdk_dynamodb::types::{ExportFormat, ExportType, ExportViewType, IncrementalExportSpecification};

const EXPORT: &str = "dynamodb:ExportTableToPointInTime";

/// A request for an export of the present state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportRequest {
    /// The ARN of the table.
    pub table_arn: String,
    /// Where DynamoDB writes the export.
    pub to: Folder,
    /// The account that owns the bucket, if it is not that of the table.
    pub owner: Option<String>,
    /// For eight hours, a second request with the same token asks for the same export.
    pub token: String,
}

/// Requests a full export in DynamoDB JSON, and returns its ARN. Needs `dynamodb:ExportTableToPointInTime`, and `s3:PutObject`,
/// `s3:PutObjectAcl` and `s3:AbortMultipartUpload` on the bucket.
///
/// # Errors
/// If DynamoDB refuses, for example because point-in-time recovery is off.
pub async fn request_export(dynamodb: &Client, request: &ExportRequest) -> Result<String, ExportError> {
    send(dynamodb, request, None).await
}

/// Requests an incremental export in DynamoDB JSON, and returns its ARN. Needs the same permissions. Only the keys of such an export are
/// read, so it is requested without the old images.
///
/// # Errors
/// If DynamoDB refuses, for example because the window is not within the restorable period of the table.
pub async fn request_changes(
    dynamodb: &Client,
    request: &ExportRequest,
    window: ExportWindow,
) -> Result<String, ExportError> {
    send(dynamodb, request, Some(window)).await
}

/// Whole seconds, in which DynamoDB counts the times of a window.
fn moment(ms: u64) -> DateTime {
    DateTime::from_secs(i64::try_from(ms / 1000).unwrap_or(i64::MAX))
}

async fn send(
    dynamodb: &Client,
    request: &ExportRequest,
    window: Option<ExportWindow>,
) -> Result<String, ExportError> {
    let specification = window.map(|window| {
        IncrementalExportSpecification::builder()
            .export_from_time(moment(window.from_ms))
            .export_to_time(moment(window.to_ms))
            .export_view_type(ExportViewType::NewImage)
            .build()
    });
    fault::before("export.request").await?;
    let prefix = request.to.prefix.trim_end_matches('/');
    let answer = call_table(EXPORT, &request.table_arn, || {
        dynamodb
            .export_table_to_point_in_time()
            .table_arn(&request.table_arn)
            .s3_bucket(&request.to.bucket)
            .set_s3_bucket_owner(request.owner.clone())
            .set_s3_prefix((!prefix.is_empty()).then(|| prefix.to_owned()))
            .export_format(ExportFormat::DynamodbJson)
            .set_export_type(specification.as_ref().map(|_| ExportType::IncrementalExport))
            .set_incremental_export_specification(specification.clone())
            .client_token(&request.token)
            .send()
    });
    let answer = answer.await.map_err(ExportError::of)?;
    fault::after("export.request").await?;
    let arn = answer
        .export_description()
        .and_then(|description| description.export_arn());
    let no_arn = || Failure::unusable(EXPORT, &request.table_arn, "the answer has no ARN");
    arn.map(str::to_owned).ok_or_else(|| ExportError::of(no_arn()))
}

//! Point-in-time recovery of a table.

use super::table_call::call_table;
use super::{Failure, FailureKind};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;

/// Whether point-in-time recovery is on; `None` if the engine does not have the operation. Needs
/// `dynamodb:DescribeContinuousBackups`.
///
/// # Errors
/// If the request fails.
pub async fn point_in_time_recovery(client: &Client, table: &str) -> Result<Option<bool>, Failure> {
    let described = call_table("dynamodb:DescribeContinuousBackups", table, || {
        client.describe_continuous_backups().table_name(table).send()
    });
    match described.await {
        Ok(output) => {
            let status = output
                .continuous_backups_description()
                .and_then(|backups| backups.point_in_time_recovery_description())
                .and_then(|recovery| recovery.point_in_time_recovery_status());
            Ok(Some(status == Some(&PointInTimeRecoveryStatus::Enabled)))
        }
        Err(failure) if failure.kind == FailureKind::Unsupported => Ok(None),
        Err(failure) => Err(failure),
    }
}

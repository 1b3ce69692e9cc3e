//! Point-in-time recovery of a table.

use super::table_call::call_table;
use super::{Failure, FailureKind};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::DateTime;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryDescription, PointInTimeRecoveryStatus};

/// Whether point-in-time recovery is on; `None` if the engine does not have the operation. Needs
/// `dynamodb:DescribeContinuousBackups`.
///
/// # Errors
/// If the request fails.
pub async fn point_in_time_recovery(client: &Client, table: &str) -> Result<Option<bool>, Failure> {
    Ok(describe(client, table).await?.map(|found| is_on(found.as_ref())))
}

/// The time that a table can be restored to, and that exports can be about, in milliseconds since 1970. An engine may leave a limit out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestorablePeriod {
    /// Its beginning.
    pub earliest_ms: Option<u64>,
    /// Its end: some minutes ago.
    pub latest_ms: Option<u64>,
}

/// The restorable period of a table; `None` if point-in-time recovery is off. An engine without the operation limits nothing. Needs
/// `dynamodb:DescribeContinuousBackups`.
///
/// # Errors
/// If the request fails.
pub async fn restorable_period(client: &Client, table: &str) -> Result<Option<RestorablePeriod>, Failure> {
    let ms = |time: Option<&DateTime>| time.and_then(|time| u64::try_from(time.to_millis().ok()?).ok());
    Ok(match describe(client, table).await? {
        None => Some(RestorablePeriod {
            earliest_ms: None,
            latest_ms: None,
        }),
        Some(found) => found
            .filter(|found| is_on(Some(found)))
            .map(|found| RestorablePeriod {
                earliest_ms: ms(found.earliest_restorable_date_time()),
                latest_ms: ms(found.latest_restorable_date_time()),
            }),
    })
}

fn is_on(found: Option<&PointInTimeRecoveryDescription>) -> bool {
    let status = found.and_then(|recovery| recovery.point_in_time_recovery_status());
    status == Some(&PointInTimeRecoveryStatus::Enabled)
}

/// `None`: the engine does not have the operation.
async fn describe(
    client: &Client,
    table: &str,
) -> Result<Option<Option<PointInTimeRecoveryDescription>>, Failure> {
    let described = call_table("dynamodb:DescribeContinuousBackups", table, || {
        client.describe_continuous_backups().table_name(table).send()
    });
    match described.await {
        Ok(output) => {
            let backups = output.continuous_backups_description;
            Ok(Some(
                backups.and_then(|backups| backups.point_in_time_recovery_description),
            ))
        }
        Err(failure) if failure.kind == FailureKind::Unsupported => Ok(None),
        Err(failure) => Err(failure),
    }
}

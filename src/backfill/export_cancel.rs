//! A backfill that waits for an export waits no longer: it scans the source instead.
//!
//! Tombstones are on already, and stay on. The scan switches them on once more, as each backfill does, and reads nothing before every
//! worker has acknowledged that. So a scan may follow at any time before the first file of an export is copied.

use crate::state::BackfillRecord;
use crate::worker::{RunError, Split, check_split};
use serde::Serialize;

/// What was cancelled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CancelledExport {
    /// The export that DynamoDB makes all the same, if it was requested.
    pub export: Option<String>,
}

/// Lets the backfill of a split scan the source instead of waiting for an export. Run again, it does nothing.
///
/// # Errors
/// If no backfill waits for an export, or its copy has begun.
pub async fn cancel_export(split: &Split) -> Result<CancelledExport, RunError> {
    Box::pin(check_split(split)).await?;
    let mut cancelled = CancelledExport { export: None };
    split
        .store
        .change::<BackfillRecord, RunError>(BackfillRecord::NAME, |found| {
            let mut record = found.ok_or_else(not_waiting)?;
            if record.is_unread() && record.export.is_none() {
                return Ok(record);
            }
            match record.export.take() {
                Some(copy) if record.finished_ms.is_none() && copy.export.is_none() => {
                    cancelled.export = copy.request.and_then(|request| request.arn);
                    record.order_reason = "concurrent, because tombstones are on".into();
                    Ok(record)
                }
                Some(copy) if record.finished_ms.is_none() => {
                    record.export = Some(copy);
                    Err(RunError::NotYet {
                        what: "the copy of the export has begun".into(),
                        next: format!("run `{}`, which continues it", record.command()),
                    })
                }
                _ => Err(not_waiting()),
            }
        })
        .await?;
    Ok(cancelled)
}

fn not_waiting() -> RunError {
    RunError::NotYet {
        what: "no backfill waits for an export, so nothing was done".into(),
        next: "run `dynasplit status`, which names the next command".into(),
    }
}

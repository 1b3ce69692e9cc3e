use super::error::RunError;
use super::split::Split;
use crate::fault;
use crate::source::{SourceError, StreamState, stream_state};
use crate::state::{ServiceRecord, SplitRecord, StreamRecord};

/// The stream that the split reads, with its generation. Refuses when the table's stream is another one.
pub(super) async fn current_stream(split: &Split) -> Result<(u32, StreamRecord), RunError> {
    let record = SplitRecord::read(&split.store).await?.value;
    let table = split.plan.source.table.clone();
    let Some((generation, known)) = record.stream() else {
        return Err(RunError::StreamOff { table });
    };
    match stream_state(&split.source.control, &table).await? {
        // A stream that was switched off can be read for 24 hours: that is how a fenced source is drained.
        StreamState::On { arn, .. } if arn != known.arn => Err(RunError::StreamReplaced {
            table,
            was: known.arn.clone(),
            is: arn,
        }),
        _ => Ok((generation, known.clone())),
    }
}

/// The ARN of another stream than the split's that the source has now. Nothing of it is read, however well everything
/// else looks.
pub(super) async fn other_stream(split: &Split, record: &SplitRecord) -> Result<Option<String>, SourceError> {
    let Some((_, known)) = record.stream() else {
        return Ok(None);
    };
    match stream_state(&split.source.control, &split.plan.source.table).await {
        Ok(StreamState::On { arn, .. } | StreamState::WrongView { arn, .. }) => {
            Ok(Some(arn).filter(|arn| *arn != known.arn))
        }
        // A table that is gone is written by nobody.
        Ok(_) | Err(SourceError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins a new generation at the stream as it is now. What was lost in between is found by the repairing verify
/// that is mandatory from now on.
pub(super) async fn restart_tail(split: &Split) -> Result<(), RunError> {
    let table = split.plan.source.table.clone();
    let arn = match stream_state(&split.source.control, &table).await? {
        StreamState::On { arn, .. } => arn,
        _ => return Err(RunError::StreamOff { table }),
    };
    for service in &split.plan.services {
        split
            .store
            .change::<ServiceRecord, RunError>(&ServiceRecord::record_name(&service.name), |found| {
                let mut record = found.ok_or_else(|| RunError::UnknownService {
                    service: service.name.clone(),
                })?;
                record.captured_ms = None;
                Ok(record)
            })
            .await?;
    }
    fault::moment("restart.services-reset").await;
    SplitRecord::change(&split.store, |record| {
        record.streams.push(StreamRecord {
            arn: arn.clone(),
            captured_ms: None,
        });
        record.repair_required = Some("the tail was restarted".into());
    })
    .await?;
    tracing::info!(
        arn,
        "the tail begins anew; `dynasplit verify --repair` is mandatory"
    );
    Ok(())
}

//! Requests an export that a backfill may copy: tombstones first, then the export.

use super::round::filled;
use crate::dynamo::chance;
use crate::fault;
use crate::import::TOKEN_MS;
use crate::repair::{Holder, switch_on};
use crate::s3::{
    DescribedExport, ExportError, ExportRequest, ExportStatus, Folder, describe_export, request_export,
};
use crate::source::present;
use crate::state::{
    BackfillRecord, ExportCopy, Order, RequestedExport, STATE_FORMAT_EXPORT, SplitRecord, StateError,
    UNDEFINED_MS,
};
use crate::worker::{Looks, RunError, Split, check_split, pause, uncaptured, unless_stopped};
use serde::Serialize;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks at AWS's clock.
const CLOCK_POLL: Duration = Duration::from_secs(2);

/// An export that can be copied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StartedExport {
    /// Its ARN.
    pub export: String,
    /// The folder of its manifest.
    pub folder: String,
    /// Its export time, in milliseconds since 1970, if the engine says it.
    pub export_time_ms: Option<u64>,
}

/// Requests an export for a backfill, and waits for it.
pub struct ExportStart {
    split: Split,
    /// Where the export goes; `None`: where an interrupted command sent it.
    to: Option<Folder>,
    stop: CancellationToken,
}

impl ExportStart {
    /// For a split.
    #[must_use]
    pub fn new(split: Split, to: Option<Folder>, stop: CancellationToken) -> Self {
        Self { split, to, stop }
    }

    /// Switches tombstones on, waits until every worker has acknowledged it, requests an export that is later than that, and waits until
    /// DynamoDB has made it. Run again after an interruption, it continues.
    ///
    /// # Errors
    /// If a backfill has begun in another way, DynamoDB refuses the export, or the command is stopped.
    pub async fn run(mut self) -> Result<StartedExport, RunError> {
        let record = unless_stopped(&self.stop, Box::pin(check_split(&self.split))).await?;
        self.split = self.split.without_switched(&record);
        let record = unless_stopped(&self.stop, Box::pin(self.open())).await?;
        let record = self.acknowledged(record).await?;
        let (token, arn) = self.requested(record).await?;
        let described = self.complete(&token, &arn).await?;
        Ok(StartedExport {
            export: described.arn,
            folder: described.folder.to_string(),
            export_time_ms: described.export_time_ms,
        })
    }

    /// Opens the record of the backfill, or finds the one of an earlier run.
    async fn open(&self) -> Result<BackfillRecord, RunError> {
        if let Some(service) = uncaptured(&self.split).await?.first() {
            return Err(RunError::NotYet {
                what: format!("the stream is not captured for '{service}'"),
                next: "start `dynasplit replicate` first, and leave it running".into(),
            });
        }
        let found = self
            .split
            .store
            .get::<BackfillRecord>(BackfillRecord::NAME)
            .await?;
        let revision = found.as_ref().map_or(0, |found| found.revision);
        let lanes = self.split.lanes();
        let (services, round, before_ms) = match found.map(|found| found.value) {
            None => (lanes.clone(), lanes, None),
            // Its export was cancelled, and no process has begun to scan.
            Some(record) if record.is_unread() && record.export.is_none() => {
                (record.services, record.round, record.before_ms)
            }
            Some(record) if record.finished_ms.is_none() => return continued(record),
            Some(record) => {
                let added: Vec<String> = lanes
                    .into_iter()
                    .filter(|lane| !record.services.contains(lane))
                    .collect();
                let switch = SplitRecord::read(&self.split.store).await?.value.switch;
                let are_off = added.iter().all(|service| switch.is_off_for(service));
                if added.is_empty() || !are_off {
                    return Err(RunError::NotYet {
                        what: "every service of the plan is copied, or a command that needs tombstones has not ended".into(),
                        next: "run `dynasplit status`, which names the next command".into(),
                    });
                }
                let before_ms = record.finished_ms;
                ([record.services, added.clone()].concat(), added, before_ms)
            }
        };
        // First, so that no process of an earlier version takes the record for one of a scan.
        SplitRecord::change(&self.split.store, |record| {
            record.format = record.format.max(STATE_FORMAT_EXPORT);
        })
        .await?;
        let record = BackfillRecord {
            segments: 0,
            services,
            round,
            started_ms: self.split.now_ms(),
            before_ms,
            finished_ms: None,
            estimated_items: 0,
            order: Order::Concurrent,
            order_reason: "concurrent, because it copies an export".into(),
            export: Some(ExportCopy::default()),
            import: None,
        };
        match self.split.store.put(BackfillRecord::NAME, record, revision).await {
            Ok(stored) => Ok(stored.value),
            Err(StateError::Conflict { .. }) => Box::pin(self.open()).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Tombstones are on, and every worker has acknowledged it. The time of that is kept, by AWS's clock.
    async fn acknowledged(&self, record: BackfillRecord) -> Result<BackfillRecord, RunError> {
        let filled = filled(&self.split, &record);
        switch_on(&self.split, &Holder::backfill(&record), &filled, &self.stop).await?;
        // This request is sent after the acknowledgements, and its answer is rounded down to the second.
        let present = present(&self.split.source.control, &self.split.plan.source.table);
        let at_ms = unless_stopped(&self.stop, present).await?.at_ms + 1000;
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        let generation = split_record.stream().map_or(0, |(generation, _)| generation);
        let record = self
            .change(|copy| {
                if copy.acknowledged_ms.is_none() {
                    (copy.acknowledged_ms, copy.generation) = (Some(at_ms), generation);
                }
            })
            .await?;
        fault::moment("export.acknowledged").await;
        Ok(record)
    }

    /// The export is requested: its token and its ARN.
    async fn requested(&self, record: BackfillRecord) -> Result<(String, String), RunError> {
        let copy = record.export.unwrap_or_default();
        let earliest_ms = copy.earliest_ms().unwrap_or(u64::MAX);
        if let Some(RequestedExport {
            token,
            arn: Some(arn),
            ..
        }) = &copy.request
        {
            return Ok((token.clone(), arn.clone()));
        }
        let to = self.folder(copy.request.as_ref())?;
        let present = self.late_enough(earliest_ms).await?;
        let is_same = |known: &RequestedExport| {
            known.to == to.to_string() && present.at_ms.saturating_sub(known.asked_ms) < TOKEN_MS
        };
        let request = match copy.request.filter(is_same) {
            Some(known) => known,
            None => RequestedExport {
                token: format!("dynasplit-{:032x}", chance::any::<u128>()),
                asked_ms: present.at_ms,
                to: to.to_string(),
                arn: None,
            },
        };
        self.change(|copy| copy.request = Some(request.clone())).await?;
        let asked = ExportRequest {
            table_arn: present.arn,
            to,
            owner: None,
            token: request.token.clone(),
        };
        let arn = unless_stopped(&self.stop, request_export(&self.split.source.control, &asked)).await?;
        self.change(|copy| {
            if let Some(known) = copy.request.as_mut().filter(|known| known.token == request.token) {
                known.arn = Some(arn.clone());
            }
        })
        .await?;
        Ok((request.token, arn))
    }

    fn folder(&self, known: Option<&RequestedExport>) -> Result<Folder, RunError> {
        let known = || known.and_then(|known| known.to.parse().ok());
        self.to.clone().or_else(known).ok_or_else(|| RunError::NotYet {
            what: "no bucket is known for the export".into(),
            next: "name it with --to s3://BUCKET/PREFIX".into(),
        })
    }

    /// Waits until it is late enough by AWS's clock for an export of the present state.
    async fn late_enough(&self, from_ms: u64) -> Result<crate::source::Present, RunError> {
        let what = "an export of the present state contains nothing from before the tombstones";
        let _waiting = self
            .split
            .waits
            .until(what, Duration::from_millis(UNDEFINED_MS + 2000));
        loop {
            let present = present(&self.split.source.control, &self.split.plan.source.table);
            let present = unless_stopped(&self.stop, present).await?;
            if present.at_ms > from_ms {
                return Ok(present);
            }
            pause(CLOCK_POLL, &self.stop).await?;
        }
    }

    /// Waits until DynamoDB has made the export.
    async fn complete(&self, token: &str, arn: &str) -> Result<DescribedExport, RunError> {
        let mut looks = Looks::default();
        loop {
            let described =
                unless_stopped(&self.stop, describe_export(&self.split.source.control, arn)).await?;
            match described.status {
                ExportStatus::Completed => return Ok(described),
                ExportStatus::InProgress => {}
                ExportStatus::Failed(reason) => {
                    self.change(|copy| {
                        copy.request = copy.request.take().filter(|known| known.token != token)
                    })
                    .await?;
                    return Err(ExportError::Failed {
                        export: arn.to_owned(),
                        reason,
                    }
                    .into());
                }
            }
            looks.pause(&self.stop).await?;
        }
    }

    /// Changes what the record says about the export.
    async fn change(&self, mut change: impl FnMut(&mut ExportCopy)) -> Result<BackfillRecord, RunError> {
        let changed = self
            .split
            .store
            .change::<BackfillRecord, RunError>(BackfillRecord::NAME, |found| {
                let mut record =
                    found.ok_or_else(|| RunError::Failed("the record of the backfill is gone".into()))?;
                let copy = record.export.as_mut().filter(|copy| copy.export.is_none());
                change(copy.ok_or_else(begun)?);
                Ok(record)
            });
        Ok(changed.await?.value)
    }
}

/// A backfill that is not finished: whether it still waits for its export.
fn continued(record: BackfillRecord) -> Result<BackfillRecord, RunError> {
    match &record.export {
        Some(copy) if copy.export.is_none() => Ok(record),
        _ => Err(RunError::NotYet {
            what: "the backfill has begun to copy".into(),
            next: format!("run `{}`, which continues it", record.command()),
        }),
    }
}

/// Another process began the copy, or cancelled the export, meanwhile.
fn begun() -> RunError {
    RunError::NotYet {
        what: "the backfill does not wait for an export any more, because of another command".into(),
        next: "run `dynasplit status`, which names the next command".into(),
    }
}

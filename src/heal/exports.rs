//! The incremental exports of a heal: requested once, waited for, and checked before anything of them is used.

use super::healing::Healing;
use super::journal::Journal;
use crate::dynamo::{chance, restorable_period};
use crate::import::TOKEN_MS;
use crate::model::moment;
use crate::s3::{
    Bucket, DescribedExport, Export, ExportError, ExportRequest, ExportStatus, ExportWindow, Folder,
    describe_changes, request_changes,
};
use crate::source::present;
use crate::state::{HealWindow, RequestedExport};
use crate::worker::{Looks, RunError, pause, unless_stopped};
use std::time::Duration;

/// Exports that are requested ahead: an account has a limit of 300 at once.
const MOST_AHEAD: usize = 20;
/// Between two looks at the restorable period.
const CLOCK_POLL: Duration = Duration::from_secs(2);
/// DynamoDB exports what is this long ago.
const DELAY: Duration = Duration::from_secs(5 * 60);

const ANOTHER: &str =
    "`dynasplit heal --from-exports --new-exports` requests the exports that are not healed yet once more";

/// The time of a window, for people.
fn told(window: ExportWindow) -> String {
    format!("{} to {}", moment(window.from_ms), moment(window.to_ms))
}

fn time_of(window: &HealWindow) -> ExportWindow {
    ExportWindow {
        from_ms: window.from_ms,
        to_ms: window.to_ms,
    }
}

/// An export that can't be used as it is, with the way out.
pub(super) fn unusable(error: ExportError) -> RunError {
    match error.failure() {
        Some(_) => RunError::Export(error),
        None => RunError::Failed(format!("{error}. {ANOTHER}")),
    }
}

impl Healing<'_> {
    /// The export of a window, with its manifest.
    pub(super) async fn export(&self, journal: &mut Journal, at: usize) -> Result<Export, RunError> {
        self.request_due(journal, at).await?;
        let (window, request) = {
            let window = &journal.record().windows[at];
            (time_of(window), window.request.clone())
        };
        let arn = request.and_then(|request| request.arn);
        let arn = arn.ok_or_else(|| RunError::Failed("the journal names no export".into()))?;
        let described = self.complete(journal, at, &arn).await?;
        if let Some(found) = described.window.filter(|found| *found != window) {
            return Err(unusable(other_window(&arn, found, window)));
        }
        let region = self.options.s3_region.as_deref();
        let folder = described.folder;
        let bucket = Bucket::new(&self.split.source, region, &folder.bucket, described.owner);
        let export = unless_stopped(self.stop, async {
            let loaded = Box::pin(Export::load_changes(bucket, folder)).await;
            loaded.map_err(unusable)
        })
        .await?;
        let record = journal.record();
        export
            .check_table(&record.table_arn, record.table_id.as_deref())
            .map_err(unusable)?;
        if let Some(found) = export.summary.window.filter(|found| *found != window) {
            return Err(unusable(other_window(&arn, found, window)));
        }
        let known = &record.windows[at].files_md5;
        if known.as_ref().is_some_and(|known| *known != export.files_md5) {
            return Err(RunError::Failed(format!(
                "the list of files of the export {arn} is another one than when the heal began to read it. Restore \
                 manifest-files.json in {}. {ANOTHER}",
                export.folder
            )));
        }
        if known.is_none() {
            let (files_md5, billed) = (export.files_md5.clone(), described.billed_bytes);
            journal
                .change(|record| {
                    record.windows[at].files_md5 = Some(files_md5);
                    record.counts.billed_bytes += billed;
                })
                .await?;
        }
        Ok(export)
    }

    /// Requests the export of a window as soon as DynamoDB can make it, and those of later windows that it can make already.
    async fn request_due(&self, journal: &mut Journal, at: usize) -> Result<(), RunError> {
        let is_requested = |window: &HealWindow| {
            let request = window.request.as_ref();
            request.is_some_and(|request| request.arn.is_some())
        };
        let latest_ms = if is_requested(&journal.record().windows[at]) {
            self.latest_ms().await?
        } else {
            self.due(&journal.record().windows[at]).await?
        };
        let last = journal.record().windows.len().min(at + MOST_AHEAD);
        for next in at..last {
            let window = &journal.record().windows[next];
            if window.done || is_requested(window) {
                continue;
            }
            if window.to_ms > latest_ms {
                break;
            }
            self.request(journal, next).await?;
        }
        Ok(())
    }

    /// The end of the time that exports can be about.
    async fn latest_ms(&self) -> Result<u64, RunError> {
        let table = &self.split.plan.source.table;
        let control = &self.split.source.control;
        let period = unless_stopped(self.stop, restorable_period(control, table)).await?;
        let Some(period) = period else {
            return Err(RunError::NotYet {
                what: format!("point-in-time recovery of {table} was switched off during the heal"),
                next: "run `dynasplit verify --repair`, which compares everything. An export that was requested before can still be \
                       read, if you enable it again and run the same command"
                    .into(),
            });
        };
        match period.latest_ms {
            Some(latest) => Ok(latest),
            None => Ok(unless_stopped(self.stop, present(control, table)).await?.at_ms),
        }
    }

    /// Waits until the end of a window can be exported.
    async fn due(&self, window: &HealWindow) -> Result<u64, RunError> {
        let mut waiting = None;
        loop {
            let latest_ms = self.latest_ms().await?;
            if latest_ms >= window.to_ms {
                return Ok(latest_ms);
            }
            let rest = Duration::from_millis(window.to_ms - latest_ms) + DELAY;
            let what = || format!("DynamoDB can export the changes until {}", moment(window.to_ms));
            waiting.get_or_insert_with(|| self.split.waits.until(what(), rest));
            pause(CLOCK_POLL, self.stop).await?;
        }
    }

    async fn request(&self, journal: &mut Journal, at: usize) -> Result<(), RunError> {
        let table = &self.split.plan.source.table;
        let now_ms = unless_stopped(self.stop, present(&self.split.source.control, table))
            .await?
            .at_ms;
        let record = journal.record();
        let (to, window) = (record.to.clone(), time_of(&record.windows[at]));
        let folder: Folder = to
            .parse()
            .map_err(|error| RunError::Failed(format!("the journal names no folder: {error}")))?;
        let table_arn = record.table_arn.clone();
        let known = record.windows[at].request.clone();
        let holds =
            |known: &RequestedExport| known.to == to && now_ms.saturating_sub(known.asked_ms) < TOKEN_MS;
        let request = known.filter(holds).unwrap_or_else(|| RequestedExport {
            token: format!("dynasplit-{:032x}", chance::any::<u128>()),
            asked_ms: now_ms,
            to: to.clone(),
            arn: None,
        });
        let asked = ExportRequest {
            table_arn,
            to: folder,
            owner: None,
            token: request.token.clone(),
        };
        // First, so that a request that is repeated after a death asks for the same export.
        journal
            .change(|record| record.windows[at].request = Some(request.clone()))
            .await?;
        let requested = request_changes(&self.split.source.control, &asked, window);
        let arn = unless_stopped(self.stop, requested).await?;
        tracing::info!(arn, window = told(window), "requested an export");
        journal
            .change(|record| {
                record.windows[at].request = Some(RequestedExport {
                    arn: Some(arn),
                    ..request
                });
            })
            .await?;
        Ok(())
    }

    /// Waits until DynamoDB has made an export.
    async fn complete(
        &self,
        journal: &mut Journal,
        at: usize,
        arn: &str,
    ) -> Result<DescribedExport, RunError> {
        self.say(|view| view.phase = "waiting for an export".into());
        let mut looks = Looks::default();
        loop {
            let described = unless_stopped(self.stop, async {
                let described = describe_changes(&self.split.source.control, arn).await;
                described.map_err(unusable)
            })
            .await?;
            match described.status {
                ExportStatus::Completed => return Ok(described),
                ExportStatus::InProgress => {}
                ExportStatus::Failed(reason) => {
                    journal
                        .change(|record| record.windows[at].forget_export())
                        .await?;
                    return Err(ExportError::Failed {
                        export: arn.to_owned(),
                        reason,
                    }
                    .into());
                }
            }
            looks.pause(self.stop).await?;
        }
    }
}

fn other_window(arn: &str, found: ExportWindow, expected: ExportWindow) -> ExportError {
    ExportError::OtherWindow {
        export: arn.to_owned(),
        found: told(found),
        expected: told(expected),
    }
}

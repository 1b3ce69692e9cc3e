//! The export: requested here, or one that exists. It must be later than the stop of the writers.

use super::record::{ExportFound, ExportRequested, ShapingRecord};
use super::task::OfflineSplit;
use crate::backfill::load_export;
use crate::dynamo::chance;
use crate::fault;
use crate::import::TOKEN_MS;
use crate::model::moment;
use crate::s3::{
    Bucket, Export, ExportError, ExportPlace, ExportRequest, ExportStatus, Folder, describe_export,
    request_export,
};
use crate::source::{Present, present};
use crate::state::UNDEFINED_MS;
use crate::worker::{Looks, RunError, pause, unless_stopped};
use std::time::Duration;

/// Between two looks at AWS's clock.
const CLOCK_POLL: Duration = Duration::from_secs(2);

impl OfflineSplit<'_> {
    /// The export is complete, and its manifest was read.
    pub(super) async fn export(&mut self) -> Result<(), RunError> {
        if let Some(found) = self.record().export.found.clone() {
            if is_late_enough(found.export_time_ms, self.record().writers_stopped_ms) {
                return self.refuse_other(&found);
            }
            // Nothing was imported of it, or the later time of the stop would have been refused.
            (self.tell)(&format!(
                "the export {} is from before the writers had stopped, so it is not used",
                found.arn
            ));
            self.journal
                .change(|record| {
                    record.export = super::record::ExportRecord::default();
                    if let Some(ShapingRecord { plan, report, .. }) = &mut record.shaping {
                        plan.clear();
                        *report = None;
                    }
                })
                .await?;
        }
        let place = match &self.options.export {
            Some(place) => place.clone(),
            None => ExportPlace::Arn(Box::pin(self.requested()).await?),
        };
        let region = self.options.region.as_deref();
        let export = unless_stopped(self.stop, load_export(self.split, &place, region)).await?;
        refuse_early(&export, self.record().writers_stopped_ms)?;
        let found = ExportFound {
            arn: export.summary.arn.clone(),
            folder: export.folder.to_string(),
            owner: export.owner().map(str::to_owned),
            export_time_ms: export.summary.export_time_ms,
            files_md5: export.files_md5.clone(),
            files: export.files.len() as u64,
            items: export.summary.items,
        };
        (self.tell)(&format!(
            "the export {} of {} has {} items",
            found.arn,
            moment(found.export_time_ms),
            found.items
        ));
        self.journal
            .change(|record| record.export.found = Some(found))
            .await?;
        fault::moment("offline.exported").await;
        Ok(())
    }

    /// An export that is named on the command line must be the one that is copied.
    fn refuse_other(&self, found: &ExportFound) -> Result<(), RunError> {
        let is_same = match &self.options.export {
            None => true,
            Some(ExportPlace::Arn(arn)) => *arn == found.arn,
            Some(ExportPlace::Folder(folder)) => folder.to_string() == found.folder,
        };
        if is_same {
            return Ok(());
        }
        Err(RunError::NotYet {
            what: format!("this split copies another export, {}", found.arn),
            next: "leave out --export, or begin anew with another folder (--to)".into(),
        })
    }

    /// The ARN of the export that this command requests. It waits until DynamoDB has made it.
    async fn requested(&mut self) -> Result<String, RunError> {
        let known = self.record().export.request.clone();
        let arn = match known.as_ref().and_then(|known| known.arn.clone()) {
            Some(arn) => arn,
            None => {
                let source = self.late_enough().await?;
                let is_held =
                    |known: &ExportRequested| source.at_ms.saturating_sub(known.asked_ms) < TOKEN_MS;
                let request = known.filter(is_held).unwrap_or_else(|| ExportRequested {
                    token: format!("dynasplit-{:032x}", chance::any::<u128>()),
                    asked_ms: source.at_ms,
                    arn: None,
                });
                let token = request.token.clone();
                self.journal
                    .change(|record| record.export.request = Some(request))
                    .await?;
                let asked = ExportRequest {
                    table_arn: source.arn,
                    to: Folder {
                        bucket: self.options.to.bucket.clone(),
                        prefix: self.options.to.key("export/"),
                    },
                    owner: self.options.owner.clone(),
                    token,
                };
                let requested = request_export(&self.split.source.control, &asked);
                let arn = unless_stopped(self.stop, requested).await?;
                self.journal
                    .change(|record| {
                        if let Some(request) = &mut record.export.request {
                            request.arn = Some(arn.clone());
                        }
                    })
                    .await?;
                (self.tell)(&format!("requested the export {arn}"));
                arn
            }
        };
        self.made(&arn).await?;
        Ok(arn)
    }

    /// Waits until an export of the present state contains everything from before the stop of the writers.
    async fn late_enough(&self) -> Result<Present, RunError> {
        let from_ms = self.record().writers_stopped_ms + UNDEFINED_MS;
        let what = "an export of the present state contains everything that the writers wrote";
        let most = Duration::from_millis(UNDEFINED_MS + 2000);
        let _waiting = self.split.waits.until(what, most);
        loop {
            let source = present(&self.split.source.control, &self.split.plan.source.table);
            let source = unless_stopped(self.stop, source).await?;
            if source.at_ms > from_ms {
                return Ok(source);
            }
            pause(CLOCK_POLL, self.stop).await?;
        }
    }

    /// Waits until DynamoDB has made the export.
    async fn made(&mut self, arn: &str) -> Result<(), RunError> {
        let mut looks = Looks::default();
        loop {
            let described = describe_export(&self.split.source.control, arn);
            match unless_stopped(self.stop, described).await?.status {
                ExportStatus::Completed => return Ok(()),
                ExportStatus::InProgress => {}
                ExportStatus::Failed(reason) => {
                    self.journal.change(|record| record.export.request = None).await?;
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

    /// The export of the journal, read again. It must be the one that was found.
    pub(super) async fn found_export(&self) -> Result<Export, RunError> {
        let Some(found) = self.record().export.found.as_ref() else {
            return Err(RunError::Failed("the journal names no export".into()));
        };
        let folder: Folder = found
            .folder
            .parse()
            .map_err(|error| RunError::Failed(format!("the journal names no folder: {error}")))?;
        let region = self.options.region.as_deref();
        let bucket = Bucket::new(&self.split.source, region, &folder.bucket, found.owner.clone());
        let export = unless_stopped(self.stop, Export::load(bucket, folder)).await?;
        if export.files_md5 == found.files_md5 && export.summary.arn == found.arn {
            return Ok(export);
        }
        Err(RunError::Failed(format!(
            "the list of files of the export {} is another one than when the split began. Restore manifest-files.json in {}",
            found.arn, found.folder
        )))
    }
}

fn is_late_enough(export_time_ms: u64, stopped_ms: u64) -> bool {
    export_time_ms >= stopped_ms.saturating_add(UNDEFINED_MS)
}

fn refuse_early(export: &Export, stopped_ms: u64) -> Result<(), RunError> {
    if is_late_enough(export.summary.export_time_ms, stopped_ms) {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: format!(
            "the export {} is too early: its export time is {}, the writers had stopped by {}, and an export may lack the writes of its \
             last {} s",
            export.summary.arn,
            moment(export.summary.export_time_ms),
            moment(stopped_ms),
            UNDEFINED_MS / 1000
        ),
        next: "leave out --export, so that the command requests one, or name a later export".into(),
    })
}

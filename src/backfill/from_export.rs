//! Finds the export that a backfill is to copy, and decides whether it may be copied now.

use super::round::{filled, is_of_round};
use super::worker::Backfill;
use crate::dynamo::Tables;
use crate::model::{duration, moment};
use crate::repair::Holder;
use crate::s3::{Bucket, DescribedExport, Export, ExportError, ExportPlace, ExportStatus, describe_export};
use crate::source::present;
use crate::state::{BackfillRecord, CopiedExport, ExportCopy, SplitRecord, StateError, UNDEFINED_MS};
use crate::worker::{RunError, Split};

const REQUEST: &str = "run `dynasplit export start --to s3://BUCKET/PREFIX`, which switches tombstones on and requests an export that is \
     late enough";

/// Reads the manifest of an export, and checks that it is an export of the source.
///
/// # Errors
/// If it cannot be read, is not complete, or is an export of another table.
pub async fn load_export(
    split: &Split,
    place: &ExportPlace,
    region: Option<&str>,
) -> Result<Export, RunError> {
    load_export_of(&split.source, &split.plan.source.table, place, region).await
}

/// The same for any table.
///
/// # Errors
/// As [`load_export`].
pub async fn load_export_of(
    tables: &Tables,
    table: &str,
    place: &ExportPlace,
    region: Option<&str>,
) -> Result<Export, RunError> {
    let (folder, owner) = match place {
        ExportPlace::Folder(folder) => (folder.clone(), None),
        ExportPlace::Arn(arn) => {
            let described = describe_export(&tables.control, arn).await?;
            complete(&described)?;
            (described.folder, described.owner)
        }
    };
    let bucket = Bucket::new(tables, region, &folder.bucket, owner);
    let export = Export::load(bucket, folder).await?;
    let found = present(&tables.control, table).await?;
    export.check_table(&found.arn, found.id.as_deref())?;
    Ok(export)
}

fn complete(described: &DescribedExport) -> Result<(), ExportError> {
    match &described.status {
        ExportStatus::Completed => Ok(()),
        ExportStatus::InProgress => Err(ExportError::NotComplete {
            export: described.arn.clone(),
            status: "IN_PROGRESS".into(),
        }),
        ExportStatus::Failed(reason) => Err(ExportError::Failed {
            export: described.arn.clone(),
            reason: reason.clone(),
        }),
    }
}

impl Backfill {
    /// Whether a new backfill may begin: a scan always, an export never, because nobody left tombstones before it was taken.
    pub(super) fn may_begin(&self) -> Result<(), RunError> {
        match &self.options.export {
            None => Ok(()),
            Some(export) => Err(RunError::NotYet {
                what: format!(
                    "the export {} was taken before tombstones were on, so it may contain items that were removed since then, and a \
                     copy would bring them back",
                    export.summary.arn
                ),
                next: REQUEST.into(),
            }),
        }
    }

    /// An unfinished backfill goes on with the reader that it began with: a scan, or this very export. A backfill that waits for its export
    /// takes it, if it is late enough.
    pub(super) async fn go_on_reading(
        &self,
        record: BackfillRecord,
        revision: u64,
    ) -> Result<Option<BackfillRecord>, RunError> {
        let next = format!("run `{}`, which continues it", record.command());
        let refused = |what: String| Err(RunError::NotYet { what, next });
        let (copy, export) = match (&record.export, &self.options.export) {
            (None, None) => return Ok(Some(record)),
            (None, Some(_)) => {
                return refused(
                    "this backfill began with a scan of the source, so it cannot continue with an export"
                        .into(),
                );
            }
            (Some(copy), None) if copy.export.is_some() && self.is_copied(&record).await? => {
                // Nothing is read any more, so the export may be gone.
                return Ok(Some(record));
            }
            (Some(copy), None) if copy.export.is_none() => {
                let next = format!(
                    "run `{}`, which continues it. To scan the source instead, run `dynasplit export cancel`",
                    record.command()
                );
                return Err(RunError::NotYet {
                    what:
                        "this backfill waits for an export, so it cannot continue with a scan of the source"
                            .into(),
                    next,
                });
            }
            (Some(_), None) => {
                return refused(
                    "this backfill copies an export, so it cannot continue with a scan of the source".into(),
                );
            }
            (Some(copy), Some(export)) => (copy, export),
        };
        let split_record = SplitRecord::read(&self.split.store).await?.value;
        refuse_other_stream(copy, &split_record)?;
        let found = CopiedExport {
            arn: export.summary.arn.clone(),
            folder: export.folder.to_string(),
            export_time_ms: export.summary.export_time_ms,
            files_md5: export.files_md5.clone(),
        };
        match &copy.export {
            Some(known) if known.arn == found.arn && known.files_md5 == found.files_md5 => {
                return Ok(Some(record));
            }
            Some(known) if known.arn == found.arn => {
                return Err(RunError::Failed(format!(
                    "the list of files of the export {} is another one than when the backfill began. Restore manifest-files.json in {}",
                    known.arn, known.folder
                )));
            }
            Some(known) => return refused(format!("this backfill copies another export, {}", known.arn)),
            None => {
                let holder = Holder::backfill(&record);
                let switch = &split_record.switch;
                let is_on = |service: &&str| {
                    switch.of(service).leaves_tombstones()
                        && switch.held_since(service, holder.name()).is_some()
                };
                if !filled(&self.split, &record).iter().all(is_on) {
                    return Err(RunError::Failed(
                        "the tombstones of this backfill are not on any more".into(),
                    ));
                }
                refuse_too_early(copy, &found)?;
            }
        }
        let files = u32::try_from(export.files.len())
            .map_err(|_| RunError::Failed(format!("the export {} has too many files", found.arn)))?;
        let taken = BackfillRecord {
            segments: files,
            estimated_items: export.summary.items,
            export: Some(ExportCopy {
                export: Some(found),
                ..copy.clone()
            }),
            ..record
        };
        match self.split.store.put(BackfillRecord::NAME, taken, revision).await {
            Ok(stored) => Ok(Some(stored.value)),
            // Another process took it at the same moment: look again.
            Err(StateError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether every segment is durable: only tombstones are left.
    async fn is_copied(&self, record: &BackfillRecord) -> Result<bool, RunError> {
        let segments = self.segments().await?;
        let done = segments.iter().filter(|(_, stored)| {
            let mut services = stored.value.services.values();
            is_of_round(&stored.value, record) && services.all(|progress| progress.done)
        });
        Ok(u32::try_from(done.count()) == Ok(record.segments))
    }
}

/// After a restart of the tail, the lanes know nothing of what was removed before it, so no tombstone stands in the way of an export
/// from before.
fn refuse_other_stream(copy: &ExportCopy, record: &SplitRecord) -> Result<(), RunError> {
    let generation = record.stream().map_or(0, |(generation, _)| generation);
    if copy.acknowledged_ms.is_none() || copy.generation == generation {
        return Ok(());
    }
    Err(RunError::NotYet {
        what: "the tail was restarted after this copy of an export began, so the export may contain items whose removal no lane \
               knows of"
            .into(),
        next: "give the split up with `dynasplit abandon`, and begin anew".into(),
    })
}

fn refuse_too_early(copy: &ExportCopy, export: &CopiedExport) -> Result<(), RunError> {
    if copy.is_late_enough(export.export_time_ms) {
        return Ok(());
    }
    let Some(acknowledged) = copy.acknowledged_ms else {
        return Err(RunError::NotYet {
            what: "not every worker has acknowledged that it leaves tombstones".into(),
            next: REQUEST.into(),
        });
    };
    let earliest = acknowledged + UNDEFINED_MS;
    Err(RunError::NotYet {
        what: format!(
            "the export {} is {} too early: its export time must be at least {} s after {}, when every worker had acknowledged that it \
             leaves tombstones. It may contain items that were really deleted since then, and a copy would bring them back",
            export.arn,
            duration(earliest.saturating_sub(export.export_time_ms)),
            UNDEFINED_MS / 1000,
            moment(acknowledged)
        ),
        next: REQUEST.into(),
    })
}

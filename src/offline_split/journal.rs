//! The journal: one object in the bucket, which is changed only by comparing its ETag. The process that began last owns it; another one
//! ends at its next change. Everything between two changes may be done twice without harm.

use super::record::{FORMAT, OfflineRecord};
use crate::dynamo::chance;
use crate::s3::{Bucket, Folder, PutIf};
use crate::worker::RunError;

const NAME: &str = "journal.json";
const MOST_BYTES: u64 = 8 << 20;

/// The journal of an offline split, as this process knows it.
#[derive(Debug)]
pub struct Journal {
    bucket: Bucket,
    folder: Folder,
    etag: String,
    /// What it holds.
    pub record: OfflineRecord,
}

impl Journal {
    /// Reads the journal of a folder; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is of another version.
    pub async fn read(bucket: &Bucket, folder: &Folder) -> Result<Option<Self>, RunError> {
        let key = folder.key(NAME);
        let Some(stored) = bucket.stored(&key, MOST_BYTES).await? else {
            return Ok(None);
        };
        let damaged = |what: String| {
            RunError::Failed(format!(
                "the journal {folder}{NAME} cannot be read: {what}. Restore it (a bucket with versions keeps the former one), or begin \
                 anew with another folder (--to)"
            ))
        };
        let format: Format =
            serde_json::from_slice(&stored.bytes).map_err(|error| damaged(error.to_string()))?;
        if format.format != FORMAT {
            return Err(RunError::Failed(format!(
                "the journal {folder}{NAME} was written by another version of dynasplit (format {}, and this one has {FORMAT}): use \
                 that version",
                format.format
            )));
        }
        let record = serde_json::from_slice(&stored.bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(Some(Self {
            bucket: bucket.clone(),
            folder: folder.clone(),
            etag: stored.etag,
            record,
        }))
    }

    /// Begins a journal. The folder must have none.
    ///
    /// # Errors
    /// If another process began at the same moment, or the S3 server ignores conditions of writes.
    pub async fn begin(bucket: &Bucket, folder: &Folder, record: OfflineRecord) -> Result<Self, RunError> {
        let text = text(&record)?;
        let key = folder.key(NAME);
        let put = bucket.put(&key, &text, PutIf::Absent).await?;
        let Some(etag) = (match put {
            Some(etag) => Some(etag),
            None => Self::own(bucket, folder, &record).await?,
        }) else {
            return Err(taken_over(folder));
        };
        if bucket.put(&key, &text, PutIf::Absent).await?.is_some() {
            return Err(RunError::NotYet {
                what: format!(
                    "the S3 server of {folder} ignores the conditions of writes, so that two processes could overwrite each other's journal"
                ),
                next: "use AWS, or a server that knows If-Match and If-None-Match".into(),
            });
        }
        Ok(Self {
            bucket: bucket.clone(),
            folder: folder.clone(),
            etag,
            record,
        })
    }

    /// Changes the journal, and saves it.
    ///
    /// # Errors
    /// If another process has taken the split over, or it cannot be saved.
    pub async fn change(&mut self, change: impl FnOnce(&mut OfflineRecord)) -> Result<(), RunError> {
        let mut record = self.record.clone();
        change(&mut record);
        if record == self.record {
            return Ok(());
        }
        let text = text(&record)?;
        let put = self
            .bucket
            .put(&self.folder.key(NAME), &text, PutIf::Is(&self.etag))
            .await?;
        let etag = match put {
            Some(etag) => etag,
            // Perhaps the answer to our own write was lost.
            None => Self::own(&self.bucket, &self.folder, &record)
                .await?
                .ok_or_else(|| taken_over(&self.folder))?,
        };
        (self.etag, self.record) = (etag, record);
        Ok(())
    }

    /// The ETag of the journal, if it is this record, which only this process can have written.
    async fn own(
        bucket: &Bucket,
        folder: &Folder,
        record: &OfflineRecord,
    ) -> Result<Option<String>, RunError> {
        let found = Self::read(bucket, folder).await?;
        Ok(found
            .filter(|found| found.record == *record)
            .map(|found| found.etag))
    }
}

/// A name for this process, which no other one has.
pub fn run_name() -> String {
    format!("{:032x}", chance::any::<u128>())
}

fn text(record: &OfflineRecord) -> Result<Vec<u8>, RunError> {
    serde_json::to_vec_pretty(record)
        .map_err(|error| RunError::Failed(format!("the journal cannot be written: {error}")))
}

fn taken_over(folder: &Folder) -> RunError {
    RunError::Stopped(format!(
        "another process continues the split of {folder}: let it end, or stop it and run the same command again"
    ))
}

/// What every version of a journal has.
#[derive(serde::Deserialize)]
struct Format {
    format: u32,
}

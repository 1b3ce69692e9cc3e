//! An export: its manifest, proven by its checksums, and readers of its files.

use super::bucket::Bucket;
use super::error::ExportError;
use super::file_reader::FileReader;
use super::manifest::{ExportKind, FileEntry, Summary, read_files, read_sum, sum};
use super::place::Folder;
use crate::dynamo::FailureKind;
use crate::model::{changed_key_of, item_of};

/// Most bytes of a manifest: about a million files.
const MOST_BYTES: u64 = 256 << 20;
/// Most bytes of a checksum.
const MOST_SUM_BYTES: u64 = 1 << 20;
/// AWS documents the second name, and has been seen to write the first one.
const SUMS: [&str; 2] = ["md5", "checksum"];

/// An export: a full one, or an incremental one.
#[derive(Clone, Debug)]
pub struct Export {
    /// What it says about itself.
    pub summary: Summary,
    /// Its files, in the order of the manifest.
    pub files: Vec<FileEntry>,
    /// Its folder.
    pub folder: Folder,
    /// The MD5 sum of the list of files, in hexadecimal digits.
    pub files_md5: String,
    bucket: Bucket,
}

impl Export {
    /// Reads the manifest of a full export, and proves it by its checksums. Its pages are items.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is not of a full export in DynamoDB JSON.
    pub async fn load(bucket: Bucket, folder: Folder) -> Result<Self, ExportError> {
        Self::of_kind(bucket, folder, ExportKind::Full).await
    }

    /// Reads the manifest of an incremental export, and proves it by its checksums. Its pages are the keys of items that changed: no
    /// image is ever read.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or is not of an incremental export in DynamoDB JSON.
    pub async fn load_changes(bucket: Bucket, folder: Folder) -> Result<Self, ExportError> {
        Self::of_kind(bucket, folder, ExportKind::Incremental).await
    }

    async fn of_kind(bucket: Bucket, folder: Folder, kind: ExportKind) -> Result<Self, ExportError> {
        let (name, bytes) = proven(&bucket, &folder, "manifest-summary").await?;
        let summary = Summary::read(&bytes, &name, kind)?;
        let (name, bytes) = proven(&bucket, &folder, "manifest-files").await?;
        let files = read_files(&bytes, &name, &summary, |key| folder.resolve(key))?;
        Ok(Self {
            files_md5: sum(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            summary,
            files,
            folder,
            bucket,
        })
    }

    /// Reads a file, from its beginning.
    #[must_use]
    pub fn reader(&self, file: usize) -> Option<FileReader> {
        let file = self.files.get(file)?;
        let line = match self.summary.window {
            None => item_of,
            Some(_) => changed_key_of,
        };
        Some(FileReader::new(self.bucket.clone(), file.clone(), line))
    }

    /// The account that must own its bucket, if it is known.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.bucket.owner()
    }

    /// Refuses an export of another table than this one.
    ///
    /// # Errors
    /// [`ExportError::OtherTable`]. A table that was restored has the ARN of the lost one, and another id.
    pub fn check_table(&self, arn: &str, id: Option<&str>) -> Result<(), ExportError> {
        let summary = &self.summary;
        if summary.table_arn == arn && id.is_none_or(|id| summary.table_id == id) {
            return Ok(());
        }
        let shown =
            |arn: &str, id: Option<&str>| id.map_or(arn.to_owned(), |id| format!("{arn} (table id {id})"));
        Err(ExportError::OtherTable {
            export: summary.arn.clone(),
            found: shown(&summary.table_arn, Some(&summary.table_id)),
            expected: shown(arn, id),
        })
    }
}

/// A part of the manifest, proven by the checksum beside it.
async fn proven(bucket: &Bucket, folder: &Folder, name: &str) -> Result<(String, Vec<u8>), ExportError> {
    let key = folder.key(&format!("{name}.json"));
    let bytes = bucket.read(&key, MOST_BYTES).await?;
    let object = bucket.object(&key);
    let mut denied = None;
    for kind in SUMS {
        let found = bucket
            .read(&folder.key(&format!("{name}.{kind}")), MOST_SUM_BYTES)
            .await;
        let text = match found {
            Ok(text) => text,
            Err(error) if error.failure().is_some_and(|failure| failure.code == "NoSuchKey") => continue,
            // S3 says the same of an object that does not exist, to a caller that may not list the bucket.
            Err(error)
                if error
                    .failure()
                    .is_some_and(|failure| failure.kind == FailureKind::Denied) =>
            {
                denied = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let expected = std::str::from_utf8(&text).ok().and_then(read_sum);
        return match expected {
            Some(expected) if expected == sum(&bytes) => Ok((object, bytes)),
            Some(_) => Err(ExportError::Manifest {
                name: object,
                reason: "its MD5 sum is not the one in the file beside it".into(),
            }),
            None => Err(ExportError::Manifest {
                name: bucket.object(&folder.key(&format!("{name}.{kind}"))),
                reason: "it contains no MD5 sum".into(),
            }),
        };
    }
    Err(denied.unwrap_or(ExportError::NoChecksum { name: object }))
}

//! The folder in S3 that holds the objects of a shared verify.

use crate::s3::{Bucket, known_account};
use crate::source::describe_source;
use crate::state::StoredRef;
use crate::worker::{RunError, Split};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The folder of all shared verifies of a split.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    bucket: Bucket,
    /// Ends with a slash.
    prefix: String,
    /// The size of the source, as DynamoDB knows it.
    pub source_bytes: u64,
}

/// An object with the outcome of a task is much smaller: it has some 100 bytes for each 2 MiB of entries.
const MOST_BYTES: u64 = 1 << 30;

impl Folder {
    /// The folder that the plan names.
    ///
    /// # Errors
    /// If it names none.
    pub async fn of(split: &Split) -> Result<Self, RunError> {
        let Some(place) = &split.plan.s3 else {
            return Err(RunError::NotYet {
                what: "the plan has no section `s3`, and processes that share a verify exchange what they read in S3".into(),
                next: "add `s3: { bucket: NAME }` to the plan (docs/plan.md), or run `dynasplit verify` without --shared in one \
                       process"
                    .into(),
            });
        };
        let facts = describe_source(&split.source.control, &split.plan.source.table).await?;
        let owner = match &place.owner {
            Some(owner) => Some(owner.clone()),
            None => known_account(facts.arn.split(':').nth(4).unwrap_or_default()),
        };
        Ok(Self {
            bucket: Bucket::new(&split.source, place.region.as_deref(), &place.bucket, owner),
            prefix: format!("{}{}/verify/", place.prefix, split.plan.split),
            source_bytes: facts.bytes,
        })
    }

    /// As people name it.
    pub fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix)
    }

    /// What the keys of all objects of one verify begin with.
    pub fn of_verify(&self, id: &str) -> String {
        format!("{}{id}/", self.prefix)
    }

    /// Writes an object that no other process writes.
    pub async fn write(&self, key: String, bytes: &[u8]) -> Result<StoredRef, RunError> {
        let etag = self.bucket.put_new(&key, bytes).await?;
        Ok(StoredRef { key, etag })
    }

    /// The same, as JSON.
    pub async fn write_json(&self, key: String, value: &impl Serialize) -> Result<StoredRef, RunError> {
        let bytes = serde_json::to_vec(value).map_err(|error| RunError::Failed(error.to_string()))?;
        self.write(key, &bytes).await
    }

    /// Reads an object.
    pub async fn read(&self, object: &StoredRef) -> Result<Vec<u8>, RunError> {
        let stored = self.bucket.stored(&object.key, MOST_BYTES).await?;
        match stored.filter(|stored| stored.etag == object.etag) {
            Some(stored) => Ok(stored.bytes),
            None => Err(self.gone(object, "it was replaced or removed")),
        }
    }

    /// Reads what [`Folder::write_json`] wrote.
    pub async fn read_json<T: DeserializeOwned>(&self, object: &StoredRef) -> Result<T, RunError> {
        let bytes = self.read(object).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.gone(object, &error.to_string()))
    }

    /// Reads a part of an object.
    pub async fn range(&self, object: &StoredRef, from: u32, len: u32) -> Result<Vec<u8>, RunError> {
        let bytes = self
            .bucket
            .range(&object.key, &object.etag, from.into(), len as usize);
        Ok(bytes.await?)
    }

    /// Removes all objects whose keys begin so.
    pub async fn remove_all(&self, prefix: &str) -> Result<(), RunError> {
        Ok(self.bucket.remove_all(prefix).await?)
    }

    /// The error of an object that is not the one that was written.
    pub fn gone(&self, object: &StoredRef, why: &str) -> RunError {
        RunError::NotYet {
            what: format!(
                "s3://{}/{} is not the object that this verify wrote: {why}",
                self.bucket.name(),
                object.key
            ),
            next: "run `dynasplit verify --shared NAME --replace` with a new name, which compares from the beginning".into(),
        }
    }

    /// As people name an object.
    pub fn told(&self, object: &StoredRef) -> String {
        format!("s3://{}/{}", self.bucket.name(), object.key)
    }
}

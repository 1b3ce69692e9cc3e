//! In place of the requests to S3, in a build without them. No option that names a place in S3 is accepted there.

use super::bucket_settings::BucketSettings;
use super::error::ExportError;
use super::object::{ListedObject, Part, PutIf, StoredObject};
use crate::dynamo::{Failure, Tables};
use crate::model::BuildPart;
use std::path::Path;

/// A bucket that cannot be reached.
#[derive(Clone, Debug)]
pub struct Bucket {
    name: String,
    owner: Option<String>,
}

impl Bucket {
    /// A bucket of this name.
    #[must_use]
    pub fn new(_: &Tables, _: Option<&str>, name: &str, owner: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            owner,
        }
    }

    /// The account that must own it, if it is known.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn object(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    fn failure(&self, key: &str) -> Failure {
        let reason = BuildPart::S3.needed();
        let reason = reason.map_or_else(|missing| missing.to_string(), |()| String::new());
        Failure::unusable("a request to S3", &self.object(key), reason)
    }

    fn failed<T>(&self, key: &str) -> Result<T, ExportError> {
        Err(ExportError::of(self.failure(key)))
    }

    pub(super) async fn read(&self, key: &str, _: u64) -> Result<Vec<u8>, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn range(&self, key: &str, _: &str, _: u64, _: usize) -> Result<Vec<u8>, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn remove_all(&self, prefix: &str) -> Result<(), ExportError> {
        self.failed(prefix)
    }

    pub(super) async fn part(&self, key: &str, _: u64) -> Result<Part, Failure> {
        Err(self.failure(key))
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn stored(&self, key: &str, _: u64) -> Result<Option<StoredObject>, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn put(&self, key: &str, _: &[u8], _: PutIf<'_>) -> Result<Option<String>, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn put_file(&self, key: &str, _: &Path) -> Result<String, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn etag(&self, key: &str) -> Result<String, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, ExportError> {
        self.failed(prefix)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn settings(&self, _: &str) -> Result<BucketSettings, ExportError> {
        self.failed("")
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, ExportError> {
        self.failed(prefix)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn put_new(&self, key: &str, _: &[u8]) -> Result<String, ExportError> {
        self.failed(key)
    }

    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub async fn copy(&self, key: &str, _: &str, _: &str) -> Result<Option<String>, ExportError> {
        self.failed(key)
    }
}

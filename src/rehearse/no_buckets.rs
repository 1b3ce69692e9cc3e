//! In place of the bucket of a rehearsal, in a build without S3 for rehearsals.

use super::buckets_error::BucketsError;
use super::error::RehearseError;
use crate::dynamo::{Clients, ObjectStore, Tables};
use crate::model::BuildPart;

/// A server that cannot be started.
pub(super) struct EmbeddedObjects(ObjectStore);

/// A bucket that cannot be created.
pub(super) struct EngineBucket(String);

fn refused<T>(otherwise: T) -> Result<T, BucketsError> {
    BuildPart::RehearseS3.needed()?;
    Ok(otherwise)
}

#[allow(clippy::unused_async)] // As in a build with S3.
impl EmbeddedObjects {
    pub async fn start(_: &str) -> Result<Self, BucketsError> {
        refused(Self(ObjectStore {
            url: String::new(),
            key_id: String::new(),
            secret: String::new(),
        }))
    }

    pub fn store(&self) -> ObjectStore {
        self.0.clone()
    }
}

#[allow(clippy::unused_async)] // As in a build with S3.
impl EngineBucket {
    pub async fn has_imports(_: &Clients) -> Result<bool, RehearseError> {
        Ok(refused(false)?)
    }

    pub async fn create(_: &Tables, _: &str) -> Result<Self, RehearseError> {
        Ok(refused(Self(String::new()))?)
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    pub async fn remove(&self, _: &Tables) {}
}

//! A bucket on an engine that has S3 and imports of its own, such as `moto_server`.

use super::super::error::RehearseError;
use crate::dynamo::{Clients, Failure, Tables};
use crate::s3::Bucket;
use crate::worker::RunError;

/// What an engine says that does not know an operation.
const UNKNOWN: [&str; 3] = [
    "UnknownOperationException",
    "UnsupportedOperationException",
    "NotImplemented",
];

/// A bucket that the rehearsal created, and removes.
pub(in crate::rehearse) struct EngineBucket(String);

impl EngineBucket {
    /// Whether the engine has imports. A rehearsal creates no bucket on AWS.
    pub async fn has_imports(clients: &Clients) -> Result<bool, RehearseError> {
        if clients.endpoints().is_aws() {
            return Err(RehearseError::ImportsOfAws);
        }
        let tables = clients.at(None, None).await;
        match tables.control.list_imports().send().await {
            Ok(_) => Ok(true),
            Err(error) => {
                let failure = Failure::of("dynamodb:ListImports", "imports", &error);
                match UNKNOWN.contains(&failure.code.as_str()) {
                    true => Ok(false),
                    false => Err(failure.into()),
                }
            }
        }
    }

    /// Creates one.
    pub async fn create(tables: &Tables, prefix: &str) -> Result<Self, RehearseError> {
        let name = format!("{prefix}imports");
        let created = tables.objects.create_bucket().bucket(&name).send().await;
        created.map_err(|error| Failure::of("s3:CreateBucket", &name, &error))?;
        Ok(Self(name))
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// Removes it, with its objects.
    pub async fn remove(&self, tables: &Tables) {
        if let Err(error) = self.try_to_remove(tables).await {
            tracing::warn!(%error, "could not remove the bucket of the rehearsal");
        }
    }

    async fn try_to_remove(&self, tables: &Tables) -> Result<(), RehearseError> {
        let (client, name) = (&tables.objects, &self.0);
        let objects = Bucket::new(tables, None, name, None).list("").await;
        for object in objects.map_err(RunError::from)? {
            let deleted = client.delete_object().bucket(name).key(&object.key).send().await;
            deleted.map_err(|error| Failure::of("s3:DeleteObject", name, &error))?;
        }
        let deleted = client.delete_bucket().bucket(name).send().await;
        deleted.map_err(|error| Failure::of("s3:DeleteBucket", name, &error))?;
        Ok(())
    }
}

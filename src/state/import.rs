//! Records of imports: what was requested, what became of it, and the objects that may be imported.

use super::lease::Lease;
use crate::model::Compression;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportPhase {
    /// It was requested, or is about to be.
    Requested,
    /// It is complete, and its settings are not yet.
    Imported,
    /// It failed. What it left is not removed.
    Failed,
    /// The partial table is being deleted.
    Removing,
    /// The table is as planned, but for TTL.
    Ready,
}

/// The import of one service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportRecord {
    /// How far it is.
    pub phase: ImportPhase,
    /// Its token; empty if the service has no items, so that its table is only created.
    pub token: String,
    /// When it was first requested, by AWS's clock.
    pub asked_ms: u64,
    /// The answer.
    pub arn: Option<String>,
    /// The id of the table that it makes.
    pub table_id: Option<String>,
    /// The reason, if it failed.
    pub failure: Option<String>,
    /// Remarks about the engine.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl ImportRecord {
    /// An import that is about to be requested with this token.
    #[must_use]
    pub fn requested(token: String, asked_ms: u64) -> Self {
        Self {
            phase: ImportPhase::Requested,
            token,
            asked_ms,
            arn: None,
            table_id: None,
            failure: None,
            notes: Vec::new(),
        }
    }

    /// Nothing is left to ask for: DynamoDB has answered, or has nothing to import.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.arn.is_some() || self.phase != ImportPhase::Requested
    }

    /// It failed, and its remains are not removed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        matches!(self.phase, ImportPhase::Failed | ImportPhase::Removing)
    }
}

/// A folder of a bucket for the items of a backfill in the import order. It is fixed when the backfill begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportFolder {
    /// The bucket.
    pub bucket: String,
    /// What the keys of all objects of this backfill begin with; it ends with a slash. No other backfill has it.
    pub prefix: String,
    /// The region of the bucket, if it is not that of the source.
    pub region: Option<String>,
    /// The account that owns the bucket, if the plan names one.
    pub owner: Option<String>,
    /// Bytes of an object before compression, about.
    pub object_bytes: u64,
    /// How an object is compressed.
    #[serde(default = "Compression::of_old_records")]
    pub compression: Compression,
}

/// An object with items of one service, which was committed together with the cursor behind them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CommittedObject {
    /// Its key in the bucket.
    pub key: String,
    /// Its ETag.
    pub etag: String,
    /// Its items.
    pub items: u64,
    /// Its bytes before compression, which an import is billed for.
    pub bytes: u64,
    /// Its size.
    pub size: u64,
}

/// The imports of a backfill. One process at a time requests them and waits for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImportsRecord {
    /// The process that continues them.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// By service.
    pub services: BTreeMap<String, ServiceImport>,
}

/// How far the import of a service is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceImport {
    /// The prefix that is imported.
    pub claim: Option<ImportClaim>,
    /// The import, as soon as it is about to be requested.
    pub import: Option<ImportRecord>,
}

impl ServiceImport {
    /// Whether a prefix must be claimed: no import was about to be requested, and no claim has every object.
    #[must_use]
    pub fn needs_claim(&self) -> bool {
        self.import.is_none() && !self.claim.as_ref().is_some_and(|claim| claim.complete)
    }
}

/// A prefix that one attempt has for itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ImportClaim {
    /// What the keys of its objects begin with.
    pub prefix: String,
    /// Items of its objects.
    pub items: u64,
    /// Their bytes before compression.
    pub bytes: u64,
    /// How many objects there are.
    pub objects: u64,
    /// Every committed object was copied to it, and nothing else is there.
    pub complete: bool,
}

impl ImportsRecord {
    /// Name of the record.
    pub const NAME: &'static str = "IMPORT";

    /// Before the first import.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lease: Lease::unheld(),
            ..Self::default()
        }
    }

    /// Whether the table of a service is ready.
    #[must_use]
    pub fn is_ready(&self, service: &str) -> bool {
        let import = self.services.get(service).and_then(|known| known.import.as_ref());
        import.is_some_and(|import| import.phase == ImportPhase::Ready)
    }
}

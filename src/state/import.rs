//! The record of one import: requested, found again, and what became of it.

use serde::{Deserialize, Serialize};

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

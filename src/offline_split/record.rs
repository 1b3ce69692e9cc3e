//! What the journal of an offline split holds.

use crate::model::Compression;
use crate::offline::{FileForm, Report};
use crate::state::ImportRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// An offline split: what was asked for, and how far it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OfflineRecord {
    /// The version of the format.
    pub format: u32,
    /// The split of the plan.
    pub split: String,
    /// The ARN of the source.
    pub source: String,
    /// Its id; engines other than AWS may have none.
    pub source_id: Option<String>,
    /// When the writers of the source had stopped, in milliseconds since 1970, by AWS's clock.
    pub writers_stopped_ms: u64,
    /// The process that continues it: the one that began last.
    pub run: String,
    /// The export.
    pub export: ExportRecord,
    /// The shaped files; `None` before the first.
    pub shaping: Option<ShapingRecord>,
    /// The imports, by service.
    #[serde(default)]
    pub imports: BTreeMap<String, ImportRecord>,
    /// The last comparison.
    pub verified: Option<VerifiedRecord>,
    /// When everything was done, in milliseconds since 1970.
    pub finished_ms: Option<u64>,
}

/// The export of an offline split.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The request.
    pub request: Option<ExportRequested>,
    /// The export, when its manifest was read.
    pub found: Option<ExportFound>,
}

/// A request for an export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExportRequested {
    /// Its token.
    pub token: String,
    /// When it was first sent, by AWS's clock.
    pub asked_ms: u64,
    /// The answer.
    pub arn: Option<String>,
}

/// An export whose manifest was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ExportFound {
    /// Its ARN.
    pub arn: String,
    /// The folder of its manifest.
    pub folder: String,
    /// The account that owns its bucket, if it is known.
    pub owner: Option<String>,
    /// Its export time, in milliseconds since 1970.
    pub export_time_ms: u64,
    /// The MD5 sum of its list of files.
    pub files_md5: String,
    /// Its files.
    pub files: u64,
    /// Its items.
    pub items: u64,
}

/// The shaped files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShapingRecord {
    /// Counts how often the shaping began anew, with another plan.
    pub attempt: u32,
    /// The plan that shapes the items: its fingerprint, and those of its services.
    pub plan: String,
    /// Most bytes of a file before compression.
    pub file_bytes: u64,
    /// How a file is compressed.
    #[serde(default = "Compression::of_old_records")]
    pub compression: Compression,
    /// What was shaped, when all of it is.
    pub report: Option<Report>,
}

impl ShapingRecord {
    /// The form of the files.
    #[must_use]
    pub fn form(&self) -> FileForm {
        FileForm {
            bytes: self.file_bytes,
            compression: self.compression,
        }
    }
}

/// A comparison.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VerifiedRecord {
    /// When it began, by AWS's clock; for a comparison with an export, a minute before its export time.
    pub at_ms: u64,
    /// The later export that it read instead of the source.
    pub export: Option<String>,
    /// No mismatch, and nothing unrouted.
    pub clean: bool,
    /// Mismatches in all.
    pub mismatches: u64,
}

impl OfflineRecord {
    /// Whether DynamoDB was asked to make a table.
    #[must_use]
    pub fn has_imports(&self) -> bool {
        !self.imports.is_empty()
    }
}

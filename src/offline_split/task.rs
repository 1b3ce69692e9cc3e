//! A split of a table at rest: what it is told, and what all its steps share.

use super::journal::Journal;
use super::record::OfflineRecord;
use crate::model::Compression;
use crate::plan::Plan;
use crate::s3::{Bucket, ExportPlace, Folder};
use crate::verify::AtRestResult;
use crate::worker::Split;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A step, which comes after all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The export is complete.
    Export,
    /// The files of each service are in S3.
    Shape,
    /// The tables are there.
    Import,
    /// The tables were compared with the source.
    Verify,
}

impl Step {
    pub(super) const ALL: [Self; 4] = [Self::Export, Self::Shape, Self::Import, Self::Verify];
}

/// What a command is told.
#[derive(Clone, Debug)]
pub struct OfflineOptions {
    /// The folder of the journal and of everything else.
    pub to: Folder,
    /// When the writers had stopped, in milliseconds since 1970; only the first command must know it.
    pub writers_stopped_ms: Option<u64>,
    /// An export that exists.
    pub export: Option<ExportPlace>,
    /// Most bytes of a file before compression.
    pub file_bytes: u64,
    /// How a file is compressed.
    pub compression: Compression,
    /// Files of the export that are shaped at the same time.
    pub workers: usize,
    /// The region of the bucket, if it is not that of the source.
    pub region: Option<String>,
    /// The account that owns the bucket, if it is not that of the source.
    pub owner: Option<String>,
    /// Delete what a failed import left, and import again.
    pub delete_partial: bool,
    /// A later export, to compare with instead of the source.
    pub against: Option<ExportPlace>,
    /// Most mismatches that are named.
    pub limit: usize,
}

/// A split of a table whose writers are stopped.
pub struct OfflineSplit<'a> {
    pub(super) split: &'a Split,
    pub(super) options: &'a OfflineOptions,
    pub(super) bucket: Bucket,
    pub(super) journal: Journal,
    pub(super) stop: &'a CancellationToken,
    pub(super) tell: &'a (dyn Fn(&str) + Sync),
    pub(super) comparison: Option<AtRestResult>,
}

impl OfflineSplit<'_> {
    pub(super) fn record(&self) -> &OfflineRecord {
        &self.journal.record
    }
}

/// What decides how items are shaped: with another plan, the files must be made again.
pub fn plan_identity(plan: &Plan) -> String {
    let services = plan.services.iter();
    // The keys of an index decide which items a table can hold.
    let each =
        services.map(|service| format!("{}={} {:?}", service.name, service.fingerprint, service.indexes));
    let all: Vec<String> = std::iter::once(plan.fingerprint()).chain(each).collect();
    blake3::hash(all.join("\n").as_bytes()).to_hex().to_string()
}

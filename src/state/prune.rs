//! The record of a prune: how far the table was read, and what became of its items.

use super::lease::Lease;
use serde::{Deserialize, Serialize};

/// The prune of one service. The same command continues at its cursors, by any process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PruneRecord {
    /// The service.
    pub service: String,
    /// Which table is pruned.
    #[serde(default)]
    pub side: PruneSide,
    /// The process that works on it.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// Who started this process.
    pub operator: String,
    /// When this pass over the table began, in milliseconds since 1970.
    pub began_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// The segments of the scan. Their number is fixed, because a cursor belongs to its segment and their count.
    pub segments: Vec<PruneSegment>,
    /// What became of the items, in this pass.
    pub counts: PruneCounts,
}

/// Which table is pruned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneSide {
    /// The source: items that the service owned there.
    #[default]
    Source,
    /// The service's own table: copies that are irrelevant.
    Target,
}

/// How far a segment was read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PruneSegment {
    /// The key after which it continues, as DynamoDB JSON; `None` at its beginning.
    pub cursor: Option<String>,
    /// It was read to its end.
    pub done: bool,
}

/// What became of the items.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PruneCounts {
    /// Items that were read.
    pub scanned: u64,
    /// Items that were deleted, or that a dry run would delete.
    pub deleted: u64,
    /// Items of the service that a service needs that is not completed.
    pub shared: u64,
    /// Items of the service whose owner is not clear.
    pub ambiguous: u64,
    /// Items that changed after they were read.
    pub changed: u64,
    /// Items that have too many attributes to be compared, or no room for a mark.
    #[serde(alias = "unfit")]
    pub too_large: u64,
    /// Items that somebody changed at the moment of the delete, and that were put back.
    pub put_back: u64,
    /// Items of the service itself, in its table.
    #[serde(default)]
    pub own: u64,
    /// Items of the service's table that neither belong to it nor are irrelevant.
    #[serde(default)]
    pub kept: u64,
}

impl PruneCounts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.scanned += other.scanned;
        self.deleted += other.deleted;
        self.shared += other.shared;
        self.ambiguous += other.ambiguous;
        self.changed += other.changed;
        self.too_large += other.too_large;
        self.put_back += other.put_back;
        self.own += other.own;
        self.kept += other.kept;
    }
}

impl PruneRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "PRUNE#";
    /// Segments of a prune, read side by side.
    pub const SEGMENTS: u32 = 8;

    /// Name of a service's record. A name of a service holds no `#`.
    #[must_use]
    pub fn record_name(service: &str, side: PruneSide) -> String {
        match side {
            PruneSide::Source => format!("{}{service}", Self::PREFIX),
            PruneSide::Target => format!("{}{service}#target", Self::PREFIX),
        }
    }

    /// A pass over a table that has not begun.
    #[must_use]
    pub fn new(service: &str, side: PruneSide, now_ms: u64) -> Self {
        Self {
            service: service.to_owned(),
            side,
            lease: Lease::unheld(),
            beat: 0,
            operator: String::new(),
            began_ms: now_ms,
            ended_ms: None,
            segments: (0..Self::SEGMENTS).map(|_| PruneSegment::default()).collect(),
            counts: PruneCounts::default(),
        }
    }

    /// Whether some of the table was read.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| segment.done || segment.cursor.is_some())
    }
}

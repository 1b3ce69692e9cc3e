//! The part of a backfill's record for a copy that reads an export instead of the source.

use crate::fault::{Rule, broken};
use serde::{Deserialize, Serialize};

/// A copy that reads an export. The export must be later than the moment at which every worker left tombstones.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ExportCopy {
    /// When every worker had acknowledged that its removals leave tombstones, in milliseconds since 1970 by AWS's clock, rounded up.
    /// They have been on without a break since then, because only a process that finds the copy finished switches them off. `None`:
    /// not yet.
    pub acknowledged_ms: Option<u64>,
    /// The generation of the stream that was read then.
    #[serde(default)]
    pub generation: u32,
    /// The export that `export start` requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestedExport>,
    /// The export that is copied; `None` until `backfill` has found it suitable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<CopiedExport>,
}

/// An export that was requested. Saved before the request is sent, so that a request that is repeated after a crash asks for the same
/// export.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RequestedExport {
    /// The token of the request.
    pub token: String,
    /// When it was made, in milliseconds since 1970 by AWS's clock. A token holds for eight hours.
    pub asked_ms: u64,
    /// The folder that the export goes to: `s3://bucket/prefix/`.
    pub to: String,
    /// The ARN of the export, when DynamoDB has accepted the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

/// The export that is copied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopiedExport {
    /// Its ARN.
    pub arn: String,
    /// The folder of its manifest.
    pub folder: String,
    /// Its export time, in milliseconds since 1970.
    pub export_time_ms: u64,
    /// The MD5 sum of the list of its files, by whose places the segments are numbered.
    pub files_md5: String,
}

/// An export contains every write up to this long before its export time. Of later ones, it may contain any.
pub const UNDEFINED_MS: u64 = 60_000;

impl ExportCopy {
    /// Whether an export with this time contains nothing that was removed before the workers left tombstones, so that no page of it can
    /// bring an item back.
    #[must_use]
    pub fn is_late_enough(&self, export_time_ms: u64) -> bool {
        self.earliest_ms()
            .is_some_and(|earliest| export_time_ms >= earliest)
    }

    /// The earliest time of such an export. `None` if the workers have not acknowledged yet.
    #[must_use]
    pub fn earliest_ms(&self) -> Option<u64> {
        let undefined_ms = if broken(Rule::ExportLate) { 0 } else { UNDEFINED_MS };
        self.acknowledged_ms?.checked_add(undefined_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_undefined_minute_lies_after_the_acknowledgement() {
        let copy = ExportCopy {
            acknowledged_ms: Some(1_000_000),
            ..ExportCopy::default()
        };
        assert!(copy.is_late_enough(1_060_000));
        assert!(
            !copy.is_late_enough(1_059_999),
            "an item that was removed just before may be in it"
        );
        assert!(
            !ExportCopy::default().is_late_enough(u64::MAX),
            "nobody has acknowledged"
        );
    }
}

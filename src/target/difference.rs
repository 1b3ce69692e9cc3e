//! Differences between the plan and a table, settings that `apply` may still add, and settings that an engine leaves
//! out.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One difference between a table and the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The setting: `keys`, `billing`, `global index by-teacher: keys` ...
    pub what: String,
    /// Its value in the plan.
    pub planned: String,
    /// Its value in the table.
    pub actual: String,
}

/// A setting that `apply` adds to a table that exists: it takes nothing away, and a run that was
/// interrupted right after creating the table has left it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// Switch on point-in-time recovery.
    PointInTimeRecovery,
    /// Add these tags.
    Tags(BTreeMap<String, String>),
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PointInTimeRecovery => f.write_str("point-in-time recovery"),
            Self::Tags(tags) => {
                let names: Vec<&str> = tags.keys().map(String::as_str).collect();
                write!(f, "tags {}", names.join(", "))
            }
        }
    }
}

/// The note for an operation that an engine does not have.
pub(super) fn unknown(operation: &str, setting: &str) -> String {
    format!("{setting}: this engine does not have {operation}, so it is left out (AWS has it)")
}

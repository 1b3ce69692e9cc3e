//! The live table as the plan names it, and where the versions of its items come from.

use super::Timestamp;
use crate::model::KeySchema;
use serde::Serialize;

/// The live table.
#[derive(Clone, Debug)]
pub struct Source {
    /// Table name.
    pub table: String,
    /// Its primary key.
    pub keys: KeySchema,
    /// Where it is.
    pub place: Place,
}

/// Where a table is, and as whom it is reached; `None` is what the command runs with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize)]
pub struct Place {
    /// AWS region.
    pub region: Option<String>,
    /// ARN of a role to assume.
    pub role: Option<String>,
}

/// Where an item's version comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// An attribute of the item: `timestamp` mode.
    Timestamp(Timestamp),
    /// The stream's own order: `sequence` mode.
    Sequence,
}

//! The live table in the plan, and the origin of the versions of its items.

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

/// The region of a table, and the role that accesses it; `None` is the default of the command.
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

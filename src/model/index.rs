//! Indexes of a table.

use super::KeySchema;

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFacts {
    /// Its name.
    pub name: String,
    /// Its key.
    pub keys: KeySchema,
    /// What it contains.
    pub projected: Projected,
    /// A local index shares the partition key of the table.
    pub local: bool,
}

/// What an index contains beside the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projected {
    /// Everything.
    All,
    /// Nothing.
    Keys,
    /// Some attributes.
    These(Vec<String>),
}

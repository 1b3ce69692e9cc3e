//! The split plan: the file, its check, and the checked form that everything else runs on.

pub mod either;
pub mod expr;
pub mod spec;

use crate::model::KeySchema;

/// The keys of one secondary index of a target table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKeys {
    /// Index name.
    pub name: String,
    /// Its key attributes; a local index repeats the table's partition key.
    pub keys: KeySchema,
    /// Whether it is a local secondary index.
    pub local: bool,
}

//! Errors of the state table.

use crate::dynamo::Failure;

/// Errors of the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process wrote the record first.
    #[error("another process changed the state record '{record}': run the command again")]
    Conflict {
        /// Name of the record.
        record: String,
    },
    /// A record that this version can't read.
    #[error(
        "this version of dynasplit can't read the state record '{record}' in the table {table}: {cause}. \
         Use the version that wrote it"
    )]
    Unreadable {
        /// The state table.
        table: String,
        /// Name of the record.
        record: String,
        /// Why.
        cause: String,
    },
    /// A record is damaged.
    #[error("the state record '{record}' in the table {table} is damaged: {cause}; {cure}")]
    Damaged {
        /// The state table.
        table: String,
        /// Name of the record.
        record: String,
        /// The damage.
        cause: String,
        /// How a person can fix it.
        cure: String,
    },
    /// The split was never applied.
    #[error("the split has no state yet (table {table}): run `dynasplit apply` first")]
    NotApplied {
        /// The state table.
        table: String,
    },
    /// The split's state was read before, and is not there any more.
    #[error(
        "the state table {table} was deleted while the command ran, so nothing more can be saved. Restore \
         the table from a backup under the same name, and run the command again. Without a backup, start \
         the split again: write `may-hold-items: true` in the plan for each table of a service, and run \
         `dynasplit apply`"
    )]
    Gone {
        /// The state table.
        table: String,
    },
    /// The table exists, and stays unusable.
    #[error("the state table {table} is {status}: wait until it is ACTIVE, then run the command again")]
    Unusable {
        /// The state table.
        table: String,
        /// Its status.
        status: String,
    },
    /// A request failed.
    #[error(transparent)]
    Request(#[from] Failure),
}

impl StateError {
    /// Whether the state of the split is gone: no command can continue, and none can save anything.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::NotApplied { .. })
    }
}

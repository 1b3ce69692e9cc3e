use crate::dynamo::Failure;

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else wrote the record first.
    #[error("the state record '{record}' was changed by another process")]
    Conflict {
        /// Name of the record.
        record: String,
    },
    /// A record that this version can't read.
    #[error(
        "the state record '{record}' in table {table} can't be read: {cause}; use the version of dynasplit that wrote it"
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
    #[error("the state record '{record}' in table {table} is damaged: {cause}; {cure}")]
    Damaged {
        /// The state table.
        table: String,
        /// Name of the record.
        record: String,
        /// What is wrong with it.
        cause: String,
        /// What can be done.
        cure: String,
    },
    /// The split was never applied.
    #[error("there is no state for this split (table {table}): run `dynasplit apply` first")]
    NotApplied {
        /// The state table.
        table: String,
    },
    /// The split's state was read before, and is not there any more.
    #[error(
        "the state of this split (table {table}) was deleted while the command ran, so nothing more can be saved. Restore \
         the table from a backup under the same name, and run the command again. Without a backup, begin the split \
         anew: say `may-hold-items: true` in the plan for each table that was split into, and run `dynasplit apply`"
    )]
    Gone {
        /// The state table.
        table: String,
    },
    /// The table is there, and stays as it is.
    #[error("the state table {table} is {status}: see to it that it is ACTIVE, and run the command again")]
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
    /// Whether the split has no state any more: no command can go on, and none can save anything.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::NotApplied { .. })
    }
}

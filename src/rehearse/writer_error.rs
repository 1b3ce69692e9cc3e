//! Why the live writers stop by themselves.

use super::generate::GenerateError;

/// Why the live writers stopped by themselves.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// An item could not be made.
    #[error(transparent)]
    Item(#[from] GenerateError),
    /// A write did not land.
    #[error(
        "a live writer cannot {operation} '{key}' in the table '{table}' (attempt {sends}): {reason}; the \
         rehearsal proves nothing without this write, so fix the cause and rehearse again"
    )]
    Write {
        /// The API's operation.
        operation: &'static str,
        /// Key of the item.
        key: String,
        /// The table.
        table: String,
        /// How often it was sent.
        sends: u32,
        /// The last answer.
        reason: String,
    },
    /// A task came to grief.
    #[error("a live writer ended unexpectedly: {0}; this is a bug in dynasplit, please report it")]
    Task(#[from] tokio::task::JoinError),
}

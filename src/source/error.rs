//! Reasons why the source table cannot be used.

use crate::dynamo::{Failure, FailureKind, TableCallError};
use thiserror::Error;

/// Why the source table cannot be used.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The table does not exist in the region and account of the client.
    #[error(
        "the source table `{table}` was not found: check its name in the plan (source.table), the region and the account"
    )]
    Missing {
        /// Table name.
        table: String,
    },
    /// The stream is on, but does not carry both images.
    #[error(
        "the stream of `{table}` is on with the view {view}, and a split needs NEW_AND_OLD_IMAGES. It was not changed, because \
         others may read it ({arn}). Ask the owners of its readers. If they agree, disable the stream, let its readers finish \
         (it keeps its records for 24 hours), and run `dynasplit apply` again: it enables the stream with another ARN, which \
         the readers then need"
    )]
    WrongView {
        /// Table name.
        table: String,
        /// ARN of the stream.
        arn: String,
        /// Its view type.
        view: String,
    },
    /// The plan names another primary key.
    #[error(
        "the source table `{table}` has the key {actual}, and the plan says {planned}: correct source.keys in the plan"
    )]
    OtherKeys {
        /// Table name.
        table: String,
        /// The key in the plan.
        planned: String,
        /// The key of the table.
        actual: String,
    },
    /// The status of the table allows no work with it.
    #[error("the source table `{table}` is {status}: wait until it is ACTIVE, then run the command again")]
    Unusable {
        /// Table name.
        table: String,
        /// Its status.
        status: String,
    },
    /// The stream was not ready in time.
    #[error(
        "the stream of the source table `{table}` was not ready after {waited_s} s (the table is {status}): run the command \
         again, which continues to wait"
    )]
    TimedOut {
        /// Table name.
        table: String,
        /// The table's status when last seen.
        status: String,
        /// How long the command waited, in seconds.
        waited_s: u64,
    },
    /// A call failed.
    #[error(transparent)]
    Call(TableCallError),
}

impl SourceError {
    /// A failed call about the source table.
    pub(super) fn of(failure: Failure, table: &str) -> Self {
        match failure.kind {
            FailureKind::Missing => Self::Missing {
                table: table.to_owned(),
            },
            _ => failure.into(),
        }
    }
}

impl From<Failure> for SourceError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure.into())
    }
}

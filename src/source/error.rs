use super::refusal::Refusal;
use crate::dynamo::Failure;
use thiserror::Error;

/// Why the source table cannot be used.
#[derive(Debug, Error)]
pub enum SourceError {
    /// No such table where the client looks.
    #[error(
        "the source table `{table}` was not found; check its name in the plan (source.table), the region \
         and the account"
    )]
    Missing {
        /// Table name.
        table: String,
    },
    /// The caller lacks a permission.
    #[error(
        "not allowed: {action} on {resource}; grant it to the caller and run the command again ({message})"
    )]
    Denied {
        /// The IAM action.
        action: String,
        /// What it is missing for.
        resource: String,
        /// What the service said.
        message: String,
    },
    /// The stream is on, but does not carry both images.
    #[error(
        "the stream of `{table}` is on with the view {view}, and a split needs NEW_AND_OLD_IMAGES; it is left \
         as it is, since others may be reading it ({arn}). Ask its readers' owners; when they agree, disable \
         it, let them finish what it still holds (24 hours), and run `dynasplit apply` again: that enables \
         it anew under another ARN, which its readers must then be given"
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
        "the source table `{table}` has the key {actual}, and the plan says {planned}; correct source.keys \
         in the plan"
    )]
    OtherKeys {
        /// Table name.
        table: String,
        /// The key in the plan.
        planned: String,
        /// The key of the table.
        actual: String,
    },
    /// The table is in a state in which nothing can be done with it.
    #[error(
        "the source table `{table}` is {status} and must be ACTIVE; see what is happening to it, then run \
         the command again"
    )]
    Unusable {
        /// Table name.
        table: String,
        /// Its status.
        status: String,
    },
    /// The stream did not come up in time.
    #[error(
        "the stream of `{table}` was not ready after {waited_s} s (the table is {status}); it may still \
         come: run the command again"
    )]
    TimedOut {
        /// Table name.
        table: String,
        /// The table's status when last seen.
        status: String,
        /// How long it was waited for, in seconds.
        waited_s: u64,
    },
    /// The request failed.
    #[error(transparent)]
    Request(#[from] Failure),
    /// An answer, or a request, that makes no sense.
    #[error("{operation} of the source table `{table}` failed: {}", said(.code, .message))]
    Engine {
        /// The operation.
        operation: String,
        /// Table name.
        table: String,
        /// The service's code; empty where the service was not reached.
        code: String,
        /// What the service or the client said.
        message: String,
    },
}

/// `code: message`, or whichever there is.
pub(crate) fn said(code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => "no reason was given".to_owned(),
        ("", text) | (text, "") => text.to_owned(),
        (code, message) => format!("{code}: {message}"),
    }
}

impl SourceError {
    /// A refusal of `operation`, told of the source table.
    pub(super) fn from_refusal(refusal: Refusal, operation: &str, table: &str) -> Self {
        let table = table.to_owned();
        let engine = |code: &str, message: String| Self::Engine {
            operation: operation.to_owned(),
            table: table.clone(),
            code: code.to_owned(),
            message,
        };
        match refusal {
            Refusal::Missing => Self::Missing { table },
            Refusal::Denied {
                action,
                resource,
                message,
            } => Self::Denied {
                action,
                resource,
                message,
            },
            Refusal::InUse => engine(
                "ResourceInUseException",
                "somebody is changing the table; try again".into(),
            ),
            Refusal::Limit => engine(
                "LimitExceededException",
                "too many tables are being changed; try again".into(),
            ),
            Refusal::UnknownOperation => engine(
                "UnknownOperationException",
                "this engine does not have the operation".into(),
            ),
            Refusal::Other(failure) => Self::Request(failure),
        }
    }
}

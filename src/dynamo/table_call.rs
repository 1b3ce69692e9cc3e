//! Calls about tables and streams: how they are sent, and what a person reads if one is refused. [`Failure`]
//! classifies their errors, as it does for items.

use super::failure::ROLE_DENIED;
use super::{Failure, FailureKind, retry_transient};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// A call about a table that the engine did not carry out.
#[derive(Debug, thiserror::Error)]
pub enum TableCallError {
    /// The caller lacks a permission.
    #[error(
        "not allowed: {action} on {resource}; allow it to the role or user that runs dynasplit, and run the command again ({message})"
    )]
    Denied {
        /// The IAM action.
        action: String,
        /// The resource that the action is missing for.
        resource: String,
        /// The message of the service.
        message: String,
    },
    /// The engine cannot carry the call out now, or at all.
    #[error("{failure}; {next}")]
    Refused {
        /// The call and the answer.
        failure: Box<Failure>,
        /// The next step.
        next: &'static str,
    },
    /// The request failed.
    #[error(transparent)]
    Request(Failure),
}

impl From<Failure> for TableCallError {
    fn from(failure: Failure) -> Self {
        let next = match failure.kind {
            FailureKind::Denied if failure.code != ROLE_DENIED => {
                let (action, resource) = failure.denied();
                return Self::Denied {
                    action: action.to_owned(),
                    resource: resource.to_owned(),
                    message: failure.message,
                };
            }
            FailureKind::InUse => {
                "another process is changing the table: wait until it ends, and run the command again"
            }
            FailureKind::Throttled(_) if failure.is_limit_of_changes() => {
                "too many tables of this account are being changed: wait until that ends, and run the command again"
            }
            FailureKind::Unsupported => "this engine does not have the operation: use another engine",
            FailureKind::Unknown if failure.code == UNUSABLE => {
                "dynasplit cannot use this engine: report its name and its version"
            }
            _ => return Self::Request(failure),
        };
        Self::Refused {
            failure: Box::new(failure),
            next,
        }
    }
}

/// No engine that behaves as DynamoDB causes this: a request that cannot be built, or an answer without a mandatory part.
const UNUSABLE: &str = "Unusable";

impl Failure {
    /// A request that cannot be built, or an answer without a mandatory part.
    pub(crate) fn unusable(action: &'static str, table: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            kind: FailureKind::Unknown,
            action: action.into(),
            resource: table.to_owned(),
            code: UNUSABLE.to_owned(),
            message: reason.to_string(),
        }
    }

    /// Whether the account changes as many tables at once as it may. The caller knows how long to wait.
    pub(crate) fn is_limit_of_changes(&self) -> bool {
        self.code == "LimitExceededException"
    }
}

/// Sends a call about a table until it is answered, as long as [`retry_transient`] does. `action` is the IAM action.
pub(crate) async fn call_table<T, E, R, A>(
    action: &'static str,
    resource: &str,
    send: impl Fn() -> A,
) -> Result<T, Failure>
where
    A: Future<Output = Result<T, SdkError<E, R>>>,
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let sent = retry_transient(|| async {
        let sent = Box::pin(send()).await;
        match sent.map_err(|error| Failure::of(action, resource, &error)) {
            Err(failure) if failure.passes() && !failure.is_limit_of_changes() => Err(failure),
            answered => Ok(answered),
        }
    });
    sent.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: FailureKind, code: &str, message: &str) -> TableCallError {
        let failure = Failure {
            kind,
            action: "dynamodb:CreateTable".into(),
            resource: "Courses".into(),
            code: code.into(),
            message: message.into(),
        };
        failure.into()
    }

    #[test]
    fn a_denial_names_what_iam_names() {
        let message = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: \
            dynamodb:TagResource on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/Courses \
            because no identity-based policy allows the dynamodb:TagResource action";
        let denied = refused(FailureKind::Denied, "AccessDeniedException", message);
        let TableCallError::Denied { action, resource, .. } = denied else {
            panic!("not a denial")
        };
        assert_eq!(action, "dynamodb:TagResource");
        assert_eq!(resource, "arn:aws:dynamodb:eu-west-1:111122223333:table/Courses");
    }

    #[test]
    fn a_denial_without_words_names_the_call() {
        let denied = refused(FailureKind::Denied, "AccessDeniedException", "");
        let TableCallError::Denied { action, resource, .. } = denied else {
            panic!("not a denial")
        };
        assert_eq!(
            (action.as_str(), resource.as_str()),
            ("dynamodb:CreateTable", "Courses")
        );
    }

    #[test]
    fn what_is_refused_names_the_call_the_table_and_the_next_step() {
        for (kind, code, next) in [
            (FailureKind::InUse, "ResourceInUseException", "another process"),
            (
                FailureKind::Throttled(vec![]),
                "LimitExceededException",
                "too many tables",
            ),
            (
                FailureKind::Unsupported,
                "UnknownOperationException",
                "this engine",
            ),
        ] {
            let told = refused(kind, code, "no").to_string();
            let expected = format!("dynamodb:CreateTable on Courses failed: {code}: no; {next}");
            assert!(told.starts_with(&expected), "{told}");
        }
        let busy = refused(FailureKind::Throttled(vec![]), "ThrottlingException", "slow down");
        assert!(matches!(busy, TableCallError::Request(_)), "{busy}");
    }
}

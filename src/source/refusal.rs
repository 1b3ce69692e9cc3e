//! Control-plane calls: how they are sent, and what an engine's refusal of one means.

use crate::dynamo::{Failure, retry_transient, word_after};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// A call that the engine did not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The table is not there.
    Missing,
    /// The table is there already, or is being changed by somebody.
    InUse,
    /// Too many tables or indexes are being changed in this account; it passes.
    Limit,
    /// The caller may not do this.
    Denied {
        /// The IAM action that is missing.
        action: String,
        /// What it is missing for.
        resource: String,
        /// What the engine said.
        message: String,
    },
    /// The engine does not have this operation. AWS has them all; emulators do not.
    UnknownOperation,
    /// Anything else.
    Other(Failure),
}

/// Sends a control-plane call until it is answered, as long as [`retry_transient`] does; `operation` and `resource` are what is
/// asked, for refusals that don't say. Of too many tables at once, the caller knows how long to wait.
pub(crate) async fn asked<T, E, R, A>(
    operation: &'static str,
    resource: &str,
    send: impl Fn() -> A,
) -> Result<T, Refusal>
where
    A: Future<Output = Result<T, SdkError<E, R>>>,
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let sent = retry_transient(|| async {
        match Box::pin(send()).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) => match refusal(&error, operation, resource) {
                Refusal::Other(failure) if failure.passes() => Err(failure),
                refused => Ok(Err(refused)),
            },
        }
    });
    sent.await.unwrap_or_else(|failure| Err(Refusal::Other(failure)))
}

/// Reads an SDK error. `operation` and `resource` are what was asked, for refusals that don't say.
pub(crate) fn refusal<E, R>(error: &SdkError<E, R>, operation: &str, resource: &str) -> Refusal
where
    E: ProvideErrorMetadata + Error + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let other = || Refusal::Other(Failure::of(format!("dynamodb:{operation}"), resource, error));
    let Some(code) = error.code() else {
        return other();
    };
    let message = error.message().unwrap_or_default();
    match code {
        "ResourceNotFoundException" | "TableNotFoundException" => Refusal::Missing,
        "ResourceInUseException" | "TableInUseException" => Refusal::InUse,
        "LimitExceededException" => Refusal::Limit,
        "UnknownOperationException" => Refusal::UnknownOperation,
        code if code.contains("AccessDenied") => denied(message, operation, resource),
        _ => other(),
    }
}

/// IAM's message names the action and the resource, which may be others than those of the call:
/// creating a table with tags needs `dynamodb:TagResource`, too.
fn denied(message: &str, operation: &str, resource: &str) -> Refusal {
    Refusal::Denied {
        action: word_after(message, "to perform: ")
            .map_or_else(|| format!("dynamodb:{operation}"), str::to_owned),
        resource: word_after(message, "on resource: ")
            .unwrap_or(resource)
            .to_owned(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_what_iam_names() {
        let message = "User: arn:aws:iam::111122223333:user/ann is not authorized to perform: \
            dynamodb:TagResource on resource: arn:aws:dynamodb:eu-west-1:111122223333:table/Courses \
            because no identity-based policy allows the dynamodb:TagResource action";
        let Refusal::Denied { action, resource, .. } = denied(message, "CreateTable", "Courses") else {
            panic!("not a denial")
        };
        assert_eq!(action, "dynamodb:TagResource");
        assert_eq!(resource, "arn:aws:dynamodb:eu-west-1:111122223333:table/Courses");
    }

    #[test]
    fn a_denial_without_words_names_the_call() {
        let Refusal::Denied { action, resource, .. } = denied("", "CreateTable", "Courses") else {
            panic!("not a denial")
        };
        assert_eq!(
            (action.as_str(), resource.as_str()),
            ("dynamodb:CreateTable", "Courses")
        );
    }
}

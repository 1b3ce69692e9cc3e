use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::error::{
    ProvisionedThroughputExceededException, RequestLimitExceeded, ThrottlingException,
};
use std::error::Error;
use std::fmt;

/// What went wrong with a request, in the terms that decide what happens next.
///
/// This is the one place where errors of the service are read. Its default is to stop and tell:
/// what is not known to pass by itself is never retried in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Throttled; the reasons as the service names them, with the resource, where it does
    /// ([diagnosing throttling](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html)).
    Throttled(Vec<String>),
    /// Passes by itself: server errors, time-outs, connections. The request may have taken effect.
    Transient,
    /// The condition of a write was false.
    Condition,
    /// The table, stream or shard does not exist.
    Missing,
    /// It exists already, or is being changed.
    InUse,
    /// Not permitted to this caller.
    Denied,
    /// Credentials are missing, expired or wrong.
    Credentials,
    /// The request can never be right: the service refused its contents.
    Invalid,
    /// The stream position is older than what the stream keeps.
    Trimmed,
    /// The shard iterator is older than 15 minutes.
    ExpiredIterator,
    /// The engine does not know the operation (emulators).
    Unsupported,
    /// Anything else.
    Unknown,
}

/// A failed request: its kind, and what to tell a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What decides.
    pub kind: FailureKind,
    /// The operation, as IAM names it: `dynamodb:PutItem`.
    pub action: &'static str,
    /// The table, stream or index that it was for.
    pub resource: String,
    /// The service's error code, or a word of ours.
    pub code: String,
    /// The service's message. Shown to people; never holds an item's values.
    pub message: String,
}

impl Failure {
    /// Reads an SDK error.
    pub fn of<E, R>(action: &'static str, resource: impl Into<String>, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        let text = error.message().unwrap_or_default().to_owned();
        let (kind, message) = match error {
            SdkError::ServiceError(_) => (Self::kind(&code, || throttling_reasons(error)), text),
            SdkError::TimeoutError(_) => (FailureKind::Transient, "no answer in time".into()),
            SdkError::DispatchFailure(dispatch) => Self::of_dispatch(dispatch.is_user(), error),
            SdkError::ResponseError(_) => (FailureKind::Transient, context(error)),
            _ => (FailureKind::Unknown, context(error)),
        };
        let code = if code.is_empty() {
            Self::word(error).to_owned()
        } else {
            code
        };
        Self {
            kind,
            action,
            resource: resource.into(),
            code,
            message,
        }
    }

    fn of_dispatch<E, R>(user: bool, error: &SdkError<E, R>) -> (FailureKind, String)
    where
        E: Error + 'static,
        R: fmt::Debug,
    {
        let message = context(error);
        let lower = message.to_lowercase();
        if lower.contains("credential") || lower.contains("token") && lower.contains("expired") {
            (FailureKind::Credentials, message)
        } else if user {
            (FailureKind::Unknown, message)
        } else {
            (FailureKind::Transient, message)
        }
    }

    fn word<E, R>(error: &SdkError<E, R>) -> &'static str {
        match error {
            SdkError::TimeoutError(_) => "TimedOut",
            SdkError::DispatchFailure(_) => "ConnectionFailed",
            SdkError::ResponseError(_) => "UnreadableResponse",
            SdkError::ConstructionFailure(_) => "RequestNotBuilt",
            _ => "Unknown",
        }
    }

    fn kind(code: &str, reasons: impl FnOnce() -> Vec<String>) -> FailureKind {
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "LimitExceededException" => FailureKind::Throttled(reasons()),
            "InternalServerError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "ServiceUnavailableException"
            | "TransactionConflictException"
            | "ReplicatedWriteConflictException"
            | "TransactionInProgressException"
            | "RequestTimeout"
            | "InternalError" => FailureKind::Transient,
            "ConditionalCheckFailedException" => FailureKind::Condition,
            "ResourceNotFoundException" | "TableNotFoundException" => FailureKind::Missing,
            "ResourceInUseException" | "TableAlreadyExistsException" | "TableInUseException" => {
                FailureKind::InUse
            }
            "AccessDeniedException" | "AccessDenied" => FailureKind::Denied,
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId"
            | "SignatureDoesNotMatch" => FailureKind::Credentials,
            "ValidationException" | "SerializationException" | "ItemCollectionSizeLimitExceededException" => {
                FailureKind::Invalid
            }
            "TrimmedDataAccessException" => FailureKind::Trimmed,
            "ExpiredIteratorException" => FailureKind::ExpiredIterator,
            "UnknownOperationException" => FailureKind::Unsupported,
            _ => FailureKind::Unknown,
        }
    }

    /// Whether the same request may be sent again, since the cause passes by itself.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self.kind, FailureKind::Throttled(_) | FailureKind::Transient)
    }

    /// In a few words, for a status line: the throttling reason where there is one.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.kind {
            FailureKind::Throttled(reasons) if !reasons.is_empty() => {
                format!("throttled: {}", reasons.join(", "))
            }
            FailureKind::Throttled(_) => format!("throttled: {}", self.code),
            _ => format!("{}: {} on {}", self.code, self.action, self.resource),
        }
    }

    /// What to do next, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self.kind {
            FailureKind::Denied => format!(
                "allow {} on {} for the role or user that runs dynasplit",
                self.action, self.resource
            ),
            FailureKind::Credentials => {
                "check the credentials (aws sts get-caller-identity), --profile and the AWS_* variables"
                    .into()
            }
            FailureKind::Missing => {
                format!(
                    "check that {} exists in this region and account (--region, --profile)",
                    self.resource
                )
            }
            FailureKind::Transient if self.code == "ConnectionFailed" => {
                "check the network, --region and --endpoint-url".into()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} failed: {}", self.action, self.resource, self.code)?;
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl Error for Failure {}

fn context<E, R>(error: &SdkError<E, R>) -> String
where
    E: Error + 'static,
    R: fmt::Debug,
{
    DisplayErrorContext(error).to_string()
}

/// The reasons that the service gives for throttling: `TableWriteKeyRangeThroughputExceeded (arn...)`.
fn throttling_reasons(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut current = Some(error);
    while let Some(cause) = current {
        let reasons = cause
            .downcast_ref::<ProvisionedThroughputExceededException>()
            .map(ProvisionedThroughputExceededException::throttling_reasons)
            .or_else(|| {
                cause
                    .downcast_ref::<ThrottlingException>()
                    .map(ThrottlingException::throttling_reasons)
            })
            .or_else(|| {
                cause
                    .downcast_ref::<RequestLimitExceeded>()
                    .map(RequestLimitExceeded::throttling_reasons)
            });
        if let Some(reasons) = reasons {
            return reasons
                .iter()
                .map(|r| match r.resource() {
                    Some(resource) => format!("{} ({resource})", r.reason().unwrap_or("unnamed")),
                    None => r.reason().unwrap_or("unnamed").to_owned(),
                })
                .collect();
        }
        current = cause.source();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_retried() {
        for code in ["", "SomethingNew", "ValidationException", "AccessDeniedException"] {
            let kind = Failure::kind(code, Vec::new);
            assert!(
                !matches!(kind, FailureKind::Throttled(_) | FailureKind::Transient),
                "{code}"
            );
        }
        assert_eq!(
            Failure::kind("InternalServerError", Vec::new),
            FailureKind::Transient
        );
        assert_eq!(
            Failure::kind("ThrottlingException", || vec!["X".into()]),
            FailureKind::Throttled(vec!["X".into()])
        );
    }
}

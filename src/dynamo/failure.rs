//! The one reading of AWS's errors: it decides whether a request is repeated, and what the user is told.

use super::causes::{Broken, broken, causes, chain};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::error::{
    ProvisionedThroughputExceededException, RequestLimitExceeded, ThrottlingException,
};
use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// The kind of failure of a request, which decides the next step.
///
/// This is the one place where errors of the service are read. Its default is to stop and report: a failure that is
/// not known to be temporary is never retried silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Throttled; the reasons as the service names them, with the resource if there is one ([diagnosing
    /// throttling](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-diagnosing.html)).
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
    /// The stream no longer keeps the position.
    Trimmed,
    /// The shard iterator is older than 15 minutes.
    ExpiredIterator,
    /// The engine does not know the operation (emulators).
    Unsupported,
    /// Anything else.
    Unknown,
}

impl From<crate::fault::Lost> for Failure {
    /// Treats it as a request that was sent and never answered: it is unknown whether it took effect.
    fn from(lost: crate::fault::Lost) -> Self {
        Self {
            kind: FailureKind::Transient,
            action: "a request".into(),
            resource: "(failpoint)".to_owned(),
            code: TIMED_OUT.to_owned(),
            message: lost.to_string(),
        }
    }
}

/// A failed request: its kind, and its description for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind, which decides the next step.
    pub kind: FailureKind,
    /// The operation, as IAM names it: `dynamodb:PutItem`.
    pub action: Cow<'static, str>,
    /// The table, stream or index that it was for.
    pub resource: String,
    /// The service's error code, or a word of ours.
    pub code: String,
    /// The service's message. Shown to people; never holds an item's values.
    pub message: String,
}

impl Failure {
    /// Reads an SDK error.
    pub fn of<E, R>(
        action: impl Into<Cow<'static, str>>,
        resource: impl Into<String>,
        error: &SdkError<E, R>,
    ) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        let (kind, code, message) = match error {
            SdkError::ServiceError(_) => Self::of_service(error),
            SdkError::TimeoutError(_) => (
                FailureKind::Transient,
                TIMED_OUT.into(),
                "no answer in time".into(),
            ),
            SdkError::DispatchFailure(dispatch) => Self::of_dispatch(dispatch.is_user(), error),
            SdkError::ResponseError(_) => {
                let message = causes(error, "the answer cannot be read");
                (FailureKind::Transient, "UnreadableResponse".into(), message)
            }
            SdkError::ConstructionFailure(_) => {
                let message = causes(error, "the request could not be built");
                (FailureKind::Unknown, "RequestNotBuilt".into(), message)
            }
            _ => (
                FailureKind::Unknown,
                "Unknown".into(),
                causes(error, "the request failed"),
            ),
        };
        Self {
            kind,
            action: action.into(),
            resource: resource.into(),
            code,
            message,
        }
    }

    fn of_service<E, R>(error: &SdkError<E, R>) -> (FailureKind, String, String)
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + 'static,
    {
        let message = error.message().unwrap_or_default().to_owned();
        if let Some(code) = error.code() {
            let kind = Self::kind(code, || throttling_reasons(error));
            return (kind, code.to_owned(), message);
        }
        // Something between us and the service answered: a proxy, a load balancer, another kind of server.
        let status = error
            .raw_response()
            .and_then(|raw| (raw as &dyn Any).downcast_ref::<HttpResponse>())
            .map(|response| response.status());
        match status {
            Some(status) if status.is_server_error() => (
                FailureKind::Transient,
                format!("HTTP {status}"),
                "a server in between failed".into(),
            ),
            Some(status) if status.is_success() => {
                let message = causes(error, "the answer cannot be read");
                (FailureKind::Unknown, "UnreadableResponse".into(), message)
            }
            Some(status) => (
                FailureKind::Unknown,
                format!("HTTP {status}"),
                NOT_DYNAMODB.into(),
            ),
            None => (FailureKind::Unknown, "Unknown".into(), message),
        }
    }

    fn of_dispatch(user: bool, error: &(dyn Error + 'static)) -> (FailureKind, String, String) {
        let lower = chain(error).join(" ").to_lowercase();
        let is_about_credentials =
            lower.contains("credential") || lower.contains("token") && lower.contains("expired");
        if lower.contains("is not authorized to perform") {
            // A role that may not be assumed.
            let message = causes(error, "the role may not be assumed");
            return (FailureKind::Denied, ROLE_DENIED.into(), message);
        }
        match broken(error) {
            Broken::Certificate(message) => (FailureKind::Unknown, BAD_CERTIFICATE.into(), message),
            Broken::Other(message) if is_about_credentials => {
                (FailureKind::Credentials, NO_CREDENTIALS.into(), message)
            }
            Broken::Other(message) if user => (FailureKind::Unknown, NOT_CONNECTED.into(), message),
            Broken::Other(message) => (FailureKind::Transient, NOT_CONNECTED.into(), message),
        }
    }

    /// Of a question that was given up, since no answer came.
    pub(crate) fn timed_out_asking(action: &'static str, resource: &str) -> Self {
        Self {
            kind: FailureKind::Transient,
            action: action.into(),
            resource: resource.to_owned(),
            code: TIMED_OUT.into(),
            message: "no answer in time".into(),
        }
    }

    /// Of a request that could not be built.
    pub(crate) fn unbuilt(action: &'static str, resource: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            kind: FailureKind::Unknown,
            action: action.into(),
            resource: resource.to_owned(),
            code: "RequestNotBuilt".into(),
            message: causes(error, "the request could not be built"),
        }
    }

    /// Of an answer that lacks what it must have.
    pub(crate) fn unreadable(action: &'static str, resource: &str, message: &str) -> Self {
        Self {
            kind: FailureKind::Unknown,
            action: action.into(),
            resource: resource.to_owned(),
            code: "UnreadableResponse".into(),
            message: message.to_owned(),
        }
    }

    /// Of an answer whose end did not come.
    pub(crate) fn cut_off(action: &'static str, resource: &str, error: &(dyn Error + 'static)) -> Self {
        Self {
            kind: FailureKind::Transient,
            action: action.into(),
            resource: resource.to_owned(),
            code: NOT_CONNECTED.into(),
            message: causes(error, "the answer was cut off"),
        }
    }

    fn kind(code: &str, reasons: impl FnOnce() -> Vec<String>) -> FailureKind {
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "SlowDown"
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
            "ResourceNotFoundException"
            | "TableNotFoundException"
            | "ExportNotFoundException"
            | "NoSuchBucket"
            | "NoSuchKey" => FailureKind::Missing,
            "ResourceInUseException" | "TableAlreadyExistsException" | "TableInUseException" => {
                FailureKind::InUse
            }
            code if code.contains("AccessDenied") => FailureKind::Denied,
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "RequestTimeTooSkewed"
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

    /// Whether the same request may be repeated, because the cause is temporary.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self.kind, FailureKind::Throttled(_) | FailureKind::Transient)
    }

    /// Whether no answer came in time.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.code == TIMED_OUT
    }

    /// A few words for a status line: the throttling reason if there is one.
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

    /// The next step, if it is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self.kind {
            FailureKind::Denied => {
                let (action, resource) = self.denied();
                format!("allow {action} on {resource} to the role or user that runs dynasplit")
            }
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
            FailureKind::Throttled(_) => {
                "all attempts were throttled: wait until the throttling is over, or raise the limit".into()
            }
            FailureKind::Transient if self.code.starts_with("HTTP ") => {
                "try again later; if it remains, check what answers there (--endpoint-url)".into()
            }
            _ if self.code == BAD_CERTIFICATE => {
                "name a PEM file with the certificate of the authority that signed it in AWS_CA_BUNDLE (a proxy has its \
                 own), or check the clock and the endpoint's host name"
                    .into()
            }
            _ if self.is_unreachable() => "check the network, --region and --endpoint-url".into(),
            _ => return None,
        })
    }

    /// The action and the resource that a permission is missing for. IAM's message names them, which may be others than those of
    /// the request: creating a table with tags needs `dynamodb:TagResource`, too.
    pub(crate) fn denied(&self) -> (&str, &str) {
        (
            word_after(&self.message, "to perform: ").unwrap_or(&self.action),
            word_after(&self.message, "on resource: ").unwrap_or(&self.resource),
        )
    }

    /// Whether the server's certificate was not accepted.
    #[must_use]
    pub fn is_about_certificate(&self) -> bool {
        self.code == BAD_CERTIFICATE
    }

    /// Whether it does not even show that DynamoDB is there: nothing answered, or something in between did.
    pub(super) fn says_nothing(&self) -> bool {
        self.is_unreachable() || self.is_about_certificate() || self.code.starts_with("HTTP ")
    }

    /// Whether the answer came from something that is not DynamoDB.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.code.as_str(), NOT_CONNECTED | TIMED_OUT) || self.message == NOT_DYNAMODB
    }
}

/// Nothing was sent, for lack of credentials.
pub(crate) const NO_CREDENTIALS: &str = "NoCredentials";
/// A role may not be assumed, so nothing was sent. (DynamoDB itself says `AccessDeniedException`.)
pub(super) const ROLE_DENIED: &str = "AccessDenied";
/// No answer came in time.
const TIMED_OUT: &str = "TimedOut";
/// No connection.
const NOT_CONNECTED: &str = "ConnectionFailed";
/// The server's certificate is not accepted.
const BAD_CERTIFICATE: &str = "CertificateNotAccepted";
const NOT_DYNAMODB: &str = "the server there is not DynamoDB";

/// The word that follows a mark in a message of IAM.
fn word_after<'a>(message: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &message[message.find(mark)? + mark.len()..];
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches([',', '.', '"', '}']))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == NO_CREDENTIALS {
            write!(
                f,
                "no usable AWS credentials for {} on {}",
                self.action, self.resource
            )?;
        } else {
            write!(f, "{} on {} failed: {}", self.action, self.resource, self.code)?;
        }
        if self.message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.message)
        }
    }
}

impl Error for Failure {}

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

//! Sends the rehearsal's own writes until they land or cannot.

use crate::dynamo::Failure;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use rand::Rng as _;
use std::error::Error;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sends of one request, the SDK's own attempts within each not counted. With the waits below, some 20
/// seconds: an engine on this machine that does not answer by then will not.
pub(super) const MAX_SENDS: u32 = 10;
const FIRST_WAIT_MS: u64 = 50;
const LONGEST_WAIT_MS: u64 = 5_000;

/// Why a request did not land.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// How often it was sent.
    pub sends: u32,
    /// The last answer.
    pub reason: String,
}

/// Sends a request until it succeeds, or fails in a way that sending again does not fix. Each repetition
/// is counted.
pub(super) async fn until_landed<T, E, F>(retries: &AtomicU64, send: impl FnMut() -> F) -> Result<T, Refusal>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    with_waits(wait_before, retries, send).await
}

async fn with_waits<T, E, F>(
    wait_before: impl Fn(u32) -> Duration,
    retries: &AtomicU64,
    mut send: impl FnMut() -> F,
) -> Result<T, Refusal>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut sends = 0;
    loop {
        sends += 1;
        // Boxed: an SDK call is a future of many kilobytes.
        match Box::pin(send()).await {
            Ok(answer) => return Ok(answer),
            Err(error) if sends < MAX_SENDS && is_passing(&error) => {
                retries.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(wait_before(sends)).await;
            }
            Err(error) => {
                return Err(Refusal {
                    sends,
                    reason: reason(&error),
                });
            }
        }
    }
}

/// The wait after this many attempts: it doubles, with jitter, up to a limit.
pub(super) fn wait_before(sends: u32) -> Duration {
    let most = FIRST_WAIT_MS
        .saturating_mul(1 << sends.min(16))
        .min(LONGEST_WAIT_MS);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

/// Whether the error may pass by itself: no answer, a server's error, or a throttled request.
fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    const PASSING: [&str; 7] = [
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionInProgressException",
    ];
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => true,
        SdkError::ServiceError(answer) => {
            answer.raw().status().is_server_error()
                || answer.err().code().is_some_and(|code| PASSING.contains(&code))
        }
        _ => false,
    }
}

fn reason<E: ProvideErrorMetadata + Error + Send + Sync + 'static>(error: &SdkError<E>) -> String {
    let metadata = error.as_service_error().map(ProvideErrorMetadata::meta);
    match metadata.and_then(|metadata| Some((metadata.code()?, metadata.message()))) {
        Some((code, Some(message))) => format!("{code}: {message}"),
        Some((code, None)) => code.to_owned(),
        None => Failure::of("a request", "the engine", error).message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    use std::future::ready;

    type Answer = Result<u32, SdkError<PutItemError>>;

    #[tokio::test]
    async fn errors_that_pass_are_sent_again_and_counted() {
        let retries = AtomicU64::new(0);
        let at_once = |_| Duration::ZERO;
        let mut sends = 0;
        let landed = with_waits(at_once, &retries, || {
            sends += 1;
            ready(if sends < 3 {
                Err(SdkError::timeout_error("slow"))
            } else {
                Answer::Ok(sends)
            })
        });
        assert_eq!(landed.await.unwrap(), 3);
        assert_eq!(retries.load(Ordering::Relaxed), 2);
        let never = with_waits(at_once, &retries, || {
            ready(Answer::Err(SdkError::timeout_error("slow")))
        });
        assert_eq!(never.await.unwrap_err().sends, MAX_SENDS);
        let lasting = with_waits(at_once, &retries, || {
            ready(Answer::Err(SdkError::construction_failure("no")))
        });
        assert_eq!(lasting.await.unwrap_err().sends, 1);
    }

    #[test]
    fn waits_grow_to_a_cap() {
        assert!(wait_before(1) <= Duration::from_millis(100));
        assert!(wait_before(5) >= Duration::from_millis(800));
        assert!(wait_before(1000) <= Duration::from_millis(LONGEST_WAIT_MS));
    }
}

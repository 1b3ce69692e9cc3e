//! Backoff with jitter between two attempts of a request.

use super::chance;
use super::{Failure, Health};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before the next attempt: twice as long each time, up to `longest`, with jitter, so that many
/// workers that failed together do not come back together.
#[must_use]
pub fn backoff(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let cap = longest.min(first.saturating_mul(2u32.saturating_pow(attempt.min(16))));
    cap.mul_f64(chance::within(0.5..1.0))
}

/// A request whose failure ends a command is repeated for this long.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Before any engine has answered this process, a request is sent at most this often, so that a wrong address is
/// reported soon.
const FIRST_ATTEMPTS: u32 = 2;
/// After this time, the user is told what the command waits for.
const TELL_AFTER: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Whether an engine has answered this process. A process works with one engine, so one flag is enough.
static REACHED: AtomicBool = AtomicBool::new(false);

/// An engine has answered this process, elsewhere than in [`retry_transient`].
pub fn answered() {
    REACHED.store(true, Ordering::Relaxed);
}

/// Repeats a request after temporary failures, for two minutes at most. For every request that a command needs, of
/// items and of tables alike.
///
/// # Errors
/// The last failure.
pub async fn retry_transient<T, F, A>(send: F) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    retried(&REACHED, PATIENCE, send).await
}

async fn retried<T, F, A>(reached: &AtomicBool, patience: Duration, send: F) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    let began = Instant::now();
    let (mut attempt, mut is_told) = (0, false);
    loop {
        let sent = send().await;
        if !sent.as_ref().is_err_and(Failure::says_nothing) {
            reached.store(true, Ordering::Relaxed);
        }
        let failure = match sent {
            Err(failure) if failure.passes() => failure,
            other => return other,
        };
        attempt += 1;
        let is_first = !reached.load(Ordering::Relaxed);
        if began.elapsed() >= patience || (is_first && attempt >= FIRST_ATTEMPTS) {
            return Err(failure);
        }
        if !is_told && began.elapsed() >= TELL_AFTER {
            is_told = true;
            tracing::warn!(%failure, "sending the request again");
        } else {
            tracing::debug!(attempt, %failure, "sending the request again");
        }
        tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)).await;
    }
}

/// Repeats a request after temporary failures without end; meanwhile `health` shows the reason. To stop it, drop it.
///
/// # Errors
/// A permanent failure.
pub async fn until_answered<T, F, A>(health: &Health, send: F) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    until_answered_or_hot(health, Duration::MAX, send).await
}

/// How long a request was throttled for nothing but its key range.
#[derive(Debug, Default)]
pub struct HotSince(Option<Instant>);

impl HotSince {
    /// Takes in a failed attempt; says whether all attempts for this long were throttled for their key range.
    pub fn failed(&mut self, failure: &Failure, patience: Duration) -> bool {
        if !failure.is_of_key_range() {
            self.0 = None;
            return false;
        }
        self.0.get_or_insert_with(Instant::now).elapsed() >= patience
    }
}

/// As [`until_answered`], but it gives up a request that is throttled only for its key range after `patience`,
/// because other keys must not wait for it.
///
/// # Errors
/// A permanent failure, or one [of the key range](Failure::is_of_key_range).
pub async fn until_answered_or_hot<T, F, A>(
    health: &Health,
    patience: Duration,
    send: F,
) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    let (mut attempt, mut hot) = (0u32, HotSince::default());
    loop {
        match send().await {
            Err(failure) if failure.passes() && !hot.failed(&failure, patience) => {
                health.block(failure.reason());
                attempt = attempt.saturating_add(1);
                tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)).await;
            }
            answered => {
                if attempt > 0 {
                    health.clear();
                }
                return answered;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamo::FailureKind;
    use std::sync::atomic::AtomicU32;

    fn failure(kind: FailureKind, code: &str) -> Failure {
        Failure {
            kind,
            action: "dynamodb:DescribeTable".into(),
            resource: "Orders".into(),
            code: code.into(),
            message: String::new(),
        }
    }

    /// Two minutes, for a test.
    const SHORT: Duration = Duration::from_millis(400);

    /// How long it was tried, and how often.
    async fn tried(reached: bool, failure: Failure) -> (Duration, u32) {
        let (began, sends) = (Instant::now(), AtomicU32::new(0));
        let reached = AtomicBool::new(reached);
        let sent = retried(&reached, SHORT, || async {
            sends.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(failure.clone())
        });
        assert_eq!(sent.await.unwrap_err(), failure);
        (began.elapsed(), sends.into_inner())
    }

    #[tokio::test]
    async fn what_passes_is_sent_again_for_long_and_a_wrong_address_is_told_soon() {
        let throttled = failure(FailureKind::Throttled(vec![]), "ThrottlingException");
        let (took, sends) = tried(false, throttled).await;
        assert!(took >= SHORT && sends >= 4, "{took:?}, {sends}");
        let silent = failure(FailureKind::Transient, "ConnectionFailed");
        assert_eq!(tried(false, silent.clone()).await.1, 2);
        let gateway = failure(FailureKind::Transient, "HTTP 502 Bad Gateway");
        assert_eq!(tried(false, gateway).await.1, 2);
        let (took, _) = tried(true, silent).await;
        assert!(took >= SHORT, "it has answered before: {took:?}");
        let denied = failure(FailureKind::Denied, "AccessDeniedException");
        assert_eq!(tried(true, denied).await.1, 1);
        assert_eq!(PATIENCE, Duration::from_secs(120), "as the docs say");
    }
}

use super::{Failure, Health};
use rand::Rng;
use std::time::Duration;

/// How long to wait before the next attempt: twice as long each time, up to `longest`, with jitter, so that many
/// workers that failed together do not come back together.
#[must_use]
pub fn backoff(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let cap = longest.min(first.saturating_mul(2u32.saturating_pow(attempt.min(16))));
    cap.mul_f64(rand::rng().random_range(0.5..1.0))
}

/// Attempts of a request whose failure ends a command: about two minutes.
const ATTEMPTS: u32 = 40;
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Sends a request again while it fails for what passes by itself, a bounded number of times.
///
/// # Errors
/// The last failure.
pub async fn again<T, F, A>(send: F) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    let mut attempt = 0;
    loop {
        match send().await {
            Err(failure) if failure.passes() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(backoff(attempt, FIRST_WAIT, LONGEST_WAIT)).await;
            }
            other => return other,
        }
    }
}

/// Sends a request again for as long as it fails for what passes by itself; meanwhile `health` says why. Whoever stops
/// drops it.
///
/// # Errors
/// A failure that does not pass by itself.
pub async fn until_answered<T, F, A>(health: &Health, send: F) -> Result<T, Failure>
where
    F: Fn() -> A,
    A: Future<Output = Result<T, Failure>>,
{
    let mut attempt = 0u32;
    loop {
        match send().await {
            Err(failure) if failure.passes() => {
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

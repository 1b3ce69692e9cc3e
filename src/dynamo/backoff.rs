use super::{Failure, Health};
use rand::Rng;
use std::time::{Duration, Instant};

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

/// As [`until_answered`], but a request that is throttled for its key range, and nothing else, is given up after `patience`:
/// other keys must not wait for it.
///
/// # Errors
/// A failure that does not pass by itself, or one [of the key range](Failure::is_of_key_range).
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

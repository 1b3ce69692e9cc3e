//! The number of requests to one table that may be under way at once, adapted to the table's throughput.

use super::{Failure, RequestOutcome};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The number of requests to one table that may be under way at once, adapted to the throughput of the table.
///
/// The number grows while requests are answered fast and all places are taken. It shrinks if the service throttles,
/// if a request is not answered in time, and as soon as answers become slow: a request in the engine's queue gains
/// nothing, and if it waits there for longer than an attempt may take, it is repeated while the engine still works on
/// it. (Additive increase, multiplicative decrease: Chiu and Jain 1989.)
#[derive(Debug)]
pub struct ConcurrencyLimit {
    window: Mutex<Window>,
    freed: Notify,
    account_limit: AccountLimit,
    /// When a range of keys was last throttled.
    hot: Mutex<Option<Instant>>,
    /// An answer that takes longer is a sign of a queue.
    slow: Duration,
}

/// A limit that all concurrency limits of an account share: one that sees a limit of the account slows all of them
/// down.
#[derive(Clone, Debug, Default)]
pub struct AccountLimit(Arc<AtomicU64>);

/// The number of places, and who is in them. Pure.
#[derive(Clone, PartialEq, Debug)]
struct Window {
    limit: f64,
    most: f64,
    inside: u32,
    /// Counts how often it shrank. Requests that began before that do not change it.
    era: u64,
    /// It never shrank: it may still grow fast.
    fresh: bool,
    account_hits: u64,
}

/// Places at the beginning.
const FIRST: f64 = 16.0;
/// The most places: enough for a table of 40,000 write units per second at usual latencies.
const MOST: f64 = MOST_PLACES as f64;
const MOST_PLACES: u32 = 128;
/// The part that remains after a decrease.
const LEFT: f64 = 0.6;
/// Answers within this part of an attempt leave room; those that take three times as long are slow.
const PROMPT: u32 = 9;
/// A range of keys counts as hot for this long after it was throttled.
const HOT: Duration = Duration::from_secs(5);

impl AccountLimit {
    /// The account is at its limit. Answers how often it was.
    pub(super) fn hit(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How often the account was at its limit.
    pub(super) fn hits(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ConcurrencyLimit {
    /// For requests that are given up after `attempt`.
    #[must_use]
    pub fn new(attempt: Duration, account_limit: &AccountLimit) -> Self {
        Self::within(FIRST, MOST, attempt, account_limit)
    }

    /// With these numbers of places.
    #[must_use]
    pub fn within(first: f64, most: f64, attempt: Duration, account_limit: &AccountLimit) -> Self {
        Self {
            window: Mutex::new(Window::new(first, most)),
            freed: Notify::new(),
            account_limit: account_limit.clone(),
            hot: Mutex::default(),
            slow: attempt / (PROMPT / 3),
        }
    }

    /// Waits for a place.
    pub async fn enter(&self) -> ConcurrencyPermit<'_> {
        loop {
            let freed = self.freed.notified();
            if let Some(era) = self.lock().enter(self.account_limit.hits()) {
                // Several places may be free, but only one task was woken.
                self.freed.notify_one();
                return ConcurrencyPermit {
                    concurrency: self,
                    era,
                    since: Instant::now(),
                    outcome: RequestOutcome::Neutral,
                };
            }
            freed.await;
        }
    }

    /// Places that there are now.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.lock().places()
    }

    /// Whether ranges of keys are throttled: work that is spread over more ranges is then faster.
    #[must_use]
    pub fn is_hot(&self) -> bool {
        let hot = *self.hot.lock().unwrap_or_else(PoisonError::into_inner);
        hot.is_some_and(|since| since.elapsed() < HOT)
    }

    /// The number of places, if it is the limit: it was higher, and all places are taken.
    #[must_use]
    pub fn reduced(&self) -> Option<u32> {
        let window = self.lock();
        let places = window.places();
        (!window.fresh && window.inside >= places && places < MOST_PLACES).then_some(places)
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a request under way. Released when it is dropped.
#[derive(Debug)]
pub struct ConcurrencyPermit<'a> {
    concurrency: &'a ConcurrencyLimit,
    era: u64,
    since: Instant,
    outcome: RequestOutcome,
}

impl ConcurrencyPermit<'_> {
    /// It was answered: for how many writes it was, so that a batch may take longer than a single write.
    pub fn answered(&mut self, work: usize) {
        let more = u32::try_from(work.saturating_sub(1)).unwrap_or(u32::MAX).min(25);
        let slow = self.concurrency.slow + self.concurrency.slow / 25 * more;
        self.outcome = match self.since.elapsed() {
            took if took > slow => RequestOutcome::Overloaded,
            took if took * 3 > slow => RequestOutcome::Neutral,
            _ => RequestOutcome::Fast,
        };
    }

    /// It failed.
    pub fn failed(&mut self, failure: &Failure) {
        self.outcome = RequestOutcome::of(failure);
    }

    /// A part of the request was throttled, without a reason. This counts as a limit of the table, unless ranges of
    /// its keys are known to be hot.
    pub fn throttled_in_part(&mut self) {
        self.outcome = if self.concurrency.is_hot() {
            RequestOutcome::Neutral
        } else {
            RequestOutcome::Overloaded
        };
    }

    /// A part of an answer says this.
    pub fn set_outcome(&mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for ConcurrencyPermit<'_> {
    fn drop(&mut self) {
        if self.outcome == RequestOutcome::KeyRange {
            *self
                .concurrency
                .hot
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let mut window = self.concurrency.lock();
        // The first throttled request of a wave slows all tables down; the others began before, and say nothing new.
        if self.outcome == RequestOutcome::Account && self.era == window.era {
            window.account_hits = self.concurrency.account_limit.hit();
        }
        window.leave(self.era, self.outcome);
        drop(window);
        self.concurrency.freed.notify_one();
    }
}

impl Window {
    fn new(first: f64, most: f64) -> Self {
        Self {
            limit: first,
            most,
            inside: 0,
            era: 0,
            fresh: true,
            account_hits: 0,
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 1 and `most`
    fn places(&self) -> u32 {
        self.limit as u32
    }

    /// Takes a place, if there is one; answers in which era.
    fn enter(&mut self, account_hits: u64) -> Option<u64> {
        if account_hits > self.account_hits {
            self.account_hits = account_hits;
            self.shrink();
        }
        (self.inside < self.places()).then(|| {
            self.inside += 1;
            self.era
        })
    }

    fn leave(&mut self, era: u64, outcome: RequestOutcome) {
        let full = self.inside >= self.places();
        self.inside = self.inside.saturating_sub(1);
        match outcome {
            // If places are free, no task needs more.
            RequestOutcome::Fast if full => {
                let more = if self.fresh { 1.0 } else { 1.0 / self.limit };
                self.limit = (self.limit + more).min(self.most);
            }
            RequestOutcome::Overloaded | RequestOutcome::Account if era == self.era => self.shrink(),
            RequestOutcome::Fast
            | RequestOutcome::Overloaded
            | RequestOutcome::KeyRange
            | RequestOutcome::Neutral
            | RequestOutcome::Account => {}
        }
    }

    fn shrink(&mut self) {
        self.limit = (self.limit * LEFT).max(1.0);
        self.era += 1;
        self.fresh = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entered(window: &mut Window, count: u32) -> u64 {
        let mut era = 0;
        for _ in 0..count {
            era = window.enter(0).unwrap();
        }
        era
    }

    #[test]
    fn it_grows_while_all_places_are_taken_and_answers_come_fast() {
        let mut window = Window::new(2.0, 4.0);
        let era = entered(&mut window, 2);
        assert_eq!(window.enter(0), None, "there are two");
        window.leave(era, RequestOutcome::Fast);
        assert_eq!(window.places(), 3);
        window.leave(era, RequestOutcome::Fast);
        assert_eq!(window.places(), 3, "a place was free: nobody asked for more");
        for _ in 0..10 {
            while window.enter(0).is_some() {}
            window.leave(era, RequestOutcome::Fast);
        }
        assert_eq!(window.places(), 4, "as many as there may be");
    }

    #[test]
    fn one_wave_of_refusals_shrinks_it_once() {
        let mut window = Window::new(10.0, 20.0);
        let era = entered(&mut window, 10);
        for _ in 0..10 {
            window.leave(era, RequestOutcome::Overloaded);
        }
        assert_eq!(window.places(), 6);
        let era = entered(&mut window, 6);
        window.leave(era, RequestOutcome::Overloaded);
        assert_eq!(window.places(), 3);
        let before = window.limit;
        let era = window.enter(0);
        assert_eq!(era, None, "five are inside");
        window.leave(2, RequestOutcome::Fast);
        assert!(window.limit > before && window.limit < before + 1.0, "slowly now");
    }

    #[test]
    fn it_never_shrinks_to_nothing_and_a_hot_key_does_not_shrink_it() {
        let mut window = Window::new(1.0, 4.0);
        for _ in 0..5 {
            let era = entered(&mut window, 1);
            window.leave(era, RequestOutcome::Overloaded);
        }
        assert_eq!(window.places(), 1);
        let mut window = Window::new(4.0, 4.0);
        let era = entered(&mut window, 1);
        window.leave(era, RequestOutcome::KeyRange);
        assert_eq!(window.places(), 4);
    }

    #[test]
    fn reasons_say_who_is_to_slow_down() {
        let outcome = |reasons: &[&str]| {
            let reasons: Vec<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
            RequestOutcome::of_reasons(&reasons)
        };
        assert_eq!(
            outcome(&["TableWriteKeyRangeThroughputExceeded"]),
            RequestOutcome::KeyRange
        );
        assert_eq!(
            outcome(&["IndexWriteProvisionedThroughputExceeded"]),
            RequestOutcome::Overloaded
        );
        assert_eq!(
            outcome(&["TableWriteAccountLimitExceeded"]),
            RequestOutcome::Account
        );
        let both = [
            "TableWriteKeyRangeThroughputExceeded",
            "IndexWriteMaxOnDemandThroughputExceeded",
        ];
        assert_eq!(outcome(&both), RequestOutcome::Overloaded);
        assert_eq!(outcome(&[]), RequestOutcome::Overloaded);
    }

    #[tokio::test]
    async fn a_limit_of_the_account_slows_all_down() {
        let account_limit = AccountLimit::default();
        let concurrency = || ConcurrencyLimit::within(10.0, 10.0, Duration::from_secs(1), &account_limit);
        let (one, other) = (concurrency(), concurrency());
        one.enter().await.set_outcome(RequestOutcome::Account);
        drop(other.enter().await);
        drop(one.enter().await);
        assert_eq!((one.limit(), other.limit()), (6, 6));
        drop(other.enter().await);
        assert_eq!(other.limit(), 6, "once");
    }

    #[tokio::test]
    async fn one_wave_of_limits_of_the_account_slows_each_table_once() {
        let account_limit = AccountLimit::default();
        let concurrency = || ConcurrencyLimit::within(10.0, 10.0, Duration::from_secs(1), &account_limit);
        let (one, other) = (concurrency(), concurrency());
        let mut wave = Vec::new();
        for _ in 0..5 {
            wave.push(one.enter().await);
            wave.push(other.enter().await);
        }
        for mut place in wave {
            place.set_outcome(RequestOutcome::Account);
            drop(place);
            drop((one.enter().await, other.enter().await));
        }
        assert_eq!((one.limit(), other.limit()), (6, 6));
    }

    #[tokio::test]
    async fn a_hot_range_is_told() {
        let concurrency = ConcurrencyLimit::new(Duration::from_secs(1), &AccountLimit::default());
        concurrency.enter().await.set_outcome(RequestOutcome::Overloaded);
        assert!(!concurrency.is_hot());
        concurrency.enter().await.set_outcome(RequestOutcome::KeyRange);
        assert!(concurrency.is_hot());
    }

    #[tokio::test]
    async fn a_part_that_was_throttled_is_the_tables_unless_a_range_is_known_to_be_hot() {
        let concurrency =
            ConcurrencyLimit::within(10.0, 10.0, Duration::from_secs(1), &AccountLimit::default());
        concurrency.enter().await.throttled_in_part();
        assert_eq!((concurrency.limit(), concurrency.is_hot()), (6, false));
        concurrency.enter().await.set_outcome(RequestOutcome::KeyRange);
        concurrency.enter().await.throttled_in_part();
        assert_eq!((concurrency.limit(), concurrency.is_hot()), (6, true));
        concurrency.enter().await.set_outcome(RequestOutcome::Overloaded);
        assert_eq!(concurrency.limit(), 3, "the table's own reason counts beside it");
    }

    #[tokio::test]
    async fn slow_answers_shrink_it_and_whoever_waits_is_let_in() {
        let concurrency =
            ConcurrencyLimit::within(2.0, 8.0, Duration::from_millis(60), &AccountLimit::default());
        let mut first = concurrency.enter().await;
        let second = concurrency.enter().await;
        let third = concurrency.enter();
        tokio::pin!(third);
        assert!(futures::poll!(&mut third).is_pending());
        assert_eq!(concurrency.reduced(), None, "it never shrank");
        tokio::time::sleep(Duration::from_millis(30)).await;
        first.answered(1);
        drop(first);
        assert_eq!(concurrency.limit(), 1, "half of an attempt is slow");
        assert!(futures::poll!(&mut third).is_pending());
        assert_eq!(concurrency.reduced(), Some(1));
        drop(second);
        third.await;
    }

    #[tokio::test]
    async fn a_batch_may_take_longer_than_a_write() {
        let concurrency =
            ConcurrencyLimit::within(2.0, 8.0, Duration::from_secs(9), &AccountLimit::default());
        let mut batch = concurrency.enter().await;
        // Slow for a write from three seconds on, for a batch from nearly six.
        batch.since -= Duration::from_millis(3500);
        batch.answered(25);
        assert_ne!(batch.outcome, RequestOutcome::Overloaded);
        batch.answered(1);
        assert_eq!(batch.outcome, RequestOutcome::Overloaded);
    }
}

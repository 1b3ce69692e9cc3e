//! Requests under one lease: how many are under way, and until when a request without an answer may still land.

use crate::fault::{Rule, broken};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The writes that a process sends under one lease: how many are under way, and until when one without an answer may still
/// land. All clones are one.
///
/// This is what a process *knows*. A request counts as answered only if the service decided about it; one that is given up,
/// or whose sender is dropped, counts as unanswered.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    inside: Arc<Mutex<Inside>>,
    /// A request that is given up can't land after this time. `None`: nobody knows, so it may land for ever.
    lands_within: Option<Duration>,
}

#[derive(Debug, Default)]
struct Inside {
    under_way: u32,
    unanswered: Unanswered,
}

/// Requests that were given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Unanswered {
    #[default]
    None,
    /// The last of them may land until then.
    Until(Instant),
    /// One of them may land for ever.
    Forever,
}

/// A write that is under way. If it is dropped without [`Request::answered`], it may still land.
#[derive(Debug)]
#[must_use]
pub struct Request {
    requests: Requests,
    is_answered: bool,
}

impl Requests {
    /// A request that is given up can't land after this time.
    #[must_use]
    pub fn that_land_within(time: Duration) -> Self {
        Self {
            lands_within: Some(time),
            ..Self::default()
        }
    }

    /// A write is about to be sent.
    pub fn begin(&self) -> Request {
        self.lock().under_way += 1;
        Request {
            requests: self.clone(),
            is_answered: false,
        }
    }

    /// Whether no request is under way, and none without an answer can land any more.
    #[must_use]
    pub fn are_settled(&self) -> bool {
        let inside = self.lock();
        inside.under_way == 0
            && match inside.unanswered {
                _ if broken(Rule::UnansweredUnsettled) => true,
                Unanswered::None => true,
                Unanswered::Until(until) => until < Instant::now(),
                Unanswered::Forever => false,
            }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request {
    /// The service decided: it took effect, or never will.
    pub fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut inside = self.requests.lock();
        inside.under_way -= 1;
        if self.is_answered || inside.unanswered == Unanswered::Forever {
            return;
        }
        // The last one lands last: all have the same time.
        inside.unanswered = match self.requests.lands_within {
            Some(time) => Unanswered::Until(Instant::now() + time),
            None => Unanswered::Forever,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANDS: Duration = Duration::from_secs(15);

    #[tokio::test(start_paused = true)]
    async fn what_was_answered_is_settled_and_what_was_not_may_land_for_a_while() {
        let requests = Requests::that_land_within(LANDS);
        assert!(requests.are_settled());
        let (first, second) = (requests.begin(), requests.begin());
        first.answered();
        assert!(!requests.are_settled(), "one is under way");
        second.answered();
        assert!(requests.are_settled());

        drop(requests.begin());
        let answered = requests.clone().begin();
        answered.answered();
        assert!(
            !requests.are_settled(),
            "a later answer says nothing of the first"
        );
        tokio::time::sleep(LANDS).await;
        assert!(!requests.are_settled());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(requests.are_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_request_without_an_answer_counts() {
        let requests = Requests::that_land_within(LANDS);
        let second = requests.begin();
        drop(requests.begin());
        tokio::time::sleep(LANDS / 2).await;
        drop(second);
        tokio::time::sleep(LANDS / 2 + Duration::from_millis(2)).await;
        assert!(!requests.are_settled());
        tokio::time::sleep(LANDS / 2).await;
        assert!(requests.are_settled());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_known_time_a_request_may_land_for_ever() {
        let requests = Requests::default();
        drop(requests.begin());
        tokio::time::sleep(LANDS * 1000).await;
        assert!(!requests.are_settled());
        requests.begin().answered();
        assert!(!requests.are_settled());
    }
}

//! Bounded waiting for a control-plane change (a table, an index, a stream) to be finished.

use std::time::Duration;
use tokio::time::Instant;

/// The first pause: emulators are done at once, AWS within seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: `DescribeTable` is allowed ten times a second for a whole account.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pauses that grow, until a limit has passed.
pub(crate) struct Poll {
    started: Instant,
    limit: Duration,
    pause: Duration,
}

impl Poll {
    /// Poll that ends after `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            pause: FIRST_PAUSE,
        }
    }

    /// How long it has been waited for.
    pub(crate) fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    /// Pauses, and says whether to look again.
    pub(crate) async fn pause(&mut self) -> bool {
        if self.waited() >= self.limit {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        true
    }
}

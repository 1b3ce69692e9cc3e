//! The wall clock of a process: the only place where the time of day is read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The wall clock of a process: the only place where the time of day is read. Durations are measured with
/// [`tokio::time::Instant`] instead, which is never corrected.
///
/// A simulation gives each process its own clock, which follows the runtime's time and may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(Option<Simulated>);

/// A clock that follows the runtime's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Simulated {
    began: Instant,
    began_ms: u64,
    fast_ppm: i32,
    /// When somebody sets it, and by how many milliseconds.
    set: Option<(Instant, i64)>,
}

impl Clock {
    /// The machine's.
    pub const SYSTEM: Self = Self(None);

    /// A clock that shows `began_ms` (in milliseconds since 1970) at the moment `began`, and gains this many
    /// millionths since.
    #[must_use]
    pub fn simulated(began: Instant, began_ms: u64, fast_ppm: i32) -> Self {
        Self(Some(Simulated {
            began,
            began_ms,
            fast_ppm,
            set: None,
        }))
    }

    /// The same, which somebody sets at a moment: by so many milliseconds, back if there are fewer than none.
    #[must_use]
    pub fn set_at(self, moment: Instant, by_ms: i64) -> Self {
        Self(self.0.map(|simulated| Simulated {
            set: Some((moment, by_ms)),
            ..simulated
        }))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(simulated) => UNIX_EPOCH + simulated.since_1970(),
        }
    }

    /// The time of day, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Simulated {
    fn since_1970(&self) -> Duration {
        let elapsed = self.began.elapsed();
        let shown = elapsed.mul_f64(1.0 + f64::from(self.fast_ppm) / 1e6);
        let set = self.set.filter(|(moment, _)| *moment <= Instant::now());
        let began_ms = self
            .began_ms
            .saturating_add_signed(set.map_or(0, |(_, by_ms)| by_ms));
        Duration::from_millis(began_ms) + shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_follows_the_runtimes_time_at_its_own_speed() {
        let clock = Clock::simulated(Instant::now(), 5000, 1000);
        assert_eq!(clock.now_ms(), 5000);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(clock.now_ms(), 105_100);
        let set = clock.set_at(Instant::now() + Duration::from_secs(1), -5000);
        assert_eq!(set.now_ms(), 105_100);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(set.now_ms(), 101_101);
    }
}

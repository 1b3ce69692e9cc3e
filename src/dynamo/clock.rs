//! The wall clock of a process: the only place where the time of day is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The wall clock of a process: the only place where the time of day is read. Durations are measured with
/// [`tokio::time::Instant`] instead, which is never corrected.
///
/// A simulation gives each process its own clock, which follows the runtime's time and may be wrong. The clock of a rehearsal can be ahead
/// of the machine's, so that days pass in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    System,
    Simulated(Simulated),
    Ahead(Ahead),
}

/// Milliseconds by which a clock is ahead of the machine's.
#[derive(Clone, Copy, Debug)]
struct Ahead(&'static AtomicU64);

impl PartialEq for Ahead {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Ahead {}

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
    pub const SYSTEM: Self = Self(Kind::System);

    /// A clock that shows `began_ms` (in milliseconds since 1970) at the moment `began`, and gains this many
    /// millionths since.
    #[must_use]
    pub fn simulated(began: Instant, began_ms: u64, fast_ppm: i32) -> Self {
        Self(Kind::Simulated(Simulated {
            began,
            began_ms,
            fast_ppm,
            set: None,
        }))
    }

    /// A clock that is ahead of the machine's by so many milliseconds, which somebody else increases.
    #[must_use]
    pub fn ahead(by_ms: &'static AtomicU64) -> Self {
        Self(Kind::Ahead(Ahead(by_ms)))
    }

    /// The clock that leases go by. Leases are renewed in real time, so they do not expire when a rehearsal lets hours pass.
    #[must_use]
    pub fn of_leases(self) -> Self {
        match self.0 {
            Kind::Ahead(_) => Self::SYSTEM,
            Kind::System | Kind::Simulated(_) => self,
        }
    }

    /// The same, which somebody sets at a moment: by so many milliseconds, back if there are fewer than none.
    #[must_use]
    pub fn set_at(self, moment: Instant, by_ms: i64) -> Self {
        match self.0 {
            Kind::Simulated(simulated) => Self(Kind::Simulated(Simulated {
                set: Some((moment, by_ms)),
                ..simulated
            })),
            Kind::System | Kind::Ahead(_) => self,
        }
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Kind::System => SystemTime::now(),
            Kind::Simulated(simulated) => UNIX_EPOCH + simulated.since_1970(),
            Kind::Ahead(Ahead(by_ms)) => {
                SystemTime::now() + Duration::from_millis(by_ms.load(Ordering::Relaxed))
            }
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

    #[test]
    fn a_clock_that_is_ahead_moves_no_lease() {
        static AHEAD_MS: AtomicU64 = AtomicU64::new(0);
        let clock = Clock::ahead(&AHEAD_MS);
        AHEAD_MS.store(7_200_000, Ordering::Relaxed);
        let (now, machine) = (clock.now_ms(), Clock::SYSTEM.now_ms());
        assert!(
            (7_190_000..=7_200_000).contains(&(now - machine)),
            "{now} {machine}"
        );
        assert_eq!(
            (clock.of_leases(), clock),
            (Clock::SYSTEM, Clock::ahead(&AHEAD_MS))
        );
    }
}

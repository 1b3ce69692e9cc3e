//! An exponential moving average over the last seconds.

use std::time::Duration;
use tokio::time::Instant;

/// An exponential moving average: newer figures count more, and no memory of earlier ones is needed.
#[derive(Clone, Copy, Debug)]
pub struct Average {
    mean: f64,
    figure: f64,
    at: Instant,
}

/// A figure of this age counts about a third of the present one.
const FADES: Duration = Duration::from_secs(3);

impl Average {
    /// Of a figure that was nought until now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            mean: 0.0,
            figure: 0.0,
            at: now,
        }
    }

    /// The figure is another one from now on.
    pub fn set(&mut self, figure: f64, now: Instant) {
        self.mean = self.mean(now);
        self.figure = figure;
        self.at = now.max(self.at);
    }

    /// The mean up to now.
    #[must_use]
    pub fn mean(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let kept = (-passed / FADES.as_secs_f64()).exp();
        self.figure + (self.mean - self.figure) * kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: f64, other: f64) -> bool {
        (one - other).abs() < 0.02
    }

    #[test]
    fn it_follows_the_figure_and_forgets_what_was() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut average = Average::new(start);
        average.set(1.0, start);
        assert!(near(average.mean(start), 0.0));
        assert!(near(average.mean(at(3.0)), 0.632), "{}", average.mean(at(3.0)));
        assert!(near(average.mean(at(30.0)), 1.0));
        average.set(0.0, at(30.0));
        assert!(average.mean(at(33.0)) < 0.4);
        assert!(near(average.mean(at(60.0)), 0.0));
    }

    #[test]
    fn what_is_so_every_other_moment_is_so_half_of_the_time() {
        let start = Instant::now();
        let mut average = Average::new(start);
        for tick in 0u32..400 {
            average.set(f64::from(tick % 2), start + Duration::from_millis(50) * tick);
        }
        let mean = average.mean(start + Duration::from_secs(20));
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }

    #[test]
    fn a_clock_that_stands_changes_nothing() {
        let now = Instant::now();
        let mut average = Average::new(now);
        average.set(4.0, now);
        average.set(0.0, now);
        assert!(near(average.mean(now), 0.0));
    }
}

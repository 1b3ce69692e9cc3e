//! How fast something moves, measured over the last while: one measure for progress bars and for `status`.

use crate::state::Estimate;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// A rate is that of this last while.
const RATE_OVER: Duration = Duration::from_secs(15);
/// No rate, and so no estimate, before this much was seen.
const RATE_AFTER: Duration = Duration::from_secs(2);

/// Measures how fast a count rises.
#[derive(Debug, Default)]
pub struct RateMeter {
    samples: VecDeque<(Instant, u64)>,
}

impl RateMeter {
    /// Adds the present count. Returns units per second, as soon as they can be computed.
    #[allow(clippy::cast_precision_loss)] // shown with few digits
    pub fn rate(&mut self, position: u64, now: Instant) -> Option<f64> {
        if self.samples.back().is_some_and(|(_, last)| *last > position) {
            // It started again: another phase with the same name.
            self.samples.clear();
        }
        self.samples.push_back((now, position));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) > RATE_OVER {
            self.samples.pop_front();
        }
        let (since, from) = *self.samples.front()?;
        let over = now.duration_since(since);
        (over >= RATE_AFTER).then(|| (position - from) as f64 / over.as_secs_f64())
    }

    /// As [`RateMeter::rate`], with the remaining part of a total.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate is small and not negative
    pub(crate) fn estimate(&mut self, position: u64, total: u64, now: Instant) -> Option<Estimate> {
        let rate = self.rate(position, now)?;
        Some(Estimate {
            per_second_thousandths: (rate * 1000.0).round() as u64,
            left: total.saturating_sub(position),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_while() {
        let (mut meter, start) = (RateMeter::default(), Instant::now());
        assert_eq!(meter.rate(0, start), None);
        assert_eq!(meter.rate(50, start + RATE_AFTER / 2), None);
        for second in 2..60 {
            meter.rate(second.min(20) * 10, start + Duration::from_secs(second));
        }
        assert_eq!(meter.rate(200, start + Duration::from_secs(60)), Some(0.0));
        assert_eq!(
            meter.rate(5, start + Duration::from_secs(61)),
            None,
            "it began again"
        );
    }

    #[test]
    fn an_estimate_says_what_is_left() {
        let (mut meter, start) = (RateMeter::default(), Instant::now());
        assert_eq!(meter.estimate(0, 1000, start), None);
        let estimate = meter.estimate(200, 1000, start + RATE_AFTER);
        let expected = Estimate {
            per_second_thousandths: 100_000,
            left: 800,
        };
        assert_eq!(estimate, Some(expected));
    }
}

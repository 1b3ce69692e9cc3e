use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Reads of a table that others live on: when it throttles, they come first.
///
/// A throttled read halves the rate of ours, from what it was over the last seconds; the rate comes back slowly, and
/// the bound is lifted when it was not needed for a while. Units are read units, as for a budget, which holds beside
/// this.
#[derive(Debug)]
pub struct Courtesy(Mutex<Rate>);

/// The rate that is left to us. Pure: it is told the time.
#[derive(Debug)]
struct Rate {
    /// Units a second; `None`: no bound.
    bound: Option<f64>,
    /// Of the bound: what may be used now. In debt, nobody starts.
    units: f64,
    at: Instant,
    /// Units since `measured`, for what the rate is.
    used: f64,
    measured: Instant,
    last_rate: f64,
    throttled: Option<Instant>,
}

/// The rate is measured over this time.
const MEASURE: Duration = Duration::from_secs(2);
/// Throttled requests within this time are one sign.
const ONE_SIGN: Duration = Duration::from_secs(1);
/// How much of the bound it grows by, a second.
const RECOVERY: f64 = 0.03;
/// A bound that grew to so many times the rate that is used is none.
const NEEDLESS: f64 = 4.0;
const LEAST_UNITS: f64 = 1.0;
/// Units are saved up for so many seconds: a burst would meet the table's users.
const SAVED: f64 = 0.1;
/// The bound is not lifted before the table was calm for so long.
const CALM: Duration = Duration::from_secs(60);

impl Default for Courtesy {
    fn default() -> Self {
        Self(Mutex::new(Rate::new(Instant::now())))
    }
}

impl Courtesy {
    /// Waits until a read may start.
    pub async fn ready(&self) {
        loop {
            let wait = self.lock().wait(Instant::now());
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return,
            }
        }
    }

    /// A read used thousandths of units.
    #[allow(clippy::cast_precision_loss)] // a request uses few units
    pub fn pay(&self, milliunits: u64) {
        self.lock().pay(milliunits as f64 / 1000.0, Instant::now());
    }

    /// A read was throttled.
    pub fn throttled(&self) {
        self.lock().throttle(Instant::now());
    }

    /// Read units a second that are left to us, while the table throttles.
    #[must_use]
    pub fn bound(&self) -> Option<f64> {
        self.lock().bound
    }

    fn lock(&self) -> MutexGuard<'_, Rate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self {
            bound: None,
            units: 0.0,
            at: now,
            used: 0.0,
            measured: now,
            last_rate: 0.0,
            throttled: None,
        }
    }

    /// How long to wait; `None` if a read may start.
    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.earn(now);
        let bound = self.bound?;
        (self.units < 0.0).then(|| Duration::from_secs_f64((-self.units / bound).clamp(0.005, 1.0)))
    }

    fn pay(&mut self, units: f64, now: Instant) {
        self.earn(now);
        self.used += units;
        self.units -= units;
    }

    fn throttle(&mut self, now: Instant) {
        self.earn(now);
        if self
            .throttled
            .is_some_and(|last| now.saturating_duration_since(last) < ONE_SIGN)
        {
            return;
        }
        self.throttled = Some(now);
        let rate = self.bound.unwrap_or_else(|| self.rate(now));
        self.bound = Some((rate / 2.0).max(LEAST_UNITS));
        self.units = self.units.min(0.0);
    }

    /// Units a second, of late.
    fn rate(&self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.measured).as_secs_f64();
        if seconds < 0.1 {
            return self.last_rate;
        }
        (self.used / seconds).max(self.last_rate)
    }

    fn earn(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        if now.saturating_duration_since(self.measured) > MEASURE {
            self.last_rate = self.used / now.saturating_duration_since(self.measured).as_secs_f64();
            (self.used, self.measured) = (0.0, now);
        }
        let Some(bound) = self.bound else {
            self.units = 0.0;
            return;
        };
        self.units = (self.units + seconds * bound).min(bound * SAVED);
        let calm = self
            .throttled
            .map_or(CALM, |last| now.saturating_duration_since(last));
        if calm > ONE_SIGN {
            let grown = bound * (1.0 + RECOVERY * seconds);
            let needless = calm >= CALM && grown > self.last_rate * NEEDLESS;
            self.bound = (!needless).then_some(grown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one page of 128 units whenever it may, for so long; answers the units a second.
    fn read_for(rate: &mut Rate, now: &mut Instant, time: Duration) -> f64 {
        let begun = *now;
        let mut used = 0.0;
        while now.saturating_duration_since(begun) < time {
            if let Some(wait) = rate.wait(*now) {
                *now += wait;
                continue;
            }
            *now += Duration::from_millis(20);
            rate.pay(128.0, *now);
            used += 128.0;
        }
        used / now.saturating_duration_since(begun).as_secs_f64()
    }

    #[test]
    fn a_throttled_read_halves_the_rate_and_it_comes_back_slowly() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        let free = read_for(&mut rate, &mut now, Duration::from_secs(10));
        assert!(free > 6000.0, "{free}");
        rate.throttle(now);
        rate.throttle(now);
        let halved = read_for(&mut rate, &mut now, Duration::from_secs(3));
        assert!((0.4..0.6).contains(&(halved / free)), "{halved} of {free}");
        rate.throttle(now);
        let quarter = read_for(&mut rate, &mut now, Duration::from_secs(3));
        assert!((0.2..0.3).contains(&(quarter / free)), "{quarter} of {free}");
        let later = read_for(&mut rate, &mut now, Duration::from_secs(25));
        assert!(later > quarter * 1.2, "{later} after {quarter}");
        read_for(&mut rate, &mut now, Duration::from_secs(200));
        assert!(rate.bound.is_none(), "{:?}", rate.bound);
    }

    #[test]
    fn a_table_that_throttles_the_first_read_is_read_slowly() {
        let mut now = Instant::now();
        let mut rate = Rate::new(now);
        rate.throttle(now);
        let slow = read_for(&mut rate, &mut now, Duration::from_secs(50));
        assert!(slow < 6.0, "{slow}");
        assert!(rate.bound.is_some());
    }
}

//! The rate of the adaptive read rate: additive increase and multiplicative decrease.

use std::time::Duration;
use tokio::time::Instant;

/// A rate that falls when reads are throttled and rises again afterwards (additive increase and multiplicative decrease,
/// as of a congestion window). Pure: its caller passes the time.
///
/// - All throttled reads within one [`DECISION`] interval lead to one decrease.
/// - The decrease depends on the share of the reads that were refused since the last one: from three tenths, if most reads
///   were answered, to a half.
/// - The rate never falls below a [`FAIR_SHARE`] of the highest rate that the table gave, unless the table refuses most
///   reads; and a debt never exceeds [`LONGEST_DEBT`], so that a read starts at least that often.
#[derive(Debug)]
pub(super) struct Rate {
    /// Units a second; `None`: no bound.
    bound: Option<f64>,
    /// Units of the bound that may be used now. In debt, no read starts.
    units: f64,
    at: Instant,
    /// Units that a read usually uses.
    usual: f64,
    /// Units used since `measured`.
    used: f64,
    measured: Instant,
    last_rate: f64,
    /// The highest rate that the table gave; lowered while it refuses most reads.
    best: f64,
    /// The bound does not fall below this.
    floor: f64,
    /// Reads since the last decision.
    answered: u32,
    refused: u32,
    decided: Option<Instant>,
    throttled: Option<Instant>,
}

/// The rate is measured over this time.
const MEASURE: Duration = Duration::from_secs(2);
/// Throttled reads within this time lead to one decrease.
pub(super) const DECISION: Duration = Duration::from_secs(1);
/// A decrease takes at least this part of the rate (as the adaptive retries of the AWS SDKs do), and at most that.
const LEAST_CUT: f64 = 0.3;
const MOST_CUT: f64 = 0.5;
/// The part of the best rate that reads keep.
pub(super) const FAIR_SHARE: f64 = 0.1;
/// A table refuses most reads above this share.
const MOST: f64 = 0.5;
/// The bound grows by this part a second, and by as much again after each [`FASTER`] without a throttled read.
const RECOVERY: f64 = 0.03;
const FASTER: Duration = Duration::from_secs(20);
/// A bound that is this many times the rate in use is lifted.
const NEEDLESS: f64 = 4.0;
const LEAST_UNITS: f64 = 1.0;
/// Units are saved for this many seconds: a larger burst would meet the table's users.
const SAVED: f64 = 0.1;
/// The bound is not lifted before the table was calm for this long.
const CALM: Duration = Duration::from_secs(60);
/// A read may start at the latest after this time, however much the one before used.
pub(super) const LONGEST_DEBT: Duration = Duration::from_secs(30);
/// The weight of one read in the usual use.
const LEARNS: f64 = 0.3;
const SHORTEST_WAIT: f64 = 0.005;
const LONGEST_WAIT: f64 = 1.0;

impl Rate {
    /// Without a bound.
    pub fn new(now: Instant) -> Self {
        Self {
            bound: None,
            units: 0.0,
            at: now,
            usual: 1.0,
            used: 0.0,
            measured: now,
            last_rate: 0.0,
            best: 0.0,
            floor: LEAST_UNITS,
            answered: 0,
            refused: 0,
            decided: None,
            throttled: None,
        }
    }

    /// With a bound that does not fall below a floor.
    pub fn bounded(bound: f64, floor: f64, now: Instant) -> Self {
        Self {
            bound: Some(bound),
            floor,
            ..Self::new(now)
        }
    }

    /// Units a second.
    pub fn bound(&self) -> Option<f64> {
        self.bound
    }

    /// How long to wait; `None` if a read may start.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.earn(now);
        let bound = self.bound?;
        let wait = || Duration::from_secs_f64((-self.units / bound).clamp(SHORTEST_WAIT, LONGEST_WAIT));
        (self.units < 0.0).then(wait)
    }

    /// Reserves the units of a read, so that the reads that wait do not all start together.
    pub fn reserve(&mut self) -> f64 {
        if self.bound.is_none() {
            return 0.0;
        }
        self.units -= self.usual;
        self.usual
    }

    /// Returns the reserved units.
    pub fn give_back(&mut self, units: f64) {
        self.units += units;
    }

    /// A read was answered, and used these units.
    pub fn pay(&mut self, units: f64, now: Instant) {
        self.earn(now);
        self.used += units;
        self.usual += (units - self.usual) * LEARNS;
        self.answered = self.answered.saturating_add(1);
        self.units -= units;
        if let Some(bound) = self.bound {
            self.units = self.units.max(-bound * LONGEST_DEBT.as_secs_f64());
        }
    }

    /// A read was throttled.
    pub fn throttle(&mut self, now: Instant) {
        self.earn(now);
        self.throttled = Some(now);
        self.refused = self.refused.saturating_add(1);
        let decides = self
            .decided
            .is_none_or(|last| now.saturating_duration_since(last) >= DECISION);
        if decides {
            self.decide(now);
        }
    }

    fn decide(&mut self, now: Instant) {
        let refused = f64::from(self.refused) / f64::from(self.refused.saturating_add(self.answered));
        self.decided = Some(now);
        (self.answered, self.refused) = (0, 0);
        let used = self.rate(now);
        self.best = self.best.max(self.last_rate);
        if refused > MOST {
            self.best *= 1.0 - MOST_CUT;
        }
        let least = self.floor.max(self.best * FAIR_SHARE);
        let cut = refused.clamp(LEAST_CUT, MOST_CUT);
        let lower = match self.bound {
            None => used * (1.0 - cut),
            // A bound that is not used up would have no effect: what is used is lowered.
            Some(bound) => (used.min(bound) * (1.0 - cut)).max(bound * (1.0 - MOST_CUT)),
        };
        self.bound = Some(lower.max(least));
        self.units = self.units.min(0.0);
    }

    /// Units a second of the last seconds.
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
        self.measure(now);
        let Some(bound) = self.bound else {
            self.units = 0.0;
            return;
        };
        self.units = (self.units + seconds * bound).min(bound * SAVED);
        let calm = self
            .throttled
            .map_or(CALM, |last| now.saturating_duration_since(last));
        if calm > DECISION {
            let growth = RECOVERY * (1.0 + calm.as_secs_f64() / FASTER.as_secs_f64());
            let grown = bound * (1.0 + growth * seconds);
            let needless = calm >= CALM && grown > self.last_rate * NEEDLESS;
            self.bound = (!needless).then_some(grown);
        }
    }

    fn measure(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.measured);
        if time <= MEASURE {
            return;
        }
        self.last_rate = self.used / time.as_secs_f64();
        self.best = self.best.max(self.last_rate);
        (self.used, self.measured) = (0.0, now);
        // Reads of long ago say nothing of the share that is refused now.
        if self
            .decided
            .is_none_or(|last| now.saturating_duration_since(last) > MEASURE)
        {
            (self.answered, self.refused) = (0, 0);
        }
    }
}

//! Lease times, request times and the waits that follow from them.

use super::Clock;
use std::time::Duration;

/// How long things may take. The rules of leases and of late writes rest on these together, so they are
/// chosen together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A lease is taken over only after it was seen unrenewed for this long.
    pub lease: Duration,
    /// One request is given up after this long. Well below `lease`: a worker starts no write that could end
    /// after its lease.
    pub attempt: Duration,
    /// Beyond `lease` and `attempt`: how much later a request that we gave up may still take effect.
    pub margin: Duration,
    /// Between two reads of a shard that had nothing new. A shard serves five reads a second.
    pub poll: Duration,
    /// A shard that showed nothing for this long, over many reads, was read to its tip.
    pub idle: Duration,
    /// An eventually consistent read may show an item that was removed up to this long ago.
    pub settle: Duration,
    /// Thousandths of read units a second that all processes together spend on one kind of repeated reading of the state. All its records
    /// are in one partition, which serves 3,000 read units a second, and there are fewer than ten kinds.
    pub shared_milliunits: u32,
    /// The time of day. It measures nothing of the above.
    pub clock: Clock,
}

impl Timing {
    /// For AWS: patient.
    pub const LIVE: Self = Self {
        lease: Duration::from_secs(20),
        attempt: Duration::from_secs(5),
        margin: Duration::from_secs(10),
        poll: Duration::from_millis(500),
        idle: Duration::from_secs(10),
        settle: Duration::from_secs(60),
        shared_milliunits: 100_000,
        clock: Clock::SYSTEM,
    };

    /// For an engine on this machine, where requests take no time and reads are consistent.
    pub const LOCAL: Self = Self {
        lease: Duration::from_secs(4),
        attempt: Duration::from_millis(1500),
        margin: Duration::from_millis(1000),
        poll: Duration::from_millis(50),
        idle: Duration::from_millis(500),
        settle: Duration::from_secs(0),
        shared_milliunits: 100_000,
        clock: Clock::SYSTEM,
    };

    /// The timing with another lease. A shorter lease means that the engine is near, so the waits in other places
    /// shrink in proportion to [`Timing::LIVE`]; a longer one leaves them unchanged. `settle` belongs to the engine,
    /// and stays.
    #[must_use]
    pub fn with_lease(self, lease: Duration) -> Self {
        Self {
            lease,
            attempt: self.attempt.min(lease / 3),
            margin: self.margin.min(lease / 2),
            idle: self.idle.min(lease / 2),
            // A shard serves five reads a second, whatever the lease.
            poll: self.poll.min((lease / 10).max(Duration::from_millis(200))),
            ..self
        }
    }

    /// How often a lease is renewed.
    #[must_use]
    pub fn renew(&self) -> Duration {
        self.lease / 5
    }

    /// A record waits at most so long in memory until it is in an object of the ledger. A short lease means that the engine is near.
    #[must_use]
    pub fn flush(&self) -> Duration {
        const USUAL: Duration = Duration::from_secs(300);
        if self.lease < Self::LIVE.lease {
            self.lease / 2
        } else {
            USUAL
        }
    }

    /// If a command has to end, a read that is throttled only for its key range is given up after this time.
    #[must_use]
    pub fn hot_range(&self) -> Duration {
        self.lease * 6
    }

    /// After this, no write that a stopped, replaced or failed worker had under way can still land.
    #[must_use]
    pub fn landed(&self) -> Duration {
        self.attempt + self.margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lease_shortens_what_rests_on_it_and_a_long_one_lengthens_nothing() {
        let short = Timing::LIVE.with_lease(Duration::from_secs(2));
        assert_eq!(short.margin, Duration::from_secs(1));
        assert_eq!(short.idle, Duration::from_secs(1));
        assert_eq!(short.poll, Duration::from_millis(200));
        assert!(short.attempt < short.lease / 2);
        assert_eq!(short.settle, Timing::LIVE.settle);
        let long = Timing::LIVE.with_lease(Duration::from_secs(60));
        assert_eq!(
            long,
            Timing {
                lease: Duration::from_secs(60),
                ..Timing::LIVE
            }
        );
        assert_eq!(
            Timing::LOCAL.with_lease(Timing::LOCAL.lease).poll,
            Timing::LOCAL.poll
        );
    }
}

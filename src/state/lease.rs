//! Leases: who owns a record, until when, and when another process may take it over.

use super::open_requests::Requests;
use crate::dynamo::{Clock, chance};
use crate::fault::{Rule, broken};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Who holds a lease: one run of one process.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub String);

impl Owner {
    /// A name that no other run has.
    #[must_use]
    pub fn unique(kind: &str) -> Self {
        let tail: u64 = chance::any();
        Self(format!(
            "{kind}-{}-{tail:012x}",
            chance::process_id(),
            tail = tail & 0xffff_ffff_ffff
        ))
    }

    /// What it was named for.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(kind, _)| kind)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The lease of a record: the right to write the data that the record covers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lease {
    /// The owner; `None` after the lease was released.
    pub owner: Option<Owner>,
    /// Milliseconds that the holder renews it within.
    pub duration_ms: u64,
    /// Every request that was ever sent under this lease was answered, or can't land any more. False while somebody holds
    /// it, and from then on if a holder ended without saying so. An earlier version does not say it, either.
    #[serde(default)]
    pub settled: bool,
}

impl Lease {
    /// A lease for an owner.
    #[must_use]
    pub fn held_by(owner: &Owner, duration: Duration) -> Self {
        Self {
            owner: Some(owner.clone()),
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            settled: false,
        }
    }

    /// A lease that nobody has held yet.
    #[must_use]
    pub fn unheld() -> Self {
        Self::given_back(true)
    }

    /// A lease that its holder gives back. `settled`: nothing that any holder sent is unanswered.
    #[must_use]
    pub fn given_back(settled: bool) -> Self {
        Self {
            owner: None,
            duration_ms: 0,
            settled,
        }
    }

    /// Whether nothing that was sent under this lease can still land: its last holder gave it back, and each holder knew
    /// that all its requests had been answered. If a holder died, or was replaced, nobody knows it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let is_given_back = self.owner.is_none() && self.settled;
        is_given_back || self.owner.is_some() && broken(Rule::DeadUnsettled)
    }
}

/// Watches other owners' leases. A lease is free when it was given back, or when a whole lease time was
/// *seen to pass*, on this process's own clock, without its record changing: no clocks are compared.
#[derive(Debug, Default)]
pub struct LeaseWatch {
    seen: HashMap<String, (u64, Instant)>,
    landed: Duration,
}

impl LeaseWatch {
    /// Waits this much longer for a lease that was not released: requests of its owner may still land, and must not
    /// land after the writes of the next owner.
    #[must_use]
    pub fn until_landed(landed: Duration) -> Self {
        Self {
            seen: HashMap::new(),
            landed: if broken(Rule::Gone) {
                Duration::ZERO
            } else {
                landed
            },
        }
    }

    /// Whether a record's lease may be taken now.
    pub fn is_free(&mut self, name: &str, lease: &Lease, revision: u64, now: Instant) -> bool {
        if lease.owner.is_none() {
            return true;
        }
        let seen = self.seen.entry(name.to_owned()).or_insert((revision, now));
        if seen.0 != revision {
            *seen = (revision, now);
        }
        broken(Rule::SeenToPass)
            || now.duration_since(seen.1) > Duration::from_millis(lease.duration_ms) + self.landed
    }
}

impl LeaseWatch {
    /// For how long a record's lease has been seen unchanged, and how much longer it is not free at most. For people.
    #[must_use]
    pub fn silence(&self, name: &str, lease: &Lease, now: Instant) -> Option<(Duration, Duration)> {
        let (_, since) = self.seen.get(name)?;
        let silent = now.duration_since(*since);
        let whole = Duration::from_millis(lease.duration_ms) + self.landed;
        Some((silent, whole.saturating_sub(silent)))
    }
}

/// A moment, on both of this machine's clocks. The steady one may stand still while the machine sleeps (a closed
/// laptop, a paused virtual machine), and others take the lease meanwhile; the wall clock does not, but it is
/// corrected now and then. A lease counts only as long as it does on both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now(clock: Clock) -> Self {
        Self {
            steady: Instant::now(),
            wall: clock.of_leases().now(),
        }
    }

    /// So much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self {
            steady: self.steady + time,
            wall: self.wall + time,
        }
    }

    /// So much later on the wall's clock only: the machine slept.
    #[must_use]
    pub fn slept(self, time: Duration) -> Self {
        Self {
            wall: self.wall + time,
            ..self
        }
    }

    /// Whether this comes before another moment, by both clocks.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        self.steady < other.steady && (self.wall < other.wall || broken(Rule::BothClocks))
    }
}

/// Until when a worker may start writes under a lease. Set from the moment *before* the renewing request
/// was sent, so it ends before anybody else may take the lease.
#[derive(Clone, Debug)]
pub struct Validity {
    clock: Clock,
    /// `None`: it was ended, and is never renewed.
    until: Arc<Mutex<Option<Moment>>>,
    attempt: Duration,
    requests: Requests,
}

impl Validity {
    /// Valid for a lease time that began at `renewed`; one write takes at most `attempt`.
    #[must_use]
    pub fn new(clock: Clock, renewed: Moment, lease: Duration, attempt: Duration) -> Self {
        Self {
            clock,
            until: Arc::new(Mutex::new(Some(renewed.after(lease)))),
            attempt,
            requests: Requests::default(),
        }
    }

    /// The same. A write that is given up can't land after this time.
    #[must_use]
    pub fn landing_within(self, time: Duration) -> Self {
        Self {
            requests: Requests::that_land_within(time),
            ..self
        }
    }

    /// The writes that are sent under this lease.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The lease was renewed by a request that was sent at `renewed`.
    pub fn renew(&self, renewed: Moment, lease: Duration) {
        // Renewals come one after the other, so the last one is the latest; the wall clock may have been set back.
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.is_some() {
            *until = Some(renewed.after(lease));
        }
    }

    /// Ends it now, for good.
    pub fn end(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a write that starts now ends, at its latest, before the lease does.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.may_write_at(Moment::now(self.clock))
    }

    /// As [`Validity::may_write`], for a write that starts at this moment.
    #[must_use]
    pub fn may_write_at(&self, now: Moment) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = Some(self.attempt).filter(|_| !broken(Rule::EndsBeforeLease));
        let ends = now.after(attempt.unwrap_or_default());
        until.is_some_and(|until| ends.is_before(&until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_free_only_after_a_whole_lease_time_without_a_change() {
        let mut watch = LeaseWatch::default();
        let lease = Lease::held_by(&Owner("a".into()), Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!watch.is_free("r", &lease, 1, at(0)));
        assert!(!watch.is_free("r", &lease, 1, at(9)));
        assert!(!watch.is_free("r", &lease, 2, at(11)), "it was renewed");
        assert!(!watch.is_free("r", &lease, 2, at(20)));
        assert!(watch.is_free("r", &lease, 2, at(22)));
        let mut patient = LeaseWatch::until_landed(Duration::from_secs(5));
        assert!(!patient.is_free("r", &lease, 1, at(0)));
        assert!(
            !patient.is_free("r", &lease, 1, at(15)),
            "its last write may still land"
        );
        assert!(patient.is_free("r", &lease, 1, at(16)));
        for watch in [&mut watch, &mut patient] {
            assert!(
                watch.is_free("other", &Lease::default(), 1, at(0)),
                "it was given back"
            );
        }
    }

    #[test]
    fn no_write_starts_that_could_end_after_the_lease() {
        let now = Moment::now(Clock::SYSTEM);
        let attempt = Duration::from_secs(5);
        assert!(Validity::new(Clock::SYSTEM, now, Duration::from_secs(20), attempt).may_write());
        assert!(!Validity::new(Clock::SYSTEM, now, Duration::from_secs(4), attempt).may_write());
        let validity = Validity::new(Clock::SYSTEM, now, Duration::from_secs(20), attempt);
        validity.end();
        assert!(!validity.may_write());
        validity.renew(Moment::now(Clock::SYSTEM), Duration::from_secs(20));
        assert!(!validity.may_write(), "a lease that is given back is not renewed");
    }

    #[test]
    fn a_lease_is_settled_only_if_its_holder_gave_it_back_and_knew_every_answer() {
        let held = Lease::held_by(&Owner("a".into()), Duration::from_secs(10));
        assert!(Lease::unheld().is_settled());
        assert!(Lease::given_back(true).is_settled());
        assert!(!Lease::given_back(false).is_settled());
        assert!(!held.is_settled());
        // Somebody takes the record away from a holder.
        assert!(
            !Lease {
                owner: None,
                ..held.clone()
            }
            .is_settled()
        );
        // A version that does not know this has written it.
        let old: Lease = serde_json::from_str(r#"{"owner":null,"duration_ms":0}"#).unwrap();
        assert!(!old.is_settled());
        let settled = Lease {
            settled: true,
            ..held
        };
        assert!(!settled.is_settled(), "somebody holds it");
    }

    #[test]
    fn a_machine_that_slept_does_not_write_though_its_steady_clock_stood_still() {
        let now = Moment::now(Clock::SYSTEM);
        let slept = Duration::from_secs(3600);
        let validity = Validity::new(
            Clock::SYSTEM,
            now,
            Duration::from_secs(20),
            Duration::from_secs(5),
        );
        assert!(validity.may_write_at(now));
        assert!(!validity.may_write_at(now.slept(slept)));
        let now = now.slept(slept);
        validity.renew(now, Duration::from_secs(20));
        assert!(validity.may_write_at(now));
    }
}

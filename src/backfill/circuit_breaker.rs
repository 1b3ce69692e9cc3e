//! The circuit breaker of one service's table: a table that accepts no writes no longer delays the other services.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The copy does not wait longer than this many lease times for a table that accepts no writes, while the lanes of
/// all services are on hold.
pub(super) const STUCK_LEASES: u32 = 8;

/// Services whose tables accept no writes at the moment. The segments of this process leave them out, so that no
/// other service waits for them, and try one from time to time.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    out: Mutex<BTreeMap<String, Out>>,
    retry: Duration,
}

#[derive(Debug)]
struct Out {
    /// Since then its table took nothing.
    since: Instant,
    /// Tried again from then on.
    until: Instant,
}

impl CircuitBreaker {
    /// No service is out. A service that is put out is tried again after this time.
    pub fn new(retry: Duration) -> Self {
        Self {
            out: Mutex::default(),
            retry,
        }
    }

    /// Its table took nothing for as long as anybody is waited for. Says whether this is new.
    pub fn open(&self, lane: &str) -> bool {
        let now = Instant::now();
        let until = now + self.retry;
        let mut out = self.lock();
        if let Some(known) = out.get_mut(lane) {
            known.until = until;
            return false;
        }
        out.insert(lane.to_owned(), Out { since: now, until });
        true
    }

    /// How long a service is left out before it is tried again.
    pub fn retry(&self) -> Duration {
        self.retry
    }

    /// The service that has been out for the longest, and for how long.
    pub fn longest_open(&self) -> Option<(String, Duration)> {
        let out = self.lock();
        let (lane, first) = out.iter().min_by_key(|(_, out)| out.since)?;
        Some((lane.clone(), first.since.elapsed()))
    }

    /// Its table takes writes.
    pub fn close(&self, lane: &str) {
        self.lock().remove(lane);
    }

    /// Whether it is left out for now.
    pub fn is_open(&self, lane: &str) -> bool {
        self.lock()
            .get(lane)
            .is_some_and(|out| Instant::now() < out.until)
    }

    /// Whether the caller may try it: when its time has come, only one of several callers may.
    pub fn allows_attempt(&self, lane: &str) -> bool {
        let mut out = self.lock();
        match out.get_mut(lane) {
            None => true,
            Some(out) if Instant::now() < out.until => false,
            Some(out) => {
                out.until = Instant::now() + self.retry;
                true
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Out>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asker_tries_when_the_time_has_come() {
        let breaker = CircuitBreaker::new(Duration::from_millis(1));
        assert!(breaker.allows_attempt("a"));
        assert!(breaker.open("a"));
        std::thread::sleep(Duration::from_millis(5));
        assert!(!breaker.is_open("a"));
        let patient = CircuitBreaker {
            retry: Duration::from_secs(60),
            ..breaker
        };
        assert!(patient.allows_attempt("a"), "its time has come");
        assert!(!patient.allows_attempt("a"), "and one tries it already");
        assert!(patient.is_open("a"));
        // It was out all the time, though it was tried.
        assert!(!patient.open("a"), "this is told once");
        assert!(patient.open("c"));
        let (longest, time) = patient.longest_open().unwrap();
        assert!(
            longest == "a" && time >= Duration::from_millis(5),
            "{longest} {time:?}"
        );
        patient.close("c");
        patient.close("a");
        assert!(patient.allows_attempt("a"));
        assert!(patient.allows_attempt("b"));
        assert_eq!(patient.longest_open(), None);
    }
}

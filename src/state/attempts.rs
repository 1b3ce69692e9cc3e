//! How often a change could not be written, and why the last times.

use serde::{Deserialize, Serialize};

/// The attempts that a dead letter remembers in full. Older ones are only counted.
const REMEMBERED: usize = 10;

/// One time that a change could not be written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Where the change was read, as the origin of a dead letter, or [`Attempt::RECONCILE`].
    pub origin: String,
    /// Why it could not be written.
    pub reason: String,
}

/// The attempts of a dead letter. A letter of an earlier version knows only its last one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attempts {
    /// Number of attempts.
    #[serde(default)]
    pub attempts: u64,
    /// The first one, in milliseconds since 1970.
    #[serde(default)]
    pub first_at_ms: u64,
    /// The last ones, the oldest first.
    #[serde(default)]
    pub history: Vec<Attempt>,
}

impl Attempt {
    /// The origin of an attempt of `dead-letters reconcile`.
    pub const RECONCILE: &'static str = "reconcile";
}

impl Attempts {
    /// With one more.
    #[must_use]
    pub fn and(mut self, attempt: Attempt) -> Self {
        if self.attempts == 0 {
            self.first_at_ms = attempt.at_ms;
        }
        self.attempts += 1;
        self.history.push(attempt);
        let forgotten = self.history.len().saturating_sub(REMEMBERED);
        self.history.drain(..forgotten);
        self
    }

    /// With the only attempt that a letter of an earlier version knows.
    #[must_use]
    pub fn or(self, known: impl FnOnce() -> Attempt) -> Self {
        if self.attempts == 0 {
            self.and(known())
        } else {
            self
        }
    }

    /// The last attempt, in milliseconds since 1970.
    #[must_use]
    pub fn last_at_ms(&self) -> u64 {
        self.history.last().map_or(self.first_at_ms, |last| last.at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(at_ms: u64) -> Attempt {
        Attempt {
            at_ms,
            origin: "backfill".into(),
            reason: format!("reason {at_ms}"),
        }
    }

    #[test]
    fn the_last_attempts_are_remembered_and_all_are_counted() {
        let all = (1..=25).map(attempt).fold(Attempts::default(), Attempts::and);
        assert_eq!((all.attempts, all.first_at_ms, all.last_at_ms()), (25, 1, 25));
        let remembered: Vec<u64> = all.history.iter().map(|one| one.at_ms).collect();
        assert_eq!(remembered, (16..=25).collect::<Vec<_>>());
        let old = Attempts::default().or(|| attempt(7));
        assert_eq!((old.attempts, old.first_at_ms), (1, 7));
        assert_eq!(old.clone().or(|| attempt(8)), old);
    }
}

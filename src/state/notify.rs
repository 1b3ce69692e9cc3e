//! What a destination of notifications was told: one record for each destination. Its lease is the right to send, so that one
//! process at a time sends, and a process that takes it over knows what was sent.

use super::lease::Lease;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most notifications of one subject within [`NotifyRecord::WINDOW_MS`]. A subject that changes more often is told again
/// later, with its state at that time.
const MOST_OF_SUBJECT: usize = 4;
/// The most notifications within an hour, of all subjects together.
const MOST_OF_ALL: usize = 60;
const HOUR_MS: u64 = 3_600_000;

/// What was told of one subject.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The state in a word or two. `None`: the subject was told to be over.
    pub state: Option<String>,
    /// Of a cutover: the time of the last event of the journal that was told, in milliseconds since 1970.
    pub until_ms: u64,
    /// When it was told lately, in milliseconds since 1970.
    pub at_ms: Vec<u64>,
}

/// A time in which something was seen again and again, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SeenSince {
    /// First.
    pub first_ms: u64,
    /// Last.
    pub last_ms: u64,
}

/// Why nothing gets through to a destination.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SendFailure {
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// The next attempt, in milliseconds since 1970.
    pub next_ms: u64,
    /// The reason. It contains no secret.
    pub reason: String,
}

/// What a destination was told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NotifyRecord {
    /// The destination, for people.
    pub destination: String,
    /// The process that sends.
    pub lease: Lease,
    /// Raised with each renewal.
    pub beat: u64,
    /// Notifications so far.
    pub sent: u64,
    /// When the last ones were sent, in milliseconds since 1970: at most those of an hour.
    pub sent_ms: Vec<u64>,
    /// By subject.
    pub told: BTreeMap<String, Told>,
    /// Parts of commands that DynamoDB throttles.
    pub throttled: BTreeMap<String, SeenSince>,
    /// Why nothing gets through at present.
    pub failure: Option<SendFailure>,
}

impl NotifyRecord {
    /// Prefix of these records' names.
    pub const PREFIX: &'static str = "NOTIFY#";
    /// The time in which a subject is told a few times at most.
    pub const WINDOW_MS: u64 = 600_000;

    /// Name of a destination's record. It does not contain the destination itself, whose text may be long.
    #[must_use]
    pub fn record_name(destination: &str) -> String {
        let hash = blake3::hash(destination.as_bytes()).to_hex();
        format!("{}{}", Self::PREFIX, &hash[..16])
    }

    /// A record before the first notification.
    #[must_use]
    pub fn new(destination: &str) -> Self {
        Self {
            destination: destination.to_owned(),
            lease: Lease::unheld(),
            beat: 0,
            sent: 0,
            sent_ms: Vec::new(),
            told: BTreeMap::new(),
            throttled: BTreeMap::new(),
            failure: None,
        }
    }

    /// Whether a notification of this subject may be sent now.
    #[must_use]
    pub fn may_send(&self, subject: &str, now_ms: u64) -> bool {
        let of_subject = self.told.get(subject).map_or(0, |told| {
            let recent = told.at_ms.iter();
            recent
                .filter(|at_ms| now_ms.saturating_sub(**at_ms) < Self::WINDOW_MS)
                .count()
        });
        let recent = self.sent_ms.iter();
        let of_all = recent
            .filter(|at_ms| now_ms.saturating_sub(**at_ms) < HOUR_MS)
            .count();
        of_subject < MOST_OF_SUBJECT && of_all < MOST_OF_ALL
    }

    /// Whether it is too early for another attempt after a failure. A clock that was set back does not keep it waiting.
    #[must_use]
    pub fn waits(&self, now_ms: u64, longest_ms: u64) -> bool {
        let failure = self.failure.as_ref();
        failure.is_some_and(|failure| now_ms < failure.next_ms && failure.next_ms - now_ms <= longest_ms)
    }

    /// A notification of a subject was sent.
    pub fn was_sent(&mut self, subject: &str, state: Option<&str>, until_ms: u64, now_ms: u64) {
        self.sent += 1;
        self.failure = None;
        self.sent_ms
            .retain(|at_ms| now_ms.saturating_sub(*at_ms) < HOUR_MS);
        self.sent_ms.push(now_ms);
        let told = self.told.entry(subject.to_owned()).or_default();
        told.state = state.map(str::to_owned);
        told.until_ms = told.until_ms.max(until_ms);
        told.at_ms
            .retain(|at_ms| now_ms.saturating_sub(*at_ms) < Self::WINDOW_MS);
        told.at_ms.push(now_ms);
        // What is over, and was not told lately, needs no entry: the record stays small.
        self.told.retain(|_, told| {
            let is_recent = |at_ms: &u64| now_ms.saturating_sub(*at_ms) < Self::WINDOW_MS;
            told.state.is_some() || told.until_ms > 0 || told.at_ms.iter().any(is_recent)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_changes_all_the_time_is_told_a_few_times_and_others_still_are() {
        let mut record = NotifyRecord::new("x");
        for at_ms in 0..4 {
            assert!(record.may_send("lag/A", at_ms));
            record.was_sent("lag/A", Some("long"), 0, at_ms);
        }
        assert!(!record.may_send("lag/A", 5));
        assert!(record.may_send("gap/A", 5));
        assert!(record.may_send("lag/A", NotifyRecord::WINDOW_MS + 5));
    }

    #[test]
    fn an_hour_has_a_limit_and_the_record_stays_small() {
        let mut record = NotifyRecord::new("x");
        for n in 0..60 {
            let subject = format!("gap/{n}");
            assert!(record.may_send(&subject, n));
            record.was_sent(&subject, None, 0, n);
        }
        assert!(!record.may_send("gap/another", 100));
        assert!(record.may_send("gap/another", 100 + HOUR_MS));
        record.was_sent("phase", Some("done"), 0, 100 + HOUR_MS);
        assert_eq!(record.told.keys().collect::<Vec<_>>(), ["phase"]);
        assert_eq!(record.sent_ms.len(), 1);
    }

    #[test]
    fn a_failure_is_waited_for_and_no_longer_than_it_may_be() {
        let mut record = NotifyRecord::new("x");
        record.failure = Some(SendFailure {
            since_ms: 0,
            attempts: 1,
            next_ms: 1000,
            reason: "HTTP 500".into(),
        });
        assert!(record.waits(500, 600_000) && !record.waits(1000, 600_000));
        assert!(!record.waits(0, 900), "the clock was set back");
    }
}

//! Counts what went wrong, so that a test can tell that it did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

/// A kind of fault, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Throttled with a reason.
    Throttled,
    /// A server error that DynamoDB words.
    ServerError,
    /// A server error of something in between.
    GatewayError,
    /// A connection closed without an answer.
    HungUp,
    /// No answer.
    Silent,
    /// Of those without a good answer: the request had been carried out.
    LandedUnanswered,
    /// Of those: it was carried out later.
    LandedLate,
    /// Carried out, and the answer held back.
    Held,
    /// Refused by a policy.
    Denied,
    /// Told that the table was deleted.
    NotFound,
    /// Parts of a batch left undone.
    Unprocessed,
    /// A page of a stream that is empty before the tip.
    EmptyPage,
    /// An iterator that was told to be expired.
    ExpiredIterator,
    /// A reader of a stream told to slow down.
    StreamLimit,
    /// A page that shows former states.
    StalePage,
    /// An item in such a page that is not as it is now.
    StaleItem,
    /// A shard continued by one.
    Rolled,
    /// A shard continued by two.
    Split,
    /// A shard's records forgotten.
    Trimmed,
    /// A record dropped, since its write changed nothing.
    NoChange,
}

/// Counts by kind.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<Kind, u64>>);

impl Tally {
    /// One more.
    pub fn add(&self, kind: Kind) {
        self.add_many(kind, 1);
    }

    /// More.
    pub fn add_many(&self, kind: Kind, count: u64) {
        if count > 0 {
            *self
                .0
                .lock()
                .expect("no thread panicked")
                .entry(kind)
                .or_default() += count;
        }
    }

    /// How many there were.
    pub fn count(&self, kind: Kind) -> u64 {
        let counts = self.0.lock().expect("no thread panicked");
        counts.get(&kind).copied().unwrap_or(0)
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<Kind, u64> {
        self.0.lock().expect("no thread panicked").clone()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self
            .all()
            .iter()
            .map(|(kind, count)| format!("{kind:?} {count}"))
            .collect();
        f.write_str(&words.join(", "))
    }
}

//! The classes of mismatches.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The classes of mismatches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MismatchClass {
    /// The target lacks an item that the source says it should hold.
    Missing,
    /// The target holds an item without a source item.
    Extra,
    /// Both are there, and are not equal.
    Different,
    /// The target holds an item whose source item exists and does not belong to the service.
    Misrouted,
    /// Several source items lead to one target key.
    Collision,
    /// One side lacks an item that has expired by TTL on the other. DynamoDB deletes such items when it
    /// likes, on each side for itself: information, not a fault.
    Expired,
}

impl MismatchClass {
    /// Whether it is a fault. All are, save [`MismatchClass::Expired`].
    #[must_use]
    pub fn is_fault(self) -> bool {
        self != Self::Expired
    }

    /// The word for it, in texts and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
            Self::Misrouted => "misrouted",
            Self::Collision => "collision",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for MismatchClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
